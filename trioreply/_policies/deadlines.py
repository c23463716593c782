"""``transfer_timeout``: an exchange that makes no progress ends.

As in Qt it is an inactivity timeout, restarted by body bytes in either direction, and not by a response head. Unlike in
Qt, time does not pass while it is not the network's turn: in the queue for a connection, during an open question, and
while the reader is slow. What is left of it then is left afterwards, too. Another hop begins with the
full time, and so does another attempt, when the wait before it is over.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

from .._model.errors import TimeoutError
from .._model.events import Redirected, Retrying
from .._model.exchange import Handler, Sink
from .._model.messages import ConnectionLeased, ConnectionQueued, Message, Question, RequestProgress, ResponseData
from .._model.request import Request
from .pipeline import WrappedSink

A = TypeVar("A")


def deadlines(handler: Handler) -> Handler:
    """End an exchange with TIMEOUT after ``request.transfer_timeout`` seconds without progress."""

    def with_deadline(request: Request, sink: Sink) -> Awaitable[None]:
        timeout = request.transfer_timeout
        if not timeout or timeout == math.inf:
            return handler(request, sink)
        return _watched(handler, request, sink, seconds=timeout)

    return with_deadline


async def _watched(handler: Handler, request: Request, sink: Sink, *, seconds: float) -> None:
    with trio.move_on_after(seconds) as scope:
        await handler(request, _Watch(sink, scope, seconds))
    if scope.cancelled_caught:
        raise TimeoutError(f"Operation timed out: no progress for transfer_timeout={seconds:g} s")


class _Watch(WrappedSink):
    """Moves the scope's deadline with what it sees go by."""

    __slots__ = ("_left", "_pauses", "_scope", "_timeout")

    def __init__(self, sink: Sink, scope: trio.CancelScope, timeout: float) -> None:
        super().__init__(sink)
        self._scope = scope
        self._timeout = timeout
        self._pauses = 0
        self._left = timeout

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        match message:
            case ConnectionQueued():
                self._pause()
                await self._sink.put(message)
            case ConnectionLeased():
                await self._sink.put(message)
                if self._pauses:
                    self._resume()
            case ResponseData():
                with self._paused():
                    await self._sink.put(message)
                self._restart()
            case RequestProgress() | Redirected():
                await self._sink.put(message)
                self._restart()
            case Retrying(delay=delay):
                await self._sink.put(message)
                self._start_over(delay)
            case _:
                await self._sink.put(message)

    async def ask(self, question: Question[A]) -> A | None:
        """See `Sink.ask`."""
        with self._paused():
            return await self._sink.ask(question)

    @contextmanager
    def _paused(self) -> Iterator[None]:
        self._pause()
        try:
            yield
        finally:
            self._resume()

    def _pause(self) -> None:
        # Pauses overlap when an upload makes progress while the response's reader is slow.
        if not self._pauses:
            self._left = self._scope.deadline - trio.current_time()
            self._scope.deadline = math.inf
        self._pauses += 1

    def _resume(self) -> None:
        self._pauses -= 1
        if not self._pauses:
            self._scope.deadline = trio.current_time() + self._left

    def _start_over(self, delay: float) -> None:
        # Nothing of the last attempt is left, and a wait in the queue may have ended with its failure.
        self._pauses = 0
        self._left = self._timeout
        self._scope.deadline = trio.current_time() + delay + self._timeout

    def _restart(self) -> None:
        self._left = self._timeout
        if not self._pauses:
            self._scope.deadline = trio.current_time() + self._timeout
