"""A stream of server-sent events that outlives its connections (HTML standard section 9.2, ``EventSource``).

Nothing runs beside the reader: connecting, waiting and reading happen in the task that asks for the next event, so a
reader that is slow holds the server back, as with any reply, and a cancel scope around the loop ends all of it.

A step can be cancelled wherever it waits and the next one goes on from there: what is under way is a state, which
carries what belongs to it (a moment to wait for, an open reply, a stream), and each step begins by looking at it. That
was the hard part. A reply is in the state as soon as it is open and leaves it before it is closed, so no way out of the
block forgets one.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Unpack, final

import trio
from yarl import URL

from .._clock import wall_clock
from .._facade import public
from .._model.errors import ReplyError, UnknownContentError, error_for_status, status_error_string
from .._model.headers import Headers, checked_field, make_headers, with_missing
from .._model.limits import MAX_EVENT
from .._model.request import Request, RequestFields, check_number
from .._model.retry import RetryPolicy
from .._model.server_sent_event import ServerSentEvent
from .._model.sse import MEDIA_TYPE
from .._model.urls import display
from .._model.values import frozen
from .._policies.retry_decide import retry_after
from .._reply.records import ServerSentEvents
from .._reply.reply import Reply
from .opener import RECONNECT_DELAY, Opener
from .reconnect_decide import RECONNECT, Verdict, delay_before_next, judge

_LAST_EVENT_ID = "Last-Event-ID"
_OWN_FIELDS = make_headers({"Accept": MEDIA_TYPE, "Cache-Control": "no-cache"})


class _Idle(enum.Enum):
    """States in which nothing is held."""

    NEW = "not entered"
    OVER = "over"
    CLOSED = "closed"


@frozen(eq=False)
class _Waiting:
    """There will be a connection at ``due`` on Trio's clock."""

    due: float


@frozen(eq=False)
class _Opening:
    """A request is on its way, and nobody knows yet what comes."""

    block: AbstractAsyncContextManager[Reply]
    reply: Reply


@frozen(eq=False)
class _Streaming:
    """Events come."""

    block: AbstractAsyncContextManager[Reply]
    reply: Reply
    events: ServerSentEvents


_State = _Idle | _Waiting | _Opening | _Streaming


@frozen
class Source:
    """What is requested, each time anew.

    Raises:
        ValueError, TypeError: no request can be made of it; the text starts with the name of what is wrong.
    """

    opener: Opener
    url: str | URL | Request
    fields: RequestFields

    def __attrs_post_init__(self) -> None:
        # Now, because the first event may be asked for far away from where the mistake is.
        request = self.url.replace(**self.fields) if isinstance(self.url, Request) else Request(self.url, **self.fields)
        if _LAST_EVENT_ID in request.headers:
            raise ValueError(f"headers: give {_LAST_EVENT_ID} as last_event_id=, which goes on from there")

    @property
    def shown_url(self) -> str:
        """The URL, for people."""
        return display(self.url.url if isinstance(self.url, Request) else URL(self.url))

    def open(self, last_event_id: str) -> AbstractAsyncContextManager[Reply]:
        """Another reply, for what came after ``last_event_id``."""
        fields = self.fields.copy()
        fields["headers"] = self._headers(last_event_id)
        if fields.get("retry") is None:
            fields["retry"] = RetryPolicy(1)  # the stream itself knows when to connect again
        return self.opener.get(self.url, **fields)

    def _headers(self, last_event_id: str) -> Headers:
        given = self.fields.get("headers")
        if given is None and isinstance(self.url, Request):
            given = self.url.headers
        headers = with_missing(make_headers(given), _OWN_FIELDS)
        if not last_event_id:
            return headers
        try:
            return with_missing(headers, make_headers({_LAST_EVENT_ID: last_event_id}))
        except ValueError:
            return headers  # the server made an id with control characters, which no field can bring back to it


@public
@final
class EventStream:
    """An asynchronous iterator over the events of a URL, whatever becomes of its connections.

    Made by `Manager.event_stream`.

    ``async with`` it, then iterate. Leaving the block ends the connection that is open, if there is one.
    """

    def __init__(
        self,
        source: Source,
        *,
        last_event_id: str,
        reconnect: RetryPolicy,
        reconnect_delay: float,
        max_size: int,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._last_event_id = last_event_id
        self._policy = reconnect
        self._time = reconnect_delay
        self._max_size = max_size
        self._chance = chance
        self._state: _State = _Idle.NEW
        self._left = trio.Event()
        self._is_reading = False
        self._attempts = 0
        self._failures = 0

    def __repr__(self) -> str:
        state = self._state
        shown = state.value if isinstance(state, _Idle) else type(state).__name__.strip("_").lower()
        return f"<EventStream {self._source.shown_url} {shown}, attempts {self._attempts}, failures {self._failures}>"

    @property
    def last_event_id(self) -> str:
        """The id of the last event that was complete; empty if none had one. Keep it to go on from there later."""
        return self._last_event_id

    @property
    def reply(self) -> Reply | None:
        """The reply that is open now; ``None`` between two connections."""
        return self._state.reply if isinstance(self._state, _Opening | _Streaming) else None

    @property
    def attempts(self) -> int:
        """How many requests have been sent so far."""
        return self._attempts

    @property
    def failures(self) -> int:
        """How many connections in a row have failed since the last one that gave a stream."""
        return self._failures

    async def __aenter__(self) -> EventStream:
        if self._state is not _Idle.NEW:
            raise RuntimeError("an event stream's block is entered once; make another one, with this one's id")
        await trio.lowlevel.checkpoint()
        self._state = _Waiting(trio.current_time())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        state, self._state = self._state, _Idle.CLOSED
        self._left.set()
        if isinstance(state, _Opening | _Streaming):
            await state.block.__aexit__(exc_type, exc, traceback)
        else:
            await trio.lowlevel.checkpoint_if_cancelled()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> ServerSentEvent:
        """The next event; however long that takes, and over however many connections.

        Raises:
            ReplyError: the connection failed, or the response has a status, that another one will not mend; or that
                has happened so often that nobody believes in it any more.
            UnknownContentError: the response is no event stream, or an event is too large.
            trio.BusyResourceError: another task waits for the next event.
            trio.ClosedResourceError: the block has been left.
            RuntimeError: the block has not been entered.
        """
        if self._is_reading:
            raise trio.BusyResourceError("another task is already reading this event stream")
        self._is_reading = True
        try:
            event = await self._next()
        finally:
            self._is_reading = False
        if event is None:
            raise StopAsyncIteration
        return event

    async def _next(self) -> ServerSentEvent | None:
        while True:
            match self._state:
                case _Waiting() as waiting:
                    await self._connect(waiting)
                case _Opening() as opening:
                    await self._look_at_head(opening)
                case _Streaming() as streaming:
                    event = await self._receive(streaming)
                    if event is not None:
                        return event
                case idle:
                    await trio.lowlevel.checkpoint()
                    _refuse_unless_over(idle)
                    return None

    async def _connect(self, waiting: _Waiting) -> None:
        with trio.move_on_at(waiting.due):
            await self._left.wait()
            return
        block = self._source.open(self._last_event_id)
        reply = await block.__aenter__()
        if self._state is not waiting:
            await block.__aexit__(None, None, None)  # another task has left our block meanwhile
            return
        self._state = _Opening(block, reply)
        self._attempts += 1

    async def _look_at_head(self, opening: _Opening) -> None:
        reply = opening.reply
        failure: ReplyError | None = None
        try:
            await reply.wait_metadata()
        except ReplyError as error:
            failure = error
        if failure is not None:
            self._failures += 1
            if not await self._go_on(opening, self._delay_after(failure)):
                raise failure
            return
        match judge(reply.status_code, self._policy):
            case Verdict.STREAM:
                self._failures = 0
                events = reply.server_sent_events(self._max_size, last_event_id=self._last_event_id)
                self._state = _Streaming(opening.block, reply, events)
            case Verdict.NO_MORE:
                await self._go_on(opening, None)
            case Verdict.LATER:
                self._failures += 1
                if not await self._go_on(opening, self._delay(retry_after(reply.headers, now=wall_clock()))):
                    raise _status_error(reply)
            case _:
                await self._go_on(opening, None)
                raise _status_error(reply)

    async def _receive(self, streaming: _Streaming) -> ServerSentEvent | None:
        """The next event; ``None`` if the stream has ended, and there will be another one."""
        events = streaming.events
        failure: ReplyError | None = None
        try:
            with suppress(StopAsyncIteration):
                return await anext(events)
        except ReplyError as error:
            failure = error
        finally:
            self._last_event_id = events.last_event_id
        delay = self._delay() if failure is None else self._delay_after(failure)
        if not await self._go_on(streaming, delay) and failure is not None:
            raise failure
        return None

    async def _go_on(self, current: _Opening | _Streaming, delay: float | None) -> bool:
        """Let go of a reply, and connect again after ``delay``; whether that is to be."""
        if self._state is current:  # or else another task has left our block
            self._state = _Idle.OVER if delay is None else _Waiting(trio.current_time() + delay)
            await current.block.__aexit__(None, None, None)
        return delay is not None

    def _delay_after(self, error: ReplyError) -> float | None:
        return self._delay() if error.code in self._policy.on_errors else None

    def _delay(self, wish: float | None = None) -> float | None:
        if isinstance(self._state, _Streaming) and self._state.events.retry is not None:
            self._time = self._state.events.retry
        return delay_before_next(self._policy, self._time, self._failures, chance=self._chance(), wish=wish)


def _refuse_unless_over(idle: _Idle) -> None:
    if idle is _Idle.NEW:
        raise RuntimeError("use 'async with' on the event stream, and iterate within its block")
    if idle is _Idle.CLOSED:
        raise trio.ClosedResourceError("the event stream's block has been left")


def _status_error(reply: Reply) -> ReplyError:
    """What is wrong with a response that has this status. The reply itself would say it only at the body's end."""
    status, url = reply.status_code or 0, display(reply.url)
    kind = error_for_status(status).exception
    if kind is None:
        error: ReplyError = UnknownContentError(f"the server answered with status {status}; event streams have 200")
    else:
        error = kind(status_error_string(status, reply.reason, url))
    error.locate(url=url, status_code=status, reply=reply)
    return error


def event_stream(
    opener: Opener,
    url: str | URL | Request,
    *,
    last_event_id: str = "",
    reconnect: RetryPolicy = RECONNECT,
    reconnect_delay: float = RECONNECT_DELAY,
    max_size: int = MAX_EVENT,
    **fields: Unpack[RequestFields],
) -> EventStream:
    """Read the events of ``url``, over as many connections as it takes.

    ``async with event_stream(manager, url) as events``, and within it ``async for event in events``. When the response
    has ended, or the connection is broken, the next step waits, connects again, and says with ``Last-Event-ID`` where
    to go on. It is over when the server answers 204, or when an error is raised.

    Args:
        opener: the manager.
        url: where the events come from, or a whole request.
        last_event_id: where to begin; empty for wherever the server begins.
        reconnect: how many failures in a row are borne (``attempts``), which ones, and how much longer than the server
            wants each wait is (``backoff``, doubled with each failure). Failures are errors before a response, and
            statuses; a stream that breaks off is none, but is taken up again only after one of ``on_errors``.
        reconnect_delay: seconds to wait before a new connection until the server says how long (``retry``).
        max_size: the largest event that is wanted, in bytes.
        fields: as for `Manager.get`. ``transfer_timeout`` finds connections that died in silence.

    Raises:
        ValueError, TypeError: an argument is impossible; the text starts with its name.
    """
    if not isinstance(reconnect, RetryPolicy):
        raise TypeError(f"reconnect: give a RetryPolicy, not {reconnect!r}")
    check_number("reconnect_delay", reconnect_delay, (int, float))
    if reconnect_delay == math.inf:
        raise ValueError("reconnect_delay: it would never connect again; give a number of seconds")
    checked_field(_LAST_EVENT_ID, last_event_id, field="last_event_id")
    return EventStream(
        Source(opener, url, fields),
        last_event_id=last_event_id,
        reconnect=reconnect,
        reconnect_delay=reconnect_delay,
        max_size=max_size,
    )
