"""Iterators over a body that is a sequence of records: JSON values, or server-sent events.

They are classes and need no closing: who leaves the loop early leaves nothing behind. A step that is cancelled has
lost nothing, and the next one goes on; one that raised about a record's content may be followed by another step, too.
They know the reply as functions that wait for the next piece, and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .._facade import public
from .._model.errors import ReplyError, UnknownContentError
from .._model.server_sent_event import ServerSentEvent
from .._model.sse import EventParser
from .._model.text import decode_json

_JSON_SPACE = b" \t\r\n"  # RFC 8259 section 2


@public
class JsonLines:
    """An asynchronous iterator over what the lines of a body mean; see `Reply.json_lines`."""

    __slots__ = ("_locate", "_number", "_receive")

    def __init__(self, receive: Callable[[], Awaitable[bytes]], locate: Callable[[ReplyError], ReplyError]) -> None:
        self._receive = receive
        self._locate = locate
        self._number = 0

    def __aiter__(self) -> JsonLines:
        return self

    async def __anext__(self) -> object:
        while line := await self._receive():
            self._number += 1
            if text := line.strip(_JSON_SPACE):
                return self._decode(text)
        raise StopAsyncIteration

    def _decode(self, text: bytes) -> object:
        try:
            return decode_json(text)
        except UnknownContentError as error:
            cause = error.__cause__
            raise self._locate(UnknownContentError(f"line {self._number} is not JSON: {cause}")) from cause


@public
class ServerSentEvents:
    """An asynchronous iterator over the events of a stream; see `Reply.server_sent_events`."""

    __slots__ = ("_check", "_parser", "_receive")

    def __init__(
        self,
        parser: EventParser,
        *,
        check: Callable[[], Awaitable[None]],
        receive: Callable[[EventParser], Awaitable[ServerSentEvent | None]],
    ) -> None:
        self._parser = parser
        self._check: Callable[[], Awaitable[None]] | None = check
        self._receive = receive

    @property
    def last_event_id(self) -> str:
        """Where a new connection would go on (``Last-Event-ID``): the id of the last event that was complete."""
        return self._parser.last_event_id

    @property
    def retry(self) -> float | None:
        """Seconds to wait before a new connection, as the server said last; ``None`` if it has not."""
        return self._parser.retry

    def __aiter__(self) -> ServerSentEvents:
        return self

    async def __anext__(self) -> ServerSentEvent:
        if self._check is not None:
            await self._check()
            self._check = None
        event = await self._receive(self._parser)
        if event is None:
            raise StopAsyncIteration
        return event
