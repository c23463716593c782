"""What the tests of uploads share: runners in place of worker threads, and a view on open descriptors."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar, TypeVarTuple

import trio

from trioreply._model.bodies import Body
from trioreply._model.running import RunSync
from trioreply._net.upload import Upload, Uploads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CONTENT = bytes(range(256)) * 6000  # two blocks of a file, six pieces, and the last ones of each are short


async def inline(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
    """Stand in for a worker thread, so that nothing here depends on one."""
    await trio.lowlevel.checkpoint()
    return sync_fn(*args)


class Threads:
    """Real worker threads that can be waited for even after they were abandoned.

    With ``stop_at``, a thread that is about to call the built-in function of that name stands still, as if the file lay
    on a network that hangs, until the test lets it ``go_on``.
    """

    def __init__(self, stop_at: str | None = None) -> None:
        self.started: list[str] = []
        self.finished = threading.Semaphore(0)
        self.stop_at = stop_at
        self.stopped = threading.Event()
        self.go_on = threading.Event()

    async def run_sync(self, sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        """As `trio.to_thread.run_sync`."""

        def job() -> T:
            sys.setprofile(self._watch)
            try:
                return sync_fn(*args)
            finally:
                sys.setprofile(None)
                self.finished.release()

        self.started.append(getattr(sync_fn, "__name__", ""))
        return await trio.to_thread.run_sync(job, abandon_on_cancel=abandon_on_cancel)

    def _watch(self, _frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and getattr(called, "__name__", "") == self.stop_at:
            self.stopped.set()
            self.go_on.wait()

    async def wait_finished(self, count: int = 1) -> None:
        """Wait until ``count`` more jobs have run to their end."""
        for _ in range(count):
            await trio.to_thread.run_sync(self.finished.acquire)


class Stalled:
    """A runner whose threads are all busy while ``is_stalled``: jobs wait, and may be run by hand."""

    def __init__(self) -> None:
        self.is_stalled = False
        self.jobs: list[Callable[[], object]] = []

    async def run_sync(self, sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        """As `trio.to_thread.run_sync`."""
        if self.is_stalled:
            self.jobs.append(lambda: sync_fn(*args))
            await trio.sleep_forever()
        return await inline(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)


def descriptors_of(path: Path) -> list[int]:
    """The descriptors of this process that are open on ``path``."""
    wanted = path.stat()
    found: list[int] = []
    for descriptor in range(256):
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), wanted):
                found.append(descriptor)
    return found


async def collect(upload: Upload) -> list[bytes]:
    """All pieces of ``upload``, which is closed in any case."""
    async with aclosing(upload):
        pieces: list[bytes] = []
        while (piece := await upload.read()) is not None:
            assert piece
            pieces.append(bytes(piece))
        assert await upload.read() is None
    return pieces


async def open_body(body: Body, run_sync: RunSync = inline) -> Upload:
    """Open ``body`` as the first attempt of an exchange does."""
    return await Uploads(run_sync=run_sync).open(body)
