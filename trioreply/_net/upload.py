"""Reading request bodies: the I/O that belongs to the values of `trioreply._model.bodies`.

`Uploads` opens a body once for every time it is sent: first attempt, redirect, answer to a 401, retry. It remembers
what must not be forgotten in between: where a caller's file began, and that a stream is used up.

Who owns what decides how cancellation works, and that was the hard part:

* A file we opened (by path) is touched by worker threads only. A cancelled read is abandoned at once, since a network
  file system may hang for minutes. Whoever comes last closes the file: the thread that is in it, if one is, else
  `Upload.aclose`. So no descriptor leaks and none is closed under a running read.
* A file of the caller's is never closed here, and a read of it is never abandoned: the caller may close it, or use
  it, as soon as we are gone. Cancellation waits for the one read that is running.
* An iterable is the caller's code running in our task. Its exceptions become an error of this upload, with the
  original as the cause; `trioreply.errors.ReplyError` passes, so that piping one reply into another shows what really
  failed.

A file is read in large blocks and handed out in smaller pieces: what reading costs is the change of threads, and pieces
decide how often progress moves, and with it ``transfer_timeout``. ``os.sendfile`` in the same threads would save a
quarter of what is left, on plain connections. It is not used, because a thread that was abandoned in it would hold the
connection, and might still write to it, where now it holds nothing but a file. The figures are in
``docs/performance.rst``.

A body of several parts is measured as a whole when it is opened, since its length is announced first, and what cannot
be read or comes only once is better found then. Its files are opened one after the other, each when it is its turn, so
a hundred of them need one descriptor; how many bytes of each are sent was settled before.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, assert_never
from weakref import WeakKeyDictionary

import trio

from .._model.bodies import Body, ByteReceiver, BytesBody, FileBody, Leaf, PartsBody, PathBody, StreamBody
from .._model.errors import (
    ContentAccessDenied,
    ContentError,
    ContentNotFoundError,
    ContentOperationNotPermittedError,
    ContentReSendError,
    ReplyError,
    UnknownContentError,
    UnknownNetworkError,
)
from .._model.running import RunSync
from .._wire.multipart import frame
from .owned import Owned

MEMORY_PIECE = 64 * 1024
"""Bytes of a body in memory handed out at a time: small enough for progress to move, large enough to cost nothing."""

FILE_PIECE = 256 * 1024
"""Bytes of a file handed out at a time; also read at a time where the length is unknown, for a pipe fills slowly."""

FILE_BLOCK = 4 * FILE_PIECE
"""Bytes of a file with a length read at a time: changing threads takes as long as reading a quarter of that."""

_CLOSE_TIMEOUT = 2.0
"""Seconds that closing may take when everything around is cancelled already."""


class Upload(Protocol):
    """A body that is being sent, from its beginning to its end. Close it in any case."""

    @property
    def length(self) -> int | None:
        """How many bytes there will be; ``None`` if nobody knows."""
        ...

    async def read(self) -> bytes | memoryview | None:
        """The next piece, never empty; ``None`` at the end. Checkpoints when it waits.

        Raises:
            UnknownNetworkError: the file or the iterable failed, or ended before ``length``.
            ReplyError: the body comes from another reply, and that one failed.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the body: bounded in time, complete also when cancelled, idempotent. No read may be running."""
        ...


class Uploads:
    """Opens bodies, as often as they have to be sent; one for all exchanges of a manager."""

    def __init__(self, *, run_sync: RunSync) -> None:
        self._run_sync = run_sync
        # Where each body began; ``None``: it cannot go back there. Weak: only who may send a body again holds it.
        self._opened: WeakKeyDictionary[Body, int | None] = WeakKeyDictionary()

    async def open(self, body: Body) -> Upload:
        """Begin to send ``body``, from the same position each time. Checkpoints when it waits.

        Raises:
            ContentNotFoundError, ContentOperationNotPermittedError, ContentAccessDenied, UnknownContentError: the path
                leads nowhere, to a directory, to a file we may not read, or cannot be opened for another reason.
            ContentReSendError: it comes only once, and was opened before.
            UnknownNetworkError: the caller's file cannot tell its size.
        """
        if isinstance(body, BytesBody):
            return _MemoryUpload(body.data)
        if isinstance(body, PathBody):
            return await self._open_path(body.path)
        if isinstance(body, FileBody):
            return await self._open_file(body)
        if isinstance(body, StreamBody):
            return self._open_stream(body)
        if isinstance(body, PartsBody):
            return _PartsUpload([await self._prepare(leaf) for leaf in frame(body)])
        assert_never(body)

    async def _prepare(self, leaf: Leaf) -> Upload:
        """As `open`, but a file of our own is only measured; reading opens it."""
        if not isinstance(leaf, PathBody):
            return await self.open(leaf)
        try:
            length = await self._run_sync(_measure_path, leaf.path, abandon_on_cancel=True)
        except (OSError, ValueError) as error:
            raise _open_error(leaf.path, error) from error
        return _FileUpload(_OwnFile(leaf.path, run_sync=self._run_sync), length=length, name=repr(leaf.path))

    async def _open_path(self, path: str) -> Upload:
        own = _OwnFile(path, run_sync=self._run_sync)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(own.aclose)
            try:
                length = await own.open()
            except (OSError, ValueError) as error:  # ValueError: a NUL in the path
                raise _open_error(path, error) from error
            stack.pop_all()
        return _FileUpload(own, length=length, name=repr(path))

    async def _open_file(self, body: FileBody) -> Upload:
        name = f"the file {getattr(body.file, 'name', body.file)!r}"
        again = body in self._opened
        start = self._opened.get(body)
        if again and start is None:
            raise _cannot_resend(f"{name} cannot seek")
        try:
            start, length = await self._run_sync(_measure, body.file, start)
        except Exception as error:  # a caller's file object may raise anything
            raise UnknownNetworkError(f"the request body could not be opened: {name}: {error!r}") from error
        self._opened[body] = start
        return _FileUpload(_CallersFile(body.file, start, run_sync=self._run_sync), length=length, name=name)

    def _open_stream(self, body: StreamBody) -> Upload:
        if body in self._opened:
            raise _cannot_resend("it came from an iterable or a stream, which is used up")
        self._opened[body] = None
        return _StreamUpload(body)


class _MemoryUpload:
    def __init__(self, content: bytes | memoryview) -> None:
        self._rest = memoryview(content).cast("B")
        self.length: int | None = len(self._rest)

    async def read(self) -> memoryview | None:
        piece, self._rest = self._rest[:MEMORY_PIECE], self._rest[MEMORY_PIECE:]
        return piece or None

    async def aclose(self) -> None:
        self._rest = memoryview(b"")


class _ReadableFile(Protocol):
    async def read(self, size: int) -> object: ...

    async def aclose(self) -> None: ...


class _FileUpload:
    """Counts what a file gives: exactly as much as was announced leaves, or an error does."""

    def __init__(self, file: _ReadableFile, *, length: int | None, name: str) -> None:
        self._file = file
        self._name = name
        self._given = 0
        self._block = memoryview(b"")  # what was read and not handed out
        self.length = length

    async def read(self) -> memoryview | None:
        if not self._block:
            self._block = await self._read_block()
        piece, self._block = self._block[:FILE_PIECE], self._block[FILE_PIECE:]
        return piece or None

    async def _read_block(self) -> memoryview:
        size = FILE_PIECE if self.length is None else min(FILE_BLOCK, self.length - self._given)
        if size == 0:
            return self._block
        try:
            block = memoryview(_octets(await self._file.read(size)))[:size]
        except Exception as error:
            raise UnknownNetworkError(f"the request body could not be read: {self._name}: {error!r}") from error
        self._given += len(block)
        if block or self.length is None:
            return block
        raise UnknownNetworkError(
            f"the request body ended early: {self._name} gave {self._given} of {self.length} bytes; "
            "do not shorten a file while it is sent"
        )

    async def aclose(self) -> None:
        await self._file.aclose()


class _PartsUpload:
    """One upload after the other. Only the first that is left can hold anything open."""

    def __init__(self, parts: Iterable[Upload]) -> None:
        self._parts = deque(parts)
        lengths = [part.length for part in self._parts]
        known = [length for length in lengths if length is not None]
        self.length = sum(known) if len(known) == len(lengths) else None

    async def read(self) -> bytes | memoryview | None:
        while self._parts:
            part = self._parts[0]
            piece = await part.read()
            if piece is not None:
                return piece
            await part.aclose()
            self._parts.popleft()
        return None

    async def aclose(self) -> None:
        if self._parts:
            part = self._parts[0]
            self._parts.clear()
            await part.aclose()


class _OwnFile:
    """A file of ours, opened by `open` or by the first read."""

    def __init__(self, path: str, *, run_sync: RunSync) -> None:
        self._owned = Owned(run_sync, _close_quietly, make=partial(_open_raw, path))

    async def open(self) -> int | None:
        """Open it and give its length; ``None`` for what has none (a pipe, a device)."""
        return await self._owned.use(_length_of)

    async def read(self, size: int) -> bytes:
        return await self._owned.use(lambda file: file.read(size))

    async def aclose(self) -> None:
        await self._owned.aclose()


def _open_raw(path: str) -> BinaryIO:
    return Path(path).open("rb", buffering=0)


def _length_of(file: BinaryIO) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _close_quietly(file: BinaryIO) -> None:
    with suppress(OSError):  # it was only read, so there is nothing that closing could lose
        file.close()


class _CallersFile:
    """A file that the caller opened, and will close. In a body of several parts, it may be in two of them."""

    def __init__(self, file: BinaryIO, start: int | None, *, run_sync: RunSync) -> None:
        self._file = file
        self._start = start
        self._run_sync = run_sync

    async def read(self, size: int) -> object:
        return await self._run_sync(self._read_in_thread, size)

    def _read_in_thread(self, size: int) -> object:
        if self._start is not None:
            self._file.seek(self._start)
            self._start = None
        return self._file.read(size)

    async def aclose(self) -> None:
        pass


def _measure_path(path: str) -> int | None:
    """How many bytes a file has that may be read; ``None`` for what has no length (a pipe, a device)."""
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return None  # opening a pipe would wait for its writer, and closing it again would end the writer
    with Path(path).open("rb", buffering=0) as file:
        return os.fstat(file.fileno()).st_size


def _measure(file: BinaryIO, start: int | None) -> tuple[int | None, int | None]:
    """Go to ``start`` (``None``: stay here); gives where that is and how many bytes follow. Two ``None`` for a pipe."""
    if not file.seekable():
        return None, None
    start = file.tell() if start is None else start
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    return start, max(0, end - start)


class _StreamUpload:
    """Bytes that come while they are sent."""

    length: int | None = None

    def __init__(self, body: StreamBody) -> None:
        self._source = body.source
        self._iterator: AsyncIterator[object] | None = None

    async def read(self) -> bytes | None:
        try:
            # First, because a reply can be iterated as well, and gives events then.
            if isinstance(self._source, ByteReceiver):
                return _octets(await self._source.receive_some()) or None
            if self._iterator is None:
                self._iterator = aiter(self._source)
            async for piece in self._iterator:
                if octets := _octets(piece):
                    return octets
        except ReplyError:
            raise
        except Exception as error:  # the caller's code
            raise UnknownNetworkError(f"the request body's source failed: {error!r}") from error
        return None

    async def aclose(self) -> None:
        if isinstance(self._iterator, AsyncGenerator):
            try:
                with trio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                    await self._iterator.aclose()
            except Exception as error:  # the caller's code
                raise UnknownNetworkError(f"closing the request body's source failed: {error!r}") from error


def _octets(piece: object) -> bytes:
    # Copied unless it is `bytes`: the caller may reuse a buffer, and an exported one could not grow meanwhile.
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"body: pieces must be bytes, not {type(piece).__name__}; encode text first")


def _cannot_resend(reason: str) -> ContentReSendError:
    return ContentReSendError(
        f"the request body must be sent again, but {reason}; give it as bytes or as a path, which can be sent twice"
    )


_OPEN_ERRORS: tuple[tuple[tuple[type[Exception], ...], type[ContentError]], ...] = (
    ((FileNotFoundError, NotADirectoryError, ValueError), ContentNotFoundError),
    ((IsADirectoryError,), ContentOperationNotPermittedError),
    ((PermissionError,), ContentAccessDenied),
    ((OSError,), UnknownContentError),
)
"""The kinds of failure that Qt tells apart for ``file:``; the first row that fits counts."""


def _open_error(path: str, error: OSError | ValueError) -> ContentError:
    kind = next(kind for classes, kind in _OPEN_ERRORS if isinstance(error, classes))
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return kind(
        f"the request body could not be opened: {path!r}: {reason}; check the path, and that the file may be read"
    )
