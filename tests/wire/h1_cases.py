"""What a case of the HTTP/1.1 tables is, and how it is played to a codec.

Both codecs are tested by the same tests, marked with `by_codec`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Protocol

import pytest
from attrs import field, frozen

from trioreply._model.errors import ReplyError
from trioreply._model.events import Informational
from trioreply._model.headers import Headers, from_wire
from trioreply._model.messages import ResponseData, ResponseHead, ResponseTrailers
from trioreply._wire.codec import Codec, Received, RequestHead, ResponseEnd
from trioreply._wire.codecs import codec_maker
from trioreply._wire.h1_rules import DEFAULT_LIMITS, WireLimits


class Make(Protocol):
    """Makes a codec of one kind."""

    def __call__(self, limits: WireLimits = DEFAULT_LIMITS, /) -> Codec:
        """A new one."""
        ...


def h11_codec(limits: WireLimits = DEFAULT_LIMITS) -> Codec:
    """A codec over h11."""
    return codec_maker(limits, parser="h11")()


def httptools_codec(limits: WireLimits = DEFAULT_LIMITS) -> Codec:
    """A codec over httptools."""
    return codec_maker(limits, parser="httptools")()


needs_httptools = pytest.mark.skipif(find_spec("httptools") is None, reason="httptools is not installed")
by_codec = pytest.mark.parametrize(
    "make", [pytest.param(h11_codec, id="h11"), pytest.param(httptools_codec, id="httptools", marks=needs_httptools)]
)

HOST = (b"Host", b"example.org")
GET = RequestHead("GET", "/", (HOST,))
GET_ONCE = RequestHead("GET", "/", (HOST, (b"Connection", b"close")))
HEAD = RequestHead("HEAD", "/", (HOST,))
CONNECT = RequestHead("CONNECT", "example.org:443", (HOST,))

END = ResponseEnd()
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"


def _fields(*lines: str) -> Headers:
    return from_wire(
        [(name.encode(), value.encode("latin-1")) for name, _, value in (line.partition(": ") for line in lines)]
    )


def head(status_code: int, reason: str, *lines: str, version: str = "1.1") -> ResponseHead:
    """The head with these fields, each written ``Name: value``; the value's characters stand for bytes."""
    return ResponseHead(status_code, reason, _fields(*lines), version)


def informational(status_code: int, *lines: str) -> Informational:
    """A 1xx response with these fields."""
    return Informational(status_code, _fields(*lines))


def trailers(*lines: str) -> ResponseTrailers:
    """A trailer section with these fields."""
    return ResponseTrailers(_fields(*lines))


def body(data: bytes) -> ResponseData:
    """A piece of body, as it was on the wire."""
    return ResponseData(data, len(data))


CHUNKED_HEAD = head(200, "OK", "Transfer-Encoding: chunked")
HELLO = (head(200, "OK", "Content-Length: 5"), body(b"hello"), END)


@frozen
class Case:
    """One response on the wire, and what it must amount to."""

    name: str
    wire: bytes = field(repr=False)
    messages: tuple[Received, ...] = field(default=(), repr=False)
    error: type[ReplyError] | None = None
    reusable: bool = False
    request: RequestHead = field(default=GET, repr=False)
    ends: bool = False
    """Whether the peer closes after ``wire``."""

    @property
    def is_framed(self) -> bool:
        """Whether the response ends by itself, so that what follows is not part of it."""
        return self.error is None and not self.ends


@frozen
class Outcome:
    """What a codec made of some bytes, in a form that compares names with their case and fields in their order."""

    messages: tuple[tuple[Received, tuple[tuple[str, str], ...]], ...]
    error: type[ReplyError] | None
    reusable: bool


def outcome_of(case: Case) -> Outcome:
    """What is to come out."""
    return _outcome(case.messages, case.error, reusable=case.reusable)


def play(codec: Codec, request: RequestHead, feeds: Iterable[bytes]) -> Outcome:
    """Send ``request`` without a body, and read ``feeds`` until they end or fail."""
    codec.start(request)
    codec.end_request()
    return listen(codec, feeds)


def listen(codec: Codec, feeds: Iterable[bytes]) -> Outcome:
    """Read ``feeds`` until they end or fail."""
    messages: list[Received] = []
    try:
        for data in feeds:
            messages.extend(codec.receive(data))  # extend keeps what came before the error
    except ReplyError as error:
        return _outcome(messages, type(error), reusable=codec.is_reusable)
    return _outcome(messages, None, reusable=codec.is_reusable)


def cut(wire: bytes, places: Iterable[int], *, ends: bool = False) -> list[bytes]:
    """``wire`` in the pieces between ``places``, none of them empty, and then the end of the stream if it ``ends``."""
    marks = sorted({0, len(wire), *(place for place in places if 0 < place < len(wire))})
    pieces = [wire[start:stop] for start, stop in itertools.pairwise(marks)]
    return [*pieces, b""] if ends else pieces


def _outcome(messages: Iterable[Received], error: type[ReplyError] | None, *, reusable: bool) -> Outcome:
    joined: list[Received] = []
    for message in messages:
        last = joined[-1] if joined else None
        if isinstance(message, ResponseData) and isinstance(last, ResponseData):
            assert message.wire_size == len(message.data)
            joined[-1] = body(last.data + message.data)
        else:
            joined.append(message)
    return Outcome(tuple((message, pairs_of(message)) for message in joined), error, reusable)


def pairs_of(message: Received) -> tuple[tuple[str, str], ...]:
    """The fields of ``message`` with the case of their names and in their order, which comparing headers forgets."""
    if isinstance(message, ResponseData | ResponseEnd):
        return ()
    return tuple((str(name), value) for name, value in message.headers.items())
