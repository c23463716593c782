"""``http:``, ``https:`` and their local kin: from a request to a connection's exchange.

The request's head is composed here, in the order people expect on the wire: Host first unless the user placed it, the
user's fields as they were set, then ours. What frames the message (Content-Length, Transfer-Encoding) follows from the
body; the one thing the user may say about it is a Content-Length for a body whose length we cannot know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, cast

import trio
from attrs import field

from .._model.bodies import is_empty, is_prompt
from .._model.errors import (
    HostNotFoundError,
    ProtocolInvalidOperationError,
    ProxyTimeoutError,
    RemoteHostClosedError,
    TimeoutError,
    out_of_order,
)
from .._model.exchange import Sink
from .._model.headers import content_length
from .._model.messages import ResponseHead
from .._model.options import Operation
from .._model.proxies import Proxy
from .._model.request import Request
from .._model.values import define, frozen
from .._net.connection import Origin, TlsKey
from .._net.h1_connection import H1Connection
from .._net.interfaces import Dialer, Resolver
from .._net.pool import Pool
from .._net.tunnel import LoginDemanded
from .._net.upload import Upload, Uploads
from .._policies.auth import random_cnonce
from .._policies.credential_cache import CredentialCache
from .._wire.codec import Codec
from .._wire.h1_rules import WireLimits
from .doors import secure, with_decisions
from .environments import ALPN, TlsEnvironment
from .proxy_logins import ProxyLogins
from .reaching import Way
from .request_head import HeadComposer, compose_head, expects_continue, route_of

_WITH_LENGTH = frozenset({Operation.POST, Operation.PUT})
"""Operations whose meaning anticipates a body: without one they say so with a length of 0 (RFC 9110 section 8.6)."""


@frozen
class HttpEnvironment:
    """What the handler of ``http:`` and ``https:`` needs of its manager."""

    pool: Pool
    resolver: Resolver
    dialer: Dialer
    make_codec: Callable[[], Codec]
    wire_limits: WireLimits
    uploads: Uploads
    connect_timeout: float
    close_later: Callable[[trio.abc.AsyncResource], None]
    tls: TlsEnvironment
    proxy_credentials: CredentialCache
    """What proxies have accepted so far."""
    heads: HeadComposer = field(factory=HeadComposer)


@define
class Budget:
    """The seconds that all connecting for one request may take, redials included."""

    seconds: float
    left: float
    proxy: Proxy | None = None
    """Whom we are waiting for, if it is a proxy."""

    is_there: bool = False
    """Whether that proxy has been reached."""

    def at_proxy(self, proxy: Proxy | None, *, is_there: bool = False) -> None:
        """It is the turn of ``proxy``, or of no proxy."""
        self.proxy = proxy
        self.is_there = is_there

    async def spend(self, origin: Origin, work: Callable[[], Awaitable[H1Connection]]) -> H1Connection:
        """``work``, as long as there is time.

        Raises:
            TimeoutError: there was not enough.
            ProxyTimeoutError: there was not enough because of a proxy.
        """
        start = trio.current_time()
        self.at_proxy(None)
        with trio.move_on_after(max(0.0, self.left)):  # somebody else may have kept the processor for longer
            try:
                return await work()
            finally:
                self.left -= trio.current_time() - start
        limit = f"within connect_timeout={self.seconds:g} s"
        if self.proxy is not None:
            error = ProxyTimeoutError(f"Connection to proxy timed out: {self.proxy} did not answer {limit}")
            error.proxy_reached = self.is_there
            raise out_of_order(error)
        raise TimeoutError(f"Socket operation timed out: no connection to {origin} {limit}")


async def open_connection(env: HttpEnvironment, origin: Origin, way: Way) -> H1Connection:
    """Reach ``origin`` by ``way``, and secure the connection if it asks for that.

    Raises:
        Refused: the certificate is not accepted.
        LoginDemanded: a proxy wants credentials.
        TransportError, ProxyError: see `Way.to` and `secure`.
    """
    key = origin.tls
    context = await env.tls.contexts.get(key.source, tolerance=key.tolerance, alpn=ALPN) if key is not None else None
    stream = await way.to(origin)
    if key is None or context is None:
        return H1Connection(stream, env.make_codec())
    is_secure = False
    try:
        secured, info = await secure(env.tls, stream, context, origin=origin, key=key, sink=way.sink)
        is_secure = True
    finally:
        if not is_secure:
            stream.close_nowait()
    return H1Connection(secured, env.make_codec(), info)


def http(env: HttpEnvironment, request: Request, sink: Sink) -> Awaitable[None]:
    """Carry out one request on one connection.

    Raises:
        HostNotFoundError: the URL names no host.
        ProtocolInvalidOperationError: the method is CONNECT.
        ReplyError: connecting or the exchange failed; see `connect` and `H1Connection`.
    """
    if request.verb == "CONNECT":
        raise ProtocolInvalidOperationError(
            "CONNECT is for proxies, and what follows it is no HTTP; give a proxy= instead"
        )
    if not request.url.raw_host:
        raise HostNotFoundError("Host  not found: the URL names no host")
    return _connected(env, request, sink, use=_exchange)


async def connect_ahead(env: HttpEnvironment, request: Request, sink: Sink) -> None:
    """Open a connection for a later request, under the limits; one that is idle already will do. Ends without a status.

    Raises:
        TransportError: see `open_connection`.
    """
    await _connected(env, request, sink, use=_nothing)
    await sink.put(ResponseHead())


class Use(Protocol):
    """What a connection is wanted for."""

    async def __call__(self, env: HttpEnvironment, connection: H1Connection, *, request: Request, sink: Sink) -> None:
        """Do it."""
        ...


class _Dialling:
    """What all attempts to connect for one request share. Most requests find a kept connection, and need none of it."""

    __slots__ = ("_budget", "_env", "_request", "_sink", "logins")

    def __init__(self, env: HttpEnvironment, request: Request, sink: Sink, *, through_proxy: bool) -> None:
        self._env = env
        self._request = request
        self._sink = sink
        self._budget: Budget | None = None
        self.logins = self._make_logins() if through_proxy else None  # all attempts of one request are one talk

    def _make_logins(self) -> ProxyLogins:
        return ProxyLogins(self._env.proxy_credentials, random_cnonce, self._request, self._sink)

    async def dial(self, origin: Origin) -> H1Connection:
        """A new connection, in the time that is left.

        Raises:
            Refused, LoginDemanded, TransportError, ProxyError: see `open_connection`.
            TimeoutError, ProxyTimeoutError: see `Budget.spend`.
        """
        env, budget = self._env, self._budget
        if budget is None:
            seconds = env.connect_timeout if self._request.connect_timeout is None else self._request.connect_timeout
            budget = self._budget = Budget(seconds, seconds)
        way = Way(env, self._sink, self.logins or self._make_logins(), budget.at_proxy)
        return await budget.spend(origin, partial(open_connection, env, origin, way))


def _connected(env: HttpEnvironment, request: Request, sink: Sink, *, use: Use) -> Awaitable[None]:
    """Do ``use`` with a connection for ``request``, kept or new."""
    route = route_of(request)
    dialling = _Dialling(env, request, sink, through_proxy=isinstance(route, Proxy))

    async def attempt(key: TlsKey | None) -> None:
        origin = Origin.of(request.url, key, route)
        async with env.pool.lease(origin, request.priority, sink, limits=request.limits) as lease:
            kept = lease.connection
            if kept is None:
                connection = await dialling.dial(origin)
                lease.attach(connection)
            else:
                connection = cast("H1Connection", kept)  # nobody else puts connections into the pool
            try:
                await use(env, connection, request=request, sink=sink)
            except RemoteHostClosedError as error:
                if kept is not None and error.resendable:
                    env.pool.discard_idle(origin)
                raise

    run = attempt if dialling.logins is None else partial(_with_logins, dialling.logins, attempt)
    if request.url.scheme != "https":
        return run(None)
    strict = env.tls.is_strict(request.url.raw_host or "")
    return with_decisions(TlsKey.of(request), sink, run, strict=strict)


async def _with_logins(
    logins: ProxyLogins, attempt: Callable[[TlsKey | None], Awaitable[None]], key: TlsKey | None
) -> None:
    """``attempt``, and again with what is found after each demand of a proxy's.

    Raises:
        ProxyAuthenticationRequiredError: nothing is found.
    """
    while True:
        try:
            await attempt(key)
        except LoginDemanded as error:
            demand = error
        else:
            return
        await logins.answer(demand)


async def _nothing(env: HttpEnvironment, connection: H1Connection, *, request: Request, sink: Sink) -> None:
    """The use of a connection that is only opened."""


async def _exchange(env: HttpEnvironment, connection: H1Connection, *, request: Request, sink: Sink) -> None:
    body = request.body
    if body is None or is_empty(body):
        says_so = body is not None or request.operation in _WITH_LENGTH
        head = compose_head(request, 0, has_body=False) if says_so else env.heads.compose(request)
        await connection.exchange(head, sink)
        return
    upload = await env.uploads.open(body)
    try:
        length = _announced_length(request, upload)
        await connection.exchange_with_body(
            compose_head(request, length, has_body=True),
            upload,
            sink,
            length=length,
            expect_continue=expects_continue(request),
            is_prompt=is_prompt(body),
        )
    finally:
        await upload.aclose()


def _announced_length(request: Request, upload: Upload) -> int | None:
    """The body's length: known by itself, or announced by the user for a body that cannot know it."""
    return content_length(request.headers) if upload.length is None else upload.length
