"""Servers with monstrous certificates, and servers that never let us rest."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import trioreply
from tests import certificates
from trioreply import (
    NetworkError,
    SslConfiguration,
    SslErrors,
)
from trioreply.testing import (
    OriginResponse,
    ServedStream,
    open_origin,
    serve_streams,
)
from trioreply.testing.leaks import Snapshot
from trioreply.testing.serving import transport_of

from .test_tls_hostile import AFTER, BEFORE
from .tls_forgery import (
    Content,
    EndOfScene,
    Forge,
    ForgedEnd,
    Wire,
)
from .tls_world import (
    BODY,
    RESPONSE,
    TLS_1_2,
    TLS_1_3,
    VERSIONS,
    World,
    forge,
    honest,
    sound_tls,
    trust,
    world,
)
from .watching import is_at_rest

__all__ = ("forge", "world")  # fixtures of these tests

pytestmark = pytest.mark.soak

# Certificates


def extras(number: int) -> bytes:
    """Certificates that have to do with nothing."""
    return certificates.issued(certificates.server("other.test")).chain * number


def stairs(height: int) -> bytes:
    """A server's certificate below so many authorities, each certified by the next, the last one by the root."""
    names = [f"Step {number}" for number in range(height)] + [certificates.ROOT.common_name]
    parts = [certificates.certificate(certificates.SERVER, names[0])]
    for number in range(height):
        step = certificates.Identity(names[number], is_ca=True)
        parts.append(certificates.certificate(step, names[number + 1]))
    return b"".join(parts)


def many_names(number: int) -> bytes:
    """A certificate for very many hosts."""
    names = (*(f"host{n}.test" for n in range(number)), certificates.HOST)
    return certificates.issued(certificates.server(*names)).chain


CHAINS: dict[str, tuple[Callable[[], bytes], str]] = {
    "50 extras": (lambda: certificates.issued().chain + extras(50), "success"),
    "1000 extras": (lambda: certificates.issued().chain + extras(1000), "SslHandshakeFailedError"),
    "20 deep": (lambda: stairs(20), "success"),
    "150 deep": (lambda: stairs(150), "SslHandshakeFailedError"),
    "1000 names": (lambda: many_names(1000), "success"),
    "another's": (lambda: certificates.issued(certificates.server("other.test")).chain, "SslHandshakeFailedError"),
    "the same 100 times": (lambda: certificates.issued().chain * 100, "success"),
}


@VERSIONS
@pytest.mark.parametrize("what", CHAINS)
async def test_a_giant_chain(
    what: str, *, version: ssl.TLSVersion, autojump_clock: MockClock, world: World, tmp_path: Path
) -> None:
    """Chains that are long, deep or broad are verified as any other, or refused as typed errors; so is the next one."""
    make, expected = CHAINS[what]
    async with world.play(honest, Forge(tmp_path, make()), version) as (url, _):
        for _ in range(2):
            assert await world.outcome(url) == expected
            world.manager.clear_connections()


@VERSIONS
@pytest.mark.parametrize("what", ["50 extras", "20 deep", "1000 names", "the same 100 times"])
async def test_a_giant_chain_of_a_stranger(
    what: str, *, version: ssl.TLSVersion, autojump_clock: MockClock, world: World, tmp_path: Path
) -> None:
    """Not trusted, such a chain is shown whole, and can be ignored as any other."""
    make, _ = CHAINS[what]
    nobody = SslConfiguration(use_system_ca=False)
    async with world.play(honest, Forge(tmp_path, make()), version) as (url, _):
        shown = []
        async with world.manager.get(url, ssl=nobody) as reply:
            async for event in reply:
                if isinstance(event, SslErrors):
                    shown.append(event)
                    reply.ignore_ssl_errors(event.errors)
            assert reply.error is NetworkError.NO_ERROR
            assert reply.read() == BODY
        assert len(shown) == 1
        assert len(shown[0].peer_chain) == make().count(b"-----BEGIN")
        world.manager.clear_connections()


# Servers that never let us rest

RESTLESS: dict[str, tuple[ssl.TLSVersion, str]] = {
    "hello requests before": (TLS_1_2, "before"),
    "hello requests after": (TLS_1_2, "hello requests"),
    "empty messages": (TLS_1_2, "warnings"),
    "session tickets": (TLS_1_3, "session tickets"),
    "key updates": (TLS_1_3, "key updates"),
    "key updates to be answered": (TLS_1_3, "key updates to be answered"),
}


@pytest.mark.parametrize("what", RESTLESS)
async def test_a_flood_that_never_pauses(what: str, tmp_path: Path) -> None:
    """Timeouts hold, and others get their turn, while records come quicker than they can be read: on a real socket.

    On a real clock, too, since a mock clock stands still while anybody is busy.
    """
    version, name = RESTLESS[what]
    forge = Forge(tmp_path)

    async def serve(stream: ServedStream) -> None:
        end = forge.end(Wire(transport_of(stream)), version)
        try:
            await restless(end, name)
        except* EndOfScene:
            pass

    with trio.fail_after(60):
        snapshot = Snapshot.take()
        async with (
            serve_streams(serve) as url,
            open_origin({"/": OriginResponse(body=BODY)}, tls=sound_tls()) as sound,
            trioreply.open_manager(ssl=trust(), connect_timeout=0.5, transfer_timeout=0.5) as manager,
        ):
            async with manager.get(url.replace("http:", "https:")) as reply:
                if name != "before":
                    await reply.wait_metadata()
                assert (await manager.fetch(sound.url(), connect_timeout=20, transfer_timeout=20)).body == BODY
                assert await reply.wait_finished() in {NetworkError.TIMEOUT, NetworkError.UNKNOWN_NETWORK}
            assert is_at_rest(manager)
        await snapshot.assert_nothing_new(grace=5)


async def restless(end: ForgedEnd, name: str) -> None:
    """Send without a pause, and read all answers.

    Raises:
        EndOfScene: the client has had enough; in a group.
    """
    async with trio.open_nursery() as nursery:
        if name == "before":
            await end.wire.receive()
            records = BEFORE["hello requests"]()
        else:
            await end.do_handshake()
            await end.receive_request()
            sealer = end.sealer()
            await end.wire.send(sealer.seal(Content.APPLICATION_DATA, RESPONSE[:50]))
            nursery.start_soon(end.read_on)
            records = AFTER[name](sealer)
        for record in records:
            await end.wire.send(record)
