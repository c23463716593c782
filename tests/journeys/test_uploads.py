"""Request bodies of every kind, on their way to a server that may answer early, late or never."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from trioreply import (
    BodySource,
    ContentNotFoundError,
    Direction,
    Event,
    NetworkError,
    Progress,
    ProtocolInvalidOperationError,
    ReplyError,
    UnknownNetworkError,
)
from trioreply.testing import (
    Close,
    OriginRequest,
    OriginResponse,
    ReceiveBody,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
    run_sync_inline,
)

from .conftest import Place

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BODY = bytes(range(256)) * 2000


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await trio.lowlevel.checkpoint()
        yield piece


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "async file", "iterable", "stream"])
async def test_every_kind_of_body_arrives_whole(kind: str, place: Place, tmp_path: Path) -> None:
    """Bytes, paths, open files, iterables and streams: the server gets the same bytes, framed as the length allows."""
    path = tmp_path / "body"
    path.write_bytes(BODY)
    peer = ScriptedPeer(ReceiveRequest(), Send(OK))
    async with place.serve(peer) as url, place.open_manager() as manager:
        send, receive = trio.testing.memory_stream_one_way_pair()
        async with await trio.open_file(path, "rb") as async_file, trio.open_nursery() as nursery:
            with path.open("rb") as file:
                if kind == "stream":
                    nursery.start_soon(_feed, send)
                bodies: dict[str, BodySource] = {
                    "bytes": BODY,
                    "path": path,
                    "file": file,
                    "async file": async_file,
                    "iterable": _pieces(BODY[:7], b"", BODY[7:]),
                    "stream": receive,
                }
                async with manager.post(url, bodies[kind]) as reply:
                    events = [event async for event in reply]
        assert peer.requests[0].body == BODY
    assert reply.read() == b"ok"
    uploads = [event for event in events if isinstance(event, Progress) and event.direction is Direction.UPLOAD]
    assert uploads[-1].done == uploads[-1].total == len(BODY)
    assert [event.done for event in uploads] == sorted(event.done for event in uploads)


async def _feed(send: trio.abc.SendStream) -> None:
    async with send:
        await send.send_all(BODY)


async def test_a_known_length_is_announced_and_an_unknown_one_is_chunked(place: Place, tmp_path: Path) -> None:
    """Content-Length for what has a length, chunked for what has none, the user's own Content-Length for that."""
    (tmp_path / "body").write_bytes(b"abc")
    async with place.origin({"/": OriginResponse()}) as origin, place.open_manager() as manager:
        await manager.fetch(origin.url(), body=tmp_path / "body")
        await manager.fetch(origin.url(), body=_pieces(b"abc"))
        await manager.fetch(origin.url(), body=_pieces(b"abc"), headers={"Content-Length": "3"})
    framing = [
        {name: value for name, value in request.headers if name.lower() in ("content-length", "transfer-encoding")}
        for request in origin.requests
    ]
    assert [list(fields.values()) for fields in framing] == [["3"], ["chunked"], ["3"]]


@pytest.mark.parametrize("pieces", [(b"ab",), (b"abcd",)])
async def test_an_announced_length_is_enforced(pieces: tuple[bytes, ...], place: Place) -> None:
    """An iterable that does not keep to the Content-Length fails its own reply; the wire never gets a wrong length."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK))
    async with place.serve(peer) as url, place.open_manager() as manager:
        with pytest.raises(UnknownNetworkError):
            await manager.fetch(url, body=_pieces(*pieces), headers={"Content-Length": "3"}, verb="POST")
        assert manager.statistics().leases == 0


async def test_fields_that_contradict_the_body_are_refused(place: Place) -> None:
    """A wrong Content-Length and any Transfer-Encoding of the user's: a typed error that says what to leave out."""
    async with place.origin({"/": OriginResponse()}) as origin, place.open_manager() as manager:
        for headers in ({"Content-Length": "7"}, {"Transfer-Encoding": "chunked"}):
            with pytest.raises(ProtocolInvalidOperationError, match="leave the field out"):
                await manager.fetch(origin.url(), body=b"abc", headers=headers)


async def test_a_body_that_raises_harms_its_own_reply_only(place: Place) -> None:
    """An exception of the user's iterable is the cause of that reply's error; the manager goes on."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ZeroDivisionError

    async with place.origin({"/": OriginResponse(body=b"fine")}) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), broken()) as reply:
            assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
            with pytest.raises(UnknownNetworkError) as raised:
                reply.raise_for_error()
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        assert (await manager.fetch(origin.url())).body == b"fine"


async def test_files_go_through_the_runner_that_was_given(
    autojump_clock: MockClock, memory: Place, tmp_path: Path
) -> None:
    """``run_sync`` replaces worker threads, so that an upload from a file can be tested on a mock clock."""
    path = tmp_path / "body"
    path.write_bytes(BODY)
    routes = {"/": OriginResponse()}
    async with memory.origin(routes) as origin, memory.open_manager(run_sync=run_sync_inline) as manager:
        await manager.fetch(origin.url(), verb="PUT", body=path, transfer_timeout=1)
    assert origin.requests[0].body == BODY


async def test_a_missing_file(place: Place, tmp_path: Path) -> None:
    """A path that leads nowhere is a typed error that names it."""
    async with place.origin({"/": OriginResponse()}) as origin, place.open_manager() as manager:
        with pytest.raises(ContentNotFoundError, match="nowhere"):
            await manager.fetch(origin.url(), body=tmp_path / "nowhere")


async def test_a_reply_as_the_body_of_another_request(place: Place) -> None:
    """A download piped into an upload."""

    async def take(request: OriginRequest) -> OriginResponse:
        await request.read()
        return OriginResponse()

    async with place.origin({"/a": OriginResponse(body=BODY), "/b": take}) as origin:
        async with place.open_manager() as manager, manager.get(origin.url("/a")) as download:
            async with manager.put(origin.url("/b"), download) as upload:
                assert await upload.wait_finished() is NetworkError.NO_ERROR
        (received,) = [request for request in origin.requests if request.path == "/b"]
        assert received.body == BODY


async def test_an_early_refusal_stops_the_upload(place: Place) -> None:
    """A 413 before the body was sent: it is delivered, and the rest of the body stays where it is."""
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"), Stall())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, bytes(100_000_000)) as reply:
            events = [event async for event in reply]
            assert reply.status_code == 413
            assert reply.read() == b"big"
        uploads = [event.done for event in events if isinstance(event, Progress) and event.total == 100_000_000]
        assert max(uploads, default=0) < 20_000_000
        assert manager.statistics().leases == 0


async def test_waiting_for_100_continue(place: Place) -> None:
    """With ``expect_continue`` the body follows the server's word."""
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), ReceiveBody(), Send(OK))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, b"abc", expect_continue=True) as reply:
            events = [event async for event in reply]
    assert place.sequence(events) == "S Q I(100) U(3,3) H(200) R D(2,2) F(NO_ERROR)"
    assert peer.requests[0].body == b"abc"


async def test_a_server_that_does_not_know_100_continue(autojump_clock: MockClock, memory: Place) -> None:
    """Without the server's word the body goes out after a second."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with manager.post(url, b"abc", expect_continue=True) as reply:
            await reply.wait_finished()
    assert trio.current_time() == pytest.approx(1)
    assert peer.requests[0].body == b"abc"


async def test_a_refusal_instead_of_100_continue(place: Place) -> None:
    """A final status in place of the 100: the body is never sent."""
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"), Close())
    async with place.serve(peer) as url, place.open_manager() as manager:
        with pytest.raises(ReplyError) as raised:
            await manager.fetch(url, body=b"abc", expect_continue=True)
    assert raised.value.status_code == 417
    assert not peer.requests[0].body


async def test_the_file_of_the_caller_is_sent_from_where_it_stands(place: Place) -> None:
    """An open file is sent from its position to its end."""
    file = io.BytesIO(b"skipped-sent")
    file.seek(8)
    async with place.origin({"/": OriginResponse()}) as origin, place.open_manager() as manager:
        async with manager.put(origin.url(), file) as reply:
            await reply.wait_finished()
    assert origin.requests[0].body == b"sent"
    assert not file.closed


async def test_an_answer_that_ends_before_the_upload(place: Place) -> None:
    """A success that comes early does not cut the upload short: the server gets all of what it was promised."""

    async def early(request: OriginRequest) -> OriginResponse:
        return OriginResponse(body=b"early")

    async with place.origin(early) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), BODY) as reply:
            events: list[Event] = [event async for event in reply]
        assert reply.read() == b"early"
        assert any(isinstance(event, Progress) and event.done == len(BODY) for event in events)
