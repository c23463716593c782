"""One HTTP/1.1 connection from the client's side, for any parser of responses.

What reads a response's head and takes chunked bodies apart is a parser from elsewhere, of which there are two (`h1` and
`h1_fast`). Everything that they could disagree about is decided here or in `h1_rules`, which has seen the bytes before
and refused what a parser would forgive. The rest is too simple to need a parser and too frequent to afford one: bytes
of a body whose length is known are counted and passed on as they are, and the request needs none (`h1_request`). Each
head gets a parser of its own, so that it cannot inherit anything from the one before.

The two sides of a cycle are two small machines that never look at each other; their states carry their data::

    upload:    SENT -> _CountedUpload | _ChunkedUpload -> SENT
    response:  _IDLE -> _HeadReader -> _CountedBody | _ChunkedBody | _BodyUntilClose -> _IDLE | _SPENT
               anything -> _BROKEN

A connection is reusable when the machines stand at ``SENT`` and ``_IDLE``. That the peer, the request or a stray byte
has ended its life is not a flag but the state ``_SPENT``, which nothing leaves.

What was hard: what precedes a mistake must come out before the mistake is raised, however the bytes were cut. Readers
collect what they find in a list of the caller's for that reason. A feed that is not iterated to its end, for whatever
reason, leaves the codec broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

from .._model.errors import ProtocolFailure, RemoteHostClosedError, ReplyError
from .._model.events import Informational
from .._model.headers import decode_text, from_wire
from .._model.messages import ResponseData, ResponseHead, ResponseTrailers
from .codec import Received, RequestHead, ResponseEnd
from .h1_request import SENT, Upload, serialised_fields, serialised_line, upload_of
from .h1_rules import (
    BlockScanner,
    ChunkScanner,
    Framing,
    WireLimits,
    check_head,
    declared_framing,
    has_no_body,
)

_END = ResponseEnd()


class Response(Protocol):
    """A response that a parser reads: its head when it is made, the body only if that is chunked.

    Names are as they were on the wire, values without the white space around them.
    """

    @property
    def status_code(self) -> int:
        """From 100 to 999, but not 101."""
        ...

    @property
    def reason(self) -> bytes:
        """What follows the status code; may be empty."""
        ...

    @property
    def http_version(self) -> str:
        """``1.0`` or ``1.1``."""
        ...

    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        """In the order of the wire, repeats kept."""
        ...

    def decode(self, chunks: bytes) -> tuple[bytes, Sequence[tuple[bytes, bytes]] | None]:
        """The data in the next bytes of a chunked body; and its trailers if it ends with them, else ``None``.

        Raises:
            ProtocolFailure: the parser does not agree with the rules.
        """
        ...


Parse: TypeAlias = Callable[[bytes], Response]
"""Makes a `Response` from a head that keeps the rules; raises `ProtocolFailure` if the parser finds otherwise."""


class H1Codec:
    """`Codec` over a parser; see there for what each member promises."""

    __slots__ = ("_block", "_fields", "_framing", "_limits", "_parse", "_reader", "_response_started", "_upload")

    def __init__(self, parse: Parse, limits: WireLimits) -> None:
        self._parse = parse
        self._limits = limits
        self._upload: Upload = SENT
        self._reader: _Reader = _IDLE
        self._response_started = False
        # The fields of the last request, and what became of them: the next one often has the very same.
        self._fields: tuple[tuple[bytes, bytes], ...] | None = None
        self._block = b""
        self._framing = Framing()

    def start(self, head: RequestHead) -> bytes:
        """Begin a cycle; gives the head's bytes, with the fields exactly as they are in ``head``.

        Raises:
            RuntimeError: the codec is not reusable.
            UnknownNetworkError: the head is no request that could be sent; nothing has changed.
        """
        if not self.is_reusable:
            raise RuntimeError("this connection takes no request now: its last cycle is incomplete, or was its last")
        line, fields = serialised_line(head), head.fields
        if fields is not self._fields:
            self._block, self._framing = serialised_fields(fields, self._limits)
            self._fields = fields
        framing = self._framing
        self._upload = upload_of(framing)
        after = _SPENT if framing.close else _IDLE
        self._reader = _HeadReader(self._parse, head.method, self._limits, after=after)
        self._response_started = False
        return line + self._block

    def send_data(self, data: bytes | memoryview) -> bytes | memoryview:
        """Frame a piece of the request's body; without chunks it is given back as it is.

        Raises:
            UnknownNetworkError: more bytes than the Content-Length that was announced.
            RuntimeError: the request is complete.
        """
        return self._upload.frame(data)

    def end_request(self) -> bytes:
        """End the request's body; gives what remains to be sent.

        Raises:
            UnknownNetworkError: fewer or more bytes than the Content-Length that was announced.
            RuntimeError: the request is complete.
        """
        last = self._upload.finish()
        self._upload = SENT
        return last

    def receive(self, data: bytes) -> Iterator[Received]:
        """Feed what the socket gave, ``b""`` for the end of the stream, and iterate to the end.

        Raises:
            ProtocolFailure: the peer broke the protocol, or a limit; or it has before.
            RemoteHostClosedError: the stream ended before the response did.
        """
        reader, self._reader = self._reader, _BROKEN
        found: list[Received] = []
        try:
            if data:
                self._response_started = self._response_started or reader is not _IDLE
                while data:
                    reader, data = reader.feed(data, found)
            else:
                reader = reader.end(found)
        except ReplyError:
            yield from found
            raise
        yield from found
        self._reader = reader

    @property
    def response_started(self) -> bool:
        """Whether any byte of a response to the current request has come."""
        return self._response_started

    @property
    def is_reusable(self) -> bool:
        """Whether a cycle may begin: it is the first, or the one before is complete and left the connection usable."""
        return self._reader is _IDLE and self._upload is SENT


class _Reader(Protocol):
    def feed(self, data: bytes, found: list[Received], /) -> tuple[_Reader, bytes]:
        """Read ``data``, which is not empty, into ``found``; gives the state after it, and what is left for that."""
        ...

    def end(self, found: list[Received], /) -> _Reader:
        """The stream has ended; puts what that amounts to into ``found``, and gives the state after it.

        Raises:
            RemoteHostClosedError: it should not have ended here.
        """
        ...


class _Idle:
    """No response is due. Whatever comes now, nobody asked for, and the connection is not to be trusted again."""

    __slots__ = ()

    def feed(self, _data: bytes, _found: list[Received]) -> tuple[_Reader, bytes]:
        return _SPENT, b""

    def end(self, _found: list[Received]) -> _Reader:
        return _SPENT


class _Spent:
    """The last response on this connection is over. What comes still is not looked at."""

    __slots__ = ()

    def feed(self, _data: bytes, _found: list[Received]) -> tuple[_Reader, bytes]:
        return self, b""

    def end(self, _found: list[Received]) -> _Reader:
        return self


class _Broken:
    """The peer broke the protocol, or a feed was not read to its end: there is no telling what further bytes mean."""

    __slots__ = ()

    def feed(self, _data: bytes, _found: list[Received]) -> tuple[_Reader, bytes]:
        raise ProtocolFailure("nothing can be read from this connection after it has failed")

    def end(self, _found: list[Received]) -> _Reader:
        raise RemoteHostClosedError("Connection closed after it has failed")


_IDLE, _SPENT, _BROKEN = _Idle(), _Spent(), _Broken()


class _HeadReader:
    """Heads: any 1xx, then the final one."""

    __slots__ = ("_after", "_informational", "_limits", "_method", "_parse", "_scanner")

    def __init__(self, parse: Parse, method: str, limits: WireLimits, *, after: _Reader) -> None:
        self._parse = parse
        self._method = method
        self._limits = limits
        self._after = after
        self._scanner = BlockScanner(limits)
        self._informational = 0

    def feed(self, data: bytes, found: list[Received]) -> tuple[_Reader, bytes]:
        while (split := self._scanner.feed(data)) is not None:
            block, data = split
            check_head(block)
            framing = declared_framing(block, self._limits)
            if block[9:10] == b"1":
                self._expect_informational(block[9:12])
            response = self._parse(block)
            status_code, headers = response.status_code, from_wire(_fields(response, framing))
            if status_code < 200:
                found.append(Informational(status_code, headers))
                continue
            found.append(ResponseHead(status_code, decode_text(response.reason), headers, response.http_version))
            return self._body(response, framing, found), data
        return self, b""

    def end(self, _found: list[Received]) -> _Reader:
        where = "before a response came" if self._scanner.is_empty else "in the middle of the response's head"
        raise RemoteHostClosedError(f"Connection closed {where}")

    def _expect_informational(self, status_code: bytes) -> None:
        if status_code == b"101":
            raise ProtocolFailure("the server switches protocols (101); this client does not upgrade")
        if self._informational == self._limits.informational:
            raise ProtocolFailure(f"the server sent more than {self._limits.informational} 1xx responses")
        self._informational += 1

    def _body(self, response: Response, framing: Framing, found: list[Received]) -> _Reader:
        """Where the body ends (RFC 9112 section 6.3), and whether the connection goes on after it (section 9.3)."""
        tunnel = self._method == "CONNECT" and response.status_code < 300
        after = _SPENT if framing.close or tunnel or response.http_version != "1.1" else self._after
        if framing.length == 0 or has_no_body(self._method, response.status_code):
            found.append(_END)
            return after
        if framing.chunked:
            return _ChunkedBody(response, self._limits, after)
        if framing.length is not None:
            return _CountedBody(framing.length, after)
        return _BODY_UNTIL_CLOSE


def _fields(response: Response, framing: Framing) -> Sequence[tuple[bytes, bytes]]:
    if not framing.chunked:
        return response.fields
    # h11 has this one value in lower case. The rules have seen that it is this word, whatever its case.
    return [(name, b"chunked" if name.lower() == b"transfer-encoding" else value) for name, value in response.fields]


class _CountedBody:
    """A body whose length is known, and is not nothing."""

    __slots__ = ("_after", "_left")

    def __init__(self, length: int, after: _Reader) -> None:
        self._left = length
        self._after = after

    def feed(self, data: bytes, found: list[Received]) -> tuple[_Reader, bytes]:
        size = len(data)
        if size < self._left:
            self._left -= size
            found.append(ResponseData(data, size))
            return self, b""
        piece, rest = (data, b"") if size == self._left else (data[: self._left], data[self._left :])
        found += (ResponseData(piece, self._left), _END)
        return self._after, rest

    def end(self, _found: list[Received]) -> _Reader:
        raise RemoteHostClosedError(f"Connection closed while {self._left} bytes of the response's body were missing")


class _BodyUntilClose:
    """A body that ends with the connection. That is a success, since nobody could tell a good end from a bad one."""

    __slots__ = ()

    def feed(self, data: bytes, found: list[Received]) -> tuple[_Reader, bytes]:
        found.append(ResponseData(data, len(data)))
        return self, b""

    def end(self, found: list[Received]) -> _Reader:
        found.append(_END)
        return _SPENT


_BODY_UNTIL_CLOSE = _BodyUntilClose()


class _ChunkedBody:
    """A chunked body: the rules watch its framing, the parser takes it off. The data of one feed becomes one piece."""

    __slots__ = ("_after", "_response", "_scanner")

    def __init__(self, response: Response, limits: WireLimits, after: _Reader) -> None:
        self._response = response
        self._scanner = ChunkScanner(limits)
        self._after = after

    def feed(self, data: bytes, found: list[Received]) -> tuple[_Reader, bytes]:
        proven, rest, mistake = self._scanner.feed(data)
        # To a parser, no bytes would be the end of the stream.
        body, trailers = self._response.decode(proven) if proven else (b"", None)
        if body:
            found.append(ResponseData(body, len(body)))
        if mistake is not None:
            raise mistake
        if self._scanner.is_finished != (trailers is not None):
            raise ProtocolFailure("the end of the response's body is in doubt: the parser sees it elsewhere")
        if trailers is None:
            return self, b""
        if trailers:
            found.append(ResponseTrailers(from_wire(trailers)))
        found.append(_END)
        return self._after, rest

    def end(self, _found: list[Received]) -> _Reader:
        raise RemoteHostClosedError("Connection closed before the last chunk of the response's body")
