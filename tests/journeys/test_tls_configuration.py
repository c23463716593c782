"""What a TLS configuration does, and servers that are no good."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreply
from tests import certificates
from tests.certificates import SAMPLES
from trioreply import (
    Certificate,
    NetworkError,
    RemoteHostClosedError,
    SslConfiguration,
    SslErrors,
    SslHandshakeFailedError,
    TlsVersion,
    UnknownNetworkError,
    VerifyMode,
)
from trioreply.testing import (
    Authority,
    Close,
    OriginResponse,
    RawSend,
    Receive,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
    Truncate,
    open_origin,
    serve_peer,
)

from .conftest import Place
from .notation import sequence
from .tls_scene import (
    GOOD_END,
    REFUSED,
    bare_place,
    collect,
    open_scene,
    trusting,
)

__all__ = ("bare_place",)  # the fixture `place` of these tests


# Configuration


async def test_pins(place: Place) -> None:
    """A pinned key of the chain is demanded beside the verification; a wrong one is an error that shows the right."""
    chain = Certificate.load(SAMPLES["good"].make().chain)
    root = Certificate.load(SAMPLES["good"].make().root)
    async with open_scene(place, "good") as scene:
        config = trusting(SAMPLES["good"])
        for pins in ([chain[0].pin], [root[0].pin], ["sha256/" + "A" * 43 + "=", chain[0].pin]):
            async with scene.get(ssl=config.replace(pins=pins)) as reply:
                assert await reply.read_all() == b"ok"
        wrong = config.replace(pins=["sha256/" + "A" * 43 + "="])
        requests = len(scene.origin.requests)
        async with scene.get(ssl=wrong) as reply:
            assert sequence(await collect(reply)) == f"S V(CERTIFICATE_REJECTED) {REFUSED}"
            assert chain[0].pin in reply.error_string
        assert len(scene.origin.requests) == requests
        async with scene.get(ssl=wrong) as reply:
            events = await collect(reply, lambda event: event.ignore())
            assert sequence(events) == f"S V(CERTIFICATE_REJECTED) S {GOOD_END}"


async def test_pins_hold_without_verification(place: Place) -> None:
    """With VerifyMode.NONE a pin is what is left: it alone decides, and only the server's own key counts."""
    own = Certificate.load(SAMPLES["self_signed"].make().chain)[0]
    async with open_scene(place, "self_signed") as scene:
        for pin, expected in [
            (own.pin, NetworkError.NO_ERROR),
            ("sha256/" + "A" * 43 + "=", NetworkError.SSL_HANDSHAKE_FAILED),
        ]:
            async with scene.get(ssl=SslConfiguration(verify=VerifyMode.NONE, pins=[pin])) as reply:
                assert await reply.wait_finished() is expected


async def test_a_wrong_pin_stands_beside_the_other_errors(place: Place) -> None:
    """An untrusted certificate with a wrong key has both in the list."""
    config = trusting(SAMPLES["self_signed"]).replace(pins=["sha256/" + "A" * 43 + "="])
    async with open_scene(place, "self_signed") as scene, scene.get(ssl=config) as reply:
        events = await collect(reply, lambda event: event.ignore())
        assert sequence(events) == f"S V(SELF_SIGNED_CERTIFICATE,CERTIFICATE_REJECTED) S {GOOD_END}"


async def test_a_context_of_ones_own(place: Place) -> None:
    """A user's context is taken as it is: it accepts what it trusts, and its errors are told but stay."""
    served = SAMPLES["good"].make()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=served.root.decode())
    async with open_scene(place, "good") as scene:
        async with scene.get(ssl=context) as reply:
            assert await reply.read_all() == b"ok"
            assert reply.ssl_configuration is context
        async with scene.get(ssl=strict) as reply:
            with pytest.raises(RuntimeError, match="give a SslConfiguration instead"):
                reply.ignore_ssl_errors()

            def refused(event: SslErrors) -> None:
                with pytest.raises(RuntimeError, match="give a SslConfiguration instead"):
                    event.ignore()

            events = await collect(reply, refused)
            untrusted = "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE,UNABLE_TO_VERIFY_FIRST_CERTIFICATE"
            assert sequence(events) == f"S V({untrusted}) {REFUSED}"
            assert "give a SslConfiguration instead" in reply.error_string
        assert context.get_ca_certs(binary_form=True) == [Certificate.load(served.root)[0].der]


async def test_a_context_that_does_not_look_at_names(place: Place) -> None:
    """The name is not in the list if the user's context does not look at it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    async with open_scene(place, "self_signed_wrong_host") as scene, scene.get(ssl=context) as reply:
        assert sequence(await collect(reply)) == f"S V(SELF_SIGNED_CERTIFICATE) {REFUSED}"


async def test_set_ssl_configuration(place: Place) -> None:
    """Before the block's first checkpoint a reply's configuration can be replaced; afterwards it is in use."""
    async with open_scene(place, "self_signed") as scene, scene.get() as reply:
        assert reply.ssl_configuration == trusting(SAMPLES["self_signed"])
        config = SslConfiguration(verify=VerifyMode.NONE)
        reply.set_ssl_configuration(config)
        assert reply.ssl_configuration is config
        with pytest.raises(TypeError, match="ssl: "):
            reply.set_ssl_configuration("none")  # type: ignore[arg-type]  # the mistake
        await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="ssl= with the request"):
            reply.set_ssl_configuration(SslConfiguration())
        assert await reply.read_all() == b"ok"


async def test_the_default_configuration(place: Place) -> None:
    """Without a word about TLS a reply has the default configuration, which trusts the system's authorities."""
    async with place.open_manager() as manager, manager.get("data:,x") as reply:
        assert reply.ssl_configuration == SslConfiguration()


async def test_client_certificates(place: Place) -> None:
    """A client's certificate reaches the server, from files and from bytes, encrypted and not."""
    authority = Authority()
    chain, key = authority.client_certificate("client@example.org")
    tls = authority.serve("127.0.0.1", "origin.test", client_ca=authority.certificate_pem)
    async with open_origin({"/": OriginResponse(body=b"ok")}, network=place.network, tls=tls) as origin:
        async with place.open_manager(ssl=authority.trust()) as manager:
            config = authority.trust().replace(certificate=chain, private_key=key)
            assert (await manager.fetch(origin.url(), ssl=config)).body == b"ok"
            assert origin.handshakes[-1].client_certificate == Certificate.load(chain)[0].der
            with pytest.raises(UnknownNetworkError, match=r"SslConfiguration\(certificate=..., private_key=...\)"):
                await manager.fetch(origin.url())
            assert len(origin.requests) == 1


async def test_a_missing_client_certificate_in_tls_1_2(place: Place) -> None:
    """There it fails within the handshake, with the same remedy."""
    authority = Authority()
    tls = authority.serve(
        "127.0.0.1", "origin.test", client_ca=authority.certificate_pem, maximum_version=ssl.TLSVersion.TLSv1_2
    )
    async with open_origin({}, network=place.network, tls=tls) as origin:
        async with place.open_manager(ssl=authority.trust()) as manager:
            with pytest.raises(SslHandshakeFailedError, match=r"certificate=\.\.\., private_key"):
                await manager.fetch(origin.url())


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (SslConfiguration(ca_certificates=Path("/nowhere/ca.pem")), "ca_certificates: .*nowhere"),
        (SslConfiguration(ciphers="NONSENSE"), "ciphers: "),
        (
            SslConfiguration(
                certificate=certificates.issued().chain, private_key=certificates.key_pem(b"right"), password="wrong"
            ),
            "password",
        ),
    ],
)
async def test_an_impossible_configuration(config: SslConfiguration, text: str, place: Place) -> None:
    """What cannot be loaded is a typed error that names the field, and nobody is dialled."""
    async with open_scene(place, "good") as scene:
        async with scene.get(ssl=config) as reply:
            assert sequence(await collect(reply)) == REFUSED
        with pytest.raises(SslHandshakeFailedError, match=text):
            reply.raise_for_error()
        assert scene.origin.handshakes == []


# Servers that are no good


async def test_plain_http_on_the_port(place: Place) -> None:
    """A server that does not speak TLS is named as that."""
    peer = ScriptedPeer(Receive(count=5), Send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), Close())
    async with serve_peer(peer, network=place.network) as url, place.open_manager() as manager:
        secure = url.replace("http:", "https:") + ("" if place.network is None else ":80")
        with pytest.raises(SslHandshakeFailedError, match="use http:"):
            await manager.fetch(secure)


async def test_old_versions_only(place: Place) -> None:
    """A server that speaks only what we do not is told apart, with the remedy."""
    authority = Authority()
    tls = authority.serve("127.0.0.1", "origin.test", maximum_version=ssl.TLSVersion.TLSv1_2)
    async with open_origin({}, network=place.network, tls=tls) as origin:
        config = authority.trust().replace(minimum_version=TlsVersion.TLS_1_3)
        async with place.open_manager(ssl=config) as manager:
            with pytest.raises(SslHandshakeFailedError, match="minimum_version"):
                await manager.fetch(origin.url())


@pytest.mark.parametrize("ending", [Close(), Stall()])
async def test_a_handshake_that_does_not_end(ending: Close | Stall, memory: Place, autojump_clock: MockClock) -> None:
    """A server that closes in the handshake, or goes silent, ends it: at once, or by the connect timeout."""
    peer = ScriptedPeer(Receive(count=5), Send(b"\x16\x03\x03"), ending)
    async with serve_peer(peer, network=memory.network) as url, memory.open_manager(connect_timeout=3) as manager:
        secure = url.replace("http:", "https:") + ":80"
        expected = RemoteHostClosedError if isinstance(ending, Close) else trioreply.errors.TimeoutError
        with pytest.raises(expected):
            await manager.fetch(secure)
        assert manager.statistics().leases == 0


async def test_redials_share_the_connect_timeout(memory: Place, autojump_clock: MockClock) -> None:
    """Connecting again takes its time from the same budget; time in which a question is open does not count."""
    assert memory.network is not None
    async with open_scene(memory, "self_signed", connect_timeout=3) as scene:
        memory.network.host("origin.test").delay = 2
        async with scene.get() as reply:
            async for event in reply:
                if isinstance(event, SslErrors):
                    await trio.sleep(100)
                    event.ignore()
            assert reply.error is NetworkError.TIMEOUT
            assert trio.current_time() == pytest.approx(103, abs=0.5)


TRUNCATED = b"HTTP/1.1 200 OK\r\n\r\nhello"


@pytest.mark.parametrize(
    ("ending", "error"), [(Close(), NetworkError.NO_ERROR), (Truncate(), NetworkError.REMOTE_HOST_CLOSED)]
)
async def test_truncation(ending: Close | Truncate, error: NetworkError, place: Place) -> None:
    """A body that ends with the connection is complete only if TLS says so."""
    authority = Authority()
    peer = ScriptedPeer(ReceiveRequest(), Send(TRUNCATED), ending)
    tls = authority.serve("127.0.0.1", "peer.test")
    async with serve_peer(peer, network=place.network, tls=tls) as url:
        async with place.open_manager(ssl=authority.trust()) as manager, manager.get(url) as reply:
            assert await reply.wait_finished() is error
            assert reply.read() == b"hello"
            if error is not NetworkError.NO_ERROR:
                assert "close_notify" in reply.error_string


async def test_garbage_below_tls(place: Place) -> None:
    """Bytes that are no TLS, after the handshake: a typed error, and what came before stays readable."""
    authority = Authority()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
    peer = ScriptedPeer(ReceiveRequest(), Send(head), RawSend(b"garbage" * 10), Stall())
    tls = authority.serve("127.0.0.1", "peer.test")
    async with serve_peer(peer, network=place.network, tls=tls) as url:
        async with place.open_manager(ssl=authority.trust()) as manager, manager.get(url) as reply:
            assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
            assert reply.read() == b"hello"
            assert "TLS error" in reply.error_string


async def test_the_key_log(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSLKEYLOGFILE is heeded if the environment is trusted; the configuration's own file in any case."""
    from_env, own = tmp_path / "env.log", tmp_path / "own.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(from_env))
    sample = SAMPLES["good"]
    for trust_env, config, expected in [
        (False, trusting(sample), None),
        (True, trusting(sample), from_env),
        (True, trusting(sample).replace(key_log=own), own),
    ]:
        for path in (from_env, own):
            path.unlink(missing_ok=True)
        async with open_scene(place, "good", trust_env=trust_env) as scene, scene.get(ssl=config) as reply:
            await reply.read_all()
        assert [path for path in (from_env, own) if path.exists()] == ([] if expected is None else [expected])


async def test_preconnect(place: Place) -> None:
    """A connection opened ahead is secured ahead, under the manager's configuration."""
    authority = Authority()
    tls = authority.serve("127.0.0.1", "origin.test")
    async with open_origin({"/": OriginResponse(body=b"ok")}, network=place.network, tls=tls) as origin:
        async with place.open_manager(ssl=authority.trust()) as manager:
            await manager.preconnect(origin.url())
            assert manager.statistics().tls_handshakes == 1
            async with manager.get(origin.url()) as reply:
                assert sequence([event async for event in reply]) == "Q H(200) R D(2,2) F(NO_ERROR)"
        async with place.open_manager(ssl=SslConfiguration(use_system_ca=False)) as manager:
            with pytest.raises(SslHandshakeFailedError):
                await manager.preconnect(origin.url())


async def test_a_protocol_that_is_not_spoken_here(place: Place) -> None:
    """A server that was offered HTTP/2 by hand, and takes it, is not sent HTTP/1.1."""
    authority = Authority()
    tls = authority.serve("127.0.0.1", "origin.test", alpn=("h2",))
    async with open_origin({}, network=place.network, tls=tls) as origin:
        async with place.open_manager(ssl=authority.trust().replace(alpn=["h2"])) as manager:
            with pytest.raises(SslHandshakeFailedError, match="alpn: the server chose 'h2'"):
                await manager.fetch(origin.url())
            assert manager.statistics().leases == 0


async def test_pins_of_a_chain_with_another_error(place: Place) -> None:
    """A chain whose issuer is trusted is compared as a whole: a date that is over does not make its pin a wrong one."""
    root = Certificate.load(SAMPLES["expired"].make().root)[0]
    config = trusting(SAMPLES["expired"]).replace(pins=[root.pin])
    async with open_scene(place, "expired") as scene, scene.get(ssl=config) as reply:
        events = await collect(reply, lambda event: event.ignore())
        assert sequence(events) == f"S V(CERTIFICATE_EXPIRED) S {GOOD_END}"
