"""Journeys to an nginx on Unix sockets, plain and secure, by the request's own field and by URL."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply import (
    Encrypted,
    HostNotFoundError,
    Manager,
    NetworkError,
    Proxy,
    ProxyType,
    ReadyRead,
    RedirectPolicy,
    SocketStartedConnecting,
    SslHandshakeFailedError,
)
from trioreply.errors import ConnectionRefusedError

from ..soak.large import write_large
from .journeys import MIB, carry, visit
from .nginx import PAGE, SMALL
from .nginx_local import SERVED_NAME, LocalNginx
from .process import free_port

SECONDS = 30.0
"""No journey takes a tenth of it."""

SCHEMES = ("http", "https", "unix+http", "local+http")


@pytest.fixture
async def manager(local_nginx: LocalNginx) -> AsyncIterator[Manager]:
    """A manager that trusts the server's authority."""
    with trio.fail_after(SECONDS):
        async with trioreply.open_manager(ssl=local_nginx.trust) as manager:
            yield manager


def socket_for(scheme: str, server: LocalNginx) -> Path:
    """The socket where URLs of ``scheme`` are served."""
    return server.secure_socket if scheme == "https" else server.socket


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_each_verb(scheme: str, manager: Manager, local_nginx: LocalNginx) -> None:
    """Every verb works on a socket, whichever scheme the URL has, and one connection does all of it."""
    path = socket_for(scheme, local_nginx)
    await visit(manager, f"{scheme}://{SERVED_NAME}", f"local-{scheme}", local_server_name=path)
    assert manager.statistics().idle == 1


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_events(scheme: str, manager: Manager, local_nginx: LocalNginx) -> None:
    """They are those of any request; the address is the socket's path, the name the URL's, for Host and for TLS."""
    path = socket_for(scheme, local_nginx)
    async with manager.get(f"{scheme}://{SERVED_NAME}/echo?a=b", local_server_name=path) as reply:
        events = [event async for event in reply]
        assert reply.read() == f"GET /echo?a=b {SERVED_NAME}".encode()
    names = ["SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ReadyRead", "Progress", "Finished"]
    assert [type(event).__name__ for event in events if not isinstance(event, Encrypted)] == names
    assert any(isinstance(event, Encrypted) for event in events) is (scheme == "https")
    assert isinstance(events[0], SocketStartedConnecting)
    assert (events[0].host, events[0].address) == (SERVED_NAME, str(path))


@pytest.fixture
def temporary_name(local_nginx: LocalNginx) -> Iterator[str]:
    """The name of the plain socket in the directory for temporary files."""
    link = Path(tempfile.gettempdir(), f"trioreply-{os.getpid()}.sock")
    link.symlink_to(local_nginx.socket)
    yield link.name
    link.unlink()


@pytest.mark.parametrize("scheme", ["unix+http", "local+http"])
async def test_a_socket_by_url(scheme: str, manager: Manager, temporary_name: str) -> None:
    """Without a field of its own the URL's host is the socket's name, in the directory for temporary files (as Qt)."""
    async with manager.get(f"{scheme}://{temporary_name}/echo") as reply:
        assert await reply.read_all() == f"GET /echo {temporary_name}".encode()


async def test_one_connection_for_one_request_after_another(manager: Manager, local_nginx: LocalNginx) -> None:
    """Twenty requests use one connection, as the server counts them."""
    url = f"unix+http://{SERVED_NAME}/page.txt"
    responses = [await manager.fetch(url, local_server_name=local_nginx.socket) for _ in range(20)]
    assert {response.body for response in responses} == {PAGE}
    assert [response.headers["X-Requests"] for response in responses] == [str(count) for count in range(1, 21)]
    assert list(manager.statistics().connections) == [f"unix+http://{SERVED_NAME} at {local_nginx.socket}"]


async def test_many_at_once(manager: Manager, local_nginx: LocalNginx) -> None:
    """Thirty requests at once share six connections, and each gets its own answer."""
    bodies: dict[int, bytes] = {}
    connections: set[str] = set()

    async def put_and_get(number: int) -> None:
        url = f"http://{SERVED_NAME}/dav/local-{number}"
        body = b"%d," % number * 10_000
        await manager.fetch(url, verb="PUT", body=body, local_server_name=local_nginx.socket)
        response = await manager.fetch(url, local_server_name=local_nginx.socket)
        bodies[number] = response.body
        connections.add(response.headers["X-Connection"])

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(put_and_get, number)
    assert bodies == {number: b"%d," % number * 10_000 for number in range(30)}
    assert len(connections) <= 6


async def test_a_socket_is_a_place_of_its_own(manager: Manager, local_nginx: LocalNginx) -> None:
    """A connection to a socket is never used for the host of the same name, nor the other way round."""
    url = local_nginx.nginx.url("/small")
    responses = [
        await manager.fetch(url, local_server_name=path)
        for path in (None, local_nginx.socket, None, local_nginx.socket)
    ]
    assert [response.headers["X-Requests"] for response in responses] == ["1", "1", "2", "2"]
    assert manager.statistics().idle == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_64_mebibytes(scheme: str, manager: Manager, local_nginx: LocalNginx) -> None:
    """A large file down and up is the same at the other end."""
    path = socket_for(scheme, local_nginx)
    await carry(manager, f"{scheme}://{SERVED_NAME}", local_nginx.nginx.files, 64, local_server_name=path)


async def test_a_body_in_chunks_with_a_trailer(manager: Manager, local_nginx: LocalNginx) -> None:
    """A response in chunks arrives whole with its trailer, and so does a request in chunks."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(300):
            yield b"%08d" % number * 1000

    async with manager.get(f"http://{SERVED_NAME}/page.html", local_server_name=local_nginx.socket) as reply:
        assert await reply.read_all() == PAGE + b"GET"
        await reply.wait_finished()
        assert reply.trailers["X-Served-By"] == "nginx"
    url = f"http://{SERVED_NAME}/dav/in-chunks"
    await manager.fetch(url, verb="PUT", body=body(), local_server_name=local_nginx.socket)
    stored = (local_nginx.nginx.files / "dav/in-chunks").read_bytes()
    assert stored == b"".join(b"%08d" % number * 1000 for number in range(300))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_early_413(scheme: str, manager: Manager, local_nginx: LocalNginx) -> None:
    """A server that refuses 20 MiB after the first of them is heard, and the cut connection is not used again."""
    path = socket_for(scheme, local_nginx)
    url = f"{scheme}://{SERVED_NAME}/at-most-1m/file"
    async with manager.put(url, bytes(20 * MIB), local_server_name=path) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_CONTENT
        assert reply.status_code == 413
    assert manager.statistics().connections == {}


async def test_a_redirect_stays_on_the_socket(manager: Manager, local_nginx: LocalNginx) -> None:
    """A reference without a host leads to the same server, which is the one at the socket."""
    for scheme in ("http", "unix+http"):
        url = f"{scheme}://{SERVED_NAME}/moved"
        policy = RedirectPolicy.SAME_ORIGIN
        response = await manager.fetch(url, local_server_name=local_nginx.socket, redirect_policy=policy)
        assert (response.body, str(response.url)) == (SMALL, f"{scheme}://{SERVED_NAME}/small")


async def test_a_socket_needs_no_proxy(local_nginx: LocalNginx) -> None:
    """A manager's proxy, even one that is not there, is not on the way to this machine."""
    proxy = Proxy(ProxyType.HTTP, "127.0.0.1", free_port())
    async with trioreply.open_manager(proxy=proxy) as manager:
        response = await manager.fetch(f"http://{SERVED_NAME}/small", local_server_name=local_nginx.socket)
    assert response.body == SMALL


@pytest.mark.parametrize("way", ["abort", "cancel"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_stopped_on_the_way(scheme: str, way: str, manager: Manager, local_nginx: LocalNginx) -> None:
    """A reply that is stopped in the middle of its body leaves no connection, and the manager goes on."""
    write_large(local_nginx.nginx.files / "stopped", 16 * MIB)
    path = socket_for(scheme, local_nginx)
    url = f"{scheme}://{SERVED_NAME}/stopped"
    with trio.CancelScope() as scope:
        async with manager.get(url, local_server_name=path, read_buffer_size=1) as reply:
            async for event in reply:
                if isinstance(event, ReadyRead):
                    scope.cancel() if way == "cancel" else reply.abort()
    assert reply.error is NetworkError.OPERATION_CANCELED
    statistics = manager.statistics()
    assert (statistics.connections, statistics.leases, statistics.replies_running) == ({}, 0, 0)
    assert (await manager.fetch(f"{scheme}://{SERVED_NAME}/small", local_server_name=path)).body == SMALL


async def test_a_connection_that_the_server_closed(manager: Manager, local_nginx: LocalNginx) -> None:
    """After the server has closed an idle connection, the next request gets another one."""
    url = f"http://{SERVED_NAME}/brief"
    for _ in range(5):
        assert (await manager.fetch(url, local_server_name=local_nginx.socket)).body == SMALL


async def test_a_socket_that_is_not_there(manager: Manager, tmp_path: Path) -> None:
    """A path that leads nowhere is a host that cannot be found (as Qt), and so is the directory it is in."""
    for path in (tmp_path / "nobody.sock", tmp_path / "nowhere" / "nobody.sock"):
        with pytest.raises(HostNotFoundError, match=r"nobody\.sock"):
            await manager.fetch("http://localhost/", local_server_name=path)


async def test_a_server_that_is_gone(own_local_nginx: LocalNginx) -> None:
    """A socket that nobody listens on any more refuses, and after a restart its server answers again."""
    url = f"http://{SERVED_NAME}/small"
    async with trioreply.open_manager() as manager:
        assert (await manager.fetch(url, local_server_name=own_local_nginx.socket)).body == SMALL
        own_local_nginx.nginx.stop()
        with pytest.raises((HostNotFoundError, ConnectionRefusedError)):
            await manager.fetch(url, local_server_name=own_local_nginx.socket)
        own_local_nginx.nginx.start()
        assert (await manager.fetch(url, local_server_name=own_local_nginx.socket)).body == SMALL


async def test_the_wrong_name_in_the_certificate(manager: Manager, local_nginx: LocalNginx) -> None:
    """On a socket, too, the certificate must be for the URL's host, or for ``peer_verify_name``."""
    path = local_nginx.secure_socket
    with pytest.raises(SslHandshakeFailedError, match="not valid for this host name"):
        await manager.fetch("https://other.test/small", local_server_name=path)
    named = await manager.fetch("https://other.test/small", local_server_name=path, peer_verify_name=SERVED_NAME)
    assert named.body == SMALL
