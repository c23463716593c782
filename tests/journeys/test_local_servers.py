"""Journeys to servers on this machine: Unix sockets by their path, by an abstract name, and by Qt's own schemes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply import NetworkError, Request
from trioreply.testing import (
    MemoryNetwork,
    Origin,
    OriginRequest,
    OriginResponse,
)

from .conftest import Place
from .notation import sequence
from .proxied import Surroundings, proxy_at

PATH = "/run/service.sock"


async def echo(request: OriginRequest) -> OriginResponse:
    """What came, and for whom."""
    body = await request.read()
    return OriginResponse(200, body=f"{request.method} {request.target} {request.header('Host')} ".encode() + body)


@asynccontextmanager
async def local_server(network: MemoryNetwork, path: str = PATH, *routes: object) -> AsyncIterator[Origin]:
    """A server on a Unix socket in memory."""
    origin = Origin(routes[0] if routes else echo)  # type: ignore[arg-type]  # a handler, or routes
    listener = network.listen_local(path, origin.serve)
    yield origin
    listener.close()


async def test_a_server_on_a_socket(memory: Place) -> None:
    """``local_server_name`` leads http to a socket: the same events, the URL's host in the request, and no look-up."""
    assert memory.network is not None
    async with local_server(memory.network) as origin, memory.open_manager() as manager:
        async with manager.get("http://docker/v1/info?a=b", local_server_name=PATH) as reply:
            events = [event async for event in reply]
        assert reply.read() == b"GET /v1/info?a=b docker "
        assert (await manager.fetch("http://docker/", verb="POST", body=b"x", local_server_name=Path(PATH))).body
        assert list(manager.statistics().connections) == [f"http://docker:80 at {PATH}"]
    assert sequence(events) == "S Q H(200) R D(24,24) F(NO_ERROR)"
    assert len(origin.connections) == 1
    assert memory.network.resolved == []


@pytest.mark.parametrize("scheme", ["unix+http", "local+http"])
async def test_qt_s_schemes(scheme: str, memory: Place) -> None:
    """A URL of a local scheme names the socket by its host, unless the request does; relative names are temporary."""
    assert memory.network is not None
    async with local_server(memory.network, f"{tempfile.gettempdir()}/my-service"), local_server(memory.network):
        async with memory.open_manager(proxy="http://nowhere.test") as manager:
            assert (await manager.fetch(f"{scheme}://my-service/x")).body == b"GET /x my-service "
            assert (await manager.fetch(f"{scheme}://any/y", local_server_name=PATH)).body == b"GET /y any "
            await manager.preconnect(f"{scheme}://my-service")
    assert scheme in trioreply.open_manager()._manager.supported_schemes


async def test_a_socket_needs_no_proxy(memory: Place) -> None:
    """A local server is reached directly, whatever proxies there are; and it does not see what is for proxies."""
    here = Surroundings(memory)
    assert memory.network is not None
    async with local_server(memory.network) as origin, here.http_proxy() as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy)) as manager:
            request = Request("http://x/", local_server_name=PATH, headers={"Proxy-Authorization": "Basic eA=="})
            assert (await manager.fetch(request)).status_code == 200
    assert proxy.visitors == []
    assert origin.requests[0].header("Proxy-Authorization") is None


async def test_a_socket_and_a_host_are_two_servers(memory: Place) -> None:
    """Connections and credentials of a socket are never used for the host of the same name, nor the other way round."""
    assert memory.network is not None
    demand = OriginResponse(401, (("WWW-Authenticate", 'Basic realm="r"'),))

    async def guarded(request: OriginRequest) -> OriginResponse:
        return OriginResponse(200) if request.header("Authorization") else demand

    async with local_server(memory.network, PATH, guarded), memory.origin(guarded) as origin:
        async with memory.open_manager() as manager:
            url = origin.url("/").replace("://", "://me:s3cret@")
            assert (await manager.fetch(url, local_server_name=PATH)).status_code == 200
            response = await manager.fetch(origin.url("/"), raise_for_error=False)
            assert (response.status_code, len(origin.requests)) == (401, 1)


async def test_redirects_and_sockets(memory: Place) -> None:
    """A redirect within the socket's origin stays on it; to another origin it leads over the network, never back in."""
    assert memory.network is not None

    def moved(location: str) -> OriginResponse:
        return OriginResponse(302, (("Location", location),))

    routes = {"/": moved("/same"), "/same": moved("http://peer.test/away"), "/loop": moved("unix+http://other/")}
    async with local_server(memory.network, PATH, routes) as local, memory.origin(echo) as far:
        routes["/same"] = moved(far.url("/away"))
        async with memory.open_manager() as manager:
            for url in ("http://here/", "unix+http://here/"):
                async with manager.get(url, local_server_name=PATH) as reply:
                    assert (await reply.read_all()).startswith(b"GET /away origin.test")
                    assert str(reply.url) == far.url("/away")
            async with manager.get("unix+http://here/loop", local_server_name=PATH) as reply:
                assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN
        assert [request.target for request in local.requests] == ["/", "/same", "/", "/same", "/loop"]
        far.routes = {"/": moved("unix+http://here/")}
        async with memory.open_manager() as manager, manager.get(far.url()) as reply:
            assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN


async def test_sockets_that_are_not_there(memory: Place) -> None:
    """A path without a socket is a host that is not found (Qt); a socket without a server refuses; both name it."""
    assert memory.network is not None
    async with local_server(memory.network):
        pass
    for path, error in (("/no/such.sock", NetworkError.HOST_NOT_FOUND), (PATH, NetworkError.CONNECTION_REFUSED)):
        async with memory.open_manager() as manager, manager.get("http://x/", local_server_name=path) as reply:
            assert await reply.wait_finished() is error
            assert path in reply.error_string


async def test_a_dialer_without_sockets(memory: Place) -> None:
    """A dialer of one's own that knows no sockets is told so, and nothing is dialled past it."""

    class OnlyTcp:
        async def dial(self, address: str, port: int) -> trio.abc.Stream:
            raise AssertionError((address, port))

    async with memory.open_manager(dialer=OnlyTcp()) as manager:
        async with manager.get("http://x/", local_server_name=PATH) as reply:
            assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
            assert "give it a method dial_local(path)" in reply.error_string


@pytest.mark.parametrize("name", ["plain", "@abstract"])
async def test_real_sockets(name: str, tmp_path: Path) -> None:
    """On the real system both kinds of sockets are reached, and nothing is left of them."""
    if name[0] == "@" and sys.platform != "linux":
        pytest.skip("abstract names are Linux's")
    path = name if name[0] == "@" else str(tmp_path / name)
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(path.replace("@", "\0", 1))
    listener.listen()
    origin = Origin(echo)
    with listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, origin.serve, [trio.SocketListener(listener)])
            async with trioreply.open_manager() as manager:
                for _ in range(2):
                    response = await manager.fetch("http://local/", local_server_name=path)
                    assert response.body == b"GET / local "
            nursery.cancel_scope.cancel()
    assert len(origin.connections) == 1


@pytest.mark.parametrize("name", ["", "@", "a\0b", b"/bytes"])
def test_names_that_are_none(name: str) -> None:
    """An empty name, one with a NUL and one of bytes are mistakes."""
    with pytest.raises((ValueError, TypeError), match=r"^local_server_name: "):
        Request("http://h/", local_server_name=name)
