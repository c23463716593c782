"""All the replies of one manager: who runs, who watches, and who answers for them.

A reply belongs to its manager, but needs little of it. That little is here, so that the lower half of the library works
without the upper one, and so that `trioreply.Manager` shows its users nothing but what is theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import trio

from .core import event_key
from .mailbox import Mailbox
from .sink import run_exchange

if TYPE_CHECKING:
    from .._model.events import Event, QuestionEvent
    from .._model.exchange import Handler
    from .reply import Reply

QuestionHandler = Callable[["Reply", "QuestionEvent"], Awaitable[None]]
Observer = Mailbox[tuple["Reply", "Event"]]


class Replies:
    """The replies of ``manager``, from the moment they begin until they hold nothing any more."""

    nursery: trio.Nursery
    """Where exchanges run; set when the manager's block is entered."""

    def __init__(
        self, manager: object, *, detached_timeout: float, question_handlers: Mapping[type, QuestionHandler]
    ) -> None:
        self.manager = manager
        """The `Manager` itself."""
        self.detached_timeout = detached_timeout
        """Seconds without progress that work behind a closed reply may take."""
        self.question_handlers = question_handlers
        """Who answers a question before a reply's reader is asked, by the type of event."""
        self.observers: set[Observer] = set()
        """Who watches all replies."""
        self.accepting = False
        """Whether new replies may begin."""
        self._running: set[Reply] = set()
        self._none_left = trio.lowlevel.ParkingLot()
        self._observation_is_over = False

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, reply: Reply) -> None:
        """``reply`` is about to start.

        Raises:
            trio.ClosedResourceError: none may: the manager's block is not entered, or was left.
        """
        if not self.accepting:
            raise trio.ClosedResourceError("this manager is not open; use it inside of its 'async with' block")
        self._running.add(reply)

    def spawn(self, reply: Reply, handler: Handler) -> None:
        """Start ``reply``'s exchange as a task, in the context of the caller, whose code may run in it."""
        self.nursery.start_soon(run_exchange, reply, handler)

    def released(self, reply: Reply) -> None:
        """``reply`` holds nothing any more: no task, no connection."""
        self._running.discard(reply)
        if not self._running:
            self._none_left.unpark_all()

    def abort(self, *, detached_too: bool) -> None:
        """Abort all replies that the application still sees, or really all."""
        for reply in list(self._running):
            if detached_too or reply.is_running:
                reply.abort()

    async def wait_none_left(self) -> None:
        """Until no reply holds anything. A checkpoint only if it waits."""
        while self._running:
            await self._none_left.park()

    def open_observer(self) -> Observer:
        """A channel for the events of all replies."""
        observer: Observer = Mailbox(_observer_key)
        self.observers.add(observer)
        if self._observation_is_over:
            observer.end()
        return observer

    def close_observer(self, observer: Observer) -> None:
        """Nobody looks at ``observer`` any more."""
        self.observers.discard(observer)
        observer.close()

    def end_observation(self) -> None:
        """No reply will ever do anything again."""
        self._observation_is_over = True
        for observer in self.observers:
            observer.end()


def _observer_key(item: tuple[Reply, Event]) -> tuple[Reply, object] | None:
    reply, event = item
    key = event_key(event)
    return None if key is None else (reply, key)
