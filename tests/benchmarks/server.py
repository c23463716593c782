"""The servers: an nginx of our own in a temporary directory, and `origin` for what that cannot do.

nginx serves some files on two ports of this machine that only this machine can reach, one of them over TLS, by one
process without a master, which keeps connections for as long as anybody likes and writes no log. Its certificate is
made for the occasion. The system's nginx, if one runs, is not touched: all paths in the configuration are our own. The
large file lies in memory (tmpfs) where there is room, and in the temporary directory otherwise, from where the page
cache serves it as well. Both servers end with the benchmark, whatever happens to it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import trustme
from attrs import frozen

from .cases import Way
from .contents import FILES, SMALL, content, write_large
from .job import Site
from .processes import become_server, stop

_IN_MEMORY = Path("/dev/shm")
_START_SECONDS = 10.0
_ATTEMPTS = 5
_RUN = Path(__file__).with_name("run.py")

_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{
    worker_connections 4096;
    multi_accept on;
}}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root}/files;
        location /close/ {{
            alias {root}/files/;
            keepalive_timeout 0;
        }}
    }}
    server {{
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        root {root}/files;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {root}/server.pem;
        ssl_certificate_key {root}/server.pem;
        ssl_session_tickets on;
    }}
}}
"""


class ServerError(Exception):
    """The server cannot be started; the text says what to do."""


@frozen(kw_only=True)
class Server:
    """Servers that run."""

    port: int
    tls_port: int
    own_port: int
    """Of `origin`."""
    ca_file: str
    large_file: str
    version: str
    """Such as ``nginx/1.22.1``."""

    def site(self, way: Way, *, goes_straight: bool = False) -> Site:
        """Where requests go that take that ``way``; without the proxy if they go straight."""
        port, ca_file = {
            Way.PLAIN: (self.port, None),
            Way.FORWARDED: (self.port, None),
            Way.TLS: (self.tls_port, self.ca_file),
            Way.TUNNEL: (self.tls_port, self.ca_file),
            Way.OWN: (self.own_port, None),
        }[way]
        is_proxied = way in {Way.FORWARDED, Way.TUNNEL} and not goes_straight
        return Site(port=port, ca_file=ca_file, proxy_port=self.own_port if is_proxied else None)


@contextlib.contextmanager
def serving(large_size: int, *, core: int | None) -> Iterator[Server]:
    """Serve `FILES` and ``/large``, the latter of ``large_size`` bytes, plain and over TLS; all on processor ``core``.

    Raises:
        ServerError: nginx is not installed, or a server does not start.
        OSError: there is no room for the file.
    """
    program = find_nginx()
    with contextlib.ExitStack() as stack:
        directory = tempfile.TemporaryDirectory(prefix="trioreply-bench-", dir=_roomy_directory(large_size))
        root = Path(stack.enter_context(directory))
        (root / "files").mkdir()
        for name, size in FILES.items():
            (root / "files" / name).write_bytes(content(size))
        large_file = root / "files" / "large"
        write_large(large_file, large_size)
        _certify(root)
        process, ports = _start(program, root, core)
        stack.callback(stop, process)
        yield Server(
            port=ports[0],
            tls_port=ports[1],
            own_port=stack.enter_context(serving_own(core)),
            ca_file=str(root / "ca.pem"),
            large_file=str(large_file),
            version=_version(program),
        )


@contextlib.contextmanager
def serving_own(core: int | None) -> Iterator[int]:
    """Have `origin` serve on processor ``core``; gives the port.

    Raises:
        ServerError: it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", str(_RUN), "origin"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: become_server(core),  # noqa: PLW1509 - there are no threads here
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            raise ServerError("the server that takes uploads does not start; what it said stands above")
        yield int(port)
    finally:
        stop(process)
        if process.stdout is not None:
            process.stdout.close()


def find_nginx() -> str:
    """The path of nginx.

    Raises:
        ServerError: it is not installed.
    """
    # Debian puts it where ordinary users' paths do not lead.
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise ServerError("nginx is not installed, and is the server here; on Debian: apt-get install nginx")
    return program


def _roomy_directory(size: int) -> str | None:
    """Where in memory ``size`` bytes fit twice; ``None`` for the usual temporary directory."""
    with contextlib.suppress(OSError):
        if (
            os.access(_IN_MEMORY, os.W_OK)
            and shutil.disk_usage(_IN_MEMORY).free > 2 * size
            and _spare_memory() > 2 * size
        ):
            return str(_IN_MEMORY)
    return None


def _spare_memory() -> int:
    """How many bytes of memory can be had; tmpfs takes them from there."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _version(program: str) -> str:
    shown = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
    return shown.stderr.partition(":")[2].strip()


def _certify(root: Path) -> None:
    """Put a certificate with its key, and that of its authority, into ``root``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(root / "server.pem"))


def _start(program: str, root: Path, core: int | None) -> tuple[subprocess.Popen[bytes], tuple[int, int]]:
    for _ in range(_ATTEMPTS):
        port, tls_port = _free_port(), _free_port()
        configuration = root / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(root=root, port=port, tls_port=tls_port), "ascii")
        process = subprocess.Popen(
            [program, "-p", str(root), "-c", str(configuration), "-e", str(root / "error.log")],
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: become_server(core),  # noqa: PLW1509 - there are no threads here
        )
        with contextlib.ExitStack() as stack:
            stack.callback(stop, process)
            if _answers(process, port):
                stack.pop_all()
                return process, (port, tls_port)
            # It has ended: somebody was quicker to take a port, or nginx does not like it here.
    raise ServerError(f"nginx does not start: {(root / 'error.log').read_text('utf-8', 'replace').strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether ``process`` serves on ``port``; waits until it does, or has ended."""
    deadline = time.perf_counter() + _START_SECONDS
    while process.poll() is None and time.perf_counter() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.sendall(b"GET /small HTTP/1.0\r\n\r\n")
            with probe.makefile("rb") as answer:
                # Whoever else may listen there does not serve our file.
                return answer.read().endswith(SMALL)
        time.sleep(0.02)
    return False
