"""Schemes of one's own, whatever they do: the reply always finishes, with an error that says why, and nothing else
suffers.

``GOOD`` is asked afterwards in every case: the manager has to live on.
"""

from __future__ import annotations

import contextlib
import io
import math
import zipfile
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import trio
import trio.testing
from yarl import URL

import trioreply
from trioreply import (
    KnownHeader,
    Manager,
    NetworkError,
    Operation,
    ReadyRead,
    Redirected,
    Reply,
    ReplyError,
    Request,
    RequestProgress,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply._schemes.reply_writer import ReplyWriter, reply_handler
from trioreply.abc import Handler, Sink
from trioreply.errors import (
    ContentGoneError,
    ContentNotFoundError,
    ProtocolUnknownError,
    TimeoutError,
    UnknownNetworkError,
)
from trioreply.testing import ManagerSweep, check_handler, sweep_environment

from ..reply.scripted import settle
from .notation import sequence

HEAD = ResponseHead(200)
DATA = ResponseData(b"data")
GOOD = "data:,good"


def saying(*steps: object) -> Handler:
    """A handler that puts these messages, and raises an exception that is among them."""

    async def handle(_request: Request, sink: Sink) -> None:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            await sink.put(step)  # type: ignore[arg-type]  # some of them are no messages

    return handle


@contextlib.asynccontextmanager
async def opened(handler: Handler, **config: float) -> AsyncIterator[Manager]:
    """A manager that serves ``x:`` with ``handler``, and that works afterwards."""
    async with trioreply.open_manager(**config) as manager:  # type: ignore[arg-type]  # only timeouts, in this file
        manager.register_scheme("x", handler)
        yield manager
        await settle()
        assert manager.statistics().replies_running == 0
        assert (await manager.fetch(GOOD)).body == b"good"


async def finished(handler: Handler) -> Reply:
    """A reply of ``handler`` that has finished, once and last."""
    async with opened(handler) as manager, manager.get("x:1") as reply:
        words = sequence([event async for event in reply]).split()
        assert [word for word in words if word.startswith("F(")] == words[-1:]
        return reply


def raised(reply: Reply) -> ReplyError:
    """The reply's error."""
    with pytest.raises(ReplyError) as caught:
        reply.raise_for_error()
    assert caught.value.code is reply.error
    return caught.value


class PrintlessBugError(Exception):
    """Cannot be printed."""

    def __str__(self) -> str:
        raise LookupError


class PrintlessError(ContentGoneError):
    """One of ours that cannot be printed."""

    def __str__(self) -> str:
        raise LookupError


class NoMemberError(ContentNotFoundError):
    """One of ours with a constructor of its own, which cannot be copied."""

    def __init__(self, archive: str, member: str) -> None:
        super().__init__(f"{archive} has no {member}")


class NoEntryError(ContentNotFoundError):
    """One of ours that can be."""


class OddCodeError(ReplyError):
    """One whose code is none."""

    code = 203  # type: ignore[assignment]  # the fault


@pytest.mark.parametrize(
    ("steps", "error", "text"),
    [
        ([DATA], RuntimeError, "out of order: body bytes came, while the reply is pending"),
        ([HEAD, HEAD], RuntimeError, "out of order: a response head came, while the reply is receiving"),
        ([HEAD, ResponseTrailers({}), DATA], RuntimeError, "out of order: body bytes came, after trailer fields"),
        ([HEAD, ResponseTrailers({}), ResponseTrailers({})], RuntimeError, "trailer fields came, after trailer fields"),
        ([Redirected(302, URL("x:2"))], RuntimeError, "out of order: another hop begins"),
        ([], RuntimeError, "returned without a response head"),
        ([HEAD, Redirected(302, URL("x:2"))], RuntimeError, "returned without a response head"),
        (["text"], TypeError, "a sink takes messages, not 'text'"),
        ([HEAD, ReadyRead(1)], TypeError, "a sink takes messages, not ReadyRead"),
        ([HEAD, ResponseData("text")], TypeError, "a piece of a body is bytes, not str"),  # type: ignore[arg-type]  # the fault
        ([ResponseHead("200")], TypeError, "a status code is an int or None, not '200'"),  # type: ignore[arg-type]  # as above
        ([ValueError("a bug")], ValueError, "ValueError: a bug"),
        ([HEAD, ExceptionGroup("two", [ValueError(), OSError()])], ExceptionGroup, "two"),
        ([ExceptionGroup("one", [ExceptionGroup("one", [OSError("alone")])])], OSError, "OSError: alone"),
        ([OddCodeError("which?")], OddCodeError, "OddCodeError: which?"),
        ([PrintlessBugError()], PrintlessBugError, "PrintlessBugError"),
    ],
)
async def test_a_mistake_of_a_handler(steps: list[object], error: type[Exception], text: str) -> None:
    """Every mistake ends its reply with UNKNOWN_NETWORK, whose text says what it was, and whose cause it is."""
    reply = await finished(saying(*steps))
    failure = raised(reply)
    assert type(failure) is UnknownNetworkError
    assert type(failure.__cause__) is error
    assert text in reply.error_string


@pytest.mark.parametrize("steps", [[DATA], [HEAD, HEAD], ["text"], [HEAD, ResponseTrailers({}), DATA]])
async def test_a_mistake_is_told_to_the_handler(steps: list[object]) -> None:
    """The sink raises at the very put that is wrong, and a handler may make up for it."""
    wrong = steps.pop()

    async def handle(request: Request, sink: Sink) -> None:
        await saying(*steps)(request, sink)
        with pytest.raises((RuntimeError, TypeError)):
            await sink.put(wrong)  # type: ignore[arg-type]  # the fault
        if not steps:
            await sink.put(HEAD)

    assert (await finished(handle)).error is NetworkError.NO_ERROR


async def test_trailers_end_a_response_only() -> None:
    """After trailers an upload may still make progress, and another hop has a body and trailers of its own."""
    trailers = ResponseTrailers({"a": "b"})
    steps = [HEAD, DATA, trailers, RequestProgress(1, 1, complete=True), Redirected(302, URL("x:2"))]
    reply = await finished(saying(*steps, HEAD, DATA, trailers))
    assert (reply.error, reply.url) == (NetworkError.NO_ERROR, URL("x:2"))


async def test_no_coroutine_function() -> None:
    """What is no handler at all fails its reply, and not its manager."""
    reply = await finished(lambda _request, _sink: None)  # type: ignore[arg-type,return-value]  # the fault
    assert reply.error is NetworkError.UNKNOWN_NETWORK


async def test_an_error_of_its_own() -> None:
    """A handler ends its reply with any of our errors, before the head or after data, which stays readable."""
    reply = await finished(saying(ContentNotFoundError("not here")))
    assert type(raised(reply)) is ContentNotFoundError
    reply = await finished(saying(HEAD, DATA, ContentGoneError("gone")))
    assert (reply.read(), reply.error_string) == (b"data", "gone")
    assert type(raised(reply)) is ContentGoneError
    reply = await finished(saying(HEAD, DATA, TimeoutError("too slow")))
    assert (reply.read(), reply.error) == (b"", NetworkError.TIMEOUT)


async def test_an_error_of_a_class_of_its_own() -> None:
    """A class that derives from ours stays itself; if it cannot be copied or printed, its code stays at least."""
    assert type(raised(await finished(saying(NoEntryError("no such entry"))))) is NoEntryError
    failure = raised(await finished(saying(NoMemberError("a.zip", "b"))))
    assert (type(failure), str(failure)) == (ContentNotFoundError, "NoMemberError: a.zip has no b")
    assert type(failure.__cause__) is NoMemberError
    failure = raised(await finished(saying(PrintlessError())))
    assert (type(failure), str(failure)) == (ContentGoneError, "PrintlessError")


async def fail_with(error: Exception) -> None:
    """Raise it."""
    raise error


async def test_an_error_out_of_a_nursery() -> None:
    """A nursery of the handler's wraps even a single error; the reply has it as itself."""

    async def handle(_request: Request, sink: Sink) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_with, ContentNotFoundError("not here"))
            nursery.start_soon(trio.sleep_forever)

    assert type(raised(await finished(handle))) is ContentNotFoundError


async def interrupt() -> None:
    """As Ctrl-C would."""
    raise KeyboardInterrupt


async def test_an_interrupt_out_of_a_nursery() -> None:
    """What is no `Exception` is never a reply's: it leaves the manager, as itself, out of whatever group."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(HEAD)
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - its group is the point
            nursery.start_soon(interrupt)

    with pytest.raises(KeyboardInterrupt):
        async with trioreply.open_manager() as manager:
            manager.register_scheme("x", handle)
            async with manager.get("x:1"):
                await trio.sleep_forever()


async def fail_in_cleanup() -> None:
    """Wait to be cancelled, and make a mess of that."""
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("in cleanup")


async def messy(_request: Request, sink: Sink) -> None:
    """A handler that is cancelled and fails at the same time, so that both come in one group."""
    await sink.put(HEAD)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(fail_in_cleanup)


async def test_a_failure_beside_a_cancellation() -> None:
    """What fails while a reply is aborted harms nobody: the reply was canceled, and the manager lives."""
    async with opened(messy) as manager, manager.get("x:1") as reply:
        await reply.wait_metadata()
        await settle()
        reply.abort()
        assert await reply.wait_finished() is NetworkError.OPERATION_CANCELED


async def test_a_failure_beside_the_managers_end() -> None:
    """What fails while the manager goes down does not come out of it in the cancellation's place."""
    with trio.CancelScope() as scope:
        async with trioreply.open_manager() as manager:
            manager.register_scheme("x", messy)
            async with manager.get("x:1") as reply:
                await reply.wait_metadata()
                await settle()
                scope.cancel()
                await trio.sleep_forever()
    assert scope.cancelled_caught
    assert reply.error is NetworkError.OPERATION_CANCELED


async def test_a_failure_beside_a_callers_cancellation() -> None:
    """`Manager.fetch` runs the handler in the caller's task: a cancellation of the caller goes through a failure."""
    async with opened(messy) as manager:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(manager.fetch, "x:1")
                await settle()
                scope.cancel()
        assert scope.cancelled_caught


async def test_a_handler_that_never_ends() -> None:
    """A handler that never returns is cancelled by `abort`, and knows that it was."""
    states: list[bool] = []

    async def handle(_request: Request, sink: Sink) -> None:
        try:
            await sink.put(HEAD)
            await trio.sleep_forever()
        finally:
            states.append(trio.current_effective_deadline() == -math.inf)

    async with opened(handle) as manager, manager.get("x:1") as reply:
        await reply.wait_metadata()
        reply.abort()
        assert await reply.wait_finished() is NetworkError.OPERATION_CANCELED
    assert states == [True]


async def test_a_handler_without_progress(autojump_clock: trio.testing.MockClock) -> None:
    """``transfer_timeout`` holds for every scheme: what makes no progress ends."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(HEAD)
        await trio.sleep_forever()

    async with opened(handle, transfer_timeout=30) as manager, manager.get("x:1") as reply:
        assert await reply.wait_finished() is NetworkError.TIMEOUT
    assert trio.current_time() == 30


@pytest.mark.parametrize("end", ["returned", "aborted", "closed"])
@pytest.mark.parametrize("message", [DATA, HEAD, ResponseTrailers({})])
async def test_a_sink_that_was_kept(end: str, message: ResponseData | ResponseHead | ResponseTrailers) -> None:
    """When its handler has ended a sink takes nothing, however the reply ended, and asks nobody."""
    kept: list[Sink] = []

    async def handle(_request: Request, sink: Sink) -> None:
        kept.append(sink)
        await sink.put(HEAD)
        if end != "returned":
            await trio.sleep_forever()

    async with opened(handle) as manager, manager.get("x:1") as reply:
        await reply.wait_metadata()
        if end == "aborted":
            reply.abort()
        else:
            await reply.aclose()
        await settle()
        before = [event async for event in reply]
        with pytest.raises(RuntimeError, match="the exchange is over, and its sink takes nothing"):
            await kept[0].put(message)
        assert before[-1] == trioreply.Finished(reply.error)
        assert reply.read() == b""


async def test_a_put_that_was_left_waiting() -> None:
    """A put that waits for the reader in a task of somebody else's ends with the reply, which nobody may read."""
    async with trio.open_nursery() as nursery:

        async def handle(_request: Request, sink: Sink) -> None:
            await sink.put(HEAD)
            nursery.start_soon(sink.put, DATA)
            await settle()

        async with opened(handle) as manager, manager.get("x:1", read_buffer_size=1) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
            await settle()
            assert not nursery.child_tasks
            assert reply.read() == b"data"


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview, lambda owned: memoryview(owned).cast("H")])
async def test_buffers_of_bytes(view: Callable[[bytearray], bytes]) -> None:
    """Whatever holds bytes is delivered as it was when it was put, also if its owner changes it afterwards."""

    async def handle(_request: Request, sink: Sink) -> None:
        owned = bytearray(b"data")
        await sink.put(HEAD)
        for _ in range(2):
            await sink.put(ResponseData(view(owned)))
            owned[:] = b"else"

    assert (await finished(handle)).read() == b"dataelse"


async def memory(files: dict[str, bytes], request: Request, sink: Sink) -> None:
    """``memory:name``: files in a dictionary."""
    async with ReplyWriter(request, sink) as reply:
        content = files.get(request.url.path)
        if content is None:
            raise ContentNotFoundError(f"there is no {request.url.path!r} in memory")
        reply.set_header(KnownHeader.CONTENT_LENGTH, len(content))
        await reply.write(content)


async def test_memory() -> None:
    """A small scheme behaves as those built in: events in order, totals, HEAD, errors, and the conformance checks."""
    handler = partial(memory, {"greeting": b"hello"})
    async with opened(handler) as manager:
        async with manager.get("x:greeting") as reply:
            assert sequence([event async for event in reply]) == "H(None) R D(5,5) F(NO_ERROR)"
            assert reply.read() == b"hello"
        async with manager.head("x:greeting") as reply:
            assert sequence([event async for event in reply]) == "H(None) D(0,5) F(NO_ERROR)"
        with pytest.raises(ContentNotFoundError, match="no 'other' in memory") as caught:
            await manager.fetch("x:other")
        assert caught.value.url == "x:other"
    assert (await check_handler(handler, Request("x:greeting"))).body == b"hello"
    assert type((await check_handler(handler, Request("x:other"))).error) is ContentNotFoundError


CONTENT = bytes(range(256)) * 2000


def archive() -> bytes:
    """A zip file with two members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("big.bin", CONTENT)
        packed.writestr("empty", b"")
    return file.getvalue()


async def unpack(packed: zipfile.ZipFile, reply: ReplyWriter) -> None:
    """``zip:member``: what lies in an archive, piece by piece."""
    if reply.request.operation not in (Operation.GET, Operation.HEAD):
        raise ProtocolUnknownError("an archive can only be read")
    try:
        member = packed.getinfo(reply.request.url.path)
    except KeyError as error:
        raise ContentNotFoundError(f"there is no {reply.request.url.path!r} in the archive") from error
    reply.set_header(KnownHeader.CONTENT_LENGTH, member.file_size)
    with packed.open(member) as source:
        while piece := source.read(100_000):
            await reply.write(piece)


async def test_an_archive() -> None:
    """A scheme that unpacks as fast as it is read: nothing is unpacked ahead of the reader but one piece."""
    with zipfile.ZipFile(io.BytesIO(archive())) as packed:
        handler = reply_handler(partial(unpack, packed))
        async with opened(handler) as manager:
            assert (await manager.fetch("x:big.bin")).body == CONTENT
            assert (await manager.fetch("x:empty")).body == b""
            async with manager.get("x:big.bin", read_buffer_size=1) as reply:
                await settle()
                assert reply.bytes_available < 100_000
                reply.abort()
            async with manager.delete("x:big.bin") as reply:
                assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN
        await check_handler(handler, Request("x:big.bin"))
        await check_handler(handler, Request("x:missing"))
        await check_handler(handler, Request("x:empty", operation=Operation.PUT, body=b"x"))


async def look(env: ManagerSweep[Manager]) -> None:
    """Read a part of a reply of one's own scheme, fetch a whole one, and fail to fetch another."""
    with zipfile.ZipFile(io.BytesIO(archive())) as packed:
        env.manager.register_scheme("x", reply_handler(partial(unpack, packed)))
        async with env.manager.get("x:big.bin", read_buffer_size=1) as reply:
            await reply.read_exactly(70_000)
        assert (await env.manager.fetch("x:empty")).body == b""
        with contextlib.suppress(ContentNotFoundError):
            await env.manager.fetch("x:missing")


@pytest.mark.parametrize("owns_manager", [False, True])
async def test_custom_scheme_sweep(owns_manager: bool) -> None:
    """A reply of one's own scheme may be cancelled at every step: nothing is left, and it finishes once."""
    make = partial(ManagerSweep, trioreply.open_manager, look, owns_manager=owns_manager)
    assert await sweep_environment(make) > 10
