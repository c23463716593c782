"""A parser for streams of server-sent events (HTML standard section 9.2), which is fed bytes and gives events.

It is fed whatever there is, and takes of it what makes one event and no more: what follows stays with the caller, who
can tell how much is unread, and can stop reading. The rules are the standard's:

* Lines end with CR, LF or both. A CR ends its line at once, since the LF that may follow can be a long time coming; if
  it does come, it ends nothing.
* A byte order mark before the first line, comments, unknown fields and an event that the stream breaks off within are
  dropped. Text is UTF-8 whatever the charset parameter says; bytes that are not become U+FFFD.
* A blank line ends an event. Without data there is none to deliver, but its id counts all the same.
* ``retry`` counts at once, before its event is complete.

One thing differs: the standard begins each connection without an id, so the first event that has none would make the
client forget where it was. Here the id goes on from the connection before, as it does in browsers.

What was hard is the bound. What is kept of one event, and each single line (a comment, too), may have ``max_size``
bytes together; comments that have ended are not counted, because a connection lives on them for weeks.
"""

from __future__ import annotations

import re

from .errors import UnknownContentError
from .field_values import parse_content_type
from .headers import Headers
from .limits import MAX_EVENT
from .server_sent_event import ServerSentEvent

MAX_RETRY = 3600.0
"""The longest reconnection time in seconds that a server can ask for. Who is sent away for longer has no stream."""

MEDIA_TYPE = "text/event-stream"

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_DIGITS = 9  # of milliseconds: eleven days, far beyond MAX_RETRY; Python refuses to read numbers of any length


class EventParser:
    """The state between two pieces of one stream.

    Args:
        max_size: the largest event that is wanted, in bytes.
        last_event_id: where a connection before this one had come to.
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_event",
        "_event_retry",
        "_id",
        "_is_first_line",
        "_line",
        "_max_size",
        "_size",
        "last_event_id",
        "retry",
    )

    def __init__(self, max_size: int = MAX_EVENT, *, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        """The id to go on from: that of the last event which was complete, delivered or without data."""
        self.retry: float | None = None
        """Seconds to wait before a new connection, as the server said last; ``None`` if it has not."""
        self._max_size = max_size
        self._is_first_line = True
        self._after_cr = False  # an LF that comes now belongs to the CR that the last piece ended with
        self._line = bytearray()  # the beginning of a line whose end has not come
        self._size = 0  # of the lines of this event that are kept
        self._data = bytearray()
        self._event = b""
        self._id = last_event_id  # becomes the last one when the event is complete
        self._event_retry: float | None = None

    def feed(self, data: bytes) -> tuple[int, ServerSentEvent | None]:
        """Take bytes from the front of ``data``, up to the end of an event; how many, and the event if it is complete.

        Without an event all of ``data`` is taken. The rest is to be fed again, in front of what comes.

        Raises:
            UnknownContentError: the event, or a line, is larger than ``max_size``; the parser is of no use any more.
        """
        start = 1 if self._after_cr and data.startswith(b"\n") else 0
        if data:
            self._after_cr = False
        while (end := _LINE_END.search(data, start)) is not None:
            self._extend_line(data[start : end.start()])
            start = end.end()
            self._after_cr = end[0] == b"\r" and start == len(data)
            event = self._end_line()
            if event is not None:
                return start, event
        self._extend_line(data[start:])
        return len(data), None

    def _extend_line(self, piece: bytes) -> None:
        self._line += piece
        if self._size + len(self._line) > self._max_size:
            raise UnknownContentError(
                f"an event of the stream is larger than max_size={self._max_size} bytes; raise the limit"
            )

    def _end_line(self) -> ServerSentEvent | None:
        line = bytes(self._line)
        self._line.clear()
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        name, _, value = line.partition(b":")
        if self._set_field(name, value.removeprefix(b" ")):
            self._size += len(line)
        return None

    def _set_field(self, name: bytes, value: bytes) -> bool:
        """Do what a field says; whether something of it is kept for the event. A comment has an empty name."""
        match name:
            case b"data":
                self._data += value + b"\n"
            case b"event":
                self._event = value
            case b"id" if b"\0" not in value:
                self._id = _text(value)
            case b"retry" if value.isdigit():
                self.retry = self._event_retry = _seconds(value)
                return False
            case _:
                return False
        return True

    def _end_event(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        event = None
        if self._data:
            event = ServerSentEvent(
                _text(self._event) or "message", _text(self._data[:-1]), self._id, self._event_retry
            )
        self._data.clear()
        self._event = b""
        self._event_retry = None
        self._size = 0
        return event


def is_event_stream(headers: Headers) -> bool:
    """Whether a response with ``headers`` is an event stream: its media type is, whatever the parameters are."""
    content_type = parse_content_type(headers.get("Content-Type", ""))
    return content_type is not None and content_type.media_type == MEDIA_TYPE


def _text(raw: bytes | bytearray) -> str:
    return raw.decode("utf-8", "replace")


def _seconds(digits: bytes) -> float:
    significant = digits.lstrip(b"0")
    return min(int(significant or b"0") / 1000, MAX_RETRY) if len(significant) <= _MAX_DIGITS else MAX_RETRY
