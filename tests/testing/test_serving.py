"""Serving over TLS: handshakes come before handlers, and what goes wrong in them ends with the block."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioreply.testing import MemoryNetwork, ServedStream, TlsServerStream, serve_streams
from trioreply.testing.serving import transport_of
from trioreply.testing.transport import close_transport, reset_transport, send_nowait

from .pairs import OpenPair, memory_pair, socket_pair
from .tls_clients import SERVER_TLS, connect_tls


async def hello(stream: ServedStream) -> None:
    """Say hello, by TLS."""
    assert isinstance(stream, TlsServerStream)
    await stream.send_all(b"hello")


async def test_https_has_its_own_port() -> None:
    """In memory the usual port is 443, which the URL does not show, or else the next free one."""
    async with MemoryNetwork() as network, serve_streams(hello, network=network, tls=SERVER_TLS) as first:
        assert first == "https://server.test"
        async with serve_streams(hello, network=network, tls=SERVER_TLS) as second:
            assert second == "https://server.test:444"
        (address,) = network.host("server.test").addresses
        async with await network.dial(address, 443) as transport:
            assert await (await connect_tls(transport, "server.test")).receive_some() == b"hello"


@pytest.mark.parametrize("first_bytes", [b"", b"\x16\x03\x01"])
async def test_a_stalled_handshake_ends_with_the_block(first_bytes: bytes) -> None:
    """A client that says nothing, or stops in the middle, holds nothing up; its stream is shown all the same."""
    accepted: list[TlsServerStream] = []
    async with serve_streams(hello, tls=SERVER_TLS, on_accept=accepted.append) as url:
        host, port = url.removeprefix("https://").split(":")
        client = await trio.open_tcp_stream(host, int(port))
        await client.send_all(first_bytes)
        while not accepted:
            await trio.testing.wait_all_tasks_blocked()
    async with client:
        assert await client.receive_some() == b""
    (stream,) = accepted
    assert (stream.is_established, stream.handshake_error) == (False, None)


async def test_a_mistake_is_kept_while_the_client_is_waited_for() -> None:
    """What a handler raises is not lost when its polite close must wait, and the block ends meanwhile."""

    async def fail(stream: ServedStream) -> None:
        while send_nowait(transport_of(stream), b"x" * 100_000):
            await trio.lowlevel.checkpoint()
        raise LookupError("a mistake in the handler")

    with pytest.raises(LookupError, match="a mistake"):
        async with MemoryNetwork() as network, serve_streams(fail, network=network, tls=SERVER_TLS):
            (address,) = network.host("server.test").addresses
            await connect_tls(await network.dial(address, 443), "server.test")
            await trio.testing.wait_all_tasks_blocked()


@pytest.fixture(params=[memory_pair, socket_pair])
def open_pair(request: pytest.FixtureRequest) -> OpenPair:
    """A way to make a connected pair."""
    chosen: OpenPair = request.param
    return chosen


async def test_a_transport_is_closed_with_a_farewell(open_pair: OpenPair) -> None:
    """A farewell goes out before the end; closing or resetting what is closed does nothing."""
    async with open_pair() as (left, right):
        close_transport(right, b"bye")
        close_transport(right, b"again")
        reset_transport(right)
        assert b"".join([bytes(piece) async for piece in left]) == b"bye"


async def test_a_farewell_neither_waits_nor_fails(open_pair: OpenPair) -> None:
    """A peer that reads nothing, or has gone, gets no farewell, and the transport is closed all the same."""
    async with open_pair() as (left, right):
        while send_nowait(right, b"x" * 100_000):
            pass
        close_transport(right, b"bye")
        assert not (b"".join([bytes(piece) async for piece in left])).endswith(b"bye")
    async with open_pair() as (left, right):
        reset_transport(left)
        close_transport(right, b"bye")
        with pytest.raises(trio.ClosedResourceError):
            send_nowait(right, b"x")


async def test_sending_at_once_to_who_is_gone(open_pair: OpenPair) -> None:
    """What cannot be sent any more is Trio's BrokenResourceError."""
    async with open_pair() as (left, right):
        reset_transport(left)
        with pytest.raises(trio.BrokenResourceError):
            send_nowait(right, b"x")
