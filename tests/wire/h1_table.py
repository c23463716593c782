"""Responses as a peer may send them, and what a codec must make of each.

The malformed ones follow what Qt's tests send as a broken server, and what request smuggling is made of. The suite
feeds every case whole, byte by byte, and cut in two at every place.
"""

from __future__ import annotations

from trioreply._model.errors import ProtocolFailure, RemoteHostClosedError
from trioreply._model.headers import from_wire
from trioreply._model.messages import ResponseHead
from trioreply._wire.codec import Received

from .h1_cases import (
    CHUNKED,
    CHUNKED_HEAD,
    CONNECT,
    EMPTY,
    END,
    GET_ONCE,
    HEAD,
    HELLO,
    OK,
    Case,
    body,
    head,
    informational,
    trailers,
)

FRAMED = [
    Case("length", OK + b"Content-Length: 5\r\n\r\nhello", HELLO, reusable=True),
    Case("length 0", EMPTY, (head(200, "OK", "Content-Length: 0"), END), reusable=True),
    Case(
        "length padded with zeros and spaces",
        OK + b"Content-Length: \t005 \t\r\n\r\nhello",
        (head(200, "OK", "Content-Length: 005"), body(b"hello"), END),
        reusable=True,
    ),
    Case("204", b"HTTP/1.1 204 No Content\r\n\r\n", (head(204, "No Content"), END), reusable=True),
    Case(
        "204 with a length",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        (head(204, "No Content", "Content-Length: 5"), END),
        reusable=True,
    ),
    Case(
        "205",
        b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n",
        (head(205, "Reset", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "304 with a length",
        b'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n',
        (head(304, "Not Modified", "Content-Length: 1234", 'ETag: "x"'), END),
        reusable=True,
    ),
    Case(
        "404 with a body",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
        (head(404, "Not Found", "Content-Length: 9"), body(b"not found"), END),
        reusable=True,
    ),
    Case(
        "HEAD with a length",
        OK + b"Content-Length: 1234\r\n\r\n",
        (head(200, "OK", "Content-Length: 1234"), END),
        reusable=True,
        request=HEAD,
    ),
    Case("HEAD of something chunked", CHUNKED, (CHUNKED_HEAD, END), reusable=True, request=HEAD),
    Case("HEAD without a length", OK + b"\r\n", (head(200, "OK"), END), reusable=True, request=HEAD),
    Case(
        "chunked",
        CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        (CHUNKED_HEAD, body(b"hello world"), END),
        reusable=True,
    ),
    Case("chunked and empty", CHUNKED + b"0\r\n\r\n", (CHUNKED_HEAD, END), reusable=True),
    Case(
        "chunk sizes in any case, padded with zeros",
        CHUNKED + b"00a\r\n0123456789\r\nA\r\n0123456789\r\n0000\r\n\r\n",
        (CHUNKED_HEAD, body(b"0123456789" * 2), END),
        reusable=True,
    ),
    Case(
        "chunk extensions",
        CHUNKED + b'5;a;b=c;d="e \\" \\\\ \xff"\r\nhello\r\n0;last\r\n\r\n',
        (CHUNKED_HEAD, body(b"hello"), END),
        reusable=True,
    ),
    Case(
        "line ends as chunk data",
        CHUNKED + b"4\r\n\r\n\r\n\r\n1\r\n\n\r\n0\r\n\r\n",
        (CHUNKED_HEAD, body(b"\r\n\r\n\n"), END),
        reusable=True,
    ),
    Case(
        "trailers",
        CHUNKED + b"5\r\nhello\r\n0\r\nDigest: a\r\nX: b\r\nX: c\r\nConnection: close\r\n\r\n",
        (CHUNKED_HEAD, body(b"hello"), trailers("Digest: a", "X: b", "X: c", "Connection: close"), END),
        reusable=True,
    ),
    Case(
        "Chunked with a capital",
        OK + b"Transfer-Encoding: Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n",
        (CHUNKED_HEAD, body(b"x"), END),
        reusable=True,
    ),
    Case(
        "a tab behind chunked",
        OK + b"Transfer-Encoding:\tchunked \t\r\nA: b\tc\t \r\nB: \t\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        (head(200, "OK", "Transfer-Encoding: chunked", "A: b\tc", "B: "), body(b"x"), END),
        reusable=True,
    ),
    Case(
        "tabs in and behind a reason",
        b"HTTP/1.1 200 O\tK\t\r\nContent-Length: 1\t\r\n\r\nx",
        (head(200, "O\tK\t", "Content-Length: 1"), body(b"x"), END),
        reusable=True,
    ),
    Case(
        "white space around a trailer",
        CHUNKED + b"0\r\nA:\t b \t\r\n\r\n",
        (CHUNKED_HEAD, trailers("A: b"), END),
        reusable=True,
    ),
    Case(
        "HTTP/1.0 with a length",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        (head(200, "OK", "Content-Length: 5", version="1.0"), body(b"hello"), END),
    ),
    Case(
        "HTTP/1.0 that offers to keep the connection",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        (head(200, "OK", "Connection: keep-alive", "Content-Length: 0", version="1.0"), END),
    ),
    Case(
        "HTTP/1.0 and chunked",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        (head(200, "OK", "Transfer-Encoding: chunked", version="1.0"), body(b"x"), END),
    ),
    Case(
        "Connection: close",
        OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        (head(200, "OK", "Connection: close", "Content-Length: 0"), END),
    ),
    Case(
        "Connection: close in a list, in capitals",
        OK + b"CONNECTION: x ,\tCLOSE \r\nConnection: y\r\nContent-Length: 0\r\n\r\n",
        (head(200, "OK", "CONNECTION: x ,\tCLOSE", "Connection: y", "Content-Length: 0"), END),
    ),
    Case(
        "Connection with a word that only contains close",
        OK + b"Connection: not-close, closed\r\nContent-Length: 0\r\n\r\n",
        (head(200, "OK", "Connection: not-close, closed", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case("a request that asks to close", EMPTY, (head(200, "OK", "Content-Length: 0"), END), request=GET_ONCE),
    Case(
        "100 before the response",
        b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY,
        (informational(100), head(200, "OK", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "102, 103 and codes nobody knows",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"
        b"HTTP/1.1 133 Odd\r\n\r\nHTTP/1.1 179\r\nConnection: close\r\nContent-Length: 7\r\n\r\n" + EMPTY,
        (
            informational(102),
            informational(103, "Link: </a>", "Link: </b>"),
            informational(133),
            informational(179, "Connection: close", "Content-Length: 7"),
            head(200, "OK", "Content-Length: 0"),
            END,
        ),
        reusable=True,
    ),
    Case(
        "1xx and HEAD",
        b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY,
        (informational(100), head(200, "OK", "Content-Length: 0"), END),
        reusable=True,
        request=HEAD,
    ),
    Case(
        "32 of 1xx",
        b"HTTP/1.1 102 P\r\n\r\n" * 32 + EMPTY,
        (*[informational(102)] * 32, head(200, "OK", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "status 600",
        b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
        (head(600, "Odd", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "status 999",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        (head(999, "Odd", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "no reason",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        (head(200, "", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "an empty reason",
        b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
        (head(200, "", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case(
        "bytes beyond ASCII, some of them UTF-8",
        b"HTTP/1.1 200 K\xc3\xa4se \xff\r\nX: \xc3\xa4\t\x85\xff\r\nContent-Length: 0\r\n\r\n",
        (
            ResponseHead(
                200, "Käse \udcff", from_wire([(b"X", b"\xc3\xa4\t\x85\xff"), (b"Content-Length", b"0")]), "1.1"
            ),
            END,
        ),
        reusable=True,
    ),
    Case(
        "names keep their case, fields their order and repeats",
        OK + b"sEt-CoOkIe: a\r\nB:\r\nSet-Cookie:b  c \r\n!#$%&'*+-.^_`|~: :\r\nContent-Length: 0\r\n\r\n",
        (head(200, "OK", "sEt-CoOkIe: a", "B: ", "Set-Cookie: b  c", "!#$%&'*+-.^_`|~: :", "Content-Length: 0"), END),
        reusable=True,
    ),
    Case("a tunnel", OK + b"Content-Length: 5\r\n\r\n", (head(200, "OK", "Content-Length: 5"), END), request=CONNECT),
    Case(
        "a tunnel refused",
        b"HTTP/1.1 407 Who\r\nContent-Length: 3\r\n\r\nno!",
        (head(407, "Who", "Content-Length: 3"), body(b"no!"), END),
        reusable=True,
        request=CONNECT,
    ),
    Case(
        "an offer to upgrade, as Apache makes it",
        OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
        (
            head(200, "OK", "Upgrade: h2,h2c", "Connection: Upgrade, Keep-Alive", "Content-Length: 1"),
            body(b"x"),
            END,
        ),
        reusable=True,
    ),
    Case(
        "an Upgrade field that upgrades nothing",
        OK + b"Upgrade: h2c\r\nContent-Length: 0\r\n\r\n",
        (head(200, "OK", "Upgrade: h2c", "Content-Length: 0"), END),
        reusable=True,
    ),
]

UNTIL_CLOSE = [
    Case("no length", OK + b"X: y\r\n\r\nhello", (head(200, "OK", "X: y"), body(b"hello"), END), ends=True),
    Case("no length and nothing", OK + b"X: y\r\n\r\n", (head(200, "OK", "X: y"), END), ends=True),
    Case("no fields", OK + b"\r\nhello", (head(200, "OK"), body(b"hello"), END), ends=True),
    Case(
        "HTTP/1.0 without a length",
        b"HTTP/1.0 200 OK\r\n\r\nhi",
        (head(200, "OK", version="1.0"), body(b"hi"), END),
        ends=True,
    ),
    Case(
        "what looks like a second response",
        OK + b"\r\n" + EMPTY,
        (head(200, "OK"), body(EMPTY), END),
        ends=True,
    ),
]


def _closed(name: str, wire: bytes, *messages: Received) -> Case:
    return Case(name, wire, messages, RemoteHostClosedError, ends=True)


CLOSED = [
    _closed("nothing", b""),
    _closed("half a status line", b"HTTP/1."),
    _closed("half a status line that may be wrong", b"HTTP/1.1 20x"),
    _closed("half a head", OK + b"Content-Le"),
    _closed("half a line end", OK + b"A: b\r"),
    _closed("half an empty line", OK + b"A: b\r\n\r"),
    _closed("1xx only", b"HTTP/1.1 100 Continue\r\n\r\n", informational(100)),
    _closed("short body", OK + b"Content-Length: 6\r\n\r\nhello", head(200, "OK", "Content-Length: 6"), body(b"hello")),
    _closed("missing body", OK + b"Content-Length: 6\r\n\r\n", head(200, "OK", "Content-Length: 6")),
    _closed(
        "404 with a short body",
        b"HTTP/1.1 404 No\r\nContent-Length: 6\r\n\r\nx",
        head(404, "No", "Content-Length: 6"),
        body(b"x"),
    ),
    _closed(
        "the longest body",
        OK + b"Content-Length: 9999999999999999999\r\n\r\nx",
        head(200, "OK", "Content-Length: 9999999999999999999"),
        body(b"x"),
    ),
    _closed("the longest chunk", CHUNKED + b"ffffffffffffffff\r\nx", CHUNKED_HEAD, body(b"x")),
    _closed("half a chunk line that is wrong", CHUNKED + b"5\r\nhello\r\nx", CHUNKED_HEAD, body(b"hello")),
    _closed("no chunk", CHUNKED, CHUNKED_HEAD),
    _closed("half a chunk size", CHUNKED + b"5", CHUNKED_HEAD),
    _closed("half a chunk", CHUNKED + b"5\r\nhel", CHUNKED_HEAD, body(b"hel")),
    _closed("chunk without its end", CHUNKED + b"5\r\nhello", CHUNKED_HEAD, body(b"hello")),
    _closed("chunk with half its end", CHUNKED + b"5\r\nhello\r", CHUNKED_HEAD, body(b"hello")),
    _closed("no last chunk", CHUNKED + b"5\r\nhello\r\n", CHUNKED_HEAD, body(b"hello")),
    _closed("last chunk without its end", CHUNKED + b"5\r\nhello\r\n0\r\n", CHUNKED_HEAD, body(b"hello")),
    _closed("half a trailer", CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n", CHUNKED_HEAD, body(b"hello")),
]


def _refused(name: str, wire: bytes, *messages: Received) -> Case:
    return Case(name, wire, messages, ProtocolFailure)


_REST = b"\r\nContent-Length: 0\r\n\r\n"

FIRST_LINES = [
    b"", b" ", b"\t", b"\0", b"G", b"garbage", b"<html>", b"ICY 200 OK", b"SSH-2.0-OpenSSH_9.6",
    b"\x15\x03\x01\x00\x02\x02\x46", b"\x16\x03\x01", b"HTTP", b"HTTP/1", b"HTTP/1.", b"HTTP/1.1", b"HTTP/1.1 ",
    b"HTTP 1.1 200 OK", b"http/1.1 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.10 200 OK",
    b"HTTP/2 200", b"HTTP/2.0 200 OK", b"HTTP/11 200 OK", b"HTTP/1.1 OK", b"HTTP/1.1 2", b"HTTP/1.1 20",
    b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 000 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 +20 OK",
    b"HTTP/1.1 2x0 OK", b"HTTP/1.1 20\xb2 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK",
    b"HTTP/1.1 200OK", b"HTTP/1.1200 OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\x7fK", b"HTTP/1.1 200 O\rK",
    b" HTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK", b"\nHTTP/1.1 200 OK", b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200 OK\r",
]  # fmt: skip

FIELD_LINES = [
    b"A: b\nC: d", b"A: b\r\n c", b"A: b\r\n\tc", b" A: b", b"\tA: b", b"A : b", b"A\t: b", b"A", b"A b", b": b",
    b":", b"A B: c", b"A(B): c", b"\xc3\xa4: b", b"A\0: b", b'"A": b', b"A: b\0", b"A: b\x01", b"A: \x7f",
    b"A: b\x0bc", b"A: b\rc", b"A: b\r", b"\nA: b", b"A: b\n", b"A: b\n\n", b"A: b\n\r", b"A: \x1b[31m",
    b"HTTP/1.1 200 OK",
]  # fmt: skip

FRAMINGS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\ncontent-length: 5",
    b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5, 5",
    b"Content-Length: 5,", b"Content-Length: +5", b"Content-Length: -5", b"Content-Length: 0x5",
    b"Content-Length: 5.0", b"Content-Length: 5 5", b"Content-Length: 1_0", b"Content-Length: five",
    b"Content-Length:", b"Content-Length: ", b"Content-Length: \xb2", b"Content-Length: \xd9\xa5",
    b'Content-Length: "5"', b"Content-Length: 00000000000000000005", b"Content-Length: 10000000000000000000",
    b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding:",
    b"Transfer-Encoding: chunked;q=1", b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
]  # fmt: skip

CHUNK_LINES = [
    b"\r\n", b"x\r\n", b"0x5\r\nworld", b"-5\r\nworld", b"+5\r\nworld", b" 5\r\nworld", b"5 \r\nworld",
    b"5\t\r\nworld", b"5 ;a\r\nworld", b"5; a\r\nworld", b"5;\r\nworld", b"5;;a\r\nworld", b"5;a b\r\nworld",
    b'5;a="b\r\nworld', b'5;a="b"c\r\nworld', b"5;a=\x01\r\nworld", b"5;a\0\r\nworld", b"5;a\rb\r\nworld",
    b"5\nworld", b"5;a\nworld", b"5\r\r\nworld", b"\n", b"5,5\r\nworld", b"g\r\n", b"\xb2\r\n", b"5_0\r\n",
    b"10000000000000005\r\nworld", b"00000000000000005\r\nworld", b"5;a=b=c\r\nworld",
]  # fmt: skip

TRAILER_LINES = [
    b"A", b"A : b", b" A: b", b"A: b\r\n c", b"A: b\nC: d", b"A: \0", b": b", b"\n", b"Content-Length: 5",
    b"content-length: 5", b"A: b\r\nTransfer-Encoding: chunked", b"HTTP/1.1 200 OK",
]  # fmt: skip

BROKEN_HEADS = [
    *[_refused(f"first line {line!r}", line + _REST) for line in FIRST_LINES],
    *[_refused(f"field {line!r}", OK + line + _REST) for line in FIELD_LINES],
    *[_refused(f"framing {lines!r}", OK + lines + b"\r\n\r\nhello") for lines in FRAMINGS],
    _refused("101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
    _refused("101 after 103", b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 101 Switch\r\n\r\n", informational(103)),
    _refused("garbage after 100", b"HTTP/1.1 100 Continue\r\n\r\ngarbage", informational(100)),
    _refused("a bare LF ends the head", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    _refused("33 of 1xx", b"HTTP/1.1 102 P\r\n\r\n" * 33, *[informational(102)] * 32),
    Case(
        "contradicting lengths for HEAD",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        error=ProtocolFailure,
        request=HEAD,
    ),
]

BROKEN_CHUNKS = [
    *[
        _refused(f"chunk line {line!r}", CHUNKED + b"5\r\nhello\r\n" + line, CHUNKED_HEAD, body(b"hello"))
        for line in CHUNK_LINES
    ],
    *[
        _refused(f"chunk end {end!r}", CHUNKED + b"5\r\nhello" + end, CHUNKED_HEAD, body(b"hello"))
        for end in (b"\n", b"!\r\n", b"\rX", b"\r\r\n", b"0\r\n\r\n", b"\n\r\n", b" \r\n")
    ],
    *[
        _refused(
            f"trailers {lines!r}", CHUNKED + b"5\r\nhello\r\n0\r\n" + lines + b"\r\n\r\n", CHUNKED_HEAD, body(b"hello")
        )
        for lines in TRAILER_LINES
    ],
    _refused("trailers end with a bare LF", CHUNKED + b"0\r\nA: b\r\n\n", CHUNKED_HEAD),
]

ALL = [*FRAMED, *UNTIL_CLOSE, *CLOSED, *BROKEN_HEADS, *BROKEN_CHUNKS]
