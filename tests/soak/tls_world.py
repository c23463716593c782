"""Where hostile TLS is met: a network in memory, a sound server beside it, and what must hold afterwards."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

import trioreply
from tests import certificates
from trioreply import (
    Manager,
    RemoteHostClosedError,
    ReplyError,
    SslConfiguration,
    SslHandshakeFailedError,
    UnknownNetworkError,
)
from trioreply._net.interfaces import TlsError
from trioreply.errors import TimeoutError as ReplyTimeoutError
from trioreply.testing import (
    MemoryNetwork,
    OriginResponse,
    ServedStream,
    ServerTls,
    open_origin,
    run_sync_inline,
    serve_streams,
)
from trioreply.testing.serving import transport_of

from .tls_forgery import (
    EndOfScene,
    Fault,
    Forge,
    ForgedEnd,
    Wire,
)
from .watching import is_at_rest

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLSv1.2", "TLSv1.3"])

CONNECT_SECONDS = 10.0
TRANSFER_SECONDS = 15.0
ALL_SECONDS = CONNECT_SECONDS + TRANSFER_SECONDS + 5
BODY = b"what was promised"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
RESPONSE = HEAD % len(BODY) + BODY
MANY = 20_000
"""Records of a flood that comes at once."""

Script = Callable[[ForgedEnd], Awaitable[None]]


def trust() -> SslConfiguration:
    """Whom all managers here trust."""
    return SslConfiguration(ca_certificates=[certificates.issued().root], use_system_ca=False)


def sound_tls() -> ServerTls:
    """A server that does nothing wrong."""
    served = certificates.issued(certificates.server("sound.test", "127.0.0.1"))
    return ServerTls.from_pem(served.chain, served.key)


@frozen
class World:
    """A manager, and two servers: a sound one, and one that plays a script."""

    manager: Manager
    network: MemoryNetwork
    sound_url: str

    @asynccontextmanager
    async def play(
        self, script: Script, forge: Forge, version: ssl.TLSVersion, faults: list[Fault | None] | None = None
    ) -> AsyncIterator[tuple[str, list[Wire]]]:
        """Serve each connection by ``script``, with the last of ``faults``; gives the URL, and all wires."""
        wires: list[Wire] = []

        async def serve(stream: ServedStream) -> None:
            wires.append(Wire(transport_of(stream), faults[-1] if faults else None))
            with suppress(EndOfScene):
                await script(forge.end(wires[-1], version))

        async with serve_streams(serve, network=self.network, host=certificates.HOST) as url:
            yield url.replace("http://", "https://") + ":80/", wires

    async def outcome(self, url: str, within: float = ALL_SECONDS) -> str:
        """What became of a GET, ``within`` some seconds: ``success``, or the name of its error.

        Raises:
            AssertionError: it was no typed error, or brought something else than was promised.
            trio.TooSlowError: it took longer.
        """
        error: ReplyError | None = None
        with trio.fail_after(within):
            try:
                assert (await self.manager.fetch(url)).body == BODY
            except ReplyError as caught:
                error = caught
        assert error is None or is_typed(error), repr(error)
        return "success" if error is None else type(error).__name__

    async def check(self) -> None:
        """The manager is at rest, keeps nothing but a connection to the sound server, and can use that; nothing else
        was left open.

        Raises:
            AssertionError: it is not so.
        """
        assert is_at_rest(self.manager)
        assert set(self.manager.statistics().connections) <= {self.sound_url}
        assert (await self.manager.fetch(self.sound_url)).body == BODY
        assert len(self.network.open_streams) == 1


def is_typed(error: ReplyError) -> bool:
    """Whether it says what happened, and is no disguise of an exception that nobody expected."""
    if isinstance(error, UnknownNetworkError):
        return isinstance(error.__cause__, TlsError)
    return isinstance(error, RemoteHostClosedError | SslHandshakeFailedError | ReplyTimeoutError)


@pytest.fixture
async def world(autojump_clock: MockClock) -> AsyncIterator[World]:
    """A world in memory, on a clock that jumps."""
    async with (
        MemoryNetwork() as network,
        open_origin({"/": OriginResponse(body=BODY)}, network=network, host="sound.test", tls=sound_tls()) as origin,
        trioreply.open_manager(
            resolver=network,
            dialer=network,
            run_sync=run_sync_inline,
            ssl=trust(),
            connect_timeout=CONNECT_SECONDS,
            transfer_timeout=TRANSFER_SECONDS,
        ) as manager,
    ):
        world = World(manager, network, str(origin.url()).rstrip("/") + ":443")
        yield world
        await world.check()


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """With the usual certificate."""
    return Forge(tmp_path)


async def honest(end: ForgedEnd) -> None:
    """A script without guile; what happens to it is the wire's fault."""
    await end.do_handshake()
    await end.receive_request()
    await end.send(RESPONSE)
    await end.read_on()
