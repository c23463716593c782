"""What people see: lines with a little colour, and the progress of a transfer. The only file that knows rich.

rich is optional and slow to import, so it is asked for when there is a terminal to draw on, and everything here works without
it: the same lines without colour, and progress as a line of text now and then. A terminal that calls itself ``dumb`` gets that
as well.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TextIO

import trio

from .. import Direction, ErrorOccurred, Event, Finished, NetworkError, Progress
from .wording import amount, details, percent

if TYPE_CHECKING:
    from rich.progress import TaskID

LINE_SECONDS = 1.0
"""The shortest time between two lines of progress: each stays on the screen for ever."""
BAR_WIDTH = 10
NAME_WIDTH = len("SocketStartedConnecting")
"""Wide enough for the names that everybody sees; with it a line of an event has at most 80 columns."""


class Style(enum.StrEnum):
    """How a piece of a line looks, in rich's words."""

    PLAIN = ""
    DIM = "dim"
    HEADING = "bold"
    EVENT = "cyan"
    SERVER = "magenta"
    GOOD = "bold green"
    BAD = "bold red"


class Printer(Protocol):
    """Prints lines."""

    def line(self, *parts: tuple[str, Style]) -> None:
        """Print a line made of texts with their styles, at once."""
        ...

    def bar(self, fraction: float) -> str:
        """A bar of `BAR_WIDTH` characters that is full at 1.0."""
        ...


class ProgressDisplay(Protocol):
    """Shows how far a transfer is."""

    def show(self, progress: Progress) -> None:
        """It is that far."""
        ...


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at ``stream``; ``None`` is what Python has for a closed one."""
    return stream is not None and stream.isatty()


def open_printer(stream: TextIO | None) -> Printer:
    """A printer on ``stream``, coloured if that is a terminal and rich is installed."""
    if stream is not None and _rich_can_draw(stream):
        return _RichPrinter(stream)
    return _PlainPrinter(stream)


@contextmanager
def open_progress(stream: TextIO) -> Iterator[ProgressDisplay]:
    """A display on the terminal ``stream``: bars if rich is installed, else lines."""
    if not _rich_can_draw(stream):
        yield _ProgressLines(_PlainPrinter(stream))
        return
    bars = _RichBars(stream)
    try:
        yield bars
    finally:
        bars.close()


def print_event(printer: Printer, event: Event, *, elapsed: float) -> None:
    """Print ``event`` on one line; ``elapsed`` are seconds."""
    style = Style.EVENT
    if isinstance(event, ErrorOccurred) or (isinstance(event, Finished) and event.error is not NetworkError.NO_ERROR):
        style = Style.BAD
    elif isinstance(event, Finished):
        style = Style.GOOD
    if isinstance(event, Progress) and event.fraction is not None:
        text = f"{event.direction.value:<8} {printer.bar(event.fraction)} {percent(event):>4} {amount(event)}"
    else:
        text = details(event)
    print_moment(printer, (type(event).__name__, style), text, elapsed=elapsed)


def print_moment(printer: Printer, label: tuple[str, Style], text: str, *, elapsed: float) -> None:
    """Print a line of a timeline; ``elapsed`` are seconds."""
    name, style = label
    printer.line((f"{elapsed * 1000:7.1f} ms  ", Style.DIM), (f"{name:<{NAME_WIDTH}} ", style), (text, Style.PLAIN))


def _rich_can_draw(stream: TextIO) -> bool:
    return is_terminal(stream) and os.environ.get("TERM") != "dumb" and find_spec("rich") is not None


class _PlainPrinter:
    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def line(self, *parts: tuple[str, Style]) -> None:
        if self._stream is not None:
            self._stream.write("".join(text for text, _ in parts).rstrip() + "\n")
            self._stream.flush()

    def bar(self, fraction: float) -> str:
        full = int(fraction * BAR_WIDTH)
        return "#" * full + "." * (BAR_WIDTH - full)


class _RichPrinter:
    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.text import Text

        self._console = Console(file=stream, highlight=False)
        self._text = Text

    def line(self, *parts: tuple[str, Style]) -> None:
        # Text, because print() would take square brackets for markup. The terminal wraps better than a cropped line reads.
        self._console.print(self._text.assemble(*((text, style.value) for text, style in parts)), soft_wrap=True)

    def bar(self, fraction: float) -> str:
        full = int(fraction * BAR_WIDTH)
        done, open_ = ("#", ".") if self._console.options.ascii_only else ("█", "░")
        return done * full + open_ * (BAR_WIDTH - full)


class _ProgressLines:
    """Progress as text: a line per second, and one for the end."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._next = 0.0
        self._last = ""

    def show(self, progress: Progress) -> None:
        line = f"{progress.direction.value} {amount(progress)}"
        is_complete = progress.total is not None and progress.done >= progress.total
        now = trio.current_time()
        if progress.done and line != self._last and (is_complete or now >= self._next):
            self._next = now + LINE_SECONDS
            self._last = line
            self._printer.line((line, Style.PLAIN))


class _RichBars:
    """A bar for each direction, drawn when there is news: no thread, no clock of its own."""

    def __init__(self, stream: TextIO) -> None:
        from rich import progress
        from rich.console import Console

        self._bars = progress.Progress(
            progress.TextColumn("{task.description:<8}"),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(file=stream),
            auto_refresh=False,
            get_time=trio.current_time,
        )
        self._tasks: dict[Direction, TaskID] = {}

    def show(self, progress: Progress) -> None:
        if not progress.done:
            return
        if not self._tasks:
            self._bars.start()
        if progress.direction not in self._tasks:
            self._tasks[progress.direction] = self._bars.add_task(progress.direction.value, total=progress.total)
        task = self._tasks[progress.direction]
        self._bars.update(task, completed=progress.done, total=progress.total, refresh=True)

    def close(self) -> None:
        if self._tasks:
            self._bars.stop()
