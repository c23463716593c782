"""Corners of the ways through proxies: whatever else a request does, it goes the way that was said, and says no more.

The first half is about the way: nothing that leads a request elsewhere, or sends it again, leads it past its proxy. The
second half is about what proxies say before a tunnel is open, and about what is told to them and to others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock
from yarl import URL

from tests.proxies import HTTP_MISCHIEF, DigestDoor, Script, open_scripted
from trioreply import (
    Finished,
    HstsPolicy,
    HstsStore,
    NetworkError,
    Proxy,
    ProxyAuthenticationRequired,
    ProxyFactory,
    ProxyType,
    Reply,
    Request,
    RetryPolicy,
    SslConfiguration,
    SslErrors,
)
from trioreply.testing import (
    Close,
    MemoryNetwork,
    Origin,
    OriginRequest,
    OriginResponse,
    Receive,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
    open_origin,
)

from .conftest import Place, _authority
from .notation import sequence
from .proxied import LOGIN, Surroundings, proxy_at

PAGE = OriginResponse(200, body=b"hello")
GOOD = "Q H(200) R D(5,5) F(NO_ERROR)"
SECRET = "pa55w0rd"


@pytest.fixture
def here(place: Place) -> Surroundings:
    """A place with proxies."""
    return Surroundings(place)


@pytest.fixture
async def plain() -> AsyncIterator[Surroundings]:
    """The network in memory, with servers that speak http."""
    async with MemoryNetwork() as network:
        yield Surroundings(Place(network))


@pytest.fixture
async def secure() -> AsyncIterator[Surroundings]:
    """The network in memory, with servers that speak https."""
    async with MemoryNetwork() as network:
        yield Surroundings(Place(network, _authority()))


def network_of(here: Surroundings) -> MemoryNetwork:
    """The network in memory of ``here``, which has one."""
    assert here.place.network is not None
    return here.place.network


def moved(location: str) -> OriginResponse:
    """A redirect to ``location``."""
    return OriginResponse(302, (("Location", location),))


class Listed(ProxyFactory):
    """Lists the same ways for every URL."""

    def __init__(self, *ways: Proxy) -> None:
        self.ways = ways

    def query(self, url: URL) -> Sequence[Proxy]:
        """See `ProxyFactory.query`."""
        del url
        return self.ways


# The way.


async def test_redirects_between_http_and_https_stay_on_the_way(secure: Surroundings) -> None:
    """A redirect from http to https goes from a forwarded request to a tunnel of the same proxy, never past it."""
    network = network_of(secure)
    async with secure.origin({"/end": PAGE}) as origin, secure.http_proxy(login=LOGIN) as proxy:
        start = Origin({"/": moved(origin.url("/end"))})
        network.listen("start.test", 80, start.serve)
        async with secure.place.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            async with manager.get("http://start.test/") as reply:
                assert await reply.read_all() == b"hello"
    # The tunnel needs no demand of its own: it is the proxy that knows us by now.
    assert [(seen.method, seen.status) for seen in proxy.requests] == [("GET", 407), ("GET", 302), ("CONNECT", 200)]
    assert len(origin.connections) == len(proxy.tunnels) == 1
    assert len([connection for connection in network.connections if connection.host == "start.test"]) == 1


async def test_an_upgrade_by_hsts_changes_the_way_and_not_the_proxy(secure: Surroundings) -> None:
    """A URL that HSTS makes secure is tunnelled by a proxy that can, and refused by one that can only forward."""
    store = HstsStore([HstsPolicy("origin.test")])
    async with secure.origin({"/": PAGE}) as origin, secure.http_proxy() as proxy:
        async with secure.place.open_manager(hsts=store) as manager:
            caching = Proxy(ProxyType.HTTP_CACHING, proxy.host, proxy.port)
            async with manager.get("http://origin.test/", proxy=caching) as reply:
                assert await reply.wait_finished() is NetworkError.PROXY_NOT_FOUND
            assert origin.connections == []
            assert (await manager.fetch("http://origin.test/", proxy=proxy_at(proxy))).body == b"hello"
    assert [seen.method for seen in proxy.requests] == ["CONNECT"]


async def test_resent_after_a_silent_end(plain: Surroundings) -> None:
    """A kept connection that ends at the very moment of a request is no failure of the proxy: one more try, there."""
    answer = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    peer = ScriptedPeer.for_each([ReceiveRequest(), answer, ReceiveHead(), Close()], [ReceiveRequest(), answer])
    async with plain.place.serve(peer) as url:
        factory = Listed(Proxy(ProxyType.HTTP, "peer.test", URL(url).port or 80), Proxy(ProxyType.NONE))
        async with plain.place.open_manager(proxy_factory=factory) as manager:
            for _ in range(2):
                assert (await manager.fetch("http://origin.test/")).body == b"ok"
    assert [request.target for request in peer.requests] == ["http://origin.test/"] * 3
    assert len(set(network_of(plain).dialed)) == 1


async def test_a_post_on_a_dead_connection_is_not_sent_to_the_next_proxy(plain: Surroundings) -> None:
    """What may not be repeated is not repeated through another proxy either, and the one at hand is not given up."""
    answer = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    peer = ScriptedPeer(ReceiveRequest(), answer, ReceiveRequest(), Close())
    async with plain.place.serve(peer) as url, plain.http_proxy("second.test") as second:
        factory = Listed(Proxy(ProxyType.HTTP, "peer.test", URL(url).port or 80), proxy_at(second))
        async with plain.place.open_manager(proxy_factory=factory) as manager:
            await manager.fetch("http://origin.test/")
            async with manager.post("http://origin.test/", b"once") as reply:
                assert await reply.wait_finished() is NetworkError.REMOTE_HOST_CLOSED
    assert second.visitors == []


async def test_whole_requests_and_many_at_once(here: Surroundings, tmp_path: Path) -> None:
    """A request that was made before, many at once, and a download to a file go through the proxy like any other."""
    async with here.origin({"/": PAGE, "/file": PAGE}) as origin, here.http_proxy() as proxy:
        request = Request(origin.url(), proxy=proxy_at(proxy))
        async with here.place.open_manager(proxy=Proxy(ProxyType.NONE)) as manager:
            assert (await manager.fetch(request)).body == b"hello"
            assert (await manager.fetch(request.replace(verb="HEAD"))).status_code == 200
            async with manager.send(request) as reply:
                assert await reply.read_all() == b"hello"
            async with manager.fetch_all([request, request]) as outcomes:
                assert [outcome.error async for outcome in outcomes] == [None, None]
            await manager.download(origin.url("/file"), tmp_path / "file", proxy=proxy_at(proxy))
            assert (tmp_path / "file").read_bytes() == b"hello"
            assert all(" via " in name for name in manager.statistics().connections)
    assert {seen.status for seen in proxy.requests} == {200}


async def test_a_local_server_s_redirect_leads_through_the_proxy(plain: Surroundings) -> None:
    """A redirect from a Unix socket to a server of the network goes through the proxy that the socket did without."""
    async with plain.origin({"/end": PAGE}) as origin, plain.http_proxy() as proxy:
        local = Origin({"/": moved(origin.url("/end"))})
        network_of(plain).listen_local("/run/x.sock", local.serve)
        async with plain.place.open_manager(proxy=proxy_at(proxy)) as manager:
            response = await manager.fetch("http://x/", local_server_name="/run/x.sock")
    assert response.body == b"hello"
    assert [seen.target for seen in proxy.requests] == [origin.url("/end")]


async def test_each_hop_asks_the_factory(plain: Surroundings) -> None:
    """Whether a hop goes through a proxy is decided for its own URL: one that is direct does not lead past it."""

    class AllButStart(ProxyFactory):
        def query(self, url: URL) -> Sequence[Proxy]:
            return [] if url.host == "start.test" else [proxy_at(proxy)]

    async with plain.origin({"/end": PAGE}) as origin, plain.http_proxy() as proxy:
        start = Origin({"/": moved(origin.url("/end"))})
        network_of(plain).listen("start.test", 80, start.serve)
        async with plain.place.open_manager(proxy_factory=AllButStart()) as manager:
            assert (await manager.fetch("http://start.test/")).body == b"hello"
    assert [seen.target for seen in proxy.requests] == [origin.url("/end")]


async def test_the_environment_yields_to_what_is_said(plain: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables in lower case count first; what manager or request say themselves, or no trust, makes them nothing."""
    monkeypatch.setenv("HTTP_PROXY", "http://upper.test:1")
    async with plain.origin({"/": PAGE}) as origin, plain.http_proxy() as proxy:
        monkeypatch.setenv("http_proxy", str(proxy_at(proxy)))
        async with plain.place.open_manager() as manager:
            await manager.fetch(origin.url())
            await manager.preconnect("http://other.test/")
            await manager.fetch(origin.url(), proxy=Proxy(ProxyType.NONE))
        async with plain.place.open_manager(proxy=Proxy(ProxyType.NONE)) as manager:
            await manager.fetch(origin.url())
        async with plain.place.open_manager(trust_env=False) as manager:
            await manager.fetch(origin.url(), proxy=Proxy())
    assert (len(proxy.requests), len(proxy.visitors), len(origin.requests)) == (1, 2, 4)


# Before the tunnel is open.


TUNNEL_OPENS = {
    "after 1xx": b"HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 Connection established\r\n\r\n",
    "another success": b"HTTP/1.1 204 No Content\r\n\r\n",
    "with a length that means nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
    "with an encoding that means nothing": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "with a Connection that means nothing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nProxy-Connection: close\r\n\r\n",
}


@pytest.mark.parametrize("answer", TUNNEL_OPENS.values(), ids=TUNNEL_OPENS)
async def test_what_opens_a_tunnel(answer: bytes, secure: Surroundings) -> None:
    """Any 2xx opens the tunnel, whatever it says about a body or the connection (RFC 9110 section 9.3.6)."""
    async with secure.origin({"/": PAGE}) as origin, secure.http_proxy() as proxy:

        async def serve(stream: trio.abc.Stream) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive_some()
            await stream.send_all(answer)
            async with await proxy.exits.dial("origin.test", 443) as upstream:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_carry, stream, upstream, nursery.cancel_scope)
                    await _carry(upstream, stream, nursery.cancel_scope)

        network_of(secure).listen("odd.test", 3128, serve)
        async with secure.place.open_manager(proxy="http://odd.test:3128") as manager:
            for _ in range(2):
                assert (await manager.fetch(origin.url())).body == b"hello"
    assert (len(origin.connections), len(origin.requests)) == (1, 2)


async def _carry(source: trio.abc.Stream, sink: trio.abc.Stream, scope: trio.CancelScope) -> None:
    while data := await source.receive_some():
        await sink.send_all(data)
    scope.cancel()


async def test_a_refused_tunnel_teaches_nothing(secure: Surroundings) -> None:
    """A proxy's redirect in answer to CONNECT is not followed; its cookies and its HSTS are not the server's word."""
    said = (
        b"HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nSet-Cookie: a=b; Domain=test\r\n"
        b"Strict-Transport-Security: max-age=99\r\nContent-Length: 0\r\n\r\n"
    )
    store = HstsStore()
    async with open_scripted(Script(ReceiveHead(), Send(said), Stall()), network=network_of(secure)) as proxy:
        entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port)
        async with secure.place.open_manager(proxy=entry, hsts=store) as manager:
            async with manager.get("https://origin.test/") as reply:
                events = [event async for event in reply]
            assert manager.cookie_jar is not None
            assert (list(manager.cookie_jar), store.knows("origin.test")) == ([], False)
    assert sequence(events) == "S E(UNKNOWN_PROXY) D(0,0) F(UNKNOWN_PROXY)"
    assert reply.status_code is None
    assert len(proxy.peer.connections) == 1


async def test_a_challenge_that_cannot_be_answered(secure: Surroundings) -> None:
    """Nobody is asked for a password that could not be sent: a proxy that wants what we do not speak ends the reply."""
    said = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"
    async with open_scripted(Script(ReceiveHead(), Send(said)), network=network_of(secure)) as proxy:
        entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, "me", SECRET)
        async with secure.place.open_manager(proxy=entry) as manager:
            for url in ("https://origin.test/", "http://origin.test/"):
                async with manager.get(url) as reply:
                    events = [event async for event in reply]
                assert events[-1] == Finished(NetworkError.PROXY_AUTHENTICATION_REQUIRED)
                assert not [event for event in events if isinstance(event, ProxyAuthenticationRequired)]
    assert SECRET.encode() not in proxy.heard


async def test_a_nonce_that_has_become_stale(here: Surroundings) -> None:
    """A nonce that expires while the password is typed is renewed in silence, for tunnels and forwarded requests."""
    asked = 0

    async def answer(_reply: Reply, event: ProxyAuthenticationRequired) -> None:
        nonlocal asked
        asked += 1
        assert isinstance(proxy.door, DigestDoor)
        proxy.door.generation += 1
        event.answer(*LOGIN)

    async with here.origin({"/": PAGE}) as origin, here.http_proxy(login=LOGIN, scheme="digest") as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy), proxy_authenticator=answer) as manager:
            assert (await manager.fetch(origin.url())).body == b"hello"
    assert (asked, len(proxy.requests)) == (1, 3)


async def test_a_question_about_the_server_s_certificate(secure: Surroundings) -> None:
    """A certificate that is ignored behind a tunnel is dialled again through the proxy, before anything is sent."""
    async with secure.origin({"/": PAGE}) as origin, secure.http_proxy(login=LOGIN) as proxy:
        async with secure.place.open_manager(proxy=proxy_at(proxy, LOGIN), ssl=SslConfiguration()) as manager:
            async with manager.get(origin.url()) as reply:
                events = []
                async for event in reply:
                    events.append(event)
                    if isinstance(event, SslErrors):
                        event.ignore(event.errors)
                        assert manager.statistics().leases == 0
            assert reply.tls is not None
            async with manager.get(origin.url(), proxy=Proxy(ProxyType.NONE)) as reply:
                assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
    text = sequence(events)
    assert text.startswith("S S V(")
    assert text.endswith(f") S T {GOOD}")
    assert [seen.status for seen in proxy.requests] == [407, 200, 200]


async def test_our_certificate_is_for_the_server_in_the_tunnel(secure: Surroundings) -> None:
    """A client's certificate goes to the server behind the proxy, also if the proxy has a TLS configuration without."""
    authority = _authority()
    chain, key = authority.client_certificate("me@example.org")
    tls = authority.serve("origin.test", client_ca=authority.certificate_pem)
    ours = SslConfiguration(
        ca_certificates=[authority.certificate_pem], use_system_ca=False, certificate=chain, private_key=key
    )
    async with open_origin({"/": PAGE}, network=network_of(secure), host="origin.test", tls=tls) as origin:
        async with secure.http_proxy(tls=authority.serve("proxy.test")) as proxy:
            entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, tls=authority.trust())
            async with secure.place.open_manager(ssl=ours, proxy=entry) as manager:
                assert (await manager.fetch(origin.url())).body == b"hello"
                assert origin.handshakes[-1].client_certificate is not None


async def test_sessions_of_tls_are_not_shared_between_ways(secure: Surroundings) -> None:
    """A TLS session is resumed on the way on which it came, so that no proxy can tell who else was there before."""
    resumed = []
    async with secure.origin({"/": PAGE}) as origin, secure.http_proxy() as one, secure.http_proxy("b.test") as two:
        async with secure.place.open_manager() as manager:
            for proxy in (proxy_at(one), proxy_at(two), Proxy(ProxyType.NONE), proxy_at(one)):
                await manager.fetch(origin.url(), proxy=proxy)
                manager.clear_connections()
                resumed.append(manager.statistics().tls_resumptions)
    assert resumed == [0, 0, 0, 1]


async def _pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


async def echo(request: OriginRequest) -> OriginResponse:
    """The body that came."""
    return OriginResponse(200, body=await request.read())


async def test_a_body_that_can_be_sent_once(here: Surroundings) -> None:
    """A tunnel's demand comes before the body, which need not be had again; a forwarded request's comes too late."""
    async with here.origin(echo) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            async with manager.post(origin.url(), _pieces()) as reply:
                error = await reply.wait_finished()
            if here.is_secure:
                assert (error, reply.read()) == (NetworkError.NO_ERROR, b"onetwo")
            else:
                assert error is NetworkError.CONTENT_RE_SEND
                # Once the proxy is known it is told at once, so that nothing has to be sent twice.
                manager.clear_connections()
                await manager.fetch(origin.url(), verb="POST", body=b"")
                assert (await manager.fetch(origin.url(), verb="POST", body=_pieces())).body == b"onetwo"


async def test_100_continue_through_a_proxy_that_forwards(plain: Surroundings) -> None:
    """A proxy that forwards sees the expectation and refuses without the body; with credentials the body goes once."""
    async with plain.origin(echo) as origin, plain.http_proxy(login=LOGIN) as proxy:
        async with plain.place.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            async with manager.post(origin.url(), b"body", expect_continue=True) as reply:
                assert await reply.read_all() == b"body"
    assert [seen.header("Expect") for seen in proxy.requests] == ["100-continue"] * 2
    assert bytes(proxy.visitors[0].heard).count(b"\r\n\r\nbody") <= 1


TARGETS = [
    ("http://origin.test", "http://origin.test/", "origin.test"),
    ("http://origin.test?q=1", "http://origin.test/?q=1", "origin.test"),
    ("http://origin.test:80/a#fragment", "http://origin.test/a", "origin.test"),
    ("http://origin.test:8080/", "http://origin.test:8080/", "origin.test:8080"),
    ("http://user:pass@origin.test/", "http://origin.test/", "origin.test"),
    ("http://[2001:db8::1]/x", "http://[2001:db8::1]/x", "[2001:db8::1]"),
    ("http://[fe80::1%25eth0]:81/x", "http://[fe80::1]:81/x", "[fe80::1]:81"),
    ("http://ORIGIN.test./%2F?%20", "http://origin.test./%2F?%20", "origin.test."),
]


@pytest.mark.parametrize(("url", "target", "host"), TARGETS)
async def test_absolute_targets(url: str, target: str, host: str, plain: Surroundings) -> None:
    """A forwarding proxy gets scheme, host and path, never empty, and Host says the same (RFC 9112 section 3.2.2)."""
    answer = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    async with open_scripted(Script(ReceiveRequest(), answer), network=network_of(plain)) as proxy:
        async with plain.place.open_manager(proxy=Proxy(ProxyType.HTTP, proxy.host, proxy.port)) as manager:
            assert (await manager.fetch(url, verb="OPTIONS")).status_code == 200
    (request,) = proxy.peer.requests
    assert (request.target, request.header("Host")) == (target, host)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://origin.test", "origin.test:443"),
        ("https://u:p@origin.test:8443/x", "origin.test:8443"),
        ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
        ("https://[fe80::1%25eth0]/", "[fe80::1]:443"),
    ],
)
async def test_authority_targets(url: str, target: str, plain: Surroundings) -> None:
    """A tunnel is asked for by host and port, always both, and Host says the same (RFC 9112 section 3.2.3)."""
    async with open_scripted(HTTP_MISCHIEF["403"], network=network_of(plain)) as proxy:
        async with plain.place.open_manager(proxy=Proxy(ProxyType.HTTP, proxy.host, proxy.port)) as manager:
            async with manager.get(url, headers={"Host": "mine.test"}) as reply:
                assert await reply.wait_finished() is NetworkError.UNKNOWN_PROXY
    head = proxy.heard.split(b"\r\n")
    assert head[:2] == [b"CONNECT %b HTTP/1.1" % target.encode(), b"Host: %b" % target.encode()]
    assert b"Accept-Encoding" not in proxy.heard


async def test_a_proxy_of_http_1_0(plain: Surroundings) -> None:
    """A proxy that closes after each response, with no length, serves one request a connection, and all of it."""
    peer = ScriptedPeer(ReceiveRequest(), Send(b"HTTP/1.0 200 OK\r\n\r\nhello"))
    async with plain.place.serve(peer) as url:
        async with plain.place.open_manager(proxy=url) as manager:
            for _ in range(2):
                assert (await manager.fetch("http://origin.test/")).body == b"hello"
            assert manager.statistics().idle == 0
    assert len(peer.connections) == 2


async def test_thinking_about_a_password_costs_no_time(secure: Surroundings, autojump_clock: MockClock) -> None:
    """Neither timeout runs while a proxy's question is open, and no connection is held."""
    del autojump_clock
    leases = []

    async def think(_reply: Reply, event: ProxyAuthenticationRequired) -> None:
        leases.append(manager.statistics().leases)
        await trio.sleep(3600)
        event.answer(*LOGIN)

    async with secure.origin({"/": PAGE}) as origin, secure.http_proxy(login=LOGIN) as proxy:
        async with secure.place.open_manager(
            proxy=proxy_at(proxy), proxy_authenticator=think, connect_timeout=5, transfer_timeout=5
        ) as manager:
            assert (await manager.fetch(origin.url())).body == b"hello"
    assert leases == [0]


async def test_all_dialling_for_a_request_shares_one_budget(secure: Surroundings, autojump_clock: MockClock) -> None:
    """Asking for a tunnel again takes its time from the same ``connect_timeout``; the failure is the proxy's."""
    del autojump_clock
    network = network_of(secure)
    async with secure.origin({"/": PAGE}) as origin, secure.http_proxy(login=LOGIN) as proxy:
        network.host("proxy.test").delay = 3.0
        async with secure.place.open_manager(proxy=proxy_at(proxy, LOGIN), connect_timeout=5) as manager:
            start = trio.current_time()
            async with manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is NetworkError.PROXY_TIMEOUT
            assert trio.current_time() - start == pytest.approx(5.0)
            await manager.fetch(origin.url(), connect_timeout=7)


async def test_each_proxy_of_a_list_has_the_whole_time(plain: Surroundings, autojump_clock: MockClock) -> None:
    """A proxy that does not answer uses up its own ``connect_timeout``, and not that of the next one."""
    del autojump_clock
    network = network_of(plain)
    network.add_host("hole.test").black_hole = True
    async with plain.origin({"/": PAGE}) as origin, plain.http_proxy() as proxy:
        network.host("proxy.test").delay = 4.0
        ways = Listed(Proxy(ProxyType.HTTP, "hole.test", 1), proxy_at(proxy))
        async with plain.place.open_manager(proxy_factory=ways, connect_timeout=5) as manager:
            assert (await manager.fetch(origin.url())).body == b"hello"


@pytest.mark.parametrize(("name", "attempts"), [("closed at once", 3), ("504", 3), ("403", 1), ("407", 1), ("502", 1)])
async def test_which_failures_of_a_proxy_are_retried(
    name: str, attempts: int, secure: Surroundings, autojump_clock: MockClock
) -> None:
    """A retry policy comes back to a proxy that may recover, not to one that said no, and tells no secret about why."""
    del autojump_clock
    script = HTTP_MISCHIEF.get(name, Script(Receive(), Send(b"HTTP/1.1 504 Slow\r\nContent-Length: 0\r\n\r\n")))
    async with open_scripted(script, network=network_of(secure)) as proxy:
        entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, "me", SECRET)
        async with secure.place.open_manager(proxy=entry, retry=RetryPolicy(3)) as manager:
            async with manager.get("https://origin.test/") as reply:
                events = [event async for event in reply]
    assert sequence(events).split().count("Retrying") == attempts - 1
    assert SECRET not in repr(events)


async def test_no_secret_is_shown(here: Surroundings) -> None:
    """User and password of a proxy stand in no text that the library makes of itself: gauges, events, errors, reprs."""
    shown: list[object] = []
    async with here.origin({"/": PAGE}) as origin, here.http_proxy(login=("me", SECRET)) as proxy:
        good = Proxy(ProxyType.HTTP, proxy.host, proxy.port, "me", SECRET, headers={"X-Token": SECRET})
        bad = Proxy(ProxyType.HTTP, proxy.host, proxy.port, "you", SECRET, via=good)
        async with here.place.open_manager(proxy=good) as manager, manager.observe() as observed:
            shown += [manager.proxy, manager]
            async with manager.get(origin.url()) as reply:
                shown += [event async for event in reply]
                shown += [await observed.receive()]
                shown += [reply, reply.request, manager.statistics(), manager]
            async with manager.get(origin.url(), proxy=bad) as reply:
                shown += [event async for event in reply]
                shown += [reply, reply.request, reply.error_string, manager.statistics()]
                with pytest.raises(Exception) as caught:
                    reply.raise_for_error()
                shown += [caught.value, caught.value.__cause__, caught.value.args, vars(caught.value)]
    assert reply.error is NetworkError.PROXY_AUTHENTICATION_REQUIRED
    assert len(shown) > 20
    assert not [text for text in map(str, shown) if SECRET in text]
    assert not [text for text in map(repr, shown) if SECRET in text]
