"""The read buffer and the network: when the exchange waits for its reader, and for whose sake it goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from trioreply import NetworkError, ReadyRead, Reply, ResponseData

from .scripted import Script, open_reply, settle

MIB = 1024 * 1024
PIECE = b"x" * (MIB // 4)


def long_response(pieces: int = 12, piece: bytes = PIECE) -> Script:
    """A response of several pieces: 3 MiB, if nothing else is said."""
    script = Script()
    script.respond(*[piece] * pieces)
    script.end()
    return script


async def test_default_pauses_at_one_mebibyte() -> None:
    """With nobody waiting the network pauses when 1 MiB lies unread, and goes on as soon as there is less."""
    async with open_reply(long_response()) as reply:
        await settle()
        assert reply.bytes_available == MIB
        reply.peek(10)
        await settle()
        assert reply.bytes_available == MIB
        reply.read(1)
        await settle()
        assert reply.bytes_available == MIB - 1 + len(PIECE)


async def test_default_does_not_pause_while_an_event_is_waited_for() -> None:
    """While a task waits for an event with none unread the network goes on, however much lies unread."""
    async with open_reply(long_response()) as reply:
        async for _event in reply:
            pass
        assert reply.error is NetworkError.NO_ERROR
        assert reply.bytes_available == 12 * len(PIECE)


async def test_a_slow_reader_of_events_is_bounded() -> None:
    """A task that has received an event and does something else does not keep the network going."""
    async with open_reply(long_response()) as reply:
        await settle()
        async for event in reply:
            if isinstance(event, ReadyRead):
                break
        await settle()
        assert reply.bytes_available == MIB
        with trio.move_on_after(0):
            await reply.events.receive()
        await settle()
        assert reply.bytes_available <= MIB + len(PIECE)


async def test_default_does_not_pause_for_those_who_wait_for_the_end() -> None:
    """``wait_finished``, then read: the whole body lies there (Qt's most common use)."""
    async with open_reply(long_response()) as reply:
        await settle()
        assert await reply.wait_finished() is NetworkError.NO_ERROR
        assert len(reply.read()) == 12 * len(PIECE)


async def test_it_pauses_again_when_nobody_waits_any_more() -> None:
    """A cancelled ``wait_finished`` keeps nothing going."""
    script = Script()
    script.respond(*[PIECE] * 4)
    async with open_reply(script) as reply:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply.wait_finished)
            await settle()
            nursery.cancel_scope.cancel()
        script.put(*[ResponseData(PIECE)] * 8)
        await settle()
        assert reply.bytes_available <= MIB + len(PIECE)


async def test_without_a_limit_it_never_pauses() -> None:
    """A size of 0 is Qt's default: the network never waits for the reader."""
    async with open_reply(long_response(), read_buffer_size=0) as reply:
        await settle()
        assert reply.is_finished
        assert reply.bytes_available == 12 * len(PIECE)


@pytest.mark.parametrize("wait", [Reply.wait_finished, lambda reply: reply.events.aclose(), Reply.wait_metadata])
async def test_a_size_holds_always(wait: Callable[[Reply], Awaitable[object]]) -> None:
    """With a size the network pauses there, overshooting by one piece at most, whoever waits for whatever."""
    async with open_reply(long_response(20, b"12345"), read_buffer_size=12) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(wait, reply)
        await settle()
        assert reply.bytes_available == 15
        await settle()
        reply.skip(3)
        await settle()
        assert reply.bytes_available == 12
        reply.skip(1)
        await settle()
        assert reply.bytes_available == 16
        reply.read_buffer_size = 0


async def test_a_size_holds_for_who_waits_for_events() -> None:
    """With a size even a waiting reader of events does not keep the network going: it has to read."""
    async with open_reply(long_response(20, b"12345"), read_buffer_size=12) as reply:
        received = b""
        async for event in reply:
            if isinstance(event, ReadyRead):
                assert reply.bytes_available <= 16
                received += reply.read()
        assert received == b"12345" * 20


async def test_another_task_reads_for_who_waits_for_the_end() -> None:
    """With a size ``wait_finished`` comes to its end if another task reads."""
    async with open_reply(long_response(20, b"12345"), read_buffer_size=12) as reply, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            assert b"".join([chunk async for chunk in reply.chunks()]) == b"12345" * 20

        assert await reply.wait_finished() is NetworkError.NO_ERROR


@pytest.mark.parametrize("size", [None, 12, 1])
@pytest.mark.parametrize(
    "read",
    [
        lambda reply: reply.read_all(),
        lambda reply: reply.read_all(12 * len(PIECE)),
        lambda reply: reply.read_exactly(12 * len(PIECE)),
        lambda reply: anext(reply.lines(12 * len(PIECE))),
    ],
    ids=["read_all", "read_all(max_size)", "read_exactly", "lines"],
)
async def test_a_read_of_more_than_the_limit_does_not_hang(
    read: Callable[[Reply], Awaitable[bytes]], size: int | None
) -> None:
    """A read that needs more than the buffer's limit gets it: the network goes on for as long as it waits."""
    async with open_reply(long_response(), read_buffer_size=size) as reply:
        await settle()
        assert not reply.is_finished
        with trio.fail_after(5):
            assert len(await read(reply)) == 12 * len(PIECE)


async def test_a_read_gets_no_more_than_it_needs() -> None:
    """As soon as what is wanted lies there the limit holds, before the reader has taken it."""
    script = long_response(20, b"12345")
    async with open_reply(script, read_buffer_size=5) as reply:
        assert len(await reply.read_exactly(10)) == 10
        assert script.done == 2


async def test_the_limit_holds_again_after_such_a_read() -> None:
    """After a large read the limit is what it was."""
    async with open_reply(long_response(20, b"12345"), read_buffer_size=5) as reply:
        assert len(await reply.read_exactly(50)) == 50
        await settle()
        assert reply.bytes_available <= 10


@pytest.mark.parametrize("size", [0, 100])
async def test_a_larger_size_lets_it_go_on(size: int) -> None:
    """Setting a larger size, or none, while the network pauses lets it go on at once."""
    async with open_reply(long_response(20, b"12345"), read_buffer_size=5) as reply:
        await settle()
        assert reply.bytes_available == 5
        reply.read_buffer_size = size
        await settle()
        assert reply.bytes_available == 100


@pytest.mark.parametrize("stop", [Reply.abort, Reply.close])
async def test_a_paused_reply_can_be_stopped(stop: Callable[[Reply], None]) -> None:
    """A reply whose network waits for its reader ends at once when it is stopped."""
    script = long_response()
    async with open_reply(script) as reply:
        await settle()
        stop(reply)
        with trio.fail_after(5):
            await reply.aclose()
    assert script.cancelled


async def test_unread_events_stay_few() -> None:
    """However much happens while nobody looks, ReadyRead and Progress rest once each, and say the newest."""
    async with open_reply(long_response(1000, b"12345"), read_buffer_size=0, progress_interval=0) as reply:
        await settle()
        events = [event async for event in reply]
        assert [type(event).__name__ for event in events] == ["MetaDataChanged", "ReadyRead", "Progress", "Finished"]
        assert events[1] == ReadyRead(5000)
