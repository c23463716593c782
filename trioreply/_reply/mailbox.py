"""A channel whose sender never waits and whose unread items stay few.

With a task waiting in `Mailbox.receive` an item goes straight to it, as through a zero-capacity memory channel. With
nobody waiting, items rest in an ordered mapping. Items with a key coalesce: one per key, the newest, moved to the
newest position. Items without a key are never dropped and keep their order. How many there can be is bounded by what
sends them.

A receiver that is cancelled has consumed nothing: resting items are taken after the checkpoint, and an item handed to a
waiting task cannot be un-handed, because Trio no longer cancels a task that has been rescheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

import outcome
import trio

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Watcher(Protocol[T_contra]):
    """Who wants to know what readers of a mailbox do; all methods are sync."""

    def receiving(self, task: trio.lowlevel.Task) -> None:
        """``task`` asks for the next item."""
        ...

    def waiting(self) -> None:
        """The task that asks finds nothing, and waits."""
        ...

    def received(self, task: trio.lowlevel.Task, item: T_contra) -> None:
        """``task`` gets ``item``."""
        ...

    def closed(self) -> None:
        """The reader wants no more items."""
        ...


class Mailbox(trio.abc.ReceiveChannel[T], Generic[T]):
    """A receive channel that coalesces; see the module's text."""

    __slots__ = ("__weakref__", "_busy", "_closed", "_ended", "_key", "_next_number", "_resting", "_waiter", "_watcher")

    def __init__(self, key: Callable[[T], Hashable | None], watcher: Watcher[T] | None = None) -> None:
        self._key = key
        self._watcher = watcher
        self._resting: dict[Hashable, T] = {}
        self._next_number = 0
        self._busy = False
        self._waiter: trio.lowlevel.Task | None = None
        self._ended = False
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "ended" if self._ended else "open"
        waiting = ", a task waits" if self._waiter is not None else ""
        return f"<{type(self).__name__}: {state}, {len(self._resting)} unread{waiting}>"

    @property
    def has_waiter(self) -> bool:
        """Whether a task waits for an item and there is none."""
        return self._waiter is not None

    def post(self, item: T) -> None:
        """Deliver ``item`` now or keep it; dropped when the reader has closed."""
        if self._closed:
            return
        if self._waiter is not None:
            task, self._waiter = self._waiter, None
            self._note_received(task, item)
            trio.lowlevel.reschedule(task, outcome.Value(item))
            return
        key = self._key(item)
        if key is None:
            self._next_number += 1
            key = self._next_number
        else:
            self._resting.pop(key, None)
        self._resting[key] = item

    def end(self) -> None:
        """No more items will come; what rests can still be received."""
        self._ended = True
        self._watcher = None  # who reads from now on is of no consequence; and who watches may hold us
        if self._waiter is not None:
            task, self._waiter = self._waiter, None
            trio.lowlevel.reschedule(task, outcome.Error(trio.EndOfChannel()))

    async def receive(self) -> T:
        """The next item.

        Raises:
            trio.EndOfChannel: the last item has been received.
            trio.ClosedResourceError: this channel was closed from our side.
            trio.BusyResourceError: another task is receiving.
        """
        if self._busy:
            raise trio.BusyResourceError("another task is already receiving from this channel")
        self._busy = True
        try:
            task = trio.lowlevel.current_task()
            if self._watcher is not None:
                self._watcher.receiving(task)
            if self._resting or self._ended or self._closed:
                await trio.lowlevel.checkpoint()
                return self._take_resting(task)
            return await self._wait(task)
        finally:
            self._busy = False

    def _take_resting(self, task: trio.lowlevel.Task) -> T:
        if self._closed:
            raise trio.ClosedResourceError("this event channel was closed; the transfer goes on without it")
        if not self._resting:
            raise trio.EndOfChannel
        item = self._resting.pop(next(iter(self._resting)))
        self._note_received(task, item)
        return item

    async def _wait(self, task: trio.lowlevel.Task) -> T:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._waiter = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiter = task
        if self._watcher is not None:
            self._watcher.waiting()
        item: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return item

    def _note_received(self, task: trio.lowlevel.Task, item: T) -> None:
        if self._watcher is not None:
            self._watcher.received(task, item)

    def close(self) -> None:
        """Unsubscribe, without waiting. Idempotent; a task blocked in `receive` gets `trio.ClosedResourceError`."""
        if self._closed:
            return
        self._closed = True
        self._resting.clear()
        if self._waiter is not None:
            task, self._waiter = self._waiter, None
            closed = trio.ClosedResourceError("this event channel was closed by another task")
            trio.lowlevel.reschedule(task, outcome.Error(closed))
        if self._watcher is not None:
            self._watcher.closed()

    async def aclose(self) -> None:
        """As `close`, and a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()
