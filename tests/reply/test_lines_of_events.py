"""Server-sent events of a reply: the type is checked, and a step follows the rules of every waiting read."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import trioreply
from trioreply import NetworkError, ResponseData
from trioreply._model.server_sent_event import ServerSentEvent
from trioreply.errors import OperationCanceledError, RemoteHostClosedError, TimeoutError, UnknownContentError

from .scripted import SHOWN_URL, Script, open_reply, settle

Event = ServerSentEvent
STREAM = "text/event-stream"


def streaming(*pieces: bytes) -> Script:
    """An event stream that goes on."""
    script = Script()
    script.respond(*pieces, Content_Type=STREAM)
    return script


def complete(*pieces: bytes) -> Script:
    """An event stream that ends."""
    script = streaming(*pieces)
    script.end()
    return script


async def test_events() -> None:
    """The events of the body come one after the other; the incomplete one at the end does not."""
    pieces = [
        b"\xef\xbb",
        b"\xbfdata: a\n\ndata: b\r",
        b"\n\r\n: x\n\nid: 7\nretry: 20\nevent: k\nda",
        b"ta: c\n\ndata: d\n",
    ]
    async with open_reply(complete(*pieces)) as reply:
        events = reply.server_sent_events(last_event_id="6")
        assert (events.last_event_id, events.retry) == ("6", None)
        expected = [Event(data="a", id="6"), Event(data="b", id="6"), Event("k", "c", "7", 0.02)]
        assert [event async for event in events] == expected
        assert (events.last_event_id, events.retry) == ("7", 0.02)
        assert [event async for event in events] == []


async def test_a_data_url_can_be_a_stream() -> None:
    """Any scheme whose response has the type gives events, with a status or without."""
    async with trioreply.open_manager() as manager, manager.get("data:text/event-stream,data:%20x%0A%0A") as reply:
        assert [event.data async for event in reply.server_sent_events()] == ["x"]


async def test_large_events() -> None:
    """An event may be larger than what a parser is shown at once, and than the read buffer."""
    lines = [b"x" * size for size in (0, 1, 4090, 4096, 10_000, 50_000)]
    body = b"".join(b"data: %b\n" % line for line in lines) + b"\n"
    pieces = [body[start : start + 7000] for start in range(0, len(body), 7000)]
    for size in (None, 10, 0):
        async with open_reply(complete(*pieces), read_buffer_size=size) as reply:
            (event,) = [event async for event in reply.server_sent_events()]
            assert event.data.encode() == b"\n".join(lines)


@pytest.mark.parametrize(
    ("headers", "came"),
    [
        ({}, "'no Content-Type' came"),
        ({"Content_Type": "text/html"}, "'text/html' came with status 404, not text/event"),
    ],
)
async def test_what_is_no_event_stream(headers: dict[str, str], came: str) -> None:
    """Another type is UNKNOWN_CONTENT, which says what came; the reply has not failed, and can still be read."""
    script = Script()
    script.respond(b"data: x\n\n", status=404, **headers)
    async with open_reply(script) as reply:
        events = reply.server_sent_events()
        with pytest.raises(UnknownContentError, match=came):
            await anext(events)
        with pytest.raises(UnknownContentError, match=came) as caught:
            await anext(events)
        assert (caught.value.url, caught.value.status_code, caught.value.reply) == (SHOWN_URL, 404, reply)
        assert reply.error is NetworkError.NO_ERROR
        assert await reply.read_exactly(4) == b"data"


async def test_no_type_without_a_status() -> None:
    """A response without a status is told of without one."""
    script = Script()
    script.respond(status=None, Content_Type="a/b")
    async with open_reply(script) as reply:
        with pytest.raises(UnknownContentError, match="'a/b' came, not"):
            await anext(reply.server_sent_events())


@pytest.mark.parametrize("pieces", [(b"data: 45\n",), (b"data", b": 4", b"5\n"), (b":" + bytes(100_000),)])
async def test_an_event_that_is_too_large(pieces: tuple[bytes, ...]) -> None:
    """An event larger than wanted is UNKNOWN_CONTENT and aborts the reply: no event can fill the memory."""
    script = streaming(b"data\n\n", *pieces)
    async with open_reply(script) as reply:
        events = reply.server_sent_events(7)
        assert await anext(events) == Event()
        with pytest.raises(UnknownContentError, match="max_size=7"):
            await anext(events)
        with pytest.raises(UnknownContentError, match="max_size=7") as caught:
            await anext(events)
        assert (caught.value.url, caught.value.status_code, caught.value.reply) == (SHOWN_URL, 200, reply)
        assert reply.error is NetworkError.UNKNOWN_CONTENT
    assert script.cancelled


async def test_a_complete_body_with_an_event_that_is_too_large() -> None:
    """A reply that has finished well stays so when an event of it is larger than wanted."""
    async with open_reply(complete(b"data: 45\n\n")) as reply:
        await reply.wait_finished()
        events = reply.server_sent_events(7)
        with pytest.raises(UnknownContentError, match="max_size=7"):
            await anext(events)
        with pytest.raises(UnknownContentError, match="max_size=7") as caught:
            await anext(events)
        assert caught.value.url == SHOWN_URL
        assert reply.error is NetworkError.NO_ERROR


async def test_events_first_and_then_the_error() -> None:
    """When the transfer failed the complete events come, then the error, again and again."""
    script = streaming(b"data: 1\n\ndata: 2\n\ndata: 3\n")
    script.put(RemoteHostClosedError("Connection closed"))
    async with open_reply(script) as reply:
        await reply.wait_finished()
        events = reply.server_sent_events()
        assert [await anext(events), await anext(events)] == [Event(data="1"), Event(data="2")]
        for _ in range(2):
            with pytest.raises(RemoteHostClosedError, match="Connection closed"):
                await anext(events)


async def test_a_reply_without_a_response() -> None:
    """Where there is no response the reply's error is raised, not one about its type."""
    async with open_reply(Script(TimeoutError("late"))) as reply:
        with pytest.raises(TimeoutError, match="late"):
            await anext(reply.server_sent_events())


async def test_an_aborted_reply_has_no_more_events() -> None:
    """What was received and not asked for is gone with ``abort``, as all that is unread."""
    async with open_reply(streaming(b"data: 1\n\ndata: 2\n\n")) as reply:
        events = reply.server_sent_events()
        await anext(events)
        reply.abort()
        with trio.testing.assert_checkpoints(), pytest.raises(OperationCanceledError):
            await anext(events)


async def test_what_follows_an_event_stays_unread() -> None:
    """The iterator takes no more of the body than the events that were asked for."""
    async with open_reply(complete(b"data: 1\n\ndata: 2\n\nrest")) as reply:
        assert await anext(reply.server_sent_events()) == Event(data="1")
        assert await anext(reply.server_sent_events()) == Event(data="2")
        assert await reply.read_all() == b"rest"


async def test_always_a_checkpoint() -> None:
    """A step is a checkpoint also when its event is there already, and at the end."""
    async with open_reply(complete(b"data: 1\n\ndata: 2\n\n")) as reply:
        await settle()
        events = reply.server_sent_events()
        for _ in range(2):
            with trio.testing.assert_checkpoints():
                await anext(events)
        with trio.testing.assert_checkpoints():
            assert await anext(events, None) is None


@pytest.mark.parametrize("there", [b"", b"data: 1\n\n", b"data: 1\n", b"data: 1\n\ndata: 2\n\n"])
async def test_a_cancelled_step_has_lost_nothing(there: bytes) -> None:
    """A step that is cancelled, at once or while it waits, and at the head or in an event: the next one goes on."""
    stream = b"data: 1\n\ndata: 2\n\n"
    script = Script()
    async with open_reply(script) as reply:
        events = reply.server_sent_events()
        with trio.move_on_after(0):
            await anext(events)
        script.respond(there, Content_Type=STREAM)
        await settle()
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(events)
        assert scope.cancelled_caught
        got: list[ServerSentEvent] = []
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read() -> None:
                while True:
                    got.append(await anext(events))

            await settle()
            nursery.cancel_scope.cancel()
        script.put(ResponseData(stream[len(there) :]))
        script.end()
        assert [*got, *[event async for event in events]] == [Event(data="1"), Event(data="2")]


@pytest.mark.parametrize("has_head", [False, True])
async def test_two_readers_are_one_too_many(has_head: bool) -> None:
    """While a task waits for an event nobody else reads, not even before there is a head; and the other way round."""
    script = streaming() if has_head else Script()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(reply.server_sent_events().__anext__)
        await settle()
        for other in (reply.server_sent_events(), reply.chunks()):
            with pytest.raises(trio.BusyResourceError):
                await anext(other)
        nursery.cancel_scope.cancel()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(reply.receive_some)
        await settle()
        with pytest.raises(trio.BusyResourceError):
            await anext(reply.server_sent_events())
        nursery.cancel_scope.cancel()


async def test_a_slow_reader_holds_the_stream_back() -> None:
    """While events lie unread that fill the read buffer nothing more is taken from the exchange."""
    script = streaming(*[b"data: %03d\n\n" % number for number in range(100)])
    script.end()
    async with open_reply(script, read_buffer_size=50) as reply:
        events = reply.server_sent_events()
        for number in range(100):
            await settle()
            assert reply.bytes_available <= 60
            assert (await anext(events)).data == f"{number:03d}"
