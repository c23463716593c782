"""Delivering a file of this machine: what ``file:`` and ``resource:`` have in common once it is open.

* There is no status, as with ``data:``, unless a range was asked for. Whoever sends a ``Range`` speaks HTTP and has to
  know whether it was served, so the answer is 206 or 416 then (RFC 9110 section 14). Several ranges at once, or none
  that can be understood, are answered with the whole.
* The length is told first. Exactly as many bytes are delivered, or an error is: a file that grows meanwhile is cut
  there, and one that shrinks has failed.
* ``ETag`` and ``Last-Modified`` let a range be asked for on condition (``If-Range``), so that a download which is
  resumed does not mix two versions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import IO, TypeVar

from .._model.errors import UnknownContentError
from .._model.exchange import Sink
from .._model.field_values import ByteRange
from .._model.headers import make_headers
from .._model.http_date import format_http_date
from .._model.known_headers import KnownHeader
from .._model.media_types import guess_type
from .._model.messages import ResponseData, ResponseHead
from .._model.options import Operation
from .._model.ranges import content_range, span_of
from .._model.request import Request
from .._model.values import frozen
from .._net.owned import Owned

T = TypeVar("T")

PIECE = 256 * 1024
"""Bytes read at a time: a thread hop costs dozens of system calls, so it must be worth it."""


@frozen
class OpenFile:
    """A file that is open for reading, and what is known about it."""

    file: IO[bytes]
    size: int | None = None
    """``None`` if only reading to the end tells, as for what lies in an archive, or in ``/proc``."""
    modified: datetime | None = None
    tag: str | None = None
    """The entity tag of this version."""

    def close(self) -> None:
        """Close it; it was only read, so there is nothing that this could lose."""
        with suppress(OSError):
            self.file.close()


def describe(file: IO[bytes]) -> OpenFile:
    """``file`` with what its descriptor tells, if it has one.

    Raises:
        OSError: the system does not say.
    """
    try:
        descriptor = file.fileno()
    except OSError:  # `io.UnsupportedOperation`: not a file of the system
        return OpenFile(file)
    status = os.fstat(descriptor)
    # The files of /proc claim to be empty, and are not.
    size = None if status.st_size == 0 and os.pread(descriptor, 1, 0) else status.st_size
    tag = None if size is None else f'"{status.st_mtime_ns:x}-{size:x}"'
    return OpenFile(file, size, _moment(status.st_mtime), tag)


def _moment(seconds: float) -> datetime | None:
    with suppress(ValueError, OverflowError):  # a file system may keep dates that no calendar has
        return datetime.fromtimestamp(seconds, UTC)
    return None


async def deliver(request: Request, source: Owned[OpenFile], sink: Sink, *, opened: OpenFile, name: str) -> None:
    """Answer the GET or HEAD ``request`` with ``opened``, which ``source`` holds.

    Args:
        request: may ask for a range.
        source: holds the file; the caller closes it.
        sink: who is told.
        opened: what is known about the file.
        name: its path, for errors; the end suggests the type.

    Raises:
        UnknownContentError: it has no such range, or could not be read, or ended before its length.
    """
    whole = ResponseHead(headers=make_headers(_fields(opened, name, opened.size)))
    span, head = range(opened.size or 0), whole
    wanted = _wanted(request, whole)
    if wanted is not None and opened.size is not None:
        span = span_of(wanted, opened.size)
        head = _partial(opened, span, opened.size, name=name)
    await sink.put(head)
    if head.status_code == 416:
        raise UnknownContentError(
            f"{name!r} has {opened.size} bytes, and none of them are in the range {request.headers['Range']!r}; "
            "ask for a range that begins before its end"
        )
    if request.operation is Operation.GET:
        await _send(source, span, sink, is_known=opened.size is not None, name=name)


def _fields(opened: OpenFile, name: str, length: int | None) -> dict[str, str]:
    """The header fields of a response with ``length`` bytes."""
    known = {
        "Content-Type": guess_type(name),
        "Content-Length": None if length is None else str(length),
        "Last-Modified": None if opened.modified is None else format_http_date(opened.modified),
        "ETag": opened.tag,
        "Accept-Ranges": None if opened.size is None else "bytes",
    }
    return {field: value for field, value in known.items() if value is not None}


def _wanted(request: Request, whole: ResponseHead) -> ByteRange | None:
    """The one range that is wanted, if it is wanted of this version (RFC 9110 sections 13.1.5 and 14.2)."""
    ranges = KnownHeader.RANGE.get(request.headers, now=0)
    if request.operation is not Operation.GET or ranges is None or len(ranges) != 1:
        return None
    condition = request.headers.get("If-Range")
    is_this = condition is None or condition in (whole.headers.get("ETag"), whole.headers.get("Last-Modified"))
    return ranges[0] if is_this else None


def _partial(opened: OpenFile, span: range, size: int, *, name: str) -> ResponseHead:
    status, reason = (206, "Partial Content") if span else (416, "Range Not Satisfiable")
    fields = {**_fields(opened, name, len(span)), "Content-Range": content_range(span, size)}
    return ResponseHead(status, reason, make_headers(fields))


async def _send(source: Owned[OpenFile], span: range, sink: Sink, *, is_known: bool, name: str) -> None:
    """Deliver the bytes of ``span``; all there are, unless their number ``is_known``."""
    if span.start:
        await _use(source, partial(_seek, span.start), name)
    done = 0
    while not is_known or done < len(span):
        size = min(PIECE, len(span) - done) if is_known else PIECE
        piece = await _use(source, partial(_read, size), name)
        if not piece:
            break
        done += len(piece)
        await sink.put(ResponseData(piece))
    if is_known and done < len(span):
        raise UnknownContentError(
            f"{name!r} became shorter while it was read: {done} of {len(span)} bytes came; read it again"
        )


async def _use(source: Owned[OpenFile], work: Callable[[OpenFile], T], name: str) -> T:
    # Only this is looked at for an OSError: the sink may raise errors of other replies, and some of those are ones too.
    try:
        return await source.use(work)
    except OSError as error:
        raise UnknownContentError(f"{name!r} could not be read: {error.strerror or error}; try again") from error


def _seek(position: int, opened: OpenFile) -> None:
    opened.file.seek(position)


def _read(size: int, opened: OpenFile) -> bytes:
    return opened.file.read(size)
