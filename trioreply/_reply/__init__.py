"""What the application holds: the reply, its event channel, its read buffer, and the table that moves it."""
