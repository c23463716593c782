"""What a reply knows: the facts that come with messages, and the events that progress is worth."""

from __future__ import annotations

import pytest

from trioreply import (
    ConnectionLeased,
    ConnectionQueued,
    Direction,
    ErrorOccurred,
    Event,
    Finished,
    Message,
    MetaDataChanged,
    NetworkError,
    Operation,
    Progress,
    ReadyRead,
    Redirected,
    Request,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    SocketStartedConnecting,
    Timings,
    TlsInfo,
)
from trioreply._model.events import Encrypted
from trioreply._model.headers import make_headers
from trioreply._model.urls import make_url
from trioreply._reply.state import ReplyState
from trioreply.errors import OperationCanceledError, ProtocolFailure, UnknownContentError

URL = make_url("http://alice:hush@h/p")
DOWN, UP = Direction.DOWNLOAD, Direction.UPLOAD


def new_state(**fields: object) -> ReplyState:
    """A reply that begins at the time 10."""
    return ReplyState(Request(URL).replace(**fields), now=10.0)  # type: ignore[arg-type]  # fields of several types


def take(state: ReplyState, *messages: Message, now: float = 10.0) -> list[Event]:
    """Everything that these messages give."""
    return [event for message in messages for event in state.take(message, now=now)]


def test_a_plain_exchange() -> None:
    """Head, data and end give the events of Qt's plainest scenario, in its order."""
    state = new_state()
    head = ResponseHead(200, "OK", {"Content-Length": "5"})
    events = take(state, SocketStartedConnecting("h", 80), RequestSent(), head, ResponseData(b"hello"))
    assert events == [
        SocketStartedConnecting("h", 80),
        RequestSent(),
        MetaDataChanged(200, head.headers),
        ReadyRead(5),
    ]
    assert state.complete(now=10.0) == [Progress(DOWN, 5, 5, 5, 5), Finished(NetworkError.NO_ERROR)]
    assert (state.error, state.error_string, state.buffer.peek(-1)) == (
        NetworkError.NO_ERROR,
        "Unknown error",
        b"hello",
    )


def test_download_progress_keeps_the_interval() -> None:
    """Progress down comes with data when 100 ms have passed, and once more at the end, due or not."""
    state = new_state()
    take(state, ResponseHead(200, headers={"Content-Length": "9"}))
    assert take(state, ResponseData(b"123"), now=10.05) == [ReadyRead(3)]
    assert take(state, ResponseData(b"456"), now=10.1) == [ReadyRead(6), Progress(DOWN, 6, 9, 6, 9)]
    assert take(state, ResponseData(b"789"), now=10.15) == [ReadyRead(9)]
    assert state.complete(now=10.15)[0] == Progress(DOWN, 9, 9, 9, 9)


def test_decoded_data_and_wire_bytes_are_counted_apart() -> None:
    """A piece that came compressed counts with its own size, and with what it was on the wire."""
    state = new_state(progress_interval=0)
    take(state, ResponseHead(200))
    events = take(state, ResponseData(b"x" * 100, wire_size=10), ResponseData(b"", wire_size=4))
    assert events == [ReadyRead(100), Progress(DOWN, 100, None, 10), Progress(DOWN, 100, None, 14)]
    assert state.complete(now=10.0)[0] == Progress(DOWN, 100, 100, 14, 14)


def test_upload_progress_has_a_first_and_a_last() -> None:
    """Progress up is told before the request counts as sent, when 100 ms have passed, and when all is sent."""
    state = new_state(body=b"x" * 30)
    assert take(state, RequestProgress(5, 30), RequestSent()) == [Progress(UP, 5, 30, 5, 30), RequestSent()]
    assert take(state, RequestProgress(10, 30), now=10.05) == []
    assert take(state, RequestProgress(15, 30), now=10.1) == [Progress(UP, 15, 30, 15, 30)]
    assert take(state, RequestProgress(20, 30), now=10.15) == []
    assert not state.sent_all
    assert take(state, RequestProgress(30, 30, complete=True), now=10.16) == [Progress(UP, 30, 30, 30, 30)]
    assert state.sent_all


def test_upload_begins_anew_on_another_connection() -> None:
    """A request that is sent again tells its first progress again, and the moment of its sending is the second one."""
    state = new_state(body=b"x" * 30)
    take(state, ConnectionLeased(reused=True), RequestProgress(30, 30, complete=True), RequestSent())
    assert take(state, ConnectionLeased(reused=False), now=10.01) == []
    assert take(state, RequestProgress(5, 30), now=10.02) == [Progress(UP, 5, 30, 5, 30)]
    assert not state.sent_all
    take(state, RequestSent(), now=10.03)
    assert (state.timings.request_sent, state.timings.reused) == (10.03, False)


@pytest.mark.parametrize(
    ("status", "reason", "error", "text"),
    [
        (
            404,
            "Gone Fishing",
            NetworkError.CONTENT_NOT_FOUND,
            "Error transferring http://h/p - server replied: Gone Fishing",
        ),
        (401, "No", NetworkError.AUTHENTICATION_REQUIRED, "Host requires authentication"),
        (
            503,
            "",
            NetworkError.SERVICE_UNAVAILABLE,
            "Error transferring http://h/p - server replied with status code 503",
        ),
    ],
)
def test_a_status_is_an_error_at_the_end(status: int, reason: str, error: NetworkError, text: str) -> None:
    """A status from 400 on is no error while its page is read, and becomes one at the end; it is no failed transfer."""
    state = new_state()
    take(state, ResponseHead(status, reason), ResponseData(b"page"))
    assert state.error is NetworkError.NO_ERROR
    events = state.complete(now=10.0)
    assert events == [ErrorOccurred(error, text), Progress(DOWN, 4, 4, 4, 4), Finished(error)]
    assert (state.error, state.error_string, state.failure) == (error, text, None)
    assert state.buffer.peek(-1) == b"page"


def test_a_failed_transfer_is_worse_than_its_status() -> None:
    """When the body of a 404 breaks off, the error is that it broke off, and the status stays."""
    state = new_state()
    take(state, ResponseHead(404, "Not Found"), ResponseData(b"pa"))
    failure = ProtocolFailure("bad chunk")
    assert state.fail(failure, now=11.0) == [
        ErrorOccurred(NetworkError.PROTOCOL_FAILURE, "bad chunk"),
        Progress(DOWN, 2, 2, 2, 2),
        Finished(NetworkError.PROTOCOL_FAILURE),
    ]
    assert (state.failure, state.status_code, state.buffer.peek(-1)) == (failure, 404, b"pa")


def test_a_scheme_without_statuses() -> None:
    """A head without a status is a success at the end."""
    state = new_state()
    assert take(state, ResponseHead()) == [MetaDataChanged(None, make_headers(None))]
    assert state.complete(now=10.0)[-1] == Finished(NetworkError.NO_ERROR)
    assert state.status_code is None


def test_a_handler_has_to_give_a_head() -> None:
    """A handler that returns without a head has made a mistake, which is said so."""
    with pytest.raises(RuntimeError, match="without a response head"):
        new_state().complete(now=10.0)


@pytest.mark.parametrize("end", ["stop", "detach"])
def test_the_first_error_stays(end: str) -> None:
    """What ends a reply is its error: nothing that happens later replaces it, and unread data is gone."""
    state = new_state()
    take(state, ResponseHead(200), ResponseData(b"unread"))
    if end == "stop":
        state.stop(OperationCanceledError("Operation canceled"), now=11.0)
    else:
        state.detach(now=11.0)
    assert state.stop(UnknownContentError("late"), now=12.0) == []
    assert state.fail(ProtocolFailure("later"), now=13.0) == []
    assert (state.error, state.error_string) == (NetworkError.OPERATION_CANCELED, "Operation canceled")
    assert len(state.buffer) == 0
    assert state.timings.finished == 11.0


def test_a_redirect_begins_another_hop() -> None:
    """A redirect moves the URL on, is remembered, and its head is not the final one; the request keeps its URL."""
    state = new_state()
    take(state, ResponseHead(302, headers={"Location": "/b", "Content-Length": "7"}), now=10.5)
    before = state.timings
    hop = Redirected(302, make_url("http://h/b"))
    assert take(state, hop, now=11.0) == [hop]
    assert (state.url, state.request.url, state.redirects) == (hop.url, URL, [hop])
    assert not state.has_final_head
    assert (before.head_received, state.timings.head_received, state.status_code) == (10.5, None, 302)
    take(state, ResponseHead(200), ResponseData(b"xy"), now=12.0)
    assert state.timings.head_received == 12.0
    assert state.complete(now=12.0)[0] == Progress(DOWN, 2, 2, 2, 2)


def test_timings() -> None:
    """Each phase leaves its moment: the first attempt to connect, and the last of everything else."""
    state = new_state()
    assert state.timings == Timings(10.0)
    messages: list[Message] = [
        ConnectionQueued(),
        ConnectionLeased(reused=True),
        SocketStartedConnecting("h", 80, "::1"),
        SocketStartedConnecting("h", 80, "127.0.0.1"),
        Encrypted(TlsInfo("TLSv1.3", "x")),
        RequestSent(),
        ResponseHead(200),
    ]
    for now, message in enumerate(messages, start=11):
        state.take(message, now=now)
    state.complete(now=20)
    assert state.timings == Timings(
        started=10.0,
        leased=12,
        connecting=13,
        encrypted=15,
        request_sent=16,
        head_received=17,
        finished=20,
        reused=True,
    )


def test_tls_and_trailers_are_kept() -> None:
    """The secure channel and the trailers are there for whoever asks."""
    state = new_state()
    assert (state.tls, len(state.trailers)) == (None, 0)
    tls = TlsInfo("TLSv1.3", "x")
    take(state, Encrypted(tls), ResponseHead(200), ResponseTrailers({"Digest": "y"}))
    assert state.tls is tls
    assert state.trailers["digest"] == "y"


@pytest.mark.parametrize(
    ("operation", "head", "came", "remaining"),
    [
        (Operation.GET, None, b"", None),
        (Operation.GET, ResponseHead(200), b"", None),
        (Operation.GET, ResponseHead(200, headers={"Content-Length": "10"}), b"", 10),
        (Operation.GET, ResponseHead(200, headers={"Content-Length": "10"}), b"1234", 6),
        (Operation.GET, ResponseHead(200, headers={"Content-Length": "10"}), b"x" * 12, 0),
        (Operation.HEAD, ResponseHead(200, headers={"Content-Length": "10"}), b"", 0),
        (Operation.GET, ResponseHead(204), b"", 0),
        (Operation.GET, ResponseHead(304, headers={"Content-Length": "10"}), b"", 0),
    ],
)
def test_how_much_is_still_to_come(
    operation: Operation, head: ResponseHead | None, came: bytes, remaining: int | None
) -> None:
    """What is left of a response is known from its length, or from there being no body at all."""
    state = new_state(operation=operation)
    if head is not None:
        take(state, head, ResponseData(came))
    assert state.remaining() == remaining


def test_nothing_to_send_is_sent_already() -> None:
    """Without a body, or with an empty one, there is no upload to wait for."""
    assert new_state().sent_all
    assert new_state(body=b"").sent_all
    assert not new_state(body=b"x").sent_all
