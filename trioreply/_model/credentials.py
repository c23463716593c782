"""Who asks for credentials, and how: challenges and proxies, as values."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Challenge:
    """A server's or proxy's demand for credentials (RFC 9110 section 11.3)."""

    scheme: str
    realm: str = ""
    parameters: Mapping[str, str] = field(factory=dict, hash=False)
    previous_user: str | None = None
    """The user name that was tried and refused, if one was."""


class ProxyType(enum.Enum):
    """How a proxy is spoken to (``QNetworkProxy::ProxyType``)."""

    DEFAULT = "default"
    NONE = "none"
    HTTP = "http"
    HTTP_CACHING = "http-caching"
    SOCKS5 = "socks5"
    SOCKS5H = "socks5h"
    SOCKS4 = "socks4"
    SOCKS4A = "socks4a"


@frozen
class Proxy:
    """Where a proxy is and who we are there; the password stays out of ``repr``."""

    type: ProxyType
    host: str = ""
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
