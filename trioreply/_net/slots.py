"""Who may have a connection, and when: the pool's bookkeeping, without any I/O.

A *slot* is the right to one connection. A request asks for one and gets a `Ticket`; the pool around this module waits,
dials and closes as the ticket says. Nothing here waits, reads a clock or looks into a connection: ``now`` is passed in,
and whether a kept connection is still good is asked of a callable. An origin is any hashable key that prints without
secrets.

The rules:

* Connecting, active and idle connections count alike: at most ``per_host`` for one origin, ``total`` for all.
* A request takes its origin's youngest living idle connection, else a new one. Idle connections never stand in the way
  of a request: when ``total`` is reached, the oldest one anywhere leaves. At most ``max_idle`` are kept, each for
  ``idle_expiry`` seconds.
* A request may bring limits of its own. Its ``per_host`` holds for its origin if the request is what opened the books
  (the first one decides, as in Qt), until they are empty and forgotten; its ``idle_expiry`` holds for the connection
  that it leaves behind. ``total`` and ``max_idle`` are always the pool's.
* What cannot be served waits. A freed slot goes to the highest priority (a busy HIGH starves LOW: that is what it asks
  for), there to each origin in turn, there to who came first. Origins with ``per_host`` slots in use take no turns.
* One exception to the turns: giving away the slot of a reusable connection means to close it. So its own origin goes on
  with it, unless the origin whose turn it is has fewer slots in use; otherwise that one is passed over. Strict turns
  would let two busy origins close each other's connections after every request. An origin with nothing in use is never
  passed over: before it come at most as many freed slots as other origins wait in its priority.
* Every connection that was attached or put idle goes to ``close`` exactly once, when it leaves the books: not reusable,
  abandoned, dead, expired, or one too many.

What was hard: everything must be O(1) for a request, however many wait. It rests on one invariant: **nobody waits who
could be served**, that is, ``total`` slots are in use, or every origin with waiters uses all of its ``per_host``. So an
origin with waiters has nothing idle; a new request that finds room overtakes nobody; discarding idle connections serves
nobody; and one freed slot serves at most one waiter. The turns are kept in ordered mappings, because a plain dict that
is consumed from its front is searched past the holes. Only while connections with an expiry of their own are idle, the
others are not in the order of their ends any more, and `Slots.expire` looks at all of them; they are few.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from attrs import Factory, field

from .._model.limits import Limits
from .._model.options import Priority
from .._model.values import define, frozen

K = TypeVar("K", bound=Hashable)
C = TypeVar("C")

_ORIGINS_SHOWN = 8
"""How many origins the gauge prints: enough to see who crowds the pool, and still one line."""


class TicketState(enum.Enum):
    """Where a claim stands. It goes down this list only, and may leave out any."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    """The slot is yours; dial, then `Slots.attach`."""
    ACTIVE = "active"
    """`Ticket.connection` is yours, until `Slots.give_back`."""
    GONE = "gone"


@define(eq=False)
class Ticket(Generic[K, C]):
    """One request's claim to a connection. Made and changed by `Slots` only, but for ``on_grant``."""

    _host: _Host[K, C] = field(repr=False)
    priority: Priority
    idle_expiry: float
    """Seconds for which the connection is kept that it leaves behind."""
    state: TicketState = TicketState.WAITING
    connection: C | None = None
    """The connection while ACTIVE, ``None`` otherwise."""
    on_grant: Callable[[], object] = field(default=lambda: None, repr=False)
    """Called when the wait ends: set it when `Slots.ask` returns a ticket that waits. The books are in order by then,
    so it may use the slots itself; what it raises comes out of the call that freed the slot."""

    @property
    def key(self) -> K:
        """The origin that was asked for."""
        return self._host.key


@frozen
class SlotCounts:
    """How many connections are in which state, and how many requests wait."""

    connecting: int = 0
    active: int = 0
    idle: int = 0
    queued: int = 0

    @property
    def connections(self) -> int:
        """What counts against the limits."""
        return self.connecting + self.active + self.idle

    def __add__(self, other: SlotCounts) -> SlotCounts:
        return SlotCounts(
            self.connecting + other.connecting,
            self.active + other.active,
            self.idle + other.idle,
            self.queued + other.queued,
        )

    def __str__(self) -> str:
        """``4 active, 2 queued``: what is not zero."""
        counts = {"connecting": self.connecting, "active": self.active, "idle": self.idle, "queued": self.queued}
        return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "unused"


@frozen
class SlotStatistics(Generic[K]):
    """A picture of the books: origins that nobody uses are not in it."""

    origins: Mapping[K, SlotCounts]
    total: SlotCounts


@define(eq=False)
class _Idle(Generic[K, C]):
    """A kept connection."""

    host: _Host[K, C]
    connection: C
    expires: float
    is_own: bool
    """Whether it was kept for another time than most."""


@define(eq=False)
class _Host(Generic[K, C]):
    """The books of one origin; forgotten as soon as they are empty."""

    key: K
    per_host: int
    """How many connections it may have."""
    connecting: int = 0
    active: int = 0
    idle: OrderedDict[_Idle[K, C], None] = Factory(OrderedDict)
    """Youngest last."""
    waiting: dict[Priority, OrderedDict[Ticket[K, C], None]] = Factory(dict)
    """First come first; a priority that nobody waits in is absent."""

    @property
    def in_use(self) -> int:
        return self.connecting + self.active

    @property
    def has_room(self) -> bool:
        # What is idle counts against the limit, but leaves or is taken when a request comes.
        return self.in_use < self.per_host

    def counts(self) -> SlotCounts:
        queued = sum(map(len, self.waiting.values()))
        return SlotCounts(self.connecting, self.active, len(self.idle), queued)


class _Turns(Generic[K, C]):
    """Whose turn it is: for each priority, the origins that have a waiter of it and room for a connection."""

    def __init__(self) -> None:
        self._rings: dict[Priority, OrderedDict[_Host[K, C], None]] = {
            priority: OrderedDict() for priority in sorted(Priority)
        }

    def place(self, host: _Host[K, C], *, has_room: bool) -> None:
        """Let ``host`` take part, or not; call it when the room or the waiters of a host have changed.

        Who takes part already keeps its place, who is new comes last.
        """
        for priority, ring in self._rings.items():
            if has_room and priority in host.waiting:
                ring.setdefault(host)
            else:
                ring.pop(host, None)

    def next(self, giver: _Host[K, C] | None) -> Ticket[K, C] | None:
        """Who gets the slot that was freed, by ``giver`` if a reusable connection comes with it."""
        for priority, ring in self._rings.items():
            if ring:
                host = next(iter(ring))
                ring.move_to_end(host)
                # The slot that was freed still counts for its giver: it had one more in use a moment ago.
                if giver is not None and giver in ring and host.in_use > giver.in_use:
                    host = giver
                return next(iter(host.waiting[priority]))
        return None


class Slots(Generic[K, C]):
    """The books of a pool: keys of type ``K``, connections of type ``C``.

    Args:
        limits: what must not be exceeded, unless a request brings limits of its own.
        is_dead: whether a kept connection cannot be used any more; asked whenever one would be handed out.
        close: takes every connection that leaves the books. Like ``is_dead`` it must not raise or use the slots, and it
            should bear connections that are closed already.
    """

    def __init__(self, limits: Limits, *, is_dead: Callable[[C], bool], close: Callable[[C], object]) -> None:
        self._limits = limits
        self._is_dead = is_dead
        self._close = close
        self._hosts: dict[K, _Host[K, C]] = {}
        self._turns: _Turns[K, C] = _Turns()
        self._idle: OrderedDict[_Idle[K, C], None] = OrderedDict()  # of all hosts, oldest first
        self._own_expiries = 0
        self._in_use = 0
        self._queued = 0

    def ask(self, key: K, priority: Priority, limits: Limits | None = None) -> Ticket[K, C]:
        """Claim a connection to ``key``. A ticket that is not WAITING was granted at once, without its callback.

        Every ticket ends with `give_back` or `abandon`.

        Args:
            key: the origin.
            priority: which queue to wait in, if need be.
            limits: the request's own, of which ``per_host`` and ``idle_expiry`` count.
        """
        own = limits or self._limits
        host = self._host(key, own)
        ticket = Ticket(host, priority, own.idle_expiry)
        if host.connecting + host.active < host.per_host and self._in_use < self._limits.total:
            self._grant(ticket)
        else:
            self._queued += 1
            host.waiting.setdefault(priority, OrderedDict())[ticket] = None
            self._turns.place(host, has_room=host.has_room)
        return ticket

    def attach(self, ticket: Ticket[K, C], connection: C) -> None:
        """``connection`` was dialled for ``ticket``, which becomes ACTIVE.

        Raises:
            RuntimeError: the ticket is not CONNECTING. The connection is still yours to close.
        """
        if ticket.state is not TicketState.CONNECTING:
            raise _unexpected(ticket, TicketState.CONNECTING)
        ticket._host.connecting -= 1
        ticket._host.active += 1
        ticket.state = TicketState.ACTIVE
        ticket.connection = connection

    def give_back(self, ticket: Ticket[K, C], now: float, *, reusable: bool) -> None:
        """The request is done: its connection goes to the next one, or becomes idle at ``now``, or is closed.

        Also right, and better than `abandon`, for a kept connection that was granted and never touched.

        Raises:
            RuntimeError: the ticket is not ACTIVE.
        """
        if ticket.state is not TicketState.ACTIVE:
            raise _unexpected(ticket, TicketState.ACTIVE)
        if not reusable or ticket.connection is None:
            self.abandon(ticket)
            return
        host = ticket._host
        self._keep(
            host, ticket.connection, now + ticket.idle_expiry, is_own=ticket.idle_expiry != self._limits.idle_expiry
        )
        self._free(ticket)
        # Trimmed only if nobody takes the connection: it would push out another one for nothing.
        if not self._serve_next(giver=host):
            self._trim()

    def abandon(self, ticket: Ticket[K, C]) -> None:
        """The request was cancelled or has failed: whatever it holds is freed. Legal at any time; idempotent."""
        connection = ticket.connection
        if ticket.state is TicketState.WAITING:
            self._leave_queue(ticket)
            ticket.state = TicketState.GONE
            self._forget_unused(ticket._host)
        elif ticket.state is not TicketState.GONE:
            self._free(ticket)
            self._forget_unused(ticket._host)
            if connection is not None:
                self._close(connection)
            self._serve_next(giver=None)

    def put_idle(self, key: K, connection: C, now: float) -> bool:
        """Keep a connection that no ticket was asked for. Gives whether there was room; it is closed if not.

        Older idle connections make room under ``max_idle`` and ``total``, but not those of the same origin under
        ``per_host``: it has enough of them.
        """
        host = self._host(key, self._limits)
        room = host.in_use + len(host.idle) < host.per_host and self._in_use < self._limits.total
        if room:
            self._keep(host, connection, now + self._limits.idle_expiry, is_own=False)
            self._trim()
        else:
            self._forget_unused(host)
            self._close(connection)
        return room

    def expire(self, now: float) -> None:
        """Discard what has been idle for its time at ``now``."""
        if self._own_expiries:
            for kept in [kept for kept in self._idle if kept.expires <= now]:
                self._discard(kept)
        while self._idle and (oldest := next(iter(self._idle))).expires <= now:
            self._discard(oldest)

    def next_expiry(self) -> float | None:
        """When `expire` will have something to do; ``None`` while nothing is idle."""
        if self._own_expiries:
            return min(kept.expires for kept in self._idle)
        return next(iter(self._idle)).expires if self._idle else None

    def discard_idle(self, key: K) -> None:
        """Discard what is idle for ``key``."""
        host = self._hosts.get(key)
        for kept in list(host.idle) if host is not None else ():
            self._discard(kept)

    def discard_all_idle(self) -> None:
        """Discard whatever is idle."""
        for kept in list(self._idle):
            self._discard(kept)

    def discard_dead(self) -> None:
        """Discard what has died while it was idle. Asks of all idle connections: for a reaper, not for each request."""
        for kept in list(self._idle):
            if self._is_dead(kept.connection):
                self._discard(kept)

    def statistics(self) -> SlotStatistics[K]:
        """The state of all connections and requests. Its work grows with the number of origins."""
        origins = {key: host.counts() for key, host in self._hosts.items()}
        total = SlotCounts(
            connecting=sum(counts.connecting for counts in origins.values()),
            active=sum(counts.active for counts in origins.values()),
            idle=sum(counts.idle for counts in origins.values()),
            queued=sum(counts.queued for counts in origins.values()),
        )
        return SlotStatistics(MappingProxyType(origins), total)

    def __repr__(self) -> str:
        """One line that explains a hang: who holds the slots, who waits, and for which limit."""
        statistics = self.statistics()
        crowded = sorted(statistics.origins.items(), key=lambda item: (-item[1].queued, -item[1].connections))
        shown = [self._gauge(key, counts) for key, counts in crowded[:_ORIGINS_SHOWN]]
        if len(crowded) > len(shown):
            shown.append(f"{len(crowded) - len(shown)} more origins")
        head = f"<Slots {statistics.total.connections}/{self._limits.total}: {statistics.total}"
        return " | ".join([head, *shown]) + ">"

    def _gauge(self, key: K, counts: SlotCounts) -> str:
        limit = self._hosts[key].per_host
        reason = ""
        if counts.queued:
            reason = " for its own slots" if counts.connecting + counts.active >= limit else " for anybody's slot"
        return f"{key} {counts.connections}/{limit}: {counts}{reason}"

    def _host(self, key: K, limits: Limits) -> _Host[K, C]:
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(key, limits.per_host)
        return host

    def _forget_unused(self, host: _Host[K, C]) -> None:
        if not (host.connecting or host.active or host.idle or host.waiting):
            del self._hosts[host.key]

    def _grant(self, ticket: Ticket[K, C]) -> None:
        host = ticket._host
        ticket.connection = self._take_idle(host) if host.idle else None
        if ticket.connection is None:
            host.connecting += 1
            ticket.state = TicketState.CONNECTING
        else:
            host.active += 1
            ticket.state = TicketState.ACTIVE
        self._in_use += 1
        if ticket.state is TicketState.CONNECTING:
            self._trim()  # for one more connection; one that was idle stands in its own place

    def _take_idle(self, host: _Host[K, C]) -> C | None:
        """The youngest living one: it is the likeliest to stay alive, and the others may expire in peace."""
        while host.idle:
            kept, _ = host.idle.popitem()
            del self._idle[kept]
            self._own_expiries -= kept.is_own
            if not self._is_dead(kept.connection):
                return kept.connection
            self._close(kept.connection)
        return None

    def _free(self, ticket: Ticket[K, C]) -> None:
        """The slot of ``ticket`` is nobody's any more."""
        host = ticket._host
        if ticket.state is TicketState.CONNECTING:
            host.connecting -= 1
        else:
            host.active -= 1
        self._in_use -= 1
        ticket.state = TicketState.GONE
        ticket.connection = None
        if host.waiting:
            self._turns.place(host, has_room=True)

    def _serve_next(self, giver: _Host[K, C] | None) -> bool:
        """Grant the slot just freed, and say whether anybody wanted it. Must be the last act: it calls out."""
        ticket = self._turns.next(giver) if self._queued else None
        if ticket is None:
            return False
        self._leave_queue(ticket)
        self._grant(ticket)
        self._turns.place(ticket._host, has_room=ticket._host.has_room)
        ticket.on_grant()
        return True

    def _leave_queue(self, ticket: Ticket[K, C]) -> None:
        host = ticket._host
        queue = host.waiting[ticket.priority]
        del queue[ticket]
        self._queued -= 1
        if not queue:
            del host.waiting[ticket.priority]
            self._turns.place(host, has_room=host.has_room)

    def _keep(self, host: _Host[K, C], connection: C, expires: float, *, is_own: bool) -> None:
        kept = _Idle(host, connection, expires, is_own)
        host.idle[kept] = None
        self._idle[kept] = None
        self._own_expiries += is_own

    def _remove(self, kept: _Idle[K, C]) -> None:
        del self._idle[kept]
        del kept.host.idle[kept]
        self._own_expiries -= kept.is_own

    def _trim(self) -> None:
        """Let the oldest idle connections go until the limits hold."""
        limits = self._limits
        while len(self._idle) > limits.max_idle or len(self._idle) > limits.total - self._in_use:
            self._discard(next(iter(self._idle)))

    def _discard(self, kept: _Idle[K, C]) -> None:
        self._remove(kept)
        self._forget_unused(kept.host)
        self._close(kept.connection)


def _unexpected(ticket: Ticket[K, C], state: TicketState) -> RuntimeError:
    return RuntimeError(f"the ticket is {ticket.state.value}, not {state.value}: it was granted, used or ended already")
