"""Nothing of a request is left to the garbage collector, which would stop everybody to look for it."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import pytest
import trio

from trioreply import Manager
from trioreply.errors import ReplyError
from trioreply.testing import OriginResponse

from .conftest import Place

ROUNDS = 5

Use = Callable[[Manager, str], Awaitable[None]]


async def fetched(manager: Manager, url: str) -> None:
    """In one call."""
    await manager.fetch(url)


async def read(manager: Manager, url: str) -> None:
    """In a block, as a whole."""
    async with manager.get(url) as reply:
        await reply.read_all()


async def watched(manager: Manager, url: str) -> None:
    """In a block, event by event."""
    async with manager.get(url) as reply:
        async for _ in reply:
            reply.read()


async def left(manager: Manager, url: str) -> None:
    """Left when the head is there, so that the rest is read away behind."""
    async with manager.get(url) as reply:
        await reply.wait_metadata()


async def aborted(manager: Manager, url: str) -> None:
    """Stopped before anything came."""
    async with manager.get(url) as reply:
        reply.abort()


async def refused(manager: Manager, url: str) -> None:
    """Failed, with an error that is raised."""
    with pytest.raises(ReplyError):
        await manager.fetch(url, max_size=1)


async def sent(manager: Manager, url: str) -> None:
    """With a body."""
    async with manager.post(url, b"data") as reply:
        await reply.read_all()


@pytest.mark.parametrize("use", [fetched, read, watched, left, aborted, refused, sent])
async def test_nothing_is_left_to_collect(place: Place, use: Use) -> None:
    """While the collector is off, request after request leaves nothing that only it could free."""
    async with place.origin({"/": OriginResponse(body=b"content")}) as origin, place.open_manager() as manager:
        await use(manager, origin.url())  # the first one loads modules, and makes what is kept
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        try:
            for _ in range(ROUNDS):
                await use(manager, origin.url())
            await trio.testing.wait_all_tasks_blocked()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            ours = [
                type(found).__qualname__ for found in gc.garbage if type(found).__module__.startswith("trioreply._")
            ]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert ours == []
