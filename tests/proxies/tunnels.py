"""What all the proxies have in common: a way in that remembers, a way out, and bytes carried between the two.

The rules:

* A proxy never asks the real DNS. A name leads somewhere because the network in memory knows it, or because it stands
  in the proxy's `Exits.names`; on loopback nothing else is known.
* Names that a proxy looks up do not show in `MemoryNetwork.resolved`: what stands there was asked by the client.
* A tunnel ends when either end does, and both are closed then. Whatever had come before that was carried over.
* A visitor that goes away is no failure.
"""

from __future__ import annotations

import abc
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import trio
from attrs import field, frozen

from trioreply.testing import MemoryNetwork, ServedStream, ServerTls, TlsServerStream, serve_streams

Address = tuple[str, int]
"""A host, by name or address, and a port."""

_USUAL_PORTS = {"http": 80, "https": 443}


class PeerGoneError(Exception):
    """The stream ended where more was wanted."""


class RecordedStream:
    """A stream with a memory: everything received from it is kept, and can be taken in measured pieces."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard = bytearray()
        """Every byte received so far; what came over TLS, decrypted."""
        self._unread = bytearray()

    async def send_all(self, data: bytes) -> None:
        """As `trio.abc.SendStream.send_all`."""
        await self.stream.send_all(data)

    async def receive_some(self) -> bytes:
        """What there is, or what comes next; ``b""`` at the end."""
        if not self._unread:
            return await self._receive()
        return self._take(len(self._unread))

    async def receive_exactly(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            PeerGoneError: there are not that many.
        """
        while len(self._unread) < count:
            await self._receive_more()
        return self._take(count)

    async def receive_until(self, marker: bytes) -> bytes:
        """The bytes up to and with ``marker``.

        Raises:
            PeerGoneError: it does not come.
        """
        while (at := self._unread.find(marker)) < 0:
            await self._receive_more()
        return self._take(at + len(marker))

    async def receive_rest(self) -> bytes:
        """Everything up to the end of the stream."""
        rest = bytearray()
        while piece := await self.receive_some():
            rest += piece
        return bytes(rest)

    def give_back(self, data: bytes) -> None:
        """Have ``data`` received once more, before anything else."""
        self._unread[:0] = data

    async def _receive_more(self) -> None:
        data = await self._receive()
        if not data:
            raise PeerGoneError
        self._unread += data

    async def _receive(self) -> bytes:
        data = bytes(await self.stream.receive_some())
        self.heard += data
        return data

    def _take(self, count: int) -> bytes:
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data


@frozen
class Exits:
    """How a proxy gets to its targets.

    Args:
        network: the network in memory; `None` for loopback.
        names: where a host, or a ``"host:port"``, is really to be found. It is looked at for each connection, so it
            may still change. What is not in it is asked of ``network``.
    """

    network: MemoryNetwork | None
    names: Mapping[str, Address] = field(factory=dict)

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """A stream to ``port`` of ``host``, or of the first of its addresses that can be reached.

        Raises:
            socket.gaierror: nobody knows the name.
            OSError: it could not be connected, as the system says it.
        """
        host, port = self.names.get(f"{host}:{port}") or self.names.get(host) or (host, port)
        addresses = self._addresses(host)
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):
                return await self._dial(address, port)
        return await self._dial(addresses[-1], port)

    def _addresses(self, host: str) -> tuple[str, ...]:
        with contextlib.suppress(ValueError):
            return (str(ip_address(host)),)
        if self.network is not None:
            with contextlib.suppress(KeyError):
                return self.network.host(host).addresses
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def _dial(self, address: str, port: int) -> trio.abc.Stream:
        if self.network is not None:
            return await self.network.dial(address, port)
        # By hand: `trio.open_tcp_stream` does not say why it failed in a way that a proxy could tell on.
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(trio.socket.socket(family, socket.SOCK_STREAM))
            await connection.connect((address, port))
            stack.pop_all()
        return trio.SocketStream(connection)


class RealProxy(abc.ABC):
    """A proxy that works: where it is, and what it has seen. Made by `open_http_proxy` and `open_socks_proxy`."""

    def __init__(self, exits: Exits) -> None:
        self.exits = exits
        self.base_url = ""
        """Such as ``http://proxy.test`` or ``https://127.0.0.1:40000``; the scheme says whether it is TLS, no more."""
        self.visitors: list[RecordedStream] = []
        """Its clients' connections so far, in the order they came; over TLS only those whose handshake succeeded."""
        self.handshakes: list[TlsServerStream] = []
        """The streams of all TLS connections to the proxy itself, those included whose handshake failed."""
        self.tunnels: list[Address] = []
        """To whom it has tunnelled, as it was asked for it: targets that could be reached."""

    @property
    def address(self) -> Address:
        """Where it is, for a client."""
        return address_of(self.base_url)

    @property
    def host(self) -> str:
        """Its name, or on loopback its address."""
        return self.address[0]

    @property
    def port(self) -> int:
        """Its port."""
        return self.address[1]

    @property
    def heard(self) -> bytes:
        """All that its clients have said to it, and through it, as far as it could read it."""
        return b"\n".join(bytes(visitor.heard) for visitor in self.visitors)

    async def accept(self, stream: ServedStream) -> None:
        """Serve one connection."""
        visitor = RecordedStream(stream)
        self.visitors.append(visitor)
        with contextlib.suppress(PeerGoneError):
            await self.serve(visitor)

    @abc.abstractmethod
    async def serve(self, visitor: RecordedStream) -> None:
        """Speak this proxy's protocol with one visitor, until it is over."""

    async def tunnel(self, visitor: RecordedStream, upstream: trio.abc.Stream, target: Address) -> None:
        """Carry bytes both ways until either end closes; ``upstream`` is then the caller's to close."""
        self.tunnels.append(target)
        await pump(visitor, upstream)


P = TypeVar("P", bound=RealProxy)


@contextlib.asynccontextmanager
async def run_proxy(proxy: P, *, host: str, tls: ServerTls | None) -> AsyncIterator[P]:
    """Serve ``proxy`` on its own network until the block ends; ``host`` is not used on loopback."""
    served = serve_streams(
        proxy.accept, network=proxy.exits.network, host=host, tls=tls, on_accept=proxy.handshakes.append
    )
    async with served as proxy.base_url:
        yield proxy


async def pump(visitor: RecordedStream, upstream: trio.abc.Stream) -> None:
    """Carry bytes both ways until either end closes or breaks."""
    async with trio.open_nursery() as nursery:

        async def carry(source: RecordedStream | trio.abc.Stream, sink: RecordedStream | trio.abc.Stream) -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                while data := await source.receive_some():
                    await sink.send_all(bytes(data))
            nursery.cancel_scope.cancel()

        nursery.start_soon(carry, visitor, upstream)
        nursery.start_soon(carry, upstream, visitor)


def address_of(base_url: str) -> Address:
    """Host and port of a server's base URL, as `serve_streams`, `serve_peer` and `open_origin` give it.

    Raises:
        ValueError: that is no http or https URL.
    """
    parts = urlsplit(base_url)
    if parts.hostname is None or parts.scheme not in _USUAL_PORTS:
        raise ValueError(f"{base_url!r} is no server's base URL")
    return parts.hostname, parts.port or _USUAL_PORTS[parts.scheme]
