"""What a range of bytes means for content of a known size (RFC 9110 section 14): plain arithmetic, off by one at home.

A request counts both ends in, from the front or from the end; Python counts the end out. Here one becomes the other.
"""

from __future__ import annotations

from .field_values import ByteRange


def span_of(one: ByteRange, size: int) -> range:
    """The positions that ``one`` means in ``size`` bytes; empty if there are none (RFC 9110 section 14.1.2)."""
    if one.first is None:
        return range(max(0, size - (one.last or 0)), size)
    end = size if one.last is None else min(one.last + 1, size)
    return range(one.first, end) if one.first < end else range(0)


def content_range(span: range, size: int) -> str:
    """The value of Content-Range for ``span`` of ``size`` bytes; an empty one is "there are no such bytes"."""
    return f"bytes {span.start}-{span.stop - 1}/{size}" if span else f"bytes */{size}"
