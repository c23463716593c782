"""What a pool keeps: an origin, and a connection to it that can be asked without looking inside."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen
from yarl import URL

from .._model.messages import Message


@frozen
class Origin:
    """Scheme, host and port; the key under which connections are kept. Prints as a URL does."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: URL) -> Origin:
        """The origin of ``url`` (RFC 9110 section 4.3.1), whose host and port are known to exist."""
        # yarl keeps an IPv6 zone as it stands in a URL, quoted (RFC 6874); the resolver wants it plain.
        return cls(url.scheme, (url.raw_host or "").replace("%25", "%"), url.port or 0)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Connection(Protocol):
    """What the pool asks of a connection."""

    @property
    def is_reusable(self) -> bool:
        """Whether another request may use it."""
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
