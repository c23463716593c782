"""Journeys with nginx over TLS: certificates, versions, resumption, and the ends of secure connections."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trustme

import trioreply
from trioreply import (
    Certificate,
    Encrypted,
    Event,
    Manager,
    NetworkError,
    Response,
    SslConfiguration,
    SslErrorCode,
    SslErrors,
    SslHandshakeFailedError,
)

from ..soak.large import write_large
from .dialing import HereResolver, WatchedDialer
from .nginx import PAGE, SMALL, Nginx
from .nginx_tls import NAMES, OLD, RESUMING, SecureNginx

SECONDS = 30.0
"""No journey takes a tenth of it."""

MIB = 1024 * 1024


@pytest.fixture
async def manager(secure_nginx: SecureNginx) -> AsyncIterator[Manager]:
    """A manager that trusts the server's authority."""
    with trio.fail_after(SECONDS):
        async with trioreply.open_manager(ssl=secure_nginx.trust) as manager:
            yield manager


async def said(manager: Manager, url: str, ssl: SslConfiguration | None = None) -> list[str]:
    """What the server says of its TLS: version, ``r`` if resumed and else ``.``, name asked for, the client's name."""
    return (await manager.fetch(url, ssl=ssl)).text().split(",", 3)


async def test_a_small_file(manager: Manager, secure_nginx: SecureNginx) -> None:
    """A file arrives as it does without TLS, with `Encrypted` before the request, and the channel described."""
    async with manager.get(secure_nginx.url("usual", "/small")) as reply:
        events = [type(event).__name__ async for event in reply]
        assert reply.read() == SMALL
        assert reply.tls is not None
        assert (reply.tls.version, reply.tls.alpn) == ("TLSv1.3", "http/1.1")
        assert reply.tls.peer_certificate is not None
        assert reply.tls.peer_certificate.subject_alternative_names == ("127.0.0.1",)
        assert [one.is_ca for one in reply.tls.verified_chain] == [False, True]
    rest = ["RequestSent", "MetaDataChanged", "ReadyRead", "Progress", "Finished"]
    assert events == ["SocketStartedConnecting", "Encrypted", *rest]


async def test_one_connection_for_one_request_after_another(manager: Manager, secure_nginx: SecureNginx) -> None:
    """Twenty requests take one handshake, and the server sees one connection."""
    responses = [await manager.fetch(secure_nginx.url("usual", "/page.txt")) for _ in range(20)]
    assert {response.body for response in responses} == {PAGE}
    assert [response.headers["X-Requests"] for response in responses] == [str(count) for count in range(1, 21)]
    statistics = manager.statistics()
    assert (statistics.tls_handshakes, statistics.tls_resumptions, statistics.idle) == (1, 0, 1)
    assert list(statistics.connections) == [secure_nginx.url("usual", "")]


async def test_many_at_once(manager: Manager, secure_nginx: SecureNginx) -> None:
    """Thirty requests at once share six secure connections, and each gets its own answer."""
    responses: dict[int, Response] = {}

    async def put_and_get(number: int) -> None:
        url = secure_nginx.url("usual", f"/dav/{number}")
        await manager.fetch(url, verb="PUT", body=b"%d," % number * 10_000)
        responses[number] = await manager.fetch(url)

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(put_and_get, number)
    assert {number: response.body for number, response in responses.items()} == {
        number: b"%d," % number * 10_000 for number in range(30)
    }
    assert manager.statistics().tls_handshakes <= 6


async def test_put_then_get_then_delete(manager: Manager, secure_nginx: SecureNginx, tmp_path: Path) -> None:
    """A file of many records is stored as it is, read back the same, and removed; one connection does all of it."""
    content = bytes(range(256)) * 16 * 1024
    (tmp_path / "file").write_bytes(content)
    url = secure_nginx.url("usual", "/dav/file")
    async with manager.put(url, tmp_path / "file") as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert (secure_nginx.nginx.files / "dav/file").read_bytes() == content
    assert (await manager.fetch(url)).body == content
    deleted = await manager.fetch(url, verb="DELETE")
    assert (deleted.status_code, deleted.headers["X-Requests"]) == (204, "3")


async def test_an_upload_of_unknown_length(manager: Manager, secure_nginx: SecureNginx) -> None:
    """What is generated while it is sent goes out in chunks, and arrives."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(300):
            yield b"%08d" % number * 1000

    await manager.fetch(secure_nginx.url("usual", "/dav/in-chunks"), verb="PUT", body=body())
    stored = (secure_nginx.nginx.files / "dav/in-chunks").read_bytes()
    assert stored == b"".join(b"%08d" % number * 1000 for number in range(300))


async def test_an_early_413(manager: Manager, secure_nginx: SecureNginx) -> None:
    """A server that refuses 20 MiB after the first of them is heard, and the cut connection is not used again."""
    async with manager.put(secure_nginx.url("usual", "/at-most-1m/file"), bytes(20 * MIB)) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_CONTENT
        assert reply.status_code == 413
        assert b"413 Request Entity Too Large" in await reply.read_all()
    assert manager.statistics().connections == {}
    assert (await manager.fetch(secure_nginx.url("usual", "/small"))).body == SMALL


@pytest.mark.parametrize("way", ["events", "chunks", "stream"])
async def test_a_large_download_is_intact(way: str, manager: Manager, secure_nginx: SecureNginx) -> None:
    """32 MiB arrive as they are, whichever way they are read."""
    name = f"large-{way}"
    expected = write_large(secure_nginx.nginx.files / name, 32 * MIB)
    digest = hashlib.sha256()
    async with manager.get(secure_nginx.url("usual", f"/{name}")) as reply:
        if way == "events":
            async for event in reply:
                if isinstance(event, trioreply.ReadyRead):
                    digest.update(reply.read())
        elif way == "chunks":
            async for piece in reply.chunks():
                digest.update(piece)
        else:
            async for octets in reply.stream:
                digest.update(octets)
        reply.raise_for_error()
    (secure_nginx.nginx.files / name).unlink()
    assert digest.hexdigest() == expected


# Sessions


@pytest.mark.parametrize("name", RESUMING)
async def test_resumption(name: str, manager: Manager, secure_nginx: SecureNginx) -> None:
    """Later connections resume the first one's session, as both sides say, and still know the certificate."""
    certificates: set[Certificate | None] = set()
    for resumed in (False, True, True):
        async with manager.get(secure_nginx.url(name, "/tls")) as reply:
            version, mark, *_ = (await reply.text()).split(",")
            assert reply.tls is not None
            assert (version, mark) == (name.partition(" ")[0], "r" if resumed else ".")
            assert reply.tls.session_reused is resumed
            certificates.add(reply.tls.peer_certificate)
        manager.clear_connections()
    assert len(certificates - {None}) == 1
    statistics = manager.statistics()
    assert (statistics.tls_handshakes, statistics.tls_resumptions) == (3, 2)


@pytest.mark.parametrize("name", RESUMING)
async def test_no_resumption_where_it_is_not_wanted(name: str, manager: Manager, secure_nginx: SecureNginx) -> None:
    """With ``session_reuse=False`` each connection is new to the server, and nothing is left for others to resume."""
    ssl = secure_nginx.trust.replace(session_reuse=False)
    marks = []
    for configuration in (ssl, ssl, None):
        marks.append((await said(manager, secure_nginx.url(name, "/tls"), configuration))[1])
        manager.clear_connections()
    assert marks == [".", ".", "."]
    assert manager.statistics().tls_resumptions == 0


@pytest.mark.parametrize("name", RESUMING)
async def test_a_server_that_forgot_all_sessions(name: str, own_secure_nginx: SecureNginx) -> None:
    """After a restart the server knows no session: the request succeeds with a whole handshake, and verifies again."""
    async with trioreply.open_manager(ssl=own_secure_nginx.trust) as manager:
        await said(manager, own_secure_nginx.url(name, "/tls"))
        own_secure_nginx.nginx.restart()
        assert (await said(manager, own_secure_nginx.url(name, "/tls")))[1] == "."
        manager.clear_connections()
        assert (await said(manager, own_secure_nginx.url(name, "/tls")))[1] == "r"
        assert manager.statistics().tls_resumptions == 1


# Certificates


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_with_several_names(name: str, secure_nginx: SecureNginx) -> None:
    """Two hosts on one address and port have a certificate each: SNI says which one is meant."""
    async with trioreply.open_manager(ssl=secure_nginx.trust, resolver=HereResolver()) as manager:
        async with manager.get(f"https://{name}:{secure_nginx.nginx.ports['named']}/tls") as reply:
            assert (await reply.text()).split(",")[2] == name
            assert reply.tls is not None
            assert reply.tls.peer_certificate is not None
            assert reply.tls.peer_certificate.subject_alternative_names == (name,)


async def test_the_wrong_one_of_several_names(secure_nginx: SecureNginx) -> None:
    """A name that the server does not know gets somebody else's certificate, which is a `HOST_NAME_MISMATCH`."""
    async with trioreply.open_manager(ssl=secure_nginx.trust, resolver=HereResolver()) as manager:
        async with manager.get(f"https://three.test:{secure_nginx.nginx.ports['named']}/small") as reply:
            events = [event async for event in reply]
    assert [[error.code for error in event.errors] for event in events if isinstance(event, SslErrors)] == [
        [SslErrorCode.HOST_NAME_MISMATCH]
    ]
    assert reply.error is NetworkError.SSL_HANDSHAKE_FAILED


async def test_self_signed_and_ignored(manager: Manager, secure_nginx: SecureNginx) -> None:
    """A self-signed device is shown with all its errors; ignored, it answers; the next reply is asked again."""
    url = secure_nginx.url("self-signed", "/small")
    for ignores in (True, False):
        events: list[Event] = []
        async with manager.get(url) as reply:
            async for event in reply:
                events.append(event)
                if isinstance(event, SslErrors) and ignores:
                    reply.ignore_ssl_errors(event.errors)
            assert reply.read() == (SMALL if ignores else b"")
        shown = [event for event in events if isinstance(event, SslErrors)]
        assert [[error.code for error in event.errors] for event in shown] == [
            [SslErrorCode.HOST_NAME_MISMATCH, SslErrorCode.SELF_SIGNED_CERTIFICATE]
        ]
        assert [event.tls.ignored_errors for event in events if isinstance(event, Encrypted)] == (
            [shown[0].errors] if ignores else []
        )
        assert reply.error is (NetworkError.NO_ERROR if ignores else NetworkError.SSL_HANDSHAKE_FAILED)


async def test_a_refused_server_sees_no_request(own_secure_nginx: SecureNginx) -> None:
    """Not a byte of a request reaches a server whose certificate is not accepted."""
    async with trioreply.open_manager(ssl=own_secure_nginx.trust) as manager:
        with pytest.raises(SslHandshakeFailedError, match="not valid for this host name"):
            await manager.fetch(own_secure_nginx.url("self-signed", "/secret"))
        await manager.fetch(own_secure_nginx.url("usual", "/small"))
    own_secure_nginx.nginx.stop()  # which writes the log's last line
    assert [line.split()[0] for line in own_secure_nginx.nginx.log] == ["/small"]


async def test_a_private_authority_that_nobody_trusts(secure_nginx: SecureNginx) -> None:
    """A manager as it comes does not trust the tests' authority."""
    async with trioreply.open_manager() as manager:
        with pytest.raises(SslHandshakeFailedError, match="issuer certificate is not known"):
            await manager.fetch(secure_nginx.url("usual", "/small"))


@pytest.mark.parametrize("name", ["clients", "clients, TLSv1.3"])
async def test_a_client_certificate_is_required(name: str, manager: Manager, secure_nginx: SecureNginx) -> None:
    """Without one nginx answers, in plain words, 400; with one it knows who we are; one has no part in the other."""
    url = secure_nginx.url(name, "/tls")
    ssl = secure_nginx.as_client("client@example.org")
    for _ in range(2):
        refused = await manager.fetch(url, raise_for_error=False)
        assert (refused.status_code, refused.error) == (400, NetworkError.PROTOCOL_INVALID_OPERATION)
        assert b"No required SSL certificate was sent" in refused.body
        assert "O=trustme" in (await said(manager, url, ssl))[3]
    assert manager.statistics().tls_handshakes - manager.statistics().tls_resumptions >= 2


async def test_a_client_certificate_that_the_server_does_not_trust(manager: Manager, secure_nginx: SecureNginx) -> None:
    """A stranger's certificate is refused by nginx with a 400 of its own."""
    ssl = secure_nginx.as_client("client@example.org", issuer=trustme.CA())
    refused = await manager.fetch(secure_nginx.url("clients", "/tls"), ssl=ssl, raise_for_error=False)
    assert refused.status_code == 400
    assert b"The SSL certificate error" in refused.body


# Versions, and none at all


@pytest.mark.parametrize("name", OLD)
async def test_old_versions_are_refused(name: str, manager: Manager, secure_nginx: SecureNginx) -> None:
    """A server that speaks only what RFC 8996 forbids is SSL_HANDSHAKE_FAILED, and the text names the remedy."""
    with pytest.raises(SslHandshakeFailedError, match=r"no TLS version in common.*minimum_version"):
        await manager.fetch(secure_nginx.url(name, "/small"))
    assert manager.statistics().connections == {}


@pytest.mark.parametrize("name", OLD)
async def test_old_versions_for_who_insists(name: str, manager: Manager, secure_nginx: SecureNginx) -> None:
    """The remedy works, as far as OpenSSL still can."""
    ssl = secure_nginx.trust.replace(minimum_version="TLSv1", ciphers="ALL:@SECLEVEL=0")
    assert (await said(manager, secure_nginx.url(name, "/tls"), ssl))[0] == name


async def test_http_on_the_secure_port(manager: Manager, secure_nginx: SecureNginx) -> None:
    """``http:`` to a port that wants TLS brings nginx's own 400, as any other error page."""
    url = secure_nginx.url("usual", "/small").replace("https:", "http:")
    response = await manager.fetch(url, raise_for_error=False)
    assert response.status_code == 400
    assert b"The plain HTTP request was sent to HTTPS port" in response.body


async def test_tls_on_the_plain_port(manager: Manager, nginx: Nginx) -> None:
    """``https:`` to a port that speaks HTTP is SSL_HANDSHAKE_FAILED, and the text says what is the matter."""
    with pytest.raises(SslHandshakeFailedError, match="does not speak TLS there; check the port"):
        await manager.fetch(nginx.url("/small").replace("http:", "https:"))
    assert manager.statistics().connections == {}


# Ends of connections


async def test_a_body_up_to_the_end_of_the_connection(manager: Manager, secure_nginx: SecureNginx) -> None:
    """Such a body ends with a close_notify, so it is known to be whole."""
    response = await manager.fetch(secure_nginx.url("usual", "/until-the-end/page.html"))
    assert response.body == PAGE + b"GET"
    assert manager.statistics().connections == {}


async def test_a_server_that_gives_up_on_an_idle_connection(secure_nginx: SecureNginx) -> None:
    """A kept connection that the server has closed is noticed before the next request, even one never repeated."""
    dialer = WatchedDialer()
    async with trioreply.open_manager(dialer=dialer, ssl=secure_nginx.trust) as manager:
        await manager.fetch(secure_nginx.url("usual", "/brief"))
        assert manager.statistics().idle == 1
        with trio.fail_after(SECONDS):
            await trio.lowlevel.wait_readable(dialer.streams[0]._socket)  # the server's farewell
        async with manager.post(secure_nginx.url("usual", "/tls"), b"a POST is never sent twice") as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
            assert not reply.timings.reused
    assert len(dialer.streams) == 2


async def test_a_server_that_stops_in_the_middle(own_secure_nginx: SecureNginx) -> None:
    """A download whose server ends is REMOTE_HOST_CLOSED: what came is readable, and is not taken for the whole."""
    with (own_secure_nginx.nginx.files / "large").open("wb") as file:
        file.truncate(64 * MIB)
    async with trioreply.open_manager(ssl=own_secure_nginx.trust) as manager:
        async with manager.get(own_secure_nginx.url("usual", "/large"), read_buffer_size=64 * 1024) as reply:
            received = len(await reply.read_exactly(MIB))
            own_secure_nginx.nginx.stop()
            with pytest.raises(trio.BrokenResourceError):
                async for piece in reply.chunks():
                    received += len(piece)
            assert reply.error is NetworkError.REMOTE_HOST_CLOSED
            assert MIB < received < 64 * MIB
        assert manager.statistics().connections == {}


async def test_connecting_ahead(manager: Manager, secure_nginx: SecureNginx) -> None:
    """A connection opened ahead has its handshake behind it, and carries the next request."""
    await manager.preconnect(secure_nginx.url("usual", "/"))
    assert (manager.statistics().idle, manager.statistics().tls_handshakes) == (1, 1)
    async with manager.get(secure_nginx.url("usual", "/small")) as reply:
        assert await reply.read_all() == SMALL
        assert reply.timings.reused
    assert manager.statistics().tls_handshakes == 1


@pytest.mark.parametrize("name", ["TLSv1.2 tickets", "TLSv1.3 tickets"])
@pytest.mark.parametrize("by", ["argument", "environment"])
async def test_a_key_log(
    name: str, *, by: str, secure_nginx: SecureNginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secrets are written in NSS's format, one client random for each connection, as other programs want it."""
    path = tmp_path / "keys.log"
    ssl = secure_nginx.trust
    if by == "argument":
        ssl = ssl.replace(key_log=path)
    else:
        monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    async with trioreply.open_manager(ssl=ssl) as manager:
        await manager.fetch(secure_nginx.url(name, "/small"))
    lines = [line for line in path.read_text("ascii").splitlines() if not line.startswith("#")]
    parts = [re.fullmatch(r"([A-Z0-9_]+) ([0-9a-f]{64}) ([0-9a-f]{64,96})", line) for line in lines]
    assert lines
    assert all(parts)
    assert len({part[2] for part in parts if part}) == 1
    first = "CLIENT_RANDOM" if name.startswith("TLSv1.2") else "CLIENT_TRAFFIC_SECRET_0"
    assert first in {part[1] for part in parts if part}
