"""Forms, files and JSON from end to end: what a parser at the server's side makes of what was sent."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
from collections.abc import AsyncIterator
from email.message import Message
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import trio
import trio.lowlevel
from attrs import frozen
from trio.testing import MockClock

from trioreply import (
    BodySource,
    ContentNotFoundError,
    ContentReSendError,
    Direction,
    Event,
    FilenameOption,
    FormSource,
    MultipartBody,
    NetworkError,
    Part,
    Progress,
    Reply,
    RequestFields,
    UnknownNetworkError,
)
from trioreply.testing import (
    Close,
    OriginRequest,
    OriginResponse,
    ReceivedRequest,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
    run_sync_inline,
)

from .conftest import Place

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BINARY = bytes(range(256)) * 500
URLENCODED = "application/x-www-form-urlencoded"
FILES = ["path", "bytes", "open file", "async file", "iterable", "stream"]


@frozen
class Seen:
    """A part of a form in the eyes of the server."""

    name: str | None
    filename: str | None
    content_type: str | None
    content: bytes


def message_of(request: ReceivedRequest) -> Message:
    """What the standard library's parser, which knows nothing of ours, makes of a body of parts."""
    kind = request.header("Content-Type")
    assert kind is not None
    parser = email.parser.BytesParser(policy=email.policy.compat32)
    message = parser.parsebytes(f"Content-Type: {kind}\r\n\r\n".encode("latin-1") + request.body)
    assert not message.defects
    return message


def parts_of(message: Message) -> list[Message]:
    """The parts of ``message``."""
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


def content_of(part: Message) -> bytes:
    """The bytes of a part."""
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def seen(request: ReceivedRequest) -> list[Seen]:
    """The parts of a form."""
    found = []
    for part in parts_of(message_of(request)):
        assert part.get_content_disposition() == "form-data"
        name = part.get_param("name", header="Content-Disposition")
        assert isinstance(name, str)
        found.append(Seen(name, part.get_filename(), part["Content-Type"], content_of(part)))
    return found


def uploads(events: list[Event]) -> list[Progress]:
    """What was said about the upload."""
    return [event for event in events if isinstance(event, Progress) and event.direction is Direction.UPLOAD]


async def take(request: OriginRequest) -> OriginResponse:
    """A server that reads a whole request before it answers."""
    await request.read()
    return OriginResponse(body=b"ok")


async def pieces() -> AsyncIterator[bytes]:
    """`BINARY`, as it comes."""
    for start in range(0, len(BINARY), 30_000):
        await trio.lowlevel.checkpoint()
        yield BINARY[start : start + 30_000]


async def feed(stream: trio.abc.SendStream) -> None:
    """`BINARY`, into a stream."""
    async with stream:
        await stream.send_all(BINARY)


@pytest.mark.parametrize("kind", FILES)
async def test_every_kind_of_file_arrives(kind: str, place: Place, tmp_path: Path) -> None:
    """Fields and a file, whatever it is read from: a parser finds them all, and the length is told if it is known."""
    path = tmp_path / "picture.png"
    path.write_bytes(BINARY)
    send, receive = trio.testing.memory_stream_one_way_pair()
    peer = ScriptedPeer(ReceiveRequest(), Send(OK))
    async with trio.open_nursery() as nursery, await trio.open_file(path, "rb") as async_file:
        nursery.start_soon(feed, send)
        with path.open("rb") as file:
            sources: dict[str, BodySource] = {
                "path": path,
                "bytes": BINARY,
                "open file": file,
                "async file": async_file,
                "iterable": pieces(),
                "stream": receive,
            }
            async with place.serve(peer) as url, place.open_manager() as manager:
                form: FormSource = {"who": "Zoë", "n": 7}
                files = {"photo": ("me.png", sources[kind])}
                async with manager.post(url, form=form, files=files, progress_interval=0) as reply:
                    events = [event async for event in reply]
        nursery.cancel_scope.cancel()
    request = peer.requests[0]
    assert seen(request) == [
        Seen("who", None, None, "Zoë".encode()),
        Seen("n", None, None, b"7"),
        Seen("photo", "me.png", "image/png", BINARY),
    ]
    size = len(request.body)
    is_known = kind not in ("iterable", "stream")
    assert request.header("Content-Length") == (str(size) if is_known else None)
    assert request.header("Transfer-Encoding") == (None if is_known else "chunked")
    assert {event.total for event in uploads(events)[:-1]} <= {size if is_known else None}
    assert (uploads(events)[-1].done, uploads(events)[-1].fraction, reply.read()) == (size, 1.0, b"ok")


async def test_progress_of_an_upload_in_parts(place: Place, tmp_path: Path) -> None:
    """The total is that of all parts and what is between them, known from the first report on, and met by the last."""
    path = tmp_path / "big"
    path.write_bytes(bytes(700_000))
    body = MultipartBody([Part("a", path), Part("b", b"x" * 200_000), Part("c", "last")])
    async with place.origin(take) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), body, progress_interval=0) as reply:
            events = [event async for event in reply]
    size = len(origin.requests[0].body)
    done = [event.done for event in uploads(events)]
    assert {event.total for event in uploads(events)} == {size}
    assert done == sorted(done)
    assert (done[-1], uploads(events)[-1].fraction) == (size, 1.0)


async def test_progress_of_unknown_size(place: Place) -> None:
    """While the length is unknown there is no fraction; the last report has it all."""
    send, receive = trio.open_memory_channel[bytes](0)
    async with place.origin(take) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), files={"f": receive}, progress_interval=0) as reply:
            reports: list[Progress] = []
            async for event in reply:
                if isinstance(event, Progress) and event.direction is Direction.UPLOAD:
                    reports.append(event)
                    if len(reports) < 5:
                        await send.send(BINARY)
                    else:
                        await send.aclose()
    assert [(event.total, event.fraction) for event in reports[:5]] == [(None, None)] * 5
    assert (reports[-1].done, reports[-1].fraction) == (len(origin.requests[0].body), 1.0)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (RequestFields(json={"a": [1, None, "é"]}), ("application/json", '{"a":[1,null,"é"]}'.encode())),
        (RequestFields(json=[]), ("application/json", b"[]")),
        (RequestFields(form={"q": "a b&c", "é": "1"}), (URLENCODED, b"q=a+b%26c&%C3%A9=1")),
        (RequestFields(form=[("q", "1"), ("q", "2")]), (URLENCODED, b"q=1&q=2")),
        (RequestFields(form={}), (URLENCODED, b"")),
        (RequestFields(json=1, headers={"Content-Type": "application/x-own"}), ("application/x-own", b"1")),
    ],
    ids=["json", "empty json", "form", "repeated name", "empty form", "own type"],
)
@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_json_and_forms(fields: RequestFields, sent: tuple[str, bytes], verb: str, memory: Place) -> None:
    """``json=`` and ``form=`` are bodies of any method, with their type, unless the request names another."""
    async with memory.origin(take) as origin, memory.open_manager() as manager:
        async with manager.send_custom(origin.url(), verb, **fields) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
    request, (kind, body) = origin.requests[0], sent
    assert (request.method, request.body) == (verb, body)
    assert request.header("Content-Length") == str(len(body))
    assert [value for name, value in request.headers if name == "content-type"] == [kind]


async def test_a_conversation_in_json(place: Place) -> None:
    """What a server reads, and what comes back, is what was meant."""

    async def echo(request: OriginRequest) -> OriginResponse:
        if request.header("Content-Type") == "application/json":
            said: object = json.loads(await request.read())
        else:
            said = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        return OriginResponse(body=json.dumps({"you said": said}).encode())

    async with place.origin(echo) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), json={"né": 1.5}) as reply:
            assert await reply.json() == {"you said": {"né": 1.5}}
        async with manager.post(origin.url(), form={"né": "", "x": "=&+ %"}) as reply:
            assert await reply.json() == {"you said": {"né": "", "x": "=&+ %"}}


@pytest.mark.parametrize("subtype", ["mixed", "related", "alternative"])
async def test_other_multipart_types(subtype: str, place: Place) -> None:
    """Bodies of parts that are no forms say so, nest, and arrive as they were built."""
    inner = MultipartBody([Part(None, "text"), Part(None, b"<b>", content_type="text/html")], subtype="alternative")
    parts = [Part(None, inner), Part(None, b"\0", content_type="image/png", headers={"Content-ID": "<1>"})]
    async with place.origin(take) as origin, place.open_manager() as manager:
        await manager.fetch(origin.url(), verb="POST", body=MultipartBody(parts, subtype=subtype))
    message = message_of(origin.requests[0])
    assert message.get_content_type() == f"multipart/{subtype}"
    first, second = parts_of(message)
    assert [part.get_content_type() for part in parts_of(first)] == ["text/plain", "text/html"]
    assert [content_of(part) for part in parts_of(first)] == [b"text", b"<b>"]
    assert (second["Content-ID"], content_of(second)) == ("<1>", b"\0")


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (FilenameOption.OMIT_RFC8187, b'filename="na\xc3\xafve.txt"'),
        (FilenameOption(0), b"filename=\"na\xc3\xafve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        (FilenameOption.STRICT_RFC7578, b'filename="na%C3%AFve.txt"'),
        (FilenameOption.PREFER_LATIN1 | FilenameOption.OMIT_RFC8187, b'filename="na\xefve.txt"'),
    ],
    ids=["browsers", "both", "strict", "latin-1"],
)
async def test_names_of_files_on_the_wire(options: FilenameOption, written: bytes, memory: Place) -> None:
    """Each way to write a file's name reaches the wire as these bytes."""
    body = MultipartBody([Part("f", b"x", filename="naïve.txt")], boundary="cut", filename_options=options)
    async with memory.origin(take) as origin, memory.open_manager() as manager:
        await manager.fetch(origin.url(), verb="POST", body=body)
    assert origin.requests[0].body == (
        b'--cut\r\nContent-Disposition: form-data; name="f"; ' + written + b"\r\n"
        b"Content-Type: text/plain\r\n\r\nx\r\n--cut--\r\n"
    )


async def test_empty_parts(memory: Place, tmp_path: Path) -> None:
    """An empty field and an empty file are parts like others."""
    (tmp_path / "empty.txt").touch()
    async with memory.origin(take) as origin, memory.open_manager() as manager:
        async with manager.post(origin.url(), form={"a": ""}, files={"f": tmp_path / "empty.txt"}) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert seen(origin.requests[0]) == [Seen("a", None, None, b""), Seen("f", "empty.txt", "text/plain", b"")]


async def test_a_missing_file_is_found_before_anything_is_sent(place: Place, tmp_path: Path) -> None:
    """A part whose file is not there: the error names it, the server has seen no request, the manager goes on."""
    async with place.origin({"/": OriginResponse(body=b"fine")}) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), files={"a": b"1", "f": tmp_path / "nowhere"}) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_NOT_FOUND
            with pytest.raises(ContentNotFoundError, match="nowhere"):
                reply.raise_for_error()
        assert not origin.requests
        assert manager.statistics().leases == 0
        assert (await manager.fetch(origin.url())).body == b"fine"


class Announced:
    """A server that has read a request's head, and reads on when it is told to; it keeps what came."""

    def __init__(self) -> None:
        self.has_head = trio.Event()
        self.go_on = trio.Event()

    async def __call__(self, request: OriginRequest) -> OriginResponse:
        """See `OriginHandler`."""
        self.has_head.set()
        await self.go_on.wait()
        await request.read()
        return OriginResponse(body=b"complete")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("is_open", [False, True], ids=["path", "open file"])
async def test_a_file_that_shrinks_while_it_is_sent(
    is_open: bool, is_chunked: bool, memory: Place, tmp_path: Path
) -> None:
    """The upload fails, and the connection is dropped: the server never takes what came for a whole body."""
    path = tmp_path / "log"
    path.write_bytes(bytes(3_000_000))
    server = Announced()
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        with path.open("rb") as file:
            files: list[tuple[str, BodySource]] = [("f", file if is_open else path), ("last", b"!")]
            files += [("more", pieces())] if is_chunked else []
            async with manager.post(origin.url(), files=files) as reply:
                await server.has_head.wait()
                path.write_bytes(bytes(1000))
                server.go_on.set()
                assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
        assert "do not shorten a file while it is sent" in reply.error_string
        assert reply.status_code is None
        await trio.testing.wait_all_tasks_blocked()
        request = origin.requests[0]
        assert not request.is_complete
        assert b'name="last"' not in request.body
        assert (manager.statistics().leases, origin.open_connections) == (0, 0)


async def test_a_file_that_grows_while_it_is_sent(memory: Place, tmp_path: Path) -> None:
    """As many bytes are sent as there were when the length was told."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 3_000_000)
    server = Announced()
    async with memory.origin(server) as origin, memory.open_manager() as manager:
        async with manager.post(origin.url(), files={"f": path}) as reply:
            await server.has_head.wait()
            path.write_bytes(b"y" * 4_000_000)
            server.go_on.set()
            assert await reply.read_all() == b"complete"
    assert len(seen(origin.requests[0])[0].content) == 3_000_000


async def broken() -> AsyncIterator[bytes]:
    """Something, and then nothing more."""
    yield b"some"
    raise ZeroDivisionError


async def test_a_part_that_raises(place: Place) -> None:
    """An exception of a part's iterable is the cause of that reply's error; the body on the wire has no end."""
    peer = ScriptedPeer(ReceiveRequest(), Send(OK))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, files=[("f", broken()), ("last", b"!")]) as reply:
            assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
            with pytest.raises(UnknownNetworkError) as caught:
                reply.raise_for_error()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        await peer.connections[0].wait_ended()
        assert not peer.requests[0].is_complete
        assert manager.statistics().leases == 0


@pytest.mark.parametrize("status", [307, 308])
async def test_a_form_is_sent_again_to_where_it_is_redirected(status: int, place: Place, tmp_path: Path) -> None:
    """After a 307 or 308 the same parts go out again, byte by byte, with their type and length."""
    path = tmp_path / "f.bin"
    path.write_bytes(BINARY)

    async def moved(request: OriginRequest) -> OriginResponse:
        await request.read()
        return OriginResponse(status, (("Location", "/new"),))

    with io.BytesIO(b"skipped" + BINARY) as file:
        file.seek(7)
        async with place.origin({"/": moved, "/new": take}) as origin:
            async with place.open_manager() as manager:
                files: dict[str, BodySource] = {"f": path, "g": file, "g again": file}
                async with manager.post(origin.url(), form={"a": "1"}, files=files) as reply:
                    assert await reply.read_all() == b"ok"
        assert not file.closed
    first, second = origin.requests
    assert [part.content for part in seen(second)] == [b"1", BINARY, BINARY, BINARY]
    assert (first.method, first.body) == (second.method, second.body)
    for name in ("Content-Type", "Content-Length"):
        assert first.header(name) == second.header(name)


async def test_a_form_that_cannot_be_sent_again(place: Place) -> None:
    """With one part that comes only once, a 307 ends the reply with CONTENT_RE_SEND, and the new place sees nothing."""
    moved = OriginResponse(307, (("Location", "/new"),))
    async with place.origin({"/": moved, "/new": take}) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), form={"a": "1"}, files={"f": pieces()}) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_RE_SEND
            with pytest.raises(ContentReSendError, match="give it as bytes, or as a path"):
                reply.raise_for_error()
        assert (reply.status_code, reply.redirects) == (307, ())
        assert [request.path for request in origin.requests] == ["/"]
        assert manager.statistics().leases == 0


async def test_a_form_becomes_a_get(place: Place, tmp_path: Path) -> None:
    """After a 303 nothing of the form remains: neither its body nor what describes it."""
    path = tmp_path / "f"
    path.write_bytes(BINARY)
    moved = OriginResponse(303, (("Location", "/new"),))
    async with place.origin({"/": moved, "/new": take}) as origin, place.open_manager() as manager:
        headers = {"Content-Language": "de", "X-Kept": "1"}
        async with manager.post(origin.url(), files={"f": path}, headers=headers) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
    second = origin.requests[1]
    assert (second.method, second.body, second.header("X-Kept")) == ("GET", b"", "1")
    assert not [name for name, _ in second.headers if name.startswith("content-")]


async def test_a_form_that_is_refused_early(place: Place, tmp_path: Path) -> None:
    """A 413 before the parts were sent is delivered, and the rest of the files stays where it is."""
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
    peer = ScriptedPeer(ReceiveHead(), Send(refusal), Stall())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, files={"f": path}) as reply:
            events = [event async for event in reply]
        assert (reply.status_code, reply.read()) == (413, b"big")
        assert max((event.done for event in uploads(events)), default=0) < 100_000_000
        assert manager.statistics().leases == 0


async def test_a_refusal_instead_of_100_continue(place: Place, tmp_path: Path) -> None:
    """With ``expect_continue`` nothing of a form leaves before the server has agreed."""
    path = tmp_path / "f"
    path.write_bytes(BINARY)
    peer = ScriptedPeer(ReceiveHead(), Send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), Close())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, files={"f": path}, expect_continue=True) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_ACCESS_DENIED
    assert not peer.requests[0].body


@pytest.mark.parametrize("stop", [Reply.close, Reply.abort], ids=["close", "abort"])
async def test_stopping_a_form(stop: object, autojump_clock: MockClock, memory: Place, tmp_path: Path) -> None:
    """A form of bytes and paths is ours: after ``close`` it still arrives; after ``abort`` it does not."""
    path = tmp_path / "f"
    path.write_bytes(bytes(1_000_000))
    server = Announced()
    async with memory.origin(server) as origin, memory.open_manager(run_sync=run_sync_inline) as manager:
        async with manager.post(origin.url(), form={"a": "1"}, files={"f": path}) as reply:
            await server.has_head.wait()
            reply.close() if stop is Reply.close else reply.abort()
        server.go_on.set()
        await trio.sleep(1)
        assert origin.requests[0].is_complete == (stop is Reply.close)
        assert manager.statistics().leases == 0
    assert reply.error is NetworkError.OPERATION_CANCELED


async def test_a_callers_file_holds_the_block(memory: Place) -> None:
    """A form with a file of the caller's is sent within the block: afterwards the file is the caller's again."""
    server = Announced()
    with io.BytesIO(bytes(1_000_000)) as file:
        async with memory.origin(server) as origin, memory.open_manager() as manager:
            async with manager.post(origin.url(), files={"f": file}):
                await server.has_head.wait()
                server.go_on.set()
            assert origin.requests[0].is_complete
            assert manager.statistics().replies_running == 0


async def test_the_same_form_twice(place: Place, tmp_path: Path) -> None:
    """A body of parts that can be had again can be used for any number of requests, at the same time, too."""
    path = tmp_path / "f"
    path.write_bytes(BINARY)
    body = MultipartBody([Part("a", "1"), Part("f", path)])
    async with place.origin(take) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), body) as first, manager.post(origin.url(), body) as second:
            assert {await first.wait_finished(), await second.wait_finished()} == {NetworkError.NO_ERROR}
    bodies = [request.body for request in origin.requests]
    assert bodies[0] == bodies[1]
    assert seen(origin.requests[0])[1].content == BINARY


async def test_a_reply_as_a_file(place: Place) -> None:
    """A download can be a file of a form: it is passed on as it comes."""
    async with place.origin({"/a": OriginResponse(body=BINARY), "/b": take}) as origin:
        async with place.open_manager() as manager, manager.get(origin.url("/a")) as download:
            async with manager.post(origin.url("/b"), files={"f": ("a.bin", download)}) as reply:
                assert await reply.wait_finished() is NetworkError.NO_ERROR
    (request,) = [request for request in origin.requests if request.path == "/b"]
    assert seen(request) == [Seen("f", "a.bin", "application/octet-stream", BINARY)]
