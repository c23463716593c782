"""PUT to a ``file:`` URL: after it, the file is the new one as a whole, or the old one as it was.

The content goes into a temporary file beside the target, ``.NAME.RANDOM.part``, is flushed to the disk, and takes the
target's name in one step (``rename``). Whatever ends that early, also a killed process or a power cut, leaves the old
file; only who was killed leaves the temporary file as well, and it can be recognised by its name.

* Cancelled or failed, the temporary file is removed. The renaming is the one step that cannot be taken back: cancelled
  in the middle of it, the file may be the new one. Flushing, which may take long, comes before that.
* A symbolic link stays, and what it leads to is replaced, as people expect of writing. Other hard links keep the old
  content. The new file has the permissions of the old one, and, where that is allowed, its owner.
* A file that may not be written is not replaced either, although the directory would allow it (as Qt).
* What was announced must come: a body that is shorter or longer than its length replaces nothing.

The errors are Qt's: CONTENT_ACCESS_DENIED for what may not be written, for a directory, and for a directory that does
not exist.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Awaitable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from .._model.bodies import is_empty
from .._model.errors import (
    ContentAccessDenied,
    ContentError,
    ContentOperationNotPermittedError,
    ProtocolInvalidOperationError,
    UnknownContentError,
    UnknownNetworkError,
)
from .._model.events import RequestSent
from .._model.exchange import Sink
from .._model.headers import content_length
from .._model.messages import RequestProgress, ResponseHead
from .._model.request import Request
from .._model.running import RunSync
from .._model.values import frozen
from .._net.owned import Owned
from .._net.upload import Upload, Uploads

T = TypeVar("T")

_DENIED = (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError)
_PERMISSIONS = 0o777
_MAX_NAME = 50
"""Characters of the target's name in that of the temporary file: four bytes each, and what is added, fit in 255."""


@frozen
class _Draft:
    """A temporary file that is open for writing, and where it belongs."""

    descriptor: int
    path: Path
    target: Path


async def write(request: Request, sink: Sink, path: str, *, run_sync: RunSync, uploads: Uploads) -> None:
    """Replace the file ``path`` by the body of ``request``. No body is an empty one.

    Raises:
        ContentAccessDenied: it may not be written, is a directory, or lies in one that does not exist.
        ContentOperationNotPermittedError: it is a pipe, a socket or a device.
        ProtocolInvalidOperationError: the request means a part of a file.
        UnknownContentError: the system refused something else; the disk may be full.
        ReplyError: the body cannot be read, or has not the length that was announced.
    """
    if "Content-Range" in request.headers:  # RFC 9110 section 14.5: who does not know it must refuse
        raise ProtocolInvalidOperationError(
            f"a part of {path!r} cannot be written, only the whole; leave Content-Range out"
        )
    announced = content_length(request.headers)
    body = request.body
    draft = Owned(run_sync, _discard)
    try:
        if body is None or is_empty(body):
            _check_length(0, announced)
            await _step(path, draft.open(partial(_begin, path)))
            await sink.put(RequestSent())
        else:
            upload = await uploads.open(body)
            try:
                await _step(path, draft.open(partial(_begin, path)))
                total = upload.length if announced is None else announced
                await _fill(draft, upload, sink, total=total, path=path)
            finally:
                await upload.aclose()
        await _step(path, draft.use(_flush))
        await _step(path, draft.use(_put_in_place))
    finally:
        await draft.aclose()
    await sink.put(ResponseHead(headers={"Content-Length": "0"}))


async def _fill(draft: Owned[_Draft], upload: Upload, sink: Sink, *, total: int | None, path: str) -> None:
    """Write the whole body, and report it as a body on its way to a server is reported."""
    done = 0
    while (piece := await upload.read()) is not None:
        _check_length(done + len(piece), total, is_all=False)
        await _step(path, draft.use(partial(_write_all, piece)))
        done += len(piece)
        await sink.put(RequestProgress(done, total, complete=done == total))
        if done == len(piece):
            await sink.put(RequestSent())
    _check_length(done, total)
    if done != total or not done:
        await sink.put(RequestProgress(done, done, complete=True))
    if not done:
        await sink.put(RequestSent())


def _check_length(done: int, total: int | None, *, is_all: bool = True) -> None:
    if total is not None and (done > total or (is_all and done < total)):
        raise UnknownNetworkError(
            f"the request body has {'only' if is_all else 'at least'} {done} bytes, and {total} were announced; "
            "nothing was replaced"
        )


async def _step(path: str, step: Awaitable[T]) -> T:
    # Only this is looked at for an OSError: what else is awaited may raise errors of other replies, and some are ones.
    try:
        return await step
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: str, error: OSError) -> ContentError:
    reason = error.strerror or str(error)
    if isinstance(error, _DENIED) or error.errno == errno.EROFS:
        return ContentAccessDenied(f"{path!r} could not be written: {reason}; check the path, and who may write there")
    return UnknownContentError(f"{path!r} could not be written, and is as it was: {reason}")


# In worker threads


def _begin(path: str) -> _Draft:
    """Make the temporary file for ``path``.

    Raises:
        OSError: the system refuses, or ``path`` is a directory.
        ContentOperationNotPermittedError: it is not a regular file.
    """
    old = _status_of_old(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:_MAX_NAME]}.{secrets.token_hex(8)}.part")
    # What replaces a secret is never readable by others, not even for a moment.
    mode = 0o666 if old is None else 0o600
    draft = _Draft(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), temporary, target)
    with ExitStack() as stack:
        stack.callback(_discard, draft)
        if old is not None:
            _make_alike(draft.descriptor, old)
        stack.pop_all()
    return draft


def _status_of_old(path: str) -> os.stat_result | None:
    """What there is under ``path`` that may be replaced; ``None`` for nothing."""
    if path.rpartition("/")[2] in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return None  # or the directory is missing, as will be found at once
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ContentOperationNotPermittedError(
            f"{path!r} is a pipe, a socket or a device, and only regular files are written; open it yourself"
        )
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return status


def _make_alike(descriptor: int, old: os.stat_result) -> None:
    with suppress(OSError):  # to give a file away takes rights that few have; then it is ours
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & _PERMISSIONS)


def _write_all(piece: bytes | memoryview, draft: _Draft) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(draft.descriptor, rest) :]


def _flush(draft: _Draft) -> None:
    os.fsync(draft.descriptor)


def _put_in_place(draft: _Draft) -> None:
    draft.path.replace(draft.target)
    flush_directory(draft.target.parent)


def flush_directory(path: Path) -> None:
    """Have the system write down the names in a directory, after a file has got its own and is whole.

    Not every system can do that, nor may everybody read the directory: a failure is none.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _discard(draft: _Draft) -> None:
    """Let go of the temporary file: close it, and remove it."""
    with suppress(OSError):  # flushing it has told already if anything is lost
        os.close(draft.descriptor)
    with suppress(OSError):  # it may be the target by now
        draft.path.unlink()
