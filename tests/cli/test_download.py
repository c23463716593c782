"""``trioreply download``: files on the disk, lines about them, and exit codes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

import trioreply
from trioreply import Event, Redirected, Reply
from trioreply._cli.app import main
from trioreply._cli.certificates import QUESTION
from trioreply._cli.exits import Exit
from trioreply._cli.questions import Desk
from trioreply.testing import Origin, OriginRequest, OriginResponse, SelfSigned

from .conftest import ESCAPES, Person, Terminal, serving
from .test_app import no_file_larger_than
from .test_process import COMMAND, ENVIRONMENT, TIMEOUT
from .test_render import without_rich

Output = pytest.CaptureFixture[str]

CONTENT = bytes(value * value % 251 for value in range(100_000))
HALF = 60_000
NOWHERE = "http://127.0.0.1:1/"
LOGIN = [("WWW-Authenticate", 'Basic realm="staff"')]
DEVICE = SelfSigned("127.0.0.1")
PART = ".trioreply.part"


def _octets_in_parts() -> int:
    return sum(path.stat().st_size for path in Path().glob(f"*{PART}"))


class Files:
    """An origin of files. Each knows ranges; what is in ``broken`` is only ever half of itself."""

    def __init__(self) -> None:
        self.broken = {"/half", "/stop"}
        self.asked: list[tuple[str, str | None]] = []
        self.running = 0
        self.most = 0
        """How many were under way at once."""
        self.together = 1
        """How many must be, before any of ``/wait...`` comes."""
        self.gathered = trio.Event()
        self.is_asked = True
        """Whether ``/wait-here`` may come, because somebody is asked something now."""
        self.halves = 1
        """How many files must have come half way before somebody presses Ctrl-C."""

    async def __call__(self, request: OriginRequest) -> OriginResponse:
        """Serve."""
        wanted = request.header("Range")
        self.asked.append((request.path, wanted))
        if request.path == "/missing":
            return OriginResponse(404, body=b"no")
        if request.path == "/slow":
            await trio.sleep_forever()
        if request.path.startswith("/private") and request.header("Authorization") != "Basic bWU6eA==":
            return OriginResponse(401, LOGIN, b"who?")
        start = int(wanted[6:-1]) if wanted else 0
        fields = [("ETag", '"1"'), ("Content-Length", str(len(CONTENT) - start))]
        if start:
            fields.append(("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"))
        return OriginResponse(206 if start else 200, fields, self._body(request, start))

    async def _body(self, request: OriginRequest, start: int) -> AsyncIterator[bytes]:
        self.running += 1
        self.most = max(self.most, self.running)
        if self.most == self.together:
            self.gathered.set()
        if request.path.startswith("/wait"):
            await self.gathered.wait()
        while not self.is_asked and request.path == "/wait-here":
            await trio.lowlevel.checkpoint()
        if request.path in self.broken:
            yield CONTENT[start:HALF]
            if request.path == "/stop":
                await self._interrupt()
            if request.path == "/hold":
                await trio.sleep_forever()
            request.connection.truncate()
            raise trio.ClosedResourceError
        yield CONTENT[start:]
        self.running -= 1

    async def _interrupt(self) -> None:
        """Press Ctrl-C when all that was sent is on the disk."""
        while _octets_in_parts() < HALF * self.halves:
            await trio.lowlevel.checkpoint()
        os.kill(os.getpid(), signal.SIGINT)
        await trio.sleep_forever()


@pytest.fixture
def server() -> Files:
    """What the origin is made of."""
    return Files()


@pytest.fixture
def origin(server: Files) -> Iterator[Origin]:
    """An origin of files."""
    with serving(server) as origin:
        yield origin


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which the command is called."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def names(directory: Path) -> list[str]:
    """What lies there."""
    return sorted(path.name for path in directory.iterdir())


def test_file_gets_the_name_of_its_url(origin: Origin, here: Path, capsys: Output) -> None:
    """A URL becomes a file here, and its path and size are the one line of output."""
    assert main(["download", origin.url("/a.iso")]) == Exit.OK
    assert (here / "a.iso").read_bytes() == CONTENT
    assert names(here) == ["a.iso"]
    assert capsys.readouterr() == ("a.iso: 97.7 KiB\n", "")


def test_several_files_come_at_once(server: Files, origin: Origin, here: Path, capsys: Output) -> None:
    """Several URLs are downloaded at the same time, each into a file, and each is reported."""
    server.together = 8
    (here / "d").mkdir()
    urls = [origin.url(f"/wait{number}") for number in range(8)]
    assert main(["download", "-d", "d", "-j", "8", *urls]) == Exit.OK
    assert names(here / "d") == [f"wait{number}" for number in range(8)]
    assert sorted(capsys.readouterr().out.splitlines()) == [f"d/wait{number}: 97.7 KiB" for number in range(8)]


def test_parallel_is_a_limit(server: Files, origin: Origin) -> None:
    """No more run at once than ``-j`` says."""
    assert main(["download", "-j", "1", *(origin.url(f"/{number}") for number in range(3))]) == Exit.OK
    assert server.most == 1
    assert server.asked == [("/0", None), ("/1", None), ("/2", None)]


def test_what_was_left_is_taken_up_again(server: Files, origin: Origin, here: Path, capsys: Output) -> None:
    """A download that breaks keeps its part and says so, and the same command asks for the rest only."""
    argv = ["download", "--retry", "0", "-o", "f", origin.url("/half")]
    assert main(argv) == Exit.TRANSPORT
    assert names(here) == [f"f{PART}", f"f{PART}.json"]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("trioreply: ")
    assert f"; the first 58.6 KiB are in {here / 'f'}{PART}, and the same command goes on from there\n" in err
    server.broken.clear()
    assert main(argv) == Exit.OK
    assert (here / "f").read_bytes() == CONTENT
    assert server.asked == [("/half", None), ("/half", f"bytes={HALF}-")]


def test_nothing_is_left_with_no_resume(server: Files, origin: Origin, here: Path, capsys: Output) -> None:
    """``--no-resume`` neither leaves a part nor promises one."""
    assert main(["download", "--no-resume", "--retry", "0", origin.url("/half")]) == Exit.TRANSPORT
    assert names(here) == []
    assert "goes on" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--sha256", "--checksum"])
def test_checksum(origin: Origin, here: Path, *, capsys: Output, option: str) -> None:
    """A file with the right checksum is there, and one with another is not."""
    digits = hashlib.sha256(CONTENT).hexdigest()
    prefix = "" if option == "--sha256" else "sha-256:"
    assert main(["download", option, prefix + digits, "-o", "good", origin.url("/x")]) == Exit.OK
    assert main(["download", option, prefix + 64 * "0", "-o", "bad", origin.url("/x")]) == Exit.CONTENT
    assert names(here) == ["good"]
    assert "was expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--sha256", "00"], "--sha256: sha256 has 64 hexadecimal digits, and 'sha256:00' has 2"),
        (["--checksum", "crc:00"], "--checksum: 'crc' is not known; take one of "),
    ],
)
def test_impossible_checksum_is_wrong_usage(
    server: Files, origin: Origin, *, capsys: Output, argv: list[str], message: str
) -> None:
    """What cannot be a checksum is said in the words of the option, and nothing is sent."""
    assert main(["download", *argv, origin.url("/x")]) == Exit.USAGE
    assert capsys.readouterr().err.startswith(f"trioreply: {message}")
    assert server.asked == []


def test_failure_of_one_is_its_own(origin: Origin, here: Path, capsys: Output) -> None:
    """When one fails the others come all the same; the code is that of the first failure, each line names its URL."""
    urls = [origin.url("/missing"), NOWHERE, origin.url("/x")]
    assert main(["download", "-j", "1", "--retry", "0", *urls]) == Exit.CONTENT
    assert names(here) == ["x"]
    out, err = capsys.readouterr()
    assert out == "x: 97.7 KiB\n"
    first, second = err.splitlines()
    assert first.endswith("status code 404; check the path of the URL")
    assert first.count(urls[0]) == 1
    assert second.startswith(f"trioreply: {NOWHERE}: ") or NOWHERE in second


def test_fail_fast_stops_the_others(server: Files, origin: Origin, here: Path, capsys: Output) -> None:
    """With ``--fail-fast`` the first failure stops what runs, and begins nothing more."""
    urls = [origin.url(path) for path in ("/missing", "/x")]
    assert main(["download", "--fail-fast", "-j", "1", *urls]) == Exit.CONTENT
    assert names(here) == []
    assert server.asked == [("/missing", None)]
    assert capsys.readouterr().err.endswith("trioreply: --fail-fast: 1 more were stopped or not begun\n")


def test_fail_fast_after_the_last(origin: Origin, capsys: Output) -> None:
    """When there is nothing to stop, ``--fail-fast`` says nothing."""
    assert main(["download", "--fail-fast", "-j", "1", origin.url("/x"), origin.url("/missing")]) == Exit.CONTENT
    assert "fail-fast" not in capsys.readouterr().err


def test_time_limit(origin: Origin, capsys: Output) -> None:
    """``--max-time`` is for all of it."""
    urls = [origin.url("/slow"), origin.url("/slow?again")]
    assert main(["download", "--max-time", "0.05", "-j", "1", *urls]) == Exit.TRANSPORT
    assert capsys.readouterr() == ("", "trioreply: --max-time: it was not over after 0.05 s\n")


def test_full_disk_is_the_output(origin: Origin, here: Path, capsys: Output) -> None:
    """A file that cannot be written is no failure of the server's, and has the code for that."""
    with no_file_larger_than(1000):
        assert main(["download", origin.url("/x")]) == Exit.OUTPUT
    message = capsys.readouterr().err
    assert "could not be written" in message
    assert "; the first 1000 B are in " in message
    assert "x" not in names(here)


def test_place_that_cannot_be_used(origin: Origin, server: Files, here: Path, capsys: Output) -> None:
    """A place that is no file is refused by the disk before anything is requested, and ``-v`` can tell."""
    (here / f"f{PART}").mkdir()
    assert main(["download", "-v", "-o", "f", origin.url("/x")]) == Exit.OUTPUT
    assert server.asked == []
    assert "ErrorOccurred" in capsys.readouterr().err


def test_file_that_is_missing_here(here: Path) -> None:
    """A ``file:`` URL without a file is a failure of what was asked for, and not of the output."""
    assert main(["download", "-o", "f", (here / "no").as_uri()]) == Exit.CONTENT


def test_verbose_shows_the_events(origin: Origin, capsys: Output) -> None:
    """``-v`` prints the events of a download as the main command does."""
    assert main(["download", "-v", origin.url("/x")]) == Exit.OK
    err = capsys.readouterr().err
    assert "  MetaDataChanged         200, 2 headers\n          < HTTP/1.1 200\n" in err
    assert err.splitlines()[-1].endswith("Finished                NO_ERROR")
    assert "ReadyRead" not in err


def test_verbose_tells_downloads_apart(origin: Origin, capsys: Output) -> None:
    """With several downloads each line begins with the number of its own."""
    assert main(["download", "-v", "-j", "1", origin.url("/x"), origin.url("/y")]) == Exit.OK
    lines = capsys.readouterr().err.splitlines()
    assert {line[:4] for line in lines} == {"[1] ", "[2] "}
    assert any(line.startswith("[2]") and "#" in line for line in lines)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_reader_may_leave(origin: Origin, stream: str) -> None:
    """When nobody reads what is said any more the command ends, without a word and with a code of its own."""
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    argv = [*COMMAND, "download", *(["-v"] if stream == "stderr" else []), origin.url("/x"), origin.url("/y")]
    result = subprocess.run(
        argv, stdout=streams["stdout"], stderr=streams["stderr"], env=ENVIRONMENT, timeout=TIMEOUT, check=False
    )
    os.close(writer)
    assert result.returncode == Exit.BROKEN_PIPE
    assert not result.stderr


def test_interruption_keeps_the_part(origin: Origin, here: Path, capsys: Output) -> None:
    """Ctrl-C stops all downloads, keeps what has come, and says so; what was there already is reported, too."""
    assert main(["download", "-j", "1", origin.url("/x"), origin.url("/stop"), origin.url("/y")]) == Exit.INTERRUPTED
    out, err = capsys.readouterr()
    assert out == "x: 97.7 KiB\n"
    assert err.startswith("trioreply: interrupted; the first 58.6 KiB are in ")
    assert err.endswith(", and the same command goes on from there\n")
    assert len([name for name in names(here) if name.endswith(PART)]) == 1


def test_interruption_keeps_the_parts(server: Files, origin: Origin, capsys: Output) -> None:
    """When several were under way it is said how many have left something."""
    server.broken |= {"/hold"}
    server.halves = 2
    assert main(["download", origin.url("/stop"), origin.url("/hold")]) == Exit.INTERRUPTED
    message = capsys.readouterr().err
    assert message == "trioreply: interrupted; of 2 files there is a part, and the same command goes on from there\n"


@pytest.mark.parametrize("rich", [True, False])
def test_terminal_shows_a_bar_each(
    server: Files, *, origin: Origin, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: Output, rich: bool
) -> None:
    """On a terminal each download has a bar while it runs, if rich is installed; the lines come when they are gone."""
    if rich:
        pytest.importorskip("rich")
    else:
        without_rich(monkeypatch)
    server.together = 2
    urls = [origin.url("/wait-for-a-very-long-name.iso"), origin.url("/wait%5Bred%5D"), origin.url("/missing")]
    with contextlib.redirect_stderr(terminal.stream):
        assert main(["download", *urls]) == Exit.CONTENT
    shown = ESCAPES.sub("", terminal.shown())
    assert ("━" in shown, "wait-for-a-very-long-…" in shown, "wait[red]" in shown) == (rich, rich, rich)
    assert shown.rstrip().splitlines()[-1].startswith("trioreply: ")
    assert all(len(line) <= 80 for line in shown.splitlines() if "━" in line)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_one_login_is_for_all(server: Files, origin: Origin, person: Person, capsys: Output) -> None:
    """Somebody at a terminal is asked once who he is, however many downloads want to know, and the bars make room."""
    person.answers("me\n", "User name: ")
    person.answers("x\n", "Password: ")
    urls = [origin.url(f"/private{number}") for number in range(3)]
    assert person.runs(["download", origin.url("/x"), *urls]) == Exit.OK
    assert person.sees().count("User name: ") == 1
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_nothing_is_drawn_over_a_question(server: Files, origin: Origin, *, person: Person, terminal: Terminal) -> None:
    """While somebody is asked the other downloads go on, and their bars wait."""
    pytest.importorskip("rich")

    def answer() -> None:
        while not Path("wait-here").exists():
            os.sched_yield()
        terminal.type("me\n")

    def release() -> None:
        server.is_asked = True
        threading.Thread(target=answer).start()

    server.is_asked = False
    person.when("User name: ", release)
    person.answers("x\n", "Password: ")
    assert person.runs(["download", origin.url("/wait-here"), origin.url("/private")]) == Exit.OK
    assert "━" not in person.sees().partition("User name: ")[2].partition("Password: ")[0]


async def test_desk_has_room_and_one_question() -> None:
    """Whoever draws has left before a question is put, and while one is open no other is."""
    happened: list[str] = []
    may_answer = trio.Event()

    async def judge(reply: Reply, _event: Event, _elapsed: float) -> None:
        happened.append(f"{reply.url.path} busy {desk.is_busy}")
        await may_answer.wait()
        happened.append("answered")

    desk = Desk([judge], make_room=lambda: happened.append("room"))
    assert not desk.is_busy
    async with trioreply.open_manager() as manager, manager.get("data:,a") as one, manager.get("data:,b") as other:
        async with trio.open_nursery() as nursery:
            for reply in (one, other):
                nursery.start_soon(desk.ask, reply, Redirected(302, reply.url))
            await trio.testing.wait_all_tasks_blocked()
            assert len(happened) == 2
            may_answer.set()
    asked = [word for word in happened if "busy" in word]
    assert happened == ["room", asked[0], "answered", "room", asked[1], "answered"]
    assert all(word.endswith("busy True") for word in asked)


def test_declining_once_is_for_all(origin: Origin, person: Person) -> None:
    """Whoever gives no answer is not asked again, and gets the server's refusal for each."""
    person.answers("\n", "User name: ")
    urls = [origin.url(f"/private{number}") for number in range(3)]
    assert person.runs(["download", *urls]) == Exit.CONTENT
    assert person.sees().count("User name: ") == 1


@pytest.mark.parametrize(("answer", "code"), [("y\n", Exit.OK), ("n\n", Exit.TRANSPORT)])
def test_one_answer_about_a_certificate_is_for_all(
    server: Files, *, person: Person, capsys: Output, answer: str, code: Exit
) -> None:
    """A certificate is shown and asked about once, and the answer counts for all downloads from there."""
    person.answers(answer)
    with serving(server, DEVICE.serve()) as origin:
        assert person.runs(["download", *(origin.url(f"/{number}") for number in range(3))]) == code
    assert person.sees().count(QUESTION) == 1
    assert len(capsys.readouterr().out.splitlines()) == (3 if code is Exit.OK else 0)


def test_script_is_never_asked(server: Files, capsys: Output) -> None:
    """Without a terminal the certificate is shown once, and all downloads from there fail."""
    with serving(server, DEVICE.serve()) as origin:
        assert main(["download", origin.url("/x"), origin.url("/y")]) == Exit.TRANSPORT
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("The server's certificate cannot be trusted") == 1
    assert err.count("\ntrioreply: ") == 2


def test_password_is_asked_for_beforehand(origin: Origin, person: Person) -> None:
    """``-u`` without a password asks for it once, for all."""
    person.answers("x\n", "Password of me: ")
    assert person.runs(["download", "-u", "me", origin.url("/private1"), origin.url("/private2")]) == Exit.OK


def test_stores_that_cannot_be_written(origin: Origin, here: Path, capsys: Output) -> None:
    """What is wrong besides is said as well, and the code is still that of the first failure."""
    jar = here / "jar"

    async def spoil(request: OriginRequest) -> OriginResponse:
        jar.mkdir(exist_ok=True)
        return OriginResponse(404 if request.path == "/missing" else 200, body=await request.read())

    for path, code in (("/missing", Exit.CONTENT), ("/x", Exit.OUTPUT)):
        with serving(spoil) as spoiler:
            assert main(["download", "-c", str(jar), spoiler.url(path)]) == code
        assert "cannot write the cookies" in capsys.readouterr().err
        jar.rmdir()
