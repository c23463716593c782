"""Stopping: ``abort``, ``close``, cancel scopes, and leaving the block."""

from __future__ import annotations

import contextlib
import gc
import io
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
import trio.testing

import trioreply
from trioreply import (
    BodySource,
    ErrorOccurred,
    Finished,
    NetworkError,
    Progress,
    Reply,
    Request,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
)
from trioreply.abc import Sink
from trioreply.errors import OperationCanceledError, TimeoutError

from .scripted import URL, Script, open_reply, open_scripted, rest_of, settle

CANCELED = NetworkError.OPERATION_CANCELED
HALF = RequestProgress(2, 4)
ALL = RequestProgress(4, 4, complete=True)


async def pieces() -> AsyncIterator[bytes]:
    """A body that the caller owns."""
    yield b"data"


def receiving() -> Script:
    """A response whose rest is unknown."""
    script = Script()
    script.respond(b"unread")
    return script


def uploading() -> Script:
    """A request whose body is being sent."""
    return Script(HALF, RequestSent())


def finish_upload(script: Script) -> None:
    """The rest of the body goes out, and the server answers."""
    script.put(ALL)
    script.respond(b"thanks", Content_Length="6")
    script.end()


async def test_abort_happens_inside_the_call() -> None:
    """When ``abort`` returns the reply has finished with an error and gives nothing more; the exchange is cancelled."""
    script = receiving()
    async with open_reply(script) as reply:
        await settle()
        for _ in range(2):
            reply.abort()
            assert (reply.is_finished, reply.error, reply.read()) == (True, CANCELED, b"")
        events = await rest_of(reply.events)
        assert [type(event) for event in events[-3:]] == [ErrorOccurred, Progress, Finished]
        assert events[-3:] == [
            ErrorOccurred(CANCELED, "Operation canceled"),
            Progress(trioreply.Direction.DOWNLOAD, 6, 6, 6, 6),
            Finished(CANCELED),
        ]
    assert script.cancelled


async def test_abort_before_anything_has_begun() -> None:
    """A reply that is aborted before its exchange has run never runs it."""
    script = receiving()
    async with open_reply(script) as reply:
        reply.abort()
        assert await rest_of(reply.events) == [
            ErrorOccurred(CANCELED, "Operation canceled"),
            Progress(trioreply.Direction.DOWNLOAD, 0, 0, 0, 0),
            Finished(CANCELED),
        ]
    assert script.requests == []


@pytest.mark.parametrize("stop", [Reply.abort, Reply.close])
async def test_stopping_after_the_end_does_nothing(stop: Callable[[Reply], None]) -> None:
    """After ``Finished`` neither ``abort`` nor ``close`` changes anything, and unread data stays."""
    script = receiving()
    script.end()
    async with open_reply(script) as reply:
        await reply.wait_finished()
        stop(reply)
        assert (reply.error, reply.read()) == (NetworkError.NO_ERROR, b"unread")


@pytest.mark.parametrize("stop", [Reply.abort, Reply.close])
@pytest.mark.parametrize("finished", [False, True])
async def test_stopping_from_outside_trio(stop: Callable[[Reply], None], finished: bool) -> None:
    """A call from another thread is a RuntimeError and changes nothing, whether there was something to stop or not."""
    script = receiving()
    if finished:
        script.end()
    async with open_reply(script) as reply:
        await settle()
        with pytest.raises(RuntimeError):
            await trio.to_thread.run_sync(stop, reply)
        assert (reply.is_finished, reply.error) == (finished, NetworkError.NO_ERROR)
        assert reply.read() == b"unread"


async def test_close_without_anything_worth_finishing_is_abort() -> None:
    """Closing a reply whose rest is unknown drops the connection."""
    script = receiving()
    async with open_reply(script) as reply:
        await settle()
        for _ in range(2):
            reply.close()
            assert (reply.is_finished, reply.error, reply.read()) == (True, CANCELED, b"")
        await reply.aclose()
        assert script.cancelled


async def test_close_lets_an_upload_run_to_its_end() -> None:
    """The closed reply has ended for the application; behind it the upload goes on, unseen, until it is answered."""
    script = uploading()
    async with open_scripted(script) as manager:
        async with manager.post(URL, b"data") as reply:
            await settle()
            reply.close()
            assert (reply.is_finished, reply.error) == (True, CANCELED)
            events = await rest_of(reply.events)
            assert events[-1] == Finished(CANCELED)
        assert manager.statistics().replies_running == 1
        finish_upload(script)
        await settle()
        assert manager.statistics().replies_running == 0
        assert (reply.error, reply.status_code) == (CANCELED, None)
    assert not script.cancelled


async def test_abort_after_close_stops_the_upload() -> None:
    """``abort`` stops what ``close`` left running, and tells nobody anything."""
    script = uploading()
    async with open_reply(script, b"data") as reply:
        await settle()
        reply.close()
        await rest_of(reply.events)
        reply.abort()
        await reply.aclose()
        assert script.cancelled
        with pytest.raises(trio.EndOfChannel):
            await reply.events.receive()


async def test_close_reads_a_short_rest_away() -> None:
    """A known rest of at most 64 KiB is read, so that the connection can be kept."""
    script = Script()
    script.respond(b"12345", Content_Length="10")
    async with open_reply(script) as reply:
        await settle()
        reply.close()
        script.put(ResponseData(b"67890"))
        script.end()
        await reply.aclose()
    assert not script.cancelled


async def test_draining_takes_two_seconds_at_most(autojump_clock: trio.testing.MockClock) -> None:
    """A server that drips the rest does not keep us: two seconds after the closing the connection is dropped."""
    script = Script()
    script.respond(b"12345", Content_Length="100")

    async def drip() -> None:
        await trio.sleep(0.75)

    async with open_reply(script) as reply:
        await settle()
        start = trio.current_time()
        reply.close()
        for _ in range(20):
            script.put(drip, ResponseData(b"x"))
        await reply.aclose()
        assert trio.current_time() - start == pytest.approx(2)
    assert script.cancelled


@pytest.mark.parametrize("pause", [9, 11])
async def test_detached_work_has_a_timeout(autojump_clock: trio.testing.MockClock, pause: float) -> None:
    """An upload behind a closed reply may take long, but not stand still for longer than ``detached_timeout``."""
    script = uploading()

    async def wait() -> None:
        await trio.sleep(pause)

    async with open_scripted(script, detached_timeout=10) as manager:
        async with manager.post(URL, b"data"):
            await settle()
        script.put(wait, RequestProgress(3, 4), wait, ALL, wait)
        finish_upload(script)
    assert script.cancelled is (pause > 10)


async def test_the_users_deadline_holds_for_detached_work(autojump_clock: trio.testing.MockClock) -> None:
    """A deadline on the reply's cancel scope ends the exchange behind a closed reply too."""
    script = uploading()
    async with open_reply(script, b"data") as reply:
        reply.cancel_scope.deadline = trio.current_time() + 5
        await settle()
        reply.close()
        assert await reply.wait_finished() is CANCELED
        await reply.aclose()
        assert trio.current_time() == pytest.approx(5)
        assert reply.error is CANCELED
    assert script.cancelled


async def test_what_shrinks_to_nothing_is_dropped() -> None:
    """An upload that was worth finishing is over when it was answered at length: then the connection is dropped."""
    script = uploading()
    async with open_reply(script, b"data") as reply:
        await settle()
        reply.close()
        script.put(ALL, ResponseHead(200, headers={"Content-Length": "1000000"}))
        await reply.aclose()
    assert script.cancelled


@pytest.mark.parametrize("close", [Reply.aclose, lambda reply: reply.stream.aclose()])
async def test_aclose_waits_until_all_is_released(close: Callable[[Reply], Awaitable[object]]) -> None:
    """``aclose`` is ``close`` and then waits: for the upload, and for the task."""
    script = uploading()
    async with open_reply(script, b"data") as reply, trio.open_nursery() as nursery:
        await settle()
        nursery.start_soon(close, reply)
        await settle()
        assert reply.is_finished
        assert len(nursery.child_tasks) == 1
        finish_upload(script)
    assert not script.cancelled


async def test_a_cancelled_aclose_aborts() -> None:
    """``aclose`` is graceful, and if cancelled forceful: the upload is stopped."""
    script = uploading()
    async with open_reply(script, b"data") as reply:
        await settle()
        with trio.CancelScope() as scope:
            scope.cancel()
            await reply.aclose()
        assert scope.cancelled_caught
        assert script.cancelled


async def test_aclose_is_a_checkpoint() -> None:
    """Closing what is closed and released already still is a checkpoint."""
    async with open_reply(receiving()) as reply:
        await reply.aclose()
        with trio.testing.assert_checkpoints():
            await reply.aclose()


async def test_entering_does_not_wait_and_runs_nothing() -> None:
    """Entering the block is a checkpoint; nothing of the exchange runs before the block's own first one."""
    script = receiving()
    async with open_scripted(script) as manager:
        opening = manager.get(URL)
        with trio.testing.assert_checkpoints():
            reply = await opening.__aenter__()
        assert script.requests == []
        await settle()
        assert script.requests == [reply.request]
        await opening.__aexit__(None, None, None)


async def test_a_block_is_entered_once() -> None:
    """What opens a reply opens one, and says what it is for."""
    script = receiving()
    script.end()
    async with open_scripted(script) as manager:
        opening = manager.get(URL)
        assert repr(opening) == "<OpenReply GET: use 'async with' to open the reply>"
        async with opening:
            pass
        with pytest.raises(RuntimeError, match="entered once"):
            await opening.__aenter__()


async def test_a_closed_manager_opens_nothing() -> None:
    """After the manager's block a reply cannot be opened any more."""
    async with open_scripted(Script()) as manager:
        opening = manager.get(URL)
    with pytest.raises(trio.ClosedResourceError):
        await opening.__aenter__()


@pytest.mark.parametrize("body", [None, b"data"])
async def test_leaving_normally_is_close(body: bytes | None) -> None:
    """The end of the block closes the reply: an upload of ours goes on behind it, anything else is dropped."""
    script = receiving() if body is None else uploading()
    async with open_scripted(script) as manager:
        async with manager.post(URL, body) as reply:
            await settle()
        assert (reply.is_finished, reply.error) == (True, CANCELED)
        assert script.cancelled is (body is None)
        assert manager.statistics().replies_running == (0 if body is None else 1)
        finish_upload(script)


async def test_leaving_is_a_checkpoint() -> None:
    """Leaving the block is a checkpoint, in whatever state the reply is."""
    for script in (Script(), receiving(), uploading()):
        async with open_scripted(script) as manager:
            opening = manager.post(URL, b"data")
            await opening.__aenter__()
            await settle()
            finish_upload(script)
            with trio.testing.assert_checkpoints():
                await opening.__aexit__(None, None, None)


@pytest.mark.parametrize("body", [lambda: io.BytesIO(b"data"), pieces], ids=["file", "iterable"])
async def test_leaving_waits_for_the_upload_of_what_the_caller_owns(body: Callable[[], BodySource]) -> None:
    """A body that the caller owns is used only while the caller is in the block, so leaving waits for its upload."""
    script = uploading()
    async with open_scripted(script) as manager, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def post() -> None:
            async with manager.post(URL, body()):
                await settle()
            assert manager.statistics().replies_running == 0

        await settle()
        await settle()
        assert len(nursery.child_tasks) == 1
        finish_upload(script)
    assert not script.cancelled


@pytest.mark.parametrize("body", [b"data", io.BytesIO(b"data")], ids=["ours", "the caller's"])
async def test_leaving_cancelled_aborts_the_upload(body: BodySource) -> None:
    """A cancelled block aborts, whoever owns the body: cancelled while it leaves normally, too."""
    script = uploading()
    async with open_scripted(script) as manager:
        with trio.CancelScope() as scope:
            async with manager.post(URL, body) as reply:
                await settle()
                scope.cancel()
        assert scope.cancelled_caught
        assert (script.cancelled, reply.error) == (True, CANCELED)
        assert manager.statistics().replies_running == 0


async def test_leaving_through_an_exception_aborts() -> None:
    """An exception leaves the block as itself; the reply is aborted, upload or not, and holds nothing any more."""
    script = uploading()
    async with open_scripted(script) as manager:
        with pytest.raises(ZeroDivisionError):
            async with manager.post(URL, b"data") as reply:
                await settle()
                raise ZeroDivisionError
        assert (script.cancelled, reply.error) == (True, CANCELED)
        assert manager.statistics().replies_running == 0


async def test_leaving_through_cancellation_aborts() -> None:
    """An outer cancel scope goes through untouched; the reply ends as OPERATION_CANCELED."""
    script = receiving()
    async with open_scripted(script) as manager:
        with trio.CancelScope() as scope:
            async with manager.get(URL) as reply:
                await settle()
                scope.cancel()
                await reply.wait_finished()
        assert scope.cancelled_caught
        assert (script.cancelled, reply.error) == (True, CANCELED)


@pytest.mark.parametrize("leave_by", ["exception", "abort", "end"])
async def test_leaving_does_not_wait_for_the_stuck(autojump_clock: trio.testing.MockClock, leave_by: str) -> None:
    """What does not let itself be cancelled (a thread in the kernel) keeps the block for two seconds at most."""

    async def stuck(request: Request, sink: Sink) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 100):
            await trio.sleep_forever()

    async with trioreply.open_manager() as manager:
        manager.register_scheme("test", stuck)
        with contextlib.suppress(KeyError):
            async with manager.get(URL) as reply:
                await settle()
                if leave_by == "abort":
                    reply.abort()
                if leave_by == "exception":
                    raise KeyError
        assert trio.current_time() == pytest.approx(2)
        assert reply.error is CANCELED


async def test_leaving_never_raises_the_replys_error() -> None:
    """A failed reply is left without an exception: its error was there to be asked for."""
    async with open_reply(Script(OperationCanceledError("no"))) as reply:
        await reply.wait_finished()


async def test_cancelling_the_replys_scope_is_abort() -> None:
    """``reply.cancel_scope.cancel()`` ends the reply as ``abort`` does."""
    script = receiving()
    async with open_reply(script) as reply:
        await settle()
        reply.cancel_scope.cancel()
        assert await reply.wait_finished() is CANCELED
        assert (reply.error_string, reply.read()) == ("Operation canceled", b"")


async def test_cancelling_the_replys_scope_before_it_began() -> None:
    """A scope that is cancelled first thing keeps the exchange from beginning, even one that would never wait."""
    async with trioreply.open_manager() as manager, manager.get("data:,x") as reply:
        reply.cancel_scope.cancel()
        assert await reply.wait_finished() is CANCELED


async def test_the_deadline_of_the_replys_scope_is_a_timeout(autojump_clock: trio.testing.MockClock) -> None:
    """A deadline on the reply's scope ends it as TIMEOUT, device closed."""
    script = receiving()
    async with open_reply(script) as reply:
        reply.cancel_scope.deadline = trio.current_time() + 3
        assert await reply.wait_finished() is NetworkError.TIMEOUT
        assert trio.current_time() == pytest.approx(3)
        assert reply.read() == b""
        with pytest.raises(TimeoutError, match=r"^Operation timed out: the deadline of the reply's cancel scope"):
            reply.raise_for_error()
    assert script.cancelled


async def test_other_exceptions_go_through_the_manager() -> None:
    """What is no ``Exception`` is not turned into a reply's error: it leaves the manager's nursery, the reply ended."""

    class Stop(BaseException):
        """As KeyboardInterrupt."""

    async def stop(request: Request, sink: Sink) -> None:
        raise Stop

    replies: list[Reply] = []
    with pytest.raises(Stop):
        async with trioreply.open_manager() as manager:
            manager.register_scheme("test", stop)
            async with manager.get(URL) as reply:
                replies.append(reply)
                await trio.sleep_forever()
    assert replies[0].error is CANCELED


async def test_a_dropped_reply_is_freed_at_once() -> None:
    """Nothing of a reply hangs in a cycle: when the last reference goes it is gone, without the garbage collector."""
    script = receiving()
    script.put(trioreply.RemoteHostClosedError("Connection closed"))
    async with open_scripted(script) as manager:
        gc.collect()
        gc.disable()
        try:
            async with manager.get(URL) as reply:
                await reply.wait_finished()
            gone = weakref.ref(reply)
            await settle()
            del reply
            assert gone() is None
        finally:
            gc.enable()
