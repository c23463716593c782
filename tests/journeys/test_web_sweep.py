"""The cancellation sweep over what makes a transport a client: redirects, retries, content codings and forms."""

from __future__ import annotations

import gzip
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
import trio.lowlevel
from trio.testing import MockClock

import trioreply
from trioreply import (
    BodySource,
    Limits,
    Manager,
    NetworkError,
    Redirected,
    RedirectPolicy,
    Reply,
    Retrying,
    RetryPolicy,
    UnknownContentError,
)
from trioreply.testing import (
    ManagerSweep,
    OriginRequest,
    OriginResponse,
    Routes,
    run_sync_inline,
    sweep_environment,
)

Env = ManagerSweep[Manager]
Scenario = Callable[[Env], Awaitable[None]]
VERIFIED = RedirectPolicy.USER_VERIFIED
WAITING = RetryPolicy(backoff=5, jitter=0)
AT_ONCE = RetryPolicy(2, backoff=0)
TEXT = b"".join(b"%d" % number for number in range(20_000))
PACKED = gzip.compress(TEXT)


async def redirect_chain(env: Env) -> None:
    """Three redirects: with a short body, with one that is too long to be read away, and with a broken one."""
    async with env.manager.get(env.url("/1")) as reply:
        assert await reply.read_all() == b"arrived"


async def redirect_in_fetch(env: Env) -> None:
    """The same without a reader."""
    assert (await env.manager.fetch(env.url("/1"))).body == b"arrived"


async def redirected_upload(env: Env) -> None:
    """An upload that is sent again to another place."""
    async with env.manager.post(env.url("/moved"), bytes(200_000)) as reply:
        assert await reply.read_all() == b"200000"


async def redirected_in_the_upload(env: Env) -> None:
    """The same, if the redirect comes before the upload is done."""
    async with env.manager.post(env.url("/moved-early"), bytes(200_000)) as reply:
        assert await reply.read_all() == b"200000"


async def redirect_refused(env: Env) -> None:
    """A redirect that must not be followed."""
    async with env.manager.get(env.url("/nowhere")) as reply:
        assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN


async def redirect_allowed(env: Env) -> None:
    """A question about a redirect that is open for a while, then answered; the last hop's is not."""
    async with env.manager.get(env.url("/1"), redirect_policy=VERIFIED) as reply:
        async for event in reply:
            if isinstance(event, Redirected) and event.url.path != "/4":
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                event.allow()
        assert reply.status_code == 302


async def redirect_not_allowed(env: Env) -> None:
    """A question that nobody answers, with a body that waits behind it and holds the connection."""
    async with env.manager.get(env.url("/2"), redirect_policy=VERIFIED) as reply:
        assert len(await reply.read_all()) == 100_000


async def redirect_verifier(env: Env) -> None:
    """A verifier that thinks."""
    async with env.manager.get(env.url("/ask-the-verifier"), redirect_policy=VERIFIED) as reply:
        assert await reply.read_all() == b"arrived"


async def retried(env: Env) -> None:
    """Two attempts that fail, and the waits before the next ones."""
    async with env.manager.get(env.url("/busy"), retry=WAITING) as reply:
        assert await reply.wait_finished() is NetworkError.SERVICE_UNAVAILABLE


async def retried_in_fetch(env: Env) -> None:
    """The same without a reader, and with error pages that are cut."""
    await env.manager.fetch(env.url("/busy-at-length"), retry=AT_ONCE, raise_for_error=False)


async def retried_upload(env: Env) -> None:
    """An upload that is sent again."""
    async with env.manager.put(env.url("/busy"), bytes(100_000), retry=AT_ONCE) as reply:
        await reply.wait_finished()


async def retried_connection(env: Env) -> None:
    """Connections that are refused."""
    host = env.network.host("origin.test")
    host.refuse = True
    try:
        async with env.manager.get(env.url("/4"), retry=WAITING) as reply:
            async for event in reply:
                host.refuse = host.refuse and not isinstance(event, Retrying)
            assert reply.read() == b"arrived"
    finally:
        host.refuse = False


async def compressed(env: Env) -> None:
    """A compressed body that is read slowly, through a small buffer."""
    async with env.manager.get(env.url("/packed"), read_buffer_size=1000) as reply:
        found = bytearray()
        while piece := await reply.receive_some(30_000):
            found += piece
        assert found == TEXT


async def compressed_and_cut(env: Env) -> None:
    """A compressed body that ends too early."""
    async with env.manager.get(env.url("/cut")) as reply:
        with pytest.raises(UnknownContentError):
            await reply.read_all()


async def compressed_bomb(env: Env) -> None:
    """Much out of very little, until that is too much."""
    with pytest.raises(UnknownContentError):
        await env.manager.fetch(env.url("/bomb"), decompression_limit=1_000_000)


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        await trio.lowlevel.checkpoint()
        yield bytes(1000)


async def form(env: Env) -> None:
    """A form with a file by its path, one that is open, and one that comes as it is sent."""
    with io.BytesIO(bytes(1000)) as file:
        files: list[tuple[str, BodySource]] = [("path", Path(__file__)), ("file", file), ("pieces", _pieces())]
        async with env.manager.post(env.url("/upload"), form={"a": "1"}, files=files) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR


async def form_redirected(env: Env) -> None:
    """A form that is sent again."""
    async with env.manager.post(env.url("/moved"), files={"path": Path(__file__), "b": b"2"}) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR


async def form_closed(env: Env) -> None:
    """A form that is sent to its end behind a closed reply."""
    async with env.manager.post(env.url("/upload"), files={"path": Path(__file__), "b": b"2"}) as reply:
        await reply.events.receive()


async def _upload(request: OriginRequest) -> OriginResponse:
    return OriginResponse(body=b"%d" % len(await request.read()))


async def _moved(request: OriginRequest) -> OriginResponse:
    await request.read()
    return OriginResponse(307, (("Location", "/upload"),))


async def _busy(request: OriginRequest) -> OriginResponse:
    await request.read()
    return OriginResponse(503, body=b"later")


ROUTES: Routes = {
    "/1": OriginResponse(302, (("Location", "/2"),), b"moved"),
    "/2": OriginResponse(302, (("Location", "/3"),), bytes(100_000)),
    "/3": OriginResponse(302, (("Location", "/4"), ("Content-Encoding", "gzip")), b"no gzip"),
    "/4": OriginResponse(body=b"arrived"),
    "/ask-the-verifier": OriginResponse(302, (("Location", "/4"),), b"moved"),
    "/nowhere": OriginResponse(302, (("Location", "ftp://origin.test/"),), b"moved"),
    "/moved": _moved,
    "/moved-early": OriginResponse(307, (("Location", "/upload"),), close=True),
    "/upload": _upload,
    "/busy": _busy,
    "/busy-at-length": OriginResponse(503, body=bytes(100_000)),
    "/packed": OriginResponse(200, (("Content-Encoding", "gzip"),), PACKED),
    "/cut": OriginResponse(200, (("Content-Encoding", "gzip"),), PACKED[:-9]),
    "/bomb": OriginResponse(200, (("Content-Encoding", "gzip"),), gzip.compress(bytes(3_000_000))),
}
SCENARIOS = [
    redirect_chain,
    redirect_in_fetch,
    redirected_upload,
    redirected_in_the_upload,
    redirect_refused,
    redirect_allowed,
    redirect_not_allowed,
    redirect_verifier,
    retried,
    retried_in_fetch,
    retried_upload,
    retried_connection,
    compressed,
    compressed_and_cut,
    compressed_bomb,
    form,
    form_redirected,
    form_closed,
]

WITH_THE_MANAGER = [redirect_chain, redirected_upload, redirect_allowed, retried, compressed, form, form_closed]
"""Those that hold different things when they are stopped."""


async def _verify(_reply: Reply, event: Redirected) -> None:
    for _ in range(3):
        await trio.lowlevel.checkpoint()
    if event.url.path == "/4":
        event.allow()


def _manager_for(scenario: Scenario) -> Callable[..., AbstractAsyncContextManager[Manager]]:
    verifier = _verify if scenario is redirect_verifier else None
    limits = Limits(per_host=2)
    return partial(trioreply.open_manager, limits=limits, run_sync=run_sync_inline, redirect_verifier=verifier)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(scenario: Scenario, autojump_clock: MockClock) -> None:
    """Wherever it is cancelled: no task, lease, file or stream is left, and the manager still works."""
    assert await sweep_environment(lambda: ManagerSweep(_manager_for(scenario), scenario, routes=ROUTES)) > 0


@pytest.mark.parametrize("scenario", WITH_THE_MANAGER, ids=lambda scenario: scenario.__name__)
async def test_cancelled_with_the_manager(scenario: Scenario, autojump_clock: MockClock) -> None:
    """The same, if the manager goes down with it."""
    sweep = partial(ManagerSweep, _manager_for(scenario), scenario, routes=ROUTES, owns_manager=True)
    assert await sweep_environment(sweep) > 0


@pytest.mark.parametrize("scenario", [redirect_not_allowed, form], ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step_over_loopback(scenario: Scenario) -> None:
    """The same over real sockets and, for files, real threads: no descriptor is left either."""
    await sweep_environment(lambda: ManagerSweep(trioreply.open_manager, scenario, routes=ROUTES, loopback=True))
