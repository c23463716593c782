"""What the journeys of event streams share: a server that gives its answers in turn, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from attrs import define, field

from trioreply import Manager, RetryPolicy
from trioreply._jobs.event_stream import EventStream
from trioreply.testing import OriginRequest, OriginResponse

TYPE = (("Content-Type", "text/event-stream"),)
EXACT = RetryPolicy(4, backoff=0, on_status={429, 500, 503})
"""Waits just as long as the server says."""
BUSY = OriginResponse(503, reason="Service Unavailable")
NO_MORE = OriginResponse(204)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def stream(body: bytes) -> OriginResponse:
    """A response with these events."""
    return OriginResponse(200, TYPE, body)


def chunk(data: bytes) -> bytes:
    """A chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@define
class Answers:
    """A server that gives its answers one after the other, and the last one from then on."""

    answers: Sequence[OriginResponse]
    requests: list[OriginRequest] = field(factory=list)
    times: list[float] = field(factory=list)
    """When they came."""

    async def __call__(self, request: OriginRequest) -> OriginResponse:
        """See `OriginHandler`."""
        self.requests.append(request)
        self.times.append(trio.current_time())
        return self.answers[min(len(self.requests), len(self.answers)) - 1]

    @property
    def ids(self) -> list[str | None]:
        """The Last-Event-ID of each request."""
        return [request.header("Last-Event-ID") for request in self.requests]


async def all_data(events: EventStream) -> list[str]:
    """The data of all events."""
    return [event.data async for event in events]


def at_rest(manager: Manager) -> bool:
    """Whether no connection is in use, and nobody waits for one."""
    statistics = manager.statistics()
    return (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)
