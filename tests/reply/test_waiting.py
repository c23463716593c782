"""The waiting methods: always a checkpoint, nothing lost when cancelled, data first and the error afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from yarl import URL

import trioreply
from trioreply import NetworkError, Redirected, Reply, Request, ResponseData, ResponseHead
from trioreply.abc import Sink
from trioreply.errors import (
    ContentNotFoundError,
    OperationCanceledError,
    RemoteHostClosedError,
    ReplyError,
    TimeoutError,
    UnknownContentError,
    UnknownNetworkError,
)

from .scripted import SHOWN_URL, Script, open_reply, open_scripted, settle
from .scripted import URL as REPLY_URL

Wait = Callable[[Reply], Awaitable[object]]

READING: dict[str, Wait] = {
    "receive_some": lambda reply: reply.receive_some(),
    "read_all": lambda reply: reply.read_all(),
    "read_exactly": lambda reply: reply.read_exactly(1000),
    "chunks": lambda reply: anext(reply.chunks()),
    "lines": lambda reply: anext(reply.lines()),
    "text": lambda reply: reply.text(),
    "json": lambda reply: reply.json(),
    "stream": lambda reply: reply.stream.receive_some(),
}
OTHERS: dict[str, Wait] = {
    "wait_metadata": lambda reply: reply.wait_metadata(),
    "wait_finished": lambda reply: reply.wait_finished(),
}
DATA = b"1" * 1000
"""What every reading method is content with."""

each_reading = pytest.mark.parametrize("wait", READING.values(), ids=READING)


def responding(*pieces: bytes, status: int = 200, **headers: str) -> Script:
    """A response that is complete."""
    script = Script()
    script.respond(*pieces, status=status, **headers)
    script.end()
    return script


async def collect(reply: Reply) -> list[bytes]:
    """The body, in the pieces that the iterator gives."""
    return [chunk async for chunk in reply.chunks()]


@pytest.mark.parametrize("wait", [*READING.values(), *OTHERS.values()], ids=[*READING, *OTHERS])
async def test_always_a_checkpoint(wait: Wait) -> None:
    """A waiting method is a checkpoint even when there is nothing to wait for."""
    async with open_reply(responding(DATA)) as reply:
        await settle()
        with trio.testing.assert_checkpoints():
            await wait(reply)


@each_reading
async def test_cancelled_at_its_checkpoint(wait: Wait) -> None:
    """A read that is cancelled though all was there has taken nothing."""
    async with open_reply(responding(DATA)) as reply:
        await settle()
        with trio.CancelScope() as scope:
            scope.cancel()
            await wait(reply)
        assert scope.cancelled_caught
        assert await reply.read_all() == DATA


@each_reading
async def test_cancelled_while_it_waits(wait: Wait) -> None:
    """A read that is cancelled while it waits, with part of what it needs there or none, has taken nothing."""
    takes_any = wait in (READING["receive_some"], READING["chunks"], READING["stream"])
    script = Script()
    script.respond(*([] if takes_any else [b"12"]))
    async with open_reply(script) as reply:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, reply)
            await settle()
            nursery.cancel_scope.cancel()
        script.put(ResponseData(b"345"))
        script.end()
        assert await reply.read_all() == (b"345" if takes_any else b"12345")


@pytest.mark.parametrize(("first", "second"), list(itertools.product(READING, repeat=2)))
async def test_two_readers_are_one_too_many(first: str, second: str) -> None:
    """While a task reads another one that tries is told so, by whatever method; the first is not disturbed."""
    script = Script()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(READING[first], reply)
        await settle()
        with pytest.raises(trio.BusyResourceError):
            await READING[second](reply)
        script.respond(DATA)
        script.end()


@pytest.mark.parametrize("wait", OTHERS.values(), ids=OTHERS)
async def test_waiting_is_not_reading(wait: Wait) -> None:
    """Any number of tasks may wait for the head or the end while one reads."""
    script = Script()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(reply.read_all)
        nursery.start_soon(wait, reply)
        nursery.start_soon(wait, reply)
        await settle()
        script.respond(DATA)
        script.end()


async def test_receive_some() -> None:
    """Pieces come as they came, or up to a size; the empty one is the end, again and again."""
    async with open_reply(responding(b"12345", b"678")) as reply:
        assert await reply.receive_some(3) == b"123"
        assert await reply.receive_some(3) == b"45"
        await settle()
        assert await reply.receive_some() == b"678"
        assert [await reply.receive_some(), await reply.receive_some(1)] == [b"", b""]
        for size in (0, -1):
            with pytest.raises(ValueError, match=r"^max_bytes: "):
                await reply.receive_some(size)


async def test_receive_some_waits_for_more() -> None:
    """With nothing there the next piece is waited for."""
    script = Script()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            assert await collect(reply) == [b"one", b"two"]

        script.respond()
        for piece in (b"one", b"two"):
            await settle()
            script.put(ResponseData(piece))
        await settle()
        script.end()


async def test_read_exactly() -> None:
    """Exactly so many bytes come, from as many pieces as it takes; what follows stays."""
    async with open_reply(responding(b"12", b"34", b"56")) as reply:
        assert await reply.read_exactly(0) == b""
        assert await reply.read_exactly(5) == b"12345"
        with pytest.raises(UnknownContentError, match="ended after 1 of the 2 bytes"):
            await reply.read_exactly(2)
        assert await reply.read_exactly(1) == b"6"
        with pytest.raises(ValueError, match=r"^n: -1 "):
            await reply.read_exactly(-1)


async def test_read_all_takes_the_rest() -> None:
    """The rest of the body is what was not read before; afterwards there is nothing."""
    async with open_reply(responding(b"12", b"34")) as reply:
        assert await reply.read_exactly(1) == b"1"
        assert await reply.read_all(3) == b"234"
        assert await reply.read_all() == b""


@pytest.mark.parametrize("read", [Reply.read_all, Reply.text, Reply.json])
async def test_a_body_that_is_too_large(read: Callable[[Reply, int], Awaitable[object]]) -> None:
    """A body larger than wanted is UNKNOWN_CONTENT and aborts the reply as soon as it is known."""
    script = Script()
    script.respond(b"12345", b"6")
    async with open_reply(script) as reply:
        with pytest.raises(UnknownContentError, match="max_size=5") as caught:
            await read(reply, 5)
        assert (caught.value.url, caught.value.reply) == (SHOWN_URL, reply)
        assert (reply.error, reply.bytes_available) == (NetworkError.UNKNOWN_CONTENT, 0)
    assert script.cancelled


async def test_a_complete_body_that_is_too_large() -> None:
    """A reply that has finished well stays so when its body is larger than wanted: it can still be read."""
    async with open_reply(responding(b"123456")) as reply:
        await reply.wait_finished()
        with pytest.raises(UnknownContentError, match="6 bytes are unread, more than max_size=5") as caught:
            await reply.read_all(5)
        assert (caught.value.url, caught.value.reply) == (SHOWN_URL, reply)
        assert reply.error is NetworkError.NO_ERROR
        assert await reply.read_all(6) == b"123456"


async def test_fetch_of_a_body_that_is_too_large() -> None:
    """``fetch`` stops a body that is larger than wanted at the piece that makes it so."""
    script = Script()
    script.respond(b"12345", b"6", b"7")
    async with open_scripted(script) as manager:
        with pytest.raises(UnknownContentError, match="max_size=5"):
            await manager.fetch(REPLY_URL, max_size=5)
    assert script.done == 3
    assert script.cancelled
    async with open_scripted(responding(b"12", b"345")) as manager:
        assert (await manager.fetch(REPLY_URL, max_size=5)).body == b"12345"


async def test_lines() -> None:
    """Lines come with their line feed, across pieces; the last one may lack it."""
    async with open_reply(responding(b"one\ntw", b"o\n", b"\nlast")) as reply:
        assert [line async for line in reply.lines()] == [b"one\n", b"two\n", b"\n", b"last"]


@pytest.mark.parametrize("pieces", [(b"12345\n",), (b"123", b"456"), (b"123456", b"\n")])
async def test_a_line_that_is_too_long(pieces: tuple[bytes, ...]) -> None:
    """A line longer than wanted is UNKNOWN_CONTENT and aborts the reply: no line can fill the memory."""
    script = Script()
    script.respond(b"1234\n", *pieces)
    async with open_reply(script) as reply:
        lines = reply.lines(5)
        assert await anext(lines) == b"1234\n"
        with pytest.raises(UnknownContentError, match="max_size=5"):
            await anext(lines)
        assert reply.error is NetworkError.UNKNOWN_CONTENT


async def test_text_and_json() -> None:
    """The rest of the body as text is by its charset, as JSON by its meaning."""
    async with open_reply(responding(b"\xe4", Content_Type="text/plain; charset=latin-1")) as reply:
        assert await reply.text() == "\u00e4"
    async with open_reply(responding(b'{"a"', b": 1}")) as reply:
        assert await reply.json() == {"a": 1}


@pytest.mark.parametrize("read", [Reply.text, Reply.json])
async def test_what_is_no_text_or_json(read: Wait) -> None:
    """The error about undecodable content says whose it is; the reply itself has not failed."""
    async with open_reply(responding(b"\xff", status=203)) as reply:
        with pytest.raises(UnknownContentError) as caught:
            await read(reply)
        assert (caught.value.url, caught.value.status_code, caught.value.reply) == (SHOWN_URL, 203, reply)
        assert reply.error is NetworkError.NO_ERROR


async def test_data_first_and_then_the_error() -> None:
    """Piece by piece one gets what had come before the transfer failed, and then the error, again and again."""
    script = Script()
    script.respond(b"12", b"34")
    script.put(RemoteHostClosedError("Connection closed"))
    async with open_reply(script) as reply:
        await reply.wait_finished()
        assert await reply.receive_some() == b"12"
        assert await reply.read_exactly(2) == b"34"
        for _ in range(2):
            with pytest.raises(RemoteHostClosedError, match="Connection closed"):
                await reply.receive_some()


@pytest.mark.parametrize(
    "wait", [wait for name, wait in READING.items() if name in ("read_all", "text", "json", "lines")]
)
async def test_an_incomplete_whole_stays_readable(wait: Wait) -> None:
    """What asks for a whole raises when the transfer failed, and leaves what had come to be read."""
    script = Script()
    script.respond(b"12")
    script.put(RemoteHostClosedError("Connection closed"))
    async with open_reply(script) as reply:
        with pytest.raises(RemoteHostClosedError):
            await wait(reply)
        with pytest.raises(RemoteHostClosedError):
            await reply.read_exactly(3)
        assert reply.read() == b"12"


@each_reading
async def test_a_status_error_is_not_raised_by_reading(wait: Wait) -> None:
    """The page of a 404 is read like any other; the error is raised by those who are asked for it."""
    script = responding(DATA, status=404)
    async with open_reply(script) as reply:
        await wait(reply)
        assert await reply.wait_finished() is NetworkError.CONTENT_NOT_FOUND
        with pytest.raises(ContentNotFoundError, match=f"^Error transferring {SHOWN_URL} - server replied: Reason$"):
            reply.raise_for_error()
        reply.read()
        assert await reply.receive_some() == b""


async def test_raise_for_error_without_one() -> None:
    """Nothing is raised while nothing is wrong."""
    async with open_reply(responding()) as reply:
        reply.raise_for_error()
        await reply.wait_finished()
        reply.raise_for_error()


@each_reading
async def test_reading_an_aborted_reply(wait: Wait) -> None:
    """Waiting to read what was stopped raises OperationCanceledError, which is also Trio's ClosedResourceError."""
    script = Script()
    script.respond(b"12")
    async with open_reply(script) as reply:
        await settle()
        reply.abort()
        with trio.testing.assert_checkpoints(), pytest.raises(OperationCanceledError) as caught:
            await wait(reply)
        assert isinstance(caught.value, trio.ClosedResourceError)


@each_reading
async def test_abort_wakes_readers(wait: Wait) -> None:
    """A task that waits to read when another one aborts learns it at once."""
    script = Script()
    script.respond()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            with pytest.raises(OperationCanceledError):
                await wait(reply)

        await settle()
        reply.abort()


@each_reading
async def test_a_cancelled_reader_is_cancelled(wait: Wait) -> None:
    """A task that is cancelled in the moment in which the reply fails says Cancelled, as everybody around it does."""
    scope = trio.CancelScope()
    async with open_reply(Script()) as reply, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            with scope:
                await wait(reply)

        await settle()
        reply.abort()
        scope.cancel()
    assert scope.cancelled_caught


async def test_each_raise_is_an_exception_of_its_own() -> None:
    """The reply's error is made anew for everybody who gets it: with URL, status, reply and cause, and own frames."""
    cause = OSError("reset")
    error = RemoteHostClosedError("Connection closed")
    error.__cause__ = cause
    script = Script()
    script.respond()
    script.put(error)
    caught: list[ReplyError] = []
    async with open_reply(script) as reply:
        for wait in (reply.receive_some, reply.read_all):
            with pytest.raises(RemoteHostClosedError) as info:
                await wait()
            caught.append(info.value)
        for one in caught:
            assert (one.url, one.status_code, one.reply, one.__cause__) == (SHOWN_URL, 200, reply, cause)
        assert len({id(one) for one in (*caught, error)}) == 3


async def test_wait_metadata() -> None:
    """The head is waited for, with the body still to come; later it is there at once."""
    script = Script()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait() -> None:
            await reply.wait_metadata()
            assert reply.status_code == 404

        await settle()
        script.respond(status=404)
        await settle()
        await reply.wait_metadata()
        script.put(RemoteHostClosedError())
        await settle()
        await reply.wait_metadata()


async def test_wait_metadata_of_a_redirect() -> None:
    """The head of a redirect that is followed is not the one that is waited for."""
    go_on = trio.Event()

    async def hop(request: Request, sink: Sink) -> None:
        await sink.put(ResponseHead(302))
        await sink.put(Redirected(302, URL("test://host/b")))
        await go_on.wait()
        await sink.put(ResponseHead(200))

    async with trioreply.open_manager() as manager:
        manager.register_scheme("test", hop)
        async with manager.get(REPLY_URL) as reply:
            await settle()
            assert reply.status_code == 302
            with trio.move_on_after(0) as scope:
                await reply.wait_metadata()
            assert scope.cancelled_caught
            go_on.set()
            await reply.wait_metadata()
            assert reply.status_code == 200


@pytest.mark.parametrize(
    "steps", [(), (ResponseHead(302), Redirected(302, URL("test://host/b")))], ids=["at all", "after a redirect"]
)
async def test_wait_metadata_without_a_head(steps: tuple[trioreply.Message, ...]) -> None:
    """Where the reply ends before there was a final head its error is raised."""
    async with open_reply(Script(*steps, TimeoutError("late"))) as reply:
        await settle()
        with trio.testing.assert_checkpoints(), pytest.raises(TimeoutError, match="late"):
            await reply.wait_metadata()


async def test_wait_finished_never_raises() -> None:
    """``wait_finished`` says how the reply ended, however that was."""
    for steps, error in [
        ((ResponseHead(200),), NetworkError.NO_ERROR),
        ((ResponseHead(500),), NetworkError.INTERNAL_SERVER),
        ((ResponseHead(200), RemoteHostClosedError()), NetworkError.REMOTE_HOST_CLOSED),
        ((TimeoutError(),), NetworkError.TIMEOUT),
        ((), NetworkError.UNKNOWN_NETWORK),
    ]:
        script = Script(*steps)
        script.end()
        async with open_reply(script) as reply:
            assert await reply.wait_finished() is error


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (Script(ResponseData(b"x")), "RuntimeError: out of order: body bytes came, while the reply is pending"),
        (Script(ResponseHead(200), ResponseHead(200)), "RuntimeError: out of order: a response head came"),
        (Script(KeyError("x")), "KeyError: 'x'"),
    ],
)
async def test_mistakes_of_a_handler(script: Script, text: str) -> None:
    """A handler that reports nonsense, or has a bug, ends its reply as UNKNOWN_NETWORK, which says what it was."""
    async with open_reply(script) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
        assert reply.error_string.startswith(text)
        with pytest.raises(UnknownNetworkError) as caught:
            reply.raise_for_error()
        assert isinstance(caught.value.__cause__, (RuntimeError, KeyError))


async def test_a_handler_that_gives_no_head() -> None:
    """A handler that returns without a head ends its reply as UNKNOWN_NETWORK."""
    script = Script()
    script.end()
    async with open_reply(script) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
        assert reply.error_string == "RuntimeError: the scheme's handler returned without a response head"


async def test_the_stream_is_the_same_bytes() -> None:
    """``reply.stream`` is a ReceiveStream over what the reply's own methods read."""
    async with open_reply(responding(b"12345")) as reply:
        stream = reply.stream
        assert isinstance(stream, trio.abc.ReceiveStream)
        assert await stream.receive_some(2) == b"12"
        assert await reply.receive_some(1) == b"3"
        assert b"".join([bytes(piece) async for piece in stream]) == b"45"


async def test_iterators_are_their_own() -> None:
    """Chunks and lines are iterators that need no closing and can be taken up again."""
    async with open_reply(responding(b"a\nb\n")) as reply:
        lines = reply.lines()
        async for line in lines:
            assert line == b"a\n"
            break
        assert [line async for line in lines] == [b"b\n"]
        assert [line async for line in lines] == []
