"""The one object behind a reply: its state, its channel, its waiting tasks, and the exchange's cancel scope.

The public class `Reply` is a façade over it for the application, the sink one for the exchange. Everything here is sync
except the two places where somebody waits. The core knows its reply only weakly, so that dropping a reply frees it
without the garbage collector.

Two groups may wait: ``readers`` are tasks of the application in a waiting method, ``network`` is the exchange when the
read buffer is full.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol
from weakref import ref

import trio

from .._model.errors import OperationCanceledError, ReplyError, TimeoutError, UnknownContentError
from .._model.events import Event, Progress, ReadyRead, without_question
from .._model.messages import Message
from .._model.urls import display
from .closing import DRAIN_SECONDS, Remainder, Rest
from .ignoring import IgnoredErrors
from .mailbox import Mailbox
from .questions import Ask, QuestionDesk
from .state import ReplyState, State
from .waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from .._model.events import QuestionEvent
    from .._model.request import Request
    from .reply import Reply

DEFAULT_READ_BUFFER = 1024 * 1024
"""Unread bytes at which the network pauses by default: enough to keep a fast link busy between two reads."""


class Owner(Protocol):
    """What a reply needs to know of the others, and of their manager; see `Replies`."""

    manager: object
    detached_timeout: float
    observers: set[Mailbox[tuple[Reply, Event]]]
    question_handlers: Mapping[type, Callable[[Reply, QuestionEvent], Awaitable[None]]]

    def released(self, reply: Reply) -> None:
        """``reply`` holds nothing any more."""
        ...


class _Ending(Protocol):
    """A way in which a reply ends: a method of its state."""

    def __call__(self, *, now: float) -> list[Event]:
        """Let it happen; gives the events that announce it."""
        ...


def event_key(event: Event) -> Hashable | None:
    """What coalesces: `ReadyRead`, and `Progress` per direction."""
    if type(event) is ReadyRead:
        return ReadyRead
    if type(event) is Progress:
        return event.direction
    return None


class Core:
    """See the module's text."""

    __slots__ = (
        "_mailbox",
        "_release",
        "_remainder",
        "_reply",
        "_user_deadline",
        "desk",
        "finish_waiters",
        "has_begun",
        "ignored",
        "is_reading",
        "is_released",
        "max_size",
        "network",
        "owner",
        "read_buffer_size",
        "readers",
        "scope",
        "state",
        "wanted",
    )

    def __init__(self, request: Request, owner: Owner) -> None:
        self.state = ReplyState(request, now=trio.current_time())
        self.owner = owner
        self.scope = trio.CancelScope()
        self.desk = QuestionDesk()
        self._mailbox: Mailbox[Event] | None = None
        self.readers = Waiters()
        self.network = Waiters()
        self.is_released = False
        """Whether the reply holds nothing any more: no task, no connection."""
        self._release: trio.Event | None = None  # only if somebody waits for that
        self.read_buffer_size = request.read_buffer_size
        self.max_size: int | None = None
        self.wanted: float = 0
        """Unread bytes up to which a waiting read needs the network to go on, whatever the buffer's limit."""
        self.finish_waiters = 0
        self.is_reading = False
        self.has_begun = False
        """Whether the request is on its way, and cannot be changed any more."""
        self.ignored = IgnoredErrors()
        self._remainder: Remainder | None = None
        self._user_deadline = math.inf
        self._reply: ref[Reply] | None = None

    def bind(self, reply: Reply) -> None:
        """Say whose core this is."""
        self._reply = ref(reply)

    @property
    def mailbox(self) -> Mailbox[Event]:
        """The events; a reply that nobody looks at has none."""
        if self._mailbox is None:
            self._mailbox = Mailbox(event_key, _ReaderWatch(self))
            if not self.state.is_running:
                self._mailbox.end()
        return self._mailbox

    def release(self) -> None:
        """The reply holds nothing any more."""
        self.is_released = True
        if self._release is not None:
            self._release.set()

    async def wait_released(self) -> None:
        """Until `is_released`; a checkpoint."""
        if self._release is None:
            self._release = trio.Event()
            if self.is_released:
                self._release.set()
        await self._release.wait()

    # What the exchange does

    def enter(self, message: Message) -> None:
        """Take a message from the exchange and tell everybody."""
        if self._remainder is not None:
            self._carry_on(self._remainder.take(message))
            return
        state, now = self.state, trio.current_time()
        emitters = state.enter(message, now)
        if emitters:
            if not self.desk.refuses_all or self.owner.observers:
                self.emit(state.announce(emitters, now, message))
            if self.readers:
                self.readers.wake()

    def enter_silently(self, message: Message) -> None:
        """Take a message whose event everybody has seen already."""
        self.state.enter(message, trio.current_time())

    def verified(self) -> None:
        """A redirect that was to be verified is so, or is the response."""
        if self.state.is_verifying:
            self.state.is_verifying = False
            self.readers.wake()

    def refuse_too_much(self) -> None:
        """End the reply if its body has become larger than the caller wants."""
        if self.max_size is not None and len(self.state.buffer) > self.max_size:
            self.refuse_size(self.max_size)

    def must_pause(self) -> bool:
        """Whether the network has to wait for the reader (design of the read buffer: see ``docs/cancellation``)."""
        limit = self.read_buffer_size
        if limit == 0:
            return False
        unread = len(self.state.buffer)
        if unread < self.wanted:
            return False
        if limit is None:
            return unread >= DEFAULT_READ_BUFFER and not self.mailbox.has_waiter and not self.finish_waiters
        return unread >= limit

    async def wait_for_room(self) -> None:
        """Until the reader has made room, or the reply is over: then there is nothing to wait for."""
        while self.state.is_running and self.must_pause():
            await self.network.wait(lambda: not (self.state.is_running and self.must_pause()))

    def complete(self) -> None:
        """The handler has returned."""
        self._end(self.state.complete)

    def fail(self, failure: ReplyError) -> None:
        """The handler has raised ``failure``."""
        self._end(partial(self.state.fail, failure))

    def scope_cancelled(self) -> None:
        """The reply's cancel scope has ended the exchange: by its deadline, or because somebody cancelled it."""
        if trio.current_time() >= self.scope.deadline:
            self.stop(TimeoutError("Operation timed out: the deadline of the reply's cancel scope has passed"))
        self.stop(OperationCanceledError("Operation canceled"))

    # What the application does

    def abort(self) -> None:
        """`Reply.abort`."""
        self.stop(OperationCanceledError("Operation canceled"))

    def refuse_size(self, max_size: int) -> None:
        """Abort, because the body is larger than the caller wants."""
        self.stop(
            UnknownContentError(
                f"the body is larger than max_size={max_size} bytes; raise the limit, or read it in pieces"
            )
        )

    def stop(self, failure: ReplyError) -> None:
        """End the reply at once, the device closed; nothing happens if it has finished and nothing runs behind it."""
        was_detached = self.state.state is State.DETACHED
        was_running = self.state.is_running
        self._end(partial(self.state.stop, failure))
        if was_running or was_detached:
            self.scope.cancel()

    def close(self) -> None:
        """`Reply.close`."""
        if not self.state.is_running:
            return
        remainder = Remainder(self.state)
        rest = remainder.decide()
        if rest is Rest.DROP:
            self.abort()
            return
        self._remainder = remainder
        self._user_deadline = self.scope.deadline
        self._end(self.state.detach)
        self._carry_on(rest)

    def room_made(self) -> None:
        """Something changed for which the network may be waiting."""
        if self.network:
            self.network.wake()

    # Both

    @property
    def is_detached(self) -> bool:
        """Whether work goes on behind a closed reply."""
        return self.state.state is State.DETACHED

    def emit(self, events: list[Event]) -> None:
        """Deliver ``events`` to the channel, and to who watches all replies."""
        if not events:
            return
        post = self.mailbox.post
        for event in events:
            post(event)
        observers = self.owner.observers
        if observers and self._reply is not None and (reply := self._reply()) is not None:
            for event in events:
                for observer in observers:
                    observer.post((reply, without_question(event)))

    def tell(self, event: QuestionEvent) -> None:
        """Deliver an event whose question is settled already."""
        self.state.asked(now=trio.current_time())
        if not self.desk.refuses_all:
            self.emit([event])

    async def ask(self, event: QuestionEvent, ask: Ask) -> None:
        """Put ``event`` to the application, and wait until its question is settled."""
        self.state.asked(now=trio.current_time())
        if self.desk.refuses_all:
            ask.refuse()
        else:
            await self.desk.put(ask, lambda: self.emit([event]))

    async def wait_until(self, ready: Callable[[], bool]) -> None:
        """Block the calling task in a waiting method until ``ready()``; always a checkpoint."""
        task = trio.lowlevel.current_task()
        self.desk.blocked(task)
        try:
            if ready():
                await trio.lowlevel.checkpoint()
            while not ready():
                await self.readers.wait(ready)
            if self.state.failure is not None:
                # A scope around us and the manager may have cancelled the exchange first. Then we are cancelled, too,
                # and must not say that the reply was: nobody stopped it in particular.
                await trio.lowlevel.checkpoint_if_cancelled()
        finally:
            self.desk.unblocked(task)

    def error(self) -> ReplyError | None:
        """The reply's error as a new exception that names the reply; ``None`` if all went well."""
        state = self.state
        if state.failure is not None:
            error = copy.copy(state.failure)
            error.__cause__ = state.failure.__cause__
        elif (kind := state.error.exception) is not None:
            error = kind(state.error_string)
        else:
            return None
        reply = None if self._reply is None else self._reply()
        error.locate(url=display(state.url), status_code=state.status_code, reply=reply)
        return error

    def raise_error(self) -> None:
        """Raise `error`, if there is one."""
        error = self.error()
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame: together they would keep the reply until the garbage is collected.
                del error

    def raise_transfer_error(self) -> None:
        """As `raise_error`, but only for a failed transfer: an HTTP status is not one."""
        if self.state.failure is not None:
            self.raise_error()

    def _end(self, ending: _Ending) -> None:
        """Let ``ending`` happen. If the reply was running, deliver its last events, and let everybody go who waits."""
        state = self.state
        was_running = state.is_running
        # Nobody can get at the events of `Manager.fetch`, unless all replies are watched.
        state.is_watched = not self.desk.refuses_all or bool(self.owner.observers)
        events = ending(now=trio.current_time())
        if was_running and not state.is_running:
            self.emit(events)
            if self._mailbox is not None:
                self._mailbox.end()
            if self.readers:
                self.readers.wake()
            self.desk.refuse()
            self.room_made()

    def _carry_on(self, rest: Rest) -> None:
        now = trio.current_time()
        match rest:
            case Rest.DROP:
                self.stop(OperationCanceledError("Operation canceled"))
            case Rest.DRAIN:
                # Set once: a server that drips must not keep us.
                self._user_deadline = min(self._user_deadline, now + DRAIN_SECONDS)
                self.scope.deadline = self._user_deadline
            case Rest.QUEUE:
                self.scope.deadline = self._user_deadline  # it is not the network that takes its time
            case _:
                self.scope.deadline = min(self._user_deadline, now + self.owner.detached_timeout)


class _ReaderWatch:
    """Connects the event channel to the rules that depend on who reads it."""

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    def receiving(self, task: trio.lowlevel.Task) -> None:
        self._core.desk.event_wanted(task)

    def waiting(self) -> None:
        self._core.room_made()

    def received(self, task: trio.lowlevel.Task, item: Event) -> None:
        self._core.desk.event_received(task, item)

    def closed(self) -> None:
        self._core.desk.refuses_all = True
        self._core.desk.refuse()
