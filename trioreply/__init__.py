"""trioreply: Qt's network access model as a native Trio library.

`open_manager` gives a `Manager`; its verbs open a `Reply` each, in a block of its own; a reply carries typed events and
is read like a device. `fetch` does a whole exchange in one call. Start with the tutorial in the documentation.
"""

from . import abc as abc
from . import errors as errors
from . import events as events
from ._config import (
    ManagerConfig,
)
from ._facade import export
from ._jobs.download import (
    Download,
)
from ._jobs.event_stream import (
    EventStream,
)
from ._jobs.fetch_all import (
    FetchAll,
    FetchResult,
)
from ._manager import (
    Manager,
    ManagerStatistics,
)
from ._model.auth import (
    Bearer,
    UserPassword,
)
from ._model.bodies import (
    BodySource,
)
from ._model.content import (
    FilesSource,
)
from ._model.cookies import (
    Cookie,
    CookieId,
    CookieStoreError,
    SameSite,
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
from ._model.field_values import (
    ByteRange,
    ContentDisposition,
    ContentType,
    Link,
)
from ._model.forms import (
    FilenameOption,
    FormBody,
    FormSource,
    MultipartBody,
    Part,
)
from ._model.headers import (
    HeaderSource,
)
from ._model.hsts import (
    HstsPolicy,
    HstsStoreError,
)
from ._model.known_headers import (
    KnownHeader,
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
from ._model.request_factory import (
    RequestFactory,
)
from ._model.response import (
    Response,
)
from ._model.retry import (
    RetryPolicy,
)
from ._model.server_sent_event import (
    ServerSentEvent,
)
from ._model.ssl_configuration import (
    SslConfiguration,
    TlsVersion,
    VerifyMode,
)
from ._model.timings import (
    Timings,
)
from ._model.tls import (
    Certificate,
    SslError,
    SslErrorCode,
    TlsInfo,
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
from ._policies.cookie_store import (
    SqliteCookieStore,
)
from ._policies.cookiejar import (
    CookieJar,
)
from ._policies.hsts_store import (
    HstsStore,
)
from ._policies.proxy_decide import (
    ProxyFactory,
)
from ._policies.proxy_environment import (
    EnvironmentProxies,
)
from ._reply.records import (
    JsonLines,
    ServerSentEvents,
)
from ._reply.reply import (
    OpenReply,
    Reply,
)
from ._schemes.reply_writer import (
    ReplyWriter,
    reply_handler,
)
from ._version import (
    __version__,
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
    "ByteRange",
    "CacheLoad",
    "CachingResolver",
    "Certificate",
    "Challenge",
    "ConnectionLeased",
    "ConnectionQueued",
    "ContentAccessDenied",
    "ContentConflictError",
    "ContentDisposition",
    "ContentError",
    "ContentGoneError",
    "ContentNotFoundError",
    "ContentOperationNotPermittedError",
    "ContentReSendError",
    "ContentType",
    "Cookie",
    "CookieId",
    "CookieJar",
    "CookieStoreError",
    "Direction",
    "Download",
    "Encrypted",
    "EnvironmentProxies",
    "ErrorOccurred",
    "Event",
    "EventStream",
    "FetchAll",
    "FetchFields",
    "FetchOptions",
    "FetchResult",
    "FilenameOption",
    "FilesSource",
    "Finished",
    "FormBody",
    "FormSource",
    "HeaderSource",
    "HostNotFoundError",
    "HstsPolicy",
    "HstsStore",
    "HstsStoreError",
    "Http2",
    "Informational",
    "InsecureRedirectError",
    "InternalServerError",
    "JsonLines",
    "KeepAlive",
    "KnownHeader",
    "Limits",
    "Link",
    "LoadControl",
    "Manager",
    "ManagerConfig",
    "ManagerStatistics",
    "Message",
    "MetaDataChanged",
    "MultipartBody",
    "NetworkError",
    "NetworkSessionFailedError",
    "OnFailure",
    "OpenManager",
    "OpenReply",
    "Operation",
    "OperationCanceledError",
    "OperationNotImplementedError",
    "Part",
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
    "ReplyWriter",
    "Request",
    "RequestChanges",
    "RequestFactory",
    "RequestFields",
    "RequestProgress",
    "RequestSent",
    "Response",
    "ResponseData",
    "ResponseHead",
    "ResponseTrailers",
    "RetryPolicy",
    "Retrying",
    "SameSite",
    "ServerError",
    "ServerSentEvent",
    "ServerSentEvents",
    "ServiceUnavailableError",
    "SlotCounts",
    "SocketStartedConnecting",
    "SqliteCookieStore",
    "SslConfiguration",
    "SslError",
    "SslErrorCode",
    "SslErrors",
    "SslHandshakeFailedError",
    "SystemResolver",
    "TcpDialer",
    "TemporaryNetworkFailureError",
    "Timings",
    "TlsAnswer",
    "TlsInfo",
    "TlsQuestion",
    "TlsVersion",
    "TooManyRedirectsError",
    "TransportError",
    "UnknownContentError",
    "UnknownNetworkError",
    "UnknownProxyError",
    "UnknownServerError",
    "UserPassword",
    "VerifyMode",
    "WireLimits",
    "__version__",
    "fetch",
    "open_manager",
    "reply_handler",
)

export(globals(), __all__, module=__name__)
