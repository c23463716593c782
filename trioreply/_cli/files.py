"""Where bodies come from and where they go: files, and the standard streams.

Everything here may block for as long as somebody else likes (a pipe that nobody reads, a terminal at which nobody
types), so it happens in worker threads. Those are left behind when the command is interrupted: they own nothing that
outlives the process. Therefore nothing goes through Python's buffered streams, whose locks a thread that was left
behind would hold at exit.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import trio

from .exits import CommandError, Exit
from .wording import size

INPUT_PIECE = 64 * 1024
"""Bytes read from standard input at a time: a pipe holds no more."""


class StandardInput:
    """Standard input, if it is a pipe or a terminal, as something that bytes can be received from."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; ``b""`` at the end."""
        wanted = INPUT_PIECE if max_bytes is None else max_bytes
        return await trio.to_thread.run_sync(os.read, self._descriptor, wanted, abandon_on_cancel=True)

    @contextlib.contextmanager
    def without_echo(self) -> Iterator[None]:
        """Let the terminal not show what is typed from now on; what was typed before is dropped.

        Raises:
            OSError: it is no terminal, or one that has gone.
        """
        try:
            usual = termios.tcgetattr(self._descriptor)
            hidden = [*usual]
            hidden[3] &= ~termios.ECHO  # the fourth are the local modes
            # At once, because to wait until everything is shown would be to wait for whoever has stopped the terminal.
            termios.tcsetattr(self._descriptor, termios.TCSANOW, hidden)
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
        except termios.error as error:
            raise OSError(*error.args) from error
        try:
            yield
        finally:
            with contextlib.suppress(termios.error):  # it has gone
                termios.tcsetattr(self._descriptor, termios.TCSANOW, usual)


def request_body(text: str) -> bytes | Path | BinaryIO | StandardInput:
    """The body that ``--data`` and ``--json`` stand for: text, ``@FILE``, or ``@-`` for standard input.

    Raises:
        ValueError: the file is not there, or cannot be read.
    """
    if not text.startswith("@"):
        return os.fsencode(text)
    if text == "@-":
        return standard_input()
    path = Path(text[1:])
    if path.is_dir() or not os.access(path, os.R_OK):
        raise ValueError(f"{str(path)!r} is not a file that can be read; check the name behind the @")
    return path


def standard_input() -> BinaryIO | StandardInput:
    """Standard input as a body.

    Raises:
        ValueError: it is closed.
    """
    streamed = streamed_input()
    # A redirected file tells its length, and can be sent twice.
    return sys.stdin.buffer if sys.stdin.buffer.seekable() else streamed


def streamed_input() -> StandardInput:
    """Standard input as bytes that come while they are sent, whatever it is.

    Raises:
        ValueError: it is closed.
    """
    if sys.stdin is None:
        raise ValueError("standard input is closed; give the data, or @FILE")
    return StandardInput(sys.stdin.fileno())


class Output:
    """Where bytes go to; opened with the first of them, so that a failed request does not empty a file."""

    def __init__(self, name: str, opener: Callable[[], io.RawIOBase], *, keeps: bool = True) -> None:
        self._name = name
        self._opener = opener
        self._keeps = keeps
        self._written = 0
        self._file: io.RawIOBase | None = None

    async def write(self, content: bytes) -> None:
        """Write all of ``content``; with ``b""`` it is only opened.

        Raises:
            BrokenPipeError: it is a pipe, and nobody reads it any more.
            CommandError: it cannot be opened or written, for the reason in the message.
        """
        try:
            await trio.to_thread.run_sync(self._write_in_thread, content, abandon_on_cancel=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise CommandError(f"cannot write to {self._name}: {reason}", Exit.OUTPUT) from error

    def kept(self) -> str:
        """What a message about a failure adds: how much of the body is there all the same."""
        return f"; the first {size(self._written)} are in {self._name}" if self._written and self._keeps else ""

    def close(self) -> None:
        """Close it, if it was opened."""
        if self._file is not None:
            self._file.close()

    def _write_in_thread(self, content: bytes) -> None:
        if self._file is None:
            self._file = self._opener()
        rest = memoryview(content)
        while rest:
            # None: a pipe that somebody else made non-blocking is full.
            count = self._file.write(rest)
            if count is None:
                raise BlockingIOError("it is in non-blocking mode, and full; put `| cat` behind the command")
            rest = rest[count:]
            self._written += count


def file_output(path: Path) -> Output:
    """An output to the file at ``path``, which replaces what it holds."""
    return Output(str(path), lambda: path.open("wb", buffering=0))


def standard_output() -> Output:
    """An output to standard output, past Python's own buffer.

    Raises:
        CommandError: standard output is closed.
    """
    if sys.stdout is None:
        raise CommandError("standard output is closed; give a file with -o", Exit.OUTPUT)
    descriptor = sys.stdout.fileno()
    return Output("standard output", lambda: io.FileIO(descriptor, "wb", closefd=False), keeps=False)
