"""Every way a reply can fail: Qt's error codes and one exception class for each.

The codes are those of ``QNetworkReply::NetworkError`` (Qt 6.12), with the same numbers, because people compare and
store them. Each code but ``NO_ERROR`` has exactly one exception class under Qt's own name. The abstract classes in
between (`TransportError` ... `ServerError`) follow the hundreds of the numbers, so ``except ProxyError`` means "101 to
199".

Where Python or Trio already has a name for what happened the class is that too: code that catches
`trio.ClosedResourceError` or the built-in `TimeoutError` works without knowing us. That is why this file, alone in its
package, imports Trio. `ReplyError` must not get non-empty ``__slots__``: its subclasses share a layout with `OSError`.

An error is made deep down, by code that knows what happened but not for whom; the reply that ends with it fills in
``url``, ``status_code`` and ``reply`` (see `ReplyError.locate`).
"""

from __future__ import annotations

import builtins
import enum
import errno
from typing import TYPE_CHECKING, ClassVar, TypeVar

import trio

if TYPE_CHECKING:
    from .exchange import ReplyLike


class NetworkError(enum.IntEnum):
    """What went wrong with a reply, or `NO_ERROR`; Qt's numbers (``QNetworkReply::NetworkError``)."""

    NO_ERROR = 0
    CONNECTION_REFUSED = 1
    REMOTE_HOST_CLOSED = 2
    HOST_NOT_FOUND = 3
    TIMEOUT = 4
    OPERATION_CANCELED = 5
    SSL_HANDSHAKE_FAILED = 6
    TEMPORARY_NETWORK_FAILURE = 7
    NETWORK_SESSION_FAILED = 8
    BACKGROUND_REQUEST_NOT_ALLOWED = 9
    TOO_MANY_REDIRECTS = 10
    INSECURE_REDIRECT = 11
    UNKNOWN_NETWORK = 99
    PROXY_CONNECTION_REFUSED = 101
    PROXY_CONNECTION_CLOSED = 102
    PROXY_NOT_FOUND = 103
    PROXY_TIMEOUT = 104
    PROXY_AUTHENTICATION_REQUIRED = 105
    UNKNOWN_PROXY = 199
    CONTENT_ACCESS_DENIED = 201
    CONTENT_OPERATION_NOT_PERMITTED = 202
    CONTENT_NOT_FOUND = 203
    AUTHENTICATION_REQUIRED = 204
    CONTENT_RE_SEND = 205
    CONTENT_CONFLICT = 206
    CONTENT_GONE = 207
    UNKNOWN_CONTENT = 299
    PROTOCOL_UNKNOWN = 301
    PROTOCOL_INVALID_OPERATION = 302
    PROTOCOL_FAILURE = 399
    INTERNAL_SERVER = 401
    OPERATION_NOT_IMPLEMENTED = 402
    SERVICE_UNAVAILABLE = 403
    UNKNOWN_SERVER = 499

    @property
    def exception(self) -> type[ReplyError] | None:
        """The exception class raised for this code; ``None`` for `NO_ERROR`, which is not a failure."""
        return _EXCEPTIONS.get(self)


_EXCEPTIONS: dict[NetworkError, type[ReplyError]] = {}


class ReplyError(Exception):
    """A reply failed. The base of every error that trioreply raises for what the network or a server did.

    The cause (an `OSError`, a parser's complaint, your own body iterable's exception) is in ``__cause__``.
    """

    code: ClassVar[NetworkError] = NetworkError.UNKNOWN_NETWORK
    """Qt's code for this kind of failure; of an error in general, and of a group, the one that says no more."""
    resendable = False
    """Whether nothing of an answer had come, so that the request may be sent again if its method and body allow."""
    proxy_failed = False
    """Whether it was a proxy that did not work, before anything was sent to the server, so that another one may do."""
    proxy_reached = False
    """Whether that proxy was there, so that it may yet serve others: it may have waited for a server in its turn."""
    is_final = False
    """Whether another attempt can only end as this one, whatever a `RetryPolicy` says."""

    def __init__(
        self,
        message: str = "",
        *,
        url: str | None = None,
        status_code: int | None = None,
        reply: ReplyLike | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.url = url
        """The URL that failed, as text without user name and password; ``None`` where no reply is concerned."""
        self.status_code = status_code
        """The HTTP status, if a response head had arrived."""
        self.reply = reply
        """The reply that ended with this error: its headers and its partial body are still readable."""

    def __init_subclass__(cls, *, code: NetworkError | None = None) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code
            _EXCEPTIONS.setdefault(code, cls)  # a class of the application's takes nobody's place

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[ReplyError], tuple[object, ...], dict[str, object]]:
        # A reply lives in one run of Trio: copies and pickles of its error go without it.
        return type(self), self.args, {**self.__dict__, "reply": None}

    def locate(self, *, url: str | None, status_code: int | None, reply: ReplyLike | None) -> None:
        """Fill in what the place that raised this could not know; what is set already stays."""
        self.url = self.url or url
        self.status_code = self.status_code or status_code
        self.reply = self.reply or reply


E = TypeVar("E", bound=ReplyError)


def out_of_order(error: E) -> E:
    """``error`` with the mark that it is a proxy that does not work."""
    error.proxy_failed = True
    return error


class TransportError(ReplyError):
    """The network between us and the server failed (codes 1 to 99)."""


class ProxyError(ReplyError):
    """A proxy failed or refused (codes 101 to 199)."""

    code = NetworkError.UNKNOWN_PROXY


class ContentError(ReplyError):
    """The server answered, and the content is not to be had (codes 201 to 299)."""

    code = NetworkError.UNKNOWN_CONTENT


class ProtocolError(ReplyError):
    """The request or the answer does not follow the protocol (codes 301 to 399)."""

    code = NetworkError.PROTOCOL_FAILURE


class ServerError(ReplyError):
    """The server says that it failed (codes 401 to 499)."""

    code = NetworkError.UNKNOWN_SERVER


class ConnectionRefusedError(TransportError, builtins.ConnectionRefusedError, code=NetworkError.CONNECTION_REFUSED):
    """Nobody listens at that address and port."""

    def __init__(
        self,
        message: str = "",
        *,
        url: str | None = None,
        status_code: int | None = None,
        reply: ReplyLike | None = None,
    ) -> None:
        super().__init__(message, url=url, status_code=status_code, reply=reply)
        self.errno = errno.ECONNREFUSED


class RemoteHostClosedError(TransportError, trio.BrokenResourceError, code=NetworkError.REMOTE_HOST_CLOSED):
    """The server closed the connection before the response was complete."""


class HostNotFoundError(TransportError, code=NetworkError.HOST_NOT_FOUND):
    """The host name has no address."""


class TimeoutError(TransportError, builtins.TimeoutError, code=NetworkError.TIMEOUT):
    """``connect_timeout``, ``transfer_timeout`` or the deadline of ``reply.cancel_scope`` has passed."""

    def __init__(
        self,
        message: str = "",
        *,
        url: str | None = None,
        status_code: int | None = None,
        reply: ReplyLike | None = None,
    ) -> None:
        super().__init__(message, url=url, status_code=status_code, reply=reply)
        self.errno = errno.ETIMEDOUT


class OperationCanceledError(TransportError, trio.ClosedResourceError, code=NetworkError.OPERATION_CANCELED):
    """The reply was stopped from our side: ``abort()``, ``close()``, a cancel scope, or the manager closing."""


class SslHandshakeFailedError(TransportError, code=NetworkError.SSL_HANDSHAKE_FAILED):
    """No secure channel: the certificate was refused, or the two sides share no protocol."""


class TemporaryNetworkFailureError(TransportError, code=NetworkError.TEMPORARY_NETWORK_FAILURE):
    """The network itself is unreachable at the moment."""


class NetworkSessionFailedError(TransportError, code=NetworkError.NETWORK_SESSION_FAILED):
    """Kept for Qt's numbering; never raised by the built-in schemes."""


class BackgroundRequestNotAllowedError(TransportError, code=NetworkError.BACKGROUND_REQUEST_NOT_ALLOWED):
    """Kept for Qt's numbering; never raised by the built-in schemes."""


class TooManyRedirectsError(TransportError, code=NetworkError.TOO_MANY_REDIRECTS):
    """More redirects than ``max_redirects``."""


class InsecureRedirectError(TransportError, code=NetworkError.INSECURE_REDIRECT):
    """A redirect that the redirect policy does not allow."""


class UnknownNetworkError(TransportError, code=NetworkError.UNKNOWN_NETWORK):
    """Any other failure below HTTP, and any exception of your own code that ran for the reply (see ``__cause__``)."""


class ProxyConnectionRefusedError(ProxyError, code=NetworkError.PROXY_CONNECTION_REFUSED):
    """The proxy refused the connection."""


class ProxyConnectionClosedError(ProxyError, code=NetworkError.PROXY_CONNECTION_CLOSED):
    """The proxy closed the connection before it answered."""


class ProxyNotFoundError(ProxyError, code=NetworkError.PROXY_NOT_FOUND):
    """The proxy's host name has no address, or no proxy fits the request."""


class ProxyTimeoutError(ProxyError, code=NetworkError.PROXY_TIMEOUT):
    """The proxy did not answer in time."""


class ProxyAuthenticationRequiredError(ProxyError, code=NetworkError.PROXY_AUTHENTICATION_REQUIRED):
    """The proxy wants credentials that it did not get (status 407)."""


class UnknownProxyError(ProxyError, code=NetworkError.UNKNOWN_PROXY):
    """Any other failure of a proxy."""


class ContentAccessDenied(ContentError, code=NetworkError.CONTENT_ACCESS_DENIED):  # noqa: N818 - Qt's spelling
    """Access is refused (status 403)."""


class ContentOperationNotPermittedError(ContentError, code=NetworkError.CONTENT_OPERATION_NOT_PERMITTED):
    """The operation is not allowed on this resource (status 405)."""


class ContentNotFoundError(ContentError, code=NetworkError.CONTENT_NOT_FOUND):
    """The resource does not exist (status 404)."""


class AuthenticationRequiredError(ContentError, code=NetworkError.AUTHENTICATION_REQUIRED):
    """The server wants credentials that it did not get (status 401)."""


class ContentReSendError(ContentError, code=NetworkError.CONTENT_RE_SEND):
    """The body must be sent again and cannot be rewound. Give it as bytes, or as a path."""


class ContentConflictError(ContentError, code=NetworkError.CONTENT_CONFLICT):
    """The request conflicts with the state of the resource (status 409)."""


class ContentGoneError(ContentError, code=NetworkError.CONTENT_GONE):
    """The resource is gone for good (status 410)."""


class UnknownContentError(ContentError, code=NetworkError.UNKNOWN_CONTENT):
    """Any other problem with the content: other 4xx statuses, undecodable or too large bodies."""


class ProtocolUnknownError(ProtocolError, code=NetworkError.PROTOCOL_UNKNOWN):
    """No handler for the URL's scheme, or the scheme cannot do this operation."""


class ProtocolInvalidOperationError(ProtocolError, code=NetworkError.PROTOCOL_INVALID_OPERATION):
    """The server found the request itself invalid (statuses 400 and 418)."""


class ProtocolFailure(ProtocolError, code=NetworkError.PROTOCOL_FAILURE):  # noqa: N818 - Qt's spelling
    """The peer broke the protocol: what it sent cannot be trusted, so nothing of it is called a success."""


class InternalServerError(ServerError, code=NetworkError.INTERNAL_SERVER):
    """The server failed inside (status 500)."""


class OperationNotImplementedError(ServerError, code=NetworkError.OPERATION_NOT_IMPLEMENTED):
    """The server does not know this method (status 501)."""


class ServiceUnavailableError(ServerError, code=NetworkError.SERVICE_UNAVAILABLE):
    """The server cannot answer now (status 503)."""


class UnknownServerError(ServerError, code=NetworkError.UNKNOWN_SERVER):
    """Any other server error (statuses above 500)."""


_BY_STATUS = {
    400: NetworkError.PROTOCOL_INVALID_OPERATION,
    401: NetworkError.AUTHENTICATION_REQUIRED,
    403: NetworkError.CONTENT_ACCESS_DENIED,
    404: NetworkError.CONTENT_NOT_FOUND,
    405: NetworkError.CONTENT_OPERATION_NOT_PERMITTED,
    407: NetworkError.PROXY_AUTHENTICATION_REQUIRED,
    409: NetworkError.CONTENT_CONFLICT,
    410: NetworkError.CONTENT_GONE,
    418: NetworkError.PROTOCOL_INVALID_OPERATION,
    500: NetworkError.INTERNAL_SERVER,
    501: NetworkError.OPERATION_NOT_IMPLEMENTED,
    503: NetworkError.SERVICE_UNAVAILABLE,
}


def error_for_status(status_code: int) -> NetworkError:
    """The error an HTTP status amounts to (Qt's table, measured for 90 codes); below 400 none."""
    if status_code < 400:
        return NetworkError.NO_ERROR
    fallback = NetworkError.UNKNOWN_CONTENT if status_code < 500 else NetworkError.UNKNOWN_SERVER
    return _BY_STATUS.get(status_code, fallback)


def status_error_string(status_code: int, reason: str, url: str) -> str:
    """The text that goes with `error_for_status`, in the sense of Qt's."""
    if status_code == 401:
        return "Host requires authentication"
    if status_code == 407:
        return "Proxy requires authentication"
    if reason:
        return f"Error transferring {url} - server replied: {reason}"
    return f"Error transferring {url} - server replied with status code {status_code}"
