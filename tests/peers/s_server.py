"""OpenSSL's own test server, ``openssl s_server``: pre-shared keys, and a person at the keyboard of the other end.

It takes one client at a time. Without ``-www`` it shows what the client sends, and sends what is typed; a line that is
one letter is a command instead (``r`` renegotiates, ``k`` changes its keys, ``K`` has the client change its own, too).
What must be waited for is therefore its words: a command that comes too soon, or together with something to send, is
sent as text.

What was hard: it keeps its words to itself for a while unless a terminal listens, so it gets one.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
import tty
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import trio
import trustme

from .nginx import find_program

_SECONDS = 20.0
"""How long any of its words may take."""


class SServer:
    """A server that runs: what it says, and what is typed to it."""

    def __init__(self, screen: trio.lowlevel.FdStream, keyboard: trio.lowlevel.FdStream) -> None:
        self.port = 0
        self._screen = screen
        self._keyboard = keyboard
        self._said = ""

    @property
    def url(self) -> str:
        """The URL of its only page."""
        return f"https://127.0.0.1:{self.port}/"

    async def wait_said(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed ``pattern``, a regular expression, and forget all up to there.

        Raises:
            AssertionError: it says nothing of the kind.
        """
        with trio.move_on_after(_SECONDS):
            while not (found := re.search(pattern, self._said)):
                self._said += (await self._screen.receive_some()).decode("utf-8", "replace")
            self._said = self._said[found.end() :]
            return found
        raise AssertionError(f"s_server did not say {pattern!r}: {self._said}")

    async def type(self, text: str) -> None:
        """Type ``text``."""
        await self._keyboard.send_all(text.encode("ascii"))


@contextlib.asynccontextmanager
async def running_s_server(arguments: Sequence[str]) -> AsyncIterator[SServer]:
    """A server on a free port, started with ``arguments``; skipped as `find_program` says."""
    command = [find_program("openssl", "openssl"), "s_server", "-accept", "127.0.0.1:0", *arguments]
    # If the tests are killed, their server shall end as well. (It would also end with the thread that starts it, so
    # that must be this one.)
    watcher = shutil.which("setpriv")
    if watcher is not None:
        command = [watcher, "--pdeathsig", "KILL", *command]
    screen, its_screen = pty.openpty()
    tty.setraw(its_screen)
    its_keyboard, keyboard = os.pipe()
    process = subprocess.Popen(command, stdin=its_keyboard, stdout=its_screen, stderr=its_screen)  # noqa: ASYNC220 - see above
    os.close(its_screen)
    os.close(its_keyboard)
    async with trio.lowlevel.FdStream(screen) as output, trio.lowlevel.FdStream(keyboard) as input_:
        try:
            server = SServer(output, input_)
            server.port = int((await server.wait_said(r"ACCEPT 127\.0\.0\.1:(\d+)\s"))[1])
            yield server
        finally:
            process.kill()
            process.wait()


def certificate_arguments(ca: trustme.CA, directory: Path) -> list[str]:
    """The arguments for a server with a certificate from ``ca``, which is written to ``directory``."""
    path = directory / "s_server.pem"
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    return ["-cert", str(path), "-key", str(path), "-CAfile", str(directory / "ca.pem")]
