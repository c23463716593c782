"""URLs that somebody else has chosen: what the recipe of the documentation lets pass, and that nothing gets around it.

Whatever is tried, the network in memory knows which addresses were dialled; only the public ones may be among them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Unpack

import pytest
import trio
from attrs import field, frozen
from trio.testing import MockClock

import trioreply
from trioreply import (
    CachingResolver,
    Manager,
    ManagerConfig,
    NetworkError,
    OnFailure,
    PublicResolver,
    Redirected,
    RedirectPolicy,
    Reply,
)
from trioreply.abc import Resolver
from trioreply.testing import (
    Authority,
    MemoryNetwork,
    OriginResponse,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    open_origin,
    run_sync_inline,
    serve_peer,
)

HERE, HERE_TOO, PEER = "93.184.216.34", "2606:2800:21f::1", "93.184.216.35"
"""The public addresses of the servers that may be talked to."""

AUTHORITY = Authority()
TLS = AUTHORITY.serve("origin.test", "peer.test", HERE)
BODY = b"for everybody"

NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "loopback, another": "127.255.255.254",
    "any": "0.0.0.0",
    "private, ten": "10.0.0.1",
    "private, 172": "172.31.255.255",
    "private, 192": "192.168.1.1",
    "metadata": "169.254.169.254",
    "carrier's NAT": "100.64.0.1",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 loopback": "::1",
    "IPv6 any": "::",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local, with a zone": "fe80::1%1",
    "public, with a zone": "2606:2800:21f::9%1",
    "unique local": "fd00::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped public": "::ffff:93.184.216.34",
    "compatible loopback": "::127.0.0.1",
    "NAT64 of private": "64:ff9b::10.0.0.1",
    "NAT64 of a network's own": "64:ff9b:1::5db8:d822",
    "6to4 of private": "2002:0a00:0001::1",
    "Teredo": "2001:0:7f00:1::1",
    "IPv6 multicast": "ff02::1",
}

HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "127.0.0.1.",
    "127.0.0.1%2e",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "１２７.０.０.１",  # noqa: RUF001 - fullwidth digits are the point
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ｌocalhost",  # noqa: RUF001 - so is a fullwidth letter
    "me@127.0.0.1",
    "origin.test@127.0.0.1",
    "origin.test:443@127.0.0.1",
    "127.0.0.1\\@origin.test",
    "127.0.0.1:443#@origin.test",
    "127.0.0.1:443?@origin.test",
]
"""This machine, in all spellings that some parser of URLs or some resolver knows."""

URLS = [
    *(f"https://{host}/" for host in HOSTS),
    "http://origin.test/",
    "http://127.0.0.1/",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "resource:trioreply/py.typed",
    "data:,hello",
    "unix+http://docker/",
    "local+http://docker/",
    "ftp://origin.test/",
    "gopher://127.0.0.1/",
]


@frozen
class World:
    """A network with one public server on it, and managers by the recipe."""

    network: MemoryNetwork
    routes: dict[str, OriginResponse] = field(factory=dict)
    """What the server has; may be changed."""

    def open_manager(
        self, names: Resolver | None = None, **config: Unpack[ManagerConfig]
    ) -> AbstractAsyncContextManager[Manager]:
        """A manager by the recipe; ``names`` is who is asked behind the guard."""
        ours: ManagerConfig = {"dialer": self.network, "ssl": AUTHORITY.trust(), "run_sync": run_sync_inline}
        recipe: ManagerConfig = {
            "schemes": {"https"},
            "resolver": PublicResolver(names or self.network),
            "trust_env": False,
            "cookie_jar": None,
            "connect_timeout": 10,
            "transfer_timeout": 10,
        }
        recipe.update(ours)
        recipe.update(config)
        return trioreply.open_manager(**recipe)

    def redirecting(self, location: str) -> AbstractAsyncContextManager[str]:
        """A public server that redirects there, whatever it is asked; gives its URL."""
        head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        return serve_peer(ScriptedPeer(ReceiveRequest(), Send(head)), network=self.network, tls=TLS)

    @property
    def strangers(self) -> set[str]:
        """Who was dialled and should not have been."""
        return {address for address, _ in self.network.dialed} - {HERE, HERE_TOO, PEER}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A network with a public server, and everything about this machine that a resolver would find."""
    async with MemoryNetwork() as network:
        network.add_host("origin.test", HERE, HERE_TOO)
        network.add_host("peer.test", PEER)
        network.add_host("localhost", "127.0.0.1")
        network.add_host("localhost.", "127.0.0.2")
        routes = {"/": OriginResponse(body=BODY)}
        async with open_origin(routes, network=network, tls=TLS):
            yield World(network, routes)


async def fate(manager: Manager, url: str) -> NetworkError | None:
    """How a transfer ends; ``None`` for a URL that is none to begin with."""
    try:
        async with manager.get(url) as reply:
            return await reply.wait_finished()
    except ValueError:
        return None


@frozen
class Names:
    """A resolver that gives one answer after the other, whatever it is asked; the last one for ever."""

    answers: list[Sequence[str]]

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """See `Resolver.resolve`."""
        del host, port
        await trio.lowlevel.checkpoint()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize("url", ["https://origin.test/", f"https://{HERE}/", "https://ORIGIN.test:443/"])
async def test_what_anybody_could_fetch(world: World, url: str) -> None:
    """A public server is reached, by its name and by its address."""
    async with world.open_manager() as manager:
        assert (await manager.fetch(url, max_size=1000)).body == BODY
    assert world.strangers == set()


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC)
async def test_names_that_lead_inside(world: World, address: str) -> None:
    """A name that stands for an address that is not public is refused, also if it has public ones, before or after."""
    for answer in ([address], [HERE, address], [address, HERE_TOO]):
        async with world.open_manager(Names([answer])) as manager:
            async with manager.get("https://evil.test/") as reply:
                assert await reply.wait_finished() is NetworkError.HOST_NOT_FOUND
                assert f"{address} is not a public address" in reply.error_string
    assert world.network.dialed == []


@pytest.mark.parametrize("url", URLS)
async def test_urls_that_lead_inside(world: World, url: str) -> None:
    """A URL of another scheme, or of this machine in any spelling, is refused, typed or as the target of a redirect."""
    async with world.open_manager() as manager:
        assert await fate(manager, url) is not NetworkError.NO_ERROR
    assert world.network.dialed == []
    async with world.redirecting(url) as start:
        for policy in (RedirectPolicy.NO_LESS_SAFE, RedirectPolicy.SAME_ORIGIN, RedirectPolicy.USER_VERIFIED):
            async with world.open_manager(redirect_policy=policy, redirect_verifier=agree) as manager:
                assert await fate(manager, start) in LEADS_NOWHERE
    assert world.strangers == set()


LEADS_NOWHERE = {NetworkError.PROTOCOL_UNKNOWN, NetworkError.HOST_NOT_FOUND, NetworkError.INSECURE_REDIRECT}


async def agree(_reply: Reply, event: Redirected) -> None:
    """Allow every redirect."""
    event.allow()


@pytest.mark.parametrize(
    "location", ["//127.0.0.1/", "//localhost", "https:\\\\127.0.0.1/", "///127.0.0.1/", "\\\\127.0.0.1"]
)
async def test_relative_locations(world: World, location: str) -> None:
    """A Location without a scheme leads inside no more than one with it."""
    async with world.redirecting(location) as start, world.open_manager() as manager:
        assert await fate(manager, start) is not NetworkError.NO_ERROR
    assert world.strangers == set()


async def test_redirects_one_after_the_other(world: World) -> None:
    """The last hop is guarded as the first is."""
    world.routes["/"] = OriginResponse(302, [("Location", "/next")])
    world.routes["/next"] = OriginResponse(307, [("Location", f"https://{HERE}/last")])
    world.routes["/last"] = OriginResponse(308, [("Location", "https://10.0.0.1/")])
    async with world.open_manager() as manager:
        assert await fate(manager, "https://origin.test/") is NetworkError.HOST_NOT_FOUND
    assert world.strangers == set()


async def test_names_that_change(world: World) -> None:
    """The address that was checked is the one that is dialled; each connection is checked anew, and asks once."""
    names = Names([[HERE], ["10.0.0.1"]])
    async with world.open_manager(names) as manager:
        assert await fate(manager, "https://origin.test/") is NetworkError.NO_ERROR
        assert len(names.answers) == 1
        assert await fate(manager, "https://origin.test/") is NetworkError.NO_ERROR  # on the same connection
        manager.clear_connections()
        assert await fate(manager, "https://origin.test/") is NetworkError.HOST_NOT_FOUND
    assert world.network.dialed == [(HERE, 443)]


@pytest.mark.parametrize("outside", [True, False])
async def test_a_memory_of_names(world: World, autojump_clock: MockClock, *, outside: bool) -> None:
    """A cache before or behind the guard changes nothing: what is not public is not remembered as if it were."""
    del autojump_clock
    names = Names([["10.0.0.1"], [HERE], ["10.0.0.1"]])
    cached = CachingResolver(PublicResolver(names), ttl=5) if outside else PublicResolver(CachingResolver(names, ttl=5))
    async with world.open_manager(resolver=cached) as manager:
        fates = []
        for _ in range(3):
            fates.append(await fate(manager, "https://origin.test/"))
            manager.clear_connections()
            await trio.sleep(6)
    assert fates == [NetworkError.HOST_NOT_FOUND, NetworkError.NO_ERROR, NetworkError.HOST_NOT_FOUND]
    assert world.network.dialed == [(HERE, 443)]


async def test_other_ways_in(world: World) -> None:
    """Connecting ahead, streams of events and many fetches at once are guarded like everything else."""
    async with world.open_manager() as manager:
        with pytest.raises(trioreply.HostNotFoundError):
            await manager.preconnect("https://127.0.0.1/")
        async with manager.fetch_all(["https://[::1]/", "https://localhost/"], on_failure=OnFailure.COLLECT) as results:
            errors = [result.error async for result in results]
    assert [type(error) for error in errors] == [trioreply.HostNotFoundError] * 2
    assert world.network.dialed == []


@pytest.mark.parametrize("name", ["https_proxy", "all_proxy", "HTTPS_PROXY"])
async def test_environment(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A proxy of the environment, which would look names up itself, is not used."""
    monkeypatch.setenv(name, "http://10.0.0.1:3128")
    async with world.open_manager() as manager:
        assert await fate(manager, "https://origin.test/") is NetworkError.NO_ERROR
    assert world.strangers == set()


@pytest.mark.parametrize(
    "proxy", ["http://10.0.0.1:3128", "socks5h://localhost", "socks5://[::1]", "https://127.0.0.1"]
)
async def test_proxies_inside(world: World, proxy: str) -> None:
    """The guard holds for the way to a proxy, too."""
    async with world.open_manager(proxy=proxy) as manager:
        assert await fate(manager, "https://origin.test/") is NetworkError.PROXY_NOT_FOUND
    assert world.network.dialed == []
