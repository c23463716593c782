"""A server of somebody else's as a process of the tests': started, looked at, and stopped."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable

START_SECONDS = 10.0
STOP_SECONDS = 5.0
MOMENT = 0.02


class ServerProcess:
    """What all such servers have in common."""

    _process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Stop it at once, whatever it is doing. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self, port: int, target: bytes, is_ours: Callable[[bytes], bool]) -> bool:
        """Whether our process serves ``target`` on ``port``; waits until it does, or has ended."""
        deadline = time.monotonic() + START_SECONDS
        while self._is_running() and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                probe.sendall(b"GET " + target + b" HTTP/1.0\r\n\r\n")
                with probe.makefile("rb") as answer:
                    if is_ours(answer.read()):
                        return self._is_running()
        return False

    def _is_running(self) -> bool:
        """Whether the process has not ended within a moment: also the pause between two looks."""
        if self._process is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(MOMENT)
        return self._process.returncode is None


def guarded(command: list[str]) -> list[str]:
    """``command`` so that it ends as well if the tests are killed, where that can be had."""
    watcher = shutil.which("setpriv")
    return command if watcher is None else [watcher, "--pdeathsig", "TERM", *command]


def free_port() -> int:
    """One that nobody uses at this moment."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """So many of them, no two of which are the same: all are taken before the first is let go."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
