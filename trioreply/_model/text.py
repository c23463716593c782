"""Bodies as text and as JSON."""

from __future__ import annotations

from .errors import UnknownContentError
from .headers import Headers


def decode_body(body: bytes, headers: Headers) -> str:
    """``body`` as text, by the charset parameter of Content-Type.

    Raises:
        UnknownContentError: no such charset, or the bytes do not fit it.
    """
    charset = _charset(headers.get("Content-Type", ""))
    try:
        # Not codecs.decode: that also knows "codecs" like zlib, which are no charsets, and a bomb's best friend.
        return body.decode(charset)
    except (LookupError, ValueError) as error:
        raise UnknownContentError(f"the body is not text in charset {charset!r}: {error}; use the bytes") from error


def decode_json(body: bytes) -> object:
    """What the JSON text ``body`` means.

    Raises:
        UnknownContentError: it is no JSON.
    """
    import json  # takes longer to import than a short body to read

    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnknownContentError(f"the body is not JSON: {error}") from error
    return value


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"') or "utf-8"
    return "utf-8"
