"""Sending a request again when a kept connection turned out dead.

A server may close a connection at the moment a request is sent on it. Nobody did anything wrong, so the request goes
out once more, if three things hold: the connection was a kept one (a fresh one that fails has failed), nothing of an
answer had come, and the request may be repeated: its method is idempotent (RFC 9110 section 9.2.2) and its body can be
had again.

This policy is the innermost, so it is also where messages set out on one of the two ways up (see `pipeline`).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from .._model.bodies import is_rewindable
from .._model.errors import ReplyError
from .._model.exchange import Handler, Sink
from .._model.messages import ConnectionLeased, Message, ResponseHead
from .._model.request import Request
from .pipeline import WrappedSink, is_plain, short_way

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
"""RFC 9110 section 9.2.2. Other methods might do their work twice."""


def may_resend(request: Request, error: ReplyError, *, was_reused: bool) -> bool:
    """Whether ``request``, which failed with ``error``, is sent once more."""
    return was_reused and error.resendable and request.verb in IDEMPOTENT and is_rewindable(request.body)


def resend(handler: Handler) -> Handler:
    """Repeat an exchange once whose kept connection was dead."""

    async def with_resend(request: Request, sink: Sink) -> None:
        watch = _Watch(sink)
        try:
            await handler(request, watch)
        except ReplyError as error:
            if not may_resend(request, error, was_reused=watch.reused):
                raise
        else:
            return
        await handler(request, sink)

    return with_resend


class _Watch(WrappedSink):
    """Remembers whether the connection was a kept one, and chooses the way up."""

    __slots__ = ("_way", "reused")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._way = short_way(sink)
        self.reused = False

    # What a coroutine function gives is a Coroutine of Any; this one only fetches it from elsewhere.
    def put(self, message: Message) -> Coroutine[Any, Any, None]:
        """See `Sink.put`."""
        kind = type(message)
        if kind is ConnectionLeased:
            self.reused = message.reused  # type: ignore[union-attr]  # mypy does not see through the variable
        elif kind is ResponseHead and not is_plain(message):  # type: ignore[arg-type]  # as above
            self._way = self._sink
        return self._way.put(message)
