"""Proxies from the environment: ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``.

Nobody ever specified these variables, and programs differ in how they read them. Rules that hold here:

* The name in lower case is looked at first, then the one in upper case; a variable without a value is as good as unset.
* ``HTTP_PROXY`` in upper case is not believed where ``REQUEST_METHOD`` is set: in a CGI program that is what a client's
  ``Proxy`` header field becomes, and the client would choose where our requests go ("httpoxy").
* ``no_proxy`` is a list, with commas or white space in between, of

  - ``*``: everything;
  - ``example.com``, ``.example.com`` or ``*.example.com``: that name, and all names below it;
  - an IPv4 or IPv6 address, or a block of them (``10.0.0.0/8``): addresses in a URL, never what a name resolves to;

  and names and addresses may have a ``:port`` (IPv6 addresses then need brackets).
* Nothing is skipped because it makes no sense. An entry of ``no_proxy`` that we do not understand may be the one that
  keeps secrets off a proxy, and a proxy that we do not understand may be the only way that is allowed. So it is an
  error, of each request that it may concern.

The variables are copied when the factory is made, and read when the first request needs them; without any, requests
pay nothing for them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

from attrs import field
from yarl import URL

from .._facade import public
from .._model.errors import ProxyNotFoundError
from .._model.proxies import Proxy, ProxyType, read_proxy
from .._model.urls import make_host
from .._model.values import define, frozen
from .proxy_decide import ProxyFactory

T = TypeVar("T")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_VARIABLES = {"http": ("http_proxy", "all_proxy"), "https": ("https_proxy", "all_proxy")}
"""Where the proxy for a scheme is looked for."""

_SEPARATORS = re.compile(r"[\s,]+")
# After IDNA. Other characters may stand in a URL's host, but here they are somebody's separators or patterns.
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)
# What may stand before a name; it makes no difference.
_BELOW = re.compile(r"\*?\.")
_BRACKETED = re.compile(r"\[([^\[\]]*:[^\[\]]*)\](?::([0-9]+))?", re.ASCII)
_WITH_PORT = re.compile(r"([^:]*):([0-9]+)", re.ASCII)
_PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)
_MAPPED_BITS = 96
"""Of ``::ffff:0:0/96``, the block of IPv4 addresses in IPv6's clothes (RFC 4291 section 2.5.5.2)."""


@define(eq=False)
class _Variable(Generic[T]):
    """A variable that is set; read when it is needed, and once."""

    name: str
    _text: str = field(repr=False)  # there may be a password in it
    _read: Callable[[str, str], T] = field(repr=False)
    _meaning: T | None = field(default=None, init=False, repr=False)
    _complaint: str = field(default="", init=False)

    def meaning(self) -> T:
        """What it says.

        Raises:
            ProxyNotFoundError: nothing that makes sense.
        """
        if self._meaning is None and not self._complaint:
            try:
                self._meaning = self._read(self._text, self.name)
            except ValueError as error:
                self._complaint = str(error)
        if self._meaning is None:
            # A new one each time: an error belongs to the reply that ends with it.
            raise ProxyNotFoundError(
                f"No suitable proxy found: {self._complaint}; correct it, or open the manager with trust_env=False"
            )
        return self._meaning


@public
class EnvironmentProxies(ProxyFactory):
    """What the environment says about proxies; ``environ`` is `os.environ`, or something like it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        names = {name for names in _VARIABLES.values() for name in names}
        proxies = {name: _variable(environ, name, read_proxy) for name in names}
        self._proxies = {scheme: proxies[own] or proxies[common] for scheme, (own, common) in _VARIABLES.items()}
        self._no_proxy = _variable(environ, "no_proxy", read_no_proxy)

    @property
    def is_empty(self) -> bool:
        """Whether no variable is set that names a proxy, so that nobody needs to ask."""
        return not any(self._proxies.values())

    def query(self, url: URL) -> list[Proxy]:
        """The proxy for ``url``, if there is one; `ProxyFactory.query` says more.

        Raises:
            ProxyNotFoundError: a variable that matters for ``url`` makes no sense.
        """
        variable = self._proxies.get(url.scheme)
        if variable is None:
            return []
        proxy = variable.meaning()
        if proxy.type is ProxyType.NONE:
            return []
        if self._no_proxy is not None and self._no_proxy.meaning().cover(url.raw_host or "", url.port):
            return []
        return [proxy]


def _variable(environ: Mapping[str, str], name: str, read: Callable[[str, str], T]) -> _Variable[T] | None:
    for spelling in (name, name.upper()):
        if spelling == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue
        text = environ.get(spelling, "").strip()
        if text:
            return _Variable(spelling, text, read)
    return None


@frozen
class _Block:
    """Addresses, and one alone is a block of its own."""

    network: Network
    zone: str
    """The interface of a link-local address; any, if it is empty."""
    port: int | None
    """``None``: any."""

    def covers(self, address: Address, zone: str, port: int | None) -> bool:
        """Whether the address is one of these."""
        # One of the other version is in no block of this one.
        return address in self.network and self.zone in ("", zone) and self.port in (None, port)


@define
class NoProxy:
    """To whom there is no proxy in between: ``no_proxy``, compiled."""

    everything: bool = False
    names: dict[str, set[int | None]] = field(factory=dict)
    """The ports of each name; ``None`` is any."""
    blocks: list[_Block] = field(factory=list)

    def cover(self, host: str, port: int | None) -> bool:
        """Whether ``host`` (as in a checked URL, without brackets) is excepted."""
        if self.everything:
            return True
        host = host.lower().removesuffix(".")
        # In a URL the percent sign before a zone may be encoded (RFC 6874).
        address, zone = _address(host.replace("%25", "%", 1))
        if address is not None:
            return any(block.covers(address, zone, port) for block in self.blocks)
        while host:
            if _allows(self.names.get(host, ()), port):
                return True
            host = host.partition(".")[2]
        return False


def _allows(ports: Collection[int | None], port: int | None) -> bool:
    return None in ports or port in ports


def _address(host: str) -> tuple[Address | None, str]:
    """The address that ``host`` is, and its zone; ``None`` for a name. IPv4 in IPv6's clothes comes without them."""
    text, _, zone = host.partition("%")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None, ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped, ""
    return address, zone


def read_no_proxy(text: str, field: str) -> NoProxy:
    """What ``no_proxy`` says.

    Raises:
        ValueError: an entry makes no sense; the text starts with ``field``.
    """
    found = NoProxy()
    for entry in _SEPARATORS.split(text):
        if entry:
            _add(found, entry, field)
    return found


def _add(found: NoProxy, entry: str, field: str) -> None:
    """Put one entry where it belongs."""
    if entry == "*":
        found.everything = True
        return
    try:
        if "/" in entry:
            found.blocks.append(_block(entry))
            return
        host, port = _host_and_port(entry)
        host = _name_or_address(host)
        address, zone = _address(host)
        if address is None:
            found.names.setdefault(host, set()).add(port)
        else:
            found.blocks.append(_Block(ipaddress.ip_network(address), zone, port))
    except ValueError:
        # Without the causes, which may show what must not be seen.
        shown = "an entry with an @" if "@" in entry else repr(entry)
        raise ValueError(
            f"{field}: {shown} is no host name and no address, with a port or without, and no block such as 10.0.0.0/8"
        ) from None


def _block(entry: str) -> _Block:
    start, _, prefix = entry.partition("/")
    if not _PREFIX.fullmatch(prefix) or "%" in start:
        raise ValueError("a block has a number of bits behind its slash, and no zone")
    # What stands behind the prefix is of no meaning (10.1.2.3/8); others take that too.
    network = ipaddress.ip_network(f"{start}/{int(prefix)}", strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - _MAPPED_BITS}")
    return _Block(network, "", None)


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """Host, without brackets around an address, and port, if there is one."""
    match = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    host, port = (entry, None) if match is None else match.groups()
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError("a port is a number up to 65535")
    return host, None if port is None else int(port)


def _name_or_address(host: str) -> str:
    """``host`` in the form of URLs: lower case and ASCII; without dots at its ends, and without ``*.`` before it."""
    below = _BELOW.match(host)
    bare = host[below.end() :] if below else host
    checked = make_host(bare if ":" in bare else bare.removesuffix("."), field="host").lower()
    is_name = _address(checked)[0] is None
    if is_name and not _NAME.fullmatch(checked):
        raise ValueError("it has characters that no host name has")
    if below and not is_name:
        raise ValueError("nothing is below an address")
    return checked
