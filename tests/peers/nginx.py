"""An nginx of our own: in a directory of its own, on a free port of this machine, for as long as a test needs it.

It is one process without a master, so it can be stopped by its id and takes nobody with it. The system's nginx, if one
runs, is not touched: every path in the configuration is below the directory. What each location is there for stands
beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from .process import ServerProcess, free_ports, guarded

_ATTEMPTS = 5

SMALL = b"What a small file holds.\n"
PAGE_LINES = 5000
PAGE = b"".join(b"line %06d of a page that has no length\n" % number for number in range(PAGE_LINES))
_ALIVE = b"this is the nginx of the tests"

_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{
    worker_connections 512;
}}
http {{
    log_format sent '$request_uri $body_bytes_sent';
    access_log {root}/sent.log sent;
    default_type application/octet-stream;
    types {{ text/html html; }}
    sendfile on;
    keepalive_timeout 1h;
    keepalive_requests 1000000;
    large_client_header_buffers 4 16k;
    client_max_body_size 0;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root}/files;
        # Which connection this is for the server, and how many requests it has carried.
        add_header X-Connection $connection always;
        add_header X-Requests $connection_requests always;

        location = /alive {{ access_log off; return 200 "{alive}"; }}
        location = /echo {{ return 200 "$request_method $request_uri"; }}
        location = /nothing {{ return 204; }}
        # A body of unknown length: in chunks, with a trailer.
        location = /page.html {{ ssi on; add_trailer X-Served-By nginx; }}
        # The same to somebody who knows no chunks, as HTTP/1.0 did: up to the connection's end.
        location = /until-the-end/page.html {{
            alias {root}/files/page.html;
            ssi on;
            chunked_transfer_encoding off;
        }}
        location = /compressible {{ alias {root}/files/page.txt; gzip on; gzip_types *; gzip_min_length 1; }}
        location = /mirror {{ add_header X-Mirror $http_x_mirror always; return 200 "mirrored"; }}
        # Connections that end: after a moment, or after two requests.
        location = /brief {{ alias {root}/files/small; keepalive_timeout 20ms; }}
        location = /twice {{ alias {root}/files/small; keepalive_requests 2; }}
        location /dav/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
        location /proxied/ {{
            proxy_pass http://127.0.0.1:{port}/dav/;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
        location /at-most-1m/ {{ dav_methods PUT; client_max_body_size 1m; }}
    }}
{more}
}}
"""


class Nginx(ServerProcess):
    """A server in the directory ``root``; its files are those in `files`.

    Args:
        program: the path of nginx.
        root: an empty directory.
        more: ``server`` blocks beside the plain one, by a name for their port; where ``{port}`` and ``{root}`` stand in
            them, those are put in.
    """

    def __init__(self, program: str, root: Path, more: Mapping[str, str]) -> None:
        self.files = root / "files"
        self.ports: dict[str, int] = {}
        """Where it serves: the plain port is called ``""``."""
        self._program = program
        self._root = root
        self._more = more
        self.files.mkdir()
        (self.files / "small").write_bytes(SMALL)
        (self.files / "page.txt").write_bytes(PAGE)
        (self.files / "page.html").write_bytes(PAGE + b'<!--#echo var="request_method" -->')

    @property
    def port(self) -> int:
        """The plain port."""
        return self.ports[""]

    @property
    def log(self) -> list[str]:
        """A line ``<target> <bytes of the body that left>`` for every request that has ended."""
        return (self._root / "sent.log").read_text("utf-8").splitlines()

    def url(self, target: str) -> str:
        """The absolute URL of ``target``."""
        return f"http://127.0.0.1:{self.port}{target}"

    def start(self) -> None:
        """Start it: on free ports, later always on the same.

        Raises:
            RuntimeError: it does not start; the text holds what it says.
        """
        for _ in range(_ATTEMPTS if not self.ports else 1):
            names = ("", *self._more)
            ports = self.ports or dict(zip(names, free_ports(len(names)), strict=True))
            self._process = self._launch(ports)
            if self._answers(ports[""], b"/alive", lambda answer: answer.endswith(_ALIVE)):
                self.ports = ports
                return
            # It has ended: somebody was quicker to take a port.
            self.stop()
        raise RuntimeError(f"nginx does not start: {(self._root / 'error.log').read_text('utf-8', 'replace')}")

    def restart(self) -> None:
        """Stop it and start it on the same port."""
        self.stop()
        self.start()

    def _launch(self, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
        configuration = self._root / "nginx.conf"
        more = "".join(text.format(root=self._root, port=ports[name]) for name, text in self._more.items())
        configuration.write_text(
            _CONFIGURATION.format(root=self._root, port=ports[""], alive=_ALIVE.decode("ascii"), more=more), "utf-8"
        )
        command = [self._program, "-p", str(self._root), "-c", str(configuration), "-e", str(self._root / "error.log")]
        return subprocess.Popen(guarded(command), stdin=subprocess.DEVNULL)


def find_program(name: str, package: str) -> str:
    """The path of a program that tests need.

    Without it on this machine the test is skipped, but never where ``CI`` is set: there it must be installed.
    """
    # Debian puts servers where ordinary users' paths do not lead.
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        reason = f"{name} is not installed; on Debian: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@contextlib.contextmanager
def running_nginx(root: Path, more: Mapping[str, str] | None = None) -> Iterator[Nginx]:
    """An nginx that runs in the empty directory ``root``; see `find_program`, and for ``more`` see `Nginx`."""
    nginx = Nginx(find_program("nginx", "nginx-light"), root, more or {})
    try:
        nginx.start()
        yield nginx
    finally:
        nginx.stop()
