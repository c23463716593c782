"""Request bodies given as a path: sent from worker threads, and never leaking a descriptor."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
from trio.testing import MockClock

from trioreply._model import errors
from trioreply._model.bodies import PathBody
from trioreply._net.upload import FILE_BLOCK, FILE_PIECE, Uploads

from .uploading import CONTENT, Stalled, Threads, collect, descriptors_of, open_body

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with `CONTENT`."""
    file = tmp_path / "body"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe: opening and reading it last as long as the test wants."""
    file = tmp_path / "pipe"
    os.mkfifo(file)
    return file


async def test_path_is_sent(path: Path) -> None:
    """A file is sent in pieces, its length known, with one visit of a thread for a block of them, and then closed."""
    threads = Threads()
    upload = await open_body(PathBody(str(path)), run_sync=threads.run_sync)
    assert upload.length == len(CONTENT)
    assert len(descriptors_of(path)) == 1
    pieces = await collect(upload)
    assert b"".join(pieces) == CONTENT
    assert [len(piece) for piece in pieces] == [*[FILE_PIECE] * 5, len(CONTENT) - 5 * FILE_PIECE]
    assert descriptors_of(path) == []
    assert threads.started == [
        "_use_in_thread",  # opens
        "_use_in_thread",  # the first block
        "_use_in_thread",  # the second
        "_let_go",
    ]
    await upload.aclose()
    assert len(threads.started) == 4


async def test_path_is_sent_twice(path: Path) -> None:
    """A path is opened anew for each attempt."""
    uploads, body = Uploads(run_sync=trio.to_thread.run_sync), PathBody(str(path))
    for _ in range(2):
        assert b"".join(await collect(await uploads.open(body))) == CONTENT


async def test_empty_path(tmp_path: Path) -> None:
    """An empty file is a body of length zero."""
    (tmp_path / "empty").touch()
    upload = await open_body(PathBody(str(tmp_path / "empty")))
    assert upload.length == 0
    assert await collect(upload) == []


async def test_pipe_has_no_length(pipe: Path) -> None:
    """What is no regular file is read to its end, its length unknown."""

    def write() -> None:
        pipe.write_bytes(b"through the pipe")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, write)
        upload = await open_body(PathBody(str(pipe)), run_sync=trio.to_thread.run_sync)
        assert upload.length is None
        assert b"".join(await collect(upload)) == b"through the pipe"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing", errors.ContentNotFoundError),
        ("body/below", errors.ContentNotFoundError),
        ("nul\0byte", errors.ContentNotFoundError),
        (".", errors.ContentOperationNotPermittedError),
        ("x" * 5000, errors.UnknownContentError),
    ],
    ids=["missing", "below a file", "nul", "directory", "too long"],
)
async def test_path_cannot_be_opened(path: Path, name: str, expected: type[errors.ReplyError]) -> None:
    """A path that cannot be opened gives the error that reading it as a file: URL gives, with path and cause."""
    with pytest.raises(expected, match=r"the request body could not be opened: .*; check the path") as caught:
        await open_body(PathBody(str(path.parent / name)))
    assert type(caught.value) is expected
    assert isinstance(caught.value.__cause__, (OSError, ValueError))


async def test_path_may_not_be_read(path: Path) -> None:
    """A file without permission to read it is an access denied."""

    async def forbid(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        # Tests may run as root, whom no mode of a file keeps out.
        await trio.lowlevel.checkpoint()
        raise PermissionError(13, "Permission denied")

    with pytest.raises(errors.ContentAccessDenied, match="Permission denied"):
        await open_body(PathBody(str(path)), run_sync=forbid)


async def test_file_became_shorter(path: Path) -> None:
    """A file that ends before the length that was announced fails the upload, saying how much is missing."""
    async with aclosing(await open_body(PathBody(str(path)))) as upload:
        sent = [await upload.read()]
        os.truncate(path, FILE_BLOCK + 10)
        sent += [await upload.read() for _ in range(4)]
        with pytest.raises(errors.UnknownNetworkError, match=f"gave {FILE_BLOCK + 10} of {len(CONTENT)} "):
            await upload.read()
    assert b"".join(filter(None, sent)) == CONTENT[: FILE_BLOCK + 10]


async def test_file_became_shorter_than_what_was_read(path: Path) -> None:
    """What was read before a file was shortened is sent, and not looked for again."""
    async with aclosing(await open_body(PathBody(str(path)))) as upload:
        sent = [await upload.read()]
        os.truncate(path, FILE_PIECE)
        sent += [await upload.read() for _ in range(3)]
        with pytest.raises(errors.UnknownNetworkError, match=f"ended early: .* gave {FILE_BLOCK} of {len(CONTENT)} "):
            await upload.read()
    assert b"".join(filter(None, sent)) == CONTENT[:FILE_BLOCK]


async def test_file_became_longer(path: Path) -> None:
    """Of a file that grows while it is sent, the length that was announced is sent."""
    upload = await open_body(PathBody(str(path)))
    with path.open("ab") as file:
        file.write(b"more")
    assert b"".join(await collect(upload)) == CONTENT


@pytest.mark.parametrize("call", ["open", "fstat", "read"])
async def test_abandoned_thread_closes_the_file(path: Path, call: str) -> None:
    """A cancelled upload ends at once; the thread that is still in the file closes it, and nobody else does."""
    threads = Threads(stop_at=call)

    async def send() -> None:
        await collect(await open_body(PathBody(str(path)), run_sync=threads.run_sync))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.to_thread.run_sync(threads.stopped.wait)
        nursery.cancel_scope.cancel()
    jobs = list(threads.started)
    assert len(descriptors_of(path)) == (0 if call == "open" else 1)
    threads.go_on.set()
    await threads.wait_finished(len(jobs))
    assert descriptors_of(path) == []
    assert threads.started == jobs


async def test_cancelled_before_the_thread_ran(path: Path) -> None:
    """A job that reaches its thread only after the upload was closed does not touch the file system any more."""
    runner = Stalled()
    runner.is_stalled = True
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_body(PathBody(str(path)), run_sync=runner.run_sync)
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        runner.jobs[0]()
    assert descriptors_of(path) == []


async def test_closing_when_cancelled(path: Path) -> None:
    """Closing an upload is complete even in a cancelled scope, and still happens in a worker thread."""
    threads = Threads()
    upload = await open_body(PathBody(str(path)), run_sync=threads.run_sync)
    await threads.wait_finished()
    with trio.CancelScope() as scope:
        scope.cancel()
        await upload.aclose()
    assert descriptors_of(path) == []
    assert threads.finished.acquire(blocking=False)


async def test_error_while_closing(path: Path) -> None:
    """An error from closing a file that was only read does not fail an upload that is complete."""
    upload = await open_body(PathBody(str(path)))
    for descriptor in descriptors_of(path):
        os.close(descriptor)
    await upload.aclose()


async def test_closing_without_a_thread(path: Path, autojump_clock: MockClock) -> None:
    """If no thread is to be had for two seconds the file is closed without one; one that comes later does no harm."""
    runner = Stalled()
    upload = await open_body(PathBody(str(path)), run_sync=runner.run_sync)
    runner.is_stalled = True
    await upload.aclose()
    assert trio.current_time() == pytest.approx(2)
    assert descriptors_of(path) == []
    runner.jobs[0]()
