"""Clients of proxies that are nothing but hand-written bytes on streams."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator

import trio
from attrs import field, frozen

from tests.testing.tls_clients import connect_tls, trusting
from trioreply.testing import Authority, MemoryNetwork, ServerTls

from .tunnels import Address, Exits, RecordedStream

AUTHORITY = Authority()
# Without tickets: a client that closes before it has read those resets the connection.
SERVER_TLS = AUTHORITY.serve("proxy.test", "second.test", "socks.test", "origin.test", "127.0.0.1", tickets=0)
TRUSTING = trusting(AUTHORITY)

LOGIN = ("maria", "sécret")
BASIC = b"Proxy-Authorization: Basic " + base64.b64encode(":".join(LOGIN).encode()) + b"\r\n"


@frozen
class Ground:
    """A network, and whether the proxies on it are reached over TLS."""

    network: MemoryNetwork | None
    tls: ServerTls | None
    names: dict[str, Address] = field(factory=dict)
    """Where names lead, for the proxies; ``closed.test`` leads where nobody listens."""

    @contextlib.asynccontextmanager
    async def visit(self, address: Address) -> AsyncIterator[RecordedStream]:
        """A connection to the proxy there, secured if this ground wants that."""
        host, port = address
        async with await Exits(self.network).dial(host, port) as stream:
            if self.tls is None:
                yield RecordedStream(stream)
            else:
                yield RecordedStream(await secure(stream, host))


async def secure(stream: trio.abc.Stream, name: str) -> trio.abc.Stream:
    """TLS on top of ``stream``, with the server ``name``."""
    return await connect_tls(stream, name, context=TRUSTING)


async def ask(client: RecordedStream, head: bytes) -> tuple[int, bytes, bytes]:
    """Send a request and receive a response with a Content-Length; gives status, head and body."""
    await client.send_all(head)
    return await receive_response(client)


async def receive_response(client: RecordedStream) -> tuple[int, bytes, bytes]:
    """A response with a Content-Length: status, head and body."""
    received = await client.receive_until(b"\r\n\r\n")
    _, _, length = received.lower().partition(b"\r\ncontent-length:")
    return int(received.split()[1]), received, await client.receive_exactly(int(length.split()[0]))


async def open_tunnel(client: RecordedStream, target: str, fields: bytes = b"") -> RecordedStream:
    """The same connection, as a tunnel to ``target``."""
    authority = target.encode()
    await client.send_all(b"CONNECT " + authority + b" HTTP/1.1\r\nHost: " + authority + b"\r\n" + fields + b"\r\n")
    answer = await client.receive_until(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    return client
