"""Clients with the standard library's TLS, and an authority that they trust."""

from __future__ import annotations

import ssl

import trio

from trioreply.testing import Authority

AUTHORITY = Authority()
NAMES = ("origin.test", "peer.test", "server.test", "127.0.0.1")
# Without tickets: a client that closes before it has read those resets the connection, and not every test wants that.
SERVER_TLS = AUTHORITY.serve(*NAMES, tickets=0)


def trusting(authority: Authority = AUTHORITY) -> ssl.SSLContext:
    """A client's context that trusts ``authority`` alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.certificate_pem.decode())
    return context


async def connect_tls(
    transport: trio.abc.Stream, name: str, *, context: ssl.SSLContext | None = None, lenient: bool = True
) -> trio.SSLStream[trio.abc.Stream]:
    """Shake hands with the server ``name``; not ``lenient``, an end without a close_notify is an error."""
    stream = trio.SSLStream(transport, context or trusting(), server_hostname=name, https_compatible=lenient)
    await stream.do_handshake()
    return stream


async def attempt(transport: trio.abc.Stream, name: str, *, context: ssl.SSLContext | None = None) -> str:
    """Try a handshake and send what OpenSSL wants sent, alerts too; gives why it failed, or nothing."""
    reason, _tls, outgoing = await last_flight(transport, name, context=context)
    await transport.send_all(outgoing.read())
    return reason


async def last_flight(
    transport: trio.abc.Stream, name: str, *, context: ssl.SSLContext | None = None
) -> tuple[str, ssl.SSLObject, ssl.MemoryBIO]:
    """All of a handshake but the sending of what is the client's last; gives why it failed, if it did, and the rest."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = (context or trusting()).wrap_bio(incoming, outgoing, server_hostname=name)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await transport.send_all(outgoing.read())
            incoming.write(await transport.receive_some())
        except ssl.SSLError as error:
            return error.reason, tls, outgoing
        else:
            return "", tls, outgoing
