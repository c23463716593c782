"""What the command talks to in these tests: an origin in a thread of its own, and terminals that remember."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TextIO, TypeVar

import pytest
import trio

from trioreply._cli.app import main
from trioreply._cli.certificates import QUESTION
from trioreply.testing import (
    Origin,
    OriginHandler,
    OriginRequest,
    OriginResponse,
    ReceiveRequest,
    Routes,
    ScriptedPeer,
    Send,
    ServerTls,
    open_origin,
    serve_peer,
)

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What steers a terminal."""

HALF = b"0123456789abcdef" * 256
"""What `/short`, `/stall` and their like send of a body twice as long."""


T = TypeVar("T")

STEERING = ScriptedPeer(
    ReceiveRequest(),
    Send(b"HTTP/1.1 200 OK\r\nX-Steer: a\xc2\x9b31m[red]\r\nContent-Length: 0\r\n\r\n"),
)


class Website:
    """The origin as tests see it, from another thread."""

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.steering_url = ""
        """Answers with a field that holds a terminal's control character."""
        self.client_gone = threading.Event()
        """Set when a client of ``/stall`` has gone."""

    def url(self, path: str) -> str:
        """The URL of ``path``."""
        assert self.origin is not None
        return self.origin.url(path)

    def last(self) -> OriginRequest:
        """The newest request."""
        assert self.origin is not None
        return self.origin.connections[-1].requests[-1]

    async def respond(self, request: OriginRequest) -> OriginResponse:
        """Answer by the path."""
        routes: dict[str, Callable[[OriginRequest], OriginResponse]] = {
            "/hello": lambda _: OriginResponse(
                headers=[("X-One", "1"), ("X-One", "2")], body=b"hello\n", reason="Fine"
            ),
            "/empty": lambda _: OriginResponse(204),
            "/large": lambda _: OriginResponse(body=bytes(3_000_000)),
            "/chunked": lambda _: OriginResponse(body=_Body(HALF, HALF)),
            "/missing": lambda _: OriginResponse(404, body=b"not here\n"),
            "/broken": lambda _: OriginResponse(500, body=b"sorry\n"),
            "/short": lambda request: self._half(request, request.connection.close),
            "/stall": lambda request: self._half(request, lambda: None),
        }
        if request.path == "/echo":
            return OriginResponse(body=await request.read())
        if request.path.startswith("/signal"):
            os.kill(os.getpid(), signal.Signals[request.query])
            await self._wait_gone(request)
        await request.read()
        return routes.get(request.path, routes["/missing"])(request)

    def _half(self, request: OriginRequest, then: Callable[[], None]) -> OriginResponse:
        async def end() -> None:
            then()
            await self._wait_gone(request)

        return OriginResponse(headers=[("Content-Length", str(2 * len(HALF)))], body=_Body(HALF, end=end))

    async def _wait_gone(self, request: OriginRequest) -> None:
        await request.read()
        with contextlib.suppress(trio.BrokenResourceError):
            await request.connection.receive_piece(request)
        self.client_gone.set()
        raise trio.BrokenResourceError


async def _nothing() -> None:
    await trio.lowlevel.checkpoint()


class _Body:
    """A response's body in pieces, and what happens when they have been sent."""

    def __init__(self, *pieces: bytes, end: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._pieces = iter(pieces)
        self._end = end

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        await self._end()
        raise StopAsyncIteration


@contextlib.contextmanager
def in_a_thread(opened: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """``opened`` in a thread of its own: the command brings an event loop of its own, too."""
    started = threading.Event()
    values: list[T] = []
    stop: list[Callable[[], None]] = []

    async def serve() -> None:
        token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as scope:
            async with opened as value:
                values.append(value)
                stop.append(lambda: token.run_sync_soon(scope.cancel))
                started.set()
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert started.wait(10)
    try:
        yield values[0]
    finally:
        stop[0]()
        thread.join()


@contextlib.contextmanager
def serving(routes: Routes | OriginHandler, tls: ServerTls | None = None) -> Iterator[Origin]:
    """An origin on loopback, perhaps secured, in a thread of its own."""
    with in_a_thread(open_origin(routes, tls=tls)) as origin:
        yield origin


@asynccontextmanager
async def open_website() -> AsyncIterator[Website]:
    """The origin for most of these tests."""
    website = Website()
    async with open_origin(website.respond) as website.origin, serve_peer(STEERING) as website.steering_url:
        yield website


@pytest.fixture(scope="package")
def website() -> Iterator[Website]:
    """An origin for all of these tests."""
    with in_a_thread(open_website()) as website:
        yield website


@contextlib.contextmanager
def standard_input(stream: TextIO | None) -> Iterator[None]:
    """Let ``stream`` be standard input, or let there be none."""
    previous, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = previous


class Terminal:
    """A pseudo-terminal that a program can be given, what is typed at it, and what it has shown."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        """Write here."""
        self.keyboard: TextIO = os.fdopen(os.dup(slave), encoding="utf-8")
        """Read here."""
        self._received = bytearray()
        self._script: list[tuple[bytes, Callable[[], None]]] = []
        self._seen = 0
        self._reader = threading.Thread(target=self._receive)
        self._reader.start()

    def type(self, keys: str) -> None:
        """Press ``keys``; they wait for whoever reads."""
        os.write(self._master, keys.encode())

    def when(self, text: str, then: Callable[[], None]) -> None:
        """Call ``then`` in another thread when ``text`` is shown, once, and after what was to be waited for before."""
        self._script.append((text.encode(), then))

    def shown(self) -> str:
        """End the terminal; gives all that was written, escape sequences included."""
        if self._reader.is_alive():
            self.type("\x04")  # the end of the input, for a thread that was left behind when it read here
        self.stream.close()
        self.keyboard.close()
        self._reader.join()
        return self._received.decode().replace("\r\n", "\n")

    def close(self) -> None:
        """Leave nothing open."""
        self.shown()
        os.close(self._master)

    def _receive(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while piece := os.read(self._master, 4096):
                self._received.extend(piece)
                while self._script and (at := self._received.find(self._script[0][0], self._seen)) >= 0:
                    text, then = self._script.pop(0)
                    self._seen = at + len(text)
                    then()


class Person:
    """Somebody who can be asked: standard input and standard error are their terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.when = terminal.when
        self.keyboard = terminal.keyboard

    def answers(self, keys: str, question: str = QUESTION) -> None:
        """Press ``keys`` when the question comes."""
        self.when(question, lambda: self._terminal.type(keys))

    def runs(self, argv: list[str], **streams: TextIO | None) -> int:
        """Run the command at the terminal, or with other ``streams``; not for ever, if an answer is still missing."""
        stdin = streams.get("stdin", self._terminal.keyboard)
        stderr = streams.get("stderr", self._terminal.stream)
        with standard_input(stdin), contextlib.redirect_stderr(stderr):
            word = [word for word in argv[:1] if word in ("download", "events")]
            return main([*word, "--max-time", "20", *argv[len(word) :]])

    def sees(self) -> str:
        """End the terminal; gives all that was shown, without what only makes it beautiful."""
        return ESCAPES.sub("", self._terminal.shown())


@pytest.fixture
def person(terminal: Terminal) -> Person:
    """Somebody at a terminal of 80 columns."""
    return Person(terminal)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str, bytes], str]:
    """Writes a file, and gives its path."""

    def write(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal of 80 columns."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    yield terminal
    terminal.close()
