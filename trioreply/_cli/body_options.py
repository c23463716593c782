"""What the options say about the body: bytes, JSON, or a form, of which a request has one.

Forms are curl's: ``NAME=VALUE`` is a field, ``NAME=@FILE`` a file, ``NAME=<FILE`` a field whose value is in a file, and
behind each may stand ``;type=...`` and ``;filename=...``. A value that comes from somebody else might begin with one of
these signs, so there is ``--form-string``, where nothing has a meaning.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attrs import frozen

from .. import BodySource, FormBody, MultipartBody, Part
from .files import request_body, standard_input, streamed_input
from .kinds import readable_file

_OPTIONS = {"data": "-d/--data", "data_urlencode": "--data-urlencode", "json": "--json", "form": "-F/--form"}
"""Those that give a body."""
_PARAMETER = re.compile(r";\s*(type|filename)=")
_ESCAPED = re.compile(r'\\(["\\])')


@frozen(kw_only=True)
class Content:
    """A body, and what has to be said about it."""

    body: BodySource | None = None
    headers: tuple[tuple[str, str], ...] = ()


@frozen(kw_only=True)
class FormField:
    """One ``--form`` or ``--form-string``."""

    name: str
    source: bytes | Path | None
    """``None`` for standard input."""
    is_file: bool = False
    content_type: str | None = None
    filename: str | None = None


def add_body_options(group: argparse._ArgumentGroup) -> None:
    """Add the options to ``group``."""
    group.add_argument(
        "-d", "--data", metavar="DATA", help="the body: text, @FILE, or @- for standard input; sent as it is"
    )
    group.add_argument("--json", metavar="DATA", help="the same, as JSON: says so, and that we want JSON back")
    group.add_argument(
        "--data-urlencode",
        metavar="FIELD",
        type=_pair,
        action="append",
        help="a field of a form as browsers send it: NAME=VALUE or NAME@FILE; repeatable",
    )
    group.add_argument(
        "-F",
        "--form",
        metavar="FIELD",
        type=_form_field,
        action="append",
        help="a part of a form with files: NAME=VALUE, NAME=@FILE or NAME=<FILE, then perhaps ;type=... and "
        ";filename=...; '-' is standard input; repeatable",
    )
    group.add_argument(
        "--form-string",
        metavar="NAME=VALUE",
        type=_plain_field,
        action="append",
        dest="form",
        help="the same, and nothing in the value has a meaning",
    )


def content(options: argparse.Namespace) -> Content:
    """What ``options`` want sent.

    Raises:
        ValueError: it is not to be had, or more than one thing; the text starts with the option.
    """
    given = _given(options)
    if len(given) > 1:
        raise ValueError(f"{_OPTIONS[given[1]]}: a request has one body, and {_OPTIONS[given[0]]} gives it already")
    if not given:
        return Content()
    makers: dict[str, Callable[[], Content]] = {
        "data": lambda: Content(body=request_body(options.data)),
        "json": lambda: Content(body=request_body(options.json), headers=_JSON),
        "data_urlencode": lambda: Content(body=FormBody(options.data_urlencode)),
        "form": lambda: Content(body=MultipartBody([*_parts(options.form)])),
    }
    try:
        return makers[given[0]]()
    except ValueError as error:
        message = str(error).removeprefix("part: ").removeprefix("form: ")
        raise ValueError(f"{_OPTIONS[given[0]]}: {message}") from error


def has_content(options: argparse.Namespace) -> bool:
    """Whether ``options`` want something sent."""
    return bool(_given(options))


def is_input_taken(options: argparse.Namespace) -> bool:
    """Whether what is typed is sent, so that nobody can answer a question."""
    fields = options.form or ()
    return "@-" in (options.data, options.json) or any(field.source is None for field in fields)


_JSON = (("Content-Type", "application/json"), ("Accept", "application/json"))


def _given(options: argparse.Namespace) -> list[str]:
    return [name for name in _OPTIONS if getattr(options, name) is not None]


def _pair(text: str) -> tuple[str, bytes]:
    sign = re.search("[=@]", text)
    if sign is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no field; write NAME=VALUE or NAME@FILE")
    name, value = text[: sign.start()], text[sign.end() :]
    return name, os.fsencode(value) if sign[0] == "=" else _bytes_of(value)


def _form_field(text: str) -> FormField:
    name, value = _name_and_value(text)
    sign = value[:1] if value[:1] in ("@", "<") else ""
    content, *rest = _PARAMETER.split(value[len(sign) :])
    parameters = dict(zip(rest[::2], map(_unquoted, rest[1::2]), strict=True))
    return FormField(
        name=name,
        source=_source(sign, _unquoted(content)) if sign else os.fsencode(content),
        is_file=sign == "@",
        content_type=parameters.get("type"),
        filename=parameters.get("filename"),
    )


def _source(sign: str, name: str) -> bytes | Path | None:
    if name == "-":
        return None
    return readable_file(name) if sign == "@" else _bytes_of(name)


def _plain_field(text: str) -> FormField:
    name, value = _name_and_value(text)
    return FormField(name=name, source=os.fsencode(value))


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no field; write NAME=VALUE or NAME=@FILE")
    return name, value


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text


def _bytes_of(name: str) -> bytes:
    try:
        return readable_file(name).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name!r} cannot be read: {error.strerror}") from error


def _parts(fields: Iterable[FormField]) -> Iterator[Part]:
    for field in fields:
        filename = field.filename
        if field.source is not None:
            source: BodySource = field.source
        elif field.is_file:
            source = standard_input()
            # Without a name it would be a field to the server.
            filename = filename or "-"
        else:
            source = streamed_input()
        yield Part(field.name, source, filename=filename, content_type=field.content_type)
