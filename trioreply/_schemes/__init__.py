"""Scheme handlers: the innermost of an exchange, one for each kind of URL."""
