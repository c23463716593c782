"""The server: an nginx of our own in a temporary directory, which ends with the benchmark whatever happens.

It serves two files on two ports of this machine that only this machine can reach, one of them over TLS, by one process
without a master, which keeps connections for as long as anybody likes and writes no log. Its certificate is made for
the occasion. The system's nginx, if one runs, is not touched: all
paths in the configuration are our own. The large file lies in memory (tmpfs) where there is room, and in the temporary
directory otherwise, from where the page cache serves it as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import trustme
from attrs import frozen

from .contents import SMALL, write_large
from .job import Site

_IN_MEMORY = Path("/dev/shm")
_START_SECONDS = 10.0
_ATTEMPTS = 5
_PR_SET_PDEATHSIG = 1

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


@frozen
class Server:
    """A server that runs."""

    plain_site: Site
    secure_site: Site
    version: str
    """Such as ``nginx/1.22.1``."""


@contextlib.contextmanager
def serving(large_size: int, *, core: int | None) -> Iterator[Server]:
    """Serve ``/small`` and ``/large``, the latter of ``large_size`` bytes, plain and over TLS, on processor ``core``.

    Raises:
        ServerError: nginx is not installed, or does not start.
        OSError: there is no room for the file.
    """
    program = find_nginx()
    with tempfile.TemporaryDirectory(prefix="trioreply-bench-", dir=_roomy_directory(large_size)) as directory:
        root = Path(directory)
        (root / "files").mkdir()
        (root / "files" / "small").write_bytes(SMALL)
        write_large(root / "files" / "large", large_size)
        _certify(root)
        process, ports = _start(program, root, core)
        try:
            yield Server(
                Site(port=ports[0]), Site(port=ports[1], ca_file=str(root / "ca.pem")), version=_version(program)
            )
        finally:
            _stop(process)


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
            preexec_fn=lambda: _become_server(core),  # noqa: PLW1509 - there are no threads here
        )
        with contextlib.ExitStack() as stack:
            stack.callback(_stop, process)
            if _answers(process, port):
                stack.pop_all()
                return process, (port, tls_port)
            # It has ended: somebody was quicker to take a port, or nginx does not like it here.
    raise ServerError(f"nginx does not start: {(root / 'error.log').read_text('utf-8', 'replace').strip()}")


def _become_server(core: int | None) -> None:
    """In the process that becomes nginx: take a processor, and end with whoever started us, even if that was killed."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
