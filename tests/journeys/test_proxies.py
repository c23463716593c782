"""Journeys through proxies: to plain servers they forward, to secure ones they open tunnels, and we look the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.proxies import recording_origin
from trioreply import (
    Finished,
    NetworkError,
    Proxy,
    ProxyAuthenticationRequired,
    ProxyType,
    Reply,
    SocketStartedConnecting,
)
from trioreply.testing import OriginRequest, OriginResponse

from .conftest import Place
from .notation import sequence
from .proxied import LOGIN, OTHER, Surroundings, proxy_at

PAGE = OriginResponse(200, body=b"hello")
ROUTES = {"/": PAGE, "/other": PAGE}
GOOD = "Q H(200) R D(5,5) F(NO_ERROR)"


@pytest.fixture
def here(place: Place) -> Surroundings:
    """A place with proxies."""
    return Surroundings(place)


async def echo(request: OriginRequest) -> OriginResponse:
    """What came."""
    body = await request.read()
    return OriginResponse(200, body=request.method.encode() + b" " + request.target.encode() + b" " + body)


async def test_a_page_through_an_http_proxy(here: Surroundings) -> None:
    """The events are those of a direct request; the socket is the proxy's; the server sees an ordinary request."""
    async with here.origin(ROUTES) as origin, here.http_proxy() as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy)) as manager:
            async with manager.get(origin.url("/?a=1")) as reply:
                events = [event async for event in reply]
                assert reply.read() == b"hello"
    assert here.place.sequence(events) == f"S {GOOD}"
    assert next(event for event in events if isinstance(event, SocketStartedConnecting)).host == proxy.host
    assert (origin.requests[0].target, origin.requests[0].header("Host")) == ("/?a=1", urlsplit(origin.base_url).netloc)
    (seen,) = proxy.requests
    if here.is_secure:
        assert (seen.method, seen.target) == ("CONNECT", "{}:{}".format(*_address(origin.base_url)))
        assert reply.tls is not None
    else:
        assert (seen.method, seen.target) == ("GET", origin.url("/?a=1"))
        assert seen.header("Host") == urlsplit(origin.base_url).netloc


def _address(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


@pytest.mark.parametrize("version", [4, 5])
async def test_a_page_through_socks(version: int, here: Surroundings) -> None:
    """A SOCKS proxy is given the name, and carries plain and secure connections alike."""
    async with here.origin(ROUTES) as origin, here.socks_proxy(4 if version == 4 else 5) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy)) as manager:
            async with manager.get(origin.url()) as reply:
                events = [event async for event in reply]
            assert (await manager.fetch(origin.url())).body == b"hello"
    assert here.place.sequence(events) == f"S {GOOD}"
    (visit,) = proxy.visits
    assert (visit.version, visit.host, visit.port) == (version, *_address(origin.base_url))


@pytest.mark.parametrize("kind", [ProxyType.SOCKS5, ProxyType.SOCKS4])
async def test_socks_with_names_resolved_here(kind: ProxyType, here: Surroundings) -> None:
    """Without the H, or the A, the proxy is given an address that was found on this side."""
    version = 5 if kind is ProxyType.SOCKS5 else 4
    async with here.origin(ROUTES) as origin, here.socks_proxy(5 if version == 5 else 4) as proxy:
        async with here.place.open_manager(proxy=Proxy(kind, proxy.host, proxy.port)) as manager:
            assert (await manager.fetch(origin.url())).body == b"hello"
    (visit,) = proxy.visits
    host = _address(origin.base_url)[0]
    assert visit.host == (host if here.place.network is None else here.place.network.host(host).addresses[0])


async def test_bodies_and_kept_connections(here: Surroundings) -> None:
    """Uploads go through, and one connection through the proxy serves one request after the other."""
    async with here.origin(echo) as origin, here.http_proxy() as proxy:
        async with here.place.open_manager(proxy=str(proxy_at(proxy))) as manager:
            assert (await manager.fetch(origin.url("/"), verb="POST", body=b"up")).body == b"POST / up"
            assert (await manager.fetch(origin.url("/"), verb="PUT", body=_pieces())).body == b"PUT / onetwo"
            assert (await manager.fetch(origin.url("/"), verb="HEAD")).body == b""
            names = list(manager.statistics().connections)
        assert len(proxy.visitors) == 1
    shown = origin.base_url if urlsplit(origin.base_url).port else f"{origin.base_url}:{_address(origin.base_url)[1]}"
    assert names == [f"{shown} via {proxy_at(proxy)}"]


async def _pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


async def test_credentials_of_the_entry(here: Surroundings) -> None:
    """What the entry says is told when the proxy asks for it, without a question; from then on it is known."""
    async with here.origin(ROUTES) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            async with manager.get(origin.url()) as reply:
                events = [event async for event in reply]
            manager.clear_connections()
            assert (await manager.fetch(origin.url("/other"))).status_code == 200
            manager.clear_credentials()
            manager.clear_connections()
            assert (await manager.fetch(origin.url("/other"))).status_code == 200
    assert [seen.credentials is not None for seen in proxy.requests] == [False, True, True, False, True]
    assert all(request.header("Proxy-Authorization") is None for request in origin.requests)
    # A tunnel is asked for again on a new connection; a request that is forwarded was sent, and is so once more.
    assert here.place.sequence(events) == (f"S S {GOOD}" if here.is_secure else f"S Q {GOOD}")


async def answers(reply: Reply, *logins: tuple[str, str] | None) -> str:
    """Read events to the end and answer the proxy's demands by ``logins``; gives the sequence."""
    events = []
    given = iter(logins)
    async for event in reply:
        events.append(event)
        if isinstance(event, ProxyAuthenticationRequired):
            login = next(given)
            if login is not None:
                event.answer(*login)
    words = sequence(events).split()
    return " ".join(word for word in words if word[0] in "PHEF")


@pytest.mark.parametrize("scheme", ["basic", "digest", "digest-sha-256"])
async def test_a_proxy_s_demand_is_answered(scheme: str, here: Surroundings) -> None:
    """The demand is an event with the proxy in it; a wrong answer leads to another, a right one to the page."""
    chosen = {"basic": "basic", "digest": "digest"}.get(scheme, "digest-sha-256")
    async with here.origin(ROUTES) as origin, here.http_proxy(login=LOGIN, scheme=chosen) as proxy:  # type: ignore[arg-type]  # one of the three
        async with here.place.open_manager(proxy=proxy_at(proxy)) as manager:
            async with manager.get(origin.url()) as reply:
                assert await answers(reply, OTHER, LOGIN) == "P() P(you) H(200) F(NO_ERROR)"
            manager.clear_connections()
            async with manager.get(origin.url("/other")) as reply:
                assert await answers(reply) == "H(200) F(NO_ERROR)"
    assert all(request.header("Proxy-Authorization") is None for request in origin.requests)


async def test_a_demand_that_nobody_answers(here: Surroundings) -> None:
    """A forwarded request ends in the proxy's own 407; a tunnel that was refused has no head (Qt)."""
    async with here.origin(ROUTES) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy)) as manager:
            async with manager.get(origin.url()) as reply:
                told = await answers(reply, None)
    code = NetworkError.PROXY_AUTHENTICATION_REQUIRED
    head = "" if here.is_secure else "H(407) "
    assert told == f"P() {head}E({code.name}) F({code.name})"
    assert "Proxy requires authentication" in reply.error_string
    assert origin.requests == []


async def test_the_manager_s_handler_answers_a_proxy(here: Surroundings) -> None:
    """A handler for proxies' demands is asked first; nobody else sees them."""

    async def answer(_reply: Reply, event: ProxyAuthenticationRequired) -> None:
        assert event.proxy == proxy_at(proxy)
        assert event.challenge.realm == "proxy"
        event.answer(*LOGIN)

    async with here.origin(ROUTES) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy), proxy_authenticator=answer) as manager:
            assert (await manager.fetch(origin.url())).status_code == 200


async def test_a_socks_login(here: Surroundings) -> None:
    """SOCKS asks without a realm; the answer is remembered; wrong ones of the entry's are a refusal (Qt)."""
    async with here.origin(ROUTES) as origin, here.socks_proxy(login=LOGIN) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy)) as manager:
            async with manager.get(origin.url()) as reply:
                assert await answers(reply, OTHER, LOGIN) == "P() P(you) H(200) F(NO_ERROR)"
            manager.clear_connections()
            assert (await manager.fetch(origin.url())).status_code == 200
            async with manager.get(origin.url(), proxy=proxy_at(proxy, OTHER)) as reply:
                code = "PROXY_CONNECTION_REFUSED"
                assert await answers(reply, None) == f"P(you) E({code}) F({code})"
            manager.clear_credentials()
            manager.clear_connections()
            async with manager.get(origin.url()) as reply:
                code = "PROXY_AUTHENTICATION_REQUIRED"
                assert await answers(reply, None) == f"P() E({code}) F({code})"
        async with here.place.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            assert (await manager.fetch(origin.url())).status_code == 200


async def test_a_chain(here: Surroundings) -> None:
    """A proxy is reached through another one; each is asked for the next, and each has its own credentials."""
    async with here.origin(ROUTES) as origin, here.http_proxy("far.test", login=LOGIN) as far:
        async with here.socks_proxy(login=OTHER) as near, here.http_proxy("middle.test") as middle:
            chain = proxy_at(far, LOGIN, via=proxy_at(middle, via=proxy_at(near, OTHER)))
            async with here.place.open_manager(proxy=chain) as manager:
                assert (await manager.fetch(origin.url())).body == b"hello"
                assert (await manager.fetch(origin.url())).body == b"hello"
    assert {visit.host for visit in near.visits} == {middle.host}
    assert {seen.target for seen in middle.requests} == {f"{far.host}:{far.port}"}
    assert [seen.credentials for seen in middle.requests if seen.credentials] == []
    assert far.requests[-1].method == ("CONNECT" if here.is_secure else "GET")


async def test_a_secure_proxy(here: Surroundings) -> None:
    """The connection to a proxy may be secured itself, with TLS inside of TLS; its certificate must be good."""
    from .conftest import _authority  # shared with the fixture

    authority = _authority()
    tls = authority.serve("proxy.test", "127.0.0.1")
    async with here.origin(ROUTES) as origin, here.http_proxy(tls=tls) as proxy:
        trusted = Proxy(ProxyType.HTTP, proxy.host, proxy.port, tls=authority.trust())
        async with here.place.open_manager(proxy=trusted) as manager:
            async with manager.get(origin.url()) as reply:
                events = [event async for event in reply]
        assert here.place.sequence(events) == f"S {GOOD}"
        assert (reply.tls is not None) == here.is_secure
        async with here.place.open_manager(proxy=f"https://{proxy.host}:{proxy.port}") as manager:
            async with manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is NetworkError.UNKNOWN_PROXY
                assert "trust its certificate with Proxy(tls=" in reply.error_string
        assert len(origin.requests) == 1


async def test_requests_choose_their_proxy(here: Surroundings) -> None:
    """A request's own proxy counts, and so does its wish for none; what another proxy has brought is not shared."""
    async with here.origin(ROUTES) as origin, here.http_proxy() as usual, here.http_proxy("other.test") as other:
        async with here.place.open_manager(proxy=proxy_at(usual)) as manager:
            assert manager.proxy == proxy_at(usual)
            for proxy in (None, Proxy(), proxy_at(other), Proxy(ProxyType.NONE)):
                assert (await manager.fetch(origin.url(), proxy=proxy)).status_code == 200
            assert len(manager.statistics().connections) == 3
    assert (len(usual.visitors), len(other.visitors), len(origin.requests)) == (1, 1, 4)


async def test_preconnect_goes_through_the_proxy(here: Surroundings) -> None:
    """A connection that is opened ahead goes the way the request will go."""
    async with here.origin(ROUTES) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with here.place.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            await manager.preconnect(origin.url())
            assert (await manager.fetch(origin.url())).status_code == 200
    tunnels = 2 if here.is_secure else 1  # one connection ended with the demand for credentials
    assert len(proxy.visitors) == tunnels


async def test_fields_for_the_proxy(here: Surroundings) -> None:
    """The entry's fields go to the proxy, and so does the user's own Proxy-Authorization; no server sees that."""
    async with here.origin(ROUTES) as origin, here.http_proxy() as proxy:
        entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, headers={"X-Via": "me"})
        async with here.place.open_manager(proxy=entry) as manager:
            await manager.fetch(origin.url(), headers={"Proxy-Authorization": "Bearer t0ken", "X-Own": "1"})
    (seen,) = proxy.requests
    assert (seen.header("X-Via"), seen.credentials) == ("me", "Bearer t0ken")
    assert seen.header("X-Own") == (None if here.is_secure else "1")
    (request,) = origin.requests
    assert (request.header("Proxy-Authorization"), request.header("X-Own")) == (None, "1")
    assert request.header("X-Via") == (None if here.is_secure else "me")


async def test_a_server_cannot_ask_as_a_proxy(memory: Place) -> None:
    """A 407 that comes through a tunnel, or without any proxy, is a response like others: no credentials are told."""
    demand = b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
    peer = recording_origin(demand)
    here = Surroundings(memory)
    async with memory.serve(peer) as url, here.socks_proxy(login=LOGIN) as proxy:
        for entry in (proxy_at(proxy, LOGIN), None):
            async with memory.open_manager(proxy=entry) as manager, manager.get(url) as reply:
                events = [event async for event in reply]
                assert sequence(events[-1:]) == "F(PROXY_AUTHENTICATION_REQUIRED)"
                assert not [event for event in events if isinstance(event, ProxyAuthenticationRequired)]
    assert [LOGIN[1].encode() in connection.received for connection in peer.connections] == [False, False]


async def test_a_caching_proxy_opens_no_tunnels(here: Surroundings) -> None:
    """A proxy that can only forward is good for http; for https there is none that fits, and nothing is dialled."""
    async with here.origin(ROUTES) as origin, here.http_proxy() as proxy:
        entry = Proxy(ProxyType.HTTP_CACHING, proxy.host, proxy.port)
        async with here.place.open_manager(proxy=entry) as manager, manager.get(origin.url()) as reply:
            events = [event async for event in reply]
    wanted = NetworkError.PROXY_NOT_FOUND if here.is_secure else NetworkError.NO_ERROR
    assert events[-1] == Finished(wanted)
    assert here.is_secure == reply.error_string.startswith("No suitable proxy found")
    assert len(proxy.visitors) == (0 if here.is_secure else 1)
