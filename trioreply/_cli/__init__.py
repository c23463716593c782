"""The command ``trioreply``: a program on top of the library, which uses nothing that is not public."""
