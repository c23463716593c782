"""Header fields, checked on the way in.

Field values are text in memory and bytes on the wire. The two are exchanged as UTF-8 with ``surrogateescape``, so that
bytes no charset explains survive the round trip. Fields that people give us are validated here, once: a CR, LF or NUL
that got through would let one request smuggle another (RFC 9110 section 5.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain

from multidict import CIMultiDict, CIMultiDictProxy, istr

Headers = CIMultiDictProxy[str]
"""Fields in order, repeats kept, names compared without case."""

HeaderSource = Mapping[str, str | bytes] | Iterable[tuple[str | bytes, str | bytes]]
"""What may be given for headers: a mapping, or pairs where a name may repeat."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
# VCHAR, SP, HTAB and obs-text; of the surrogates only those that stand for bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")

EMPTY: Headers = CIMultiDictProxy(CIMultiDict())


def is_token(text: str) -> bool:
    """Whether ``text`` is a token (RFC 9110 section 5.6.2): what method and field names must be."""
    return _TOKEN.fullmatch(text) is not None


def encode_text(text: str) -> bytes:
    """A field value as it goes on the wire."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(raw: bytes) -> str:
    """A field value as it came from the wire; `encode_text` gives the same bytes back."""
    return raw.decode("utf-8", "surrogateescape")


def make_headers(source: HeaderSource | None, *, field: str = "headers") -> Headers:
    """An own, read-only, validated copy of ``source``.

    Raises:
        ValueError: a name is not a token, or a value holds a control character; the text starts with ``field``.
        TypeError: ``source`` is no mapping and no pairs, or a name or a value is not text.
    """
    if not source:
        return EMPTY
    pairs = source.items() if isinstance(source, Mapping) else source
    copy: CIMultiDict[str] = CIMultiDict()
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{field}: give pairs of name and value, not {type(pair).__name__}")
        copy.add(*checked_field(*pair, field=field))
    return CIMultiDictProxy(copy)


def checked_field(name: str | bytes, value: str | bytes, *, field: str) -> tuple[str, str]:
    """One field as text, without white space around the value.

    Raises:
        ValueError: as `make_headers`.
    """
    name = decode_text(name) if isinstance(name, bytes) else name
    value = decode_text(value) if isinstance(value, bytes) else value
    if not isinstance(name, str):
        raise TypeError(f"{field}: a name must be str or bytes, not {type(name).__name__}")
    if not isinstance(value, str):
        raise TypeError(f"{field}: the value of {name!r} must be str or bytes, not {type(value).__name__}")
    if not is_token(name):
        raise ValueError(f"{field}: {name!r} is not a field name; use letters, digits and - only")
    if _FORBIDDEN.search(value):
        raise ValueError(
            f"{field}: the value of {name!r} holds a control character, or half a character; "
            "remove CR, LF, NUL and the like"
        )
    return name, value.strip(" \t")


_WELL_KNOWN = (
    "Accept-Ranges Age Allow Alt-Svc Cache-Control Connection Content-Disposition Content-Encoding Content-Language "
    "Content-Length Content-Range Content-Security-Policy Content-Type Date ETag Expires Keep-Alive Last-Modified Link "
    "Location Pragma Proxy-Authenticate Referrer-Policy Retry-After Server Set-Cookie Strict-Transport-Security "
    "Trailer Transfer-Encoding Upgrade Vary Via WWW-Authenticate X-Content-Type-Options X-Frame-Options X-Powered-By "
    "X-Request-Id"
)
# With what it takes to compare them without case: made once, instead of for each field of each response.
_NAMES: dict[str, str] = {spelling: istr(spelling) for name in _WELL_KNOWN.split() for spelling in (name, name.lower())}


def from_wire(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Fields that a codec has checked already, as text.

    All in one go, and taken apart again at a byte that none of them has: most of the work is not in Python then.
    """
    text = decode_text(b"\0".join(chain.from_iterable(pairs))).split("\0")
    names = text[::2]
    return CIMultiDictProxy(CIMultiDict(list(zip(map(_NAMES.get, names, names), text[1::2], strict=False))))


def with_missing(headers: Headers, defaults: Headers) -> Headers:
    """``headers``, and behind them the fields of ``defaults`` whose names they lack. Both have been checked."""
    if not headers:
        return defaults
    missing = [(name, value) for name, value in defaults.items() if name not in headers]
    return CIMultiDictProxy(CIMultiDict([*headers.items(), *missing])) if missing else headers


def content_length(headers: Headers) -> int | None:
    """The value of Content-Length if it is one number of a sane size, else ``None``."""
    text = headers.get("Content-Length")
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text)


def trusted_headers(source: HeaderSource) -> Headers:
    """Fields of a response: what a codec made it has checked, and checking it again would be a fifth of its work."""
    return source if isinstance(source, CIMultiDictProxy) else make_headers(source)
