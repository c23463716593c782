"""Journeys of ``fetch_all``: results as they come, one rule for failures, and nothing left behind."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio.testing
from trio.testing import MockClock

import trioreply
from trioreply import ContentNotFoundError, Manager, NetworkError, OnFailure, Request
from trioreply.testing import ManagerSweep, OriginRequest, OriginResponse, run_sync_inline, sweep_environment

from .conftest import Place


async def echo(request: OriginRequest) -> OriginResponse:
    """A page that says which one it is; what is called missing is."""
    return OriginResponse(404 if "missing" in request.target else 200, body=request.target.encode())


async def never(_request: OriginRequest) -> OriginResponse:
    """A page that never comes."""
    await trio.Event().wait()
    return OriginResponse()


async def test_results_come_with_their_numbers(place: Place) -> None:
    """Every request has its result, whatever the order in which they come."""
    async with place.origin(echo) as origin, place.open_manager() as manager:
        urls = [origin.url(f"/{number}") for number in range(12)]
        async with manager.fetch_all(urls, limit=5) as results:
            found = {result.index: result async for result in results}
    assert [found[index].source for index in range(12)] == urls
    bodies = [response.body for index in range(12) if (response := found[index].response) is not None]
    assert bodies == [f"/{index}".encode() for index in range(12)]


async def test_fields_and_requests(place: Place) -> None:
    """Options hold for all; whole requests are taken, too; and an empty list has no results."""
    async with place.origin(echo) as origin, place.open_manager() as manager:
        sources: list[str | Request] = [
            origin.url("/missing"),
            Request(origin.url("/b"), operation=trioreply.Operation.POST, body=b"x"),
        ]
        async with manager.fetch_all(sources, headers={"X-Same": "1"}, raise_for_error=False) as results:
            found = sorted([result async for result in results], key=lambda result: result.index)
        async with manager.fetch_all([]) as results:
            assert [result async for result in results] == []
    assert [result.response and result.response.status_code for result in found] == [404, 200]
    assert {request.header("X-Same") for request in origin.requests} == {"1"}
    assert repr(found[0]).startswith(f"<FetchResult 0 {origin.url('/missing')}: Response(status_code=404")


async def test_a_failure_cancels_the_others(place: Place) -> None:
    """The reader gets the error itself, and what the others were at has ended by the end of the block."""

    async def serve(request: OriginRequest) -> OriginResponse:
        return await (echo if "missing" in request.target else never)(request)

    async with place.origin(serve) as origin, place.open_manager() as manager:
        urls = [origin.url("/a"), origin.url("/missing"), origin.url("/b")]
        with pytest.raises(ContentNotFoundError) as caught:
            async with manager.fetch_all(urls) as results:
                async for _ in results:
                    pytest.fail("the others never answer")
        assert caught.value.url == origin.url("/missing")
        # A reader who is busy with something else is not cancelled, but hears of it when he comes back.
        was_undisturbed = False
        with pytest.raises(ContentNotFoundError):
            async with manager.fetch_all(urls) as results:
                await trio.testing.wait_all_tasks_blocked()
                was_undisturbed = True
                await anext(results)
        assert was_undisturbed
        assert (manager.statistics().leases, manager.statistics().replies_running) == (0, 0)
        assert (await manager.fetch(origin.url("/missing"), raise_for_error=False)).status_code == 404


async def test_failures_are_collected(place: Place) -> None:
    """With COLLECT a failure is that request's result."""
    async with place.origin(echo) as origin, place.open_manager() as manager:
        urls = [origin.url("/a"), origin.url("/missing"), origin.url("/b")]
        async with manager.fetch_all(urls, on_failure=OnFailure.COLLECT) as results:
            found = {result.index: result async for result in results}
    assert found[1].error is not None
    assert found[1].error.code is NetworkError.CONTENT_NOT_FOUND
    assert "missing: ContentNotFoundError(" in repr(found[1])
    assert [found[index].error for index in (0, 2)] == [None, None]


async def test_nobody_runs_ahead_of_the_reader(place: Place) -> None:
    """Each task takes its next request only when its last result was taken, so memory is bounded."""
    taken: list[int] = []

    def urls() -> Iterator[str]:
        for number in range(9):
            taken.append(number)
            yield origin.url(f"/{number}")

    async with place.origin(echo) as origin, place.open_manager() as manager:
        async with manager.fetch_all(urls(), limit=3) as results:
            count = 0
            async for _ in results:
                count += 1
                assert len(taken) <= count + 3
    assert (count, taken) == (9, list(range(9)))


async def test_requests_may_come_slowly(place: Place) -> None:
    """An asynchronous iterable is taken from by one task at a time, and leaving the block early ends everything."""

    async def urls() -> AsyncGenerator[str, None]:
        number = 0
        while True:
            await trio.lowlevel.checkpoint()
            yield origin.url(f"/{number}")
            number += 1

    async with place.origin(echo) as origin, place.open_manager() as manager:
        source = urls()
        async with manager.fetch_all(source, limit=2) as results:
            first = await anext(results)
        await source.aclose()
        assert first.error is None
        assert manager.statistics().replies_running == 0


async def test_mistakes_reach_the_reader(place: Place) -> None:
    """An impossible URL among the requests, or an iterable that fails, ends the whole as the exception that it is."""

    def broken() -> Iterator[str]:
        yield origin.url("/a")
        raise KeyError("bug")

    async with place.origin(echo) as origin, place.open_manager() as manager:
        for sources, expected in ((["http://[/"], ValueError), (broken(), KeyError)):
            with pytest.raises(expected):
                async with manager.fetch_all(sources, on_failure=OnFailure.COLLECT) as results:
                    async for _ in results:
                        pass


async def test_the_block_s_own_exception(place: Place) -> None:
    """What the block raises leaves it as itself; it is entered once."""
    async with place.origin(never) as origin, place.open_manager() as manager:
        opened = manager.fetch_all([origin.url("/")])
        with pytest.raises(KeyError):
            async with opened:
                await trio.testing.wait_all_tasks_blocked()
                raise KeyError("mine")
        with pytest.raises(RuntimeError, match="entered once"):
            await opened.__aenter__()


@pytest.mark.parametrize("limit", [0, -1, True, "3"])
def test_limits(limit: int) -> None:
    """A limit is a positive number."""
    with pytest.raises(ValueError, match=r"^limit: "):
        closed_manager().fetch_all([], limit=limit)


def closed_manager() -> Manager:
    """A manager that nobody has opened."""
    return trioreply.open_manager()._manager


@pytest.mark.parametrize("urls", ["http://h/", Request("http://h/"), 3])
def test_urls(urls: list[str]) -> None:
    """One URL, or no iterable, is a mistake."""
    with pytest.raises(TypeError, match=r"^urls: "):
        closed_manager().fetch_all(urls)


def test_policies() -> None:
    """A failure policy is a member of its enumeration."""
    with pytest.raises(TypeError, match=r"^on_failure: "):
        closed_manager().fetch_all([], on_failure="cancel")  # type: ignore[arg-type]  # it is the point


async def many(env: ManagerSweep[Manager]) -> None:
    """More requests than tasks, one of which fails."""
    urls = [env.url(f"/{number}") for number in range(4)] + [env.url("/missing")]
    async with env.manager.fetch_all(urls, limit=2, on_failure=OnFailure.COLLECT) as results:
        outcomes = [result.error is None async for result in results]
    assert outcomes.count(True) == 4


@pytest.mark.parametrize("owns_manager", [False, True])
async def test_sweep(owns_manager: bool, autojump_clock: MockClock) -> None:
    """Cancelled at every checkpoint, many fetches leave nothing behind."""
    open_manager = partial(trioreply.open_manager, run_sync=run_sync_inline)
    sweep = partial(ManagerSweep, open_manager, many, routes=echo, owns_manager=owns_manager)
    assert await sweep_environment(sweep) > 0


async def test_a_download_in_one_call(place: Place, tmp_path: Path) -> None:
    """``download`` gives the path of the whole file; relative URLs are the manager's, and limits are Limits."""
    async with place.origin({"/files/a.bin": OriginResponse(body=b"content")}) as origin:
        async with place.open_manager(base_url=origin.url("/files")) as manager:
            path = await manager.download("a.bin", tmp_path / "here", sha256=hashlib.sha256(b"content").hexdigest())
            assert path.read_bytes() == b"content"
            async with manager.open_download(Request("a.bin"), tmp_path) as download:
                assert (await download.wait()).name == "a.bin"
            with pytest.raises(TypeError, match=r"^limits: "):
                manager.get("a.bin", limits=3)  # type: ignore[arg-type]  # it is the point
