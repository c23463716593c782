"""The events of a reply; all of them are importable from `trioreply` as well."""

from ._facade import export
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
    ReadyRead,
    Redirected,
    RequestSent,
    Retrying,
    SocketStartedConnecting,
    SslErrors,
)

__all__ = (
    "AuthenticationRequired",
    "Encrypted",
    "ErrorOccurred",
    "Event",
    "Finished",
    "Informational",
    "MetaDataChanged",
    "Progress",
    "ProxyAuthenticationRequired",
    "ReadyRead",
    "Redirected",
    "RequestSent",
    "Retrying",
    "SocketStartedConnecting",
    "SslErrors",
)

export(globals(), __all__, module="trioreply")
