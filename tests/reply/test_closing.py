"""What becomes of a closed reply's exchange: the decisions as a table of messages and outcomes."""

from __future__ import annotations

import pytest
from attrs import frozen

from trioreply import Message, Operation, Request, RequestProgress, RequestSent, ResponseData, ResponseHead
from trioreply._reply.closing import Remainder, Rest
from trioreply._reply.state import ReplyState

DROP, DRAIN, UPLOAD = Rest.DROP, Rest.DRAIN, Rest.UPLOAD


def head(length: int | None = None, status: int | None = 200) -> ResponseHead:
    """A head, with a length if one is given."""
    return ResponseHead(status, headers={} if length is None else {"Content-Length": str(length)})


@frozen
class Case:
    """A reply is closed after ``before``; what is decided then, and after each of ``after``."""

    name: str
    before: tuple[Message, ...]
    outcomes: tuple[Rest, ...]
    after: tuple[Message, ...] = ()
    body: bytes | None = None
    operation: Operation = Operation.GET


DONE = RequestProgress(4, 4, complete=True)
HALF = RequestProgress(2, 4)

CASES = [
    Case("nothing has come", (), (DROP,)),
    Case("nothing has come, and nothing is an empty body", (), (DROP,), body=b""),
    Case("a short rest", (head(10),), (DRAIN,)),
    Case("the longest rest", (head(65_536),), (DRAIN,)),
    Case("too long a rest", (head(65_537),), (DROP,)),
    Case("the end of something long", (head(65_541), ResponseData(b"12345")), (DRAIN,)),
    Case("an unknown rest", (head(),), (DROP,)),
    Case("no content", (head(status=204),), (DRAIN,)),
    Case("not modified", (head(10**6, status=304),), (DRAIN,)),
    Case("HEAD", (head(10**6),), (DRAIN,), operation=Operation.HEAD),
    Case("draining to the end", (head(8),), (DRAIN, DRAIN, DRAIN), (ResponseData(b"1234"), ResponseData(b"5678"))),
    Case("compressed data", (head(65_541), ResponseData(b"x" * 100, wire_size=5)), (DRAIN,)),
    Case("more than announced", (head(1),), (DRAIN, DRAIN), (ResponseData(b"123"),)),
    Case("an upload that has not begun", (), (UPLOAD, UPLOAD), (RequestSent(),), b"data"),
    Case("an upload under way", (HALF,), (UPLOAD, UPLOAD), (RequestProgress(3, 4),), b"data"),
    Case("sent, and not answered", (DONE,), (UPLOAD,), (), b"data"),
    Case("sent, then answered shortly", (HALF,), (UPLOAD, UPLOAD, DRAIN), (DONE, head(10)), b"data"),
    Case("sent, then answered at length", (HALF,), (UPLOAD, UPLOAD, DROP), (DONE, head(10**6)), b"data"),
    Case("sent, then answered without length", (HALF,), (UPLOAD, UPLOAD, DROP), (DONE, head()), b"data"),
    Case("sent, then answered without status", (HALF,), (UPLOAD, UPLOAD, DROP), (DONE, head(status=None)), b"data"),
    Case(
        "answered early, then sent",
        (HALF,),
        (UPLOAD, UPLOAD, UPLOAD, DRAIN),
        (head(9), ResponseData(b"1"), DONE),
        b"data",
    ),
    Case("answered early without status", (HALF,), (UPLOAD, UPLOAD, DROP), (head(status=None), DONE), b"data"),
    Case("refused early", (HALF,), (UPLOAD, DRAIN), (head(10, status=413),), b"data"),
    Case("refused early at length", (HALF,), (UPLOAD, DROP), (head(10**6, status=413),), b"data"),
    Case("refused, and a piece was on its way", (HALF,), (UPLOAD, DRAIN, DRAIN), (head(10, status=413), HALF), b"data"),
    Case("refused before", (HALF, head(10, status=500)), (DRAIN,), (), b"data"),
    Case("accepted before", (HALF, head(10)), (UPLOAD, DRAIN), (DONE,), b"data"),
    Case("all sent and answered before", (DONE, head(10**6)), (DROP,), (), b"data"),
    Case("an empty body, answered", (head(10**6),), (DROP,), (), b""),
    Case("HEAD with a body", (), (UPLOAD, UPLOAD, DRAIN), (DONE, head(10**6)), b"data", Operation.HEAD),
    Case("sent again", (DONE,), (UPLOAD, UPLOAD, UPLOAD, DRAIN), (HALF, DONE, head(1)), b"data"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_becomes_of_the_rest(case: Case) -> None:
    """An upload goes on until it is sent and answered or refused; a short known rest is read; the rest is dropped."""
    request = Request("http://h/", operation=case.operation, body=case.body)
    state = ReplyState(request, now=0.0)
    for message in case.before:
        state.take(message, now=0.0)
    remainder = Remainder(state)
    outcomes = [remainder.decide()]
    outcomes += [remainder.take(message) for message in case.after]
    assert tuple(outcomes) == case.outcomes
    assert remainder.decide() is case.outcomes[-1]
