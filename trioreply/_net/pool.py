"""The pool: waiting for a connection, keeping it afterwards, and a reaper for what was kept too long.

All decisions are made by `Slots`, which is sync; here is only what waits. A lease is had and given back within one
``async with``, so that a connection is returned or closed on every way out, cancellation included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self

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
    """The right to use a connection, a kept one or one that its holder dials, for the time of a block."""

    __slots__ = ("_limits", "_origin", "_pool", "_priority", "_sink", "_ticket")

    _ticket: Ticket[Origin, Connection]

    def __init__(
        self, pool: Pool, origin: Origin, priority: Priority, *, sink: MessageSink, limits: Limits | None
    ) -> None:
        self._pool = pool
        self._origin = origin
        self._priority = priority
        self._sink = sink
        self._limits = limits

    @property
    def connection(self) -> Connection | None:
        """The connection; ``None`` until `attach`, if a new one has to be dialled."""
        return self._ticket.connection

    def attach(self, connection: Connection) -> None:
        """``connection`` was dialled under this lease."""
        self._pool._slots.attach(self._ticket, connection)

    async def __aenter__(self) -> Self:
        pool = self._pool
        self._ticket = ticket = pool._slots.ask(self._origin, self._priority, self._limits)
        granted = False
        try:
            if ticket.state is TicketState.WAITING:
                event = trio.Event()
                ticket.on_grant = event.set
                await self._sink.put(ConnectionQueued())
                await event.wait()
            await self._sink.put(_leased(ticket.connection))
            granted = True
        finally:
            if not granted:
                pool._return(ticket)
        pool._leases.add(self)
        return self

    @trio.lowlevel.enable_ki_protection  # an interrupt between two lines would lose a slot for good
    async def __aexit__(self, *_: object) -> None:
        self._pool._leases.remove(self)
        self._pool._return(self._ticket)


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

    def lease(self, origin: Origin, priority: Priority, sink: MessageSink, *, limits: Limits | None = None) -> Lease:
        """A connection to ``origin`` as soon as the limits allow; it is kept afterwards if it may be used again.

        Enter it with ``async with``. Waits only if there is a queue; `ConnectionQueued` and `ConnectionLeased`
        go to ``sink``. Of ``limits``, if the request has its own, ``per_host`` counts for the first request to an
        origin, and ``idle_expiry`` for the connection that is left behind.
        """
        return Lease(self, origin, priority, sink=sink, limits=limits)

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

    @trio.lowlevel.enable_ki_protection  # as for a lease's end
    def _return(self, ticket: Ticket[Origin, Connection]) -> None:
        if ticket.state is TicketState.ACTIVE and ticket.connection is not None:
            reusable = ticket.connection.is_reusable and not self._is_closed
            now = trio.current_time()
            self._slots.give_back(ticket, now, reusable=reusable)
            if ticket.idle_expiry < REAP_SECONDS:
                self._nap.deadline = min(self._nap.deadline, now + ticket.idle_expiry)
            if not self._reaping:
                self._reap()
        else:
            self._slots.abandon(ticket)

    def _reap(self) -> None:
        if self._slots.next_expiry() is not None:
            self._reaping = True
            self._spawn(self._reaper)

    async def _reaper(self) -> None:
        """Close what has expired or died, as long as anything is idle.

        It looks when it has slept, not before: a connection that was given back is often in use again by then, and
        another reaper would begin with each request.
        """
        try:
            is_needed = True
            while is_needed:
                latest = trio.current_time() + REAP_SECONDS
                expiry = self._slots.next_expiry()
                self._nap = trio.CancelScope(deadline=latest if expiry is None else min(expiry, latest))
                with self._nap:
                    await trio.sleep_forever()
                self._slots.expire(trio.current_time())
                self._slots.discard_dead()
                is_needed = self._slots.next_expiry() is not None
        finally:
            self._reaping = False
