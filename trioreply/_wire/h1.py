"""HTTP/1.1 over h11: the reference codec.

h11 reads every response's head and decodes chunked bodies; the rest is `h1_cycle`. Each head gets a fresh h11
connection, which costs little beside what h11 does with the head.

What was hard: h11 is made to see both sides of a connection and to be the judge of its framing. Here it is shown
complete blocks that the rules have passed, and never a body of known length.
"""

from __future__ import annotations

from typing import cast

import h11

from .._model.errors import ProtocolFailure
from .h1_cycle import H1Codec
from .h1_rules import DEFAULT_LIMITS, WireLimits

# h11 lets a server answer before it has seen a request, but not with a 1xx. What matters of ours (HEAD, CONNECT) is
# known elsewhere, so h11 is told of a request only where it insists, and any will do: that saves a tenth of a cycle.
_ANY_REQUEST = h11.Request(method="GET", target="/", headers=[("Host", "any.invalid")])


class H11Codec(H1Codec):
    """`Codec` over h11; see there for what each member promises."""

    __slots__ = ()

    def __init__(self, limits: WireLimits = DEFAULT_LIMITS) -> None:
        super().__init__(_H11Response, limits)


class _H11Response:
    """A response that h11 reads."""

    __slots__ = ("_connection", "fields", "http_version", "reason", "status_code")

    def __init__(self, block: bytes) -> None:
        # Its limit is for what is incomplete, and it is shown nothing incomplete: the limits that count are ours.
        self._connection = h11.Connection(h11.CLIENT)
        if block[9:10] == b"1":
            self._connection.send(_ANY_REQUEST)
        self._connection.receive_data(block)
        head = cast("h11.Response | h11.InformationalResponse", self._next_event())
        self.status_code = head.status_code
        self.reason = head.reason
        self.http_version = head.http_version.decode("ascii")
        self.fields = head.headers.raw_items()

    def decode(self, chunks: bytes) -> tuple[bytes, list[tuple[bytes, bytes]] | None]:
        """See `Response.decode`."""
        self._connection.receive_data(chunks)
        pieces: list[bytes] = []
        while isinstance(event := self._next_event(), h11.Data):
            pieces.append(event.data)
        trailers = event.headers.raw_items() if isinstance(event, h11.EndOfMessage) else None
        return b"".join(pieces), trailers

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """The one place where h11's errors become ours; the rules have seen the bytes, so there should be few."""
        try:
            return self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise ProtocolFailure(f"the response is not valid HTTP/1.1 (the parser says: {error})") from error
