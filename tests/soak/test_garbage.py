"""Replies are freed the moment nobody holds them: nothing of an exchange waits for the garbage collector."""

from __future__ import annotations

import gc
import types
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import trio

import trioreply
from trioreply import Manager, NetworkError, ReadyRead, Reply, ReplyError
from trioreply.testing import Origin, open_origin

from .mischief import BODY, DOWNLOADS

pytestmark = pytest.mark.soak

TIMES = 1000

BEFORE: Counter[str] = Counter()
"""What other tests have made when they were collected, and keep."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only reference counts free anything meanwhile."""
    gc.collect()
    BEFORE.update(found())
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
        BEFORE.clear()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin with routes of every kind."""
    async with open_origin(DOWNLOADS) as origin:
        yield origin


Way = Callable[[Manager, str], Awaitable[object]]


async def fetch(manager: Manager, url: str) -> None:
    """`Manager.fetch`; gives no reply, so whether any is left is all that can be seen."""
    assert (await manager.fetch(url)).body == BODY


async def by_events(manager: Manager, url: str) -> weakref.ref[Reply]:
    """A block, and its events."""
    async with manager.get(url) as reply:
        async for event in reply:
            if isinstance(event, ReadyRead):
                reply.read()
        return weakref.ref(reply)


async def by_reading(manager: Manager, url: str) -> weakref.ref[Reply]:
    """A block, and a waiting method."""
    async with manager.get(url) as reply:
        assert await reply.read_all() == BODY
        return weakref.ref(reply)


async def by_chunks(manager: Manager, url: str) -> weakref.ref[Reply]:
    """A block, and an iteration."""
    async with manager.get(url) as reply:
        assert b"".join([piece async for piece in reply.chunks()]) == BODY
        return weakref.ref(reply)


async def by_stream(manager: Manager, url: str) -> weakref.ref[Reply]:
    """A block, and its stream."""
    async with manager.get(url) as reply:
        stream = reply.stream
        while await stream.receive_some():
            pass
        return weakref.ref(reply)


async def aborted(manager: Manager, url: str) -> weakref.ref[Reply]:
    """A block that aborts."""
    async with manager.get(url) as reply:
        await reply.wait_metadata()
        reply.abort()
        return weakref.ref(reply)


async def uploaded(manager: Manager, url: str) -> weakref.ref[Reply]:
    """A block with an upload."""
    async with manager.post(url, BODY) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
        return weakref.ref(reply)


WAYS: list[Way] = [fetch, by_events, by_reading, by_chunks, by_stream, aborted, uploaded]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_reply_is_freed_at_once(way: Way, origin: Origin, no_collector: None) -> None:
    """Right after use a reply is gone, and a thousand leave nothing of ours for the garbage collector."""
    async with trioreply.open_manager() as manager:
        for _ in range(TIMES):
            reply = await way(manager, origin.url("/ok"))
            if isinstance(reply, weakref.ref):
                await _until_released(manager)
                assert reply() is None
        assert ours() == Counter()


async def _until_released(manager: Manager) -> None:
    """The block's end does not wait for what is read away behind it."""
    while manager.statistics().replies_running:
        await trio.lowlevel.checkpoint()


FAILING = ["/reset", "/end-in-the-body", "/reset-in-the-body", "/early-413", "/not-there"]


@pytest.mark.parametrize("target", FAILING)
async def test_a_reply_that_failed_is_freed_at_once(target: str, origin: Origin, no_collector: None) -> None:
    """So is one that failed, as soon as its error, which names it, is gone."""
    async with trioreply.open_manager() as manager:
        for _ in range(TIMES // 5):
            reply = await _failed(manager, origin.url(target))
            await _until_released(manager)
            assert reply() is None
            await _fails(manager, origin.url(target))
        assert ours() == Counter()


async def _failed(manager: Manager, url: str) -> weakref.ref[Reply]:
    async with manager.get(url) as reply:
        assert await reply.wait_finished() is not NetworkError.NO_ERROR
        return weakref.ref(reply)


async def _fails(manager: Manager, url: str) -> None:
    # Not pytest.raises, which keeps the error.
    failed = False
    try:
        await manager.fetch(url)
    except ReplyError:
        failed = True
    assert failed


def ours() -> Counter[str]:
    """How many objects of this library's own per-exchange classes are new, by name: all of them should be gone."""
    return found() - BEFORE


def found() -> Counter[str]:
    """All objects of those classes."""
    kinds = ("Reply", "Core", "ReplyState", "ReplySink", "OpenReply", "Mailbox", "Request", "Response", "Lease")
    return Counter(
        type(thing).__name__
        for thing in gc.get_objects()
        if type(thing).__name__ in kinds and type(thing).__module__.startswith("trioreply")
    )


def test_the_search_would_find_something(no_collector: None) -> None:
    """A cycle through an object of ours is found by the search."""
    request = trioreply.Request("http://host/")
    holder = types.SimpleNamespace(request=request)
    holder.itself = holder
    del request, holder
    assert ours()["Request"] == 1
