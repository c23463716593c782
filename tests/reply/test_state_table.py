"""THE TABLE: every state with every input, and every life that a reply can have."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply import (
    AuthenticationRequired,
    Challenge,
    ConnectionLeased,
    ConnectionQueued,
    Event,
    Finished,
    Informational,
    Message,
    MetaDataChanged,
    NetworkError,
    Progress,
    ReadyRead,
    Redirected,
    Request,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    Retrying,
    SocketStartedConnecting,
    TlsInfo,
)
from trioreply._model.events import Encrypted, ErrorOccurred
from trioreply._model.headers import EMPTY
from trioreply._model.urls import make_url
from trioreply._reply.state import TABLE, Input, ReplyState, State
from trioreply.errors import OperationCanceledError, ProtocolFailure, ReplyError, TimeoutError

URL = make_url("http://h/")
RUNNING = (State.PENDING, State.RECEIVING)
OVER = (State.FINISHED, State.DETACHED, State.STOPPED)
ENDS = (Input.COMPLETE, Input.FAIL, Input.STOP, Input.DETACH)

MESSAGES: dict[Input, list[Message]] = {
    Input.TRACE: [
        SocketStartedConnecting("h", 80),
        Encrypted(TlsInfo("TLSv1.3", "x")),
        RequestSent(),
        Informational(103, EMPTY),
        Retrying(1, 0.5, "busy"),
    ],
    Input.NOTE: [ConnectionQueued(), ConnectionLeased(reused=False)],
    Input.SENT: [RequestProgress(5, 10), RequestProgress(10, 10, complete=True)],
    Input.HEAD: [ResponseHead(200), ResponseHead(404, "Not Found", {"Content-Length": "7"})],
    Input.DATA: [ResponseData(b"data"), ResponseData(b"")],
    Input.TRAILERS: [ResponseTrailers({"X": "y"})],
    Input.REDIRECT: [Redirected(302, URL)],
}

LISTED: dict[State, dict[Input, State]] = {
    State.PENDING: {
        Input.TRACE: State.PENDING,
        Input.NOTE: State.PENDING,
        Input.SENT: State.PENDING,
        Input.HEAD: State.RECEIVING,
        Input.ASK: State.PENDING,
        Input.FAIL: State.FINISHED,
        Input.STOP: State.STOPPED,
        Input.DETACH: State.DETACHED,
    },
    State.RECEIVING: {
        Input.TRACE: State.RECEIVING,
        Input.NOTE: State.RECEIVING,
        Input.SENT: State.RECEIVING,
        Input.DATA: State.RECEIVING,
        Input.TRAILERS: State.RECEIVING,
        Input.REDIRECT: State.PENDING,
        Input.ASK: State.RECEIVING,
        Input.COMPLETE: State.FINISHED,
        Input.FAIL: State.FINISHED,
        Input.STOP: State.STOPPED,
        Input.DETACH: State.DETACHED,
    },
    State.FINISHED: {Input.STOP: State.FINISHED, Input.DETACH: State.FINISHED},
    State.DETACHED: {
        **dict.fromkeys([*MESSAGES, Input.DETACH], State.DETACHED),
        **dict.fromkeys([Input.COMPLETE, Input.FAIL, Input.STOP], State.STOPPED),
    },
    State.STOPPED: {happening: State.STOPPED for happening in Input if happening is not Input.ASK},
}
"""What may happen to a reply, said once more: a change of the table has to be made here, too."""


def reply_in(state: State) -> ReplyState:
    """A reply that has come to ``state`` on the shortest way."""
    reply = ReplyState(Request(URL), now=0.0)
    if state is not State.PENDING:
        reply.take(ResponseHead(200), now=0.0)
    match state:
        case State.FINISHED:
            reply.complete(now=0.0)
        case State.STOPPED:
            reply.stop(OperationCanceledError("stopped"), now=0.0)
        case State.DETACHED:
            reply.detach(now=0.0)
        case _:
            pass
    assert reply.state is state
    return reply


def enter(reply: ReplyState, happening: Input, message: Message | None = None) -> list[Event]:
    """Let it happen, at the time 1.0."""
    match happening:
        case Input.ASK:
            reply.asked(now=1.0)
            return []
        case Input.COMPLETE:
            return reply.complete(now=1.0)
        case Input.FAIL:
            return reply.fail(ProtocolFailure("broken"), now=1.0)
        case Input.STOP:
            return reply.stop(OperationCanceledError("stopped"), now=1.0)
        case Input.DETACH:
            return reply.detach(now=1.0)
        case _:
            return reply.take(message or MESSAGES[happening][0], now=1.0)


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(State, Input)))
def test_every_state_with_every_input(state: State, happening: Input) -> None:
    """Either a move is listed and leads where it says, or it raises and nothing has changed."""
    for message in MESSAGES.get(happening, [None]):
        reply = reply_in(state)
        after = LISTED[state].get(happening)
        if after is None:
            before = reply.error
            with pytest.raises(RuntimeError, match=r"out of order|without a response head"):
                enter(reply, happening, message)
            assert reply.state is state
            assert reply.error is before
        else:
            enter(reply, happening, message)
            assert reply.state is after


def test_the_table_has_no_other_moves() -> None:
    """The table holds exactly what is listed here, and each of its moves leads to a state."""
    assert {pair: move[0] for pair, move in TABLE.items()} == {
        (state, happening): after for state, moves in LISTED.items() for happening, after in moves.items()
    }


@pytest.mark.parametrize(("state", "happening"), [pair for pair in TABLE if pair[1] in ENDS])
def test_the_end_is_told_once(state: State, happening: Input) -> None:
    """The moves that end a running reply give the last progress and Finished, in this order; all others neither."""
    events = enter(reply_in(state), happening)
    if state in RUNNING:
        assert [type(event) for event in events[-2:]] == [Progress, Finished]
        assert [type(event) for event in events[:-2]] in ([], [ErrorOccurred])
    else:
        assert events == []


@pytest.mark.parametrize(("state", "happening"), [pair for pair in TABLE if pair[0] in OVER])
def test_nothing_is_told_after_the_end(state: State, happening: Input) -> None:
    """Whatever still happens after the end gives no event and changes neither error nor head nor data."""
    reply = reply_in(state)
    before = (reply.error, reply.head, reply.trailers, reply.url, reply.timings, len(reply.buffer))
    assert enter(reply, happening) == []
    assert (reply.error, reply.head, reply.trailers, reply.url, reply.timings, len(reply.buffer)) == before


@pytest.mark.parametrize("message", [AuthenticationRequired(URL, Challenge("Basic")), "text", ReadyRead(1)])
def test_only_messages_are_taken(message: object) -> None:
    """What is no message is a TypeError, and the reply is as it was."""
    reply = reply_in(State.PENDING)
    with pytest.raises(TypeError, match="a sink takes messages"):
        reply.take(message, now=0.0)  # type: ignore[arg-type]  # wrong types are the point
    assert reply.state is State.PENDING


happenings = st.one_of(
    st.sampled_from([(happening, message) for happening, messages in MESSAGES.items() for message in messages]),
    st.sampled_from([(happening, None) for happening in Input if happening not in MESSAGES]),
)


@given(st.lists(st.tuples(happenings, st.floats(0, 0.2)), max_size=30))
def test_any_life_has_one_end(life: list[tuple[tuple[Input, Message | None], float]]) -> None:
    """Whatever happens, in whatever order, what is out of order is refused, and an end that comes is told once."""
    reply = ReplyState(Request(URL), now=0.0)
    events: list[Event] = []
    for (happening, message), _ in life:
        was_running = reply.is_running
        listed = (reply.state, happening) in TABLE
        try:
            new = enter(reply, happening, message)
        except RuntimeError:
            assert not listed
            new = []
        assert was_running or not new
        assert (Finished in map(type, new)) == (was_running and not reply.is_running)
        events += new
    kinds = [type(event) for event in events]
    assert kinds.count(Finished) == (not reply.is_running)
    assert kinds.count(ErrorOccurred) == (reply.error is not NetworkError.NO_ERROR)
    if not reply.is_running:
        assert events[-2:] == [reply.down.last_progress(), Finished(reply.error)]
        assert ErrorOccurred not in kinds[:-3]


@given(st.lists(happenings, max_size=30))
def test_data_comes_after_its_head(life: list[tuple[Input, Message | None]]) -> None:
    """ReadyRead comes only while a response is being received: after a MetaDataChanged, with no redirect between."""
    reply = ReplyState(Request(URL), now=0.0)
    receiving = False
    for happening, message in life:
        if (reply.state, happening) not in TABLE or (reply.state, happening) == (State.PENDING, Input.COMPLETE):
            continue
        for event in enter(reply, happening, message):
            match event:
                case MetaDataChanged():
                    receiving = True
                case Redirected():
                    receiving = False
                case ReadyRead(bytes_available=available):
                    assert receiving
                    assert available == len(reply.buffer) > 0
                case _:
                    pass


@pytest.mark.parametrize(
    ("state", "failure"), list(itertools.product(RUNNING, [ProtocolFailure("x"), TimeoutError("x")]))
)
def test_a_timeout_closes_the_device(state: State, failure: ReplyError) -> None:
    """A timeout ends a reply as ``abort`` does, device closed (Qt); other failures leave what came readable."""
    reply = reply_in(state)
    reply.buffer.append(b"unread")
    events = reply.fail(failure, now=1.0)
    closed = failure.code is NetworkError.TIMEOUT
    assert reply.state is (State.STOPPED if closed else State.FINISHED)
    assert reply.is_open is not closed
    assert len(reply.buffer) == (0 if closed else 6)
    assert events[0] == ErrorOccurred(failure.code, "x")
    assert events[-1] == Finished(failure.code)
