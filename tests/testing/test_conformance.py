"""The conformance checks pass what keeps the contract, and say what is wrong with the rest. Each fault is meant."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing
from yarl import URL

from trioreply import (
    AuthenticationQuestion,
    Challenge,
    Message,
    Operation,
    Redirected,
    Request,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply._schemes.data import data
from trioreply._schemes.reply_writer import ReplyWriter, reply_handler
from trioreply.abc import Handler, Sink
from trioreply.errors import ContentGoneError, ContentNotFoundError, ProtocolUnknownError
from trioreply.testing import HandlerRecord, check_handler

REQUEST = Request("x:1")
HEAD = ResponseHead(200)
DATA = ResponseData(b"data")


def saying(*steps: object) -> Handler:
    """A handler that puts these messages, and raises an exception that is among them."""

    async def handle(_request: Request, sink: Sink) -> None:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            await sink.put(step)  # type: ignore[arg-type]  # some of them are no messages

    return handle


async def verdict(handler: Handler, request: Request = REQUEST) -> str:
    """Why ``handler`` fails."""
    with pytest.raises(AssertionError) as caught:
        await check_handler(handler, request, grace=0.01)
    return str(caught.value)


async def test_the_scheme_data_passes() -> None:
    """The library's own handler passes, and the record is what a reply would have got."""
    record = await check_handler(data, Request("data:text/x,hello"), head_has_body=True)
    assert record.head is not None
    assert dict(record.head.headers) == {"Content-Type": "text/x", "Content-Length": "5"}
    assert (record.body, record.error) == (b"hello", None)
    assert record.messages == (record.head, ResponseData(b"hello"))


async def test_what_is_written_with_a_reply_writer_passes() -> None:
    """A handler that uses `ReplyWriter` passes, HEAD included, whose body the writer keeps back."""

    @reply_handler
    async def handle(reply: ReplyWriter) -> None:
        reply.set_status(200)
        reply.set_raw_header("Content-Length", "150000")
        for _ in range(3):
            await reply.write(bytes(50_000))

    record = await check_handler(handle, REQUEST)
    assert len(record.body) == 150_000


async def test_an_error_of_ours_is_an_answer() -> None:
    """A handler may end with an error, even out of a nursery of its own; the record has it."""
    failure = ContentNotFoundError("no such thing")

    async def fail() -> None:
        raise failure

    async def handle(_request: Request, sink: Sink) -> None:
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - its group is the point
            nursery.start_soon(fail)

    for handler in (saying(failure), handle):
        assert await check_handler(handler, REQUEST) == HandlerRecord((), failure)


async def test_a_whole_life_passes() -> None:
    """Redirects, trailers, upload progress during the response, and bodies without Content-Length are in order."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(ResponseHead(302))
        await sink.put(ResponseData(b"moved"))
        await sink.put(Redirected(302, URL("x:2")))
        await sink.put(HEAD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.put, DATA)
            nursery.start_soon(sink.put, RequestProgress(1, 1, complete=True))
        await sink.put(RequestSent())
        await sink.put(ResponseData(b"", wire_size=3))
        await sink.put(ResponseTrailers({"a": "b"}))

    record = await check_handler(handle, Request("x:1", operation=Operation.POST, body=b"x"))
    assert (record.head, record.body) == (HEAD, b"data")


async def test_questions_are_answered() -> None:
    """A question gets the answer that the check is given; without one, nobody answers."""

    async def handle(request: Request, sink: Sink) -> None:
        answer = await sink.ask(AuthenticationQuestion(request.url, Challenge("basic", "realm")))
        await sink.put(ResponseHead(401 if answer is None else 200))

    refused = await check_handler(handle, REQUEST)
    answered = await check_handler(handle, REQUEST, answer=lambda _question: ("alice", "sesame"))
    assert [record.head and record.head.status_code for record in (refused, answered)] == [401, 200]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (["text"], "put 'text', which is no message; see trioreply.Message"),
        ([], "returned without a head; put a ResponseHead, or raise"),
        ([HEAD, Redirected(302, URL("x:2"))], "returned without a head"),
        ([DATA], "put data before a head; put a ResponseHead first"),
        ([ResponseTrailers({})], "put trailers before a head"),
        ([Redirected(302, URL("x:2"))], "put Redirected without the head of the redirect"),
        ([HEAD, HEAD], "put a second head"),
        ([HEAD, ResponseTrailers({}), DATA], "put data after trailers"),
        ([HEAD, ResponseTrailers({}), ResponseTrailers({})], "put trailers after trailers"),
        ([ResponseHead(100)], "put a head with the status 100"),
        ([ResponseHead("200")], "put a head with the status '200'"),  # type: ignore[arg-type]  # the fault
        ([HEAD, ResponseData("text")], "put data that is str; give bytes"),  # type: ignore[arg-type]  # as above
        ([HEAD, ResponseData(b"")], "put data that is empty; leave it out"),
        ([ResponseHead(204), DATA], "put a body for the status 204, which has none"),
        ([ResponseHead(headers={"Content-Length": "5"}), DATA], "put 4 bytes of a body, and its Content-Length says 5"),
        ([ResponseHead(headers={"Content-Length": "x"}), DATA], "put 4 bytes of a body, and its Content-Length says x"),
        ([ValueError("a bug")], r"raised ValueError('a bug'), for which a reply has no code"),
        ([HEAD, DATA], "put a body for HEAD; put the head alone, or pass head_has_body=True"),
    ],
)
async def test_what_is_out_of_order(steps: list[object], text: str) -> None:
    """Whatever breaks the order, or what a message may say, is named, with what to do about it."""
    assert text in await verdict(saying(*steps))


async def test_a_length_without_a_body() -> None:
    """Where there is no body to come, a length is that of what a GET would give."""
    head = ResponseHead(304, headers={"Content-Length": "5"})
    assert (await check_handler(saying(head), REQUEST)).body == b""


async def test_a_complaint_cannot_be_swallowed() -> None:
    """A handler that catches what the sink raises has still been wrong; the first fault is told."""

    async def handle(_request: Request, sink: Sink) -> None:
        for message in (DATA, HEAD, HEAD):
            try:
                await sink.put(message)
            except RuntimeError:
                continue

    assert "put data before a head" in await verdict(handle)


async def test_a_put_that_is_not_awaited() -> None:
    """A put whose coroutine nobody awaits is found, and makes no noise elsewhere."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(HEAD)
        sink.put(DATA)  # type: ignore[unused-coroutine]  # the fault
        await trio.lowlevel.checkpoint()

    assert "did not await what it gave" in await verdict(handle)


async def test_a_put_that_is_not_waited_for() -> None:
    """Data that is put while the last put still waits would grow without bound, and is refused."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(HEAD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.put, DATA)
            nursery.start_soon(sink.put, DATA)

    assert "called put again before it had returned" in await verdict(handle)


async def test_what_comes_after_the_end() -> None:
    """What a task that was left behind puts later is found, and does not fail the task itself."""
    done: list[Message] = []

    async def later(sink: Sink) -> None:
        await trio.lowlevel.checkpoint()
        await sink.put(DATA)
        done.append(DATA)

    async with trio.open_nursery() as nursery:

        async def handle(_request: Request, sink: Sink) -> None:
            await sink.put(HEAD)
            nursery.start_soon(later, sink)

        assert "put ResponseData after its end; wait for the tasks" in await verdict(handle)
    assert done == [DATA]


async def test_what_comes_after_a_cancellation() -> None:
    """A task that puts only when its handler was cancelled is found, too."""
    async with trio.open_nursery() as nursery:

        async def handle(_request: Request, sink: Sink) -> None:
            complete = False
            try:
                await sink.put(HEAD)
                complete = True
            finally:
                if not complete:
                    nursery.start_soon(sink.put, DATA)

        assert "put ResponseData after its end" in await verdict(handle)


async def test_a_handler_that_hangs(autojump_clock: trio.testing.MockClock) -> None:
    """A handler that does not end is an error after a while, on Trio's clock."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(HEAD)
        await trio.sleep_forever()

    assert await verdict(handle) == "the handler did not end within 10 s"
    assert trio.current_time() >= 10


async def test_a_task_that_is_left() -> None:
    """A handler that leaves a task running is found out by the sweep."""
    async with trio.open_nursery() as nursery:

        async def handle(_request: Request, sink: Sink) -> None:
            await sink.put(HEAD)
            nursery.start_soon(trio.sleep_forever, name="the-leak")

        assert "tasks were left running: the-leak" in await verdict(handle)
        nursery.cancel_scope.cancel()


async def test_a_descriptor_that_is_left_when_cancelled() -> None:
    """A handler that closes its file only when nobody cancels it is found out by the sweep."""
    opened: list[int] = []

    async def handle(_request: Request, sink: Sink) -> None:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        opened.append(descriptor)
        await sink.put(HEAD)
        os.close(opened.pop())

    assert "file descriptors were left open" in await verdict(handle)
    for descriptor in opened:
        os.close(descriptor)


async def test_a_cancellation_that_is_swallowed_in_a_put() -> None:
    """A handler that returns although it was cancelled in a put has swallowed the cancellation."""

    async def handle(_request: Request, sink: Sink) -> None:
        try:
            await sink.put(HEAD)
        except trio.Cancelled:  # noqa: ASYNC103 - the fault that is to be found
            return  # noqa: ASYNC104 - the same

    assert "went on after it was cancelled in a put; never catch trio.Cancelled" in await verdict(handle)


async def test_a_cancellation_that_is_swallowed_elsewhere() -> None:
    """A handler that returns early when it is cancelled has said less than it should, and that is noticed."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(HEAD)
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:  # noqa: ASYNC103 - the fault that is to be found
            return  # noqa: ASYNC104 - the same
        await sink.put(DATA)

    text = await verdict(handle, REQUEST.replace(operation=Operation.DELETE))
    assert "said status 200, 0 bytes and success when it was cancelled, and status 200, 4 bytes and success" in text


async def test_a_cleanup_that_fails() -> None:
    """What a handler raises instead of the cancellation is a bug of its own."""

    async def handle(_request: Request, sink: Sink) -> None:
        complete = False
        try:
            await sink.put(HEAD)
            complete = True
        finally:
            if not complete:
                raise ValueError("in cleanup")

    assert "raised ValueError('in cleanup')" in await verdict(handle)


async def test_runs_that_differ() -> None:
    """A handler must give the same each time, unless that is said not to matter."""
    errors = [ContentGoneError("gone"), ContentNotFoundError("not found")]

    async def handle(_request: Request, _sink: Sink) -> None:
        errors.reverse()
        raise errors[0]

    assert "ContentGoneError('gone') to a slow reader, and no head, 0 bytes and ContentNotFound" in await verdict(
        handle
    )
    record = await check_handler(handle, REQUEST, repeatable=False)
    assert record.error is not None


def answering_head(head: Message | Exception) -> Handler:
    """A handler that answers HEAD with this, and GET with 5 bytes."""

    async def handle(request: Request, sink: Sink) -> None:
        if request.operation is Operation.HEAD:
            await saying(head)(request, sink)
        else:
            await saying(ResponseHead(200, headers={"Content-Length": "5"}), ResponseData(b"12345"))(request, sink)

    return handle


@pytest.mark.parametrize("head", [ResponseHead(404), ResponseHead(200, headers={"Content-Length": "0"})])
async def test_head_that_is_another(head: ResponseHead) -> None:
    """HEAD gives the status and the length of GET (RFC 9110 section 9.3.2)."""
    assert "status and Content-Length must be the same" in await verdict(answering_head(head))


@pytest.mark.parametrize("head", [ResponseHead(200), ProtocolUnknownError("only GET")])
async def test_head_that_is_no_other(head: Message | Exception) -> None:
    """HEAD need not say how long the body would be, and may be refused altogether."""
    assert (await check_handler(answering_head(head), REQUEST)).body == b"12345"


async def test_descriptors_need_not_be_compared() -> None:
    """Where others open files at the same time, descriptors can be left out."""
    opened: list[int] = []

    async def handle(request: Request, sink: Sink) -> None:
        opened.append(os.open(os.devnull, os.O_RDONLY))
        await sink.put(HEAD)

    await check_handler(handle, REQUEST, descriptors=False)
    for descriptor in opened:
        os.close(descriptor)
