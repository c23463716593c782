"""The pool's bookkeeping: each rule by itself."""

from __future__ import annotations

import pytest
from attrs import define

from trioreply._model.limits import Limits
from trioreply._model.options import Priority
from trioreply._net.slots import SlotCounts, Slots, Ticket, TicketState

HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW
WAITING, CONNECTING, ACTIVE, GONE = TicketState


@define(eq=False)
class Wire:
    """A connection as far as slots know one: it may be dead."""

    name: str = ""
    dead: bool = False


Claim = Ticket[str, Wire]


class Bench:
    """Slots under test, what they closed, and whom they granted after a wait, in order."""

    def __init__(self, *, per_host: int = 6, total: int = 100, idle_expiry: float = 120, max_idle: int = 20) -> None:
        limits = Limits(per_host=per_host, total=total, idle_expiry=idle_expiry, max_idle=max_idle)
        self.closed: list[Wire] = []
        self.granted: list[Claim] = []
        self.slots: Slots[str, Wire] = Slots(limits, is_dead=lambda wire: wire.dead, close=self.closed.append)

    def ask(self, key: str, priority: Priority = NORMAL) -> Claim:
        """Ask, and note it when a wait ends."""
        ticket = self.slots.ask(key, priority)
        ticket.on_grant = lambda: self.granted.append(ticket)
        return ticket

    def use(self, key: str, count: int) -> list[Claim]:
        """``count`` tickets for ``key`` with a new connection each."""
        tickets = [self.ask(key) for _ in range(count)]
        for ticket in tickets:
            self.slots.attach(ticket, Wire(key))
        return tickets

    def keep(self, key: str, now: float = 0) -> Wire:
        """An idle connection."""
        wire = Wire(key)
        assert self.slots.put_idle(key, wire, now)
        return wire

    def finish(self, ticket: Claim, *, reusable: bool = True) -> None:
        """Dial if that is still to be done, then give back."""
        if ticket.connection is None:
            self.slots.attach(ticket, Wire(ticket.key))
        self.slots.give_back(ticket, 0, reusable=reusable)

    def counts(self, key: str) -> SlotCounts:
        """The statistics of one origin."""
        return self.slots.statistics().origins.get(key, SlotCounts())


def states(*tickets: Claim) -> list[TicketState]:
    """The tickets' states."""
    return [ticket.state for ticket in tickets]


# A ticket's life


def test_first_request_dials() -> None:
    """A request for an origin without connections is granted a new one at once, without the callback."""
    bench = Bench()
    ticket = bench.ask("a")
    assert (ticket.state, ticket.connection, ticket.key, bench.granted) == (CONNECTING, None, "a", [])


def test_attached_connection_is_kept_and_used_again() -> None:
    """A connection that was given back as reusable serves the next request of its origin."""
    bench = Bench()
    (ticket,) = bench.use("a", 1)
    wire = ticket.connection
    bench.finish(ticket)
    assert (ticket.state, ticket.connection, bench.counts("a")) == (GONE, None, SlotCounts(idle=1))
    again = bench.ask("a")
    assert (again.state, again.connection, bench.closed) == (ACTIVE, wire, [])


def test_connection_that_is_not_reusable_is_closed() -> None:
    """A connection that cannot be used again is closed, and its slot is free."""
    bench = Bench()
    (ticket,) = bench.use("a", 1)
    bench.finish(ticket, reusable=False)
    assert [wire.name for wire in bench.closed] == ["a"]
    assert bench.slots.statistics().origins == {}


@pytest.mark.parametrize("state", list(TicketState))
def test_attach_and_give_back_need_their_state(state: TicketState) -> None:
    """What does not fit a ticket's state is refused by a RuntimeError that names both, and changes nothing."""
    bench = Bench(per_host=1)
    ticket = bench.ask("a")
    if state is WAITING:
        ticket = bench.ask("a")
    if state is ACTIVE:
        bench.slots.attach(ticket, Wire())
    if state is GONE:
        bench.slots.abandon(ticket)
    before = bench.slots.statistics()
    if state is not CONNECTING:
        with pytest.raises(RuntimeError, match=f"is {state.value}, not connecting"):
            bench.slots.attach(ticket, Wire())
    if state is not ACTIVE:
        with pytest.raises(RuntimeError, match=f"is {state.value}, not active"):
            bench.slots.give_back(ticket, 0, reusable=True)
    assert (ticket.state, bench.slots.statistics()) == (state, before)


def test_abandoned_while_waiting() -> None:
    """A waiting ticket that is abandoned is never granted; those behind it move up."""
    bench = Bench(per_host=1)
    (user,) = bench.use("a", 1)
    first, second = bench.ask("a"), bench.ask("a")
    bench.slots.abandon(first)
    bench.finish(user)
    assert states(first, second) == [GONE, ACTIVE]
    assert bench.granted == [second]


def test_abandoned_last_waiter_of_an_unused_origin_leaves_no_trace() -> None:
    """An origin of which nothing is left but an abandoned wait is forgotten, and takes no turn."""
    bench = Bench(total=1)
    (user,) = bench.use("a", 1)
    bench.slots.abandon(bench.ask("b"))
    assert list(bench.slots.statistics().origins) == ["a"]
    bench.finish(user)
    assert bench.granted == []


def test_abandoned_while_connecting() -> None:
    """A ticket that is abandoned while dialling frees its slot for the next; nothing is there to be closed."""
    bench = Bench(per_host=1)
    dialling, waiting = bench.ask("a"), bench.ask("a")
    bench.slots.abandon(dialling)
    assert states(dialling, waiting) == [GONE, CONNECTING]
    assert (bench.granted, bench.closed) == ([waiting], [])


def test_abandoned_while_active() -> None:
    """A ticket that is abandoned in use has its connection closed before its slot goes to the next."""
    bench = Bench(per_host=1)
    (user,) = bench.use("a", 1)
    wire, waiting = user.connection, bench.ask("a")
    closed_at_grant: list[list[Wire]] = []
    waiting.on_grant = lambda: closed_at_grant.append(list(bench.closed))
    bench.slots.abandon(user)
    assert (states(user, waiting), closed_at_grant) == ([GONE, CONNECTING], [[wire]])


def test_abandoned_after_an_unnoticed_grant() -> None:
    """A ticket that was granted while its task was being cancelled passes the slot on."""
    bench = Bench(per_host=1)
    (user,) = bench.use("a", 1)
    first, second = bench.ask("a"), bench.ask("a")
    bench.finish(user, reusable=False)
    bench.slots.abandon(first)
    assert states(first, second) == [GONE, CONNECTING]
    assert bench.granted == [first, second]


def test_abandon_is_idempotent() -> None:
    """Abandoning a ticket that has ended does nothing, so that it can stand in every ``finally``."""
    bench = Bench()
    (ticket,) = bench.use("a", 1)
    bench.finish(ticket)
    bench.slots.abandon(ticket)
    bench.slots.abandon(ticket)
    assert (bench.counts("a"), bench.closed) == (SlotCounts(idle=1), [])


def test_callback_may_use_the_slots() -> None:
    """The books are in order when a grant is announced: the callback may abandon the ticket it is about."""
    bench = Bench(per_host=1)
    (user,) = bench.use("a", 1)
    first, second = bench.ask("a"), bench.ask("a")
    first.on_grant = lambda: bench.slots.abandon(first)
    bench.finish(user)
    assert states(first, second) == [GONE, CONNECTING]
    assert bench.counts("a") == SlotCounts(connecting=1)


# Limits and order


def serve(bench: Bench, current: list[Claim], *, rounds: int, reusable: bool) -> list[str]:
    """Finish the oldest ticket in use, ``rounds`` times, and give the origins that were granted its slot."""
    for _ in range(rounds):
        bench.finish(current.pop(0), reusable=reusable)
        current.append(bench.granted[-1])
    return [ticket.key for ticket in bench.granted]


def test_requests_beyond_per_host_wait() -> None:
    """An origin never has more than ``per_host`` connections; other origins are not affected."""
    bench = Bench(per_host=2)
    assert states(*[bench.ask("a") for _ in range(3)], bench.ask("b")) == [CONNECTING, CONNECTING, WAITING, CONNECTING]


def test_requests_beyond_total_wait() -> None:
    """All origins together never have more than ``total`` connections."""
    bench = Bench(total=2)
    assert states(*[bench.ask(key) for key in "abc"]) == [CONNECTING, CONNECTING, WAITING]


def test_first_come_first_served() -> None:
    """Within one priority of one origin, requests are served in the order in which they came."""
    bench = Bench(per_host=1)
    (user,) = bench.use("a", 1)
    waiting = [bench.ask("a") for _ in range(5)]
    for ticket in [user, *waiting]:
        bench.finish(ticket)
    assert bench.granted == waiting


@pytest.mark.parametrize("reusable", [True, False])
def test_high_before_normal_before_low(reusable: bool) -> None:
    """A freed slot goes to the highest priority that waits, whoever came first and wherever it goes."""
    bench = Bench(total=1)
    (user,) = bench.use("a", 1)
    for priority in (LOW, NORMAL, HIGH):
        for key in "aab":
            bench.ask(key, priority)
    assert serve(bench, [user], rounds=9, reusable=reusable) == list("aba" * 3)
    assert [ticket.priority for ticket in bench.granted] == [HIGH] * 3 + [NORMAL] * 3 + [LOW] * 3


def test_high_of_another_origin_gets_the_slot_of_a_reusable_connection() -> None:
    """Priority goes before reuse: the connection is closed if another origin has a higher request."""
    bench = Bench(total=2)
    first, _ = bench.use("a", 2)
    wire, own, other = first.connection, bench.ask("a"), bench.ask("b", HIGH)
    bench.finish(first)
    assert (states(own, other), bench.closed) == ([WAITING, CONNECTING], [wire])


def test_origins_take_turns() -> None:
    """Freed slots go round the origins that wait, however many requests each of them has."""
    bench = Bench(total=1)
    user = bench.use("a", 1)
    for key in "aaaabbc":
        bench.ask(key)
    assert serve(bench, user, rounds=7, reusable=False) == list("abcabaa")


def test_full_origin_takes_no_turn() -> None:
    """An origin with ``per_host`` slots in use is not eligible, even if its requests came first."""
    bench = Bench(per_host=1, total=2)
    _, user = bench.use("a", 1) + bench.use("b", 1)
    own, other = bench.ask("a"), bench.ask("c")
    bench.finish(user)
    assert states(own, other) == [WAITING, CONNECTING]


def test_origin_that_has_become_full_takes_no_turn() -> None:
    """An origin leaves the turns when a grant fills it, and comes back when one of its slots is freed."""
    bench = Bench(per_host=1, total=2)
    first, second = bench.use("a", 1) + bench.use("b", 1)
    own, other = bench.ask("c"), bench.ask("c")
    bench.finish(first)
    bench.finish(second)
    assert states(own, other) == [CONNECTING, WAITING]
    bench.finish(own)
    assert states(other) == [ACTIVE]


@pytest.mark.parametrize("reusable", [True, False])
def test_busy_origin_does_not_starve_others(reusable: bool) -> None:
    """Under ``total``, origins with nothing in use are each served within as many freed slots as origins wait."""
    bench = Bench(total=3)
    users = bench.use("busy", 3)
    for key in ["busy"] * 50 + list("abcde") + ["busy"] * 50:
        bench.ask(key)
    assert set("abcde") <= set(serve(bench, users, rounds=6, reusable=reusable))


def test_busy_origins_keep_their_own_connections() -> None:
    """Origins that have equally many slots go on with their reusable connections instead of closing each other's."""
    bench = Bench(total=2)
    users = bench.use("a", 1) + bench.use("b", 1)
    for key in "aaaabbbb":
        bench.ask(key)
    assert serve(bench, users, rounds=8, reusable=True) == list("abababab")
    assert bench.closed == []


def test_origin_with_fewer_slots_gets_the_reusable_connections_slot() -> None:
    """A reusable connection is closed for an origin whose turn it is and that has fewer slots in use."""
    bench = Bench(total=3)
    users = bench.use("a", 2) + bench.use("b", 1)
    wire = users[0].connection
    for key in "ba":
        bench.ask(key)
    assert (serve(bench, users, rounds=1, reusable=True), bench.closed) == (["b"], [wire])


def test_no_origin_is_passed_over_for_a_lower_priority() -> None:
    """A reusable connection stays with its origin only for a request of the priority whose turn it is."""
    bench = Bench(total=3)
    users = bench.use("a", 1) + bench.use("b", 2)
    low, high = bench.ask("a", LOW), bench.ask("b", HIGH)
    bench.finish(users[0])
    assert states(low, high) == [WAITING, CONNECTING]


def test_origin_that_is_passed_over_hides_nobody() -> None:
    """An origin that is passed over goes to the back, so that one without any slot behind it has its turn."""
    bench = Bench(total=2)
    users = bench.use("a", 1) + bench.use("b", 1)
    for key in "bac":
        bench.ask(key)
    bench.finish(users[0])
    replacement = bench.granted[-1]
    bench.ask("a")
    bench.finish(replacement)
    assert [ticket.key for ticket in bench.granted] == ["a", "c"]


# Idle connections


def test_youngest_idle_connection_is_used() -> None:
    """The connection that became idle last is used first."""
    bench = Bench()
    wires = [bench.keep("a", now) for now in range(3)]
    assert [bench.ask("a").connection for _ in range(3)] == wires[::-1]


def test_dead_connections_are_passed_by_at_checkout() -> None:
    """Connections that died while idle are closed when they would be handed out, and the next is tried."""
    bench = Bench()
    alive, first, second = (bench.keep("a") for _ in range(3))
    first.dead = second.dead = True
    assert (bench.ask("a").connection, bench.closed) == (alive, [second, first])


def test_request_dials_when_all_kept_connections_are_dead() -> None:
    """If no kept connection lives, a new one is dialled in its slot."""
    bench = Bench(per_host=1, total=1)
    bench.keep("a").dead = True
    assert states(bench.ask("a")) == [CONNECTING]
    assert bench.counts("a") == SlotCounts(connecting=1)


def test_connection_that_dies_on_its_way_to_a_waiter() -> None:
    """A connection given back as reusable is looked at before the next request gets it."""
    bench = Bench(per_host=1)
    (user,) = bench.use("a", 1)
    waiting, wire = bench.ask("a"), user.connection
    assert wire is not None
    wire.dead = True
    bench.finish(user)
    assert (states(waiting), bench.closed) == ([CONNECTING], [wire])


def test_idle_connections_expire() -> None:
    """A connection is closed exactly ``idle_expiry`` seconds after it became idle, and that time is announced."""
    bench = Bench(idle_expiry=10)
    assert bench.slots.next_expiry() is None
    first, second = bench.keep("a", 1), bench.keep("b", 2.5)
    assert bench.slots.next_expiry() == 11
    bench.slots.expire(10.9)
    assert bench.closed == []
    bench.slots.expire(11)
    assert (bench.closed, bench.slots.next_expiry()) == ([first], 12.5)
    bench.slots.expire(100)
    assert (bench.closed, bench.slots.statistics().origins) == ([first, second], {})


def test_oldest_leaves_beyond_max_idle() -> None:
    """At most ``max_idle`` connections are kept; the one that was idle longest is closed."""
    bench = Bench(max_idle=2)
    first, _, _ = (bench.keep(key) for key in "abc")
    assert (bench.closed, bench.slots.statistics().total.idle) == ([first], 2)


def test_connection_that_is_used_again_at_once_pushes_nothing_out() -> None:
    """With ``max_idle`` kept already, a connection that goes straight to a waiter closes none of them."""
    bench = Bench(per_host=1, max_idle=1)
    (user,) = bench.use("a", 1)
    bench.keep("b")
    waiting, wire = bench.ask("a"), user.connection
    bench.finish(user)
    assert (waiting.connection, bench.closed) == (wire, [])


def test_idle_connections_make_room_for_requests() -> None:
    """When ``total`` is reached, the oldest idle connection of another origin is closed for a request."""
    bench = Bench(total=2)
    oldest, _ = bench.keep("b"), bench.keep("c")
    assert states(bench.ask("a")) == [CONNECTING]
    assert (bench.closed, bench.counts("c").idle) == ([oldest], 1)


def test_idle_connections_count_for_per_host() -> None:
    """Kept connections are part of ``per_host``: they are used before anything is dialled beyond it."""
    bench = Bench(per_host=2)
    kept = bench.keep("a")
    tickets = [bench.ask("a") for _ in range(3)]
    assert states(*tickets) == [ACTIVE, CONNECTING, WAITING]
    assert tickets[0].connection is kept


def test_preconnected_connection_needs_room() -> None:
    """A connection put idle is closed at once if its origin or the pool is full."""
    bench = Bench(per_host=1, total=2)
    first, second, third = Wire("1"), Wire("2"), Wire("3")
    assert bench.slots.put_idle("a", first, 0)
    assert not bench.slots.put_idle("a", second, 0)
    bench.use("b", 1)
    bench.ask("c")
    assert not bench.slots.put_idle("d", third, 0)
    assert bench.closed == [second, first, third]
    assert "d" not in bench.slots.statistics().origins


def test_preconnected_connection_replaces_the_oldest_idle_one_under_total() -> None:
    """A connection put idle in a pool full of idle ones takes the place of the oldest."""
    bench = Bench(total=2)
    oldest, _, newest = bench.keep("a"), bench.keep("b"), bench.keep("c")
    assert (bench.closed, bench.ask("c").connection) == ([oldest], newest)


def test_discarding() -> None:
    """Idle connections can be discarded for one origin, for all, or if dead; those in use stay."""
    bench = Bench()
    a1, a2, b, c = (bench.keep(key) for key in "aabc")
    bench.use("d", 1)
    bench.slots.discard_idle("a")
    bench.slots.discard_idle("unknown")
    assert bench.closed == [a1, a2]
    b.dead = True
    bench.slots.discard_dead()
    assert bench.closed == [a1, a2, b]
    bench.slots.discard_all_idle()
    assert bench.closed == [a1, a2, b, c]
    assert bench.slots.statistics().origins == {"d": SlotCounts(active=1)}


# Seeing it


def test_statistics_count_by_origin_and_state() -> None:
    """Statistics tell connections and waiting requests by origin and state, and their sums."""
    bench = Bench(per_host=2)
    bench.use("a", 1)
    for _ in range(3):
        bench.ask("a")
    bench.keep("b")
    statistics = bench.slots.statistics()
    assert statistics.origins == {"a": SlotCounts(connecting=1, active=1, queued=2), "b": SlotCounts(idle=1)}
    assert (statistics.total, statistics.total.connections) == (SlotCounts(1, 1, 1, 2), 3)


def test_gauge_explains_a_hang() -> None:
    """``repr`` says in one line who holds the slots, who waits, and whether for the origin or for the pool."""
    bench = Bench(per_host=2, total=3)
    assert repr(bench.slots) == "<Slots 0/3: unused>"
    bench.use("a", 2)
    for key in "bbbba":
        bench.ask(key)
    assert repr(bench.slots) == (
        "<Slots 3/3: 1 connecting, 2 active, 4 queued"
        " | b 1/2: 1 connecting, 3 queued for anybody's slot | a 2/2: 2 active, 1 queued for its own slots>"
    )


def test_gauge_shows_the_most_crowded_origins() -> None:
    """With many origins ``repr`` shows the most crowded ones and counts the others."""
    bench = Bench()
    for number in range(20):
        bench.ask(f"host{number:02}")
    bench.use("busy", 2)
    text = repr(bench.slots)
    assert text.startswith("<Slots 22/100: 20 connecting, 2 active | busy 2/6: 2 active | host00 1/6: 1 connecting | ")
    assert text.endswith(" | 13 more origins>")
    assert "\n" not in text
