"""What of HTTP/1.1 is accepted from a peer: every rule and every limit, in one place for every codec.

Parsers differ in what they forgive, and where two readers of one connection differ, responses are smuggled. So a codec
does not rely on its parser's strictness: it shows every byte of framing to these rules first. A head goes through
`BlockScanner` and `check_head`, its framing fields through `declared_framing`, the framing of a chunked body through
`ChunkScanner`. All of them raise `ProtocolFailure` with a text in plain words, and nothing else.

h11 0.16, when asked, took: bare LF as a line's end in heads and trailers, folded fields, a Content-Length beside a
Transfer-Encoding (chunked won), a Content-Length given twice or as a list, HTTP/2.0 and HTTP/1.2, control characters in
values and chunk extensions, spaces after a chunk's size. httptools 0.9 took: HTTP/0.9 and HTTP/2.0, status codes below
100, control characters in the reason, empty lines before the head, transfer codings of any name (and then the rest of
the stream for the body), a Transfer-Encoding among the trailers, heads of any size. None of these pass here.

What was hard: the outcome must not depend on how the network cuts the bytes up. A limit is therefore a matter of how
many bytes have come, never of how many came at once, and the grammar is judged only when a block is complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .._model.errors import ProtocolFailure
from .._model.values import frozen

_KIB = 1024


@frozen
class WireLimits:
    """How much of anything a peer may send before it must be hostile or broken. Sizes are bytes."""

    header_block: int = 100 * _KIB
    """One head or one trailer section, line ends included. Real ones stay below 16 KiB; browsers stop at 256 KiB."""
    header_line: int = 64 * _KIB
    """One line without its end. Leaves room for a Set-Cookie or a policy field many times larger than browsers keep."""
    fields: int = 256
    """Fields of one block. Each costs far more memory than its bytes; Qt stops at 100, and CDNs come near that."""
    informational: int = 32
    """1xx responses to one request. Early hints come in a handful; without a bound a peer could keep us for ever."""
    length_digits: int = 19
    """Digits of a Content-Length: whatever is longer does not fit 64 bits in every reader on the way."""
    chunk_line: int = 4 * _KIB
    """One chunk's size line. Nobody reads extensions, so they may not outweigh the data."""


DEFAULT_LIMITS = WireLimits()

# RFC 9110 section 5.6.2: token. Section 5.5: field-value, of VCHAR, SP, HTAB and obs-text.
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
# RFC 9112 section 4. The reason may be missing together with its space: too many servers leave it out.
_STATUS_LINE = rb"HTTP/1\.[01] [1-9][0-9]{2}(?: " + _TEXT + rb")?"
# RFC 9112 section 3: the target holds no space and nothing beyond ASCII, or it would end the request line.
_REQUEST_LINE = _TOKEN + rb" [\x21-\x7e]+ HTTP/1\.1"
# RFC 9112 section 5: no space before the colon, no folded lines.
_FIELD = _TOKEN + rb":" + _TEXT
_FIELDS = rb"\r\n(?:" + _FIELD + rb"\r\n)*\r\n"
# RFC 9112 section 7.1.1, without the white space it allows only for the sake of bad senders.
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\' + rb'[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION = rb";" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"

_status_line = re.compile(_STATUS_LINE)
_field = re.compile(_FIELD)
_head = re.compile(_STATUS_LINE + _FIELDS)
_request_line = re.compile(_REQUEST_LINE)
_fields = re.compile(_FIELDS)
_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION + rb")*\r\n")
# For blocks in lower case: to ignore the case while searching takes four times as long.
_framing_field = re.compile(rb"\r\n(content-length|transfer-encoding|connection):[ \t]*([^\r]*)")
_name_with_space = re.compile(_TOKEN + rb"[ \t]+:")

_START = b"HTTP/1."
_LOOKS_LIKE_TLS = (b"\x15\x03", b"\x16\x03")  # the first bytes of an alert and of a handshake record


class BlockScanner:
    """Collects bytes up to the empty line that ends a head or a trailer section, within the limits.

    What is no HTTP at all is refused at once, so that a peer that speaks something else does not keep us waiting.
    """

    __slots__ = ("_held", "_limits", "_line_start", "_lines", "_searched", "_start")

    def __init__(self, limits: WireLimits = DEFAULT_LIMITS, *, start: bytes = _START, held: bytes = b"") -> None:
        self._limits = limits
        self._start = start
        self._held: bytes | bytearray = held  # most blocks come in one piece, and nothing is collected
        self._searched = 0
        self._line_start = 0
        self._lines = 0

    @property
    def is_empty(self) -> bool:
        """Whether not a byte of the next block has come."""
        return not self._held

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The block, with its empty line, and the bytes after it; ``None`` while it is incomplete.

        Raises:
            ProtocolFailure: too much, a bare LF, or no HTTP at all.
        """
        if not self._held:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                return self._complete(data, end + 4)
        self._held = held = bytearray(self._held) if isinstance(self._held, bytes) else self._held
        held += data
        end = held.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._check_incomplete()
            return None
        self._held = b""
        self._searched = self._line_start = self._lines = 0
        return self._complete(bytes(held), end + 4)

    def _complete(self, data: bytes, end: int) -> tuple[bytes, bytes]:
        block = data[:end]
        limits = self._limits
        if len(block) > limits.header_block:
            raise _block_too_long(limits)
        if block.count(b"\r\n") - 2 > limits.fields:
            raise _too_many_fields(limits)
        if len(block) > limits.header_line and max(map(len, block.split(b"\r\n"))) > limits.header_line:
            raise _line_too_long(limits)
        return block, data[end:]

    def _check_incomplete(self) -> None:
        held, limits = self._held, self._limits
        if len(held) > limits.header_block:
            raise _block_too_long(limits)
        if not held.startswith(self._start[: len(held)]):
            raise ProtocolFailure(_fault_of_first_line(bytes(held)))
        while (end := held.find(b"\n", self._searched)) >= 0:
            if not held.endswith(b"\r", self._line_start, end):
                raise ProtocolFailure("the response has a line that ends in a bare LF instead of CR LF")
            if end - 1 - self._line_start > limits.header_line:
                raise _line_too_long(limits)
            self._searched = self._line_start = end + 1
            self._lines += 1
        self._searched = len(held)
        if self._lines - 1 > limits.fields:
            raise _too_many_fields(limits)
        # One more than the limit may still turn out to be the CR.
        if len(held) - self._line_start > limits.header_line + 1:
            raise _line_too_long(limits)


def check_head(block: bytes) -> None:
    """Check the grammar of a response's head, from the status line to the empty line (RFC 9112 sections 4 and 5).

    Raises:
        ProtocolFailure: it is not a head.
    """
    if _head.fullmatch(block):
        return
    first, *fields = block[:-4].split(b"\r\n")
    if not _status_line.fullmatch(first):
        raise ProtocolFailure(_fault_of_first_line(first))
    raise ProtocolFailure(_fault_of_fields(fields))


def check_trailers(block: bytes) -> None:
    """Check the grammar of a trailer section, given with the CR LF that precedes it (RFC 9112 section 7.1.2).

    Raises:
        ProtocolFailure: it is not one, or it holds fields that only a head may have (RFC 9110 section 6.5.1).
    """
    if not _fields.fullmatch(block):
        raise ProtocolFailure(_fault_of_fields(block[2:-4].split(b"\r\n")))
    for name, _value in _framing_field.findall(block.lower()):
        if name != b"connection":
            raise ProtocolFailure(f"the response has {name.decode('ascii').title()} among its trailers")


def is_request_line(line: bytes) -> bool:
    """Whether ``line``, given without its end, begins a request: with `is_field_block` the guard against smuggling."""
    return _request_line.fullmatch(line) is not None


def is_field_block(block: bytes, *, fields: int) -> bool:
    """Whether ``block``, from the end of the first line to the empty line, holds so many well-formed fields.

    The number matters: a value that holds a line end and something like a field makes a block that is well-formed, too.
    """
    return block.count(b"\r\n") == fields + 2 and _fields.fullmatch(block) is not None


class Framing(NamedTuple):
    """What a head says about where the message ends, and whether the connection outlives it."""

    length: int | None = None
    chunked: bool = False
    close: bool = False


_UNDECLARED = Framing()


def declared_framing(block: bytes, limits: WireLimits = DEFAULT_LIMITS) -> Framing:
    """Content-Length, Transfer-Encoding and Connection of a head whose grammar is good (RFC 9112 sections 6 and 9.3).

    Raises:
        ProtocolFailure: they are invalid, repeated, or contradict each other.
    """
    length: int | None = None
    chunked = close = False
    for name, value in _framing_field.findall(block.lower()):
        match name:
            case b"content-length":
                length = _length(value.rstrip(b" \t"), limits, repeated=length is not None)
            case b"transfer-encoding":
                chunked = _chunked(value.rstrip(b" \t"), repeated=chunked)
            case _:
                close = close or _has_close(value)
    if length is None and not chunked and not close:
        return _UNDECLARED
    if chunked and length is not None:
        raise ProtocolFailure("both Content-Length and Transfer-Encoding are given, so the message's end is in doubt")
    return Framing(length, chunked, close)


def _has_close(value: bytes) -> bool:
    # Nearly always the first look is enough.
    return b"close" in value and b"close" in [token.strip(b" \t") for token in value.split(b",")]


def _chunked(value: bytes, *, repeated: bool) -> bool:
    if repeated or value != b"chunked":
        raise ProtocolFailure(f"Transfer-Encoding is {_show(value)}; only a single 'chunked' is supported")
    return True


def _length(value: bytes, limits: WireLimits, *, repeated: bool) -> int:
    if repeated:
        raise ProtocolFailure("Content-Length is given more than once")
    # bytes.isdigit is ASCII only, and neither signs nor separators pass it, unlike int().
    if not value.isdigit() or len(value) > limits.length_digits:
        raise ProtocolFailure(f"Content-Length is {_show(value)}, which is not a length")
    return int(value)


def has_no_body(method: str, status_code: int) -> bool:
    """Whether a final response to ``method`` ends with its head, whatever its fields say (RFC 9112 section 6.3)."""
    if method == "HEAD" or status_code in (204, 304):
        return True
    return method == "CONNECT" and 200 <= status_code < 300


class ChunkScanner:
    """Follows the framing of a chunked body, without keeping the body (RFC 9112 section 7.1).

    A size line or a trailer section is kept back until it is complete, so that a parser sees nothing unproven.
    States are methods: each takes the data and a position and gives the position up to which all is well; the same
    position if more must come first. The one in force is kept unbound, or the object would hold itself.
    """

    __slots__ = ("_advance", "_footer", "_left", "_limits", "_line", "_rest", "_section", "_trailers", "is_finished")

    def __init__(self, limits: WireLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._advance: Callable[[ChunkScanner, bytes, int], int] = ChunkScanner._in_size_line
        self._line = b""
        self._left = 0
        self._footer = b""
        # The last chunk's own line end stands before the trailers as the status line does before the fields.
        self._trailers = BlockScanner(limits, start=b"", held=b"\r\n")
        self._section = self._rest = b""
        self.is_finished = False

    def feed(self, data: bytes) -> tuple[bytes, bytes, ProtocolFailure | None]:
        """What can now be said to belong to the body and its framing; what follows it; what is wrong between the two.

        Not to be called after a mistake, or when `is_finished`.
        """
        if self._line:
            data, self._line = self._line + data, b""
        at = 0
        try:
            while (after := self._advance(self, data, at)) != at:
                at = after
        except ProtocolFailure as mistake:
            return data[:at], b"", mistake
        return data[:at] + self._section, self._rest, None

    def _in_size_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        # Two bytes for the line's end, of which one may have come.
        if (end - 2 if end else len(data) - 1) - at > self._limits.chunk_line:
            raise ProtocolFailure(f"the size line of a chunk is longer than {self._limits.chunk_line} bytes")
        if not end:
            self._line = data[at:]
            return at
        match = _chunk_line.fullmatch(data, at, end)
        if match is None:
            raise ProtocolFailure(
                f"the size line of a chunk is {_show(data[at:end])}; a hexadecimal number and CR LF are expected"
            )
        size = int(match[1], 16)
        # Most chunks come whole, or so many at once that most of them do.
        if size and data.startswith(b"\r\n", end + size):
            return end + size + 2
        self._left = size
        self._advance = ChunkScanner._in_payload if size else ChunkScanner._in_trailers
        return end

    def _in_payload(self, data: bytes, at: int) -> int:
        end = min(at + self._left, len(data))
        self._left -= end - at
        if not self._left:
            self._footer = b"\r\n"
            self._advance = ChunkScanner._in_footer
        return end

    def _in_footer(self, data: bytes, at: int) -> int:
        got = data[at : at + len(self._footer)]
        if not self._footer.startswith(got):
            raise ProtocolFailure("a chunk is not followed by CR LF: its size is wrong")
        self._footer = self._footer[len(got) :]
        if not self._footer:
            self._advance = ChunkScanner._in_size_line
        return at + len(got)

    def _in_trailers(self, data: bytes, at: int) -> int:
        found = self._trailers.feed(data[at:])
        if found is not None:
            block, self._rest = found
            check_trailers(block)
            self._section = block[2:]
            self.is_finished = True
        return at


def _fault_of_first_line(line: bytes) -> str:
    """What is wrong with ``line`` (or the beginning of one), which is no status line."""
    if line.startswith(_LOOKS_LIKE_TLS):
        return "the server speaks TLS where plain HTTP was expected; is the URL's scheme https?"
    if not line.startswith(b"HTTP/"):
        return f"what came is not an HTTP response; it begins with {_show(line)}"
    if line[5:8] not in (b"1.0", b"1.1"):
        return f"the response begins with {_show(line[:9])}; only HTTP/1.0 and HTTP/1.1 are spoken here"
    if not _status_line.fullmatch(line[:12]):
        return f"the status line {_show(line)} has no status code of three digits from 100 on"
    return f"the status line {_show(line)} holds something other than a reason after its status code"


def _fault_of_fields(lines: list[bytes]) -> str:
    """What is wrong with the first of ``lines`` that is no field."""
    line = next(line for line in lines if not _field.fullmatch(line))
    if line.startswith((b" ", b"\t")):
        return f"the line {_show(line)} begins with white space; folded fields are not accepted"
    if b":" not in line:
        return f"the line {_show(line)} has no colon"
    if _name_with_space.match(line):
        return f"the line {_show(line)} has white space before its colon"
    name, _, value = line.partition(b":")
    if _field.fullmatch(name + b":"):
        return f"the value of {_show(name)} holds a control character or a bare CR or LF: {_show(value)}"
    return f"{_show(name)} is not a field name"


def _block_too_long(limits: WireLimits) -> ProtocolFailure:
    return ProtocolFailure(f"the response's header fields are longer than {limits.header_block} bytes")


def _line_too_long(limits: WireLimits) -> ProtocolFailure:
    return ProtocolFailure(f"a line of the response's header is longer than {limits.header_line} bytes")


def _too_many_fields(limits: WireLimits) -> ProtocolFailure:
    return ProtocolFailure(f"the response has more than {limits.fields} header fields")


def _show(raw: bytes, most: int = 60) -> str:
    """A peer's bytes, short and harmless enough for an error message."""
    text = repr(raw[:most])[1:]
    return text if len(raw) <= most else text + "..."
