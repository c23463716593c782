"""Tests of the reply."""
