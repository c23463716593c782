"""Stopping a reply: ``abort()``, ``close()``, cancel scopes, and leaving its block or the manager's, at any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

import trioreply
from trioreply import (
    ErrorOccurred,
    Event,
    Finished,
    Manager,
    MetaDataChanged,
    NetworkError,
    OperationCanceledError,
    Progress,
    ReadyRead,
    Reply,
    RequestSent,
    SocketStartedConnecting,
)
from trioreply.errors import TimeoutError as ReplyTimeoutError
from trioreply.testing import (
    ReceiveBody,
    ReceiveEnd,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
    WaitFor,
)

from .conftest import Place
from .notation import sequence

OK = b"HTTP/1.1 200 OK\r\n"
HALF = Send(OK + b"Content-Length: 20\r\n\r\n0123456789")


def at_rest(manager: Manager) -> bool:
    """Whether nothing is held for any reply."""
    statistics = manager.statistics()
    return (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)


@pytest.mark.parametrize("stop", ["abort", "close"])
@pytest.mark.parametrize("moment", [SocketStartedConnecting, RequestSent, MetaDataChanged, ReadyRead, Progress])
async def test_stopping_at_each_event_ends_the_reply_there(moment: type, stop: str, place: Place) -> None:
    """After ``abort()`` or ``close()`` at any event nothing but the end follows, and all is released."""
    # Far more is announced than close() would read away.
    peer = ScriptedPeer(ReceiveRequest(), Send(OK + b"Content-Length: 100000\r\n\r\n0123456789"), ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        events: list[Event] = []
        # An interval of 0 makes the peer's 10 bytes a progress event of their own, before the end.
        async with manager.get(url, progress_interval=0) as reply:
            async for event in reply:
                events.append(event)
                if isinstance(event, moment) and reply.is_running:
                    getattr(reply, stop)()
                    assert reply.is_finished
                    assert reply.error is NetworkError.OPERATION_CANCELED
                    assert reply.read() == b""
        end = [event for event in events if isinstance(event, (ErrorOccurred, Finished))]
        assert [type(event) for event in end] == [ErrorOccurred, Finished]
        assert end[-1] == events[-1] == Finished(NetworkError.OPERATION_CANCELED)
        assert sum(isinstance(event, moment) for event in events) <= 2
        if moment in (MetaDataChanged, ReadyRead, Progress):
            assert reply.status_code == 200
        assert at_rest(manager)


async def test_stopping_before_anything_happened_sends_nothing(place: Place) -> None:
    """``abort()`` before the block's first checkpoint: no connection is made."""
    peer = ScriptedPeer(Stall())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            reply.abort()
            assert place.sequence([event async for event in reply]) == (
                "E(OPERATION_CANCELED) D(0,0) F(OPERATION_CANCELED)"
            )
    assert peer.connections == []


async def test_stopping_after_the_end_changes_nothing(place: Place) -> None:
    """``abort()`` and ``close()`` after `Finished` do nothing: the data stays."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK + b"Content-Length: 5\r\n\r\nhello"))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            await reply.wait_finished()
            reply.abort()
            reply.close()
            assert reply.error is NetworkError.NO_ERROR
            assert reply.read() == b"hello"


async def test_an_aborted_exchange_closes_its_connection(place: Place) -> None:
    """The server sees the end of the connection as soon as the reply was aborted."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            await reply.wait_metadata()
            reply.abort()
        with trio.fail_after(5):
            await peer.connections[0].wait_ended()


async def test_a_short_rest_is_read_away_and_the_connection_kept(place: Place) -> None:
    """``close()`` with at most 64 KiB to come does not cost the connection."""
    go_on = trio.Event()
    rest = (WaitFor(go_on), Send(b"0123456789"), ReceiveRequest(), Send(OK + b"Content-Length: 2\r\n\r\nok"))
    peer = ScriptedPeer(ReceiveRequest(), HALF, *rest)
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            await reply.wait_metadata()
        assert reply.error is NetworkError.OPERATION_CANCELED
        go_on.set()
        with trio.fail_after(5):
            while not at_rest(manager):
                await trio.lowlevel.checkpoint()
        response = await manager.fetch(url)
    assert response.body == b"ok"
    assert len(peer.connections) == 1


async def test_a_long_rest_is_not_worth_it(place: Place) -> None:
    """``close()`` with more than 64 KiB to come drops the connection."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK + b"Content-Length: 1000000\r\n\r\n0"), ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            await reply.wait_metadata()
        assert at_rest(manager)


async def test_draining_is_bounded_in_time(autojump_clock: MockClock, memory: Place) -> None:
    """A server that never sends the short rest keeps the connection for 2 s, and no longer."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, Stall())
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with manager.get(url) as reply:
            await reply.wait_metadata()
        assert not at_rest(manager)
        await trio.sleep(2.1)
        assert at_rest(manager)


async def test_a_closed_upload_completes_on_the_wire(place: Place) -> None:
    """``close()`` in the middle of an upload of our own bytes: the server still gets all of it."""
    body = bytes(range(256)) * 4096
    started = trio.Event()
    peer = ScriptedPeer(ReceiveHead(), WaitFor(started), ReceiveBody(), Send(OK + b"Content-Length: 0\r\n\r\n"))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, body) as reply:
            async for event in reply:
                if isinstance(event, Progress):
                    break
        assert reply.is_finished
        started.set()
    assert peer.requests[0].body == body


async def test_abort_after_close_stops_the_upload(place: Place) -> None:
    """What ``close()`` left running, ``abort()`` stops."""
    peer = ScriptedPeer(ReceiveHead(), Stall())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, bytes(10_000_000)) as reply:
            await _first(reply, Progress)
            reply.close()
            assert manager.statistics().replies_running == 1
            reply.abort()
            await reply.aclose()
            assert at_rest(manager)


async def test_an_upload_without_progress_is_given_up(autojump_clock: MockClock, memory: Place) -> None:
    """Detached work without progress for ``detached_timeout`` seconds is dropped."""
    peer = ScriptedPeer(ReceiveHead(), Stall())
    async with memory.serve(peer) as url, memory.open_manager(detached_timeout=5) as manager:
        async with manager.post(url, bytes(10_000_000)) as reply:
            await _first(reply, Progress)
        await trio.sleep(4.9)
        assert not at_rest(manager)
        await trio.sleep(0.2)
        assert at_rest(manager)


async def test_leaving_waits_for_a_body_that_is_the_callers(place: Place) -> None:
    """A body the caller owns is sent to its end before the block is left."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            await trio.lowlevel.checkpoint()
            yield b"piece"

    peer = ScriptedPeer(ReceiveRequest(), Send(OK + b"Content-Length: 0\r\n\r\n"))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, body()):
            pass
        assert at_rest(manager)
    assert peer.requests[0].body == b"piece" * 10


async def test_an_exception_leaves_the_block_as_itself(place: Place) -> None:
    """Leaving through an exception aborts, and waits until everything is released."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        with pytest.raises(ZeroDivisionError):
            async with manager.get(url) as reply:
                await reply.wait_metadata()
                raise ZeroDivisionError
        assert reply.error is NetworkError.OPERATION_CANCELED
        assert at_rest(manager)


async def test_an_outer_cancel_scope(place: Place) -> None:
    """A scope around the block: `trio.Cancelled` goes on untouched, and the reply is over when the block is left."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        with trio.CancelScope() as scope:
            async with manager.get(url) as reply:
                await reply.wait_metadata()
                scope.cancel()
                await reply.wait_finished()
        assert scope.cancelled_caught
        assert reply.error is NetworkError.OPERATION_CANCELED
        assert at_rest(manager)


async def test_the_replys_own_scope(place: Place) -> None:
    """Cancelling ``reply.cancel_scope`` is ``abort()``."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            await reply.wait_metadata()
            reply.cancel_scope.cancel()
            assert await reply.wait_finished() is NetworkError.OPERATION_CANCELED
            with pytest.raises(OperationCanceledError):
                await reply.read_all()


async def test_the_deadline_of_the_replys_own_scope(autojump_clock: MockClock, memory: Place) -> None:
    """The deadline of ``reply.cancel_scope`` ends the reply as TIMEOUT, the device closed."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, Stall())
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with manager.get(url) as reply:
            reply.cancel_scope.deadline = trio.current_time() + 7
            events = [event async for event in reply]
            assert sequence(events) == "S Q H(200) R E(TIMEOUT) D(10,20) F(TIMEOUT)"
            assert trio.current_time() == 7
            assert reply.read() == b""
            with pytest.raises(ReplyTimeoutError):
                reply.raise_for_error()


async def test_leaving_the_manager_aborts_what_is_open_elsewhere(place: Place) -> None:
    """Replies that other tasks hold end as OPERATION_CANCELED when the manager is left, and nothing new can begin."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    ends: list[NetworkError] = []

    async def hold(manager: Manager, url: str, opened: trio.Event) -> None:
        async with manager.get(url) as reply:
            await reply.wait_metadata()
            opened.set()
            ends.append(await reply.wait_finished())

    async with place.serve(peer) as url, trio.open_nursery() as nursery:
        opened = trio.Event()
        async with place.open_manager() as manager:
            nursery.start_soon(hold, manager, url, opened)  # noqa: ASYNC111 - it outlives the manager on purpose
            await opened.wait()
        with pytest.raises(trio.ClosedResourceError):
            await manager.fetch(url)
    assert ends == [NetworkError.OPERATION_CANCELED]


async def test_an_exception_leaves_the_managers_block_as_itself(place: Place) -> None:
    """No group around an exception raised in the manager's block, whatever was running."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url:
        with pytest.raises(ZeroDivisionError):
            async with place.open_manager() as manager:
                async with manager.post(url, bytes(10_000_000)) as reply:
                    await _first(reply, Progress)
                raise ZeroDivisionError


async def test_an_exception_leaves_as_itself_even_under_cancellation(place: Place) -> None:
    """The block's exception is not lost, nor grouped, when a scope around the manager is cancelled as well."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url:
        with pytest.raises(ZeroDivisionError):
            with trio.CancelScope() as scope:
                async with place.open_manager() as manager:
                    async with manager.post(url, bytes(10_000_000)) as reply:
                        await _first(reply, Progress)
                    scope.cancel()
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise ZeroDivisionError


async def test_a_group_leaves_the_managers_block_as_itself(place: Place) -> None:
    """A group that was raised in the block, such as by a nursery, is not wrapped in another, and not copied."""
    group = ExceptionGroup("mine", [ZeroDivisionError(), ExceptionGroup("inner", [ValueError()])])
    with pytest.raises(ExceptionGroup) as raised:
        async with place.open_manager():
            raise group
    assert raised.value is group


async def test_a_keyboard_interrupt_in_an_exchange_is_not_hidden(place: Place) -> None:
    """What is no `Exception` propagates out of the manager."""

    async def interrupted(request: trioreply.Request, sink: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with place.open_manager() as manager:
            manager.register_scheme("boom", interrupted)
            async with manager.get("boom:x") as reply:
                await reply.wait_finished()
    assert reply.error is NetworkError.OPERATION_CANCELED


async def test_another_task_is_told_that_the_reply_was_closed(place: Place) -> None:
    """A task blocked in a read gets `trio.ClosedResourceError` when another one aborts the reply."""
    peer = ScriptedPeer(ReceiveRequest(), HALF, ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply, trio.open_nursery() as nursery:

            async def read() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await reply.read_exactly(20)

            nursery.start_soon(read)
            await reply.wait_metadata()
            await trio.testing.wait_all_tasks_blocked()
            reply.abort()


async def _first(reply: Reply, kind: type[Event]) -> None:
    async for event in reply:
        if isinstance(event, kind):
            return
