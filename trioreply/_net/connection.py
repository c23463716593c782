"""What a pool keeps: connections that can be asked without looking inside, and the keys under which they are kept.

Those keys are looked up for every request, so their equality and hash are compiled ones (see `_model.values`).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple, Protocol

from yarl import URL

from .._model.messages import Message
from .._model.proxies import Proxy
from .._model.request import Request
from .._model.securing import as_configuration, usual_configuration
from .._model.values import frozen

if TYPE_CHECKING:
    from .._model.ssl_configuration import SslConfiguration
    from .._model.tls import TlsInfo
    from .verification import Tolerance


class TlsKey(NamedTuple):
    """All that decides whom a secure connection accepts at the other end. A tuple, as `Origin` is."""

    source: SslConfiguration | ssl.SSLContext
    name: str
    """The host name or address that the certificate must have."""
    tolerance: Tolerance | None = None
    """The errors that are ignored."""

    @classmethod
    def of(cls, request: Request) -> TlsKey:
        """What ``request`` demands, before anything is ignored."""
        name = request.peer_verify_name or request.url.raw_host or ""
        # Neither a root's dot nor an interface is a part of what certificates name.
        name = name.rstrip(".").partition("%")[0]
        return cls(usual_configuration() if request.ssl is None else request.ssl, name)

    @classmethod
    def of_proxy(cls, proxy: Proxy) -> TlsKey:
        """What a connection to ``proxy`` itself demands."""
        return cls(usual_configuration() if proxy.tls is None else proxy.tls, proxy.host.rstrip(".").partition("%")[0])

    @property
    def configuration(self) -> SslConfiguration | None:
        """Ours; ``None`` if the user's own context decides."""
        return as_configuration(self.source)


@frozen
class Endpoint:
    """A host and a port, as a proxy is told them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class LocalName:
    """A server on this machine, by the path of its Unix socket, or by its abstract name after a NUL (Linux)."""

    path: str

    def __str__(self) -> str:
        return self.path.replace("\0", "@", 1)


Route = Proxy | LocalName | None
"""How a server is reached: through a proxy (whose ``via`` makes it a chain), as a local one, or over the network."""


class Origin(NamedTuple):
    """Scheme, host and port; the key under which connections are kept. Prints as a URL does.

    A tuple, because every request makes one, looks it up and compares it.
    """

    scheme: str
    host: str
    port: int
    tls: TlsKey | None = None
    """What else two requests must have in common to share a secure connection; ``None`` for a plain one."""
    route: Route = None
    """How the connection gets there. What another proxy brings, or brings in another user's name, is not the same."""

    @classmethod
    def of(cls, url: URL, tls: TlsKey | None = None, route: Route = None) -> Origin:
        """The origin of ``url`` (RFC 9110 section 4.3.1), whose host is known to exist."""
        # yarl keeps an IPv6 zone as it stands in a URL, quoted (RFC 6874); the resolver wants it plain.
        host = url.raw_host or ""
        return cls(url.scheme, host if "%" not in host else host.replace("%25", "%"), url.port or 0, tls, route)

    def __str__(self) -> str:
        place = f"{self.scheme}://{Endpoint(self.host, self.port) if self.port else self.host}"
        if self.route is None:
            return place
        return f"{place} via {self.route}" if isinstance(self.route, Proxy) else f"{place} at {self.route}"


class Connection(Protocol):
    """What the pool asks of a connection."""

    @property
    def is_reusable(self) -> bool:
        """Whether another request may use it."""
        ...

    @property
    def tls(self) -> TlsInfo | None:
        """The secure channel underneath, if there is one."""
        ...

    def is_dead(self) -> bool:
        """Whether an idle connection has something to read: an end, or bytes nobody asked for. Either ruins it."""
        ...

    def close_nowait(self) -> None:
        """Close at once. Idempotent."""
        ...


class MessageSink(Protocol):
    """As much of a sink as a connection needs: it reports, and asks nothing."""

    async def put(self, message: Message) -> None:
        """See `trioreply.abc.Sink.put`."""
        ...
