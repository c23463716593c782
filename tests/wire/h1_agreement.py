"""Whole conversations, valid and not, of which both HTTP/1.1 codecs must make the same, step by step.

What is generated here goes to the edges of the grammar on purpose: white space wherever it may stand, fields that mean
something to one parser or the other, sizes with zeros before them, bodies that do not fit what was announced.
"""

from __future__ import annotations

from attrs import field, frozen
from hypothesis import strategies as st

from trioreply._model.errors import ReplyError
from trioreply._wire.codec import Codec, Received, RequestHead

from .h1_cases import CONNECT, GET, GET_ONCE, HEAD, HOST, cut, h11_codec, httptools_codec, pairs_of
from .h1_properties import damaged, nearly_responses, valid_responses
from .h1_table import ALL

_UPLOAD = RequestHead("POST", "/", (HOST, (b"Transfer-Encoding", b"chunked")))

_SPACE = st.sampled_from([b"", b" ", b"\t", b" \t ", b"  "])
_CASED = st.sampled_from([bytes.lower, bytes.upper, bytes.title])
_TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TEXT_CHARACTERS = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])


def _of(characters: bytes, *, least: int, most: int) -> st.SearchStrategy[bytes]:
    # Many times as quick as to generate from a regular expression.
    table = bytes(characters[number % len(characters)] for number in range(256))
    return st.binary(min_size=least, max_size=most).map(lambda raw: raw.translate(table))


_TEXT = _of(_TEXT_CHARACTERS, least=0, most=12)
_REASONS = st.one_of(st.just(b""), _TEXT.map(b" ".__add__))
_NAMES = st.one_of(
    _of(_TOKEN_CHARACTERS, least=1, most=8),
    st.sampled_from([b"Upgrade", b"Proxy-Connection", b"Keep-Alive", b"Trailer", b"TE", b"Expect", b"Content-Type"]),
)
_VALUES = st.one_of(
    _TEXT, st.sampled_from([b"close", b"keep-alive", b"upgrade", b"chunked", b"h2c", b"0", b"HTTP/1.1 200 OK"])
)
_CONNECTIONS = st.sampled_from(
    [b"close", b"keep-alive", b"upgrade", b"keep-alive, Upgrade", b"x,close", b"closed", b","]
)
_LENGTHS = st.one_of(
    st.integers(0, 20).map(b"%d".__mod__), st.sampled_from([b"007", b"0" * 19, b"9" * 19, b"9" * 20, b"%d" % 2**64])
)
_CODINGS = st.sampled_from([b"chunked", b"chunked", b"chunked", b"gzip, chunked", b"identity", b"chunked,"])
_SPECIAL = [(b"content-length", _LENGTHS), (b"transfer-encoding", _CODINGS), (b"connection", _CONNECTIONS)]
_SIZES = st.sampled_from([b"%x", b"%X", b"0%x", b"%016x", b"%017x"])
_TOKENS = _of(_TOKEN_CHARACTERS, least=1, most=3)
_QUOTED = _of(_TEXT_CHARACTERS, least=0, most=4).map(
    lambda text: b'"%b"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
)
_EXTENSIONS = st.one_of(
    st.just(b""),
    st.just(b""),
    _TOKENS.map(b";%b".__mod__),
    st.tuples(_TOKENS, st.one_of(_TOKENS, _QUOTED)).map(b";%b=%b".__mod__),
    _of(b' \t;=",\\a\0\x80', least=1, most=5),
)


@frozen
class Exchange:
    """A request, and what comes as its response."""

    request: RequestHead
    wire: bytes
    uploads: bool = False
    """Whether the request is still being sent when the response comes."""


@frozen
class Conversation:
    """Exchanges on one connection, for as long as it can be used; and whether the peer closes it."""

    exchanges: list[Exchange]
    ends: bool = field(kw_only=True)


@st.composite
def fields(draw: st.DrawFn, names: st.SearchStrategy[bytes] = _NAMES) -> bytes:
    """Some lines of a head or a trailer section."""
    lines = draw(st.lists(st.tuples(names, _SPACE, _VALUES, _SPACE), max_size=3))
    return b"".join(b"%b:%b%b%b\r\n" % line for line in lines)


@st.composite
def special_fields(draw: st.DrawFn) -> bytes:
    """A line that frames the message or says what becomes of the connection."""
    name, values = draw(st.sampled_from(_SPECIAL))
    value = draw(_CASED)(draw(values))
    return b"%b:%b%b%b\r\n" % (draw(_CASED)(name), draw(_SPACE), value, draw(_SPACE))


@st.composite
def heads(draw: st.DrawFn, *, final: bool) -> bytes:
    """A head that keeps the grammar; whether its framing makes sense is another matter."""
    codes = st.one_of(st.sampled_from([200, 204, 304, 407]), st.integers(200, 999)) if final else st.integers(100, 199)
    lines = draw(st.permutations([draw(fields()), *draw(st.lists(special_fields(), max_size=2))]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    return b"HTTP/%b %d%b\r\n%b\r\n" % (version, draw(codes), draw(_REASONS), b"".join(lines))


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """A chunked body, in every way in which it may be written, and in some in which it may not."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=30), max_size=4))
    wire = b"".join(b"%b%b\r\n%b\r\n" % (draw(_SIZES) % len(piece), draw(_EXTENSIONS), piece) for piece in pieces)
    last = draw(st.sampled_from([b"0", b"000", b"0" * 16]))
    return b"%b%b%b\r\n%b\r\n" % (wire, last, draw(_EXTENSIONS), draw(fields()))


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Some 1xx, a final head, and something for a body."""
    early = b"".join(draw(st.lists(heads(final=False), max_size=2)))
    return early + draw(heads(final=True)) + draw(st.one_of(st.just(b""), st.binary(max_size=20), chunks()))


@st.composite
def chunked_answers(draw: st.DrawFn) -> bytes:
    """A head that announces chunks, and chunks."""
    return b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (draw(fields()), draw(chunks()))


_plain = st.one_of(
    answers(),
    chunked_answers(),
    valid_responses().map(lambda valid: valid.case.wire),
    st.sampled_from(ALL).map(lambda case: case.wire),
)
_wires = st.one_of(_plain, _plain, damaged(_plain), nearly_responses)
_requests = st.sampled_from([GET, GET, HEAD, CONNECT, GET_ONCE])


@st.composite
def conversations(draw: st.DrawFn, *, most: int = 3) -> Conversation:
    """Anything that may happen on one connection."""
    exchanges = st.one_of(
        st.builds(Exchange, _requests, _wires), st.builds(Exchange, st.just(_UPLOAD), _wires, uploads=st.just(True))
    )
    return Conversation(draw(st.lists(exchanges, min_size=1, max_size=most)), ends=draw(st.booleans()))


def check_agreement(conversation: Conversation, cuts: list[int]) -> int:
    """Both codecs say the same at every step; gives how many messages that were."""
    codecs = h11_codec(), httptools_codec()
    said = 0
    for exchange in conversation.exchanges:
        if not codecs[0].is_reusable:
            break
        for codec in codecs:
            codec.start(exchange.request)
            if not exchange.uploads:
                codec.end_request()
        for data in cut(exchange.wire, cuts):
            said += _same(*(_step(codec, data) for codec in codecs))
        for codec in codecs if exchange.uploads else ():
            codec.end_request()
        assert codecs[0].is_reusable == codecs[1].is_reusable
    if conversation.ends:
        said += _same(*(_step(codec, b"") for codec in codecs))
    return said


@frozen
class _Step:
    """All that can be seen of a codec after it was fed."""

    messages: tuple[Received, ...]
    pairs: tuple[tuple[tuple[str, str], ...], ...]
    error: type[ReplyError] | None
    is_reusable: bool
    response_started: bool


def _step(codec: Codec, data: bytes) -> _Step:
    messages: list[Received] = []
    error = None
    try:
        messages.extend(codec.receive(data))
    except ReplyError as raised:
        error = type(raised)
    pairs = tuple(map(pairs_of, messages))
    return _Step(tuple(messages), pairs, error, codec.is_reusable, codec.response_started)


def _same(first: _Step, second: _Step) -> int:
    assert first == second
    return len(first.messages)
