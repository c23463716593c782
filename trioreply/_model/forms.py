"""What forms send: fields as one line of text (`FormBody`), or parts with a boundary between them (`MultipartBody`).

Both say what they are, and the request's Content-Type follows from that. Everything about the parts but their content
is decided when the body is made, so a body that exists can be sent: names and types are checked, the boundary is known.

The hard part is what surrounds a part's content, since everybody reads it differently. In a form, names are written as
browsers do (UTF-8, and ``%22 %0D %0A`` for a quote and the ends of lines), which is what servers are tested with; Qt's
other ways to write a file's name can be asked for. In the other multipart types, a name is an ordinary parameter. The
boundary is random, so that nobody who supplies content can guess it and add parts of his own; it is compared with the
content that lies in memory nevertheless.
"""

from __future__ import annotations

import enum
import math
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

from attrs import field

from .._facade import public
from .bodies import Body, BodySource, BytesBody, FileBody, PartsBody, PathBody, Section, content_type_of, make_body
from .field_values import ContentDisposition, format_content_disposition, parse_content_type
from .headers import Headers, HeaderSource, decode_text, encode_text, make_headers
from .media_types import guess_type
from .parameters import encode_extended, quoted_if_needed
from .values import frozen

URLENCODED = "application/x-www-form-urlencoded"
_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]", re.ASCII)
_SUBTYPE = re.compile(r"[a-z0-9][a-z0-9.+\-]*", re.ASCII)
# What the URL standard leaves as it is in a form: letters, digits, and these.
_FORM_MARKS = "*-._"
_NAME_MARKS = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}

FormValue = str | bytes | int | float
"""What a form's field may hold."""

# Sequence, not Iterable: a dict is an Iterable, too, and a type checker that must choose finds no type for its values.
FormSource = Mapping[str, FormValue] | Sequence[tuple[str, FormValue]]
"""What may be given for a form: a mapping, or pairs where a name may repeat."""


@public
class FilenameOption(enum.Flag):
    """How the names of files are written in a form (``QFormDataBuilder::Option``)."""

    OMIT_RFC8187 = 1
    """No ``filename*`` beside a name beyond ASCII: RFC 7578 section 4.2 forbids it, and no browser sends it."""
    PERCENT_ENCODED = 2
    """``filename`` percent-encoded, as RFC 7578 section 4.2 allows."""
    STRICT_RFC7578 = 3
    """Both of these."""
    PREFER_LATIN1 = 4
    """``filename`` in Latin-1 if that has all its letters, else in UTF-8."""


@public
@frozen(init=False)
class FormBody(BytesBody):
    """The fields of a form as ``application/x-www-form-urlencoded``, in UTF-8 (the URL standard, section 5.2).

    Raises:
        TypeError: a name is no text, or a value is neither text nor bytes nor a number.
        ValueError: a name or a value holds half a character, or a number is not finite.
    """

    def __init__(self, fields: FormSource) -> None:
        pairs = form_pairs(fields)
        text = "&".join(f"{_form_encoded(name.encode())}={_form_encoded(value)}" for name, value in pairs)
        self.__attrs_init__(text.encode(), content_type=URLENCODED)


def form_pairs(fields: FormSource) -> list[tuple[str, bytes]]:
    """Names and values of ``fields``, the values as bytes.

    Raises:
        TypeError, ValueError: as `FormBody`.
    """
    pairs: list[tuple[str, bytes]] = []
    for pair in fields.items() if isinstance(fields, Mapping) else fields:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"form: give pairs of name and value, not {type(pair).__name__}")
        name, value = pair
        if not isinstance(name, str):
            raise TypeError(f"form: a name must be str, not {type(name).__name__}")
        pairs.append((_checked(name, "form"), _form_value(name, value)))
    return pairs


def _form_value(name: str, value: FormValue) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _checked(value, "form").encode()
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"form: the value of {name!r} must be str, bytes or a number, not {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"form: the value of {name!r} is {value}, which is no number")
    return str(value).encode()


def _checked(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {text!r} holds half a character") from None
    return text


def _form_encoded(octets: bytes) -> str:
    return quote_plus(octets, safe=_FORM_MARKS).replace("~", "%7E")


def _part_headers(source: HeaderSource | None) -> Headers:
    return make_headers(source, field="part")


def _text_or_body(source: BodySource | str) -> Body:
    if isinstance(source, str):
        return BytesBody(_checked(source, "part").encode(), content_type=_TEXT)
    body = make_body(source)
    if body is None:
        raise TypeError("part: it needs a body; for an empty one give b''")
    return body


@public
@frozen(eq=False)
class Part:
    """One part of a `MultipartBody` (``QHttpPart``). Frozen; it can be in several bodies. Equal only to itself.

    Raises:
        ValueError: a name, a type or a header field is impossible; the text starts with "part".
        TypeError: the body is nothing that gives bytes.
    """

    name: str | None
    """The field of the form. Parts of other types than form-data may be without a name (``None``)."""
    body: Body = field(converter=_text_or_body)
    """As a request's body, or text, which is sent as UTF-8; a `MultipartBody` nests."""
    filename: str | None = field(default=None, kw_only=True)
    """In a form, that of a path or an open file unless it is given; what has one is a file to the server."""
    content_type: str | None = field(default=None, kw_only=True)
    """What the body is. Otherwise what it says itself, or what the file's name ends in, decides."""
    headers: Headers = field(default=None, converter=_part_headers, kw_only=True)
    """More fields. A Content-Disposition or Content-Type among them replaces ours."""

    def __attrs_post_init__(self) -> None:
        for attribute in ("name", "filename", "content_type"):
            text = getattr(self, attribute)
            if text is not None and not isinstance(text, str):
                raise TypeError(f"part: the {attribute} must be str, not {type(text).__name__}")
        if self.content_type is None:
            return
        if "Content-Type" in self.headers:
            raise ValueError("part: give content_type or the header field Content-Type, not both")
        parsed = parse_content_type(self.content_type)
        if parsed is None:
            raise ValueError(f"part: the content_type {self.content_type!r} is no media type")
        if content_type_of(self.body) == _TEXT and (parsed.charset or "utf-8").lower() != "utf-8":
            raise ValueError(f"part: text is sent as UTF-8; for {self.content_type!r} encode it, and give the bytes")


@public
@frozen(init=False, eq=False)
class MultipartBody(PartsBody):
    """Parts with a boundary between them (``QHttpMultiPart``; RFC 2046 section 5.1, RFC 7578). Equal only to itself.

    Its length is known if that of every part is. It can be sent again, and may outlive its reply's block, if that is
    true of every part.

    Args:
        parts: at least one `Part`.
        subtype: ``form-data``, ``mixed``, ``related``, ``alternative``, or another that is registered.
        boundary: what separates them, one to 70 characters, which must not occur in their contents; ``None``: random.
        filename_options: how files are named in a form; the default is what browsers do.

    Raises:
        ValueError: a part of a form has no name, a name or the boundary is impossible, or the boundary occurs in what a
            part holds in memory; the text starts with the argument's name.
        TypeError: a part is no `Part`.
    """

    subtype: str = "form-data"

    def __init__(
        self,
        parts: Iterable[Part],
        *,
        subtype: str = "form-data",
        boundary: str | None = None,
        filename_options: FilenameOption = FilenameOption.OMIT_RFC8187,
    ) -> None:
        if not _SUBTYPE.fullmatch(subtype):
            raise ValueError(f"subtype: {subtype!r} is none; try form-data, mixed, related or alternative")
        sections = tuple(_section(part, subtype, filename_options) for part in parts)
        if not sections:
            raise ValueError("parts: a multipart body has at least one part")
        boundary = free_boundary(sections) if boundary is None else _checked_boundary(boundary, sections)
        content_type = f"multipart/{subtype}; boundary={quoted_if_needed(boundary)}"
        if subtype == "related":  # RFC 2387 section 3.1: it names the type of its root
            root = sections[0].headers.get("Content-Type", "text/plain").partition(";")[0].strip()
            content_type += f'; type="{root}"'
        self.__attrs_init__(sections=sections, boundary=boundary, content_type=content_type, subtype=subtype)


def _section(part: Part, subtype: str, options: FilenameOption) -> Section:
    if not isinstance(part, Part):
        raise TypeError(f"parts: give Part objects, not {type(part).__name__}")
    is_form = subtype == "form-data"
    filename = filename_of(part) if is_form else part.filename
    fields: list[tuple[str, str]] = []
    if "Content-Disposition" not in part.headers and (
        value := _disposition(part, filename, options if is_form else None)
    ):
        fields.append(("Content-Disposition", value))
    if "Content-Type" not in part.headers and (value := _part_type(part, filename, is_form=is_form)):
        fields.append(("Content-Type", value))
    return Section(make_headers([*fields, *part.headers.items()], field="part"), part.body)


def filename_of(part: Part) -> str | None:
    """The name of ``part`` as a file of a form: its own, or that of the file that is its body."""
    if part.filename is not None:
        return part.filename
    if isinstance(part.body, PathBody):
        return Path(part.body.path).name
    if isinstance(part.body, FileBody):
        name = getattr(part.body.file, "name", None)  # a number, for a file that was opened by its descriptor
        return Path(name).name if isinstance(name, str) else None
    return None


def _part_type(part: Part, filename: str | None, *, is_form: bool) -> str | None:
    said = part.content_type or content_type_of(part.body)
    if said == _TEXT and part.content_type is None and is_form and filename is None:
        return None  # a plain field of a form is text in UTF-8, and browsers say nothing about it
    if said is None and filename is not None:
        return guess_type(filename) or _BYTES
    return said


def _disposition(part: Part, filename: str | None, form_options: FilenameOption | None) -> str | None:
    """How ``part`` is named, in a form by ``form_options``; ``None``: it has no name."""
    if form_options is not None:
        if part.name is None:
            raise ValueError("parts: every part of a form has a name; give one, or choose another subtype")
        name = f'form-data; name="{_as_browsers_do(part.name)}"'
        return name if filename is None else name + _form_filename(filename, form_options)
    if part.name is None and filename is None:
        return None
    return format_content_disposition(
        ContentDisposition("attachment", filename, {} if part.name is None else {"name": part.name})
    )


def _as_browsers_do(name: str) -> str:
    return name.translate(_NAME_MARKS)


def _form_filename(filename: str, options: FilenameOption) -> str:
    text = _as_browsers_do(filename)
    if FilenameOption.PERCENT_ENCODED in options:
        text = quote(encode_text(filename), safe="")
    elif FilenameOption.PREFER_LATIN1 in options:
        text = _latin1_if_possible(text)
    written = f'; filename="{text}"'
    if not filename.isascii() and FilenameOption.OMIT_RFC8187 not in options:
        written += f"; filename*={encode_extended(filename)}"
    return written


def _latin1_if_possible(text: str) -> str:
    try:
        return decode_text(text.encode("latin-1"))
    except UnicodeEncodeError:
        return text


def _checked_boundary(boundary: str, sections: Iterable[Section]) -> str:
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError(
            f"boundary: {boundary!r} is none; use one to 70 letters, digits and - (RFC 2046 section 5.1.1)"
        )
    if _occurs(boundary, sections):
        raise ValueError(f"boundary: {boundary!r} occurs in a part; leave it out, and one is chosen that does not")
    return boundary


def _random_boundary() -> str:
    # 192 bits: not guessed by anybody, and not met by chance in the files that are not looked into.
    return f"trioreply-{secrets.token_hex(24)}"


def free_boundary(sections: Sequence[Section], draw: Callable[[], str] = _random_boundary) -> str:
    """The first boundary out of ``draw`` that does not occur in what ``sections`` hold in memory."""
    while _occurs(boundary := draw(), sections):
        pass
    return boundary


def _occurs(boundary: str, sections: Iterable[Section]) -> bool:
    delimiter = f"--{boundary}".encode()
    return any(delimiter in octets for octets in _octets_of(sections))


def _octets_of(sections: Iterable[Section]) -> Iterator[bytes]:
    """Everything in ``sections`` that lies in memory, their own boundaries included."""
    for section in sections:
        for name, value in section.headers.items():
            yield encode_text(f"{name}: {value}")
        if isinstance(section.body, PartsBody):
            yield f"--{section.body.boundary}".encode()
            yield from _octets_of(section.body.sections)
        elif isinstance(section.body, BytesBody):
            yield bytes(section.body.data)
