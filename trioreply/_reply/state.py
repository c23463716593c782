"""The life of a reply: one table, and the record of facts that goes with it.

A reply is always in one of five states. What happens to it (a message from the exchange, the end of the exchange, a
call by the application) is an input; ``TABLE`` says for each state and input what the next state is and which events
announce it. A pair that is not in the table is a mistake of whoever caused it, and raises. State is assigned in
`ReplyState.enter` and `ReplyState._move` and nowhere else; it changes before its events are seen, because they are only
returned from here and delivered by the caller. Where nobody looks, they are not even made: `ReplyState.enter` only says
which there would be.

=========  ==================================================================================
PENDING    the exchange runs; no final response head (since the last redirect)
RECEIVING  the head of a response is there; its body is coming
FINISHED   over; what is unread can still be read
DETACHED   over for the application (``close()``), while an upload or a short rest runs to its end unseen
STOPPED    over, the device is closed: nothing can be read any more
=========  ==================================================================================

``ERROR`` in the table means "if there is an error". An HTTP status of 400 or more becomes the error at COMPLETE, not
before: the error page is a body like any other (Qt).

One rule stands beside the table, since as a state of its own it would double half of it: nothing of a body comes after
its trailers (`ReplyState._check_order`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .._model.bodies import is_empty
from .._model.errors import NetworkError, OperationCanceledError, ReplyError, error_for_status, status_error_string
from .._model.events import (
    Encrypted,
    ErrorOccurred,
    Event,
    Finished,
    Informational,
    MetaDataChanged,
    ReadyRead,
    Redirected,
    RequestSent,
    Retrying,
    SocketStartedConnecting,
    SslErrors,
)
from .._model.headers import EMPTY, Headers, content_length
from .._model.messages import (
    ConnectionLeased,
    ConnectionQueued,
    Message,
    ReplyDetails,
    RequestProgress,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from .._model.options import Attribute, Direction, Operation
from .._model.timings import Timings
from .._model.urls import display
from .buffer import ReadBuffer
from .progress import Meter

if TYPE_CHECKING:
    from yarl import URL

    from .._model.request import Request
    from .._model.tls import TlsInfo


class State(enum.Enum):
    """Where a reply is in its life."""

    PENDING = "pending"
    RECEIVING = "receiving"
    FINISHED = "finished"
    DETACHED = "detached"
    STOPPED = "stopped"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is Python code, and ours is looked up often

    def __init__(self, value: str) -> None:
        self.is_running = value in ("pending", "receiving")
        """Whether the reply has not finished, as the application sees it."""


class Input(enum.Enum):
    """What can happen to a reply."""

    TRACE = "a message that is an event"
    NOTE = "a message that is none"
    SENT = "body bytes went out"
    HEAD = "a response head came"
    DATA = "body bytes came"
    TRAILERS = "trailer fields came"
    REDIRECT = "another hop begins"
    ASK = "a question was put to the application"
    COMPLETE = "the exchange ended well"
    FAIL = "the exchange failed"
    STOP = "stopped by abort(), a cancel scope or a timeout"
    DETACH = "closed by close(), with work left that is worth finishing"

    __hash__ = object.__hash__  # as for State


class Emit(enum.Enum):
    """Which events announce a move."""

    MESSAGE = "the message itself"
    METADATA = "MetaDataChanged"
    READY_READ = "ReadyRead"
    SENT = "Progress up, if it is the first, the last, or due"
    RECEIVED = "Progress down, if it is due"
    ERROR = "ErrorOccurred, if there is an error"
    LAST_PROGRESS = "Progress down, always"
    FINISHED = "Finished"

    __hash__ = object.__hash__  # as for State


_END = (Emit.ERROR, Emit.LAST_PROGRESS, Emit.FINISHED)
_FROM_EXCHANGE = (Input.TRACE, Input.NOTE, Input.SENT, Input.HEAD, Input.DATA, Input.TRAILERS, Input.REDIRECT)

TABLE: dict[tuple[State, Input], tuple[State, tuple[Emit, ...]]] = {
    (State.PENDING, Input.TRACE): (State.PENDING, (Emit.MESSAGE,)),
    (State.PENDING, Input.NOTE): (State.PENDING, ()),
    (State.PENDING, Input.SENT): (State.PENDING, (Emit.SENT,)),
    (State.PENDING, Input.HEAD): (State.RECEIVING, (Emit.METADATA,)),
    (State.PENDING, Input.ASK): (State.PENDING, ()),
    (State.PENDING, Input.FAIL): (State.FINISHED, _END),
    (State.PENDING, Input.STOP): (State.STOPPED, _END),
    (State.PENDING, Input.DETACH): (State.DETACHED, _END),
    (State.RECEIVING, Input.TRACE): (State.RECEIVING, (Emit.MESSAGE,)),
    (State.RECEIVING, Input.NOTE): (State.RECEIVING, ()),
    (State.RECEIVING, Input.SENT): (State.RECEIVING, (Emit.SENT,)),
    (State.RECEIVING, Input.DATA): (State.RECEIVING, (Emit.READY_READ, Emit.RECEIVED)),
    (State.RECEIVING, Input.TRAILERS): (State.RECEIVING, ()),
    (State.RECEIVING, Input.REDIRECT): (State.PENDING, (Emit.MESSAGE,)),
    (State.RECEIVING, Input.ASK): (State.RECEIVING, ()),
    (State.RECEIVING, Input.COMPLETE): (State.FINISHED, _END),
    (State.RECEIVING, Input.FAIL): (State.FINISHED, _END),
    (State.RECEIVING, Input.STOP): (State.STOPPED, _END),
    (State.RECEIVING, Input.DETACH): (State.DETACHED, _END),
    (State.FINISHED, Input.STOP): (State.FINISHED, ()),
    (State.FINISHED, Input.DETACH): (State.FINISHED, ()),
    **{(State.DETACHED, happening): (State.DETACHED, ()) for happening in (*_FROM_EXCHANGE, Input.DETACH)},
    **{(State.DETACHED, end): (State.STOPPED, ()) for end in (Input.COMPLETE, Input.FAIL, Input.STOP)},
    # The exchange may still say things while its cancellation is on the way.
    **{(State.STOPPED, any_input): (State.STOPPED, ()) for any_input in Input if any_input is not Input.ASK},
}

_INPUTS: dict[type, Input] = {
    ConnectionQueued: Input.NOTE,
    ConnectionLeased: Input.NOTE,
    ReplyDetails: Input.NOTE,
    SocketStartedConnecting: Input.TRACE,
    SslErrors: Input.TRACE,
    Encrypted: Input.TRACE,
    RequestSent: Input.TRACE,
    Informational: Input.TRACE,
    Retrying: Input.TRACE,
    RequestProgress: Input.SENT,
    ResponseHead: Input.HEAD,
    ResponseData: Input.DATA,
    ResponseTrailers: Input.TRAILERS,
    Redirected: Input.REDIRECT,
}


Emitter: TypeAlias = "Callable[[ReplyState, float, Message | None], Event | None]"
Emitters: TypeAlias = Sequence[Emitter]

_TRACES = (SocketStartedConnecting, SslErrors, Encrypted, RequestSent, Informational, Retrying, Redirected)


class ReplyState:
    """A reply's state and everything that is known about its exchange. No I/O, no clock: ``now`` is an argument."""

    __slots__ = (
        "attributes",
        "buffer",
        "down",
        "error",
        "error_string",
        "failure",
        "has_trailers",
        "head",
        "is_queued",
        "is_running",
        "is_verifying",
        "is_watched",
        "marks",
        "operation",
        "redirects",
        "request",
        "reused",
        "sent_all",
        "state",
        "tls",
        "trailers",
        "up",
        "url",
    )

    def __init__(self, request: Request, *, now: float) -> None:
        self.state = State.PENDING
        self.is_running = True
        """Whether the reply has not finished, as the application sees it: what its state says."""
        self.request = request
        self.operation = request.operation
        self.url: URL = request.url
        self.attributes: dict[Attribute, object] | None = None
        """What the handler has said itself; few do."""
        self.head: ResponseHead | None = None
        self.trailers: Headers = EMPTY
        self.has_trailers = False
        """Whether they came, if only to say that there are none."""
        self.redirects: list[Redirected] = []
        self.tls: TlsInfo | None = None
        self.error = NetworkError.NO_ERROR
        self.error_string = "Unknown error"  # QIODevice's, while there is none
        self.failure: ReplyError | None = None
        self.buffer = ReadBuffer()
        self.sent_all = is_empty(request.body)
        self.marks = {"started": now}
        self.reused = False
        self.is_queued = False
        self.is_watched = True
        """Whether anybody could see events."""
        self.is_verifying = False
        """Whether somebody thinks about the redirect that came last, so that it may not be the response."""
        self.up: Meter | None = None
        self.down = Meter(Direction.DOWNLOAD, now=now, interval=request.progress_interval)

    @property
    def is_open(self) -> bool:
        """Whether the device can be read."""
        return self.is_running or self.state is State.FINISHED

    @property
    def has_final_head(self) -> bool:
        """Whether a response is there that is not a redirect which was followed."""
        return "head_received" in self.marks and not self.is_verifying

    @property
    def status_code(self) -> int | None:
        """The last response's status."""
        return None if self.head is None else self.head.status_code

    @property
    def timings(self) -> Timings:
        """When the phases happened."""
        return Timings(**self.marks, reused=self.reused)

    def take(self, message: Message, *, now: float) -> list[Event]:
        """Enter a message from the exchange, and give the events that announce it.

        Raises:
            RuntimeError: the message does not fit the state, such as data before a head.
            TypeError: it is no message, or holds what its class does not allow.
        """
        return self.announce(self.enter(message, now), now, message)

    def enter(self, message: Message, now: float) -> Emitters:
        """As `take`, but gives what `announce` makes the events from."""
        entry = _ENTRIES[self.state].get(type(message))
        if entry is None:
            raise self._misfit(message)
        absorb, after, emitters = entry
        if self.has_trailers and self.is_running:
            self._check_order(_INPUTS[type(message)])
        if absorb is not None:
            absorb(self, message, now)
        self.state = after  # a message neither begins nor ends anything, so this is all there is to a move
        return emitters

    def announce(self, emitters: Emitters, now: float, message: Message | None = None) -> list[Event]:
        """The events of a move that has just been made."""
        return [event for emit in emitters if (event := emit(self, now, message)) is not None]

    def _misfit(self, message: object) -> Exception:
        happening = _INPUTS.get(type(message))
        if happening is None:
            return TypeError(f"a sink takes messages, not {message!r}")
        return self._out_of_order(happening)

    def _out_of_order(self, happening: Input) -> RuntimeError:
        return RuntimeError(f"out of order: {happening.value}, while the reply is {self.state.value}")

    def _check_order(self, happening: Input) -> None:
        if happening is Input.DATA or happening is Input.TRAILERS:
            raise RuntimeError(f"out of order: {happening.value}, after trailer fields, with which a response ends")

    def refused(self, tls: TlsInfo | None) -> None:
        """Enter what is known of a secure channel whose certificate was not accepted."""
        self.tls = tls

    def asked(self, *, now: float) -> None:
        """Enter that a question was asked."""
        self._make(Input.ASK, now)

    def complete(self, *, now: float) -> list[Event]:
        """Enter that the handler returned: success, unless the status says otherwise.

        Raises:
            RuntimeError: there was no response head.
        """
        if self.state is State.PENDING:
            raise RuntimeError("the scheme's handler returned without a response head")
        if self.state is State.RECEIVING and self.status_code is not None:
            code = error_for_status(self.status_code)
            if code is not NetworkError.NO_ERROR and self.head is not None:
                self.error = code
                self.error_string = status_error_string(self.status_code, self.head.reason, display(self.url))
        return self._make(Input.COMPLETE, now)

    def fail(self, failure: ReplyError, *, now: float) -> list[Event]:
        """Enter that the exchange failed. A timeout closes the device, as in Qt; other failures leave it readable."""
        if failure.code is NetworkError.TIMEOUT:
            return self.stop(failure, now=now)
        if self.is_running:
            self._record(failure)
        return self._make(Input.FAIL, now)

    def stop(self, failure: ReplyError, *, now: float) -> list[Event]:
        """Enter that the reply was stopped: the device closes and unread data is gone."""
        if self.is_running:
            self._record(failure)
            self.buffer.clear()
        return self._make(Input.STOP, now)

    def detach(self, *, now: float) -> list[Event]:
        """Enter ``close()`` with work left: the application sees the end, the exchange goes on."""
        if self.is_running:
            self._record(OperationCanceledError("Operation canceled"))
            self.buffer.clear()
        return self._make(Input.DETACH, now)

    def _record(self, failure: ReplyError) -> None:
        self.error = failure.code
        self.error_string = str(failure)
        self.failure = failure

    def _make(self, happening: Input, now: float) -> list[Event]:
        move = _MOVES.get((self.state, happening))
        if move is None:
            raise self._out_of_order(happening)
        emitters = self._move(move, now)
        return self.announce(emitters, now) if self.is_watched else []

    def _move(self, move: _Move, now: float) -> Emitters:
        self.state = after = move.state
        if self.is_running is not after.is_running:
            self.is_running = after.is_running  # nothing runs again
            self.marks["finished"] = now
        return move.emitters

    def _absorb_data(self, message: ResponseData, _now: float) -> None:
        data = message.data if type(message.data) is bytes else _as_bytes(message.data)
        self.buffer.append(data)
        self.down.done += len(data)
        self.down.wire_done += len(data) if message.wire_size is None else message.wire_size

    def _absorb_head(self, message: ResponseHead, now: float) -> None:
        _check_status(message.status_code)
        self.head = message
        self._expect(message.headers, message.original_content_length)
        self.marks["head_received"] = now

    def _absorb_trailers(self, message: ResponseTrailers, _now: float) -> None:
        self.trailers = message.headers
        self.has_trailers = True

    def _absorb_queued(self, _message: ConnectionQueued, _now: float) -> None:
        self.is_queued = True

    def _absorb_leased(self, message: ConnectionLeased, now: float) -> None:
        self.is_queued = False
        self.reused = message.reused
        self.marks["leased"] = now
        if message.reused:
            self.tls = message.tls
        self.marks.pop("request_sent", None)  # a second attempt sends it again

    def _absorb_connecting(self, _message: SocketStartedConnecting, now: float) -> None:
        self.marks.setdefault("connecting", now)

    def _absorb_request_sent(self, _message: RequestSent, now: float) -> None:
        self.marks["request_sent"] = now

    def _absorb_details(self, message: ReplyDetails, _now: float) -> None:
        if message.url is not None:
            self.url = message.url
        if message.operation is not None:
            self.operation = message.operation
        if message.attributes:
            self.attributes = {**(self.attributes or {}), **message.attributes}
        if message.request is not None:
            # What is being sent does not change by being shown otherwise, and closing depends on it.
            self.request = message.request.replace(body=self.request.body)

    def _absorb_redirect(self, message: Redirected, _now: float) -> None:
        self.marks.pop("head_received", None)  # it was not the final one
        self.has_trailers = False
        self.url = message.url
        self.tls = None  # the next hop may be a plain one
        self.sent_all = message.status_code not in (307, 308) or is_empty(self.request.body)  # else it goes out again
        self.redirects.append(message)

    def _absorb_encrypted(self, message: Encrypted, now: float) -> None:
        self.tls = message.tls
        self.marks["encrypted"] = now

    def _absorb_ssl_errors(self, message: SslErrors, _now: float) -> None:
        from .._model.tls import TlsInfo  # most replies meet no refusal

        chain = message.peer_chain
        self.refused(TlsInfo("", "", peer_certificate=chain[0] if chain else None, peer_chain=chain))

    def _absorb_sent(self, message: RequestProgress, now: float) -> None:
        if self.up is None:
            self.up = Meter(Direction.UPLOAD, now=now, interval=self.request.progress_interval)
        self.up.done = self.up.wire_done = message.done
        self.up.total = self.up.wire_total = message.total
        self.sent_all = message.complete

    def _expect(self, headers: Headers, wire_length: int | None) -> None:
        """Learn the length of the body from the head; HEAD shows the length of what GET would give (Qt)."""
        length = content_length(headers)
        self.down.wire_total = length if wire_length is None else wire_length
        self.down.total = length
        self.down.done = self.down.wire_done = 0

    def remaining(self) -> int | None:
        """How many bytes of the response are still to come over the wire; ``None`` if nobody knows."""
        if self.head is None:
            return None
        if self.request.operation is Operation.HEAD or self.head.status_code in (204, 304):
            return 0
        return None if self.down.wire_total is None else max(self.down.wire_total - self.down.wire_done, 0)


def _as_bytes(data: object) -> bytes:
    """Body bytes that are not `bytes`, as those: a buffer that its owner changes later would change what is read."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"ResponseData: a piece of a body is bytes, not {type(data).__name__}; encode text")


def _check_status(status_code: object) -> None:
    if status_code is not None and not isinstance(status_code, int):
        raise TypeError(f"ResponseHead: a status code is an int or None, not {status_code!r}")


def _message(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return message if isinstance(message, _TRACES) else None


def _metadata(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return MetaDataChanged(state.status_code, EMPTY if state.head is None else state.head.headers)


def _ready_read(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return ReadyRead(len(state.buffer)) if isinstance(message, ResponseData) and message.data else None


def _sent(state: ReplyState, now: float, message: Message | None) -> Event | None:
    up, is_first = state.up, "request_sent" not in state.marks
    return up.progress() if up is not None and (is_first or state.sent_all or up.is_due(now)) else None


def _received(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return state.down.progress() if state.down.is_due(now) else None


def _error(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return None if state.error is NetworkError.NO_ERROR else ErrorOccurred(state.error, state.error_string)


def _last_progress(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return state.down.last_progress()


def _finished(state: ReplyState, now: float, message: Message | None) -> Event | None:
    return Finished(state.error)


_EMITTERS: dict[Emit, Emitter] = {
    Emit.MESSAGE: _message,
    Emit.METADATA: _metadata,
    Emit.READY_READ: _ready_read,
    Emit.SENT: _sent,
    Emit.RECEIVED: _received,
    Emit.ERROR: _error,
    Emit.LAST_PROGRESS: _last_progress,
    Emit.FINISHED: _finished,
}


class _Move(NamedTuple):
    """An entry of ``TABLE``, ready for use."""

    state: State
    emitters: Emitters


_MOVES = {
    situation: _Move(after, tuple(_EMITTERS[emit] for emit in emits)) for situation, (after, emits) in TABLE.items()
}

# Each takes messages of its own class only, which a mapping cannot say; the keys do.
_ABSORBERS: dict[type, Callable[..., None]] = {
    ConnectionQueued: ReplyState._absorb_queued,
    ConnectionLeased: ReplyState._absorb_leased,
    ReplyDetails: ReplyState._absorb_details,
    SocketStartedConnecting: ReplyState._absorb_connecting,
    SslErrors: ReplyState._absorb_ssl_errors,
    Encrypted: ReplyState._absorb_encrypted,
    RequestSent: ReplyState._absorb_request_sent,
    RequestProgress: ReplyState._absorb_sent,
    ResponseHead: ReplyState._absorb_head,
    ResponseData: ReplyState._absorb_data,
    ResponseTrailers: ReplyState._absorb_trailers,
    Redirected: ReplyState._absorb_redirect,
}

_ENTRIES = {
    state: {
        kind: (_ABSORBERS.get(kind) if state.is_running else None, *_MOVES[state, happening])
        for kind, happening in _INPUTS.items()
        if (state, happening) in _MOVES
    }
    for state in State
}
"""What a message does in a state: looked up once for each, by its class."""
