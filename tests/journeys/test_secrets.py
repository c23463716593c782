"""Whose secrets reach whom: for any way, any redirects and any credentials, each party hears its own and no other's.

The parties are two origins, a proxy that is near and one behind it. Everything that each of them received is searched
for every secret, in each spelling in which it could be read.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import trioreply
from tests.proxies import HttpProxy, LeakRecord, RealProxy, SocksProxy, open_http_proxy, open_socks_proxy
from tests.proxies.doors import Scheme
from trioreply import Proxy, ProxyType
from trioreply.testing import (
    Authority,
    MemoryNetwork,
    Origin,
    OriginRequest,
    OriginResponse,
    ServerTls,
    open_origin,
    run_sync_inline,
)

SECRETS = {"here": "s3cret-of-here", "near": "s3cret-of-near", "far": "s3cret-of-far", "header": "s3cret-header"}
HOSTS = ("here", "there")


@functools.cache
def authority() -> Authority:
    """Who certifies the secure servers."""
    return Authority()


@functools.cache
def tls_of(host: str) -> ServerTls:
    """The settings of a secure server, the same for all journeys to it."""
    return authority().serve(host)


@frozen(kw_only=True)
class Journey:
    """One combination of what a request can go through."""

    is_secure: tuple[bool, bool]
    """Whether the first and the second origin speak https."""
    near: str
    """The kind of the first proxy; empty for none."""
    far: str
    """That of the one behind it."""
    scheme: Scheme
    """How HTTP proxies want to be told who it is."""
    asks: tuple[bool, bool, bool]
    """Whether the first origin, the near and the far proxy demand credentials."""
    hops: tuple[int, ...]
    """The origins that redirects lead to, one after the other."""
    status: int
    own_field: bool
    """Whether the user says Proxy-Authorization himself."""
    login_in_url: bool
    other_way: bool
    """Whether the second request of the manager goes directly."""


KINDS = ("", "http", "socks")
_SCHEMES: tuple[Scheme, ...] = ("basic", "digest")
JOURNEYS = st.builds(
    Journey,
    is_secure=st.tuples(st.booleans(), st.booleans()),
    near=st.sampled_from(KINDS),
    far=st.sampled_from(KINDS),
    scheme=st.sampled_from(_SCHEMES),
    asks=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    hops=st.lists(st.integers(0, 1), max_size=4).map(tuple),
    status=st.sampled_from([301, 302, 303, 307, 308]),
    own_field=st.booleans(),
    login_in_url=st.booleans(),
    other_way=st.booleans(),
)


@frozen
class World:
    """The parties of one journey."""

    network: MemoryNetwork
    origins: tuple[Origin, Origin]
    proxies: dict[str, RealProxy]

    @property
    def record(self) -> LeakRecord:
        """What they heard."""
        return LeakRecord({**dict(zip(HOSTS, self.origins, strict=True)), **self.proxies})

    def way(self) -> Proxy | None:
        """The proxies as a client names them."""
        way: Proxy | None = None
        for name in ("near", "far"):
            proxy = self.proxies.get(name)
            if proxy is not None:
                kind = ProxyType.SOCKS5H if isinstance(proxy, SocksProxy) else ProxyType.HTTP
                way = Proxy(kind, proxy.host, proxy.port, name, SECRETS[name], via=way)
        return way


@asynccontextmanager
async def world(journey: Journey) -> AsyncIterator[World]:
    """Build what ``journey`` needs."""
    async with MemoryNetwork() as network, AsyncExitStack() as stack:
        proxies: dict[str, RealProxy] = {}
        for name, kind, asks in zip(("near", "far"), (journey.near, journey.far), journey.asks[1:], strict=True):
            login = (name, SECRETS[name]) if asks else None
            if kind == "http":
                opened = open_http_proxy(network=network, host=f"{name}.test", login=login, scheme=journey.scheme)
                proxies[name] = await stack.enter_async_context(opened)
            elif kind == "socks":
                socks = open_socks_proxy(network=network, host=f"{name}.test", login=login)
                proxies[name] = await stack.enter_async_context(socks)
        origins = []
        for host, secure in zip(HOSTS, journey.is_secure, strict=True):
            tls = tls_of(f"{host}.test") if secure else None
            server = open_origin({}, network=network, host=f"{host}.test", tls=tls)
            origins.append(await stack.enter_async_context(server))
        built = World(network, (origins[0], origins[1]), proxies)
        for origin in origins:
            origin.routes = functools.partial(_serve, built, journey, origin)
        yield built


async def _serve(world: World, journey: Journey, origin: Origin, request: OriginRequest) -> OriginResponse:
    hop = int(request.path.removeprefix("/"))
    if origin is world.origins[0] and journey.asks[0] and request.header("Authorization") is None:
        return OriginResponse(401, (("WWW-Authenticate", 'Basic realm="here"'),))
    if hop == len(journey.hops):
        return OriginResponse()
    target = world.origins[journey.hops[hop]].url(f"/{hop + 1}")
    return OriginResponse(journey.status, (("Location", target),))


async def travel(journey: Journey) -> World:
    """Make the journey, twice; gives the world after it."""
    async with world(journey) as built:
        way = built.way()
        async with trioreply.open_manager(
            resolver=built.network,
            dialer=built.network,
            run_sync=run_sync_inline,
            ssl=authority().trust(),
            proxy=way,
            trust_env=False,
        ) as manager:
            url = built.origins[0].url("/0")
            headers = {"X-Key": SECRETS["header"]}
            if journey.own_field and journey.near:
                headers["Proxy-Authorization"] = "Basic bTplaWdlbg=="
            login = f"://here:{SECRETS['here']}@"
            for _ in range(2):
                async with manager.get(
                    url.replace("://", login) if journey.login_in_url else url,
                    headers=headers,
                    sensitive_headers=["x-key"],
                    auth=None if journey.login_in_url else ("here", SECRETS["here"]),
                    proxy=Proxy(ProxyType.NONE) if journey.other_way and way is not None else None,
                ) as reply:
                    await reply.wait_finished()
        return built


@settings(max_examples=150)
@given(JOURNEYS)
def test_each_hears_its_own(journey: Journey) -> None:
    """An origin's secrets reach it, and a proxy only if it forwards its plain requests; a proxy's reach it alone."""
    built = trio.run(travel, journey, clock=MockClock(autojump_threshold=0))
    record = built.record
    # Who carries plain requests reads them: the last proxy of the way, if it is told and not only asked for a tunnel,
    # and every one before it, which carries what is not encrypted.
    carriers = set(built.proxies) if not journey.is_secure[0] else set()
    assert record.who_heard(SECRETS["here"]) <= {"here"} | carriers
    assert record.who_heard(SECRETS["header"]) <= {"here"} | carriers
    # What the far proxy is told passes through the near one in the clear, since neither is spoken to over TLS.
    assert record.who_heard(SECRETS["near"]) <= {"near"}
    assert record.who_heard(SECRETS["far"]) <= {"far", "near"}
    assert not any(request.header("Proxy-Authorization") for origin in built.origins for request in origin.requests)
    assert not built.network.open_streams


def test_the_search_finds_what_is_there() -> None:
    """The test above can fail: what is sent is found, in Base64 too."""
    journey = Journey(
        is_secure=(False, False),
        near="http",
        far="",
        scheme="basic",
        asks=(True, True, False),
        hops=(1,),
        status=302,
        own_field=False,
        login_in_url=False,
        other_way=False,
    )
    record = trio.run(travel, journey, clock=MockClock(autojump_threshold=0)).record
    assert record.who_heard(SECRETS["here"]) == {"here", "near"}
    assert record.who_heard(SECRETS["near"]) == {"near"}
    assert isinstance(record.parties["near"], HttpProxy)
