"""Connections: finding, opening, keeping and using them. Knows nothing of policies or of replies."""
