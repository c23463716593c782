"""Retrying: the policy as a value, the decisions as tables, and what the reader sees of it."""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

import trioreply
from trioreply import (
    ConnectionLeased,
    Message,
    NetworkError,
    Request,
    RequestProgress,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    Retrying,
)
from trioreply._model.bodies import BodySource
from trioreply._model.headers import make_headers
from trioreply._model.http_date import format_http_date
from trioreply._model.retry import RetryPolicy
from trioreply._policies.retry import MAX_WITHHELD, WITHHELD_SECONDS, retrying
from trioreply._policies.retry_decide import delay_after, may_repeat, retry_after
from trioreply.abc import Sink
from trioreply.errors import (
    ConnectionRefusedError,
    HostNotFoundError,
    ProtocolFailure,
    RemoteHostClosedError,
    ReplyError,
    TimeoutError,
)

from .recording import RecordingSink

NOW = 1_700_000_000.0
URL = "http://example.org/"
STEADY = RetryPolicy(backoff=1, jitter=0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"attempts": 0}, "attempts: 0 is not a count"),
        ({"attempts": True}, "attempts: True is not a count"),
        ({"attempts": 2.0}, "attempts: 2.0 is not a count"),
        ({"on_status": [101]}, "on_status: 101 is no status"),
        ({"on_status": [600]}, "on_status: 600 is no status"),
        ({"on_status": ["503"]}, "on_status: '503' is no status"),
        ({"on_errors": [0]}, "on_errors: NO_ERROR is no failure"),
        ({"on_errors": [4711]}, "on_errors: 4711 is not a valid NetworkError"),
        ({"backoff": -1}, "backoff: -1 is not a number of seconds"),
        ({"backoff": math.nan}, "backoff: nan is not a number of seconds"),
        ({"max_delay": math.inf}, "max_delay: inf is not a number of seconds"),
        ({"max_delay": True}, "max_delay: True is not a number of seconds"),
        ({"jitter": 1.5}, "jitter: 1.5 is not a number from 0 to 1"),
        ({"jitter": "all"}, "jitter: 'all' is not a number from 0 to 1"),
    ],
)
def test_impossible_policies(arguments: dict[str, object], text: str) -> None:
    """A policy that cannot be is refused when it is made, with the name of what is wrong."""
    with pytest.raises(ValueError, match=f"^{text}"):
        RetryPolicy(**arguments)  # type: ignore[arg-type]  # the point


def test_policies_are_values() -> None:
    """Policies that say the same are equal, however it was said."""
    said = RetryPolicy(3, on_status=[503, 429, 502, 504], on_errors=[*RetryPolicy().on_errors])
    assert said == RetryPolicy()
    assert hash(said) == hash(RetryPolicy())
    assert RetryPolicy(on_errors={4}).on_errors == {NetworkError.TIMEOUT}  # type: ignore[arg-type]  # as above


def test_waits_double() -> None:
    """Each wait is twice the one before, up to the longest; jitter leaves out a part of it."""
    policy = RetryPolicy(backoff=0.5, max_delay=3, jitter=0.5)
    assert [policy.delay(failures, 0) for failures in (1, 2, 3, 4, 5)] == [0.5, 1, 2, 3, 3]
    assert [policy.delay(failures, 1) for failures in (1, 2, 3, 4, 5)] == [0.25, 0.5, 1, 1.5, 1.5]
    assert RetryPolicy(jitter=1).delay(1, 1) == 0


SECONDS = st.floats(0, 1e300)


@given(
    st.builds(RetryPolicy, jitter=st.floats(0, 1), backoff=SECONDS, max_delay=SECONDS), st.integers(1), st.floats(0, 1)
)
def test_waits_are_bounded(policy: RetryPolicy, failures: int, chance: float) -> None:
    """No number of failures makes a wait longer than the longest, or shorter than nothing."""
    assert 0 <= policy.delay(failures, chance) <= policy.max_delay


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("999999999", 999_999_999),
        ("9999999999", None),
        ("-1", None),
        ("1.5", None),
        ("\u0661", None),
        ("", None),
        ("soon", None),
        (format_http_date(datetime.fromtimestamp(NOW + 90, UTC)), 90),
        (format_http_date(datetime.fromtimestamp(NOW - 90, UTC)), 0),
        ("Tue, 31 Feb 2031 00:00:00 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Retry-After is a number of seconds or a date (RFC 9110 section 10.2.3); anything else says nothing."""
    assert retry_after(make_headers({"Retry-After": text}), now=NOW) == seconds
    assert retry_after(make_headers(None), now=NOW) is None


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
def test_retry_after_never_fails(text: str) -> None:
    """Whatever stands in Retry-After is a number of seconds that is not negative, or nothing."""
    seconds = retry_after(make_headers({"Retry-After": text}), now=NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("wish", "respect", "delay"),
    [("0", True, 2), ("1", True, 2), ("5", True, 5), ("60", True, 60), ("61", True, None), ("61", False, 2)],
)
def test_the_servers_wish(wish: str, respect: bool, delay: float | None) -> None:
    """Retry-After makes a wait longer and never shorter; one beyond the longest ends the attempts, unless ignored."""
    policy = RetryPolicy(backoff=1, jitter=0, respect_retry_after=respect)
    head = ResponseHead(503, headers={"Retry-After": wish})
    assert delay_after(policy, head, 2, chance=0.5, now=NOW) == delay
    assert delay_after(policy, None, 2, chance=0.5, now=NOW) == 2


async def pieces() -> AsyncIterator[bytes]:
    """A body that comes once."""
    yield b"data"


@pytest.mark.parametrize(
    ("verb", "body", "expected"),
    [
        ("GET", None, True),
        ("PUT", b"data", True),
        ("DELETE", io.BytesIO(b"data"), True),
        ("PUT", pieces(), False),
        ("POST", None, False),
        ("PATCH", b"data", False),
    ],
)
def test_what_may_be_repeated(verb: str, body: BodySource | None, expected: bool) -> None:
    """Repeated is a request whose method does no harm twice and whose body can be had again."""
    assert may_repeat(Request(URL, verb=verb, body=body)) is expected


Step = Message | Exception | float


class Attempts:
    """A handler whose attempts go as listed: messages, waits, and how it ends."""

    def __init__(self, *attempts: Sequence[Step]) -> None:
        self._attempts = attempts
        self.started: list[float] = []
        self.ended: list[float] = []
        self.sink = RecordingSink()

    async def __call__(self, _request: Request, sink: Sink) -> None:
        """The next attempt."""
        self.started.append(trio.current_time())
        try:
            for step in self._attempts[len(self.started) - 1]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await trio.sleep(step)
                else:
                    await sink.put(step)
        finally:
            self.ended.append(trio.current_time())

    async def run(self, policy: RetryPolicy | None = STEADY, request: Request | None = None) -> list[Message]:
        """Everything that the reader sees of it under ``policy``."""
        wrapped = retrying(lambda _: policy, now=lambda: NOW, chance=lambda: 0.0)(self)
        await wrapped(request or Request(URL), self.sink)
        return self.sink.messages

    @property
    def waits(self) -> list[float]:
        """The time between each attempt and the next."""
        return [after - before for before, after in zip(self.ended, self.started[1:], strict=False)]


BUSY = ResponseHead(503, "Service Unavailable")
PAGE = ResponseData(b"busy")
OK: list[Step] = [ResponseHead(200, "OK"), ResponseData(b"content")]


async def test_a_status_that_may_pass(autojump_clock: MockClock) -> None:
    """A response that may pass is not shown; the reader is told, and sees the one that comes after the wait."""
    attempts = Attempts([BUSY, PAGE, ResponseTrailers({})], [ResponseHead(429), PAGE], OK)
    assert await attempts.run() == [
        Retrying(2, 1.0, "the server said 503 Service Unavailable"),
        Retrying(3, 2.0, "the server said 429"),
        *OK,
    ]
    assert attempts.waits == [1, 2]


@pytest.mark.parametrize(
    "error", [RemoteHostClosedError("Connection closed"), ConnectionRefusedError("refused"), TimeoutError("timed out")]
)
async def test_a_failure_that_may_pass(autojump_clock: MockClock, error: ReplyError) -> None:
    """A failure that may pass is not shown either; what was said before it is."""
    lease = ConnectionLeased(reused=False)
    attempts = Attempts([lease, error], OK)
    assert await attempts.run() == [lease, Retrying(2, 1.0, str(error)), *OK]
    assert attempts.waits == [1]


async def test_the_last_attempt_passes_as_it_is(autojump_clock: MockClock) -> None:
    """When the attempts are used up the last response is delivered, its body too, or the last error raised."""
    attempts = Attempts([BUSY, PAGE], [BUSY, PAGE], [BUSY, PAGE])
    assert (await attempts.run())[-2:] == [BUSY, PAGE]
    assert len(attempts.started) == 3
    last = ConnectionRefusedError("refused")
    with pytest.raises(ConnectionRefusedError) as caught:
        await Attempts([BUSY, PAGE], [BUSY], [last]).run()
    assert caught.value is last


@pytest.mark.parametrize(
    "steps",
    [
        OK,
        [ResponseHead(500), PAGE],
        [ResponseHead(None)],
        [ResponseHead(503, headers={"Retry-After": "61"}), PAGE],
        [ResponseHead(200), PAGE, RemoteHostClosedError("Connection closed")],
        [HostNotFoundError("no such host")],
        [ProtocolFailure("nonsense")],
        [ZeroDivisionError("a bug")],
    ],
    ids=["success", "500", "no status", "long wish", "in the middle", "no host", "nonsense", "bug"],
)
async def test_what_is_final(autojump_clock: MockClock, steps: list[Step]) -> None:
    """What went well, what will not pass, and what the reader has begun to see, is not repeated."""
    attempts = Attempts(steps)
    messages = [step for step in steps if not isinstance(step, Exception)]
    if isinstance(steps[-1], Exception):
        with pytest.raises(type(steps[-1])) as caught:
            await attempts.run()
        assert caught.value is steps[-1]
    else:
        await attempts.run()
    assert attempts.sink.messages == messages
    assert len(attempts.started) == 1


@pytest.mark.parametrize(
    ("policy", "request_"),
    [(None, Request(URL)), (RetryPolicy(1), Request(URL)), (STEADY, Request(URL, verb="POST"))],
    ids=["off", "one attempt", "POST"],
)
async def test_who_is_not_retried(policy: RetryPolicy | None, request_: Request) -> None:
    """Without a policy, with a single attempt, and for a method that might do its work twice, nothing is repeated."""
    attempts = Attempts([BUSY, PAGE])
    assert await attempts.run(policy, request_) == [BUSY, PAGE]


async def test_the_policy_may_name_others(autojump_clock: MockClock) -> None:
    """Statuses and errors are the policy's choice."""
    policy = RetryPolicy(on_status={500}, on_errors={NetworkError.HOST_NOT_FOUND}, jitter=0)
    assert (await Attempts([ResponseHead(500)], [HostNotFoundError("?")], OK).run(policy))[2:] == OK
    assert await Attempts([BUSY]).run(policy) == [BUSY]


async def test_the_response_is_read_to_its_end(autojump_clock: MockClock) -> None:
    """The body of a response that is not shown is read, so that its connection can serve the next attempt."""
    read: list[Message] = [ResponseData(bytes(MAX_WITHHELD // 2), wire_size=1)] * 2
    attempts = Attempts([BUSY, *read, WITHHELD_SECONDS - 0.5], [BUSY, *read, WITHHELD_SECONDS - 0.5], OK)
    await attempts.run()
    times = zip(attempts.started, attempts.ended, strict=True)
    assert [ended - started for started, ended in times] == [WITHHELD_SECONDS - 0.5, WITHHELD_SECONDS - 0.5, 0]


@pytest.mark.parametrize("size", [len(PAGE.data), 1])
async def test_a_large_response_is_cut(autojump_clock: MockClock, size: int) -> None:
    """A body that is larger than what is read away, decoded or on the wire, ends the attempt at once."""
    large = ResponseData(bytes(MAX_WITHHELD + 1)) if size == 1 else ResponseData(b"", wire_size=MAX_WITHHELD + 1)
    attempts = Attempts([BUSY, large, 1000.0], OK)
    assert (await attempts.run())[1:] == OK
    assert attempts.ended[0] == attempts.started[0]


async def test_a_slow_response_is_cut(autojump_clock: MockClock) -> None:
    """A body that takes too long to read away ends the attempt; the wait begins then."""
    dripping: list[Step] = [PAGE, 0.3]
    attempts = Attempts([3.0, BUSY, *dripping * 100], OK)
    assert (await attempts.run())[1:] == OK
    assert attempts.ended[0] - attempts.started[0] == pytest.approx(3 + WITHHELD_SECONDS)
    assert attempts.waits == [1]


async def test_a_failure_behind_a_response_that_is_not_shown(autojump_clock: MockClock) -> None:
    """If the connection is lost while the body is read away the status is still the reason; a bug is still a bug."""
    attempts = Attempts([BUSY, PAGE, ProtocolFailure("nonsense")], OK)
    assert await attempts.run() == [Retrying(2, 1.0, "the server said 503 Service Unavailable"), *OK]
    with pytest.raises(ZeroDivisionError):
        await Attempts([BUSY, ZeroDivisionError("a bug")], OK).run()


async def test_an_upload_is_still_reported(autojump_clock: MockClock) -> None:
    """While a response is withheld, what is said about the request still passes."""
    progress = RequestProgress(4, 4, complete=True)
    attempts = Attempts([BUSY, progress], OK)
    assert progress in await attempts.run(request=Request(URL, verb="PUT", body=b"data"))


async def test_nothing_is_held_during_the_wait(autojump_clock: MockClock) -> None:
    """The exchange has ended, and with it its connection is free, before the reader is told and the wait begins."""
    attempts = Attempts([BUSY, PAGE], OK)
    told: list[int] = []

    async def listen(message: Message) -> None:
        if isinstance(message, Retrying):
            told.append(len(attempts.ended))

    attempts.sink = RecordingSink(listen)
    await attempts.run()
    assert told == [1]


async def test_a_wait_can_be_cancelled(autojump_clock: MockClock) -> None:
    """A caller's deadline ends the wait, and nothing is sent afterwards."""
    attempts = Attempts([BUSY], OK)
    with trio.move_on_after(0.5) as scope:
        await attempts.run()
    assert scope.cancelled_caught
    assert trio.current_time() - attempts.ended[0] == 0.5
    assert len(attempts.started) == 1


async def test_an_attempt_can_be_cancelled(autojump_clock: MockClock) -> None:
    """A caller's deadline ends an attempt, also while a response is withheld, and it is not taken for a failure."""
    attempts = Attempts([BUSY, 1000.0], OK)
    with trio.move_on_after(0.5) as scope:
        await attempts.run()
    assert scope.cancelled_caught
    assert attempts.sink.messages == []


async def test_in_a_reply(autojump_clock: MockClock) -> None:
    """A reply tells of the retry as an event, and shows nothing of the response that failed."""
    attempts = Attempts([BUSY, PAGE], OK)
    async with trioreply.open_manager() as manager:
        manager.register_scheme("test", retrying(lambda _: STEADY, now=lambda: NOW)(attempts))
        async with manager.get("test:x") as reply:
            events = [event async for event in reply if not isinstance(event, trioreply.Progress)]
            assert reply.read() == b"content"
    assert [type(event).__name__ for event in events] == ["Retrying", "MetaDataChanged", "ReadyRead", "Finished"]
