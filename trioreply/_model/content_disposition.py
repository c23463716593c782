"""What a download is called: names from strangers, made into one safe component of a path (RFC 6266 section 4.3).

A server proposes a name in Content-Disposition, or by the last segment of its URL. Whatever it proposes, the result is
one component: no separator of any system, no drive, no device of Windows, nothing hidden, nothing that means "up", no
control character, none that turns the direction of writing (``exe.txt`` that is ``txt.exe``), and no name that a file
system would cut. The rules of all systems hold on each: files wander.

What was hard is the order: each step may bring forth what an earlier one would have taken (cutting leaves a dot at the
end). So the ends are trimmed last, and the property tests demand that a safe name passes unchanged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from yarl import URL

from .field_values import parse_content_disposition
from .headers import Headers

MAX_NAME = 255
"""Bytes of UTF-8 in one component: the limit of nearly every file system."""
FALLBACK = "download"
"""The name of what has none."""

_MAX_EXTENSION = 32
"""Bytes: what is longer behind the last dot is no extension that anything depends on."""

_SEPARATORS = re.compile(r"[/\\]")
# A colon ends a drive, or begins a stream within a file; the others are patterns and redirections.
_RESERVED = re.compile(r'[<>:"|?*]')
_SPACES = re.compile(r"\s+")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]|conin\$|conout\$|clock\$)(?= *(?:\.|\Z))", re.IGNORECASE)
_COMPRESSED = re.compile(r"\.tar(?=\.[^.]*\Z)", re.IGNORECASE)
_REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode's categories without a shape of their own: controls, marks of direction, halves, unassigned."""


def proposed_name(headers: Headers, url: URL) -> str:
    """A safe name for a response: the server's, else the last segment of ``url``, else `FALLBACK`.

    Args:
        headers: of the response.
        url: where it came from, after redirects.
    """
    disposition = None
    if (text := headers.get("Content-Disposition")) is not None:
        disposition = parse_content_disposition(text)
    proposals = (None if disposition is None else disposition.filename, unquote(url.raw_name))
    return next((name for text in proposals if text and (name := safe_name(text)) is not None), FALLBACK)


def safe_name(text: str) -> str | None:
    """``text`` as one component of a path that is safe everywhere; ``None`` if nothing of it is left."""
    kept = "".join(_kept(character) for character in _SEPARATORS.split(text)[-1])
    # Composed, because some systems compose names by themselves, and then two of ours would be one of theirs.
    composed = unicodedata.normalize("NFC", kept)
    name = _trimmed(_RESERVED.sub("_", _SPACES.sub(" ", composed)))
    if _DEVICE.match(name):
        name = f"_{name}"
    return shortened(name) or None


def _kept(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _REMOVED else character


def _trimmed(name: str) -> str:
    """Without dots and spaces at its ends: hidden in front for some, cut off behind by others."""
    return name.strip(". ")


def shortened(name: str, *, mark: str = "", limit: int = MAX_NAME) -> str:
    """``name`` with ``mark`` before its extension, in at most ``limit`` bytes: what is cut is the middle."""
    stem, extension = split_extension(name)
    room = limit - len(mark.encode()) - len(extension.encode())
    # Cut between characters: the half of one at the end is dropped.
    cut = stem.encode()[:room].decode(errors="ignore")
    return f"{cut if cut == stem else cut.rstrip('. ')}{mark}{extension}"


def split_extension(name: str) -> tuple[str, str]:
    """The stem and the extension with its dot: ``("a", ".tar.gz")``. The extension may be empty, the stem is not."""
    dot = name.rfind(".")
    if (double := _COMPRESSED.search(name)) is not None:
        dot = double.start()
    if dot <= 0 or len(name[dot:].encode()) > _MAX_EXTENSION:
        return name, ""
    return name[:dot], name[dot:]


def numbered(name: str) -> Iterator[str]:
    """``name``, then ``name (1)`` and so on, without end: until one is found that is free."""
    yield name
    number = 0
    while True:
        number += 1
        yield shortened(name, mark=f" ({number})")
