"""A small correct SOCKS proxy: version 5 without a login or with user and password, version 4 and 4A.

It speaks one version; to a client of another it closes the connection at once (RFC 1928 has no words for that). What a
client said, step by step, is kept in a `SocksVisit` even if it never got to the end. After a refusal the connection is
closed, as RFC 1928 section 6 and RFC 1929 section 2 want it.

Why a target cannot be reached is told by the code that fits the system's error, as far as version 5 has one; version 4
has but one word for all of it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal

import trio
from attrs import define

from trioreply.testing import MemoryNetwork, ServerTls

from .doors import Login
from .socks_messages import (
    CONNECT,
    GRANTED_4,
    GRANTED_5,
    LOGIN_VERSION,
    NO_AUTHENTICATION,
    NO_METHOD,
    USER_PASSWORD,
    VERSION_5,
    AddressType,
    Wanted,
    read_greeting,
    read_login,
    read_request,
    read_request4,
    reply4,
    reply5,
)
from .tunnels import Address, Exits, RealProxy, RecordedStream, run_proxy

GENERAL_FAILURE, NOT_ALLOWED, NETWORK_UNREACHABLE, HOST_UNREACHABLE, REFUSED = 1, 2, 3, 4, 5
COMMAND_NOT_SUPPORTED, ADDRESS_TYPE_NOT_SUPPORTED = 7, 8
REJECTED_4, WRONG_USER_4 = 0x5B, 0x5D

_CODES = {
    errno.ECONNREFUSED: REFUSED,
    errno.ENETUNREACH: NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: HOST_UNREACHABLE,
}


@define(eq=False)
class SocksVisit:
    """What one client asked for."""

    version: int
    methods: bytes = b""
    """Those it offered; version 5 alone."""
    login: tuple[bytes, bytes] | None = None
    """User and password as they were said; for version 4 the user id and nothing, `None` if that is empty."""
    address_type: AddressType | None = None
    """How the host was said; `None` before that. For version 4 a name is 4A."""
    host: str | None = None
    port: int | None = None
    reply: int | None = None
    """The code of the answer to what it wanted; `None` if it did not get that far."""


class SocksProxy(RealProxy):
    """The proxy: where it is, and what it has seen. Made by `open_socks_proxy`."""

    def __init__(self, exits: Exits, *, version: Literal[4, 5], login: Login | None, denied: Collection[str]) -> None:
        super().__init__(exits)
        self.version = version
        self.login = login
        """Who may use it; `None` for everybody. For version 4 the user alone counts. May be replaced at any time."""
        self.denied = denied
        self.visits: list[SocksVisit] = []
        """All clients that said as much as their version, in the order they came."""

    async def serve(self, visitor: RecordedStream) -> None:
        """Serve one client."""
        (version,) = await visitor.receive_exactly(1)
        visit = SocksVisit(version)
        self.visits.append(visit)
        if version != self.version:
            return
        visitor.give_back(bytes((version,)))
        await (self._serve5 if version == VERSION_5 else self._serve4)(visitor, visit)

    async def _serve5(self, visitor: RecordedStream, visit: SocksVisit) -> None:
        _, visit.methods = await read_greeting(visitor)
        method = NO_AUTHENTICATION if self.login is None else USER_PASSWORD
        if method not in visit.methods:
            await visitor.send_all(bytes((VERSION_5, NO_METHOD)))
            return
        await visitor.send_all(bytes((VERSION_5, method)))
        if self.login is not None and not await self._admit(visitor, visit, self.login):
            return
        wanted = await read_request(visitor)
        _note(visit, wanted)
        if wanted.command != CONNECT or wanted.address_type is None:
            visit.reply = ADDRESS_TYPE_NOT_SUPPORTED if wanted.address_type is None else COMMAND_NOT_SUPPORTED
            await visitor.send_all(reply5(visit.reply))
            return
        upstream = await self._reach(wanted)
        if isinstance(upstream, int):
            visit.reply = upstream
            await visitor.send_all(reply5(visit.reply))
            return
        async with upstream:
            visit.reply = GRANTED_5
            await visitor.send_all(reply5(visit.reply))
            await self.tunnel(visitor, upstream, (wanted.host, wanted.port))

    async def _serve4(self, visitor: RecordedStream, visit: SocksVisit) -> None:
        wanted = await read_request4(visitor)
        _note(visit, wanted)
        visit.login = (wanted.user_id, b"") if wanted.user_id else None
        upstream: trio.abc.Stream | int = REJECTED_4
        if self.login is not None and wanted.user_id != self.login[0].encode():
            upstream = WRONG_USER_4
        elif wanted.command == CONNECT:
            upstream = await self._reach(wanted)
        if isinstance(upstream, int):
            visit.reply = WRONG_USER_4 if upstream == WRONG_USER_4 else REJECTED_4
            await visitor.send_all(reply4(visit.reply))
            return
        async with upstream:
            visit.reply = GRANTED_4
            await visitor.send_all(reply4(visit.reply))
            await self.tunnel(visitor, upstream, (wanted.host, wanted.port))

    async def _admit(self, visitor: RecordedStream, visit: SocksVisit, login: Login) -> bool:
        version, user, password = await read_login(visitor)
        visit.login = (user, password)
        is_right = version == LOGIN_VERSION and visit.login == (login[0].encode(), login[1].encode())
        await visitor.send_all(bytes((LOGIN_VERSION, 0 if is_right else 1)))
        return is_right

    async def _reach(self, wanted: Wanted) -> trio.abc.Stream | int:
        """A stream to the target, or the code of version 5 that says why there is none."""
        if wanted.host in self.denied or f"{wanted.host}:{wanted.port}" in self.denied:
            return NOT_ALLOWED
        try:
            return await self.exits.dial(wanted.host, wanted.port)
        except OSError as error:
            return code_of(error)


def open_socks_proxy(
    *,
    network: MemoryNetwork | None = None,
    tls: ServerTls | None = None,
    host: str = "socks.test",
    version: Literal[4, 5] = 5,
    login: Login | None = None,
    denied: Collection[str] = (),
    resolve: Mapping[str, Address] | None = None,
) -> AbstractAsyncContextManager[SocksProxy]:
    """Run a SOCKS proxy on ``network``, or on a loopback socket, until the block ends.

    Args:
        network: where it is, and where its targets are; `None` for loopback.
        tls: what it shows to its own clients; its certificate must be for ``host``, or on loopback for 127.0.0.1.
        host: its name on ``network``; not used on loopback.
        version: 5, or 4 with 4A.
        login: who may use it; `None` for everybody. Version 4 knows no passwords.
        denied: hosts, or ``"host:port"``, to which nobody may go.
        resolve: where names lead; see `Exits`. On loopback no other names are known.

    Raises:
        Exception: on leaving, what the block raised, or else what the proxy raised; never a group.
    """
    exits = Exits(network, {} if resolve is None else resolve)
    return run_proxy(SocksProxy(exits, version=version, login=login, denied=denied), host=host, tls=tls)


def code_of(error: OSError) -> int:
    """What version 5 says where the system says ``error``."""
    if isinstance(error, socket.gaierror):
        return HOST_UNREACHABLE
    return _CODES.get(error.errno or 0, GENERAL_FAILURE)


def _note(visit: SocksVisit, wanted: Wanted) -> None:
    visit.address_type, visit.host, visit.port = wanted.address_type, wanted.host, wanted.port
