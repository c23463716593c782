"""`ReplyWriter`: what it refuses, because it is said too late, twice at once, or does not fit what was said before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from yarl import URL

import trioreply
from trioreply import (
    Attribute,
    AuthenticationQuestion,
    Challenge,
    KnownHeader,
    NetworkError,
    Operation,
    Request,
)
from trioreply._schemes.reply_writer import ReplyWriter
from trioreply.abc import Sink

from ..journeys.notation import sequence
from ..reply.scripted import settle
from .writing import failure, finished, written

Late = Callable[[ReplyWriter], object]

SETTERS: list[Late] = [
    lambda reply: reply.set_raw_header("a", "b"),
    lambda reply: reply.set_header(KnownHeader.CONTENT_LENGTH, 1),
    lambda reply: reply.set_headers({}),
    lambda reply: reply.set_status(200),
    lambda reply: reply.set_attribute(Attribute.HTTP_STATUS_CODE, 200),
]
OTHERS: list[Late] = [
    lambda reply: reply.set_attribute(Attribute.HTTP2_WAS_USED, value=True),
    lambda reply: reply.set_url("x:y"),
    lambda reply: reply.set_request(reply.request),
    lambda reply: reply.set_operation(Operation.GET),
    lambda reply: reply.set_error(NetworkError.CONTENT_GONE, "x"),
]


async def all_refused(reply: ReplyWriter, text: str) -> None:
    """Nothing can be said or written; the text says why."""
    for say in SETTERS + OTHERS:
        with pytest.raises(RuntimeError, match=text):
            say(reply)
    for wait in (
        reply.write(b"x"),
        reply.send_head(),
        reply.ask(AuthenticationQuestion(URL("x:"), Challenge("basic"))),
    ):
        with pytest.raises(RuntimeError, match=text):
            await wait


async def test_too_late_for_the_head() -> None:
    """When the head has been sent, status and headers are refused; whatever else can still be said."""

    async def write(reply: ReplyWriter) -> None:
        await reply.write(b"x")
        for say in SETTERS:
            with pytest.raises(RuntimeError, match="the head has been sent"):
                say(reply)
        for say in OTHERS:
            say(reply)

    assert (await finished(write)).error is NetworkError.CONTENT_GONE


async def test_after_set_finished() -> None:
    """After `set_finished` everything is refused, itself apart, and the reply ends well with the block."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_status(200)
        reply.set_finished()
        reply.set_finished()
        await all_refused(reply, "the reply is finished")

    reply = await finished(write)
    assert (reply.status_code, reply.error) == (200, NetworkError.NO_ERROR)


async def test_outside_of_the_block() -> None:
    """Before its block and after it a writer refuses everything, and it has only one."""
    kept: list[ReplyWriter] = []

    async def handle(request: Request, sink: Sink) -> None:
        writer = ReplyWriter(request, sink)
        await all_refused(writer, "works within its block")
        with pytest.raises(RuntimeError, match="works within its block"):
            writer.set_finished()
        async with writer as reply:
            assert reply is writer
        with pytest.raises(RuntimeError, match="make another one"):
            await writer.__aenter__()
        kept.append(writer)

    async with trioreply.open_manager() as manager:
        manager.register_scheme("x", handle)
        await manager.fetch("x:1")
        await all_refused(kept[0], "the reply is finished")
        kept[0].set_finished()


async def test_two_tasks_do_not_write_at_once() -> None:
    """A second task that writes gets BusyResourceError, instead of mixing its bytes in."""
    refused = trio.Event()

    async def write(reply: ReplyWriter) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply.write, b"first")
            await settle()
            for wait in (reply.write(b"second"), reply.send_head()):
                with pytest.raises(trio.BusyResourceError):
                    await wait
            refused.set()

    async with written(write, read_buffer_size=1) as reply:
        await refused.wait()
        assert await reply.read_all() == b"first"


async def test_more_than_was_announced() -> None:
    """More bytes than Content-Length says are refused before they are sent."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_header(KnownHeader.CONTENT_LENGTH, 4)
        await reply.write(b"abc")
        await reply.write(b"de")

    async with written(write) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
        assert reply.read() == b"abc"
    assert "would have 5 bytes, and Content-Length says 4" in await failure(write)


async def test_less_than_was_announced() -> None:
    """A body that ends before its length is a failure of the reply, whose reader was promised more."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_header(KnownHeader.CONTENT_LENGTH, 4)
        await reply.write(b"abc")

    assert "ended after 3 bytes, and Content-Length says 4" in await failure(write)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body(status: int) -> None:
    """With 204 and 304 there is no body, whatever length is said, and writing one is refused."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_status(status)
        reply.set_header(KnownHeader.CONTENT_LENGTH, 4)
        await reply.write(b"")

    async def write_more(reply: ReplyWriter) -> None:
        reply.set_status(status)
        await reply.write(b"x")

    assert (await finished(write)).error is NetworkError.NO_ERROR
    assert f"status {status} has no body" in await failure(write_more)


async def test_head_has_no_body() -> None:
    """For HEAD a handler may do what it does for GET: the head goes out with its length, the body stays here."""

    async def write(reply: ReplyWriter) -> None:
        reply.set_header(KnownHeader.CONTENT_LENGTH, 5)
        await reply.write(b"abc")
        await reply.write(b"de")
        with pytest.raises(RuntimeError, match="would have 6 bytes"):
            await reply.write(b"f")

    async with written(write, "HEAD") as reply:
        assert sequence([event async for event in reply]) == "H(None) D(0,5) F(NO_ERROR)"

    async def only_announce(reply: ReplyWriter) -> None:
        reply.set_header(KnownHeader.CONTENT_LENGTH, 5)
        await trio.lowlevel.checkpoint()

    assert (await finished(only_announce, "HEAD")).error is NetworkError.NO_ERROR


async def test_every_waiting_method_is_a_checkpoint() -> None:
    """Entering and leaving the block, writing and sending the head are checkpoints, whether they wait or not."""

    async def handle(request: Request, sink: Sink) -> None:
        writer = ReplyWriter(request, sink)
        with trio.testing.assert_checkpoints():
            reply = await writer.__aenter__()
        for wait in (reply.write(b"x"), reply.write(b""), reply.send_head()):
            with trio.testing.assert_checkpoints():
                await wait
        with trio.testing.assert_checkpoints():
            await writer.__aexit__(None, None, None)

    async with trioreply.open_manager() as manager:
        manager.register_scheme("x", handle)
        assert (await manager.fetch("x:1")).body == b"x"
