"""Peers that mean harm: what they send without end ends here, soon, as a typed error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

import trioreply
from trioreply import Manager, NetworkError, ProtocolFailure, RemoteHostClosedError
from trioreply.errors import TimeoutError as ReplyTimeoutError
from trioreply.testing import (
    Close,
    Ending,
    Loop,
    MemoryNetwork,
    PeerConnection,
    Receive,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    SendSlowly,
    Stall,
    Step,
    WaitFor,
    serve_peer,
)

from .watching import is_at_rest

pytestmark = pytest.mark.soak

HOUR = 3600.0
"""Of the mock clock."""
MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = Send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


@pytest.fixture
async def network(autojump_clock: MockClock) -> AsyncIterator[MemoryNetwork]:
    """A network in memory, on a clock that jumps."""
    async with MemoryNetwork() as network:
        yield network


@pytest.fixture
async def manager(network: MemoryNetwork) -> AsyncIterator[Manager]:
    """A manager on that network."""
    async with trioreply.open_manager(resolver=network, dialer=network, transfer_timeout=30) as manager:
        yield manager


@pytest.fixture(autouse=True)
async def watchdog(autojump_clock: MockClock) -> AsyncIterator[None]:
    """No test may take longer than a day of its clock, which would mean that it hangs."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_bark)
        yield
        nursery.cancel_scope.cancel()


async def _bark() -> None:
    await trio.sleep(24 * HOUR)
    raise AssertionError("this test hangs")


@frozen
class Pause:
    """A step that takes its time."""

    seconds: float

    async def play(self, _connection: PeerConnection) -> None:
        """Do it."""
        await trio.sleep(self.seconds)


ENDLESS: dict[str, tuple[Step, ...]] = {
    "1xx responses": (Loop(Send(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n")),),
    "100 Continue": (Loop(Send(b"HTTP/1.1 100 Continue\r\n\r\n")),),
    "status line": (Send(b"HTTP/1.1 200 "), Loop(Send(b"O" * 1000))),
    "fields": (Send(OK), Loop(Send(b"X: y\r\n"))),
    "large fields": (Send(OK), Loop(Send(b"X: " + b"y" * 60_000 + b"\r\n"))),
    "field name": (Send(OK), Loop(Send(b"x" * 1000))),
    "field value": (Send(OK + b"X: "), Loop(Send(b"x" * 1000))),
    "folded field": (Send(OK + b"X: y\r\n"), Loop(Send(b" more\r\n"))),
    "empty lines": (Loop(Send(b"\r\n")),),
    "no line end": (Loop(Send(bytes(range(256)))),),
    "chunk extension": (CHUNKED, Send(b"5;x="), Loop(Send(b"y" * 1000))),
    "chunk extensions": (CHUNKED, Send(b"5"), Loop(Send(b";x=y"))),
    "chunk size": (CHUNKED, Loop(Send(b"0" * 1000))),
    "trailers": (CHUNKED, Send(b"0\r\n"), Loop(Send(b"X: y\r\n"))),
    "trailer": (CHUNKED, Send(b"0\r\nX: "), Loop(Send(b"y" * 1000))),
}


@pytest.mark.parametrize("size", [None, 1], ids=["at-once", "bytewise"])
@pytest.mark.parametrize("what", ENDLESS)
async def test_what_has_no_end_is_refused(
    what: str, *, size: int | None, autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """Endless framing is PROTOCOL_FAILURE before it is a mebibyte, however it is cut up; the connection is closed."""
    peer = ScriptedPeer(ReceiveRequest(), *ENDLESS[what])
    network.one_byte_at_a_time = size == 1
    async with serve_peer(peer, network=network) as url:
        with pytest.raises(ProtocolFailure):
            await manager.fetch(url)
        assert await peer.connections[0].wait_ended() is Ending.BROKEN
        assert network.connections[0].bytes_sent < MIB
    assert manager.statistics().connections == {}


async def test_an_endless_body_is_bounded_by_its_reader(
    autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """A body without end fills the read buffer and no more; ``max_size`` and ``abort`` end it."""
    endless = (ReceiveRequest(), CHUNKED, Loop(Send(b"1000\r\n" + bytes(4096) + b"\r\n")))
    async with serve_peer(ScriptedPeer(*endless), network=network) as url:
        with pytest.raises(trioreply.UnknownContentError, match="max_size"):
            await manager.fetch(url, max_size=5 * MIB)
        assert network.connections[0].bytes_sent < 6 * MIB
        async with manager.get(url) as reply:
            await reply.wait_metadata()
            await trio.sleep(HOUR / 2)  # longer than transfer_timeout: a slow reader is not the peer's fault
            assert reply.is_running
            assert network.connections[1].bytes_sent < 2 * MIB
            reply.abort()
    assert is_at_rest(manager)


async def test_a_body_of_dust(autojump_clock: MockClock, network: MemoryNetwork, manager: Manager) -> None:
    """Single bytes in chunks with extensions are data as any other: received, counted, and bounded by the reader."""
    dust = (ReceiveRequest(), CHUNKED, Loop(Send(b"1;a=b\r\nx\r\n"), times=20_000), Send(b"0\r\n\r\n"), Close())
    async with serve_peer(ScriptedPeer(*dust), network=network) as url:
        assert (await manager.fetch(url)).body == b"x" * 20_000


@pytest.mark.parametrize("part", ["head", "1xx", "chunk size", "trailer"])
async def test_framing_that_drips_is_no_progress(
    part: str, autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """A byte of framing every second restarts no ``transfer_timeout``: the reply ends as TIMEOUT."""
    before = {"head": b"", "1xx": b"", "chunk size": CHUNKED.data, "trailer": CHUNKED.data + b"0\r\n"}[part]
    dripped = {
        "head": OK + b"X: y\r\n" * 100,
        "1xx": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30,
        "chunk size": b"5;" + b"x" * 1000,
        "trailer": b"X: y\r\n" * 100,
    }[part]
    peer = ScriptedPeer(ReceiveRequest(), Send(before), SendSlowly(dripped, delay=1), Stall())
    async with serve_peer(peer, network=network) as url:
        began = trio.current_time()
        with pytest.raises(ReplyTimeoutError):
            await manager.fetch(url)
        assert trio.current_time() - began <= 31
    assert manager.statistics().connections == {}


async def test_a_body_that_drips_is_progress(
    autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """A byte of the body every 20 s keeps the reply alive: who wants a bound on the whole sets one, and it holds."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK + b"Content-Length: 1000\r\n\r\n"), SendSlowly(b"x" * 1000, delay=20))
    async with serve_peer(peer, network=network) as url:
        with trio.move_on_after(600) as scope:
            async with manager.get(url) as reply:
                await reply.read_all()
        assert scope.cancelled_caught
        assert reply.error is NetworkError.OPERATION_CANCELED
    assert manager.statistics().connections == {}


async def test_a_server_that_reads_nothing(autojump_clock: MockClock, network: MemoryNetwork, manager: Manager) -> None:
    """An upload that nobody takes ends as TIMEOUT; one that is taken slowly but steadily does not."""
    slowly = [step for _ in range(64) for step in (Receive(count=16 * 1024), Pause(2.0))]
    steady = (ReceiveHead(), *slowly, Send(HELLO))
    async with serve_peer(ScriptedPeer.for_each((ReceiveHead(), Stall()), steady), network=network) as url:
        async with manager.post(url, bytes(MIB)) as reply:
            assert await reply.wait_finished() is NetworkError.TIMEOUT
        assert manager.statistics().connections == {}
        assert (await manager.fetch(url, verb="POST", body=bytes(MIB))).body == b"hello"


SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"


@pytest.mark.parametrize("when", ["with the response", "while idle"])
@pytest.mark.parametrize("junk", [SMUGGLED, b"\r\n", b"x", b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"\0" * 100_000])
async def test_what_nobody_asked_for_answers_nothing(
    junk: bytes, *, when: str, autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """Bytes behind a response, at once or later, cost the connection: they never become the next answer."""
    was_read = trio.Event()
    later = (Send(HELLO), WaitFor(was_read), Send(junk))
    peer = ScriptedPeer(ReceiveRequest(), *(later if when == "while idle" else (Send(HELLO + junk),)), Stall())
    async with serve_peer(peer, network=network) as url:
        for _ in range(20):
            assert (await manager.fetch(url)).body == b"hello"
            was_read.set()
            await trio.testing.wait_all_tasks_blocked()
        assert len(peer.connections) == 20


async def test_a_response_to_a_request_that_is_still_being_sent(
    autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """A whole success in the middle of an upload is delivered, and the upload goes on; nothing of it is kept twice."""
    peer = ScriptedPeer(ReceiveHead(), Send(HELLO), Stall())
    async with serve_peer(peer, network=network) as url:
        async with manager.post(url, bytes(MIB), transfer_timeout=5) as reply:
            error = await reply.wait_finished()
            assert reply.status_code == 200
            assert error in (NetworkError.NO_ERROR, NetworkError.TIMEOUT)
    assert manager.statistics().connections == {}


async def test_switching_protocols_is_refused(
    autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """A 101 that nobody asked for is PROTOCOL_FAILURE: what follows is in a language we do not speak."""
    peer = ScriptedPeer(
        ReceiveRequest(),
        Send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        Stall(),
    )
    async with serve_peer(peer, network=network) as url:
        with pytest.raises(ProtocolFailure):
            await manager.fetch(url)


async def test_a_server_that_closes_every_kept_connection_under_the_request(
    autojump_clock: MockClock, network: MemoryNetwork, manager: Manager
) -> None:
    """A server that takes every second request and closes costs one repetition each, and never an endless row."""
    good = (ReceiveRequest(), Send(HELLO))
    peer = ScriptedPeer(*good, ReceiveRequest(), Close())
    async with serve_peer(peer, network=network) as url:
        for _ in range(50):
            assert (await manager.fetch(url)).body == b"hello"
        assert len(peer.requests) == 99
    deaf = ScriptedPeer(ReceiveRequest(), Close())
    async with serve_peer(deaf, network=network, host="deaf.test") as url:
        with pytest.raises(RemoteHostClosedError):
            await manager.fetch(url)
        assert len(deaf.connections) == 1
