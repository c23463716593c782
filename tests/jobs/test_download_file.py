"""The partial file: what the disk may do to it, and what others may have put in its place."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from trioreply import RetryPolicy
from trioreply._jobs.download import download
from trioreply._jobs.download_decide import Notes, Validators
from trioreply._jobs.download_file import (
    NOTES_SUFFIX,
    SUFFIX,
    PartFile,
    Place,
    locate,
    lock,
    open_draft,
    open_locked,
    publish,
)
from trioreply.errors import (
    ConnectionRefusedError,
    ContentAccessDenied,
    ContentConflictError,
    ContentOperationNotPermittedError,
    RemoteHostClosedError,
    UnknownContentError,
)
from trioreply.testing import run_sync_inline

from ..journeys.conftest import Place as Network
from ..schemes.filing import common_directory, without_rights
from .range_origin import CONTENT, RangeOrigin, env_of, leave_part, limited, names_in

NOTES = Notes("key", Validators('"one"'))
NEVER = RetryPolicy(1)
NO_FILE = 1_000_000


def part_file(directory: Path, name: str = "f") -> PartFile:
    """A partial file for that name."""
    return PartFile(str(directory / name), "key", run_sync_inline)


async def test_it_grows_at_its_end_and_takes_its_name(tmp_path: Path) -> None:
    """Bytes are added one piece after the other, and only publishing makes the file appear."""
    part = part_file(tmp_path)
    part.keep(is_kept=True)
    part.watch([("sha256", 0)])
    draft = await part.open(resume=True)
    assert (draft.size, draft.notes) == (0, None)
    await part.begin(NOTES)
    await part.append(b"ab")
    await part.append(b"cd")
    assert names_in(tmp_path) == [f"f{SUFFIX}", f"f{SUFFIX}{NOTES_SUFFIX}"]
    assert await part.digest("sha256") == hashlib.sha256(b"abcd").digest()
    assert await part.digest("md5", 1) == hashlib.md5(b"bcd").digest()
    assert await part.publish("ignored") == tmp_path / "f"
    assert part.published == tmp_path / "f"
    await part.aclose()
    await part.aclose()
    assert names_in(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"abcd"


async def test_beginning_again_forgets_bytes_hashes_and_notes(tmp_path: Path) -> None:
    """What was there of another version is gone before the first byte of this one comes."""
    part = part_file(tmp_path)
    await part.open(resume=True)
    await part.begin(NOTES)
    part.watch([("sha256", 0)])
    await part.append(b"old")
    await part.begin(None)
    assert names_in(tmp_path) == [f"f{SUFFIX}"]
    await part.append(b"new")
    assert await part.digest("sha256") == hashlib.sha256(b"new").digest()
    await part.aclose()
    assert names_in(tmp_path) == []


async def test_a_part_that_could_not_be_flushed_is_of_no_use(tmp_path: Path) -> None:
    """When the disk has failed, nobody knows which bytes are right: the file does not appear, and no part stays."""
    part = part_file(tmp_path)
    draft = await part.open(resume=True)
    await part.begin(NOTES)
    part.keep(is_kept=True)
    await part.append(b"abc")
    reader, writer = os.pipe()
    os.dup2(writer, draft.descriptor)  # which cannot be flushed
    os.close(writer)
    with pytest.raises(UnknownContentError):
        await part.publish("f")
    await part.aclose()
    os.close(reader)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("octets", [b"", b"abc"])
async def test_it_stays_only_if_it_shall_and_holds_something(tmp_path: Path, is_kept: bool, octets: bytes) -> None:
    """Closed without its name, it is removed with its notes unless it can be of use."""
    part = part_file(tmp_path)
    await part.open(resume=True)
    await part.begin(NOTES)
    part.keep(is_kept=is_kept)
    await part.append(octets)
    await part.aclose()
    stays = is_kept and bool(octets)
    assert names_in(tmp_path) == ([f"f{SUFFIX}", f"f{SUFFIX}{NOTES_SUFFIX}"] if stays else [])


async def test_a_hash_that_came_late_reads_what_it_missed(tmp_path: Path) -> None:
    """What was there before a hash began is read from the disk, in pieces, and what came after is not lost."""
    content = bytes(9_000_000)
    part = part_file(tmp_path)
    await part.open(resume=True)
    await part.begin(NOTES)
    await part.append(content)
    part.watch([("sha256", 0), ("sha512", len(content))])
    await part.append(b"end")
    assert await part.digest("sha256") == hashlib.sha256(content + b"end").digest()
    assert await part.digest("sha512", len(content)) == hashlib.sha512(b"end").digest()
    await part.aclose()


async def test_a_part_that_somebody_has_shortened_is_told(tmp_path: Path) -> None:
    """A hash does not wait for bytes that are not there any more."""
    part = part_file(tmp_path)
    await part.open(resume=True)
    await part.begin(NOTES)
    await part.append(b"abc")
    os.truncate(tmp_path / f"f{SUFFIX}", 1)
    with pytest.raises(UnknownContentError, match="shortened"):
        await part.digest("sha256")
    await part.aclose()


@pytest.mark.parametrize(
    ("octets", "notes", "resume", "size"),
    [
        (b"abc", NOTES.to_json(), True, 3),
        (b"abc", NOTES.to_json(), False, 0),
        (b"", NOTES.to_json(), True, 0),
        (b"abc", b"", True, 0),
        (b"abc", NOTES.to_json()[:-1], True, 0),
        (b"abc", Notes("other", Validators('"one"')).to_json(), True, 0),
        (b"abc", Notes("key", Validators('"one"'), 2).to_json(), True, 0),
        (b"abc", Notes("key", Validators('"one"'), 3).to_json(), True, 3),
    ],
)
def test_what_is_taken_up(tmp_path: Path, *, octets: bytes, notes: bytes, resume: bool, size: int) -> None:
    """Only bytes with whole notes for this URL, and no more of them than the file has."""
    leave_part(tmp_path, "f", octets, notes)
    draft = open_draft(str(tmp_path / "f"), "key", resume=resume)
    os.close(draft.descriptor)
    assert (draft.size, draft.notes is not None, draft.is_kept) == (size, bool(size), bool(size))


@pytest.mark.parametrize("what", ["nothing", "a link", "a directory"])
def test_notes_that_are_no_file_are_none(tmp_path: Path, what: str) -> None:
    """Bytes without notes, or with something else in their place, are of no use."""
    leave_part(tmp_path, "f", b"abc", NOTES.to_json())
    notes = tmp_path / f"f{SUFFIX}{NOTES_SUFFIX}"
    elsewhere = notes.rename(tmp_path / "elsewhere")
    if what == "a link":
        notes.symlink_to(elsewhere)
    elif what == "a directory":
        notes.mkdir()
    draft = open_draft(str(tmp_path / "f"), "key", resume=True)
    os.close(draft.descriptor)
    assert draft.size == 0


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
async def test_what_lies_in_the_way_of_a_part_is_not_touched(tmp_path: Path, kind: str) -> None:
    """A link is not followed, a pipe is not waited for: somebody may have put it there."""
    part, victim = tmp_path / f"f{SUFFIX}", tmp_path / "victim"
    victim.write_bytes(b"precious")
    if kind == "link":
        part.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(part)
    else:
        part.mkdir()
    file = part_file(tmp_path)
    with pytest.raises((ContentOperationNotPermittedError, ContentAccessDenied, UnknownContentError)):
        await file.open(resume=True)
    await file.aclose()
    assert victim.read_bytes() == b"precious"
    assert names_in(tmp_path) == [part.name, "victim"]


async def test_a_link_at_the_path_stays(tmp_path: Path) -> None:
    """What it leads to is replaced, and the partial file lies there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "f")
    part = part_file(tmp_path, "link")
    draft = await part.open(resume=True)
    assert draft.place.part.parent == (tmp_path / "real").resolve()
    await part.begin(None)
    await part.append(b"x")
    await part.publish("")
    await part.aclose()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "f").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("missing/f", ContentAccessDenied),
        ("missing/", ContentAccessDenied),
        ("file/f", ContentAccessDenied),
        ("fifo", ContentOperationNotPermittedError),
        ("n\0l", UnknownContentError),
        ("x" * 300, UnknownContentError),
    ],
)
async def test_a_path_that_cannot_be_written_is_an_error_of_ours(
    memory: Network, tmp_path: Path, path: str, error: type[Exception]
) -> None:
    """A missing directory, a file for one, a pipe, a NUL, too long a name: told before anything is requested."""
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    server = RangeOrigin()
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        with pytest.raises(error):
            await download(env_of(manager, memory), origin.url("/f"), f"{tmp_path}/{path}")
    assert server.asked == []
    assert names_in(tmp_path) == ["fifo", "file"]


async def test_a_directory_without_rights(memory: Network) -> None:
    """Where nobody may write nothing is left, and the error says so."""
    with common_directory() as directory:
        directory.chmod(0o555)
        async with memory.open_manager() as manager, memory.origin(RangeOrigin()) as origin:
            env = env_of(manager, memory, without_rights)
            for path in (directory, directory / "f"):
                with pytest.raises(ContentAccessDenied, match="who may write there"):
                    await download(env, origin.url("/f"), path)
        assert names_in(directory) == []


@pytest.mark.parametrize("etag", ['"one"', None])
async def test_a_full_disk(memory: Network, tmp_path: Path, etag: str | None) -> None:
    """The error is told at once; what could be written stays only if the rest will fit, and then it does."""
    (tmp_path / "f").write_bytes(b"old")
    server = RangeOrigin(etag=etag)
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        url = origin.url("/f")
        with pytest.raises(UnknownContentError, match="could not be written"):
            await download(env_of(manager, memory, limited(5000)), url, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == b"old"
        assert len(names_in(tmp_path)) == (1 if etag is None else 3)
        await download(env_of(manager, memory), url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert len(server.asked) == 2
    assert server.asked[1][0] == (None if etag is None else "bytes=5000-")
    assert names_in(tmp_path) == ["f"]


async def test_a_disk_that_is_full_at_once(memory: Network, tmp_path: Path) -> None:
    """Not even the notes fit: nothing is left."""
    async with memory.open_manager() as manager, memory.origin(RangeOrigin()) as origin:
        with pytest.raises(UnknownContentError):
            await download(env_of(manager, memory, limited(10)), origin.url("/f"), tmp_path / "f")
    assert names_in(tmp_path) == []


async def test_a_directory_that_vanishes(tmp_path: Path) -> None:
    """If the place is gone when the file is whole, that is the error, and closing raises nothing more."""
    place = tmp_path / "place"
    place.mkdir()
    part = part_file(place)
    await part.open(resume=True)
    await part.begin(None)
    (place / f"f{SUFFIX}").unlink()
    place.rmdir()
    with pytest.raises(ContentAccessDenied):
        await part.publish("f")
    await part.aclose()
    assert names_in(tmp_path) == []


def test_locks_are_for_one(tmp_path: Path) -> None:
    """A second lock is refused; where there can be none, nobody is."""
    path = tmp_path / "f"
    first = open_locked(path)
    with pytest.raises(ContentConflictError):
        open_locked(path)
    os.close(first)
    os.close(open_locked(path))
    lock(NO_FILE)


@pytest.mark.parametrize("is_made_anew", [False, True])
def test_a_file_that_got_its_name_while_we_waited_is_left_alone(tmp_path: Path, is_made_anew: bool) -> None:
    """Between opening and locking the one before may have finished: then its file is not ours, and we begin anew."""
    part, final, moves = tmp_path / "part", tmp_path / "final", [True, False]
    part.write_bytes(b"whole")

    def lock_late(_descriptor: int) -> None:
        if moves.pop(0):
            part.rename(final)
            if is_made_anew:
                part.write_bytes(b"")

    descriptor = open_locked(part, lock=lock_late)
    os.write(descriptor, b"new")
    os.close(descriptor)
    assert (part.read_bytes(), final.read_bytes()) == (b"new", b"whole")


def test_a_file_with_two_names_is_left_alone(tmp_path: Path) -> None:
    """Killed between linking the final name and removing the first one: what is whole must not be overwritten."""
    part, final = tmp_path / "part", tmp_path / "final"
    part.write_bytes(b"whole")
    os.link(part, final)
    descriptor = open_locked(part)
    os.write(descriptor, b"new")
    os.close(descriptor)
    assert (part.read_bytes(), final.read_bytes()) == (b"new", b"whole")


def test_names_without_links(tmp_path: Path) -> None:
    """On a file system without links a free name is looked for, and nothing is replaced either."""

    def no_links(_source: object, _target: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "f").write_bytes(b"mine")
    draft = open_draft(str(tmp_path), "key", resume=False)
    path = publish(draft, "f", link=no_links)
    os.close(draft.descriptor)
    assert path.name == "f (1)"
    assert names_in(tmp_path) == ["f", "f (1)"]


@pytest.mark.parametrize("name", ["f", "x" * 255, "\u20ac" * 85, "x" * 240 + ".tar.gz", "x" * 200 + "." + "y" * 54])
def test_the_names_of_parts_fit(tmp_path: Path, name: str) -> None:
    """However long the name of the file is, its part and the notes can be made, and are not those of another."""
    place = locate(str(tmp_path / name), url_key_of(1))
    other = locate(str(tmp_path / name), url_key_of(2))
    assert len(os.fsencode(place.notes.name)) <= 255
    assert place.part.name.endswith(SUFFIX)
    assert (place.part == other.part) is (name == "f")


def url_key_of(number: int) -> str:
    """A key."""
    return hashlib.sha256(bytes([number])).hexdigest()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """A path of bytes that are no UTF-8 is a path."""
    name = os.fsdecode(b"\xff" * 250)
    place = locate(str(tmp_path / name), url_key_of(1))
    assert place.name == name
    os.close(open_locked(place.part))


def test_a_part_in_a_directory_is_called_by_its_url(tmp_path: Path) -> None:
    """The name of the file will only be known later, and the part must be found again before."""
    directory = tmp_path.resolve()
    place = locate(str(tmp_path), url_key_of(1))
    assert place == Place(directory, None, directory / f"download-{url_key_of(1)[:16]}{SUFFIX}")


async def test_a_part_left_by_a_dead_process_is_kept_by_a_failure(memory: Network, tmp_path: Path) -> None:
    """Not reaching the server costs nothing of what is there."""
    server = RangeOrigin(cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
    async with memory.open_manager() as manager:
        with pytest.raises(ConnectionRefusedError):
            await download(env_of(manager, memory), url, tmp_path / "f", retry=NEVER)
    assert (tmp_path / f"f{SUFFIX}").read_bytes() == CONTENT[:7000]
