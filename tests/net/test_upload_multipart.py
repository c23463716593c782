"""Bodies of several parts as they are sent: one part after the other, and nothing left open."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio

from trioreply._model import errors
from trioreply._model.bodies import BytesBody, StreamBody, make_body
from trioreply._model.forms import MultipartBody, Part
from trioreply._net.upload import FILE_PIECE, Uploads

from .uploading import CONTENT, Threads, collect, descriptors_of, inline, open_body

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OPEN, AGAIN, CLOSE = b"--b\r\n\r\n", b"\r\n--b\r\n\r\n", b"\r\n--b--\r\n"
"""What stands before the first part, between two, and after the last."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with `CONTENT`."""
    file = tmp_path / "body"
    file.write_bytes(CONTENT)
    return file


def mixed(*parts: Part) -> MultipartBody:
    """A body of ``parts``, as `OPEN` and the others frame it."""
    return MultipartBody(parts, subtype="mixed", boundary="b")


def framed(*contents: bytes) -> bytes:
    """What a body with ``contents`` is on the wire."""
    return OPEN + AGAIN.join(contents) + CLOSE


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    """An iterable of ``content``."""
    for piece in content:
        yield piece


async def test_all_kinds_of_parts(path: Path) -> None:
    """Parts from memory, paths, open files and iterables are sent in order, each complete."""
    with io.BytesIO(b"__open") as file:
        file.seek(2)
        body = mixed(
            Part(None, b"memory"),
            Part(None, path),
            Part(None, file),
            Part(None, pieces(b"it", b"", b"er")),
            Part(None, b""),
        )
        upload = await open_body(body)
        assert upload.length is None
        assert b"".join(await collect(upload)) == framed(b"memory", CONTENT, b"open", b"iter", b"")
    assert descriptors_of(path) == []


@pytest.mark.parametrize("size", [0, 1, FILE_PIECE, 3 * FILE_PIECE + 1])
async def test_length_is_known(tmp_path: Path, size: int) -> None:
    """If every part has a length so has the body, framing included, and exactly that many bytes are sent."""
    (tmp_path / "f").write_bytes(bytes(size))
    inner = mixed(Part(None, tmp_path / "f"), Part(None, bytes(size)))
    with io.BytesIO(bytes(size)) as file:
        body = MultipartBody([Part("a", inner), Part("b", file), Part("c", tmp_path / "f")])
        upload = await open_body(body)
        sent = await collect(upload)
    assert upload.length == len(b"".join(sent))


async def test_sent_twice(path: Path) -> None:
    """A body whose parts can be had twice is sent the same both times, open files from where they stood at first."""
    uploads = Uploads(run_sync=inline)
    with path.open("rb") as file:
        file.seek(5)
        body = mixed(Part(None, path), Part(None, file), Part(None, file), Part(None, b"x"))
        for _ in range(2):
            expected = framed(CONTENT, CONTENT[5:], CONTENT[5:], b"x")
            assert b"".join(await collect(await uploads.open(body))) == expected


async def test_not_sent_twice() -> None:
    """A body with a part that comes once is refused the second time, before anything of it is sent."""
    uploads = Uploads(run_sync=inline)
    body = mixed(Part(None, b"x"), Part(None, pieces(b"once")))
    await collect(await uploads.open(body))
    with pytest.raises(errors.ContentReSendError, match="used up"):
        await uploads.open(body)


async def test_files_are_opened_one_at_a_time(tmp_path: Path) -> None:
    """A file is open only while it is its turn, so any number of them can be sent."""
    paths = [tmp_path / str(number) for number in range(3)]
    for file in paths:
        file.write_bytes(bytes(FILE_PIECE + 1))
    async with aclosing(await open_body(mixed(*(Part(None, file) for file in paths)))) as upload:
        seen: list[list[int]] = []
        while await upload.read() is not None:
            seen.append([len(descriptors_of(file)) for file in paths])
    first, second, third, none = [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]
    assert seen == [none, first, first, none, second, second, none, third, third, none]


async def test_every_step_is_in_a_thread(path: Path) -> None:
    """Nothing that may block happens in Trio's thread: measuring, opening, reading and closing have one hop each."""
    threads = Threads()
    upload = await open_body(mixed(Part(None, path)), run_sync=threads.run_sync)
    await collect(upload)
    assert threads.started == ["_measure_path", "_use_in_thread", "_use_in_thread", "_let_go"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("missing", errors.ContentNotFoundError), (".", errors.ContentOperationNotPermittedError)],
)
async def test_missing_files_are_found_first(path: Path, name: str, expected: type[errors.ReplyError]) -> None:
    """A file that cannot be read fails the body before any of it is sent, with the error of a file sent alone."""
    with pytest.raises(expected, match="the request body could not be opened"):
        await open_body(mixed(Part(None, path), Part(None, path.parent / name)))


async def test_forbidden_files_are_found_first(path: Path) -> None:
    """A file that may not be read is found before anything is sent, too."""

    async def forbid(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        # Tests may run as root, whom no mode of a file keeps out.
        await trio.lowlevel.checkpoint()
        raise PermissionError(13, "Permission denied")

    with pytest.raises(errors.ContentAccessDenied, match="Permission denied"):
        await open_body(mixed(Part(None, path)), run_sync=forbid)


async def test_file_became_shorter(path: Path) -> None:
    """A part that ends before the length that was announced fails the upload: nothing takes the place of what lacks."""
    async with aclosing(await open_body(mixed(Part(None, path), Part(None, b"after")))) as upload:
        os.truncate(path, FILE_PIECE)
        sent = [await upload.read(), await upload.read()]
        with pytest.raises(errors.UnknownNetworkError, match=f"ended early: .* gave {FILE_PIECE} of {len(CONTENT)} "):
            await upload.read()
    assert sent == [OPEN, CONTENT[:FILE_PIECE]]
    assert descriptors_of(path) == []


async def test_file_grew(path: Path) -> None:
    """Of a file that grows, before its turn or during it, as many bytes are sent as were announced."""
    async with aclosing(await open_body(mixed(Part(None, path), Part(None, b"after")))) as upload:
        with path.open("ab") as file:
            file.write(b"more")
        sent = b""
        while (piece := await upload.read()) is not None:
            sent += piece
            with path.open("ab") as file:
                file.write(b"and more")
    assert sent == framed(CONTENT, b"after")
    assert len(sent) == upload.length


async def test_file_vanished(path: Path) -> None:
    """A file that is gone when it is its turn fails the upload, with the path and the cause."""
    async with aclosing(await open_body(mixed(Part(None, path)))) as upload:
        await trio.Path(path).unlink()
        assert await upload.read() == OPEN
        with pytest.raises(errors.UnknownNetworkError, match=r"could not be read: .*body") as caught:
            await upload.read()
    assert isinstance(caught.value.__cause__, FileNotFoundError)


async def test_pipe_has_no_length(tmp_path: Path) -> None:
    """A pipe is not opened to be measured: its length is unknown, and its writer is met when it is its turn."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    upload = await open_body(mixed(Part(None, pipe)), run_sync=trio.to_thread.run_sync)
    assert upload.length is None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, pipe.write_bytes, b"through")
        assert b"".join(await collect(upload)) == framed(b"through")


async def test_closed_in_the_middle(path: Path) -> None:
    """Closing lets go of the part whose turn it is; nothing comes afterwards, and closing again does nothing."""
    upload = await open_body(mixed(Part(None, path), Part(None, path)))
    await upload.read()
    await upload.read()
    assert len(descriptors_of(path)) == 1
    await upload.aclose()
    assert descriptors_of(path) == []
    assert await upload.read() is None
    await upload.aclose()


async def test_cancelled_while_reading(path: Path) -> None:
    """A cancelled read is abandoned; the thread that was in the file closes it."""
    threads = Threads(stop_at="read")
    async with aclosing(await open_body(mixed(Part(None, path)), run_sync=threads.run_sync)) as upload:
        await threads.wait_finished()
        await upload.read()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, threads.stopped, scope)
                await upload.read()
        assert scope.cancelled_caught
        assert len(descriptors_of(path)) == 1
    threads.go_on.set()
    await threads.wait_finished()
    assert descriptors_of(path) == []


async def _cancel_when(event: threading.Event, scope: trio.CancelScope) -> None:
    await trio.to_thread.run_sync(event.wait)
    scope.cancel()


async def test_cancelled_at_every_step(path: Path) -> None:
    """Wherever the upload of a file in a part is cancelled, no descriptor stays open once it is closed."""
    steps = 0
    finished = False
    while not finished:
        with trio.CancelScope() as scope:
            upload = await open_body(
                mixed(Part(None, path), Part(None, path)), run_sync=_Cancelling(scope, steps).run_sync
            )
            async with aclosing(upload):
                while await upload.read() is not None:
                    pass
        finished = not scope.cancelled_caught
        steps += 1
        assert descriptors_of(path) == []
    assert steps == 8  # two files, each of them measured, read twice, and closed


class _Cancelling:
    """A runner that cancels ``scope`` once ``steps`` calls are done."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._scope = scope
        self._left = steps

    async def run_sync(self, sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        """As `trio.to_thread.run_sync`."""
        if self._left == 0:
            self._scope.cancel()
        self._left -= 1
        return await inline(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)


async def test_iterable_is_closed_when_its_turn_is_cut_short() -> None:
    """An iterable in a part is closed with the upload if it was begun, and left alone if it was not."""
    closed: list[str] = []

    async def watched(name: str) -> AsyncIterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append(name)

    unused = watched("second")
    async with aclosing(await open_body(mixed(Part(None, watched("first")), Part(None, unused)))) as upload:
        assert [await upload.read(), await upload.read()] == [OPEN, b"1"]
    assert closed == ["first"]
    assert [piece async for piece in unused] == [b"1", b"2"]


async def test_failing_iterable() -> None:
    """An error of an iterable in a part is the upload's, as it is for an iterable alone."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"1"
        raise KeyError("mine")

    async with aclosing(await open_body(mixed(Part(None, failing())))) as upload:
        assert [await upload.read(), await upload.read()] == [OPEN, b"1"]
        with pytest.raises(errors.UnknownNetworkError, match="source failed: KeyError"):
            await upload.read()


async def test_views_are_counted_in_bytes() -> None:
    """A view of numbers in a part counts as many bytes as it has."""
    numbers = memoryview(bytes(400_000)).cast("I")
    body = mixed(Part(None, BytesBody(numbers)))
    upload = await open_body(body)
    assert upload.length == len(framed(bytes(400_000)))
    assert b"".join(await collect(upload)) == framed(bytes(400_000))


def test_sources_of_parts() -> None:
    """What can be a body can be a part."""
    source = pieces(b"x")
    assert isinstance(Part(None, source).body, StreamBody)
    assert make_body(mixed(Part(None, b"x"))) is not None
