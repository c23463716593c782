"""Bodies from files and to files."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from trioreply._cli.exits import CommandError, Exit
from trioreply._cli.files import Output, StandardInput, file_output, request_body


def test_text_is_its_bytes() -> None:
    """Data is sent as it was typed, in the terminal's own bytes."""
    assert request_body("ü\udcff") == "ü".encode() + b"\xff"


def test_file_is_a_path(tmp_path: Path) -> None:
    """A file is given to the library by its path, so it is never in memory."""
    (tmp_path / "f").write_bytes(b"x")
    assert request_body(f"@{tmp_path / 'f'}") == tmp_path / "f"


async def test_standard_input_ends() -> None:
    """A pipe gives what is in it, and then its end."""
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    source = StandardInput(reader)
    assert [await source.receive_some(2), await source.receive_some(), await source.receive_some()] == [
        b"ab",
        b"c",
        b"",
    ]
    os.close(reader)


async def test_output_is_opened_late(tmp_path: Path) -> None:
    """A file is touched by the first write and not before; then it is replaced."""
    path = tmp_path / "f"
    path.write_bytes(b"old content")
    output = file_output(path)
    assert path.read_bytes() == b"old content"
    assert output.kept() == ""
    await output.write(b"new")
    await output.write(b"")
    output.close()
    assert path.read_bytes() == b"new"
    assert output.kept() == f"; the first 3 B are in {path}"


async def test_output_writes_all() -> None:
    """A pipe that takes less than it is offered gets the rest in further writes."""
    written: list[bytes] = []

    class Slow(io.RawIOBase):
        def write(self, content: object, /) -> int:
            written.append(bytes(content[:2]))  # type: ignore[index]  # a memoryview
            return len(written[-1])

    output = Output("slow", Slow)
    await output.write(b"abcde")
    assert written == [b"ab", b"cd", b"e"]


async def test_unwritable_output_is_explained() -> None:
    """A file that cannot be written is an error that says which file, and why."""
    output = file_output(Path("/dev/full"))
    with pytest.raises(CommandError) as caught:
        await output.write(b"x")
    output.close()
    assert str(caught.value) == f"cannot write to /dev/full: {os.strerror(errno.ENOSPC)}"
    assert caught.value.code is Exit.OUTPUT


async def test_full_pipe_in_non_blocking_mode_is_explained() -> None:
    """A pipe that somebody made non-blocking is no reason to lose bytes: it is an error that says what to do."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    output = Output("standard output", lambda: io.FileIO(writer, "wb"), keeps=False)
    with pytest.raises(CommandError, match=r"non-blocking mode, and full; put `\| cat` behind the command$"):
        await output.write(bytes(10_000_000))
    output.close()
    os.close(reader)


async def test_broken_pipe_passes() -> None:
    """A pipe that nobody reads any more is not an error to be told about."""
    reader, writer = os.pipe()
    os.close(reader)
    output = Output("standard output", lambda: io.FileIO(writer, "wb"))
    with pytest.raises(BrokenPipeError):
        await output.write(b"x")
    output.close()
