"""The seam to the network: a few small interfaces. Replace them and everything above runs on your network.

The in-memory network of `trioreply.testing` is one replacement; an SSH tunnel or a recording dialler would be another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import trio


class TlsError(trio.BrokenResourceError):
    """The peer ended a secure channel with an alert, or broke its rules; the text says which. Raised by its stream."""


class Resolver(Protocol):
    """Turns hosts into addresses, and decides which hosts may be talked to."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Numeric addresses of ``host``, best first. Numeric hosts come here too (IPv6 without brackets, perhaps with a
        zone): give them back as they are, or refuse.

        Raises:
            OSError: the name has no address, or it could not be asked for (`socket.gaierror` is one), or the host is
                refused; the text tells the user why.
        """
        ...


class Dialer(Protocol):
    """Opens a byte stream to one address."""

    async def dial(self, address: str, port: int) -> trio.abc.Stream:
        """A stream connected to ``address``, as it came from the resolver.

        The stream may also have the two methods of `ByteStream`; then idle connections are watched.

        Raises:
            OSError: it could not be connected.
        """
        ...


@runtime_checkable
class LocalDialer(Dialer, Protocol):
    """A dialler that also opens Unix sockets."""

    async def dial_local(self, path: str) -> trio.abc.Stream:
        """A stream connected to the socket ``path``: an absolute path or, on Linux, an abstract name behind a NUL.

        Raises:
            OSError: it could not be connected; `FileNotFoundError` if there is no such socket.
        """
        ...


@runtime_checkable
class ByteStream(Protocol):
    """What a connection needs of its stream: Trio's methods, and two that never wait."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As `trio.abc.SendStream.send_all`."""
        ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As `trio.abc.ReceiveStream.receive_some`."""
        ...

    async def aclose(self) -> None:
        """As `trio.abc.AsyncResource.aclose`."""
        ...

    def receive_nowait(self) -> bytes | None:
        """What lies ready: bytes, ``b""`` at the end or if the connection is broken, ``None`` if that is nothing."""
        ...

    def close_nowait(self, farewell: bytes = b"") -> None:
        """Close at once; ``farewell`` is sent first if that needs no waiting. Idempotent."""
        ...
