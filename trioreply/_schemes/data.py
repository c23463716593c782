"""``data:`` URLs (RFC 2397): the content is in the address. Nothing is fetched, so nothing can fail but the address."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from .._model.errors import ProtocolFailure, ProtocolUnknownError
from .._model.exchange import Sink
from .._model.messages import ResponseData, ResponseHead
from .._model.options import Operation
from .._model.request import Request

DEFAULT_TYPE = "text/plain;charset=US-ASCII"
"""What RFC 2397 says a URL without a type means."""


async def data(request: Request, sink: Sink) -> None:
    """Deliver the content of a ``data:`` URL, for GET and HEAD (which delivers it too, as Qt).

    Raises:
        ProtocolUnknownError: another operation.
        ProtocolFailure: the URL has a host, or no comma.
    """
    if request.operation not in (Operation.GET, Operation.HEAD):
        raise ProtocolUnknownError(f'Protocol "data" is unknown for {request.verb}; a data: URL can only be read')
    content_type, content = parse(str(request.url.with_fragment(None)))
    await sink.put(
        ResponseHead(headers={"Content-Type": content_type, "Content-Length": str(len(content))}),
    )
    if content:
        await sink.put(ResponseData(content))


def parse(url: str) -> tuple[str, bytes]:
    """Type and content of a ``data:`` URL without fragment. Invalid base64 is empty content (Qt).

    Raises:
        ProtocolFailure: the URL has a host, or no comma.
    """
    rest = url.partition(":")[2]
    description, comma, text = rest.partition(",")
    if not comma or rest.startswith("//"):
        raise ProtocolFailure("Invalid URI: a data: URL is 'data:[type][;base64],content', without a host")
    content = unquote_to_bytes(text)
    if description.lower().endswith(";base64"):
        description = description[: -len(";base64")]
        content = _decode_base64(content)
    content_type = unquote_to_bytes(description).decode("utf-8", "replace").strip()
    if not content_type:
        content_type = DEFAULT_TYPE
    elif content_type.startswith(";"):
        content_type = "text/plain" + content_type
    return content_type, content


def _decode_base64(text: bytes) -> bytes:
    compact = b"".join(text.split()).rstrip(b"=")
    try:
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except binascii.Error:
        return b""
