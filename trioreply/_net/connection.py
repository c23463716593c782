"""What a pool keeps: connections that can be asked without looking inside, and the keys under which they are kept."""

from __future__ import annotations

import ssl
from typing import Protocol

from attrs import frozen
from yarl import URL

from .._model.messages import Message
from .._model.request import Request
from .._model.ssl_configuration import DEFAULT_CONFIGURATION, SslConfiguration
from .._model.tls import TlsInfo
from .verification import Tolerance


@frozen
class TlsKey:
    """All that decides whom a secure connection accepts at the other end."""

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
        return cls(DEFAULT_CONFIGURATION if request.ssl is None else request.ssl, name)

    @property
    def configuration(self) -> SslConfiguration | None:
        """Ours; ``None`` if the user's own context decides."""
        return self.source if isinstance(self.source, SslConfiguration) else None


@frozen
class Origin:
    """Scheme, host and port; the key under which connections are kept. Prints as a URL does."""

    scheme: str
    host: str
    port: int
    tls: TlsKey | None = None
    """What else two requests must have in common to share a secure connection; ``None`` for a plain one."""

    @classmethod
    def of(cls, url: URL, tls: TlsKey | None = None) -> Origin:
        """The origin of ``url`` (RFC 9110 section 4.3.1), whose host and port are known to exist."""
        # yarl keeps an IPv6 zone as it stands in a URL, quoted (RFC 6874); the resolver wants it plain.
        return cls(url.scheme, (url.raw_host or "").replace("%25", "%"), url.port or 0, tls)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


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
