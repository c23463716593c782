"""The demo: it says what happened, and its verdicts can fail."""

from __future__ import annotations

import contextlib
import io

import pytest
import trio

from trioreply import (
    Direction,
    Event,
    Finished,
    NetworkError,
    Progress,
    ReadyRead,
    RequestSent,
    UnknownNetworkError,
)
from trioreply._cli import demo
from trioreply._cli.render import open_printer
from trioreply._cli.stage import Act, BrokenPromiseError, Timeline, perform
from trioreply.testing import OriginHandler, OriginRequest, OriginResponse, SelfSigned

from .conftest import Terminal

ACTS: list[type[Act]] = [demo.Download, demo.SlowUpload, demo.NotFound, demo.Abort, demo.Close, demo.Device]


async def performed(*acts: Act, seconds: float = 10) -> tuple[bool, str]:
    """Whether ``acts`` went as promised, and what was printed."""
    stream = io.StringIO()
    return await perform(acts, open_printer(stream), seconds=seconds), stream.getvalue()


async def test_acts_tell_their_events() -> None:
    """All six acts keep their promises, and each shows its timeline and its verdict, twice the verdict in all."""
    ok, text = await performed(*(act() for act in ACTS))
    assert ok, text
    assert "FAILED  " not in text
    assert text.count("  ok      ") == 2 * len(ACTS)
    for word in (
        "ReadyRead ",
        "Progress   ",
        "SslErrors",
        "Encrypted",
        "ErrorOccurred",
        "reply.abort()",
        "reply.close()",
        "OPERATION_CANCELED",
    ):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 80


async def test_demo_on_a_terminal(terminal: Terminal) -> None:
    """With rich the demo is coloured, and says the same."""
    pytest.importorskip("rich")
    assert await demo.run_demo(open_printer(terminal.stream))
    shown = terminal.shown()
    assert "\x1b[1;32mok      \x1b[0m" in shown
    assert "██████████ 100%" in shown


class Lying:
    """An act whose origin does something else than it should."""

    def __init__(self, act: Act, serve: OriginHandler) -> None:
        self._act = act
        self.name = act.name
        self.story = act.story
        self.path = act.path
        self.tls = act.tls
        self._serve = serve

    async def serve(self, request: OriginRequest) -> OriginResponse:
        """The origin's side is somebody else's."""
        return await self._serve(request)

    async def play(self, url: str, timeline: Timeline) -> str:
        """The client's side is the act's own."""
        return await self._act.play(url, timeline)


def answering(response: OriginResponse) -> OriginHandler:
    """An origin that gives this response when it has the whole request."""

    async def serve(request: OriginRequest) -> OriginResponse:
        await request.read()
        return response

    return serve


async def refusing(request: OriginRequest) -> OriginResponse:
    """An origin that closes the connection instead of answering."""
    request.connection.close()
    raise trio.BrokenResourceError


@pytest.mark.parametrize(
    ("act", "serve", "why"),
    [
        (demo.Download, answering(OriginResponse(body=demo.CONTENT[1:])), "64.0 KiB came that are not what"),
        (demo.Download, answering(OriginResponse(500)), "InternalServerError: Error transferring"),
        (demo.Download, refusing, "RemoteHostClosedError: Connection closed"),
        (demo.NotFound, answering(OriginResponse(404, body=b"no")), "the page reads b'no'"),
        (
            demo.NotFound,
            answering(OriginResponse(410, body=demo.NotFound.page)),
            "ContentGoneError: Error transferring",
        ),
        (demo.NotFound, answering(OriginResponse(200, body=demo.NotFound.page)), "raise_for_error() raised nothing"),
    ],
)
async def test_broken_promise_is_seen(act: type[Act], serve: OriginHandler, why: str) -> None:
    """Whatever goes otherwise than promised fails its act, with the reason, and the others go on."""
    ok, text = await performed(Lying(act(), serve), demo.Close())
    assert not ok
    assert text.count(f"  FAILED  {act.name:<14}{why}") == 2
    assert text.count("  ok      close") == 2


async def test_stranger_is_not_taken_for_the_device() -> None:
    """A device that shows another key than the known one gets no request, and fails its act."""
    act = demo.Device()
    act.tls = SelfSigned("127.0.0.1").serve()
    ok, text = await performed(act)
    assert not ok
    assert text.count("  FAILED  device        SslHandshakeFailedError: SSL handshake failed: ") == 2
    assert act.requests == 0
    assert "event.ignore()" not in text


@pytest.mark.parametrize(
    ("act", "serve"), [(demo.Abort, answering(OriginResponse(body=b"short"))), (demo.Close, refusing)]
)
async def test_act_that_hangs_has_failed(act: type[Act], serve: OriginHandler) -> None:
    """An act that waits for what never comes is over when its time is, and has failed."""
    ok, text = await performed(Lying(act(), serve), seconds=0.1)
    assert not ok
    assert text.count(f"  FAILED  {act.name:<14}it was not over after 0.1 s\n") == 2


LAST = Progress(Direction.DOWNLOAD, 2, 2)
HAPPY_END = Finished(NetworkError.NO_ERROR)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([RequestSent(), ReadyRead(2), LAST, HAPPY_END], ""),
        ([LAST, HAPPY_END], "the events came as Finished, not as RequestSent, Finished"),
        ([LAST, HAPPY_END, RequestSent()], "the events came as Finished, RequestSent, not as RequestSent, Finished"),
        ([RequestSent(), HAPPY_END, LAST, HAPPY_END], "the events came as RequestSent, Finished, Finished, not as"),
        ([RequestSent(), LAST, ReadyRead(2), HAPPY_END], r"ReadyRead\(.*\) came right before the end, not Progress"),
        ([RequestSent(), LAST, Progress(Direction.DOWNLOAD, 1, 2), HAPPY_END], r"download went backwards: \[2, 1\]"),
        ([RequestSent(), Progress(Direction.UPLOAD, 3), LAST, HAPPY_END], ""),
    ],
)
async def test_order_is_a_promise(events: list[Event], complaint: str) -> None:
    """Events in another order, an end without progress, or progress that shrinks break the promise."""
    timeline = Timeline(open_printer(None))
    for event in events:
        timeline.add(event)
    with pytest.raises(BrokenPromiseError, match=complaint) if complaint else contextlib.nullcontext():
        timeline.expect("RequestSent", "Finished")


class Small:
    """An act that only does what its test says."""

    name = "small"
    story = "what the test says"
    path = "/small"
    tls = None

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def serve(self, _request: OriginRequest) -> OriginResponse:
        """Nobody asks."""
        raise AssertionError

    async def play(self, _url: str, _timeline: Timeline) -> str:
        """Fail."""
        raise self._error


async def test_error_of_a_transfer_fails_the_act() -> None:
    """An error that an act does not expect is its verdict, by its name."""
    ok, text = await performed(Small(UnknownNetworkError("odd")))
    assert not ok
    assert "FAILED  small         UnknownNetworkError: odd" in text


async def test_mistake_in_an_act_is_no_verdict() -> None:
    """A mistake in the demo itself is not told as if a transfer had failed."""
    with pytest.raises(ZeroDivisionError):
        await performed(Small(ZeroDivisionError()))
