"""Proxies, the last details: odd answers, odd demands, odd methods, and addresses that are tried one by one."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.proxies import CONNECTED, Script, address_of, open_scripted
from trioreply import NetworkError, Proxy, ProxyAuthenticationRequired, ProxyType
from trioreply._net.stream import adapt
from trioreply._net.tunnel import send_to_proxy
from trioreply.testing import OriginResponse, ReceiveHead, Reset, ScriptedPeer, Send, Stall

from .conftest import Place
from .proxied import LOGIN, Surroundings, proxy_at

PAGE = OriginResponse(200, body=b"hello")


async def test_an_answer_that_cannot_be_sent(memory: Place) -> None:
    """A user name with a colon, or a password with a NUL, is a mistake of who answered, and is told as one."""
    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.socks_proxy(login=LOGIN) as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy)) as manager, manager.get(origin.url()) as reply:
            async for event in reply:
                if isinstance(event, ProxyAuthenticationRequired):
                    event.answer("me", "a\0b")
            assert reply.error is NetworkError.PROXY_AUTHENTICATION_REQUIRED
            assert reply.error_string.startswith("answer: ")


async def test_somebody_who_answers_for_ever(memory: Place) -> None:
    """A handler that invents one password after the other is not asked without end."""
    asked = 0

    async def invent(_reply: object, event: ProxyAuthenticationRequired) -> None:
        nonlocal asked
        asked += 1
        event.answer("me", f"guess {asked}")

    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.socks_proxy(login=LOGIN) as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy), proxy_authenticator=invent) as manager:
            async with manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is NetworkError.PROXY_CONNECTION_REFUSED
    assert asked == 8


async def test_a_body_of_a_connect_is_protected_as_well(memory: Place) -> None:
    """A proxy may want Digest with auth-int, for which a CONNECT has an empty body; it proves itself if it likes."""
    demand = b'HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm="r", nonce="n", qop="auth-int"\r\n\r\n'
    info = b'Proxy-Authentication-Info: rspauth="00"\r\n'
    scripts = {
        NetworkError.REMOTE_HOST_CLOSED: CONNECTED,
        NetworkError.PROTOCOL_FAILURE: CONNECTED[:-2] + info + b"\r\n",
    }
    for error, consent in scripts.items():
        peer = ScriptedPeer.for_each((ReceiveHead(), Send(demand), Stall()), (ReceiveHead(), Send(consent)))
        async with memory.serve(peer) as url:
            entry = Proxy(ProxyType.HTTP, *address_of(url), *LOGIN)
            async with memory.open_manager(proxy=entry) as manager, manager.get("https://origin.test/") as reply:
                assert await reply.wait_finished() is error, reply.error_string
        assert b"qop=auth-int" in peer.connections[1].received


@pytest.mark.parametrize("proxied", [False, True])
async def test_connect_is_not_for_users(proxied: bool, memory: Place) -> None:
    """CONNECT cannot be sent by hand: what follows it is no HTTP."""
    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy() as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy) if proxied else None) as manager:
            async with manager.send_custom(origin.url(), "CONNECT") as reply:
                assert await reply.wait_finished() is NetworkError.PROTOCOL_INVALID_OPERATION
    assert (origin.requests, proxy.visitors) == ([], [])


@pytest.mark.parametrize("kind", [ProxyType.SOCKS5, ProxyType.SOCKS4])
async def test_addresses_one_after_the_other(kind: ProxyType, memory: Place) -> None:
    """A proxy that resolves nothing is given one address after the other; SOCKS4 none that it cannot express."""
    assert memory.network is not None
    host = memory.network.add_host("origin.test", "2001:db8::1", "198.51.100.90", "198.51.100.91")
    host.on("2001:db8::1").refuse = host.on("198.51.100.90").refuse = kind is ProxyType.SOCKS5
    here = Surroundings(memory)
    version = 5 if kind is ProxyType.SOCKS5 else 4
    async with memory.origin({"/": PAGE}) as origin, here.socks_proxy(5 if version == 5 else 4) as proxy:
        async with memory.open_manager(proxy=Proxy(kind, proxy.host, proxy.port)) as manager:
            assert (await manager.fetch(origin.url())).body == b"hello"
    tried = [visit.host for visit in proxy.visits]
    assert tried == (["2001:db8::1", "198.51.100.90", "198.51.100.91"] if version == 5 else ["198.51.100.90"])


async def test_a_secure_proxy_that_speaks_no_tls(memory: Place) -> None:
    """What goes wrong in the handshake with a proxy is the proxy's, also if it is no matter of certificates."""
    async with open_scripted(Script(Send(b"220 smtp ready\r\n"), Stall()), network=memory.network) as proxy:
        async with memory.open_manager(proxy=f"https://{proxy.host}:{proxy.port}") as manager:
            async with manager.get("http://origin.test/") as reply:
                assert await reply.wait_finished() is NetworkError.UNKNOWN_PROXY
                assert reply.error_string.startswith("No secure connection to the proxy: https://proxy.test")


async def test_a_proxy_that_hangs_up_before_it_is_asked(memory: Place) -> None:
    """What cannot be said any more may have been answered before: reading tells, and else it is a hang-up."""
    async with open_scripted(Script(Reset()), network=memory.network) as proxy:
        for kind in (ProxyType.HTTP, ProxyType.SOCKS5H):
            entry = Proxy(kind, proxy.host, proxy.port)
            async with memory.open_manager(proxy=entry) as manager, manager.get("https://origin.test/") as reply:
                assert await reply.wait_finished() is NetworkError.PROXY_CONNECTION_CLOSED


async def test_a_password_that_was_changed(memory: Place) -> None:
    """What a SOCKS proxy has accepted is tried before the entry's own password, and forgotten when it is refused."""
    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.socks_proxy(login=("me", "old")) as proxy:
        entry = proxy_at(proxy, ("me", "new"))
        async with memory.open_manager(proxy=entry) as manager:
            async with manager.get(origin.url()) as reply:
                async for event in reply:
                    if isinstance(event, ProxyAuthenticationRequired):
                        event.answer("me", "old")
                assert reply.status_code == 200
            proxy.login = ("me", "new")
            manager.clear_connections()
            assert (await manager.fetch(origin.url())).body == b"hello"
    said = [visit.login[1] for visit in proxy.visits if visit.login is not None]
    assert said == [b"new", b"old", b"old", b"new"]


async def test_what_was_said_to_nobody() -> None:
    """A proxy that has gone does not fail the saying, since it may have answered before."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"hello")
    await send_to_proxy(adapt(ours, lambda _stream: None), b"hello")


async def test_a_way_that_nobody_listens_on(memory: Place) -> None:
    """A proxy whose own proxy cannot find it is told as not found, with both their names."""
    here = Surroundings(memory)
    async with here.socks_proxy() as near:
        far = Proxy(ProxyType.HTTP, "nowhere.test", via=proxy_at(near))
        async with memory.open_manager(proxy=far) as manager, manager.get("http://origin.test/") as reply:
            assert await reply.wait_finished() is NetworkError.PROXY_NOT_FOUND
            assert "nowhere.test" in reply.error_string
