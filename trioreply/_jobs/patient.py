"""Worker threads that are waited for, but not for ever, when who called them is cancelled.

A thread in the middle of a write cannot be stopped. To abandon it at once would let somebody who was cancelled, and who
begins the same download again, meet the locked file of the call before. To wait for it would let a network file system
that hangs hold up a whole program. So it is given a moment: nearly every call is over by then, and one that is stuck
in the kernel is abandoned.

What was hard: a cancelled call may not have begun, and there would be nothing to wait for. Whoever comes first says so,
under a lock: then it never begins.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple

import trio

from .._model.running import RunSync

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STUCK_SECONDS = 2.0
"""How long a thread is waited for by somebody who is cancelled already."""


class PatientThreads:
    """A `RunSync` over another one, whatever is said about ``abandon_on_cancel``."""

    def __init__(self, run_sync: RunSync) -> None:
        self._run_sync = run_sync

    async def __call__(self, sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = True) -> T:
        """Call ``sync_fn(*args)`` in a thread.

        Raises:
            Exception: what it raises.
        """
        del abandon_on_cancel  # what it means is what this class is about
        call = _Call(trio.lowlevel.current_trio_token())

        def work() -> T:
            with call:
                return sync_fn(*args)

        try:
            return await self._run_sync(work, abandon_on_cancel=True)
        finally:
            if call.must_be_waited_for():
                with trio.move_on_after(STUCK_SECONDS, shield=True):
                    await call.ended.wait()


class _Stage(enum.Enum):
    NEW = "the thread has not begun"
    RUNNING = "the thread is at work"
    ENDED = "the thread is done, or will find that it is not wanted"


class _Call:
    """How far one call is; looked at from both threads."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self.ended = trio.Event()
        self._token = token
        self._lock = threading.Lock()
        self._stage = _Stage.NEW

    def __enter__(self) -> None:
        with self._lock:
            if self._stage is _Stage.ENDED:
                raise trio.ClosedResourceError("who called was cancelled before this thread got to run")
            self._stage = _Stage.RUNNING

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stage = _Stage.ENDED
        with suppress(trio.RunFinishedError):  # nobody is left to be told
            self._token.run_sync_soon(self.ended.set)

    def must_be_waited_for(self) -> bool:
        """Whether the thread is at work; if it has not begun, it never will."""
        with self._lock:
            if self._stage is _Stage.NEW:
                self._stage = _Stage.ENDED
            return self._stage is _Stage.RUNNING
