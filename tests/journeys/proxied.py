"""What the journeys through proxies have in common: a place with names that proxies can find, and proxies in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

from attrs import field, frozen

from tests.proxies import Address, HttpProxy, RealProxy, SocksProxy, address_of, open_http_proxy, open_socks_proxy
from tests.proxies.doors import Login, Scheme
from trioreply import Proxy, ProxyType
from trioreply.testing import Origin, OriginHandler, Routes, ServerTls

from .conftest import Place

LOGIN = ("me", "s3cret")
OTHER = ("you", "b4d")
KINDS = {4: ProxyType.SOCKS4A, 5: ProxyType.SOCKS5H}


@frozen
class Surroundings:
    """A place, and the names that proxies in it know beside those of the network in memory."""

    place: Place
    names: dict[str, Address] = field(factory=dict)

    @property
    def is_secure(self) -> bool:
        """Whether the origins speak https, so that they are reached by tunnels."""
        return self.place.authority is not None

    @asynccontextmanager
    async def origin(self, routes: Routes | OriginHandler) -> AsyncIterator[Origin]:
        """A server, which proxies find as ``origin.test`` everywhere."""
        async with self.place.origin(routes) as origin:
            self.names["origin.test"] = address_of(origin.base_url)
            yield origin

    def http_proxy(
        self,
        host: str = "proxy.test",
        *,
        login: Login | None = None,
        scheme: Scheme = "basic",
        tls: ServerTls | None = None,
        denied: Collection[str] = (),
        closes_refused: bool = False,
    ) -> AbstractAsyncContextManager[HttpProxy]:
        """An HTTP proxy here."""
        return open_http_proxy(
            network=self.place.network,
            host=host,
            login=login,
            scheme=scheme,
            tls=tls,
            denied=denied,
            closes_refused=closes_refused,
            resolve=self.names,
        )

    def socks_proxy(
        self, version: Literal[4, 5] = 5, *, login: Login | None = None, denied: Collection[str] = ()
    ) -> AbstractAsyncContextManager[SocksProxy]:
        """A SOCKS proxy here."""
        return open_socks_proxy(
            network=self.place.network, version=version, login=login, denied=denied, resolve=self.names
        )


def proxy_at(proxy: RealProxy, login: Login | None = None, *, via: Proxy | None = None) -> Proxy:
    """How a client names ``proxy``."""
    user, password = login or (None, None)
    kind = KINDS[proxy.version] if isinstance(proxy, SocksProxy) else ProxyType.HTTP
    if kind is ProxyType.SOCKS4A:
        password = None
    return Proxy(kind, proxy.host, proxy.port, user, password, via=via)
