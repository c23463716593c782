"""``file:`` URLs that are read: what comes, in which order, and what is refused."""

from __future__ import annotations

import errno
import io
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

import trioreply
from trioreply import NetworkError, RedirectPolicy, Request, ResponseHead
from trioreply._model.urls import make_url
from trioreply._net.owned import Owned
from trioreply._schemes.file import path_of
from trioreply._schemes.local import PIECE, OpenFile, _moment, deliver, describe
from trioreply.errors import ProtocolInvalidOperationError, UnknownContentError
from trioreply.testing import MemoryNetwork, OriginResponse, open_origin

from ..journeys.notation import sequence
from ..net.uploading import descriptors_of, inline
from ..policies.recording import RecordingSink
from ..reply.scripted import settle
from .filing import common_directory, open_filing, register, without_rights

CONTENT = bytes(range(256)) * 2500  # three pieces, the last one short


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///tmp/a%20b", "/tmp/a b"),
        ("file:/tmp/x", "/tmp/x"),
        ("file://localhost/tmp/x", "/tmp/x"),
        ("file://LOCALHOST/tmp/x", "/tmp/x"),
        ("file:///tmp/x?query#fragment", "/tmp/x"),
        ("file:///tmp/x%3Fy%23z", "/tmp/x?y#z"),
        ("file:///tmp/%FF", "/tmp/\udcff"),
        ("file:///tmp/a+b%2Bc", "/tmp/a+b+c"),
        ("file:///tmp/ü", "/tmp/ü"),
        ("file:////tmp/x", "//tmp/x"),
    ],
)
def test_paths(url: str, path: str) -> None:
    """The path is percent-decoded, bytes that are no UTF-8 survive, and query and fragment say nothing."""
    assert path_of(make_url(url)) == path


@pytest.mark.parametrize(
    "url",
    [
        "file://host/x",
        "file://127.0.0.1/x",
        "file://localhost:80/x",
        "file://me@localhost/x",
        "file:x",
        "file:",
        "file:///a%00b",
    ],
)
def test_no_paths(url: str) -> None:
    """Another host, a relative path and a NUL are PROTOCOL_INVALID_OPERATION, and the error says what to write."""
    with pytest.raises(ProtocolInvalidOperationError, match=r"file:///path|as_uri"):
        path_of(make_url(url))


@given(st.binary(min_size=1, max_size=30).filter(lambda name: not set(name) & {0, 47} and name not in (b".", b"..")))
def test_any_name_survives(name: bytes) -> None:
    """Whatever bytes a file's name is made of, `pathlib.Path.as_uri` leads to it."""
    path = Path("/tmp", os.fsdecode(name))
    assert path_of(make_url(path.as_uri())) == os.fspath(path)


async def test_get(tmp_path: Path) -> None:
    """A file comes whole, in the order of every reply, with its type, length, date and version, without a status."""
    path = tmp_path / "a b.json"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(0, 10**18))
    async with open_filing() as manager, manager.get(path.as_uri(), read_buffer_size=0) as reply:
        assert sequence([event async for event in reply]) == f"H(None) R D({len(CONTENT)},{len(CONTENT)}) F(NO_ERROR)"
        assert (reply.status_code, reply.read()) == (None, CONTENT)
    assert dict(reply.headers) == {
        "Content-Type": "application/json",
        "Content-Length": str(len(CONTENT)),
        "Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT",
        "ETag": '"de0b6b3a7640000-9c400"',
        "Accept-Ranges": "bytes",
    }


async def test_head(tmp_path: Path) -> None:
    """HEAD tells what GET would, and delivers nothing."""
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    async with open_filing() as manager, manager.head(path.as_uri()) as reply:
        assert sequence([event async for event in reply]) == f"H(None) D(0,{len(CONTENT)}) F(NO_ERROR)"
        assert reply.headers["Content-Length"] == str(len(CONTENT))
        assert "Content-Type" not in reply.headers


async def test_empty_file(tmp_path: Path) -> None:
    """An empty file is a response without ReadyRead, and says that it is empty."""
    path = tmp_path / "x"
    path.touch()
    async with open_filing() as manager, manager.get(path.as_uri()) as reply:
        assert sequence([event async for event in reply]) == "H(None) D(0,0) F(NO_ERROR)"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux has files that lie about their size")
async def test_file_that_claims_to_be_empty() -> None:
    """A file whose size is not known before it is read comes without a length, and complete."""
    async with open_filing() as manager:
        response = await manager.fetch("file:///proc/self/stat", headers={"Range": "bytes=0-3"})
    assert response.body.startswith(b"%d " % os.getpid())
    assert {"Content-Length", "ETag"}.isdisjoint(response.headers)


async def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    """A link to a file is that file."""
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    async with open_filing() as manager:
        assert (await manager.fetch((tmp_path / "link").as_uri())).body == b"content"


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """A Unix socket at ``path``."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing", NetworkError.CONTENT_NOT_FOUND),
        ("file/below", NetworkError.CONTENT_NOT_FOUND),
        ("file/", NetworkError.CONTENT_NOT_FOUND),
        ("", NetworkError.CONTENT_OPERATION_NOT_PERMITTED),
        ("fifo", NetworkError.CONTENT_OPERATION_NOT_PERMITTED),
        ("socket", NetworkError.CONTENT_OPERATION_NOT_PERMITTED),
        ("loop", NetworkError.UNKNOWN_CONTENT),
        ("n" * 300, NetworkError.UNKNOWN_CONTENT),
    ],
)
async def test_what_cannot_be_read(verb: str, name: str, error: NetworkError) -> None:
    """What is missing, is no regular file or cannot be looked at is an error of its kind, and its text has the path."""
    with TemporaryDirectory() as directory:  # a socket's path must be short
        path = Path(directory)
        (path / "file").touch()
        (path / "loop").symlink_to("loop")
        os.mkfifo(path / "fifo")
        async with open_filing() as manager, manager.send_custom(f"file://{directory}/{name}", verb) as reply:
            with listening(path / "socket"):
                events = sequence([event async for event in reply])
    assert events == f"E({error.name}) D(0,0) F({error.name})"
    assert repr(f"{directory}/{name}") in reply.error_string


async def test_device_is_not_read() -> None:
    """A device, which may be endless, is not opened."""
    async with open_filing() as manager, manager.get("file:///dev/zero") as reply:
        assert await reply.wait_finished() is NetworkError.CONTENT_OPERATION_NOT_PERMITTED


async def test_file_that_may_not_be_read() -> None:
    """No permission is CONTENT_ACCESS_DENIED."""
    with common_directory() as directory:
        path = directory / "x"
        path.touch(mode=0)
        async with open_filing(without_rights) as manager, manager.get(path.as_uri()) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_ACCESS_DENIED
    assert repr(str(path)) in reply.error_string


@pytest.mark.parametrize("verb", ["POST", "DELETE", "PATCH"])
async def test_other_operations(verb: str, tmp_path: Path) -> None:
    """A file can be read and written, and nothing else: PROTOCOL_UNKNOWN, and it is untouched."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    async with open_filing() as manager, manager.send_custom(path.as_uri(), verb, b"body") as reply:
        assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN
    assert path.read_bytes() == b"old"


async def test_other_host() -> None:
    """A file of another host is PROTOCOL_INVALID_OPERATION, and nothing is looked for on this one."""
    async with open_filing() as manager, manager.get("file://host/etc/passwd") as reply:
        assert await reply.wait_finished() is NetworkError.PROTOCOL_INVALID_OPERATION


async def test_file_that_shrinks(tmp_path: Path) -> None:
    """A file that is shorter than it was when it was opened is an error; what came can be read."""
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    async with open_filing() as manager, manager.get(path.as_uri(), read_buffer_size=1) as reply:
        await reply.wait_metadata()
        await settle()
        os.truncate(path, PIECE + 10)
        with pytest.raises(UnknownContentError, match=f"shorter.* {PIECE + 10} of {len(CONTENT)} bytes"):
            while await reply.receive_some():
                pass


async def test_file_that_grows(tmp_path: Path) -> None:
    """Of a file that grows while it is read comes what was announced."""
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    async with open_filing() as manager, manager.get(path.as_uri(), read_buffer_size=1) as reply:
        await reply.wait_metadata()
        await settle()
        with path.open("ab") as file:
            file.write(CONTENT)
        assert await reply.read_all() == CONTENT
        assert reply.error is NetworkError.NO_ERROR


async def test_slow_reader(tmp_path: Path) -> None:
    """A file is not read faster than the reply is: no more than one piece lies there beyond ``read_buffer_size``."""
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    async with open_filing() as manager, manager.get(path.as_uri(), read_buffer_size=1) as reply:
        for _ in range(2):
            await settle()
            assert reply.bytes_available == PIECE
            reply.read()
        await settle()
        assert reply.bytes_available == len(CONTENT) - 2 * PIECE
        reply.read()
        await reply.wait_finished()
        assert descriptors_of(path) == []


class BrokenFile(io.BytesIO):
    """A file on a disk that fails."""

    def read(self, size: int | None = -1) -> bytes:
        """Fail."""
        raise OSError(errno.EIO, os.strerror(errno.EIO), size)


async def test_file_that_cannot_be_read() -> None:
    """A read that fails is UNKNOWN_CONTENT, with the system's error as its cause."""
    source = Owned(inline, OpenFile.close)
    opened = await source.open(partial(describe, BrokenFile()))
    sink = RecordingSink()
    with pytest.raises(UnknownContentError, match="'/path' could not be read: Input/output error") as info:
        await deliver(Request("file:///path"), source, sink, opened=opened, name="/path")
    assert isinstance(info.value.__cause__, OSError)
    assert sink.messages == [ResponseHead()]
    await source.aclose()
    assert opened.file.closed


@pytest.mark.parametrize("seconds", [1e14, -1e14, 1e300])
def test_date_that_no_calendar_has(seconds: float) -> None:
    """A date that cannot be said is none: file systems keep what they were given."""
    assert _moment(seconds) is None


@pytest.mark.parametrize("policy", [policy for policy in RedirectPolicy if policy is not RedirectPolicy.MANUAL])
@pytest.mark.parametrize("scheme", ["file", "resource"])
async def test_no_redirect_leads_here(policy: RedirectPolicy, scheme: str, tmp_path: Path) -> None:
    """No server can send a reply to a file of this machine, under no policy that follows redirects."""
    path = tmp_path / "x"
    path.write_bytes(b"secret")
    target = {"file": path.as_uri(), "resource": "resource:trioreply/__init__.py"}[scheme]
    async with MemoryNetwork() as network:
        routes = {"/": OriginResponse(302, headers=[("Location", target)])}
        async with (
            open_origin(routes, network=network) as origin,
            trioreply.open_manager(resolver=network, dialer=network, redirect_policy=policy) as manager,
        ):
            register(manager)
            async with manager.get(origin.url("/")) as reply:
                assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN
            assert (reply.read(), reply.url) == (b"", URL(origin.url("/")))
