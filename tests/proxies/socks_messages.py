"""What SOCKS clients say, read from a stream: RFC 1928 and RFC 1929, and version 4 with its extension 4A.

The readers take what they need and not a byte more, from anything that has the two methods of `Source`; so the honest
proxy and the scripts of the misbehaving ones read with the same eyes. They do not judge: a version that is none is
given to the caller as it came.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address
from typing import Literal, Protocol

from attrs import frozen

AddressType = Literal["ipv4", "ipv6", "name"]

CONNECT = 1
VERSION_4, VERSION_5, LOGIN_VERSION = 4, 5, 1
NO_AUTHENTICATION, USER_PASSWORD, NO_METHOD = 0, 2, 0xFF
GRANTED_5, GRANTED_4 = 0, 0x5A

_IPV4, _NAME, _IPV6 = 1, 3, 4


class Source(Protocol):
    """Where bytes come from, in measured pieces."""

    async def receive_exactly(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        ...

    async def receive_until(self, marker: bytes) -> bytes:
        """The bytes up to and with ``marker``."""
        ...


@frozen
class Wanted:
    """Where a client wants to go."""

    version: int
    command: int
    address_type: AddressType | None
    """How it said the host; `None` for a type that does not exist, and then there is no host either."""
    host: str = ""
    port: int = 0
    user_id: bytes = b""
    """Version 4 alone."""


async def read_greeting(source: Source) -> tuple[int, bytes]:
    """The version and the methods offered (RFC 1928 section 3)."""
    version, count = await source.receive_exactly(2)
    return version, await source.receive_exactly(count)


async def read_login(source: Source) -> tuple[int, bytes, bytes]:
    """The version of the login, user and password (RFC 1929 section 2)."""
    version, length = await source.receive_exactly(2)
    user = await source.receive_exactly(length)
    (length,) = await source.receive_exactly(1)
    return version, user, await source.receive_exactly(length)


async def read_request(source: Source) -> Wanted:
    """A request of version 5 (RFC 1928 section 4)."""
    version, command, _, kind = await source.receive_exactly(4)
    if kind == _NAME:
        (length,) = await source.receive_exactly(1)
        return Wanted(version, command, "name", (await source.receive_exactly(length)).decode(), await _port(source))
    if kind == _IPV4:
        return Wanted(version, command, "ipv4", str(IPv4Address(await source.receive_exactly(4))), await _port(source))
    if kind == _IPV6:
        host = socket.inet_ntop(socket.AF_INET6, await source.receive_exactly(16))
        return Wanted(version, command, "ipv6", host, await _port(source))
    return Wanted(version, command, None)


async def read_request4(source: Source) -> Wanted:
    """A request of version 4, or 4A: an address 0.0.0.x that is not 0.0.0.0 says that a name follows."""
    version, command = await source.receive_exactly(2)
    port = await _port(source)
    address = IPv4Address(await source.receive_exactly(4))
    user_id = (await source.receive_until(b"\0"))[:-1]
    if not 0 < int(address) < 256:
        return Wanted(version, command, "ipv4", str(address), port, user_id)
    name = (await source.receive_until(b"\0"))[:-1].decode()
    return Wanted(version, command, "name", name, port, user_id)


def reply5(code: int, address: bytes = b"\x01\0\0\0\0") -> bytes:
    """An answer of version 5 (RFC 1928 section 6); ``address`` is what the proxy bound, its type first."""
    return bytes((VERSION_5, code, 0)) + address + b"\0\0"


def reply4(code: int) -> bytes:
    """An answer of version 4: its own version is 0."""
    return bytes((0, code)) + bytes(6)


async def _port(source: Source) -> int:
    return int.from_bytes(await source.receive_exactly(2), "big")
