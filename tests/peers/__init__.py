"""Journeys with servers that other people wrote: what they really send, keep open, and close."""
