"""What the options say about the way to a server: proxies, names and addresses, Unix sockets, connections.

The names and what they mean are curl's where curl has the option. So ``no_proxy`` of the environment holds for
``--proxy``, too, until ``--noproxy`` overrules it. How a proxy is spoken to is said about ``--proxy`` alone: one of the
environment has all of its own in its URL.

The library reads ``no_proxy`` from a mapping, which need not be the environment. What was typed is put into one, so the
same rules hold for both.

A URL of a proxy may hold a password, and so may a field for it: an answer to a mistake repeats neither.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from attrs import evolve, frozen
from yarl import URL

from .. import (
    CachingResolver,
    EnvironmentProxies,
    KeepAlive,
    ManagerConfig,
    Proxy,
    ProxyNotFoundError,
    ProxyType,
    Request,
    SocketStartedConnecting,
    SslConfiguration,
    SystemResolver,
    TcpDialer,
    VerifyMode,
)
from ..abc import Dialer, Resolver
from .kinds import count, readable_file

_PROXY_NAMES = {
    "user": "-U/--proxy-user",
    "password": "-U/--proxy-user",
    "headers": "--proxy-header",
    "via": "--preproxy",
}
"""From the fields of `Proxy` to what the user typed."""

_NEED_PROXY = ("preproxy", "proxy_user", "proxy_insecure", "proxy_cacert", "proxy_header")
"""The options that say something about ``--proxy``."""

_NO_PASSWORD = (ProxyType.SOCKS4, ProxyType.SOCKS4A)

# What is asked of the library's reader where the only question is whether there is a proxy, or whether a text is right.
_SOME_PROXY = {"all_proxy": "http://proxy.invalid"}
_SOME_URL = URL("http://server.invalid/")

_OVERRIDE = re.compile(r"((?:\[[^\[\]]*\]|[^:\[\]]+):[0-9]{1,5}):(.+)", re.ASCII)
_BAD_AUTHORITIES = re.compile(r"No secure connection to the proxy: .*: ca_certificates: (.*)", re.DOTALL)


@frozen
class Ways:
    """Which proxy a URL is reached through: the one that was typed, or the environment's. A `ProxyFactory`."""

    chosen: Proxy | None
    """``None`` if it is up to the environment."""
    environment: EnvironmentProxies
    """If one was chosen, it only says who is excepted."""

    def query(self, url: URL) -> list[Proxy]:
        """See `ProxyFactory.query`."""
        found = self.environment.query(url)
        return found if self.chosen is None else [self.chosen] * len(found)

    def begun(self, event: SocketStartedConnecting, url: URL) -> Proxy | None:
        """The proxy through which ``url`` is reached, if ``event`` tells of the first step of that way."""
        return next((proxy for proxy in self.query(url) if _first_step(proxy) == (event.host, event.port)), None)


def _first_step(proxy: Proxy) -> tuple[str, int]:
    return (proxy.host, proxy.port) if proxy.via is None else _first_step(proxy.via)


@frozen(kw_only=True)
class Network:
    """How servers are reached."""

    ways: Ways
    asks_password: bool
    """Whether the password for the proxy was left out, to be asked for."""
    resolver: Resolver | None
    dialer: Dialer | None

    @property
    def has_credentials(self) -> bool:
        """Whether the command line says all that the proxy may want to know about us."""
        proxy = self.ways.chosen
        if proxy is None or self.asks_password:
            return False
        return proxy.password is not None or any(name.lower() == "proxy-authorization" for name, _ in proxy.headers)

    @property
    def user(self) -> str:
        """Who logs in at the proxy."""
        proxy = self.ways.chosen
        return "" if proxy is None or proxy.user is None else proxy.user

    def with_password(self, password: str) -> Network:
        """The same, with the password for the proxy.

        Raises:
            ValueError: it cannot be sent; the text starts with the option.
        """
        with _in_words(_PROXY_NAMES):
            chosen = self.ways.chosen and evolve(self.ways.chosen, password=password)
        return evolve(self, ways=evolve(self.ways, chosen=chosen))

    def config(self) -> ManagerConfig:
        """What it means for a manager."""
        config: ManagerConfig = {"proxy_factory": self.ways}
        if self.resolver is not None:
            config["resolver"] = self.resolver
        if self.dialer is not None:
            config["dialer"] = self.dialer
        return config


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``, in groups."""
    _add_proxies(parser.add_argument_group("through whom the server is reached"))
    _add_connections(parser.add_argument_group("how it is found and connected to"))


def _add_proxies(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-x", "--proxy", metavar="URL", help="a proxy: http, https, socks4, socks4a, socks5 or socks5h; '' for none"
    )
    group.add_argument("--preproxy", metavar="URL", help="another one, through which that one is reached")
    group.add_argument(
        "-U", "--proxy-user", metavar="USER[:PASSWORD]", help="log in there; a password that is left out is asked for"
    )
    group.add_argument(
        "--proxy-header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="a header field for the proxy alone; repeatable",
    )
    group.add_argument("--proxy-insecure", action="store_true", help="go on whatever the certificate of the proxy")
    group.add_argument(
        "--proxy-cacert",
        metavar="FILE",
        type=readable_file,
        action="append",
        default=[],
        help="trust these authorities for the proxy, too; repeatable",
    )
    group.add_argument(
        "--noproxy", metavar="LIST", help="the hosts that are reached without any proxy, with commas; '*' for all"
    )


def _add_connections(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--resolve",
        metavar="HOST:PORT:ADDRESS,...",
        action="append",
        default=[],
        help="where a host is, instead of looking it up; repeatable",
    )
    versions = group.add_mutually_exclusive_group()
    versions.add_argument("-4", "--ipv4", action="store_const", dest="ip_version", const=4, help="IPv4 addresses only")
    versions.add_argument("-6", "--ipv6", action="store_const", dest="ip_version", const=6, help="IPv6 addresses only")
    sockets = group.add_mutually_exclusive_group()
    sockets.add_argument("--unix-socket", metavar="PATH", help="connect to this Unix socket instead of the host")
    sockets.add_argument("--abstract-unix-socket", metavar="NAME", help="the same, for an abstract name of Linux")
    group.add_argument(
        "--interface", metavar="ADDRESS", help="connect from this address of ours or, on Linux, network interface"
    )
    silences = group.add_mutually_exclusive_group()
    silences.add_argument(
        "--keepalive-time",
        metavar="SECONDS",
        type=count,
        help="have TCP ask a peer that is silent for so long; default 60",
    )
    silences.add_argument("--no-keepalive", action="store_true", help="have it never ask")
    # argparse would now take any negative number for an option, also one that is another option's value, as in "-d -5".
    group._has_negative_number_optionals.clear()


def network(options: argparse.Namespace) -> Network:
    """What ``options`` say about the way to servers.

    Raises:
        ValueError: they cannot be meant; the text starts with the option.
    """
    chosen = _chosen(options)
    return Network(
        ways=_ways(options, chosen),
        asks_password=chosen is not None and _lacks_password(options, chosen),
        resolver=_resolver(options),
        dialer=_dialer(options),
    )


def local_server_name(options: argparse.Namespace) -> str | None:
    """The Unix socket to connect to, as the field of `Request` wants it.

    Raises:
        ValueError: it has no name; the text starts with the option.
    """
    path: str | None = options.unix_socket
    name: str | None = options.abstract_unix_socket
    if path == "" or name == "":
        option = "--unix-socket" if name is None else "--abstract-unix-socket"
        raise ValueError(f"{option}: '' is no name of a socket")
    if path is not None:
        # In the library a name that is no path is one in the directory for temporary files (Qt). In a shell it is here.
        return os.path.abspath(path)  # noqa: PTH100 - a Path would follow "..", and the system does it better
    return None if name is None else f"@{name}"


def mistake_in_proxy(message: str) -> str | None:
    """``message``, a reply's error string, as a mistake of the user's, if it is about what the options named."""
    found = _BAD_AUTHORITIES.match(message)
    return None if found is None else f"--proxy-cacert: {found[1]}"


@contextmanager
def _in_words(names: Mapping[str, str]) -> Iterator[None]:
    """Have mistakes begin with the option, and not with the library's name for it."""
    try:
        yield
    except ValueError as error:
        name, _, rest = str(error).partition(":")
        # From None: causes may show what must not be seen.
        raise ValueError(f"{names.get(name, name)}:{rest}") from None


def _chosen(options: argparse.Namespace) -> Proxy | None:
    """The proxy that was typed; one of type NONE if it was said that there shall be none."""
    if options.proxy is None:
        _refuse_without_proxy(options)
        return None
    proxy = _proxy_at(options.proxy or "direct://", "-x/--proxy")
    before = None if options.preproxy is None else _proxy_at(options.preproxy, "--preproxy")
    if options.proxy_insecure or options.proxy_cacert:
        proxy, before = _secured(options, proxy, before)
    with _in_words(_PROXY_NAMES):
        if before is not None:
            proxy = evolve(proxy, via=before)
        if options.proxy_header:
            proxy = evolve(proxy, headers=[_header(text) for text in options.proxy_header])
        return proxy if options.proxy_user is None else _logged_in(options.proxy_user, proxy)


def _refuse_without_proxy(options: argparse.Namespace) -> None:
    for name in _NEED_PROXY:
        if getattr(options, name):
            option = "-U/--proxy-user" if name == "proxy_user" else f"--{name.replace('_', '-')}"
            raise ValueError(f"{option}: it is about the proxy that --proxy names; give that, too")


def _proxy_at(text: str, option: str) -> Proxy:
    with _in_words({"proxy": option}):
        return Request(_SOME_URL, proxy=text).proxy or Proxy()


def _secured(options: argparse.Namespace, proxy: Proxy, before: Proxy | None) -> tuple[Proxy, Proxy | None]:
    """Both, with what was said about the certificates of those that have one."""
    if proxy.tls is None and (before is None or before.tls is None):
        option = "--proxy-insecure" if options.proxy_insecure else "--proxy-cacert"
        raise ValueError(f"{option}: the proxy shows no certificate, for its connection is not secured; give https://")
    verify = VerifyMode.NONE if options.proxy_insecure else VerifyMode.AUTO
    tls = SslConfiguration(ca_certificates=options.proxy_cacert, verify=verify)
    if before is not None and before.tls is not None:
        before = evolve(before, tls=tls)
    return (proxy if proxy.tls is None else evolve(proxy, tls=tls)), before


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError("headers: there is no colon in it; write 'Name: value'")
    return name, value


def _logged_in(login: str, proxy: Proxy) -> Proxy:
    if proxy.user is not None:
        raise ValueError("user: the URL of the proxy has a user, too; leave one of them out")
    user, colon, password = login.partition(":")
    return evolve(proxy, user=user, password=password if colon else None)


def _lacks_password(options: argparse.Namespace, proxy: Proxy) -> bool:
    return options.proxy_user is not None and proxy.password is None and proxy.type not in _NO_PASSWORD


def _ways(options: argparse.Namespace, chosen: Proxy | None) -> Ways:
    excepted = _excepted(options.noproxy)
    if excepted.get("no_proxy") == "*" or (chosen is not None and chosen.type is ProxyType.NONE):
        return Ways(None, EnvironmentProxies({}))
    if chosen is not None:
        return Ways(chosen, EnvironmentProxies({**_SOME_PROXY, **excepted}))
    others = {name: text for name, text in os.environ.items() if name.lower() != "no_proxy"}
    return Ways(None, EnvironmentProxies({**others, **excepted}))


def _excepted(typed: str | None) -> dict[str, str]:
    """Who is reached without a proxy: as was typed, or else as the environment says."""
    if typed is None:
        return {name: text for name, text in os.environ.items() if name.lower() == "no_proxy"}
    try:
        EnvironmentProxies({**_SOME_PROXY, "no_proxy": typed}).query(_SOME_URL)
    except ProxyNotFoundError as error:
        complaint = error.message.removeprefix("No suitable proxy found: no_proxy: ").partition("; correct it")[0]
        raise ValueError(f"--noproxy: {complaint}") from None
    return {"no_proxy": typed.strip()}


def _resolver(options: argparse.Namespace) -> Resolver | None:
    version: Literal[4, 6] | None = options.ip_version
    overrides = [_override(text) for text in options.resolve]
    if not overrides:
        return None if version is None else SystemResolver(ip_version=version)
    with _in_words({"overrides": "--resolve"}):
        resolver = CachingResolver(SystemResolver(ip_version=version), overrides=overrides)
    for place, addresses in overrides:
        if version is not None and any((":" in address) != (version == 6) for address in addresses):
            raise ValueError(f"--resolve: {place!r} has an address that is not IPv{version}, as -{version} wants it")
    return resolver


def _override(text: str) -> tuple[str, list[str]]:
    match = _OVERRIDE.fullmatch(text)
    if match is None:
        raise ValueError(f"--resolve: {text!r} is not HOST:PORT:ADDRESS, with brackets around a HOST that is IPv6")
    return match[1], match[2].split(",")


def _dialer(options: argparse.Namespace) -> Dialer | None:
    if options.interface is None and options.keepalive_time is None and not options.no_keepalive:
        return None
    with _in_words({"idle": "--keepalive-time", "local_address": "--interface"}):
        if options.no_keepalive:
            return TcpDialer(local_address=options.interface, keep_alive=None)
        if options.keepalive_time is None:
            return TcpDialer(local_address=options.interface)
        # As curl: the same time between two questions as before the first.
        times = KeepAlive(idle=options.keepalive_time, interval=options.keepalive_time)
        return TcpDialer(local_address=options.interface, keep_alive=times)
