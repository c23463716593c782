"""The command line: driven as a function, on a terminal of its own, and as a process."""
