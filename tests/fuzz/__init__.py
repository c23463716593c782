"""Searches for counter-examples, as long as they are let."""
