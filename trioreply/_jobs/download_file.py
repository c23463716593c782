"""The file of a download while it is one: a partial file beside the place where it belongs, and notes beside that.

``NAME.trioreply.part`` holds the bytes that have come, ``NAME.trioreply.part.json`` which version of what they are of.
Both survive whatever ends the process, also ``kill -9``, by two rules:

* The size of the partial file is the truth about how much is there. Bytes are only added at its end, in order.
* Notes are on the disk before the first byte of what they describe, and the file is emptied before they change. So what
  is there is of the version that the notes name, or there are no notes, or not whole ones: then it is of no use.

At the end the file is flushed and takes its name in one step. Under a name that the caller chose it replaces what was
there; a name that a server chose is only taken if it is free (`numbered`), for nobody asked for that file to go.

Two downloads to the same place would write into one partial file. It is locked as long as it is open (``flock``), and
the second one is refused; it does not matter whether that is another process. What was hard is that a lock holds a
file and not its name: between opening and locking, the one before may have given the file its final name. So the name
is looked up once more when the lock is there.

Everything here but `PartFile` runs in worker threads.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import field

from .._model.content_disposition import numbered, shortened
from .._model.errors import (
    ContentAccessDenied,
    ContentConflictError,
    ContentError,
    ContentOperationNotPermittedError,
    UnknownContentError,
)
from .._model.running import RunSync
from .._model.values import define, frozen
from .._net.owned import Owned
from .._schemes.file_writing import flush_directory
from .checksums import Hash, make_hash
from .download_decide import Notes, read_notes
from .patient import PatientThreads

T = TypeVar("T")

SUFFIX = ".trioreply.part"
"""Behind the name of a partial file. Not only ``.part``, as others call theirs: what is ours may be overwritten."""
NOTES_SUFFIX = ".json"

_DENIED = (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError)
_PERMISSIONS = 0o777
_PIECE = 4 * 1024 * 1024
"""Bytes that are hashed by one call of a thread: few enough to be cancelled soon, enough to be worth the hop."""
_MAX_NOTES = 64 * 1024
_MAX_STEM = 200
"""Bytes of the final name in that of the partial file, so that the suffixes fit."""


@frozen
class Place:
    """Where a download goes."""

    directory: Path
    name: str | None
    """The name that the caller chose; ``None``: the server proposes one."""
    part: Path
    """The partial file."""

    @property
    def notes(self) -> Path:
        """The notes beside it."""
        return self.part.with_name(self.part.name + NOTES_SUFFIX)


@define
class _RunningHash:
    """A hash over the bytes from ``start`` to ``position``."""

    hash: Hash
    position: int


@define
class Draft:
    """A partial file that is open and locked."""

    descriptor: int
    place: Place
    size: int
    notes: Notes | None
    """What was noted about the bytes that are there."""
    is_kept: bool
    """Whether it stays when it is closed without having taken its name."""
    published: Path | None = None
    """The final name, once it has that."""
    hashes: dict[tuple[str, int], _RunningHash] = field(factory=dict)
    """By algorithm and first byte."""


class PartFile:
    """A partial file, for one task. Close it in any case.

    Every method but `aclose` raises a `trioreply.errors.ContentError` if the system refuses what it does.
    """

    def __init__(self, path: str, key: str, run_sync: RunSync) -> None:
        self._path = path
        self._key = key
        self._owned: Owned[Draft] = Owned(PatientThreads(run_sync), _release)
        self._draft: Draft | None = None

    @property
    def published(self) -> Path | None:
        """The final name, once it has that; also when the call that gave it was cancelled."""
        return None if self._draft is None else self._draft.published

    async def open(self, *, resume: bool) -> Draft:
        """Open it, and find out what is there of an earlier download; without ``resume`` nothing is.

        Raises:
            ContentConflictError: another download is writing it.
            ContentOperationNotPermittedError: the path leads to a pipe, a socket or a device.
        """
        make = partial(open_draft, self._path, self._key, resume=resume)
        self._draft = await self._step(self._owned.open(make))
        return self._draft

    async def begin(self, notes: Notes | None) -> None:
        """Empty it, and note of what the bytes will be that come; ``None``: of something that cannot be continued."""
        await self._use(partial(_begin, notes=notes))

    def keep(self, *, is_kept: bool) -> None:
        """Say whether it stays when it is closed without its name."""
        if self._draft is not None:
            self._draft.is_kept = is_kept

    def watch(self, keys: Iterable[tuple[str, int]]) -> None:
        """Hash the bytes that come from now on: by these algorithms, from these first bytes on, and no others."""
        if self._draft is not None:
            draft = self._draft
            draft.hashes = {key: _running(draft, key) for key in keys}

    async def append(self, octets: bytes) -> None:
        """Add bytes at its end, all or the call fails."""
        await self._use(partial(_append, octets=octets))

    async def digest(self, algorithm: str, start: int = 0) -> bytes:
        """What the bytes from ``start`` on amount to. What was not hashed on its way is read."""
        while not await self._use(partial(_hash_some, key=(algorithm, start))):
            pass
        return await self._use(partial(_digest, key=(algorithm, start)))

    async def publish(self, name: str) -> Path:
        """Flush it, and give it its name: the caller's, or else ``name`` or the next one that is free."""
        await self._use(_flush)
        return await self._use(partial(publish, name=name))

    async def aclose(self) -> None:
        """Close it, and remove it unless it stays: bounded in time, complete also when cancelled, idempotent."""
        await self._owned.aclose()

    async def _use(self, work: Callable[[Draft], T]) -> T:
        return await self._step(self._owned.use(work))

    async def _step(self, step: Awaitable[T]) -> T:
        try:
            return await step
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise _file_error(self._path, error) from error


def _file_error(path: str, error: OSError | ValueError) -> ContentError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if isinstance(error, _DENIED) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return ContentAccessDenied(f"{path!r} could not be written: {reason}; check the path, and who may write there")
    return UnknownContentError(f"{path!r} could not be written, and is as it was: {reason}")


# In worker threads


def locate(path: str, key: str) -> Place:
    """Where a download to ``path`` goes. A directory is one in which the server proposes a name.

    Raises:
        OSError, ValueError: the system refuses, or ``path`` can be no file.
        ContentOperationNotPermittedError: it is neither a file nor a directory.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if path.endswith(os.sep):
            raise
        mode = stat.S_IFREG  # or the directory is missing, as will be found at once
    if stat.S_ISDIR(mode):
        # By the URL, because nobody knows the name yet when it is to be found again.
        return Place(target, None, target / f"download-{key[:16]}{SUFFIX}")
    if not stat.S_ISREG(mode):
        raise ContentOperationNotPermittedError(
            f"{path!r} is a pipe, a socket or a device, and only regular files are written; open it yourself"
        )
    stem = target.name
    if len(os.fsencode(stem)) > _MAX_STEM:
        stem = shortened(stem.encode(errors="replace").decode(), mark=f"-{key[:8]}", limit=_MAX_STEM)
    return Place(target.parent, target.name, target.with_name(stem + SUFFIX))


def open_draft(path: str, key: str, *, resume: bool) -> Draft:
    """Open and lock the partial file for ``path``.

    Raises:
        OSError, ValueError, ContentError: as `locate` and `open_locked`.
    """
    place = locate(path, key)
    descriptor = open_locked(place.part)
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        if place.name is not None:
            with suppress(FileNotFoundError):  # what replaces a secret is as secret as that
                os.fchmod(descriptor, (place.directory / place.name).stat().st_mode & _PERMISSIONS)
        size = os.fstat(descriptor).st_size
        notes = _read_notes(place, key) if resume and size else None
        if notes is not None and notes.total is not None and size > notes.total:
            notes = None
        stack.pop_all()
    return Draft(descriptor, place, size if notes is not None else 0, notes, is_kept=notes is not None)


def lock(descriptor: int) -> None:
    """Lock a file that nobody else has locked; where there are no locks, go on without.

    Raises:
        BlockingIOError: somebody has.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # some network file systems have none


def open_locked(path: Path, *, lock: Callable[[int], None] = lock) -> int:
    """A descriptor of the file ``path``, made if need be, that nobody else writes.

    Raises:
        OSError: the system refuses; a symbolic link is not followed.
        ContentConflictError: somebody else does.
        ContentOperationNotPermittedError: it is not a regular file.
    """
    while True:
        # Without waiting, should it be a pipe.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        with ExitStack() as stack:
            stack.callback(os.close, descriptor)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ContentOperationNotPermittedError(f"{str(path)!r} is in the way, and is no file; remove it")
            try:
                lock(descriptor)
            except BlockingIOError as error:
                raise ContentConflictError(f"another download is writing {str(path)!r}; wait for it") from error
            if _is_alone(path, descriptor):
                stack.pop_all()
                return descriptor


def _is_alone(path: Path, descriptor: int) -> bool:
    """Whether ``path`` still is the name of that open file, and its only one."""
    mine = os.fstat(descriptor)
    try:
        is_here = os.path.samestat(mine, path.lstat())
    except FileNotFoundError:
        return False
    if is_here and mine.st_nlink > 1:
        path.unlink()  # killed between its two names; it is whole under the other, and must stay so
    return is_here and mine.st_nlink == 1


def _read_notes(place: Place, key: str) -> Notes | None:
    try:
        descriptor = os.open(place.notes, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return read_notes(os.read(descriptor, _MAX_NOTES), key)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _begin(draft: Draft, notes: Notes | None) -> None:
    os.ftruncate(draft.descriptor, 0)
    draft.size = 0
    draft.hashes.clear()
    draft.notes = None
    _remove_notes(draft)
    if notes is not None:
        with draft.place.notes.open("xb") as file:
            file.write(notes.to_json())
            file.flush()
            os.fsync(file.fileno())
        draft.notes = notes


def _append(draft: Draft, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        written = os.pwrite(draft.descriptor, rest, draft.size)
        for running in draft.hashes.values():
            if running.position == draft.size:  # else it has to catch up, and reads this as well
                running.hash.update(rest[:written])
                running.position += written
        draft.size += written
        rest = rest[written:]


def _running(draft: Draft, key: tuple[str, int]) -> _RunningHash:
    algorithm, start = key
    return draft.hashes.setdefault(key, _RunningHash(make_hash(algorithm), start))


def _hash_some(draft: Draft, key: tuple[str, int]) -> bool:
    """Let a hash catch up a bit; whether it has."""
    running = _running(draft, key)
    wanted = min(_PIECE, draft.size - running.position)
    octets = os.pread(draft.descriptor, wanted, running.position)
    if wanted and not octets:
        raise OSError(errno.EIO, "somebody else has shortened the partial file")
    running.hash.update(octets)
    running.position += len(octets)
    return running.position == draft.size


def _digest(draft: Draft, key: tuple[str, int]) -> bytes:
    return _running(draft, key).hash.digest()


def _flush(draft: Draft) -> None:
    try:
        os.fsync(draft.descriptor)
    except OSError:
        draft.is_kept = False  # the system may have thrown away what it could not write, and nobody knows what that was
        raise


def publish(draft: Draft, name: str, *, link: Callable[[Path, Path], None] = os.link) -> Path:
    """Give the partial file its name, and remove the notes.

    Raises:
        OSError: the system refuses.
    """
    place = draft.place
    if place.name is not None:
        draft.published = place.part.replace(place.directory / place.name)
    else:
        draft.published = _publish_beside(place, name, link)
    _remove_notes(draft)
    flush_directory(place.directory)
    return draft.published


def _publish_beside(place: Place, name: str, link: Callable[[Path, Path], None]) -> Path:
    """Give the partial file the first name that is free."""
    candidates = (place.directory / candidate for candidate in numbered(name))
    return next(target for target in candidates if _take_free_name(place.part, target, link))


def _take_free_name(part: Path, target: Path, link: Callable[[Path, Path], None]) -> bool:
    """Rename ``part``, unless there is a file ``target``; whether it was renamed."""
    try:
        link(part, target)  # unlike renaming, this never replaces anything
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if os.path.lexists(target):
            return False
        part.rename(target)
    else:
        part.unlink()
    return True


def _remove_notes(draft: Draft) -> None:
    with suppress(FileNotFoundError):
        draft.place.notes.unlink()


def _release(draft: Draft) -> None:
    """Let go of the partial file: remove it unless it stays or has its name, and unlock it by closing it."""
    if draft.published is None and not (draft.is_kept and draft.size):
        with suppress(OSError):  # somebody else may have removed it
            _remove_notes(draft)
            draft.place.part.unlink()
    with suppress(OSError):  # flushing it has told already if anything is lost
        os.close(draft.descriptor)
