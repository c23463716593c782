"""Journeys with OpenSSL's test server: pre-shared keys, new keys in the middle, renegotiation, certificates wanted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
import trustme

import trioreply
from trioreply import (
    Manager,
    NetworkError,
    RemoteHostClosedError,
    ReplyError,
    SslConfiguration,
    SslHandshakeFailedError,
    UnknownNetworkError,
)
from trioreply._net.tls_context import HAS_PSK

from .s_server import certificate_arguments, running_s_server

SECONDS = 30.0
VERSIONS = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
IDENTITY, KEY = "a device", bytes(range(32))
PSK_ARGUMENTS = ["-nocert", "-psk", KEY.hex(), "-psk_identity", IDENTITY, "-www"]
HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nfirst,"
needs_psk = pytest.mark.skipif(not HAS_PSK, reason="pre-shared keys came with Python 3.13")


def trust(ca: trustme.CA) -> SslConfiguration:
    """Only ``ca``."""
    return SslConfiguration(ca_certificates=[ca.cert_pem.bytes()], use_system_ca=False)


async def page(manager: Manager, url: str, ssl: SslConfiguration) -> str:
    """The server's page about the connection."""
    with trio.fail_after(SECONDS):
        return (await manager.fetch(url, ssl=ssl)).text()


@needs_psk
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("function", [False, True], ids=["pair", "function"])
async def test_a_pre_shared_key(version: str, *, function: bool) -> None:
    """With a key that both sides know no certificate is shown, and none is needed."""
    ssl = SslConfiguration(psk=(lambda _hint: (IDENTITY, KEY)) if function else (IDENTITY, KEY))
    async with (
        running_s_server([VERSIONS[version], *PSK_ARGUMENTS]) as server,
        trioreply.open_manager(ssl=ssl) as manager,
    ):
        with trio.fail_after(SECONDS):
            async with manager.get(server.url) as reply:
                assert f"Protocol  : {version}" in await reply.text()
                assert reply.error is NetworkError.NO_ERROR
                assert reply.tls is not None
                assert (reply.tls.version, reply.tls.peer_certificate) == (version, None)


@needs_psk
@pytest.mark.parametrize("version", VERSIONS)
async def test_another_key_than_the_server_s(version: str) -> None:
    """A wrong key is SSL_HANDSHAKE_FAILED, and nothing is tried without it."""
    ssl = SslConfiguration(psk=(IDENTITY, bytes(32)))
    async with (
        running_s_server([VERSIONS[version], *PSK_ARGUMENTS]) as server,
        trioreply.open_manager(ssl=ssl) as manager,
    ):
        with trio.fail_after(SECONDS), pytest.raises(SslHandshakeFailedError):
            await manager.fetch(server.url)
        assert manager.statistics().connections == {}


@needs_psk
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_that_has_no_key(version: str, tmp_path: Path) -> None:
    """A server that shows a certificate instead is judged by that one, key or no key."""
    ca = trustme.CA()
    arguments = [*certificate_arguments(ca, tmp_path), VERSIONS[version], "-www"]
    async with running_s_server(arguments) as server, trioreply.open_manager() as manager:
        for ssl in (SslConfiguration(psk=(IDENTITY, KEY)), trust(ca).replace(psk=(IDENTITY, KEY))):
            if ssl.ca_certificates:
                assert f"Protocol  : {version}" in await page(manager, server.url, ssl)
            else:
                with (
                    trio.fail_after(SECONDS),
                    pytest.raises(SslHandshakeFailedError, match="self-signed certificate that is not trusted"),
                ):
                    await manager.fetch(server.url, ssl=ssl)


@pytest.mark.parametrize(
    ("arguments", "resumes"),
    [
        (["-tls1_2"], True),
        (["-tls1_2", "-no_ticket"], True),
        (["-tls1_2", "-no_ticket", "-no_cache"], False),
        (["-tls1_3"], True),
        (["-tls1_3", "-no_ticket"], True),
        (["-tls1_3", "-num_tickets", "0"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_resumption(arguments: list[str], *, resumes: bool, tmp_path: Path) -> None:
    """Sessions are resumed with servers that have any way to do so; without one, connections are simply new."""
    ca = trustme.CA()
    async with (
        running_s_server([*certificate_arguments(ca, tmp_path), *arguments, "-www"]) as server,
        trioreply.open_manager(ssl=trust(ca)) as manager,
    ):
        pages = [await page(manager, server.url, trust(ca)) for _ in range(3)]
        assert [found[0] for text in pages for found in re.finditer("^(New|Reused)", text, re.MULTILINE)] == (
            ["New", "Reused", "Reused"] if resumes else ["New"] * 3
        )
        assert manager.statistics().tls_resumptions == (2 if resumes else 0)


@pytest.mark.parametrize("command", ["k", "K"])
async def test_new_keys_in_the_middle(command: str, tmp_path: Path) -> None:
    """A key update between two pieces of a body, answered if it asks for that, goes unnoticed (RFC 8446 4.6.3)."""
    ca = trustme.CA()
    async with (
        running_s_server([*certificate_arguments(ca, tmp_path), "-tls1_3"]) as server,
        trioreply.open_manager(ssl=trust(ca)) as manager,
    ):
        with trio.fail_after(SECONDS):
            async with manager.get(server.url) as reply:
                await server.wait_said("User-Agent: ")
                await server.type(HEAD)
                assert await reply.read_exactly(6) == b"first,"
                for _ in range(3):
                    await server.type(f"{command}\n")
                    await server.wait_said("SSL_do_handshake -> 1")
                await server.type("second")
                assert await reply.read_all() == b"second"
            assert manager.statistics().idle == 1
            # What we send has new keys, too, if that was asked for.
            async with manager.get(server.url) as reply:
                await server.wait_said("User-Agent: ")
                await server.type(HEAD + "again!")
                assert await reply.read_all() == b"first,again!"
                assert reply.timings.reused


async def test_renegotiation_is_declined(tmp_path: Path) -> None:
    """A TLS 1.2 server that wants to negotiate anew is not obliged, and this one then gives up, with an alert."""
    ca = trustme.CA()
    async with (
        running_s_server([*certificate_arguments(ca, tmp_path), "-tls1_2"]) as server,
        trioreply.open_manager(ssl=trust(ca)) as manager,
    ):
        with trio.fail_after(SECONDS):
            async with manager.get(server.url) as reply:
                await server.wait_said("User-Agent: ")
                await server.type(HEAD)
                assert await reply.read_exactly(6) == b"first,"
                await server.type("r\n")
                await server.wait_said("SSL_do_handshake -> ")
                with pytest.raises(UnknownNetworkError, match="TLS error: sslv3 alert handshake failure"):
                    await reply.read_all()
        assert manager.statistics().connections == {}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_is_wanted(version: str, tmp_path: Path) -> None:
    """A server that insists ends the connection with an alert, which becomes a typed error that names the remedy."""
    ca = trustme.CA()
    arguments = [*certificate_arguments(ca, tmp_path), VERSIONS[version], "-Verify", "3", "-verify_return_error"]
    own = ca.issue_cert("client@example.org").private_key_and_cert_chain_pem.bytes()
    async with (
        running_s_server([*arguments, "-www"]) as server,
        trioreply.open_manager(ssl=trust(ca)) as manager,
    ):
        # In TLS 1.3 the handshake is over for us before the server has looked.
        kinds: tuple[type[ReplyError], ...] = (SslHandshakeFailedError, UnknownNetworkError, RemoteHostClosedError)
        with trio.fail_after(SECONDS), pytest.raises(kinds) as caught:
            await manager.fetch(server.url)
        assert isinstance(caught.value, RemoteHostClosedError) or "SslConfiguration(certificate=" in str(caught.value)
        assert manager.statistics().connections == {}
        await server.wait_said("peer did not return a certificate")
        assert f"Protocol  : {version}" in await page(manager, server.url, trust(ca).replace(certificate=own))
