"""Certificates for tests, and the settings of servers that are made of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
import sys

import pytest
import trio

import trioreply
from trioreply.testing import Authority, MemoryConnection, ServerTls, TlsOptions, TlsServerStream

from .tls_clients import AUTHORITY, attempt, trusting


async def outcome(tls: ServerTls, name: str, *, context: ssl.SSLContext | None = None) -> str:
    """Why a client refuses that server; nothing if it does not."""
    connection = MemoryConnection()
    server = TlsServerStream(connection.server, tls)
    reasons: list[str] = []

    async def connect() -> None:
        reasons.append(await attempt(connection.client, name, context=context))
        connection.client.close_nowait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect)
        with contextlib.suppress(trio.BrokenResourceError):
            await server.do_handshake()
    return reasons[0]


@pytest.mark.parametrize("name", ["a.test", "sub.b.test", "192.0.2.1"])
async def test_certificates_are_for_the_names_given(name: str) -> None:
    """A certificate is good for the host names, wildcards and addresses it was issued for, and for no others."""
    tls = AUTHORITY.serve("a.test", "*.b.test", "192.0.2.1")
    assert await outcome(tls, name) == ""
    assert await outcome(tls, "c.test") == "CERTIFICATE_VERIFY_FAILED"


async def test_only_who_trusts_the_authority_accepts_it() -> None:
    """No two authorities are the same."""
    tls = AUTHORITY.serve("a.test")
    assert await outcome(tls, "a.test", context=trusting(Authority())) == "CERTIFICATE_VERIFY_FAILED"


async def test_validity_can_be_chosen() -> None:
    """A certificate may have expired, or not be valid yet."""
    past, future = dt.datetime(2001, 1, 1, tzinfo=dt.UTC), dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
    for tls in (AUTHORITY.serve("a.test", not_after=past), AUTHORITY.serve("a.test", not_before=future)):
        assert await outcome(tls, "a.test") == "CERTIFICATE_VERIFY_FAILED"


@pytest.mark.parametrize("alpn", [(), ("h2",), ["h2", "http/1.1"]])
async def test_protocols_can_be_chosen(alpn: list[str]) -> None:
    """The server picks of its protocols the first that the client knows, and without any there is no ALPN."""
    connection = MemoryConnection()
    options: TlsOptions = {"alpn": alpn}
    server = TlsServerStream(connection.server, AUTHORITY.serve("a.test", **options))
    context = trusting()
    context.set_alpn_protocols(["http/1.1", "h2"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        client = trio.SSLStream(connection.client, context, server_hostname="a.test")
        await client.do_handshake()
    assert server.alpn == (alpn[0] if alpn else None)


async def test_a_context_of_ones_own() -> None:
    """Any server's context will do; one that looks at names itself goes on doing so."""
    names: list[str | None] = []

    def see(_tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    context = AUTHORITY.serve("a.test").context
    context.sni_callback = see
    assert await outcome(ServerTls(context), "a.test") == ""
    assert names == ["a.test"]


def test_a_key_that_is_not_the_certificates() -> None:
    """Certificate and key must belong together."""
    chain, _ = AUTHORITY.client_certificate("one@example.org")
    _, key = AUTHORITY.client_certificate("two@example.org")
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        ServerTls.from_pem(chain, key)


def test_without_trustme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where trustme is not installed the error says how to get it."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ImportError, match=r"pip install 'trioreply\[test\]'"):
        Authority()


def test_trust_is_a_clients_configuration() -> None:
    """Who is given an authority's trust trusts it, and no authority of the system's."""
    configuration = AUTHORITY.trust()
    assert isinstance(configuration, trioreply.SslConfiguration)
    assert not configuration.use_system_ca
