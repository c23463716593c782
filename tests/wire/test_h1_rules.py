"""The limits, and what is said when a rule is broken."""

from __future__ import annotations

import attrs
import pytest

from trioreply._model.errors import ProtocolFailure
from trioreply._wire.h1_rules import (
    BlockScanner,
    ChunkScanner,
    Framing,
    WireLimits,
    check_head,
    check_trailers,
    declared_framing,
    has_no_body,
)

from .h1_cases import CHUNKED, END, GET, OK, Make, Outcome, by_codec, cut, play

SMALL = WireLimits(header_block=200, header_line=60, fields=4, informational=2, length_digits=3, chunk_line=10)


def line(length: int) -> bytes:
    """A field's line of this many bytes, its end not counted."""
    return b"X: " + b"v" * (length - 3)


def block(length: int) -> bytes:
    """A head of this many bytes, made of lines that are short enough."""
    fields = OK + 3 * (line(45) + b"\r\n") + b"Y:\r\n\r\n"
    return fields.replace(b"Y:", b"Y:" + b"v" * (length - len(fields)))


AT_THE_LIMIT = {
    "block": block(200),
    "line": OK + line(60) + b"\r\n\r\n",
    "status line": b"HTTP/1.1 200 " + b"O" * 47 + b"\r\n\r\n",
    "fields": OK + b"A:\r\n" * 4 + b"\r\n",
    "informational": b"HTTP/1.1 100 C\r\n\r\n" * 2 + OK + b"\r\n",
    "length": OK + b"Content-Length: 999\r\n\r\n",
    "chunk line": CHUNKED + b"1;aaaaaaaa\r\nx\r\n0\r\n\r\n",
    "trailer block": CHUNKED + b"0\r\n" + 3 * (line(60) + b"\r\n") + b"A: bcd\r\n" + b"\r\n",
    "trailer line": CHUNKED + b"0\r\n" + line(60) + b"\r\n\r\n",
    "trailers": CHUNKED + b"0\r\n" + b"A:\r\n" * 4 + b"\r\n",
}
BEYOND = {
    "block": (block(201), "longer than 200 bytes"),
    "line": (OK + line(61) + b"\r\n\r\n", "longer than 60 bytes"),
    "status line": (b"HTTP/1.1 200 " + b"O" * 48 + b"\r\n\r\n", "longer than 60 bytes"),
    "fields": (OK + b"A:\r\n" * 5 + b"\r\n", "more than 4 header fields"),
    "informational": (b"HTTP/1.1 100 C\r\n\r\n" * 3, "more than 2 1xx"),
    "length": (OK + b"Content-Length: 1000\r\n\r\n", "not a length"),
    "chunk line": (CHUNKED + b"1;aaaaaaaaa\r\nx\r\n0\r\n\r\n", "longer than 10 bytes"),
    "trailer block": (
        CHUNKED + b"0\r\n" + 3 * (line(60) + b"\r\n") + b"A: bcdefg\r\n" + b"\r\n",
        "longer than 200 bytes",
    ),
    "trailer line": (CHUNKED + b"0\r\n" + line(61) + b"\r\n\r\n", "longer than 60 bytes"),
    "trailers": (CHUNKED + b"0\r\n" + b"A:\r\n" * 5 + b"\r\n", "more than 4 header fields"),
}
ENDLESS = {
    "status line": b"HTTP/1.1 200 " + b"O" * 60,
    "line": OK + b"A: b\r\n" + b"v" * 62,
    "lines": OK + b"A: b\r\n" * 6,
    "long line in the middle": OK + line(61) + b"\r\nA",
    "block": OK + (line(59) + b"\r\n") * 4,
    "chunk line": CHUNKED + b"5;" + b"a" * 10,
    "trailer": CHUNKED + b"0\r\n" + b"A" * 62,
}


def read(make: Make, wire: bytes, *, bytewise: bool) -> Outcome:
    """What a codec with small limits makes of ``wire``."""
    return play(make(SMALL), GET, cut(wire, range(len(wire)) if bytewise else ()))


how = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])


@by_codec
@how
@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_at_the_limit(make: Make, name: str, bytewise: bool) -> None:
    """Exactly as much as a limit allows is allowed."""
    assert read(make, AT_THE_LIMIT[name], bytewise=bytewise).error is None


@by_codec
@how
@pytest.mark.parametrize("name", BEYOND)
def test_beyond_the_limit(make: Make, name: str, bytewise: bool) -> None:
    """One more than a limit allows is refused."""
    assert read(make, BEYOND[name][0], bytewise=bytewise).error is ProtocolFailure


@by_codec
@pytest.mark.parametrize("name", BEYOND)
def test_the_limit_is_named(make: Make, name: str) -> None:
    """An error about a limit says which limit it was."""
    wire, text = BEYOND[name]
    codec = make(SMALL)
    codec.start(GET)
    with pytest.raises(ProtocolFailure, match=text):
        list(codec.receive(wire))


@by_codec
@how
@pytest.mark.parametrize("name", ENDLESS)
def test_limits_hold_before_the_end(make: Make, name: str, bytewise: bool) -> None:
    """What has outgrown a limit is refused without waiting for its end, which may never come."""
    assert read(make, ENDLESS[name], bytewise=bytewise).error is ProtocolFailure


def test_defaults() -> None:
    """The limits are those of the documentation, and nobody can change them for everybody."""
    limits = WireLimits()
    assert (limits.header_block, limits.header_line, limits.fields) == (100 * 1024, 64 * 1024, 256)
    assert limits.informational == 32
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(limits, "fields", 1)  # noqa: B010 - an assignment would not pass the type checker


@by_codec
def test_full_sized_head(make: Make) -> None:
    """A head as large as the default limits allow is read in one piece and in small ones."""
    wire = OK + b"".join(b"X-%03d: %s\r\n" % (number, b"v" * 385) for number in range(255))
    wire += b"Content-Length: 0\r\n\r\n"
    assert 98 * 1024 < len(wire) < 100 * 1024
    for step in (1, 100, len(wire)):
        outcome = play(make(), GET, cut(wire, range(0, len(wire), step)))
        assert outcome.reusable
        assert len(outcome.messages[0][1]) == 256


@by_codec
def test_many_small_chunks(make: Make) -> None:
    """Any number of chunks may come; there is no state that grows with them."""
    wire = CHUNKED + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    messages = play(make(), GET, [wire]).messages
    assert getattr(messages[1][0], "data", None) == b"x" * 5000
    assert messages[-1][0] == END


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"SSH-2.0-x\r\n\r\n", r"not an HTTP response; it begins with 'SSH-2.0-x'"),
        (b"\x15\x03\x03\0\x02\x02\x28\r\n\r\n", "speaks TLS"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "only HTTP/1.0 and HTTP/1.1"),
        (b"HTTP/1.1 OK\r\n\r\n", "no status code"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "no status code"),
        (b"HTTP/1.1 200\tOK\r\n\r\n", "after its status code"),
        (OK + b"A: b\r\n c\r\n\r\n", "folded"),
        (OK + b"A\r\n\r\n", "no colon"),
        (OK + b"A : b\r\n\r\n", "white space before its colon"),
        (OK + b"A: \0\r\n\r\n", "control character"),
        (OK + b"A: b\nC: d\r\n\r\n", "bare CR or LF"),
        (OK + b"A B: c\r\n\r\n", "'A B' is not a field name"),
        (OK + b"A: " + b"\0" * 100 + b"\r\n\r\n", r"\.\.\."),
    ],
)
def test_heads_are_explained(head: bytes, text: str) -> None:
    """What is wrong with a head is said in plain words, with the offending bytes made harmless."""
    with pytest.raises(ProtocolFailure, match=text):
        check_head(head)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"x\r\n", "hexadecimal"),
        (b"1\r\nab\r\n", "not followed by CR LF"),
        (b"0\r\nContent-Length: 1\r\n\r\n", "Content-Length among its trailers"),
        (b"0\r\nA: b\n\r\n", "bare LF"),
        (b"0\r\nA\r\n\r\n", "no colon"),
    ],
)
def test_chunks_are_explained(wire: bytes, text: str) -> None:
    """What is wrong with a chunk is said in plain words."""
    _proven, _rest, mistake = ChunkScanner().feed(wire)
    assert mistake is not None
    assert text in str(mistake)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (b"Content-Length: 1\r\nContent-Length: 1", "more than once"),
        (b"Content-Length: 1, 1", "'1, 1', which is not a length"),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked", "both Content-Length and Transfer-Encoding"),
        (b"Transfer-Encoding: gzip, chunked", "only a single 'chunked'"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "only a single 'chunked'"),
    ],
)
def test_framing_is_explained(lines: bytes, text: str) -> None:
    """What is wrong with the fields that frame a message is said in plain words."""
    with pytest.raises(ProtocolFailure, match=text):
        declared_framing(OK + lines + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        (b"A: b", Framing()),
        (b"Content-Length: 0", Framing(length=0)),
        (b"TRANSFER-ENCODING:CHUNKED", Framing(chunked=True)),
        (b"Connection: a\r\nconnection: b,close", Framing(close=True)),
        (b"X-Content-Length: 5\r\nA: Content-Length: 6", Framing()),
    ],
)
def test_framing(lines: bytes, framing: Framing) -> None:
    """Only the fields themselves frame a message, not what resembles them."""
    assert declared_framing(OK + lines + b"\r\n\r\n") == framing


@pytest.mark.parametrize(
    ("method", "status_code", "bodyless"),
    [
        ("GET", 200, False),
        ("GET", 204, True),
        ("GET", 205, False),
        ("GET", 304, True),
        ("HEAD", 200, True),
        ("HEAD", 404, True),
        ("head", 200, False),
        ("CONNECT", 200, True),
        ("CONNECT", 299, True),
        ("CONNECT", 300, False),
    ],
)
def test_bodyless(method: str, status_code: int, *, bodyless: bool) -> None:
    """Method and status alone decide whether there can be a body."""
    assert has_no_body(method, status_code) is bodyless


def test_scanner_gives_back_the_rest() -> None:
    """A scanner takes one block at a time, and can be used for the next."""
    scanner = BlockScanner()
    wire = OK + b"A: b\r\n\r\n"
    feeds = (b"", wire + b"rest", wire[:20], wire[20:] + b"more")
    found = [(scanner.feed(data), scanner.is_empty) for data in feeds]
    assert found == [(None, True), ((wire, b"rest"), True), (None, False), ((wire, b"more"), True)]


@pytest.mark.parametrize(
    "steps",
    [
        [(b"5\r\nhello\r\n", b"5\r\nhello\r\n"), (b"0\r\n\r\nrest", b"0\r\n\r\n")],
        [(b"5", b""), (b";a", b""), (b"=b\r", b""), (b"\nhe", b"5;a=b\r\nhe"), (b"llo\r", b"llo\r"), (b"\nf", b"\n")],
        [(b"1\r\nx\r\n0\r", b"1\r\nx\r\n"), (b"\nA:", b"0\r\n"), (b" b\r\n", b""), (b"\r\nrest", b"A: b\r\n\r\n")],
        [(b"ffffffffffffffff\r\nx", b"ffffffffffffffff\r\nx"), (b"\r\n0\r\n\r\n", b"\r\n0\r\n\r\n")],
    ],
    ids=["whole chunks", "pieces", "trailers", "the largest chunk"],
)
def test_nothing_unproven_is_passed_on(steps: list[tuple[bytes, bytes]]) -> None:
    """A size line and a trailer section are kept back until they are complete; all else is passed on at once."""
    scanner = ChunkScanner()
    for data, proven in steps:
        rest = b"rest" if data.endswith(b"rest") else b""
        assert scanner.feed(data) == (proven, rest, None)
        assert scanner.is_finished == bool(rest)


def test_proven_before_a_mistake() -> None:
    """What was right before a mistake is passed on, the line with the mistake is not."""
    scanner = ChunkScanner()
    assert scanner.feed(b"1\r\nx\r\n1;") == (b"1\r\nx\r\n", b"", None)
    proven, rest, mistake = scanner.feed(b";\r\nx\r\n")
    assert (proven, rest) == (b"", b"")
    assert mistake is not None
    assert "'1;;" in str(mistake)


def test_empty_trailers() -> None:
    """A trailer section may be empty, as it nearly always is."""
    check_trailers(b"\r\n\r\n")


@by_codec
@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "does not upgrade"),
        (CHUNKED + b"g\r\n", "the size line of a chunk"),
    ],
)
def test_the_rules_speak_before_the_parser(make: Make, wire: bytes, text: str) -> None:
    """An error has the words of our rules, not those of a parser."""
    codec = make()
    codec.start(GET)
    with pytest.raises(ProtocolFailure, match=text):
        list(codec.receive(wire))


@by_codec
def test_what_only_the_parser_refuses(make: Make) -> None:
    """What the rules let through and the parser does not is a failure of the peer, with the parser's as its cause."""
    codec = make(WireLimits(length_digits=30))
    codec.start(GET)
    with pytest.raises(ProtocolFailure, match="the parser says") as caught:
        list(codec.receive(OK + b"Content-Length: " + b"9" * 25 + b"\r\n\r\n"))
    assert type(caught.value.__cause__).__name__ in {"RemoteProtocolError", "HttpParserError"}
