"""``trioreply events``: a stream of events as lines, over many connections."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from trioreply._cli.app import main
from trioreply._cli.exits import Exit
from trioreply.testing import Origin, OriginRequest, OriginResponse, Routes

from .conftest import Person, serving
from .test_process import COMMAND, ENVIRONMENT, TIMEOUT

Output = pytest.CaptureFixture[bytes]

AT_ONCE = ["--retry", "3", "--retry-delay", "0.001"]
"""Without the random part of a second that goes before another connection."""
FIELDS = [("Content-Type", "text/event-stream")]


async def news(request: OriginRequest) -> OriginResponse:
    """Two connections with events, and then no more."""
    last = request.header("Last-Event-ID")
    if last is None:
        return OriginResponse(200, FIELDS, b"retry: 1\nid: 1\nevent: price\ndata: 42\n\n")
    if last == "1":
        return OriginResponse(200, FIELDS, b"id: 2\ndata: two\ndata: li\tnes\x1b[2J\n\n")
    return OriginResponse(204)


async def endless(_request: OriginRequest) -> OriginResponse:
    """One event, and a connection that stays."""

    async def body() -> AsyncIterator[bytes]:
        yield b"id: a b\ndata: x\n\n"
        await trio.sleep_forever()

    return OriginResponse(200, FIELDS, body())


async def flood(_request: OriginRequest) -> OriginResponse:
    """Events without end."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"data: x\n\n" * 1000

    return OriginResponse(200, FIELDS, body())


async def guarded(request: OriginRequest) -> OriginResponse:
    """An event for somebody who says who he is."""
    if request.header("Authorization") is None:
        return OriginResponse(401, [("WWW-Authenticate", 'Basic realm="r"')])
    return OriginResponse(200, FIELDS, b"data: hello\n\n")


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """An origin of events."""
    routes: Routes = {
        "/news": news,
        "/endless": endless,
        "/flood": flood,
        "/guarded": guarded,
        "/page": OriginResponse(body=b"data: x\n\n"),
        "/created": OriginResponse(201, FIELDS, b"data: x\n\n"),
        "/steering": OriginResponse(200, FIELDS, b"id: \x1b[2J\ndata: x\n\n"),
        "/moved": OriginResponse(302, [("Location", "/news")]),
    }
    with serving(routes) as origin:
        yield origin


LINES = b"price\t1\t42\nmessage\t2\ttwo\\nli\\tnes\\x1b[2J\n"


def test_events_are_lines(origin: Origin, capfdbinary: Output) -> None:
    """Kind, id and text of each event are a line, in which nothing steers; it connects again until there is no more."""
    assert main(["events", *AT_ONCE, origin.url("/news")]) == Exit.OK
    assert capfdbinary.readouterr() == (LINES, b"")


def test_events_as_json(origin: Origin, capfdbinary: Output) -> None:
    """With ``--json`` each event is an object with the library's names for its fields."""
    assert main(["events", *AT_ONCE, "--json", origin.url("/moved")]) == Exit.OK
    assert [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()] == [
        {"event": "price", "data": "42", "id": "1", "retry": 0.001},
        {"event": "message", "data": "two\nli\tnes\x1b[2J", "id": "2", "retry": None},
    ]


@pytest.mark.parametrize("option", [[], ["--no-reconnect"]])
def test_count_is_enough(origin: Origin, *, capfdbinary: Output, option: list[str]) -> None:
    """After ``-n`` events it ends, however many there are."""
    assert main(["events", "-n", "1500", *option, origin.url("/flood")]) == Exit.OK
    assert capfdbinary.readouterr().out == b"message\t\tx\n" * 1500


@pytest.mark.parametrize("option", [["-n", "1"], ["--no-reconnect"]])
def test_beginning_later(origin: Origin, *, capfdbinary: Output, option: list[str]) -> None:
    """``--last-event-id`` says where to begin; with ``--no-reconnect`` the end of the connection is the end."""
    assert main(["events", "--last-event-id", "1", *option, origin.url("/news")]) == Exit.OK
    assert capfdbinary.readouterr().out == LINES.splitlines(keepends=True)[1]


def test_one_connection_asks_as_many_do(origin: Origin, capfdbinary: Output) -> None:
    """With ``--no-reconnect`` the request says the same as the first of many would, and what ``-H`` says wins."""
    said = []
    for option in ([], ["--no-reconnect"], ["--no-reconnect", "-H", "accept: x"]):
        assert main(["events", "-n", "1", *option, origin.url("/news")]) == Exit.OK
        request = origin.connections[-1].requests[-1]
        said.append((request.header("Accept"), request.header("Cache-Control"), request.header("Last-Event-ID")))
    assert said == [*[("text/event-stream", "no-cache", None)] * 2, ("x", "no-cache", None)]


@pytest.mark.parametrize("option", [[], ["--no-reconnect"]])
@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/missing", Exit.CONTENT, b"status code 404; check the path of the URL\n"),
        ("/page", Exit.CONTENT, b"came with status 200, not text/event-stream\n"),
        ("/created", Exit.CONTENT, b"the server answered with status 201; event streams have 200\n"),
    ],
)
def test_what_is_no_stream(
    origin: Origin, *, capfdbinary: Output, path: str, code: Exit, message: bytes, option: list[str]
) -> None:
    """An answer that is no stream is a line and a code, and nothing is printed."""
    assert main(["events", *option, origin.url(path)]) == code
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err.startswith(b"trioreply: ")
    assert err.endswith(message)


@pytest.mark.parametrize("option", [[], ["--no-reconnect"]])
def test_no_more_is_no_failure(origin: Origin, *, capfdbinary: Output, option: list[str]) -> None:
    """A server that wants nobody to come back (204) is obeyed at once."""
    assert main(["events", "--last-event-id", "2", *option, origin.url("/news")]) == Exit.OK
    assert capfdbinary.readouterr() == (b"", b"")


def test_failures_are_borne_so_often(capfdbinary: Output) -> None:
    """``--retry`` says how many failures in a row are borne, and the last one is the outcome."""
    assert main(["events", "--retry", "0", "http://127.0.0.1:1/"]) == Exit.TRANSPORT
    assert b"refused" in capfdbinary.readouterr().err.lower()


def test_impossible_id_is_wrong_usage(origin: Origin, capfdbinary: Output) -> None:
    """An id that no field can hold is refused in the words of the option."""
    assert main(["events", "-v", "--last-event-id", "a\nb", origin.url("/news")]) == Exit.USAGE
    assert capfdbinary.readouterr().err.startswith(b"trioreply: --last-event-id: ")


def test_time_limit(origin: Origin, capfdbinary: Output) -> None:
    """``--max-time`` ends it, and the message says with which id to go on."""
    assert main(["events", "--max-time", "0.5", origin.url("/endless")]) == Exit.TRANSPORT
    out, err = capfdbinary.readouterr()
    assert out == b"message\ta b\tx\n"
    where = b"; with --last-event-id='a b' it goes on from there\n"
    assert err == b"trioreply: --max-time: it was not over after 0.5 s" + where


def test_id_that_steers_is_not_shown(origin: Origin, capfdbinary: Output) -> None:
    """An id that a terminal would obey is not repeated."""
    argv = ["--max-time", "0.5", "--retry", "1", "--retry-delay", "1000", origin.url("/steering")]
    assert main(["events", *argv]) == Exit.TRANSPORT
    assert capfdbinary.readouterr().err == b"trioreply: --max-time: it was not over after 0.5 s\n"


def test_output_that_cannot_be_written(origin: Origin) -> None:
    """A full disk ends it, with the code for that."""
    result = subprocess.run(
        ["bash", "-c", '"$@" > /dev/full', "bash", *COMMAND, "events", origin.url("/flood")],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == Exit.OUTPUT
    assert result.stderr == b"trioreply: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("option", [[], ["-v"]])
def test_reader_may_leave(origin: Origin, option: list[str]) -> None:
    """When nobody reads the lines any more the command ends, without a word of its own."""
    line = '"$@" | head -n 2; exit ${PIPESTATUS[0]}'
    result = subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND, "events", *option, origin.url("/flood")],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stdout) == (Exit.BROKEN_PIPE, b"message\t\tx\n" * 2)
    assert b"trioreply:" not in result.stderr


def test_interruption_says_where_to_go_on(origin: Origin) -> None:
    """Each event is written when it comes, and Ctrl-C ends the command with the id to go on with."""
    with subprocess.Popen(
        [*COMMAND, "events", origin.url("/endless")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"message\ta b\tx\n"
        # A second line would come only when the first is over with; the id is known a moment after its line.
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == Exit.INTERRUPTED
        assert process.stderr.read().startswith(b"trioreply: interrupted")


def test_verbose_shows_reconnections(origin: Origin, capfdbinary: Output) -> None:
    """``-v`` prints the events of each connection to the end, and that there is another one."""
    assert main(["events", *AT_ONCE, "-v", origin.url("/news")]) == Exit.OK
    out, err = capfdbinary.readouterr()
    assert out == LINES
    assert err.count(b"Finished                NO_ERROR") == 3
    words = [line.split("ms  ")[1] for line in err.decode().splitlines() if "reconnecting" in line]
    assert words == [
        "reconnecting            connection 2, to go on behind '1'",
        "reconnecting            connection 3, to go on behind '2'",
    ]


def test_verbose_shows_the_end(origin: Origin, capfdbinary: Output) -> None:
    """``-v`` prints all of what was the end, also of one connection only, and of one without an id."""
    assert main(["events", "-v", "--no-reconnect", origin.url("/missing")]) == Exit.CONTENT
    assert b"Finished                CONTENT_NOT_FOUND\ntrioreply: " in capfdbinary.readouterr().err
    assert main(["events", "-v", "--no-reconnect", "data:text/event-stream,data:x%0A%0A"]) == Exit.OK
    assert capfdbinary.readouterr().err.endswith(b"Finished                NO_ERROR\n")


async def anonymous(request: OriginRequest) -> OriginResponse:
    """An event without an id, and again."""
    count = sum(one.path == request.path for one in request.connection.requests)
    return OriginResponse(200, FIELDS, b"retry: 1\ndata: x\n\n") if count < 2 else OriginResponse(204)


def test_reconnection_without_an_id(capfdbinary: Output) -> None:
    """Where no id was given nothing is said about where it goes on."""
    with serving(anonymous) as origin:
        assert main(["events", *AT_ONCE, "-v", origin.url("/anonymous")]) == Exit.OK
    assert b"reconnecting            connection 2\n" in capfdbinary.readouterr().err


def test_person_is_asked(origin: Origin, person: Person, capfdbinary: Output) -> None:
    """Somebody at a terminal is asked who he is, once for all connections."""
    person.answers("me\n", "User name: ")
    person.answers("x\n", "Password: ")
    assert person.runs(["events", "-n", "1", origin.url("/guarded")]) == Exit.OK
    assert capfdbinary.readouterr().out == b"message\t\thello\n"
    assert os.linesep.join(person.sees().splitlines()).count("User name: ") == 1
