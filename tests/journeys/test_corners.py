"""Where two rules meet: each of these once went wrong, or easily could."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import (
    AuthenticationQuestion,
    AuthenticationRequired,
    Challenge,
    Limits,
    Manager,
    NetworkError,
    Redirected,
    Reply,
    Request,
    RequestProgress,
    ResponseData,
    ResponseHead,
)
from trioreply.abc import Sink
from trioreply.testing import (
    MemoryNetwork,
    OriginRequest,
    OriginResponse,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
)

from .conftest import Place

OK = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def test_a_followed_redirect_is_no_question(place: Place) -> None:
    """Receiving a `Redirected` that asks nothing does not count as having seen the question behind it."""

    async def redirected_then_asks(request: Request, sink: Sink) -> None:
        await sink.put(ResponseHead(302))
        await sink.put(Redirected(302, request.url))
        answer = await sink.ask(AuthenticationQuestion(request.url, Challenge("basic")))
        await sink.put(ResponseHead(200))
        await sink.put(ResponseData(repr(answer).encode()))

    async with place.open_manager() as manager:
        manager.register_scheme("asks", redirected_then_asks)
        async with manager.get("asks:x") as reply:
            await trio.testing.wait_all_tasks_blocked()
            async for event in reply:
                if isinstance(event, AuthenticationRequired):
                    event.answer("user", "password")
            assert reply.read() == b"('user', 'password')"


async def test_a_cancelled_upload_is_cancelled_and_not_grouped(place: Place) -> None:
    """Cancellation reaches the caller as `trio.Cancelled` itself, whatever nurseries there are on the way."""
    seen: list[type[BaseException]] = []
    async with place.serve(ScriptedPeer(ReceiveHead(), Stall())) as url, place.open_manager() as manager:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when_blocked, scope)
                await _record(seen, manager, url)
    assert seen == [trio.Cancelled]


async def _cancel_when_blocked(scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()


async def _record(seen: list[type[BaseException]], manager: Manager, url: str) -> None:
    noted = False
    try:
        await manager.fetch(url, verb="POST", body=bytes(10_000_000))
        noted = True
    except Exception as error:
        seen.append(type(error))
        raise
    except BaseExceptionGroup as error:
        seen.append(type(error))
        raise
    finally:
        if not noted and not seen:
            seen.append(trio.Cancelled)


async def test_cancelled_between_two_addresses(memory: Place) -> None:
    """The same while several addresses of a host are tried."""
    assert memory.network is not None
    memory.network.add_host("both.test", "192.0.2.1", "2001:db8::1").black_hole = True
    seen: list[type[BaseException]] = []
    async with memory.open_manager() as manager:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when_blocked, scope)
                await _record(seen, manager, "http://both.test/")
    assert seen == [trio.Cancelled]


async def test_an_interrupt_in_a_body_is_not_grouped(place: Place) -> None:
    """A `KeyboardInterrupt` raised by the caller's iterable leaves ``fetch`` as itself."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    async with place.serve(ScriptedPeer(ReceiveHead(), Stall())) as url:
        with pytest.raises(KeyboardInterrupt):
            async with place.open_manager() as manager:
                await manager.fetch(url, verb="POST", body=body())


async def test_the_manager_is_cancelled_while_an_upload_ends(place: Place) -> None:
    """Leaving the manager waits for a detached upload; cancelled there, it says so and drops it."""
    async with place.serve(ScriptedPeer(ReceiveHead(), Stall())) as url:
        with trio.CancelScope() as scope:
            async with place.open_manager() as manager:
                async with manager.post(url, bytes(10_000_000)) as reply:
                    await trio.testing.wait_all_tasks_blocked()
                    reply.close()
                scope.deadline = trio.current_time()
        assert scope.cancelled_caught


async def test_lines_respect_the_read_buffer(memory: Place) -> None:
    """Iterating over lines holds the network back as every reader does: it asks for one line, not for a mebibyte."""
    body = b"a line of text\n" * 100_000
    async with memory.origin({"/": OriginResponse(body=body)}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), read_buffer_size=4096) as reply:
            peak = count = 0
            async for line in reply.lines():
                assert line == b"a line of text\n"
                count += 1
                peak = max(peak, reply.bytes_available)
            assert count == 100_000
            assert peak < 4096 + 2 * 65536


async def test_a_line_longer_than_the_read_buffer(memory: Place) -> None:
    """A line that does not fit the read buffer is still read."""
    async with memory.origin({"/": OriginResponse(body=bytes(300_000) + b"\nx")}) as origin:
        async with memory.open_manager() as manager, manager.get(origin.url(), read_buffer_size=1000) as reply:
            assert [len(line) async for line in reply.lines()] == [300_001, 1]


class _Rude(trio.abc.Stream):
    """A stream that fails when it is closed."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            raise OSError("a fault of the stream's own")


class _RudeDialer:
    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    async def dial(self, address: str, port: int) -> trio.abc.Stream:
        return _Rude(await self._network.dial(address, port))


async def test_a_stream_that_fails_to_close_harms_nobody(memory: Place) -> None:
    """What a dialler of the user's own gives may raise in ``aclose``: the manager goes on, and is left without it."""
    assert memory.network is not None
    async with memory.origin({"/": OriginResponse()}) as origin:
        async with trioreply.open_manager(resolver=memory.network, dialer=_RudeDialer(memory.network)) as manager:
            for _ in range(2):
                await manager.fetch(origin.url())
                manager.clear_connections()
                await trio.testing.wait_all_tasks_blocked()
            await manager.fetch(origin.url())
    assert not memory.network.open_streams


async def test_a_closed_upload_waits_its_turn(autojump_clock: MockClock, memory: Place) -> None:
    """Time in the queue does not count for what runs behind a closed reply: the server gets it in the end."""

    async def slow(request: OriginRequest) -> OriginResponse:
        await request.read()
        await trio.sleep(100)
        return OriginResponse()

    async with memory.origin(slow) as origin, memory.open_manager(limits=Limits(per_host=1)) as manager:
        async with manager.get(origin.url("/first")) as first:
            await trio.testing.wait_all_tasks_blocked()
            async with manager.post(origin.url("/second"), b"abc") as second:
                await trio.testing.wait_all_tasks_blocked()
            assert second.error is NetworkError.OPERATION_CANCELED
            await first.wait_finished()
    assert [request.body for request in origin.requests] == [b"", b"abc"]


async def test_closed_while_the_managers_handler_thinks(place: Place) -> None:
    """A reply that is closed under the handler of its question: refused, and the detached work goes on."""
    thinking, closed, ended = trio.Event(), trio.Event(), trio.Event()
    answers: list[object] = []

    async def think(reply: Reply, event: AuthenticationRequired) -> None:
        thinking.set()
        await closed.wait()

    async def asks(request: Request, sink: Sink) -> None:
        await sink.put(RequestProgress(1, 3))
        answer = await sink.ask(AuthenticationQuestion(request.url, Challenge("basic")))
        answers.append(answer)
        await sink.put(RequestProgress(3, 3, complete=True))
        await sink.put(ResponseHead(200))
        ended.set()

    async with place.open_manager(authenticator=think) as manager:
        manager.register_scheme("asks", asks)
        async with manager.post("asks:x", b"abc") as reply:
            await thinking.wait()
            reply.close()
            closed.set()
            await ended.wait()
    assert answers == [None]


async def test_preconnecting_counts_for_the_limits(memory: Place) -> None:
    """Opening ahead of time obeys the limits, shows in the statistics, and is content with what is there."""
    assert memory.network is not None
    async with memory.serve(ScriptedPeer(ReceiveRequest(), OK, Stall())) as url:
        async with memory.open_manager(limits=Limits(per_host=2)) as manager:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(manager.preconnect, url)
            assert len(memory.network.dialed) <= 2
            assert manager.statistics().idle == len(memory.network.dialed)


async def test_a_failed_preconnect_names_the_url(memory: Place) -> None:
    """Its error has the URL, without the password."""
    async with memory.open_manager() as manager:
        with pytest.raises(trioreply.HostNotFoundError) as raised:
            await manager.preconnect("http://user:secret@nowhere.test/")
        assert raised.value.url == "http://nowhere.test/"
        with pytest.raises(ValueError, match="ftp://host/") as refused:
            await manager.preconnect("ftp://user:secret@host/")
        assert "secret" not in str(refused.value)
        async with manager.get("data://user:secret@host/,x") as reply:
            await reply.wait_finished()
        assert "secret" not in reply.error_string


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("transfer_timeout", -1, ValueError),
        ("transfer_timeout", "x", TypeError),
        ("connect_timeout", float("nan"), ValueError),
        ("detached_timeout", None, TypeError),
        ("limits", 5, TypeError),
        ("wire_limits", 5, TypeError),
        ("user_agent", 5, TypeError),
        ("resolver", 5, TypeError),
        ("dialer", 5, TypeError),
        ("run_sync", 5, TypeError),
        ("ssl_errors", 5, TypeError),
        ("schemes", "http", TypeError),
        ("base_url", "relative", ValueError),
    ],
)
def test_each_option_is_checked(option: str, value: object, error: type[Exception]) -> None:
    """An impossible option is refused by its name, before there is a manager."""
    with pytest.raises(error, match=f"^{option}: "):
        trioreply.open_manager(**{option: value})  # type: ignore[arg-type]  # what a user might do


async def test_a_reply_is_freed_without_the_garbage_collector(place: Place) -> None:
    """Nothing of a finished reply hangs in a cycle."""
    async with place.origin({"/": OriginResponse(body=b"x")}) as origin, place.open_manager() as manager:
        gc.collect()
        gc.disable()
        try:
            async with manager.get(origin.url()) as reply:
                async for _ in reply:
                    pass
            left: list[weakref.ref[object]] = [
                weakref.ref(reply),
                weakref.ref(reply.request),
                weakref.ref(reply.events),
            ]
            del reply
            await trio.lowlevel.checkpoint()
            assert [ref() for ref in left] == [None] * 3
        finally:
            gc.enable()


def test_the_submodules_are_there() -> None:
    """``trioreply.errors`` and its siblings need no import of their own."""
    assert trioreply.errors.TimeoutError is not TimeoutError
    assert trioreply.abc.Handler is not None
    assert trioreply.events.Finished is trioreply.Finished
