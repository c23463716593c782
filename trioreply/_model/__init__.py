"""Values only: requests, messages, events, errors. Nothing here waits, and nothing here knows who uses it."""
