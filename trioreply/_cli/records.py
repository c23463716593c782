"""Events as JSON, for programs: what ``--events`` prints. Pure functions of values.

One object per line. ``event`` is the class's name, ``time`` the seconds since the start; the rest are the event's own
fields by their names, so the shape follows the public classes and changes only when they do. Enumerations are their
members' names, mappings are lists of pairs (a header field may repeat), a certificate is its SHA-256 fingerprint and
whose it is, an error of a certificate's has its words, too. Bytes never appear, nor do passwords: what a value hides
from its ``repr`` is left out here, too.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping

import attrs
from yarl import URL

from .. import Certificate, Event, Proxy, ServerSentEvent, SslError
from .wording import shown_url

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def json_line(event: Event, *, elapsed: float) -> bytes:
    """``event`` as one line of JSON, its line feed included; ``elapsed`` are seconds."""
    record: dict[str, Json] = {"event": type(event).__name__, "time": round(elapsed, 6)}
    record.update(_fields(event))
    return _line(record)


def event_line(event: ServerSentEvent) -> bytes:
    """``event``, which a server has sent, as one line of JSON, its line feed included."""
    return _line(_fields(event))


def _line(record: dict[str, Json]) -> bytes:
    # Text that is no Unicode (bytes of a header field that no charset explains) survives as escapes.
    return json.dumps(record, ensure_ascii=True).encode("ascii") + b"\n"


def _fields(value: object) -> dict[str, Json]:
    kind = type(value)
    if not attrs.has(kind):
        raise TypeError(f"{kind.__name__} has no JSON form; give it one here")
    shown = [field.name for field in attrs.fields(kind) if field.repr is not False]
    record = {name: _json(getattr(value, name)) for name in shown}
    if isinstance(value, Proxy):
        record["headers"] = [name for name, _ in value.headers]  # the values may be credentials
    return record


def _json(value: object) -> Json:
    match value:
        case enum.Enum():
            return value.name
        case None | bool() | int() | float() | str():
            return value
        case URL():
            return shown_url(value)
        case Certificate():
            return {"sha256": value.fingerprint(), "subject": _subject(value)}
        case SslError():
            return {**_fields(value), "message": value.error_string}
        case Mapping():
            return [[_json(name), _json(content)] for name, content in value.items()]
        case tuple():
            return [_json(item) for item in value]
        case _:
            return _fields(value)


def _subject(certificate: Certificate) -> str | None:
    try:
        return certificate.subject
    except ValueError:  # it cannot be decoded: a server may send anything
        return None
