"""HTTP/1.1 over h11: the reference codec.

h11 reads every response's head and decodes chunked bodies; `h1_rules` has seen the bytes before and refused what h11
would forgive. The rest is too simple to need a parser and too frequent to afford one: bytes of a body whose length is
known are counted and passed on as they are, and a request is joined from parts that are checked once as a whole. Each
cycle gets a fresh h11 connection, which is cheap, so that it cannot inherit anything from the one before.

The two sides of a cycle are two small machines that never look at each other; their states carry their data::

    upload:    _SENT -> _CountedUpload | _ChunkedUpload -> _SENT
    response:  _IDLE -> _HeadReader -> _CountedBody | _ChunkedBody | _BodyUntilClose -> _IDLE | _SPENT
               anything -> _BROKEN

A connection is reusable when the machines stand at ``_SENT`` and ``_IDLE``. That the peer, the request or a stray byte
has ended its life is not a flag but the state ``_SPENT``, which nothing leaves.

What was hard: what precedes a mistake must come out before the mistake is raised, however the bytes were cut. Readers
are generators for that reason; each gives the state after it and the bytes it left. A feed that is not read to its end,
for whatever reason, leaves the codec broken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol, TypeAlias, cast

import h11

from .._model.errors import ProtocolFailure, RemoteHostClosedError, UnknownNetworkError
from .._model.events import Informational
from .._model.headers import decode_text, from_wire
from .._model.messages import ResponseData, ResponseHead, ResponseTrailers
from .codec import Received, RequestHead, ResponseEnd
from .h1_rules import (
    DEFAULT_LIMITS,
    BlockScanner,
    ChunkScanner,
    Framing,
    WireLimits,
    check_head,
    declared_framing,
    has_no_body,
    is_request,
)

_END = ResponseEnd()
# h11 lets a server answer before it has seen a request, but not with a 1xx. What matters of ours (HEAD, CONNECT) the
# rules know, so h11 is told of a request only where it insists, and any will do: that saves a tenth of a cycle.
_ANY_REQUEST = h11.Request(method="GET", target="/", headers=[("Host", "any.invalid")])


class H11Codec:
    """`Codec` over h11; see there for what each member promises."""

    def __init__(self, limits: WireLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._upload: _Upload = _SENT
        self._reader: _Reader = _IDLE
        self._response_started = False

    def start(self, head: RequestHead) -> bytes:
        """Begin a cycle; gives the head's bytes, with the fields exactly as they are in ``head``.

        Raises:
            RuntimeError: the codec is not reusable.
            UnknownNetworkError: the head is no request that could be sent; nothing has changed.
        """
        if not self.is_reusable:
            raise RuntimeError("this connection takes no request now: its last cycle is incomplete, or was its last")
        block = _serialised(head)
        framing = _request_framing(block, self._limits)
        self._upload = _ChunkedUpload() if framing.chunked else _CountedUpload(framing.length or 0)
        self._reader = _HeadReader(head.method, self._limits, _SPENT if framing.close else _IDLE)
        self._response_started = False
        return block

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
        self._upload = _SENT
        return last

    def receive(self, data: bytes) -> Iterator[Received]:
        """Feed what the socket gave, ``b""`` for the end of the stream, and iterate to the end.

        Raises:
            ProtocolFailure: the peer broke the protocol, or a limit; or it has before.
            RemoteHostClosedError: the stream ended before the response did.
        """
        reader, self._reader = self._reader, _BROKEN
        if data:
            self._response_started = self._response_started or reader is not _IDLE
            before = None
            while reader is not before:
                before = reader
                reader, data = yield from reader.feed(data)
        else:
            messages, reader = reader.end()
            yield from messages
        self._reader = reader

    @property
    def response_started(self) -> bool:
        """Whether any byte of a response to the current request has come."""
        return self._response_started

    @property
    def is_reusable(self) -> bool:
        """Whether a cycle may begin: it is the first, or the one before is complete and left the connection usable."""
        return self._reader is _IDLE and self._upload is _SENT


# --- The request's side


class _Upload(Protocol):
    def frame(self, data: bytes | memoryview, /) -> bytes | memoryview:
        """``data`` as it goes on the wire."""
        ...

    def finish(self) -> bytes:
        """What ends the body on the wire."""
        ...


class _NoUpload:
    """The request is complete, or there was none."""

    def frame(self, _data: bytes | memoryview) -> bytes | memoryview:
        raise RuntimeError("the request is complete; its body has ended")

    def finish(self) -> bytes:
        raise RuntimeError("the request is complete; it cannot be ended twice")


_SENT = _NoUpload()


class _CountedUpload:
    """A body of announced length; without any announcement that is 0."""

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

    def frame(self, data: bytes | memoryview) -> bytes | memoryview:
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        # An empty chunk would end the body.
        return b"".join((b"%x\r\n" % size, data, b"\r\n")) if size else b""

    def finish(self) -> bytes:
        return b"0\r\n\r\n"


def _serialised(head: RequestHead) -> bytes:
    # What does not belong here must not get lost in the encoding, but reach the check: no codec error, no replacement.
    method, target = head.method.encode("utf-8", "surrogatepass"), head.target.encode("utf-8", "surrogatepass")
    fields = b"".join([b"%b: %b\r\n" % pair for pair in head.fields])
    block = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, fields)
    if not is_request(block, fields=len(head.fields)):
        raise UnknownNetworkError("the request cannot be sent: forbidden characters in its method, target or fields")
    return block


def _request_framing(block: bytes, limits: WireLimits) -> Framing:
    try:
        return declared_framing(block, limits)
    except ProtocolFailure as mistake:
        raise UnknownNetworkError(f"the request cannot be sent: {mistake}") from mistake


# --- The response's side


class _Reader(Protocol):
    def feed(self, data: bytes, /) -> _Step:
        """Read ``data``, which may be empty; gives the state after it and what is left for that state."""
        ...

    def end(self) -> _Ending:
        """The stream has ended; gives what that amounts to, and the state after it.

        Raises:
            RemoteHostClosedError: it should not have ended here.
        """
        ...


_Step: TypeAlias = Generator[Received, None, "tuple[_Reader, bytes]"]
_Ending: TypeAlias = "tuple[tuple[Received, ...], _Reader]"


class _Idle:
    """No response is due. Whatever comes now, nobody asked for, and the connection is not to be trusted again."""

    def feed(self, data: bytes) -> _Step:
        yield from ()
        return (_SPENT if data else self), b""

    def end(self) -> _Ending:
        return (), _SPENT


class _Spent:
    """The last response on this connection is over. What comes still is not looked at."""

    def feed(self, _data: bytes) -> _Step:
        yield from ()
        return self, b""

    def end(self) -> _Ending:
        return (), self


class _Broken:
    """The peer broke the protocol, or a feed was not read to its end: there is no telling what further bytes mean."""

    def feed(self, _data: bytes) -> _Step:
        yield from ()
        raise ProtocolFailure("nothing can be read from this connection after it has failed")

    def end(self) -> _Ending:
        raise RemoteHostClosedError("Connection closed after it has failed")


_IDLE, _SPENT, _BROKEN = _Idle(), _Spent(), _Broken()


class _HeadReader:
    """Heads: any 1xx, then the final one."""

    def __init__(self, method: str, limits: WireLimits, after: _Reader) -> None:
        self._method = method
        self._limits = limits
        self._after = after
        self._scanner = BlockScanner(limits)
        self._informational = 0
        # h11 is shown complete blocks only; its own bound is never the one that counts.
        self._parser = h11.Connection(h11.CLIENT, limits.header_block + limits.chunk_line)

    def feed(self, data: bytes) -> _Step:
        while (found := self._scanner.feed(data)) is not None:
            block, data = found
            check_head(block)
            framing = declared_framing(block, self._limits)
            if block[9:10] == b"1":
                self._expect_informational(block[9:12])
            self._parser.receive_data(block)
            head = cast("h11.Response | h11.InformationalResponse", _next_event(self._parser))
            headers = from_wire(head.headers.raw_items())
            if head.status_code < 200:
                yield Informational(head.status_code, headers)
                continue
            yield ResponseHead(head.status_code, decode_text(head.reason), headers, head.http_version.decode("ascii"))
            return self._body(head, framing), data
        return self, b""

    def end(self) -> _Ending:
        where = "before a response came" if self._scanner.is_empty else "in the middle of the response's head"
        raise RemoteHostClosedError(f"Connection closed {where}")

    def _expect_informational(self, status_code: bytes) -> None:
        if status_code == b"101":
            raise ProtocolFailure("the server switches protocols (101); this client does not upgrade")
        if self._informational == self._limits.informational:
            raise ProtocolFailure(f"the server sent more than {self._limits.informational} 1xx responses")
        if not self._informational:
            self._parser.send(_ANY_REQUEST)
        self._informational += 1

    def _body(self, head: h11.Response | h11.InformationalResponse, framing: Framing) -> _Reader:
        """Where the body ends (RFC 9112 section 6.3), and whether the connection goes on after it (section 9.3)."""
        tunnel = self._method == "CONNECT" and head.status_code < 300
        after = _SPENT if framing.close or tunnel or head.http_version < b"1.1" else self._after
        if has_no_body(self._method, head.status_code):
            return _CountedBody(0, after)
        if framing.chunked:
            return _ChunkedBody(self._parser, self._limits, after)
        if framing.length is not None:
            return _CountedBody(framing.length, after)
        return _BodyUntilClose()


class _CountedBody:
    """A body whose length is known."""

    def __init__(self, length: int, after: _Reader) -> None:
        self._left = length
        self._after = after

    def feed(self, data: bytes) -> _Step:
        piece = data if len(data) <= self._left else data[: self._left]
        self._left -= len(piece)
        if piece:
            yield ResponseData(piece, len(piece))
        if self._left:
            return self, b""
        yield _END
        return self._after, data[len(piece) :]

    def end(self) -> _Ending:
        raise RemoteHostClosedError(f"Connection closed while {self._left} bytes of the response's body were missing")


class _BodyUntilClose:
    """A body that ends with the connection. That is a success, since nobody could tell a good end from a bad one."""

    def feed(self, data: bytes) -> _Step:
        if data:
            yield ResponseData(data, len(data))
        return self, b""

    def end(self) -> _Ending:
        return (_END,), _SPENT


class _ChunkedBody:
    """A chunked body: the rules watch the framing, h11 takes it off. Data of one feed is joined into one piece."""

    def __init__(self, parser: h11.Connection, limits: WireLimits, after: _Reader) -> None:
        self._parser = parser
        self._scanner = ChunkScanner(limits)
        self._after = after

    def feed(self, data: bytes) -> _Step:
        good, mistake = self._scanner.feed(data)
        body, last = self._decode(data if good == len(data) else data[:good])
        if body:
            yield ResponseData(body, len(body))
        if mistake is not None:
            raise mistake
        if last is None:
            return self, b""
        trailers = last.headers.raw_items()
        if trailers:
            yield ResponseTrailers(from_wire(trailers))
        yield _END
        return self._after, data[good:]

    def end(self) -> _Ending:
        raise RemoteHostClosedError("Connection closed before the last chunk of the response's body")

    def _decode(self, chunks: bytes) -> tuple[bytes, h11.EndOfMessage | None]:
        if not chunks:  # to h11 that would be the end of the stream
            return b"", None
        self._parser.receive_data(chunks)
        pieces: list[bytes] = []
        while isinstance(event := _next_event(self._parser), h11.Data):
            pieces.append(event.data)
        return b"".join(pieces), event if isinstance(event, h11.EndOfMessage) else None


def _next_event(parser: h11.Connection) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
    """The one place where h11's errors become ours; the rules have seen the bytes, so there should be few."""
    try:
        return parser.next_event()
    except h11.RemoteProtocolError as error:
        raise ProtocolFailure(f"the response is not valid HTTP/1.1 (the parser says: {error})") from error
