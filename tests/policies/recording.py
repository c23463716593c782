"""What policies are tested between: a sink that writes down, and handlers made of steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from trioreply import Message, Question, Request
from trioreply.abc import Handler, Sink

A = TypeVar("A")

Step = Callable[[Sink], Awaitable[object]]


class RecordingSink:
    """Takes everything; ``on_put`` and ``on_ask`` may make the handler wait."""

    def __init__(
        self,
        on_put: Callable[[Message], Awaitable[None]] | None = None,
        on_ask: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.messages: list[Message] = []
        self.questions: list[object] = []
        self._on_put = on_put
        self._on_ask = on_ask

    async def put(self, message: Message) -> None:
        """Keep the message."""
        self.messages.append(message)
        if self._on_put is not None:
            await self._on_put(message)

    async def ask(self, question: Question[A]) -> A | None:
        """Keep the question and decline it."""
        self.questions.append(question)
        if self._on_ask is not None:
            await self._on_ask()
        return None


def handler_of(*steps: Step) -> Handler:
    """A handler that does these steps."""

    async def handle(_request: Request, sink: Sink) -> None:
        for step in steps:
            await step(sink)

    return handle


def put(message: Message) -> Step:
    """The step that reports ``message``."""
    return lambda sink: sink.put(message)
