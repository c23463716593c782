"""Worker threads that are slow, stuck or not to be had: whoever comes last closes the file."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import Manager, NetworkError
from trioreply._net.owned import Owned
from trioreply.testing import ManagerSweep, run_sync_inline, sweep_environment

from ..net.uploading import Stalled, Threads, descriptors_of, inline
from .filing import contents, names_in, open_filing, register

CONTENT = bytes(range(256)) * 2500
Env = ManagerSweep[Manager]
Scenario = Callable[[Env, Path], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of several pieces."""
    path = tmp_path / "target"
    path.write_bytes(CONTENT)
    return path


def make_pipe(path: Path) -> None:
    """Put a pipe in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def modes_of_others(path: Path) -> set[int]:
    """Who may do what with the other files in the directory."""
    return {other.stat().st_mode & 0o777 for other in path.parent.iterdir() if other != path}


async def test_real_threads(path: Path) -> None:
    """Over real threads, a file is written and read back."""
    async with open_filing(trio.to_thread.run_sync) as manager:
        await manager.fetch(trioreply.Request(path.as_uri(), operation=trioreply.Operation.PUT, body=CONTENT * 2))
        assert (await manager.fetch(path.as_uri())).body == CONTENT * 2
    assert descriptors_of(path) == []


@pytest.mark.parametrize("call", ["fstat", "read"])
async def test_stuck_reading(call: str, path: Path) -> None:
    """A thread that hangs in opening or reading holds nobody up, and closes the file when it is out."""
    threads = Threads(stop_at=call)
    async with open_filing(threads.run_sync) as manager, manager.get(path.as_uri()) as reply:
        await trio.to_thread.run_sync(threads.stopped.wait)
        reply.abort()
        await reply.aclose()
        assert len(descriptors_of(path)) == 1
        threads.go_on.set()
        await threads.wait_finished(len(threads.started))
    assert descriptors_of(path) == []


@pytest.mark.parametrize(("call", "is_replaced"), [("write", False), ("fsync", False), ("replace", True)])
async def test_stuck_writing(call: str, is_replaced: bool, path: Path) -> None:
    """A thread that hangs in writing holds nobody up, and removes the temporary file when it is out. The old file
    stays, unless it was the renaming that hung: then the new one is there, whole.
    """
    threads = Threads(stop_at=call)
    async with open_filing(threads.run_sync) as manager, manager.put(path.as_uri(), b"new") as reply:
        await trio.to_thread.run_sync(threads.stopped.wait)
        reply.abort()
        await reply.aclose()
        assert len(names_in(path.parent)) == 2
        threads.go_on.set()
        await threads.wait_finished(len(threads.started))
    assert contents(path.parent) == {"target": b"new" if is_replaced else CONTENT}


async def test_a_secret_is_never_public(path: Path) -> None:
    """Before the temporary file has the permissions of the old one, nobody else may look into it."""
    threads = Threads(stop_at="fchmod")
    async with open_filing(threads.run_sync) as manager, manager.put(path.as_uri(), b"new") as reply:
        await trio.to_thread.run_sync(threads.stopped.wait)
        modes = modes_of_others(path)
        threads.go_on.set()
        await reply.wait_finished()
    assert modes == {0o600}


async def test_pipe_in_place_of_the_file(path: Path) -> None:
    """A file that becomes a pipe just before it is opened does not hold the thread up, and is not read."""
    threads = Threads(stop_at="open")
    async with open_filing(threads.run_sync) as manager, manager.get(path.as_uri()) as reply:
        await trio.to_thread.run_sync(threads.stopped.wait)
        make_pipe(path)
        threads.go_on.set()
        assert await reply.wait_finished() is NetworkError.CONTENT_OPERATION_NOT_PERMITTED
    assert descriptors_of(path) == []


async def test_no_thread_for_closing(path: Path, autojump_clock: MockClock) -> None:
    """If no thread is to be had, closing waits two seconds for one, and is done then all the same."""
    stalled = Stalled()
    async with open_filing(stalled.run_sync) as manager, manager.get(path.as_uri(), read_buffer_size=1) as reply:
        await reply.wait_metadata()
        await trio.testing.wait_all_tasks_blocked()
        stalled.is_stalled = True
        reply.abort()
        await trio.sleep(1)
        assert len(descriptors_of(path)) == 1
        await trio.sleep(1.5)
        assert descriptors_of(path) == []
        for job in stalled.jobs:
            with suppress(trio.ClosedResourceError):  # the thread that comes at last finds nothing to do
                job()


async def test_thread_that_comes_too_late(path: Path) -> None:
    """A thread that gets to run only when all is over does not open anything."""
    stalled = Stalled()
    stalled.is_stalled = True
    async with open_filing(stalled.run_sync) as manager, manager.get(path.as_uri()) as reply:
        await trio.testing.wait_all_tasks_blocked()
        reply.abort()
        await reply.aclose()
        (job,) = stalled.jobs
        with pytest.raises(trio.ClosedResourceError):
            job()
    assert descriptors_of(path) == []


async def test_owned_is_released_once() -> None:
    """What is owned is released once, however often it is closed, and not at all if it could not be made."""
    released: list[str] = []
    thing = Owned(inline, released.append)
    assert await thing.open(lambda: "thing") == "thing"
    assert await thing.use(str.upper) == "THING"
    for _ in range(2):
        await thing.aclose()
    assert released == ["thing"]
    broken = Owned(inline, released.append)
    with pytest.raises(ZeroDivisionError):
        await broken.open(lambda: str(1 // 0))
    await broken.aclose()
    assert released == ["thing"]


async def get(env: Env, path: Path) -> None:
    """A file that is read."""
    async with env.manager.get(path.as_uri()) as reply:
        assert await reply.read_all() == CONTENT


async def get_range(env: Env, path: Path) -> None:
    """A part of a file that is read slowly."""
    async with env.manager.get(path.as_uri(), headers={"Range": "bytes=5-"}, read_buffer_size=1) as reply:
        async for _ in reply:
            reply.read()


async def put(env: Env, path: Path) -> None:
    """A file that is replaced by itself."""
    async with env.manager.put(path.as_uri(), path) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR


async def put_and_close(env: Env, path: Path) -> None:
    """A file that is replaced behind a closed reply."""
    async with env.manager.put(path.as_uri(), CONTENT) as reply:
        async for event in reply:
            if isinstance(event, trioreply.Progress):
                reply.close()


async def packaged(env: Env, path: Path) -> None:
    """A file of a package."""
    await env.manager.fetch("resource:trioreply/__init__.py")


class FileSweep(ManagerSweep[Manager]):
    """A manager with local files, and afterwards the file must be whole and alone."""

    def __init__(self, scenario: Scenario, path: Path, *, is_threaded: bool, owns: bool) -> None:
        super().__init__(partial(trioreply.open_manager), self._run, owns_manager=owns)
        self._file_scenario = scenario
        self._path = path
        self._is_threaded = is_threaded

    async def _run(self, _env: Env) -> None:
        register(self.manager, trio.to_thread.run_sync if self._is_threaded else run_sync_inline)
        await self._file_scenario(self, self._path)

    async def verify(self) -> None:
        """As `ManagerSweep.verify`, and no temporary file is left, unless a thread is still about to remove it."""
        await super().verify()
        assert self._path.read_bytes() == CONTENT
        assert self._is_threaded or names_in(self._path.parent) == ["target"]


SCENARIOS = [get, get_range, put, put_and_close, packaged]


@pytest.mark.parametrize("owns_manager", [False, True], ids=["manager lives", "manager goes too"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(
    scenario: Scenario, owns_manager: bool, path: Path, autojump_clock: MockClock
) -> None:
    """Wherever it is cancelled, the file is whole and alone, nothing is open, and the manager still works."""
    steps = await sweep_environment(lambda: FileSweep(scenario, path, is_threaded=False, owns=owns_manager))
    assert steps > 0


@pytest.mark.parametrize("scenario", [get, put, packaged])
async def test_cancelled_at_each_step_in_real_threads(scenario: Scenario, path: Path) -> None:
    """The same over real threads, the last of which removes the temporary file."""
    await sweep_environment(lambda: FileSweep(scenario, path, is_threaded=True, owns=False))
    assert names_in(path.parent) == ["target"]
