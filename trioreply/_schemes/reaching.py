"""From an origin to a byte stream that leads there: over the network, to a Unix socket, or through proxies.

A chain of proxies is walked from its far end: to reach a host through a proxy, the proxy has to be reached first, and
that may be through another one. Each step either gives a stream that is the next one's to close, or has closed it.

Whatever keeps us from a proxy is told as the proxy's fault (101 to 199), and marked so that another one may be tried.
What a proxy says about the host behind it is told as if we had found out ourselves: not found, refused, unreachable.
A proxy that is itself behind a proxy is such a host, and the first rule holds for it again.

SOCKS proxies that are to be given addresses get one at a time, in the order in which we would try them ourselves; each
on a connection of its own, since a refusal ends it (RFC 1928 section 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio
from yarl import URL

from .._model.errors import (
    ConnectionRefusedError,
    HostNotFoundError,
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ProxyNotFoundError,
    ProxyTimeoutError,
    RemoteHostClosedError,
    ReplyError,
    SslHandshakeFailedError,
    TemporaryNetworkFailureError,
    TimeoutError,
    UnknownNetworkError,
    UnknownProxyError,
    out_of_order,
)
from .._model.events import SocketStartedConnecting
from .._model.messages import Message
from .._model.proxies import Proxy, ProxyType
from .._model.values import frozen
from .._net.connection import Endpoint, LocalName, MessageSink, Origin, TlsKey
from .._net.dial import connect, connect_local, resolve
from .._net.interfaces import ByteStream, Dialer, Resolver
from .._net.stream import adapt
from .._net.tunnel import LoginDemanded, http_tunnel, is_success, refusal, socks_tunnel
from .._wire.codec import Codec
from .._wire.h1_rules import WireLimits
from .doors import secure
from .environments import ALPN, TlsEnvironment
from .proxy_logins import ProxyLogins


class Reach(Protocol):
    """What reaching a server needs of its manager."""

    @property
    def resolver(self) -> Resolver:
        """Finds addresses."""
        ...

    @property
    def dialer(self) -> Dialer:
        """Connects."""
        ...

    @property
    def make_codec(self) -> Callable[[], Codec]:
        """A new connection's HTTP/1.1."""
        ...

    @property
    def wire_limits(self) -> WireLimits:
        """What a proxy may answer at most."""
        ...

    @property
    def close_later(self) -> Callable[[trio.abc.AsyncResource], None]:
        """Closes what cannot be closed without waiting."""
        ...

    @property
    def tls(self) -> TlsEnvironment:
        """For proxies that want to be spoken to securely."""
        ...


class AtProxy(Protocol):
    """Is told whom we are waiting for."""

    def __call__(self, proxy: Proxy | None, *, is_there: bool = False) -> None:
        """It is ``proxy``, which has been reached if ``is_there``."""
        ...


@frozen
class Way:
    """One attempt to reach an origin: with what, for whom, and who hears of it.

    Args:
        env: the manager's means.
        sink: is told of each attempt to connect.
        logins: what proxies are told.
        at_proxy: is told of each proxy when it is its turn, and of ``None`` when no proxy is being waited for.
    """

    env: Reach
    sink: MessageSink
    logins: ProxyLogins
    at_proxy: AtProxy

    async def to(self, origin: Origin) -> ByteStream:
        """A stream to ``origin``, which is then the caller's to close.

        Raises:
            LoginDemanded: a proxy wants credentials; everything is closed.
            TransportError: see `connect`.
            ProxyError: a proxy is out of order, or refuses.
        """
        route = origin.route
        if isinstance(route, LocalName):
            return await self._to_local(origin, route)
        if route is None:
            return await self._dial(origin.host, origin.port)
        if route.forwards(origin.scheme):
            stream = await self._to_proxy(route)
        else:
            stream = await self._through(route, Endpoint(origin.host, origin.port))
        self.at_proxy(None)
        return stream

    async def _dial(self, host: str, port: int) -> ByteStream:
        async def on_attempt(address: str) -> None:
            await self.sink.put(SocketStartedConnecting(host, port, address))

        env = self.env
        stream = await connect(host, port, resolver=env.resolver, dialer=env.dialer, on_attempt=on_attempt)
        return adapt(stream, env.close_later)

    async def _to_local(self, origin: Origin, name: LocalName) -> ByteStream:
        async def on_attempt(address: str) -> None:
            await self.sink.put(SocketStartedConnecting(origin.host, origin.port, address))

        stream = await connect_local(name.path, dialer=self.env.dialer, on_attempt=on_attempt)
        return adapt(stream, self.env.close_later)

    async def _to_proxy(self, proxy: Proxy) -> ByteStream:
        """A stream to ``proxy`` itself, secured if it wants that."""
        try:
            if proxy.via is None:
                self.at_proxy(proxy)
                stream = await self._dial(proxy.host, proxy.port)
            else:
                stream = await self._through(proxy.via, Endpoint(proxy.host, proxy.port))
                self.at_proxy(proxy)
        except ReplyError as error:
            raise as_proxy_error(error, proxy) from error.__cause__
        if proxy.tls is not None:
            stream = await _closing(stream, self._secured(stream, proxy))
        self.at_proxy(proxy, is_there=True)
        return stream

    async def _secured(self, stream: ByteStream, proxy: Proxy) -> ByteStream:
        from .secure import Refused  # it is loaded with what raises it

        key = TlsKey.of_proxy(proxy)
        origin = Origin("https", proxy.host, proxy.port, key, proxy.via)
        tls = self.env.tls
        try:
            context = await tls.contexts.get(key.source, tolerance=None, alpn=ALPN)
            secured, _ = await secure(tls, stream, context, origin=origin, key=key, sink=_SILENT)
        except Refused as refused:
            why = refused.errors[0].error_string if refused.errors else "its certificate changes"
            raise out_of_order(
                UnknownProxyError(
                    f"SSL handshake with the proxy {proxy} failed: {why}; trust its certificate with "
                    "Proxy(tls=SslConfiguration(ca_certificates=...))"
                )
            ) from None
        except ReplyError as error:
            raise as_proxy_error(error, proxy) from error.__cause__
        return secured

    async def _through(self, proxy: Proxy, target: Endpoint) -> ByteStream:
        """A tunnel through ``proxy`` to ``target``, or to the first of its addresses that can be reached."""
        hosts: Sequence[str] = [target.host]
        if not proxy.type.resolves_names:
            hosts = await resolve(target.host, target.port, self.env.resolver)
        if proxy.type is ProxyType.SOCKS4:
            hosts = [host for host in hosts if ":" not in host] or hosts  # it knows no IPv6
        for host in hosts[:-1]:
            try:
                return await self._tunnel(proxy, Endpoint(host, target.port))
            except (ConnectionRefusedError, HostNotFoundError, TemporaryNetworkFailureError, TimeoutError):
                continue  # the last one's failure is told: the proxy says less about each than it takes to compare them
        return await self._tunnel(proxy, Endpoint(hosts[-1], target.port))

    async def _tunnel(self, proxy: Proxy, target: Endpoint) -> ByteStream:
        stream = await self._to_proxy(proxy)
        opening = self._open_socks if proxy.type.is_socks else self._open_http
        return await _closing(stream, opening(stream, proxy, target))

    async def _open_http(self, stream: ByteStream, proxy: Proxy, target: Endpoint) -> ByteStream:
        logins, env = self.logins, self.env
        request = logins.connect_head(proxy, URL.build(scheme="http", host=target.host, port=target.port))
        head = await http_tunnel(stream, request, proxy=proxy, make_codec=env.make_codec, limits=env.wire_limits)
        if head.status_code == _AUTHENTICATION_REQUIRED:
            raise LoginDemanded(proxy, request.target, head)
        logins.accepted(proxy, request.target, head)
        if not is_success(head):
            raise refusal(head, proxy, request.target)
        return stream

    async def _open_socks(self, stream: ByteStream, proxy: Proxy, target: Endpoint) -> ByteStream:
        await socks_tunnel(stream, proxy, target, login=self.logins.socks_login(proxy))
        self.logins.socks_accepted(proxy)
        return stream


_AUTHENTICATION_REQUIRED = 407


class _Silent:
    """Hears what happens on the way to a proxy that is nobody's business but ours."""

    async def put(self, _message: Message) -> None:
        pass


_SILENT = _Silent()


async def _closing(stream: ByteStream, work: Awaitable[ByteStream]) -> ByteStream:
    """The result of ``work`` on ``stream``, which is closed if there is none."""
    is_done = False
    try:
        result = await work
        is_done = True
    finally:
        if not is_done:
            stream.close_nowait()
    return result


_AS_PROXY_ERROR: tuple[tuple[type[ReplyError], type[ReplyError], str], ...] = (
    (ConnectionRefusedError, ProxyConnectionRefusedError, "Connection to proxy refused"),
    (HostNotFoundError, ProxyNotFoundError, "Proxy not found"),
    (TimeoutError, ProxyTimeoutError, "Connection to proxy timed out"),
    (RemoteHostClosedError, ProxyConnectionClosedError, "Proxy connection closed prematurely"),
    (SslHandshakeFailedError, UnknownProxyError, "No secure connection to the proxy"),
    (UnknownNetworkError, UnknownProxyError, "Connecting to the proxy failed"),
)


def as_proxy_error(error: ReplyError, proxy: Proxy) -> ReplyError:
    """What it means for a request that ``proxy`` could not be reached because of ``error``.

    That our own network is down is no proxy's fault, and is told as it is; another proxy may be nearer all the same.
    """
    for kind, meaning, title in _AS_PROXY_ERROR:
        if isinstance(error, kind):
            return out_of_order(meaning(f"{title}: {proxy}: {error}"))
    return out_of_order(error)
