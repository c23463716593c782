"""``file:`` URLs (RFC 8089): GET and HEAD read a file, PUT writes one.

All work is done in worker threads, and a call that is cancelled is abandoned there (see `Owned`). Threads are few, so
none may wait for ever: only regular files are opened. To open a FIFO would wait for its other end, to open a device may
do something to it. Both are refused by what they are, and once more when they are open, in case somebody was quicker.

What differs from Qt: HEAD delivers no body, ``Range`` is served, PUT never truncates (see `file_writing`), and what is
neither a file nor a directory is refused. The errors are Qt's: CONTENT_NOT_FOUND, CONTENT_ACCESS_DENIED,
CONTENT_OPERATION_NOT_PERMITTED for a directory, PROTOCOL_INVALID_OPERATION for another host, PROTOCOL_UNKNOWN for
another operation. No redirect leads here: those of http(s) are only followed to http(s).
"""

from __future__ import annotations

import io
import os
import stat
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import unquote_to_bytes

from yarl import URL

from .._model.errors import (
    ContentAccessDenied,
    ContentNotFoundError,
    ContentOperationNotPermittedError,
    ProtocolInvalidOperationError,
    ProtocolUnknownError,
    ReplyError,
    UnknownContentError,
)
from .._model.exchange import Sink
from .._model.options import Operation
from .._model.request import Request
from .._model.urls import display
from .._net.owned import Owned
from .environments import FileEnvironment
from .file_writing import write
from .local import OpenFile, deliver, describe

_OPERATIONS = (Operation.GET, Operation.HEAD, Operation.PUT)
_THIS_MACHINE = ("", "localhost")


async def file(env: FileEnvironment, request: Request, sink: Sink) -> None:
    """Carry out one request on a file.

    Raises:
        ProtocolUnknownError: another operation than GET, HEAD and PUT.
        ProtocolInvalidOperationError: a file of another host, or no path that a file can have.
        ContentError: it cannot be opened, read or written.
    """
    if request.operation not in _OPERATIONS:
        raise ProtocolUnknownError(
            f'Protocol "file" is unknown for {request.verb}; a file can be read (GET, HEAD) and written (PUT)'
        )
    path = path_of(request.url)
    if request.operation is Operation.PUT:
        await write(request, sink, path, run_sync=env.run_sync, uploads=env.uploads)
    else:
        await _read(env, request, sink, path=path)


def path_of(url: URL) -> str:
    """The path that a ``file:`` URL names, as `os.fsdecode` gives it: bytes that are no UTF-8 survive.

    Query and fragment say nothing. Dots are left to the system, which knows where symbolic links lead.

    Raises:
        ProtocolInvalidOperationError: another host, a relative path, or a NUL in it.
    """
    if url.authority.lower() not in _THIS_MACHINE:
        raise ProtocolInvalidOperationError(
            f"{display(url)} is a file of another host; only files of this machine can be opened: file:///path"
        )
    raw = unquote_to_bytes(url.raw_path)
    if not raw.startswith(b"/") or b"\0" in raw:
        raise ProtocolInvalidOperationError(
            f"{display(url)} names no file: give an absolute path without NUL, such as pathlib.Path(...).as_uri() does"
        )
    return os.fsdecode(raw)


async def _read(env: FileEnvironment, request: Request, sink: Sink, *, path: str) -> None:
    source = Owned(env.run_sync, OpenFile.close)
    try:
        try:
            opened = await source.open(partial(_open, path))
        except OSError as error:
            raise _open_error(path, error) from error
        await deliver(request, source, sink, opened=opened, name=path)
    finally:
        await source.aclose()


def _open(path: str) -> OpenFile:
    """Open a regular file for reading.

    Raises:
        OSError: the system refuses.
        ContentOperationNotPermittedError: it is something else.
    """
    _check_kind(path, Path(path).stat().st_mode)
    with ExitStack() as stack:
        file = stack.enter_context(io.FileIO(path, opener=_without_waiting))
        _check_kind(path, os.fstat(file.fileno()).st_mode)
        opened = describe(file)
        stack.pop_all()
    return opened


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _check_kind(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ContentOperationNotPermittedError(f"{path!r} is a directory; name a file in it")
    if not stat.S_ISREG(mode):
        raise ContentOperationNotPermittedError(
            f"{path!r} is a pipe, a socket or a device, and only regular files are read; open it yourself"
        )


def _open_error(path: str, error: OSError) -> ReplyError:
    reason = error.strerror or str(error)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return ContentNotFoundError(f"{path!r} could not be opened: {reason}; check the path")
    if isinstance(error, PermissionError):
        return ContentAccessDenied(f"{path!r} could not be opened: {reason}; you may not read it")
    return UnknownContentError(f"{path!r} could not be opened: {reason}")
