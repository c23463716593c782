"""The honest SOCKS proxy, versions 5, 4 and 4A."""

from __future__ import annotations

import errno
import socket

import pytest
import trio

from trioreply.testing import ServedStream, serve_streams

from .clients import LOGIN, Ground
from .socks_proxy import code_of, open_socks_proxy
from .tunnels import PeerGoneError, address_of

ANONYMOUS, WITH_LOGIN = b"\x05\x01\x00", b"\x05\x02\x00\x02"
RIGHT = b"\x01\x05maria\x07s\xc3\xa9cret"
WRONG = b"\x01\x05maria\x01x"
BY_NAME = b"\x05\x01\x00\x03\x0borigin.test\x00\x50"


async def shout(stream: ServedStream) -> None:
    """Give everything back in capitals."""
    while data := await stream.receive_some():
        await stream.send_all(bytes(data).upper())


@pytest.mark.parametrize(
    ("wanted", "kind", "host"),
    [
        (b"\x03\x0borigin.test", "name", "origin.test"),
        (b"\x01\xc6\x33\x64\x09", "ipv4", "198.51.100.9"),
        (b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01", "ipv6", "2001:db8::1"),
    ],
)
async def test_version_5(ground: Ground, wanted: bytes, kind: str, host: str) -> None:
    """Names and addresses of both kinds are understood and remembered; then bytes are carried both ways."""
    async with serve_streams(shout, network=ground.network, host="origin.test") as url:
        ground.names[host] = address_of(url)
        opening = open_socks_proxy(network=ground.network, tls=ground.tls, resolve=ground.names)
        async with opening as proxy, ground.visit(proxy.address) as client:
            await client.send_all(ANONYMOUS)
            assert await client.receive_exactly(2) == b"\x05\x00"
            await client.send_all(b"\x05\x01\x00" + wanted + b"\x00\x50early")
            assert await client.receive_exactly(10) == b"\x05\x00\x00\x01" + bytes(6)
            assert await client.receive_exactly(5) == b"EARLY"
    (visit,) = proxy.visits
    assert (visit.version, visit.methods, visit.login) == (5, b"\x00", None)
    assert (visit.address_type, visit.host, visit.port, visit.reply) == (kind, host, 80, 0)
    assert proxy.tunnels == [(host, 80)]
    assert proxy.heard.endswith(b"early")


async def test_an_address_is_its_own_name(memory: Ground) -> None:
    """An address of the network in memory needs nobody to know it, and what the proxy looks up is not the client's."""
    network = memory.network
    assert network is not None
    async with serve_streams(shout, network=network, host="origin.test"):
        (address,) = network.host("origin.test").addresses
        async with open_socks_proxy(network=network) as proxy:
            for target in (b"\x01" + bytes(map(int, address.split("."))), b"\x03\x0borigin.test"):
                async with memory.visit(proxy.address) as client:
                    await client.send_all(ANONYMOUS + b"\x05\x01\x00" + target + b"\x00\x50x")
                    assert await client.receive_exactly(13) == b"\x05\x00\x05\x00\x00\x01" + bytes(6) + b"X"
    assert network.resolved == []


async def test_a_login(ground: Ground) -> None:
    """A proxy with a login takes the right one, refuses a wrong one, and knows who offered none."""
    async with serve_streams(shout, network=ground.network) as url:
        ground.names["origin.test"] = address_of(url)
        opening = open_socks_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, login=LOGIN)
        async with opening as proxy:
            async with ground.visit(proxy.address) as client:
                await client.send_all(WITH_LOGIN + RIGHT + BY_NAME + b"x")
                assert await client.receive_exactly(15) == b"\x05\x02\x01\x00\x05\x00\x00\x01" + bytes(6) + b"X"
            for bad in (WRONG, b"\x05" + RIGHT[1:]):
                async with ground.visit(proxy.address) as client:
                    await client.send_all(WITH_LOGIN + bad)
                    assert await client.receive_rest() == b"\x05\x02\x01\x01"
            async with ground.visit(proxy.address) as client:
                await client.send_all(ANONYMOUS)
                assert await client.receive_rest() == b"\x05\xff"
    logins = [visit.login for visit in proxy.visits]
    right = (b"maria", "sécret".encode())
    assert logins == [right, (b"maria", b"x"), right, None]
    assert [visit.reply for visit in proxy.visits] == [0, None, None, None]


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"\x05\x01\x00\x03\x0bclosed.test\x00\x50", 5),
        (b"\x05\x01\x00\x03\x0cunknown.test\x00\x50", 4),
        (b"\x05\x01\x00\x03\x0bdenied.test\x00\x50", 2),
        (b"\x05\x01\x00\x03\x0bclosed.test\x00\x19", 2),
        (b"\x05\x02\x00\x03\x0bclosed.test\x00\x50", 7),
        (b"\x05\x01\x00\x02", 8),
    ],
)
async def test_version_5_refuses(ground: Ground, request_bytes: bytes, code: int) -> None:
    """Each reason has its code, after which the connection ends."""
    denied = ("denied.test", "closed.test:25")
    opening = open_socks_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, denied=denied)
    async with opening as proxy, ground.visit(proxy.address) as client:
        await client.send_all(ANONYMOUS + request_bytes)
        assert await client.receive_rest() == b"\x05\x00\x05" + bytes((code, 0, 1)) + bytes(6)
    assert proxy.visits[0].reply == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENETUNREACH, "x"), 3),
        (OSError(errno.EHOSTUNREACH, "x"), 4),
        (OSError(errno.ECONNREFUSED, "x"), 5),
        (OSError(errno.EPERM, "x"), 1),
        (OSError("x"), 1),
        # Its numbers are of another kind.
        (socket.gaierror(errno.ECONNREFUSED, "x"), 4),
    ],
)
def test_the_reasons_of_the_system(error: OSError, code: int) -> None:
    """What the system says about a target has a code, and what has none is a general failure."""
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("user_id", "target", "kind"),
    [
        (b"", b"\xc6\x33\x64\x09", "ipv4"),
        (b"maria", b"\xc6\x33\x64\x09", "ipv4"),
        (b"maria", b"\x00\x00\x00\x07", "name"),
    ],
)
async def test_version_4(ground: Ground, user_id: bytes, target: bytes, kind: str) -> None:
    """Version 4 has an address and a user id, 4A a name."""
    host = "origin.test" if kind == "name" else "198.51.100.9"
    async with serve_streams(shout, network=ground.network, host="origin.test") as url:
        ground.names[host] = address_of(url)
        opening = open_socks_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, version=4)
        async with opening as proxy, ground.visit(proxy.address) as client:
            name = b"origin.test\0" if kind == "name" else b""
            await client.send_all(b"\x04\x01\x00\x50" + target + user_id + b"\0" + name + b"x")
            assert await client.receive_exactly(9) == b"\x00\x5a" + bytes(6) + b"X"
    (visit,) = proxy.visits
    login = (user_id, b"") if user_id else None
    assert visit.login == login
    assert (visit.version, visit.address_type, visit.host, visit.port, visit.reply) == (4, kind, host, 80, 0x5A)


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"\x04\x01\x00\x50\0\0\0\1maria\0closed.test\0", 0x5B),
        (b"\x04\x02\x00\x50\0\0\0\1maria\0closed.test\0", 0x5B),
        (b"\x04\x01\x00\x50\0\0\0\1scar\0closed.test\0", 0x5D),
        (b"\x04\x01\x00\x50\0\0\0\0maria\0", 0x5B),
    ],
)
async def test_version_4_refuses(ground: Ground, request_bytes: bytes, code: int) -> None:
    """A target out of reach, another command, and a user that is not known; 0.0.0.0 is an address, not a name."""
    ground.names["0.0.0.0"] = ("unknown.test", 1)
    opening = open_socks_proxy(
        network=ground.network, tls=ground.tls, resolve=ground.names, version=4, login=("maria", "")
    )
    async with opening as proxy, ground.visit(proxy.address) as client:
        await client.send_all(request_bytes)
        assert await client.receive_rest() == b"\x00" + bytes((code,)) + bytes(6)
    assert proxy.visits[0].reply == code


async def test_another_version(ground: Ground) -> None:
    """A client of another version, or of none, is not answered; one that stops early is no failure."""
    async with open_socks_proxy(network=ground.network, tls=ground.tls) as proxy:
        async with ground.visit(proxy.address) as client:
            await client.send_all(b"\x04")
            with pytest.raises(PeerGoneError):
                await client.receive_exactly(1)
        async with ground.visit(proxy.address) as client:
            await client.send_all(b"\x05\x01")
        while len(proxy.visits) < 2:
            await trio.lowlevel.checkpoint()
    assert [visit.version for visit in proxy.visits] == [4, 5]
