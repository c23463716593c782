"""What an HTTP/1.1 codec is, so that there can be two that check each other.

A codec belongs to one connection and lives through many cycles of request and response. It is fed what the socket gives
and hands out messages of `trioreply._model.messages`; it never waits. Both sides of a cycle advance on their own: a
response may begin, and even end, while the request's body is still being sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from .._model.events import Informational
from .._model.messages import ResponseData, ResponseHead, ResponseTrailers
from .._model.values import frozen


class RequestHead(NamedTuple):
    """The head of a request as it will stand on the wire; names and values are valid already.

    The framing is in the fields: a Content-Length, or ``Transfer-Encoding: chunked``, or neither for no body.
    """

    method: str
    target: str
    fields: tuple[tuple[bytes, bytes], ...]


@frozen
class ResponseEnd:
    """The response is complete. Nothing of this cycle follows."""


Received = Informational | ResponseHead | ResponseData | ResponseTrailers | ResponseEnd
"""What a codec hands out, in the order of the wire: ``Informational* Head Data* [Trailers] End``."""


class Codec(Protocol):
    """One connection's HTTP/1.1, from the client's side."""

    def start(self, head: RequestHead) -> bytes:
        """Begin a cycle; only on a new codec or when `is_reusable`. Gives the head's bytes."""
        ...

    def send_data(self, data: bytes | memoryview) -> bytes | memoryview:
        """Frame a piece of the request's body (not empty).

        Raises:
            UnknownNetworkError: more bytes than the Content-Length that was announced.
        """
        ...

    def end_request(self) -> bytes:
        """End the request's body; gives what remains to be sent (the last chunk, or nothing).

        Raises:
            UnknownNetworkError: fewer bytes than the Content-Length that was announced.
        """
        ...

    def receive(self, data: bytes) -> Iterator[Received]:
        """Feed what the socket gave, ``b""`` for the end of the stream, and iterate to the end.

        Messages that the bytes before a mistake amount to come first, then the mistake is raised.

        Raises:
            ProtocolFailure: the peer broke the protocol, or a limit.
            RemoteHostClosedError: the stream ended before the response did.
        """
        ...

    @property
    def response_started(self) -> bool:
        """Whether any byte of a response to the current request has come."""
        ...

    @property
    def is_reusable(self) -> bool:
        """Whether the cycle is complete on both sides and another may begin on this connection."""
        ...
