"""The pool's bookkeeping against a naive model: plain lists that are scanned again for every decision."""

from __future__ import annotations

import itertools

import pytest
from attrs import Factory, define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trioreply._model.limits import Limits
from trioreply._model.options import Priority
from trioreply._net.slots import SlotCounts, Slots, Ticket, TicketState

KEYS = "abc"
IN_USE = (TicketState.CONNECTING, TicketState.ACTIVE)
LIMITS = st.builds(
    Limits,
    per_host=st.integers(1, 3),
    total=st.integers(2, 4),
    max_idle=st.integers(1, 3),
    idle_expiry=st.just(10),
)
"""Small, so that they are reached."""
OWN_LIMITS = (None, Limits(per_host=1, idle_expiry=4), Limits(per_host=3, idle_expiry=10), Limits(idle_expiry=17))
OWN = st.lists(st.sampled_from(OWN_LIMITS), min_size=1, max_size=3).map(tuple)
"""What requests bring along, one after the other."""


@define(eq=False)
class Wire:
    """A connection."""

    key: str
    dead: bool = False


@define(eq=False)
class Claim:
    """What the model believes of a ticket."""

    key: str
    priority: Priority
    expiry: float
    state: TicketState = TicketState.WAITING
    wire: Wire | None = None


@define
class Model:
    """The rules in their plainest form. Grants after a wait and closings are logged in order."""

    limits: Limits
    claims: list[Claim] = Factory(list)
    """In the order in which they were asked for."""
    idle: list[tuple[Wire, float]] = Factory(list)
    """With the time until when, oldest first."""
    room: dict[str, int] = Factory(dict)
    """How many connections an origin may have, as its first request said."""
    turns: dict[Priority, list[str]] = Factory(lambda: {priority: [] for priority in sorted(Priority)})
    closed: list[Wire] = Factory(list)
    granted: list[Claim] = Factory(list)

    def of(self, *states: TicketState, key: str | None = None) -> list[Claim]:
        """The claims in one of these states."""
        return [claim for claim in self.claims if claim.state in states and key in (None, claim.key)]

    def may_be_served(self, claim: Claim) -> bool:
        """Whether no limit stands against it."""
        own, everybodys = len(self.of(*IN_USE, key=claim.key)), len(self.of(*IN_USE))
        return own < self.room[claim.key] and everybodys < self.limits.total

    def open_books(self, key: str, limits: Limits) -> None:
        """Somebody comes for ``key``: if there is nobody and nothing yet, these limits will count."""
        if self.counts(key) == SlotCounts():
            self.room[key] = limits.per_host

    def grant(self, claim: Claim) -> None:
        """The youngest living idle connection, or a new one."""
        claim.state = TicketState.CONNECTING
        for wire, until in reversed([kept for kept in self.idle if kept[0].key == claim.key]):
            self.idle.remove((wire, until))
            if not wire.dead:
                claim.wire, claim.state = wire, TicketState.ACTIVE
                break
            self.closed.append(wire)
        self.trim()

    def trim(self) -> None:
        """Close the oldest idle connections beyond the limits."""
        while len(self.idle) > min(self.limits.max_idle, self.limits.total - len(self.of(*IN_USE))):
            self.closed.append(self.idle.pop(0)[0])

    def take_turns(self) -> None:
        """Who may have a turn: the old ones in their order, then the new ones."""
        for priority, turn in self.turns.items():
            waiting = [claim for claim in self.of(TicketState.WAITING) if claim.priority is priority]
            keys = {claim.key for claim in waiting if len(self.of(*IN_USE, key=claim.key)) < self.room[claim.key]}
            turn[:] = [key for key in turn if key in keys] + sorted(keys - set(turn))

    def serve(self, giver: str | None = None) -> bool:
        """Grant the freed slot to whose turn it is."""
        self.take_turns()
        for priority, turn in self.turns.items():
            if turn:
                turn.append(key := turn.pop(0))
                if giver in turn and len(self.of(*IN_USE, key=key)) >= len(self.of(*IN_USE, key=giver)) + 1:
                    key = giver or ""
                claim = next(c for c in self.of(TicketState.WAITING, key=key) if c.priority is priority)
                self.grant(claim)
                self.granted.append(claim)
                self.take_turns()  # who is full now has lost its place
                return True
        return False

    def end(self, claim: Claim) -> Wire | None:
        """It holds nothing any more; gives what it held."""
        wire, claim.wire, claim.state = claim.wire, None, TicketState.GONE
        return wire

    def counts(self, key: str | None = None) -> SlotCounts:
        """What the statistics should say."""
        connecting, active, queued = (
            len(self.of(state, key=key)) for state in (TicketState.CONNECTING, TicketState.ACTIVE, TicketState.WAITING)
        )
        return SlotCounts(connecting, active, sum(key in (None, wire.key) for wire, _ in self.idle), queued)


class SlotsMachine(RuleBasedStateMachine):
    """Does the same to the slots and to the model, and compares everything that can be seen after each step."""

    @initialize(limits=LIMITS, keys=st.text(KEYS, min_size=4, max_size=12), own=OWN)
    def begin(self, limits: Limits, keys: str, own: tuple[Limits | None, ...]) -> None:
        """A rush."""
        self.now = 0
        self.model = Model(limits)
        self.tickets: dict[Claim, Ticket[str, Wire]] = {}
        self.closed: list[Wire] = []
        self.granted: list[Ticket[str, Wire]] = []
        self.wires: list[Wire] = []
        self.slots: Slots[str, Wire] = Slots(limits, is_dead=lambda wire: wire.dead, close=self.closed.append)
        self.ask(keys, Priority.NORMAL, own)

    def new_wire(self, key: str) -> Wire:
        """A connection that will have to be accounted for."""
        self.wires.append(Wire(key))
        return self.wires[-1]

    @rule(keys=st.text(KEYS, min_size=1, max_size=6), priority=st.sampled_from(Priority), own=OWN)
    def ask(self, keys: str, priority: Priority, own: tuple[Limits | None, ...]) -> None:
        """Some requests come."""
        for key, asked in zip(keys, itertools.cycle(own), strict=False):
            limits = asked or self.model.limits
            ticket = self.slots.ask(key, priority, asked)
            ticket.on_grant = lambda ticket=ticket: self.granted.append(ticket)  # type: ignore[misc]  # not inferred
            claim = Claim(key, priority, limits.idle_expiry)
            self.model.open_books(key, limits)
            served = self.model.may_be_served(claim)
            self.model.claims.append(claim)
            if served:
                self.model.grant(claim)
            self.model.take_turns()
            self.tickets[claim] = ticket

    def attach(self, claim: Claim) -> None:
        """A connection was dialled."""
        claim.wire, claim.state = self.new_wire(claim.key), TicketState.ACTIVE
        self.slots.attach(self.tickets[claim], claim.wire)

    @rule(key=st.sampled_from(KEYS))
    def attach_all(self, key: str) -> None:
        """Dialling has come to its end for an origin."""
        for claim in self.model.of(TicketState.CONNECTING, key=key):
            self.attach(claim)

    @rule(which=st.lists(st.integers(0, 3), min_size=1, max_size=8), reusable=st.booleans())
    def give_back_some(self, which: list[int], reusable: bool) -> None:
        """Some requests are done."""
        for index in which:
            in_use = self.model.of(*IN_USE)
            if index < len(in_use):
                self.give_back(in_use[index], reusable)
                self.same_decisions()

    def give_back(self, claim: Claim, reusable: bool) -> None:
        """A request is done."""
        if claim.state is TicketState.CONNECTING:
            self.attach(claim)
        wire = self.model.end(claim)
        assert wire is not None
        if reusable:
            self.model.idle.append((wire, self.now + claim.expiry))
            if not self.model.serve(claim.key):
                self.model.trim()
        else:
            self.model.closed.append(wire)
            self.model.serve()
        self.slots.give_back(self.tickets[claim], self.now, reusable=reusable)

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        """A request is cancelled, whatever its state."""
        self.cancel(data.draw(st.sampled_from(self.model.of(TicketState.ACTIVE) + self.model.claims)))

    def cancel(self, claim: Claim) -> None:
        """Abandon the claim's ticket."""
        held = claim.state in IN_USE
        wire = self.model.end(claim)
        if wire is not None:
            self.model.closed.append(wire)
        if held:
            self.model.serve()
        self.model.take_turns()
        self.slots.abandon(self.tickets[claim])

    @rule(key=st.sampled_from(KEYS))
    def put_idle(self, key: str) -> None:
        """A connection comes from elsewhere."""
        wire, model = self.new_wire(key), self.model
        model.open_books(key, model.limits)
        room = model.counts(key).connections < model.room[key] and len(model.of(*IN_USE)) < model.limits.total
        if room:
            model.idle.append((wire, self.now + model.limits.idle_expiry))
            model.trim()
        else:
            model.closed.append(wire)
        assert self.slots.put_idle(key, wire, self.now) == room

    @precondition(lambda self: len(self.wires) > len(self.closed))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """A connection dies, idle or in use; nobody notices yet."""
        living = [wire for wire, _ in self.model.idle] + [claim.wire for claim in self.model.claims if claim.wire]
        data.draw(st.sampled_from(living)).dead = True

    @rule(seconds=st.integers(3, 12))
    def expire(self, seconds: int) -> None:
        """Time passes, and the reaper comes."""
        self.now += seconds
        self.model.closed += [wire for wire, until in self.model.idle if until <= self.now]
        self.model.idle = [kept for kept in self.model.idle if kept[1] > self.now]
        self.slots.expire(self.now)

    @rule(what=st.sampled_from([*KEYS, "all", "dead"]))
    def discard(self, what: str) -> None:
        """Idle connections are not wanted any more."""
        leaving = [
            kept for kept in self.model.idle if what in ("all", kept[0].key) or (what == "dead" and kept[0].dead)
        ]
        self.model.idle = [kept for kept in self.model.idle if kept not in leaving]
        self.model.closed += [wire for wire, _ in leaving]
        match what:
            case "all":
                self.slots.discard_all_idle()
            case "dead":
                self.slots.discard_dead()
            case key:
                self.slots.discard_idle(key)

    @invariant()
    def same_decisions(self) -> None:
        """Tickets, grants in their order, closings in their order, statistics: as the model's."""
        model = self.model
        assert [(t.state, t.connection) for t in self.tickets.values()] == [(c.state, c.wire) for c in model.claims]
        assert self.granted == [self.tickets[claim] for claim in model.granted]
        assert self.closed == model.closed
        assert self.slots.next_expiry() == min((until for _, until in model.idle), default=None)
        statistics = self.slots.statistics()
        expected = {key: model.counts(key) for key in KEYS}
        assert statistics.origins == {key: counts for key, counts in expected.items() if counts != SlotCounts()}
        assert statistics.total == model.counts()

    @invariant()
    def limits_hold(self) -> None:
        """No limit is ever exceeded."""
        limits, statistics = self.model.limits, self.slots.statistics()
        assert statistics.total.connections <= limits.total
        assert statistics.total.idle <= limits.max_idle
        assert all(counts.connections <= self.model.room[key] for key, counts in statistics.origins.items())

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        """Who waits, waits for a limit that is used up by connections in use."""
        limits, statistics = self.model.limits, self.slots.statistics()
        if statistics.total.connecting + statistics.total.active < limits.total:
            queues = [(key, counts) for key, counts in statistics.origins.items() if counts.queued]
            assert all(counts.connecting + counts.active == self.model.room[key] for key, counts in queues)

    @invariant()
    def every_connection_is_in_one_place(self) -> None:
        """Each connection is in use by one ticket, or idle, or was closed once."""
        in_use = [ticket.connection for ticket in self.tickets.values() if ticket.connection is not None]
        idle = self.slots.statistics().total.idle
        assert len(set(in_use + self.closed)) == len(in_use) + len(self.closed) == len(self.wires) - idle


SlotsMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, derandomize=True)


TestSlots = SlotsMachine.TestCase
"""Whatever happens in whatever order, the slots decide as the model does."""


@pytest.mark.parametrize("own", [(None,), OWN_LIMITS], ids=["the pool's limits", "own limits"])
@pytest.mark.parametrize("per_host", [1, 2, 3])
def test_full_pool_decides_as_the_model_does(per_host: int, own: tuple[Limits | None, ...]) -> None:
    """While three origins keep the pool full, slots go round as in the model, whichever request ends, and however."""
    machine = SlotsMachine()
    machine.begin(Limits(per_host=per_host, total=3, idle_expiry=10), "abcaabbccc" * 4, own)
    for step in range(36):
        in_use = machine.model.of(*IN_USE)
        claim = in_use[step * step % 7 % len(in_use)]
        if claim.wire is not None:
            claim.wire.dead = step % 4 == 0
        if step % 9 == 0:
            machine.cancel(claim)
        else:
            machine.give_back(claim, reusable=step % 5 > 0)
        machine.same_decisions()
        machine.nobody_waits_in_vain()
    assert len(machine.granted) > 30


@pytest.mark.parametrize("per_host", [1, 2, 3])
def test_empty_pool_decides_as_the_model_does(per_host: int) -> None:
    """While requests come and go and books are forgotten, own limits and expiries count as in the model."""
    machine = SlotsMachine()
    machine.begin(Limits(per_host=per_host, total=4, max_idle=3, idle_expiry=10), "abc", OWN_LIMITS)
    for step in range(60):
        machine.ask(KEYS[step % 3] * (step % 4), Priority.NORMAL, OWN_LIMITS[step % 4 :])
        for claim in machine.model.of(*IN_USE)[: 4 - step % 2]:
            machine.give_back(claim, reusable=step % 3 > 0)
            machine.same_decisions()
        machine.put_idle(KEYS[step % 2])
        machine.expire(step % 5)
        machine.same_decisions()
        machine.limits_hold()
    assert len(machine.closed) > 30
