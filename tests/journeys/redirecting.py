"""Servers that redirect, and what their clients look at."""

from __future__ import annotations

from collections.abc import AsyncIterator

from trioreply import (
    Event,
    Manager,
    Redirected,
    RedirectPolicy,
    Reply,
)
from trioreply.testing import (
    Origin,
    OriginRequest,
    OriginResponse,
    Routes,
    Send,
)

VERIFIED = RedirectPolicy.USER_VERIFIED
MANUAL = RedirectPolicy.MANUAL
MOVED = b"moved"
TARGET = OriginResponse(body=b"target")
ARRIVED = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntarget")
END = "R D(6,6) F(NO_ERROR)"

Fields = tuple[tuple[str, str], ...]


def moved(location: str, status: int = 302, *, body: bytes = MOVED, more: Fields = ()) -> OriginResponse:
    """A redirect."""
    return OriginResponse(status, (("Location", location), *more), body)


def on_the_wire(status: int, location: str, *more: bytes, length: int = 0) -> bytes:
    """The head of a redirect, as bytes."""
    fields = [b"HTTP/1.1 %d Elsewhere" % status, b"Location: " + location.encode(), b"Content-Length: %d" % length]
    return b"\r\n".join([*fields, *more, b"", b""])


def to_target(status: int = 302) -> Routes:
    """A page that redirects to another, which both read their request first."""

    async def start(request: OriginRequest) -> OriginResponse:
        await request.read()
        return moved("/target", status)

    async def target(request: OriginRequest) -> OriginResponse:
        await request.read()
        return TARGET

    return {"/": start, "/target": target}


def at_rest(manager: Manager) -> bool:
    """Whether no connection is in use, and nobody waits for one."""
    statistics = manager.statistics()
    return (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)


def visited(origin: Origin) -> list[str]:
    """What was asked for, in order."""
    return [request.target for request in origin.requests]


async def allowing(reply: Reply) -> AsyncIterator[Event]:
    """The events of ``reply``; redirects that are asked about are allowed."""
    async for event in reply:
        if isinstance(event, Redirected) and event._question is not None:
            event.allow()
        yield event
