"""Event streams from end to end: what is asked for, when it is connected again, and when not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import Manager, NetworkError, ReplyError, Request, RequestFields, RetryPolicy
from trioreply._jobs.event_stream import EventStream, event_stream
from trioreply._model.server_sent_event import ServerSentEvent
from trioreply.errors import (
    AuthenticationRequiredError,
    ConnectionRefusedError,
    ContentNotFoundError,
    HostNotFoundError,
    RemoteHostClosedError,
    ServiceUnavailableError,
    UnknownContentError,
)
from trioreply.testing import Close, Loop, OriginResponse, ReceiveRequest, ScriptedPeer, Send, Stall

from .conftest import Place
from .streaming import BUSY, EXACT, HEAD, NO_MORE, TYPE, Answers, all_data, at_rest, chunk, stream


async def test_goes_on_where_it_was(place: Place) -> None:
    """After the end of a response the next one is asked for what came after the last id; 204 is the end of it all."""
    server = Answers([stream(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: lost"), stream(b"data: c\n\n"), NO_MORE])
    async with place.origin(server) as origin, place.open_manager() as manager:
        async with event_stream(manager, origin.url(), reconnect=EXACT, reconnect_delay=0) as events:
            got = [event async for event in events]
            assert got == [ServerSentEvent(data=data, id=one) for data, one in [("a", "1"), ("b", "2"), ("c", "2")]]
            assert (events.last_event_id, events.reply, events.attempts, events.failures) == ("2", None, 3, 0)
            assert [event async for event in events] == []
        assert server.ids == [None, "2", "2"]
        assert {(one.header("Accept"), one.header("Cache-Control")) for one in server.requests} == {
            ("text/event-stream", "no-cache")
        }
        assert at_rest(manager)


async def test_cut_in_the_middle_of_an_event(place: Place) -> None:
    """A connection that breaks within an event is made again; the half event is dropped, and so is its id."""
    first = Send(HEAD + chunk(b"id: 1\ndata: a\n\nid: 2\ndata: ha"))
    second = Send(HEAD + chunk(b"id: 2\ndata: half\n\n"))
    last = Send(b"HTTP/1.1 204 No Content\r\n\r\n")
    peer = ScriptedPeer.for_each(
        (ReceiveRequest(), first, Close()), (ReceiveRequest(), second, Close()), (ReceiveRequest(), last)
    )
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with event_stream(manager, url, reconnect=EXACT, reconnect_delay=0) as events:
            assert [(event.id, event.data) async for event in events] == [("1", "a"), ("2", "half")]
        assert at_rest(manager)


@pytest.mark.parametrize("server_says", [True, False])
async def test_the_reconnection_time(server_says: bool, autojump_clock: MockClock, memory: Place) -> None:
    """Between two connections the server's time is waited, 3 s until it says one; an event need not come with it."""
    said = b"retry: 7500\n\n" if server_says else b""
    server = Answers([stream(b"data: a\n\n" + said), stream(b"data: b\n\n"), NO_MORE])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url(), reconnect=EXACT) as events:
            assert await all_data(events) == ["a", "b"]
    assert server.times == ([0, 7.5, 15] if server_says else [0, 3, 6])


async def test_by_default_waits_are_a_little_longer(autojump_clock: MockClock, memory: Place) -> None:
    """What is waited on top of the server's time is random, so that its clients do not come back together."""
    server = Answers([stream(b"retry: 0\n\n")] * 20 + [NO_MORE])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url()) as events:
            assert await all_data(events) == []
    waits = [later - earlier for earlier, later in itertools.pairwise(server.times)]
    assert all(0.5 <= wait <= 1 for wait in waits)
    assert len(set(waits)) == 20


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_failures_in_a_row(status: int, autojump_clock: MockClock, memory: Place) -> None:
    """Each failure makes the next wait longer; a stream sets that back; after so many in a row the error is raised."""
    busy = OriginResponse(status, reason="No")
    policy = RetryPolicy(4, backoff=1, jitter=0, on_status={status})
    server = Answers([busy, busy, stream(b"retry: 10000\n\n"), busy, busy, busy, busy])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url(), reconnect=policy) as events:
            with pytest.raises(ReplyError, match="server replied: No") as caught:
                await anext(events)
            assert (caught.value.status_code, caught.value.url) == (status, origin.url())
            assert (events.failures, events.attempts) == (4, 7)
            assert await all_data(events) == []
        assert at_rest(manager)
    # 3 s and the back-off of 2, then of 4; then 10 s and 1, 2, 4, 8.
    assert server.times == pytest.approx([0, 5, 12, 23, 35, 49, 67])


@pytest.mark.parametrize(("wish", "respected", "wait"), [("20", True, 20), ("2", True, 3), ("20", False, 3)])
async def test_retry_after(
    wish: str, respected: bool, wait: float, *, autojump_clock: MockClock, memory: Place
) -> None:
    """Retry-After makes the wait longer than it would be, never shorter, and nothing if the policy says so."""
    server = Answers([OriginResponse(503, (("Retry-After", wish),)), NO_MORE])
    policy = RetryPolicy(backoff=0, respect_retry_after=respected)
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url(), reconnect=policy) as events:
            assert await all_data(events) == []
    assert server.times == [0, wait]


async def test_a_server_that_wants_too_much_patience(autojump_clock: MockClock, memory: Place) -> None:
    """A Retry-After beyond ``max_delay`` ends it at once."""
    server = Answers([OriginResponse(503, (("Retry-After", "61"),))])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url()) as events:
            with pytest.raises(ServiceUnavailableError):
                await anext(events)
    assert server.times == [0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (OriginResponse(404, TYPE, b"data: x\n\n", reason="Gone"), ContentNotFoundError),
        (OriginResponse(401, (("WWW-Authenticate", 'Basic realm="x"'),)), AuthenticationRequiredError),
        (OriginResponse(206, TYPE, b"data: x\n\n"), UnknownContentError),
        (OriginResponse(200, (("Content-Type", "text/html"),), b"<html>"), UnknownContentError),
        (OriginResponse(200, (), b""), UnknownContentError),
    ],
    ids=["404", "401", "206", "wrong type", "no type"],
)
async def test_what_is_final(answer: OriginResponse, error: type[ReplyError], place: Place) -> None:
    """A status that another attempt will not mend, or a wrong type, raises its error at once and is the end."""
    async with place.origin(server := Answers([answer])) as origin, place.open_manager() as manager:
        async with event_stream(manager, origin.url()) as events:
            with pytest.raises(error) as caught:
                await anext(events)
            assert (caught.value.status_code, caught.value.url) == (answer.status_code, origin.url())
            assert caught.value.reply is not None
            assert await all_data(events) == []
            assert events.reply is None
        assert len(server.requests) == 1
        assert at_rest(manager)


async def test_an_event_that_is_too_large(place: Place) -> None:
    """An event larger than wanted is the end, and the connection with it is closed."""
    peer = ScriptedPeer(ReceiveRequest(), Send(HEAD), Loop(Send(chunk(b"x" * 1000))))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with event_stream(manager, url, max_size=10_000) as events:
            with pytest.raises(UnknownContentError, match="max_size=10000"):
                await anext(events)
            assert at_rest(manager)


async def test_a_server_that_is_started_again(autojump_clock: MockClock, memory: Place) -> None:
    """Refused connections, and a name that is not found for a while, are failures that may pass."""
    server = Answers([stream(b"data: a\n\n"), stream(b"data: b\n\n"), NO_MORE])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        assert memory.network is not None
        host = memory.network.host("origin.test")
        host.refuse = True
        async with event_stream(manager, origin.url()) as events, trio.open_nursery() as nursery:

            @nursery.start_soon
            async def repair() -> None:
                await trio.sleep(10)
                host.refuse = False

            assert await all_data(events) == ["a", "b"]
            assert events.attempts > 3


async def test_a_server_that_stays_away(autojump_clock: MockClock, memory: Place) -> None:
    """After so many failures in a row the last error is raised, as the error that it is; others are raised at once."""
    async with memory.origin({}) as origin, memory.open_manager() as manager:
        assert memory.network is not None
        memory.network.host("origin.test").refuse = True
        async with event_stream(manager, origin.url(), reconnect=EXACT) as events:
            with pytest.raises(ConnectionRefusedError):
                await anext(events)
            assert (events.attempts, trio.current_time()) == (4, 9)
        policy = RetryPolicy(2, on_errors={NetworkError.CONNECTION_REFUSED})
        async with event_stream(manager, "http://nowhere.test/", reconnect=policy) as events:
            with pytest.raises(HostNotFoundError):
                await anext(events)
            assert events.attempts == 1


async def test_a_break_that_is_not_borne(place: Place) -> None:
    """A stream that breaks off in a way that the policy does not name raises its error, after its events."""
    peer = ScriptedPeer(ReceiveRequest(), Send(HEAD + chunk(b"data: a\n\n")), Close())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with event_stream(manager, url, reconnect=RetryPolicy(on_errors=())) as events:
            assert (await anext(events)).data == "a"
            with pytest.raises(RemoteHostClosedError):
                await anext(events)
            assert await all_data(events) == []
        assert at_rest(manager)


async def test_a_connection_that_died_in_silence(autojump_clock: MockClock, memory: Place) -> None:
    """``transfer_timeout`` notices that nothing comes any more, and the stream connects again."""
    first = (ReceiveRequest(), Send(HEAD + chunk(b"data: a\n\n")), Stall())
    peer = ScriptedPeer.for_each(first, (ReceiveRequest(), Send(b"HTTP/1.1 204 No Content\r\n\r\n")))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with event_stream(manager, url, reconnect=EXACT, transfer_timeout=30) as events:
            assert await all_data(events) == ["a"]
    assert trio.current_time() == pytest.approx(33)


async def test_ids(memory: Place) -> None:
    """One begins where the caller says; what no field can carry is not sent; an empty id takes back the one before."""
    bodies = [b"id: \xe2\x82\xac\ndata\n\n", b"id: a\x01b\ndata\n\n", b"id: 9\n\n", b"id\n\n"]
    server = Answers([*map(stream, bodies), NO_MORE])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        source = event_stream(manager, origin.url(), last_event_id="0", reconnect=EXACT, reconnect_delay=0)
        async with source as events:
            assert [event.id async for event in events] == ["\u20ac", "a\x01b"]
            assert events.last_event_id == ""
    assert server.ids == ["0", "\u20ac".encode().decode("latin-1"), None, "9", None]


async def test_fields_of_the_request(memory: Place) -> None:
    """Fields of the caller, or of a whole request, go with each attempt, and before ours; retries do not multiply."""
    server = Answers([stream(b"id: 1\n\n"), BUSY, NO_MORE])
    async with memory.origin(server) as origin, memory.open_manager(retry=RetryPolicy(5, backoff=0)) as manager:
        request = Request(origin.url(), headers={"X-Own": "a", "Accept": "text/event-stream;q=1"}, verb="POST")
        for url, fields in (
            (request, RequestFields()),
            (origin.url(), RequestFields(headers=[("X-Own", "b"), ("Cache-Control", "no-store")])),
            (request, RequestFields(headers={"X-Own": "c"})),
        ):
            server.requests.clear()
            async with event_stream(manager, url, reconnect=EXACT, reconnect_delay=0, **fields) as events:
                assert await all_data(events) == []
                assert events.attempts == 3
            own = "a" if not fields else dict(fields["headers"] or {})["X-Own"]
            assert [(one.method, one.header("X-Own")) for one in server.requests] == [("GET", own)] * 3
            assert server.ids == [None, "1", "1"]
        assert server.requests[0].header("Accept") == "text/event-stream"


async def test_retries_of_the_request(memory: Place) -> None:
    """A policy for the request itself holds within each attempt."""
    server = Answers([BUSY, BUSY, NO_MORE])
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with event_stream(manager, origin.url(), retry=RetryPolicy(backoff=0)) as events:
            assert await all_data(events) == []
            assert (events.attempts, events.failures) == (1, 0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda m: event_stream(m, "http://x y/"), "url: "),
        (lambda m: event_stream(m, "http://x/", max_redirects=-1), "max_redirects: "),
        (lambda m: event_stream(m, "http://x/", reconnect=cast("RetryPolicy", 3)), "reconnect: give a RetryPolicy"),
        (lambda m: event_stream(m, "http://x/", reconnect_delay=-1), "reconnect_delay: "),
        (lambda m: event_stream(m, "http://x/", reconnect_delay=float("inf")), "reconnect_delay: "),
        (lambda m: event_stream(m, "http://x/", last_event_id="a\nb"), "last_event_id: "),
        (lambda m: event_stream(m, "http://x/", headers={"last-event-id": "1"}), "headers: .* as last_event_id="),
        (lambda m: event_stream(m, Request("http://x/", headers={"last-event-id": "1"})), "headers: "),
    ],
)
async def test_mistakes(make: Callable[[Manager], EventStream], text: str) -> None:
    """What cannot be is refused where it is said, before anything is opened, by its name."""
    async with trioreply.open_manager() as manager:
        with pytest.raises((ValueError, TypeError), match=f"^{text}"):
            make(manager)


async def test_a_stream_without_http(autojump_clock: MockClock) -> None:
    """Schemes without statuses give streams too; connecting again is what a stream does."""
    async with trioreply.open_manager() as manager:
        async with event_stream(manager, "data:text/event-stream,data:%20x%0A%0A", reconnect=EXACT) as events:
            assert [(await anext(events)).data for _ in range(3)] == ["x"] * 3
    assert trio.current_time() == 6
