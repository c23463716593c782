"""The options of a manager, by name and type, and what makes one impossible.

Everything is checked here, before anything is opened: a mistake in an option is found where it was made, and not hours
later in the one exchange that comes across it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ssl import SSLContext
from types import NoneType
from typing import TYPE_CHECKING, TypedDict

from yarl import URL

from ._model.events import AuthenticationRequired, ProxyAuthenticationRequired, Redirected, SslErrors
from ._model.headers import HeaderSource
from ._model.limits import Limits
from ._model.options import RedirectPolicy
from ._model.proxies import Proxy, make_proxy
from ._model.request import check_number
from ._model.retry import RetryPolicy
from ._model.running import RunSync
from ._model.securing import check_ssl
from ._model.urls import make_url
from ._net.interfaces import Dialer, Resolver
from ._policies.proxy_decide import ProxyFactory
from ._reply.reply import Reply
from ._wire.h1_rules import WireLimits

if TYPE_CHECKING:
    from ._model.ssl_configuration import SslConfiguration
    from ._policies.cookiejar import CookieJar
    from ._policies.hsts_store import HstsStore


class ManagerConfig(TypedDict, total=False):
    """The keywords of `open_manager`."""

    schemes: Iterable[str] | None
    base_url: str | URL | None
    headers: HeaderSource | None
    user_agent: str
    transfer_timeout: float | None
    connect_timeout: float
    detached_timeout: float
    limits: Limits
    wire_limits: WireLimits
    run_sync: RunSync
    ssl: SslConfiguration | SSLContext | None
    trust_env: bool
    proxy: Proxy | URL | str | None
    proxy_factory: ProxyFactory | None
    cookie_jar: CookieJar | None
    hsts: HstsStore | None
    retry: RetryPolicy | None
    redirect_policy: RedirectPolicy
    netrc: bool | str | os.PathLike[str]
    resolver: Resolver
    dialer: Dialer
    ssl_errors: Callable[[Reply, SslErrors], Awaitable[None]] | None
    authenticator: Callable[[Reply, AuthenticationRequired], Awaitable[None]] | None
    proxy_authenticator: Callable[[Reply, ProxyAuthenticationRequired], Awaitable[None]] | None
    redirect_verifier: Callable[[Reply, Redirected], Awaitable[None]] | None


_SECONDS: dict[str, tuple[type, ...]] = {
    "transfer_timeout": (int, float, NoneType),
    "connect_timeout": (int, float),
    "detached_timeout": (int, float),
}
_CLASSES: dict[str, tuple[type, ...]] = {
    "limits": (Limits,),
    "wire_limits": (WireLimits,),
    "user_agent": (str,),
    "trust_env": (bool,),
    "netrc": (bool, str, os.PathLike),
    "redirect_policy": (RedirectPolicy,),
    "retry": (RetryPolicy, NoneType),
}
_METHODS = {"resolver": "resolve", "dialer": "dial", "proxy_factory": "query"}
_CALLABLES = ("run_sync", "ssl_errors", "authenticator", "proxy_authenticator", "redirect_verifier")


def check_config(config: ManagerConfig) -> None:
    """Nothing, if a manager can be made of ``config``.

    Raises:
        ValueError, TypeError: an option is impossible, or unknown; the text starts with its name.
    """
    unknown = config.keys() - ManagerConfig.__annotations__.keys()
    if unknown:
        raise TypeError(f"open_manager() has no option {', '.join(sorted(unknown))}")
    _check_kinds({**config})
    if isinstance(config.get("schemes"), str):
        raise TypeError("schemes: give the names in a list, even if it is only one")
    if config.get("ssl") is not None:
        check_ssl(config["ssl"])
    if make_proxy(config.get("proxy")) is not None and config.get("proxy_factory") is not None:
        raise ValueError("proxy: there is a proxy_factory too; give one of the two")
    base_url = config.get("base_url")
    if base_url is not None and not make_url(base_url, field="base_url").raw_host:
        raise ValueError("base_url: it must be absolute, with a scheme and a host")


def _check_kinds(given: Mapping[str, object]) -> None:
    for name, kinds in _SECONDS.items():
        if name in given:
            check_number(name, given[name], kinds)
    for name, classes in _CLASSES.items():
        if name in given and not isinstance(given[name], classes):
            raise TypeError(f"{name}: give a {classes[0].__name__}, not {given[name]!r}")
    _check_stores(given)
    for name, method in _METHODS.items():
        if given.get(name) is not None and not callable(getattr(given[name], method, None)):
            raise TypeError(f"{name}: {given[name]!r} has no method {method}()")
    for name in _CALLABLES:
        if given.get(name) is not None and not callable(given[name]):
            raise TypeError(f"{name}: {given[name]!r} cannot be called")


def _check_stores(given: Mapping[str, object]) -> None:
    """As `_check_kinds`, of classes that are imported only by those who use them."""
    if (jar := given.get("cookie_jar")) is not None:
        from ._policies.cookiejar import CookieJar

        if not isinstance(jar, CookieJar):
            raise TypeError(f"cookie_jar: give a CookieJar, not {jar!r}")
    if (store := given.get("hsts")) is not None:
        from ._policies.hsts_store import HstsStore

        if not isinstance(store, HstsStore):
            raise TypeError(f"hsts: give a HstsStore, not {store!r}")
