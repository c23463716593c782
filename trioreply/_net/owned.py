"""Something that has to be released, such as an open file, and that only worker threads touch.

A cancelled call is abandoned at once, since a network file system may hang for minutes. What was hard is who releases
then: whoever comes last does. That is the thread that is in it, if one is, else `Owned.aclose`. So nothing leaks, and
nothing is closed under a running system call. Once closed nothing more is begun: a thread that gets to run too late
finds the door shut.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import trio

from .._model.running import RunSync

R = TypeVar("R")
T = TypeVar("T")

_CLOSE_TIMEOUT = 2.0
"""Seconds that waiting for a thread may take when everything around is cancelled already."""


class Owned(Generic[R]):
    """One thing of type ``R``: `open` it once, `use` it from one task, and close it in any case.

    Args:
        run_sync: calls what may block.
        release: lets go of the thing, and raises nothing.
        make: makes the thing when it is first used without having been opened.
    """

    # ``_held``, ``_busy`` and ``_disowned`` are shared between threads and touched under the lock, which is never held
    # during a system call.

    def __init__(self, run_sync: RunSync, release: Callable[[R], None], *, make: Callable[[], R] | None = None) -> None:
        self._run_sync = run_sync
        self._release = release
        self._lock = threading.Lock()
        self._make = make
        self._held: list[R] = []
        self._busy = False
        self._disowned = False

    async def open(self, make: Callable[[], R]) -> R:
        """Make the thing with ``make`` in a thread; gives it to be looked at, not to be used.

        Raises:
            Exception: what ``make`` raises; it must leave nothing behind then.
        """
        return await self._run_sync(self._open_in_thread, make, abandon_on_cancel=True)

    async def use(self, work: Callable[[R], T]) -> T:
        """What ``work`` gives, called with the thing in a thread.

        Raises:
            Exception: what ``work`` raises.
        """
        return await self._run_sync(self._use_in_thread, work, abandon_on_cancel=True)

    async def aclose(self) -> None:
        """Release the thing: bounded in time, complete also when cancelled, idempotent."""
        with self._lock:
            self._disowned = True
            if self._busy or not self._held:
                return  # the thread that is in it releases it on its way out; or there is nothing to release
        try:
            with trio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await self._run_sync(self._let_go, abandon_on_cancel=True)
        finally:
            self._let_go()  # if no thread was to be had in that time

    def _open_in_thread(self, make: Callable[[], R]) -> R:
        with self._in_use():
            return self._hold(make())

    def _use_in_thread(self, work: Callable[[R], T]) -> T:
        with self._in_use():
            # Without the lock: it is for what others may write, and nobody else writes this while we are in use.
            held = self._hold(self._make()) if self._make is not None and not self._held else self._held[0]
            return work(held)

    def _hold(self, thing: R) -> R:
        with self._lock:
            self._held.append(thing)
        return thing

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._disowned:  # cancelled before this thread got to run; nobody waits for the outcome
                raise trio.ClosedResourceError("this file was closed")
            self._busy = True

    def _leave(self) -> None:
        with self._lock:
            self._busy = False
            last = self._disowned
        if last:
            self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            held, self._held = self._held, []
        for thing in held:
            self._release(thing)
