"""Journeys with nginx: what a server that half of the web runs on says and does."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply import (
    ContentError,
    Direction,
    Event,
    Informational,
    Limits,
    Manager,
    MetaDataChanged,
    NetworkError,
    Progress,
    Response,
)

from .dialing import HeldDialer, WatchedDialer
from .nginx import PAGE, SMALL, Nginx

SECONDS = 20.0
"""No journey takes a hundredth of it."""

MIB = 1024 * 1024


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    """A manager as it comes."""
    with trio.fail_after(SECONDS):
        async with trioreply.open_manager() as manager:
            yield manager


def carried(response: Response) -> tuple[str, int]:
    """Which connection of the server's carried ``response``, and how many requests it had carried by then."""
    return response.headers["X-Connection"], int(response.headers["X-Requests"])


async def test_a_small_file(manager: Manager, nginx: Nginx) -> None:
    """A file arrives with its length, its type and a server's usual fields, in Qt's order of events."""
    async with manager.get(nginx.url("/small")) as reply:
        events = [type(event).__name__ async for event in reply]
        assert reply.read() == SMALL
        assert reply.headers["Content-Length"] == str(len(SMALL))
        assert reply.headers["Server"].startswith("nginx")
        assert (reply.status_code, reply.reason, reply.http_version) == (200, "OK", "1.1")
    expected = ["SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ReadyRead", "Progress", "Finished"]
    assert events == expected


async def test_head(manager: Manager, nginx: Nginx) -> None:
    """HEAD has the fields of GET and no body, and the connection goes on."""
    async with manager.head(nginx.url("/small")) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
        assert reply.headers["Content-Length"] == str(len(SMALL))
        assert reply.read() == b""
    again = await manager.fetch(nginx.url("/small"))
    assert (again.body, carried(again)[1]) == (SMALL, 2)


async def test_not_found(manager: Manager, nginx: Nginx) -> None:
    """A 404 ends as CONTENT_NOT_FOUND, with the server's page, and the connection goes on."""
    async with manager.get(nginx.url("/not-there")) as reply:
        assert await reply.wait_finished() is NetworkError.CONTENT_NOT_FOUND
        assert b"404 Not Found" in await reply.read_all()
    assert carried(await manager.fetch(nginx.url("/small")))[1] == 2


async def test_no_content_and_not_modified(manager: Manager, nginx: Nginx) -> None:
    """204 and 304 have no body, whatever their fields say, and the connection goes on."""
    first = await manager.fetch(nginx.url("/small"))
    nothing = await manager.fetch(nginx.url("/nothing"))
    headers = {"If-None-Match": first.headers["ETag"]}
    unchanged = await manager.fetch(nginx.url("/small"), headers=headers, raise_for_error=False)
    assert [(r.status_code, r.body, carried(r)[1]) for r in (nothing, unchanged)] == [(204, b"", 2), (304, b"", 3)]


async def test_a_body_in_chunks_with_a_trailer(manager: Manager, nginx: Nginx) -> None:
    """A body whose length the server does not know arrives whole, its trailer is readable, the connection goes on."""
    async with manager.get(nginx.url("/page.html")) as reply:
        assert await reply.read_all() == PAGE + b"GET"
        assert reply.headers["Transfer-Encoding"] == "chunked"
        await reply.wait_finished()
        assert reply.trailers["X-Served-By"] == "nginx"
        progress = [event async for event in reply if isinstance(event, Progress)]
        assert progress[-1].done == len(PAGE) + 3
    assert carried(await manager.fetch(nginx.url("/small")))[1] == 2


async def test_a_body_up_to_the_end_of_the_connection(manager: Manager, nginx: Nginx) -> None:
    """Without a length and without chunks the body is what comes until the server closes; nothing is kept."""
    response = await manager.fetch(nginx.url("/until-the-end/page.html"))
    assert response.body == PAGE + b"GET"
    assert not {"Content-Length", "Transfer-Encoding"} & set(response.headers)
    assert manager.statistics().connections == {}


async def test_a_server_that_speaks_http_1_0(manager: Manager, http10_server: str) -> None:
    """A real HTTP/1.0 server is understood, errors included, and gets a new connection for every request."""
    async with manager.get(f"{http10_server}/small") as reply:
        assert await reply.read_all() == b"from the last century"
        assert reply.http_version == "1.0"
    missing = await manager.fetch(f"{http10_server}/not-there", raise_for_error=False)
    assert missing.error is NetworkError.CONTENT_NOT_FOUND
    refused = await manager.fetch(f"{http10_server}/small", verb="PUT", body=bytes(10), raise_for_error=False)
    assert refused.error is NetworkError.OPERATION_NOT_IMPLEMENTED
    assert manager.statistics().idle == 0


async def test_one_connection_for_one_request_after_another(manager: Manager, nginx: Nginx) -> None:
    """The server sees one connection for twenty requests, and ours is the same count."""
    responses = [await manager.fetch(nginx.url(f"/echo?number={number}")) for number in range(20)]
    assert len({carried(response)[0] for response in responses}) == 1
    assert [carried(response)[1] for response in responses] == list(range(1, 21))
    statistics = manager.statistics()
    assert (statistics.idle, statistics.leases, statistics.replies_running) == (1, 0, 0)
    assert list(statistics.connections) == [nginx.url("")]


async def test_at_most_as_many_connections_as_allowed(nginx: Nginx) -> None:
    """Thirty requests at once to one host share three connections, also as the server counts them."""
    async with trioreply.open_manager(limits=Limits(per_host=3)) as manager:
        responses: list[Response] = []

        async def fetch(number: int) -> None:
            responses.append(await manager.fetch(nginx.url(f"/echo?number={number}")))

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                for number in range(30):
                    nursery.start_soon(fetch, number)
        assert len({carried(response)[0] for response in responses}) == 3
        assert {r.body for r in responses} == {b"GET /echo?number=%d" % number for number in range(30)}


async def test_a_target_arrives_as_it_was_given(manager: Manager, nginx: Nginx) -> None:
    """Path and query reach the server as a URL writes them, and a fragment does not."""
    response = await manager.fetch(nginx.url("/echo?q=%20a+b%26\u00fc&empty=#fragment"))
    assert response.body == b"GET /echo?q=%20a+b%26%C3%BC&empty="


async def test_put_then_get_then_delete(manager: Manager, nginx: Nginx, tmp_path: Path) -> None:
    """A file is stored as it is, read back the same, and removed; one connection does all of it."""
    content = bytes(range(256)) * 16 * 1024
    (tmp_path / "file").write_bytes(content)
    url = nginx.url("/dav/new/directory/file")
    async with manager.put(url, tmp_path / "file") as reply:
        events = [event async for event in reply]
        assert reply.status_code == 201
    sent = [event for event in events if isinstance(event, Progress) and event.direction is Direction.UPLOAD]
    assert (sent[-1].done, sent[-1].total) == (len(content), len(content))
    assert (nginx.files / "dav/new/directory/file").read_bytes() == content
    assert (await manager.fetch(url)).body == content
    async with manager.delete(url) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
        assert (reply.status_code, reply.headers["X-Requests"]) == (204, "3")


@pytest.mark.parametrize("target", ["/dav/in-chunks", "/proxied/in-chunks"])
async def test_an_upload_of_unknown_length(target: str, manager: Manager, nginx: Nginx) -> None:
    """What is generated while it is sent goes out in chunks, and arrives, also through a proxying server."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(300):
            yield b"%08d" % number * 1000

    response = await manager.fetch(nginx.url(target), verb="PUT", body=body())
    assert response.status_code in (201, 204)
    assert (nginx.files / "dav/in-chunks").read_bytes() == b"".join(b"%08d" % number * 1000 for number in range(300))
    assert carried(await manager.fetch(nginx.url("/small")))[1] == 2


async def test_a_download_through_a_proxying_server(manager: Manager, nginx: Nginx) -> None:
    """A stream that a server passes on from another one arrives whole."""
    content = bytes(range(256)) * 4096
    await manager.fetch(nginx.url("/dav/to-pass-on"), verb="PUT", body=content)
    assert (await manager.fetch(nginx.url("/proxied/to-pass-on"))).body == content


async def test_expect_100_continue(manager: Manager, nginx: Nginx) -> None:
    """The body follows the server's ``100 Continue``, which the reader gets to see."""
    async with manager.put(nginx.url("/dav/expected"), bytes(2 * MIB), expect_continue=True) as reply:
        events = [event async for event in reply]
        assert reply.status_code == 201
    kinds = [type(event) for event in events]
    assert [event.status_code for event in events if isinstance(event, Informational)] == [100]
    assert kinds.index(Informational) < kinds.index(Progress)
    assert (nginx.files / "dav/expected").stat().st_size == 2 * MIB


async def test_expect_100_continue_is_refused(manager: Manager, nginx: Nginx) -> None:
    """A server that says no instead of ``100 Continue`` gets nothing of the body."""
    async with manager.put(nginx.url("/at-most-1m/file"), bytes(2 * MIB), expect_continue=True) as reply:
        events = [event async for event in reply]
        assert reply.status_code == 413
        assert b"413 Request Entity Too Large" in await reply.read_all()
    assert uploaded(events) == 0


def uploaded(events: list[Event]) -> int:
    """How many bytes of the request's body left."""
    return max(
        (event.done for event in events if isinstance(event, Progress) and event.direction is Direction.UPLOAD),
        default=0,
    )


@pytest.mark.parametrize("length", ["known", "unknown"])
async def test_an_early_413(length: str, manager: Manager, nginx: Nginx, tmp_path: Path) -> None:
    """A server that refuses 100 MB after the first of them is heard: the upload stops, and its answer arrives."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 * MIB)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(MIB)

    async with manager.put(nginx.url("/at-most-1m/file"), path if length == "known" else pieces()) as reply:
        events = [event async for event in reply]
        assert reply.status_code == 413
        assert b"413 Request Entity Too Large" in await reply.read_all()
        with pytest.raises(ContentError):
            reply.raise_for_error()
    assert uploaded(events) < 50 * MIB
    assert manager.statistics().connections == {}
    assert (await manager.fetch(nginx.url("/small"))).body == SMALL


async def test_large_fields(manager: Manager, nginx: Nginx) -> None:
    """8 KiB in one field pass in both directions."""
    value = "0123456789abcdef" * 512
    response = await manager.fetch(nginx.url("/mirror"), headers={"X-Mirror": value})
    assert response.headers["X-Mirror"] == value


async def test_fields_that_are_too_large_for_the_server(manager: Manager, nginx: Nginx) -> None:
    """A server that refuses our head, and closes, is heard."""
    headers = {"X-Mirror": "x" * 40_000}
    response = await manager.fetch(nginx.url("/mirror"), headers=headers, raise_for_error=False)
    assert (response.status_code, response.error) == (400, NetworkError.PROTOCOL_INVALID_OPERATION)
    assert (await manager.fetch(nginx.url("/small"))).body == SMALL


async def test_a_range(manager: Manager, nginx: Nginx) -> None:
    """A Range field passes through: 206 with that part, and 416 beyond the end."""
    part = await manager.fetch(nginx.url("/small"), headers={"Range": "bytes=5-8"})
    assert (part.status_code, part.body) == (206, SMALL[5:9])
    assert part.headers["Content-Range"] == f"bytes 5-8/{len(SMALL)}"
    beyond = await manager.fetch(nginx.url("/small"), headers={"Range": "bytes=9999-"}, raise_for_error=False)
    assert (beyond.status_code, beyond.error) == (416, NetworkError.UNKNOWN_CONTENT)


async def test_several_ranges(manager: Manager, nginx: Nginx) -> None:
    """An answer in several parts is passed on as it came."""
    response = await manager.fetch(nginx.url("/small"), headers={"Range": "bytes=0-3,10-14"})
    assert response.headers["Content-Type"].startswith("multipart/byteranges")
    assert SMALL[0:4] in response.body
    assert SMALL[10:15] in response.body


async def test_what_is_not_asked_for_is_not_compressed(manager: Manager, nginx: Nginx) -> None:
    """Without decompression the body is the file, byte by byte, from a server that would compress it."""
    response = await manager.fetch(nginx.url("/compressible"), decompress=False)
    assert response.body == PAGE
    assert "Content-Encoding" not in response.headers


async def test_what_comes_compressed_is_decoded(manager: Manager, nginx: Nginx) -> None:
    """By default the server may compress, and the body is the content all the same."""
    response = await manager.fetch(nginx.url("/compressible"))
    assert response.headers["Content-Encoding"]
    assert response.body == PAGE


async def test_what_somebody_asked_for_stays_compressed(manager: Manager, nginx: Nginx) -> None:
    """Who sets Accept-Encoding gets what the server sends, untouched (as Qt)."""
    response = await manager.fetch(nginx.url("/compressible"), headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.body[:2] == b"\x1f\x8b"
    assert gzip.decompress(response.body) == PAGE
    assert zlib.crc32(PAGE).to_bytes(4, "little") == response.body[-8:-4]


async def test_a_server_that_gives_up_on_an_idle_connection(nginx: Nginx) -> None:
    """A kept connection that the server has closed is noticed before the next request, even one never repeated."""
    dialer = WatchedDialer()
    async with trioreply.open_manager(dialer=dialer) as manager:
        await manager.fetch(nginx.url("/brief"))
        assert manager.statistics().idle == 1
        with trio.fail_after(SECONDS):
            await trio.lowlevel.wait_readable(dialer.streams[0]._socket)  # the server's farewell
        async with manager.post(nginx.url("/echo"), b"a POST is never sent twice") as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
            assert not reply.timings.reused
    assert len(dialer.streams) == 2


async def test_a_server_that_closes_after_two_requests(manager: Manager, nginx: Nginx) -> None:
    """``Connection: close`` on every second answer: requests go on over one connection after another."""
    responses = [await manager.fetch(nginx.url("/twice")) for _ in range(6)]
    assert [response.headers["X-Requests"] for response in responses] == ["1", "2"] * 3
    assert [response.headers["Connection"] for response in responses] == ["keep-alive", "close"] * 3
    assert manager.statistics().idle == 0


async def test_a_server_that_was_restarted(own_nginx: Nginx) -> None:
    """Requests before and after a restart succeed, though all kept connections have died meanwhile."""
    async with trioreply.open_manager() as manager:
        for _ in range(3):
            await _use_four_connections(manager, own_nginx.url("/page.txt"))
            assert manager.statistics().idle == 4
            own_nginx.restart()
            async with manager.post(own_nginx.url("/echo"), b"x") as reply:
                assert await reply.wait_finished() is NetworkError.NO_ERROR


async def _use_four_connections(manager: Manager, url: str) -> None:
    async with AsyncExitStack() as stack:
        # With so small buffers none has come to its end when the next one begins.
        opened = [await stack.enter_async_context(manager.get(url, read_buffer_size=4096)) for _ in range(4)]
        for reply in opened:
            await reply.wait_metadata()
        for reply in opened:
            assert await reply.read_all() == PAGE


async def test_a_server_that_is_down_and_comes_back(own_nginx: Nginx) -> None:
    """While nobody listens requests are refused; afterwards the same manager goes on."""
    async with trioreply.open_manager() as manager:
        await manager.fetch(own_nginx.url("/small"))
        own_nginx.stop()
        with pytest.raises(ConnectionRefusedError):
            await manager.fetch(own_nginx.url("/small"))
        own_nginx.start()
        assert (await manager.fetch(own_nginx.url("/small"))).body == SMALL


async def test_a_server_that_stops_in_the_middle(own_nginx: Nginx) -> None:
    """A download whose server ends is REMOTE_HOST_CLOSED: what came is readable, and is not taken for the whole."""
    with (own_nginx.files / "large").open("wb") as file:
        file.truncate(64 * MIB)
    async with trioreply.open_manager() as manager:
        async with manager.get(own_nginx.url("/large"), read_buffer_size=64 * 1024) as reply:
            received = len(await reply.read_exactly(MIB))
            own_nginx.stop()
            with pytest.raises(trio.BrokenResourceError):
                async for piece in reply.chunks():
                    received += len(piece)
            assert reply.error is NetworkError.REMOTE_HOST_CLOSED
            assert MIB < received < 64 * MIB
        assert manager.statistics().connections == {}


async def test_closing_a_long_download(manager: Manager, nginx: Nginx) -> None:
    """Leaving a download after its head costs its connection and nothing else."""
    with (nginx.files / "long").open("wb") as file:
        file.truncate(64 * MIB)
    async with manager.get(nginx.url("/long")) as reply:
        async for event in reply:
            if isinstance(event, MetaDataChanged):
                break
    assert reply.error is NetworkError.OPERATION_CANCELED
    assert manager.statistics().connections == {}
    assert (await manager.fetch(nginx.url("/small"))).body == SMALL


async def test_a_connection_opened_ahead_when_nobody_wants_it_any_more(nginx: Nginx) -> None:
    """A manager that is left while another task connects ahead keeps nothing; that task learns that it is closed."""
    dialer = HeldDialer()
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            async with trioreply.open_manager(dialer=dialer) as manager:
                nursery.start_soon(_connect_ahead_in_vain, manager, nginx)  # noqa: ASYNC111 - it outlives the manager on purpose
                await dialer.dialed.wait()
            dialer.release.set()
    assert dialer.streams[0]._socket.fileno() == -1
    assert manager.statistics().connections == {}


async def _connect_ahead_in_vain(manager: Manager, nginx: Nginx) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await manager.preconnect(nginx.url("/"))
