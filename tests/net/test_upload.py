"""Request bodies in memory, from files the caller opened, and from streams."""

from __future__ import annotations

import io
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreply._model import errors
from trioreply._model.bodies import BytesBody, FileBody, StreamBody, make_body
from trioreply._net.stream import SocketStream
from trioreply._net.upload import FILE_BLOCK, FILE_PIECE, MEMORY_PIECE, Uploads

from .uploading import CONTENT, Stalled, Threads, collect, inline, open_body


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with `CONTENT`."""
    file = tmp_path / "body"
    file.write_bytes(CONTENT)
    return file


@given(st.integers(0, 3 * MEMORY_PIECE + 1))
def test_memory_is_sliced(size: int) -> None:
    """Bytes come as views of equal size, in order, with a known length, and without a thread or a checkpoint."""
    content = (CONTENT * 2)[:size]

    async def main() -> None:
        upload = await open_body(BytesBody(content), run_sync=Stalled().run_sync)
        assert upload.length == size
        pieces = await collect(upload)
        assert b"".join(pieces) == content
        assert all(len(piece) == MEMORY_PIECE for piece in pieces[:-1])

    trio.run(main)


async def test_memory_is_not_copied() -> None:
    """A piece of a body in memory is a view of it."""
    upload = await open_body(BytesBody(CONTENT))
    piece = await upload.read()
    assert isinstance(piece, memoryview)
    assert piece.obj is CONTENT


async def test_words_are_counted_as_bytes() -> None:
    """The length of a view is in bytes, whatever its items are."""
    upload = await open_body(BytesBody(memoryview(b"x" * 8).cast("I")))
    assert upload.length == 8
    assert await collect(upload) == [b"x" * 8]


async def test_closed_memory_is_let_go() -> None:
    """A closed upload gives nothing more."""
    upload = await open_body(BytesBody(b"x"))
    await upload.aclose()
    assert await upload.read() is None


async def test_read_error(path: Path) -> None:
    """An error of the file system while reading fails the upload, with the cause."""

    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, f"cannot read {size} bytes")

    upload = await open_body(FileBody(Torn(b"x")))
    with pytest.raises(errors.UnknownNetworkError, match=r"could not be read: .*cannot read 1 bytes") as caught:
        await upload.read()
    assert isinstance(caught.value.__cause__, OSError)


async def test_callers_file(path: Path) -> None:
    """A caller's file is sent from its position on, and stays open."""
    with path.open("rb") as file:
        file.seek(100)
        upload = await open_body(FileBody(file), run_sync=trio.to_thread.run_sync)
        assert upload.length == len(CONTENT) - 100
        assert b"".join(await collect(upload)) == CONTENT[100:]
        assert not file.closed


async def test_callers_file_again() -> None:
    """When it must be sent again, a caller's file is sent from where it was when the exchange began."""
    uploads = Uploads(run_sync=inline)
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    body = FileBody(file)
    first = await uploads.open(body)
    await first.read()
    await first.aclose()
    again = await uploads.open(body)
    assert again.length == 6
    assert await collect(again) == [b"456789"]


async def test_one_file_in_two_requests() -> None:
    """Two requests that send one file after the other each begin where it stands then."""
    file = io.BytesIO(b"0123456789")
    file.seek(8)
    for expected in ([b"89"], []):
        assert await collect(await open_body(FileBody(file))) == expected
    file.seek(5)
    assert await collect(await open_body(FileBody(file))) == [b"56789"]


async def test_file_beyond_its_end() -> None:
    """A file whose position lies behind its end has nothing to send."""
    file = io.BytesIO(b"x")
    file.seek(10)
    upload = await open_body(FileBody(file))
    assert upload.length == 0
    assert await collect(upload) == []


def pipe_reader(content: bytes) -> BinaryIO:
    """A file that cannot seek."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return os.fdopen(reader, "rb")


async def test_file_that_cannot_seek() -> None:
    """A pipe has no length and comes once; sending it again is refused with advice."""
    uploads = Uploads(run_sync=inline)
    with pipe_reader(b"once") as file:
        body = FileBody(file)
        upload = await uploads.open(body)
        assert upload.length is None
        assert await collect(upload) == [b"once"]
        with pytest.raises(errors.ContentReSendError, match="cannot seek; give it as bytes or as a path"):
            await uploads.open(body)


@pytest.mark.parametrize(
    ("can_seek", "asked"),
    # The last two look for the end, the second of them to see that it is still there.
    [(True, [FILE_BLOCK, len(CONTENT) - FILE_BLOCK]), (False, [FILE_PIECE] * 8)],
    ids=["length", "no length"],
)
async def test_reads_of_a_callers_file(can_seek: bool, asked: list[int]) -> None:
    """A file with a length is asked for blocks and never beyond its end; one without, which may be slow, for pieces."""
    sizes: list[int | None] = []

    class Asked(io.BytesIO):
        def seekable(self) -> bool:
            return can_seek

        def read(self, size: int | None = -1, /) -> bytes:
            sizes.append(size)
            return super().read(size)

    assert b"".join(await collect(await open_body(FileBody(Asked(CONTENT))))) == CONTENT
    assert sizes == asked


async def test_closed_file() -> None:
    """A file that the caller closed already fails the upload when it is opened."""
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(errors.UnknownNetworkError, match=r"could not be opened: .*closed file") as caught:
        await open_body(FileBody(file))
    assert isinstance(caught.value.__cause__, ValueError)


async def test_file_that_gives_text() -> None:
    """A file object that gives text fails the upload, with a type error as the cause."""

    class Text(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            text: object = f"text of {size}"
            return text  # type: ignore[return-value]  # the mistake under test

    upload = await open_body(FileBody(Text(b"x")))
    with pytest.raises(errors.UnknownNetworkError, match="pieces must be bytes, not str") as caught:
        await upload.read()
    assert isinstance(caught.value.__cause__, TypeError)


async def test_file_that_gives_too_much() -> None:
    """A file object that gives more than it was asked for does not break the framing."""

    class Generous(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return b"more than" + b" that" * (size or 0)

    assert await collect(await open_body(FileBody(Generous(b"four")))) == [b"more"]


async def test_read_of_a_callers_file_is_not_abandoned() -> None:
    """A cancelled upload waits for its running read: afterwards the caller may close the file."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as file, os.fdopen(writer, "wb", buffering=0) as peer:
        threads = Threads()
        upload = await open_body(FileBody(file), run_sync=threads.run_sync)
        await threads.wait_finished()
        ended = trio.Event()

        async def read() -> None:
            try:
                await upload.read()
            finally:
                ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()
                assert not ended.is_set()
                peer.write(b"x")
                await threads.wait_finished()
        assert ended.is_set()


async def test_async_file(path: Path) -> None:
    """A file opened with Trio is sent like the file it wraps."""
    async with await trio.open_file(path, "rb") as file:
        body = make_body(file)
        assert isinstance(body, FileBody)
        assert b"".join(await collect(await open_body(body, run_sync=trio.to_thread.run_sync))) == CONTENT


class Pieces:
    """An asynchronous iterable that is no generator; an exception among the pieces is raised."""

    def __init__(self, *pieces: object) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            return piece  # type: ignore[return-value]  # some tests give what must not be given
        raise StopAsyncIteration


async def test_iterable_is_sent() -> None:
    """Pieces of an iterable are sent as they come, empty ones skipped, buffers copied; the length is unknown."""
    buffer = bytearray(b"buffer")
    upload = await open_body(StreamBody(Pieces(b"", b"one", b"", buffer, memoryview(b"view"), b"")))
    assert upload.length is None
    assert await upload.read() == b"one"
    piece = await upload.read()
    buffer.clear()
    assert piece == b"buffer"
    assert await collect(upload) == [b"view"]


async def test_iteration_begins_once() -> None:
    """An iterable that can be iterated many times is iterated once for an upload."""

    class Restartable:
        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            yield b"one"
            yield b"two"

    upload = await open_body(StreamBody(Restartable()))
    assert [await upload.read() for _ in range(3)] == [b"one", b"two", None]
    await upload.aclose()


async def test_receive_stream_is_sent() -> None:
    """What bytes can be received from is read to its end, and stays the caller's to close."""
    near, far = socket.socketpair()
    with near, far:
        body = make_body(SocketStream(far))
        assert isinstance(body, StreamBody)
        upload = await open_body(body)
        near.sendall(b"one")
        assert await upload.read() == b"one"
        near.sendall(b"two")
        near.shutdown(socket.SHUT_WR)
        assert await collect(upload) == [b"two"]
        assert far.fileno() >= 0


async def test_reply_is_received_from_not_iterated() -> None:
    """What can be iterated and received from, as a reply, is received from: iterating it gives events."""

    class ReplyToPipe(Pieces):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.lowlevel.checkpoint()
            return b""[:max_bytes]

    assert await collect(await open_body(StreamBody(ReplyToPipe("an event")))) == []


async def test_stream_is_sent_once() -> None:
    """A stream that must be sent again is refused with advice; another exchange may try."""
    uploads, body = Uploads(run_sync=inline), StreamBody(Pieces(b"x"))
    await uploads.open(body)
    with pytest.raises(errors.ContentReSendError, match="used up; give it as bytes or as a path"):
        await uploads.open(body)


@pytest.mark.parametrize("piece", ["text", 7, None])
async def test_pieces_must_be_bytes(piece: object) -> None:
    """A piece that is no bytes fails the upload, with a type error as the cause."""
    upload = await open_body(StreamBody(Pieces(piece)))
    with pytest.raises(errors.UnknownNetworkError, match="pieces must be bytes, not ") as caught:
        await upload.read()
    assert isinstance(caught.value.__cause__, TypeError)


async def test_iterable_that_fails() -> None:
    """An exception of the caller's iterable fails the upload and is its cause."""
    bug = ZeroDivisionError("oops")
    upload = await open_body(StreamBody(Pieces(b"x", bug)))
    await upload.read()
    with pytest.raises(errors.UnknownNetworkError, match="source failed: ZeroDivisionError") as caught:
        await upload.read()
    assert caught.value.__cause__ is bug


async def test_source_that_cannot_be_iterated() -> None:
    """An exception from the very start of an iteration is the caller's as well."""

    class Broken:
        def __aiter__(self) -> AsyncIterator[bytes]:
            raise LookupError

    with pytest.raises(errors.UnknownNetworkError, match="source failed: LookupError"):
        await (await open_body(StreamBody(Broken()))).read()


async def test_errors_of_another_reply_pass() -> None:
    """If a piped reply fails, its own error is what is raised."""
    error = errors.RemoteHostClosedError("the source broke")
    upload = await open_body(StreamBody(Pieces(error)))
    with pytest.raises(errors.RemoteHostClosedError) as caught:
        await upload.read()
    assert caught.value is error


async def test_generator_is_closed_when_stopped_early() -> None:
    """A generator that is not read to its end runs its ``finally`` when the upload is closed, cancelled or not."""
    log: list[str] = []

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x"
        finally:
            await trio.lowlevel.checkpoint()
            log.append("closed")

    upload = await open_body(StreamBody(body()))
    await upload.read()
    with trio.CancelScope() as scope:
        scope.cancel()
        await upload.aclose()
    assert log == ["closed"]
    await upload.aclose()


async def test_generator_that_will_not_close(autojump_clock: MockClock) -> None:
    """A generator that takes for ever to close is cancelled after two seconds."""

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x"
        finally:
            await trio.sleep_forever()

    upload = await open_body(StreamBody(body()))
    await upload.read()
    await upload.aclose()
    assert trio.current_time() == pytest.approx(2)


async def test_generator_that_fails_to_close() -> None:
    """An exception from closing a generator is the caller's, and the cause of the upload's error."""

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x"
        finally:
            raise ZeroDivisionError

    upload = await open_body(StreamBody(body()))
    await upload.read()
    with pytest.raises(errors.UnknownNetworkError, match="closing the request body's source failed") as caught:
        await upload.aclose()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_unread_generator() -> None:
    """A generator that was never asked for a piece is let go without running any of it."""

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"x"
        raise AssertionError

    source = body()
    upload = await open_body(StreamBody(source))
    await upload.aclose()
    await source.aclose()


async def test_callers_channel_stays_open() -> None:
    """An iterable that is no generator remains the caller's, who may go on with it."""
    send, receive = trio.open_memory_channel[bytes](2)
    send.send_nowait(b"one")
    send.send_nowait(b"two")
    upload = await open_body(StreamBody(receive))
    assert await upload.read() == b"one"
    await upload.aclose()
    assert receive.receive_nowait() == b"two"


async def test_cancelled_iterable() -> None:
    """A cancellation passes through a generator untouched."""

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"x"
        await trio.sleep_forever()

    upload = await open_body(StreamBody(body()))
    await upload.read()
    with trio.CancelScope() as scope:
        scope.cancel()
        await upload.read()
    assert scope.cancelled_caught
    await upload.aclose()


async def test_temporary_file() -> None:
    """A file without a name on disk can be a body like any other."""
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(0)
        assert b"".join(await collect(await open_body(FileBody(file), run_sync=trio.to_thread.run_sync))) == CONTENT
