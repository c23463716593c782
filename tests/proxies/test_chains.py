"""Proxies behind proxies: of all kinds, in any order, with TLS in TLS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from trioreply.testing import Origin, OriginResponse, open_origin

from .clients import SERVER_TLS, Ground, ask, open_tunnel, secure
from .http_proxy import open_http_proxy
from .socks_proxy import open_socks_proxy
from .tunnels import Address, RecordedStream, address_of

GET = b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n"


@contextlib.asynccontextmanager
async def secure_origin(ground: Ground) -> AsyncIterator[Origin]:
    """An https origin that the proxies know by its name."""
    async with open_origin({"/": OriginResponse(body=b"page")}, network=ground.network, tls=SERVER_TLS) as origin:
        ground.names["origin.test"] = address_of(origin.base_url)
        yield origin


async def socks_tunnel(client: RecordedStream, target: Address) -> RecordedStream:
    """The same connection, as a tunnel through a SOCKS5 proxy."""
    host, port = target
    wish = b"\x05\x01\x00\x03" + bytes((len(host),)) + host.encode() + port.to_bytes(2, "big")
    await client.send_all(b"\x05\x01\x00" + wish)
    assert (await client.receive_exactly(12))[:4] == b"\x05\x00\x05\x00"
    return client


@pytest.mark.parametrize("first_kind", ["http", "socks"])
@pytest.mark.parametrize("is_second_secure", [False, True])
async def test_http_behind_another(ground: Ground, first_kind: str, *, is_second_secure: bool) -> None:
    """The first proxy leads to the second, the second to the origin; each hears no more than its own part."""
    network, names = ground.network, ground.names
    second_tls = SERVER_TLS if is_second_secure else None
    opening = open_http_proxy if first_kind == "http" else open_socks_proxy
    async with (
        secure_origin(ground),
        open_http_proxy(network=network, tls=second_tls, host="second.test", resolve=names) as second,
        opening(network=network, tls=ground.tls, resolve=names) as first,
        ground.visit(first.address) as client,
    ):
        host, port = second.address
        if first_kind == "http":
            tunnel = await open_tunnel(client, f"{host}:{port}")
        else:
            tunnel = await socks_tunnel(client, second.address)
        if is_second_secure:
            tunnel = RecordedStream(await secure(tunnel.stream, host))
        tunnel = await open_tunnel(tunnel, "origin.test:443")
        inner = RecordedStream(await secure(tunnel.stream, "origin.test"))
        assert (await ask(inner, GET))[2] == b"page"
    assert first.tunnels == [second.address]
    assert second.tunnels == [("origin.test", 443)]
    assert (b"CONNECT origin.test:443" in first.heard) == (not is_second_secure)
    assert GET not in second.heard


async def test_socks_behind_http(ground: Ground) -> None:
    """A SOCKS proxy that is reached through an HTTP proxy."""
    network, names = ground.network, ground.names
    async with (
        secure_origin(ground),
        open_socks_proxy(network=network, resolve=names) as second,
        open_http_proxy(network=network, tls=ground.tls, resolve=names) as first,
        ground.visit(first.address) as client,
    ):
        host, port = second.address
        tunnel = await socks_tunnel(await open_tunnel(client, f"{host}:{port}"), ("origin.test", 443))
        inner = RecordedStream(await secure(tunnel.stream, "origin.test"))
        assert (await ask(inner, GET))[2] == b"page"
    assert second.tunnels == [("origin.test", 443)]


async def test_forwarding_behind_a_tunnel(ground: Ground) -> None:
    """A plain request goes through a tunnel to a proxy that forwards it."""
    network, names = ground.network, ground.names
    routes = {"/": OriginResponse(body=b"page")}
    async with (
        open_origin(routes, network=network) as origin,
        open_http_proxy(network=network, host="second.test", resolve=names) as second,
        open_http_proxy(network=network, tls=ground.tls, resolve=names) as first,
        ground.visit(first.address) as client,
    ):
        names["origin.test"] = address_of(origin.base_url)
        host, port = second.address
        tunnel = await open_tunnel(client, f"{host}:{port}")
        assert (await ask(tunnel, GET.replace(b" / ", b" http://origin.test/ ")))[2] == b"page"
    assert [(seen.method, seen.target) for seen in second.requests] == [("GET", "http://origin.test/")]
