"""When the phases of an exchange happened."""

from __future__ import annotations

from .values import frozen


@frozen
class Timings:
    """Moments on Trio's clock (`trio.current_time`), in seconds; ``None`` for what has not happened (yet)."""

    started: float
    """The reply was opened."""
    leased: float | None = None
    """A connection, or the permission to dial one, was had: before that the request waited in the queue."""
    connecting: float | None = None
    """The first connection attempt; stays ``None`` on a reused connection."""
    encrypted: float | None = None
    """The TLS handshake was done."""
    request_sent: float | None = None
    """The request's head was on its way."""
    head_received: float | None = None
    """The final response's head was there."""
    finished: float | None = None
    """The reply ended."""
    reused: bool = False
    """Whether the connection had served another request before."""
