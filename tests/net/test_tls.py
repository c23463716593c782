"""The TLS stream: what it carries, how it ends, and how it fails, against a server on the same OpenSSL."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

import pytest
import trio
from attrs import frozen
from trio.testing import assert_no_checkpoints, wait_all_tasks_blocked

from trioreply._model.errors import RemoteHostClosedError, SslHandshakeFailedError
from trioreply._net.interfaces import ByteStream, TlsError
from trioreply._net.tls import RECORD_SIZE, CertificateRefused, Resumable, TlsStream, handshake
from trioreply.testing import Authority, MemoryConnection, ServerTls, TlsServerStream

NAME = "server.test"


@cache
def authority() -> Authority:
    """Who certifies the server; its keys are made once."""
    return Authority()


@cache
def server_tls() -> ServerTls:
    """A server's settings; with few tickets, so that they are easily counted."""
    return authority().serve(NAME, "127.0.0.1", tickets=1)


def client_context(*, trusting: bool = True) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusting:
        context.load_verify_locations(cadata=authority().certificate_pem.decode())
    return context


@frozen
class Pair:
    """Both ends of a secure connection."""

    client: TlsStream
    server: TlsServerStream
    connection: MemoryConnection


@asynccontextmanager
async def open_pair(
    tls: ServerTls | None = None, context: ssl.SSLContext | None = None, *, buffer_size: int = 1 << 20
) -> AsyncIterator[Pair]:
    """A secure connection whose handshake is done."""
    connection = MemoryConnection(buffer_size=buffer_size)
    server = TlsServerStream(connection.server, tls or server_tls())
    clients: list[TlsStream] = []

    async def connect() -> None:
        clients.append(await handshake(connection.client, context or client_context(), NAME))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect)
        nursery.start_soon(server.do_handshake)
    yield Pair(clients[0], server, connection)


Accept = Callable[[TlsServerStream], Awaitable[object]]


async def fail_handshake(accept: Accept, context: ssl.SSLContext | None = None, name: str = NAME) -> TlsServerStream:
    """Connect to a server that does ``accept``; what the client raises is raised."""
    connection = MemoryConnection()
    server = TlsServerStream(connection.server, server_tls())

    async def serve() -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await accept(server)

    failures: list[Exception] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        try:
            await handshake(connection.client, context or client_context(), name)
        except Exception as error:  # noqa: BLE001 - raised again below
            failures.append(error)
        connection.client.close_nowait()
    for failure in failures:
        failure.add_note(str(server.handshake_error))
        raise failure
    return server


async def test_it_is_a_byte_stream() -> None:
    """Bytes of any size pass both ways."""
    async with open_pair() as pair:
        assert isinstance(pair.client, ByteStream)
        data = bytes(range(256)) * 4096  # more than is encrypted at once

        async def echo() -> None:
            received = bytearray()
            while len(received) < len(data):
                received += await pair.server.receive_some()
            await pair.server.send_all(received)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            await pair.client.send_all(memoryview(data))
            received = bytearray()
            while len(received) < len(data):
                received += await pair.client.receive_some(100_000)
        assert received == data
        await pair.client.send_all(b"")


async def test_all_records_of_one_read_come_together() -> None:
    """What one read of the network brings is decrypted in one go, up to what was asked for."""
    async with open_pair() as pair:
        await pair.server.send_all(b"x" * (3 * RECORD_SIZE))
        assert len(await pair.client.receive_some(RECORD_SIZE + 1)) == RECORD_SIZE + 1
        assert len(await pair.client.receive_some()) == 2 * RECORD_SIZE - 1


async def test_close_notify_is_the_end() -> None:
    """A polite end is the end of the stream, again and again; what came before it comes first."""
    async with open_pair() as pair:
        await pair.server.send_all(b"last words")
        await pair.server.send_eof()
        assert await pair.client.receive_some() == b"last words"
        assert await pair.client.receive_some() == b""
        assert await pair.client.receive_some() == b""
        assert pair.client.receive_nowait() == b""


async def test_an_end_without_close_notify_is_broken() -> None:
    """Who cuts the connection cannot make it look complete; what came before comes first."""
    async with open_pair() as pair:
        await pair.server.send_all(b"incomplete")
        pair.server.close_nowait()
        assert await pair.client.receive_some() == b"incomplete"
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match="without a TLS close_notify"):
                await pair.client.receive_some()
        assert pair.client.receive_nowait() == b""


async def test_garbage_is_broken() -> None:
    """Bytes that are no TLS break the channel; what was decrypted before comes first."""
    async with open_pair() as pair:
        await pair.server.send_all(b"good")
        await pair.server.transport.send_all(b"bad!" * 100)
        await wait_all_tasks_blocked()
        assert await pair.client.receive_some() == b"good"
        with pytest.raises(TlsError, match="TLS error"):
            await pair.client.receive_some()


async def test_tickets_are_no_input() -> None:
    """A session ticket on an idle connection is nothing; application bytes are something, and nothing waits."""
    async with open_pair() as pair:
        await wait_all_tasks_blocked()
        with assert_no_checkpoints():
            assert pair.client.receive_nowait() is None
        assert pair.connection.bytes_sent > 0
        await pair.server.send_all(b"surprise")
        assert pair.client.receive_nowait() == b"surprise"


async def test_closing_says_goodbye() -> None:
    """Closing at once sends a farewell and a close_notify; then nothing works, and closing again does nothing."""
    async with open_pair() as pair:
        with assert_no_checkpoints():
            pair.client.close_nowait(b"bye")
            pair.client.close_nowait()
        assert await pair.server.receive_some() == b"bye"
        assert await pair.server.receive_some() == b""
        assert pair.server.received_close_notify
        with pytest.raises(trio.ClosedResourceError):
            await pair.client.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await pair.client.receive_some()


async def test_aclose() -> None:
    """Closing the asynchronous way is the same, and a checkpoint."""
    async with open_pair() as pair:
        await pair.client.aclose()
        assert await pair.server.receive_some() == b""
        assert pair.server.received_close_notify


async def test_nothing_follows_a_torn_record() -> None:
    """After a send that was cut short nothing is sent, not even a goodbye: it would be garbage."""
    async with open_pair(buffer_size=20_000) as pair:
        with trio.move_on_after(0) as scope:
            await pair.client.send_all(bytes(100_000))
        assert scope.cancelled_caught
        with pytest.raises(trio.BrokenResourceError, match="cut short"):
            await pair.client.send_all(b"more")
        sent = pair.connection.bytes_received
        pair.client.close_nowait()
        with contextlib.suppress(trio.BrokenResourceError):
            while await pair.server.transport.receive_some():
                pass
        assert not pair.server.received_close_notify
        assert pair.connection.bytes_received <= sent + 20_000


async def test_closing_in_the_middle_of_a_send() -> None:
    """Closing while another task sends wakes that task, and adds nothing to the record it was at."""
    async with open_pair(buffer_size=20_000) as pair, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await pair.client.send_all(bytes(1_000_000))

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        pair.client.close_nowait()


async def test_one_task_for_each_direction() -> None:
    """Two tasks that do the same on one stream are told."""
    async with open_pair(buffer_size=20_000) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.receive_some)
        nursery.start_soon(pair.client.send_all, bytes(1_000_000))
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await pair.client.receive_some()
        with pytest.raises(trio.BusyResourceError):
            await pair.client.send_all(b"x")
        nursery.cancel_scope.cancel()


async def test_info() -> None:
    """What was agreed on, with the chains that were sent and built."""
    context = client_context()
    context.set_alpn_protocols(["http/1.1"])
    async with open_pair(context=context) as pair:
        info = pair.client.info()
        assert info.version == "TLSv1.3"
        assert info.cipher == pair.server.cipher
        assert info.alpn == "http/1.1"
        assert info.peer_certificate == info.peer_chain[0] == info.verified_chain[0]
        assert len(info.verified_chain) == 2
        assert not info.session_reused
        assert info.ignored_errors == ()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_resumed(version: ssl.TLSVersion) -> None:
    """The session that is told with the first bytes of one connection spares the next one the certificate."""
    tls = authority().serve(NAME, maximum_version=version)
    context = client_context()
    sessions: list[Resumable] = []
    reused: list[bool] = []
    for _ in range(3):
        connection = MemoryConnection()
        server = TlsServerStream(connection.server, tls)

        async def serve(server: TlsServerStream) -> None:
            await server.do_handshake()
            await server.send_all(b"x")
            await server.receive_some()
            await server.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, server)
            session = sessions.pop() if sessions else None
            client = await handshake(connection.client, context, NAME, resume=session, on_session=sessions.append)
            assert await client.receive_some() == b"x"
            reused.append(client.session_reused)
            assert len(client.info().verified_chain) == 2
            client.close_nowait()
        assert server.session_reused is reused[-1]
    assert reused == [False, True, True]


async def test_a_refused_certificate_is_told_with_its_chain() -> None:
    """The verdict and the chain are there after the failed handshake, and the peer gets its alert."""
    servers: list[TlsServerStream] = []

    async def accept(server: TlsServerStream) -> None:
        servers.append(server)
        await server.do_handshake()

    with pytest.raises(CertificateRefused) as caught:
        await fail_handshake(accept, client_context(trusting=False))
    assert caught.value.verdict.code == 20
    assert "unable to get local issuer" in caught.value.verdict.message
    assert len(caught.value.peer_chain) == len(caught.value.built_chain) == 1
    error = servers[0].handshake_error
    assert error is not None
    assert error.reason == "TLSV1_ALERT_UNKNOWN_CA"


async def test_a_refusal_does_not_wait_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    """A peer that reads nothing after its certificate does not hold who refuses it."""
    connection = MemoryConnection(buffer_size=600)
    server = TlsServerStream(connection.server, server_tls())

    async def serve() -> None:
        # Answer the hello, then fill the client's way out, and read no more.
        with contextlib.suppress(trio.BrokenResourceError):
            await server.do_handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(CertificateRefused):
            await handshake(connection.client, client_context(trusting=False), NAME)


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_server_that_leaves_during_the_handshake(ending: str) -> None:
    """It closed the connection: that, and not an error of TLS."""

    async def accept(server: TlsServerStream) -> None:
        await server.transport.receive_some()
        if ending == "reset":
            server.reset()
        else:
            server.close_nowait()

    with pytest.raises(RemoteHostClosedError, match="during the TLS handshake"):
        await fail_handshake(accept)


async def test_a_server_without_tls() -> None:
    """A plain HTTP server on the port is named as what it is."""

    async def accept(server: TlsServerStream) -> None:
        await server.transport.receive_some()
        await server.transport.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(SslHandshakeFailedError, match="use http:") as caught:
        await fail_handshake(accept)
    assert str(caught.value).startswith("SSL handshake failed: Error during SSL handshake: ")


async def test_no_version_in_common() -> None:
    """A server that is too old is an error that says how to speak with it nevertheless."""
    tls = authority().serve(NAME, maximum_version=ssl.TLSVersion.TLSv1_2)
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    connection = MemoryConnection()
    server = TlsServerStream(connection.server, tls)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await server.do_handshake()

        nursery.start_soon(serve)
        with pytest.raises(SslHandshakeFailedError, match="minimum_version"):
            await handshake(connection.client, context, NAME)


@pytest.mark.parametrize("name", ["", ".example.test", "x" * 70 + ".test"])
async def test_a_name_that_cannot_be_one(name: str) -> None:
    """A name that TLS cannot carry is a failed handshake that shows it, not an exception of the ssl module."""
    connection = MemoryConnection()
    with pytest.raises(SslHandshakeFailedError, match="peer name"):
        await handshake(connection.client, client_context(), name)


async def test_a_context_for_servers() -> None:
    """A user's context that cannot connect is a failed handshake that says so."""
    connection = MemoryConnection()
    with pytest.raises(SslHandshakeFailedError, match="PROTOCOL_TLS_SERVER"):
        await handshake(connection.client, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), NAME)


async def test_a_missing_client_certificate_is_told() -> None:
    """TLS 1.3 says it after the handshake: the alert is an error that says what to do."""
    tls = authority().serve(NAME, client_ca=authority().certificate_pem)
    connection = MemoryConnection()
    server = TlsServerStream(connection.server, tls)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await server.do_handshake()

        nursery.start_soon(serve)
        client = await handshake(connection.client, client_context(), NAME)
        with pytest.raises(TlsError, match=r"certificate=.*private_key="):
            await client.receive_some()


async def test_what_receiving_has_to_send_is_left_to_who_sends() -> None:
    """While a task sends, another that receives does not send, nor wait: what it has to say goes out behind."""
    async with open_pair(buffer_size=20_000) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.send_all, bytes(100_000))
        await wait_all_tasks_blocked()
        # Python's OpenSSL cannot be told to ask for a key update; this stands for the answer to one.
        pair.client._outgoing.write(b"an answer")
        nursery.start_soon(pair.client.receive_some)
        await wait_all_tasks_blocked()
        sent = bytearray()
        while not sent.endswith(b"an answer"):
            sent += await pair.server.transport.receive_some()
        nursery.cancel_scope.cancel()


async def test_who_sends_waits_for_what_receiving_sends() -> None:
    """A send begins when the records before it are out, so that they do not mix."""
    async with open_pair(buffer_size=20_000) as pair, trio.open_nursery() as nursery:
        pair.client._outgoing.write(b"x" * 50_000)  # as above
        nursery.start_soon(pair.client.receive_some)
        await wait_all_tasks_blocked()
        nursery.start_soon(pair.client.send_all, b"hello")
        await wait_all_tasks_blocked()
        sent = bytearray()
        while len(sent) < 50_000:
            sent += await pair.server.transport.receive_some(50_000 - len(sent))
        assert sent == b"x" * 50_000
        await wait_all_tasks_blocked()
        assert len(await pair.server.transport.receive_some()) > len(b"hello")
        nursery.cancel_scope.cancel()


async def test_sending_on_a_broken_channel() -> None:
    """After an alert nothing can be encrypted any more; that is an error of the channel, and closing is quiet."""
    async with open_pair() as pair:
        await pair.server.transport.send_all(b"bad!" * 100)
        await wait_all_tasks_blocked()
        with pytest.raises(TlsError):
            await pair.client.receive_some()
        with pytest.raises(trio.BrokenResourceError, match="takes nothing more"):
            await pair.client.send_all(b"x")
        pair.client.close_nowait(b"bye")
