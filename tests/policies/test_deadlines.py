"""``transfer_timeout``: inactivity, and only while it is the network's turn."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import (
    AuthenticationQuestion,
    Challenge,
    ConnectionLeased,
    ConnectionQueued,
    Message,
    NetworkError,
    Redirected,
    Request,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    Retrying,
    SocketStartedConnecting,
)
from trioreply._model.events import Informational
from trioreply._model.headers import EMPTY
from trioreply._model.urls import make_url
from trioreply._policies.deadlines import deadlines
from trioreply.abc import Sink
from trioreply.errors import ProtocolFailure, TimeoutError

from .recording import RecordingSink, Step, handler_of, put

URL = make_url("test://h/")
QUESTION = AuthenticationQuestion(URL, Challenge("Basic"))
TIMEOUT = 10.0


def pause(seconds: float) -> Step:
    """The step that waits for the network."""

    async def wait(_sink: Sink) -> None:
        await trio.sleep(seconds)

    return wait


async def ask(sink: Sink) -> None:
    """The step that asks."""
    await sink.ask(QUESTION)


def taking(seconds: float) -> RecordingSink:
    """A sink whose reader takes so long for data and for an answer."""

    async def put_slowly(message: Message) -> None:
        if isinstance(message, ResponseData):
            await trio.sleep(seconds)

    async def answer_slowly() -> None:
        await trio.sleep(seconds)

    return RecordingSink(put_slowly, answer_slowly)


async def time_of(*steps: Step, sink: Sink | None = None, limit: float | None = TIMEOUT) -> tuple[float, bool]:
    """How long these steps take, and whether they end in a timeout."""
    start = trio.current_time()
    try:
        await deadlines(handler_of(*steps))(Request(URL, transfer_timeout=limit), sink or RecordingSink())
    except TimeoutError:
        return trio.current_time() - start, True
    return trio.current_time() - start, False


async def test_no_progress_is_a_timeout(autojump_clock: MockClock) -> None:
    """An exchange in which nothing moves ends after ``transfer_timeout`` seconds, and says so."""
    assert await time_of(pause(9.5)) == (9.5, False)
    assert await time_of(pause(10.1)) == (10, True)
    with pytest.raises(TimeoutError, match=r"^Operation timed out: no progress for transfer_timeout=10 s$"):
        await deadlines(handler_of(pause(11)))(Request(URL, transfer_timeout=TIMEOUT), RecordingSink())


@pytest.mark.parametrize("limit", [None, 0, math.inf])
async def test_without_a_timeout_it_takes_what_it_takes(autojump_clock: MockClock, limit: float | None) -> None:
    """No timeout, an infinite one, or one of 0 (as in Qt), lets an exchange stand still for ever."""
    assert await time_of(pause(10**6), limit=limit) == (10**6, False)


@pytest.mark.parametrize(
    "message",
    [
        ConnectionLeased(reused=False),
        SocketStartedConnecting("h", 80),
        RequestSent(),
        Informational(103, EMPTY),
        ResponseHead(200),
        ResponseTrailers({}),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_what_is_no_progress(autojump_clock: MockClock, message: Message) -> None:
    """Connecting, having sent a head, and a response's head do not restart the time (as Qt)."""
    assert await time_of(pause(6), put(message), pause(6)) == (10, True)


@pytest.mark.parametrize(
    "message",
    [ResponseData(b"x"), ResponseData(b"", wire_size=1), RequestProgress(1), Redirected(302, URL)],
    ids=lambda message: type(message).__name__,
)
async def test_what_is_progress(autojump_clock: MockClock, message: Message) -> None:
    """Body bytes in either direction restart the time, and so does another hop."""
    steady = [pause(6), put(message)] * 5
    assert await time_of(*steady) == (30, False)
    assert await time_of(*steady, pause(11)) == (40, True)


async def test_the_queue_does_not_count(autojump_clock: MockClock) -> None:
    """Time spent waiting for a connection is not the network's; what was left before is left afterwards."""
    queued = [pause(4), put(ConnectionQueued()), pause(1000), put(ConnectionLeased(reused=True))]
    assert await time_of(*queued, pause(5)) == (1009, False)
    assert await time_of(*queued, pause(7)) == (1010, True)


async def test_an_open_question_does_not_count(autojump_clock: MockClock) -> None:
    """Time spent waiting for an answer does not count, and what was left before is left afterwards."""
    for rest, timed_out in ((5, False), (7, True)):
        sink = taking(1000)
        _, is_late = await time_of(pause(4), ask, pause(rest), sink=sink)
        assert is_late is timed_out
        assert sink.questions == [QUESTION]


async def test_the_wait_before_another_attempt_does_not_count(autojump_clock: MockClock) -> None:
    """A wait that was announced does not count, and the attempt behind it begins with the full time."""
    retrying = [pause(9), put(Retrying(2, 1000, "busy")), pause(1000)]
    assert await time_of(*retrying, pause(9)) == (1018, False)
    assert await time_of(*retrying, pause(11)) == (1019, True)


async def test_an_attempt_that_failed_in_the_queue(autojump_clock: MockClock) -> None:
    """A pause that a failed attempt has left open does not outlast it."""
    queued = [put(ConnectionQueued()), pause(100)]
    again = [put(Retrying(2, 5, "busy")), pause(5), *queued, put(ConnectionLeased(reused=False))]
    assert await time_of(*queued, *again, pause(9)) == (214, False)
    assert await time_of(*queued, *again, pause(11)) == (215, True)


async def test_a_slow_reader_does_not_count(autojump_clock: MockClock) -> None:
    """Time that the reader takes does not count; the data has restarted the time for what comes after."""
    assert await time_of(pause(9), put(ResponseData(b"x")), pause(9), sink=taking(1000)) == (1018, False)
    assert await time_of(put(ResponseData(b"x")), pause(11), sink=taking(1000)) == (1010, True)


async def test_pauses_may_overlap(autojump_clock: MockClock) -> None:
    """Upload progress while the response's reader is slow neither starts the time nor loses the full one for later."""

    async def both(sink: Sink) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.put, ResponseData(b"x"))
            await trio.sleep(20)
            nursery.start_soon(sink.put, ResponseData(b"y"))
            await sink.put(RequestProgress(1))
            await trio.sleep(50)

    assert await time_of(pause(9), both, pause(9), sink=taking(50)) == (88, False)
    assert await time_of(pause(9), both, pause(11), sink=taking(50)) == (89, True)


async def test_errors_and_messages_pass_through(autojump_clock: MockClock) -> None:
    """Everything is passed on as it is: messages, questions, and the errors of the exchange."""
    sink = RecordingSink()
    messages: list[Message] = [
        ConnectionQueued(),
        ConnectionLeased(reused=False),
        ResponseHead(200),
        ResponseData(b"x"),
    ]

    async def fail(_sink: Sink) -> None:
        raise ProtocolFailure("bad")

    with pytest.raises(ProtocolFailure, match="bad"):
        await deadlines(handler_of(*map(put, messages), ask, fail))(Request(URL, transfer_timeout=TIMEOUT), sink)
    assert sink.messages == messages
    assert sink.questions == [QUESTION]


@pytest.mark.parametrize("reader_is_slow", [False, True])
async def test_in_a_manager(autojump_clock: MockClock, reader_is_slow: bool) -> None:
    """The manager's timeout ends a reply whose server is silent, and not one whose reader is slow."""

    async def stall(_request: Request, sink: Sink) -> None:
        await sink.put(ResponseHead(200))
        for _ in range(2):
            await sink.put(ResponseData(b"12345"))
        await trio.sleep_forever()

    async with trioreply.open_manager(transfer_timeout=TIMEOUT) as manager:
        manager.register_scheme("test", stall)
        async with manager.get("test:x", read_buffer_size=5) as reply:
            if reader_is_slow:
                await trio.sleep(1000)
                assert reply.error is NetworkError.NO_ERROR
            assert await reply.read_exactly(10) == b"1234512345"
            start = trio.current_time()
            assert await reply.wait_finished() is NetworkError.TIMEOUT
            assert trio.current_time() - start == TIMEOUT


async def test_a_request_can_switch_it_off(autojump_clock: MockClock) -> None:
    """The request's own timeout wins over the manager's, also an infinite one."""

    async def slow(_request: Request, sink: Sink) -> None:
        await trio.sleep(100)
        await sink.put(ResponseHead(200))

    async with trioreply.open_manager(transfer_timeout=TIMEOUT) as manager:
        manager.register_scheme("test", slow)
        for timeout, error in [
            (None, NetworkError.TIMEOUT),
            (99, NetworkError.TIMEOUT),
            (101, NetworkError.NO_ERROR),
            (math.inf, NetworkError.NO_ERROR),
        ]:
            async with manager.get("test:x", transfer_timeout=timeout) as reply:
                assert await reply.wait_finished() is error
