"""The cancellation sweep over secure connections: refused, asked about, made again, certified, resumed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache, partial

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import Limits, Manager, NetworkError, SslConfiguration, SslErrors
from trioreply.testing import (
    Authority,
    ManagerSweep,
    OriginRequest,
    OriginResponse,
    Routes,
    ServerTls,
    run_sync_inline,
    sweep_environment,
)

Env = ManagerSweep[Manager]
NOBODY = SslConfiguration(use_system_ca=False)


@cache
def authority() -> Authority:
    """Who certifies everybody."""
    return Authority()


@cache
def client() -> SslConfiguration:
    """A client with a certificate."""
    chain, key = authority().client_certificate("client@example.org")
    return authority().trust().replace(certificate=chain, private_key=key)


async def good(env: Env) -> None:
    """A secure GET."""
    async with env.manager.get(env.url("/body")) as reply:
        assert len(await reply.read_all()) == 100_000


async def upload(env: Env) -> None:
    """A secure upload."""
    async with env.manager.post(env.url("/upload"), bytes(200_000)) as reply:
        assert await reply.read_all() == b"200000"


async def refused(env: Env) -> None:
    """A certificate that nobody accepts."""
    async with env.manager.get(env.url("/body"), ssl=NOBODY) as reply:
        assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED


async def refused_in_fetch(env: Env) -> None:
    """The same without a reader."""
    with pytest.raises(trioreply.SslHandshakeFailedError):
        await env.manager.fetch(env.url("/body"), ssl=NOBODY)


async def asked(env: Env) -> None:
    """A question about a certificate that is open for a while; then it is made again, leniently."""
    async with env.manager.get(env.url("/body"), ssl=NOBODY) as reply:
        async for event in reply:
            if isinstance(event, SslErrors):
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                event.ignore()
        assert reply.error is NetworkError.NO_ERROR


async def ignored_beforehand(env: Env) -> None:
    """Errors that are ignored before they are known."""
    async with env.manager.get(env.url("/body"), ssl=NOBODY) as reply:
        reply.ignore_ssl_errors()
        assert await reply.wait_finished() is NetworkError.NO_ERROR


async def certified(env: Env) -> None:
    """A client certificate."""
    assert (await env.manager.fetch(env.url("/body"), ssl=client())).status_code == 200


async def resumed(env: Env) -> None:
    """A session that a second connection resumes."""
    for _ in range(2):
        await env.manager.fetch(env.url("/closes"))
    assert env.manager.statistics().tls_resumptions >= 1


async def ahead(env: Env) -> None:
    """A secure connection that is opened ahead."""
    await env.manager.preconnect(env.url("/"))
    await env.manager.fetch(env.url("/body"))


async def _upload(request: OriginRequest) -> OriginResponse:
    return OriginResponse(body=b"%d" % len(await request.read()))


ROUTES: Routes = {
    "/body": OriginResponse(body=bytes(100_000)),
    "/closes": OriginResponse(body=b"x", close=True),
    "/upload": _upload,
}
SCENARIOS = [good, upload, refused, refused_in_fetch, asked, ignored_beforehand, certified, resumed, ahead]


@pytest.mark.parametrize("owns_manager", [False, True], ids=["manager lives", "manager goes too"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_cancelled_at_each_step(
    scenario: Callable[[Env], Awaitable[None]], owns_manager: bool, autojump_clock: MockClock
) -> None:
    """Wherever a secure exchange is cancelled: no task, lease or stream is left, and a living manager still works."""
    open_manager = partial(
        trioreply.open_manager, limits=Limits(per_host=2), ssl=authority().trust(), run_sync=run_sync_inline
    )
    tls: ServerTls = authority().serve(
        "origin.test", client_ca=authority().certificate_pem if scenario is certified else None
    )
    if scenario is certified:
        open_manager = partial(open_manager, ssl=client())
    steps = await sweep_environment(
        lambda: ManagerSweep(open_manager, scenario, routes=ROUTES, owns_manager=owns_manager, tls=tls)
    )
    assert steps > 0


@pytest.mark.parametrize("scenario", [good, asked, resumed])
async def test_cancelled_at_each_step_over_loopback(scenario: Callable[[Env], Awaitable[None]]) -> None:
    """The same over real sockets, with configurations that are loaded in real threads."""
    open_manager = partial(trioreply.open_manager, ssl=authority().trust())
    tls = authority().serve("127.0.0.1")
    await sweep_environment(lambda: ManagerSweep(open_manager, scenario, routes=ROUTES, loopback=True, tls=tls))
