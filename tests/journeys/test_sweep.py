"""The cancellation sweep over everything a manager does: cancelled at each step, nothing leaks and it still works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

import trioreply
from trioreply import (
    AuthenticationQuestion,
    AuthenticationRequired,
    Challenge,
    Event,
    Finished,
    Limits,
    Manager,
    Progress,
    Request,
    ResponseData,
    ResponseHead,
)
from trioreply.abc import Sink
from trioreply.testing import (
    ManagerSweep,
    OriginRequest,
    OriginResponse,
    Routes,
    sweep_environment,
)

BODY = bytes(range(256)) * 1200
Env = ManagerSweep[Manager]


async def _chunks() -> AsyncIterator[bytes]:
    for start in range(0, len(BODY), 50_000):
        yield BODY[start : start + 50_000]


async def _early(request: OriginRequest) -> OriginResponse:
    return OriginResponse(413, body=b"too large", close=True)


async def _dies_once(request: OriginRequest) -> OriginResponse:
    # The second request on a connection meets its end: what a kept connection does when the server gives it up.
    if len(request.connection.requests) == 2:
        request.connection.close()
    return OriginResponse(body=b"alive")


async def _upload(request: OriginRequest) -> OriginResponse:
    return OriginResponse(body=b"%d" % len(await request.read()))


async def get(env: Env) -> None:
    """A GET whose events are read."""
    async with env.manager.get(env.url("/body")) as reply:
        async for _ in reply:
            reply.read()


async def fetch(env: Env) -> None:
    """A whole exchange in one call."""
    await env.manager.fetch(env.url("/body"))


async def chunked(env: Env) -> None:
    """A chunked body, read in pieces."""
    async with env.manager.get(env.url("/chunked")) as reply:
        async for _ in reply.chunks():
            pass


async def throttled(env: Env) -> None:
    """A body read through a small buffer."""
    async with env.manager.get(env.url("/body"), read_buffer_size=1000) as reply:
        assert len(await reply.read_all()) == len(BODY)


async def upload_bytes(env: Env) -> None:
    """An upload of bytes."""
    async with env.manager.post(env.url("/upload"), BODY) as reply:
        await reply.wait_finished()


async def upload_file(env: Env) -> None:
    """An upload of a file by its path."""
    async with env.manager.put(env.url("/upload"), Path(__file__)) as reply:
        await reply.wait_finished()


async def upload_large_file(env: Env) -> None:
    """An upload of a file that is read twice, and sent in many pieces."""
    with NamedTemporaryFile() as file:
        file.truncate(1_100_000)
        async with env.manager.put(env.url("/upload"), Path(file.name)) as reply:
            assert await reply.read_all() == b"1100000"


async def upload_iterable(env: Env) -> None:
    """An upload of what the caller produces."""
    async with env.manager.put(env.url("/upload"), _chunks()) as reply:
        await reply.wait_finished()


async def closed_upload(env: Env) -> None:
    """An upload that goes on behind a closed reply."""
    async with env.manager.post(env.url("/upload"), BODY) as reply:
        async for event in reply:
            if isinstance(event, Progress):
                reply.close()
                await reply.aclose()


async def early_413(env: Env) -> None:
    """An upload that the server refuses before it has seen it."""
    async with env.manager.post(env.url("/early"), bytes(1_000_000)) as reply:
        await reply.wait_finished()


async def found_dead(env: Env) -> None:
    """A kept connection that dies under the second request, which is repeated."""
    await env.manager.fetch(env.url("/dies"))
    await env.manager.fetch(env.url("/dies"))


async def queued(env: Env) -> None:
    """More requests than connections."""
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(env.manager.fetch, env.url("/body"))


async def question(env: Env) -> None:
    """A question that is open for a while, then answered."""
    env.manager.register_scheme("ask", _asking)
    async with env.manager.get("ask:x") as reply:
        async for event in reply:
            if isinstance(event, AuthenticationRequired):
                await trio.lowlevel.checkpoint()
                event.answer("user", "password")


async def _asking(request: Request, sink: Sink) -> None:
    answer = await sink.ask(AuthenticationQuestion(request.url, Challenge("basic", "realm")))
    await sink.put(ResponseHead(status_code=200))
    await sink.put(ResponseData(repr(answer).encode()))


def stop_at(number: int, how: str) -> Callable[[Env], Awaitable[None]]:
    """A scenario that stops its reply at the event with that number."""

    async def scenario(env: Env) -> None:
        async with env.manager.post(env.url("/upload"), BODY) as reply:
            seen: list[Event] = []
            async for event in reply:
                seen.append(event)
                if len(seen) == number:
                    getattr(reply, how)()
            assert isinstance(seen[-1], Finished)

    scenario.__name__ = f"{how}_at_event_{number}"
    return scenario


def leave_manager_at(number: int) -> Callable[[Env], Awaitable[None]]:
    """A scenario that leaves the reply's block, and with it the manager's, at the event with that number."""

    async def scenario(env: Env) -> None:
        async with env.manager.post(env.url("/upload"), BODY) as reply:
            for _ in range(number):
                await reply.events.receive()

    scenario.__name__ = f"leave_at_event_{number}"
    return scenario


async def _chunked(request: OriginRequest) -> OriginResponse:
    return OriginResponse(body=_chunks())


ROUTES: Routes = {
    "/body": OriginResponse(body=BODY),
    "/chunked": _chunked,
    "/upload": _upload,
    "/early": _early,
    "/dies": _dies_once,
}


SCENARIOS = [
    get,
    fetch,
    chunked,
    throttled,
    upload_bytes,
    upload_iterable,
    closed_upload,
    early_413,
    found_dead,
    queued,
    question,
    *(stop_at(number, how) for number in range(1, 6) for how in ("abort", "close")),
    *(leave_manager_at(number) for number in range(5)),
]


@pytest.mark.parametrize("owns_manager", [False, True], ids=["manager lives", "manager goes too"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(
    scenario: Callable[[Env], Awaitable[None]], owns_manager: bool, autojump_clock: MockClock
) -> None:
    """Wherever the scenario is cancelled: no task, lease or stream is left, and a living manager still works."""
    open_manager = partial(trioreply.open_manager, limits=Limits(per_host=2))
    steps = await sweep_environment(
        lambda: ManagerSweep(open_manager, scenario, routes=ROUTES, owns_manager=owns_manager)
    )
    assert steps > 0


@pytest.mark.parametrize(
    "scenario", [get, upload_bytes, upload_file, upload_large_file, closed_upload, early_413, queued]
)
async def test_cancelled_at_each_step_over_loopback(scenario: Callable[[Env], Awaitable[None]]) -> None:
    """The same over real sockets and, for files, real threads: no descriptor is left either."""
    open_manager = partial(trioreply.open_manager, limits=Limits(per_host=2))
    await sweep_environment(lambda: ManagerSweep(open_manager, scenario, routes=ROUTES, loopback=True))
