"""Putting policies around a handler, and the way of messages back up through them.

Most exchanges are *plain*: the response is a success in no content coding, sets no cookies, and nobody had to be asked
for credentials. Then the policies that look at responses have nothing to do but to pass each message on, and what that
costs is the larger part of what a small response costs. So messages have two ways up from the innermost policy: the
long one through everybody, and a short one past those who would only pass them on (`WrappedSink.is_idle`). A message is
on the short way until a head comes that is not plain; from that head on, all are on the long way.

A policy may be idle only if it has no interest in what comes before a head, and none in plain heads and what follows
them. `is_plain` has to know what makes a head interesting to any of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from .._model.exchange import Handler, Policy, Sink
from .._model.messages import Message, Question, ResponseHead

A = TypeVar("A")


def build(policies: Sequence[Policy], handler: Handler) -> Handler:
    """``handler`` inside ``policies``; the first of them is the outermost."""
    for policy in reversed(policies):
        handler = policy(handler)
    return handler


class WrappedSink:
    """A sink that passes everything on. Policies that look at messages override `put`."""

    __slots__ = ("_sink",)

    is_idle = False
    """Whether it would pass on all messages of a plain exchange, as things stand when the exchange begins."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        await self._sink.put(message)

    async def ask(self, question: Question[A]) -> A | None:
        """See `Sink.ask`."""
        return await self._sink.ask(question)


def short_way(sink: Sink) -> Sink:
    """Where the messages of a plain exchange may go that are meant for ``sink``."""
    while isinstance(sink, WrappedSink) and sink.is_idle:
        sink = sink._sink
    return sink


def is_plain(head: ResponseHead) -> bool:
    """Whether no idle policy is interested in ``head``, nor in what follows it."""
    status, headers = head.status_code, head.headers
    # 401 and 407, redirects, and what may be tried again are none of these; and a handler may say nonsense.
    if type(status) is not int or not 200 <= status < 300:
        return False
    return "Set-Cookie" not in headers and "Content-Encoding" not in headers
