"""One server-sent event, as a value (HTML standard section 9.2); `trioreply._model.sse` makes them of bytes."""

from __future__ import annotations

from .._facade import public
from .values import frozen


@public
@frozen
class ServerSentEvent:
    """What a server tells in an event stream: a text of a kind, perhaps with a number to go on from."""

    event: str = "message"
    """Its kind, which the server names; ``"message"`` if it does not."""
    data: str = ""
    """The text, its lines joined with line feeds."""
    id: str = ""
    """The last id that the server gave, with this event or with one before; empty if none. See ``Last-Event-ID``."""
    retry: float | None = None
    """Seconds to wait before a new connection, if this event says so; at most an hour (``MAX_RETRY``)."""
