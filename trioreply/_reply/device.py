"""The part of a reply that never waits: what is known about it, and reading what is there already.

The members follow ``QNetworkReply`` and its base ``QIODevice``; `docs/coming-from-qt` sets the names side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .._clock import wall_clock
from .._model.errors import NetworkError
from .._model.headers import EMPTY, Headers, encode_text
from .._model.options import Attribute, Operation
from .._model.urls import display
from .core import Core

T = TypeVar("T")

if TYPE_CHECKING:
    import trio
    from yarl import URL

    from .._model.events import Redirected
    from .._model.known_headers import KnownHeader
    from .._model.request import Request
    from .._model.timings import Timings
    from .._model.tls import TlsInfo


class Device:
    """State properties and the sequential device."""

    __slots__ = ("__weakref__", "_core")

    _core: Core

    def __init__(self) -> None:
        raise TypeError("replies have no public constructor: open one with manager.get(url) and its siblings")

    def __repr__(self) -> str:
        state = self._core.state
        status = "" if state.status_code is None else f", status {state.status_code}"
        error = "" if state.error is NetworkError.NO_ERROR else f", {state.error.name}"
        unread = f", {len(state.buffer)} bytes unread" if len(state.buffer) else ""
        return f"<Reply {state.request.verb} {display(state.url)} {state.state.value}{status}{error}{unread}>"

    @property
    def request(self) -> Request:
        """The request as it was made; its URL stays when `url` moves on."""
        return self._core.state.request

    @property
    def operation(self) -> Operation:
        """What the request does."""
        return self._core.state.operation

    @property
    def url(self) -> URL:
        """Where the content comes from: the request's URL, or the target of the last redirect."""
        return self._core.state.url

    @property
    def error(self) -> NetworkError:
        """`NetworkError.NO_ERROR` until something fails; the first error stays."""
        return self._core.state.error

    @property
    def error_string(self) -> str:
        """What went wrong, for people; ``"Unknown error"`` while nothing did (``QIODevice::errorString``)."""
        return self._core.state.error_string

    @property
    def is_running(self) -> bool:
        """The opposite of `is_finished`."""
        return self._core.state.is_running

    @property
    def is_finished(self) -> bool:
        """Whether `Finished` has been sent: nothing changes any more but what is unread."""
        return not self._core.state.is_running

    @property
    def status_code(self) -> int | None:
        """The HTTP status of the last response, ``None`` before there is one (and for schemes without)."""
        return self._core.state.status_code

    @property
    def reason(self) -> str:
        """The reason phrase of the last response, which means nothing to machines."""
        head = self._core.state.head
        return "" if head is None else head.reason

    @property
    def http_version(self) -> str:
        """``"1.1"``, ``"1.0"``, ...; empty before there is a response."""
        head = self._core.state.head
        return "" if head is None else head.http_version

    @property
    def headers(self) -> Headers:
        """The fields of the last response: in order, repeats kept, names compared without case."""
        head = self._core.state.head
        return EMPTY if head is None else head.headers

    @property
    def trailers(self) -> Headers:
        """The fields that came after the body (RFC 9110 section 6.5); complete at `Finished`."""
        return self._core.state.trailers

    @property
    def raw_header_list(self) -> list[bytes]:
        """The names of the fields, once each and in lower case (``rawHeaderList``)."""
        return list(dict.fromkeys(name.lower().encode("ascii") for name in self.headers))

    @property
    def raw_header_pairs(self) -> list[tuple[bytes, bytes]]:
        """Names with values, repeats merged at the first one's place (``rawHeaderPairs``)."""
        return [(name, self.raw_header(name)) for name in self.raw_header_list]

    def has_raw_header(self, name: str | bytes) -> bool:
        """Whether the response has a field ``name``, in any case."""
        return _text(name) in self.headers

    def raw_header(self, name: str | bytes) -> bytes:
        """The value of field ``name``; repeats joined with ``", "`` (Set-Cookie: a line feed), empty if absent."""
        key = _text(name)
        joint = "\n" if key.lower() == "set-cookie" else ", "
        return encode_text(joint.join(self.headers.getall(key, ())))

    def header(self, known: KnownHeader[T]) -> T | None:
        """The value of a well-known field, typed; ``None`` if it is absent, or means nothing (``header``)."""
        return known.get(self.headers, now=wall_clock())

    def attribute(self, attribute: Attribute) -> object:
        """A fact about the exchange by its Qt name; ``None`` while unknown."""
        state = self._core.state
        if state.attributes is not None and attribute in state.attributes:
            return state.attributes[attribute]
        head = state.head
        known: dict[Attribute, object] = {
            Attribute.HTTP_STATUS_CODE: state.status_code,
            Attribute.HTTP_REASON_PHRASE: None if head is None else head.reason,
            Attribute.ORIGINAL_CONTENT_LENGTH: None if head is None else head.original_content_length,
            Attribute.CONNECTION_ENCRYPTED: state.tls is not None and bool(state.tls.version),
            Attribute.HTTP2_WAS_USED: head is not None and head.http_version == "2",
            Attribute.REDIRECTION_TARGET: _redirection_target(state.status_code, self.headers),
        }
        return known.get(attribute)

    @property
    def tls(self) -> TlsInfo | None:
        """The secure channel, once there is one. Of one that was refused: its certificates, with an empty version."""
        return self._core.state.tls

    @property
    def redirects(self) -> tuple[Redirected, ...]:
        """The redirects that were followed, in order."""
        return tuple(self._core.state.redirects)

    @property
    def timings(self) -> Timings:
        """When the phases of the exchange happened."""
        return self._core.state.timings

    @property
    def cancel_scope(self) -> trio.CancelScope:
        """The exchange's cancel scope: cancelling it is `Reply.abort`, its deadline ends the reply as TIMEOUT."""
        return self._core.scope

    @property
    def read_buffer_size(self) -> int | None:
        """How many unread bytes make the network pause; settable at any time.

        ``None``: 1 MiB, but while a task waits for an event with none unread, or in `Reply.wait_finished`, the network
        goes on. ``0``: it never pauses. ``n``: it pauses at n bytes, always.
        """
        return self._core.read_buffer_size

    @read_buffer_size.setter
    def read_buffer_size(self, size: int | None) -> None:
        if size is not None and size < 0:
            raise ValueError(f"read_buffer_size: {size} is negative; give None, 0 (no limit) or a number of bytes")
        self._core.read_buffer_size = size
        self._core.room_made()

    @property
    def bytes_available(self) -> int:
        """How many bytes can be read without waiting."""
        return len(self._core.state.buffer)

    @property
    def can_read_line(self) -> bool:
        """Whether a whole line, its line feed included, can be read without waiting."""
        return self._core.state.buffer.line_end() is not None

    @property
    def at_end(self) -> bool:
        """Whether there is nothing to read now and there never will be."""
        return not self._core.state.is_running and not len(self._core.state.buffer)

    def read(self, n: int = -1) -> bytes:
        """Take at most ``n`` bytes of what is there, all if negative; ``b""`` if nothing is, or after `Reply.abort`."""
        data = self._core.state.buffer.read(n)
        self._core.room_made()
        return data

    def peek(self, n: int = -1) -> bytes:
        """As `read`, but the bytes stay."""
        return self._core.state.buffer.peek(n)

    def read_line(self, limit: int = -1) -> bytes:
        """Take a line with its line feed, or ``limit`` bytes of it; without a line end in sight, what is there."""
        end = self._core.state.buffer.line_end()
        size = len(self._core.state.buffer) if end is None else end
        return self.read(size if limit < 0 else min(size, limit))

    def skip(self, n: int) -> int:
        """Take at most ``n`` bytes and forget them; how many they were."""
        return len(self.read(max(n, 0)))


def _text(name: str | bytes) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name


def _redirection_target(status_code: int | None, headers: Headers) -> str | None:
    """Where a redirect that was not followed leads, as the server wrote it."""
    return headers.get("Location") if status_code in (301, 302, 303, 307, 308) else None
