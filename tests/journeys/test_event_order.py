"""The order of events, scenario by scenario, as it was measured on Qt and amended where Qt is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from attrs import field, frozen

from trioreply import Manager
from trioreply._reply.reply import OpenReply
from trioreply.testing import Close, ReceiveHead, ReceiveRequest, Reset, ScriptedPeer, Send, Step

from .conftest import Place
from .notation import word

OK = b"HTTP/1.1 200 OK\r\n"
Opener = Callable[[Manager, str], OpenReply]


def _get(manager: Manager, url: str) -> OpenReply:
    return manager.get(url)


def _post(body: bytes, manager: Manager, url: str) -> OpenReply:
    return manager.post(url, body)


@frozen
class Case:
    """One scenario: what the server sends after it has received the request, and what the application sees."""

    name: str
    answer: tuple[Step, ...]
    events: str
    body: bytes = b""
    request: Opener = field(default=_get)
    receive: Step = field(factory=ReceiveRequest)


def _said(*pieces: bytes) -> tuple[Step, ...]:
    return tuple(Send(piece) for piece in pieces)


CASES = [
    # Plain transfers
    Case("length", _said(OK + b"Content-Length: 5\r\n\r\nhello"), "S Q H(200) R D(5,5) F(NO_ERROR)", b"hello"),
    Case("empty", _said(OK + b"Content-Length: 0\r\n\r\n"), "S Q H(200) D(0,0) F(NO_ERROR)"),
    Case("204", _said(b"HTTP/1.1 204 No Content\r\n\r\n"), "S Q H(204) D(0,0) F(NO_ERROR)"),
    Case("304", _said(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "S Q H(304) D(0,0) F(NO_ERROR)"),
    Case(
        "chunked",
        _said(OK + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
        "S Q H(200) R D(11,11) F(NO_ERROR)",
        b"hello world",
    ),
    Case("no length, end of stream", (*_said(OK + b"\r\nhello"), Close()), "S Q H(200) R D(5,5) F(NO_ERROR)", b"hello"),
    Case(
        "HTTP/1.0",
        (*_said(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"), Close()),
        "S Q H(200) R D(5,5) F(NO_ERROR)",
        b"hello",
    ),
    Case(
        "HEAD",
        _said(OK + b"Content-Length: 1234\r\n\r\n"),
        "S Q H(200) D(0,1234) F(NO_ERROR)",
        request=lambda manager, url: manager.head(url),
    ),
    Case(
        "404 with a body",
        _said(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"),
        "S Q H(404) R E(CONTENT_NOT_FOUND) D(9,9) F(CONTENT_NOT_FOUND)",
        b"not found",
    ),
    Case(
        "1xx before the final response are not hidden",
        _said(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK + b"Content-Length: 2\r\n\r\nok"),
        "S Q I(103) H(200) R D(2,2) F(NO_ERROR)",
        b"ok",
    ),
    Case(
        "more than was announced",
        _said(OK + b"Content-Length: 5\r\n\r\nhello-junk"),
        "S Q H(200) R D(5,5) F(NO_ERROR)",
        b"hello",
    ),
    Case(
        "a redirect that is not followed",
        _said(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'),
        "S Q H(304) D(0,0) F(NO_ERROR)",
    ),
    # Failures
    Case(
        "end of stream in a body with a length",
        (*_said(OK + b"Content-Length: 20\r\n\r\n0123456789"), Close()),
        "S Q H(200) R E(REMOTE_HOST_CLOSED) D(10,20) F(REMOTE_HOST_CLOSED)",
        b"0123456789",
    ),
    Case(
        "end of stream in a chunked body",
        (*_said(OK + b"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"), Close()),
        "S Q H(200) R E(REMOTE_HOST_CLOSED) D(10,10) F(REMOTE_HOST_CLOSED)",
        b"0123456789",
    ),
    Case(
        "end of stream before a response, on a fresh connection: not repeated",
        (Close(),),
        "S Q E(REMOTE_HOST_CLOSED) D(0,0) F(REMOTE_HOST_CLOSED)",
    ),
    Case(
        "reset before a response",
        (Reset(),),
        "S Q E(REMOTE_HOST_CLOSED) D(0,0) F(REMOTE_HOST_CLOSED)",
    ),
    Case(
        "garbage instead of a status line",
        _said(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        "S Q E(PROTOCOL_FAILURE) D(0,0) F(PROTOCOL_FAILURE)",
    ),
    Case(
        "a bad chunk size",
        _said(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n"),
        "S Q H(200) R E(PROTOCOL_FAILURE) D(5,5) F(PROTOCOL_FAILURE)",
        b"hello",
    ),
    Case(
        "both lengths",
        _said(OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "S Q E(PROTOCOL_FAILURE) D(0,0) F(PROTOCOL_FAILURE)",
    ),
    Case(
        "an upgrade nobody asked for",
        _said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
        "S Q E(PROTOCOL_FAILURE) D(0,0) F(PROTOCOL_FAILURE)",
    ),
    # Uploads
    Case(
        "POST",
        _said(OK + b"Content-Length: 5\r\n\r\nhello"),
        "S U(7,7) Q H(200) R D(5,5) F(NO_ERROR)",
        b"hello",
        partial(_post, b"abcdefg"),
    ),
    Case(
        "POST of nothing",
        _said(OK + b"Content-Length: 5\r\n\r\nhello"),
        "S Q H(200) R D(5,5) F(NO_ERROR)",
        b"hello",
        partial(_post, b""),
    ),
    Case(
        "GET with a body",
        _said(OK + b"Content-Length: 0\r\n\r\n"),
        "S U(3,3) Q H(200) D(0,0) F(NO_ERROR)",
        request=lambda manager, url: manager.get(url, b"abc"),
    ),
    Case(
        "an early 413, then the connection closes",
        (
            *_said(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"),
            Close(),
        ),
        "S Q H(413) R E(UNKNOWN_CONTENT) D(3,3) F(UNKNOWN_CONTENT)",
        b"big",
        partial(_post, bytes(10 * 1024 * 1024)),
        ReceiveHead(),
    ),
    Case(
        "DELETE",
        _said(b"HTTP/1.1 204 No Content\r\n\r\n"),
        "S Q H(204) D(0,0) F(NO_ERROR)",
        request=lambda manager, url: manager.delete(url),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_events_of_one_exchange(case: Case, place: Place) -> None:
    """Each scenario's events come in the measured order, and its body stays readable after the end."""
    async with place.serve(ScriptedPeer(case.receive, *case.answer)) as url, place.open_manager() as manager:
        async with case.request(manager, url) as reply:
            events = [event async for event in reply]
        if "413" in case.name:
            # How much of the upload went out before the answer came depends on buffers.
            events = [event for event in events if not word(event).startswith("U")]
        assert place.sequence(events) == case.events
        assert reply.read() == case.body
        statistics = manager.statistics()
        assert (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)
