"""Content codings from end to end: what is asked for, what the reply shows of it, and what a broken body leaves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from trioreply import (
    Attribute,
    Direction,
    Event,
    HeaderSource,
    Manager,
    NetworkError,
    Progress,
    RemoteHostClosedError,
    Reply,
    RequestFields,
    RetryPolicy,
    UnknownContentError,
)
from trioreply._wire.content import STEP, available_codings
from trioreply.testing import (
    Close,
    Loop,
    OriginRequest,
    OriginResponse,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    SendSlowly,
    Step,
)

from ..wire.content_cases import COMPRESSORS, EVERY, compress, needs_br, needs_zstd
from .conftest import Place

TEXT = b"The quick brown fox jumps over the lazy dog. " * 2000
NUMBERS = b",".join(b"%d" % number for number in range(100_000))
"""What cannot be compressed very much, so that there are many blocks."""
SHORT = b"0123456789abcdef"
FINE = b"still fine"
Fields = tuple[tuple[str, str], ...]


def page(body: bytes, coding: str = "gzip", *, status: int = 200) -> OriginResponse:
    """A page that comes in ``coding``."""
    return OriginResponse(status, (("Content-Encoding", coding),), body)


def encoded(body: bytes, coding: str = "gzip", *, length: int | None = None) -> bytes:
    """The same, as bytes; ``length`` is what it claims to be long."""
    announced = len(body) if length is None else length
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {announced}\r\n\r\n"
    return head.encode() + body


def plain(body: bytes) -> bytes:
    """A page that does not."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def last_download(events: Sequence[Event]) -> Progress:
    """The last that was said about the download."""
    return [event for event in events if isinstance(event, Progress) and event.direction is Direction.DOWNLOAD][-1]


async def read_to_the_end(reply: Reply) -> bytes:
    """All that can be read of a reply that fails."""
    found = bytearray()
    with pytest.raises(UnknownContentError):
        while piece := await reply.receive_some():
            found += piece
    return bytes(found)


async def expect_health(manager: Manager, url: str) -> None:
    """The manager holds nothing, and the next request to ``url`` is answered with `FINE`."""
    statistics = manager.statistics()
    assert (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)
    assert (await manager.fetch(url)).body == FINE


@pytest.mark.parametrize("coding", EVERY)
async def test_a_body_comes_decoded(coding: str, place: Place) -> None:
    """Each coding is undone, Content-Encoding stays to be seen, and progress counts what came over the wire, too."""
    packed = COMPRESSORS[coding](TEXT)
    async with place.origin({"/": page(packed, coding.removeprefix("raw "))}) as origin:
        async with place.open_manager() as manager, manager.get(origin.url()) as reply:
            events = [event async for event in reply]
            assert place.sequence(events) == f"S Q H(200) R D({len(TEXT)},{len(TEXT)}) F(NO_ERROR)"
            assert reply.read() == TEXT
            assert reply.headers["Content-Encoding"] == coding.removeprefix("raw ")
            assert "Content-Length" not in reply.headers
            assert reply.attribute(Attribute.ORIGINAL_CONTENT_LENGTH) == len(packed)
    last = last_download(events)
    assert (last.wire_done, last.wire_total, last.fraction) == (len(packed), len(packed), 1.0)


@frozen
class Coded:
    """A body in a coding, and what the reader gets of it."""

    name: str
    coding: str
    body: bytes
    content: bytes = TEXT


GZIPPED = gzip.compress(TEXT, mtime=0)
READABLE = [
    Coded("several members", "gzip", gzip.compress(TEXT[:700]) + gzip.compress(b"") + gzip.compress(TEXT[700:])),
    Coded("padding behind the end", "gzip", GZIPPED + bytes(512)),
    Coded("another name of gzip", "X-GZip", GZIPPED),
    Coded("twice", "gzip, gzip", gzip.compress(GZIPPED)),
    Coded("two, and one that says nothing", "deflate, identity, gzip", compress(["deflate", "gzip"], TEXT)),
    Coded("not known", "compress", GZIPPED, GZIPPED),
    Coded("one of two not known", "compress, gzip", GZIPPED, GZIPPED),
    Coded("none", "identity", TEXT),
    Coded("nothing at all", "gzip", b"", b""),
    Coded("nothing, compressed", "gzip", gzip.compress(b""), b""),
]


@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "in small pieces"])
@pytest.mark.parametrize("case", READABLE, ids=lambda case: case.name)
async def test_what_can_be_read(case: Coded, is_slow: bool, memory: Place) -> None:
    """Members, stacks and paddings are undone, however the bytes arrive; what nobody knows comes as it is."""
    size = 61 if is_slow else 1_000_000
    peer = ScriptedPeer(Loop(ReceiveRequest(), SendSlowly(encoded(case.body, case.coding), size)))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        for _ in range(2):
            async with manager.get(url) as reply:
                events = [event async for event in reply]
            assert (reply.error, reply.read()) == (NetworkError.NO_ERROR, case.content)
            assert last_download(events).wire_done == len(case.body)
        assert len(peer.connections) == 1


@pytest.mark.parametrize(
    "codings", [pytest.param(["br", "gzip"], marks=needs_br), pytest.param(["gzip", "zstd"], marks=needs_zstd)]
)
async def test_stacks_with_installed_codings(codings: list[str], memory: Place) -> None:
    """The installed codings stack with the built-in ones."""
    async with memory.origin({"/": page(compress(codings, TEXT), ", ".join(codings))}) as origin:
        async with memory.open_manager() as manager:
            assert (await manager.fetch(origin.url())).body == TEXT


@pytest.mark.parametrize(
    ("fields", "asked", "is_decoded"),
    [
        (RequestFields(), ", ".join(available_codings()), True),
        (RequestFields(headers={"Range": "bytes=0-"}), "identity", True),
        (RequestFields(headers={"accept-encoding": "gzip;q=0.5"}), "gzip;q=0.5", False),
        (RequestFields(headers={"Accept-Encoding": ""}), "", False),
        (RequestFields(decompress=False), None, False),
    ],
    ids=["by default", "a range", "own field", "own empty field", "switched off"],
)
async def test_what_is_asked_for(fields: RequestFields, asked: str | None, is_decoded: bool, place: Place) -> None:
    """Asked for is what is installed; who asks in his own words, or not at all, gets the body as it was sent."""
    async with place.origin({"/": page(GZIPPED)}) as origin, place.open_manager() as manager:
        response = await manager.fetch(origin.url(), **fields)
    assert origin.requests[0].header("Accept-Encoding") == asked
    assert response.body == (TEXT if is_decoded else GZIPPED)
    assert response.headers.get("Content-Length") == (None if is_decoded else str(len(GZIPPED)))


async def test_the_managers_own_field(place: Place) -> None:
    """An Accept-Encoding among the manager's headers is the application's own, too."""
    headers: HeaderSource = {"Accept-Encoding": "gzip"}
    async with place.origin({"/": page(GZIPPED)}) as origin, place.open_manager(headers=headers) as manager:
        assert (await manager.fetch(origin.url())).body == GZIPPED


ENCODED_HEAD = b"Content-Encoding: gzip\r\nContent-Length: 1234\r\n\r\n"


@pytest.mark.parametrize(
    ("verb", "answer", "progress"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\n" + ENCODED_HEAD, "D(0,1234)"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n" + ENCODED_HEAD, "D(0,1234)"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n", "D(0,0)"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", "D(0,0)"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "D(0,0)"),
    ],
    ids=["HEAD", "304", "204", "no bytes", "no chunks"],
)
async def test_no_body_is_no_damage(verb: str, answer: bytes, progress: str, place: Place) -> None:
    """A response without a body may name a coding: it is a success, and its connection is used again."""
    peer = ScriptedPeer(ReceiveRequest(), Send(answer), ReceiveRequest(), Send(plain(FINE)))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.send_custom(url, verb) as reply:
            events = [event async for event in reply]
        status = reply.status_code
        assert place.sequence(events) == f"S Q H({status}) {progress} F(NO_ERROR)"
        await expect_health(manager, url)
        assert len(peer.connections) == 1


async def test_a_part_of_a_compressed_form(memory: Place) -> None:
    """A 206 is a part of the compressed bytes: it is passed on as it is, and can be appended to what is there."""
    async with memory.origin({"/": page(GZIPPED[20:30], status=206)}) as origin, memory.open_manager() as manager:
        assert (await manager.fetch(origin.url(), headers={"Range": "bytes=20-29"})).body == GZIPPED[20:30]


def broken(coding: str, body: bytes) -> tuple[Step, ...]:
    """A response in full, of which the content is not, and then one to another request."""
    return (ReceiveRequest(), Send(encoded(body, coding)), Loop(ReceiveRequest(), Send(plain(FINE))))


@pytest.mark.parametrize("coding", EVERY)
async def test_a_truncated_body_is_an_error(coding: str, place: Place) -> None:
    """A stream that ends early is UNKNOWN_CONTENT, never a short success; what came of it can be read."""
    cut = COMPRESSORS[coding](NUMBERS)[:-1]
    peer = ScriptedPeer(*broken(coding.removeprefix("raw "), cut))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            events = [event async for event in reply]
        found = reply.read()
        assert NUMBERS.startswith(found)
        assert len(found) > len(NUMBERS) // 2  # br and zstd give whole blocks
        size = len(found)
        ending = f"E(UNKNOWN_CONTENT) D({size},{size}) F(UNKNOWN_CONTENT)"
        assert place.sequence(events) == f"S Q H(200) R {ending}"
        assert reply.status_code == 200
        assert reply.error_string.startswith("Decompression failed: ")
        await expect_health(manager, url)


DAMAGED = [
    Coded("a wrong checksum", "gzip", GZIPPED[:-8] + bytes(8)),
    Coded("nonsense at the first byte", "gzip", b"<html>no gzip</html>", b""),
    Coded("something behind the end", "gzip", GZIPPED + b"junk"),
    Coded("something behind the padding", "gzip", GZIPPED + bytes(10) + GZIPPED),
    Coded("one layer in another", "gzip, gzip", gzip.compress(GZIPPED[:-3])),
    Coded("not what was said", "deflate", b"\xff\xff\xff\xff", b""),
    Coded("too many codings", "gzip, gzip, gzip, gzip, gzip", GZIPPED, b""),
]


@pytest.mark.parametrize("case", DAMAGED, ids=lambda case: case.name)
async def test_a_damaged_body_is_an_error(case: Coded, memory: Place) -> None:
    """Damage is UNKNOWN_CONTENT; everything in front of it can be read, and other requests do not suffer."""
    async with memory.serve(ScriptedPeer(*broken(case.coding, case.body))) as url, memory.open_manager() as manager:
        async with manager.get(url) as reply:
            assert await read_to_the_end(reply) == case.content
            assert await reply.wait_finished() is NetworkError.UNKNOWN_CONTENT
            with pytest.raises(UnknownContentError, match=r"^Decompression failed: "):
                reply.raise_for_error()
        peer_again = ScriptedPeer(Loop(ReceiveRequest(), Send(plain(FINE))))
        async with memory.serve(peer_again) as other:
            await expect_health(manager, other)


async def test_fetch_raises_for_damage(memory: Place) -> None:
    """`fetch` raises the error of a body that cannot be decoded, also if no status would make it."""
    async with memory.serve(ScriptedPeer(*broken("gzip", GZIPPED[:-1]))) as url, memory.open_manager() as manager:
        with pytest.raises(UnknownContentError, match="ends too early") as caught:
            await manager.fetch(url, raise_for_error=False)
        assert caught.value.status_code == 200
        await expect_health(manager, url)


async def test_a_lost_connection_is_the_error(place: Place) -> None:
    """If the connection ends within a compressed body, that is what is wrong: REMOTE_HOST_CLOSED, the rest readable."""
    peer = ScriptedPeer(ReceiveRequest(), Send(encoded(GZIPPED[:-1], length=len(GZIPPED))), Close())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            with pytest.raises(RemoteHostClosedError):
                while await reply.receive_some():
                    pass
        assert reply.error is NetworkError.REMOTE_HOST_CLOSED
        assert manager.statistics().leases == 0


@pytest.mark.parametrize("coding", EVERY)
async def test_a_bomb_is_refused(coding: str, memory: Place) -> None:
    """Content out of all proportion is UNKNOWN_CONTENT before it is whole, and the exchange stops there."""
    bomb = COMPRESSORS[coding](bytes(40_000_000))
    peer = ScriptedPeer(*broken(coding.removeprefix("raw "), bomb))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with manager.get(url, decompression_limit=1_000_000) as reply:
            taken = len(await read_to_the_end(reply))
        assert 1_000_000 - STEP <= taken <= 40_000_000 // 4
        assert "decompression_limit=1000000" in reply.error_string
        assert manager.statistics().leases == 0


@pytest.mark.parametrize("limit", [None, 40_000_000])
async def test_a_bomb_that_is_wanted(limit: int | None, memory: Place) -> None:
    """Who trusts the server can raise ``decompression_limit``, or switch it off."""
    async with memory.origin({"/": page(gzip.compress(bytes(20_000_000)))}) as origin:
        async with memory.open_manager() as manager:
            assert len((await manager.fetch(origin.url(), decompression_limit=limit)).body) == 20_000_000


async def test_max_size_counts_what_was_decoded(memory: Place) -> None:
    """`fetch(max_size=...)` bounds the content and not its compressed form."""
    async with memory.origin({"/": page(gzip.compress(bytes(100_000)))}) as origin:
        async with memory.open_manager() as manager:
            with pytest.raises(UnknownContentError, match="max_size=5000"):
                await manager.fetch(origin.url(), max_size=5000)


@pytest.mark.parametrize("size", [1, 64 * 1024])
async def test_the_read_buffer_bounds_decoded_bytes(size: int, memory: Place) -> None:
    """``read_buffer_size`` counts decoded bytes, so a little on the wire cannot fill the memory of a slow reader."""
    async with memory.origin({"/": page(gzip.compress(bytes(8_000_000)))}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), read_buffer_size=size, decompression_limit=None) as reply:
            await reply.wait_metadata()
            total = 0
            while not reply.at_end:
                await trio.testing.wait_all_tasks_blocked()
                assert reply.bytes_available < size + STEP
                total += len(reply.read())
        assert total == 8_000_000


async def test_progress_of_a_compressed_body(autojump_clock: MockClock, memory: Place) -> None:
    """While the total of the content is unknown, the wire's is known: the fraction moves from 0 to 1 all the same."""
    body = COMPRESSORS["gzip"](NUMBERS)
    peer = ScriptedPeer(ReceiveRequest(), SendSlowly(encoded(body), len(body) // 10, delay=1))
    async with memory.serve(peer) as url, memory.open_manager() as manager, manager.get(url) as reply:
        events = [event async for event in reply if isinstance(event, Progress)]
    fractions = [event.fraction for event in events if event.fraction is not None]
    assert len(fractions) == len(events) > 5
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.3
    assert fractions[-1] == 1.0
    assert {event.total for event in events[:-1]} == {None}
    assert {event.wire_total for event in events} == {len(body)}


async def test_progress_of_a_body_of_unknown_length(autojump_clock: MockClock, memory: Place) -> None:
    """If the wire's length is unknown, too, there is no fraction until the end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    peer = ScriptedPeer(ReceiveRequest(), SendSlowly(head + GZIPPED, 100, delay=1))
    async with memory.serve(peer) as url, memory.open_manager() as manager, manager.get(url) as reply:
        events = [event async for event in reply if isinstance(event, Progress)]
    assert {event.fraction for event in events[:-1]} == {None}
    assert (events[-1].fraction, events[-1].wire_done) == (1.0, len(GZIPPED))
    assert reply.attribute(Attribute.ORIGINAL_CONTENT_LENGTH) is None


async def test_bytes_on_the_wire_are_activity(autojump_clock: MockClock, memory: Place) -> None:
    """``transfer_timeout`` sees bytes that do not amount to content yet: a slow compressed body is not idle."""
    body = gzip.compress(SHORT, mtime=0)
    peer = ScriptedPeer(
        ReceiveRequest(), Send(encoded(b"", length=len(body))), SendSlowly(body, delay=0.9), ReceiveRequest()
    )
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        assert (await manager.fetch(url, transfer_timeout=1)).body == SHORT
    assert trio.current_time() > 10 * 0.9


async def test_an_error_page_is_decoded(place: Place) -> None:
    """The page of a 404 comes compressed as any other, and is readable text."""
    async with place.origin({"/": page(GZIPPED, status=404)}) as origin, place.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_NOT_FOUND
            assert await reply.text() == TEXT.decode()


async def test_every_exchange_of_a_reply_is_decoded(place: Place) -> None:
    """A page is asked for and decoded in the same way behind a redirect, after a retry, and when it is sent again."""
    busy = iter([page(GZIPPED, status=503), page(GZIPPED)])

    async def server(request: OriginRequest) -> OriginResponse:
        return next(busy) if request.path == "/" else OriginResponse(302, (("Location", f"{there.base_url}/"),))

    async with place.origin(server) as there, place.origin(server) as here, place.open_manager() as manager:
        async with manager.get(here.url("/moved"), retry=RetryPolicy(backoff=0)) as reply:
            assert await reply.read_all() == TEXT
        busy = iter([page(GZIPPED)])
        async with manager.send(reply.request) as again:
            assert await again.read_all() == TEXT
    asked = {request.header("Accept-Encoding") for request in [*here.requests, *there.requests]}
    assert asked == {", ".join(available_codings())}


async def test_text_and_json(memory: Place) -> None:
    """`text` and `json` are about the content, by the charset that the fields name."""
    fields = (("Content-Encoding", "gzip"), ("Content-Type", "text/plain; charset=iso-8859-1"))
    routes = {
        "/text": OriginResponse(200, fields, gzip.compress("café".encode("latin-1"))),
        "/json": page(gzip.compress(json.dumps({"a": [1, None]}).encode())),
    }
    async with memory.origin(routes) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url("/text")) as reply:
            assert await reply.text() == "café"
        async with manager.get(origin.url("/json")) as reply:
            assert await reply.json() == {"a": [1, None]}


async def test_trailers_come_behind_a_compressed_body(memory: Place) -> None:
    """Trailers behind chunks of a compressed body are the reply's."""
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(GZIPPED), GZIPPED)
    )
    async with memory.serve(ScriptedPeer(ReceiveRequest(), Send(answer))) as url, memory.open_manager() as manager:
        async with manager.get(url) as reply:
            assert await reply.read_all() == TEXT
            assert reply.trailers["X-Sum"] == "1"


async def test_closing_in_the_middle_of_a_compressed_body(memory: Place) -> None:
    """A closed reply reads a short rest away as it is, without minding that the coding is broken."""
    peer = ScriptedPeer(*broken("gzip", GZIPPED[:-1]))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        async with manager.get(url, read_buffer_size=1) as reply:
            await reply.wait_metadata()
        await trio.testing.wait_all_tasks_blocked()
        await expect_health(manager, url)
        assert reply.error is NetworkError.OPERATION_CANCELED
