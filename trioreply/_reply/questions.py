"""Questions to the application, and when silence counts as "no".

The exchange asks and waits; the application answers on the event. Nobody is obliged to look at events, so an open
question must not wait for a reader who will never come. It is refused at the first of:

(a) the task that received the event asks for the next one, or calls another waiting method of the reply: it has seen
    the question and moved on;
(b) some task is blocked in another waiting method while nobody can be expected to read events: no task ever received
    one, or the last to do so has ended, or is the very task that is blocked;
(c) the event channel is closed;
(d) the reply ends.

A reply that nobody has touched keeps the question: its owner may come yet. That a task *ended* is something Trio tells
only instruments, so one is installed while a question is open and somebody's end could matter.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import trio

from .._model.events import Event, QuestionEvent


class Ask:
    """One question: open until it is answered or refused. The `OpenQuestion` of an event."""

    __slots__ = ("_changed", "_why", "answer", "is_settled", "receiver")

    def __init__(self) -> None:
        self._why = "this question is settled: it was answered before, or refused when you went on without answering"
        self.answer: object = None
        self.is_settled = False
        self.receiver: trio.lowlevel.Task | None = None
        self._changed = trio.Event()

    def settle(self, answer: object) -> None:
        """The application's answer.

        Raises:
            RuntimeError: it was answered before, or refused because nobody answered in time.
        """
        if self.is_settled:
            if trio.lowlevel.in_trio_task() and trio.current_effective_deadline() == -math.inf:
                return  # what ended the question also cancels the caller, who is about to hear of that instead
            raise RuntimeError(self._why)
        self.answer = answer
        self._finish()

    def refuse(self, why: str = "") -> None:
        """Nobody will answer, or may; ``why`` is told to who tries. Idempotent."""
        if not self.is_settled:
            self._why = why or self._why
            self._finish()

    def _finish(self) -> None:
        self.is_settled = True
        self._changed.set()

    async def wait(self) -> None:
        """Until it is settled."""
        await self._changed.wait()


class QuestionDesk:
    """Who reads this reply's events, who is blocked elsewhere, and what follows for the open question."""

    __slots__ = ("_blocked", "_open", "_reader", "refuses_all")

    def __init__(self) -> None:
        self._open: Ask | None = None
        self._reader: trio.lowlevel.Task | None = None
        self._blocked: dict[trio.lowlevel.Task, None] = {}  # an empty set takes three times the memory
        self.refuses_all = False
        """Set for replies without a reader, such as those of ``fetch``, and those whose event channel was closed."""

    async def put(self, ask: Ask, deliver: Callable[[], None]) -> None:
        """Deliver the question's event and keep ``ask`` open until it is settled or must be refused."""
        watch = _ExitWatch(self._task_exited)
        self._open = ask
        deliver()
        trio.lowlevel.add_instrument(watch)
        try:
            self._reconsider()
            await ask.wait()
        finally:
            self._open = None
            trio.lowlevel.remove_instrument(watch)

    def event_received(self, task: trio.lowlevel.Task, event: Event) -> None:
        """``task`` got ``event`` from the channel."""
        self._reader = task
        if self._open is not None and isinstance(event, QuestionEvent) and event._question is self._open:
            self._open.receiver = task

    def event_wanted(self, task: trio.lowlevel.Task) -> None:
        """Rule (a), for the event channel."""
        if self._open is not None and self._open.receiver is task:
            self._open.refuse()

    def blocked(self, task: trio.lowlevel.Task) -> None:
        """``task`` enters another waiting method: rules (a) and (b)."""
        self._blocked[task] = None
        if self._open is not None:
            self.event_wanted(task)
            self._reconsider()

    def unblocked(self, task: trio.lowlevel.Task) -> None:
        """``task`` is out of that method."""
        self._blocked.pop(task, None)

    def refuse(self) -> None:
        """Rules (c) and (d)."""
        self._reader = None
        if self._open is not None:
            self._open.refuse()

    def _reconsider(self) -> None:
        if self._open is not None and self._blocked and not self._may_read():
            self._open.refuse()

    def _may_read(self) -> bool:
        reader = self._reader
        return reader is not None and reader not in self._blocked and not _has_ended(reader)

    def _task_exited(self, task: trio.lowlevel.Task) -> None:
        if task is self._reader:
            self._reader = None
            self._reconsider()


class _ExitWatch(trio.abc.Instrument):
    """Tells when tasks end."""

    def __init__(self, on_exit: Callable[[trio.lowlevel.Task], None]) -> None:
        self._on_exit = on_exit

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._on_exit(task)


def _has_ended(task: trio.lowlevel.Task) -> bool:
    return inspect.getcoroutinestate(task.coro) == inspect.CORO_CLOSED
