"""All the replies of a manager: how they end with it, who watches them, and what they leave alone."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar

import pytest
import trio

import trioreply
from trioreply import (
    Event,
    Finished,
    Manager,
    MetaDataChanged,
    NetworkError,
    Progress,
    ReadyRead,
    Reply,
    Request,
    RequestProgress,
    RequestSent,
    ResponseHead,
)
from trioreply.abc import Sink

from .scripted import URL, Script, open_scripted, rest_of, settle

NAME: ContextVar[str] = ContextVar("NAME", default="the manager's")
CANCELED = NetworkError.OPERATION_CANCELED


async def test_replies_open_elsewhere_end_with_the_manager() -> None:
    """When the manager's block ends, replies that other tasks still have open are aborted."""
    script, replies = Script(), list[Reply]()
    async with trio.open_nursery() as nursery:
        async with open_scripted(script) as manager:

            @nursery.start_soon
            async def hold() -> None:
                async with manager.get(URL) as reply:
                    replies.append(reply)
                    await reply.wait_finished()

            await settle()
        assert replies[0].error is CANCELED
    assert script.cancelled


@pytest.mark.parametrize("failing", [False, True])
async def test_detached_uploads_and_the_end_of_the_manager(failing: bool) -> None:
    """A manager that is left normally waits for detached uploads; left through an exception it aborts them."""
    script = Script(RequestProgress(2, 4), RequestSent())
    with pytest.raises(ExceptionGroup) if failing else contextlib.nullcontext():
        async with trio.open_nursery() as nursery, open_scripted(script) as manager:
            async with manager.post(URL, b"data"):
                await settle()

            @nursery.start_soon
            async def finish() -> None:
                await settle()
                script.put(RequestProgress(4, 4, complete=True))
                script.respond(Content_Length="0")
                script.end()

            if failing:
                raise KeyError
    assert script.cancelled is failing


async def test_observers_see_every_reply() -> None:
    """An observer gets pairs of reply and event, from the first event to Finished."""
    script = Script()
    script.respond(b"data")
    script.end()
    async with open_scripted(script) as manager, manager.observe() as seen:
        async with manager.get(URL) as reply:
            await reply.wait_finished()
        got: list[tuple[Reply, Event]] = []
        while not got or not isinstance(got[-1][1], Finished):
            got.append(await seen.receive())
    assert {watched for watched, _ in got} == {reply}
    assert [type(event) for _, event in got] == [MetaDataChanged, ReadyRead, Progress, Finished]
    assert got == [(reply, event) for event in await rest_of(reply.events)]


async def test_observed_events_coalesce_by_reply() -> None:
    """Unread ReadyRead and Progress rest once for each reply, so that one busy reply does not hide another."""
    script, other = Script(), Script()
    async with open_scripted(script) as manager, manager.observe() as seen:
        manager.register_scheme("other", other)
        async with manager.get(URL) as one, manager.get("other:x") as two:
            for each in (script, other):
                each.respond(b"1", b"2", b"3")
            await settle()
            got = [await seen.receive() for _ in range(4)]
    assert {pair for pair in got if isinstance(pair[1], ReadyRead)} == {(one, ReadyRead(3)), (two, ReadyRead(3))}


async def test_observing_ends_with_the_manager() -> None:
    """An observer that outlives the manager, or comes too late, is told that there is no more."""
    watching, told = trio.Event(), list[str]()
    async with trio.open_nursery() as nursery:
        async with trioreply.open_manager() as manager:

            @nursery.start_soon
            async def watch() -> None:
                async with manager.observe() as seen:
                    watching.set()
                    assert [event async for _, event in seen] == []
                told.append("the end")

            await watching.wait()
    async with manager.observe() as seen:
        assert [event async for _, event in seen] == []
    assert told == ["the end"]


async def test_an_observer_that_left_is_told_nothing() -> None:
    """After its block an observer's channel is closed, and replies go on as before."""
    script = Script()
    script.respond()
    script.end()
    async with open_scripted(script) as manager:
        async with manager.observe() as seen:
            pass
        async with manager.get(URL) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
        with pytest.raises(trio.ClosedResourceError):
            await seen.receive()


async def test_code_runs_in_the_context_of_who_opened_the_reply() -> None:
    """A handler sees the context variables of the task that opened the reply, and not those of the manager's task."""
    seen: list[str] = []

    async def look(_request: Request, sink: Sink) -> None:
        seen.append(NAME.get())
        await sink.put(ResponseHead())

    async def open_as(manager: Manager, name: str) -> None:
        NAME.set(name)
        async with manager.get(URL) as reply:
            await reply.wait_finished()

    async with trioreply.open_manager() as manager:
        manager.register_scheme("test", look)
        async with trio.open_nursery() as nursery:
            for name in ("one", "two"):
                nursery.start_soon(open_as, manager, name)
    assert sorted(seen) == ["one", "two"]


async def test_fetch_is_one_of_the_replies() -> None:
    """A ``fetch`` under way counts as a running reply, ends with the manager, and needs an open one."""
    script = Script()
    async with trio.open_nursery() as nursery:
        async with open_scripted(script) as manager:

            @nursery.start_soon
            async def fetch() -> None:
                with pytest.raises(trioreply.OperationCanceledError):
                    await manager.fetch(URL)

            await settle()
            assert manager.statistics().replies_running == 1
    assert script.cancelled
    with pytest.raises(trio.ClosedResourceError):
        await manager.fetch(URL)


async def test_sending_does_not_change_the_request() -> None:
    """A request that a manager sends, by whatever verb, stays as it was: the manager's defaults go into a copy."""
    request = Request(URL, headers={"X": "y"})
    before = request.replace()
    seen: list[Request] = []

    async def answer(sent: Request, sink: Sink) -> None:
        seen.append(sent)
        await sink.put(ResponseHead())

    async with trioreply.open_manager(headers={"A": "1"}, transfer_timeout=9) as manager:
        manager.register_scheme("test", answer)
        for opening in (manager.send(request), manager.get(request)):
            async with opening as reply:
                await reply.wait_finished()
        await manager.fetch(request)
    assert request == before
    assert [(sent.headers["a"], sent.transfer_timeout) for sent in seen] == [("1", 9)] * 3
