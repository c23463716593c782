"""The scripted peer plays the same script in memory and on a real socket, plain and over TLS."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import h11
import pytest
import trio
import trio.testing

from trioreply.testing import (
    Close,
    Ending,
    Loop,
    MemoryNetwork,
    RawSend,
    Receive,
    ReceiveBody,
    ReceiveEnd,
    ReceiveHead,
    ReceiveRequest,
    Reset,
    ScriptedPeer,
    Send,
    SendEof,
    SendSlowly,
    Signal,
    Stall,
    Step,
    Truncate,
    WaitFor,
    serve_peer,
)

from .tls_clients import SERVER_TLS, connect_tls

Connect = Callable[[], AbstractAsyncContextManager[trio.abc.Stream]]
Serve = Callable[[ScriptedPeer], AbstractAsyncContextManager[Connect]]

GET = b"GET /a?b=c HTTP/1.1\r\nHost: peer.test\r\nX-One: 1\r\nX-One: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextlib.asynccontextmanager
async def in_memory(peer: ScriptedPeer, *, secure: bool = False) -> AsyncIterator[Connect]:
    """The peer on a network in memory."""
    tls = SERVER_TLS if secure else None
    async with MemoryNetwork() as network, serve_peer(peer, network=network, tls=tls) as url:
        assert url == ("https://peer.test" if secure else "http://peer.test")
        (address,) = network.host("peer.test").addresses

        @contextlib.asynccontextmanager
        async def connect() -> AsyncIterator[trio.abc.Stream]:
            async with await network.dial(address, 443 if secure else 80) as stream:
                yield await connect_tls(stream, "peer.test") if secure else stream

        yield connect


@contextlib.asynccontextmanager
async def on_loopback(peer: ScriptedPeer, *, secure: bool = False) -> AsyncIterator[Connect]:
    """The peer on a real socket."""
    async with serve_peer(peer, tls=SERVER_TLS if secure else None) as url:
        host, port = url.removeprefix("https://" if secure else "http://").split(":")

        @contextlib.asynccontextmanager
        async def connect() -> AsyncIterator[trio.abc.Stream]:
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                yield await connect_tls(stream, host) if secure else stream

        yield connect


over_tls_in_memory = functools.partial(in_memory, secure=True)
over_tls_on_loopback = functools.partial(on_loopback, secure=True)


@pytest.fixture(
    params=[in_memory, on_loopback, over_tls_in_memory, over_tls_on_loopback],
    ids=["memory", "loopback", "tls-memory", "tls-loopback"],
)
def serve(request: pytest.FixtureRequest) -> Serve:
    """A place for a peer to run."""
    chosen: Serve = request.param
    return chosen


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    """All that comes before the end."""
    return b"".join([bytes(piece) async for piece in stream])


async def end(stream: trio.abc.Stream) -> None:
    """End the client's direction, with the peer's ended already."""
    if isinstance(stream, trio.SSLStream):
        await stream.unwrap()
    else:
        assert isinstance(stream, trio.abc.HalfCloseableStream)
        await stream.send_eof()


async def test_requests_are_parsed_and_recorded(serve: Serve) -> None:
    """A request's method, target, fields, body and trailers are on record, and so are the exact bytes."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK), ReceiveRequest(), Send(OK))
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n"
    async with serve(peer) as connect, connect() as client:
        await client.send_all(GET + chunked[:-4])
        await client.send_all(chunked[-4:])
        assert await read_to_end(client) == OK + OK
        get, post = peer.requests
        assert (get.method, get.target, get.path, get.query) == ("GET", "/a?b=c", "/a", "b=c")
        assert (get.header("x-ONE"), get.header("absent")) == ("1, 2", None)
        assert get.headers == (("host", "peer.test"), ("x-one", "1"), ("x-one", "2"))
        assert (post.body, post.trailers, post.is_complete) == (b"abc", (("t", "v"),), True)
        (connection,) = peer.connections
        assert bytes(connection.received) == GET + chunked
        assert await connection.wait_ended() is Ending.SCRIPT


async def test_a_head_can_be_answered_before_its_body(serve: Serve) -> None:
    """ReceiveHead leaves the body unread, so a peer can answer early, and ReceiveBody reads it later."""
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), ReceiveBody(), Send(OK))
    async with serve(peer) as connect, connect() as client:
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert await client.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not peer.requests[0].is_complete
        await client.send_all(b"body")
        assert await read_to_end(client) == OK
        assert peer.requests[0].body == b"body"


async def test_what_follows_a_body_is_the_next_request(serve: Serve) -> None:
    """Bytes behind a body that came with it belong to the next step."""
    peer = ScriptedPeer(ReceiveRequest(), ReceiveRequest(), Send(OK))
    async with serve(peer) as connect, connect() as client:
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + GET)
        assert await read_to_end(client) == OK
        assert [(request.method, request.body) for request in peer.requests] == [("PUT", b"body"), ("GET", b"")]


async def test_raw_steps(serve: Serve) -> None:
    """Receive counts bytes or looks for a marker and leaves the rest; ReceiveEnd waits for the client's end."""
    peer = ScriptedPeer(Receive(b"\n"), Send(b"1"), Receive(count=3), Send(b"2"), SendEof(), ReceiveEnd())
    async with serve(peer) as connect, connect() as client:
        await client.send_all(b"line\nab")
        assert await client.receive_some() == b"1"
        await client.send_all(b"c")
        assert await read_to_end(client) == b"2"
        await client.send_all(b"afterwards")
        await end(client)
        assert await peer.connections[0].wait_ended() is Ending.SCRIPT
        assert bytes(peer.connections[0].received) == b"line\nabcafterwards"


async def test_a_reset_reaches_the_client(serve: Serve) -> None:
    """Reset breaks the client's stream; nothing can follow it in a script."""
    peer = ScriptedPeer(Receive(), Reset(), Send(b"never"))
    async with serve(peer) as connect, connect() as client:
        await client.send_all(GET)
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        assert await peer.connections[0].wait_ended() is Ending.BROKEN


async def test_a_close_reaches_the_client(serve: Serve) -> None:
    """Close ends the client's stream in the middle of whatever was promised."""
    peer = ScriptedPeer(ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nContent-Le"), Close())
    async with serve(peer) as connect, connect() as client:
        await client.send_all(GET)
        assert await read_to_end(client) == b"HTTP/1.1 200 OK\r\nContent-Le"


@pytest.mark.parametrize("serve", [in_memory, on_loopback], ids=["memory", "loopback"])
async def test_without_tls_there_is_nothing_below_it(serve: Serve) -> None:
    """On a plain connection RawSend is Send, and Truncate is Close."""
    peer = ScriptedPeer(RawSend(b"raw"), Truncate(), Send(b"never"))
    async with serve(peer) as connect, connect() as client:
        assert await read_to_end(client) == b"raw"
        assert await peer.connections[0].wait_ended() is Ending.BROKEN
        assert peer.handshakes == []


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([Close()], None),
        ([SendEof(), ReceiveEnd()], None),
        ([], None),
        ([Truncate()], ssl.SSLEOFError),
        ([RawSend(b"this is no record"), Stall()], ssl.SSLError),
    ],
)
async def test_how_tls_ends(steps: list[Step], kind: type[ssl.SSLError] | None) -> None:
    """Close, SendEof and the end of a script announce the end, Truncate does not, and RawSend is no TLS at all."""
    peer = ScriptedPeer(Send(b"all"), *steps)
    async with MemoryNetwork() as network, serve_peer(peer, network=network, tls=SERVER_TLS):
        (address,) = network.host("peer.test").addresses
        async with await network.dial(address, 443) as transport:
            client = await connect_tls(transport, "peer.test", lenient=False)
            assert await client.receive_some() == b"all"
            if kind is None:
                assert await client.receive_some() == b""
            else:
                with pytest.raises(trio.BrokenResourceError) as caught:
                    await client.receive_some()
                assert type(caught.value.__cause__) is kind
        (stream,) = peer.handshakes
        assert stream.server_name == "peer.test"
        assert peer.connections[0].stream is stream


async def test_the_end_of_a_script_waits_for_room() -> None:
    """A script's end is announced over TLS even if the client has to read first."""
    peer = ScriptedPeer(Send(b"all"))
    async with MemoryNetwork(buffer_size=1) as network, serve_peer(peer, network=network, tls=SERVER_TLS):
        (address,) = network.host("peer.test").addresses
        async with await network.dial(address, 443) as transport:
            client = await connect_tls(transport, "peer.test", lenient=False)
            await trio.testing.wait_all_tasks_blocked()
            assert await read_to_end(client) == b"all"


async def test_a_client_that_leaves_ends_the_script(serve: Serve) -> None:
    """A client that goes away in the middle of a script, or of a body, is no failure."""
    peer = ScriptedPeer(Loop(ReceiveRequest(), Send(OK)))
    async with serve(peer) as connect:
        async with connect() as client:
            await client.send_all(GET + GET)
            assert await client.receive_some(len(OK)) == OK
            assert await client.receive_some(len(OK)) == OK
        assert await peer.connections[0].wait_ended() is Ending.CLIENT_CLOSED
        async with connect() as client:
            await client.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert await peer.connections[1].wait_ended() is Ending.CLIENT_CLOSED
        assert peer.requests[-1].body == b"abc"


async def test_a_peer_can_stall(serve: Serve) -> None:
    """Stall keeps the connection open and silent until the peer's block ends; then it has no ending of its own."""
    peer = ScriptedPeer(Send(b"x"), Stall())
    async with serve(peer) as connect, connect() as client:
        assert await client.receive_some() == b"x"
        with trio.move_on_after(0) as scope:
            await client.receive_some()
        assert scope.cancelled_caught
    assert await peer.connections[0].wait_ended() is None


async def test_events_tie_script_and_test_together(serve: Serve) -> None:
    """Signal tells the test where the script is, and WaitFor holds the script until the test says so."""
    arrived, go_on = trio.Event(), trio.Event()
    peer = ScriptedPeer(Receive(), Signal(arrived), WaitFor(go_on), Send(b"done"))
    async with serve(peer) as connect, connect() as client:
        await client.send_all(GET)
        await arrived.wait()
        go_on.set()
        assert await read_to_end(client) == b"done"


async def test_a_loop_has_its_times(serve: Serve) -> None:
    """Loop plays its steps as often as it says."""
    peer = ScriptedPeer(Loop(Send(b"ab"), times=3))
    async with serve(peer) as connect, connect() as client:
        assert await read_to_end(client) == b"ababab"


async def test_one_script_for_each_connection(serve: Serve) -> None:
    """The n-th connection gets the n-th script, and one connection too many fails the test."""
    peer = ScriptedPeer.for_each([Send(b"first")], [Send(b"second")])
    with pytest.raises(AssertionError, match="connection 3"):
        async with serve(peer) as connect:
            for expected in (b"first", b"second", b""):
                async with connect() as client:
                    assert await read_to_end(client) == expected


@pytest.mark.parametrize("junk", [b"NOT HTTP\r\n\r\n", b"\r\n\r\n"])
async def test_a_wrong_request_fails_the_test(serve: Serve, junk: bytes) -> None:
    """What h11 does not take for a request is an error of the client's, and surfaces."""
    with pytest.raises(h11.RemoteProtocolError):
        async with serve(ScriptedPeer(ReceiveRequest())) as connect, connect() as client:
            await client.send_all(junk)
            with contextlib.suppress(trio.BrokenResourceError):
                await read_to_end(client)


async def test_sending_slowly_takes_its_time(autojump_clock: trio.testing.MockClock) -> None:
    """SendSlowly sends its pieces with the pause between them."""
    peer = ScriptedPeer(SendSlowly(b"abcde", 2, delay=1.5))
    async with in_memory(peer) as connect, connect() as client:
        started = trio.current_time()
        pieces = [bytes(piece) async for piece in client]
        assert pieces == [b"ab", b"cd", b"e"]
        assert trio.current_time() - started == 4.5


async def test_two_peers_at_one_host() -> None:
    """A second peer at a host gets the next free port; when the first has gone, its port is free again."""
    async with MemoryNetwork() as network, serve_peer(ScriptedPeer(), network=network, host="x.test") as second:
        assert second == "http://x.test"
        async with serve_peer(ScriptedPeer(), network=network, host="x.test") as url:
            assert url == "http://x.test:81"
        async with serve_peer(ScriptedPeer(), network=network, host="x.test") as url:
            assert url == "http://x.test:81"
