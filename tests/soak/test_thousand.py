"""A thousand replies at once: all succeed, and the pool's limits and its queue's order hold at every moment."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from itertools import cycle

import pytest
import trio

import trioreply
from trioreply import Limits, Manager, ManagerStatistics, NetworkError, Priority, Reply
from trioreply.testing import MemoryNetwork, OriginRequest, OriginResponse, open_origin

from .watching import is_at_rest, watched_manager

pytestmark = pytest.mark.soak

REPLIES = 1000
SECONDS = 60.0
LIMITS = Limits(per_host=6, total=20)


class LimitWatch(trio.abc.Instrument):
    """Looks at a manager after every step of every task."""

    def __init__(self, manager: Manager, limits: Limits) -> None:
        self.looks = 0
        self.most = self.most_of_one = 0
        self.broken: list[ManagerStatistics] = []
        self._manager = manager
        self._limits = limits

    def after_task_step(self, _task: trio.lowlevel.Task) -> None:
        """Whatever the step has done, it must not have broken a limit."""
        statistics = self._manager.statistics()
        connections = [counts.connections for counts in statistics.connections.values()]
        self.looks += 1
        self.most = max(self.most, sum(connections))
        self.most_of_one = max(self.most_of_one, *connections, 0)
        too_many = self.most_of_one > self._limits.per_host or self.most > self._limits.total
        if too_many or statistics.idle > self._limits.max_idle:
            self.broken.append(statistics)


async def answer(request: OriginRequest) -> OriginResponse:
    """The request's own path, after a while."""
    for _ in range(len(request.path) % 5):
        await trio.lowlevel.checkpoint()
    return OriginResponse(body=request.path.encode("ascii"))


async def test_limits_hold_at_every_moment() -> None:
    """A thousand requests to eight hosts, half of them to one, succeed within 6 connections a host and 20 in all."""
    async with MemoryNetwork() as network, AsyncExitStack() as servers:
        origins = [
            await servers.enter_async_context(open_origin(answer, network=network, host=f"host{number}.test"))
            for number in range(8)
        ]
        async with watched_manager(resolver=network, dialer=network, limits=LIMITS) as (manager, endings):
            watch = LimitWatch(manager, LIMITS)
            trio.lowlevel.add_instrument(watch)
            with trio.fail_after(SECONDS):
                async with trio.open_nursery() as nursery:
                    for number in range(REPLIES):
                        nursery.start_soon(_get, manager, origins[min(number % 16, 7)].url(f"/{number}"), number)
            trio.lowlevel.remove_instrument(watch)
            assert is_at_rest(manager)
    endings.check(at_least=REPLIES)
    assert endings.errors == {NetworkError.NO_ERROR: REPLIES}
    assert watch.broken == []
    assert (watch.most_of_one, watch.most) == (LIMITS.per_host, LIMITS.total)
    assert watch.looks > REPLIES


async def _get(manager: Manager, url: str, number: int) -> None:
    if number % 2:
        assert (await manager.fetch(url)).body == b"/%d" % number
        return
    async with manager.get(url) as reply:
        assert await reply.read_all() == b"/%d" % number


async def test_the_queue_is_served_by_priority() -> None:
    """A thousand replies wait for one connection: HIGH before NORMAL before LOW, each in the order of opening."""
    release = trio.Event()

    async def hold(request: OriginRequest) -> OriginResponse:
        await release.wait()
        return OriginResponse()

    limits = Limits(per_host=1)
    async with MemoryNetwork() as network, open_origin(hold, network=network) as origin:
        async with trioreply.open_manager(resolver=network, dialer=network, limits=limits) as manager:
            async with AsyncExitStack() as replies:
                opened: list[tuple[Priority, Reply]] = []
                for number, priority in zip(range(REPLIES), cycle([Priority.LOW, Priority.HIGH, Priority.NORMAL])):
                    reply = await replies.enter_async_context(manager.get(origin.url(f"/{number}"), priority=priority))
                    opened.append((priority, reply))
                await trio.testing.wait_all_tasks_blocked()
                assert manager.statistics().queued == REPLIES - 1
                release.set()
                with trio.fail_after(SECONDS):
                    for _, reply in opened:
                        assert await reply.wait_finished() is NetworkError.NO_ERROR
    first, *rest = opened
    expected = [first, *sorted(rest, key=lambda item: item[0])]  # which keeps the order within a priority
    assert [request.path for request in origin.requests] == [reply.url.path for _, reply in expected]


async def test_those_who_give_up_make_room() -> None:
    """Of a thousand in the queue every second one is cancelled: the others are served, and no slot is lost."""
    release = trio.Event()

    async def hold(request: OriginRequest) -> OriginResponse:
        await release.wait()
        return OriginResponse(body=b"served")

    served: list[int] = []

    async def fetch(number: int, scope: trio.CancelScope) -> None:
        with scope:
            assert (await manager.fetch(origin.url())).body == b"served"
            served.append(number)

    async with MemoryNetwork() as network, open_origin(hold, network=network) as origin:
        async with trioreply.open_manager(resolver=network, dialer=network, limits=LIMITS) as manager:
            scopes = [trio.CancelScope() for _ in range(REPLIES)]
            with trio.fail_after(SECONDS):
                async with trio.open_nursery() as nursery:
                    for number, scope in enumerate(scopes):
                        nursery.start_soon(partial(fetch, number, scope))
                    await trio.testing.wait_all_tasks_blocked()
                    assert manager.statistics().queued == REPLIES - 6
                    for scope in scopes[::2]:
                        scope.cancel()
                    release.set()
            assert is_at_rest(manager)
            assert manager.statistics().idle <= 6
    assert sorted(served) == list(range(1, REPLIES, 2))
