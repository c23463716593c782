"""The command as a function: arguments in; output, files and an exit code out."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import trioreply
from trioreply._cli.app import main
from trioreply._cli.exits import Exit
from trioreply._cli.transfer import head_lines
from trioreply.testing import OriginResponse, open_origin

from .conftest import ESCAPES, HALF, Terminal, Website
from .test_render import without_rich

Output = pytest.CaptureFixture[bytes]


def test_body_goes_to_standard_output(website: Website, capfdbinary: Output) -> None:
    """The body, and nothing else, is printed."""
    assert main([website.url("/hello")]) == Exit.OK
    assert capfdbinary.readouterr() == (b"hello\n", b"")


@pytest.mark.parametrize(("path", "size"), [("/large", 3_000_000), ("/chunked", 2 * len(HALF)), ("/empty", 0)])
def test_body_goes_to_file(website: Website, *, tmp_path: Path, capfdbinary: Output, path: str, size: int) -> None:
    """With ``-o`` the whole body is in the file, an empty one too, and nothing is printed."""
    file = tmp_path / "f"
    file.write_text("old")
    assert main(["-o", str(file), website.url(path)]) == Exit.OK
    assert file.stat().st_size == size
    assert capfdbinary.readouterr() == (b"", b"")


def test_data_url_needs_no_server(capfdbinary: Output) -> None:
    """A ``data:`` URL is printed like any other."""
    assert main(["data:,hi%0A"]) == Exit.OK
    assert capfdbinary.readouterr().out == b"hi\n"


def test_request_is_what_was_asked(website: Website, tmp_path: Path, capfdbinary: Output) -> None:
    """Method, fields and the file's content reach the server, and its answer is printed."""
    (tmp_path / "f").write_bytes(HALF)
    argv = ["-X", "PUT", "-H", "X-A: 1", "-H", "X-A: 2", "-d", f"@{tmp_path / 'f'}", website.url("/echo?q")]
    assert main(argv) == Exit.OK
    request = website.last()
    assert (request.method, request.target, request.header("x-a")) == ("PUT", "/echo?q", "1, 2")
    assert request.header("content-length") == str(len(HALF))
    assert capfdbinary.readouterr().out == HALF


@pytest.mark.parametrize(
    ("path", "code", "page", "message"),
    [
        ("/missing", Exit.CONTENT, b"not here\n", b"server replied with status code 404; check the path of the URL"),
        ("/broken", Exit.SERVER, b"sorry\n", b"server replied with status code 500"),
        ("/short", Exit.TRANSPORT, HALF, b"bytes of the response's body were missing; try again"),
    ],
)
def test_failure_is_a_line_and_a_code(
    website: Website, *, capfdbinary: Output, path: str, code: Exit, page: bytes, message: bytes
) -> None:
    """What came is printed, an error page too; the failure is one line, and its group is the exit code."""
    assert main([website.url(path)]) == code
    out, err = capfdbinary.readouterr()
    assert out == page
    assert err.startswith(b"trioreply: ")
    assert err.endswith(message + b"\n")
    assert err.count(b"\n") == 1


def test_partial_file_is_kept_and_named(website: Website, tmp_path: Path, capfdbinary: Output) -> None:
    """Of a transfer that fails half way the file keeps what came, and the message says so."""
    file = tmp_path / "f"
    assert main(["-o", str(file), website.url("/short")]) == Exit.TRANSPORT
    assert file.read_bytes() == HALF
    assert capfdbinary.readouterr().err.endswith(f"; the first 4.0 KiB are in {file}\n".encode())


def test_failed_request_leaves_the_file_alone(tmp_path: Path, capfdbinary: Output) -> None:
    """A file is not touched unless there is something to write."""
    file = tmp_path / "f"
    file.write_text("old")
    assert main(["-o", str(file), "gopher://example.org/"]) == Exit.PROTOCOL
    assert file.read_text() == "old"
    assert b'Protocol "gopher" is unknown' in capfdbinary.readouterr().err


def test_full_disk(website: Website, capfdbinary: Output) -> None:
    """An output that cannot be written stops the transfer, with a code of its own."""
    assert main(["-o", "/dev/full", website.url("/large")]) == Exit.OUTPUT
    assert capfdbinary.readouterr().err == b"trioreply: cannot write to /dev/full: No space left on device\n"


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a disk that becomes full."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_disk_that_becomes_full(website: Website, tmp_path: Path, capfdbinary: Output) -> None:
    """When a file can be written no further, the message says why, and once how much is in it."""
    file = tmp_path / "f"
    with no_file_larger_than(256 * 1024):
        assert main(["-o", str(file), website.url("/large")]) == Exit.OUTPUT
    kept = f"; the first 256.0 KiB are in {file}"
    assert capfdbinary.readouterr().err.decode() == f"trioreply: cannot write to {file}: File too large{kept}\n"


@pytest.mark.parametrize("option", ["--timeout", "--max-time"])
def test_time_limits(website: Website, capfdbinary: Output, option: str) -> None:
    """A transfer that stalls ends when its time is over, and the message names the option."""
    assert main([option, "0.05", website.url("/stall")]) == Exit.TRANSPORT
    message = capfdbinary.readouterr().err.decode()
    assert option in message
    assert "cancel scope" not in message


def test_verbose_shows_the_events(website: Website, capfdbinary: Output) -> None:
    """``-v`` prints each event with its time, and under a head what the server said."""
    assert main(["-v", website.url("/hello")]) == Exit.OK
    out, err = capfdbinary.readouterr()
    assert out == b"hello\n"
    lines = err.decode().splitlines()
    names = [line.split()[2] for line in lines if " ms  " in line]
    assert names == ["SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ReadyRead", "Progress", "Finished"]
    at = next(number for number, line in enumerate(lines) if "MetaDataChanged" in line)
    said = [line.strip() for line in lines[at + 1 : at + 4]]
    assert said == ["< HTTP/1.1 200 Fine", "< X-One: 1", "< X-One: 2"]


def test_verbose_shows_nothing_that_steers_the_terminal(website: Website, capfdbinary: Output) -> None:
    """A field with a terminal's control character in it is shown, not obeyed."""
    assert main(["-v", website.steering_url]) == Exit.OK
    assert rb"< X-Steer: a\x9b31m[red]" in capfdbinary.readouterr().err


async def test_reason_belongs_to_its_status() -> None:
    """An event of an earlier response is not shown with the reason phrase of the one that the reply is at."""
    async with (
        open_origin({"/": OriginResponse(reason="Fine")}) as origin,
        trioreply.open_manager() as manager,
        manager.get(origin.url()) as reply,
    ):
        await reply.wait_finished()
        assert head_lines(reply, trioreply.MetaDataChanged(200, reply.request.headers))[0] == "HTTP/1.1 200 Fine"
        assert head_lines(reply, trioreply.MetaDataChanged(302, reply.request.headers))[0] == "HTTP/1.1 302"


def test_verbose_without_status(capfdbinary: Output) -> None:
    """A scheme without statuses has fields, and no status line."""
    assert main(["-v", "data:text/plain,x"]) == Exit.OK
    assert b"MetaDataChanged         no status, 2 headers\n          < Content-Type" in capfdbinary.readouterr().err


def test_events_are_lines_of_json(website: Website, capfdbinary: Output) -> None:
    """``--events`` prints one object for each event, in order, and no body."""
    assert main(["--events", website.url("/missing")]) == Exit.CONTENT
    records = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [record["event"] for record in records] == [
        "SocketStartedConnecting",
        "RequestSent",
        "MetaDataChanged",
        "ReadyRead",
        "ErrorOccurred",
        "Progress",
        "Finished",
    ]
    times = [record["time"] for record in records]
    assert times == sorted(times)
    assert times[0] >= 0
    assert records[2]["status_code"] == 404
    assert ["Content-Length", "9"] in records[2]["headers"]
    assert records[-1]["error"] == "CONTENT_NOT_FOUND"


def test_events_and_a_file(website: Website, tmp_path: Path, capfdbinary: Output) -> None:
    """``--events`` with ``-o`` prints the events and saves the body."""
    file = tmp_path / "f"
    assert main(["--events", "-o", str(file), website.url("/hello")]) == Exit.OK
    assert file.read_bytes() == b"hello\n"
    assert json.loads(capfdbinary.readouterr().out.splitlines()[-1])["event"] == "Finished"


def test_head_is_printed(website: Website, capfdbinary: Output) -> None:
    """``-I`` asks with HEAD, and prints status line and fields."""
    assert main(["-I", website.url("/hello")]) == Exit.OK
    assert website.last().method == "HEAD"
    assert capfdbinary.readouterr().out == b"HTTP/1.1 200 Fine\nX-One: 1\nX-One: 2\nContent-Length: 6\n"


def test_usage_error(capfdbinary: Output) -> None:
    """Wrong usage is one line on standard error and code 2."""
    assert main(["--nonsense"]) == Exit.USAGE
    assert capfdbinary.readouterr() == (
        b"",
        b"trioreply: the following arguments are required: URL; see trioreply --help\n",
    )


def test_help_and_version(capfdbinary: Output) -> None:
    """``--help`` and ``--version`` print and succeed; the help explains every exit code."""
    assert main(["--version"]) == Exit.OK
    assert capfdbinary.readouterr().out == f"trioreply {trioreply.__version__}\n".encode()
    assert main(["--help"]) == Exit.OK
    text = capfdbinary.readouterr().out.decode()
    assert "examples:" in text
    assert all(f"\n  {code:>3}  " in text for code in Exit)
    assert main(["demo", "--help"]) == Exit.OK
    assert "six transfers" in capfdbinary.readouterr().out.decode()


@pytest.mark.parametrize(
    ("name", "code", "word"), [("SIGINT", Exit.INTERRUPTED, "interrupted"), ("SIGTERM", Exit.TERMINATED, "terminated")]
)
def test_signal_ends_the_transfer(website: Website, *, capfdbinary: Output, name: str, code: Exit, word: str) -> None:
    """Ctrl-C aborts the transfer, which the server sees, and is an exit code and not a traceback."""
    website.client_gone.clear()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main([website.url(f"/signal?{name}")]) == code
    assert capfdbinary.readouterr().err == f"trioreply: {word}\n".encode()
    assert website.client_gone.wait(10)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


class InterruptedPage(io.StringIO):
    """A standard output at which somebody presses Ctrl-C while the first transfer is told."""

    def write(self, text: str, /) -> int:
        """Write ``text``."""
        if "RequestSent" in text and "RequestSent" not in self.getvalue():
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def test_demo_can_be_interrupted(capfdbinary: Output) -> None:
    """Ctrl-C ends the demo, too, and leaves no verdict."""
    with contextlib.redirect_stdout(InterruptedPage()) as page:
        assert main(["demo"]) == Exit.INTERRUPTED
    assert "RequestSent" in page.getvalue()
    assert "promised" not in page.getvalue()
    assert capfdbinary.readouterr().err == b"trioreply: interrupted\n"


@contextlib.contextmanager
def ignoring(number: signal.Signals) -> Iterator[None]:
    """As in a background job of a shell without job control."""
    previous = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, previous)


def test_ignored_signal_stays_ignored(website: Website, capfdbinary: Output) -> None:
    """A signal that the shell told us to ignore does not end the transfer."""
    with ignoring(signal.SIGINT):
        assert main(["--max-time", "0.2", website.url("/signal?SIGINT")]) == Exit.TRANSPORT
    assert b"--max-time" in capfdbinary.readouterr().err


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("argv", [["/large"], ["-d", "x", "/echo"]], ids=["download", "upload"])
def test_terminal_shows_progress(
    website: Website,
    *,
    terminal: Terminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rich: bool,
    argv: list[str],
) -> None:
    """On a terminal, with the body in a file, both directions have their progress, with rich and without."""
    if rich:
        pytest.importorskip("rich")
    else:
        without_rich(monkeypatch)
    with contextlib.redirect_stderr(terminal.stream):
        assert main([*argv[:-1], "-o", str(tmp_path / "f"), website.url(argv[-1])]) == Exit.OK
    shown = terminal.shown()
    assert ("upload" in shown, "━" in shown) == ("-d" in argv, rich)
    assert "1 of 1 B" in shown if "-d" in argv else "2.9 of 2.9 MiB" in shown


def test_nothing_comes_is_no_bar(website: Website, terminal: Terminal, tmp_path: Path) -> None:
    """The length of what HEAD only describes is not shown as something to wait for."""
    with contextlib.redirect_stderr(terminal.stream):
        assert main(["-I", "-o", str(tmp_path / "f"), website.url("/large")]) == Exit.OK
    assert terminal.shown() == ""


def test_error_stands_below_the_bar(website: Website, terminal: Terminal, tmp_path: Path) -> None:
    """When a transfer fails its bar is finished first, and the message has a line of its own."""
    with contextlib.redirect_stderr(terminal.stream):
        assert main(["-o", str(tmp_path / "f"), website.url("/short")]) == Exit.TRANSPORT
    lines = terminal.shown().splitlines()
    assert any("4.0 of 8.0 KiB" in line for line in lines)
    assert "trioreply: " in lines[-2] + lines[-1]


Choice = Callable[[Path], list[str]]


@pytest.mark.parametrize(
    ("choose", "has_bar"),
    [
        (lambda file: ["-o", str(file)], True),
        (lambda _: [], False),
        (lambda file: ["--events", "-o", str(file)], False),
        (lambda file: ["-v", "-o", str(file)], False),
    ],
    ids=["file", "body", "events", "verbose"],
)
def test_bar_needs_the_terminal_for_itself(
    website: Website, *, terminal: Terminal, tmp_path: Path, choose: Choice, has_bar: bool
) -> None:
    """There is no bar where body, events or JSON are shown on the same terminal."""
    with contextlib.redirect_stderr(terminal.stream), contextlib.redirect_stdout(terminal.stream):
        assert main([*choose(tmp_path / "f"), website.url("/chunked")]) == Exit.OK
    lines = ESCAPES.sub("", terminal.shown()).splitlines()
    assert any(line.startswith("download") for line in lines) == has_bar


def test_demo_keeps_its_promises(capfdbinary: Output) -> None:
    """``trioreply demo`` succeeds, and says so for each of its six transfers."""
    assert main(["demo"]) == Exit.OK
    text = capfdbinary.readouterr().out.decode()
    assert text.split("Did everything go as promised?\n")[1].count("  ok      ") == 6
    assert max(len(line) for line in text.splitlines()) <= 80
