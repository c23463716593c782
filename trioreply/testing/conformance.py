"""Does a handler keep the contract of a scheme? The tests that trioreply's own schemes pass, for yours.

A handler is run as a reply would run it, against a sink that watches: undisturbed, with a reader who is always behind,
for HEAD, and once for each of its steps, cancelled there. It must

* put messages in order: one head, then data, then trailers, and nothing after its end;
* put what a reply can show: bytes that are not empty, as many as Content-Length announces, and none for HEAD;
* wait for each ``put``, since that waiting is the back-pressure, and nothing else keeps memory bounded;
* end by returning, or with one of trioreply's errors: anything else would be reported as a bug of its own;
* let a cancellation pass, at every step, and leave no task and no file descriptor behind.

What was hard is to see what a handler does *not* do. A coroutine that was made and not awaited looks like a put from
outside, so the sink keeps those it has handed out and looks which ones never ran. And a cancellation that was swallowed
shows only in its consequences: the handler returns as if all were well, and not all was said.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TypeGuard, TypeVar, cast, get_args

import trio
from attrs import field, frozen

from trioreply import (
    Message,
    NetworkError,
    Operation,
    Question,
    Redirected,
    ReplyError,
    Request,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply.abc import Handler

from .sweep import cancellation_sweep

A = TypeVar("A")

_MESSAGES = get_args(Message)
_IN_ORDER = (ResponseHead, ResponseData, ResponseTrailers)
_WITHOUT_BODY = (204, 304)
_LATE_TURNS = 10
"""Turns of the scheduler for what a handler may have started and not waited for."""
_SLOW_TURNS = 3
"""Turns that a reader who is behind takes for each message."""


@frozen
class HandlerRecord:
    """What a handler has said in one run."""

    messages: tuple[Message, ...] = field(repr=False)
    error: ReplyError | None = None
    """What it ended with; ``None`` if it returned."""

    @property
    def head(self) -> ResponseHead | None:
        """The final head."""
        heads = [message for message in self.messages if isinstance(message, ResponseHead)]
        return heads[-1] if heads else None

    @property
    def body(self) -> bytes:
        """The data that came after the final head."""
        pieces: list[bytes] = []
        for message in self.messages:
            if isinstance(message, ResponseHead):
                pieces.clear()
            elif isinstance(message, ResponseData):
                pieces.append(message.data)
        return b"".join(pieces)


async def check_handler(
    handler: Handler,
    request: Request,
    *,
    answer: Callable[[object], object] = lambda _question: None,
    head_has_body: bool = False,
    repeatable: bool = True,
    run_seconds: float = 10.0,
    descriptors: bool = True,
    grace: float = 1.0,
) -> HandlerRecord:
    """Check that ``handler`` serves ``request`` as a scheme must; gives what it said undisturbed.

    It is run many times, so the request's body must be one that can be sent again. A GET is also tried as HEAD.

    Args:
        handler: what `trioreply.Manager.register_scheme` would be given.
        request: what to serve; an error of trioreply's is as good an answer as any.
        answer: gives the answer to a question, as the application would; by default nobody answers.
        head_has_body: whether the scheme delivers the content for HEAD, too, as ``data:`` does.
        repeatable: whether each run gives the same status, body and error; switch it off for clocks and counters.
        run_seconds: seconds, on Trio's clock, for one run.
        descriptors: whether to compare file descriptors; switch it off where others open some at the same time.
        grace: seconds of real time that what is left after a run may take to go; spent only if something is.

    Raises:
        AssertionError: it does not; the text says what is wrong, and what to do.
    """
    case = _Case(handler, request, answer, head_has_body=head_has_body, run_seconds=run_seconds)
    record = await case.record()
    slow = await case.record(slow=True)
    if repeatable:
        _compare(record, slow, "to a slow reader")
    if request.operation is Operation.GET:
        _compare_heads(record, await case.record(Operation.HEAD))
    sweep = _Sweep(case, record if repeatable else None)
    await cancellation_sweep(
        sweep.scenario,
        check=sweep.check,
        run_seconds=run_seconds,
        descriptors=descriptors,
        grace=grace,
    )
    return record


@frozen
class _Case:
    """What is checked, and how."""

    handler: Handler
    request: Request
    answer: Callable[[object], object]
    head_has_body: bool = field(kw_only=True)
    run_seconds: float = field(kw_only=True)

    async def record(self, operation: Operation | None = None, *, slow: bool = False) -> HandlerRecord:
        """One run by itself."""
        request = self.request if operation is None else self.request.replace(operation=operation)
        sink = _WatchingSink(self, request, slow=slow)
        with trio.move_on_after(self.run_seconds):
            error = await self.run(sink)
            await _let_others_run()
            sink.check()
            return HandlerRecord(tuple(sink.messages), error)
        raise AssertionError(f"the handler did not end within {self.run_seconds:g} s")

    async def run(self, sink: _WatchingSink) -> ReplyError | None:
        """Run the handler to its end, and look at that; gives the error that it ended with."""
        error: Exception | None = None
        try:
            await self.handler(sink.request, sink)
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is judged below
            error = raised
        finally:
            sink.is_over = True
        sink.check()
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            (error,) = error.exceptions  # a nursery makes a group of one, too
        if error is None:
            sink.check_complete()
            return None
        if not _has_code(error):
            raise AssertionError(
                f"the handler raised {error!r}, for which a reply has no code but UNKNOWN_NETWORK; "
                "raise one of the classes in trioreply.errors, with this as its cause"
            ) from error
        return error


class _WatchingSink:
    """A sink that refuses what a reply would refuse, and more, and remembers the first thing that was wrong."""

    def __init__(self, case: _Case, request: Request, *, slow: bool) -> None:
        self.request = request
        self.messages: list[Message] = []
        self.is_over = False
        """Whether the handler has ended."""
        self.was_cancelled = False
        """Whether the last put was."""
        self._case = case
        self._slow = slow
        self._complaint = ""
        self._head: ResponseHead | None = None
        self._has_trailers = False
        self._size = 0
        self._is_putting = False
        self._puts: list[Coroutine[object, object, None]] = []

    def put(self, message: Message) -> Coroutine[object, object, None]:
        """See `trioreply.abc.Sink.put`. A plain function, to see whether what it gives is awaited."""
        waiting = self._put(message)
        self._puts.append(waiting)
        return waiting

    async def ask(self, question: Question[A]) -> A | None:
        """See `trioreply.abc.Sink.ask`."""
        await trio.lowlevel.checkpoint()
        return cast("A | None", self._case.answer(question))

    def check(self) -> None:
        """Complain about what was wrong so far.

        Raises:
            AssertionError: something was.
        """
        unused = [put for put in self._puts if inspect.getcoroutinestate(put) == inspect.CORO_CREATED]
        for put in unused:
            put.close()
        self._puts.clear()
        if unused:
            self._complain("the handler called put and did not await what it gave; write 'await sink.put(...)'")
        if self._complaint:
            raise AssertionError(self._complaint)

    def check_complete(self) -> None:
        """The handler has returned: complain about what is missing.

        Raises:
            AssertionError: something is.
        """
        head = self._head
        if head is None:
            raise AssertionError(
                "the handler returned without a head; put a ResponseHead, or raise one of the classes in "
                "trioreply.errors"
            )
        announced = head.headers.get("Content-Length")
        if announced is None or self.request.operation is Operation.HEAD or head.status_code in _WITHOUT_BODY:
            return
        if announced != str(self._size):
            raise AssertionError(
                f"the handler put {self._size} bytes of a body, and its Content-Length says {announced}; correct it, "
                "or raise an error if the body broke off"
            )

    async def _put(self, message: Message) -> None:
        problem = self._problem(message)
        if problem:
            self._complain(f"the handler {problem}")
            if self.is_over:
                return  # what has put it is no part of the handler any more, and nobody would see an exception
            raise RuntimeError(problem)
        self._absorb(message)
        is_in_order = isinstance(message, _IN_ORDER)
        self._is_putting = self._is_putting or is_in_order
        self.was_cancelled = True
        try:
            for _ in range(_SLOW_TURNS if self._slow else 0):
                await trio.lowlevel.checkpoint()
            self.was_cancelled = False
        finally:
            self._is_putting = self._is_putting and not is_in_order

    def _complain(self, text: str) -> None:
        self._complaint = self._complaint or text

    def _problem(self, message: Message) -> str:
        """What is wrong with ``message`` here and now, after "the handler"; nothing if nothing is."""
        if not isinstance(message, _MESSAGES):
            return f"put {message!r}, which is no message; see trioreply.Message"
        if self.is_over:
            return f"put {type(message).__name__} after its end; wait for the tasks that it has started"
        if self._is_putting and isinstance(message, _IN_ORDER):
            return "called put again before it had returned; await each put, which is the back-pressure"
        match message:
            case ResponseHead():
                return self._problem_of_head(message)
            case ResponseData():
                return self._problem_of_data(message)
            case ResponseTrailers():
                return self._problem_of_place("trailers")
            case Redirected() if self._head is None:
                return "put Redirected without the head of the redirect before it"
            case _:
                return ""

    def _problem_of_head(self, head: ResponseHead) -> str:
        status: object = head.status_code
        if self._head is not None:
            return "put a second head; a response has one, and Informational is for what comes before it"
        if status is not None and not (isinstance(status, int) and 200 <= status <= 999):
            return f"put a head with the status {status!r}; give 200 to 999, or None for a scheme without"
        return ""

    def _problem_of_data(self, message: ResponseData) -> str:
        data: object = message.data
        if not isinstance(data, bytes):
            return f"put data that is {type(data).__name__}; give bytes"
        if not data and message.wire_size is None:
            return "put data that is empty; leave it out"
        if self._head is not None and self._head.status_code in _WITHOUT_BODY:
            return f"put a body for the status {self._head.status_code}, which has none"
        if self.request.operation is Operation.HEAD and not self._case.head_has_body:
            return "put a body for HEAD; put the head alone, or pass head_has_body=True if that is meant to be"
        return self._problem_of_place("data")

    def _problem_of_place(self, what: str) -> str:
        if self._head is None:
            return f"put {what} before a head; put a ResponseHead first"
        return f"put {what} after trailers, with which a response ends" if self._has_trailers else ""

    def _absorb(self, message: Message) -> None:
        self.messages.append(message)
        match message:
            case ResponseHead():
                self._head = message
            case ResponseData(data=data):
                self._size += len(data)
            case ResponseTrailers():
                self._has_trailers = True
            case Redirected():
                self._head, self._size, self._has_trailers = None, 0, False
            case _:
                pass


class _Sweep:
    """The handler as a scenario for the cancellation sweep."""

    def __init__(self, case: _Case, expected: HandlerRecord | None) -> None:
        self._case = case
        self._expected = expected
        self._sink = _WatchingSink(case, case.request, slow=True)

    async def scenario(self) -> None:
        """One run, with a slow reader: so each put is a step, too."""
        sink = self._sink = _WatchingSink(self._case, self._case.request, slow=True)
        error = await self._case.run(sink)
        if sink.was_cancelled:
            raise AssertionError(
                "the handler went on after it was cancelled in a put; never catch trio.Cancelled without raising it"
            )
        if self._expected is not None:
            _compare(self._expected, HandlerRecord(tuple(sink.messages), error), "when it was cancelled")

    async def check(self) -> None:
        """After a run: nothing may be said any more."""
        await _let_others_run()
        self._sink.check()


def _has_code(error: Exception) -> TypeGuard[ReplyError]:
    """Whether a reply can fail with ``error`` itself."""
    return isinstance(error, ReplyError) and isinstance(error.code, NetworkError)


async def _let_others_run() -> None:
    for _ in range(_LATE_TURNS):
        await trio.lowlevel.checkpoint()


def _compare(expected: HandlerRecord, record: HandlerRecord, when: str) -> None:
    if _outcome(record) != _outcome(expected):
        raise AssertionError(
            f"the handler said {_told(record)} {when}, and {_told(expected)} undisturbed; "
            "if each run may be different, pass repeatable=False"
        )


def _compare_heads(record: HandlerRecord, head_record: HandlerRecord) -> None:
    """A scheme may refuse HEAD; if it does not, the head is that of GET (RFC 9110 section 9.3.2)."""
    head, other = record.head, head_record.head
    if head is None or other is None:
        return
    lengths = [one.headers.get("Content-Length") for one in (head, other)]
    if head.status_code != other.status_code or (None not in lengths and lengths[0] != lengths[1]):
        raise AssertionError(
            f"the handler said {other} for HEAD, and {head} for GET; status and Content-Length must be the same"
        )


def _outcome(record: HandlerRecord) -> tuple[int | None, bytes, type[ReplyError] | None]:
    status = None if record.head is None else record.head.status_code
    return status, record.body, None if record.error is None else type(record.error)


def _told(record: HandlerRecord) -> str:
    head = "no head" if record.head is None else f"status {record.head.status_code}"
    return f"{head}, {len(record.body)} bytes and " + ("success" if record.error is None else repr(record.error))
