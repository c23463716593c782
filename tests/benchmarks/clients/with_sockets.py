"""The floor: Trio's sockets, a request that was written beforehand, and no more looks at the answer than are needed.

Over TLS it is the same with Trio's `trio.SSLStream` on Trio's `trio.SocketStream`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from ..job import Site
from . import Session, Take
from .on_trio import all_of, run

__all__ = ["open_session", "run"]

READ_SIZE = 64 * 1024
"""As trioreply's."""


class _Wire(Protocol):
    """A connection, plain or not."""

    async def send(self, data: bytes, /) -> object: ...

    async def recv(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


class _SecureWire:
    """A `trio.SSLStream` with the names of a socket's methods."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.send = stream.send_all
        self.recv = stream.receive_some
        self.close = stream.transport_stream.socket.close


class _Connections:
    """Connections that are free, and a last resort: one more."""

    def __init__(self, site: Site) -> None:
        self._port = site.port
        self._context = None if site.ca_file is None else ssl.create_default_context(cafile=site.ca_file)
        self._free: list[_Wire] = []

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def small(self) -> bytes:
        """See `Session.small`."""
        pieces: list[bytes] = []
        await self._get(b"/small", pieces.append)
        return b"".join(pieces)

    async def large(self, take: Take) -> None:
        """See `Session.large`."""
        await self._get(b"/large", take)

    def close(self) -> None:
        """Close everything."""
        for wire in self._free:
            wire.close()

    async def _get(self, target: bytes, take: Take) -> None:
        wire = self._free.pop() if self._free else await self._connect()
        await wire.send(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (target, self._port))
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += await _some(wire)
        if not received.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"not the answer that was expected: {received[:40]!r}")
        _, _, length = received[:end].partition(b"Content-Length: ")
        left = int(length[: length.index(b"\r\n")])
        piece = received[end + 4 :]
        while True:
            if piece:
                take(piece)
            left -= len(piece)
            if not left:
                break
            piece = await _some(wire)
        self._free.append(wire)

    async def _connect(self) -> _Wire:
        sock = trio.socket.socket()
        await sock.connect(("127.0.0.1", self._port))
        sock.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, True)
        if self._context is None:
            return sock
        stream = trio.SSLStream(trio.SocketStream(sock), self._context, server_hostname="127.0.0.1")
        await stream.do_handshake()
        return _SecureWire(stream)


async def _some(wire: _Wire) -> bytes:
    data = await wire.recv(READ_SIZE)
    if not data:
        raise EOFError("the server closed the connection")
    return data


@asynccontextmanager
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`. ``connections`` needs no looking after: no more tasks than these come."""
    del connections
    session = _Connections(site)
    try:
        yield session
    finally:
        session.close()
