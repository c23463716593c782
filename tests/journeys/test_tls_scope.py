"""What one reply ignores is no other reply's business, and the configuration is part of the key of a connection."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.certificates import SAMPLES
from trioreply import (
    Manager,
    NetworkError,
    SslConfiguration,
    SslError,
    SslErrors,
    VerifyMode,
)
from trioreply.testing import (
    OriginResponse,
    ServerTls,
    open_origin,
)

from .conftest import Place
from .notation import sequence
from .tls_scene import (
    GOOD_END,
    NAME,
    bare_place,
    collect,
    open_scene,
    server_tls,
    trusting,
)

__all__ = ("bare_place",)  # the fixture `place` of these tests


# What must not leak


async def test_parallel_replies_decide_for_themselves(place: Place) -> None:
    """Of two replies at once only the one that ignores goes on, and each gets the errors itself."""
    async with open_scene(place, "self_signed") as scene:
        async with scene.get() as lenient, scene.get() as strict:
            lenient.ignore_ssl_errors()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lenient.wait_finished)
                nursery.start_soon(strict.wait_finished)
            assert lenient.error is NetworkError.NO_ERROR
            assert strict.error is NetworkError.SSL_HANDSHAKE_FAILED
        assert len(scene.origin.requests) == 1


async def test_later_replies_decide_for_themselves(place: Place) -> None:
    """A kept connection whose errors somebody ignored serves nobody who did not ignore the same."""
    async with open_scene(place, "self_signed") as scene:
        async with scene.get() as reply:
            await collect(reply, lambda event: event.ignore())
        assert scene.manager.statistics().idle == 1
        async with scene.get() as reply:
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
        async with scene.get() as reply:
            assert sequence(await collect(reply, lambda event: event.ignore())) == (
                "S V(SELF_SIGNED_CERTIFICATE) Q H(200) R D(2,2) F(NO_ERROR)"
            ), "the same errors ignored by the same answer: the kept connection will do"
        async with scene.get() as reply:
            reply.ignore_ssl_errors()
            assert sequence(await collect(reply)).startswith("S V(SELF_SIGNED_CERTIFICATE) S T"), "that one is laxer"
        assert len(scene.origin.requests) == 3


async def test_the_configuration_is_part_of_the_key(place: Place) -> None:
    """A request that verifies never gets a connection that did not, nor one of another name or client certificate."""
    async with open_scene(place, "self_signed") as scene:
        async with scene.get(ssl=SslConfiguration(verify=VerifyMode.NONE)) as reply:
            await reply.read_all()
        async with scene.get() as reply:
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
    async with open_scene(place, "good") as scene:
        for config in (trusting(SAMPLES["good"]), trusting(SAMPLES["good"]).replace(alpn=["http/1.1", "x"])):
            async with scene.get(ssl=config) as reply:
                await reply.read_all()
        assert scene.manager.statistics().idle == 2
        (counts,) = scene.manager.statistics().connections.values()
        assert counts.idle == 2
        async with scene.get(peer_verify_name="127.0.0.1") as reply:
            await reply.read_all()
        assert len(scene.origin.handshakes) == 3
        async with scene.get(ssl=trusting(SAMPLES["good"])) as reply:
            await reply.read_all()
        assert len(scene.origin.handshakes) == 3, "an equal configuration shares the connection"


async def test_a_session_serves_only_the_same_configuration(place: Place) -> None:
    """Resumption skips verification, so a session that was begun leniently is not offered by a strict reply."""
    closing = {"/": OriginResponse(body=b"ok", close=True)}
    async with open_scene(place, "self_signed") as scene:
        scene.origin.routes = closing
        for _ in range(2):
            async with scene.get(ssl=SslConfiguration(verify=VerifyMode.NONE)) as reply:
                await reply.read_all()
        assert scene.manager.statistics().tls_resumptions == 1
        async with scene.get() as reply:
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
        assert not scene.origin.handshakes[-1].session_reused


@pytest.mark.parametrize("reuse", [True, False])
async def test_sessions_are_resumed(place: Place, reuse: bool) -> None:
    """A new connection resumes the session of an earlier one, unless the configuration says no; statistics count."""
    async with open_scene(place, "good_intermediate") as scene:
        scene.origin.routes = {"/": OriginResponse(body=b"ok", close=True)}
        config = trusting(SAMPLES["good_intermediate"]).replace(session_reuse=reuse)
        for _ in range(3):
            async with scene.get(ssl=config) as reply:
                await reply.read_all()
                assert reply.tls is not None
                assert len(reply.tls.peer_chain) == 2
                assert len(reply.tls.verified_chain) == 3
        statistics = scene.manager.statistics()
        assert (statistics.tls_handshakes, statistics.tls_resumptions) == (3, 2 if reuse else 0)
        assert [stream.session_reused for stream in scene.origin.handshakes] == [False, reuse, reuse]


# The certificate between two handshakes


@asynccontextmanager
async def open_changing(place: Place, *names: str) -> AsyncIterator[tuple[Manager, str, list[str]]]:
    """A server that shows another certificate with each connection; the last one goes on."""
    seen: list[str] = []
    contexts = [server_tls(SAMPLES[name].make()).context for name in names]
    front = ServerTls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def choose(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        tls.context = contexts[min(len(seen), len(contexts) - 1)]
        seen.append(name or "")

    front.context.sni_callback = choose
    async with open_origin({"/": OriginResponse(body=b"ok")}, network=place.network, tls=front) as origin:
        config = SslConfiguration(use_system_ca=False, session_reuse=False)
        async with place.open_manager(ssl=config) as manager:
            yield manager, origin.url(), seen


async def test_another_certificate_is_another_question(place: Place) -> None:
    """What was ignored of one certificate says nothing of another: its own errors are told, and asked about."""
    async with open_changing(place, "self_signed", "untrusted", "untrusted") as (manager, url, seen):
        asked: list[tuple[SslError, ...]] = []
        async with manager.get(url, peer_verify_name=NAME) as reply:

            def ignore(event: SslErrors) -> None:
                asked.append(event.errors)
                event.ignore()

            events = await collect(reply, ignore)
            untrusted = "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE,UNABLE_TO_VERIFY_FIRST_CERTIFICATE"
            assert sequence(events) == f"S V(SELF_SIGNED_CERTIFICATE) S S V({untrusted}) S {GOOD_END}"
        assert len(asked) == 2
        assert len(seen) == 4


async def test_a_certificate_that_changes_each_time(place: Place) -> None:
    """A server that never shows the same certificate twice is given up, however much is ignored."""
    names = ["self_signed", "untrusted"] * 4
    async with open_changing(place, *names) as (manager, url, seen):
        async with manager.get(url, peer_verify_name=NAME) as reply:
            reply.ignore_ssl_errors()
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
            assert "another certificate each time" in reply.error_string
        assert len(seen) == 5


async def test_a_good_certificate_the_second_time(place: Place) -> None:
    """A server that has got a good certificate meanwhile is simply accepted."""
    async with open_changing(place, "self_signed", "good", "good") as (manager, url, _seen):
        config = SslConfiguration(ca_certificates=SAMPLES["good"].make().root, use_system_ca=False)
        async with manager.get(url, peer_verify_name=NAME, ssl=config) as reply:
            events = await collect(reply, lambda event: event.ignore())
            assert sequence(events) == f"S V(SELF_SIGNED_CERTIFICATE) S S {GOOD_END}"
            assert reply.tls is not None
            assert reply.tls.ignored_errors == ()
