"""A lighttpd of our own, for what nginx does not speak: Digest, by MD5 and by SHA-256.

It runs in a directory of its own, on a free port of this machine, as one process that is stopped by its id. Who may
come in stands in its file in hashes alone, and for each algorithm in a line of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .nginx import find_program
from .process import ServerProcess, free_port, guarded

USER, PASSWORD = "Aladdin", "open sesame \u20ac"
REALMS = {"/md5/": "an old realm", "/sha256/": "a new realm", "/both/": "two at once", "/hashed/": "names in hashes"}
"""Places that want Digest, and what they call themselves."""
PAGE = b"What is inside: page, and echo.sh, which gives back the body.\n"
_ECHO = b"printf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat\n"

_ATTEMPTS = 5
_ALGORITHMS = {"/md5/": "MD5", "/sha256/": "SHA-256", "/both/": "MD5|SHA-256", "/hashed/": "SHA-256"}
_CONFIGURATION = """\
server.modules = ("mod_auth", "mod_authn_file", "mod_cgi", "mod_accesslog")
server.document-root = "{root}/files"
server.upload-dirs = ("{root}")
server.bind = "127.0.0.1"
server.port = {port}
server.max-keep-alive-requests = 1000
accesslog.filename = "{root}/access.log"
accesslog.format = "%s %m %U"
cgi.assign = (".sh" => "/bin/sh")
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{root}/users"
auth.require = ({places})
"""
_PLACE = """
    "{path}" => ("method" => "digest", "realm" => "{realm}", "require" => "valid-user", "algorithm" => "{algorithm}"
        {more}),"""


class Lighttpd(ServerProcess):
    """A server in the empty directory ``root``.

    Args:
        program: the path of lighttpd.
        root: where its files go.
    """

    def __init__(self, program: str, root: Path) -> None:
        self.port = 0
        self._program = program
        self._root = root
        for path in REALMS:
            (root / "files" / path.strip("/")).mkdir(parents=True)
            (root / "files" / path.strip("/") / "page").write_bytes(PAGE)
            (root / "files" / path.strip("/") / "echo.sh").write_bytes(_ECHO)
        (root / "users").write_text("".join(map(_lines_of, REALMS.values())), "utf-8")

    @property
    def log(self) -> list[str]:
        """A line ``<status> <method> <path>`` for every request that has ended; whole after `stop` only."""
        return (self._root / "access.log").read_text("utf-8").splitlines()

    def url(self, target: str) -> str:
        """The absolute URL of ``target``."""
        return f"http://127.0.0.1:{self.port}{target}"

    def start(self) -> None:
        """Start it on a free port.

        Raises:
            RuntimeError: it does not start; the text holds what it says.
        """
        for _ in range(_ATTEMPTS):
            port = free_port()
            self._process = self._launch(port)
            if self._answers(port, b"/md5/page", lambda answer: REALMS["/md5/"].encode() in answer):
                self.port = port
                return
            self.stop()  # it has ended: somebody was quicker to take the port
        raise RuntimeError(f"lighttpd does not start: {(self._root / 'error.log').read_text('utf-8', 'replace')}")

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        places = "".join(map(_place, REALMS))
        configuration = self._root / "lighttpd.conf"
        configuration.write_text(_CONFIGURATION.format(root=self._root, port=port, places=places), "utf-8")
        command = [self._program, "-D", "-f", str(configuration)]
        with (self._root / "error.log").open("ab") as log:
            return subprocess.Popen(guarded(command), stdin=subprocess.DEVNULL, stderr=log)


def _place(path: str) -> str:
    more = ', "userhash" => "enable"' if path == "/hashed/" else ""
    return _PLACE.format(path=path, realm=REALMS[path], algorithm=_ALGORITHMS[path], more=more)


def _lines_of(realm: str) -> str:
    """Those of the only user, in the format of ``htdigest``; the hash of the name in the end is lighttpd's own."""
    lines = []
    for algorithm in ("md5", "sha256"):
        login, name = (
            hashlib.new(algorithm, text.encode()).hexdigest()
            for text in (f"{USER}:{realm}:{PASSWORD}", f"{USER}:{realm}")
        )
        lines.append(f"{USER}:{realm}:{login}:{name}\n")
    return "".join(lines)


@contextlib.contextmanager
def running_lighttpd(root: Path) -> Iterator[Lighttpd]:
    """A lighttpd that runs in the empty directory ``root``; see `find_program`."""
    server = Lighttpd(find_program("lighttpd", "lighttpd"), root)
    try:
        server.start()
        yield server
    finally:
        server.stop()
