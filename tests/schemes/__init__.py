"""Tests of the schemes that need no network."""
