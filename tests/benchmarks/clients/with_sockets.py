"""The floor: Trio's sockets, a request that was written beforehand, and no more looks at the answer than are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from . import Session, Take
from .on_trio import all_of, run

__all__ = ["open_session", "run"]

READ_SIZE = 64 * 1024
"""As trioreply's."""


class _Sockets:
    """Connections that are free, and a last resort: one more."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[trio.socket.SocketType] = []

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
        for sock in self._free:
            sock.close()

    async def _get(self, target: bytes, take: Take) -> None:
        sock = self._free.pop() if self._free else await self._connect()
        await sock.send(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (target, self._port))
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += await _some(sock)
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
            piece = await _some(sock)
        self._free.append(sock)

    async def _connect(self) -> trio.socket.SocketType:
        sock = trio.socket.socket()
        await sock.connect(("127.0.0.1", self._port))
        sock.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, True)
        return sock


async def _some(sock: trio.socket.SocketType) -> bytes:
    data = await sock.recv(READ_SIZE)
    if not data:
        raise EOFError("the server closed the connection")
    return data


@asynccontextmanager
async def open_session(_variant: str, *, port: int, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`. ``connections`` needs no looking after: no more tasks than these come."""
    session = _Sockets(port)
    try:
        yield session
    finally:
        session.close()
