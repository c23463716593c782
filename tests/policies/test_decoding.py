"""Content coding as a policy: what is asked for, what is decoded, and what the reply then shows."""

from __future__ import annotations

import gzip
import zlib
from functools import partial

import pytest
import trio
from trio.testing import assert_checkpoints, assert_no_checkpoints

import trioreply
from trioreply import (
    Message,
    NetworkError,
    Request,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply._model.headers import make_headers
from trioreply._model.request import with_headers
from trioreply._policies.decoding import BREATH, decoding
from trioreply._wire.content import STEP, available_codings
from trioreply.abc import Sink
from trioreply.errors import RemoteHostClosedError, UnknownContentError

from .recording import RecordingSink, handler_of, put

TEXT = b"The quick brown fox jumps over the lazy dog. " * 100
GZIPPED = gzip.compress(TEXT)
URL = "http://example.org/"


def head(coding: str = "gzip", status: int = 200, **more: str) -> ResponseHead:
    """A response that says how it is encoded."""
    fields = {"Content-Encoding": coding, "Content-Length": str(len(GZIPPED)), "ETag": '"1"', **more}
    return ResponseHead(status, "OK", fields, "HTTP/1.1")


async def seen(*messages: Message, request: Request | None = None, sink: RecordingSink | None = None) -> list[Message]:
    """What comes out of the policy when ``messages`` go in."""
    sink = sink or RecordingSink()
    await decoding(handler_of(*map(put, messages)))(request or Request(URL), sink)
    return sink.messages


def body_of(messages: list[Message]) -> bytes:
    """The content in ``messages``."""
    return b"".join(message.data for message in messages if isinstance(message, ResponseData))


async def sent(request: Request) -> Request:
    """The request that leaves the policy."""
    requests: list[Request] = []

    async def handle(request: Request, _sink: Sink) -> None:
        requests.append(request)

    await decoding(handle)(request, RecordingSink())
    return requests[0]


async def test_what_is_asked_for() -> None:
    """A request says what can be decoded here, best first, behind the fields of the user; nothing else changes."""
    request = Request(URL, headers={"X": "1"}, transfer_timeout=5, user_data="mine")
    asking = await sent(request)
    assert list(asking.headers.items()) == [("X", "1"), ("Accept-Encoding", ", ".join(available_codings()))]
    assert asking.headers["Accept-Encoding"].endswith("gzip, deflate")
    assert asking.replace(headers=request.headers) == request
    assert asking.user_data == "mine"
    assert "Accept-Encoding" not in request.headers


@pytest.mark.parametrize(
    "request_",
    [
        Request(URL, decompress=False),
        Request(URL, headers={"accept-encoding": "gzip"}),
        Request(URL, headers={"Accept-Encoding": ""}),
    ],
    ids=["switched off", "asked by the user", "refused by the user"],
)
async def test_who_decodes_by_himself(request_: Request) -> None:
    """With ``decompress=False``, or a field of the user's own, the request goes out and the body comes as it is."""
    assert await sent(request_) is request_
    messages: list[Message] = [head(), ResponseData(GZIPPED), ResponseTrailers({})]
    assert await seen(*messages, request=request_) == messages


async def test_a_range_is_asked_for_as_it_is() -> None:
    """A request for a range wants offsets of the content, so it wants no coding; what comes in one is still decoded."""
    request = Request(URL, headers={"Range": "bytes=0-"})
    assert (await sent(request)).headers["Accept-Encoding"] == "identity"
    assert body_of(await seen(head(), ResponseData(GZIPPED), request=request)) == TEXT


async def test_what_the_reply_shows() -> None:
    """A decoded response keeps its fields, Content-Encoding too; only Content-Length, the wire's, goes."""
    first = (await seen(head(Link="x"), ResponseData(GZIPPED)))[0]
    assert isinstance(first, ResponseHead)
    assert list(first.headers.items()) == [("Content-Encoding", "gzip"), ("ETag", '"1"'), ("Link", "x")]
    assert (first.status_code, first.reason, first.http_version) == (200, "OK", "HTTP/1.1")
    chunked = ResponseHead(200, headers={"content-encoding": "deflate"})
    assert (await seen(chunked, ResponseData(zlib.compress(b"x"))))[0] is chunked


async def test_bytes_on_the_wire_are_counted() -> None:
    """Each piece says how many bytes came for it, also if they amount to nothing yet; together they are all."""
    pieces: list[bytes] = [GZIPPED[:5], GZIPPED[5:40], GZIPPED[40:]]
    messages = await seen(head(), *map(ResponseData, pieces))
    assert body_of(messages) == TEXT
    assert messages[1] == ResponseData(b"", wire_size=5)
    data = [message for message in messages if isinstance(message, ResponseData)]
    assert sum(message.wire_size or 0 for message in data) == len(GZIPPED)


async def test_many_pieces_of_one() -> None:
    """What a piece amounts to comes in bounded pieces, and its bytes on the wire are counted once."""
    bomb = gzip.compress(bytes(4 * STEP))
    data = (await seen(head(), ResponseData(bomb, wire_size=7)))[1:]
    assert [message.wire_size for message in data if isinstance(message, ResponseData)] == [7, 0, 0, 0]
    assert body_of(data) == bytes(4 * STEP)


@pytest.mark.parametrize("coding", ["compress", "gzip, x-unknown", "identity", ""])
async def test_other_codings_pass(coding: str) -> None:
    """What is not encoded, or in a way that is not known, is passed on as it is, with all its fields."""
    messages: list[Message] = [head(coding), ResponseData(GZIPPED), ResponseTrailers({})]
    assert await seen(*messages) == messages


async def test_without_a_coding() -> None:
    """A response that says nothing about a coding is passed on as it is."""
    messages: list[Message] = [RequestSent(), ResponseHead(200, headers={"Content-Length": "3"}), ResponseData(b"abc")]
    assert await seen(*messages) == messages


async def test_stacked_codings() -> None:
    """Codings on top of each other are undone, over several fields too."""
    fields = [("Content-Encoding", "deflate"), ("Content-Encoding", "X-GZip")]
    twice = gzip.compress(zlib.compress(TEXT))
    assert body_of(await seen(ResponseHead(200, headers=fields), ResponseData(twice))) == TEXT


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (Request(URL, verb="HEAD"), head()),
        (Request(URL), head(status=204)),
        (Request(URL), head(status=304)),
        (Request(URL), head(status=206)),
    ],
    ids=["HEAD", "204", "304", "206"],
)
async def test_responses_without_a_whole_body(request_: Request, response: ResponseHead) -> None:
    """A response without a body, or with a part of one, shows its fields as they are and fails for no coding."""
    assert await seen(response, request=request_) == [response]


async def test_an_empty_body_is_fine() -> None:
    """No bytes at all are an empty content, whatever the coding is."""
    assert body_of(await seen(head())) == b""
    assert body_of(await seen(head(), ResponseTrailers({}))) == b""


async def test_the_last_response_counts() -> None:
    """When another response follows, because the request was sent again, its own coding is what counts."""
    plain = ResponseHead(200)
    messages = await seen(head(status=401), ResponseData(GZIPPED[:20]), plain, ResponseData(b"plain"))
    assert messages[-2:] == [plain, ResponseData(b"plain")]


@pytest.mark.parametrize("trailers", [[], [ResponseTrailers({})]], ids=["plain", "trailers"])
async def test_a_body_that_ends_early(trailers: list[Message]) -> None:
    """A body whose coding says that there is more is an error, behind what there is."""
    sink = RecordingSink()
    with pytest.raises(UnknownContentError, match=r"^Decompression failed: the gzip stream ends too early$"):
        await seen(head(), ResponseData(GZIPPED[:-1]), *trailers, sink=sink)
    assert body_of(sink.messages) == TEXT
    assert isinstance(sink.messages[-1], ResponseData)


async def test_a_damaged_body() -> None:
    """Damage is an error, and stops the exchange; what was decoded before it can be read."""
    sink = RecordingSink()
    with pytest.raises(UnknownContentError, match=r"^Decompression failed: .*incorrect data check") as caught:
        await seen(head(), ResponseData(GZIPPED[:-8] + b"12345678"), ResponseData(b"more"), sink=sink)
    assert isinstance(caught.value.__cause__, zlib.error)
    assert body_of(sink.messages) == TEXT


async def test_too_many_codings() -> None:
    """A body under more codings than anybody needs is an error; its head can be seen."""
    sink = RecordingSink()
    response = head(", ".join(["gzip"] * 5))
    with pytest.raises(UnknownContentError, match="5 content codings"):
        await seen(response, ResponseData(GZIPPED), sink=sink)
    assert sink.messages == [response]


async def test_the_connections_own_error_comes_first() -> None:
    """If the connection is lost, that is the error, and not that the coding is not complete."""

    async def lose(_sink: Sink) -> None:
        raise RemoteHostClosedError("Connection closed")

    handler = handler_of(put(head()), put(ResponseData(GZIPPED[:-1])), lose)
    with pytest.raises(RemoteHostClosedError):
        await decoding(handler)(Request(URL), RecordingSink())


@pytest.mark.parametrize(("limit", "is_refused"), [(1_000_000, True), (None, False), (3_000_000, False)])
async def test_bombs(limit: int | None, is_refused: bool) -> None:
    """The request's ``decompression_limit`` says from where on a body must not be much larger than its wire form."""
    request = Request(URL, decompression_limit=limit)
    bomb: list[Message] = [head(), ResponseData(gzip.compress(bytes(3_000_000)))]
    if is_refused:
        with pytest.raises(UnknownContentError, match="decompression_limit=1000000"):
            await seen(*bomb, request=request)
    else:
        assert len(body_of(await seen(*bomb, request=request))) == 3_000_000


async def test_others_get_their_turn() -> None:
    """Decoding does not wait for anybody, but a piece that amounts to very much lets the other tasks run."""

    async def decode(size: int) -> None:
        await seen(head(), ResponseData(gzip.compress(bytes(size))), request=Request(URL, decompression_limit=None))

    with assert_no_checkpoints():
        await decode(BREATH - 1)
    with assert_checkpoints():
        await decode(BREATH)


async def test_a_slow_reader_stops_the_decoder() -> None:
    """The decoder is not ahead of the reader: with one that takes nothing, a bomb stays packed."""
    taken: list[int] = []
    room = trio.Event()

    async def take(message: Message) -> None:
        if isinstance(message, ResponseData):
            taken.append(len(message.data))
            await room.wait()

    bomb = ResponseData(gzip.compress(bytes(8 * STEP)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(seen, head(), bomb, sink=RecordingSink(take)))
        await trio.testing.wait_all_tasks_blocked()
        assert taken == [STEP]
        room.set()
    assert sum(taken) == 8 * STEP


@pytest.mark.parametrize("damaged", [False, True])
async def test_in_a_reply(damaged: bool) -> None:
    """A reply gives the content; if its coding is broken, it fails with UNKNOWN_CONTENT, behind what there is."""

    async def serve(_request: Request, sink: Sink) -> None:
        await sink.put(head())
        await sink.put(ResponseData(GZIPPED[: -1 if damaged else None]))

    async with trioreply.open_manager() as manager:
        manager.register_scheme("http", serve)
        async with manager.get("http://host.test/") as reply:
            expected = NetworkError.UNKNOWN_CONTENT if damaged else NetworkError.NO_ERROR
            assert await reply.wait_finished() is expected
            assert reply.read() == TEXT


def test_headers_are_changed_in_a_copy() -> None:
    """A copy with other fields is equal in everything else, and the original stays as it was."""
    request = Request(URL, headers={"A": "1"}, max_redirects=3)
    headers = make_headers({"B": "2"})
    assert with_headers(request, headers) == request.replace(headers=headers)
    assert dict(request.headers) == {"A": "1"}
