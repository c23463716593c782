"""Journeys through squid: forwarded and tunnelled, over TLS, let in by Basic and Digest, one proxy behind another.

Squid writes down what it was asked for and on which connection. Each test has a user agent of its own, by which its
lines are found; a tunnel's come when it is over.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator

import pytest
import trio

import trioreply
from trioreply import (
    ContentAccessDenied,
    Encrypted,
    Event,
    NetworkError,
    Proxy,
    ProxyConnectionRefusedError,
    ProxyType,
    ReadyRead,
    ServiceUnavailableError,
    SocketStartedConnecting,
    SslErrorCode,
    SslErrors,
    UnknownProxyError,
)

from ..soak.large import write_large
from .journeys import MIB, SCHEMES, NumbersOnly, Trip, carry, visit
from .nginx import PAGE, SMALL
from .process import free_port
from .squid import DOORS, KNOWN_NAME, PASSWORD, USER

SECONDS = 30.0
"""No journey takes a tenth of it."""

RIGHT, WRONG = (USER, PASSWORD), (USER, "open barley")
LOGINS = ("basic", "digest")
UNTRUSTED = [SslErrorCode.UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE, SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", DOORS)
async def test_each_door(door: str, scheme: str, trip: Trip) -> None:
    """Every verb goes through every door: plain requests are forwarded, secure ones are in a tunnel, with TLS in TLS
    behind the secure doors; the login of the `Proxy` is told once it is asked for.
    """
    await visit(trip.manager, trip.sites.base(scheme), f"squid-{door}-{scheme}", proxy=trip.squid.proxy(door))
    seen = await trip.seen()
    is_open = door in ("plain", "secure")
    assert {one.user for one in seen if one.status != 407} == {"-" if is_open else USER}
    assert [one.status for one in seen].count(407) == (0 if is_open else 1)
    if scheme == "http":
        path = f"http://{trip.sites.target('http')}/dav/squid-{door}-http/file"
        verbs = ["GET", "HEAD", "POST", "PUT", "GET", "DELETE"]
        assert [one.method for one in seen if one.status != 407] == verbs
        assert [one.target for one in seen][-3:] == [path] * 3
    else:
        assert [(one.method, one.target) for one in seen if one.status != 407] == [
            ("CONNECT", trip.sites.target("https"))
        ]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_events(scheme: str, trip: Trip) -> None:
    """They are those of a direct request, but the socket is the proxy's."""
    proxy = trip.squid.proxy()
    async with trip.manager.get(trip.url(scheme), proxy=proxy) as reply:
        events = [event async for event in reply]
        assert reply.read() == SMALL
        assert ("squid" in reply.headers.get("Via", "")) is (scheme == "http")
        assert (reply.tls is not None) is (scheme == "https")
    names = ["SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ReadyRead", "Progress", "Finished"]
    assert [type(event).__name__ for event in events if not isinstance(event, Encrypted)] == names
    assert any(isinstance(event, Encrypted) for event in events) is (scheme == "https")
    assert isinstance(events[0], SocketStartedConnecting)
    assert (events[0].host, events[0].port) == (proxy.host, proxy.port)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", ["plain", "secure"])
async def test_large_files(door: str, scheme: str, trip: Trip) -> None:
    """16 MiB down and up are the same behind the proxy, at every depth of TLS."""
    files = trip.sites.folder(scheme)
    await carry(trip.manager, trip.sites.base(scheme), files, 16, proxy=trip.squid.proxy(door))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", DOORS)
async def test_a_body_that_is_made_on_the_way(door: str, scheme: str, trip: Trip) -> None:
    """A body of unknown length goes through in chunks, where nobody asks for a login in the middle of it."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(300):
            yield b"%08d" % number * 1000

    proxy = trip.squid.proxy(door)
    # A login that the proxy has accepted is told at once; a nonce is good for a few requests.
    await trip.manager.fetch(trip.url(scheme), proxy=proxy)
    name = f"made-{door}-{scheme}"
    await trip.manager.fetch(trip.url(scheme, f"/dav/{name}"), verb="PUT", body=body(), proxy=proxy)
    stored = trip.sites.folder(scheme) / "dav" / name
    assert stored.read_bytes() == b"".join(b"%08d" % number * 1000 for number in range(300))


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_an_early_413(scheme: str, trip: Trip) -> None:
    """A server that refuses 20 MiB after the first of them is heard through the proxy, too, and we go on."""
    proxy = trip.squid.proxy()
    async with trip.manager.put(trip.url(scheme, "/at-most-1m/file"), bytes(20 * MIB), proxy=proxy) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_CONTENT
        assert reply.status_code == 413
    assert (await trip.manager.fetch(trip.url(scheme), proxy=proxy)).body == SMALL


# Connections


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_one_connection_for_one_request_after_another(scheme: str, trip: Trip) -> None:
    """Twenty requests go through one connection to the proxy, and through one tunnel."""
    proxy = trip.squid.proxy()
    for _ in range(20):
        assert (await trip.manager.fetch(trip.url(scheme, "/page.txt"), proxy=proxy)).body == PAGE
    assert list(trip.manager.statistics().connections) == [f"{trip.sites.base(scheme)} via {proxy}"]
    seen = await trip.seen()
    assert len({one.port for one in seen}) == 1
    assert [one.method for one in seen] == (["GET"] * 20 if scheme == "http" else ["CONNECT"])


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_many_at_once(scheme: str, trip: Trip) -> None:
    """Thirty requests at once share six connections through the proxy, and each gets its own answer."""
    proxy = trip.squid.proxy()
    bodies: dict[int, bytes] = {}

    async def put_and_get(number: int) -> None:
        url = trip.url(scheme, f"/dav/many-{number}")
        await trip.manager.fetch(url, verb="PUT", body=b"%d," % number * 10_000, proxy=proxy)
        bodies[number] = (await trip.manager.fetch(url, proxy=proxy)).body

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(put_and_get, number)
    assert bodies == {number: b"%d," % number * 10_000 for number in range(30)}
    assert len({one.port for one in await trip.seen()}) <= 6


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_connection_belongs_to_one_way(scheme: str, trip: Trip) -> None:
    """What is kept of one way is never used for another: directly, through one door, and through the next one."""
    url = trip.url(scheme)
    for proxy in (trip.squid.proxy(), Proxy(ProxyType.NONE), trip.squid.proxy("secure"), trip.squid.proxy()):
        assert (await trip.manager.fetch(url, proxy=proxy)).body == SMALL
    assert trip.manager.statistics().idle == 3
    seen = await trip.seen()
    assert len(seen) == (3 if scheme == "http" else 2)
    assert len({one.port for one in seen}) == 2


@pytest.mark.parametrize("stage", [SocketStartedConnecting, Encrypted, ReadyRead])
@pytest.mark.parametrize("way", ["abort", "cancel"])
@pytest.mark.parametrize("door", ["plain", "secure-basic"])
async def test_stopped_on_the_way(door: str, way: str, stage: type[Event], trip: Trip) -> None:
    """A reply that is stopped in the middle of a tunnel leaves no connection, also not on the proxy; we go on."""
    write_large(trip.sites.folder("https") / "stopped", 16 * MIB)
    proxy = trip.squid.proxy(door)
    with trio.CancelScope() as scope:
        async with trip.manager.get(trip.url("https", "/stopped"), proxy=proxy, read_buffer_size=1) as reply:
            async for event in reply:
                if isinstance(event, stage):
                    scope.cancel() if way == "cancel" else reply.abort()
    assert reply.error is NetworkError.OPERATION_CANCELED
    statistics = trip.manager.statistics()
    assert (statistics.connections, statistics.leases, statistics.replies_running) == ({}, 0, 0)
    assert (await trip.manager.fetch(trip.url("https"), proxy=proxy)).body == SMALL
    # Squid writes about a tunnel when it has ended. Of one that was given up in time it need not have heard.
    tunnels = [one for one in await trip.seen() if one.status == 200]
    assert len(tunnels) in ((1, 2) if stage is SocketStartedConnecting else (2,))


# Names, and what cannot be reached


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_name_that_only_the_proxy_knows(scheme: str, trip: Trip) -> None:
    """Names are left to the proxy: nobody looks them up on this side."""
    port = trip.sites.base(scheme).rpartition(":")[2]
    ssl, proxy = trip.sites.secure.trust, trip.squid.proxy()
    async with trioreply.open_manager(ssl=ssl, proxy=proxy, resolver=NumbersOnly()) as manager:
        url = f"{scheme}://{KNOWN_NAME}:{port}/small"
        assert (await manager.fetch(url, peer_verify_name="127.0.0.1")).body == SMALL


async def test_a_place_where_the_proxy_does_not_go(trip: Trip) -> None:
    """A forwarded request gets the proxy's 403 and its page; a tunnel that is denied is the proxy's error."""
    proxy = trip.squid.proxy()
    async with trip.manager.get("http://192.0.2.1/", proxy=proxy) as reply:
        assert b"Access Denied" in await reply.read_all()
        with pytest.raises(ContentAccessDenied):
            reply.raise_for_error()
    with pytest.raises(UnknownProxyError, match=r"Proxy denied connection.*403"):
        await trip.manager.fetch("https://192.0.2.1/", proxy=proxy)


async def test_a_server_that_is_not_there(trip: Trip) -> None:
    """That nobody listens behind the proxy is its 503: a status if it forwards, its error if it should tunnel."""
    proxy, nowhere = trip.squid.proxy(), f"127.0.0.1:{free_port()}"
    with pytest.raises(ServiceUnavailableError):
        await trip.manager.fetch(f"http://{nowhere}/", proxy=proxy)
    with pytest.raises(UnknownProxyError, match="503"):
        await trip.manager.fetch(f"https://{nowhere}/", proxy=proxy)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_that_is_not_there(scheme: str, trip: Trip) -> None:
    """It is the proxy's error and not the server's, also if it is behind another one; nothing is sent directly."""
    gone = Proxy(ProxyType.HTTP, "127.0.0.1", free_port())
    with pytest.raises(ProxyConnectionRefusedError) as caught:
        await trip.manager.fetch(trip.url(scheme), proxy=gone)
    assert isinstance(caught.value.__cause__, builtins.ConnectionRefusedError)
    behind = Proxy(ProxyType.HTTP, gone.host, gone.port, via=trip.squid.proxy())
    with pytest.raises(UnknownProxyError, match="503"):
        await trip.manager.fetch(trip.url(scheme), proxy=behind)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_whose_certificate_is_not_trusted(scheme: str, trip: Trip) -> None:
    """Nobody is asked about it, and the proxy is told nothing, not even where we want to go."""
    strange = Proxy(ProxyType.HTTP, "127.0.0.1", trip.squid.ports["secure"], tls=trip.sites.secure.trust)
    async with trip.manager.get(trip.url(scheme), proxy=strange) as reply:
        events = [event async for event in reply]
        with pytest.raises(UnknownProxyError, match="SSL handshake with the proxy"):
            reply.raise_for_error()
    assert not any(isinstance(event, SslErrors | Encrypted) for event in events)
    assert await trip.seen() == []


async def test_a_server_whose_certificate_is_not_trusted(trip: Trip) -> None:
    """In a tunnel we are asked about the server as ever; ignored, a second tunnel leads there."""
    url, proxy = trip.url("https"), trip.squid.proxy("secure")
    async with trip.manager.get(url, proxy=proxy, ssl=trip.squid.trust) as reply:
        events: list[Event] = []
        async for event in reply:
            events.append(event)
            if isinstance(event, SslErrors):
                event.ignore(event.errors)
        assert reply.read() == SMALL
    shown = [event.errors for event in events if isinstance(event, SslErrors)]
    assert [[error.code for error in errors] for errors in shown] == [UNTRUSTED]
    assert [event.tls.ignored_errors for event in events if isinstance(event, Encrypted)] == shown
    assert [one.method for one in await trip.seen()] == ["CONNECT", "CONNECT"]


async def test_the_environment(trip: Trip, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment names is used for its scheme, and for no other; ``trust_env=False`` does not look."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{trip.squid.ports['plain']}")
    for trusts in (True, False):
        async with trioreply.open_manager(
            user_agent=trip.agent, ssl=trip.sites.secure.trust, trust_env=trusts
        ) as manager:
            for scheme in SCHEMES:
                assert (await manager.fetch(trip.url(scheme))).body == SMALL
    assert [(one.method, one.target) for one in await trip.seen()] == [("CONNECT", trip.sites.target("https"))]
