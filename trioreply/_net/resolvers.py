"""From host names to addresses: the system's way, a memory in front of it, and a guard that lets only the public pass.

Rules that hold here:

* Resolvers wrap each other, so what one refuses nobody behind it gets to see. Numeric hosts go through all of them, for
  an address in a URL needs the same guard as one from a name server.
* Time is Trio's. It means nothing in another run of Trio, so what was remembered is forgotten there.
* Failures are never remembered: the next request asks again. Only those who wait for the same answer share it.

What was hard: several requests that want one name ask once, and the one that asks may be cancelled at any time. So
nobody works for the others. Who finds no question under way asks, in its own task and its own scope; the others wait
for the end of that, and if it ended without an answer the first of them to wake up asks anew.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import trio
from attrs import Factory

from .._model.urls import make_host
from .._model.values import define, frozen
from .interfaces import Resolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_numeric(host: str) -> bool:
    """Whether ``host`` is an address already: IPv4, or IPv6 with or without a zone, without brackets."""
    return _parsed(host) is not None


def _parsed(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class SystemResolver:
    """The operating system's resolver, in a worker thread; files, DNS and whatever else it is configured for.

    Args:
        ip_version: give only IPv4 (4) or only IPv6 addresses (6).

    Raises:
        ValueError: ``ip_version`` is something else.
    """

    def __init__(self, *, ip_version: Literal[4, 6] | None = None) -> None:
        if ip_version not in _FAMILIES:
            raise ValueError(f"ip_version: {ip_version!r} is none; give 4, 6 or None for both")
        self._ip_version = ip_version
        self._family = _FAMILIES[ip_version]

    def __repr__(self) -> str:
        return f"SystemResolver({'' if self._ip_version is None else f'ip_version={self._ip_version}'})"

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """As `Resolver.resolve`. A numeric host is its own answer, without a thread; its zone stays as it is.

        Raises:
            OSError: as `Resolver.resolve`; also for an address of the IP version that is not wanted.
            UnicodeError: ``host`` cannot be a host name, for a label is empty or too long.
        """
        numeric = _parsed(host)
        if numeric is None:
            answers = await trio.socket.getaddrinfo(host, port, family=self._family, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(_with_zone(sockaddr) for *_, sockaddr in answers))
        await trio.lowlevel.checkpoint()
        if self._ip_version not in (None, numeric.version):
            raise OSError(errno.EAFNOSUPPORT, f"{host} is not an IPv{self._ip_version} address")
        return [host]


_FAMILIES: Mapping[int | None, socket.AddressFamily] = {
    None: socket.AF_UNSPEC,
    4: socket.AF_INET,
    6: socket.AF_INET6,
}


def _with_zone(sockaddr: Sequence[object]) -> str:
    # A link-local address is one only together with its interface, which the system gives beside it, not in the text.
    address, scope = str(sockaddr[0]), sockaddr[3] if len(sockaddr) == 4 else 0
    return f"{address}%{scope}" if scope and "%" not in address else address


Overrides = Mapping[str, str | Sequence[str]] | Iterable[tuple[str, str | Sequence[str]]]
"""What may be given as overrides: places, each with its address or its addresses."""

_ANY_HOST = "*"
_PLACE = re.compile(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.ASCII)
_MAX_PORT = 65535


@frozen
class _Found:
    """What a name stood for, and until when we believe it."""

    addresses: Sequence[str]
    expires: float


@define(eq=False)
class _Question:
    """A question under way. Set once ``ended``: the answer, or why there is none, or neither if nobody asked on."""

    ended: trio.Event = Factory(trio.Event)
    addresses: Sequence[str] | None = None
    error: OSError | UnicodeError | None = None


class CachingResolver:
    """Remembers what another resolver has found; requests that want one name at the same time ask once.

    Names are compared without regard to case. Numeric hosts are not remembered, failures neither. One object serves one
    run of Trio at a time; in another run it begins with an empty memory.

    Args:
        resolver: who is asked; `SystemResolver` by default.
        ttl: seconds for which an answer is used, whatever the name servers say: resolvers do not tell. 60 is what
            browsers do. 0 remembers nothing, for the sake of ``overrides`` alone.
        max_entries: answers kept; the oldest leaves. 1000 of them take less than a megabyte.
        overrides: answers that are given without asking anybody, as curl's ``--resolve``: ``"host:port"``,
            ``"host"`` for all its ports, ``"*:port"`` or ``"*"`` for all other hosts, each with an address or several,
            best first. The most specific entry counts. IPv6 hosts stand in brackets; a dot at a name's end does not
            matter. They come from the program, so a `PublicResolver` *behind* this one does not see them.

    Raises:
        ValueError: ``ttl`` or ``max_entries`` is impossible, or an entry of ``overrides``, which the text names.
    """

    def __init__(
        self,
        resolver: Resolver | None = None,
        *,
        ttl: float = 60.0,
        max_entries: int = 1000,
        overrides: Overrides = (),
    ) -> None:
        if not ttl >= 0:  # NaN is not, either
            raise ValueError(f"ttl: {ttl!r} is not a number of seconds from 0 on")
        if max_entries < 1:
            raise ValueError(f"max_entries: {max_entries!r} is not a count from 1 on")
        self._resolver = SystemResolver() if resolver is None else resolver
        self._ttl = ttl
        self._max_entries = max_entries
        self._overrides = _checked_overrides(overrides)
        self._found: OrderedDict[tuple[str, int], _Found] = OrderedDict()  # soonest to expire first
        self._questions: dict[tuple[str, int], _Question] = {}
        self._clock: trio.abc.Clock | None = None

    def __repr__(self) -> str:
        fixed = f", {len(self._overrides)} overrides" if self._overrides else ""
        return (
            f"<CachingResolver of {self._resolver!r}: {len(self._found)} of at most {self._max_entries} entries"
            f" for {self._ttl:g} s{fixed}>"
        )

    def clear(self) -> None:
        """Forget everything, as after a change of the network. What is being asked right now is not remembered."""
        self._found.clear()
        self._questions.clear()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """As `Resolver.resolve`.

        Raises:
            OSError: as `Resolver.resolve`.
            UnicodeError: as the resolver that is asked.
        """
        fixed = self._override(host, port)
        if fixed is not None:
            await trio.lowlevel.checkpoint()
            return fixed
        if is_numeric(host):
            return await self._resolver.resolve(host, port)
        self._enter_run()
        # The dot at the end stays: without it, the system may try the name below domains of its own first.
        key = host.lower(), port
        addresses = self._remembered(key)
        if addresses is not None:
            await trio.lowlevel.checkpoint()
            return addresses
        while (question := self._questions.get(key)) is not None:
            await question.ended.wait()
            if question.error is not None:
                raise question.error
            if question.addresses is not None:
                return question.addresses
        return await self._ask(key, host)

    def _override(self, host: str, port: int) -> Sequence[str] | None:
        if not self._overrides:
            return None
        name = _folded(host)
        for place in ((name, port), (name, None), (_ANY_HOST, port), (_ANY_HOST, None)):
            if place in self._overrides:
                return self._overrides[place]
        return None

    def _enter_run(self) -> None:
        clock = trio.lowlevel.current_clock()
        if self._clock is not clock:
            self._clock = clock
            self.clear()

    def _remembered(self, key: tuple[str, int]) -> Sequence[str] | None:
        found = self._found.get(key)
        return found.addresses if found is not None and trio.current_time() < found.expires else None

    async def _ask(self, key: tuple[str, int], host: str) -> Sequence[str]:
        question = self._questions[key] = _Question()
        try:
            addresses = question.addresses = tuple(await self._resolver.resolve(host, key[1]))
        except (OSError, UnicodeError) as error:
            question.error = error
            raise
        finally:
            # Unless `clear` was called meanwhile, and somebody else perhaps asks the same again.
            is_current = self._questions.get(key) is question
            if is_current:
                del self._questions[key]
            question.ended.set()
        if is_current:
            self._remember(key, addresses)
        return addresses

    def _remember(self, key: tuple[str, int], addresses: Sequence[str]) -> None:
        now = trio.current_time()
        self._found.pop(key, None)
        if addresses:
            self._found[key] = _Found(addresses, now + self._ttl)
        while self._found and (len(self._found) > self._max_entries or next(iter(self._found.values())).expires <= now):
            self._found.popitem(last=False)


def _folded(host: str) -> str:
    return host.lower().removesuffix(".")


def _checked_overrides(overrides: Overrides) -> Mapping[tuple[str, int | None], tuple[str, ...]]:
    checked: dict[tuple[str, int | None], tuple[str, ...]] = {}
    for entry, source in overrides.items() if isinstance(overrides, Mapping) else overrides:
        place = _place(entry)
        if place in checked:
            raise ValueError(f"overrides: {entry!r} is there twice; give all its addresses in one entry")
        texts = (source,) if isinstance(source, str) else tuple(source)
        addresses = tuple(text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text for text in texts)
        if not addresses or not all(map(is_numeric, addresses)):
            raise ValueError(f"overrides: {entry!r}: {source!r} is no IP address, and no list of them")
        checked[place] = addresses
    return checked


def _place(entry: str) -> tuple[str, int | None]:
    match = _PLACE.fullmatch(entry)
    if match is None or int(match[2] or 0) > _MAX_PORT:
        raise ValueError(f"overrides: {entry!r} is no 'host:port', 'host', '*:port' or '*'; put brackets around IPv6")
    host = match[1]
    if host != _ANY_HOST:
        if _ANY_HOST in host:
            raise ValueError(f"overrides: {entry!r}: '*' stands for all hosts, and only by itself")
        host = _folded(make_host(host, field=f"overrides: {entry!r}"))
    return host, int(match[2]) if match[2] else None


class PublicResolver:
    """Refuses whatever is not an address of the public Internet: for URLs that somebody else has chosen.

    ``open_manager(resolver=PublicResolver(), schemes={"http", "https"}, trust_env=False)`` fetches what anybody could
    fetch, but nothing from this machine, its network or its cloud's metadata service, whatever names, redirects or
    spellings an attacker comes up with: the address that was checked is the one that is dialled. If a name has one
    address that is not public, all of it is refused, for whoever owns the name has chosen them all.

    Public is unicast that the registries of RFC 6890 call globally reachable. Addresses that hold an IPv4 address are
    refused (IPv4-mapped, 6to4, Teredo, NAT64 of a network's own under ``64:ff9b:1::/48``), but those of the well-known
    NAT64 prefix (``64:ff9b::/96``) only if that IPv4 address is not public: networks without IPv4 need them. Who runs
    NAT64 under another prefix must block it there; it cannot be told from here.

    Behind a proxy, names are looked up by the proxy: then this resolver guards the way to the proxy alone. Connections
    to Unix sockets have no addresses; the schemes above keep them out.

    Args:
        resolver: who is asked; `SystemResolver` by default.
    """

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = SystemResolver() if resolver is None else resolver

    def __repr__(self) -> str:
        return f"PublicResolver({self._resolver!r})"

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """As `Resolver.resolve`.

        Raises:
            OSError: as `Resolver.resolve`; `PermissionError` if an address is refused.
            UnicodeError: as the resolver that is asked.
        """
        addresses = await self._resolver.resolve(host, port)
        for address in addresses:
            if not is_public(address):
                raise PermissionError(errno.EACCES, f"{address} is not a public address, and only those are allowed")
        return addresses


# The standard library's `is_global` differs between versions of Python, and finds multicast as global as unicast. So
# here is what IANA's registries of special-purpose addresses say, rounded up to whole blocks.
_SPECIAL_IPV4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # "this network", RFC 791; to many systems 0.0.0.0 is this machine
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared behind a carrier's NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local, RFC 3927; clouds' metadata services
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112; broadcast
    )
)
_UNICAST_IPV6 = ipaddress.IPv6Network("2000::/3")  # all that was ever given out, RFC 4291
_SPECIAL_IPV6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, RFC 2928: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


def is_public(address: str) -> bool:
    """Whether ``address`` is unicast that is reachable from everywhere; one with a zone is not.

    Raises:
        ValueError: ``address`` is not numeric.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return _is_public_ipv4(parsed)
    if parsed.scope_id is not None:
        return False
    if parsed in _NAT64:
        return _is_public_ipv4(ipaddress.IPv4Address(parsed.packed[-4:]))
    return parsed in _UNICAST_IPV6 and not any(parsed in block for block in _SPECIAL_IPV6)


def _is_public_ipv4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in block for block in _SPECIAL_IPV4)
