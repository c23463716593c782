"""trioreply: Qt's network access model as a native Trio library.

`open_manager` gives a `Manager`; its verbs open a `Reply` each, in a block of its own; a reply carries typed events and
is read like a device. `fetch` does a whole exchange in one call. Start with the tutorial in the documentation.

Importing the package alone imports nothing else. The first use of any of its names imports what every exchange needs
(`trioreply._essentials`), and what is for some programs only comes with its own name, or when an exchange turns out to
need it. So a program that is to find out at its start that something is wrong with its installation, or that has no
time to lose later, writes ``from trioreply import open_manager`` at its top, as most do anyway.
"""

from typing import TYPE_CHECKING

from ._facade import finder
from ._version import __version__

if TYPE_CHECKING:
    from . import abc as abc
    from . import errors as errors
    from . import events as events
    from ._config import (
        ManagerConfig,
    )
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
    from ._wire.h1_rules import (
        WireLimits,
    )

_HOMES = {  # of the names that do not come with the essentials
    "ByteRange": "._model.field_values",
    "Certificate": "._model.tls",
    "ContentDisposition": "._model.field_values",
    "ContentType": "._model.field_values",
    "Cookie": "._model.cookies",
    "CookieId": "._model.cookies",
    "CookieJar": "._policies.cookiejar",
    "CookieStoreError": "._model.cookies",
    "Download": "._jobs.download",
    "EnvironmentProxies": "._policies.proxy_environment",
    "EventStream": "._jobs.event_stream",
    "FetchAll": "._jobs.fetch_all",
    "FetchResult": "._jobs.fetch_all",
    "FilenameOption": "._model.forms",
    "FilesSource": "._model.content",
    "FormBody": "._model.forms",
    "FormSource": "._model.forms",
    "HstsPolicy": "._model.hsts",
    "HstsStore": "._policies.hsts_store",
    "HstsStoreError": "._model.hsts",
    "JsonLines": "._reply.records",
    "KnownHeader": "._model.known_headers",
    "Link": "._model.field_values",
    "MultipartBody": "._model.forms",
    "Part": "._model.forms",
    "ReplyWriter": "._schemes.reply_writer",
    "RequestFactory": "._model.request_factory",
    "SameSite": "._model.cookies",
    "ServerSentEvent": "._model.server_sent_event",
    "ServerSentEvents": "._reply.records",
    "SqliteCookieStore": "._policies.cookie_store",
    "SslConfiguration": "._model.ssl_configuration",
    "SslError": "._model.tls",
    "SslErrorCode": "._model.tls",
    "TlsInfo": "._model.tls",
    "TlsVersion": "._model.ssl_configuration",
    "VerifyMode": "._model.ssl_configuration",
    "abc": ".abc",
    "errors": ".errors",
    "events": ".events",
    "reply_handler": "._schemes.reply_writer",
}

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

# Type checkers would take every misspelt name for one that might be found.
if not TYPE_CHECKING:  # pragma: no branch - at run time it is never otherwise
    __getattr__ = finder(globals(), __all__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
