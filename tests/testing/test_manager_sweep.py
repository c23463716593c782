"""The ready-made environment, with a real manager: it passes good code, and catches bad code."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
import trio.testing
from attrs import frozen

import trioreply
from trioreply.testing import ManagerSweep, MemoryNetwork, OriginRequest, OriginResponse, Routes, sweep_environment
from trioreply.testing.manager_sweep import SweptStatistics

from .tls_clients import AUTHORITY, SERVER_TLS

Sweep = ManagerSweep[trioreply.Manager]
Scenario = Callable[[Sweep], Awaitable[None]]

BODY = b"x" * 100_000


async def download(env: Sweep) -> None:
    """A GET, as an application does it."""
    async with env.manager.get(env.url("/")) as reply:
        assert await reply.read_all() == BODY


async def answer(request: OriginRequest) -> OriginResponse:
    """Serve the body, or take one."""
    return OriginResponse(body=BODY if request.method == "GET" else await request.read())


def sweep_of(scenario: Scenario, *, owns_manager: bool = False, loopback: bool = False) -> Callable[[], Sweep]:
    """A maker of environments for ``scenario``."""

    def make() -> Sweep:
        return ManagerSweep(
            trioreply.open_manager, scenario, routes=answer, owns_manager=owns_manager, loopback=loopback
        )

    return make


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("owns_manager", [False, True])
async def test_a_download_may_be_cancelled_anywhere(owns_manager: bool, loopback: bool) -> None:
    """A download passes the sweep, in a manager that lives on and in one that goes down, in memory and over sockets."""
    steps = await sweep_environment(sweep_of(download, owns_manager=owns_manager, loopback=loopback))
    assert steps > 10


@pytest.mark.parametrize("loopback", [False, True])
async def test_the_origin_can_be_over_tls(loopback: bool) -> None:
    """With TLS the origin's URL is https, and for a manager that trusts it the sweep is the same."""

    async def scenario(env: Sweep) -> None:
        async with env.manager.get(env.url("/")) as reply:
            assert await reply.read_all() == b"small"

    routes: Routes = {"/": OriginResponse(body=b"small")}

    def make() -> Sweep:
        open_manager = functools.partial(trioreply.open_manager, ssl=AUTHORITY.trust())
        return ManagerSweep(open_manager, scenario, routes=routes, loopback=loopback, tls=SERVER_TLS)

    async with make() as env:
        assert env.url().startswith("https://")
    assert await sweep_environment(make) > 10


async def test_routes_may_be_a_mapping() -> None:
    """Routes are paths with handlers or with fixed responses, as an origin's; others are a 404."""

    async def scenario(env: Sweep) -> None:
        for path, body in (("/fixed", b"fixed"), ("/handled", BODY), ("/other", b"")):
            response = await env.manager.fetch(env.url(path), raise_for_error=False)
            assert response.body == body

    routes: Routes = {"/fixed": OriginResponse(body=b"fixed"), "/handled": answer}
    async with ManagerSweep(trioreply.open_manager, scenario, routes=routes) as env:
        await env.scenario()
        await env.verify()
        await trio.testing.wait_all_tasks_blocked()  # the observer reads in a task of its own
        assert len(env.transcripts) == 4


async def test_over_loopback_there_is_no_network() -> None:
    """Asking for the network of an environment over sockets is a mistake, and says so."""
    async with ManagerSweep(trioreply.open_manager, download, loopback=True) as env:
        with pytest.raises(RuntimeError, match="loopback"):
            env.network.drop()
        assert env.transcripts == []


async def never() -> AsyncIterator[bytes]:
    """A body that does not come."""
    await trio.Event().wait()
    yield b""


async def test_catches_a_reply_that_is_left_open(autojump_clock: trio.testing.MockClock) -> None:
    """A reply that another task keeps open is noticed by the manager's statistics."""
    async with trio.open_nursery() as outer:

        async def hold(env: Sweep) -> None:
            async with env.manager.post(env.url("/"), never()):
                await trio.sleep_forever()

        async def scenario(env: Sweep) -> None:
            outer.start_soon(hold, env)
            await trio.testing.wait_all_tasks_blocked()

        with pytest.raises(AssertionError, match="after 10"):
            await sweep_environment(sweep_of(scenario))
        outer.cancel_scope.cancel()


async def test_catches_a_manager_that_does_not_work_any_more() -> None:
    """If nothing can be fetched after a scenario, the error of the attempt comes out."""

    async def scenario(env: Sweep) -> None:
        env.network.host("origin.test").refuse = True
        await trio.lowlevel.checkpoint()

    with pytest.raises(ConnectionRefusedError) as caught:
        await sweep_environment(sweep_of(scenario))
    assert caught.value.__notes__ == ["cancellation sweep: the scenario was not cancelled"]


async def test_weather_is_cleared_before_the_manager_is_tried() -> None:
    """A scenario may leave the network stalled: that is not the manager's fault."""

    async def scenario(env: Sweep) -> None:
        env.network.stall = env.network.one_byte_at_a_time = True
        await trio.lowlevel.checkpoint()

    assert await sweep_environment(sweep_of(scenario)) == 1


async def test_catches_a_stream_outside_of_the_manager() -> None:
    """A stream that somebody opened on the network and did not close is noticed when the manager has gone."""

    async def scenario(env: Sweep) -> None:
        (address,) = env.network.host("origin.test").addresses
        await env.network.dial(address, 80)

    with pytest.raises(AssertionError, match="streams were left open"):
        await sweep_environment(sweep_of(scenario))


@frozen
class Fault:
    """What a faulty manager does wrong."""

    finishes_again: bool = False
    observes_for_ever: bool = False
    leases: int = 0
    status_code: int = 200


@frozen
class Held:
    """Statistics of a manager that holds something."""

    leases: int
    queued: int = 0
    replies_running: int = 0


class Faulty:
    """A manager's wrapper that does something wrong."""

    def __init__(self, manager: trioreply.Manager, fault: Fault) -> None:
        self._manager = manager
        self._fault = fault

    def statistics(self) -> SweptStatistics:
        """The true ones, or such as tell of a lease."""
        return Held(self._fault.leases) if self._fault.leases else self._manager.statistics()

    @contextlib.asynccontextmanager
    async def observe(self) -> AsyncIterator[AsyncIterator[tuple[object, object]]]:
        """The true events, and perhaps a second Finished."""
        async with self._manager.observe() as events:
            yield self._faulty(events)

    async def _faulty(
        self, events: trio.abc.ReceiveChannel[tuple[trioreply.Reply, trioreply.Event]]
    ) -> AsyncIterator[tuple[object, object]]:
        async for reply, event in events:
            yield reply, event
            if isinstance(event, trioreply.Finished) and self._fault.finishes_again:
                yield reply, event
        if self._fault.observes_for_ever:
            await trio.sleep_forever()

    async def fetch(self, url: str, /) -> OriginResponse:
        """Some other response than the true one."""
        await self._manager.fetch(url)
        return OriginResponse(self._fault.status_code)


def sweep_of_faulty(fault: Fault, *, owns_manager: bool = False) -> Callable[[], ManagerSweep[Faulty]]:
    """A maker of environments with a faulty manager and nothing to do."""

    @contextlib.asynccontextmanager
    async def open_faulty(*, resolver: MemoryNetwork, dialer: MemoryNetwork) -> AsyncIterator[Faulty]:
        async with trioreply.open_manager(resolver=resolver, dialer=dialer) as manager:
            yield Faulty(manager, fault)

    return lambda: ManagerSweep(open_faulty, nothing, owns_manager=owns_manager)


async def nothing(_env: ManagerSweep[Faulty]) -> None:
    """A scenario without anything in it."""


async def test_catches_replies_that_finish_twice() -> None:
    """Each reply must finish exactly once."""
    with pytest.raises(AssertionError, match="must finish once"):
        await sweep_environment(sweep_of_faulty(Fault(finishes_again=True)))


async def test_catches_a_wrong_status() -> None:
    """The GET afterwards must succeed."""
    with pytest.raises(AssertionError, match="gave the status 503"):
        await sweep_environment(sweep_of_faulty(Fault(status_code=503)))


async def test_catches_an_observation_without_an_end(autojump_clock: trio.testing.MockClock) -> None:
    """What observes a manager must come to its end with it."""
    with pytest.raises(AssertionError, match="an observation that has not ended"):
        await sweep_environment(sweep_of_faulty(Fault(observes_for_ever=True), owns_manager=True))


async def test_catches_a_lease_that_is_held(autojump_clock: trio.testing.MockClock) -> None:
    """Connections must be given back even when all replies have finished."""
    with pytest.raises(AssertionError, match="something held: Held"):
        await sweep_environment(sweep_of_faulty(Fault(leases=1)))
