"""Limits that a request brings along: how many connections its origin may have, and how long its own is kept."""

from __future__ import annotations

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from trioreply._model.limits import Limits
from trioreply._model.messages import Message
from trioreply._model.options import Priority
from trioreply._model.tls import TlsInfo
from trioreply._net.connection import Origin
from trioreply._net.pool import REAP_SECONDS, Pool
from trioreply._net.slots import SlotCounts, Slots, Ticket, TicketState

NORMAL = Priority.NORMAL
WAITING, CONNECTING = TicketState.WAITING, TicketState.CONNECTING


class Bench:
    """Slots under test, and what they closed."""

    def __init__(self, *, per_host: int = 2, total: int = 100, max_idle: int = 20) -> None:
        self.closed: list[str] = []
        limits = Limits(per_host=per_host, total=total, max_idle=max_idle, idle_expiry=100)
        self.slots: Slots[str, str] = Slots(limits, is_dead=lambda _wire: False, close=self.closed.append)

    def ask(self, key: str, limits: Limits | None = None) -> Ticket[str, str]:
        """Ask for a connection."""
        return self.slots.ask(key, NORMAL, limits)

    def states(self, key: str, limits: list[Limits | None]) -> list[TicketState]:
        """What becomes of requests that come one after the other with these limits."""
        return [ticket.state for ticket in [self.ask(key, each) for each in limits]]

    def leave(self, wire: str, now: float, idle_expiry: float | None = None) -> None:
        """A request that leaves ``wire`` behind at ``now``."""
        ticket = self.ask(wire, None if idle_expiry is None else Limits(idle_expiry=idle_expiry))
        if ticket.state is CONNECTING:
            self.slots.attach(ticket, wire)
        self.slots.give_back(ticket, now, reusable=True)


def test_first_request_decides_per_host() -> None:
    """How many connections an origin may have is what its first request says, whatever later ones say."""
    assert Bench().states("a", [Limits(per_host=1), None, Limits(per_host=9)]) == [CONNECTING, WAITING, WAITING]
    assert Bench().states("a", [Limits(per_host=3), *[None] * 3]) == [CONNECTING] * 3 + [WAITING]
    assert Bench().states("a", [None, Limits(per_host=3), None]) == [CONNECTING] * 2 + [WAITING]


def test_origins_decide_for_themselves() -> None:
    """An origin's own limit does not concern another one."""
    bench = Bench()
    bench.ask("a", Limits(per_host=1))
    assert bench.states("b", [None] * 3) == [CONNECTING] * 2 + [WAITING]


def test_total_stays_the_managers() -> None:
    """A request cannot raise the limits that all origins share."""
    generous = Limits(per_host=9, total=9, max_idle=9)
    bench = Bench(total=2, max_idle=1)
    assert bench.states("a", [generous] * 3) == [CONNECTING, CONNECTING, WAITING]
    bench = Bench(max_idle=1)
    for wire in "abc":
        bench.leave(wire, 0, idle_expiry=50)
    assert bench.closed == ["a", "b"]


def test_limit_holds_until_the_books_are_forgotten() -> None:
    """While an origin has a connection, even an idle one, its limit stays; then the next request decides anew."""
    bench = Bench()
    first = bench.ask("a", Limits(per_host=1))
    bench.slots.attach(first, "wire")
    bench.slots.give_back(first, 0, reusable=True)
    second, waiting = bench.ask("a"), bench.ask("a")
    assert waiting.state is WAITING
    assert not bench.slots.put_idle("a", "more", 0)
    bench.slots.abandon(waiting)
    bench.slots.abandon(second)
    assert bench.slots.statistics().origins == {}
    assert bench.states("a", [None] * 3) == [CONNECTING] * 2 + [WAITING]


def test_freed_slot_of_an_origin_with_its_own_limit() -> None:
    """Who waits for an origin with a limit of its own is served when that has room, and only then."""
    bench = Bench(total=2)
    only = bench.ask("a", Limits(per_host=1))
    waiting, other = bench.ask("a"), bench.ask("b")
    bench.slots.abandon(other)
    assert waiting.state is WAITING, "there is room in the pool, but not for this origin"
    bench.slots.abandon(only)
    assert waiting.state is CONNECTING


def test_gauge_tells_the_limit_that_counts() -> None:
    """``repr`` shows each origin's own limit, and what its requests wait for."""
    bench = Bench()
    bench.states("a", [Limits(per_host=1), None])
    assert repr(bench.slots).endswith("a 1/1: 1 connecting, 1 queued for its own slots>")


def test_own_expiries() -> None:
    """Each connection is kept as long as the request that left it said; the order they came in does not matter."""
    bench = Bench()
    for wire, now, idle_expiry in (("long", 0, 500), ("usual", 1, None), ("short", 2, 10), ("same", 3, 100)):
        bench.leave(wire, now, idle_expiry)
    seen = []
    for now in (11, 12, 100, 101, 102, 103, 499, 500):
        seen.append((bench.slots.next_expiry(), now, list(bench.closed)))
        bench.slots.expire(now)
    assert seen == [
        (12, 11, []),
        (12, 12, []),
        (101, 100, ["short"]),
        (101, 101, ["short"]),
        (103, 102, ["short", "usual"]),
        (103, 103, ["short", "usual"]),
        (500, 499, ["short", "usual", "same"]),
        (500, 500, ["short", "usual", "same"]),
    ]
    assert (bench.closed[-1], bench.slots.next_expiry()) == ("long", None)


def test_the_last_request_decides_about_the_expiry() -> None:
    """A connection that is used again is kept for as long as the request says that used it last."""
    bench = Bench()
    bench.leave("a", 0, idle_expiry=10)
    bench.leave("a", 5)
    assert bench.slots.next_expiry() == 105
    bench.leave("a", 6, idle_expiry=10)
    assert (bench.slots.next_expiry(), bench.closed) == (16, [])
    bench.slots.discard_all_idle()
    bench.leave("b", 7)
    assert bench.slots.next_expiry() == 107


@define(eq=False)
class Wire:
    """A connection that stays usable until it is closed, and knows when that was."""

    tls: TlsInfo | None = None
    is_reusable: bool = True
    closed: float | None = None

    def is_dead(self) -> bool:
        """Nobody closes it but us."""
        return False

    def close_nowait(self) -> None:
        """Note the time."""
        self.closed = trio.current_time()


class Silence:
    """A sink for messages that nobody wants."""

    async def put(self, message: Message) -> None:
        """Let it go."""


async def leave_behind(pool: Pool, host: str, limits: Limits | None = None) -> Wire:
    """A request that leaves a connection behind."""
    async with pool.lease(Origin("http", host, 80), NORMAL, Silence(), limits=limits) as lease:
        wire = Wire()
        lease.attach(wire)
    return wire


async def test_pool_closes_at_each_connections_own_time(autojump_clock: MockClock) -> None:
    """A connection with a short time is closed when that is over, though the reaper had meant to sleep longer."""
    async with trio.open_nursery() as nursery:
        pool = Pool(Limits(idle_expiry=30), spawn=nursery.start_soon)
        usual = await leave_behind(pool, "a")
        await trio.sleep(1)
        short = await leave_behind(pool, "b", Limits(idle_expiry=0.5))
        assert short.closed is None
        await trio.sleep(0.1)
        long = await leave_behind(pool, "c", Limits(idle_expiry=60))
        longer_than_a_round = await leave_behind(pool, "d", Limits(idle_expiry=REAP_SECONDS + 0.5))
        assert pool.statistics().total == SlotCounts(idle=4)
    assert [wire.closed for wire in (short, longer_than_a_round, usual, long)] == pytest.approx([1.5, 6.6, 30, 61.1])


async def test_pool_limits_an_origin_as_its_first_request_says(autojump_clock: MockClock) -> None:
    """A lease with a limit of its own makes the next one to its origin wait."""
    async with trio.open_nursery() as nursery:
        pool = Pool(Limits(), spawn=nursery.start_soon)
        origin = Origin("http", "a", 80)
        async with pool.lease(origin, NORMAL, Silence(), limits=Limits(per_host=1)):
            with trio.move_on_after(10) as scope:
                async with pool.lease(origin, NORMAL, Silence()):
                    pass
            assert scope.cancelled_caught
