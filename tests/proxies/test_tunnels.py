"""What all proxies have in common: ways out, and streams with a memory."""

from __future__ import annotations

import socket

import pytest
import trio

from trioreply.testing import MemoryNetwork, ServedStream, serve_streams

from .tunnels import Exits, PeerGoneError, RecordedStream, address_of


async def hello(stream: ServedStream) -> None:
    """Say hello."""
    await stream.send_all(b"hello")


async def test_names_may_lead_elsewhere() -> None:
    """A name with its port goes before a name, and that before what the network knows."""
    async with MemoryNetwork() as network, serve_streams(hello, network=network, host="here.test"):
        names = {"a.test": ("here.test", 80), "b.test": ("here.test", 81), "b.test:1": ("here.test", 80)}
        exits = Exits(network, names)
        for host, port in (("a.test", 7), ("b.test", 1), ("here.test", 80)):
            async with await exits.dial(host, port) as stream:
                assert await stream.receive_some() == b"hello"
        with pytest.raises(ConnectionRefusedError):
            await exits.dial("b.test", 2)
        names["c.test"] = ("here.test", 80)
        await (await exits.dial("c.test", 1)).aclose()


async def test_all_addresses_are_tried() -> None:
    """The next address of a host is tried where one cannot be reached; the last one's reason is told."""
    async with MemoryNetwork() as network:
        host = network.add_host("here.test", "192.0.2.1", "2001:db8::1")
        async with serve_streams(hello, network=network, host="here.test"):
            host.on("192.0.2.1").refuse = True
            await (await Exits(network).dial("here.test", 80)).aclose()
            host.on("2001:db8::1").unreachable = True
            with pytest.raises(OSError, match="unreachable"):
                await Exits(network).dial("here.test", 80)
        assert network.dialed == [("192.0.2.1", 80), ("2001:db8::1", 80)] * 2


@pytest.mark.parametrize("is_loopback", [False, True])
async def test_unknown_names_are_not_asked_for(*, is_loopback: bool) -> None:
    """Nobody asks the real DNS, on neither network."""
    async with MemoryNetwork() as network:
        with pytest.raises(socket.gaierror):
            await Exits(None if is_loopback else network).dial("localhost", 80)


async def test_ipv6_loopback() -> None:
    """An IPv6 address is dialled as one."""
    (listener,) = await trio.open_tcp_listeners(0, host="::1")
    async with listener:
        port = listener.socket.getsockname()[1]
        async with await Exits(None).dial("::1", port) as stream, await listener.accept():
            await stream.send_all(b"x")


async def test_measured_pieces() -> None:
    """Pieces of any size are taken in turn, everything is remembered, and an early end is told."""
    async with MemoryNetwork() as network, serve_streams(hello, network=network, host="here.test"):
        async with await Exits(network).dial("here.test", 80) as stream:
            recorded = RecordedStream(stream)
            assert await recorded.receive_until(b"e") == b"he"
            assert await recorded.receive_exactly(1) == b"l"
            recorded.give_back(b"L")
            assert await recorded.receive_some() == b"Llo"
            with pytest.raises(PeerGoneError):
                await recorded.receive_until(b"x")
            assert bytes(recorded.heard) == b"hello"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://a.test", ("a.test", 80)),
        ("https://a.test", ("a.test", 443)),
        ("https://[::1]:1", ("::1", 1)),
    ],
)
def test_where_a_server_is(url: str, address: tuple[str, int]) -> None:
    """Host and port come from a base URL."""
    assert address_of(url) == address


@pytest.mark.parametrize("url", ["a.test:80", "ftp://a.test", "http:///x"])
def test_where_no_server_is(url: str) -> None:
    """What is no server's base URL is refused."""
    with pytest.raises(ValueError, match="no server's base URL"):
        address_of(url)
