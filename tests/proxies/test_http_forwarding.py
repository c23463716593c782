"""The honest HTTP proxy: plain requests in absolute form."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from attrs import frozen

from trioreply.testing import (
    Ending,
    Origin,
    OriginHandler,
    OriginRequest,
    OriginResponse,
    Receive,
    ReceiveHead,
    Routes,
    ScriptedPeer,
    Send,
    open_origin,
    serve_peer,
)

from .clients import BASIC, LOGIN, Ground, ask, receive_response
from .http_proxy import HttpProxy, open_http_proxy
from .tunnels import RecordedStream, address_of

GET = b"GET http://origin.test/page?q=1 HTTP/1.1\r\nHost: origin.test\r\n"
HEAD = b"HEAD http://origin.test/page HTTP/1.1\r\nHost: origin.test\r\n"
POST = b"POST http://origin.test/ HTTP/1.1\r\nHost: origin.test\r\n"


@frozen
class Scene:
    """An origin, a proxy that leads there, and a client at the proxy."""

    origin: Origin
    proxy: HttpProxy
    client: RecordedStream


@contextlib.asynccontextmanager
async def scene(
    ground: Ground, routes: Routes | OriginHandler, *, login: tuple[str, str] | None = None
) -> AsyncIterator[Scene]:
    """All of it, for one test."""
    async with open_origin(routes, network=ground.network) as origin:
        ground.names["origin.test"] = address_of(origin.base_url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names, login=login)
        async with opening as proxy, ground.visit(proxy.address) as client:
            yield Scene(origin, proxy, client)


@contextlib.asynccontextmanager
async def odd_scene(ground: Ground, peer: ScriptedPeer) -> AsyncIterator[RecordedStream]:
    """A client at a proxy that leads to ``peer``."""
    async with serve_peer(peer, network=ground.network) as url:
        ground.names["origin.test"] = address_of(url)
        opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names)
        async with opening as proxy, ground.visit(proxy.address) as client:
            yield client


async def echo(request: OriginRequest) -> OriginResponse:
    """Give the body back, in words of our own."""
    return OriginResponse(body=await request.read(), reason="Echoed")


async def test_a_page_is_fetched(ground: Ground) -> None:
    """The origin gets path and query, Host and Via, and nothing of what is between two hops; the client its page."""
    fields = (
        b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nConnection: X-Hop, keep-alive\r\n"
        b"X-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: x\r\nX-End: 2\r\n\r\n"
    )
    page = OriginResponse(body=b"page", headers=[("X-Page", "1"), ("Proxy-Foo", "x"), ("Keep-Alive", "3")])
    async with scene(ground, {"/page": page}) as here:
        status, head, body = await ask(here.client, GET + fields)
        assert (status, body) == (200, b"page")
        assert head.split(b"\r\n")[1:] == [b"X-Page: 1", b"Content-Length: 4", b"", b""]
        assert (await ask(here.client, GET + b"\r\n"))[0] == 200
    request = here.origin.requests[0]
    assert (request.method, request.target) == ("GET", "/page?q=1")
    wanted = [("host", "origin.test"), ("x-end", "2"), ("via", "1.1 test"), ("connection", "close")]
    assert list(request.headers) == wanted
    assert [seen.status for seen in here.proxy.requests] == [200, 200]
    assert here.proxy.requests[0].credentials == "Basic eA=="
    assert len(here.proxy.visitors) == 1
    assert here.proxy.tunnels == []


@pytest.mark.parametrize(
    ("framed", "trailers"),
    [
        (b"Content-Length: 5\r\n\r\nhello", ()),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", ()),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", (("x-sum", "1"),)),
    ],
)
async def test_a_body_is_carried(ground: Ground, framed: bytes, trailers: tuple[tuple[str, str], ...]) -> None:
    """Bodies of a known length and in chunks arrive, trailers too; the reason comes back."""
    async with scene(ground, echo) as here:
        for _ in range(2):
            status, head, body = await ask(here.client, POST + framed)
            assert (status, body) == (200, b"hello")
            assert head.startswith(b"HTTP/1.1 200 Echoed\r\n")
    assert [request.trailers for request in here.origin.requests] == [trailers] * 2


async def test_a_stream_is_carried_in_chunks(ground: Ground) -> None:
    """A response in chunks reaches the client in chunks, trailers included."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def answer(_request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=pieces(), trailers=[("X-Sum", "6")])

    async with scene(ground, answer) as here:
        await here.client.send_all(GET + b"\r\n")
        assert b"\r\nTransfer-Encoding: chunked\r\n" in await here.client.receive_until(b"\r\n\r\n")
        body = await here.client.receive_until(b"X-Sum: 6\r\n\r\n")
        assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: 6\r\n\r\n"


async def test_head_has_no_body(ground: Ground) -> None:
    """The answer to HEAD is a head alone, also where it is the proxy's own; the next request is answered."""
    async with scene(ground, {"/page": OriginResponse(body=b"page")}, login=LOGIN) as here:
        await here.client.send_all(HEAD + b"\r\n")
        assert (await here.client.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 407 ")
        await here.client.send_all(HEAD + BASIC + b"\r\n")
        assert b"\r\nContent-Length: 4\r\n" in await here.client.receive_until(b"\r\n\r\n")
        assert (await ask(here.client, GET + BASIC + b"\r\n"))[2] == b"page"


async def test_garbage_after_head(memory: Ground) -> None:
    """What comes after HEAD and is no request gets a whole 400, which is not the HEAD's."""
    async with scene(memory, {"/page": OriginResponse(body=b"page")}) as here:
        await here.client.send_all(HEAD + b"\r\n")
        await here.client.receive_until(b"\r\n\r\n")
        assert (await ask(here.client, b"\x00\r\n\r\n"))[0] == 400
    assert [seen.status for seen in here.proxy.requests] == [200]


async def test_credentials_stay_with_the_proxy(ground: Ground) -> None:
    """A login opens the door for a body that was refused before, and the origin does not get to know it."""
    async with scene(ground, echo, login=LOGIN) as here:
        refused = await ask(here.client, POST + b"Content-Length: 5\r\n\r\nhello")
        assert refused[0] == 407
        assert (await ask(here.client, POST + BASIC + b"Content-Length: 5\r\n\r\nhello"))[2] == b"hello"
    (request,) = here.origin.requests
    assert request.header("proxy-authorization") is None


async def test_hints_pass(ground: Ground) -> None:
    """A 103 reaches the client before its response, with its fields."""

    async def hint(request: OriginRequest) -> OriginResponse:
        await request.inform(103, [("Link", "</x>")])
        return OriginResponse(body=b"page")

    async with scene(ground, hint) as here:
        await here.client.send_all(GET + b"\r\n")
        assert await here.client.receive_until(b"\r\n\r\n") == b"HTTP/1.1 103 \r\nLink: </x>\r\n\r\n"
        assert (await receive_response(here.client))[2] == b"page"
        assert here.proxy.requests[0].status == 200


async def test_100_continue_passes(ground: Ground) -> None:
    """An origin's consent reaches the client in time, and the body then the origin."""
    async with scene(ground, echo) as here:
        await here.client.send_all(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await here.client.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        assert (await ask(here.client, b"hello"))[2] == b"hello"


async def test_an_expectation_may_be_refused(memory: Ground, autojump_clock: trio.abc.Clock) -> None:
    """A final answer to Expect closes the connection, at once: nobody can tell whether a body follows."""
    async with scene(memory, {}) as here:
        start = trio.current_time()
        status, head, _ = await ask(here.client, POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert status == 404
        assert b"\r\nConnection: close\r\n" in head
        assert await here.client.receive_rest() == b""
        assert trio.current_time() == start


async def test_an_early_answer(ground: Ground) -> None:
    """An answer before the end of the request's body arrives; with that end the connection is good again."""
    async with scene(ground, {"/": OriginResponse(413, body=b"too big")}) as here:
        assert (await ask(here.client, POST + b"Content-Length: 10\r\n\r\nhello"))[0] == 413
        assert (await ask(here.client, b"world" + POST + b"Content-Length: 0\r\n\r\n"))[0] == 413


async def test_an_early_answer_and_no_end(memory: Ground, autojump_clock: trio.abc.Clock) -> None:
    """A body that does not end after its answer is waited for only so long."""
    async with scene(memory, {"/": OriginResponse(413, body=b"too big")}) as here:
        assert (await ask(here.client, POST + b"Content-Length: 10\r\n\r\nhello"))[0] == 413
        start = trio.current_time()
        assert await here.client.receive_rest() == b""
        assert trio.current_time() - start == 2


async def test_an_origin_that_takes_no_more(memory: Ground) -> None:
    """An origin that closes while a body is on its way has had its say all the same."""
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nno"))
    async with odd_scene(memory, peer) as client:
        await client.send_all(POST + b"Content-Length: 1000000\r\n\r\n")
        assert (await receive_response(client))[0] == 413
        await client.send_all(bytes(1_000_000))
        assert (await ask(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 400


async def test_an_upload_that_breaks_off(memory: Ground) -> None:
    """The response goes on while nobody takes the rest of the request any more."""
    page = bytes(100_000)  # more than fits between proxy and client, and less than that twice
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 413 x\r\nContent-Length: 100000\r\n\r\n" + page))
    async with odd_scene(memory, peer) as client:
        await client.send_all(POST + b"Content-Length: 30000\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            await client.send_all(bytes(10_000))
            await trio.testing.wait_all_tasks_blocked()
        assert peer.connections[0].ending is Ending.SCRIPT
        assert (await receive_response(client))[2] == page


@pytest.mark.parametrize(
    ("first_line", "status"),
    [
        (b"GET http://closed.test/ HTTP/1.1", 502),
        (b"GET http://unknown.test/ HTTP/1.1", 502),
        (b"GET / HTTP/1.1", 400),
        (b"GET https://closed.test/ HTTP/1.1", 400),
        (b"GET ftp://closed.test/ HTTP/1.1", 400),
        (b"GET http://maria:x@closed.test/ HTTP/1.1", 400),
        (b"GET http://closed.test:99999/ HTTP/1.1", 400),
    ],
)
async def test_what_cannot_be_forwarded(ground: Ground, first_line: bytes, status: int) -> None:
    """502 for an origin that cannot be reached, after which the connection lives on; 400 for what nobody may ask."""
    opening = open_http_proxy(network=ground.network, tls=ground.tls, resolve=ground.names)
    async with opening as proxy, ground.visit(proxy.address) as client:
        for _ in range(2 if status == 502 else 1):
            assert (await ask(client, first_line + b"\r\nHost: x\r\n\r\n"))[0] == status
        if status == 400:
            assert await client.receive_rest() == b""
    assert proxy.requests[0].status == status


async def test_denied_by_host_and_by_port(memory: Ground) -> None:
    """A denied host, or host and port, is 403; port 80 need not be said."""
    denied = ("denied.test", "origin.test:80")
    async with open_http_proxy(network=memory.network, denied=denied) as proxy, memory.visit(proxy.address) as client:
        assert (await ask(client, GET + b"\r\n"))[0] == 403
        assert (await ask(client, b"GET http://denied.test:81/ HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 403


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_an_origin_that_speaks_no_http(ground: Ground, said: bytes) -> None:
    """An origin that closes or babbles before it answers is 502."""
    async with odd_scene(ground, ScriptedPeer(Receive(), Send(said))) as client:
        assert (await ask(client, GET + b"\r\n"))[0] == 502
        assert await client.receive_rest() == b""


async def test_an_origin_that_stops_halfway(ground: Ground) -> None:
    """Once a response has begun, a truncated body stays truncated: the visitor is cut off."""
    peer = ScriptedPeer(Receive(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"))
    async with odd_scene(ground, peer) as client:
        await client.send_all(GET + b"\r\n")
        assert (await client.receive_rest()).endswith(b"\r\n\r\nhe")


async def test_a_body_that_is_none(ground: Ground) -> None:
    """A request whose body breaks the rules is 400, while the origin waits for it."""
    async with odd_scene(ground, ScriptedPeer(Receive(), Receive())) as client:
        bad = POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
        assert (await ask(client, bad))[0] == 400


async def test_a_bad_body_after_its_answer(ground: Ground) -> None:
    """With the response said there is nothing to say about the rest of the request: the connection ends."""
    async with scene(ground, {"/": OriginResponse(413, body=b"no")}) as here:
        assert (await ask(here.client, POST + b"Transfer-Encoding: chunked\r\n\r\n"))[0] == 413
        await here.client.send_all(b"zz\r\n")
        assert await here.client.receive_rest() == b""
