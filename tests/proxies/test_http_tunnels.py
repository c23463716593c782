"""The honest HTTP proxy: tunnels, and who gets one."""

from __future__ import annotations

import pytest
import trio

from trioreply.testing import (
    OriginResponse,
    Receive,
    ScriptedPeer,
    Send,
    SendEof,
    ServedStream,
    open_origin,
    serve_peer,
    serve_streams,
)

from .clients import BASIC, LOGIN, SERVER_TLS, Ground, ask, open_tunnel, secure
from .http_proxy import open_http_proxy
from .tunnels import RecordedStream, address_of

CONNECT = b"CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\n"


async def shout(stream: ServedStream) -> None:
    """Give everything back in capitals."""
    while data := await stream.receive_some():
        await stream.send_all(bytes(data).upper())


async def test_a_tunnel_carries_bytes_both_ways(ground: Ground) -> None:
    """After CONNECT the proxy carries what comes, in both directions; it remembers to whom, and what was said."""
    async with serve_streams(shout, network=ground.network, host="origin.test") as url:
        ground.names["origin.test"] = address_of(url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names)
        async with opening as proxy, ground.visit(proxy.address) as client:
            await client.send_all(CONNECT + b"User-Agent: me\r\n\r\nearly ")
            assert await client.receive_until(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
            assert await client.receive_exactly(6) == b"EARLY "
            await client.send_all(b"late")
            assert await client.receive_exactly(4) == b"LATE"
    assert (proxy.host, proxy.port) == proxy.address
    assert proxy.tunnels == [("origin.test", 80)]
    assert proxy.heard == CONNECT + b"User-Agent: me\r\n\r\nearly late"
    (seen,) = proxy.requests
    assert (seen.method, seen.target, seen.status) == ("CONNECT", "origin.test:80", 200)
    assert seen.fields == ((b"Host", b"origin.test:80"), (b"User-Agent", b"me"))
    assert (seen.credentials, seen.header("user-agent")) == (None, "me")
    assert len(proxy.handshakes) == (ground.tls is not None)


async def test_tls_within_a_tunnel(ground: Ground) -> None:
    """A tunnel to an https origin carries TLS that is none of the proxy's business, in TLS if it is reached so."""
    routes = {"/": OriginResponse(body=b"secret page")}
    async with open_origin(routes, network=ground.network, tls=SERVER_TLS) as origin:
        ground.names["origin.test"] = address_of(origin.base_url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names)
        async with opening as proxy, ground.visit(proxy.address) as outer:
            tunnel = await open_tunnel(outer, "origin.test:443")
            inner = RecordedStream(await secure(tunnel.stream, "origin.test"))
            status, _, body = await ask(inner, b"GET / HTTP/1.1\r\nHost: origin.test\r\nCookie: mine\r\n\r\n")
    assert (status, body) == (200, b"secret page")
    assert origin.requests[0].header("cookie") == "mine"
    assert b"mine" not in proxy.heard
    assert origin.handshakes[0].server_name == "origin.test"


async def test_a_tunnel_ends_with_its_far_end(ground: Ground) -> None:
    """What the origin said before it closed arrives, then the end."""
    async with serve_peer(ScriptedPeer(Receive(), Send(b"bye"), SendEof()), network=ground.network) as url:
        ground.names["origin.test"] = address_of(url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names)
        async with opening as proxy, ground.visit(proxy.address) as client:
            await open_tunnel(client, "origin.test:80")
            await client.send_all(b"hello\r\n\r\n")
            assert await client.receive_rest() == b"bye"


async def test_a_tunnel_ends_with_its_near_end(ground: Ground) -> None:
    """A client that goes away takes the connection to the origin with it."""
    peer = ScriptedPeer(Receive(), Receive())
    async with serve_peer(peer, network=ground.network) as url:
        ground.names["origin.test"] = address_of(url)
        async with open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names) as proxy:
            async with ground.visit(proxy.address) as client:
                await open_tunnel(client, "origin.test:80")
                await client.send_all(b"hello\r\n\r\n")
                while not peer.connections[0].received:
                    await trio.lowlevel.checkpoint()
            ending = await peer.connections[0].wait_ended()
    assert ending is not None
    assert bytes(peer.connections[0].received) == b"hello\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("closed.test:80", 502),
        ("unknown.test:80", 502),
        ("denied.test:80", 403),
        ("closed.test:25", 403),
        ("origin.test", 400),
        ("origin.test:80/path", 400),
        ("maria@origin.test:80", 400),
        ("origin.test:eighty", 400),
        (":80", 400),
    ],
)
async def test_a_tunnel_is_refused(ground: Ground, target: str, status: int) -> None:
    """502 if nobody is there, 403 for who is denied, 400 for what is no host and port."""
    denied = ("denied.test", "closed.test:25")
    opening = open_http_proxy(network=ground.network, tls=ground.tls, denied=denied, resolve=ground.names)
    async with opening as proxy, ground.visit(proxy.address) as client:
        answered, _, body = await ask(client, f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (answered, proxy.requests[0].status, proxy.tunnels) == (status, status, [])
        assert body


async def test_a_login_is_asked_for_and_accepted(ground: Ground) -> None:
    """407 with a challenge until the right login comes, on the same connection."""
    async with serve_streams(shout, network=ground.network) as url:
        ground.names["origin.test"] = address_of(url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, login=LOGIN)
        async with opening as proxy, ground.visit(proxy.address) as client:
            for wrong in (b"", b"Proxy-Authorization: Basic bWFyaWE6eA==\r\n", b"Proxy-Authorization: Bearer x\r\n"):
                status, head, _ = await ask(client, CONNECT + wrong + b"\r\n")
                assert status == 407
                assert b'\r\nProxy-Authenticate: Basic realm="proxy"\r\n' in head
                assert b"Connection: close" not in head
            await open_tunnel(client, "origin.test:80", BASIC)
            await client.send_all(b"x")
            assert await client.receive_exactly(1) == b"X"
    assert [seen.status for seen in proxy.requests] == [407, 407, 407, 200]
    assert [seen.credentials is None for seen in proxy.requests] == [True, False, False, False]


async def test_a_refused_connection_may_be_closed(ground: Ground) -> None:
    """A proxy opened so closes after a 407, and says it."""
    opening = open_http_proxy(network=ground.network, tls=ground.tls, login=LOGIN, closes_refused=True)
    async with opening as proxy, ground.visit(proxy.address) as client:
        status, head, _ = await ask(client, CONNECT + b"\r\n")
        assert status == 407
        assert b"\r\nConnection: close\r\n" in head
        assert await client.receive_rest() == b""


async def test_a_body_with_connect_is_thrown_away(memory: Ground) -> None:
    """What a CONNECT brings as a body is not the tunnel's."""
    async with serve_streams(shout, network=memory.network, host="origin.test"):
        async with open_http_proxy(network=memory.network) as proxy, memory.visit(proxy.address) as client:
            await client.send_all(CONNECT + b"Content-Length: 4\r\n\r\nbodytunnel")
            await client.receive_until(b"\r\n\r\n")
            assert await client.receive_exactly(6) == b"TUNNEL"


async def test_no_request_at_all(ground: Ground) -> None:
    """What is no HTTP is answered with 400, a visitor that says nothing with nothing."""
    async with open_http_proxy(network=ground.network, tls=ground.tls) as proxy:
        async with ground.visit(proxy.address) as client:
            status, _, _ = await ask(client, b"\x05\x01\x00\r\n\r\n")
            assert (status, await client.receive_rest()) == (400, b"")
        async with ground.visit(proxy.address):
            pass
    assert proxy.requests == []
