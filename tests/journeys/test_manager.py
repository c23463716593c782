"""The manager's own part: verbs, defaults, whole exchanges, observers, and what becomes of odd calls."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import (
    ContentNotFoundError,
    Event,
    Finished,
    HostNotFoundError,
    Manager,
    NetworkError,
    OperationCanceledError,
    Progress,
    Request,
    UnknownContentError,
)
from trioreply.testing import (
    OriginRequest,
    OriginResponse,
    ReceiveEnd,
    ReceiveHead,
    ReceiveRequest,
    Reset,
    ScriptedPeer,
    Send,
    Stall,
    WaitFor,
)

from .conftest import Place

OK = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("verb", ["get", "head", "post", "put", "delete", "patch"])
async def test_each_verb_is_sent_as_its_method(verb: str, place: Place) -> None:
    """A verb's method goes out; a request that is given keeps everything else."""
    async with place.origin({"/": OriginResponse()}) as origin, place.open_manager() as manager:
        async with getattr(manager, verb)(origin.url()) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
        request = Request(origin.url(), headers={"X-Mine": "kept"})
        async with getattr(manager, verb)(request, headers={"X-Mine": "changed"}) as reply:
            await reply.wait_finished()
        async with getattr(manager, verb)(request) as reply:
            await reply.wait_finished()
    assert [request.method for request in origin.requests] == [verb.upper()] * 3
    assert [request.header("x-mine") for request in origin.requests] == [None, "changed", "kept"]


async def test_a_request_is_sent_as_it_is(place: Place) -> None:
    """``send`` takes method, fields and body from the request, and adds the manager's defaults."""
    async with place.origin({"/": OriginResponse()}) as origin:
        async with place.open_manager(headers={"X-Default": "d"}, user_agent="mine/1") as manager:
            async with manager.send(Request(origin.url(), verb="REPORT", body=b"x", headers={"X-Own": "o"})) as reply:
                await reply.wait_finished()
    (request,) = origin.requests
    assert (request.method, request.body) == ("REPORT", b"x")
    assert (request.header("x-own"), request.header("x-default"), request.header("user-agent")) == ("o", "d", "mine/1")


async def test_the_fields_on_the_wire(place: Place) -> None:
    """Host first, unless the user placed it; then the user's fields as they were set; then ours."""
    async with place.origin({"/": OriginResponse()}) as origin, place.open_manager(user_agent="") as manager:
        await manager.fetch(origin.url(), headers=[("B", "1"), ("A", "2"), ("b", "3")])
        await manager.fetch(origin.url(), headers=[("X", "1"), ("Host", "virtual.test")])
    first, second = origin.requests
    assert [name for name, _ in first.headers] == ["host", "b", "a", "b", "accept-encoding"]
    assert second.headers[:2] == (("x", "1"), ("host", "virtual.test"))


@pytest.mark.parametrize(
    ("relative", "target"),
    [("things", "/api/v1/things"), ("/things?a=b", "/api/v1/things?a=b"), ("", "/api/v1/")],
)
async def test_relative_urls_are_appended_to_the_base(relative: str, target: str, place: Place) -> None:
    """``base_url`` is put in front with exactly one slash between, as by Qt's request factory."""
    async with place.origin(_ok) as origin:
        async with place.open_manager(base_url=origin.url("/api/v1/")) as manager:
            await manager.fetch(relative)
            await manager.fetch(Request(relative))
            async with manager.get(relative) as reply:
                await reply.wait_finished()
    assert [request.target for request in origin.requests] == [target] * 3


async def _ok(request: OriginRequest) -> OriginResponse:
    return OriginResponse()


async def test_fetch_gives_the_whole_response(place: Place) -> None:
    """Status, fields, body and URL in one value; a status of 400 or more raises, unless it is not wanted to."""
    page = OriginResponse(404, [("Content-Type", "text/plain; charset=latin-1")], "não".encode("latin-1"))
    async with place.origin({"/page": page}) as origin, place.open_manager() as manager:
        with pytest.raises(ContentNotFoundError) as raised:
            await manager.fetch(origin.url("/page"))
        response = await manager.fetch(origin.url("/page"), raise_for_error=False)
    assert raised.value.status_code == 404
    assert raised.value.reply is not None
    assert (response.status_code, response.error, response.text()) == (404, NetworkError.CONTENT_NOT_FOUND, "não")
    assert str(response.url) == origin.url("/page")


async def test_fetch_refuses_what_is_too_large(place: Place) -> None:
    """``max_size`` ends the transfer as soon as more has come."""
    async with place.origin({"/": OriginResponse(body=bytes(1_000_000))}) as origin, place.open_manager() as manager:
        with pytest.raises(UnknownContentError, match="max_size=1000"):
            await manager.fetch(origin.url(), max_size=1000)
        assert manager.statistics().leases == 0


async def test_fetch_for_a_program_that_fetches_one_thing(place: Place) -> None:
    """`trioreply.fetch` has a manager of its own."""
    assert (await trioreply.fetch("data:,hello")).body == b"hello"


async def test_observers_see_every_reply(place: Place) -> None:
    """Each event of each reply reaches an observer that keeps up; one that looks later still finds every end."""
    async with place.origin({"/": OriginResponse(body=b"x")}) as origin, place.open_manager() as manager:
        async with manager.observe() as late, manager.observe() as observed:
            async with manager.get(origin.url()) as reply:
                own = [event async for event in reply]
            await manager.fetch(origin.url())
            seen: list[Event] = []
            while sum(isinstance(event, Finished) for event in seen) < 2:
                of, event = await observed.receive()
                seen.append(event)
                assert (of is reply) == (len(seen) <= len(own))
            assert [type(event) for event in seen[: len(own)]] == [type(event) for event in own]
        assert late is not observed


async def test_the_observation_ends_with_the_manager(place: Place) -> None:
    """An observer's channel ends when nothing can happen any more, also if it is opened after that."""
    async with place.open_manager() as manager:
        pass
    async with manager.observe() as observed:
        assert [item async for item in observed] == []


async def test_a_url_without_a_host(place: Place) -> None:
    """``http:///path`` names no host."""
    async with place.open_manager() as manager:
        with pytest.raises(HostNotFoundError, match="names no host"):
            await manager.fetch("http:///path")


async def test_options_are_checked_before_anything_is_opened() -> None:
    """An impossible or unknown option is refused by `open_manager` itself."""
    with pytest.raises(TypeError, match="no option colour"):
        trioreply.open_manager(colour="red")  # type: ignore[call-arg]  # what a user might do
    with pytest.raises(ValueError, match="headers"):
        trioreply.open_manager(headers={"a b": "c"})
    with pytest.raises(ValueError, match="base_url"):
        trioreply.open_manager(base_url="http://exa mple.org")


async def test_blocks_are_entered_once(place: Place) -> None:
    """Neither a manager's block nor a reply's can be entered a second time."""
    opening = place.open_manager()
    async with opening as manager:
        with pytest.raises(RuntimeError, match="once"):
            await opening.__aenter__()
        get = manager.get("data:,x")
        async with get:
            pass
        with pytest.raises(RuntimeError, match="once"):
            await get.__aenter__()


async def test_a_manager_outside_of_its_block(place: Place) -> None:
    """Before and after its block a manager opens nothing."""
    async with place.open_manager() as manager:
        get = manager.get("data:,x")
    with pytest.raises(trio.ClosedResourceError):
        async with get:
            pass
    with pytest.raises(trio.ClosedResourceError):
        await manager.preconnect("http://127.0.0.1:9/")


async def test_preconnecting_while_the_manager_is_left(autojump_clock: MockClock, memory: Place) -> None:
    """A connection that is there only after the manager was left is closed, and its opener is told."""
    assert memory.network is not None
    async with memory.serve(ScriptedPeer(ReceiveEnd())) as url, trio.open_nursery() as nursery:
        memory.network.host("peer.test").delay = 5

        async def preconnect(manager: Manager) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await manager.preconnect(url)

        async with memory.open_manager() as manager:
            nursery.start_soon(preconnect, manager)  # noqa: ASYNC111 - it outlives the manager on purpose
            await trio.sleep(1)
    assert not memory.network.open_streams


async def test_clearing_connections_during_an_upload(place: Place) -> None:
    """The exchange whose connection is closed under its upload fails as OPERATION_CANCELED."""
    async with place.serve(ScriptedPeer(ReceiveHead(), Stall())) as url, place.open_manager() as manager:
        async with manager.post(url, bytes(100_000_000)) as reply:
            await _upload_begun(reply.events)
            await trio.testing.wait_all_tasks_blocked()
            manager.clear_connections()
            assert await reply.wait_finished() is NetworkError.OPERATION_CANCELED
            with pytest.raises(OperationCanceledError):
                reply.raise_for_error()


async def test_clearing_connections_while_one_is_dialled(memory: Place) -> None:
    """What is still being dialled has no connection to close."""
    assert memory.network is not None
    memory.network.add_host("slow.test").black_hole = True
    async with memory.open_manager() as manager, manager.get("http://slow.test/") as reply:
        await trio.testing.wait_all_tasks_blocked()
        manager.clear_connections()
        assert reply.is_running


async def test_a_connection_reset_during_an_upload(place: Place) -> None:
    """A server that resets instead of answering: the upload ends, and the reply says that the host closed."""
    async with place.serve(ScriptedPeer(ReceiveHead(), Reset())) as url, place.open_manager() as manager:
        async with manager.post(url, bytes(100_000_000)) as reply:
            assert await reply.wait_finished() is NetworkError.REMOTE_HOST_CLOSED
        assert manager.statistics().leases == 0


async def test_a_connection_reset_before_the_last_chunk(place: Place) -> None:
    """The same when only the end of a chunked body is missing."""
    answered, gone = trio.Event(), trio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"all but the end"
        await gone.wait()

    answer = Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    peer = ScriptedPeer(ReceiveHead(), answer, WaitFor(answered), Reset())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, body()) as reply:
            assert await reply.read_exactly(2) == b"ok"
            answered.set()
            await peer.connections[0].wait_ended()
            gone.set()
            assert await reply.wait_finished() is NetworkError.NO_ERROR


async def test_the_gauge_of_a_connection(place: Place) -> None:
    """A kept connection says in its ``repr`` that it may be used again."""
    peer = ScriptedPeer(ReceiveRequest(), OK, ReceiveEnd())
    async with place.serve(peer) as url, place.open_manager() as manager:
        await manager.fetch(url)
        (kept,) = manager._pool._slots._idle
        assert repr(kept.connection) == "<H1Connection reusable>"


async def _upload_begun(events: trio.abc.ReceiveChannel[Event]) -> None:
    async for event in events:
        if isinstance(event, Progress):
            return


async def test_a_body_for_a_request_that_is_made_already(place: Place) -> None:
    """A verb that is given a request and a body sends the body instead of the request's."""

    async def echo(request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=await request.read())

    async with place.origin(echo) as origin, place.open_manager() as manager:
        template = Request(origin.url(), body=b"of the request", headers={"X": "1"})
        async with manager.put(template, b"of the verb") as reply:
            assert await reply.read_all() == b"of the verb"
        async with manager.put(template) as reply:
            assert await reply.read_all() == b"of the request"
