"""``file:`` URLs that are written: the new file as a whole, or the old one as it was."""

from __future__ import annotations

import errno
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio

from trioreply import BodySource, ErrorOccurred, FormBody, NetworkError, Progress, ResponseData, ResponseHead
from trioreply._schemes.file_writing import _write_error
from trioreply.errors import ContentAccessDenied, ContentError, UnknownContentError

from ..journeys.notation import sequence
from ..reply.scripted import Script, settle
from .filing import common_directory, contents, names_in, open_filing, without_rights

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CONTENT = bytes(range(256)) * 700  # three pieces from memory, the last one short
TEMPORARY = re.compile(r"\.target\.[0-9a-f]{16}\.part")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An old file."""
    path = tmp_path / "target"
    path.write_bytes(b"old")
    return path


class Pieces:
    """A body that comes once."""

    def __init__(self, *parts: bytes) -> None:
        self.left = list(parts)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next piece."""
        assert max_bytes is None
        await trio.lowlevel.checkpoint()
        return self.left.pop(0) if self.left else b""


def mode_of(path: Path) -> int:
    """Who may do what with it."""
    return path.stat().st_mode & 0o777


def give_away(path: Path) -> os.stat_result:
    """Make ``path`` somebody else's, if that is allowed, with unusual permissions; gives what it is now."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    path.chmod(0o604)
    return path.stat()


async def put(url: str, body: BodySource | None, **headers: str) -> str:
    """The events of a PUT, the progress within the upload left out."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    async with open_filing() as manager, manager.put(url, body, headers=fields, progress_interval=100) as reply:
        return sequence([event async for event in reply])


async def test_a_file_is_replaced(target: Path) -> None:
    """PUT replaces a file, reports the upload as to a server, and ends without a status."""
    # The first progress always comes, and the last one does.
    assert await put(target.as_uri(), CONTENT) == (
        f"U(65536,{len(CONTENT)}) Q U({len(CONTENT)},{len(CONTENT)}) H(None) D(0,0) F(NO_ERROR)"
    )
    assert contents(target.parent) == {"target": CONTENT}


async def test_a_file_is_made(tmp_path: Path) -> None:
    """PUT makes a file that was not there, as the process's umask says."""
    old = os.umask(0o027)
    try:
        events = await put((tmp_path / "new").as_uri(), b"content")
    finally:
        os.umask(old)
    assert events == "U(7,7) Q H(None) D(0,0) F(NO_ERROR)"
    assert contents(tmp_path) == {"new": b"content"}
    assert mode_of(tmp_path / "new") == 0o640


@pytest.mark.parametrize("body", [None, b""])
async def test_an_empty_body(body: bytes | None, target: Path) -> None:
    """A PUT without content makes the file empty."""
    assert await put(target.as_uri(), body) == "Q H(None) D(0,0) F(NO_ERROR)"
    assert contents(target.parent) == {"target": b""}


async def test_a_stream(target: Path) -> None:
    """A body of unknown length is written as it comes, and its length is known at the end."""
    assert await put(target.as_uri(), Pieces(b"ab", b"cde")) == "U(2,?) Q U(5,5) H(None) D(0,0) F(NO_ERROR)"
    assert contents(target.parent) == {"target": b"abcde"}


async def test_a_stream_without_bytes(target: Path) -> None:
    """A body that turns out empty makes the file empty."""
    assert await put(target.as_uri(), Pieces()) == "U(0,0) Q H(None) D(0,0) F(NO_ERROR)"
    assert contents(target.parent) == {"target": b""}


async def test_a_file_as_body(target: Path, tmp_path: Path) -> None:
    """The body may be a file, and even the very one that is replaced."""
    assert (await put((tmp_path / "copy").as_uri(), target)).endswith("F(NO_ERROR)")
    assert (await put(target.as_uri(), target)).endswith("F(NO_ERROR)")
    assert contents(tmp_path) == {"target": b"old", "copy": b"old"}


async def test_a_form_as_body(target: Path) -> None:
    """A form is written as it would be sent."""
    async with open_filing() as manager, manager.put(target.as_uri(), form={"a": "1 2"}) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert contents(target.parent) == {"target": FormBody({"a": "1 2"}).data}


async def test_permissions_and_owner_stay(target: Path) -> None:
    """The new file may be used by whom the old one could be, and belongs to its owner."""
    before = give_away(target)
    await put(target.as_uri(), CONTENT)
    with target.open("rb") as file:
        after = os.fstat(file.fileno())
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


async def test_a_link_stays_a_link(target: Path, tmp_path: Path) -> None:
    """What is written to a symbolic link goes into the file that it leads to, also if that has to be made."""
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to("place/new")
    for name, path in (("link", target), ("dangling", tmp_path / "place" / "new")):
        await put((tmp_path / name).as_uri(), b"through")
        assert (tmp_path / name).is_symlink()
        assert path.read_bytes() == b"through"
    assert names_in(tmp_path) == ["dangling", "link", "place", "target"]


async def test_other_names_keep_the_old_content(target: Path, tmp_path: Path) -> None:
    """The file is replaced and not overwritten: who has it open, or under another name, has the old one."""
    os.link(target, tmp_path / "other")
    with target.open("rb") as file:
        await put(target.as_uri(), CONTENT)
        assert (file.read(), (tmp_path / "other").read_bytes()) == (b"old", b"old")


async def test_a_long_name(tmp_path: Path) -> None:
    """The longest name that a file may have leaves room for that of the temporary file, whatever its characters are."""
    for name in ("n" * 255, "\N{GRINNING FACE}" * 63, "\udcff" * 255):
        path = tmp_path / name
        assert (await put(path.as_uri(), b"content")).endswith("F(NO_ERROR)")
        assert path.read_bytes() == b"content"


async def test_the_old_file_is_there_meanwhile(target: Path) -> None:
    """Until all has come the old file is read. The new one lies beside it, under a name that can be recognised, and as
    secret as the old one.
    """
    mode = give_away(target).st_mode & 0o777
    send, receive = trio.open_memory_channel[bytes](0)
    async with open_filing() as manager, manager.put(target.as_uri(), receive) as reply:
        await send.send(b"new ")
        await settle()
        (temporary,) = (name for name in names_in(target.parent) if name != "target")
        assert TEMPORARY.fullmatch(temporary)
        assert contents(target.parent) == {"target": b"old", temporary: b"new "}
        assert mode_of(target.parent / temporary) == mode
        await send.send(b"content")
        await send.aclose()
        assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert contents(target.parent) == {"target": b"new content"}


async def test_the_content_is_flushed_before_it_gets_its_name(target: Path) -> None:
    """After a power cut there is one whole file: the content is on the disk before the renaming, and then that is."""
    calls: list[object] = []

    async def watched(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        await trio.lowlevel.checkpoint()
        sys.setprofile(lambda _frame, event, called: calls.append(called) if event == "c_call" else None)
        try:
            return sync_fn(*args)
        finally:
            sys.setprofile(None)

    async with open_filing(watched) as manager, manager.put(target.as_uri(), b"new") as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
    steps = [call for call in calls if call in (os.write, os.fsync, os.replace)]
    assert steps == [os.write, os.fsync, os.replace, os.fsync]


@pytest.mark.parametrize("how", ["abort", "scope", "manager"])
async def test_stopped(how: str, target: Path) -> None:
    """However a PUT is stopped that waits for its body, the old file is there, and nothing else."""
    send, receive = trio.open_memory_channel[bytes](0)
    with trio.CancelScope() as scope:
        async with open_filing() as manager:
            reply = await manager.put(target.as_uri(), receive).__aenter__()
            await send.send(b"new ")
            await settle()
            assert len(names_in(target.parent)) == 2
            match how:
                case "abort":
                    reply.abort()
                case "scope":
                    reply.cancel_scope.cancel()
                case _:
                    scope.cancel()
            await settle()
    assert reply.error is NetworkError.OPERATION_CANCELED
    assert contents(target.parent) == {"target": b"old"}


async def test_goes_on_when_closed(target: Path) -> None:
    """A PUT of bytes whose reply is closed runs to its end."""
    async with open_filing() as manager:
        async with manager.put(target.as_uri(), CONTENT) as reply:
            async for event in reply:
                if isinstance(event, Progress):
                    reply.close()
    assert contents(target.parent) == {"target": CONTENT}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", NetworkError.CONTENT_ACCESS_DENIED),
        ("place", NetworkError.CONTENT_ACCESS_DENIED),
        ("place/", NetworkError.CONTENT_ACCESS_DENIED),
        ("new/", NetworkError.CONTENT_ACCESS_DENIED),
        ("new/.", NetworkError.CONTENT_ACCESS_DENIED),
        ("missing/new", NetworkError.CONTENT_ACCESS_DENIED),
        ("target/new", NetworkError.CONTENT_ACCESS_DENIED),
        ("fifo", NetworkError.CONTENT_OPERATION_NOT_PERMITTED),
        ("loop", NetworkError.UNKNOWN_CONTENT),
        ("n" * 256, NetworkError.UNKNOWN_CONTENT),
    ],
)
async def test_what_cannot_be_written(name: str, error: NetworkError, target: Path, tmp_path: Path) -> None:
    """A directory, one that is missing and what is no file are errors of their kinds (as Qt); nothing is left."""
    (tmp_path / "place").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    before = names_in(tmp_path)
    assert await put(f"{tmp_path.as_uri()}/{name}", CONTENT) == f"E({error.name}) D(0,0) F({error.name})"
    assert (names_in(tmp_path), names_in(tmp_path / "place")) == (before, [])
    assert contents(tmp_path) == {"target": b"old"}


@pytest.mark.parametrize("protected", ["file", "directory"])
async def test_what_may_not_be_written(protected: str) -> None:
    """No permission, for the file or its directory, is CONTENT_ACCESS_DENIED, and the error says for what."""
    with common_directory() as directory:
        target = directory / "target"
        target.write_bytes(b"old")
        target.chmod(0o444 if protected == "file" else 0o666)
        directory.chmod(0o777 if protected == "file" else 0o555)
        async with open_filing(without_rights) as manager, manager.put(target.as_uri(), CONTENT) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_ACCESS_DENIED
        assert repr(str(target)) in reply.error_string
        assert (target.read_bytes(), names_in(directory)) == (b"old", ["target"])


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """No file may become larger than ``size``, which is as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_no_room(target: Path) -> None:
    """When there is no more room it is UNKNOWN_CONTENT with the system's error as its cause; nothing is left."""
    async with open_filing() as manager, manager.put(target.as_uri(), CONTENT) as reply:
        with limited_files(150_000):  # amid the last piece
            assert await reply.wait_finished() is NetworkError.UNKNOWN_CONTENT
        with pytest.raises(UnknownContentError, match="is as it was: File too large") as info:
            reply.raise_for_error()
    assert isinstance(info.value.__cause__, OSError)
    assert contents(target.parent) == {"target": b"old"}


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, ContentAccessDenied),
        (errno.EPERM, ContentAccessDenied),
        (errno.EROFS, ContentAccessDenied),
        (errno.ENOSPC, UnknownContentError),
        (errno.EDQUOT, UnknownContentError),
        (errno.EIO, UnknownContentError),
    ],
)
def test_the_system_refuses(number: int, kind: type[ContentError]) -> None:
    """What may not be is CONTENT_ACCESS_DENIED, what does not work UNKNOWN_CONTENT; both say what the system said."""
    error = _write_error("/path", OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert "'/path' could not be written" in str(error)
    assert os.strerror(number) in str(error)


@pytest.mark.parametrize(("parts", "length"), [((b"ab", b"c"), 4), ((b"ab", b"c"), 2), ((), 1)])
async def test_a_body_of_another_length(parts: tuple[bytes, ...], length: int, target: Path) -> None:
    """A body that is shorter or longer than was announced replaces nothing."""
    events = await put(target.as_uri(), Pieces(*parts), Content_Length=str(length))
    assert events.endswith("F(UNKNOWN_NETWORK)")
    assert contents(target.parent) == {"target": b"old"}


async def test_a_body_that_is_too_long_is_not_read_on(target: Path) -> None:
    """What comes beyond the length that was announced ends the PUT at once; it might never end by itself."""
    body = Pieces(b"ab", b"c", b"and so on")
    await put(target.as_uri(), body, Content_Length="2")
    assert body.left == [b"and so on"]


async def test_an_empty_body_of_another_length(target: Path) -> None:
    """Neither does a body that is missing."""
    assert (await put(target.as_uri(), None, Content_Length="1")).endswith("F(UNKNOWN_NETWORK)")
    assert contents(target.parent) == {"target": b"old"}


async def test_a_body_of_the_length_that_was_announced(target: Path) -> None:
    """The length that was announced for a stream is the total of its progress."""
    assert await put(target.as_uri(), Pieces(b"ab", b"c"), Content_Length="3") == (
        "U(2,3) Q U(3,3) H(None) D(0,0) F(NO_ERROR)"
    )


async def test_a_part_is_refused(target: Path) -> None:
    """A PUT of a part would replace the whole, so it is PROTOCOL_INVALID_OPERATION (RFC 9110 section 14.5)."""
    events = await put(target.as_uri(), b"new", Content_Range="bytes 0-2/10")
    assert events.endswith("F(PROTOCOL_INVALID_OPERATION)")
    assert contents(target.parent) == {"target": b"old"}


@pytest.mark.parametrize("name", ["missing", "."])
async def test_a_body_that_cannot_be_read(name: str, target: Path, tmp_path: Path) -> None:
    """A body that cannot be opened is an error of its own, and nothing is replaced."""
    async with open_filing() as manager, manager.put(target.as_uri(), tmp_path / name) as reply:
        assert isinstance(await reply.events.receive(), ErrorOccurred)
        assert "request body" in reply.error_string
    assert contents(target.parent) == {"target": b"old"}


async def test_a_body_that_fails(target: Path) -> None:
    """A reply that is written to a file, and fails, fails the PUT with its own error, and replaces nothing."""
    script = Script(ResponseHead(200), ResponseData(b"half"), ContentAccessDenied("enough"))
    async with open_filing() as manager:
        manager.register_scheme("test", script)
        async with manager.get("test:x") as source, manager.put(target.as_uri(), source) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_ACCESS_DENIED
            assert reply.error_string == "enough"
    assert contents(target.parent) == {"target": b"old"}
