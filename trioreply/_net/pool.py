"""The pool: waiting for a connection, keeping it afterwards, and a reaper for what was kept too long.

All decisions are made by `Slots`, which is sync; here is only what waits. A lease is had and given back within one
``async with``, so that a connection is returned or closed on every way out, cancellation included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from .._model.limits import Limits
from .._model.messages import ConnectionLeased, ConnectionQueued
from .._model.options import Priority
from .connection import Connection, MessageSink, Origin
from .slots import Slots, SlotStatistics, Ticket, TicketState

REAP_SECONDS = 5.0
"""How often idle connections are looked at: a closed one is noticed within this time even if nobody asks for it."""


_NEW = ConnectionLeased(reused=False)
_KEPT = ConnectionLeased(reused=True)


def _leased(connection: Connection | None) -> ConnectionLeased:
    if connection is None:
        return _NEW
    return _KEPT if connection.tls is None else ConnectionLeased(reused=True, tls=connection.tls)


class Lease:
    """The right to use a connection: a kept one, or one that its holder dials."""

    __slots__ = ("_slots", "_ticket")

    def __init__(self, slots: Slots[Origin, Connection], ticket: Ticket[Origin, Connection]) -> None:
        self._slots = slots
        self._ticket = ticket

    @property
    def connection(self) -> Connection | None:
        """The connection; ``None`` until `attach`, if a new one has to be dialled."""
        return self._ticket.connection

    def attach(self, connection: Connection) -> None:
        """``connection`` was dialled under this lease."""
        self._slots.attach(self._ticket, connection)


class OpenLease:
    """The block of a lease."""

    __slots__ = ("_lease", "_limits", "_origin", "_pool", "_priority", "_sink")

    _lease: Lease

    def __init__(
        self, pool: Pool, origin: Origin, priority: Priority, *, sink: MessageSink, limits: Limits | None
    ) -> None:
        self._pool = pool
        self._origin = origin
        self._priority = priority
        self._sink = sink
        self._limits = limits

    async def __aenter__(self) -> Lease:
        self._lease = await self._pool._acquire(self._origin, self._priority, sink=self._sink, limits=self._limits)
        return self._lease

    async def __aexit__(self, *_: object) -> None:
        self._pool._release(self._lease)


class Pool:
    """Connections by origin."""

    def __init__(self, limits: Limits, *, spawn: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        self._slots: Slots[Origin, Connection] = Slots(
            limits, is_dead=lambda connection: connection.is_dead(), close=lambda connection: connection.close_nowait()
        )
        self._spawn = spawn
        self._reaping = False
        self._nap = trio.CancelScope()
        self._is_closed = False
        self._leases: set[Lease] = set()

    def __repr__(self) -> str:
        return repr(self._slots).replace("Slots", "Pool", 1)

    def statistics(self) -> SlotStatistics[Origin]:
        """A picture of the books."""
        return self._slots.statistics()

    def lease(
        self, origin: Origin, priority: Priority, sink: MessageSink, *, limits: Limits | None = None
    ) -> OpenLease:
        """A connection to ``origin`` as soon as the limits allow; it is kept afterwards if it may be used again.

        ``async with`` it to get the `Lease`. Waits only if there is a queue; `ConnectionQueued` and `ConnectionLeased`
        go to ``sink``. Of ``limits``, if the request has its own, ``per_host`` counts for the first request to an
        origin, and ``idle_expiry`` for the connection that is left behind.
        """
        return OpenLease(self, origin, priority, sink=sink, limits=limits)

    async def _acquire(self, origin: Origin, priority: Priority, *, sink: MessageSink, limits: Limits | None) -> Lease:
        ticket = self._slots.ask(origin, priority, limits)
        lease = Lease(self._slots, ticket)
        granted = False
        try:
            if ticket.state is TicketState.WAITING:
                event = trio.Event()
                ticket.on_grant = event.set
                await sink.put(ConnectionQueued())
                await event.wait()
            await sink.put(_leased(ticket.connection))
            granted = True
        finally:
            if not granted:
                self._return(ticket)
        self._leases.add(lease)
        return lease

    @trio.lowlevel.enable_ki_protection  # an interrupt between two lines would lose a slot for good
    def _release(self, lease: Lease) -> None:
        self._leases.remove(lease)
        self._return(lease._ticket)

    def discard_idle(self, origin: Origin) -> None:
        """Close what is idle for ``origin``: one of them was found dead, so the others likely are."""
        self._slots.discard_idle(origin)

    def close_idle(self) -> None:
        """Close whatever is idle."""
        self._slots.discard_all_idle()

    def shut_down(self) -> None:
        """Close whatever is idle, and keep nothing from now on."""
        self._is_closed = True
        self.close_idle()

    def close_all(self) -> None:
        """Close every connection, also those in use: their exchanges fail as OPERATION_CANCELED."""
        self.close_idle()
        for lease in self._leases:
            if lease.connection is not None:
                lease.connection.close_nowait()

    @trio.lowlevel.enable_ki_protection  # as for `_release`
    def _return(self, ticket: Ticket[Origin, Connection]) -> None:
        if ticket.state is TicketState.ACTIVE and ticket.connection is not None:
            reusable = ticket.connection.is_reusable and not self._is_closed
            now = trio.current_time()
            self._slots.give_back(ticket, now, reusable=reusable)
            if ticket.idle_expiry < REAP_SECONDS:
                self._nap.deadline = min(self._nap.deadline, now + ticket.idle_expiry)
            self._reap()
        else:
            self._slots.abandon(ticket)

    def _reap(self) -> None:
        if not self._reaping and self._slots.next_expiry() is not None:
            self._reaping = True
            self._spawn(self._reaper)

    async def _reaper(self) -> None:
        """Close what has expired or died, as long as anything is idle."""
        try:
            while (expiry := self._slots.next_expiry()) is not None:
                self._nap = trio.CancelScope(deadline=min(expiry, trio.current_time() + REAP_SECONDS))
                with self._nap:
                    await trio.sleep_forever()
                self._slots.expire(trio.current_time())
                self._slots.discard_dead()
        finally:
            self._reaping = False
