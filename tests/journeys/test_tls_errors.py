"""Certificate errors and decisions about them: every row of the measured table, and who is asked."""

from __future__ import annotations

import functools

import pytest

import trioreply
from tests.certificates import SAMPLES
from trioreply import (
    Attribute,
    Encrypted,
    NetworkError,
    Reply,
    Request,
    SslConfiguration,
    SslError,
    SslErrorCode,
    SslErrors,
    SslHandshakeFailedError,
    VerifyMode,
)

from .conftest import Place
from .notation import sequence
from .tls_scene import (
    BAD,
    GOOD_END,
    INSISTED,
    LOOSENABLE,
    NAME,
    REFUSED,
    bare_place,
    collect,
    names_of,
    open_scene,
    trusting,
)

__all__ = ("bare_place",)  # the fixture `place` of these tests


# The measured table


async def test_a_good_certificate(place: Place) -> None:
    """A new secure connection is announced once; the next request on it knows its channel without an event."""
    async with open_scene(place, "good_intermediate") as scene:
        async with scene.get() as reply:
            assert sequence(await collect(reply)) == f"S {GOOD_END}"
            tls = reply.tls
            assert tls is not None
            assert tls.version == "TLSv1.3"
            assert tls.alpn == "http/1.1"
            assert [len(tls.peer_chain), len(tls.verified_chain)] == [2, 3]
            assert tls.ignored_errors == ()
            assert reply.attribute(Attribute.CONNECTION_ENCRYPTED) is True
        async with scene.get() as reply:
            assert sequence(await collect(reply)) == "Q H(200) R D(2,2) F(NO_ERROR)"
            assert reply.tls == tls
        assert scene.manager.statistics().tls_handshakes == 1


@pytest.mark.parametrize("name", BAD)
async def test_errors_are_listed_and_nothing_is_sent(name: str, place: Place) -> None:
    """All the errors come in one list, in Qt's order, each with its certificate; unanswered they end the reply before
    a byte of the request is sent, and the server gets an alert.
    """
    async with open_scene(place, name) as scene:
        async with scene.get() as reply:
            events = await collect(reply)
            assert sequence(events) == f"S V({names_of(scene.errors)}) {REFUSED}"
            (asked,) = [event for event in events if isinstance(event, SslErrors)]
            assert asked.errors == scene.errors
            assert reply.error_string.startswith(f"SSL handshake failed: {scene.errors[0].error_string}")
            assert reply.attribute(Attribute.CONNECTION_ENCRYPTED) is False
        assert scene.no_request_seen()
        (shaken,) = scene.origin.handshakes
        assert shaken.handshake_error is not None
        assert "ALERT" in (shaken.handshake_error.reason or "")
        assert scene.manager.statistics().leases == 0


@pytest.mark.parametrize("name", LOOSENABLE)
async def test_exactly_the_shown_errors_ignored(name: str, place: Place) -> None:
    """Ignoring what was shown dials again, and goes on; what was ignored is kept with the channel."""
    async with open_scene(place, name) as scene:
        async with scene.get() as reply:
            events = await collect(reply, lambda event: event.ignore())
            assert sequence(events) == f"S V({names_of(scene.errors)}) S {GOOD_END}"
            assert reply.tls is not None
            assert set(reply.tls.ignored_errors) == set(scene.errors)
        assert len(scene.origin.handshakes) == 2


@pytest.mark.parametrize("name", LOOSENABLE)
async def test_each_error_must_be_ignored(name: str, place: Place) -> None:
    """A list that lacks one error, or one error's certificate, ignores nothing; one that has more does."""
    async with open_scene(place, name) as scene:
        for left_out in range(len(scene.errors)):
            some = [error for at, error in enumerate(scene.errors) if at != left_out]
            async with scene.get() as reply:
                reply.ignore_ssl_errors(some)
                assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
        async with scene.get() as reply:
            reply.ignore_ssl_errors([SslError(error.code) for error in scene.errors])
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
        assert scene.no_request_seen()
        async with scene.get() as reply:
            reply.ignore_ssl_errors([*scene.errors, SslError(SslErrorCode.CERTIFICATE_REVOKED)])
            assert await reply.read_all() == b"ok"


@pytest.mark.parametrize("name", INSISTED)
async def test_an_error_that_cannot_be_ignored_by_itself(name: str, place: Place) -> None:
    """What OpenSSL refuses whatever is loosened is told as that, and nothing is sent."""
    async with open_scene(place, name) as scene:
        async with scene.get() as reply:
            await collect(reply, lambda event: event.ignore())
            assert reply.error is NetworkError.SSL_HANDSHAKE_FAILED
            assert "VerifyMode.NONE" in reply.error_string
        assert scene.no_request_seen()
        async with scene.get() as reply:
            reply.ignore_ssl_errors()
            assert await reply.read_all() == b"ok"


@pytest.mark.parametrize("name", BAD)
async def test_everything_ignored_beforehand(name: str, place: Place) -> None:
    """Without a list everything is ignored, whatever it is; the event comes all the same, its question settled."""
    async with open_scene(place, name) as scene, scene.get() as reply:
        reply.ignore_ssl_errors()

        def too_late(event: SslErrors) -> None:
            with pytest.raises(RuntimeError, match="settled"):
                event.ignore()

        assert sequence(await collect(reply, too_late)) == f"S V({names_of(scene.errors)}) S {GOOD_END}"


async def test_ignored_while_asked(place: Place) -> None:
    """`Reply.ignore_ssl_errors` answers the open question, with a list, with none, or with one that does not do."""
    async with open_scene(place, "self_signed") as scene:
        answers: list[tuple[tuple[SslError, ...] | None, NetworkError]] = [
            (scene.errors, NetworkError.NO_ERROR),
            (None, NetworkError.NO_ERROR),
            ((), NetworkError.SSL_HANDSHAKE_FAILED),
        ]
        for errors, expected in answers:
            async with scene.get() as reply:
                ignore = functools.partial(reply.ignore_ssl_errors, errors)
                await collect(reply, lambda _event, ignore=ignore: ignore())  # type: ignore[misc]  # a default only binds it
                assert reply.error is expected


async def test_the_last_list_counts(place: Place) -> None:
    """Each call replaces the one before; an empty list clears."""
    async with open_scene(place, "self_signed") as scene, scene.get() as reply:
        reply.ignore_ssl_errors()
        reply.ignore_ssl_errors([])
        assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED


async def test_what_is_no_error_cannot_be_ignored(place: Place) -> None:
    """Anything else in the list is a mistake, found where it is made."""
    async with open_scene(place, "self_signed") as scene, scene.get() as reply:
        with pytest.raises(TypeError, match="SslError"):
            reply.ignore_ssl_errors([SslErrorCode.SELF_SIGNED_CERTIFICATE])  # type: ignore[list-item]  # the mistake


@pytest.mark.parametrize("name", BAD)
async def test_verify_none(name: str, place: Place) -> None:
    """VerifyMode.NONE asks nothing and tells nothing."""
    async with open_scene(place, name) as scene:
        async with scene.get(ssl=SslConfiguration(verify=VerifyMode.NONE)) as reply:
            assert sequence(await collect(reply)) == f"S {GOOD_END}"


@pytest.mark.parametrize("name", BAD)
async def test_query(name: str, place: Place) -> None:
    """VerifyMode.QUERY tells, and goes on by itself."""
    async with open_scene(place, name) as scene:
        config = trusting(SAMPLES[name]).replace(verify=VerifyMode.QUERY)
        async with scene.get(ssl=config) as reply:
            assert sequence(await collect(reply)) == f"S V({names_of(scene.errors)}) S {GOOD_END}"


async def test_abort_when_asked(place: Place) -> None:
    """Aborting at SslErrors or Encrypted ends the reply, and nothing is sent."""
    async with open_scene(place, "self_signed") as scene:
        async with scene.get() as reply:
            events = await collect(reply, lambda _event: reply.abort())
            assert sequence(events) == "S V(SELF_SIGNED_CERTIFICATE) E(OPERATION_CANCELED) D(0,0) F(OPERATION_CANCELED)"
        async with scene.get() as reply:
            reply.ignore_ssl_errors()
            async for event in reply:
                if isinstance(event, Encrypted):
                    reply.abort()
            assert reply.error is NetworkError.OPERATION_CANCELED
        assert scene.manager.statistics().leases == 0


async def test_ip_addresses_are_names(place: Place) -> None:
    """A certificate for an address is good for that address, and for no host name."""
    async with open_scene(place, "addresses_only") as scene:
        async with scene.get(peer_verify_name="127.0.0.1") as reply:
            assert await reply.read_all() == b"ok"
        assert scene.origin.handshakes[0].server_name is None, "an address is no server name (RFC 6066 section 3)"


async def test_peer_verify_name_is_asked_for_and_checked(place: Place) -> None:
    """The name goes to the server, and is what the certificate must have."""
    async with open_scene(place, "good") as scene:
        async with scene.get() as reply:
            await reply.read_all()
        async with scene.get(peer_verify_name="other.example") as reply:
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
        assert [stream.server_name for stream in scene.origin.handshakes] == [NAME, "other.example"]


# Whose decision it is


async def test_the_managers_handler_decides_first(place: Place) -> None:
    """An answer of the manager's handler counts, on the event or on the reply; if it declines, the reader is asked."""
    asked: list[str] = []

    async def decide(reply: Reply, event: SslErrors) -> None:
        asked.append(reply.url.path)
        if reply.request.user_data == "event":
            event.ignore()
        elif reply.request.user_data == "reply":
            reply.ignore_ssl_errors(event.errors)

    async with open_scene(place, "self_signed", ssl_errors=decide) as scene:
        for where in ("event", "reply"):
            async with scene.get(user_data=where) as reply:
                assert await reply.read_all() == b"ok"
        async with scene.get(user_data="declines") as reply:
            events = await collect(reply, lambda event: event.ignore())
            assert sequence(events) == "S V(SELF_SIGNED_CERTIFICATE) Q H(200) R D(2,2) F(NO_ERROR)"
        request = Request(scene.origin.url(), peer_verify_name=NAME, user_data="event")
        assert (await scene.manager.fetch(request)).body == b"ok"
        assert len(asked) == 4


async def test_fetch_refuses_at_once(place: Place) -> None:
    """Nobody reads events in fetch, so nobody is waited for."""
    async with open_scene(place, "self_signed") as scene:
        with pytest.raises(SslHandshakeFailedError, match=r"self-signed.*ca_certificates") as caught:
            await scene.manager.fetch(scene.origin.url(), peer_verify_name=NAME)
        assert caught.value.code is NetworkError.SSL_HANDSHAKE_FAILED


async def test_an_open_question_holds_no_connection(place: Place) -> None:
    """While one reply's question is open, another reply gets the only connection there is."""
    limits = trioreply.Limits(per_host=1, total=1)
    async with open_scene(place, "self_signed", limits=limits) as scene, scene.get() as asking:
        assert isinstance(await asking.events.receive(), trioreply.SocketStartedConnecting)
        event = await asking.events.receive()
        assert isinstance(event, SslErrors)
        assert scene.manager.statistics().leases == 0
        async with scene.get() as other:
            other.ignore_ssl_errors(event.errors)
            assert await other.read_all() == b"ok"
        event.ignore()
        assert await asking.read_all() == b"ok"
