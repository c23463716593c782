"""What must hold of every HTTP/1.1 codec for any bytes at all, as functions and strategies.

The suite tries a hundred examples of each; the fuzzers in ``tests/fuzz`` try as many as they are given.
"""

from __future__ import annotations

from attrs import frozen
from hypothesis import strategies as st

from trioreply._model.headers import from_wire
from trioreply._model.messages import ResponseHead, ResponseTrailers
from trioreply._wire.codec import Received, RequestHead

from .h1_cases import END, GET, HEAD, Case, Make, Outcome, body, cut, listen, outcome_of, play
from .h1_table import ALL, FRAMED

Pairs = list[tuple[bytes, bytes]]

places = st.lists(st.integers(0, 400), max_size=30)
"""Where to cut."""

_NAMES = st.from_regex(rb"[!#-'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True).filter(
    lambda name: name.lower() not in {b"content-length", b"transfer-encoding", b"connection"}
)
_TEXT = st.from_regex(rb"([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?", fullmatch=True)
_FIELDS = st.lists(st.tuples(_NAMES, _TEXT), max_size=5)
_STATUS = st.integers(200, 999).filter(lambda code: code not in {204, 304})
_PIECES = st.lists(st.binary(min_size=1, max_size=60), max_size=5)
_EXTENSIONS = st.sampled_from([b"", b";a", b";a=b", b';a="b\\"c"'])


@frozen
class Valid:
    """A valid response, and whether it must leave the connection reusable."""

    case: Case
    framing: str


@st.composite
def valid_responses(draw: st.DrawFn) -> Valid:
    """Any response that must be understood."""
    status_code, reason, fields = draw(_STATUS), draw(_TEXT), draw(_FIELDS)
    pieces = draw(_PIECES)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    ending: list[Received] = []
    match framing:
        case "length":
            payload = b"".join(pieces)
            fields.insert(draw(st.integers(0, len(fields))), (b"Content-Length", b"%d" % len(payload)))
        case "chunked":
            trailers = draw(_FIELDS)
            payload = b"".join(
                b"%x%b\r\n%b\r\n" % (len(piece), draw(_EXTENSIONS), piece) for piece in pieces
            ) + b"0\r\n%b\r\n" % _lines(trailers)
            fields.append((b"Transfer-Encoding", b"chunked"))
            ending = [ResponseTrailers(from_wire(trailers))] if trailers else []
        case _:
            payload = b"".join(pieces)
    wire = b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status_code, reason, _lines(fields), payload)
    head = ResponseHead(status_code, reason.decode("utf-8", "surrogateescape"), from_wire(fields), "1.1")
    data = [body(b"".join(pieces))] if any(pieces) else []
    ends = framing == "close"
    return Valid(Case(framing, wire, (head, *data, *ending, END), reusable=not ends, ends=ends), framing)


def _lines(fields: Pairs) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in fields)


@st.composite
def damaged(draw: st.DrawFn, wires: st.SearchStrategy[bytes]) -> bytes:
    """Something of ``wires`` with a few bytes replaced, removed or put in."""
    wire = draw(wires)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(wire)))
        stop = min(len(wire), start + draw(st.integers(0, 3)))
        wire = wire[:start] + draw(_DAMAGE) + wire[stop:]
    return wire


_DAMAGE = st.one_of(
    st.sampled_from(
        [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b";", b",", b"0", b"f", b"-", b"\xff"]
    ),
    st.sampled_from(
        [
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"HTTP/1.1 100 C\r\n\r\n",
        ]
    ),
    st.binary(max_size=4),
)
_from_the_tables = st.lists(st.sampled_from(ALL), min_size=1, max_size=2).map(
    lambda cases: b"".join(case.wire for case in cases)
)
nearly_responses = st.one_of(
    damaged(_from_the_tables), st.binary(max_size=200), st.binary(max_size=60).map(b"HTTP/1.1 200 OK\r\n".__add__)
)
"""Bytes of which nothing is known, most of them close to a response."""

requests = st.sampled_from([GET, HEAD])


def check_valid(make: Make, valid: Valid, cuts: list[int]) -> None:
    """A valid response gives exactly what it was made from."""
    case = valid.case
    assert play(make(), case.request, cut(case.wire, cuts, ends=case.ends)) == outcome_of(case)


def check_any_bytes(make: Make, request: RequestHead, wire: bytes, cuts: list[int]) -> None:
    """Whatever comes amounts to the same however it is cut, and to nothing worse than an error of ours.

    `play` catches only those; anything else would come through it.
    """
    whole = play(make(), request, [*cut(wire, ()), b""])
    assert play(make(), request, [*cut(wire, cuts), b""]) == whole
    assert play(make(), request, [*cut(wire, range(len(wire))), b""]) == whole


def check_cycles(make: Make, cases: list[Case], wire: bytes) -> None:
    """Any number of good cycles does not change what the next response amounts to."""
    codec = make()
    for case in cases:
        assert play(codec, case.request, [case.wire]).reusable
    assert play(codec, GET, [wire]) == play(make(), GET, [wire])


def check_unasked(make: Make, wire: bytes, cuts: list[int]) -> None:
    """Bytes that nobody asked for never become messages."""
    pieces = cut(wire, cuts)
    assert listen(make(), pieces) == Outcome((), None, reusable=not pieces)


good_cycles = st.lists(st.sampled_from([case for case in FRAMED if case.reusable]), max_size=3)
