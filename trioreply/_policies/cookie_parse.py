"""Reading ``Set-Cookie``: what a server has said, before anybody asks whether it may (RFC 6265bis section 5.6).

The algorithm is the RFC's own, and deliberately lenient, because all browsers are: nothing here raises, whatever the
text is. What cannot be understood is ignored, attribute by attribute, and of an attribute that comes twice the last one
that can be understood counts. The date parser is the RFC's as well; it finds time, day, month and year in any order, so
a library for dates would be too strict and too generous at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from attrs import field

from .._model.cookies import MAX_SIZE, MONTHS, SameSite, size_of
from .._model.headers import encode_text
from .._model.values import frozen

MAX_ATTRIBUTE = 1024
"""Bytes of an attribute's value; a longer one is ignored (RFC 6265bis section 5.6, step 6)."""

T = TypeVar("T")

# CTL but for HTAB, and half characters that do not stand for a byte: those never come from a server.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")
_SECONDS = re.compile("-?[0-9]+")
_SAME_SITE = {choice.value.lower(): choice for choice in SameSite}
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(MONTHS, start=1)}

# The date's grammar (RFC 6265bis section 5.1.1): a token is the first of these that it can be and that is not found
# yet. Behind a number anything may follow that begins with no digit.
_DELIMITER = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_DATE_PARTS = {
    "time": re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL),
    "day": re.compile(r"([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL),
    "month": re.compile(f"({'|'.join(MONTHS)}).*", re.DOTALL | re.IGNORECASE | re.ASCII),
    "year": re.compile(r"([0-9]{2,4})(?:[^0-9].*)?", re.DOTALL),
}


@frozen(kw_only=True)
class ParsedCookie:
    """What one ``Set-Cookie`` says."""

    name: str
    value: str = field(repr=False)
    expires: float | None = None
    """POSIX seconds."""
    max_age: int | None = None
    """Seconds from now; it takes precedence over ``expires``."""
    domain: str = ""
    """In lower case, without the leading dot; empty if there was none."""
    path: str | None = None
    """``None`` if there was none, empty if it is not one: the default path then counts."""
    secure: bool = False
    http_only: bool = False
    same_site: SameSite = SameSite.DEFAULT


def parse_set_cookie(text: str) -> ParsedCookie | None:
    """What ``text``, the value of one ``Set-Cookie`` field, says; ``None`` if the cookie is to be ignored."""
    if _CONTROL.search(text):
        return None
    pair, *rest = text.split(";")
    before, equals, after = pair.partition("=")
    # Without an equals sign all of it is the value, and the name is empty.
    name, value = (before, after) if equals else ("", before)
    name, value = name.strip(" \t"), value.strip(" \t")
    if not (name or value) or size_of(name, value) > MAX_SIZE:
        return None
    attributes = [attribute for attribute in map(_attribute, rest) if attribute is not None]
    present = {attribute for attribute, _ in attributes}
    return ParsedCookie(
        name=name,
        value=value,
        expires=_last(attributes, "expires", parse_date),
        max_age=_last(attributes, "max-age", _parse_seconds),
        domain=_last(attributes, "domain", _parse_domain) or "",
        path=_last(attributes, "path", _parse_path),
        secure="secure" in present,
        http_only="httponly" in present,
        same_site=_last(attributes, "samesite", _parse_same_site) or SameSite.DEFAULT,
    )


def _attribute(text: str) -> tuple[str, str] | None:
    name, _, value = text.partition("=")
    value = value.strip(" \t")
    if len(encode_text(value)) > MAX_ATTRIBUTE:
        return None
    return name.strip(" \t").lower(), value


def _last(attributes: Sequence[tuple[str, str]], name: str, parse: Callable[[str], T | None]) -> T | None:
    """What the last attribute ``name`` that can be understood says."""
    for attribute, value in reversed(attributes):
        if attribute == name and (said := parse(value)) is not None:
            return said
    return None


def _parse_seconds(text: str) -> int | None:
    return int(text) if _SECONDS.fullmatch(text) else None


def _parse_domain(text: str) -> str:
    return text.removeprefix(".").lower()


def _parse_path(text: str) -> str:
    return text if text.startswith("/") else ""


def _parse_same_site(text: str) -> SameSite:
    return _SAME_SITE.get(text.lower(), SameSite.DEFAULT)


def parse_date(text: str) -> float | None:
    """The moment that ``text`` names, in POSIX seconds, by RFC 6265bis section 5.1.1; ``None`` if it names none."""
    found: dict[str, re.Match[str]] = {}
    for token in _DELIMITER.split(text):
        for part, pattern in _DATE_PARTS.items():
            if part not in found and (match := pattern.fullmatch(token)):
                found[part] = match
                break
    if len(found) < len(_DATE_PARTS):
        return None
    hour, minute, second = map(int, found["time"].groups())
    month, day, year = _MONTH_NUMBERS[found["month"][1].lower()], int(found["day"][1]), _full_year(found["year"][1])
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() if year >= 1601 else None
    except ValueError:  # 30 February, or a 25th hour
        return None


def _full_year(text: str) -> int:
    year = int(text)
    if 70 <= year <= 99:
        return year + 1900
    return year + 2000 if year <= 69 else year
