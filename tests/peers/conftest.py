"""The servers of these journeys, and a dialler that shows what happens to connections."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from .nginx import Nginx, running_nginx
from .nginx_tls import SecureNginx, running_secure_nginx


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """The nginx of most tests: nobody stops it."""
    with running_nginx(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@pytest.fixture
def own_nginx(tmp_path: Path) -> Iterator[Nginx]:
    """An nginx that this test may stop and start."""
    root = tmp_path / "nginx"
    root.mkdir()
    with running_nginx(root) as server:
        yield server


@pytest.fixture(scope="session")
def secure_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureNginx]:
    """The nginx that speaks TLS: nobody stops it."""
    with running_secure_nginx(tmp_path_factory.mktemp("nginx-tls")) as server:
        yield server


@pytest.fixture
def own_secure_nginx(tmp_path: Path) -> Iterator[SecureNginx]:
    """One that this test may stop and start."""
    root = tmp_path / "nginx-tls"
    root.mkdir()
    with running_secure_nginx(root) as server:
        yield server


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Python's own file server, which still speaks HTTP/1.0."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture
def http10_server(tmp_path: Path) -> Iterator[str]:
    """The base URL of a real HTTP/1.0 server with one file, ``/small``."""
    (tmp_path / "small").write_bytes(b"from the last century")
    handler = partial(_QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
