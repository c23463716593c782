"""The cancellation sweep over the ways to a server: tunnels, TLS within TLS, SOCKS, chains, failover, sockets."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest
from attrs import frozen
from trio.testing import MockClock
from yarl import URL

import trioreply
from tests.proxies import HttpProxy, SocksProxy, open_http_proxy, open_socks_proxy
from trioreply import Manager, NetworkError, Proxy, ProxyAuthenticationRequired, ProxyType
from trioreply.testing import (
    Authority,
    ManagerSweep,
    OriginRequest,
    OriginResponse,
    ServerTls,
    run_sync_inline,
    sweep_environment,
)

from .proxied import LOGIN, OTHER, proxy_at

SOCKET = "/run/swept.sock"


@functools.cache
def authority() -> Authority:
    """Who certifies origins and proxies."""
    return Authority()


@functools.cache
def tls_of(name: str) -> ServerTls:
    """The settings of the server ``name``; a thousand runs would spend much of their time on new certificates."""
    return authority().serve(name)


@frozen
class Proxies:
    """The proxies of one run."""

    plain: HttpProxy
    guarded: HttpProxy
    secure: HttpProxy
    socks: SocksProxy

    @property
    def over_tls(self) -> Proxy:
        """The one that is spoken to over TLS."""
        return Proxy(ProxyType.HTTP, self.secure.host, self.secure.port, tls=authority().trust())


class Env(ManagerSweep[Manager]):
    """A sweep's environment with proxies beside the origin."""

    proxies: Proxies

    def __init__(self, scenario: Scenario, *, owns_manager: bool = False, is_secure: bool = True) -> None:
        super().__init__(
            functools.partial(trioreply.open_manager, run_sync=run_sync_inline, ssl=authority().trust()),
            scenario,  # type: ignore[arg-type]  # it is given this environment
            routes={"/": _answer},
            owns_manager=owns_manager,
            tls=tls_of("origin.test") if is_secure else None,
            beside=self._open_proxies,
        )

    def open_second_manager(self, ways: list[Proxy]) -> AbstractAsyncContextManager[Manager]:
        """A manager whose factory lists ``ways``."""

        class Listed:
            def query(self, url: URL) -> list[Proxy]:
                del url
                return ways

        return trioreply.open_manager(
            resolver=self.network,
            dialer=self.network,
            run_sync=run_sync_inline,
            ssl=authority().trust(),
            proxy_factory=Listed(),
        )

    @asynccontextmanager
    async def _open_proxies(self, _sweep: object) -> AsyncIterator[None]:
        network = self.network
        tls = tls_of("secure.test")
        async with AsyncExitStack() as stack:
            self.proxies = Proxies(
                await stack.enter_async_context(open_http_proxy(network=network, host="plain.test")),
                await stack.enter_async_context(open_http_proxy(network=network, host="guarded.test", login=LOGIN)),
                await stack.enter_async_context(open_http_proxy(network=network, host="secure.test", tls=tls)),
                await stack.enter_async_context(open_socks_proxy(network=network, login=OTHER)),
            )
            network.add_host("down.test").refuse = True
            stack.callback(network.listen_local(SOCKET, self.origin.serve).close)
            yield


Scenario = Callable[[Env], Awaitable[None]]


async def _answer(request: OriginRequest) -> OriginResponse:
    return OriginResponse(body=await request.read() or b"hello")


async def tunnel(env: Env) -> None:
    """A page through a proxy, twice over one connection."""
    for _ in range(2):
        async with env.manager.get(env.url(), proxy=proxy_at(env.proxies.plain)) as reply:
            assert await reply.read_all() == b"hello"


async def tunnel_with_login(env: Env) -> None:
    """The same, if the proxy demands the credentials that it is known by."""
    async with env.manager.get(env.url(), proxy=proxy_at(env.proxies.guarded, LOGIN)) as reply:
        assert await reply.read_all() == b"hello"


async def login_asked_for(env: Env) -> None:
    """A question about the proxy that is open for a while, first answered wrongly."""
    logins = iter((OTHER, LOGIN))
    async with env.manager.get(env.url(), proxy=proxy_at(env.proxies.guarded)) as reply:
        async for event in reply:
            if isinstance(event, ProxyAuthenticationRequired):
                event.answer(*next(logins))
        assert reply.status_code == 200


async def login_refused(env: Env) -> None:
    """A demand that nobody answers."""
    async with env.manager.get(env.url(), proxy=proxy_at(env.proxies.guarded)) as reply:
        assert await reply.wait_finished() is NetworkError.PROXY_AUTHENTICATION_REQUIRED


async def tls_in_tls(env: Env) -> None:
    """An upload and a download through a secure proxy."""
    async with env.manager.put(env.url(), bytes(70_000), proxy=env.proxies.over_tls) as reply:
        assert await reply.read_all() == bytes(70_000)


async def socks(env: Env) -> None:
    """SOCKS5 with user and password."""
    async with env.manager.get(env.url(), proxy=proxy_at(env.proxies.socks, OTHER)) as reply:
        assert await reply.read_all() == b"hello"


async def chain(env: Env) -> None:
    """Three proxies, one behind the other, two of which have doors."""
    near = proxy_at(env.proxies.socks, OTHER)
    far = proxy_at(env.proxies.guarded, LOGIN, via=proxy_at(env.proxies.plain, via=near))
    assert (await env.manager.fetch(env.url(), proxy=far)).body == b"hello"


async def failover(env: Env) -> None:
    """The first proxy of a list is down, the second one works."""
    ways = [Proxy(ProxyType.HTTP, "down.test"), proxy_at(env.proxies.plain)]
    async with env.open_second_manager(ways) as manager:
        for _ in range(2):
            assert (await manager.fetch(env.url())).body == b"hello"


async def refused(env: Env) -> None:
    """A proxy that is down, and a proxy that cannot find the server."""
    async with env.manager.get(env.url(), proxy="http://down.test") as reply:
        assert await reply.wait_finished() is NetworkError.PROXY_CONNECTION_REFUSED
    async with env.manager.get("https://nowhere.test", proxy=proxy_at(env.proxies.plain)) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_PROXY


async def ahead(env: Env) -> None:
    """A connection that is opened before it is needed."""
    async with env.open_second_manager([proxy_at(env.proxies.guarded, LOGIN)]) as manager:
        await manager.preconnect(env.url())
        assert (await manager.fetch(env.url())).body == b"hello"


async def local_socket(env: Env) -> None:
    """A page from a Unix socket."""
    async with env.manager.get(env.url(), local_server_name=SOCKET) as reply:
        assert await reply.read_all() == b"hello"


SCENARIOS = [
    tunnel,
    tunnel_with_login,
    login_asked_for,
    login_refused,
    tls_in_tls,
    socks,
    refused,
]
FORWARDED = [tunnel, tunnel_with_login, login_asked_for, tls_in_tls, chain, failover, ahead, local_socket]
WITH_THE_MANAGER = [tunnel_with_login, tls_in_tls, socks, chain]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(scenario: Scenario, autojump_clock: MockClock) -> None:
    """Wherever it is cancelled on its way through proxies: nothing is left, and the manager still works."""
    del autojump_clock
    assert await sweep_environment(lambda: Env(scenario)) > 0


@pytest.mark.parametrize("scenario", FORWARDED, ids=lambda scenario: scenario.__name__)
async def test_forwarded_and_cancelled(scenario: Scenario, autojump_clock: MockClock) -> None:
    """The same with a plain server, whose requests are forwarded."""
    del autojump_clock
    assert await sweep_environment(lambda: Env(scenario, is_secure=False)) > 0


@pytest.mark.parametrize("scenario", WITH_THE_MANAGER, ids=lambda scenario: scenario.__name__)
async def test_cancelled_with_the_manager(scenario: Scenario, autojump_clock: MockClock) -> None:
    """The same, if the manager goes down with it."""
    del autojump_clock
    assert await sweep_environment(lambda: Env(scenario, owns_manager=True)) > 0
