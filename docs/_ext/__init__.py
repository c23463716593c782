"""What the documentation makes out of the code while it is built."""
