"""The grammar that many header fields share: lists, parameters, quoted strings, and text beyond ASCII (RFC 8187).

What is read here comes from peers. Reading never fails: what does not fit the grammar is left out. Every pattern is
read once from left to right, so no input costs more than its length. What is written comes from the application, and is
refused where the grammar has no place for it, with a text that says what to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote_to_bytes

from .headers import encode_text, is_token

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# A quoted string that never ends takes the rest; so does an address that never does.
_LIST_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"?|<[^>]*+>?|,|[^",<]++', re.DOTALL)
_PARAMETER = re.compile(
    # A value without quotes ends at the semicolon only: file names with spaces in them are common.
    rf"[ \t]*+;[ \t;]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+(?:=[ \t]*+({_QUOTED}|[^;\"]*+))?+",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'["\\]')
_EXTENDED = re.compile(r"([A-Za-z0-9\-]+)'[A-Za-z0-9\-]*'((?:[!#$&+\-.^_`|~0-9A-Za-z]|%[0-9A-Fa-f]{2})*)", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_CHARSETS = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}
# RFC 8187 section 3.2.1, attr-char beyond letters and digits.
_ATTRIBUTE_MARKS = "!#$&+-.^_`|~"


def split_list(text: str) -> Iterator[str]:
    """The members of a list with commas, trimmed, none empty; quotes and ``<>`` protect (RFC 9110 section 5.6.1)."""
    member: list[str] = []
    for match in _LIST_PIECE.finditer(text):
        if match[0] != ",":
            member.append(match[0])
        else:
            yield from _trimmed(member)
            member = []
    yield from _trimmed(member)


def _trimmed(pieces: list[str]) -> Iterator[str]:
    if member := "".join(pieces).strip(" \t"):
        yield member


def read_parameters(text: str) -> dict[str, str]:
    """The ``; name=value`` at the beginning of ``text``, names in lower case; of a repeated name the first counts.

    What follows something that is no parameter is left out. A name without a value has the value "". An extended form
    (``name*``) that can be read takes the place of the plain one (RFC 8187 section 4.2).
    """
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    at = 0
    while (match := _PARAMETER.match(text, at)) is not None:
        name, value = match[1].lower(), unquote(match[2] or "")
        at = match.end()
        if not name.endswith("*"):
            plain.setdefault(name, value)
        elif (decoded := decode_extended(value)) is not None:
            extended.setdefault(name[:-1], decoded)
    return plain | extended


def unquote(text: str) -> str:
    """A quoted string's content, or a token as it is (RFC 9110 section 5.6.4)."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text.rstrip(" \t")


def decode_extended(text: str) -> str | None:
    """What ``charset'language'%C3%A9`` means; ``None`` if that cannot be said (RFC 8187 section 3.2.1)."""
    match = _EXTENDED.fullmatch(text)
    charset = _CHARSETS.get(match[1].lower()) if match is not None else None
    if match is None or charset is None:
        return None
    try:
        return unquote_to_bytes(match[2]).decode(charset)
    except ValueError:
        return None


def encode_extended(text: str) -> str:
    """``text`` for the extended form of a parameter; bytes that are not UTF-8 become replacement characters."""
    octets = encode_text(text).decode("utf-8", "replace").encode()
    return f"UTF-8''{quote(octets, safe=_ATTRIBUTE_MARKS)}"


def quoted(text: str) -> str:
    """``text`` as a quoted string."""
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def quoted_if_needed(text: str) -> str:
    """``text`` as the value of a parameter: a token if it is one, else a quoted string."""
    return text if is_token(text) else quoted(text)


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[0]


def write_parameters(parameters: Mapping[str, str], *, field: str) -> str:
    """``parameters`` as ``; name=value``, text beyond ASCII in the extended form with a plain one beside it.

    Raises:
        ValueError: a name is no token, or a value holds a control character; the text starts with ``field``.
    """
    written: list[str] = []
    for name, value in parameters.items():
        if not is_token(name) or "*" in name:
            raise ValueError(f"{field}: {name!r} is not the name of a parameter; use letters, digits and -")
        if _CONTROL.search(value):
            raise ValueError(f"{field}: the parameter {name!r} holds a control character; remove CR, LF and the like")
        if value.isascii():
            written.append(f"; {name}={quoted_if_needed(value)}")
        else:
            plain = value.encode("ascii", "replace").decode("ascii").replace("?", "_")
            written.append(f"; {name}={quoted_if_needed(plain)}; {name}*={encode_extended(value)}")
    return "".join(written)


def repaired(text: str) -> str:
    """``text``, read as Latin-1 if its bytes were no UTF-8, which is what old software means then."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return encode_text(text).decode("latin-1")
    return text
