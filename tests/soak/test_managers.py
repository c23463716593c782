"""Managers that are opened and left while things are in flight, beside each other and inside each other."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import pytest
import trio

import trioreply
from trioreply import Limits, Manager, NetworkError, Reply, ReplyError
from trioreply.testing import Origin, OriginRequest, OriginResponse, Routes, open_origin
from trioreply.testing.leaks import Snapshot

from .mischief import BODY, DOWNLOADS, UPLOADS, never
from .watching import is_at_rest, until_at_rest, watched_manager

pytestmark = pytest.mark.soak

SECONDS = 60.0
TIMES = 200
LIMITS = Limits(per_host=3, total=3)
"""So few that some of what is in flight waits in the queue."""


class OutError(Exception):
    """The way out of a manager's block that goes through an exception."""


async def stalled(request: OriginRequest) -> OriginResponse:
    """Half of a body, and then nothing."""

    async def half() -> AsyncIterator[bytes]:
        yield BODY[:1000]
        await trio.sleep_forever()

    return OriginResponse(headers=[("Content-Length", str(len(BODY)))], body=half())


ROUTES: Routes = {**DOWNLOADS, **UPLOADS, "/never": never, "/stalled": stalled}


async def _download(manager: Manager, origin: Origin, rng: random.Random) -> None:
    async with manager.get(origin.url(rng.choice(list(ROUTES)))) as reply:
        await reply.read_all()


async def _upload(manager: Manager, origin: Origin, rng: random.Random) -> None:
    async with manager.put(origin.url(rng.choice(list(UPLOADS))), bytes(1_000_000)) as reply:
        await reply.wait_finished()


async def _leave_an_upload(manager: Manager, origin: Origin, rng: random.Random) -> None:
    async with manager.put(origin.url("/slowly-measured"), bytes(200_000)):
        await trio.lowlevel.checkpoint()


async def _fetch(manager: Manager, origin: Origin, rng: random.Random) -> None:
    await manager.fetch(origin.url(rng.choice(list(ROUTES))))


async def _preconnect(manager: Manager, origin: Origin, rng: random.Random) -> None:
    await manager.preconnect(origin.url())


async def _clear(manager: Manager, origin: Origin, rng: random.Random) -> None:
    for _ in range(rng.randrange(10)):
        await trio.lowlevel.checkpoint()
    manager.clear_connections()


async def _observe(manager: Manager, origin: Origin, rng: random.Random) -> None:
    async with manager.observe() as events:
        async for _ in events:
            pass


THINGS = [_download, _download, _upload, _leave_an_upload, _fetch, _fetch, _preconnect, _clear, _observe]


async def leave_with_things_in_flight(origin: Origin, rng: random.Random) -> Manager:
    """Open a manager, start a dozen things, and leave it after a moment in one of three ways."""
    way = rng.choice(["normally", "by an exception", "cancelled"])

    async def try_to(manager: Manager, number: int) -> None:
        with suppress(ReplyError, trio.ClosedResourceError):
            await rng.choice(THINGS)(manager, origin, random.Random(rng.random()))

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as outside:
            with suppress(OutError):
                async with trioreply.open_manager(limits=LIMITS, detached_timeout=0.2) as manager:
                    for number in range(12):
                        outside.start_soon(try_to, manager, number)  # noqa: ASYNC111 - it outlives the manager on purpose
                    for _ in range(rng.randrange(60)):
                        await trio.lowlevel.checkpoint()
                    if way == "by an exception":
                        raise OutError
                    if way == "cancelled":
                        scope.cancel()
    return manager


@pytest.mark.parametrize("seed", range(2))
async def test_managers_that_are_left_with_things_in_flight(seed: int) -> None:
    """Two hundred managers, left in every way at any moment: each holds nothing afterwards, and opens nothing."""
    before = Snapshot.take()
    rng = random.Random(seed)
    async with open_origin(ROUTES) as origin:
        for _ in range(TIMES):
            with trio.fail_after(SECONDS):
                manager = await leave_with_things_in_flight(origin, rng)
            statistics = manager.statistics()
            assert (statistics.connections, statistics.replies_running) == ({}, 0)
            with pytest.raises(trio.ClosedResourceError):
                await manager.fetch(origin.url("/ok"))
    await before.assert_nothing_new()


async def test_two_managers_side_by_side() -> None:
    """What is done with one manager, its end included, is not felt by another one with the same server."""
    before = Snapshot.take()
    async with open_origin(ROUTES) as origin, watched_manager(limits=LIMITS) as (steady, endings):
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_leave_again_and_again, origin)
                for _ in range(300):
                    assert (await steady.fetch(origin.url("/chunked"))).body == BODY
        assert is_at_rest(steady)
        assert steady.statistics().idle == 1
    endings.check(at_least=300)
    assert set(endings.errors) == {NetworkError.NO_ERROR}
    await before.assert_nothing_new()


async def _leave_again_and_again(origin: Origin) -> None:
    rng = random.Random(5)
    for _ in range(30):
        await leave_with_things_in_flight(origin, rng)


async def test_a_manager_in_a_nested_nursery() -> None:
    """A manager that a task opens inside another one's block ends with that task, by cancellation, and alone."""
    before = Snapshot.take()
    async with open_origin(ROUTES) as origin, trioreply.open_manager(limits=LIMITS) as outer:
        for moment in range(100):
            with trio.fail_after(SECONDS):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_with_a_manager_of_its_own, origin, outer)
                    for _ in range(moment):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()
            await until_at_rest(outer)
        assert (await outer.fetch(origin.url("/ok"))).body == BODY
    await before.assert_nothing_new()


async def _with_a_manager_of_its_own(origin: Origin, outer: Manager) -> None:
    async with trioreply.open_manager() as inner, trio.open_nursery() as nursery:
        for manager in (inner, outer):
            nursery.start_soon(partial(manager.fetch, raise_for_error=False), origin.url("/slow"))
            nursery.start_soon(_read_for_ever, manager, origin.url("/stalled"))


async def _read_for_ever(manager: Manager, url: str) -> None:
    async with manager.get(url) as reply:
        await reply.read_all()


async def test_replies_of_tasks_that_die() -> None:
    """A reply whose task raises ends as OPERATION_CANCELED, and its siblings go on."""
    before = Snapshot.take()
    replies: list[Reply] = []

    async def die(after: int) -> None:
        with suppress(OutError):
            async with manager.get(origin.url("/stalled")) as reply:
                replies.append(reply)
                for _ in range(after):
                    await trio.lowlevel.checkpoint()
                raise OutError

    async with open_origin(ROUTES) as origin, watched_manager(limits=LIMITS) as (manager, endings):
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                for number in range(200):
                    nursery.start_soon(die, number)
                for _ in range(50):
                    assert (await manager.fetch(origin.url("/ok"))).body == BODY
        assert is_at_rest(manager)
    endings.check(at_least=250)
    assert {reply.error for reply in replies} == {NetworkError.OPERATION_CANCELED}
    assert all(reply.is_finished and reply.read() == b"" for reply in replies)
    await before.assert_nothing_new()
