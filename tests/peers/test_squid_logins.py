"""Squid's doors that want a login, and one proxy behind another."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

import pytest
import trio

import trioreply
from trioreply import (
    LoadControl,
    NetworkError,
    ProxyAuthenticationRequired,
    ProxyAuthenticationRequiredError,
    Reply,
    SslErrorCode,
)

from .journeys import SCHEMES, Trip, carry, converse, visit
from .nginx import SMALL
from .socks_server import Microsocks
from .squid import DOORS, NONCE_USES, PASSWORD, REALM, USER

SECONDS = 30.0
"""No journey takes a tenth of it."""

RIGHT, WRONG = (USER, PASSWORD), (USER, "open barley")
LOGINS = ("basic", "digest")
UNTRUSTED = [SslErrorCode.UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE, SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", LOGINS)
async def test_asked_by_event(door: str, scheme: str, trip: Trip) -> None:
    """Without a login in the `Proxy` we are asked, and what the proxy accepts is known from then on."""
    proxy = trip.squid.proxy(door, None)
    url = trip.url(scheme)
    async with trip.manager.get(url, proxy=proxy) as reply:
        (asked,) = await converse(reply, RIGHT)
        assert reply.read() == SMALL
    assert (asked.challenge.scheme.lower(), asked.challenge.realm, asked.proxy) == (door, REALM, proxy)
    for _ in range(2):
        trip.manager.clear_connections()
        async with trip.manager.get(url, proxy=proxy) as reply:
            assert await converse(reply) == []
            assert reply.read() == SMALL
    assert [one.status for one in await trip.seen()] == [407, 200, 200, 200]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", LOGINS)
async def test_wrong_and_then_right(door: str, scheme: str, trip: Trip) -> None:
    """A wrong password is asked about again, with the user's name; the same once more is given up."""
    proxy = trip.squid.proxy(door, None)
    url = trip.url(scheme)
    async with trip.manager.get(url, proxy=proxy, authentication_reuse=LoadControl.MANUAL) as reply:
        assert len(await converse(reply, WRONG, WRONG, RIGHT)) == 2
        assert reply.error is NetworkError.PROXY_AUTHENTICATION_REQUIRED
    async with trip.manager.get(url, proxy=proxy) as reply:
        asked = await converse(reply, WRONG, RIGHT)
        assert [event.challenge.previous_user for event in asked] == [None, USER]
        assert reply.read() == SMALL


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", LOGINS)
async def test_no_login_and_a_wrong_one(door: str, scheme: str, trip: Trip) -> None:
    """Nobody's answer, or a `Proxy` with a wrong password, is the proxy's refusal; a right one is not affected."""
    url = trip.url(scheme)
    for login in (None, WRONG):
        with pytest.raises(ProxyAuthenticationRequiredError):
            await trip.manager.fetch(url, proxy=trip.squid.proxy(door, login))
    assert (await trip.manager.fetch(url, proxy=trip.squid.proxy(door))).body == SMALL
    assert [one.status for one in await trip.seen()][-1] == 200


@pytest.mark.parametrize("door", LOGINS)
async def test_the_page_of_a_refusal(door: str, trip: Trip) -> None:
    """What the proxy says with its 407 to a request that it would forward can be read."""
    async with trip.manager.get(trip.url("http"), proxy=trip.squid.proxy(door, None)) as reply:
        assert b"Access Denied" in await reply.read_all()
        assert (reply.status_code, await reply.wait_finished()) == (407, NetworkError.PROXY_AUTHENTICATION_REQUIRED)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", LOGINS)
async def test_a_login_by_the_manager(door: str, scheme: str, trip: Trip) -> None:
    """The manager's own handler answers for every reply, so that even `fetch` gets through."""
    asked: list[str] = []

    async def log_in(_reply: Reply, event: ProxyAuthenticationRequired) -> None:
        await trio.lowlevel.checkpoint()
        asked.append(event.challenge.realm)
        event.answer(*RIGHT)

    options = partial(trioreply.open_manager, ssl=trip.sites.secure.trust, proxy=trip.squid.proxy(door, None))
    async with options(proxy_authenticator=log_in) as manager:
        for _ in range(3):
            assert (await manager.fetch(trip.url(scheme))).body == SMALL
            manager.clear_connections()
    assert asked == [REALM]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_nonces_that_are_used_up(scheme: str, trip: Trip) -> None:
    """A nonce that is good for a few requests is replaced when it is used up, without a question or a failure; with
    the answers that squid forwards it gives the next one along, and that one is used.
    """
    proxy = trip.squid.proxy("digest", None)
    questions = 0
    for _ in range(3 * NONCE_USES):
        async with trip.manager.get(trip.url(scheme), proxy=proxy) as reply:
            questions += len(await converse(reply, RIGHT))
            assert reply.read() == SMALL
        trip.manager.clear_connections()
    assert questions == 1
    statuses = [one.status for one in await trip.seen()]
    assert statuses.count(200) == 3 * NONCE_USES
    assert (statuses.count(407) == 1) is (scheme == "http")
    assert statuses.count(407) <= 4


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", LOGINS)
async def test_a_proxy_by_url(door: str, scheme: str, trip: Trip) -> None:
    """A URL is a proxy too, its login percent-encoded; for one that is not in the URL, the request's own says who."""
    login = f"{quote(USER)}:{quote(PASSWORD)}@"
    proxy = f"http://{login}127.0.0.1:{trip.squid.ports[door]}"
    assert (await trip.manager.fetch(trip.url(scheme), proxy=proxy)).body == SMALL
    assert [one.user for one in await trip.seen()] == ["-", USER]


# Chains


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("plain", "plain"),
        ("secure", "secure"),
        ("basic", "digest"),
        ("digest", "secure-basic"),
        ("secure-basic", "digest"),
    ],
)
async def test_one_behind_another(first: str, second: str, scheme: str, trip: Trip) -> None:
    """Through one proxy to the next, each with its own TLS and its own login, to a server with its own."""
    proxy = trip.squid.proxy(second, via=trip.squid.proxy(first))
    await visit(trip.manager, trip.sites.base(scheme), f"chain-{first}-{second}-{scheme}", proxy=proxy)
    seen = {(one.method, one.target) for one in await trip.seen() if one.status == 200}
    assert ("CONNECT", f"127.0.0.1:{trip.squid.ports[second]}") in seen
    if scheme == "http":
        assert ("GET", trip.url("http")) in seen
    else:
        assert ("CONNECT", trip.sites.target("https")) in seen


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("door", DOORS)
async def test_behind_a_socks_server(door: str, scheme: str, trip: Trip, microsocks: Microsocks) -> None:
    """Through a SOCKS server to each of squid's doors."""
    proxy = trip.squid.proxy(door, via=microsocks.proxy())
    await visit(trip.manager, trip.sites.base(scheme), f"socks-{door}-{scheme}", proxy=proxy)
    assert 200 in {one.status for one in await trip.seen()}


async def test_a_large_file_through_a_chain(trip: Trip, microsocks: Microsocks) -> None:
    """TLS in TLS in TLS, behind a SOCKS server: 16 MiB are the same behind all of it."""
    proxy = trip.squid.proxy("secure", via=trip.squid.proxy("secure-basic", via=microsocks.proxy()))
    await carry(trip.manager, trip.sites.base("https"), trip.sites.folder("https"), 16, proxy=proxy)


async def test_a_wrong_login_inside_a_chain(trip: Trip) -> None:
    """The error names the proxy that refuses, not the one before it, and shows nobody's password."""
    inner = trip.squid.proxy("basic", WRONG, via=trip.squid.proxy("digest"))
    with pytest.raises(ProxyAuthenticationRequiredError) as caught:
        await trip.manager.fetch(trip.url("https"), proxy=inner)
    assert f"127.0.0.1:{trip.squid.ports['basic']}" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert WRONG[1] not in str(caught.value)
