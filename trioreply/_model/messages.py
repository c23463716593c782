"""What travels up from a scheme handler to the reply: one frozen class per thing that happens in an exchange.

A handler (built-in or yours) calls ``await sink.put(message)`` for each, in this order::

    [ConnectionQueued] ConnectionLeased (SocketStartedConnecting)* [SslErrors] [Encrypted]
        (RequestProgress)* RequestSent (Informational)* ResponseHead (ResponseData)* [ResponseTrailers]

Only `ResponseHead` is required; `ReplyDetails` may come at any time. Messages that mean the same to the reader as to us
are the event classes themselves.
Questions go through ``await sink.ask(question)``, which gives the answer, or ``None`` when nobody wants to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import field, validators
from yarl import URL

from .credentials import Challenge
from .events import Encrypted, Informational, Redirected, RequestSent, Retrying, SocketStartedConnecting, SslErrors
from .headers import EMPTY, Headers, trusted_headers
from .options import Attribute, Operation
from .proxies import Proxy
from .request import Request
from .urls import display, make_url
from .values import frozen

if TYPE_CHECKING:
    from .tls import Certificate, SslError, TlsInfo

A = TypeVar("A")


@frozen
class ConnectionQueued:
    """All connections the limits allow are busy; the request waits for one."""


@frozen
class ConnectionLeased:
    """The request may use a connection: a kept one, or one that is dialled now."""

    reused: bool
    tls: TlsInfo | None = None
    """The secure channel of a kept connection; a new one tells with `Encrypted`."""


@frozen
class RequestProgress:
    """``done`` bytes of the request's body have been handed to the network; ``complete`` with the last."""

    done: int
    total: int | None = None
    complete: bool = False


@frozen
class ResponseHead:
    """Status line and fields of a final response. A local scheme without statuses gives ``None`` for it."""

    status_code: int | None = None
    reason: str = ""
    headers: Headers = field(default=EMPTY, converter=trusted_headers, hash=False)
    http_version: str = ""
    original_content_length: int | None = None
    """The length of the body on the wire, where it comes decoded and ``headers`` cannot say so."""


@frozen
class ResponseData:
    """A piece of the body, and how many bytes it was on the wire (fewer, if it came compressed)."""

    data: bytes = field(repr=False)
    wire_size: int | None = None


@frozen
class ResponseTrailers:
    """Fields after the body (RFC 9110 section 6.5)."""

    headers: Headers = field(converter=trusted_headers, hash=False)


def _attributes(source: Mapping[Attribute, object]) -> Mapping[Attribute, object]:
    for attribute in source:
        if not isinstance(attribute, Attribute):
            raise TypeError(f"attributes: {attribute!r} is none; give members of Attribute")
    return MappingProxyType(dict(source))


def _optional_url(source: str | URL | None) -> URL | None:
    return None if source is None else make_url(source)


def _shown_url(url: URL | None) -> str:
    return "None" if url is None else display(url)


@frozen(kw_only=True)
class ReplyDetails:
    """What the reply shows of itself from now on (``setUrl``, ``setRequest``, ...). It is no event.

    ``None`` leaves things as they are, and so does an attribute that is not named.

    Raises:
        TypeError: a field has the wrong type.
        ValueError: ``url`` is none.
    """

    url: URL | None = field(default=None, converter=_optional_url, repr=_shown_url)
    """Where the content really comes from."""
    request: Request | None = field(default=None, validator=validators.optional(validators.instance_of(Request)))
    """What to show as the request; its body stays the one that was sent."""
    operation: Operation | None = field(default=None, validator=validators.optional(validators.instance_of(Operation)))
    attributes: Mapping[Attribute, object] = field(factory=dict, converter=_attributes, hash=False)
    """Facts that only the handler knows. They come before what the reply would say itself."""


Message = (
    ConnectionQueued
    | ConnectionLeased
    | SocketStartedConnecting
    | SslErrors
    | Encrypted
    | RequestProgress
    | RequestSent
    | Informational
    | ResponseHead
    | ResponseData
    | ResponseTrailers
    | Redirected
    | Retrying
    | ReplyDetails
)
"""Everything `Sink.put` takes."""


@frozen
class Question(Generic[A]):
    """Something only the application can decide; ``A`` is the type of an answer."""


@frozen
class TlsAnswer:
    """Go on in spite of these ``errors``; with ``everything`` in spite of any others, too."""

    errors: tuple[SslError, ...]
    everything: bool = False


OWN_CONTEXT = (
    "the request's own ssl.SSLContext decides alone which certificates are accepted; give a "
    "SslConfiguration instead, or load the certificate into that context"
)
"""Why errors that a user's context has found cannot be ignored, and what to do."""


@frozen
class TlsQuestion(Question[TlsAnswer]):
    """Go on in spite of these errors?"""

    errors: tuple[SslError, ...]
    peer_chain: tuple[Certificate, ...] = ()
    tls: TlsInfo | None = None
    """As much as is known of the channel that was refused."""
    final: str = ""
    """If nothing can be ignored: why, and what to do instead. Nobody is waited for then."""
    strict: bool = False
    """Whether the host must be secure (RFC 6797 section 8.4): errors are told, and ignoring them has no effect (Qt)."""


@frozen
class AuthenticationQuestion(Question[tuple[str, str]]):
    """Which user and password for the origin server?"""

    url: URL = field(repr=display)
    challenge: Challenge


@frozen
class ProxyChallenge(Question[tuple[str, str]]):
    """Which user and password for the proxy?"""

    proxy: Proxy
    challenge: Challenge


@frozen
class RedirectQuestion(Question[bool]):
    """Follow this redirect?"""

    status_code: int
    url: URL = field(repr=display)
