"""The choices a request can make: Qt's enumerations in Python's spelling."""

from __future__ import annotations

import enum


class Operation(enum.Enum):
    """What a request does (``QNetworkAccessManager::Operation``)."""

    HEAD = 1
    GET = 2
    PUT = 3
    POST = 4
    DELETE = 5
    CUSTOM = 6


class Priority(enum.IntEnum):
    """Who goes first when requests wait for a connection; within one priority, first come first served."""

    HIGH = 1
    NORMAL = 3
    LOW = 5


class RedirectPolicy(enum.Enum):
    """Which redirects are followed (``QNetworkRequest::RedirectPolicy``)."""

    MANUAL = 0
    NO_LESS_SAFE = 1
    SAME_ORIGIN = 2
    USER_VERIFIED = 3


class CacheLoad(enum.Enum):
    """Whether a cache may answer (``QNetworkRequest::CacheLoadControl``)."""

    ALWAYS_NETWORK = 0
    PREFER_NETWORK = 1
    PREFER_CACHE = 2
    ALWAYS_CACHE = 3


class LoadControl(enum.Enum):
    """Whether the manager does it by itself, or leaves it to the request's own headers."""

    AUTOMATIC = 0
    MANUAL = 1


class Http2(enum.Enum):
    """How far HTTP/2 may be used for a request."""

    ALLOWED = 0
    DISABLED = 1
    PRIOR_KNOWLEDGE = 2


class Direction(enum.Enum):
    """Which way the bytes of a `Progress` event went."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


class Attribute(enum.Enum):
    """Facts about a finished or running exchange (``QNetworkRequest::Attribute``, the ones a reply carries)."""

    HTTP_STATUS_CODE = 0
    HTTP_REASON_PHRASE = 1
    REDIRECTION_TARGET = 2
    CONNECTION_ENCRYPTED = 3
    SOURCE_IS_FROM_CACHE = 6
    HTTP2_WAS_USED = 20
    ORIGINAL_CONTENT_LENGTH = 21


class OnFailure(enum.Enum):
    """What the failure of one of many fetches means for the others."""

    CANCEL = "cancel"
    """They are cancelled, and the reader gets the error."""
    COLLECT = "collect"
    """Nothing; the error is that fetch's outcome."""
