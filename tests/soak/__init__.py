"""What takes long: gigabytes, hammers, storms, hostile peers, and the search for what is left behind.

Everything here is bounded in count and in time, and what is random comes from a seed that stands in the test's name.
"""
