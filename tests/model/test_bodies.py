"""Bodies: what stands for bytes, and what may be done with it twice."""

from __future__ import annotations

import io
import os
import pathlib
import tempfile
import zipfile
from collections.abc import AsyncIterator

import pytest
import trio
from attrs import frozen

from trioreply._model.bodies import (
    BodySource,
    BytesBody,
    FileBody,
    PathBody,
    StreamBody,
    is_detachable,
    is_empty,
    is_rewindable,
    make_body,
)
from trioreply.testing import MemoryConnection


async def pieces() -> AsyncIterator[bytes]:
    """An asynchronous iterator of bytes."""
    yield b"never read"


class Drip(io.RawIOBase):
    """A binary file that cannot go back, such as a pipe."""

    def readable(self) -> bool:
        """It can be read."""
        return True


@frozen
class Folder:
    """An own path type."""

    name: str

    def __fspath__(self) -> str:
        return f"/tmp/{self.name}"


@pytest.mark.parametrize("source", [b"data", bytearray(b"data"), memoryview(b"data"), memoryview(b"d.a.t.a.")[::2]])
def test_bytes_are_copied(source: BodySource) -> None:
    """Bytes of any kind become a body of their own: what happens to the buffer later changes nothing."""
    body = make_body(source)
    assert body == BytesBody(b"data")
    if isinstance(source, bytearray):
        source[:] = b"!!!!"
    assert body == BytesBody(b"data")


@pytest.mark.parametrize("source", [pathlib.Path("/tmp/x"), trio.Path("/tmp/x"), Folder("x")])
def test_paths(source: os.PathLike[str]) -> None:
    """A path of any class stands for the file there, opened when it is needed."""
    assert make_body(source) == PathBody("/tmp/x")


def test_open_binary_files(tmp_path: pathlib.Path) -> None:
    """An open binary file is the body from where it stands; it stays the caller's, and two are never equal."""
    with (
        io.BytesIO(b"x") as memory,
        tempfile.TemporaryFile() as file,
        zipfile.ZipFile(tmp_path / "z", "w") as archive,
        archive.open("inside", "w") as member,
    ):
        for source in (memory, file, member):
            body = make_body(source)
            assert isinstance(body, FileBody)
            assert body.file is source
            assert body != make_body(source)


async def test_files_of_trio() -> None:
    """A file that Trio opened is the file within it, which the upload reads in a thread of its own."""
    source = trio.wrap_file(io.BytesIO(b"x"))
    body = make_body(source)
    assert isinstance(body, FileBody)
    assert body.file is source.wrapped


async def test_streams_and_iterables() -> None:
    """An asynchronous iterable and a stream of bytes are taken as they come."""
    stream = MemoryConnection().client
    for source in (pieces(), stream):
        body = make_body(source)
        assert isinstance(body, StreamBody)
        assert body.source is source
        assert body != make_body(source)
    await stream.aclose()


def test_bodies_pass_through() -> None:
    """A body is its own source, and nothing is no body."""
    body = BytesBody(b"x")
    assert make_body(body) is body
    assert make_body(None) is None


@pytest.mark.parametrize(
    "source",
    [
        "text",
        5,
        {"a": 1},
        [b"a", b"b"],
        iter([b"a"]),
        io.StringIO("text"),
        io.TextIOWrapper(io.BytesIO()),
        trio.wrap_file(io.StringIO("text")),
        object(),
    ],
    ids=lambda source: type(source).__name__,
)
def test_what_gives_no_bytes_is_refused(source: object) -> None:
    """Text, text files, synchronous iterables and other objects are refused, and told what to give instead."""
    with pytest.raises(TypeError, match=r"^body: "):
        make_body(source)  # type: ignore[arg-type]  # wrong types are the point


def test_only_our_own_bodies_are_sent_after_the_block() -> None:
    """What nobody else holds may go on in the background: bytes, paths and nothing at all; not what the caller owns."""
    assert [
        is_detachable(body)
        for body in (BytesBody(b"x"), PathBody("x"), FileBody(io.BytesIO()), StreamBody(pieces()), None)
    ] == [True, True, False, False, True]


def test_what_can_be_sent_twice() -> None:
    """Bytes, paths and seekable files can be sent again; a pipe and a stream cannot."""
    assert [
        is_rewindable(body)
        for body in (
            BytesBody(b"x"),
            PathBody("x"),
            FileBody(io.BytesIO()),
            None,
            FileBody(io.BufferedReader(Drip())),
            StreamBody(pieces()),
        )
    ] == [True, True, True, True, False, False]


def test_what_is_empty_beforehand() -> None:
    """No body and no bytes are known to be nothing to send; of anything else one cannot know."""
    assert [is_empty(body) for body in (None, BytesBody(b""), BytesBody(b"x"), PathBody("x"))] == [
        True,
        True,
        False,
        False,
    ]


def test_repr_of_bytes_is_silent() -> None:
    """A body in memory is not shown: it may be large, or secret."""
    assert repr(BytesBody(b"secret")) == "BytesBody()"
