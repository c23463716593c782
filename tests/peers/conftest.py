"""The servers of these journeys."""

from __future__ import annotations

import http.server
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

import trioreply

from . import socks_server
from .journeys import Sites, Trip
from .nginx import Nginx, running_nginx
from .nginx_local import LocalNginx, running_local_nginx
from .nginx_tls import SecureNginx, running_secure_nginx
from .socks_server import Dante, Microsocks
from .squid import Squid, running_squid


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


@pytest.fixture(scope="session")
def sites(nginx: Nginx, secure_nginx: SecureNginx) -> Sites:
    """The two that stand behind proxies."""
    return Sites(nginx, secure_nginx)


@pytest.fixture(scope="session")
def local_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNginx]:
    """The nginx on Unix sockets: nobody stops it."""
    with running_local_nginx(tmp_path_factory.mktemp("nginx-local")) as server:
        yield server


@pytest.fixture
def own_local_nginx(tmp_path: Path) -> Iterator[LocalNginx]:
    """One that this test may stop and start."""
    root = tmp_path / "nginx-local"
    root.mkdir()
    with running_local_nginx(root) as server:
        yield server


@pytest.fixture(scope="session")
def squid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Squid]:
    """The HTTP proxy, with all its doors: nobody stops it."""
    with running_squid(tmp_path_factory.mktemp("squid")) as server:
        yield server


_TRIP_SECONDS = 30.0  # none takes a tenth of it
_trips = itertools.count()


@pytest.fixture
async def trip(squid: Squid, sites: Sites) -> AsyncIterator[Trip]:
    """A journey through squid."""
    agent = f"trip/{next(_trips)}"
    with trio.fail_after(_TRIP_SECONDS):
        async with trioreply.open_manager(user_agent=agent, ssl=sites.secure.trust) as manager:
            yield Trip(manager, squid, sites, agent)


@pytest.fixture(scope="session")
def microsocks() -> Iterator[Microsocks]:
    """The SOCKS5 server that lets everybody in: nobody stops it."""
    server = Microsocks()
    with socks_server.running(server):
        yield server


@pytest.fixture(scope="session")
def guarded_microsocks() -> Iterator[Microsocks]:
    """The one that wants `socks_server.USER` and `socks_server.PASSWORD`."""
    server = Microsocks((socks_server.USER, socks_server.PASSWORD))
    with socks_server.running(server):
        yield server


@pytest.fixture(scope="session")
def dante(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dante]:
    """The server of SOCKS4 and SOCKS5: nobody stops it."""
    server = Dante(tmp_path_factory.mktemp("dante"))
    with socks_server.running(server):
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
