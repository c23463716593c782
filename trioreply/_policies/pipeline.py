"""Putting policies around a handler, and the sink wrapper they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from .._model.exchange import Handler, Policy, Sink
from .._model.messages import Message, Question

A = TypeVar("A")


def build(policies: Sequence[Policy], handler: Handler) -> Handler:
    """``handler`` inside ``policies``; the first of them is the outermost."""
    for policy in reversed(policies):
        handler = policy(handler)
    return handler


class WrappedSink:
    """A sink that passes everything on. Policies that look at messages override `put`."""

    __slots__ = ("_sink",)

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        await self._sink.put(message)

    async def ask(self, question: Question[A]) -> A | None:
        """See `Sink.ask`."""
        return await self._sink.ask(question)
