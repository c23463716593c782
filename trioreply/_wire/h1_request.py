"""The request's side of a cycle: a head that is checked as it stands on the wire, and the framing of a body.

A request is joined from its parts and then judged as a whole, by the grammar that a server would read it with: whatever
could make it two requests, or end it early, shows there and nowhere else (RFC 9112 section 11.2). No parser is needed.
"""

from __future__ import annotations

from typing import Protocol

from .._model.errors import ProtocolFailure, UnknownNetworkError
from .codec import RequestHead
from .h1_rules import Framing, WireLimits, declared_framing, is_request


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


def serialised(head: RequestHead, limits: WireLimits) -> tuple[bytes, Framing]:
    """The bytes of ``head`` as it goes on the wire, and what it says about its body.

    Raises:
        UnknownNetworkError: it is no request that could be sent.
    """
    # What does not belong here must not get lost in the encoding, but reach the check: no codec error, no replacement.
    method, target = head.method.encode("utf-8", "surrogatepass"), head.target.encode("utf-8", "surrogatepass")
    fields = b"".join([b"%b: %b\r\n" % pair for pair in head.fields])
    block = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, fields)
    if not is_request(block, fields=len(head.fields)):
        raise UnknownNetworkError("the request cannot be sent: forbidden characters in its method, target or fields")
    try:
        return block, declared_framing(block, limits)
    except ProtocolFailure as mistake:
        raise UnknownNetworkError(f"the request cannot be sent: {mistake}") from mistake
