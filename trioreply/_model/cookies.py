"""A cookie, as a value: what a server may ask to be told again, where, and how long.

Frozen and legal once built, like everything in the model. What is legal is what can stand in a ``Cookie`` field
(RFC 6265bis section 5.6): no control characters, no semicolon, and no more than 4 KiB. Whether a *server* may set a
given cookie is another question, answered in `trioreply._policies.cookie_decide`.

Texts hold bytes as header fields do (UTF-8 with ``surrogateescape``), for nothing says what charset a cookie is in.
"""

from __future__ import annotations

import enum
import math
import re
from datetime import UTC, datetime
from typing import NamedTuple

from attrs import evolve, field
from yarl import URL

from .._facade import public
from .headers import encode_text
from .values import frozen

MAX_SIZE = 4096
"""Bytes of name and value together: what every browser takes, and none takes more (RFC 6265bis section 5.6)."""

# CTL but for HTAB, the semicolon, and half characters that do not stand for a byte.
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f;\ud800-\udc7f\udd00-\udfff]")
# Anything that a host in a URL may be, addresses with a zone included, behind one dot at most; or nothing.
_DOMAIN = re.compile(r"(?:\.?[!-\-/-:<-~][!-:<-~]*)?")
# What `datetime` can express; a date beyond is as good as its end.
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""As they are written in dates of cookies, whatever the locale says."""


@public
class SameSite(enum.Enum):
    """What a server wants a browser to do across sites (``QNetworkCookie::SameSite``); kept, and not acted upon."""

    DEFAULT = ""
    NONE = "None"
    LAX = "Lax"
    STRICT = "Strict"


@public
class CookieId(NamedTuple):
    """What makes a cookie *the same cookie* as another: a jar holds one of each."""

    name: str
    domain: str
    path: str
    host_only: bool


@public
@frozen
class Cookie:
    """A cookie (``QNetworkCookie``). Only ``name`` and ``value`` are positional.

    Two cookies are equal if everything is but the time they were created.

    Raises:
        ValueError: a part cannot stand in a header field, or it is too large; the text starts with the part's name and
            does not show the value.
        TypeError: a part has the wrong type.
    """

    name: str
    """May be empty: servers do set nameless cookies."""
    value: str = field(repr=False)
    domain: str = field(default="", kw_only=True)
    """A host in lower case, as in a URL. With a leading dot (which goes) it says ``host_only=False``, as in Qt.
    Empty until the cookie is set from a URL."""
    path: str = field(default="", kw_only=True)
    """Begins with a slash. Empty until the cookie is set from a URL."""
    host_only: bool = field(default=True, kw_only=True)
    """Whether it is sent to ``domain`` alone, and not to hosts below it."""
    expires: float | None = field(default=None, kw_only=True)
    """POSIX seconds; ``None`` for a session cookie."""
    secure: bool = field(default=False, kw_only=True)
    """Whether it is sent over ``https`` only."""
    http_only: bool = field(default=False, kw_only=True)
    """Whether it is none of a script's business; kept for those who have scripts."""
    same_site: SameSite = field(default=SameSite.DEFAULT, kw_only=True)
    created: float = field(default=0.0, kw_only=True, eq=False, repr=False)
    """POSIX seconds; 0 until a jar takes it."""

    def __attrs_post_init__(self) -> None:
        for part in ("name", "value", "domain", "path"):
            text = getattr(self, part)
            if not isinstance(text, str):
                raise TypeError(f"{part}: give a str, not {type(text).__name__}")
            if _FORBIDDEN.search(text):
                raise ValueError(f"{part}: it holds a control character, a semicolon, or half a character; remove it")
        object.__setattr__(self, "name", self.name.strip(" \t"))
        object.__setattr__(self, "value", self.value.strip(" \t"))
        if "=" in self.name:
            raise ValueError(f"name: {self.name!r} holds an equals sign, which ends a name")
        if size_of(self.name, self.value) > MAX_SIZE:
            raise ValueError(f"value: with its name it is larger than {MAX_SIZE} bytes")
        if self.path and not self.path.startswith("/"):
            raise ValueError(f"path: {self.path!r} does not begin with a slash")
        self._check_domain()
        _check_time("expires", self.expires if self.expires is not None else 0.0)
        _check_time("created", self.created)
        if not isinstance(self.same_site, SameSite):
            raise TypeError(f"same_site: {self.same_site!r} is no member of SameSite")

    def _check_domain(self) -> None:
        if not _DOMAIN.fullmatch(self.domain):
            raise ValueError(f"domain: {self.domain!r} is no host; write other letters in their xn-- form")
        if self.domain.startswith("."):
            object.__setattr__(self, "host_only", False)
        object.__setattr__(self, "domain", self.domain.removeprefix(".").lower())

    @property
    def id(self) -> CookieId:
        """What makes it the same cookie as another (``hasSameIdentifier``)."""
        return CookieId(self.name, self.domain, self.path, self.host_only)

    @property
    def is_session(self) -> bool:
        """Whether it goes when the session does, having no date (``isSessionCookie``)."""
        return self.expires is None

    def is_expired(self, now: float) -> bool:
        """Whether its time was over at ``now``, in POSIX seconds."""
        return self.expires is not None and self.expires <= now

    def normalized(self, url: URL) -> Cookie:
        """The cookie with ``url``'s host and default path where it has none of its own (``normalize``)."""
        return evolve(
            self,
            domain=self.domain or canonical_host(url),
            path=self.path or default_path(url.raw_path),
        )

    @property
    def name_and_value(self) -> str:
        """The cookie as it is sent (``toRawForm(NameAndValueOnly)``); a nameless one is its value alone."""
        return f"{self.name}={self.value}" if self.name else self.value

    def to_set_cookie(self) -> str:
        """The cookie as a server would set it (``toRawForm(Full)``). Mind that it shows the value."""
        parts = [f"{self.name}={self.value}"]
        if self.expires is not None:
            parts.append(f"Expires={_format_date(self.expires)}")
        if self.domain and not self.host_only:
            parts.append(f"Domain={self.domain}")
        if self.path:
            parts.append(f"Path={self.path}")
        if self.secure:
            parts.append("Secure")
        if self.http_only:
            parts.append("HttpOnly")
        if self.same_site is not SameSite.DEFAULT:
            parts.append(f"SameSite={self.same_site.value}")
        return "; ".join(parts)


@public
class CookieStoreError(Exception):
    """A store of cookies could not be read or written. The jar in memory is as it was."""


def size_of(name: str, value: str) -> int:
    """The bytes that count against `MAX_SIZE`."""
    return len(encode_text(name)) + len(encode_text(value))


def canonical_host(url: URL) -> str:
    """The host of ``url`` as cookies know it (RFC 6265bis section 5.1.2): lower case, without the root's dot."""
    return (url.raw_host or "").lower().removesuffix(".")


def default_path(path: str) -> str:
    """The path of a cookie that was set at ``path`` without one of its own (RFC 6265bis section 5.1.4)."""
    if not path.startswith("/"):
        return "/"
    return path[: path.rindex("/")] or "/"


def _check_time(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: give POSIX seconds, not {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: {value!r} is no moment")


def _format_date(moment: float) -> str:
    date = datetime.fromtimestamp(min(max(moment, _FIRST_SECOND), _LAST_SECOND), UTC)
    month = MONTHS[date.month - 1]
    return f"{_DAYS[date.weekday()]}, {date.day:02} {month} {date.year:04} {date:%H:%M:%S} GMT"
