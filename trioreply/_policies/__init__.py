"""Policies: what happens around an exchange. Each is a function from handler to handler; none of them sees the network."""
