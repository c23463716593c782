"""The request's side of a cycle: a head that is checked as it stands on the wire, and the framing of a body.

A request is joined from its parts and then judged as it stands, by the grammar that a server would read it with:
whatever could make it two requests, or end it early, shows there and nowhere else (RFC 9112 section 11.2). No parser is
needed. The line and the fields are judged apart, since one request after the other says the same in its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._model.errors import ProtocolFailure, UnknownNetworkError
from .codec import RequestHead
from .h1_rules import Framing, WireLimits, declared_framing, is_field_block, is_request_line


class Upload(Protocol):
    """A request's body on its way out."""

    def frame(self, data: bytes | memoryview, /) -> bytes | memoryview:
        """``data`` as it goes on the wire."""
        ...

    def finish(self) -> bytes:
        """What ends the body on the wire."""
        ...


class _NoUpload:
    """The request is complete, or there was none."""

    __slots__ = ()

    def frame(self, _data: bytes | memoryview) -> bytes | memoryview:
        raise RuntimeError("the request is complete; its body has ended")

    def finish(self) -> bytes:
        raise RuntimeError("the request is complete; it cannot be ended twice")


SENT = _NoUpload()
"""Nothing is to be sent."""


class _CountedUpload:
    """A body of announced length; without any announcement that is 0."""

    __slots__ = ("_length", "_sent")

    def __init__(self, length: int) -> None:
        self._length = length
        self._sent = 0

    def frame(self, data: bytes | memoryview) -> bytes | memoryview:
        self._sent += data.nbytes if isinstance(data, memoryview) else len(data)
        if self._sent > self._length:
            raise UnknownNetworkError(f"the request's body is longer than the {self._length} bytes that were announced")
        return data

    def finish(self) -> bytes:
        if self._sent != self._length:
            raise UnknownNetworkError(
                f"the request's body has {self._sent} bytes where {self._length} were announced; "
                "the Content-Length is wrong, or its source ended early"
            )
        return b""


class _ChunkedUpload:
    """A body of unknown length (RFC 9112 section 7.1); each piece becomes one chunk."""

    __slots__ = ()

    def frame(self, data: bytes | memoryview) -> bytes | memoryview:
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        # An empty chunk would end the body.
        return b"".join((b"%x\r\n" % size, data, b"\r\n")) if size else b""

    def finish(self) -> bytes:
        return b"0\r\n\r\n"


def upload_of(framing: Framing) -> Upload:
    """The body that a request's head announces."""
    return _ChunkedUpload() if framing.chunked else _CountedUpload(framing.length or 0)


def serialised_line(head: RequestHead) -> bytes:
    """The request line of ``head`` as it goes on the wire, without its end.

    Raises:
        UnknownNetworkError: it is none that could be sent.
    """
    # What does not belong here must not get lost in the encoding, but reach the check: no codec error, no replacement.
    line = f"{head.method} {head.target} HTTP/1.1".encode("utf-8", "surrogatepass")
    if not is_request_line(line):
        raise UnknownNetworkError("the request cannot be sent: forbidden characters in its method or target")
    return line


def serialised_fields(fields: Sequence[tuple[bytes, bytes]], limits: WireLimits) -> tuple[bytes, Framing]:
    """What follows the request line, its end included, and what it says about the body.

    Raises:
        UnknownNetworkError: it cannot be sent.
    """
    block = b"\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % pair for pair in fields])
    if not is_field_block(block, fields=len(fields)):
        raise UnknownNetworkError("the request cannot be sent: forbidden characters in its fields")
    try:
        return block, declared_framing(block, limits)
    except ProtocolFailure as mistake:
        raise UnknownNetworkError(f"the request cannot be sent: {mistake}") from mistake
