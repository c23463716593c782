"""The one contract of the pipeline: what a handler is, and what it may assume about the world above it.

A handler carries out one exchange and reports upwards through a sink. Policies (redirects, retries, ...) are functions
from handler to handler; scheme handlers are the innermost. Lower layers know the sink only by this protocol, so events
travel up while imports point down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from .messages import Message, Question
from .request import Request

A = TypeVar("A")


class Sink(Protocol):
    """Where a handler reports what happens."""

    async def put(self, message: Message) -> None:
        """Report ``message``. Waiting in here *is* the back-pressure: it returns when more may be received.

        A checkpoint only when it waits.

        Raises:
            RuntimeError: the message is out of order, such as body data before a head.
        """
        ...

    async def ask(self, question: Question[A]) -> A | None:
        """Ask the application, and wait. ``None`` means that it declined, or that there is nobody to answer.

        Hold no connection while you ask: the answer may take hours.
        """
        ...


Handler = Callable[[Request, Sink], Awaitable[None]]
"""``async (request, sink) -> None``: returns when the exchange is over, raises one of our errors if it failed."""

Policy = Callable[[Handler], Handler]
"""Wraps a handler in one concern."""


class ReplyLike(Protocol):
    """As much of a reply as an error needs to know."""

    @property
    def is_finished(self) -> bool:
        """Whether the reply has ended."""
        ...
