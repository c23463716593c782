"""An event loop for clients that call back instead of being awaited, as small as can be so that it costs nothing.

A task that waits for `Outcome` stands still until somebody calls `Outcome.give`. While all tasks stand still, the
client gets its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Outcome(Generic[T]):
    """What a callback will bring. One task may wait for it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._values: list[T] = []
        self._waiting: Coroutine[Outcome[T], None, None] | None = None

    def give(self, value: T) -> None:
        """Here it is."""
        self._values.append(value)
        if self._waiting is not None:
            self._loop.go_on(self._waiting)

    def let_wait(self, task: Coroutine[Outcome[T], None, None]) -> None:
        """``task`` goes on when it is here."""
        self._waiting = task

    def __await__(self) -> Generator[Outcome[T], None, T]:
        if not self._values:
            yield self
        return self._values[0]


class Loop:
    """Runs tasks, and what they wait for."""

    def __init__(self, turn: Callable[[], None]) -> None:
        self._turn = turn
        """Waits until something has happened, and calls back."""
        self._ready: deque[Coroutine[Outcome[object], None, None]] = deque()
        self._running = 0

    def go_on(self, task: Coroutine[Outcome[T], None, None]) -> None:
        """``task`` need not stand still any longer."""
        self._ready.append(cast("Coroutine[Outcome[object], None, None]", task))

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run ``main`` to its end.

        Raises:
            Exception: what any of the tasks raises.
        """
        results: list[T] = []

        async def task() -> None:
            results.append(await main())

        self._start(task())
        while self._running:
            while self._ready:
                self._step(self._ready.popleft())
            if self._running:
                self._turn()
        return results[0]

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        left = len(tasks)
        done = Outcome[None](self)

        async def one(task: Callable[[], Awaitable[None]]) -> None:
            nonlocal left
            await task()
            left -= 1
            if not left:
                done.give(None)

        for task in tasks:
            self._start(one(task))
        await done

    def _start(self, task: Coroutine[Outcome[object], None, None]) -> None:
        self._running += 1
        self.go_on(task)

    def _step(self, task: Coroutine[Outcome[object], None, None]) -> None:
        try:
            awaited = task.send(None)
        except StopIteration:
            self._running -= 1
        else:
            awaited.let_wait(task)
