"""Bodies by keyword: what ``json=``, ``form=`` and ``files=`` of a request stand for.

They are other ways to say ``body=``, and a request has one body: two of them at once is a mistake, except ``form`` and
``files``, which together make a form with files. As everywhere, ``None`` is the same as leaving the keyword out; for
the JSON text ``null`` give ``body=b"null"``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import attrs

from .bodies import Body, BodySource, BytesBody
from .forms import FormBody, FormSource, MultipartBody, Part, filename_of, form_pairs

FileSource = BodySource | Part | tuple[str | None, BodySource | str] | tuple[str | None, BodySource | str, str | None]
"""What may be given for a file: what it holds, or that with a name and perhaps a type, or a whole `Part`."""

FilesSource = Mapping[str, FileSource] | Sequence[tuple[str, FileSource]]
"""What may be given for several: a mapping of the form's fields, or pairs where a name may repeat."""


def make_content(
    body: Body | None, *, json: object = None, form: FormSource | None = None, files: FilesSource | None = None
) -> Body | None:
    """The one body that was given.

    Raises:
        ValueError: more than one was given, or one is impossible; the text starts with the keyword.
        TypeError: one has the wrong type.
    """
    given = [
        keyword
        for keyword, value in (("body", body), ("json", json), ("form/files", form if files is None else files))
        if value is not None
    ]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)}: a request has one body; give one of them")
    if json is not None:
        return json_body(json)
    if files is not None:
        return MultipartBody([*_fields(form), *_files(files)])
    return body if form is None else FormBody(form)


def json_body(value: object) -> BytesBody:
    """``value`` as JSON (RFC 8259): UTF-8, without spaces.

    Raises:
        TypeError: something in it has no form in JSON.
        ValueError: a number is not finite, a text holds half a character, or it contains itself.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return BytesBody(text.encode(), content_type="application/json")
    except TypeError as error:
        raise TypeError(f"json: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"json: {error}") from error


def _fields(form: FormSource | None) -> Iterator[Part]:
    for name, value in form_pairs(form or ()):
        yield Part(name, value)


def _files(files: FilesSource) -> Iterator[Part]:
    for name, source in files.items() if isinstance(files, Mapping) else files:
        yield _file(name, source)


def _file(name: str, source: FileSource) -> Part:
    if isinstance(source, Part):
        if source.name not in (None, name):
            raise ValueError(f"files: the part under {name!r} has the name {source.name!r}; leave one of them out")
        return attrs.evolve(source, name=name)
    if not isinstance(source, tuple):
        part = Part(name, source)
    elif len(source) == 2:
        part = Part(name, source[1], filename=source[0])
    elif len(source) == 3:
        part = Part(name, source[1], filename=source[0], content_type=source[2])
    else:
        raise ValueError(f"files: {name!r} has {len(source)} items; give (filename, body) or (filename, body, type)")
    if filename_of(part) is None:
        # Without one it would be a field to the server, not a file.
        return attrs.evolve(part, filename=name)
    return part
