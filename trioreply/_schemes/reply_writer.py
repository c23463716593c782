"""Writing a reply member by member, as a subclass of ``QNetworkReply`` does with its protected members.

A handler needs nothing but its sink. `ReplyWriter` is the sink for people: headers are collected until the first byte
is written, what they promise is kept, and what is said too late is refused with a text that says so.

* What needs the sink, which may wait, is said by the next `ReplyWriter.write` or `ReplyWriter.send_head`, or by the end
  of the block. That is why the setters are plain functions, as in Qt.
* The end of the block ends the reply: the head is sent if nothing has sent it yet, and the error of
  `ReplyWriter.set_error` is raised. A block that is left by an exception says nothing more.
* The body has the length that Content-Length announces, or the handler has made a mistake: who was told a length shall
  not take half of the body for the whole.
* A handler may write for HEAD as for GET. The head goes out, the body does not.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar, final

import trio
from attrs import evolve
from yarl import URL

from .._facade import public
from .._model.errors import NetworkError, ReplyError
from .._model.exchange import Handler, Sink
from .._model.headers import EMPTY, Headers, HeaderSource, checked_field, content_length, make_headers
from .._model.known_headers import KnownHeader
from .._model.messages import Question, ReplyDetails, ResponseData, ResponseHead
from .._model.options import Attribute, Operation
from .._model.request import Request

A = TypeVar("A")
T = TypeVar("T")

PIECE = 64 * 1024
"""Bytes that are handed on at a time, however many are written: by so much a reader's small buffer may overflow."""

_WITHOUT_BODY = (204, 304)
_NOTHING = ReplyDetails()


class _Use(enum.Enum):
    """How far a writer has come; the value says why it takes nothing."""

    UNUSED = "a ReplyWriter works within its block: async with ReplyWriter(request, sink) as reply"
    OPEN = ""
    FINISHED = "the reply is finished: after set_finished(), or after the block, nothing more can be said"


@public
@final
class ReplyWriter:
    """Says in a handler what its reply is: ``async with ReplyWriter(request, sink) as reply``.

    The members are the protected ones of ``QNetworkReply``. Outside of the block, and after `set_finished`, they raise
    `RuntimeError`. One task at a time may write.

    Args:
        request: what the handler was called with.
        sink: the same.

    Raises:
        ReplyError: at the end of the block: the error that was set.
        RuntimeError: at the end of the block: the body is shorter than its Content-Length.
    """

    def __init__(self, request: Request, sink: Sink) -> None:
        self._request = request
        self._sink = sink
        self._use = _Use.UNUSED
        self._is_writing = False
        self._details = _NOTHING
        self._headers: Headers = EMPTY
        self._status: int | None = None
        self._reason = ""
        self._head_sent = False
        self._written = 0
        self._failure: ReplyError | None = None

    async def __aenter__(self) -> Self:
        if self._use is not _Use.UNUSED:
            raise RuntimeError("a ReplyWriter says one reply; make another one for another")
        await trio.lowlevel.checkpoint()
        self._use = _Use.OPEN
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._use = _Use.FINISHED
        if exc_type is None:
            await trio.lowlevel.checkpoint()
            await self._finish()

    @property
    def request(self) -> Request:
        """What is asked for."""
        return self._request

    # What the head says

    def set_status(self, status_code: int | None, reason: str = "") -> None:
        """Give the response an HTTP status; without one it has none, as that of a ``data:`` URL.

        A status from 400 on is the reply's error at the end, unless `set_error` says otherwise.

        Raises:
            ValueError: it is no status of a final response (200 to 999), or ``reason`` holds a control character.
            RuntimeError: the head has been sent.
        """
        self._check_head()
        if status_code is not None and not (isinstance(status_code, int) and 200 <= status_code <= 999):
            raise ValueError(f"status_code: {status_code!r} is no status of a final response; give 200 to 999, or None")
        if not reason.isprintable():
            raise ValueError(f"reason: {reason!r} holds a control character")
        self._status, self._reason = status_code, reason

    def set_header(self, known: KnownHeader[T], value: T | str | None) -> None:
        """Give the response a well-known field, instead of what it had under this name (``setHeader``).

        Args:
            known: which field.
            value: what `Reply.header` shall give, or the text of the field; ``None`` removes it.

        Raises:
            ValueError: the field cannot say that, or the text is none that could be read again.
            RuntimeError: the head has been sent.
        """
        text = value if value is None or isinstance(value, str) else known.format(value)
        # The time only matters for the century of old-fashioned dates.
        if text is not None and known.get(make_headers({known.name: text}), now=0.0) is None:
            raise ValueError(f"{known.name}: {text!r} has no meaning there; to send it all the same: set_raw_header")
        self.set_raw_header(known.name, text)

    def set_raw_header(self, name: str | bytes, value: str | bytes | None) -> None:
        """Give the response a field, instead of all that it had under this name; ``None`` removes (``setRawHeader``).

        `Reply.header` reads it as it reads any other.

        Raises:
            ValueError, TypeError: it is no field of a header.
            RuntimeError: the head has been sent.
        """
        self._check_head()
        name, text = checked_field(name, "" if value is None else value, field="header")
        fields = self._headers.copy()
        if value is None:
            fields.popall(name, None)
        else:
            fields[name] = text
        self._headers = type(self._headers)(fields)

    def set_headers(self, headers: HeaderSource | None) -> None:
        """Give the response these fields instead of all it had; the way to repeat one (``setHeaders``).

        Raises:
            ValueError, TypeError: they are no fields of a header.
            RuntimeError: the head has been sent.
        """
        self._check_head()
        self._headers = make_headers(headers)

    # What the reply shows besides

    def set_attribute(self, attribute: Attribute, value: object) -> None:
        """Say what `Reply.attribute` gives (``setAttribute``).

        Status and reason are the head's: as attributes they are `set_status`.

        Raises:
            TypeError: ``attribute`` is no `Attribute`.
        """
        if attribute is Attribute.HTTP_STATUS_CODE and (value is None or isinstance(value, int)):
            self.set_status(value, self._reason)
        elif attribute is Attribute.HTTP_REASON_PHRASE and isinstance(value, str):
            self.set_status(self._status, value)
        else:
            self._check_open()
            self._details = evolve(self._details, attributes={**self._details.attributes, attribute: value})

    def set_url(self, url: str | URL) -> None:
        """Say where the content really comes from: `Reply.url` (``setUrl``).

        Raises:
            ValueError, TypeError: it is no URL.
        """
        self._check_open()
        self._details = evolve(self._details, url=url)

    def set_request(self, request: Request) -> None:
        """Say what `Reply.request` gives (``setRequest``). Its body stays the one of the request as it came.

        Raises:
            TypeError: it is no request.
        """
        self._check_open()
        self._details = evolve(self._details, request=request)

    def set_operation(self, operation: Operation) -> None:
        """Say what `Reply.operation` gives (``setOperation``).

        Raises:
            TypeError: it is no operation.
        """
        self._check_open()
        self._details = evolve(self._details, operation=operation)

    # The end

    def set_error(self, code: NetworkError, text: str) -> None:
        """Have the reply fail when it ends (``setError``). Nothing happens before; the last call counts.

        What was written before the end can be read. `NetworkError.NO_ERROR` takes an error back.

        Raises:
            ValueError: there is no such code.
        """
        self._check_open()
        kind = NetworkError(code).exception
        self._failure = None if kind is None else kind(text)

    def set_finished(self) -> None:
        """Nothing more will be said (``setFinished``). The reply ends with the block. Idempotent.

        Raises:
            RuntimeError: called outside of the block.
        """
        if self._use is not _Use.FINISHED:
            self._check_open()
            self._use = _Use.FINISHED

    # What needs the sink

    async def send_head(self) -> None:
        """Send the head now, for readers who wait for it; `write` does so by itself. Idempotent.

        Raises:
            trio.BusyResourceError: another task is writing.
        """
        with self._writing():
            await trio.lowlevel.checkpoint()
            await self._begin()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` as the next bytes of the body, the head first if need be. Waits while the reader is behind.

        Raises:
            TypeError: these are no bytes.
            RuntimeError: it would be more than Content-Length announces, or the status allows no body.
            trio.BusyResourceError: another task is writing.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data: give bytes, not {type(data).__name__}; encode text")
        content = data if isinstance(data, bytes) else bytes(data)
        with self._writing():
            self._check_room(len(content))
            await trio.lowlevel.checkpoint()
            await self._begin()
            if self._request.operation is Operation.HEAD:
                self._written += len(content)
                return
            for start in range(0, len(content), PIECE):
                piece = content[start : start + PIECE]
                await self._sink.put(ResponseData(piece))
                self._written += len(piece)

    async def ask(self, question: Question[A]) -> A | None:
        """Ask the application: `Sink.ask`."""
        self._check_open()
        return await self._sink.ask(question)

    async def _begin(self) -> None:
        await self._tell_details()
        if not self._head_sent:
            self._head_sent = True
            await self._sink.put(ResponseHead(self._status, self._reason, self._headers))

    async def _tell_details(self) -> None:
        if self._details is not _NOTHING:
            details, self._details = self._details, _NOTHING
            await self._sink.put(details)

    async def _finish(self) -> None:
        if self._failure is None:
            await self._begin()
            self._check_length()
            return
        if self._status is not None or self._headers:
            await self._begin()
        else:
            await self._tell_details()  # a failure of which nothing else was said has no head
        raise self._failure

    def _check_open(self) -> None:
        if self._use is not _Use.OPEN:
            raise RuntimeError(self._use.value)

    def _check_head(self) -> None:
        self._check_open()
        if self._head_sent:
            raise RuntimeError("the head has been sent; set headers and status before the first write() or send_head()")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._check_open()
        if self._is_writing:
            raise trio.BusyResourceError("another task is writing this reply")
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False

    def _check_room(self, size: int) -> None:
        if size and self._status in _WITHOUT_BODY:
            raise RuntimeError(f"a response with status {self._status} has no body; write nothing")
        announced = content_length(self._headers)
        if announced is not None and self._written + size > announced:
            raise RuntimeError(
                f"the body would have {self._written + size} bytes, and Content-Length says {announced}; "
                "correct it, or leave it out"
            )

    def _check_length(self) -> None:
        announced = content_length(self._headers)
        if announced is None or self._request.operation is Operation.HEAD or self._status in _WITHOUT_BODY:
            return  # the length, if one is said, is that of what a GET would give
        if self._written < announced:
            raise RuntimeError(
                f"the body ended after {self._written} bytes, and Content-Length says {announced}; "
                "if it broke off, say so with set_error()"
            )


@public
def reply_handler(function: Callable[[ReplyWriter], Awaitable[None]]) -> Handler:
    """Make a handler of ``function``, which gets a `ReplyWriter` instead of request and sink.

    It is a decorator::

        @reply_handler
        async def hello(reply: ReplyWriter) -> None:
            await reply.write(b"hello " + reply.request.url.path.encode())

        manager.register_scheme("hello", hello)
    """

    @functools.wraps(function)
    async def handle(request: Request, sink: Sink) -> None:
        async with ReplyWriter(request, sink) as reply:
            await function(reply)

    return handle
