"""How the parts of a body stand on the wire (RFC 2046 section 5.1.1).

    --boundary CRLF fields CRLF CRLF content CRLF --boundary CRLF fields CRLF CRLF content CRLF --boundary-- CRLF

The CRLF before a delimiter belongs to the delimiter, so content ends where it ends, with or without a line end of its
own. What lies in memory already is put together into pieces worth sending; what must be read stays what it is. A part
that has parts itself is flattened: nobody who sends needs to know about it.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._model.bodies import BytesBody, Leaf, PartsBody
from .._model.headers import Headers, encode_text

JOIN_LIMIT = 64 * 1024
"""Bytes. Up to this size, content in memory is copied to what surrounds it; beyond, a send of its own costs less."""


def frame(body: PartsBody) -> Iterator[Leaf]:
    """What ``body`` is on the wire, from its first byte to its last: bodies without parts, to be sent one by one."""
    gathered = bytearray()  # never empty when it is given away: before everything else stand its header fields
    for piece in _pieces(body):
        is_small = isinstance(piece, BytesBody) and len(piece.data) <= JOIN_LIMIT
        if not is_small or len(gathered) > JOIN_LIMIT:
            yield BytesBody(bytes(gathered))
            gathered.clear()
        if isinstance(piece, BytesBody) and is_small:
            gathered += piece.data
        else:
            yield piece
    yield BytesBody(bytes(gathered))


def _pieces(body: PartsBody) -> Iterator[Leaf]:
    delimiter = f"--{body.boundary}".encode("ascii")
    before = b""
    for section in body.sections:
        yield BytesBody(before + delimiter + b"\r\n" + _head(section.headers) + b"\r\n")
        if isinstance(section.body, PartsBody):
            yield from _pieces(section.body)
        else:
            yield section.body
        before = b"\r\n"
    yield BytesBody(before + delimiter + b"--\r\n")


def _head(headers: Headers) -> bytes:
    return b"".join(name.encode("ascii") + b": " + encode_text(value) + b"\r\n" for name, value in headers.items())
