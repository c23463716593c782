"""Both ends of a connection, in memory and over loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import trio

from trioreply.testing import MemoryConnection, Transport

Pair = tuple[Transport, Transport]
OpenPair = Callable[[], AbstractAsyncContextManager[Pair]]


@contextlib.asynccontextmanager
async def memory_pair() -> AsyncIterator[Pair]:
    """Two ends in memory."""
    connection = MemoryConnection()
    async with connection.client, connection.server:
        yield connection.client, connection.server


@contextlib.asynccontextmanager
async def socket_pair() -> AsyncIterator[Pair]:
    """Two ends of a TCP connection over loopback."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        server = await listener.accept()
    async with client, server:
        yield client, server
