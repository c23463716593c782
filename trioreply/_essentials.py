"""What every exchange needs, imported together: the package's `__getattr__` does it when any of its names is used.

All of these say that they come from the package as soon as they are there, so nobody may import the package's parts
without this module who shows them to users.
"""

from ._config import (
    ManagerConfig,
)
from ._facade import export
from ._manager import (
    Manager,
    ManagerStatistics,
)
from ._model import errors as _errors
from ._model.auth import (
    Bearer,
    UserPassword,
)
from ._model.bodies import (
    BodySource,
)
from ._model.credentials import (
    Challenge,
)
from ._model.errors import (
    AuthenticationRequiredError,
    BackgroundRequestNotAllowedError,
    ContentAccessDenied,
    ContentConflictError,
    ContentError,
    ContentGoneError,
    ContentNotFoundError,
    ContentOperationNotPermittedError,
    ContentReSendError,
    HostNotFoundError,
    InsecureRedirectError,
    InternalServerError,
    NetworkError,
    NetworkSessionFailedError,
    OperationCanceledError,
    OperationNotImplementedError,
    ProtocolError,
    ProtocolFailure,
    ProtocolInvalidOperationError,
    ProtocolUnknownError,
    ProxyAuthenticationRequiredError,
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ProxyError,
    ProxyNotFoundError,
    ProxyTimeoutError,
    RemoteHostClosedError,
    ReplyError,
    ServerError,
    ServiceUnavailableError,
    SslHandshakeFailedError,
    TemporaryNetworkFailureError,
    TooManyRedirectsError,
    TransportError,
    UnknownContentError,
    UnknownNetworkError,
    UnknownProxyError,
    UnknownServerError,
)
from ._model.events import (
    AuthenticationRequired,
    Encrypted,
    ErrorOccurred,
    Event,
    Finished,
    Informational,
    MetaDataChanged,
    Progress,
    ProxyAuthenticationRequired,
    QuestionEvent,
    ReadyRead,
    Redirected,
    RequestSent,
    Retrying,
    SocketStartedConnecting,
    SslErrors,
)
from ._model.headers import (
    HeaderSource,
)
from ._model.limits import (
    Limits,
)
from ._model.messages import (
    AuthenticationQuestion,
    ConnectionLeased,
    ConnectionQueued,
    Message,
    ProxyChallenge,
    Question,
    RedirectQuestion,
    ReplyDetails,
    RequestProgress,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    TlsAnswer,
    TlsQuestion,
)
from ._model.options import (
    Attribute,
    CacheLoad,
    Direction,
    Http2,
    LoadControl,
    OnFailure,
    Operation,
    Priority,
    RedirectPolicy,
)
from ._model.proxies import (
    Proxy,
    ProxySource,
    ProxyType,
)
from ._model.request import (
    FetchFields,
    FetchOptions,
    QuerySource,
    Request,
    RequestChanges,
    RequestFields,
)
from ._model.response import (
    Response,
)
from ._model.retry import (
    RetryPolicy,
)
from ._model.timings import (
    Timings,
)
from ._net.dialers import (
    KeepAlive,
    TcpDialer,
)
from ._net.resolvers import (
    CachingResolver,
    PublicResolver,
    SystemResolver,
)
from ._net.slots import (
    SlotCounts,
)
from ._opening import (
    OpenManager,
    fetch,
    open_manager,
)
from ._policies.proxy_decide import (
    ProxyFactory,
)
from ._reply.reply import (
    OpenReply,
    Reply,
)
from ._wire.h1_rules import (
    WireLimits,
)

__all__ = (
    "Attribute",
    "AuthenticationQuestion",
    "AuthenticationRequired",
    "AuthenticationRequiredError",
    "BackgroundRequestNotAllowedError",
    "Bearer",
    "BodySource",
    "CacheLoad",
    "CachingResolver",
    "Challenge",
    "ConnectionLeased",
    "ConnectionQueued",
    "ContentAccessDenied",
    "ContentConflictError",
    "ContentError",
    "ContentGoneError",
    "ContentNotFoundError",
    "ContentOperationNotPermittedError",
    "ContentReSendError",
    "Direction",
    "Encrypted",
    "ErrorOccurred",
    "Event",
    "FetchFields",
    "FetchOptions",
    "Finished",
    "HeaderSource",
    "HostNotFoundError",
    "Http2",
    "Informational",
    "InsecureRedirectError",
    "InternalServerError",
    "KeepAlive",
    "Limits",
    "LoadControl",
    "Manager",
    "ManagerConfig",
    "ManagerStatistics",
    "Message",
    "MetaDataChanged",
    "NetworkError",
    "NetworkSessionFailedError",
    "OnFailure",
    "OpenManager",
    "OpenReply",
    "Operation",
    "OperationCanceledError",
    "OperationNotImplementedError",
    "Priority",
    "Progress",
    "ProtocolError",
    "ProtocolFailure",
    "ProtocolInvalidOperationError",
    "ProtocolUnknownError",
    "Proxy",
    "ProxyAuthenticationRequired",
    "ProxyAuthenticationRequiredError",
    "ProxyChallenge",
    "ProxyConnectionClosedError",
    "ProxyConnectionRefusedError",
    "ProxyError",
    "ProxyFactory",
    "ProxyNotFoundError",
    "ProxySource",
    "ProxyTimeoutError",
    "ProxyType",
    "PublicResolver",
    "QuerySource",
    "Question",
    "QuestionEvent",
    "ReadyRead",
    "RedirectPolicy",
    "RedirectQuestion",
    "Redirected",
    "RemoteHostClosedError",
    "Reply",
    "ReplyDetails",
    "ReplyError",
    "Request",
    "RequestChanges",
    "RequestFields",
    "RequestProgress",
    "RequestSent",
    "Response",
    "ResponseData",
    "ResponseHead",
    "ResponseTrailers",
    "RetryPolicy",
    "Retrying",
    "ServerError",
    "ServiceUnavailableError",
    "SlotCounts",
    "SocketStartedConnecting",
    "SslErrors",
    "SslHandshakeFailedError",
    "SystemResolver",
    "TcpDialer",
    "TemporaryNetworkFailureError",
    "Timings",
    "TlsAnswer",
    "TlsQuestion",
    "TooManyRedirectsError",
    "TransportError",
    "UnknownContentError",
    "UnknownNetworkError",
    "UnknownProxyError",
    "UnknownServerError",
    "UserPassword",
    "WireLimits",
    "fetch",
    "open_manager",
)

export(globals(), __all__, module=__package__)
# These two are not to be had from the package itself, where they would hide Python's own.
export(vars(_errors), ("ConnectionRefusedError", "TimeoutError"), module=f"{__package__}.errors")
