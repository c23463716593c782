"""A stream in memory is held to what a real socket does: the same tests run on a pair of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from trioreply.testing import MemoryConnection, MemoryStream, Transport
from trioreply.testing.serving import close_nowait, reset

from .pairs import OpenPair, memory_pair, socket_pair


@pytest.fixture(params=[memory_pair, socket_pair])
def open_pair(request: pytest.FixtureRequest) -> OpenPair:
    """A way to make a connected pair."""
    chosen: OpenPair = request.param
    return chosen


async def read_to_end(stream: Transport) -> bytes:
    """All that comes before the end."""
    return b"".join([bytes(piece) async for piece in stream])


async def test_passes_trios_own_conformance_test() -> None:
    """A memory stream keeps every promise that Trio's checks for half-closeable streams look at."""

    async def maker() -> tuple[MemoryStream, MemoryStream]:
        connection = MemoryConnection()
        return connection.client, connection.server

    async def clogged_maker() -> tuple[MemoryStream, MemoryStream]:
        connection = MemoryConnection(buffer_size=1)
        await connection.client.send_all(b"x")
        await connection.server.send_all(b"x")
        return connection.client, connection.server

    with trio.fail_after(30):
        await trio.testing.check_half_closeable_stream(maker, clogged_maker)


async def test_bytes_travel_both_ways(open_pair: OpenPair) -> None:
    """What one end sends the other receives, in order, up to the end of the stream."""
    async with open_pair() as (left, right):
        await left.send_all(b"question")
        await left.send_eof()
        assert await read_to_end(right) == b"question"
        await right.send_all(b"")
        await right.send_all(bytearray(b"answer"))
        close_nowait(right)
        assert await read_to_end(left) == b"answer"


async def test_a_sender_waits_for_its_reader(open_pair: OpenPair) -> None:
    """Back-pressure is real: sending more than the network takes waits until the peer reads."""
    payload = b"x" * 16_000_000
    done: list[str] = []
    async with open_pair() as (left, right), trio.open_nursery() as nursery:

        async def send() -> None:
            await left.send_all(payload)
            done.append("sent")
            await left.send_eof()

        nursery.start_soon(send)
        await right.receive_some(1)
        await trio.testing.wait_all_tasks_blocked()
        assert not done
        assert len(await read_to_end(right)) == len(payload) - 1
    assert done


async def test_closing_gives_the_peer_the_rest_and_the_end(open_pair: OpenPair) -> None:
    """A close with nothing unread is a FIN: what is on its way arrives, then the end, again and again."""
    async with open_pair() as (left, right):
        await right.send_all(b"last words")
        await right.aclose()
        assert await read_to_end(left) == b"last words"
        assert await left.receive_some() == b""


async def test_first_send_to_a_closed_peer_is_lost_and_a_later_one_breaks(open_pair: OpenPair) -> None:
    """Nobody learns from the first send that its peer has closed; from the next ones one does."""
    async with open_pair() as (left, right):
        await right.aclose()
        await left.send_all(b"lost")
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await left.send_all(b"noticed")


async def test_closing_with_unread_bytes_resets(open_pair: OpenPair) -> None:
    """A close that throws away what was received is a RST: the peer's receive breaks."""
    async with open_pair() as (left, right):
        await left.send_all(b"nobody will read this")
        await trio.testing.wait_all_tasks_blocked()
        await right.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await left.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await left.send_all(b"noticed at once")


async def test_reset_breaks_the_peer(open_pair: OpenPair) -> None:
    """After a reset the peer's receive and send fail with BrokenResourceError."""
    async with open_pair() as (left, right):
        reset(right)
        with pytest.raises(trio.BrokenResourceError):
            await left.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await left.send_all(b"too late")
        with pytest.raises(trio.ClosedResourceError):
            await right.receive_some()


async def test_reset_wakes_those_who_wait(open_pair: OpenPair) -> None:
    """A task that waits to receive learns of a reset at once."""
    async with open_pair() as (left, right), trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await left.receive_some()

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        reset(right)


async def send_forever(stream: Transport) -> None:
    """Send without an end."""
    while True:
        await stream.send_all(b"x" * 1_000_000)


async def receive_once(stream: Transport) -> None:
    """Receive something."""
    await stream.receive_some()


async def wait_writable(stream: Transport) -> None:
    """Wait for room to send."""
    await stream.wait_send_all_might_not_block()


async def send_eof(stream: Transport) -> None:
    """End our direction."""
    await stream.send_eof()


async def await_writable_when_full(stream: Transport) -> None:
    """Fill the connection, then wait for room."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_forever, stream)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    await stream.wait_send_all_might_not_block()


@pytest.mark.parametrize("action", [send_forever, receive_once, await_writable_when_full])
async def test_closing_wakes_own_tasks(open_pair: OpenPair, action: Callable[[Transport], Awaitable[None]]) -> None:
    """A task that waits in an end that is closed under it gets ClosedResourceError."""
    async with open_pair() as (left, _right), trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await action(left)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        close_nowait(left)


async def test_second_task_is_refused(open_pair: OpenPair) -> None:
    """Two tasks in the same direction of one end: the second gets BusyResourceError."""
    async with open_pair() as (left, _right), trio.open_nursery() as nursery:
        nursery.start_soon(receive_once, left)
        nursery.start_soon(send_forever, left)
        await trio.testing.wait_all_tasks_blocked()
        for action in (receive_once, send_forever, wait_writable, send_eof):
            with pytest.raises(trio.BusyResourceError):
                await action(left)
        nursery.cancel_scope.cancel()


async def test_nothing_works_after_closing(open_pair: OpenPair) -> None:
    """Each method of a closed end raises ClosedResourceError; closing it again is fine."""
    async with open_pair() as (left, _right):
        await left.aclose()
        close_nowait(left)
        for action in (receive_once, send_forever, wait_writable):
            with pytest.raises(trio.ClosedResourceError):
                await action(left)
        with pytest.raises(trio.ClosedResourceError):
            await left.send_all(b"")


async def test_nothing_is_sent_after_the_end(open_pair: OpenPair) -> None:
    """After send_eof one can still receive, not send; ending twice is fine."""
    async with open_pair() as (left, right):
        await left.send_eof()
        await left.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            await left.send_all(b"more")
        await right.send_all(b"still there")
        assert await left.receive_some() == b"still there"


async def test_receives_at_most_what_was_asked_for(open_pair: OpenPair) -> None:
    """max_bytes bounds what one receive gives, and must be positive."""
    async with open_pair() as (left, right):
        await right.send_all(b"abcdef")
        assert await left.receive_some(2) == b"ab"
        assert await left.receive_some(100) == b"cdef"
        with pytest.raises(ValueError, match="max_bytes"):
            await left.receive_some(0)


async def test_a_cancelled_receive_takes_nothing(open_pair: OpenPair) -> None:
    """Bytes are taken only by a receive that returns them."""
    async with open_pair() as (left, right):
        await right.send_all(b"precious")
        with trio.CancelScope() as scope:
            scope.cancel()
            await left.receive_some()
        assert scope.cancelled_caught
        assert await left.receive_some() == b"precious"


async def test_every_method_is_a_checkpoint(open_pair: OpenPair) -> None:
    """Async methods checkpoint even when they need not wait."""
    async with open_pair() as (left, right):
        await right.send_all(b"here")
        for action in (receive_once, wait_writable, send_eof):
            with trio.testing.assert_checkpoints():
                await action(left)
        with trio.testing.assert_checkpoints():
            await right.send_all(b"")
        with trio.testing.assert_checkpoints():
            await left.aclose()


async def test_receiving_at_once_gives_what_lies_ready() -> None:
    """Receiving at once takes the bytes that have come, or nothing, and never waits."""
    connection = MemoryConnection()
    assert connection.client.receive_nowait() is None
    await connection.server.send_all(b"x")
    with trio.testing.assert_no_checkpoints():
        assert connection.client.receive_nowait() == b"x"
        assert connection.client.receive_nowait() is None


@pytest.mark.parametrize("act", [MemoryConnection.cut, MemoryConnection.drop])
async def test_receiving_at_once_at_the_end(act: Callable[[MemoryConnection], None]) -> None:
    """The end of the stream, a break, and a stream that we closed all are the end to who receives at once."""
    connection = MemoryConnection()
    act(connection)
    assert connection.client.receive_nowait() == b""
    connection.client.close_nowait()
    assert connection.client.receive_nowait() == b""


async def test_a_farewell_goes_out_before_the_end() -> None:
    """Closing at once sends the farewell if there is room for it, and only the first closing does."""
    connection = MemoryConnection()
    connection.client.close_nowait(b"bye")
    connection.client.close_nowait(b"again")
    assert await read_to_end(connection.server) == b"bye"


async def test_a_farewell_never_waits_and_never_fails() -> None:
    """A farewell is dropped where there is no room, after the end was sent, and where nobody listens any more."""
    connection = MemoryConnection(buffer_size=4)
    await connection.client.send_all(b"full")
    connection.client.close_nowait(b"bye")
    assert await read_to_end(connection.server) == b"full"
    connection = MemoryConnection()
    await connection.client.send_eof()
    connection.client.close_nowait(b"bye")
    assert await read_to_end(connection.server) == b""
    connection = MemoryConnection()
    connection.server.reset()
    connection.client.close_nowait(b"bye")
    assert connection.client.is_closed


async def test_sending_at_once_takes_what_there_is_room_for() -> None:
    """Sending at once never waits: it says how much went out."""
    connection = MemoryConnection(buffer_size=4)
    with trio.testing.assert_no_checkpoints():
        assert connection.client.send_nowait(b"abcdef") == 4
        assert connection.client.send_nowait(bytearray(b"ef")) == 0
    assert await connection.server.receive_some() == b"abcd"
    await connection.client.send_eof()
    with pytest.raises(trio.ClosedResourceError):
        connection.client.send_nowait(b"x")


async def test_a_closed_end_cannot_reset_any_more() -> None:
    """As on a socket: once closed, there is nothing to reset with."""
    connection = MemoryConnection()
    connection.server.close_nowait(b"bye")
    connection.server.reset()
    assert await read_to_end(connection.client) == b"bye"


async def test_one_byte_at_a_time() -> None:
    """The switch makes every receive give one byte, until it is switched off."""
    connection = MemoryConnection()
    connection.one_byte_at_a_time = True
    await connection.client.send_all(b"abcd")
    assert connection.one_byte_at_a_time
    assert [await connection.server.receive_some(), await connection.server.receive_some()] == [b"a", b"b"]
    connection.one_byte_at_a_time = False
    assert await connection.server.receive_some() == b"cd"


async def test_stall_holds_bytes_and_ends_back() -> None:
    """While a connection stalls nothing arrives, neither bytes nor the end; afterwards all of it does."""
    connection = MemoryConnection()
    connection.stall = True
    await connection.client.send_all(b"held back")
    await connection.client.send_eof()
    assert connection.stall
    assert connection.server.receive_nowait() is None
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await read_to_end(connection.server) == b"held back"

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        assert connection.bytes_received == 0
        connection.stall = False


async def test_a_stalled_connection_fills_up() -> None:
    """A sender does not notice a stall before the buffer is full."""
    connection = MemoryConnection(buffer_size=10)
    connection.stall = True
    await connection.server.send_all(b"0123456789")
    assert connection.bytes_sent == 10
    with trio.move_on_after(0) as scope:
        await connection.server.send_all(b"!")
    assert scope.cancelled_caught
    assert connection.bytes_sent == 10


async def test_drop_breaks_both_ends_and_loses_what_is_on_its_way() -> None:
    """After a drop both ends are broken at once, even in a stall, and unread bytes are gone."""
    connection = MemoryConnection()
    connection.stall = True
    await connection.client.send_all(b"gone")
    connection.drop()
    for stream in (connection.client, connection.server):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")
    assert connection.bytes_received == 0


async def test_cut_ends_both_ends_politely() -> None:
    """After a cut both ends read what was on its way, then the end; sending goes as to a closed peer."""
    connection = MemoryConnection()
    await connection.server.send_all(b"rest")
    connection.cut()
    connection.cut()
    assert await read_to_end(connection.client) == b"rest"
    assert await read_to_end(connection.server) == b""
    await connection.client.send_all(b"lost")
    with pytest.raises(trio.BrokenResourceError):
        await connection.client.send_all(b"noticed")


async def test_repr_tells_side_place_and_state() -> None:
    """A stream's repr says which end of what it is, and whether it is open."""
    connection = MemoryConnection(host="origin.test", port=80)
    await connection.client.send_all(b"abc")
    await connection.server.receive_some()
    assert repr(connection.client) == (
        "<MemoryStream client of <MemoryConnection to origin.test:80 (3 bytes in, 0 out)>, open>"
    )
    connection.server.close_nowait()
    assert repr(connection.server).startswith("<MemoryStream server")
    assert repr(connection.server).endswith("closed>")
    assert connection.is_open
