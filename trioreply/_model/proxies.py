"""Proxies, as values: how one is spoken to, where it is, who we are there, and through which other one it is reached.

A `Proxy` that exists is legal. It is also a part of the key under which connections are kept, so equal ones lead to the
same place in the same way: host names are brought into one form, a port that was left out is filled in, and all fields
can be hashed. What is secret in one takes part in that, but is never shown: not in ``repr``, not in ``str``, and not in
the text of an error.

That last rule decides how `read_proxy` complains. A URL with a mistake in it can be cut in several ways, and in one of
them its password may well be the host; so nothing of a text that makes no sense is repeated.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attrs import field, frozen
from yarl import URL

from .headers import HeaderSource, make_headers
from .securing import as_configuration, check_ssl, usual_configuration
from .urls import make_host, make_url

if TYPE_CHECKING:
    from ssl import SSLContext

    from .ssl_configuration import SslConfiguration

MAX_CHAIN = 8
"""Proxies on one way; more is a mistake in a program that makes them."""


class ProxyType(enum.Enum):
    """How a proxy is spoken to (``QNetworkProxy::ProxyType``)."""

    DEFAULT = "default"
    """As the manager, its factory or the environment says."""
    NONE = "none"
    """No proxy: the connection goes straight to the server."""
    HTTP = "http"
    """It forwards requests for ``http:``, and opens a tunnel (CONNECT) for everything else."""
    HTTP_CACHING = "http-caching"
    """It forwards requests for ``http:``, and can do nothing else (as Qt's)."""
    SOCKS5 = "socks5"
    """RFC 1928; names are resolved on this side."""
    SOCKS5H = "socks5h"
    """RFC 1928; names are resolved by the proxy. This is what Qt's ``Socks5Proxy`` does; curl calls it so, too."""
    SOCKS4 = "socks4"
    """The older protocol, for IPv4 only; names are resolved on this side."""
    SOCKS4A = "socks4a"
    """The older protocol; names are resolved by the proxy."""

    @property
    def can_forward(self) -> bool:
        """Whether it takes requests for ``http:`` and sends them on (``CachingCapability``)."""
        return self in (ProxyType.HTTP, ProxyType.HTTP_CACHING)

    @property
    def can_tunnel(self) -> bool:
        """Whether it carries any connection (``TunnelingCapability``)."""
        return self is ProxyType.HTTP or self.is_socks

    @property
    def is_socks(self) -> bool:
        """Whether it speaks a version of SOCKS."""
        return self in _SOCKS

    @property
    def resolves_names(self) -> bool:
        """Whether it is given host names, and not addresses (``HostNameLookupCapability``)."""
        return self.can_forward or self in (ProxyType.SOCKS5H, ProxyType.SOCKS4A)


_SOCKS = (ProxyType.SOCKS5, ProxyType.SOCKS5H, ProxyType.SOCKS4, ProxyType.SOCKS4A)
_NO_PASSWORD = (ProxyType.SOCKS4, ProxyType.SOCKS4A)
_NOWHERE = {ProxyType.DEFAULT: "the default proxy", ProxyType.NONE: "no proxy"}
"""The types that name no proxy, and how they are shown."""

_NOTHING: dict[str, object] = {"host": "", "port": 0, "headers": ()}
"""The fields that are not ``None`` where nothing is said."""

_HTTP_PORT, _HTTPS_PORT, _SOCKS_PORT = 80, 443, 1080

# They belong to the connection and to the framing of each message; a proxy's entry cannot know them.
_REFUSED_FIELDS = {"host", "content-length", "transfer-encoding", "connection"}
# RFC 7617 section 2 forbids control characters. RFC 1929 does not, but they are a mistake there, too; and half a
# character has no bytes that could be sent.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def _host(value: str) -> str:
    return "" if isinstance(value, str) and not value else make_host(value, field="host")


def _pairs(source: HeaderSource | None) -> tuple[tuple[str, str], ...]:
    if source is not None and not isinstance(source, Iterable):
        raise TypeError(f"headers: give a mapping, or pairs of name and value, not {type(source).__name__}")
    pairs = tuple(make_headers(source).items())
    for name, _ in pairs:
        if name.lower() in _REFUSED_FIELDS:
            raise ValueError(f"headers: {name} follows from each request; leave it out")
    return pairs


def _names_of(pairs: tuple[tuple[str, str], ...]) -> str:
    # Values may be credentials.
    return f"<{', '.join(name for name, _ in pairs)}>"


# A pool hashes it for every request.
@frozen(cache_hash=True)
class Proxy:
    """How to reach a server through another one (``QNetworkProxy``). Hashable; shows no secrets.

    ``Proxy()`` means "as usual", and ``Proxy(ProxyType.NONE)`` means none; those two have no other fields.

    Raises:
        ValueError, TypeError: a field is impossible, or does not fit the type; the text starts with its name.
    """

    type: ProxyType = ProxyType.DEFAULT
    host: str = field(default="", converter=_host)
    """A name or an address, without brackets; an international name in its ASCII form."""
    port: int = 0
    """0 becomes the usual one: 80 for HTTP, 443 for HTTP with ``tls``, 1080 for SOCKS."""
    user: str | None = None
    """Who we are; told to the proxy when it asks. ``None``: nobody in particular."""
    password: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, repr=_names_of)
    """Fields for the proxy itself: they go out with each CONNECT and each forwarded request. Only for HTTP."""
    tls: SslConfiguration | SSLContext | None = field(default=None, repr=False)
    """How the connection to the proxy itself is secured; ``None``: it is not. Only for HTTP."""
    via: Proxy | None = field(default=None, kw_only=True)
    """Another proxy, through which this one is reached."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.type, ProxyType):
            raise TypeError(f"type: {self.type!r} is no member of ProxyType")
        _check_port(self.port)
        if self.type in _NOWHERE:
            self._refuse("host", "port", "user", "password", "headers", "tls", "via")
            return
        if not self.host:
            raise ValueError("host: a proxy needs one; give its name or its address")
        if self.type.is_socks:
            self._refuse("headers", "tls")
        self._check_login()
        if self.tls is not None:
            _check_tls(self.tls)
        if self.via is not None:
            _check_via(self.via)
        if not self.port:
            object.__setattr__(self, "port", self._usual_port())

    def forwards(self, scheme: str) -> bool:
        """Whether it sees the requests for URLs of ``scheme`` and sends them on; else it is asked for a tunnel."""
        return scheme == "http" and self.type.can_forward

    def _refuse(self, *names: str) -> None:
        for name in names:
            value: object = getattr(self, name)
            if value != _NOTHING.get(name):
                raise ValueError(f"{name}: a Proxy of type {self.type.name} has none; leave it out")

    def _check_login(self) -> None:
        if self.user is None:
            if self.password is not None:
                raise ValueError("password: it is of no use without a user; give user= too")
            return
        _check_secret("user", self.user)
        if self.password is not None:
            _check_secret("password", self.password)
            if self.type in _NO_PASSWORD:
                raise ValueError("password: SOCKS4 has user names only; leave it out, or use SOCKS5")
        if self.type.can_forward and ":" in self.user:
            # RFC 7617 section 2. Without the name, which may have come out of a URL together with the password.
            raise ValueError("user: it holds a colon, which separates it from the password")

    def _usual_port(self) -> int:
        if self.type.is_socks:
            return _SOCKS_PORT
        return _HTTP_PORT if self.tls is None else _HTTPS_PORT

    def __str__(self) -> str:
        if self.type in _NOWHERE:
            return _NOWHERE[self.type]
        scheme = self.type.value if self.type.is_socks else "http" if self.tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = f"{scheme}://{host}:{self.port}"
        return place if self.via is None else f"{place} via {self.via}"


def _check_port(port: object) -> None:
    if not isinstance(port, int) or isinstance(port, bool):
        raise TypeError(f"port: give an int, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port: {port} is none; give 1 to 65535, or 0 for the usual one")


def _check_secret(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{name}: give a str, not {type(text).__name__}")
    if _FORBIDDEN.search(text):
        raise ValueError(f"{name}: it holds a control character, or half a character; remove it")


def _check_tls(tls: SslConfiguration | SSLContext) -> None:
    check_ssl(tls, field="tls")
    configuration = as_configuration(tls)
    # By its name: whoever has configured something has the class, and nobody else needs it here.
    if configuration is not None and configuration.verify.name == "QUERY":
        raise ValueError(
            "tls: VerifyMode.QUERY tells about a bad certificate, and nobody is asked about a proxy's; "
            "use PEER, or NONE if anybody may be the proxy"
        )


def _check_via(via: object) -> None:
    if not isinstance(via, Proxy):
        raise TypeError(f"via: give a Proxy, not {type(via).__name__}")
    if not via.type.can_tunnel:
        raise ValueError(f"via: a Proxy of type {via.type.name} opens no tunnel to another one; use HTTP or SOCKS")
    length, link = 1, via
    while link.via is not None:
        length, link = length + 1, link.via
    if length >= MAX_CHAIN:
        raise ValueError(f"via: more than {MAX_CHAIN} proxies one behind the other; shorten the chain")


_TYPES = {
    "http": ProxyType.HTTP,
    "https": ProxyType.HTTP,
    "socks": ProxyType.SOCKS5,
    "socks5": ProxyType.SOCKS5,
    "socks5h": ProxyType.SOCKS5H,
    "socks4": ProxyType.SOCKS4,
    "socks4a": ProxyType.SOCKS4A,
    "direct": ProxyType.NONE,
}
"""What the schemes mean; ``socks:`` is how desktops write it."""

ProxySource = Proxy | URL | str
"""What may be given for a proxy: a URL with one of the schemes ``http``, ``https`` (the connection to the proxy is
secured), ``socks4``, ``socks4a``, ``socks5``, ``socks`` (the same), ``socks5h``, and ``direct://`` for no proxy;
without a scheme it is one for HTTP."""

_ADVICE = (
    "write it like http://host:3128 or socks5h://user:password@host:1080, with special characters of user and password "
    "percent-encoded"
)


def make_proxy(value: ProxySource | None, field: str = "proxy") -> Proxy | None:
    """The proxy that ``value`` names; ``None`` remains. See `read_proxy`."""
    return None if value is None else read_proxy(value, field)


def read_proxy(value: ProxySource, field: str) -> Proxy:
    """The proxy that ``value`` names; see `ProxySource`.

    Raises:
        ValueError: it names none; the text starts with ``field`` and shows neither user nor password.
        TypeError: it is something else.
    """
    if isinstance(value, Proxy):
        return value
    if not isinstance(value, str | URL):
        raise TypeError(f"{field}: give a Proxy, a yarl.URL or a str, not {type(value).__name__}")
    if isinstance(value, str) and "://" not in value:
        value = f"http://{value}"
    try:
        # From None, because the text and the causes of the error may show what they should not.
        url = make_url(value, field=field)
    except ValueError:
        raise ValueError(f"{field}: it is no URL of a proxy; {_ADVICE}") from None
    return _proxy_of(url, field)


def _proxy_of(url: URL, field: str) -> Proxy:
    kind = _TYPES.get(url.scheme)
    if kind is None:
        # Without the scheme: in "user:password@host" it would be the user.
        raise ValueError(f"{field}: its scheme is none of {', '.join(_TYPES)}; {_ADVICE}")
    if url.raw_path not in ("", "/") or url.raw_query_string or url.raw_fragment:
        raise ValueError(f"{field}: there is more behind the host and the port, and a proxy has no path; {_ADVICE}")
    if kind is ProxyType.NONE:
        if url.raw_authority:
            raise ValueError(f"{field}: direct:// means no proxy, and there is something behind it; {_ADVICE}")
        return Proxy(kind)
    if not url.raw_host:
        raise ValueError(f"{field}: there is no host; {_ADVICE}")
    if url.explicit_port == 0:
        raise ValueError(f"{field}: port 0 is none; {_ADVICE}")
    return _proxy_there(url, kind, field)


def _proxy_there(url: URL, kind: ProxyType, field: str) -> Proxy:
    try:
        user, password = _decoded(url.raw_user), _decoded(url.raw_password)
    except UnicodeDecodeError:
        raise ValueError(f"{field}: user and password are not UTF-8; {_ADVICE}") from None
    if user is None and password is not None:
        user = ""  # yarl does not tell an empty user from none
    tls = usual_configuration() if url.scheme == "https" else None
    try:
        return Proxy(kind, url.raw_host or "", url.explicit_port or 0, user, password, tls=tls)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="strict")
