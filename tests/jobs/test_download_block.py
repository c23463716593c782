"""The block of a download: stopping, questions, errors, and what is left wherever it is left."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreply
from trioreply import (
    AuthenticationQuestion,
    AuthenticationRequired,
    Challenge,
    ErrorOccurred,
    Finished,
    Manager,
    NetworkError,
    Progress,
    Request,
    ResponseData,
    ResponseHead,
    RetryPolicy,
)
from trioreply._jobs.download import Download, download, open_download
from trioreply._jobs.download_file import SUFFIX
from trioreply._jobs.opener import DOWNLOAD_RETRY, DownloadEnvironment
from trioreply.abc import Sink
from trioreply.errors import (
    ContentConflictError,
    ContentNotFoundError,
    OperationCanceledError,
    UnknownNetworkError,
)
from trioreply.testing import (
    ManagerSweep,
    OriginResponse,
    Routes,
    run_sync_inline,
    sweep_environment,
)

from ..journeys.conftest import Place
from .range_origin import CONTENT, RangeOrigin, env_of, names_in

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SWEPT = CONTENT[:2500]
AT_ONCE = RetryPolicy(2, backoff=0)


async def until(opened: Download, done: int) -> None:
    """Read events until that many bytes are there."""
    async for _ in opened:
        if opened.bytes_done >= done:
            return


def release(server: RangeOrigin) -> None:
    """Let the rest of the file come."""
    assert server.hold is not None
    server.hold.set()


@pytest.mark.parametrize("way", ["abort", "leave", "cancel", "raise"])
@pytest.mark.parametrize("resume", [True, False])
async def test_what_has_come_stays_when_the_block_is_left(place: Place, tmp_path: Path, way: str, resume: bool) -> None:
    """However a download is stopped, the part stays if it can be continued and shall be, and nothing else does."""
    server = RangeOrigin(hold=trio.Event())
    async with place.open_manager() as manager, place.origin(server) as origin:
        env, url = env_of(manager, place), origin.url("/f")
        raised = None
        opened = open_download(env, url, tmp_path / "f", resume=resume, progress_interval=0)
        with trio.CancelScope() as scope:
            try:
                async with opened:
                    await until(opened, 7000)
                    if way == "abort":
                        opened.abort()
                        opened.abort()
                        with pytest.raises(OperationCanceledError):
                            await opened.wait()
                    elif way == "cancel":
                        scope.cancel()
                        await opened.wait()
                    elif way == "raise":
                        raise LookupError("the block's own")
            except LookupError as error:
                raised = error
        assert (raised is not None, scope.cancelled_caught) == (way == "raise", way == "cancel")
        assert opened.is_finished
        assert opened.error is NetworkError.OPERATION_CANCELED
        left = [event async for event in opened]
        assert [type(event) for event in left[-3:]] == [ErrorOccurred, Progress, Finished]
        assert (f"f{SUFFIX}" in names_in(tmp_path), len(names_in(tmp_path))) == (resume, 2 if resume else 0)
        release(server)
        await download(env, url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert names_in(tmp_path) == ["f"]
    assert manager.statistics().leases == 0


async def test_two_downloads_to_one_place_are_one_too_many(place: Place, tmp_path: Path) -> None:
    """The second is refused and touches nothing, so that the first arrives whole."""
    server = RangeOrigin(hold=trio.Event())
    async with place.open_manager() as manager, place.origin(server) as origin:
        env, url = env_of(manager, place), origin.url("/f")
        async with open_download(env, url, tmp_path / "f", progress_interval=0) as opened:
            await until(opened, 7000)
            with pytest.raises(ContentConflictError, match="another download"):
                await download(env, url, tmp_path / "f")
            release(server)
            await opened.wait()
    assert (tmp_path / "f").read_bytes() == CONTENT


async def _asking(request: Request, sink: Sink) -> None:
    answer = await sink.ask(AuthenticationQuestion(request.url, Challenge("basic", "realm")))
    await sink.put(ResponseHead(status_code=200))
    await sink.put(ResponseData(repr(answer).encode()))


async def test_a_question_is_answered_on_its_event(memory: Place, tmp_path: Path) -> None:
    """A question of the reply waits for the reader of the download's events, and gets the answer."""
    async with memory.open_manager() as manager:
        manager.register_scheme("ask", _asking)
        async with open_download(env_of(manager, memory), "ask:x", tmp_path / "f") as opened:
            async for event in opened:
                if isinstance(event, AuthenticationRequired):
                    await wait_all_tasks_blocked()
                    event.answer("user", "password")
            path = await opened.wait()
    assert path.read_text("utf-8") == "('user', 'password')"


@pytest.mark.parametrize("way", ["go on", "close", "closed before", "wait", "download"])
async def test_a_question_nobody_answers_is_refused(memory: Place, tmp_path: Path, way: str) -> None:
    """Who reads on, closes the events, or waits for the end without ever reading, does not answer."""
    async with memory.open_manager() as manager:
        manager.register_scheme("ask", _asking)
        env = env_of(manager, memory)
        if way == "download":
            await download(env, "ask:x", tmp_path / "f")
        else:
            async with open_download(env, "ask:x", tmp_path / "f") as opened:
                if way == "closed before":
                    await opened.events.aclose()
                    await wait_all_tasks_blocked()
                    assert opened.is_finished
                elif way == "go on":
                    events = [event async for event in opened]
                    (question,) = (event for event in events if isinstance(event, AuthenticationRequired))
                    with pytest.raises(RuntimeError):
                        question.answer("too", "late")
                elif way == "close":
                    await wait_all_tasks_blocked()
                    await opened.events.aclose()
                await opened.wait()
    assert (tmp_path / "f").read_text("utf-8") == "None"


async def test_a_managers_handler_is_asked_first(memory: Place, tmp_path: Path) -> None:
    """What the manager's handler answers is no question to the reader of the download."""

    async def answer(_reply: object, event: AuthenticationRequired) -> None:
        event.answer("user", "password")

    async with memory.open_manager(authenticator=answer) as manager:
        manager.register_scheme("ask", _asking)
        async with open_download(env_of(manager, memory), "ask:x", tmp_path / "f") as opened:
            events = [event async for event in opened]
    assert not any(isinstance(event, AuthenticationRequired) for event in events)
    assert (tmp_path / "f").read_text("utf-8") == "('user', 'password')"


async def test_an_answer_that_comes_after_the_end_harms_nobody(memory: Place, tmp_path: Path) -> None:
    """A question whose reply was stopped meanwhile can still be answered, in vain."""
    async with memory.open_manager() as manager:
        manager.register_scheme("ask", _asking)
        async with open_download(env_of(manager, memory), "ask:x", tmp_path / "f") as opened:
            async for event in opened:
                if isinstance(event, AuthenticationRequired):
                    assert opened.reply is not None
                    opened.reply.abort()
                    event.answer("user", "password")
            with pytest.raises(OperationCanceledError):
                await opened.wait()
    assert names_in(tmp_path) == []


async def test_a_cancellation_that_comes_too_late_is_none(memory: Place, tmp_path: Path) -> None:
    """Stopped while the file takes its name, the download has succeeded: the file is there, and that is said."""
    async with memory.open_manager() as manager, memory.origin(RangeOrigin()) as origin:

        async def run_sync(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
            result = await run_sync_inline(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)
            if (tmp_path / "f").exists() and not opened.is_finished:
                opened.abort()
                await trio.lowlevel.checkpoint_if_cancelled()
            return result

        opened = open_download(env_of(manager, memory, run_sync), origin.url("/f"), tmp_path / "f")
        async with opened:
            assert await opened.wait() == tmp_path / "f"
            assert [event async for event in opened][-1] == Finished(NetworkError.NO_ERROR)
    assert names_in(tmp_path) == ["f"]


async def test_a_closed_manager_downloads_nothing(memory: Place, tmp_path: Path) -> None:
    """A manager that has been left is a download that was stopped, and nothing is left of it."""
    async with memory.open_manager() as manager:
        pass
    with pytest.raises(OperationCanceledError, match="closed"):
        await download(env_of(manager, memory), "http://origin.test/", tmp_path / "f")
    assert names_in(tmp_path) == []


async def test_a_fault_of_somebody_else_is_the_downloads_error(memory: Place, tmp_path: Path) -> None:
    """Whatever else is raised on the way is the cause of an error of ours, and does not end the block."""

    class Broken:
        def get(self, *_: object, **__: object) -> None:
            raise LookupError("no manager at all")

    env = DownloadEnvironment(Broken(), run_sync_inline, DOWNLOAD_RETRY)  # type: ignore[arg-type]  # it is the fault
    async with open_download(env, "http://origin.test/", tmp_path / "f") as opened:
        with pytest.raises(UnknownNetworkError, match="no manager") as caught:
            await opened.wait()
    assert isinstance(caught.value.__cause__, LookupError)
    assert opened.error_string == str(caught.value)
    assert names_in(tmp_path) == []


async def test_a_keyboard_interrupt_leaves_as_itself(memory: Place, tmp_path: Path) -> None:
    """What is no error passes through the block, ungrouped, and the download has finished."""

    class Interrupting:
        def get(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    env = DownloadEnvironment(Interrupting(), run_sync_inline, DOWNLOAD_RETRY)  # type: ignore[arg-type]  # it is the fault
    with pytest.raises(KeyboardInterrupt):
        async with open_download(env, "http://origin.test/", tmp_path / "f") as opened:
            await opened.wait()
    assert opened.is_finished
    assert names_in(tmp_path) == []


async def test_the_block_is_entered_once_and_waited_for_within(memory: Place, tmp_path: Path) -> None:
    """A second block, or waiting without one, is a mistake that is told."""
    async with memory.open_manager() as manager, memory.origin(RangeOrigin()) as origin:
        opened = open_download(env_of(manager, memory), origin.url("/f"), tmp_path / "f")
        assert "not begun" in repr(opened)
        assert (opened.temporary_path, opened.reply, opened.total) == (None, None, None)
        with pytest.raises(RuntimeError, match="async with"):
            await opened.wait()
        async with opened:
            assert "running" in repr(opened)
            await opened.wait()
            assert opened.temporary_path == (tmp_path / f"f{SUFFIX}").resolve()
            assert repr(opened).endswith("finished: 20000 of 20000 bytes>")
            opened.abort()
        with pytest.raises(RuntimeError, match="once"):
            await opened.__aenter__()
        assert await opened.wait() == tmp_path / "f"
        async with open_download(env_of(manager, memory), origin.url("/f"), tmp_path / "no" / "f") as opened:
            await opened.events.aclose()
        assert "OPERATION_CANCELED" in repr(opened) or "CONTENT_ACCESS_DENIED" in repr(opened)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"path": b"bytes"}, "path: give a str"),
        ({"path": ""}, "path: it is empty"),
        ({"url": "http://exa mple/"}, "url"),
        ({"resume": 1}, "resume: give True or False"),
        ({"sha256": "12"}, "sha256: sha256 has 64"),
        ({"checksum": "12"}, "checksum: '12'"),
        ({"headers": {"Range": "bytes=1-"}}, "headers: Range"),
        ({"headers": {"if-range": "x"}}, "headers: If-Range"),
    ],
    ids=str,
)
async def test_impossible_arguments_are_refused_at_once(
    memory: Place, arguments: dict[str, object], problem: str
) -> None:
    """A mistake is found where it was made, before anything is opened."""
    given: dict[str, object] = {"url": "http://origin.test/", "path": "f", **arguments}
    async with memory.open_manager() as manager:
        with pytest.raises((ValueError, TypeError), match=problem):
            open_download(env_of(manager, memory), **given)  # type: ignore[arg-type]  # that is the mistake


async def test_a_request_is_taken_as_it_is(memory: Place, tmp_path: Path) -> None:
    """A whole request keeps its fields, and keywords change it; ours are added each time."""
    server = RangeOrigin(cuts=[5000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        request = Request(origin.url("/f"), headers={"X-Mine": "1"}, retry=AT_ONCE)
        await download(env_of(manager, memory), request, str(tmp_path / "f"), query={"a": "b"})
        for seen in origin.requests:
            assert (seen.header("X-Mine"), seen.query, seen.header("Accept-Encoding")) == ("1", "a=b", "identity")
    assert (tmp_path / "f").read_bytes() == CONTENT


Env = ManagerSweep[Manager]
_numbers = itertools.count()


def _routes() -> Routes:
    server = RangeOrigin(SWEPT, cuts=[1500])
    return {"/file": server, "/gone": OriginResponse(404)}


def downloading(directory: Path, *, target: str = "/file", threads: bool = False) -> Callable[[Env], Awaitable[None]]:
    """A scenario: a download that breaks once and is continued, over an old file, in a directory of its own."""

    async def scenario(env: Env) -> None:
        own = directory / str(next(_numbers))
        own.mkdir()
        path = own / "f"
        path.write_bytes(b"old")
        run_sync = trio.to_thread.run_sync if threads else run_sync_inline
        downloads = DownloadEnvironment(env.manager, run_sync, AT_ONCE)
        try:
            async with open_download(downloads, env.url(target), path) as opened:
                async for _ in opened:
                    pass
                try:
                    await opened.wait()
                except ContentNotFoundError:
                    assert target == "/gone"
        finally:
            assert path.read_bytes() in (b"old", SWEPT)
            extra = {name for name in names_in(own) if name != "f"}
            assert extra in (set(), {f"f{SUFFIX}", f"f{SUFFIX}.json"}), extra
            if extra:
                part = (own / f"f{SUFFIX}").read_bytes()
                assert part == SWEPT[: len(part)]
            shutil.rmtree(own)

    return scenario


@pytest.mark.parametrize(("target", "owns_manager"), [("/file", False), ("/gone", True)])
async def test_cancelled_at_each_step(
    tmp_path: Path, target: str, owns_manager: bool, autojump_clock: MockClock
) -> None:
    """Wherever it is cancelled: the old file or the new one as a whole, a part that can be continued, and no leak."""
    scenario = downloading(tmp_path, target=target)
    steps = await sweep_environment(
        lambda: ManagerSweep(trioreply.open_manager, scenario, routes=_routes(), owns_manager=owns_manager)
    )
    assert steps > 0


@pytest.mark.soak
async def test_cancelled_at_each_step_with_threads(tmp_path: Path) -> None:
    """The same with real sockets and real threads: when the block is left, no thread of it is in the file."""
    scenario = downloading(tmp_path, threads=True)
    await sweep_environment(lambda: ManagerSweep(trioreply.open_manager, scenario, routes=_routes(), loopback=True))
