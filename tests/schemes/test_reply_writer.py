"""`ReplyWriter`: what a handler says with Qt's protected members, and what the reply shows of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import trio
import trio.testing
from yarl import URL

import trioreply
from trioreply import (
    Attribute,
    AuthenticationQuestion,
    AuthenticationRequired,
    Challenge,
    ContentType,
    ErrorOccurred,
    KnownHeader,
    NetworkError,
    Operation,
    Request,
)
from trioreply._model.messages import ReplyDetails
from trioreply._reply.state import ReplyState
from trioreply._schemes.reply_writer import PIECE, ReplyWriter, reply_handler
from trioreply.errors import ContentGoneError, ContentNotFoundError

from ..journeys.notation import sequence
from ..reply.scripted import settle
from .writing import finished, written


async def test_a_whole_reply() -> None:
    """Headers and body are the reply's, in the order of events of every reply; the length gives progress a total."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_header(KnownHeader.CONTENT_TYPE, "text/plain")
        reply.set_header(KnownHeader.CONTENT_LENGTH, 5)
        await reply.write(b"hel")
        await reply.write(bytearray(b"l"))
        await reply.write(memoryview(b"o"))

    async with written(write) as reply:
        assert sequence([event async for event in reply]) == "H(None) R D(5,5) F(NO_ERROR)"
        assert (reply.read(), reply.status_code, reply.header(KnownHeader.CONTENT_LENGTH)) == (b"hello", None, 5)
        assert reply.header(KnownHeader.CONTENT_TYPE) == ContentType("text/plain")


async def test_saying_nothing() -> None:
    """A block that is left without a word is an empty reply, and a success."""

    async def write(reply: ReplyWriter) -> None:
        await trio.lowlevel.checkpoint()

    async with written(write) as reply:
        assert sequence([event async for event in reply]) == "H(None) D(0,0) F(NO_ERROR)"
        assert dict(reply.headers) == {}


async def test_an_empty_piece_sends_the_head() -> None:
    """Writing nothing is no piece of a body; it does send the head."""

    async def write(reply: ReplyWriter) -> None:
        await reply.write(b"")
        with pytest.raises(RuntimeError, match="head has been sent"):
            reply.set_status(200)

    assert (await finished(write)).error is NetworkError.NO_ERROR


async def test_the_head_comes_before_the_body() -> None:
    """`send_head` lets a reader see the head while the body is not there yet, and a second time does nothing."""
    go_on = trio.Event()

    async def write(reply: ReplyWriter) -> None:
        reply.set_status(201, "Made")
        await reply.send_head()
        await reply.send_head()
        await go_on.wait()
        await reply.write(b"body")

    async with written(write) as reply:
        await reply.wait_metadata()
        assert (reply.status_code, reply.reason, reply.is_running) == (201, "Made", True)
        go_on.set()
        assert await reply.read_all() == b"body"


async def test_headers() -> None:
    """A field replaces what had its name in any case, at its place; ``None`` removes it; all may be given at once."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_headers([("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("X-First", "1"), ("X-Second", b"2")])
        reply.set_raw_header(b"x-first", b"one")
        reply.set_header(KnownHeader.LAST_MODIFIED, datetime(2026, 5, 1, tzinfo=UTC))
        reply.set_header(KnownHeader.ETAG, '"tag"')
        reply.set_raw_header("X-SECOND", None)
        reply.set_header(KnownHeader.ETAG, None)
        reply.set_header(KnownHeader.RETRY_AFTER, None)

    reply = await finished(write)
    assert [(name.lower(), value) for name, value in reply.headers.items()] == [
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("x-first", "one"),
        ("last-modified", "Fri, 01 May 2026 00:00:00 GMT"),
    ]
    assert reply.header(KnownHeader.LAST_MODIFIED) == datetime(2026, 5, 1, tzinfo=UTC)


async def test_a_raw_header_is_read_as_a_typed_one() -> None:
    """What was said as text can be asked for with its type (``setRawHeader``)."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_raw_header("content-type", "text/html; charset=utf-8")

    content_type = (await finished(write)).header(KnownHeader.CONTENT_TYPE)
    assert content_type is not None
    assert (content_type.media_type, content_type.parameters["charset"]) == ("text/html", "utf-8")


@pytest.mark.parametrize(
    ("say", "text"),
    [
        (lambda reply: reply.set_header(KnownHeader.CONTENT_LENGTH, -1), "Content-Length: "),
        (lambda reply: reply.set_header(KnownHeader.CONTENT_LENGTH, "many"), "Content-Length: 'many' has no meaning"),
        (lambda reply: reply.set_header(KnownHeader.ETAG, "x"), "ETag: 'x' has no meaning"),
        (lambda reply: reply.set_raw_header("a b", "x"), "header: 'a b'"),
        (lambda reply: reply.set_raw_header("a b", None), "header: 'a b'"),
        (lambda reply: reply.set_raw_header("a", "x\r\ny"), "header: the value"),
        (lambda reply: reply.set_headers({"a": "x\ny"}), "headers: the value"),
        (lambda reply: reply.set_status(103), "status_code: 103"),
        (lambda reply: reply.set_status(1000), "status_code: 1000"),
        (lambda reply: reply.set_status("200"), "status_code: '200'"),
        (lambda reply: reply.set_status(200, "O\nK"), "reason: "),
        (lambda reply: reply.set_error(7777, "x"), "7777 is not a valid NetworkError"),
        (lambda reply: reply.set_url("http://exa mple/"), "url: "),
    ],
)
async def test_what_cannot_be_said(say: Callable[[ReplyWriter], None], text: str) -> None:
    """What no header, status or URL can be is a ValueError at once, in the handler, and nothing has changed."""

    async def write(reply: ReplyWriter) -> None:
        with pytest.raises(ValueError, match="^" + text):
            say(reply)
        await trio.lowlevel.checkpoint()

    reply = await finished(write)
    assert (reply.error, dict(reply.headers), reply.status_code) == (NetworkError.NO_ERROR, {}, None)


async def test_wrong_types() -> None:
    """Text is no body, and neither is a text a request, an operation or an attribute: TypeError at once."""

    async def write(reply: ReplyWriter) -> None:
        with pytest.raises(TypeError, match=r"^data: give bytes, not str; encode text"):
            await reply.write("text")  # type: ignore[arg-type]  # wrong types are the point
        with pytest.raises(TypeError, match="request"):
            reply.set_request("text")  # type: ignore[arg-type]  # as above
        with pytest.raises(TypeError, match="operation"):
            reply.set_operation("GET")  # type: ignore[arg-type]  # as above
        with pytest.raises(TypeError, match=r"^attributes: 'x' is none"):
            reply.set_attribute("x", 1)  # type: ignore[arg-type]  # as above

    assert (await finished(write)).error is NetworkError.NO_ERROR


async def test_what_the_reply_shows_besides() -> None:
    """URL, request, operation and attributes are there with the head; what comes later comes with what is written."""
    go_on = trio.Event()

    async def write(reply: ReplyWriter) -> None:
        reply.set_url("x://host/elsewhere")
        reply.set_operation(Operation.CUSTOM)
        reply.set_request(reply.request.replace(url="x://other/", user_data="shown"))
        reply.set_attribute(Attribute.SOURCE_IS_FROM_CACHE, value=True)
        await reply.send_head()
        await go_on.wait()
        reply.set_url(URL("x://host/at-last"))
        reply.set_attribute(Attribute.ORIGINAL_CONTENT_LENGTH, 7)

    async with written(write) as reply:
        assert reply.attribute(Attribute.SOURCE_IS_FROM_CACHE) is None
        await reply.wait_metadata()
        assert (reply.url, reply.operation) == (URL("x://host/elsewhere"), Operation.CUSTOM)
        assert (reply.request.url, reply.request.user_data) == (URL("x://other/"), "shown")
        assert reply.attribute(Attribute.CONNECTION_ENCRYPTED) is False
        go_on.set()
        await reply.wait_finished()
        assert reply.url == URL("x://host/at-last")
        known = (Attribute.SOURCE_IS_FROM_CACHE, Attribute.ORIGINAL_CONTENT_LENGTH)
        assert [reply.attribute(attribute) for attribute in known] == [True, 7]
        assert sequence([event async for event in reply]) == "H(None) D(0,0) F(NO_ERROR)"


async def test_status_and_reason_as_attributes() -> None:
    """Qt's way to give a status is an attribute; the status is the same, however it was given."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_attribute(Attribute.HTTP_STATUS_CODE, 404)
        reply.set_attribute(Attribute.HTTP_REASON_PHRASE, "Nothing Here")
        await trio.lowlevel.checkpoint()

    reply = await finished(write)
    assert (reply.status_code, reply.reason, reply.error) == (404, "Nothing Here", NetworkError.CONTENT_NOT_FOUND)
    assert reply.attribute(Attribute.HTTP_STATUS_CODE) == 404


def test_the_body_that_was_sent_stays() -> None:
    """A request that is only shown does not change what becomes of the body: that is decided by the one being sent."""
    state = ReplyState(Request("x:1", operation=Operation.PUT, body=b"sent"), now=0.0)
    before = state.request.body
    assert state.take(ReplyDetails(request=Request("x:2", body=b"shown")), now=0.0) == []
    assert (str(state.request.url), state.request.body) == ("x:2", before)


def test_details_are_a_value() -> None:
    """Details can be compared and hashed, do not change with what they were made of, and hide passwords."""
    attributes: dict[Attribute, object] = {Attribute.HTTP2_WAS_USED: 1}
    details = ReplyDetails(url=URL("x://alice:hush@h/"), attributes=attributes)
    attributes.clear()
    assert details == ReplyDetails(url=URL("x://alice:hush@h/"), attributes={Attribute.HTTP2_WAS_USED: 1})
    assert hash(details) == hash(ReplyDetails(url=details.url))
    assert "url=x://h/" in repr(details)
    assert "url=None" in repr(ReplyDetails())


async def test_an_error_comes_at_the_end() -> None:
    """`set_error` does nothing by itself; when the reply ends it ends with that, and what was written can be read."""
    go_on = trio.Event()

    async def write(reply: ReplyWriter) -> None:
        reply.set_error(NetworkError.CONTENT_NOT_FOUND, "first")
        reply.set_header(KnownHeader.CONTENT_LENGTH, 100)
        await reply.write(b"half")
        await go_on.wait()
        reply.set_error(NetworkError.CONTENT_GONE, "it was here a moment ago")

    async with written(write) as reply:
        await reply.wait_metadata()
        await settle()
        assert (reply.error, reply.is_running) == (NetworkError.NO_ERROR, True)
        go_on.set()
        events = [event async for event in reply]
        assert sequence(events) == "H(None) R E(CONTENT_GONE) D(4,100) F(CONTENT_GONE)"
        assert ErrorOccurred(NetworkError.CONTENT_GONE, "it was here a moment ago") in events
        assert reply.read() == b"half"
        with pytest.raises(ContentGoneError, match=r"^it was here a moment ago$"):
            reply.raise_for_error()


async def test_an_error_without_a_head() -> None:
    """A failure of which nothing else was said has no head, as a file that is missing; details are shown."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_url("x:looked/here")
        reply.set_error(NetworkError.CONTENT_NOT_FOUND, "no")
        await trio.lowlevel.checkpoint()

    async with written(write) as reply:
        assert sequence([event async for event in reply]) == "E(CONTENT_NOT_FOUND) D(0,0) F(CONTENT_NOT_FOUND)"
        assert reply.url == URL("x:looked/here")


@pytest.mark.parametrize("status", [None, 404])
async def test_an_error_with_a_head(status: int | None) -> None:
    """A failure of which a status or a header was said has its head."""

    async def write(reply: ReplyWriter) -> None:
        if status is None:
            reply.set_raw_header("X-Why", "because")
        else:
            reply.set_status(status)
        reply.set_error(NetworkError.CONTENT_NOT_FOUND, "no")
        await trio.lowlevel.checkpoint()

    async with written(write) as reply:
        events = sequence([event async for event in reply])
        assert events == f"H({status}) E(CONTENT_NOT_FOUND) D(0,0) F(CONTENT_NOT_FOUND)"


async def test_an_error_can_be_taken_back() -> None:
    """NO_ERROR is no error."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_error(NetworkError.CONTENT_NOT_FOUND, "no")
        reply.set_error(NetworkError.NO_ERROR, "")
        await reply.write(b"after all")

    assert (await finished(write)).error is NetworkError.NO_ERROR


async def test_an_exception_leaves_as_itself() -> None:
    """A block that is left by an exception says nothing more, and one of our errors is the reply's."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_status(200)
        reply.set_error(NetworkError.CONTENT_GONE, "not this one")
        await trio.lowlevel.checkpoint()
        raise ContentNotFoundError("this one")

    async with written(write) as reply:
        assert sequence([event async for event in reply]) == "E(CONTENT_NOT_FOUND) D(0,0) F(CONTENT_NOT_FOUND)"


async def test_back_pressure() -> None:
    """However much is written at once, a small buffer is overfilled by one piece at most, and the writer waits."""
    reached: list[str] = []
    content = bytes(PIECE) + b"x" * PIECE + b"end"

    async def write(reply: ReplyWriter) -> None:
        await reply.write(content)
        reached.append("written")

    async with written(write, read_buffer_size=1) as reply:
        await settle()
        assert (reply.bytes_available, reached) == (PIECE, [])
        assert reply.read() + await reply.read_all() == content
        assert reached == ["written"]


async def test_asking() -> None:
    """A handler asks the application with the sink's own questions, and gets the answer."""

    async def write(reply: ReplyWriter) -> None:
        answer = await reply.ask(AuthenticationQuestion(reply.request.url, Challenge("basic", "the vault")))
        await reply.write(repr(answer).encode())

    async with written(write) as reply:
        async for event in reply:
            if isinstance(event, AuthenticationRequired):
                event.answer("alice", "sesame")
        assert reply.read() == b"('alice', 'sesame')"


async def test_a_handler_keeps_its_name() -> None:
    """The decorated function is known by the name and the text that it was given."""

    @reply_handler
    async def hello(reply: ReplyWriter) -> None:
        """Say hello."""
        await reply.write(b"hello")

    assert (hello.__name__, hello.__doc__) == ("hello", "Say hello.")
    async with trioreply.open_manager() as manager:
        manager.register_scheme("hello", hello)
        assert (await manager.fetch("hello:")).body == b"hello"
