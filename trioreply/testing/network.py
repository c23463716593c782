"""A network in memory: names, addresses, listeners and everything that can go wrong between them.

`MemoryNetwork` is both a resolver and a dialler, so ``trioreply.open_manager(resolver=network, dialer=network)`` runs
on it, without a socket or a thread and on any clock; it has Unix sockets, too. Failures are the operating system's own
exceptions, as a real dialler raises them. Switches are plain attributes, and hold from the moment they are set.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import os
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import trio
from attrs import define, field

from .background import Background, StreamHandler, open_background
from .stream import BUFFER_SIZE, MemoryConnection, MemoryStream, Weather


@define
class Switches:
    """What happens to those who dial here. A failing dial fails after ``delay``."""

    refuse: bool = False
    """Answer like a host where nobody listens: `ConnectionRefusedError`."""
    unreachable: bool = False
    """Answer like a network without a route: `OSError` with ``ENETUNREACH``."""
    black_hole: bool = False
    """Do not answer at all: dialling waits until it is cancelled."""
    delay: float = 0.0
    """Seconds, on Trio's clock, that dialling takes."""

    async def pass_through(self) -> None:
        """Take the time and raise the error that these switches stand for."""
        if self.delay:
            await trio.sleep(self.delay)
        if self.black_hole:
            await trio.sleep_forever()
        if self.unreachable:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        if self.refuse:
            raise refused()


def refused() -> ConnectionRefusedError:
    """The error of a port where nobody listens."""
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


@define
class Host(Switches):
    """A host: its name, its addresses in the resolver's order, and its switches (from `Switches`), which hold for all
    of them.
    """

    name: str = field(default="", kw_only=True)
    addresses: tuple[str, ...] = field(default=(), kw_only=True)
    resolve_delay: float = field(default=0.0, kw_only=True)
    """Seconds, on Trio's clock, that finding the addresses takes; `math.inf` for a name server that is silent."""
    _by_address: dict[str, Switches] = field(factory=dict, init=False, repr=False)

    def on(self, address: str) -> Switches:
        """The switches of one address alone.

        Raises:
            KeyError: the host does not have it.
        """
        if address not in self.addresses:
            raise KeyError(f"{self.name} has no address {address}")
        return self._by_address.setdefault(address, Switches())


class MemoryListener:
    """Somebody who listens at a host's port; made by `MemoryNetwork.listen`."""

    def __init__(
        self, place: tuple[str, int], serve: StreamHandler[MemoryStream], background: Background | None
    ) -> None:
        self.host, self.port = place
        self.serve = serve
        self.background = background
        self.is_open = True
        self.connections: list[MemoryConnection] = []
        """The connections that were accepted here, in their order."""

    def close(self) -> None:
        """Stop listening: later dials are refused, running connections go on."""
        self.is_open = False


class MemoryNetwork:
    """A network in memory. Use it with ``async with``; leaving it ends its servers.

    Args:
        buffer_size: bytes that may be on their way in one direction of a connection before its sender must wait.

    Raises:
        Exception: on leaving, what a server raised that is not a disconnect, or else what the block raised; never a
            group.
    """

    def __init__(self, *, buffer_size: int = BUFFER_SIZE) -> None:
        self.dialed: list[tuple[str, int]] = []
        """Every (address, port) that was dialled, whatever came of it; for a Unix socket its path, and the port 0."""
        self.resolved: list[tuple[str, int]] = []
        """Every (host, port) whose addresses were asked for."""
        self.connections: list[MemoryConnection] = []
        """Every connection that came about."""
        self._buffer_size = buffer_size
        self._weather = Weather()
        self._hosts: dict[str, Host] = {}
        self._listeners: dict[tuple[str, int], MemoryListener] = {}
        # TEST-NET-2 (RFC 5737): addresses that are nobody's.
        self._free_addresses = (f"198.51.100.{n}" for n in itertools.count(1))
        self._background: Background | None = None
        self._closing = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._background = await self._closing.enter_async_context(open_background())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._background = None
        return await self._closing.__aexit__(exc_type, exc, traceback)

    @property
    def one_byte_at_a_time(self) -> bool:
        """Whether every receive on this network gives one byte; may be changed at any time."""
        return self._weather.one_byte_at_a_time

    @one_byte_at_a_time.setter
    def one_byte_at_a_time(self, value: bool) -> None:
        self._weather.one_byte_at_a_time = value

    @property
    def stall(self) -> bool:
        """Whether nothing is delivered on any connection; switched off, what was held back arrives."""
        return self._weather.stall

    @stall.setter
    def stall(self, value: bool) -> None:
        self._weather.stall = value
        for connection in self.connections:
            connection.wake()

    @property
    def open_streams(self) -> tuple[MemoryStream, ...]:
        """The client ends that nobody has closed; after a manager has ended there must be none."""
        return tuple(connection.client for connection in self.connections if connection.is_open)

    def drop(self) -> None:
        """`MemoryConnection.drop` on all connections: what a pulled cable with a firewall behind it looks like."""
        for connection in self.connections:
            connection.drop()

    def cut(self) -> None:
        """`MemoryConnection.cut` on all connections: a server that restarts politely."""
        for connection in self.connections:
            connection.cut()

    def add_host(self, name: str, *addresses: str) -> Host:
        """Make ``name`` known, with ``addresses`` in the order the resolver gives them, or with an address of its own.

        Raises:
            ValueError: the name or one of the addresses is taken.
        """
        taken = {address for host in self._hosts.values() for address in host.addresses} & set(addresses)
        if name in self._hosts or taken:
            raise ValueError(f"the network has {', '.join(sorted(taken)) or name} already")
        host = Host(name=name, addresses=addresses or (next(self._free_addresses),))
        self._hosts[name] = host
        return host

    def host(self, name: str) -> Host:
        """The host of that name, with its switches.

        Raises:
            KeyError: there is none.
        """
        return self._hosts[name]

    def listen(
        self, host: str, port: int, serve: StreamHandler[MemoryStream], *, background: Background | None = None
    ) -> MemoryListener:
        """Serve connections to ``host`` at ``port``, each by ``await serve(stream)`` in a task of its own.

        A host that does not exist yet is added; a numeric ``host`` is its own address. The tasks run in the network's
        block, or in ``background`` if that is to be shorter.

        Raises:
            OSError: somebody listens there already (``EADDRINUSE``).
        """
        if host not in self._hosts:
            self.add_host(host, *((host,) if _is_numeric(host) else ()))
        return self._listen((host, port), serve, background)

    def listen_local(
        self, path: str, serve: StreamHandler[MemoryStream], *, background: Background | None = None
    ) -> MemoryListener:
        """Serve connections to the Unix socket ``path`` as `listen` does those to a port.

        The path is also the name of a host without addresses, whose switches hold for the socket.

        Raises:
            OSError: somebody listens there already (``EADDRINUSE``).
        """
        self._hosts.setdefault(path, Host(name=path))
        return self._listen((path, 0), serve, background)

    def _listen(
        self, place: tuple[str, int], serve: StreamHandler[MemoryStream], background: Background | None
    ) -> MemoryListener:
        if self.is_listening(*place):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listener = self._listeners[place] = MemoryListener(place, serve, background)
        return listener

    def is_listening(self, host: str, port: int) -> bool:
        """Whether a dial to that place would find somebody."""
        listener = self._listeners.get((host, port))
        return listener is not None and listener.is_open

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The addresses of ``host``, in the order they were added; a numeric host is its own.

        Raises:
            socket.gaierror: there is no such host.
        """
        self.resolved.append((host, port))
        await trio.lowlevel.checkpoint()
        if _is_numeric(host):
            return (host,)
        known = self._hosts.get(host)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if known.resolve_delay:
            await trio.sleep(known.resolve_delay)
        return known.addresses

    async def dial(self, address: str, port: int) -> MemoryStream:
        """A stream to whoever listens there.

        Raises:
            ConnectionRefusedError: nobody listens, or the host refuses.
            OSError: the address is unreachable, or not of this network.
            RuntimeError: the network is not open.
        """
        self.dialed.append((address, port))
        await trio.lowlevel.checkpoint()
        host = next((host for host in self._hosts.values() if address in host.addresses), None)
        if host is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        await host.pass_through()
        await host.on(address).pass_through()
        # From here on nothing waits: a dial that is cancelled has made no connection.
        return self._connect(host, address, port)

    async def dial_local(self, path: str) -> MemoryStream:
        """A stream to whoever listens at the Unix socket ``path``.

        Raises:
            FileNotFoundError: nobody ever did.
            ConnectionRefusedError: nobody does any more, or nobody has that abstract name; or its host refuses.
            OSError: its host is unreachable.
            RuntimeError: the network is not open.
        """
        self.dialed.append((path, 0))
        await trio.lowlevel.checkpoint()
        if (path, 0) not in self._listeners:
            raise refused() if path.startswith("\0") else FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        host = self._hosts[path]
        await host.pass_through()
        return self._connect(host, path, 0)

    def _connect(self, host: Host, address: str, port: int) -> MemoryStream:
        if self._background is None:
            raise RuntimeError("the network is not open; use it with 'async with'")
        listener = self._listeners.get((host.name, port))
        if listener is None or not listener.is_open:
            raise refused()
        connection = MemoryConnection(
            host=host.name, address=address, port=port, buffer_size=self._buffer_size, weather=self._weather
        )
        self.connections.append(connection)
        listener.connections.append(connection)
        (listener.background or self._background).start(listener.serve, connection.server)
        return connection.client


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
