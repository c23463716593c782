"""The other server: what nginx cannot do, in a process of its own. It takes uploads, holds replies back, is a proxy.

It understands what the measured clients send and no more than that; whatever else comes ends the connection. On
its one port it serves:

``GET /small``
   The small file, to warm up with.
``PUT /sink``, ``POST /sink``
   Reads a body of a known length, and says how long it was; with ``?check`` its CRC too.
``GET /stalled``, ``GET /slow``
   A head and one byte of the body. The rest comes when `RELEASE` was asked for: at once, or little by little.
``CONNECT``, and targets that are whole URLs
   Go on to where they lead: a proxy. It keeps a connection for each of its clients' connections.

What was hard is that a server in Python must not be what limits an upload: bodies are received into one buffer, which
nobody looks at.
"""

from __future__ import annotations

import resource
import socket
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import trio
from attrs import frozen

from .contents import SMALL, content, receipt

RELEASE = b"POST /release HTTP/1.1\r\n\r\n"
"""Lets the bodies go that are held back."""
HELD_SIZE = 1000
"""Bytes of such a body."""

_BACKLOG = 8192
_RECEIVE_SIZE = 1 << 18
_LARGEST_HEAD = 1 << 16
_PIECES = 4
_PAUSE = 0.02
_BODY_READ = {"PUT", "POST"}


@frozen
class Head:
    """The beginning of a message."""

    first: tuple[str, str, str]
    """The three words of its first line."""
    length: int
    """Bytes of the body, by its Content-Length; 0 without one."""
    raw: bytes
    """All of it, the empty line included."""

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        """What ``raw`` says.

        Raises:
            ValueError: it is not a head.
        """
        lines = raw.decode("latin-1").split("\r\n")
        one, _, rest = lines[0].partition(" ")
        two, _, three = rest.partition(" ")
        if not two:
            raise ValueError("the first line has a single word")
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "transfer-encoding":
                raise ValueError("chunked messages are not understood here; send a Content-Length")
        return cls((one, two, three), length, raw)


class Wire:
    """A connection, from which heads and bodies are taken."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._socket = sock
        self._received = b""

    async def head(self) -> Head | None:
        """The next head; ``None`` if the peer has closed.

        Raises:
            ValueError, OSError: it is none, or the connection is lost.
        """
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > _LARGEST_HEAD:
                raise ValueError("no head is as long as that")
            piece = await self._socket.recv(_RECEIVE_SIZE)
            if not piece:
                return None
            self._received += piece
        raw, self._received = self._received[: end + 4], self._received[end + 4 :]
        return Head.parse(raw)

    async def some(self, most: int) -> bytes:
        """The next bytes of a body, up to ``most`` of them.

        Raises:
            OSError: the connection is lost.
        """
        piece = self._received[:most] or await self._socket.recv(min(most, _RECEIVE_SIZE))
        self._received = self._received[len(piece) :]
        if not piece:
            raise ConnectionError("the peer closed in the middle of a body")
        return piece

    async def drop(self, length: int) -> None:
        """Take ``length`` bytes and forget them.

        Raises:
            OSError: the connection is lost.
        """
        known, self._received = self._received[:length], self._received[length:]
        length -= len(known)
        with memoryview(bytearray(_RECEIVE_SIZE)) as buffer:
            while length:
                size = await self._socket.recv_into(buffer, min(length, _RECEIVE_SIZE))
                if not size:
                    raise ConnectionError("the peer closed in the middle of a body")
                length -= size

    async def send(self, data: bytes) -> None:
        """Send all of ``data``.

        Raises:
            OSError: the connection is lost.
        """
        with memoryview(data) as whole:
            sent = 0
            while sent < len(whole):
                sent += await self._socket.send(whole[sent:])

    async def pour(self, other: Wire) -> None:
        """Send all that comes from here to ``other``, to the end."""
        data = self._received
        while True:
            if data:
                await other.send(data)
            data = await self._socket.recv(_RECEIVE_SIZE)
            if not data:
                with suppress(OSError):
                    other._socket.shutdown(socket.SHUT_WR)
                return


@asynccontextmanager
async def open_wire(host: str, port: int) -> AsyncIterator[Wire]:
    """A connection to a server.

    Raises:
        OSError: there is none.
    """
    with trio.socket.socket() as sock:
        await sock.connect((host, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        yield Wire(sock)


class Origin:
    """What all connections share."""

    def __init__(self) -> None:
        self._released = trio.Event()

    async def serve(self, sock: trio.socket.SocketType) -> None:
        """Serve one connection until its client closes it, or sends what is not understood."""
        with sock, suppress(OSError, ValueError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            wire = Wire(sock)
            while (head := await wire.head()) is not None:
                method, target, _ = head.first
                if method == "CONNECT":
                    host, _, port = target.rpartition(":")
                    await tunnel(wire, host, int(port))
                    return
                if target.startswith("http://"):
                    place = urlsplit(target)
                    await forward(wire, head, str(place.hostname), place.port or 80)
                    return
                await self._answer(wire, head)

    async def _answer(self, wire: Wire, head: Head) -> None:
        method, target, _ = head.first
        path, _, query = target.partition("?")
        if path == "/sink" and method in _BODY_READ:
            await wire.send(_response(await _took(wire, head.length, is_checked=query == "check")))
        elif path == "/small":
            await wire.send(_response(SMALL))
        elif path in {"/stalled", "/slow"}:
            await self._hold(wire, is_slow=path == "/slow")
        elif path == "/release":
            self._released.set()
            self._released = trio.Event()
            await wire.send(_response(b""))
        else:
            await wire.send(_response(b"", status="404 Not Found"))

    async def _hold(self, wire: Wire, *, is_slow: bool) -> None:
        whole = _response(content(HELD_SIZE))
        begin = len(whole) - HELD_SIZE + 1
        await wire.send(whole[:begin])
        await self._released.wait()
        step = HELD_SIZE // _PIECES if is_slow else HELD_SIZE
        for place in range(begin, len(whole), step):
            if is_slow:
                await trio.sleep(_PAUSE)
            await wire.send(whole[place : place + step])


async def _took(wire: Wire, length: int, *, is_checked: bool) -> bytes:
    if not is_checked:
        await wire.drop(length)
        return receipt(length, None)
    checksum, left = 0, length
    while left:
        piece = await wire.some(left)
        checksum = zlib.crc32(piece, checksum)
        left -= len(piece)
    return receipt(length, checksum)


def _response(body: bytes, *, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii") + body


async def tunnel(client: Wire, host: str, port: int) -> None:
    """Connect ``client`` with a server, and stay out of it.

    Raises:
        OSError: one of the connections is lost, or the server cannot be reached.
    """
    async with open_wire(host, port) as server:
        await client.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_quietly, client, server)
            nursery.start_soon(_quietly, server, client)


async def _quietly(one: Wire, other: Wire) -> None:
    with suppress(OSError):
        await one.pour(other)


async def forward(client: Wire, head: Head | None, host: str, port: int) -> None:
    """Pass on what ``client`` asks of a server, from ``head`` on, and what that answers. Requests have no bodies.

    Raises:
        OSError, ValueError: one of the connections is lost, or something else came.
    """
    async with open_wire(host, port) as server:
        while head is not None:
            method, target, _ = head.first
            before, _, rest = head.raw.partition(b"\r\n")
            path = urlsplit(target).path or "/"
            await server.send(before.replace(target.encode("latin-1"), path.encode("latin-1"), 1) + b"\r\n" + rest)
            answer = await server.head()
            if answer is None:
                raise ConnectionError("the server closed instead of answering")
            await client.send(answer.raw)
            left = 0 if method == "HEAD" else answer.length
            while left:
                piece = await server.some(left)
                await client.send(piece)
                left -= len(piece)
            head = await client.head()


@asynccontextmanager
async def open_origin() -> AsyncIterator[int]:
    """Serve for as long as the block runs; gives the port."""
    origin = Origin()
    with trio.socket.socket() as listener:
        await listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(_accept, listener, origin, nursery))
            yield listener.getsockname()[1]
            nursery.cancel_scope.cancel()


async def _accept(listener: trio.socket.SocketType, origin: Origin, nursery: trio.Nursery) -> None:
    while True:
        sock, _ = await listener.accept()
        nursery.start_soon(origin.serve, sock)


async def _serve_for_ever() -> None:
    async with open_origin() as port:
        print(port, flush=True)
        await trio.sleep_forever()


def main() -> None:
    """Serve until the process is ended; the port goes to standard output."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdin.close()
    trio.run(_serve_for_ever)


if __name__ == "__main__":
    main()
