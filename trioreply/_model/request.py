"""A request: everything the application decides before anything is sent.

Frozen. `Request.replace` makes a changed copy and checks what changed, so a request that exists is legal. The fields
follow ``QNetworkRequest`` with its attributes and set-up methods turned into plain fields.

There are three dozen of them, and nearly every request has the default of nearly every one. So a request holds only
what was said, and finds the rest in its class: it costs what differs, in time and in memory, and checks only that.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, TypedDict, Unpack

import attrs
from attrs import field
from yarl import URL

from .auth import Auth, AuthSource, make_auth
from .bodies import Body, BodySource, make_body
from .headers import EMPTY, Headers, HeaderSource, is_token, make_headers, with_missing
from .limits import Limits
from .options import CacheLoad, Http2, LoadControl, Operation, Priority, RedirectPolicy
from .proxies import Proxy, ProxyType, make_proxy
from .retry import RetryPolicy
from .securing import check_ssl
from .urls import HTTP_SCHEMES, display, make_url
from .values import frozen

if TYPE_CHECKING:
    from ssl import SSLContext

    from .content import FilesSource
    from .forms import FormSource
    from .ssl_configuration import SslConfiguration

QuerySource = Mapping[str, str | int | float] | Iterable[tuple[str, str | int | float]] | str
"""What may be given for a query: a mapping, pairs where a name may repeat, or the text itself."""

MIB = 1024 * 1024

_VERBS = {
    Operation.HEAD: "HEAD",
    Operation.GET: "GET",
    Operation.PUT: "PUT",
    Operation.POST: "POST",
    Operation.DELETE: "DELETE",
}
_OPERATIONS = {verb: operation for operation, verb in _VERBS.items()}


class RequestFields(TypedDict, total=False):
    """The keywords of the manager's verbs and of `Request.replace`; see `Request` for what each one means."""

    headers: HeaderSource | None
    query: QuerySource | None
    json: object
    form: FormSource | None
    files: FilesSource | None
    priority: Priority
    redirect_policy: RedirectPolicy
    max_redirects: int
    transfer_timeout: float | None
    connect_timeout: float | None
    read_buffer_size: int | None
    progress_interval: float
    cache_load: CacheLoad
    cache_save: bool
    cookie_load: LoadControl
    cookie_save: LoadControl
    authentication_reuse: LoadControl
    decompress: bool
    decompression_limit: int | None
    http2: Http2
    expect_continue: bool
    auth: AuthSource | None
    retry: RetryPolicy | None
    ssl: SslConfiguration | SSLContext | None
    peer_verify_name: str | None
    proxy: Proxy | URL | str | None
    local_server_name: str | os.PathLike[str] | None
    limits: Limits | None
    sensitive_headers: Iterable[str]
    user_data: object


class RequestChanges(RequestFields, total=False):
    """What `Request.replace` can change: every field."""

    url: str | URL
    operation: Operation
    verb: str
    body: BodySource | None


class FetchFields(RequestFields, total=False):
    """The keywords of `Manager.fetch`: those of the verbs, and what the verb would say."""

    operation: Operation
    verb: str
    body: BodySource | None


class FetchOptions(FetchFields, total=False):
    """The keywords of `Manager.fetch_all` that are those of `Manager.fetch`."""

    raise_for_error: bool
    max_size: int | None


_CHOICES: dict[str, type[enum.Enum]] = {
    "operation": Operation,
    "redirect_policy": RedirectPolicy,
    "cache_load": CacheLoad,
    "cookie_load": LoadControl,
    "cookie_save": LoadControl,
    "authentication_reuse": LoadControl,
    "http2": Http2,
}
_NUMBERS: dict[str, tuple[type, ...]] = {
    "max_redirects": (int,),
    "transfer_timeout": (int, float, NoneType),
    "connect_timeout": (int, float, NoneType),
    "read_buffer_size": (int, NoneType),
    "progress_interval": (int, float),
    "decompression_limit": (int, NoneType),
}


def _names(source: Iterable[str]) -> frozenset[str]:
    if isinstance(source, str):
        raise TypeError("sensitive_headers: give several names, as a tuple or a set, not one text")
    return frozenset(name.lower() for name in source)


def _priority(value: Priority) -> Priority:
    try:
        return Priority(value)
    except ValueError:
        raise ValueError(f"priority: {value!r} is none; give Priority.HIGH, NORMAL or LOW") from None


def _socket_name(source: str | os.PathLike[str] | None) -> str | None:
    if source is None:
        return None
    name = os.fspath(source)
    if not isinstance(name, str):
        raise TypeError(f"local_server_name: give a str or a path of text, not {type(source).__name__}")
    if not name.removeprefix("@") or "\0" in name:
        raise ValueError(f"local_server_name: {name!r} is no path of a socket, nor '@' with an abstract name")
    return name


def _names_of(headers: Headers) -> str:
    # Values may be credentials, in fields that we cannot know.
    return f"<{', '.join(headers)}>"


@frozen(init=False, slots=False)
class Request:
    """What to fetch and how. Keyword arguments; only ``url`` is required.

    Times are seconds on Trio's clock, sizes are bytes. ``None`` for ``transfer_timeout`` or ``connect_timeout`` means:
    as the manager says. ``json``, ``form`` and ``files`` are other ways to give a ``body``, and ``None`` afterwards.

    Raises:
        ValueError: a field's value is impossible; the text starts with the field's name.
        TypeError: a field has the wrong type, or no such field exists.
    """

    url: URL = field(repr=display)
    """Absolute, unless the manager has a ``base_url``."""
    operation: Operation = field(default=Operation.GET, kw_only=True)
    verb: str = field(default="GET", kw_only=True)
    """The method on the wire; follows from ``operation``, unless that is ``CUSTOM``."""
    headers: Headers = field(default=EMPTY, hash=False, repr=_names_of, kw_only=True)
    query: QuerySource | None = field(default=None, kw_only=True, repr=False)
    """Replaces the URL's query when the request is made; ``url`` then shows it."""
    body: Body | None = field(default=None, kw_only=True)
    json: object = field(default=None, kw_only=True, repr=False, eq=False)
    """Becomes the ``body`` when the request is made, encoded; so do ``form`` and ``files``."""
    form: FormSource | None = field(default=None, kw_only=True, repr=False, eq=False)
    """The fields of a form, sent as such, or as parts if there are ``files``."""
    files: FilesSource | None = field(default=None, kw_only=True, repr=False, eq=False)
    """What to upload, under which names: paths, open files, bytes, or tuples ``(filename, body[, content_type])``."""
    priority: Priority = field(default=Priority.NORMAL, kw_only=True)
    redirect_policy: RedirectPolicy = field(default=RedirectPolicy.NO_LESS_SAFE, kw_only=True)
    max_redirects: int = field(default=50, kw_only=True)
    transfer_timeout: float | None = field(default=None, kw_only=True)
    """Seconds without progress of a body in either direction; 0 switches the manager's value off (as Qt)."""
    connect_timeout: float | None = field(default=None, kw_only=True)
    """Seconds for name resolution, connecting, proxy and TLS together."""
    read_buffer_size: int | None = field(default=None, kw_only=True)
    """See ``docs/cancellation``: ``None`` 1 MiB unless somebody waits, 0 no limit, n exactly n."""
    progress_interval: float = field(default=0.1, kw_only=True)
    """The shortest time between two `Progress` events of one direction; Qt's 100 ms."""
    cache_load: CacheLoad = field(default=CacheLoad.PREFER_NETWORK, kw_only=True)
    cache_save: bool = field(default=True, kw_only=True)
    cookie_load: LoadControl = field(default=LoadControl.AUTOMATIC, kw_only=True)
    cookie_save: LoadControl = field(default=LoadControl.AUTOMATIC, kw_only=True)
    authentication_reuse: LoadControl = field(default=LoadControl.AUTOMATIC, kw_only=True)
    decompress: bool = field(default=True, kw_only=True)
    decompression_limit: int | None = field(default=10 * MIB, kw_only=True)
    http2: Http2 = field(default=Http2.ALLOWED, kw_only=True)
    expect_continue: bool = field(default=False, kw_only=True)
    """Ask for ``100 Continue`` and hold the body back for at most a second (RFC 9110 section 10.1.1)."""
    auth: Auth | None = field(default=None, kw_only=True)
    """Credentials for the origin server: ``(user, password)`` or a `Bearer`, sent at once and to no other origin."""
    retry: RetryPolicy | None = field(default=None, kw_only=True)
    """When to send the request again; ``None``: as the manager says."""
    ssl: SslConfiguration | SSLContext | None = field(default=None, kw_only=True, repr=False)
    """How to secure connections, or a context of your own, which then decides alone; ``None``: as the manager says."""
    peer_verify_name: str | None = field(default=None, kw_only=True)
    """The name the server's certificate must have, and for SNI, instead of the URL's host (``peerVerifyName``)."""
    proxy: Proxy | None = field(default=None, kw_only=True)
    """The proxy to go through, or ``Proxy(ProxyType.NONE)`` for none; ``None``: as the manager says. A URL will do."""
    local_server_name: str | None = field(default=None, kw_only=True)
    """The path of a Unix socket to connect to instead of the URL's host, or on Linux ``@`` and an abstract name
    (``FullLocalServerNameAttribute``). No proxy is used then."""
    limits: Limits | None = field(default=None, kw_only=True)
    """What Qt has per request: ``per_host``, of which the first request to an origin decides, and ``idle_expiry`` of
    the connection that is left behind. The rest is the manager's."""
    sensitive_headers: frozenset[str] = field(default=frozenset(), kw_only=True)
    """Names of fields that must never reach another origin, beside the well-known ones."""
    user_data: object = field(default=None, kw_only=True, eq=False)
    """The application's own; trioreply does not look at it."""

    def __init__(self, url: str | URL, **fields: Unpack[FetchFields]) -> None:
        self.__dict__["url"] = make_url(url)
        if fields:
            self._take(fields)

    def _take(self, fields: Mapping[str, object]) -> None:
        own = self.__dict__
        for name, value in fields.items():
            check = _CHECKS.get(name)
            if check is None:
                raise TypeError(f"Request: there is no field {name!r}, an unexpected keyword argument")
            own[name] = check(value)
        if not (self.json is self.form is self.files is None):
            self._take_content()
        if "verb" in fields:
            self._settle_verb()
        elif "operation" in fields:
            own["verb"] = _VERBS.get(self.operation, "")
            self._settle_verb()
        if self.query is not None:
            own["url"] = _with_query(self.url, self.query)
            own["query"] = None

    def _settle_verb(self) -> None:
        if not isinstance(self.verb, str) or not is_token(self.verb):
            raise ValueError(f"verb: {self.verb!r} is not a method name; a custom operation needs one, made of letters")
        # A verb and an operation are one decision: the well-known verbs, in any case, are those operations (as Qt's
        # sendCustomRequest), and every operation but CUSTOM has just its one verb.
        well_known = _OPERATIONS.get(self.verb.upper())
        own = self.__dict__
        own["operation"] = well_known or Operation.CUSTOM
        if well_known is not None:
            own["verb"] = _VERBS[well_known]

    def _take_content(self) -> None:
        from .content import make_content  # with all kinds of forms, and most requests have no body at all

        own = self.__dict__
        own["body"] = make_content(self.body, json=self.json, form=self.form, files=self.files)
        own["json"] = own["form"] = own["files"] = None

    def replace(self, **changes: Unpack[RequestChanges]) -> Request:
        """A copy with ``changes``, checked as a new request is.

        Raises:
            ValueError, TypeError: as for the class.
        """
        if "operation" in changes and "verb" not in changes:
            changes["verb"] = _VERBS.get(changes["operation"], self.verb)
        if "body" not in changes and any(changes.get(name) is not None for name in ("json", "form", "files")):
            changes["body"] = None
        copy = _copy(self)
        copy._take(changes)
        return copy


def with_headers(request: Request, headers: Headers) -> Request:
    """A copy of ``request`` with ``headers``, which must be legal: what a policy does to them is not checked again."""
    copy = _copy(request)
    copy.__dict__["headers"] = headers
    return copy


def _copy(request: Request) -> Request:
    copy = object.__new__(Request)
    copy.__dict__.update(request.__dict__)
    return copy


def _with_query(url: URL, query: QuerySource) -> URL:
    try:
        return url.with_query(query if isinstance(query, str | Mapping) else list(query))
    except ValueError as error:
        raise ValueError(f"query: {error}") from error
    except TypeError as error:
        raise TypeError(f"query: {error}") from error


def _choice(name: str, kind: type[enum.Enum], value: object) -> object:
    if not isinstance(value, kind):
        raise TypeError(f"{name}: {value!r} is no member of {kind.__name__}")
    return value


def _number(name: str, kinds: tuple[type, ...], value: object) -> object:
    check_number(name, value, kinds)
    return value


def _optional_ssl(value: object) -> object:
    if value is not None:
        check_ssl(value)
    return value


def _optional(refusal: str, kind: type, value: object) -> object:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{refusal}, not {value!r}")
    return value


def _peer_name(name: object) -> object:
    if name is not None and (not isinstance(name, str) or not name or not name.isprintable() or " " in name):
        raise ValueError(f"peer_verify_name: {name!r} is no host name and no address")
    return name


def _as_it_is(value: object) -> object:
    return value


def check_number(name: str, value: object, kinds: tuple[type, ...]) -> None:
    """Nothing, if ``value`` is of one of ``kinds`` and, if it is a number, not negative.

    Raises:
        TypeError, ValueError: it is not; the text starts with ``name``.
    """
    if not isinstance(value, kinds) or isinstance(value, bool):
        wanted = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
        raise TypeError(f"{name}: {value!r} is no number of the right kind; give {wanted}")
    if isinstance(value, int | float) and not value >= 0:  # which a NaN is not either
        raise ValueError(f"{name}: {value!r} is not a number from 0 on")


# Each takes what its field may be given, which a mapping cannot say; it checks that itself.
_CHECKS: dict[str, Callable[..., object]] = {
    **dict.fromkeys((made.name for made in attrs.fields(Request)), _as_it_is),
    **{name: partial(_choice, name, kind) for name, kind in _CHOICES.items()},
    **{name: partial(_number, name, kinds) for name, kinds in _NUMBERS.items()},
    "url": make_url,
    "headers": make_headers,
    "body": make_body,
    "priority": _priority,
    "auth": make_auth,
    "retry": partial(_optional, "retry: give a RetryPolicy", RetryPolicy),
    "ssl": _optional_ssl,
    "peer_verify_name": _peer_name,
    "proxy": make_proxy,
    "local_server_name": _socket_name,
    "limits": partial(_optional, "limits: give Limits", Limits),
    "sensitive_headers": _names,
}
"""What makes of a field's argument its value, or raises."""

for _field in attrs.fields(Request):
    if _field.default is not attrs.NOTHING:
        setattr(Request, _field.name, _field.default)


@frozen
class RequestDefaults:
    """What a manager says where a request says nothing itself."""

    headers: Headers = EMPTY
    coded_headers: Headers = EMPTY
    """Instead of ``headers``, where a whole response over HTTP may come in a content coding."""
    transfer_timeout: float | None = None
    ssl: SslConfiguration | SSLContext | None = None
    retry: RetryPolicy | None = None
    redirect_policy: RedirectPolicy = RedirectPolicy.NO_LESS_SAFE
    proxy: Proxy | None = None
    _said: tuple[tuple[str, object], ...] = field(init=False, repr=False)

    @_said.default
    def _what_is_said(self) -> tuple[tuple[str, object], ...]:
        values = {"transfer_timeout": self.transfer_timeout, "ssl": self.ssl, "retry": self.retry}
        return tuple((name, value) for name, value in values.items() if value is not None)

    def complete(self, request: Request, own: Container[str] = ()) -> Request:
        """Put these defaults into ``request``, which was made a moment ago and which nobody else has seen yet.

        ``own`` names the fields that were said for this very request.

        This is on the way of every request, and a copy would check all over again what has just been checked.
        """
        own_values, headers = request.__dict__, request.headers
        may_be_coded = request.decompress and "Range" not in headers and request.url.scheme in HTTP_SCHEMES
        own_values["headers"] = with_missing(headers, self.coded_headers if may_be_coded else self.headers)
        for name, value in self._said:
            if getattr(request, name) is None:
                own_values[name] = value
        if request.proxy is None or request.proxy.type is ProxyType.DEFAULT:
            own_values["proxy"] = self.proxy
        if request.redirect_policy is RedirectPolicy.NO_LESS_SAFE and "redirect_policy" not in own:
            # It is also what a request has that says nothing.
            own_values["redirect_policy"] = self.redirect_policy
        return request
