"""The cancellation sweep over credentials, cookies and HSTS: open questions, nonces, running saves, upgrades."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from pathlib import Path
from typing import Unpack

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import (
    AuthenticationRequired,
    CookieJar,
    HstsPolicy,
    HstsStore,
    Limits,
    Manager,
    ManagerConfig,
    NetworkError,
    Reply,
    SqliteCookieStore,
)
from trioreply._model.running import RunSync
from trioreply.testing import (
    Authority,
    ManagerSweep,
    OriginHandler,
    OriginRequest,
    OriginResponse,
    run_sync_inline,
    sweep_environment,
)

from .guarded import BASIC, RIGHT, WELCOME, WRONG, DigestDoor, converse, door, guarded

Env = ManagerSweep[Manager]


@cache
def authority() -> Authority:
    """Who certifies the server."""
    return Authority()


async def question(env: Env) -> None:
    """A question that is open for a while, answered wrongly and then rightly."""
    async with env.manager.post(env.url("/basic"), b"data") as reply:
        answers = [WRONG, RIGHT]
        async for event in reply:
            if isinstance(event, AuthenticationRequired):
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                event.answer(*answers.pop(0))
        assert reply.read() == WELCOME


async def question_refused(env: Env) -> None:
    """A question that nobody answers."""
    async with env.manager.get(env.url("/basic")) as reply:
        await converse(reply)
        assert reply.error is NetworkError.AUTHENTICATION_REQUIRED


async def two_questions(env: Env) -> None:
    """Two questions at once, where there is one connection."""

    async def ask() -> None:
        async with env.manager.get(env.url("/basic")) as reply:
            await converse(reply, [RIGHT])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)


async def asked_by_the_manager(env: Env) -> None:
    """The manager's handler takes its time."""
    assert (await env.manager.fetch(env.url("/basic"), user_data="for the handler")).body == WELCOME


async def large_refusal(env: Env) -> None:
    """A demand whose body is given up in the middle."""
    async with env.manager.get(env.url("/large")) as reply:
        await converse(reply, [RIGHT])
        assert reply.read() == WELCOME


async def digest_reuse(env: Env) -> None:
    """A nonce that several requests count, two of them at once."""
    async with env.manager.get(env.url("/digest")) as reply:
        await converse(reply, [RIGHT])
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(env.manager.fetch, env.url("/digest"))


async def stale(env: Env) -> None:
    """A nonce that has become old."""
    for path in ("/digest", "/older"):
        async with env.manager.get(env.url(path)) as reply:
            await converse(reply, [RIGHT])
            assert reply.read() == WELCOME


async def cookies(env: Env) -> None:
    """A cookie that is set, saved while the manager runs, and deleted."""
    await env.manager.fetch(env.url("/set"))
    await trio.sleep(1.5)
    assert (await env.manager.fetch(env.url("/see"))).body == b"a=1"
    await env.manager.fetch(env.url("/delete"))
    await trio.sleep(1.5)


async def cookies_in_haste(env: Env) -> None:
    """A cookie that is set just before the end."""
    await env.manager.fetch(env.url("/set"))


async def upgraded(env: Env) -> None:
    """A request that is made secure, and learns what is written to a file."""
    async with env.manager.get(env.url("/sts").replace("https:", "http:")) as reply:
        assert await reply.read_all() == b"page"
        assert reply.url.scheme == "https"


def routes() -> OriginHandler:
    """What the server has, for one run: its nonces are counted."""
    handlers = {
        "/basic": guarded(door(BASIC)),
        "/large": guarded(door(BASIC), page=OriginResponse(401, body=bytes(200_000))),
        "/digest": guarded(DigestDoor()),
        "/older": guarded(DigestDoor(nonce="n2")),
    }
    pages = {
        "/set": OriginResponse(200, [("Set-Cookie", "a=1; Max-Age=1000")]),
        "/delete": OriginResponse(200, [("Set-Cookie", "a=; Max-Age=0")]),
        "/sts": OriginResponse(200, [("Strict-Transport-Security", "max-age=1000")], b"page"),
    }

    async def answer(request: OriginRequest) -> OriginResponse:
        if request.path in handlers:
            return await handlers[request.path](request)
        return pages.get(request.path) or OriginResponse(body=(request.header("cookie") or "").encode())

    return answer


async def _authenticate(reply: Reply, event: AuthenticationRequired) -> None:
    if reply.request.user_data == "for the handler":
        await trio.sleep(1)
        event.answer(*RIGHT)


def open_manager(
    directory: Path, *, runner: RunSync, secure: bool = False, **places: Unpack[ManagerConfig]
) -> AbstractAsyncContextManager[Manager]:
    """A manager with one connection, and with stores in ``directory`` that earlier runs may have left anyhow."""
    config: ManagerConfig = {
        "limits": Limits(per_host=1),
        "run_sync": runner,
        "authenticator": _authenticate,
        "cookie_jar": CookieJar(SqliteCookieStore(directory / "cookies.sqlite", run_sync=runner)),
        **places,
    }
    if secure:
        config["hsts"] = HstsStore([HstsPolicy("origin.test")], directory / "hsts.sqlite", run_sync=runner)
        config["ssl"] = authority().trust()
    return trioreply.open_manager(**config)


SCENARIOS = [
    question,
    question_refused,
    two_questions,
    asked_by_the_manager,
    large_refusal,
    digest_reuse,
    stale,
    cookies,
    cookies_in_haste,
    upgraded,
]


@pytest.mark.parametrize("owns_manager", [False, True], ids=["manager lives", "manager goes too"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(
    scenario: Callable[[Env], Awaitable[None]], owns_manager: bool, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Wherever it is cancelled: no task, lease or stream is left, a living manager still works, and the files that were
    being written can be read.
    """
    secure = scenario is upgraded
    tls = authority().serve("origin.test") if secure else None
    opener = partial(open_manager, tmp_path, runner=run_sync_inline, secure=secure)
    steps = await sweep_environment(
        lambda: ManagerSweep(opener, scenario, routes=routes(), owns_manager=owns_manager, tls=tls)
    )
    assert steps > 0
    async with opener():
        pass  # the stores are loaded


@pytest.mark.parametrize("scenario", [question, digest_reuse, cookies_in_haste])
async def test_cancelled_at_each_step_over_loopback(scenario: Callable[[Env], Awaitable[None]], tmp_path: Path) -> None:
    """The same over real sockets, with files that are written in real threads."""
    opener = partial(open_manager, tmp_path, runner=trio.to_thread.run_sync)
    await sweep_environment(lambda: ManagerSweep(opener, scenario, routes=routes(), owns_manager=True, loopback=True))
    async with opener():
        pass  # the stores are loaded
