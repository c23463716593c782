"""Journeys through SOCKS servers: microsocks, which may want a login, and Dante, which also speaks version 4."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import trio
from attrs import frozen

import trioreply
from trioreply import (
    Encrypted,
    Event,
    HostNotFoundError,
    Manager,
    NetworkError,
    Proxy,
    ProxyAuthenticationRequiredError,
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ProxyError,
    ProxyType,
    ReadyRead,
    SocketStartedConnecting,
    UnknownProxyError,
)
from trioreply.errors import ConnectionRefusedError

from ..soak.large import write_large
from . import socks_server
from .dialing import HereResolver
from .journeys import MIB, SCHEMES, NumbersOnly, Sites, carry, converse, visit
from .nginx import PAGE, SMALL
from .process import free_port
from .socks_server import PASSWORD, USER, Dante, Microsocks, SocksServer

SECONDS = 30.0
"""No journey takes a tenth of it."""

RIGHT, WRONG = (USER, PASSWORD), (USER, "open barley")

WAYS = [
    ("microsocks", ProxyType.SOCKS5),
    ("microsocks", ProxyType.SOCKS5H),
    ("guarded", ProxyType.SOCKS5H),
    ("dante", ProxyType.SOCKS4),
    ("dante", ProxyType.SOCKS4A),
    ("dante", ProxyType.SOCKS5),
    ("dante", ProxyType.SOCKS5H),
]
"""Each server with each version that it speaks. (Dante takes what is special in 4A for an address; see below.)"""


@frozen
class Tour:
    """A journey through SOCKS servers; `manager` knows none, each request says which one it goes through."""

    manager: Manager
    servers: dict[str, SocksServer]
    sites: Sites

    def url(self, scheme: str, target: str = "/small") -> str:
        """The absolute URL of ``target``."""
        return f"{self.sites.base(scheme)}{target}"

    def proxy(self, name: str, kind: ProxyType = ProxyType.SOCKS5H) -> Proxy:
        """The way through a server, with the login that the guarded one wants."""
        return self.servers[name].proxy(kind, RIGHT if name == "guarded" else None)


@pytest.fixture
async def tour(
    microsocks: Microsocks, guarded_microsocks: Microsocks, dante: Dante, sites: Sites
) -> AsyncIterator[Tour]:
    """One with all servers."""
    servers = {"microsocks": microsocks, "guarded": guarded_microsocks, "dante": dante}
    with trio.fail_after(SECONDS):
        async with trioreply.open_manager(ssl=sites.secure.trust) as manager:
            yield Tour(manager, servers, sites)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "kind"), WAYS)
async def test_each_way(name: str, kind: ProxyType, scheme: str, tour: Tour) -> None:
    """Every verb goes through every server, in every version, plain and secure, on one connection."""
    folder = f"{tour.servers[name].port}-{kind.value}-{scheme}"
    await visit(tour.manager, tour.sites.base(scheme), folder, proxy=tour.proxy(name, kind))
    assert tour.manager.statistics().idle == 1


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "kind"), WAYS)
async def test_large_files(name: str, kind: ProxyType, scheme: str, tour: Tour) -> None:
    """8 MiB down and up are the same behind the server."""
    await carry(tour.manager, tour.sites.base(scheme), tour.sites.folder(scheme), 8, proxy=tour.proxy(name, kind))


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_events(scheme: str, tour: Tour) -> None:
    """They are those of a direct request, but the socket is the proxy's; the server sees an ordinary request."""
    proxy = tour.proxy("microsocks")
    async with tour.manager.get(tour.url(scheme), proxy=proxy) as reply:
        events = [event async for event in reply]
        assert reply.read() == SMALL
        assert "Via" not in reply.headers
    names = ["SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ReadyRead", "Progress", "Finished"]
    assert [type(event).__name__ for event in events if not isinstance(event, Encrypted)] == names
    assert any(isinstance(event, Encrypted) for event in events) is (scheme == "https")
    assert isinstance(events[0], SocketStartedConnecting)
    assert (events[0].host, events[0].port) == (proxy.host, proxy.port)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_one_connection_for_one_request_after_another(scheme: str, tour: Tour) -> None:
    """Twenty requests go through one connection, as the server at its end counts them."""
    proxy = tour.proxy("dante")
    responses = [await tour.manager.fetch(tour.url(scheme, "/page.txt"), proxy=proxy) for _ in range(20)]
    assert {response.body for response in responses} == {PAGE}
    assert [response.headers["X-Requests"] for response in responses] == [str(count) for count in range(1, 21)]
    assert list(tour.manager.statistics().connections) == [f"{tour.sites.base(scheme)} via {proxy}"]


async def test_many_at_once(tour: Tour) -> None:
    """Thirty requests at once share six connections, and each gets its own answer."""
    bodies: dict[int, bytes] = {}
    connections: set[str] = set()

    async def put_and_get(number: int) -> None:
        url = tour.url("http", f"/dav/socks-{number}")
        await tour.manager.fetch(url, verb="PUT", body=b"%d," % number * 10_000, proxy=tour.proxy("dante"))
        response = await tour.manager.fetch(url, proxy=tour.proxy("dante"))
        bodies[number] = response.body
        connections.add(response.headers["X-Connection"])

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(put_and_get, number)
    assert bodies == {number: b"%d," % number * 10_000 for number in range(30)}
    assert len(connections) <= 6


@pytest.mark.parametrize("stage", [SocketStartedConnecting, Encrypted, ReadyRead])
@pytest.mark.parametrize("way", ["abort", "cancel"])
async def test_stopped_on_the_way(way: str, stage: type[Event], tour: Tour) -> None:
    """A reply that is stopped behind a SOCKS server leaves no connection, and the manager goes on."""
    write_large(tour.sites.folder("https") / "stopped-socks", 16 * MIB)
    proxy = tour.servers["guarded"].proxy(login=RIGHT)
    url = tour.url("https", "/stopped-socks")
    with trio.CancelScope() as scope:
        async with tour.manager.get(url, proxy=proxy, read_buffer_size=1) as reply:
            async for event in reply:
                if isinstance(event, stage):
                    scope.cancel() if way == "cancel" else reply.abort()
    assert reply.error is NetworkError.OPERATION_CANCELED
    statistics = tour.manager.statistics()
    assert (statistics.connections, statistics.leases, statistics.replies_running) == ({}, 0, 0)
    assert (await tour.manager.fetch(tour.url("https"), proxy=proxy)).body == SMALL


# Logins


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_asked_by_event(scheme: str, tour: Tour) -> None:
    """Without a login in the `Proxy` we are asked, without a realm, and what is accepted is known from then on."""
    url, proxy = tour.url(scheme), tour.servers["guarded"].proxy()
    async with tour.manager.get(url, proxy=proxy) as reply:
        (asked,) = await converse(reply, RIGHT)
        assert reply.read() == SMALL
    assert (asked.proxy, asked.challenge.realm, asked.challenge.previous_user) == (proxy, "", None)
    tour.manager.clear_connections()
    async with tour.manager.get(url, proxy=proxy) as reply:
        assert await converse(reply) == []
        assert reply.read() == SMALL


async def test_wrong_and_then_right(tour: Tour) -> None:
    """A wrong password is asked about again, with the user's name."""
    async with tour.manager.get(tour.url("http"), proxy=tour.servers["guarded"].proxy()) as reply:
        asked = await converse(reply, WRONG, RIGHT)
        assert reply.read() == SMALL
    assert [event.challenge.previous_user for event in asked] == [None, USER]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("login", "expected"),
    [(None, ProxyAuthenticationRequiredError), (WRONG, ProxyConnectionRefusedError)],
    ids=["none", "wrong"],
)
async def test_no_login_and_a_wrong_one(
    login: tuple[str, str] | None, expected: type[ProxyError], scheme: str, tour: Tour
) -> None:
    """Nobody's answer wants a login, a wrong one is refused; neither shows a password, nor spoils the right one."""
    url = tour.url(scheme)
    with pytest.raises(expected) as caught:
        await tour.manager.fetch(url, proxy=tour.servers["guarded"].proxy(login=login))
    assert WRONG[1] not in f"{caught.value!r} {caught.value}"
    assert (await tour.manager.fetch(url, proxy=tour.servers["guarded"].proxy(login=RIGHT))).body == SMALL


async def test_a_proxy_by_url(tour: Tour) -> None:
    """A URL is a proxy too, its login percent-encoded."""
    url = f"socks5h://{quote(USER)}:{quote(PASSWORD)}@127.0.0.1:{tour.servers['guarded'].port}"
    assert (await tour.manager.fetch(tour.url("http"), proxy=url)).body == SMALL


async def test_a_login_that_nobody_wants(tour: Tour) -> None:
    """A server that lets everybody in does so, too, if we could say who we are."""
    async with tour.manager.get(tour.url("http"), proxy=tour.servers["dante"].proxy(login=RIGHT)) as reply:
        assert await converse(reply) == []
        assert reply.read() == SMALL


# Names


@pytest.mark.parametrize("name", ["microsocks", "dante"])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_name_left_to_the_proxy(name: str, scheme: str, tour: Tour) -> None:
    """With SOCKS5H nobody looks the name up on this side; the proxy does."""
    url = tour.url(scheme).replace("127.0.0.1", "localhost")
    proxy = tour.proxy(name)
    async with trioreply.open_manager(ssl=tour.sites.secure.trust, proxy=proxy, resolver=NumbersOnly()) as manager:
        assert (await manager.fetch(url, peer_verify_name="127.0.0.1")).body == SMALL


@pytest.mark.parametrize("kind", [ProxyType.SOCKS4, ProxyType.SOCKS5])
async def test_a_name_found_on_this_side(kind: ProxyType, tour: Tour) -> None:
    """With SOCKS4 and SOCKS5 the proxy gets an address, so the name may be one that it has never heard of."""
    url = tour.url("http").replace("127.0.0.1", "nobody-else-knows.test")
    async with trioreply.open_manager(proxy=tour.proxy("dante", kind), resolver=HereResolver()) as manager:
        assert (await manager.fetch(url)).body == SMALL


async def test_a_server_of_version_4_that_knows_no_names(tour: Tour) -> None:
    """Dante sees in a name of SOCKS4A an address that cannot be, and refuses it, which is the proxy's error."""
    url = tour.url("http").replace("127.0.0.1", "localhost")
    with pytest.raises(UnknownProxyError, match="rejected or failed"):
        await tour.manager.fetch(url, proxy=tour.proxy("dante", ProxyType.SOCKS4A))


# What cannot be reached


@pytest.mark.parametrize("name", ["microsocks", "dante"])
async def test_a_server_that_is_not_there(name: str, tour: Tour) -> None:
    """That nobody listens there is told as if we had tried it ourselves; the next request is not affected."""
    with pytest.raises(ConnectionRefusedError):
        await tour.manager.fetch(f"http://127.0.0.1:{free_port()}/", proxy=tour.proxy(name))
    assert tour.manager.statistics().connections == {}


async def test_a_place_where_the_proxy_does_not_go(tour: Tour) -> None:
    """What the proxy's rules forbid is a host that cannot be found (as Qt)."""
    with pytest.raises(HostNotFoundError, match="not allowed by its rules"):
        await tour.manager.fetch("http://192.0.2.1/", proxy=tour.proxy("dante"))
    with pytest.raises(UnknownProxyError, match="rejected or failed"):
        await tour.manager.fetch("http://192.0.2.1/", proxy=tour.proxy("dante", ProxyType.SOCKS4))


@pytest.mark.parametrize("kind", [ProxyType.SOCKS4, ProxyType.SOCKS5])
async def test_something_else_than_a_socks_server(kind: ProxyType, tour: Tour) -> None:
    """A web server in the place of the proxy is recognised, and the text says what to check."""
    strange = Proxy(kind, "127.0.0.1", tour.sites.plain.port)
    with pytest.raises((UnknownProxyError, ProxyConnectionClosedError), match=f"127.0.0.1:{tour.sites.plain.port}"):
        await tour.manager.fetch(tour.url("http"), proxy=strange)


async def test_a_server_that_ends_and_comes_back(tour: Tour) -> None:
    """With the proxy its connections end, and nothing goes the direct way; on the next proxy all is well again."""
    first, second = Microsocks(), Microsocks()
    url = tour.url("http")
    with socks_server.running(first):
        assert (await tour.manager.fetch(url, proxy=first.proxy())).body == SMALL
    with pytest.raises(ProxyConnectionRefusedError):
        await tour.manager.fetch(url, proxy=first.proxy())
    with socks_server.running(second):
        assert (await tour.manager.fetch(url, proxy=second.proxy())).body == SMALL


# Chains


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", [ProxyType.SOCKS4, ProxyType.SOCKS5, ProxyType.SOCKS5H])
async def test_one_behind_another(kind: ProxyType, scheme: str, tour: Tour, dante: Dante) -> None:
    """Three servers one behind the other, the middle one with a login, carry every verb."""
    middle = tour.servers["guarded"].proxy(login=RIGHT, via=tour.proxy("dante", kind))
    proxy = tour.servers["microsocks"].proxy(via=middle)
    await visit(tour.manager, tour.sites.base(scheme), f"socks-chain-{kind.value}-{scheme}", proxy=proxy)
    assert f" 127.0.0.1.{middle.port}\n" in dante.log
