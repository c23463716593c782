"""SOCKS servers of our own: microsocks, with and without a login, and Dante, which also speaks version 4.

Each runs on a free port of this machine as a process that is stopped by its id; Dante's children end with it. Both
find addresses for names themselves. Dante leads to 127.0.0.0/8 alone; microsocks knows no such rule, so what it is
asked for must be here.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from trioreply import Proxy, ProxyType

from .nginx import find_program
from .process import START_SECONDS, ServerProcess, free_port, guarded

USER, PASSWORD = "Aladdin", "open sesame \u20ac"

_ATTEMPTS = 5
_GREETING = b"\x05\x02\x00\x02"
"""Version 5, without a login or with one; what is answered begins with the version (RFC 1928 section 3)."""

# It wants each of these in a line of its own.
_DANTE = """\
logoutput: {root}/danted.log
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass {{
    from: 127.0.0.0/8 to: 0.0.0.0/0
}}
socks pass {{
    from: 127.0.0.0/8 to: 127.0.0.0/8
    command: connect
    log: connect error
}}
"""


class SocksServer(ServerProcess):
    """A server; its kinds differ in how they are launched."""

    name = ""

    def __init__(self) -> None:
        self.port = 0

    def proxy(
        self,
        kind: ProxyType = ProxyType.SOCKS5H,
        login: tuple[str, str] | None = None,
        via: Proxy | None = None,
    ) -> Proxy:
        """The way through it."""
        return Proxy(kind, "127.0.0.1", self.port, *(login or ()), via=via)

    def start(self) -> None:
        """Start it on a free port.

        Raises:
            RuntimeError: it does not start; what it says stands in the tests' own output, or its directory.
        """
        for _ in range(_ATTEMPTS):
            port = free_port()
            self._process = self.launch(port)
            if self._greets(port):
                self.port = port
                return
            self.stop()  # it has ended: somebody was quicker to take the port
        raise RuntimeError(f"{self.name} does not start")

    def launch(self, port: int) -> subprocess.Popen[bytes]:
        """A process that will serve on ``port``."""
        raise NotImplementedError

    def _greets(self, port: int) -> bool:
        """Whether our process speaks SOCKS5 on ``port``; waits until it does, or has ended."""
        deadline = time.monotonic() + START_SECONDS
        while self._is_running() and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                probe.sendall(_GREETING)
                if probe.recv(2)[:1] == _GREETING[:1]:
                    return self._is_running()
        return False


class Microsocks(SocksServer):
    """The small one; ``login`` is what it demands."""

    name = "microsocks"

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        super().__init__()
        self._program = find_program(self.name, self.name)
        self._login = [] if login is None else ["-u", login[0], "-P", login[1]]

    def launch(self, port: int) -> subprocess.Popen[bytes]:
        """As `SocksServer.launch`."""
        command = [self._program, "-i", "127.0.0.1", "-p", str(port), *self._login]
        return subprocess.Popen(guarded(command), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Dante(SocksServer):
    """The big one, in the empty directory ``root``."""

    name = "danted"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._program = find_program(self.name, "dante-server")
        self._root = root

    @property
    def log(self) -> str:
        """What it has written, which for a connection it does before it says that there is one."""
        return (self._root / "danted.log").read_text("utf-8")

    def launch(self, port: int) -> subprocess.Popen[bytes]:
        """As `SocksServer.launch`."""
        configuration = self._root / "danted.conf"
        configuration.write_text(_DANTE.format(root=self._root, port=port), "utf-8")
        command = [self._program, "-f", str(configuration), "-p", str(self._root / "danted.pid")]
        return subprocess.Popen(guarded(command), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def running(server: SocksServer) -> Iterator[None]:
    """``server`` runs for as long as the block."""
    try:
        server.start()
        yield
    finally:
        server.stop()
