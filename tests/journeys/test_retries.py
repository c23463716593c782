"""Retries from end to end: what is sent again and when, what the reply shows of it, and what is never repeated."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from trioreply import (
    BodySource,
    Event,
    Manager,
    MultipartBody,
    NetworkError,
    Part,
    ProtocolFailure,
    Redirected,
    Reply,
    RequestFields,
    Retrying,
    RetryPolicy,
    ServiceUnavailableError,
)
from trioreply._model.http_date import format_http_date
from trioreply.errors import ConnectionRefusedError, TimeoutError
from trioreply.testing import (
    Close,
    OriginRequest,
    OriginResponse,
    Receive,
    ReceiveHead,
    ReceiveRequest,
    Reset,
    ScriptedPeer,
    Send,
    SendSlowly,
    Stall,
    Step,
)

from .conftest import Place

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = OriginResponse(503, body=b"come back later", reason="Service Unavailable")
NOW = RetryPolicy(backoff=0)
STEADY = RetryPolicy(backoff=1, jitter=0)


@define
class Moody:
    """A server that gives its answers one after the other, and the last one from then on."""

    answers: Sequence[OriginResponse]
    bodies: list[bytes] = field(factory=list)
    """The bodies of the requests it had."""

    async def __call__(self, request: OriginRequest) -> OriginResponse:
        """See `OriginHandler`."""
        answer = self.answers[min(len(self.bodies), len(self.answers) - 1)]
        self.bodies.append(await request.read())
        return answer


def moody(*answers: OriginResponse) -> Moody:
    """One that gives these."""
    return Moody(answers)


def at_rest(manager: Manager) -> bool:
    """Whether no connection is in use, and nobody waits for one."""
    statistics = manager.statistics()
    return (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)


def retries(events: Sequence[Event]) -> list[Retrying]:
    """Those among ``events``."""
    return [event for event in events if isinstance(event, Retrying)]


async def test_a_server_that_is_busy_for_a_moment(place: Place) -> None:
    """A 503 that will be retried is not shown; `Retrying` is, and the next attempt takes the same connection."""
    server = moody(BUSY, OriginResponse(body=b"ok"))
    async with place.origin(server) as origin, place.open_manager() as manager:
        async with manager.get(origin.url(), retry=NOW) as reply:
            events = [event async for event in reply]
        assert place.sequence(events) == "S Q Retrying Q H(200) R D(2,2) F(NO_ERROR)"
        assert retries(events) == [Retrying(2, 0.0, "the server said 503 Service Unavailable")]
        assert (reply.status_code, reply.read()) == (200, b"ok")
        assert len(origin.connections) == 1
        assert at_rest(manager)


async def test_nothing_is_retried_unless_asked_for(place: Place) -> None:
    """Without a policy a 503 is the answer."""
    async with place.origin(server := moody(BUSY)) as origin, place.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            assert await reply.wait_finished() is NetworkError.SERVICE_UNAVAILABLE
    assert len(server.bodies) == 1


async def test_the_last_answer_is_delivered_as_it_is(autojump_clock: MockClock, memory: Place) -> None:
    """When the attempts are used up, the last response is the reply's, with its body and the error of its status."""
    server = moody(BUSY, BUSY, OriginResponse(503, (("X-Last", "yes"),), b"give up"))
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=STEADY) as reply:
            events = [event async for event in reply]
        failed = "R E(SERVICE_UNAVAILABLE) D(7,7) F(SERVICE_UNAVAILABLE)"
        assert memory.sequence(events) == f"S Q Retrying Q Retrying Q H(503) {failed}"
        assert [(event.attempt, event.delay) for event in retries(events)] == [(2, 1), (3, 2)]
        assert (reply.headers["X-Last"], reply.read()) == ("yes", b"give up")
        assert trio.current_time() == 1 + 2
        with pytest.raises(ServiceUnavailableError):
            await manager.fetch(origin.url(), retry=NOW)
        assert at_rest(manager)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (RequestFields(), 3),
        (RequestFields(retry=RetryPolicy(1)), 1),
        (RequestFields(retry=RetryPolicy(2, backoff=0)), 2),
    ],
)
async def test_the_managers_policy(fields: RequestFields, expected: int, memory: Place) -> None:
    """A manager's policy holds for requests that have none of their own; with one attempt a request opts out."""
    async with memory.origin(server := moody(BUSY)) as origin, memory.open_manager(retry=NOW) as manager:
        async with manager.get(origin.url(), **fields) as reply:
            await reply.wait_finished()
    assert len(server.bodies) == expected


async def test_fetch_retries_too(memory: Place) -> None:
    """`fetch` gives the response of the attempt that succeeded, with nothing of the ones before in it."""
    packed = OriginResponse(429, (("Content-Encoding", "gzip"),), gzip.compress(bytes(50_000)))
    server = moody(packed, OriginResponse(body=b"ok"))
    async with memory.origin(server) as origin, memory.open_manager(retry=NOW) as manager:
        assert (await manager.fetch(origin.url(), max_size=10)).body == b"ok"
        assert at_rest(manager)


def soon() -> str:
    """An HTTP date half a minute from now."""
    return format_http_date(datetime.now(UTC) + timedelta(seconds=30))


@pytest.mark.parametrize(
    ("wish", "bounds"),
    [
        (lambda: "7", (7, 7)),
        (lambda: "0", (1, 1)),
        (soon, (20, 30)),
        (lambda: "Sun, 06 Nov 1994 08:49:37 GMT", (1, 1)),
        (lambda: "a while", (1, 1)),
    ],
    ids=["seconds", "less than ours", "a date", "a date in the past", "nonsense"],
)
async def test_retry_after(
    wish: Callable[[], str], bounds: tuple[float, float], autojump_clock: MockClock, memory: Place
) -> None:
    """Retry-After, in seconds or as a date, makes the wait longer than it would be anyway, and never shorter."""
    server = moody(OriginResponse(503, (("Retry-After", wish()),)), OriginResponse())
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=STEADY) as reply:
            events = [event async for event in reply]
    assert reply.status_code == 200
    assert bounds[0] <= trio.current_time() <= bounds[1]
    assert trio.current_time() == retries(events)[0].delay


@pytest.mark.parametrize("wish", ["61", "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_a_server_that_wants_too_much_patience(wish: str, autojump_clock: MockClock, memory: Place) -> None:
    """A Retry-After beyond ``max_delay`` ends it at once: that response is delivered as it is."""
    server = moody(OriginResponse(503, (("Retry-After", wish),), b"next year"))
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=STEADY) as reply:
            assert await reply.wait_finished() is NetworkError.SERVICE_UNAVAILABLE
        assert reply.read() == b"next year"
    assert trio.current_time() == 0
    assert len(server.bodies) == 1


async def test_waits_are_random(autojump_clock: MockClock, memory: Place) -> None:
    """With jitter a wait lies between what is left of it and the whole, so that clients do not come back together."""
    async with memory.origin(moody(BUSY)) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=RetryPolicy(5, backoff=8, jitter=0.5, max_delay=20)) as reply:
            events = [event async for event in reply]
    delays = [event.delay for event in retries(events)]
    assert len(delays) == 4
    for delay, full in zip(delays, [8, 16, 20, 20], strict=True):
        assert full / 2 <= delay <= full


@pytest.mark.parametrize(
    "steps",
    [(ReceiveHead(), Close()), (ReceiveHead(), Reset()), (Receive(count=1), Reset()), (Close(),)],
    ids=["closed", "reset", "reset in the request", "closed at once"],
)
async def test_a_connection_that_is_lost(steps: tuple[Step, ...], place: Place) -> None:
    """A connection that ends before a response, even a fresh one, is an attempt that failed; the next one dials."""
    peer = ScriptedPeer.for_each(steps, (ReceiveRequest(), Send(OK)))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url, retry=NOW) as reply:
            events = [event async for event in reply]
        assert reply.read() == b"ok"
        # The request may or may not have been on its way when the connection ended.
        assert place.sequence(events).replace("S Q", "S") == "S Retrying S H(200) R D(2,2) F(NO_ERROR)"
        assert retries(events)[0].reason
        assert at_rest(manager)


async def test_a_server_that_is_started_again(autojump_clock: MockClock, memory: Place) -> None:
    """A refused connection is retried; when somebody listens again, the request arrives."""
    async with memory.origin({"/": OriginResponse(body=b"up")}) as origin, memory.open_manager() as manager:
        assert memory.network is not None
        host = memory.network.host("origin.test")
        host.refuse = True
        async with manager.get(origin.url(), retry=STEADY) as reply:
            events: list[Event] = []
            async for event in reply:
                events.append(event)
                host.refuse = len(retries(events)) < 2
        assert reply.read() == b"up"
        assert memory.sequence(events) == "S Retrying S Retrying S Q H(200) R D(2,2) F(NO_ERROR)"
        host.refuse = True
        manager.clear_connections()
        with pytest.raises(ConnectionRefusedError):
            await manager.fetch(origin.url(), retry=STEADY)
        assert at_rest(manager)


async def test_a_server_that_does_not_answer_the_phone(autojump_clock: MockClock, memory: Place) -> None:
    """``connect_timeout`` is each attempt's own; the failures and the waits add up."""
    async with memory.origin({"/": OriginResponse()}) as origin, memory.open_manager() as manager:
        assert memory.network is not None
        memory.network.host("origin.test").black_hole = True
        with pytest.raises(TimeoutError, match="connect_timeout=5"):
            await manager.fetch(origin.url(), retry=STEADY, connect_timeout=5)
        assert at_rest(manager)
    assert trio.current_time() == 5 + 1 + 5 + 2 + 5


async def test_nonsense_is_not_retried(place: Place) -> None:
    """A server that speaks no HTTP will not learn it in a second: PROTOCOL_FAILURE is final."""
    peer = ScriptedPeer.for_each((ReceiveRequest(), Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")))
    async with place.serve(peer) as url, place.open_manager() as manager:
        with pytest.raises(ProtocolFailure):
            await manager.fetch(url, retry=NOW)


async def test_what_the_reader_has_seen_is_final(place: Place) -> None:
    """Once a response has begun, its failure is the reply's: nobody gets the beginning of one body and the end of
    another.
    """
    peer = ScriptedPeer.for_each((ReceiveRequest(), Send(OK[:-1]), Close()))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url, retry=NOW) as reply:
            assert await reply.wait_finished() is NetworkError.REMOTE_HOST_CLOSED
            assert reply.read() == b"o"
        assert at_rest(manager)


async def _pieces() -> AsyncIterator[bytes]:
    yield b"once only"


@pytest.mark.parametrize("verb", ["POST", "PATCH", "MKCOL"])
async def test_what_is_not_idempotent_is_sent_once(verb: str, place: Place) -> None:
    """A POST, and any method that might do its work twice, is never repeated: its 503 is delivered as it is."""
    async with place.origin(server := moody(BUSY)) as origin, place.open_manager(retry=NOW) as manager:
        async with manager.send_custom(origin.url(), verb, b"order") as reply:
            assert await reply.wait_finished() is NetworkError.SERVICE_UNAVAILABLE
        assert reply.read() == BUSY.body
    assert server.bodies == [b"order"]


async def test_a_body_that_comes_once_is_sent_once(place: Place) -> None:
    """A PUT of an iterable cannot be repeated: its 503 is delivered as it is."""
    async with place.origin(server := moody(BUSY)) as origin, place.open_manager(retry=NOW) as manager:
        async with manager.put(origin.url(), _pieces()) as reply:
            assert await reply.wait_finished() is NetworkError.SERVICE_UNAVAILABLE
    assert server.bodies == [b"once only"]


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "multipart"])
async def test_a_body_is_sent_again_from_its_beginning(kind: str, place: Place, tmp_path: Path) -> None:
    """Bytes, paths, seekable files and parts made of those: the second attempt sends the same bytes."""
    path = tmp_path / "body"
    path.write_bytes(b"junk" + b"x" * 300_000)
    with path.open("rb") as file:
        file.seek(4)
        bodies: dict[str, BodySource] = {
            "bytes": b"x" * 300_000,
            "path": path,
            "file": file,
            "multipart": MultipartBody([Part("a", "1"), Part("f", path), Part("g", file)], boundary="cut"),
        }
        async with place.origin(server := moody(BUSY, OriginResponse())) as origin, place.open_manager() as manager:
            async with manager.put(origin.url(), bodies[kind], retry=NOW) as reply:
                events = [event async for event in reply]
            assert reply.status_code == 200
            assert at_rest(manager)
    first, second = server.bodies
    assert len(first) >= 300_000
    assert first == second
    assert "Retrying U(" in place.sequence(events)


async def test_each_hop_has_its_own_attempts(memory: Place) -> None:
    """Behind a redirect that was followed only the last hop is repeated, and with all its attempts."""
    target = moody(BUSY, BUSY, OriginResponse(body=b"there"))
    start = moody(BUSY, BUSY, OriginResponse(302, (("Location", "/target"),)))
    async with memory.origin({"/": start, "/target": target}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=NOW) as reply:
            events = [event async for event in reply]
        assert reply.read() == b"there"
    expected = "S Q Retrying Q Retrying Q H(302) Redirected Q Retrying Q Retrying Q H(200) R D(5,5) F(NO_ERROR)"
    assert memory.sequence(events) == expected
    assert [event.url.path for event in events if isinstance(event, Redirected)] == ["/target"]


async def test_the_wait_is_not_idleness(autojump_clock: MockClock, memory: Place) -> None:
    """``transfer_timeout`` does not run during the wait, and each attempt has all of it."""

    async def slow(request: OriginRequest) -> OriginResponse:
        await trio.sleep(0.9)
        return await server(request)

    server = moody(OriginResponse(503, (("Retry-After", "30"),)), OriginResponse(body=b"ok"))
    async with memory.origin(slow) as origin, memory.open_manager() as manager:
        assert (await manager.fetch(origin.url(), retry=STEADY, transfer_timeout=1)).body == b"ok"
    assert trio.current_time() == pytest.approx(0.9 + 30 + 0.9)


async def test_an_idle_attempt_ends_the_reply(autojump_clock: MockClock, memory: Place) -> None:
    """``transfer_timeout`` is the whole reply's: an attempt that stalls is its end, and is not repeated."""
    peer = ScriptedPeer.for_each((ReceiveRequest(), Stall()))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        with pytest.raises(TimeoutError, match="transfer_timeout=3"):
            await manager.fetch(url, retry=STEADY, transfer_timeout=3)
        assert at_rest(manager)
    assert trio.current_time() == 3


async def test_the_callers_deadline_includes_the_waits(autojump_clock: MockClock, memory: Place) -> None:
    """A deadline around it all ends a reply in the middle of a wait, and leaves nothing behind."""
    async with memory.origin(moody(BUSY)) as origin, memory.open_manager() as manager:
        with trio.move_on_after(2.5) as scope:
            await manager.fetch(origin.url(), retry=STEADY)
        assert scope.cancelled_caught
        assert trio.current_time() == 2.5
        assert at_rest(manager)


@pytest.mark.parametrize("size", [1000, 1_000_000])
async def test_no_connection_is_held_during_the_wait(size: int, autojump_clock: MockClock, memory: Place) -> None:
    """While the reply waits others can have its connection: a small error page is read away, a large one cut."""
    server = moody(OriginResponse(503, body=bytes(size)), OriginResponse(body=b"ok"))
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=RetryPolicy(backoff=100, jitter=0)) as reply:
            async for event in reply:
                if isinstance(event, Retrying):
                    statistics = manager.statistics()
                    assert (statistics.leases, statistics.replies_running) == (0, 1)
                    assert statistics.idle == (size == 1000)
        assert reply.read() == b"ok"
        assert len(origin.connections) == (1 if size == 1000 else 2)


async def test_an_error_page_that_never_ends(autojump_clock: MockClock, memory: Place) -> None:
    """A server that drips its error page is left after two seconds."""
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n"
    dripping = (ReceiveRequest(), Send(head), SendSlowly(bytes(1000), delay=1))
    peer = ScriptedPeer.for_each(dripping, (ReceiveRequest(), Send(OK)))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        assert (await manager.fetch(url, retry=STEADY)).body == b"ok"
    assert trio.current_time() == pytest.approx(2 + 1)


Stop = Callable[[Reply], object]


@pytest.mark.parametrize(
    ("stop", "error"),
    [
        (Reply.abort, NetworkError.OPERATION_CANCELED),
        (Reply.close, NetworkError.OPERATION_CANCELED),
        (lambda reply: reply.cancel_scope.cancel(), NetworkError.OPERATION_CANCELED),
        (lambda reply: setattr(reply.cancel_scope, "deadline", trio.current_time() + 10), NetworkError.TIMEOUT),
    ],
    ids=["abort", "close", "cancel", "deadline"],
)
async def test_stopped_in_the_wait(stop: Stop, error: NetworkError, autojump_clock: MockClock, memory: Place) -> None:
    """A reply that is stopped while it waits finishes then, once, and the request is not sent again."""
    async with memory.origin(server := moody(BUSY)) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), retry=RetryPolicy(backoff=50, jitter=0)) as reply:
            events: list[Event] = []
            async for event in reply:
                events.append(event)
                if isinstance(event, Retrying):
                    stop(reply)
        assert memory.sequence(events) == f"S Q Retrying E({error.name}) D(0,0) F({error.name})"
        await trio.sleep(100)
        assert server.bodies == [b""]
        assert at_rest(manager)
        assert (await manager.fetch(origin.url(), raise_for_error=False)).status_code == 503


async def test_left_in_the_wait(autojump_clock: MockClock, memory: Place) -> None:
    """Leaving the block in the wait, or everything through an exception, ends the reply at once."""
    async with memory.origin(server := moody(BUSY)) as origin:
        async with memory.open_manager(retry=STEADY) as manager:
            async with manager.get(origin.url()) as reply:
                await until_retrying(reply)
            assert reply.error is NetworkError.OPERATION_CANCELED
            assert at_rest(manager)
        with pytest.raises(ZeroDivisionError):
            async with memory.open_manager(retry=STEADY) as manager, manager.get(origin.url()) as reply:
                await until_retrying(reply)
                raise ZeroDivisionError
        assert reply.error is NetworkError.OPERATION_CANCELED
    assert len(server.bodies) == 2
    assert trio.current_time() == 0


async def until_retrying(reply: Reply) -> None:
    """Wait for `Retrying`."""
    while not isinstance(await reply.events.receive(), Retrying):
        pass
