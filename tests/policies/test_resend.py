"""Sending again: the decision as a table, and that it is done once."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator

import pytest

from trioreply import ConnectionLeased, Message, RedirectQuestion, Request, RequestSent, ResponseHead
from trioreply._model.bodies import BodySource
from trioreply._policies.pipeline import WrappedSink, build
from trioreply._policies.resend import may_resend, resend
from trioreply.abc import Handler, Sink
from trioreply.errors import ProtocolFailure, RemoteHostClosedError, ReplyError

from .recording import RecordingSink, handler_of, put

VERBS = {
    "GET": True,
    "HEAD": True,
    "PUT": True,
    "DELETE": True,
    "OPTIONS": True,
    "TRACE": True,
    "POST": False,
    "PATCH": False,
    "PURGE": False,
    "get-it": False,
}
"""Which methods may be repeated (RFC 9110 section 9.2.2)."""


async def pieces() -> AsyncIterator[bytes]:
    """A body that comes once."""
    yield b"data"


BODIES: list[tuple[BodySource | None, bool]] = [(None, True), (b"data", True), (io.BytesIO(), True), (pieces(), False)]
"""Which bodies can be had again."""


def failure(*, resendable: bool) -> ReplyError:
    """A connection that was lost, before an answer began or after."""
    error = RemoteHostClosedError("Connection closed")
    error.resendable = resendable
    return error


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("body", "rewindable"), BODIES, ids=["none", "bytes", "file", "iterable"])
def test_decision(verb: str, body: BodySource | None, rewindable: bool) -> None:
    """Sent again is what failed on a kept connection, unanswered, with a method and a body that may be repeated."""
    request = Request("http://h/", verb=verb, body=body)
    for was_reused, resendable in itertools.product([False, True], repeat=2):
        expected = was_reused and resendable and rewindable and VERBS[verb]
        assert may_resend(request, failure(resendable=resendable), was_reused=was_reused) is expected


def failing(*attempts: list[Message | ReplyError]) -> tuple[Handler, list[Request]]:
    """A handler whose attempts go as listed, and the requests that it got."""
    requests: list[Request] = []

    async def handle(request: Request, sink: Sink) -> None:
        requests.append(request)
        for step in attempts[len(requests) - 1]:
            if isinstance(step, ReplyError):
                raise step
            await sink.put(step)

    return handle, requests


KEPT, FRESH = ConnectionLeased(reused=True), ConnectionLeased(reused=False)


async def test_a_dead_connection_is_replaced() -> None:
    """What failed on a kept connection is sent once more, and the reader sees both attempts and no error."""
    handler, requests = failing([KEPT, RequestSent(), failure(resendable=True)], [FRESH, ResponseHead(200)])
    sink, request = RecordingSink(), Request("http://h/")
    await resend(handler)(request, sink)
    assert requests == [request, request]
    assert sink.messages == [KEPT, RequestSent(), FRESH, ResponseHead(200)]


@pytest.mark.parametrize("lease", [KEPT, FRESH])
async def test_the_second_failure_is_the_last(lease: ConnectionLeased) -> None:
    """A request is sent again once and never twice, whatever kind of connection the second one was."""
    last = failure(resendable=True)
    handler, requests = failing([KEPT, failure(resendable=True)], [lease, last], [ResponseHead(200)])
    with pytest.raises(RemoteHostClosedError) as caught:
        await resend(handler)(Request("http://h/"), RecordingSink())
    assert caught.value is last
    assert len(requests) == 2


@pytest.mark.parametrize(
    "steps",
    [
        [failure(resendable=True)],
        [FRESH, failure(resendable=True)],
        [KEPT, failure(resendable=False)],
        [KEPT, ProtocolFailure("nonsense")],
        [KEPT, FRESH, failure(resendable=True)],
    ],
    ids=["never leased", "fresh", "answered", "nonsense", "fresh after kept"],
)
async def test_other_failures_are_final(steps: list[Message | ReplyError]) -> None:
    """A failure that says nothing about a kept connection reaches the reader as it is."""
    handler, requests = failing(steps, [ResponseHead(200)])
    with pytest.raises(ReplyError) as caught:
        await resend(handler)(Request("http://h/"), RecordingSink())
    assert caught.value is steps[-1]
    assert len(requests) == 1


async def test_success_is_not_repeated() -> None:
    """What went well is done once."""
    handler, requests = failing([KEPT, ResponseHead(200)], [ResponseHead(500)])
    await resend(handler)(Request("http://h/"), RecordingSink())
    assert len(requests) == 1


async def test_a_wrapped_sink_passes_everything_on() -> None:
    """A policy that is interested in nothing changes nothing."""
    sink = RecordingSink()
    wrapped = WrappedSink(sink)
    question = RedirectQuestion(301, Request("http://h/").url)
    await wrapped.put(ResponseHead(200))
    assert await wrapped.ask(question) is None
    assert (sink.messages, sink.questions) == ([ResponseHead(200)], [question])


async def test_the_first_policy_is_the_outermost() -> None:
    """In the list of policies a request passes from first to last, and messages come back from last to first."""
    order: list[str] = []

    def named(name: str, handler: Handler) -> Handler:
        async def wrapped(request: Request, sink: Sink) -> None:
            order.append(f"in {name}")
            await handler(request, sink)
            order.append(f"out {name}")

        return wrapped

    sink = RecordingSink()
    pipeline = build(
        (lambda handler: named("first", handler), lambda handler: named("last", handler)),
        handler_of(put(ResponseHead(200))),
    )
    await pipeline(Request("http://h/"), sink)
    assert order == ["in first", "in last", "out last", "out first"]
    assert sink.messages == [ResponseHead(200)]
