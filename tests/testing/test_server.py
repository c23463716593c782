"""The origin server is a correct HTTP/1.1 server, in memory and on a real socket, plain and over TLS.

It is spoken to in bytes here, so that nothing stands between the test and the wire.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
import trio
import trio.testing

from trioreply.testing import (
    Authority,
    MemoryNetwork,
    Origin,
    OriginConnection,
    OriginHandler,
    OriginRequest,
    OriginResponse,
    Routes,
    open_origin,
)

from .tls_clients import SERVER_TLS, attempt, connect_tls, trusting


class Client:
    """A stream to the origin, and what was received on it and not consumed."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._unread = b""

    async def send(self, *pieces: bytes) -> None:
        """Send each piece by itself."""
        for piece in pieces:
            await self.stream.send_all(piece)

    async def expect(self, wire: bytes) -> None:
        """Receive exactly these bytes."""
        while len(self._unread) < len(wire) and (data := await self.stream.receive_some()):
            self._unread += bytes(data)
        assert self._unread[: len(wire)] == wire
        self._unread = self._unread[len(wire) :]

    async def expect_end(self) -> None:
        """Receive the end of the stream, with nothing before it."""
        assert self._unread == b""
        assert await self.stream.receive_some() == b""


class Place(trio.abc.AsyncResource):
    """An origin and how to connect to it."""

    def __init__(self, origin: Origin, dial: Callable[[], AbstractAsyncContextManager[trio.abc.Stream]]) -> None:
        self.origin = origin
        self._dial = dial
        self._streams = contextlib.AsyncExitStack()

    async def connect(self) -> Client:
        """A new connection."""
        return Client(await self._streams.enter_async_context(self._dial()))

    async def aclose(self) -> None:
        """Close all clients."""
        await self._streams.aclose()


Serve = Callable[[Routes | OriginHandler], AbstractAsyncContextManager[Place]]


@contextlib.asynccontextmanager
async def in_memory(routes: Routes | OriginHandler, *, secure: bool = False) -> AsyncIterator[Place]:
    """An origin on a network in memory."""
    tls = SERVER_TLS if secure else None
    async with MemoryNetwork() as network, open_origin(routes, network=network, tls=tls) as origin:
        assert origin.url("/x?y") == ("https://origin.test/x?y" if secure else "http://origin.test/x?y")
        (address,) = network.host("origin.test").addresses

        @contextlib.asynccontextmanager
        async def dial() -> AsyncIterator[trio.abc.Stream]:
            async with await network.dial(address, 443 if secure else 80) as stream:
                yield await connect_tls(stream, "origin.test") if secure else stream

        async with Place(origin, dial) as place:
            yield place


@contextlib.asynccontextmanager
async def on_loopback(routes: Routes | OriginHandler, *, secure: bool = False) -> AsyncIterator[Place]:
    """An origin on a real socket."""
    async with open_origin(routes, tls=SERVER_TLS if secure else None) as origin:
        host, port = origin.url("").removeprefix("https://" if secure else "http://").split(":")

        @contextlib.asynccontextmanager
        async def dial() -> AsyncIterator[trio.abc.Stream]:
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                yield await connect_tls(stream, host) if secure else stream

        async with Place(origin, dial) as place:
            yield place


over_tls_in_memory = functools.partial(in_memory, secure=True)
over_tls_on_loopback = functools.partial(on_loopback, secure=True)


@pytest.fixture(
    params=[in_memory, on_loopback, over_tls_in_memory, over_tls_on_loopback],
    ids=["memory", "loopback", "tls-memory", "tls-loopback"],
)
def serve(request: pytest.FixtureRequest) -> Serve:
    """A place for an origin to run."""
    chosen: Serve = request.param
    return chosen


GET = b"GET / HTTP/1.1\r\nHost: o\r\n\r\n"
HELLO = OriginResponse(headers=[("X", "y")], body=b"hello", reason="Fine")
HELLO_HEAD = b"HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: 5\r\n\r\n"


def post(size: int, *, expect: bool = False) -> bytes:
    """The head of a POST with a body of ``size`` bytes."""
    more = b"Expect: 100-continue\r\n" if expect else b""
    return b"POST / HTTP/1.1\r\nHost: o\r\n%sContent-Length: %d\r\n\r\n" % (more, size)


async def echo(request: OriginRequest) -> OriginResponse:
    """Send the body back."""
    return OriginResponse(body=await request.read())


async def test_connections_are_kept(serve: Serve) -> None:
    """Many requests use one connection, pipelined ones in order, and each is on record."""
    async with serve({"/": HELLO}) as place:
        client = await place.connect()
        await client.send(GET, GET + b"GET /none HTTP/1.1\r\nHost: o\r\n\r\n")
        await client.expect(
            (HELLO_HEAD + b"hello") * 2 + b"HTTP/1.1 404 \r\nContent-Length: 21\r\n\r\nthere is nothing here"
        )
        assert [request.path for request in place.origin.requests] == ["/", "/", "/none"]
        assert len(place.origin.connections) == place.origin.open_connections == 1


async def test_head_and_bodiless_statuses(serve: Serve) -> None:
    """HEAD gets the head alone, and 204 and 304 have neither body nor Content-Length."""
    routes = {"/": HELLO, "/204": OriginResponse(204), "/304": OriginResponse(304, body=b"not sent")}
    async with serve(routes) as place:
        client = await place.connect()
        await client.send(b"HEAD / HTTP/1.1\r\nHost: o\r\n\r\n")
        await client.expect(HELLO_HEAD)
        for status in (b"204", b"304"):
            await client.send(b"GET /" + status + b" HTTP/1.1\r\nHost: o\r\n\r\n")
            await client.expect(b"HTTP/1.1 " + status + b" \r\n\r\n")


async def test_request_bodies_are_read_whole_or_in_pieces(serve: Serve) -> None:
    """A handler reads the body as it comes, or as a whole; what it has read is on record."""

    async def upper(request: OriginRequest) -> OriginResponse:
        first = [piece async for piece in request]
        assert b"".join(first) == await request.read()
        return OriginResponse(body=request.body.upper())

    async with serve(upper) as place:
        client = await place.connect()
        await client.send(post(6), b"abc", b"def")
        await client.expect(b"HTTP/1.1 200 \r\nContent-Length: 6\r\n\r\nABCDEF")
        assert place.origin.requests[0].body == b"abcdef"


async def test_response_bodies_are_streamed(serve: Serve) -> None:
    """An iterable goes out in chunks with trailers, as it comes; with a Content-Length it goes out plain."""
    go_on = trio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    async def answer(request: OriginRequest) -> OriginResponse:
        if request.path == "/plain":
            return OriginResponse(headers=[("Content-Length", "6")], body=pieces())
        return OriginResponse(body=pieces(), trailers=[("T", "v")])

    async with serve(answer) as place:
        client = await place.connect()
        await client.send(GET)
        await client.expect(b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        go_on.set()
        await client.expect(b"3\r\ntwo\r\n0\r\nT: v\r\n\r\n")
        await client.send(b"GET /plain HTTP/1.1\r\nHost: o\r\n\r\n")
        await client.expect(b"HTTP/1.1 200 \r\nContent-Length: 6\r\n\r\nonetwo")


async def test_a_body_can_be_echoed_while_it_comes(serve: Serve) -> None:
    """Reading the request and writing the response go on at the same time."""

    async def echo_now(request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=aiter(request))

    async with serve(echo_now) as place:
        client = await place.connect()
        await client.send(post(6), b"abc")
        await client.expect(b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await client.send(b"def")
        await client.expect(b"3\r\ndef\r\n0\r\n\r\n")


class OneByOne:
    """An iterable body that is no generator."""

    def __init__(self) -> None:
        self._left = [b"a", b"b"]

    def __aiter__(self) -> OneByOne:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


async def test_any_iterable_is_a_body(serve: Serve) -> None:
    """A body need not be a generator."""

    async def answer(_request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=OneByOne())

    async with serve(answer) as place:
        client = await place.connect()
        await client.send(GET)
        await client.expect(b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n1\r\na\r\n0\r\n\r\n")


async def test_informational_responses(serve: Serve) -> None:
    """A handler can send 1xx responses before the final one."""

    async def hint(request: OriginRequest) -> OriginResponse:
        await request.inform(103, [("Link", "</x>")])
        return HELLO

    async with serve(hint) as place:
        client = await place.connect()
        await client.send(GET)
        await client.expect(b"HTTP/1.1 103 \r\nLink: </x>\r\n\r\n" + HELLO_HEAD)


async def test_continue_is_sent_when_the_body_is_wanted(serve: Serve) -> None:
    """A handler that reads the body of a client that waits makes the server send 100 Continue."""
    async with serve(echo) as place:
        client = await place.connect()
        await client.send(post(2, expect=True))
        await client.expect(b"HTTP/1.1 100 \r\n\r\n")
        await client.send(b"ok")
        await client.expect(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")


async def test_continue_can_be_refused(serve: Serve) -> None:
    """A handler that answers without reading refuses the body; the connection is closed, as nobody knows what comes."""
    async with serve({"/": OriginResponse(417)}) as place:
        client = await place.connect()
        await client.send(post(2, expect=True))
        await client.expect(b"HTTP/1.1 417 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await client.expect_end()


async def test_an_early_response_keeps_the_connection_if_the_rest_is_small(serve: Serve) -> None:
    """A response sent before a small body has come leaves the connection usable: the rest is thrown away."""
    async with serve({"/": HELLO}) as place:
        client = await place.connect()
        await client.send(post(6), b"abc")
        await client.expect(HELLO_HEAD + b"hello")
        await client.send(b"def", GET)
        await client.expect(HELLO_HEAD + b"hello")


async def test_an_early_response_to_a_big_body_arrives(serve: Serve) -> None:
    """After an early response the server reads on for a while, so that the response is not lost in a reset."""
    async with serve({"/": OriginResponse(413, close=True)}) as place:
        client = await place.connect()
        await client.send(post(100_000_000), b"x" * 500_000)
        await client.expect(b"HTTP/1.1 413 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await client.expect_end()
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await client.send(b"x" * 500_000)


async def test_lingering_ends(autojump_clock: trio.testing.MockClock) -> None:
    """The server waits two seconds for the rest of a request that was answered, no longer."""
    async with in_memory({"/": HELLO}) as place:
        client = await place.connect()
        started = trio.current_time()
        await client.send(post(10))
        await client.expect(HELLO_HEAD + b"hello")
        await client.expect_end()
        assert trio.current_time() - started == 2


async def test_http_1_0_is_answered_and_closed(serve: Serve) -> None:
    """A client of HTTP/1.0 gets a streamed body without chunks, and its end by the connection's."""

    async def answer(_request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=OneByOne())

    async with serve(answer) as place:
        client = await place.connect()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        await client.expect(b"HTTP/1.1 200 \r\nConnection: close\r\n\r\nba")
        await client.expect_end()
        assert place.origin.requests[0].http_version == "1.0"


@pytest.mark.parametrize(
    ("wire", "status"), [(b"NOT HTTP\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nHost: o\r\n" + b"X: y" * 300_000, b"431")]
)
async def test_bad_requests_are_refused(serve: Serve, wire: bytes, status: bytes) -> None:
    """What is no request gets a 400, a head without an end a 431, and the connection is closed."""
    async with serve({"/": HELLO}) as place:
        client = await place.connect()
        await client.send(wire)
        await client.expect(b"HTTP/1.1 " + status)


async def test_a_bad_chunk_is_refused_in_the_handler(serve: Serve) -> None:
    """Broken framing ends the handler's reading, and the client gets a 400 if nothing was sent before."""

    async def read(request: OriginRequest) -> OriginResponse:
        if request.path == "/late":
            return OriginResponse(body=aiter(request))
        return OriginResponse(body=await request.read())

    async with serve(read) as place:
        for path, expected in ((b"/", b"HTTP/1.1 400"), (b"/late", b"HTTP/1.1 200")):
            client = await place.connect()
            await client.send(
                b"POST " + path + b" HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"zz\r\n"
            )
            await client.expect(expected)


async def test_clients_that_go_away_are_no_failure(serve: Serve) -> None:
    """A client may leave before, in and after a request, and in a response: generators are closed, nothing raised."""
    closed = trio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            closed.set()

    async def answer(request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=endless() if request.method == "GET" else await request.read())

    async with serve(answer) as place:
        for wire in (b"", b"GET / HT", post(10), GET):
            client = await place.connect()
            await client.send(wire)
            await client.stream.aclose()
        await closed.wait()
        while place.origin.open_connections:
            await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("how", ["close", "truncate", "reset"])
async def test_the_server_can_break_its_connections(serve: Serve, how: str) -> None:
    """A test can close, cut off or reset a kept connection from the server's side."""
    async with serve({"/": HELLO}) as place:
        client = await place.connect()
        await client.send(GET)
        await client.expect(HELLO_HEAD + b"hello")
        (connection,) = place.origin.connections
        if how == "close":
            connection.close()
            await client.expect_end()
        elif how == "truncate":
            connection.truncate()
            await client.expect_end()
        else:
            connection.reset()
            with pytest.raises(trio.BrokenResourceError):
                await client.expect_end()


async def test_a_failing_handler_fails_the_test(serve: Serve) -> None:
    """What a handler raises is raised at the end of the server's block, as itself."""

    async def fail(_request: OriginRequest) -> OriginResponse:
        raise LookupError("a mistake in the handler")

    with pytest.raises(LookupError, match="a mistake"):
        async with serve(fail) as place:
            client = await place.connect()
            await client.send(GET)
            await client.expect_end()


@pytest.mark.parametrize("how", [OriginConnection.close, OriginConnection.truncate])
async def test_over_tls_a_truncation_is_no_close(how: Callable[[OriginConnection], None]) -> None:
    """A close sends a close_notify, a truncation does not."""
    async with MemoryNetwork() as network, open_origin({"/": HELLO}, network=network, tls=SERVER_TLS) as origin:
        (address,) = network.host("origin.test").addresses
        async with await network.dial(address, 443) as transport:
            client = Client(await connect_tls(transport, "origin.test", lenient=False))
            await client.send(GET)
            await client.expect(HELLO_HEAD + b"hello")
            how(origin.connections[0])
            if how is OriginConnection.close:
                await client.expect_end()
            else:
                with pytest.raises(trio.BrokenResourceError):
                    await client.expect_end()


async def test_a_refused_certificate_is_no_failure() -> None:
    """A client that does not trust us opens no connection of the origin's; its alert is on record."""
    async with MemoryNetwork() as network, open_origin({"/": HELLO}, network=network, tls=SERVER_TLS) as origin:
        (address,) = network.host("origin.test").addresses
        async with await network.dial(address, 443) as transport:
            await attempt(transport, "origin.test", context=trusting(Authority()))
        await trio.testing.wait_all_tasks_blocked()
        assert origin.connections == []
        (stream,) = origin.handshakes
        assert stream.handshake_error is not None
        assert stream.handshake_error.reason == "TLSV1_ALERT_UNKNOWN_CA"


async def test_routes_may_change(serve: Serve) -> None:
    """The origin's routes can be replaced while it runs."""
    async with serve({}) as place:
        place.origin.routes = {"/": HELLO}
        client = await place.connect()
        await client.send(GET)
        await client.expect(HELLO_HEAD)
