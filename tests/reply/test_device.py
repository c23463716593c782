"""The part of a reply that never waits: what it says about itself, and reading what is there."""

from __future__ import annotations

import pytest
from yarl import URL

import trioreply
from trioreply import (
    Attribute,
    ConnectionLeased,
    Manager,
    NetworkError,
    Operation,
    Redirected,
    Reply,
    Request,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    TlsInfo,
)
from trioreply._model.events import Encrypted

from .scripted import SHOWN_URL, Script, open_reply, open_scripted, settle
from .scripted import URL as REPLY_URL


def test_no_public_constructor() -> None:
    """Only a manager makes replies (as Qt)."""
    with pytest.raises(TypeError, match="no public constructor"):
        Reply()


async def test_before_anything_has_come() -> None:
    """A new reply runs, knows its request, and has nothing else."""
    async with open_scripted(Script()) as manager, manager.get(REPLY_URL, user_data="mine") as reply:
        assert (reply.is_running, reply.is_finished) == (True, False)
        assert reply.manager is manager
        assert isinstance(manager, Manager)
        assert isinstance(reply.request, Request)
        assert reply.request.user_data == "mine"
        assert (reply.operation, reply.url) == (Operation.GET, URL(REPLY_URL))
        assert (reply.error, reply.error_string) == (NetworkError.NO_ERROR, "Unknown error")
        assert (reply.status_code, reply.reason, reply.http_version, reply.tls) == (None, "", "", None)
        assert (len(reply.headers), len(reply.trailers), reply.redirects) == (0, 0, ())
        assert (reply.raw_header_list, reply.raw_header_pairs) == ([], [])
        assert (reply.bytes_available, reply.can_read_line, reply.at_end) == (0, False, False)
        assert (reply.read(), reply.peek(), reply.read_line(), reply.skip(5)) == (b"", b"", b"", 0)
        assert reply.read_buffer_size is None
        assert reply.timings.head_received is None


async def test_reading_what_is_there() -> None:
    """Read, peek, line, skip: each takes from the front what is there already, and never waits."""
    script = Script()
    script.respond(b"one\ntwo", b"\nthree")
    async with open_reply(script) as reply:
        await settle()
        assert reply.bytes_available == 13
        assert reply.peek(2) == b"on"
        assert reply.peek() == b"one\ntwo\nthree"
        assert (reply.can_read_line, reply.read_line()) == (True, b"one\n")
        assert reply.read_line(2) == b"tw"
        assert reply.read_line(10) == b"o\n"
        assert (reply.can_read_line, reply.read(2)) == (False, b"th")
        assert reply.skip(1) == 1
        assert reply.skip(-1) == 0
        assert reply.read_line(1) == b"e"
        assert reply.read_line() == b"e"
        assert not reply.at_end
        assert reply.skip(10) == 0


async def test_reading_after_the_end() -> None:
    """What is unread when a reply finishes can still be read, and then it is at its end."""
    script = Script()
    script.respond(b"unread")
    script.end()
    async with open_reply(script) as reply:
        await reply.wait_finished()
        assert (reply.is_finished, reply.at_end) == (True, False)
        assert reply.read() == b"unread"
        assert reply.at_end
        reply.abort()
        assert reply.error is NetworkError.NO_ERROR


@pytest.mark.parametrize("stop", ["abort", "close"])
async def test_reading_after_a_stop(stop: str) -> None:
    """An aborted or closed reply gives nothing more, and keeps what was known of the response."""
    script = Script()
    script.respond(b"unread\n", X_Field="y")
    async with open_reply(script) as reply:
        await settle()
        getattr(reply, stop)()
        assert (reply.read(), reply.peek(), reply.skip(3), reply.read_line(), reply.bytes_available) == (
            b"",
            b"",
            0,
            b"",
            0,
        )
        assert (reply.at_end, reply.can_read_line) == (True, False)
        assert (reply.status_code, reply.reason, reply.headers["x-field"]) == (200, "Reason", "y")
        assert (reply.error, reply.error_string) == (NetworkError.OPERATION_CANCELED, "Operation canceled")


async def test_header_fields() -> None:
    """Names are given once and in lower case, repeats are joined at the first one's place, bytes stay bytes (Qt)."""
    head = ResponseHead(
        200,
        headers=[
            ("X-One", "1"),
            ("Set-Cookie", "a=b"),
            ("x-one", "2"),
            ("SET-COOKIE", "c=d"),
            ("Odd", b"\xff"),
        ],
    )
    async with open_reply(Script(head)) as reply:
        await reply.wait_metadata()
        assert reply.raw_header_list == [b"x-one", b"set-cookie", b"odd"]
        assert reply.raw_header_pairs == [(b"x-one", b"1, 2"), (b"set-cookie", b"a=b\nc=d"), (b"odd", b"\xff")]
        assert reply.has_raw_header("ODD")
        assert reply.has_raw_header(b"odd")
        assert not reply.has_raw_header("even")
        assert reply.raw_header(b"X-One") == b"1, 2"
        assert reply.raw_header("even") == b""
        assert list(reply.headers.items())[2] == ("x-one", "2")


@pytest.mark.parametrize(
    ("status", "target"), [(200, None), (301, "/b"), (302, "/b"), (303, "/b"), (304, None), (307, "/b"), (308, "/b")]
)
async def test_attributes(status: int, target: str | None) -> None:
    """Facts are found by Qt's names; a redirect that was not followed says where it leads, as the server wrote it."""
    script = Script(ResponseHead(status, "Why", {"Location": "/b"}, "1.1"))
    script.end()
    async with open_reply(script) as reply:
        assert [reply.attribute(attribute) for attribute in Attribute] == [None, None, None, False, None, False, None]
        await reply.wait_metadata()
        assert [reply.attribute(attribute) for attribute in Attribute] == [
            status,
            "Why",
            target,
            False,
            None,
            False,
            None,
        ]
        assert (reply.reason, reply.http_version) == ("Why", "1.1")


async def test_secure_channel_and_second_version() -> None:
    """The secure channel is known once it stands, and HTTP/2 by the version of the response."""
    tls = TlsInfo("TLSv1.3", "x", "h2")
    script = Script(ConnectionLeased(reused=False), Encrypted(tls), ResponseHead(200, http_version="2"))
    async with open_reply(script) as reply:
        await reply.wait_metadata()
        assert reply.tls is tls
        assert reply.attribute(Attribute.CONNECTION_ENCRYPTED) is True
        assert reply.attribute(Attribute.HTTP2_WAS_USED) is True


async def test_trailers_and_redirects() -> None:
    """Redirects are counted in order and move the URL, not the request's; trailers come last."""
    hop = Redirected(302, URL("test://host/b"))
    script = Script(ResponseHead(302), hop, ResponseHead(200), ResponseData(b"x"), ResponseTrailers({"Digest": "y"}))
    script.end()
    async with open_reply(script) as reply:
        await reply.wait_finished()
        assert reply.redirects == (hop,)
        assert (reply.url, reply.request.url) == (hop.url, URL(REPLY_URL))
        assert reply.trailers["digest"] == "y"


async def test_read_buffer_size_can_be_set() -> None:
    """The size of the read buffer is the request's, can be set at any time, and is never negative."""
    async with open_reply(Script(), read_buffer_size=10) as reply:
        assert reply.read_buffer_size == 10
        for size in (0, None, 5):
            reply.read_buffer_size = size
            assert reply.read_buffer_size == size
        with pytest.raises(ValueError, match=r"^read_buffer_size: -1 "):
            reply.read_buffer_size = -1
        assert reply.read_buffer_size == 5


async def test_repr_says_how_it_is_and_hides_the_password() -> None:
    """One line shows verb, URL, state, status, error and unread bytes, and never the password."""
    script = Script()
    async with open_reply(script) as reply:
        assert repr(reply) == f"<Reply GET {SHOWN_URL} pending>"
        script.respond(b"data", status=404)
        await settle()
        assert repr(reply) == f"<Reply GET {SHOWN_URL} receiving, status 404, 4 bytes unread>"
        script.end()
        await settle()
        assert repr(reply) == f"<Reply GET {SHOWN_URL} finished, status 404, CONTENT_NOT_FOUND, 4 bytes unread>"


async def test_nothing_can_be_set() -> None:
    """A reply's facts cannot be overwritten, and nothing can be hung on it."""
    async with open_reply(Script()) as reply:
        for name in ("url", "status_code", "error", "surprise"):
            with pytest.raises(AttributeError):
                setattr(reply, name, None)


def test_reply_is_exported() -> None:
    """A reply's class is there for annotations, and says where it is imported from."""
    assert trioreply.Reply.__module__ == "trioreply"
