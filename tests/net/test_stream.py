"""Our own byte stream over a socket, and the wrapper for others."""

from __future__ import annotations

import array
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
import trio
from attrs import frozen
from trio.testing import assert_checkpoints, assert_no_checkpoints, check_two_way_stream, wait_all_tasks_blocked

from trioreply._net.interfaces import ByteStream
from trioreply._net.stream import RECEIVE_SIZE, STREAK, SocketStream, adapt

MIB = 1024 * 1024


@frozen
class Pair:
    """A stream under test, its socket, and the blocking socket at the other end."""

    stream: SocketStream
    near: socket.socket
    peer: socket.socket

    async def arrive(self, data: bytes) -> None:
        """Let ``data`` lie ready in the stream's socket."""
        self.peer.sendall(data)
        await trio.lowlevel.wait_readable(self.near)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def reset(peer: socket.socket) -> None:
    """Close ``peer`` so that the other end gets RST instead of the end of the stream."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def clog(sock: socket.socket) -> None:
    """Write until the kernel takes no more."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x" * RECEIVE_SIZE)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connection over loopback."""
    client, server = tcp_pair()
    with client, server:
        yield Pair(SocketStream(client), client, server)


@pytest.fixture
def clogged() -> Iterator[Pair]:
    """A connection whose stream takes no byte until the peer reads."""
    near, far = socket.socketpair()
    with near, far:
        clog(near)
        yield Pair(SocketStream(near), near, far)


class Polite(SocketStream):
    """Checkpoints first, as Trio's conformance tests want; all else is the stream under test."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Checkpoint, then send."""
        await trio.lowlevel.checkpoint()
        await super().send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Checkpoint, then receive."""
        await trio.lowlevel.checkpoint()
        return await super().receive_some(max_bytes)


async def polite_pair() -> tuple[Polite, Polite]:
    """Two connected streams."""
    near, far = socket.socketpair()
    return Polite(near), Polite(far)


async def clogged_polite_pair() -> tuple[Polite, Polite]:
    """Two connected streams that take no byte until the other is read."""
    near, far = socket.socketpair()
    clog(near)
    clog(far)
    return Polite(near), Polite(far)


async def test_trio_contract() -> None:
    """But for the checkpoints it saves, the stream passes Trio's own tests for streams."""
    await check_two_way_stream(polite_pair, clogged_polite_pair)


async def test_is_a_byte_stream(pair: Pair) -> None:
    """A socket stream is both a stream of Trio's and what connections ask for."""
    assert isinstance(pair.stream, trio.abc.Stream)
    assert isinstance(pair.stream, ByteStream)


async def test_small_writes_are_not_delayed(pair: Pair) -> None:
    """TCP_NODELAY is set: a request's last bytes do not wait for an acknowledgement."""
    assert pair.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_no_checkpoint_when_ready(pair: Pair) -> None:
    """What can be done at once is done without giving up the turn."""
    stream, peer = pair.stream, pair.peer
    await pair.arrive(b"pong")
    with assert_no_checkpoints():
        assert await stream.receive_some() == b"pong"
        await stream.send_all(b"ping")
    assert peer.recv(10) == b"ping"


async def test_an_answer_is_waited_for(pair: Pair) -> None:
    """The first receiving after a sending is a checkpoint, though the bytes lie ready; the next one need not be."""
    stream, peer = pair.stream, pair.peer
    await pair.arrive(b"pong")
    await stream.send_all(b"ping")
    with assert_checkpoints():
        assert await stream.receive_some(2) == b"po"
    with assert_no_checkpoints():
        assert await stream.receive_some(2) == b"ng"
    assert peer.recv(10) == b"ping"


async def test_no_answer_is_waited_for_on_a_closed_stream(pair: Pair) -> None:
    """Receiving after sending and closing says that the stream is closed."""
    await pair.stream.send_all(b"ping")
    pair.stream.close_nowait()
    with pytest.raises(trio.ClosedResourceError):
        await pair.stream.receive_some()


async def test_receiving_gives_others_a_turn(pair: Pair) -> None:
    """After a streak of reads that did not wait comes a checkpoint, and then another streak."""
    await pair.arrive(b"x" * (2 * STREAK + 1))
    for ready in (STREAK, STREAK - 1):
        with assert_no_checkpoints():
            for _ in range(ready):
                await pair.stream.receive_some(1)
        with assert_checkpoints():
            await pair.stream.receive_some(1)


async def test_sending_gives_others_a_turn(pair: Pair) -> None:
    """After a streak of writes that did not wait comes a checkpoint."""
    stream = pair.stream
    with assert_no_checkpoints():
        for _ in range(STREAK):
            await stream.send_all(b"x")
    with assert_checkpoints():
        await stream.send_all(b"x")
    with assert_no_checkpoints():
        for _ in range(STREAK - 1):
            await stream.send_all(b"x")


async def test_cancelled_receive_loses_nothing(pair: Pair) -> None:
    """A cancellation is noticed within a streak, and no byte is taken by the call that notices it."""
    stream = pair.stream
    await pair.arrive(b"a" * STREAK + b"b")
    with trio.CancelScope() as scope:
        scope.cancel()
        for _ in range(STREAK + 1):
            last = await stream.receive_some(1)
            assert last == b"a"
    assert scope.cancelled_caught
    assert await stream.receive_some() == b"b"


async def test_cancelled_send_between_calls_sends_nothing(pair: Pair) -> None:
    """The call to send that notices a cancellation after a streak has sent nothing."""
    stream, peer = pair.stream, pair.peer
    with trio.CancelScope() as scope:
        scope.cancel()
        for _ in range(STREAK + 1):
            await stream.send_all(b"a")
    assert scope.cancelled_caught
    await stream.aclose()
    assert peer.makefile("rb").read() == b"a" * STREAK


async def test_waiting_to_receive_counts_as_a_turn(pair: Pair) -> None:
    """A read that had to wait starts a new streak."""
    await pair.arrive(b"x" * (STREAK - 1))
    for _ in range(STREAK - 1):
        await pair.stream.receive_some(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.stream.receive_some)
        await wait_all_tasks_blocked()
        pair.peer.sendall(b"y")
    await pair.arrive(b"x" * STREAK)
    with assert_no_checkpoints():
        for _ in range(STREAK):
            await pair.stream.receive_some(1)


async def test_waiting_to_send_counts_as_a_turn(pair: Pair) -> None:
    """A write that had to wait starts a new streak."""
    for _ in range(STREAK - 1):
        await pair.stream.send_all(b"x")
    rest = 2 * 16 * MIB + STREAK - 1

    def drain() -> None:
        taken = 0
        while taken < rest:
            taken += len(pair.peer.recv(MIB))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, drain)
        await pair.stream.send_all(b"x" * (2 * 16 * MIB))
    with assert_no_checkpoints():
        for _ in range(STREAK - 1):
            await pair.stream.send_all(b"x")


async def test_receive_some_default_size(pair: Pair) -> None:
    """Without a size, at most the default is read; at the end of the stream nothing."""
    stream, peer = pair.stream, pair.peer
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, lambda: peer.sendall(b"x" * MIB))
        total = 0
        while total < MIB:
            piece = await stream.receive_some()
            assert 0 < len(piece) <= RECEIVE_SIZE
            total += len(piece)
    peer.shutdown(socket.SHUT_WR)
    assert await stream.receive_some() == b""


async def test_receive_some_refuses_nonsense(pair: Pair) -> None:
    """A size below one is an error of the caller."""
    with pytest.raises(ValueError, match="max_bytes: must be at least 1, not 0"):
        await pair.stream.receive_some(0)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "words"])
async def test_send_all_sends_all(kind: str) -> None:
    """More than the kernel takes at once arrives complete, in whatever kind of buffer it lies."""
    payload = bytes(range(256)) * (MIB // 64)
    forms: dict[str, bytes | bytearray | memoryview] = {
        "bytes": payload,
        "bytearray": bytearray(payload),
        "words": memoryview(array.array("I", payload)),
    }
    near, far = tcp_pair()
    sender, receiver = SocketStream(near), SocketStream(far)
    got = bytearray()

    async def receive() -> None:
        while piece := await receiver.receive_some():
            got.extend(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await sender.send_all(forms[kind])
        await sender.aclose()
    await receiver.aclose()
    assert got == payload


async def test_empty_send(pair: Pair) -> None:
    """Sending nothing is no error and no end."""
    stream, peer = pair.stream, pair.peer
    await stream.send_all(b"")
    await stream.send_all(b"x")
    assert peer.recv(10) == b"x"


async def test_cancelled_send_releases_the_buffer(clogged: Pair) -> None:
    """A cancelled send ends at once, and the caller may change the buffer again."""
    data = bytearray(b"x" * 10)
    with trio.CancelScope() as scope:
        scope.cancel()
        await clogged.stream.send_all(data)
    assert scope.cancelled_caught
    data.extend(b"y")


async def test_reset_is_broken_resource(pair: Pair) -> None:
    """A connection that the peer resets is a broken resource to both directions; the system's error is the cause."""
    stream, peer = pair.stream, pair.peer
    reset(peer)
    with pytest.raises(trio.BrokenResourceError, match="the connection is lost: ") as received:
        await stream.receive_some()
    with pytest.raises(trio.BrokenResourceError) as sent:
        await stream.send_all(b"x")
    assert isinstance(received.value.__cause__, OSError)
    assert isinstance(sent.value.__cause__, OSError)


async def test_closed_stream_refuses_use(pair: Pair) -> None:
    """Using a stream that we closed says so, which is not the same as a lost connection."""
    stream = pair.stream
    stream.close_nowait()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await stream.wait_send_all_might_not_block()


async def test_closing_wakes_the_receiver(pair: Pair) -> None:
    """A task that waits in a stream learns that another task closed it."""
    stream = pair.stream

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        stream.close_nowait()


async def test_closing_wakes_the_sender(clogged: Pair) -> None:
    """A task that waits to send learns that another task closed the stream."""

    async def send() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await clogged.stream.send_all(b"x")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        clogged.stream.close_nowait()


async def test_two_receivers_conflict(pair: Pair) -> None:
    """A second receiver is refused, even if bytes came meanwhile; a sender is not."""
    stream, peer = pair.stream, pair.peer
    got: list[bytes] = []

    async def receive() -> None:
        got.append(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        peer.sendall(b"for the first")
        with pytest.raises(trio.BusyResourceError):
            await stream.receive_some()
        await stream.send_all(b"x")
    assert got == [b"for the first"]


async def test_two_senders_conflict(clogged: Pair) -> None:
    """A second sender is refused even if there is room meanwhile, and so is waiting to send; afterwards it is not."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clogged.stream.send_all, b"x")
        await wait_all_tasks_blocked()
        clogged.peer.recv(MIB)
        with pytest.raises(trio.BusyResourceError):
            await clogged.stream.send_all(b"y")
        with pytest.raises(trio.BusyResourceError):
            await clogged.stream.wait_send_all_might_not_block()
        nursery.cancel_scope.cancel()
    with trio.CancelScope() as scope:
        scope.cancel()
        await clogged.stream.wait_send_all_might_not_block()
    assert scope.cancelled_caught


async def test_receive_nowait(pair: Pair) -> None:
    """Receiving at once gives what lies ready, or nothing, and never waits."""
    stream = pair.stream
    with assert_no_checkpoints():
        assert stream.receive_nowait() is None
    await pair.arrive(b"x")
    with assert_no_checkpoints():
        assert stream.receive_nowait() == b"x"
        assert stream.receive_nowait() is None


@pytest.mark.parametrize("ending", [socket.socket.close, reset])
async def test_receive_nowait_at_the_end(pair: Pair, ending: Callable[[socket.socket], None]) -> None:
    """The end of the stream and a reset both are the end to who receives at once."""
    stream, peer = pair.stream, pair.peer
    ending(peer)
    await trio.lowlevel.wait_readable(pair.near)
    assert stream.receive_nowait() == b""


async def test_close_nowait(pair: Pair) -> None:
    """Closing at once is no checkpoint, tells the peer, and may be repeated."""
    stream, peer = pair.stream, pair.peer
    with assert_no_checkpoints():
        stream.close_nowait()
        stream.close_nowait()
    assert peer.recv(1) == b""


async def test_close_nowait_with_a_farewell(pair: Pair) -> None:
    """A farewell goes out before the end."""
    pair.stream.close_nowait(b"bye")
    assert pair.peer.recv(10) == b"bye"
    assert pair.peer.recv(1) == b""


async def test_a_farewell_that_would_wait_is_dropped(pair: Pair) -> None:
    """Closing does not wait for a peer that reads nothing, and does not fail because of it."""
    clog(pair.near)
    with assert_no_checkpoints():
        pair.stream.close_nowait(b"bye")
    assert pair.near.fileno() < 0


async def test_aclose(pair: Pair) -> None:
    """Closing the asynchronous way is a checkpoint, and is done even if that is cancelled."""
    stream, peer = pair.stream, pair.peer
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.aclose()
    assert scope.cancelled_caught
    assert peer.recv(1) == b""
    with assert_checkpoints():
        await stream.aclose()


def never(resource: trio.abc.AsyncResource) -> None:
    """Nothing should be left to be closed later."""
    raise AssertionError(resource)


async def test_adapt_keeps_byte_streams(pair: Pair) -> None:
    """A stream that can be asked and closed without waiting is taken as it is."""
    assert adapt(pair.stream, never) is pair.stream


async def test_adapt_passes_bytes() -> None:
    """Bytes pass the wrapper of a foreign stream both ways; whether some lie ready it cannot know."""
    near, far = trio.testing.memory_stream_pair()
    stream = adapt(near, never)
    assert isinstance(stream, ByteStream)
    await stream.send_all(b"ping")
    assert await far.receive_some() == b"ping"
    await far.send_all(b"pong")
    assert stream.receive_nowait() is None
    assert await stream.receive_some(2) == b"po"
    assert await stream.receive_some() == b"ng"


async def test_adapted_close_nowait() -> None:
    """Closing a foreign stream at once hands it over to be closed later, once, and ends its use."""
    later: list[trio.abc.AsyncResource] = []
    near, _ = trio.testing.memory_stream_pair()
    stream = adapt(near, later.append)
    stream.close_nowait()
    stream.close_nowait()
    assert later == [near]
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_adapted_aclose() -> None:
    """A foreign stream that was closed politely is not handed over as well."""
    near, far = trio.testing.memory_stream_pair()
    stream = adapt(near, never)
    await stream.aclose()
    stream.close_nowait()
    assert await far.receive_some() == b""
