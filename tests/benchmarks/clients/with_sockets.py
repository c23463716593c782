"""The floor: Trio's sockets, a request that was written beforehand, and no more looks at the answer than are needed.

Over TLS it is the same with Trio's `trio.SSLStream` on Trio's `trio.SocketStream`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

from ..job import Site
from . import Session, Take
from .on_trio import all_of, run

__all__ = ["open_session", "run"]

READ_SIZE = 64 * 1024
"""As trioreply's."""
_UPLOAD_STEP = 256 * 1024


class _Wire(Protocol):
    """A connection, plain or not."""

    async def send(self, data: bytes, /) -> object: ...

    def recv(self, size: int, /) -> Awaitable[bytes | bytearray]: ...

    def close(self) -> object: ...


class _PlainWire:
    """A socket whose ``send`` sends everything."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._socket = sock
        self.recv = sock.recv
        self.close = sock.close

    async def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        sent = await self._socket.send(data)
        if sent < len(data):
            with memoryview(data) as whole:
                while sent < len(whole):
                    sent += await self._socket.send(whole[sent:])


class _SecureWire:
    """A `trio.SSLStream` with the names of a socket's methods."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.send = stream.send_all
        self.recv = stream.receive_some
        self.close = stream.transport_stream.socket.close


class _Connections(Session):
    """Connections that are free, and a last resort: one more."""

    def __init__(self, site: Site) -> None:
        self._port = site.port
        self._context = None if site.ca_file is None else ssl.create_default_context(cafile=site.ca_file)
        self._free: list[_Wire] = []

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        pieces: list[bytes] = []
        await self.download(path, pieces.append)
        return b"".join(pieces)

    async def download(self, path: str, take: Take) -> None:
        """See `Session.download`."""
        wire = await self._asked(self._request("GET", path))
        await self._read(wire, take, _nothing)

    async def upload(self, path: str, file: Path) -> bytes:
        """See `Session.upload`."""
        wire = await self._asked(self._request("PUT", path, length=file.stat().st_size))  # noqa: ASYNC240 - in memory
        with file.open("rb") as opened:  # noqa: ASYNC230 - as above
            while piece := opened.read(_UPLOAD_STEP):
                await wire.send(piece)
        return await self._whole(wire, _nothing)

    async def upload_json(self, path: str, value: list[str]) -> bytes:
        """See `Session.upload_json`."""
        text = json.dumps(value).encode("ascii")
        wire = await self._asked(self._request("POST", path, length=len(text)))
        await wire.send(text)
        return await self._whole(wire, _nothing)

    async def hold(self, path: str, opened: Callable[[], None]) -> bytes:
        """See `Session.hold`."""
        return await self._whole(await self._asked(self._request("GET", path)), opened)

    def close(self) -> None:
        """Close everything."""
        for wire in self._free:
            wire.close()

    def _request(self, method: str, path: str, *, length: int = 0) -> bytes:
        with_body = f"Content-Length: {length}\r\n" if length else ""
        return f"{method} /{path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{with_body}\r\n".encode("ascii")

    async def _asked(self, request: bytes) -> _Wire:
        wire = self._free.pop() if self._free else await self._connect()
        await wire.send(request)
        return wire

    async def _whole(self, wire: _Wire, opened: Callable[[], None]) -> bytes:
        pieces: list[bytes] = []
        await self._read(wire, pieces.append, opened)
        return b"".join(pieces)

    async def _read(self, wire: _Wire, take: Take, opened: Callable[[], None]) -> None:
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += await _some(wire)
        if not received.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"not the answer that was expected: {received[:40]!r}")
        opened()
        head = received[:end]
        _, _, length = head.partition(b"Content-Length: ")
        left = int(length.partition(b"\r\n")[0])
        piece = received[end + 4 :]
        while True:
            if piece:
                take(piece)
            left -= len(piece)
            if not left:
                break
            piece = await _some(wire)
        if b"Connection: close" in head:
            wire.close()
        else:
            self._free.append(wire)

    async def _connect(self) -> _Wire:
        sock = trio.socket.socket()
        await sock.connect(("127.0.0.1", self._port))
        sock.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, True)
        if self._context is None:
            return _PlainWire(sock)
        stream = trio.SSLStream(trio.SocketStream(sock), self._context, server_hostname="127.0.0.1")
        await stream.do_handshake()
        return _SecureWire(stream)


def _nothing() -> None:
    pass


async def _some(wire: _Wire) -> bytes:
    piece = await wire.recv(READ_SIZE)
    if not piece:
        raise EOFError("the server closed the connection")
    return bytes(piece)


@asynccontextmanager
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`. ``connections`` needs no looking after: no more tasks than these come."""
    del connections
    session = _Connections(site)
    try:
        yield session
    finally:
        session.close()
