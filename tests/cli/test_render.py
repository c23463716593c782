"""What people see, with rich and without."""

from __future__ import annotations

import io
import re
import sys

import pytest
import trio
from trio.testing import MockClock

from trioreply import Direction, ErrorOccurred, Event, Finished, NetworkError, Progress, ReadyRead
from trioreply._cli.render import Style, is_terminal, open_downloads, open_printer, open_progress, print_event

from .conftest import ESCAPES, Terminal

HALF = Progress(Direction.DOWNLOAD, 512, 1024)


def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if rich were not installed."""
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.delitem(sys.modules, "trioreply._cli.drawing", raising=False)


def event_line(stream: io.StringIO, event: Event, *, width: int | None = None) -> str:
    """What is printed of ``event`` when it comes after 1.25 ms."""
    print_event(open_printer(stream), event, elapsed=0.00125, width=width)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ReadyRead(5), "    1.2 ms  ReadyRead               5 B\n"),
        (HALF, "    1.2 ms  Progress                download #####.....  50% 512 B of 1.0 KiB\n"),
        (Progress(Direction.UPLOAD, 512), "    1.2 ms  Progress                upload 512 B\n"),
        (Progress(Direction.UPLOAD, 0, 0), "    1.2 ms  Progress                upload 0 B\n"),
    ],
)
def test_event_is_a_line(event: Event, line: str) -> None:
    """An event is one line: time, name, and what is worth saying; progress has a bar if its end is known."""
    assert event_line(io.StringIO(), event) == line


def test_long_event_is_wrapped_where_asked() -> None:
    """With a width, long words go on below themselves; without, they are one line."""
    event = ErrorOccurred(NetworkError.TIMEOUT, "word " * 30)
    assert event_line(io.StringIO(), event).count("\n") == 1
    lines = event_line(io.StringIO(), event, width=80).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert {line[:36] for line in lines[1:]} == {" " * 36}


def test_closed_stream_is_silence() -> None:
    """With standard error closed nothing is printed, and nothing fails."""
    open_printer(None).line(("text", Style.BAD))
    assert not is_terminal(None)


def test_terminal_gets_colours(terminal: Terminal) -> None:
    """On a terminal failure is red and success green, and the text says the same as without colours."""
    pytest.importorskip("rich")
    printer = open_printer(terminal.stream)
    for event in (ReadyRead(1), HALF, ErrorOccurred(NetworkError.TIMEOUT, "[red]late"), Finished(NetworkError.TIMEOUT)):
        print_event(printer, event, elapsed=0)
    print_event(printer, Finished(NetworkError.NO_ERROR), elapsed=0)
    shown = terminal.shown()
    assert shown.count("\x1b[1;31m") == 2
    assert shown.count("\x1b[1;32m") == 1
    assert "TIMEOUT: [red]late\n" in shown
    assert "download █████░░░░░  50% 512 B of 1.0 KiB\n" in shown
    assert "    0.0 ms  ReadyRead               1 B\n" in ESCAPES.sub("", shown)


async def test_downloads_leave_the_bars_when_they_are_over(terminal: Terminal) -> None:
    """A bar goes on where it was, and is gone with its download; after a pause bars are drawn anew."""
    pytest.importorskip("rich")
    display = open_downloads(terminal.stream)
    assert display is not None
    display.close()
    display.finish(1)
    display.show(2, "two", HALF)
    display.close()
    for done in (256, 512):
        display.show(1, "one", Progress(Direction.DOWNLOAD, done, 1024))
    display.show(2, "two", HALF)
    display.finish(1)
    display.finish(3)
    display.close()
    last_frames = ESCAPES.sub("", terminal.shown()).rpartition("one")[2]
    assert "512 B of 1.0 KiB" in last_frames
    assert last_frames.count("two") >= 2


def test_ascii_terminal_gets_ascii(terminal: Terminal) -> None:
    """A terminal that cannot show blocks gets bars of ordinary characters."""
    pytest.importorskip("rich")
    terminal.stream.reconfigure(encoding="ascii")  # type: ignore[attr-defined]  # it is a TextIOWrapper
    print_event(open_printer(terminal.stream), HALF, elapsed=0)
    assert "#####....." in terminal.shown()


def test_table_shows_every_digit(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a narrow terminal cannot show on one line goes on below it: a digest is of use as a whole only."""
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "40")
    digest = "".join(f"{number:02x}" for number in range(100))
    open_printer(terminal.stream).table("[red]title", [("problem", "[bold]words"), ("sha256", digest)])
    shown = ESCAPES.sub("", terminal.shown())
    assert max(len(line) for line in shown.splitlines()) <= 40
    assert "[red]title" in shown
    assert "[bold]words" in shown
    assert digest in re.sub(r"[^0-9a-f]", "", shown.partition("sha256")[2])


def test_plain_table_and_question(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rich a table is lines in two columns, and a question leaves the cursor behind it; closed, silence."""
    without_rich(monkeypatch)
    for printer in (open_printer(terminal.stream), open_printer(None)):
        printer.table("title", [("a", "1"), ("bcd", "2")])
        printer.prompt("really? ")
    assert terminal.shown() == "title:\n  a    1\n  bcd  2\nreally? "


@pytest.mark.parametrize("reason", ["dumb", "no rich"])
def test_terminal_without_colours(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """Without rich, or on a terminal that says it is dumb, lines are plain text."""
    if reason == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    else:
        without_rich(monkeypatch)
    open_printer(terminal.stream).line(("a", Style.BAD), ("b ", Style.PLAIN))
    assert terminal.shown() == "ab\n"


async def show(terminal: Terminal, *moments: tuple[float, Progress]) -> str:
    """What a terminal shows of progress that comes at these seconds."""
    started = trio.current_time()
    with open_progress(terminal.stream) as display:
        for seconds, progress in moments:
            await trio.sleep_until(started + seconds)
            display.show(progress)
    return terminal.shown()


async def test_progress_in_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Without rich progress is a line a second, and one for the end, which is said once."""
    without_rich(monkeypatch)
    shown = await show(
        terminal,
        (0.0, Progress(Direction.DOWNLOAD, 1024, 4096)),
        (0.5, Progress(Direction.DOWNLOAD, 2048, 4096)),
        (1.0, Progress(Direction.DOWNLOAD, 3072, 4096)),
        (1.1, Progress(Direction.DOWNLOAD, 4096, 4096)),
        (5.0, Progress(Direction.DOWNLOAD, 4096, 4096)),
    )
    assert shown == ("download 25% 1.0 of 4.0 KiB\ndownload 75% 3.0 of 4.0 KiB\ndownload 100% 4.0 of 4.0 KiB\n")


async def test_progress_in_lines_without_total(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Without a total progress is how much has come."""
    without_rich(monkeypatch)
    shown = await show(terminal, (0.0, Progress(Direction.UPLOAD, 10)), (0.1, Progress(Direction.UPLOAD, 11)))
    assert shown == "upload 10 B\n"


async def test_progress_in_bars(terminal: Terminal, autojump_clock: MockClock) -> None:
    """With rich each direction has a bar, with amount and speed by Trio's clock."""
    pytest.importorskip("rich")
    shown = await show(
        terminal,
        (0.0, Progress(Direction.UPLOAD, 1024, 1024)),
        (0.0, Progress(Direction.DOWNLOAD, 1024, 4096)),
        (1.0, Progress(Direction.DOWNLOAD, 2048, 4096)),
        (2.0, Progress(Direction.DOWNLOAD, 3072, 4096)),
    )
    last = ESCAPES.sub("", shown).rstrip().splitlines()[-2:]
    assert last[0].startswith("upload   ━━━")
    assert "1.0 of 1.0 KiB" in last[0]
    assert last[1].startswith("download ━━━")
    assert "3.0 of 4.0 KiB 1.0 KiB/s" in last[1]
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is back"


async def test_nothing_to_show_is_no_bar(terminal: Terminal) -> None:
    """A display that was never told anything draws nothing."""
    pytest.importorskip("rich")
    assert await show(terminal) == ""
