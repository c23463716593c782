"""The request's side of a cycle: what goes on the wire, and when the connection may be used again."""

from __future__ import annotations

import pytest

from trioreply._model.errors import UnknownNetworkError
from trioreply._wire.codec import RequestHead

from .h1_cases import CHUNKED, EMPTY, GET, HOST, OK, Make, by_codec, cut, listen


def post(*fields: tuple[bytes, bytes]) -> RequestHead:
    """A POST with these fields."""
    return RequestHead("POST", "/", (HOST, *fields))


FIVE = post((b"Content-Length", b"5"))
STREAM = post((b"Transfer-Encoding", b"chunked"))


@by_codec
def test_head_is_sent_as_given(make: Make) -> None:
    """Method, target and fields stand on the wire as in the request: same case, same order, nothing added."""
    fields = ((b"x-First", b"1"), (b"host", b"a.example"), (b"X-first", b""), (b"Cookie", b"\xc3\xa4\xff"))
    assert make().start(RequestHead("PROPFIND", "/a?b=%20", fields)) == (
        b"PROPFIND /a?b=%20 HTTP/1.1\r\nx-First: 1\r\nhost: a.example\r\nX-first: \r\nCookie: \xc3\xa4\xff\r\n\r\n"
    )


@by_codec
@pytest.mark.parametrize(
    "head",
    [
        RequestHead("GET", "/a b", (HOST,)),
        RequestHead("GET", "/\r\nX: y", (HOST,)),
        RequestHead("GET", "/ HTTP/1.1\r\nX:", (HOST,)),
        RequestHead("GET / HTTP/1.1\r\nX:", "/", (HOST,)),
        RequestHead("GET", "/ä", (HOST,)),
        RequestHead("GET", "/\udcff", (HOST,)),
        RequestHead("GET", "", (HOST,)),
        RequestHead("GE T", "/", (HOST,)),
        RequestHead("", "/", (HOST,)),
        RequestHead("GET", "/", (HOST, (b"X", b"a\r\nY: b"))),
        RequestHead("GET", "/", (HOST, (b"X", b"a\nb"))),
        RequestHead("GET", "/", (HOST, (b"X", b"\0"))),
        RequestHead("GET", "/", (HOST, (b"X", b"\r\n"))),
        RequestHead("GET", "/", (HOST, (b"X", b"a\r\n\r\nGET /b HTTP/1.1"))),
        RequestHead("GET", "/", (HOST, (b"X\r\n", b"a"))),
        RequestHead("GET", "/", (HOST, (b"X: a\r\nY", b"b"))),
        RequestHead("GET", "/", (HOST, (b"X ", b"a"))),
        RequestHead("GET", "/", (HOST, (b"", b"a"))),
        post((b"Content-Length", b"5"), (b"Content-Length", b"5")),
        post((b"Content-Length", b"-5")),
        post((b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")),
        post((b"Transfer-Encoding", b"gzip, chunked")),
    ],
    ids=repr,
)
def test_no_smuggling(make: Make, head: RequestHead) -> None:
    """A head that a server could read as something else is never sent, and costs no more than this request."""
    codec = make()
    with pytest.raises(UnknownNetworkError, match="cannot be sent"):
        codec.start(head)
    assert codec.is_reusable
    assert codec.start(GET).startswith(b"GET / ")


@by_codec
def test_one_cycle_at_a_time(make: Make) -> None:
    """A second request before the first cycle is complete is our own mistake: there is no pipelining."""
    codec = make()
    codec.start(GET)
    with pytest.raises(RuntimeError, match="takes no request"):
        codec.start(GET)


@by_codec
def test_counted_body(make: Make) -> None:
    """A body of announced length goes on the wire as it is, without a copy."""
    codec = make()
    codec.start(FIVE)
    first, second = b"hel", memoryview(b"lo")
    assert codec.send_data(first) is first
    assert codec.send_data(second) is second
    assert codec.end_request() == b""


@by_codec
def test_chunked_body(make: Make) -> None:
    """A body of unknown length is sent in chunks, of which the empty one comes last and only last."""
    codec = make()
    codec.start(STREAM)
    assert codec.send_data(b"hello") == b"5\r\nhello\r\n"
    assert codec.send_data(b"") == b""
    assert codec.send_data(memoryview(b"x" * 26)) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert codec.end_request() == b"0\r\n\r\n"


@by_codec
def test_memoryviews_are_measured_in_bytes(make: Make) -> None:
    """The length of a view is the number of its bytes, whatever its items are."""
    wide = memoryview(b"12345678").cast("I")
    codec = make()
    codec.start(STREAM)
    assert codec.send_data(wide) == b"8\r\n12345678\r\n"
    codec = make()
    codec.start(FIVE)
    with pytest.raises(UnknownNetworkError):
        codec.send_data(wide)


@by_codec
@pytest.mark.parametrize("head", [FIVE, GET, post()], ids=["length", "GET", "POST without a body"])
def test_body_too_long(make: Make, head: RequestHead) -> None:
    """More bytes than announced are refused before they are sent, and the cycle can only be given up."""
    codec = make()
    codec.start(head)
    with pytest.raises(UnknownNetworkError, match="longer than"):
        codec.send_data(b"hello!")
    with pytest.raises(UnknownNetworkError):
        codec.end_request()
    listen(codec, [EMPTY])
    assert not codec.is_reusable


@by_codec
def test_body_too_short(make: Make) -> None:
    """Fewer bytes than announced are an error at the end of the request: the server would wait for the rest."""
    codec = make()
    codec.start(FIVE)
    codec.send_data(b"hell")
    with pytest.raises(UnknownNetworkError, match="4 bytes where 5 were announced"):
        codec.end_request()
    listen(codec, [EMPTY])
    assert not codec.is_reusable


@by_codec
def test_nothing_after_the_end(make: Make) -> None:
    """A request that has ended takes no more data and does not end again; neither does one that never began."""
    codec = make()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="complete"):
            codec.send_data(b"x")
        with pytest.raises(RuntimeError, match="complete"):
            codec.end_request()
        if codec.is_reusable:
            codec.start(GET)
            codec.end_request()


@by_codec
@pytest.mark.parametrize("wire", [EMPTY, CHUNKED + b"0\r\n\r\n"], ids=["length", "chunked"])
@pytest.mark.parametrize("head", [FIVE, STREAM], ids=["length", "chunked"])
def test_early_response(make: Make, head: RequestHead, wire: bytes) -> None:
    """A response may be over before the request is; the connection is reusable once both are."""
    codec = make()
    codec.start(head)
    codec.send_data(b"he")
    outcome = listen(codec, [wire])
    assert outcome.error is None
    assert not outcome.reusable
    codec.send_data(b"llo")
    codec.end_request()
    assert codec.is_reusable


@by_codec
def test_abandoned_upload(make: Make) -> None:
    """A request that is never ended keeps its connection from being used again."""
    codec = make()
    codec.start(FIVE)
    codec.send_data(b"he")
    assert listen(codec, [EMPTY]).error is None
    assert not codec.is_reusable


@by_codec
def test_response_outlasts_request(make: Make) -> None:
    """A connection is not reusable before the whole response has come."""
    codec = make()
    codec.start(FIVE)
    codec.send_data(b"hello")
    codec.end_request()
    for piece in cut(OK + b"Content-Length: 2\r\n\r\nhi", range(100)):
        assert not codec.is_reusable
        list(codec.receive(piece))
    assert codec.is_reusable
