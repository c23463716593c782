"""trioreply."""
