"""What stands in header fields, as values: media types, dispositions, ranges, links.

Each has a function that reads it from text and never fails (``None`` is the answer to garbage), and one that writes it
and raises `ValueError` for what the grammar cannot say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import field
from yarl import URL

from .._facade import public
from .headers import is_token
from .parameters import quoted, read_parameters, repaired, split_list, write_parameters
from .urls import make_url
from .values import frozen

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_MEDIA_TYPE = re.compile(f"{_WORD}/{_WORD}", re.ASCII)
_KIND = re.compile(_WORD, re.ASCII)
_RANGE = re.compile("([0-9]{0,18})-([0-9]{0,18})", re.ASCII)
_LINK = re.compile("<([^<>]*+)>")


@public
@frozen
class ContentType:
    """A media type with its parameters (RFC 9110 section 8.3). Read ones have their names in lower case."""

    media_type: str
    parameters: Mapping[str, str] = field(factory=dict, hash=False)

    @property
    def charset(self) -> str | None:
        """The name of the charset, if one is given."""
        return self.parameters.get("charset")


@public
@frozen
class ContentDisposition:
    """How content is meant to be presented, and what a file of it would be called (RFC 6266).

    A file name comes from a stranger: take its last component only before anything is stored under it.
    """

    kind: str
    filename: str | None = None
    parameters: Mapping[str, str] = field(factory=dict, hash=False)
    """All others."""


@public
@frozen
class ByteRange:
    """A part of a representation, in bytes, both ends included (RFC 9110 section 14.1.2).

    ``ByteRange(0, 499)`` is the first 500 bytes, ``ByteRange(500)`` everything after them, and
    ``ByteRange(None, 500)`` the last 500 bytes.
    """

    first: int | None
    last: int | None = None


@public
@frozen
class Link:
    """A relation to another resource (RFC 8288); ``target`` is as the field says, perhaps relative."""

    target: URL
    relations: tuple[str, ...] = ()
    """What the other resource is to this one: ``("next",)``."""
    parameters: Mapping[str, str] = field(factory=dict, hash=False)
    """All others, such as ``title`` and ``type``."""


def parse_content_type(text: str) -> ContentType | None:
    """The media type that ``text`` names; ``None`` if it names none."""
    match = _MEDIA_TYPE.match(text)
    return None if match is None else ContentType(match[0].lower(), read_parameters(text[match.end() :]))


def format_content_type(value: ContentType) -> str:
    """The text for ``value``.

    Raises:
        ValueError: it names no media type, or a parameter is impossible.
    """
    if not _MEDIA_TYPE.fullmatch(value.media_type):
        raise ValueError(f"Content-Type: {value.media_type!r} is no media type; give one such as text/plain")
    return value.media_type + write_parameters(value.parameters, field="Content-Type")


def parse_content_disposition(text: str) -> ContentDisposition | None:
    """The disposition that ``text`` names, the file name decoded; ``None`` if it names none."""
    match = _KIND.match(text)
    if match is None:
        return None
    parameters = read_parameters(text[match.end() :])
    filename = parameters.pop("filename", None)
    return ContentDisposition(match[0].lower(), None if filename is None else repaired(filename), parameters)


def format_content_disposition(value: ContentDisposition) -> str:
    """The text for ``value``; a file name beyond ASCII is given twice, for old readers too (RFC 6266 appendix D).

    Raises:
        ValueError: the kind is no token, or a parameter is impossible.
    """
    if not is_token(value.kind):
        raise ValueError(f"Content-Disposition: {value.kind!r} is no disposition; try inline or attachment")
    filename = {} if value.filename is None else {"filename": value.filename}
    return value.kind + write_parameters({**value.parameters, **filename}, field="Content-Disposition")


def parse_ranges(text: str) -> tuple[ByteRange, ...] | None:
    """The ranges of bytes that ``text`` asks for; ``None`` if one of them is impossible, for then none counts."""
    unit, _, members = text.partition("=")
    ranges = [_parse_range(member) for member in split_list(members)]
    known = tuple(one for one in ranges if one is not None)
    return known if unit.strip().lower() == "bytes" and known and len(known) == len(ranges) else None


def _parse_range(text: str) -> ByteRange | None:
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    one = ByteRange(*(int(number) if number else None for number in match.groups()))
    return one if _is_range(one) else None


def _is_range(one: ByteRange) -> bool:
    if one.first is None:
        return one.last is not None and one.last >= 0
    return one.first >= 0 and (one.last is None or one.last >= one.first)


def format_ranges(ranges: Sequence[ByteRange]) -> str:
    """The text for ``ranges``.

    Raises:
        ValueError: there are none, or one ends before it begins.
    """
    if not ranges:
        raise ValueError("Range: give at least one ByteRange")
    for one in ranges:
        if not _is_range(one):
            raise ValueError(f"Range: {one} is no range; give a first or a last byte, the last not before the first")
    return "bytes=" + ", ".join(f"{_number(one.first)}-{_number(one.last)}" for one in ranges)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def parse_links(text: str) -> Iterable[Link]:
    """The links in ``text``; what is no link, or leads to no URL, is left out."""
    for member in split_list(text):
        match = _LINK.match(member)
        if match is None:
            continue
        parameters = read_parameters(member[match.end() :])
        relations = tuple(parameters.pop("rel", "").split())
        try:
            yield Link(make_url(match[1]), relations, parameters)
        except ValueError:
            continue


def format_links(links: Sequence[Link]) -> str:
    """The text for ``links``.

    Raises:
        ValueError: there are none, or a relation or a parameter is impossible.
    """
    if not links:
        raise ValueError("Link: give at least one Link")
    return ", ".join(_format_link(link) for link in links)


def _format_link(link: Link) -> str:
    for relation in link.relations:
        if not relation.isascii() or not relation.isprintable() or " " in relation or not relation:
            raise ValueError(f"Link: {relation!r} is no relation; give a word such as next, or a URL")
    rel = f"; rel={quoted(' '.join(link.relations))}" if link.relations else ""
    return f"<{link.target}>{rel}{write_parameters(link.parameters, field='Link')}"
