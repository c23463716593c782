"""Policies: what happens around an exchange. Each maps a handler to a handler; none of them sees the network."""
