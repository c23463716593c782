"""The part of a reply that waits: reading to an end, and waiting for what happens next.

Every method here is a checkpoint, and a cancelled one has consumed nothing: bytes leave the buffer only after the last
place where it can be cancelled. So a read that needs much (``read_all``, ``read_exactly``, a line) tells the network
how much is wanted and waits until it lies in the buffer, instead of collecting pieces of its own.

After what was received a waiting read raises the reply's error, if the *transfer* failed. An HTTP status is not raised
here.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from .._model.errors import NetworkError, ReplyError, UnknownContentError
from .._model.limits import MAX_EVENT
from .._model.text import decode_body, decode_json
from .._model.urls import display
from .core import Core
from .device import Device

if TYPE_CHECKING:
    from .._model.server_sent_event import ServerSentEvent
    from .._model.sse import EventParser
    from .records import JsonLines, ServerSentEvents

T = TypeVar("T")

MAX_LINE = 1024 * 1024
"""The longest line `Waiting.lines` accepts by default: without a bound one line could fill the memory."""

_PARSED_AT_ONCE = 4096
"""How much of the buffer is shown to a parser: more is copied for nothing when events are short."""


class Waiting(Device):
    """The waiting methods."""

    __slots__ = ()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, at most ``max_bytes``; ``b""`` at the end of the body.

        Raises:
            ReplyError: the transfer failed, and what had been received before has been read.
            trio.BusyResourceError: another task is reading.
        """
        if max_bytes is not None and max_bytes < 1:
            raise ValueError(f"max_bytes: {max_bytes} is less than 1")
        with self._reading():
            await self._until(1)
            data = self._core.state.buffer.take_piece(max_bytes)
            if data:
                self._core.room_made()
            else:
                self._core.raise_transfer_error()
            return data

    async def read_all(self, max_size: int | None = None) -> bytes:
        """The rest of the body.

        Raises:
            UnknownContentError: there are more than ``max_size`` bytes; the reply is aborted.
            ReplyError: the transfer failed; what was received can still be read.
            trio.BusyResourceError: another task is reading.
        """
        with self._reading():
            buffer = self._core.state.buffer
            await self._until(math.inf if max_size is None else max_size + 1)
            if max_size is not None and len(buffer) > max_size:
                self._core.refuse_size(max_size)
                self._raise_too_large(max_size)
            self._core.raise_transfer_error()
            return buffer.read()

    async def read_exactly(self, n: int) -> bytes:
        """The next ``n`` bytes.

        Raises:
            UnknownContentError: the body ended before; what there is stays readable.
            ReplyError: the transfer failed before; what was received can still be read.
            trio.BusyResourceError: another task is reading.
        """
        if n < 0:
            raise ValueError(f"n: {n} is negative")
        with self._reading():
            await self._until(n)
            available = self.bytes_available
            if available < n:
                self._core.raise_transfer_error()
                raise self._located(
                    UnknownContentError(f"the body ended after {available} of the {n} bytes that were to be read")
                )
            return self.read(n)

    def chunks(self) -> Chunks[bytes]:
        """Iterate over the body as it comes: ``async for chunk in reply.chunks()``.

        Raises (from the iteration):
            ReplyError, trio.BusyResourceError: as `receive_some`.
        """
        return Chunks(self.receive_some)

    def lines(self, max_size: int = MAX_LINE) -> Chunks[bytes]:
        """Iterate over the body's lines, each with its line feed, as `read_line` gives them.

        Raises (from the iteration):
            UnknownContentError: a line is longer than ``max_size`` bytes; the reply is aborted.
            ReplyError, trio.BusyResourceError: as `receive_some`.
        """

        async def next_line() -> bytes:
            return await self._receive_line(max_size)

        return Chunks(next_line)

    def json_lines(self, max_size: int = MAX_LINE) -> JsonLines:
        """Iterate over JSON values, one to a line (``application/x-ndjson``, JSON Lines); blank lines are skipped.

        A line that is no JSON does not end the reply: the next step goes on with the line after it.

        Raises (from the iteration):
            UnknownContentError: a line is no JSON, and which one; or it is longer than ``max_size``, as in `lines`.
            ReplyError, trio.BusyResourceError: as `receive_some`.
        """
        from .records import JsonLines

        return JsonLines(partial(self._receive_line, max_size), self._located)

    def server_sent_events(self, max_size: int = MAX_EVENT, *, last_event_id: str = "") -> ServerSentEvents:
        """Iterate over the events of an event stream (HTML standard section 9.2).

        What follows an event stays unread until the next step. Of one that is incomplete the iterator keeps the
        beginning, so go on with the same one.

        Args:
            max_size: the largest event that is wanted, in bytes.
            last_event_id: the ``id`` of events until the server gives one: that of the connection before this one.

        Raises:
            UnknownContentError: from the iteration: the response is no event stream; or an event is larger than
                ``max_size``, and the reply is aborted.
            ReplyError: from the iteration, as `receive_some`; if there is no response either.
            trio.BusyResourceError: from the iteration, as `receive_some`.
        """
        from .._model.sse import EventParser
        from .records import ServerSentEvents

        parser = EventParser(max_size, last_event_id=last_event_id)
        return ServerSentEvents(parser, check=self._check_event_stream, receive=self._receive_event)

    async def _check_event_stream(self) -> None:
        with self._reading():
            await self.wait_metadata()
        from .._model.sse import MEDIA_TYPE, is_event_stream

        if not is_event_stream(self.headers):
            came = self.headers.get("Content-Type", "no Content-Type")
            status = "" if self.status_code is None else f" with status {self.status_code}"
            raise self._located(
                UnknownContentError(f"the response is no event stream: {came!r} came{status}, not {MEDIA_TYPE}")
            )

    async def _receive_event(self, parser: EventParser) -> ServerSentEvent | None:
        with self._reading():
            while True:
                await self._until(1)
                if not self.bytes_available:
                    self._core.raise_transfer_error()
                    return None
                event = self._parse(parser)
                if event is not None:
                    return event

    def _parse(self, parser: EventParser) -> ServerSentEvent | None:
        try:
            size, event = parser.feed(self.peek(_PARSED_AT_ONCE))
        except UnknownContentError as error:
            refusal = str(error)
        else:
            self.read(size)
            return event
        self._core.stop(UnknownContentError(refusal))
        self._core.raise_transfer_error()
        # The reply had already finished well, so it keeps its own (happy) end.
        raise self._located(UnknownContentError(refusal))

    async def _receive_line(self, max_size: int) -> bytes:
        core = self._core
        with self._reading():
            await self._until_line(max_size)
            end = core.state.buffer.line_end()
            if (self.bytes_available if end is None else end) > max_size:
                core.refuse_size(max_size)
                self._raise_too_large(max_size)
            if end is None:
                self._core.raise_transfer_error()
            return self.read_line()

    async def _until_line(self, max_size: int) -> None:
        """Block until a line lies in the buffer, or too much for one, or no more will come."""
        core = self._core
        while True:
            # More than there is, whatever the buffer's limit; but only just, or the limit would mean nothing.
            available = self.bytes_available
            core.wanted = 0 if self.can_read_line else available + 1
            core.room_made()
            await core.wait_until(partial(self._has_line_or_more, available))
            if self.can_read_line or self.bytes_available > max_size or not core.state.is_running:
                return

    def _has_line_or_more(self, seen: int) -> bool:
        return self.can_read_line or self.bytes_available > seen or not self._core.state.is_running

    async def text(self, max_size: int | None = None) -> str:
        """The rest of the body as text, by the charset of Content-Type (UTF-8 if it names none).

        Raises:
            UnknownContentError: the charset is unknown, the bytes do not fit it, or there are more than ``max_size``.
            ReplyError, trio.BusyResourceError: as `read_all`.
        """
        body = await self.read_all(max_size)
        try:
            return decode_body(body, self.headers)
        except UnknownContentError as error:
            raise self._located(error)  # noqa: B904 - it is the same one

    async def json(self, max_size: int | None = None) -> object:
        """The rest of the body as what its JSON means.

        Raises:
            UnknownContentError: it is no JSON, or there are more than ``max_size`` bytes.
            ReplyError, trio.BusyResourceError: as `read_all`.
        """
        body = await self.read_all(max_size)
        try:
            return decode_json(body)
        except UnknownContentError as error:
            raise self._located(error)  # noqa: B904 - it is the same one

    async def wait_metadata(self) -> None:
        """Until the head of a response is there; that of a redirect which is followed is not waited for.

        Raises:
            ReplyError: the reply ended without one.
        """
        core = self._core
        await core.wait_until(lambda: core.state.has_final_head or not core.state.is_running)
        if not core.state.has_final_head:
            core.raise_error()

    async def wait_finished(self) -> NetworkError:
        """Until the reply has finished; how it ended. Never raises the reply's error.

        With ``read_buffer_size=n`` another task must read meanwhile, or a body of more than n bytes never ends.
        """
        core = self._core
        core.finish_waiters += 1
        core.room_made()
        try:
            await core.wait_until(lambda: not core.state.is_running)
        finally:
            core.finish_waiters -= 1
        return core.state.error

    @property
    def stream(self) -> ReplyStream:
        """The same bytes as a `trio.abc.ReceiveStream`."""
        return ReplyStream(self)

    async def aclose(self) -> None:
        """Close, and wait until the reply holds no connection and no task; cancelled, abort."""
        raise NotImplementedError  # pragma: no cover - Reply, the only subclass, has it

    async def _until(self, wanted: float) -> None:
        """Block until ``wanted`` bytes lie in the buffer, or no more will come."""
        core = self._core
        core.wanted = wanted
        core.room_made()
        await core.wait_until(lambda: len(core.state.buffer) >= wanted or not core.state.is_running)

    def _reading(self) -> _Reading:
        return _Reading(self._core)

    def _raise_too_large(self, max_size: int) -> None:
        self._core.raise_transfer_error()
        # The reply had already finished well, so it keeps its own (happy) end.
        raise self._located(
            UnknownContentError(f"{self.bytes_available} bytes are unread, more than max_size={max_size}")
        )

    def _located(self, error: ReplyError) -> ReplyError:
        error.locate(url=display(self.url), status_code=self.status_code, reply=self)
        return error


class _Reading:
    """Keeps two tasks from reading at once. A class, because a generator's context manager costs as much as the
    read.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    def __enter__(self) -> None:
        if self._core.is_reading:
            raise trio.BusyResourceError("another task is already reading this reply")
        self._core.is_reading = True

    def __exit__(self, *_: object) -> None:
        self._core.is_reading = False
        self._core.wanted = 0


class Chunks(Generic[T]):
    """An asynchronous iterator over calls of a function, until one gives nothing. Needs no closing."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Callable[[], Awaitable[T]]) -> None:
        self._receive = receive

    def __aiter__(self) -> Chunks[T]:
        return self

    async def __anext__(self) -> T:
        item = await self._receive()
        if not item:
            raise StopAsyncIteration
        return item


class ReplyStream(trio.abc.ReceiveStream):
    """A reply's body as a stream; closing it closes the reply."""

    def __init__(self, reply: Waiting) -> None:
        self._reply = reply

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As `Reply.receive_some`."""
        return await self._reply.receive_some(max_bytes)

    async def aclose(self) -> None:
        """As `Reply.aclose`."""
        await self._reply.aclose()
