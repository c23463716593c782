"""How much an HTTP/1.1 connection asks of its stream, and that a counted body passes through it uncopied."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio.lowlevel

from trioreply._model.messages import Message, ResponseData
from trioreply._net.h1_connection import LARGE_READ_SIZE, READ_SIZE, H1Connection
from trioreply._wire.codec import Codec, RequestHead
from trioreply._wire.codecs import codec_maker

CODECS = {type(make()).__name__: make for make in (codec_maker(parser="h11"), codec_maker())}
"""Both, where httptools is installed."""

with_each_codec = pytest.mark.parametrize("make_codec", CODECS.values(), ids=CODECS)
GET = RequestHead("GET", "/", ((b"Host", b"example.org"),))


class Reads:
    """A stream that gives ``pieces``, one for each read, and remembers how much was asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.asked: list[int | None] = []

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Takes everything."""
        assert data
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next piece."""
        await trio.lowlevel.checkpoint()
        self.asked.append(max_bytes)
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        """Nothing to close."""
        await trio.lowlevel.checkpoint()

    def receive_nowait(self) -> bytes | None:
        """Nothing lies ready."""
        return None

    def close_nowait(self, farewell: bytes = b"") -> None:
        """Nothing to close."""


class Pieces:
    """A sink that keeps the body's pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def put(self, message: Message) -> None:
        """See `MessageSink.put`."""
        await trio.lowlevel.checkpoint()
        if isinstance(message, ResponseData):
            self.pieces.append(message.data)


@with_each_codec
async def test_reads_grow_while_they_are_full(make_codec: Callable[[], Codec]) -> None:
    """A read that was filled is followed by a larger one, and one that was not by one of the usual size."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (READ_SIZE + LARGE_READ_SIZE + 20)
    stream = Reads(head, bytes(READ_SIZE), bytes(LARGE_READ_SIZE), bytes(10), bytes(10))
    await H1Connection(stream, make_codec()).exchange(GET, Pieces())
    assert stream.asked == [READ_SIZE, READ_SIZE, LARGE_READ_SIZE, LARGE_READ_SIZE, READ_SIZE]


@with_each_codec
async def test_a_counted_body_is_not_copied(make_codec: Callable[[], Codec]) -> None:
    """Bytes of a body whose length is known reach the sink as the objects that were read, whatever the parser."""
    first, second = bytes(LARGE_READ_SIZE), bytes(100)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(first) + len(second))
    sink = Pieces()
    await H1Connection(Reads(head, first, second), make_codec()).exchange(GET, sink)
    assert [piece is read for piece, read in zip(sink.pieces, (first, second), strict=True)] == [True, True]


@with_each_codec
def test_a_counted_request_body_is_not_copied(make_codec: Callable[[], Codec]) -> None:
    """A piece of a request's body whose length was announced goes out as the object that was given."""
    codec = make_codec()
    piece = memoryview(bytes(100))
    codec.start(RequestHead("PUT", "/", ((b"Host", b"example.org"), (b"Content-Length", b"100"))))
    assert codec.send_data(piece) is piece
