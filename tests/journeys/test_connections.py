"""Connections: kept, found dead, queued for, watched, opened ahead and closed by hand."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.lowlevel
import trio.testing
from trio.testing import MockClock

from trioreply import (
    HostNotFoundError,
    Limits,
    Manager,
    NetworkError,
    OperationCanceledError,
    Priority,
    ProtocolFailure,
    ProtocolUnknownError,
    RemoteHostClosedError,
    TemporaryNetworkFailureError,
    WireLimits,
)
from trioreply.errors import ConnectionRefusedError as ReplyRefusedError
from trioreply.testing import (
    Close,
    OriginRequest,
    OriginResponse,
    ReceiveEnd,
    ReceiveRequest,
    Reset,
    ScriptedPeer,
    Send,
    Stall,
    Step,
    WaitFor,
)

from .conftest import Place
from .notation import sequence

HELLO = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
GOOD = (ReceiveRequest(), HELLO)


async def test_a_second_request_uses_the_kept_connection(place: Place) -> None:
    """On a kept connection there is no `SocketStartedConnecting`."""
    async with place.origin({"/": OriginResponse(body=b"hello")}) as origin, place.open_manager() as manager:
        await manager.fetch(origin.url())
        assert manager.statistics().idle == 1
        async with manager.get(origin.url()) as reply:
            assert place.sequence([event async for event in reply]) == "Q H(200) R D(5,5) F(NO_ERROR)"
        assert reply.timings.reused
        assert reply.timings.connecting is None
    assert len(origin.connections) == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_connection_that_closes_is_not_kept(answer: bytes, place: Place) -> None:
    """``Connection: close`` and HTTP/1.0 end the connection's life."""
    peer = ScriptedPeer(ReceiveRequest(), Send(answer + b"Content-Length: 0\r\n\r\n"), ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        assert manager.statistics().connections == {}


@pytest.mark.parametrize("death", [(Close(),), (Reset(),), (Send(b"HTTP/1.1 408 Timeout\r\n\r\n"), Stall())])
async def test_a_connection_that_died_while_idle_is_noticed(death: tuple[Step, ...], place: Place) -> None:
    """The end of an idle connection, or bytes on it that nobody asked for, are found when it would be used."""
    died = trio.Event()
    peer = ScriptedPeer.for_each((*GOOD, WaitFor(died), *death), GOOD)
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        died.set()
        with trio.fail_after(5):
            while not _is_dead(manager):
                await trio.lowlevel.checkpoint()
        async with manager.post(url, b"a POST, which would never be repeated") as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert len(peer.connections) == 2


def _is_dead(manager: Manager) -> bool:
    # The peer's farewell needs a moment to travel; nothing public tells when it is there.
    (kept,) = manager._pool._slots._idle
    return kept.connection.is_dead()


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_request_on_a_connection_that_dies_under_it_is_repeated_once(verb: str, place: Place) -> None:
    """An idempotent request goes out again when its kept connection dies unanswered: the user sees one more Q."""
    dying = (*GOOD, ReceiveRequest(), Close())
    peer = ScriptedPeer.for_each(dying, GOOD if verb != "HEAD" else (*GOOD, ReceiveEnd()))
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        async with manager.send_custom(url, verb) as reply:
            events = place.sequence([event async for event in reply])
    body = "D(0,5)" if verb == "HEAD" else "R D(5,5)"
    assert events == f"Q S Q H(200) {body} F(NO_ERROR)"
    assert len(peer.connections) == 2


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
async def test_what_is_not_idempotent_is_not_repeated(verb: str, place: Place) -> None:
    """A POST on a kept connection that dies under it fails: the server may have done its work."""
    peer = ScriptedPeer.for_each((*GOOD, ReceiveRequest(), Close()))
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        async with manager.send_custom(url, verb, b"x") as reply:
            assert await reply.wait_finished() is NetworkError.REMOTE_HOST_CLOSED
        assert manager.statistics().leases == 0


async def test_what_was_answered_in_part_is_not_repeated(place: Place) -> None:
    """The first byte of an answer ends the right to a second try."""
    peer = ScriptedPeer.for_each((*GOOD, ReceiveRequest(), Send(b"HTTP/1.1 2"), Close()))
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        with pytest.raises(RemoteHostClosedError):
            await manager.fetch(url)


async def test_at_most_six_connections_for_one_host(place: Place) -> None:
    """The seventh request waits for one of the six."""
    all_there = trio.Event()

    async def hold(request: OriginRequest) -> OriginResponse:
        if len(origin.requests) == 6:
            all_there.set()
        await release.wait()
        return OriginResponse(body=b"x")

    release = trio.Event()
    async with place.origin(hold) as origin, place.open_manager() as manager, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(manager.fetch, origin.url())
        await all_there.wait()
        await trio.testing.wait_all_tasks_blocked()
        statistics = manager.statistics()
        assert (statistics.leases, statistics.queued) == (6, 4)
        assert "4 queued" in repr(manager)
        release.set()
    assert len(origin.connections) == 6


async def test_high_goes_before_normal_before_low(place: Place) -> None:
    """The queue is served by priority, and within one in the order of arrival."""
    release = trio.Event()

    async def hold(request: OriginRequest) -> OriginResponse:
        await release.wait()
        return OriginResponse()

    limits = Limits(per_host=1)
    async with place.origin(hold) as origin, place.open_manager(limits=limits) as manager:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.fetch, origin.url("/first"))
            await trio.testing.wait_all_tasks_blocked()
            for name, priority in [
                ("low", Priority.LOW),
                ("a", Priority.NORMAL),
                ("b", Priority.NORMAL),
                ("high", Priority.HIGH),
            ]:
                nursery.start_soon(partial(manager.fetch, origin.url(f"/{name}"), priority=priority))
                await trio.testing.wait_all_tasks_blocked()
            release.set()
    assert [request.path for request in origin.requests] == ["/first", "/high", "/a", "/b", "/low"]


async def test_idle_connections_expire(autojump_clock: MockClock, memory: Place) -> None:
    """A connection that nobody uses is closed after ``idle_expiry``, without being asked for."""
    async with memory.origin({"/": OriginResponse()}) as origin:
        async with memory.open_manager(limits=Limits(idle_expiry=30)) as manager:
            await manager.fetch(origin.url())
            await trio.sleep(29)
            assert manager.statistics().idle == 1
            await trio.sleep(2)
            assert manager.statistics().idle == 0


async def test_a_request_brings_its_own_limits(memory: Place, autojump_clock: MockClock) -> None:
    """The first request to an origin says how many connections it may have, and each how long its own is kept (Qt)."""
    del autojump_clock
    own = Limits(per_host=2, idle_expiry=10)
    done = trio.Event()

    async def serve(_request: OriginRequest) -> OriginResponse:
        await done.wait()
        return OriginResponse()

    async with memory.origin(serve) as origin, memory.open_manager() as manager:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(partial(manager.fetch, origin.url(), limits=own))
            await trio.testing.wait_all_tasks_blocked()
            assert (manager.statistics().leases, manager.statistics().queued) == (2, 3)
            done.set()
        assert manager.statistics().idle == 2
        await trio.sleep(11)
        assert manager.statistics().idle == 0
        await manager.fetch(origin.url())
        await trio.sleep(11)
        assert manager.statistics().idle == 1


async def test_the_reaper_notices_what_died(autojump_clock: MockClock, memory: Place) -> None:
    """A connection that the server closed does not stay half open until somebody wants it."""
    died = trio.Event()
    async with memory.serve(ScriptedPeer(*GOOD, WaitFor(died), Close())) as url, memory.open_manager() as manager:
        await manager.fetch(url)
        died.set()
        await trio.sleep(6)
        assert manager.statistics().idle == 0


async def test_what_a_server_may_send_is_configurable(place: Place) -> None:
    """The limits on heads are the manager's: what exceeds them is a protocol failure."""
    routes = {"/": OriginResponse(headers=[("X-Long", "x" * 3000)])}
    async with place.origin(routes) as origin:
        async with place.open_manager() as manager:
            assert (await manager.fetch(origin.url())).status_code == 200
        async with place.open_manager(wire_limits=WireLimits(header_block=2000)) as manager:
            with pytest.raises(ProtocolFailure):
                await manager.fetch(origin.url())


async def test_preconnect(place: Place) -> None:
    """A connection opened ahead of time is used by the first request."""
    async with place.origin({"/": OriginResponse(body=b"hello")}) as origin, place.open_manager() as manager:
        await manager.preconnect(origin.url())
        assert manager.statistics().idle == 1
        async with manager.get(origin.url()) as reply:
            assert place.sequence([event async for event in reply]) == "Q H(200) R D(5,5) F(NO_ERROR)"
        with pytest.raises(ValueError, match="http"):
            await manager.preconnect("data:,x")


async def test_clearing_connections(place: Place) -> None:
    """Idle ones are closed; a reply that uses one fails as OPERATION_CANCELED, and what it had stays readable."""
    half = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789")
    peer = ScriptedPeer.for_each((*GOOD, ReceiveEnd()), (ReceiveRequest(), half, ReceiveEnd()))
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        manager.clear_connections()
        assert manager.statistics().idle == 0
        async with manager.get(url) as reply:
            await reply.wait_metadata()
            manager.clear_connections()
            assert await reply.wait_finished() is NetworkError.OPERATION_CANCELED
            assert reply.read() == b"0123456789"
            with pytest.raises(OperationCanceledError):
                reply.raise_for_error()


async def test_nobody_listens(place: Place) -> None:
    """A refused connection: the measured order, and an error that is Python's own as well."""
    async with place.serve(ScriptedPeer()) as url:
        pass
    async with place.open_manager() as manager:
        async with manager.get(url) as reply:
            events = place.sequence([event async for event in reply])
        assert events == "S E(CONNECTION_REFUSED) D(0,0) F(CONNECTION_REFUSED)"
        with pytest.raises(ConnectionRefusedError) as raised:
            reply.raise_for_error()
        assert isinstance(raised.value, ReplyRefusedError)
        assert raised.value.reply is reply


async def test_a_host_without_an_address(memory: Place) -> None:
    """An unknown name: no attempt is made, and the text names the host."""
    async with memory.open_manager() as manager, manager.get("http://nowhere.test/") as reply:
        events = sequence([event async for event in reply])
        assert events == "E(HOST_NOT_FOUND) D(0,0) F(HOST_NOT_FOUND)"
        assert "nowhere.test" in reply.error_string
        with pytest.raises(HostNotFoundError):
            await reply.read_all()


async def test_an_unreachable_network(memory: Place) -> None:
    """A network that is down is a temporary failure."""
    assert memory.network is not None
    memory.network.add_host("far.test").unreachable = True
    async with memory.open_manager() as manager:
        with pytest.raises(TemporaryNetworkFailureError):
            await manager.fetch("http://far.test/")


@pytest.mark.parametrize("url", ["ftp://host/", "mailto:somebody@example.org", "", "relative/path", "gopher://host/"])
async def test_an_unknown_scheme(url: str, place: Place) -> None:
    """A scheme without a handler fails through the reply, like everything else."""
    async with place.open_manager() as manager, manager.get(url) as reply:
        events = place.sequence([event async for event in reply])
    assert events == "E(PROTOCOL_UNKNOWN) D(0,0) F(PROTOCOL_UNKNOWN)"
    assert "is unknown" in reply.error_string


async def test_schemes_that_are_not_allowed(place: Place) -> None:
    """A manager for untrusted URLs speaks only the schemes it was given."""
    async with place.open_manager(schemes=["http"]) as manager:
        assert manager.supported_schemes == ("http",)
        with pytest.raises(ProtocolUnknownError, match="allow"):
            await manager.fetch("data:,x")


async def test_every_address_is_tried(memory: Place) -> None:
    """Every attempt is an event; when all have failed the reply has one error."""
    assert memory.network is not None
    memory.network.add_host("both.test", "192.0.2.1", "2001:db8::1")
    async with memory.open_manager() as manager, manager.get("http://both.test/") as reply:
        events = sequence([event async for event in reply])
    assert events == "S S E(CONNECTION_REFUSED) D(0,0) F(CONNECTION_REFUSED)"
