"""The record of who got to know what."""

from __future__ import annotations

import base64

import pytest

from trioreply.testing import OriginResponse, open_origin, serve_peer

from .clients import BASIC, LOGIN, SERVER_TLS, Ground, ask, open_tunnel, secure
from .http_proxy import open_http_proxy
from .leaks import LeakRecord, recording_origin, spellings
from .misbehaving_http import HTTP_MISCHIEF
from .scripts import open_scripted
from .tunnels import RecordedStream, address_of

POST = b"POST /path HTTP/1.1\r\nHost: origin.test\r\nCookie: biscuit\r\nContent-Length: 4\r\n\r\nbody"


async def test_who_heard_what_of_a_tunnel(ground: Ground) -> None:
    """The proxy hears its own login and the target, the https origin the request; neither the other's secret."""
    peer = recording_origin()
    async with serve_peer(peer, network=ground.network, host="origin.test", tls=SERVER_TLS) as url:
        ground.names["origin.test"] = address_of(url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, login=LOGIN)
        async with opening as proxy, ground.visit(proxy.address) as client:
            record = LeakRecord({"proxy": proxy, "origin": peer})
            tunnel = await open_tunnel(client, "origin.test:443", BASIC)
            inner = RecordedStream(await secure(tunnel.stream, "origin.test"))
            for _ in range(2):
                assert (await ask(inner, POST))[2] == b"ok"
            assert record.clear_text("origin") == POST * 2
    assert record.clear_text("proxy").startswith(b"CONNECT origin.test:443 HTTP/1.1\r\n")
    assert record.who_heard(LOGIN[1]) == {"proxy"}
    assert record.who_heard("biscuit") == {"origin"}
    assert record.who_heard(b"body") == {"origin"}
    assert record.who_heard("nobody's secret") == set()
    assert set(record.everything()) == {"proxy", "origin"}


async def test_who_heard_what_of_a_plain_request(ground: Ground) -> None:
    """A forwarding proxy hears everything, the origin all but the proxy's login."""
    async with open_origin({"/path": OriginResponse(body=b"ok")}, network=ground.network) as origin:
        ground.names["origin.test"] = address_of(origin.base_url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, login=LOGIN)
        async with opening as proxy, ground.visit(proxy.address) as client:
            head, _, body = POST.replace(b"/path", b"http://origin.test/path").partition(b"\r\n\r\n")
            await ask(client, head + b"\r\n" + BASIC + b"\r\n" + body)
    record = LeakRecord({"proxy": proxy, "origin": origin})
    assert record.who_heard(LOGIN[1]) == {"proxy"}
    assert record.who_heard("biscuit") == {"proxy", "origin"}
    assert record.clear_text("origin").startswith(b"POST /path HTTP/1.1\r\nhost: origin.test\r\ncookie: biscuit\r\n")


async def test_a_scripted_proxy_has_ears_too(memory: Ground) -> None:
    """What a misbehaving proxy was told is in the record."""
    async with open_scripted(HTTP_MISCHIEF["403 close"], network=memory.network) as proxy:
        async with memory.visit(proxy.address) as client:
            await ask(client, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n" + BASIC + b"\r\n")
    assert LeakRecord({"proxy": proxy}).who_heard(LOGIN[1]) == {"proxy"}


@pytest.mark.parametrize(
    "text",
    [
        b"x secret x",
        b"Basic " + base64.b64encode(b"u:secret"),
        b"Basic " + base64.b64encode(b"uu:secret") + b"\r\n",
        b"token=" + base64.urlsafe_b64encode(b"\xff\xffsecret").rstrip(b"="),
        b"http://u:s%65cret@host/",
    ],
)
def test_spellings(text: bytes) -> None:
    """A secret is found as it is, in Base64 of both kinds with and without its padding, and percent-encoded."""
    assert any(b"secret" in one for one in spellings(text))


def test_what_is_no_base64() -> None:
    """A word of an impossible length hides nothing."""
    assert spellings(b"abcde") == [b"abcde", b"abcde", b""]
