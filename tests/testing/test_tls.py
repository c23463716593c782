"""A server's end of TLS, against the standard library's client, in memory and over loopback."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import frozen

from trioreply.testing import Authority, MemoryConnection, ServerTls, TlsServerStream, Transport
from trioreply.testing.serving import reset
from trioreply.testing.transport import send_nowait

from .pairs import OpenPair, memory_pair, socket_pair
from .tls_clients import AUTHORITY, SERVER_TLS, attempt, connect_tls, last_flight, trusting

Client = trio.SSLStream[Transport]
HOST = "server.test"


@frozen
class TlsPair:
    """Both ends after the handshake; the client's takes no end without a close_notify."""

    client: Client
    server: TlsServerStream


OpenTls = Callable[..., AbstractAsyncContextManager[TlsPair]]


@pytest.fixture(params=[memory_pair, socket_pair])
def open_pair(request: pytest.FixtureRequest) -> OpenPair:
    """A way to make a plain pair."""
    chosen: OpenPair = request.param
    return chosen


@pytest.fixture
def open_tls(open_pair: OpenPair) -> OpenTls:
    """A way to make a pair with TLS between its ends."""

    @contextlib.asynccontextmanager
    async def open_one(
        tls: ServerTls = SERVER_TLS,
        *,
        name: str = HOST,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> AsyncIterator[TlsPair]:
        async with open_pair() as (left, right):
            server = TlsServerStream(right, tls)
            client: Client = trio.SSLStream(left, context or trusting(), server_hostname=name)
            if session is not None:
                client.session = session
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.do_handshake)
                await client.do_handshake()
            yield TlsPair(client, server)

    return open_one


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    """All that comes before the end."""
    return b"".join([bytes(piece) async for piece in stream])


async def shake_hands_in_vain(server: TlsServerStream) -> None:
    """A handshake that does not come about."""
    with pytest.raises(trio.BrokenResourceError):
        await server.do_handshake()


async def test_facts_of_a_connection(open_tls: OpenTls) -> None:
    """After the handshake the version, the cipher, the protocol and the name that was asked for are known."""
    context = trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with open_tls(context=context) as pair:
        server = pair.server
        assert (server.is_established, server.handshake_error) == (True, None)
        assert (server.version, server.alpn, server.server_name) == ("TLSv1.3", "http/1.1", HOST)
        assert server.cipher is not None
        assert server.cipher.startswith("TLS_")
        assert (server.session_reused, server.client_certificate) == (False, None)


async def test_what_needs_only_one_bound(open_tls: OpenTls) -> None:
    """The oldest version that is spoken can be set alone."""
    async with open_tls(AUTHORITY.serve(HOST, minimum_version=ssl.TLSVersion.TLSv1_3)) as pair:
        assert pair.server.version == "TLSv1.3"


async def test_facts_before_the_handshake(open_pair: OpenPair) -> None:
    """Before the handshake nothing is known, and asking is allowed."""
    async with open_pair() as (_left, right):
        server = TlsServerStream(right, SERVER_TLS)
        assert (server.version, server.alpn, server.cipher, server.server_name) == (None, None, None, None)
        assert (server.session_reused, server.client_certificate, server.is_established) == (False, None, False)


async def test_an_address_is_no_server_name(open_tls: OpenTls) -> None:
    """A client that connects to an address names no host, and one without ALPN gets none."""
    async with open_tls(name="127.0.0.1") as pair:
        assert (pair.server.server_name, pair.server.alpn) == (None, None)


async def test_bytes_travel_both_ways_at_once(open_tls: OpenTls) -> None:
    """One task sends many records while another receives as many, up to the close_notify of either side."""
    payload = bytes(range(256)) * 8_000

    async def send(stream: trio.abc.SendStream) -> None:
        await stream.send_all(payload)

    async with open_tls() as pair, trio.open_nursery() as nursery:
        nursery.start_soon(send, pair.client)
        nursery.start_soon(send, pair.server)
        for stream in (pair.server, pair.client):
            received = b""
            while len(received) < len(payload):
                received += await stream.receive_some()
            assert received == payload
        await pair.server.send_eof()
        await pair.client.unwrap()
        assert await pair.server.receive_some() == b""
        assert pair.server.received_close_notify


async def test_passes_trios_own_conformance_test() -> None:
    """With Trio's client at the other end the stream keeps every promise that Trio's checks look at."""

    async def maker() -> tuple[Client, TlsServerStream]:
        connection = MemoryConnection()
        client: Client = trio.SSLStream(connection.client, trusting(), server_hostname=HOST, https_compatible=True)
        server = TlsServerStream(connection.server, SERVER_TLS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            await client.do_handshake()
        return client, server

    with trio.fail_after(30):
        await trio.testing.check_two_way_stream(maker, None)


async def test_a_session_can_be_resumed(open_tls: OpenTls) -> None:
    """A client that kept its ticket resumes the session, and the server knows."""
    tls, context = AUTHORITY.serve(HOST), trusting()
    async with open_tls(tls, context=context) as pair:
        await pair.server.send_all(b"x")
        await pair.client.receive_some()
        session = pair.client.session
    async with open_tls(tls, context=context, session=session) as pair:
        assert pair.server.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_tickets_no_session(open_tls: OpenTls, version: ssl.TLSVersion) -> None:
    """A server without tickets gives none, in either version that is in use."""
    async with open_tls(AUTHORITY.serve(HOST, tickets=0, maximum_version=version)) as pair:
        await pair.server.send_all(b"x")
        await pair.client.receive_some()
        assert pair.client.session is None or not pair.client.session.has_ticket


async def test_a_client_certificate_is_shown(open_tls: OpenTls, tmp_path: Path) -> None:
    """A server that demands a certificate gets the client's."""
    chain, key = AUTHORITY.client_certificate("somebody@example.org")
    (tmp_path / "client.pem").write_bytes(chain + key)
    context = trusting()
    context.load_cert_chain(tmp_path / "client.pem")
    async with open_tls(demanding(), context=context) as pair:
        assert pair.server.client_certificate == ssl.PEM_cert_to_DER_cert(chain.decode())


def demanding() -> ServerTls:
    """Settings of a server that wants to see a certificate."""
    return AUTHORITY.serve(HOST, client_ca=AUTHORITY.certificate_pem)


def ancient() -> ServerTls:
    """Settings of a server that has not been looked after for years."""
    old = ssl.TLSVersion.TLSv1
    return AUTHORITY.serve(HOST, minimum_version=old, maximum_version=old)


@pytest.mark.parametrize(
    ("make_tls", "context", "name", "reason"),
    [
        (demanding, trusting(), HOST, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        (ancient, trusting(), HOST, "UNSUPPORTED_PROTOCOL"),
        (lambda: SERVER_TLS, trusting(Authority()), HOST, "TLSV1_ALERT_UNKNOWN_CA"),
        (lambda: SERVER_TLS, trusting(), "other.test", "SSLV3_ALERT_BAD_CERTIFICATE"),
    ],
)
async def test_why_a_handshake_failed(
    open_pair: OpenPair, *, make_tls: Callable[[], ServerTls], context: ssl.SSLContext, name: str, reason: str
) -> None:
    """A handshake that either side refuses fails, the server knows why, by the client's alert if it sent one."""
    server_tls = make_tls()
    async with open_pair() as (left, right):
        server = TlsServerStream(right, server_tls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake_hands_in_vain, server)
            await attempt(left, name, context=context)
        assert server.handshake_error is not None
        assert server.handshake_error.reason == reason
        assert not server.is_established
        await server.aclose()


async def test_the_client_is_told_what_the_server_refused(open_pair: OpenPair) -> None:
    """A server that gives up a handshake sends its alert."""
    async with open_pair() as (left, right), trio.open_nursery() as nursery:
        nursery.start_soon(shake_hands_in_vain, TlsServerStream(right, ancient()))
        assert await attempt(left, HOST) == "TLSV1_ALERT_PROTOCOL_VERSION"


async def test_old_versions_can_be_spoken(open_tls: OpenTls) -> None:
    """A server of TLS 1.0 talks to a client that still does."""
    with pytest.deprecated_call():
        context = trusting()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with open_tls(ancient(), context=context) as pair:
        assert pair.server.version == "TLSv1"


@pytest.mark.parametrize(
    ("wire", "kind"),
    [(b"GET / HTTP/1.1\r\n\r\n", ssl.SSLError), (b"\x16\x03", ssl.SSLEOFError), (b"", ssl.SSLEOFError)],
)
async def test_a_handshake_that_is_none(open_pair: OpenPair, wire: bytes, kind: type[ssl.SSLError]) -> None:
    """Bytes that are no handshake, or the half of one, make it fail."""
    async with open_pair() as (left, right):
        server = TlsServerStream(right, SERVER_TLS)
        await left.send_all(wire)
        await left.aclose()
        await shake_hands_in_vain(server)
        assert type(server.handshake_error) is kind


async def test_a_reset_in_the_handshake(open_pair: OpenPair) -> None:
    """A client that resets the connection breaks the handshake, which is nothing that TLS would have a word for."""
    async with open_pair() as (left, right):
        server = TlsServerStream(right, SERVER_TLS)
        reset(left)
        await shake_hands_in_vain(server)
        assert server.handshake_error is None


async def test_what_comes_with_the_handshake_is_received(open_pair: OpenPair) -> None:
    """A client may send data together with the last of its handshake, and then nothing more."""
    async with open_pair() as (left, right):
        server = TlsServerStream(right, SERVER_TLS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            _, tls, outgoing = await last_flight(left, HOST)
            tls.write(b"early")
            assert send_nowait(left, outgoing.read())
        assert await server.receive_some() == b"early"


async def test_a_client_that_leaves_before_its_tickets_is_heard() -> None:
    """What a client said before it went away is received, although no tickets can be sent to it any more."""
    connection = MemoryConnection()
    server = TlsServerStream(connection.server, AUTHORITY.serve(HOST))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        _, tls, outgoing = await last_flight(connection.client, HOST)
        tls.write(b"goodbye")
        connection.client.send_nowait(outgoing.read())
        connection.server.send_nowait(b"the client does not read this, so its close is a reset")
        connection.client.close_nowait()
    assert await server.receive_some() == b"goodbye"


async def test_ending_one_direction_leaves_the_other(open_tls: OpenTls) -> None:
    """After our close_notify we receive what was sent before it was seen, and after, up to the client's."""
    async with open_tls() as pair:
        await pair.client.send_all(b"before")
        await trio.testing.wait_all_tasks_blocked()
        await pair.server.send_eof()
        await pair.server.send_eof()
        assert await pair.client.receive_some() == b""
        assert await pair.server.receive_some(2) == b"be"
        await pair.client.send_all(b"after")
        await pair.client.unwrap()
        assert await read_to_end(pair.server) == b"foreafter"
        assert pair.server.received_close_notify
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.send_all(b"more")


async def close_politely(stream: TlsServerStream) -> None:
    """Close with a close_notify."""
    await stream.aclose()


async def end_nowait(stream: TlsServerStream) -> None:
    """Close with a close_notify and without waiting."""
    stream.end_nowait()
    stream.end_nowait()


@pytest.mark.parametrize("close", [close_politely, end_nowait])
async def test_a_polite_close_says_so(open_tls: OpenTls, close: Callable[[TlsServerStream], Awaitable[None]]) -> None:
    """A polite close gives the client what was sent, then a close_notify."""
    async with open_tls() as pair:
        await pair.server.send_all(b"last words")
        await close(pair.server)
        assert await read_to_end(pair.client) == b"last words"


async def test_a_truncation_can_be_noticed(open_tls: OpenTls) -> None:
    """After close_nowait the client finds an end that nobody announced; so does the server if the client does that."""
    async with open_tls() as pair:
        await pair.server.send_all(b"half of it")
        pair.server.close_nowait()
        assert await pair.client.receive_some() == b"half of it"
        with pytest.raises(trio.BrokenResourceError):
            await pair.client.receive_some()
    async with open_tls() as pair:
        await pair.client.transport_stream.aclose()
        assert await pair.server.receive_some() == b""
        assert not pair.server.received_close_notify


async def test_a_reset_breaks_the_client(open_tls: OpenTls) -> None:
    """After a reset nothing can be received any more; resetting again, or closing, is fine."""
    async with open_tls() as pair:
        pair.server.reset()
        pair.server.reset()
        await pair.server.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await pair.client.receive_some()


async def test_bytes_below_tls(open_tls: OpenTls) -> None:
    """What is sent on the transport goes past TLS: to the client it is garbage."""
    async with open_tls() as pair:
        await pair.server.transport.send_all(b"this is no record")
        with pytest.raises(trio.BrokenResourceError) as caught:
            await pair.client.receive_some()
        assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_garbage_from_the_client(open_tls: OpenTls) -> None:
    """Garbage breaks the stream after what came before it, for receiving and for sending; the error is on record."""
    async with open_tls() as pair:
        await pair.client.send_all(b"proper")
        await pair.client.transport_stream.send_all(b"this is no record")
        await trio.testing.wait_all_tasks_blocked()
        assert await pair.server.receive_some() == b"proper"
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError):
                await pair.server.receive_some()
        assert pair.server.receive_error is not None
        assert pair.server.receive_error.reason == "WRONG_VERSION_NUMBER"
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError) as caught:
            await pair.client.receive_some()
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        assert "ALERT" in caught.value.__cause__.reason


async def test_an_alert_waits_for_whoever_waits_for_room(open_tls: OpenTls) -> None:
    """A task that waits for room to send is not disturbed by what TLS itself has to send."""
    async with open_tls() as pair:
        while send_nowait(pair.server.transport, b"x" * 100_000):
            pass
        async with trio.open_nursery() as nursery:

            async def receive_garbage() -> None:
                with pytest.raises(trio.BrokenResourceError):
                    await pair.server.receive_some()

            nursery.start_soon(wait_writable, pair.server)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(receive_garbage)
            await pair.client.transport_stream.send_all(b"this is no record")
            await trio.testing.wait_all_tasks_blocked()
            reset(pair.client.transport_stream)


async def test_a_cancelled_send_tears_no_record(open_tls: OpenTls) -> None:
    """What follows a send that was cancelled, and an end after that, still are TLS to the client."""
    async with open_tls() as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.server.send_all, b"x" * 16_000_000)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await pair.server.send_all(b"second sender")
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:

            async def go_on() -> None:
                await pair.server.send_all(b"more")
                await pair.server.aclose()

            nursery.start_soon(go_on)
            received = await read_to_end(pair.client)
        assert received.endswith(b"xmore")
        assert len(received) < 16_000_000


async def test_what_was_not_sent_yet_goes_before_the_end() -> None:
    """Closing at once sends what an earlier send had to leave, where there is room now, and then a close_notify."""
    connection = MemoryConnection()
    server = TlsServerStream(connection.server, SERVER_TLS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        client = await connect_tls(connection.client, HOST, lenient=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, b"x" * 70_000)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    first = await client.receive_some()
    server.end_nowait()
    assert first + await read_to_end(client) == b"x" * 70_000


async def test_a_close_in_the_middle_of_a_send(open_tls: OpenTls) -> None:
    """Closing under a task that sends ends that task at once."""
    async with open_tls() as pair, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await pair.server.send_all(b"x" * 16_000_000)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        await pair.server.aclose()


async def test_a_close_that_is_cancelled_is_polite_if_it_can(open_tls: OpenTls) -> None:
    """A polite close that is cancelled closes all the same, with a close_notify where there is room for it."""
    async with open_tls() as pair:
        with trio.CancelScope() as scope:
            scope.cancel()
            await pair.server.aclose()
        assert scope.cancelled_caught
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.transport.receive_some()
        assert await pair.client.receive_some() == b""


async def receive(stream: TlsServerStream) -> None:
    """Receive something."""
    await stream.receive_some()


async def send_nothing(stream: TlsServerStream) -> None:
    """Send no bytes."""
    await stream.send_all(b"")


async def send_eof(stream: TlsServerStream) -> None:
    """End our direction."""
    await stream.send_eof()


async def wait_writable(stream: TlsServerStream) -> None:
    """Wait for room."""
    await stream.wait_send_all_might_not_block()


ACTIONS = [receive, send_nothing, wait_writable, send_eof]


async def test_nothing_works_after_closing(open_tls: OpenTls) -> None:
    """Each method of a closed stream raises ClosedResourceError."""
    async with open_tls() as pair:
        pair.server.close_nowait()
        for action in ACTIONS:
            with pytest.raises(trio.ClosedResourceError):
                await action(pair.server)


async def test_every_method_is_a_checkpoint(open_tls: OpenTls) -> None:
    """Async methods checkpoint even when they need not wait."""
    async with open_tls() as pair:
        await pair.client.send_all(b"here")
        await trio.testing.wait_all_tasks_blocked()
        for action in [*ACTIONS, close_politely, close_politely]:
            with trio.testing.assert_checkpoints():
                await action(pair.server)


async def test_receiving_has_its_rules(open_tls: OpenTls) -> None:
    """max_bytes must be positive, and only one task may receive."""
    async with open_tls() as pair, trio.open_nursery() as nursery:
        with pytest.raises(ValueError, match="max_bytes"):
            await pair.server.receive_some(0)
        nursery.start_soon(receive, pair.server)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await pair.server.receive_some()
        nursery.cancel_scope.cancel()
