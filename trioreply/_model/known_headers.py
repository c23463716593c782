"""Header fields with a type: Qt's known headers, and those that an application reads or writes most often.

A `KnownHeader` knows a field's name and how its value is read and written. Reading never fails: a value that does not
follow the grammar is ``None``, as if the field were missing, and so is a field that may stand once and stands there
twice with different values. Writing raises `ValueError` for what cannot be said, since that is a mistake of ours.

Of lists, what can be read counts: one bad link does not hide the others. The exceptions are conditions (``If-Match``)
and ranges, where half of what was said means something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, Generic, TypeVar, final

from attrs import field
from yarl import URL

from .._facade import public
from .field_values import (
    ByteRange,
    ContentDisposition,
    ContentType,
    Link,
    format_content_disposition,
    format_content_type,
    format_links,
    format_ranges,
    parse_content_disposition,
    parse_content_type,
    parse_links,
    parse_ranges,
)
from .headers import Headers, checked_field
from .http_date import format_http_date, parse_http_date
from .urls import make_url
from .values import frozen

T = TypeVar("T")

_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)
_ETAG = re.compile('(?:W/)?"[^"\x00-\x20\x7f]*+"')
_COOKIE = re.compile(r"([^\x00-\x20\x7f=;,]++)=([^\x00-\x1f\x7f;]*+)")


@public
@final
@frozen(eq=False)
class KnownHeader(Generic[T]):
    """A header field whose value has a Python type (``QNetworkRequest::KnownHeaders``).

    Use the members: ``reply.header(KnownHeader.CONTENT_LENGTH)`` is an `int` or ``None``, and
    ``KnownHeader.RANGE.format((ByteRange(500),))`` is a text for ``headers``.
    """

    name: str
    _read: Callable[[Sequence[str], float], T | None] = field(repr=False)
    _write: Callable[[T], str] = field(repr=False)

    CONTENT_TYPE: ClassVar[KnownHeader[ContentType]]
    CONTENT_LENGTH: ClassVar[KnownHeader[int]]
    LOCATION: ClassVar[KnownHeader[URL]]
    LAST_MODIFIED: ClassVar[KnownHeader[datetime]]
    COOKIE: ClassVar[KnownHeader[tuple[tuple[str, str], ...]]]
    SET_COOKIE: ClassVar[KnownHeader[tuple[str, ...]]]
    CONTENT_DISPOSITION: ClassVar[KnownHeader[ContentDisposition]]
    USER_AGENT: ClassVar[KnownHeader[str]]
    SERVER: ClassVar[KnownHeader[str]]
    IF_MODIFIED_SINCE: ClassVar[KnownHeader[datetime]]
    ETAG: ClassVar[KnownHeader[str]]
    IF_MATCH: ClassVar[KnownHeader[tuple[str, ...]]]
    IF_NONE_MATCH: ClassVar[KnownHeader[tuple[str, ...]]]
    RANGE: ClassVar[KnownHeader[tuple[ByteRange, ...]]]
    RETRY_AFTER: ClassVar[KnownHeader[int | datetime]]
    LINK: ClassVar[KnownHeader[tuple[Link, ...]]]

    def get(self, headers: Headers, *, now: float) -> T | None:
        """The field's value in ``headers``; ``None`` if it is missing, malformed or contradictory.

        Args:
            headers: those of a request or a response.
            now: the current time, in seconds since 1970; a date may have a year of two digits.
        """
        values = headers.getall(self.name, ())
        return self._read(values, now) if values else None

    def format(self, value: T) -> str:
        """``value`` as the text of the field.

        Raises:
            ValueError: the field cannot say that; the text starts with the field's name.
        """
        return checked_field(self.name, self._write(value), field=self.name)[1]


def _once(read: Callable[[str, float], T | None]) -> Callable[[Sequence[str], float], T | None]:
    """The reader of a field that may stand once: repeats must agree."""

    def read_one(values: Sequence[str], now: float) -> T | None:
        return read(values[0], now) if all(value == values[0] for value in values) else None

    return read_one


def _timeless(read: Callable[[str], T | None]) -> Callable[[Sequence[str], float], T | None]:
    """The reader of a field that may stand once and has nothing to do with time."""
    return _once(lambda text, _now: read(text))


def _known(name: str, read: Callable[[Sequence[str], float], T | None], write: Callable[[T], str]) -> KnownHeader[T]:
    return KnownHeader(name, read, write)


def _text(name: str) -> KnownHeader[str]:
    return _known(name, _timeless(lambda text: text or None), str)


def _read_number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _write_number(name: str, value: int) -> str:
    text = str(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name}: {value} is not a number from 0 on, or too large a one")
    return text


def _read_url(text: str) -> URL | None:
    try:
        return make_url(text) if text else None
    except ValueError:
        return None


def _read_date(text: str, now: float) -> datetime | None:
    return parse_http_date(text, now=now)


def _date(name: str) -> KnownHeader[datetime]:
    return _known(name, _once(_read_date), lambda value: _write_date(name, value))


def _write_date(name: str, value: datetime) -> str:
    try:
        return format_http_date(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read_retry_after(text: str, now: float) -> int | datetime | None:
    seconds = _read_number(text)
    return _read_date(text, now) if seconds is None else seconds


def _write_retry_after(value: int | datetime) -> str:
    return _write_number("Retry-After", value) if isinstance(value, int) else _write_date("Retry-After", value)


def _read_etag(text: str) -> str | None:
    return text if _ETAG.fullmatch(text) else None


def _write_etag(value: str) -> str:
    if not _ETAG.fullmatch(value):
        raise ValueError(f'ETag: {value!r} is no entity tag; write it in quotes, such as "{value}"')
    return value


def _read_conditions(values: Sequence[str], _now: float) -> tuple[str, ...] | None:
    text = ",".join(values)
    if text.strip(" \t,") == "*":
        return ("*",)
    tags = tuple(_ETAG.findall(text))
    # Not `split_list`: a tag is no quoted string, a backslash in it is one.
    return tags if tags and not _ETAG.sub("", text).strip(" \t,") else None


def _conditions(name: str) -> KnownHeader[tuple[str, ...]]:
    def write(tags: Sequence[str]) -> str:
        if tuple(tags) == ("*",):
            return "*"
        if isinstance(tags, str) or not tags or not all(_ETAG.fullmatch(tag) for tag in tags):
            raise ValueError(f'{name}: {tags!r} are no entity tags; give a tuple of some, each in quotes, or ("*",)')
        return ", ".join(tags)

    return _known(name, _read_conditions, write)


def _read_cookies(values: Sequence[str], _now: float) -> tuple[tuple[str, str], ...] | None:
    crumbs = [crumb.strip(" \t") for value in values for crumb in value.split(";")]
    matches = [_COOKIE.fullmatch(crumb) for crumb in crumbs]
    return tuple((match[1], match[2]) for match in matches if match is not None) or None


def _write_cookies(cookies: Sequence[tuple[str, str]]) -> str:
    crumbs = [f"{name}={value}" for name, value in cookies]
    if not crumbs or not all(_COOKIE.fullmatch(crumb) for crumb in crumbs):
        raise ValueError("Cookie: give pairs of name and value, without control characters and semicolons")
    return "; ".join(crumbs)


def _write_set_cookie(cookies: Sequence[str]) -> str:
    if isinstance(cookies, str) or len(cookies) != 1:
        raise ValueError("Set-Cookie: one field says one cookie; give a tuple of one, and a field for each")
    return cookies[0]


def _read_links(values: Sequence[str], _now: float) -> tuple[Link, ...] | None:
    return tuple(link for value in values for link in parse_links(value)) or None


KnownHeader.CONTENT_TYPE = _known("Content-Type", _timeless(parse_content_type), format_content_type)
KnownHeader.CONTENT_LENGTH = _known(
    "Content-Length", _timeless(_read_number), lambda value: _write_number("Content-Length", value)
)
KnownHeader.LOCATION = _known("Location", _timeless(_read_url), str)
KnownHeader.LAST_MODIFIED = _date("Last-Modified")
KnownHeader.COOKIE = _known("Cookie", _read_cookies, _write_cookies)
KnownHeader.SET_COOKIE = _known("Set-Cookie", lambda values, _now: tuple(values), _write_set_cookie)
KnownHeader.CONTENT_DISPOSITION = _known(
    "Content-Disposition", _timeless(parse_content_disposition), format_content_disposition
)
KnownHeader.USER_AGENT = _text("User-Agent")
KnownHeader.SERVER = _text("Server")
KnownHeader.IF_MODIFIED_SINCE = _date("If-Modified-Since")
KnownHeader.ETAG = _known("ETag", _timeless(_read_etag), _write_etag)
KnownHeader.IF_MATCH = _conditions("If-Match")
KnownHeader.IF_NONE_MATCH = _conditions("If-None-Match")
KnownHeader.RANGE = _known("Range", _timeless(parse_ranges), format_ranges)
KnownHeader.RETRY_AFTER = _known("Retry-After", _once(_read_retry_after), _write_retry_after)
KnownHeader.LINK = _known("Link", _read_links, format_links)
