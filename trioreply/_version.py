"""The version, stated once: the build reads it from here, and so does everything that shows it.

A file of its own in the lowest layer: neither building a wheel nor making a ``User-Agent`` imports anything else.
"""

__version__ = "0.1.0"
