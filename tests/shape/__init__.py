"""The rules about the shape of the code, as functions over source text, so that the rules can be tested too.

A gate takes sources and yields one line of text for each place where its rule is broken. `tests/test_shape.py` runs
every gate over the package, and over a snippet that breaks it.
"""
