"""The end of event streams: leaving, cancelling and going on, back-pressure, and that nothing is left behind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Unpack

import pytest
import trio
import trio.testing
from attrs import define, field
from trio.testing import MockClock
from yarl import URL

import trioreply
from trioreply import Manager, NetworkError, Reply, Request, RequestFields
from trioreply._jobs.event_stream import event_stream
from trioreply._model.server_sent_event import ServerSentEvent
from trioreply.errors import OperationCanceledError
from trioreply.testing import (
    Loop,
    ManagerSweep,
    OriginRequest,
    OriginResponse,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    sweep_environment,
)

from .conftest import Place
from .streaming import EXACT, HEAD, NO_MORE, TYPE, Answers, all_data, at_rest, chunk, stream


async def test_the_block(memory: Place) -> None:
    """A stream is read within its block, which is entered once."""
    async with memory.origin(Answers([stream(b"data\n\n")])) as origin, memory.open_manager() as manager:
        events = event_stream(manager, origin.url("/a?b").replace("//", "//user:secret@"))
        with trio.testing.assert_checkpoints(), pytest.raises(RuntimeError, match="use 'async with'"):
            await anext(events)
        shown = f"<EventStream {origin.url('/a?b')} "
        assert repr(events) == f"{shown}not entered, attempts 0, failures 0>"
        async with events:
            assert repr(events) == f"{shown}waiting, attempts 0, failures 0>"
            await anext(events)
            assert repr(events) == f"{shown}streaming, attempts 1, failures 0>"
            reply = events.reply
            assert reply is not None
            with pytest.raises(RuntimeError, match="entered once"):
                await events.__aenter__()
        assert repr(events) == f"{shown}closed, attempts 1, failures 0>"
        assert events.reply is None
        with pytest.raises(trio.ClosedResourceError, match="has been left"):
            await anext(events)
        with pytest.raises(RuntimeError, match="entered once"):
            await events.__aenter__()


async def test_entering_and_leaving_are_checkpoints(memory: Place) -> None:
    """The block can be cancelled on its way in, and on its way out even if nothing is open."""
    async with memory.open_manager() as manager:
        for cancelled in ("before", "within"):
            with trio.CancelScope() as scope:
                if cancelled == "before":
                    scope.cancel()
                async with event_stream(manager, "http://origin.test/"):
                    assert not scope.cancel_called
                    scope.cancel()
            assert scope.cancelled_caught
        with trio.testing.assert_checkpoints():
            await event_stream(manager, "http://origin.test/").__aenter__()


async def _endless() -> AsyncIterator[bytes]:
    yield b"data: a\n\n"
    await trio.sleep_forever()


async def _serve_endless(request: OriginRequest) -> OriginResponse:
    return OriginResponse(200, TYPE, body=_endless())


async def test_leaving_the_block_aborts(place: Place) -> None:
    """Leaving the block, normally or through an exception, ends the reply that is open, and holds nothing."""
    async with place.origin(_serve_endless) as origin, place.open_manager() as manager:
        async with event_stream(manager, origin.url()) as events:
            await anext(events)
            reply = events.reply
        assert reply is not None
        assert reply.error is NetworkError.OPERATION_CANCELED
        assert at_rest(manager)
        with pytest.raises(ZeroDivisionError):
            async with event_stream(manager, origin.url()) as events:
                await anext(events)
                raise ZeroDivisionError
        assert at_rest(manager)


async def test_a_reply_that_somebody_aborts(place: Place) -> None:
    """``abort`` on the open reply is meant for the stream: it ends with that error, and does not come back."""
    async with place.origin(_serve_endless) as origin, place.open_manager() as manager:
        async with event_stream(manager, origin.url()) as events:
            await anext(events)
            assert events.reply is not None
            events.reply.abort()
            with pytest.raises(OperationCanceledError):
                await anext(events)
            assert await all_data(events) == []


async def test_cancelled_steps_go_on(autojump_clock: MockClock, memory: Place) -> None:
    """A step that is cancelled while it waits to connect, for the head, or for an event, is taken up where it was."""

    async def slowly() -> AsyncIterator[bytes]:
        yield b"id: 1\nda"
        await trio.sleep(3)
        yield b"ta: a\n\n"

    async def serve(request: OriginRequest) -> OriginResponse:
        requests.append(request)
        await trio.sleep(3)
        return OriginResponse(200, TYPE, body=slowly()) if len(requests) < 3 else NO_MORE

    requests: list[OriginRequest] = []
    got: list[ServerSentEvent] = []
    async with memory.origin(serve) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url(), reconnect=EXACT) as events:
            is_over = False
            while not is_over:
                with trio.move_on_after(1.1):
                    event = await anext(events, None)
                    is_over = event is None
                    got += [] if event is None else [event]
        assert [event.data for event in got] == ["a", "a"]
        assert at_rest(manager)
    assert trio.current_time() == pytest.approx(3 + 3 + 3 + 3 + 3 + 3 + 3)
    assert [one.header("Last-Event-ID") for one in requests] == [None, "1", "1"]


@pytest.mark.parametrize("seconds", [1, 4, 6.5])
async def test_the_callers_deadline(seconds: float, autojump_clock: MockClock, memory: Place) -> None:
    """A deadline around it all ends it in whatever it is doing, at that moment, and leaves nothing behind."""

    async def serve(request: OriginRequest) -> OriginResponse:
        await trio.sleep(2)
        return stream(b"data: a\n\n")

    async with memory.origin(serve) as origin, memory.open_manager() as manager:
        with trio.move_on_after(seconds) as scope:
            async with event_stream(manager, origin.url(), reconnect=EXACT) as events:
                await all_data(events)
        assert scope.cancelled_caught
        assert trio.current_time() == seconds
        assert at_rest(manager)


async def test_one_reader(autojump_clock: MockClock, memory: Place) -> None:
    """While a task waits for an event, or for the next connection, another one is told so."""
    async with memory.origin(Answers([stream(b"")])) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url()) as events, trio.open_nursery() as nursery:
            nursery.start_soon(all_data, events)
            for _ in range(10):
                await trio.sleep(0.5)
                with pytest.raises(trio.BusyResourceError):
                    await anext(events)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seconds", [0, 1, 3, 4.5])
async def test_left_by_another_task(seconds: float, autojump_clock: MockClock, memory: Place) -> None:
    """A task that reads when another one leaves the block learns it, wherever it waits, and opens nothing more."""

    async def serve(request: OriginRequest) -> OriginResponse:
        await trio.sleep(2)
        return OriginResponse(200, TYPE, body=_for_a_while())

    async def _for_a_while() -> AsyncIterator[bytes]:
        await trio.sleep(2)
        yield b""

    async with memory.origin(serve) as origin, memory.open_manager() as manager:
        events = event_stream(manager, origin.url(), reconnect=EXACT)

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await all_data(events)
            with pytest.raises(trio.ClosedResourceError):
                await anext(events)

        async with trio.open_nursery() as nursery:
            async with events:
                nursery.start_soon(read)
                await trio.sleep(seconds)
        assert trio.current_time() == seconds
        assert at_rest(manager)


@define
class Hesitant:
    """A manager's ``get``, which opens nothing before it is told to."""

    manager: Manager
    go_on: trio.Event = field(factory=trio.Event)
    is_asked: trio.Event = field(factory=trio.Event)

    @contextlib.asynccontextmanager
    async def get(self, url: str | URL | Request, **fields: Unpack[RequestFields]) -> AsyncIterator[Reply]:
        """See `Opener`."""
        self.is_asked.set()
        await self.go_on.wait()
        async with self.manager.get(url, **fields) as reply:
            yield reply


async def test_left_while_a_reply_is_being_opened(memory: Place) -> None:
    """A reply that is open only after another task has left the block is closed at once."""
    async with memory.origin(_serve_endless) as origin, memory.open_manager() as manager:
        opener = Hesitant(manager)
        events = event_stream(opener, origin.url())

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await anext(events)

        async with trio.open_nursery() as nursery:
            async with events:
                nursery.start_soon(read)
                await opener.is_asked.wait()
            opener.go_on.set()
        assert (events.attempts, events.reply, at_rest(manager)) == (0, None, True)


async def test_a_slow_reader_holds_the_server_back(autojump_clock: MockClock, memory: Place) -> None:
    """Events that nobody asks for fill the read buffer and no more; then the server has to wait."""
    events_at_once = chunk(b"data: 0123456789\n\n" * 1000)
    peer = ScriptedPeer(ReceiveRequest(), Send(HEAD), Loop(Send(events_at_once)))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with event_stream(manager, url, read_buffer_size=50_000) as events:
            for _ in range(100):
                await trio.sleep(1)
                assert (await anext(events)).data == "0123456789"
                assert events.reply is not None
                assert events.reply.bytes_available < 50_000 + 2 * 65536


async def test_the_manager_goes_first(memory: Place) -> None:
    """A manager that is left ends the streams that go through it; one that is closed gives no new connection."""
    async with memory.origin(_serve_endless) as origin:
        async with memory.open_manager() as manager:
            events = await event_stream(manager, origin.url()).__aenter__()
            await anext(events)
        with pytest.raises(OperationCanceledError):
            await anext(events)
        async with event_stream(manager, origin.url()) as events:
            with pytest.raises(trio.ClosedResourceError):
                await anext(events)


Env = ManagerSweep[Manager]


async def _two_parts(request: OriginRequest) -> OriginResponse:
    match request.header("Last-Event-ID"):
        case None:
            return stream(b"id: 1\ndata: a\n\n")
        case "1":
            return OriginResponse(200, TYPE, body=_second_part())
        case _:
            return NO_MORE


async def _second_part() -> AsyncIterator[bytes]:
    yield b"id: 2\nda"
    yield b"ta: b\n\n"


async def reconnecting(env: Env) -> None:
    """A stream that connects again, twice."""
    async with event_stream(env.manager, env.url("/events"), reconnect=EXACT, reconnect_delay=0.01) as events:
        assert await all_data(events) == ["a", "b"]


async def left_early(env: Env) -> None:
    """A stream whose block is left while its second part comes."""
    async with event_stream(env.manager, env.url("/events"), reconnect=EXACT, reconnect_delay=0.01) as events:
        await anext(events)
        await anext(events)


@pytest.mark.parametrize("owns_manager", [False, True], ids=["manager lives", "manager goes too"])
@pytest.mark.parametrize("scenario", [reconnecting, left_early], ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(
    scenario: Callable[[Env], Awaitable[None]], owns_manager: bool, autojump_clock: MockClock
) -> None:
    """Wherever a stream that reconnects is cancelled: no task, lease or connection is left."""
    steps = await sweep_environment(
        lambda: ManagerSweep(
            trioreply.open_manager, scenario, routes={"/events": _two_parts}, owns_manager=owns_manager
        )
    )
    assert steps > 10


async def test_cancelled_at_each_step_over_loopback() -> None:
    """The same over real sockets: no descriptor is left either."""
    await sweep_environment(
        partial(ManagerSweep, trioreply.open_manager, reconnecting, routes={"/events": _two_parts}, loopback=True)
    )
