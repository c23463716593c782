"""The manager: it owns a nursery, the connections, and every reply that was opened through it.

Exchanges run as tasks in the manager's nursery, whoever opened them, so that what was closed can end in the background
and nothing outlives the manager. What all requests have in common stands here: the defaults they are completed with,
and the pipeline of policies they pass through.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import asynccontextmanager
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Unpack, cast, final

import trio
from yarl import URL

from ._clock import wall_clock
from ._config import ManagerConfig, check_config
from ._jobs.methods import WholeJobs
from ._jobs.opener import DOWNLOAD_RETRY, DownloadEnvironment
from ._model.bodies import BodySource
from ._model.events import (
    AuthenticationRequired,
    Event,
    ProxyAuthenticationRequired,
    Redirected,
    SslErrors,
)
from ._model.exchange import Handler, Policy
from ._model.headers import make_headers, with_missing
from ._model.limits import Limits
from ._model.messages import ResponseHead
from ._model.options import Operation, Priority, RedirectPolicy
from ._model.proxies import Proxy, ProxyType, make_proxy
from ._model.request import FetchFields, Request, RequestDefaults, RequestFields
from ._model.response import Response
from ._model.running import RunSync
from ._model.urls import HTTP_SCHEMES, display, make_url
from ._model.values import frozen
from ._net.connection import Origin
from ._net.dialers import TcpDialer
from ._net.pool import Pool
from ._net.resolvers import SystemResolver
from ._net.slots import SlotCounts
from ._net.upload import Uploads
from ._policies.auth import authentication
from ._policies.auth_guard import origin_guard, proxy_guard
from ._policies.cookies import cookies, keep_saved, save_or_log
from ._policies.credential_cache import CredentialCache
from ._policies.deadlines import deadlines
from ._policies.decoding import decoding, everything
from ._policies.late_jar import LateJar
from ._policies.netrc import netrc_lookup
from ._policies.pipeline import build
from ._policies.proxy_decide import ProxyFactory
from ._policies.proxying import ProxySelection, proxying
from ._policies.redirects import redirects
from ._policies.resend import resend
from ._policies.retry import retrying
from ._reply.replies import QuestionHandler, Replies
from ._reply.reply import RELEASE_SECONDS, OpenReply, Reply, run_unseen
from ._schemes.doors import data, file, resource
from ._schemes.environments import FileEnvironment, TlsEnvironment
from ._schemes.http import HttpEnvironment, connect_ahead, http
from ._schemes.registry import Registry
from ._version import __version__
from ._wire.codecs import codec_maker
from ._wire.h1_rules import DEFAULT_LIMITS

if TYPE_CHECKING:
    from ._policies.cookiejar import CookieJar
    from ._policies.hsts_store import HstsStore

_AUTH = attrgetter("auth")
_RETRY = attrgetter("retry")


@frozen(kw_only=True)
class ManagerStatistics:
    """A snapshot of a manager."""

    connections: Mapping[str, SlotCounts]
    """By origin, such as ``"http://example.org:80"``."""
    leases: int
    """Connections in use or being dialled."""
    idle: int
    """Connections kept for the next request."""
    queued: int
    """Requests that wait for a connection."""
    replies_running: int
    """Replies whose exchange has not ended, closed ones with work left included."""
    tls_handshakes: int
    """Secure connections that were made so far."""
    tls_resumptions: int
    """Those of them that resumed an earlier session."""


@final
class Manager(WholeJobs):
    """Opens replies. Made by `open_manager`."""

    _nursery: trio.Nursery  # set when the block is entered

    def __init__(self, config: ManagerConfig) -> None:
        check_config(config)
        base_url = config.get("base_url")
        self._base_url = None if base_url is None else make_url(base_url, field="base_url")
        user_agent = config.get("user_agent", f"trioreply/{__version__}")
        self._cookie_jar = config.get("cookie_jar")
        self._jar = self._cookie_jar if "cookie_jar" in config else LateJar()
        self._hsts = config.get("hsts")
        self._credentials = CredentialCache()
        self._proxy_credentials = CredentialCache()
        headers = with_missing(
            make_headers(config.get("headers")), make_headers({"User-Agent": user_agent} if user_agent else None)
        )
        self._defaults = RequestDefaults(
            headers=headers,
            coded_headers=with_missing(headers, everything()),
            transfer_timeout=config.get("transfer_timeout"),
            ssl=config.get("ssl"),
            retry=config.get("retry"),
            redirect_policy=config.get("redirect_policy", RedirectPolicy.NO_LESS_SAFE),
            proxy=_usual_proxy(config),
        )
        self._replies = Replies(
            self, detached_timeout=config.get("detached_timeout", 30.0), question_handlers=_question_handlers(config)
        )
        run_sync = config.get("run_sync", trio.to_thread.run_sync)
        trust_env = config.get("trust_env", True)
        self._proxying = proxying(
            ProxySelection(_proxy_factory(config)), authentication(self._proxy_credentials, proxy_guard())
        )
        self._pool = Pool(config.get("limits", Limits()), spawn=self._spawn_long_lived)
        self._env = HttpEnvironment(
            pool=self._pool,
            resolver=config.get("resolver") or SystemResolver(),
            dialer=config.get("dialer") or TcpDialer(),
            make_codec=codec_maker(config.get("wire_limits", DEFAULT_LIMITS)),
            wire_limits=config.get("wire_limits", DEFAULT_LIMITS),
            uploads=Uploads(run_sync=run_sync),
            connect_timeout=config.get("connect_timeout", 30.0),
            close_later=self._close_later,
            tls=TlsEnvironment(
                run_sync,
                key_log=os.environ.get("SSLKEYLOGFILE") if trust_env else None,
                is_strict=_nobody_is_strict if self._hsts is None else self._hsts.knows,
            ),
            proxy_credentials=self._proxy_credentials,
        )
        self._downloads = DownloadEnvironment(self, run_sync, config.get("retry") or DOWNLOAD_RETRY)
        self._registry = Registry(config.get("schemes"))
        for scheme in ("http", "https", "unix+http", "local+http"):
            self._registry.register(scheme, partial(http, self._env), waits=True)
        self._registry.register("data", data)
        self._registry.register("file", partial(file, FileEnvironment(run_sync, self._env.uploads)))
        self._registry.register("resource", partial(resource, run_sync))
        self._handler = build(self._policies(run_sync, netrc=config.get("netrc", False)), self._registry)

    def _policies(self, run_sync: RunSync, *, netrc: bool | str | os.PathLike[str]) -> tuple[Policy, ...]:
        """The pipeline, outermost first. A request passes through it downwards, what happens comes up through it."""
        jar, store = self._jar, self._hsts
        return (
            deadlines,  # outermost: whatever the others do within takes its time from the same budget
            # Each hop is a request of its own to all that follow.
            redirects if store is None else partial(redirects, upgrade=store.upgrade),
            retrying(_RETRY, now=wall_clock),  # within a hop: a redirect that was followed is not followed again
            *(() if store is None else (_hsts(store),)),  # before anything depends on the URL's scheme
            decoding,  # outside of what looks at heads and sends again: only what is delivered is decoded
            # Outside of the cookies, so that those of a demand count, and are sent with its answer.
            authentication(self._credentials, origin_guard(_AUTH), netrc=netrc_lookup(netrc, run_sync)),
            *(() if jar is None else (cookies(jar),)),
            self._proxying,  # inside of all that is about the server: to them a request goes straight there
            resend,  # innermost: it repeats what went over one connection, and nothing else
        )

    def __repr__(self) -> str:
        state = "open" if self._replies.accepting else "not open"
        return f"<Manager {state}, {len(self._replies)} replies running, {self._pool!r}>"

    # Verbs

    def get(
        self, url: str | URL | Request, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a GET: ``async with manager.get(url) as reply``. For the keywords see `Request`.

        Raises:
            ValueError, TypeError: a field is impossible; the text starts with its name.
        """
        return self._open(url, Operation.GET, "GET", body=body, fields=fields)

    def head(
        self, url: str | URL | Request, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a HEAD; as `get`."""
        return self._open(url, Operation.HEAD, "HEAD", body=body, fields=fields)

    def post(
        self, url: str | URL | Request, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a POST; as `get`."""
        return self._open(url, Operation.POST, "POST", body=body, fields=fields)

    def put(
        self, url: str | URL | Request, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a PUT; as `get`."""
        return self._open(url, Operation.PUT, "PUT", body=body, fields=fields)

    def delete(
        self, url: str | URL | Request, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a DELETE (``deleteResource``); as `get`."""
        return self._open(url, Operation.DELETE, "DELETE", body=body, fields=fields)

    def patch(
        self, url: str | URL | Request, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a PATCH; as `get`."""
        return self._open(url, Operation.CUSTOM, "PATCH", body=body, fields=fields)

    def send_custom(
        self, url: str | URL | Request, verb: str, body: BodySource | None = None, **fields: Unpack[RequestFields]
    ) -> OpenReply:
        """Open a request with any method; as `get`. The well-known ones, in any case, are their operations."""
        return self._open(url, Operation.CUSTOM, verb, body=body, fields=fields)

    def send(self, request: Request) -> OpenReply:
        """Open ``request`` as it is, the manager's defaults added."""
        return self._open_request(request.replace(url=self._placed(request.url)))

    async def fetch(
        self,
        url: str | URL | Request,
        *,
        raise_for_error: bool = True,
        max_size: int | None = None,
        **fields: Unpack[FetchFields],
    ) -> Response:
        """Carry out a whole exchange, and give its outcome. Questions go to the manager's handlers, or are refused.

        Args:
            url: what to fetch, or a whole request.
            raise_for_error: raise for HTTP statuses from 400 on, too.
            max_size: the largest body, in bytes, that is wanted; ``None`` for any.

        Raises:
            ReplyError: the transfer failed; with ``raise_for_error`` also for the status.
            UnknownContentError: the body is larger than ``max_size``.
            trio.ClosedResourceError: the manager is closed.
        """
        if not isinstance(url, Request):
            request = Request(self._placed(url), **fields)
        else:
            request = url.replace(url=self._placed(url.url), **fields)
        request = self._completed(request, fields)
        await trio.lowlevel.checkpoint_if_cancelled()  # the exchange itself is a schedule point
        reply = await run_unseen(request, self._replies, self._handler, max_size=max_size)
        return _response(reply, raise_for_error=raise_for_error)

    # The manager itself

    async def preconnect(self, url: str | URL) -> None:
        """Open a connection for a later request to ``url``'s origin. Observers see a reply of its own (as in Qt).

        Raises:
            ReplyError: it could not be connected; OPERATION_CANCELED if the manager was left meanwhile.
            ValueError: ``url`` is no http: or https: URL, nor one of their local kin.
            trio.ClosedResourceError: the manager is closed, perhaps while this call waited.
        """
        target = self._absolute(url)
        if target.scheme not in HTTP_SCHEMES or not target.raw_host:
            raise ValueError(f"url: {display(target)} has no connection to open; give a http: or https: URL")
        request = self._completed(Request(target, priority=Priority.LOW))
        await trio.lowlevel.checkpoint()
        handler = self._proxying(partial(connect_ahead, self._env))
        reply = await run_unseen(request, self._replies, handler)
        reply.raise_for_error()

    def clear_connections(self) -> None:
        """Close all connections; replies that use one fail with OPERATION_CANCELED (``clearConnectionCache``)."""
        self._pool.close_all()

    def clear_credentials(self) -> None:
        """Forget the user names, passwords and sessions that servers have accepted so far (``clearAccessCache``)."""
        self._credentials.clear()
        self._proxy_credentials.clear()

    @property
    def proxy(self) -> Proxy | None:
        """What requests go through that do not say it themselves (``proxy``).

        ``None`` if that is up to the ``proxy_factory``, or the environment.
        """
        return self._defaults.proxy

    @property
    def cookie_jar(self) -> CookieJar | None:
        """The cookies (``cookieJar``); ``None`` if the manager was told to have none."""
        return self._jar.made() if isinstance(self._jar, LateJar) else self._jar

    @property
    def hsts(self) -> HstsStore | None:
        """The hosts that are spoken to securely only; ``None`` if nobody keeps account of that (as in Qt)."""
        return self._hsts

    @property
    def supported_schemes(self) -> tuple[str, ...]:
        """The schemes of the URLs that can be opened."""
        return self._registry.supported

    def register_scheme(self, name: str, handler: Handler) -> None:
        """Serve URLs of scheme ``name`` with ``handler`` (`trioreply.abc.Handler`).

        Raises:
            ValueError: ``name`` is not the name of a scheme.
        """
        self._registry.register(name, handler)

    def statistics(self) -> ManagerStatistics:
        """A snapshot of connections, queue and replies."""
        pool = self._pool.statistics()
        return ManagerStatistics(
            connections=MappingProxyType(_by_name(pool.origins)),
            leases=pool.total.connecting + pool.total.active,
            idle=pool.total.idle,
            queued=pool.total.queued,
            replies_running=len(self._replies),
            tls_handshakes=self._env.tls.handshakes,
            tls_resumptions=self._env.tls.resumptions,
        )

    @asynccontextmanager
    async def observe(self) -> AsyncIterator[trio.abc.ReceiveChannel[tuple[Reply, Event]]]:
        """Watch all replies: ``async with manager.observe() as events`` gives pairs ``(reply, event)``.

        For tools. It slows nobody down, and cannot answer: questions arrive as copies. Unread `ReadyRead` and
        `Progress` coalesce per reply; nothing else is dropped. The channel ends with the manager.
        """
        observer = self._replies.open_observer()
        try:
            yield observer
        finally:
            self._replies.close_observer(observer)

    def _open(
        self,
        url: str | URL | Request,
        operation: Operation,
        verb: str,
        *,
        body: BodySource | None,
        fields: RequestFields,
    ) -> OpenReply:
        if isinstance(url, Request):
            request = url.replace(url=self._placed(url.url), operation=operation, verb=verb, **fields)
            if body is not None:
                request = request.replace(body=body)
        else:
            placed = self._placed(url)
            request = (
                Request(placed, **fields)  # what is not said need not be checked
                if operation is Operation.GET and body is None
                else Request(placed, operation=operation, verb=verb, body=body, **fields)
            )
        return self._open_request(request, fields)

    def _open_request(self, request: Request, own: Container[str] = ()) -> OpenReply:
        return OpenReply(self._completed(request, own), self._replies, self._handler)

    def _completed(self, request: Request, own: Container[str] = ()) -> Request:
        """``request`` with the manager's defaults; secure, if its host is known to want that (silently, as in Qt)."""
        if self._hsts is not None and (url := self._hsts.upgrade(request.url)) is not request.url:
            request = request.replace(url=url)
        return self._defaults.complete(request, own)

    def _placed(self, url: str | URL) -> str | URL:
        """``url`` below the base URL. Where there is none, it is left to the request to look at."""
        return url if self._base_url is None else self._absolute(url)

    def _absolute(self, url: str | URL) -> URL:
        checked = make_url(url)
        if self._base_url is None or checked.scheme:
            return checked
        # As QNetworkRequestFactory: exactly one slash between the two paths, and nothing is resolved.
        path = f"{self._base_url.raw_path.rstrip('/')}/{checked.raw_path.lstrip('/')}"
        joined = self._base_url.with_path(path, encoded=True)
        return joined.with_query(checked.query) if checked.raw_query_string else joined

    def _spawn_long_lived(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task that serves everybody, so it must not carry the context of whoever happened to come first."""
        contextvars.Context().run(self._nursery.start_soon, task)

    def _close_later(self, stream: trio.abc.AsyncResource) -> None:
        """Close somebody else's stream, which cannot be done without waiting."""
        self._spawn_long_lived(partial(_close_forcefully, stream))

    def _start(self, nursery: trio.Nursery) -> None:
        """The beginning: requests are taken from now on."""
        self._nursery = self._replies.nursery = nursery
        self._replies.accepting = True
        if self._cookie_jar is not None and self._cookie_jar.store is not None:
            self._spawn_long_lived(partial(keep_saved, self._cookie_jar))

    async def _load(self) -> None:
        """Read the stores, if there are any.

        Raises:
            CookieStoreError, HstsStoreError: one cannot be read.
        """
        if self._cookie_jar is not None and self._cookie_jar.store is not None:
            await self._cookie_jar.load()
        if self._hsts is not None:
            await self._hsts.load()

    async def _flush(self) -> None:
        """Write what is not in the stores yet."""
        with trio.move_on_after(RELEASE_SECONDS):
            if self._cookie_jar is not None and self._cookie_jar.store is not None:
                await save_or_log(self._cookie_jar)
            if self._hsts is not None:
                from ._policies.hsts import save_or_log as save_hsts_or_log

                await save_hsts_or_log(self._hsts)

    async def _finish(self) -> None:
        """The normal end: running replies are aborted, detached work ends."""
        await trio.lowlevel.checkpoint()
        self._replies.abort(detached_too=False)
        await self._replies.wait_none_left()
        await self._flush()

    async def _tear_down(self) -> None:
        """The end in any case: nothing is left afterwards."""
        self._replies.abort(detached_too=True)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RELEASE_SECONDS):
            await self._replies.wait_none_left()
        self._pool.shut_down()  # now, since the last replies have just given theirs back
        self._replies.end_observation()
        self._nursery.cancel_scope.cancel()


def _by_name(origins: Mapping[Origin, SlotCounts]) -> dict[str, SlotCounts]:
    """Connections by what an origin is called; those that differ in their TLS configuration are counted together."""
    named: dict[str, SlotCounts] = {}
    for origin, counts in origins.items():
        named[str(origin)] = named.get(str(origin), SlotCounts()) + counts
    return named


def _usual_proxy(config: ManagerConfig) -> Proxy | None:
    proxy = make_proxy(config.get("proxy"))
    return None if proxy is None or proxy.type is ProxyType.DEFAULT else proxy


def _proxy_factory(config: ManagerConfig) -> ProxyFactory | None:
    factory = config.get("proxy_factory")
    if factory is not None or not config.get("trust_env", True):
        return factory
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # which spares most programs what is needed to understand them
    from ._policies.proxy_environment import EnvironmentProxies

    environment = EnvironmentProxies(os.environ)
    return None if environment.is_empty else environment


def _hsts(store: HstsStore) -> Policy:
    from ._policies.hsts import hsts  # whoever gives a store wants it

    return hsts(store)


def _nobody_is_strict(_host: str) -> bool:
    return False


def _question_handlers(config: ManagerConfig) -> Mapping[type, QuestionHandler]:
    handlers: dict[type, object] = {
        SslErrors: config.get("ssl_errors"),
        AuthenticationRequired: config.get("authenticator"),
        ProxyAuthenticationRequired: config.get("proxy_authenticator"),
        Redirected: config.get("redirect_verifier"),
    }
    given = {event: handler for event, handler in handlers.items() if handler is not None}
    return cast("Mapping[type, QuestionHandler]", given)  # each is only called with the event it was made for


async def _close_forcefully(stream: trio.abc.AsyncResource) -> None:
    with contextlib.suppress(Exception):  # a fault of the stream's own must not harm everybody, and it is gone anyway
        await trio.aclose_forcefully(stream)


def _response(reply: Reply, *, raise_for_error: bool) -> Response:
    core = reply._core  # fetch is part of the library; the reply never leaves it
    if raise_for_error:
        core.raise_error()
    else:
        core.raise_transfer_error()
    state = core.state
    head = state.head or ResponseHead()  # without an error there is one
    return Response(
        status_code=head.status_code,
        reason=head.reason,
        headers=head.headers,
        body=state.buffer.read(),
        url=state.url,
        error=state.error,
        redirects=tuple(state.redirects),
        timings=state.timings,
    )
