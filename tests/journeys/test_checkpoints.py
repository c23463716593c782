"""Every public asynchronous call is a checkpoint, however little it has to wait for (Trio's rule)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import assert_checkpoints, assert_no_checkpoints

from trioreply import Request, ResponseData, ResponseHead
from trioreply.abc import Sink
from trioreply.testing import OriginResponse

from .conftest import Place


async def at_once(_request: Request, sink: Sink) -> None:
    """A scheme whose handler never waits."""
    await sink.put(ResponseHead())
    await sink.put(ResponseData(b"here"))


async def test_fetching(place: Place) -> None:
    """`Manager.fetch` is a checkpoint on a new connection and on a kept one, and for schemes that never wait."""
    async with place.origin({"/": OriginResponse(body=b"x")}) as origin, place.open_manager() as manager:
        manager.register_scheme("here", at_once)
        for url in (origin.url(), origin.url(), "data:,x", "here:x"):
            with assert_checkpoints():
                await manager.fetch(url)


async def test_a_scheme_that_was_replaced(place: Place) -> None:
    """A handler of one's own in the place of ``http:`` need not wait either."""
    async with place.open_manager() as manager:
        manager.register_scheme("http", at_once)
        with assert_checkpoints():
            assert (await manager.fetch("http://h/")).body == b"here"


async def test_a_cancelled_fetch_begins_nothing(place: Place) -> None:
    """A call that is cancelled already asks nobody for anything."""
    async with place.origin({"/": OriginResponse(body=b"x")}) as origin, place.open_manager() as manager:
        with trio.CancelScope() as scope:
            scope.cancel()
            await manager.fetch(origin.url())
        assert scope.cancelled_caught
        assert not origin.requests
        assert manager.statistics().replies_running == 0


async def test_opening_a_block(place: Place) -> None:
    """Entering a reply's block is a checkpoint; what it returns can be set up before anything else happens."""
    async with place.origin({"/": OriginResponse(body=b"x")}) as origin, place.open_manager() as manager:
        block = manager.get(origin.url())
        with assert_checkpoints():
            reply = await block.__aenter__()
        with assert_no_checkpoints():
            reply.read_buffer_size = 10
        with assert_checkpoints():
            await reply.wait_finished()
        await block.__aexit__(None, None, None)


@pytest.mark.parametrize("count", [3])
async def test_one_reaper_serves_many_requests(place: Place, count: int) -> None:
    """Requests one after another leave one task behind that looks after their connection, and not one each."""
    async with place.origin({"/": OriginResponse(body=b"x")}) as origin, place.open_manager() as manager:
        await manager.fetch(origin.url())
        task = trio.lowlevel.current_task()
        before = {child for nursery in task.child_nurseries for child in nursery.child_tasks}
        for _ in range(count):
            await manager.fetch(origin.url())
        after = {child for nursery in task.child_nurseries for child in nursery.child_tasks}
        assert after == before
