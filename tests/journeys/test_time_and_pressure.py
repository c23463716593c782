"""Timeouts, progress at its pace, and back-pressure; on a mock clock, so an hour costs nothing."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from trioreply import Event, Finished, Limits, Manager, NetworkError, ReadyRead
from trioreply.errors import TimeoutError as ReplyTimeoutError
from trioreply.testing import (
    Loop,
    OriginRequest,
    OriginResponse,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    SendSlowly,
    Stall,
    Step,
)

from .conftest import Place
from .notation import sequence

OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (0.15, "S Q H(200) R D(10,40) R D(20,40) R D(30,40) R D(40,40) F(NO_ERROR)"),
        (0.04, "S Q H(200) R D(30,60) R D(60,60) F(NO_ERROR)"),
    ],
)
async def test_progress_comes_at_most_every_100_ms(
    interval: float, expected: str, autojump_clock: MockClock, memory: Place
) -> None:
    """Progress is reported when it is due, and at the end in any case: there it coalesces with what nobody has read."""
    pieces = 4 if interval > 0.1 else 6

    async def answer() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            await trio.sleep(interval)
            yield b"0123456789"

    async def serve(request: OriginRequest) -> OriginResponse:
        return OriginResponse(headers={"Content-Length": str(pieces * 10)}.items(), body=answer())

    async with memory.origin(serve) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            events = [event async for event in reply]
    assert sequence(events) == expected


async def test_the_connect_timeout(autojump_clock: MockClock, memory: Place) -> None:
    """``connect_timeout`` ends an attempt that nobody answers."""
    assert memory.network is not None
    memory.network.add_host("void.test").black_hole = True
    async with memory.open_manager(connect_timeout=3) as manager:
        with pytest.raises(ReplyTimeoutError, match="connect_timeout=3"):
            await manager.fetch("http://void.test/")
        assert trio.current_time() == pytest.approx(3)
        with pytest.raises(ReplyTimeoutError, match="connect_timeout=1"):
            await manager.fetch("http://void.test/", connect_timeout=1)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ((ReceiveRequest(), Stall()), "S Q E(TIMEOUT) D(0,0) F(TIMEOUT)"),
        ((ReceiveRequest(), Send(OK), Stall()), "S Q E(TIMEOUT) D(0,0) F(TIMEOUT)"),
        (
            (ReceiveRequest(), Send(OK + b"Content-Length: 20\r\n\r\n0123456789"), Stall()),
            "S Q H(200) R E(TIMEOUT) D(10,20) F(TIMEOUT)",
        ),
    ],
)
async def test_a_silent_server(
    script: tuple[Step, ...], expected: str, autojump_clock: MockClock, memory: Place
) -> None:
    """``transfer_timeout`` ends an exchange without progress, in whatever phase; the device is closed."""
    async with memory.serve(ScriptedPeer(*script)) as url, memory.open_manager(transfer_timeout=2) as manager:
        async with manager.get(url) as reply:
            events = [event async for event in reply]
        assert sequence(events) == expected
        assert reply.read() == b""
        assert trio.current_time() == pytest.approx(2)
        assert manager.statistics().leases == 0


async def test_a_stalled_upload(autojump_clock: MockClock, memory: Place) -> None:
    """A server that stops reading the request's body runs into the timeout, too."""
    async with memory.serve(ScriptedPeer(ReceiveHead(), Stall())) as url, memory.open_manager() as manager:
        async with manager.post(url, bytes(MIB), transfer_timeout=2) as reply:
            assert await reply.wait_finished() is NetworkError.TIMEOUT


async def test_slow_is_not_silent(autojump_clock: MockClock, memory: Place) -> None:
    """Steady progress, however slow, is no timeout; a response's head is no progress."""
    slow = SendSlowly(b"0123456789", size=1, delay=1.5)
    peer = ScriptedPeer.for_each(
        (ReceiveRequest(), Send(OK + b"Content-Length: 10\r\n\r\n"), slow),
        (ReceiveRequest(), SendSlowly(OK + b"Content-Length: 10\r\n\r\n", size=100, delay=1.5), Stall()),
    )
    async with memory.serve(peer) as url, memory.open_manager(transfer_timeout=2) as manager:
        assert (await manager.fetch(url)).body == b"0123456789"
        start = trio.current_time()
        with pytest.raises(ReplyTimeoutError):
            await manager.fetch(url)
        assert trio.current_time() - start == pytest.approx(2)


async def test_waiting_in_the_queue_is_not_silence(autojump_clock: MockClock, memory: Place) -> None:
    """Time spent waiting for a connection does not count for ``transfer_timeout``."""

    async def slow(request: OriginRequest) -> OriginResponse:
        await trio.sleep(3)
        return OriginResponse(body=b"done")

    async with memory.origin(slow) as origin, memory.open_manager(limits=Limits(per_host=1)) as manager:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(_fetch_with_timeout, manager, origin.url())
    assert trio.current_time() == pytest.approx(9)


async def _fetch_with_timeout(manager: Manager, url: str) -> None:
    response = await manager.fetch(url, transfer_timeout=4)
    assert response.body == b"done"


async def test_a_slow_reader_is_not_silence(autojump_clock: MockClock, memory: Place) -> None:
    """Time during which the reader holds the network back does not count."""
    async with memory.origin({"/": OriginResponse(body=bytes(MIB))}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), read_buffer_size=1000, transfer_timeout=2) as reply:
            await reply.wait_metadata()
            await trio.sleep(100)
            assert len(await reply.read_all()) == MIB


async def test_the_server_feels_a_full_read_buffer(autojump_clock: MockClock, memory: Place) -> None:
    """With ``read_buffer_size=n`` at most n bytes and one read lie unread, and the server has to wait."""
    size = 64 * MIB
    async with (
        memory.serve(
            ScriptedPeer(ReceiveRequest(), Send(OK + b"Content-Length: %d\r\n\r\n" % size), Loop(Send(bytes(65536))))
        ) as url,
        memory.open_manager() as manager,
    ):
        async with manager.get(url, read_buffer_size=65536) as reply:
            events: list[Event] = []
            with trio.move_on_after(10):
                events.extend([await reply.events.receive() for _ in range(4)])
                events.append(await reply.events.receive())
            assert 65536 <= reply.bytes_available < 2 * 65536
            assert sequence(events) == "S Q H(200) R"
            reply.skip(1)
            reply.read(65536)
            with trio.move_on_after(10):
                assert isinstance(await reply.events.receive(), ReadyRead)
            assert 65536 <= reply.bytes_available < 2 * 65536
            reply.read_buffer_size = 0
            with trio.fail_after(10):
                while reply.bytes_available < 8 * MIB:
                    await trio.lowlevel.checkpoint()
            reply.abort()


async def test_by_default_a_mebibyte_lies_unread(autojump_clock: MockClock, memory: Place) -> None:
    """Nobody waits: the network pauses at 1 MiB. Somebody waits for the end: it goes on."""
    body = bytes(range(256)) * 4096 * 4
    async with memory.origin({"/": OriginResponse(body=body)}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            await reply.wait_metadata()
            await trio.sleep(10)
            assert MIB <= reply.bytes_available <= MIB + 65536
            assert await reply.wait_finished() is NetworkError.NO_ERROR
            assert reply.read() == body


async def test_waiting_for_events_lets_the_network_go_on(autojump_clock: MockClock, memory: Place) -> None:
    """A task that waits for an event with none unread keeps the network going, whatever lies unread."""
    body = bytes(4 * MIB)
    async with memory.origin({"/": OriginResponse(body=body)}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            async for event in reply:
                if isinstance(event, Finished):
                    assert event.error is NetworkError.NO_ERROR
            assert reply.bytes_available == 4 * MIB


@pytest.mark.parametrize("never", [0, math.inf])
async def test_no_timeout_at_all(never: float, autojump_clock: MockClock, memory: Place) -> None:
    """A request switches the manager's timeout off with 0, as in Qt, or with `math.inf`."""
    peer = ScriptedPeer(ReceiveRequest(), SendSlowly(OK + b"Content-Length: 0\r\n\r\n", size=20, delay=1000))
    async with memory.serve(peer) as url, memory.open_manager(transfer_timeout=2) as manager:
        assert (await manager.fetch(url, transfer_timeout=never)).status_code == 200
