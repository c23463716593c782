"""What people see: lines with a little colour, and the progress of a transfer.

rich is optional and slow to import, so the file that draws with it is imported when there is a terminal to draw on.
Everything works without it: the same lines without colour, and progress as a line of text now and then. A terminal
that calls itself ``dumb`` gets that as well.
"""

from __future__ import annotations

import enum
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol, TextIO

import trio
from attrs import frozen

from .. import ErrorOccurred, Event, Finished, NetworkError, Progress
from .wording import amount, details, percent, printable

LINE_SECONDS = 1.0
"""The shortest time between two lines of progress: each stays on the screen for ever."""
BAR_WIDTH = 10
NAME_WIDTH = len("SocketStartedConnecting")
"""Wide enough for the names that everybody sees."""


class Style(enum.StrEnum):
    """How a piece of a line looks, in rich's words."""

    PLAIN = ""
    DIM = "dim"
    HEADING = "bold"
    EVENT = "cyan"
    SERVER = "magenta"
    GOOD = "bold green"
    BAD = "bold red"


class LinePrinter(Protocol):
    """Prints lines."""

    @property
    def blocks(self) -> tuple[str, str]:
        """What the full and the empty part of a bar are made of."""
        ...

    def line(self, *parts: tuple[str, Style]) -> None:
        """Print a line made of texts with their styles, at once."""
        ...


class Printer(LinePrinter, Protocol):
    """Prints other things, too."""

    def table(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Print ``rows`` of names and texts below a title."""
        ...

    def prompt(self, text: str) -> None:
        """Print ``text``, and leave the cursor behind it."""
        ...


class ProgressDisplay(Protocol):
    """Shows how far a transfer is."""

    def show(self, progress: Progress) -> None:
        """It is that far; there is something to show."""
        ...

    def close(self) -> None:
        """Leave the terminal to others. It may be shown again afterwards, below what they have written."""
        ...


class DownloadDisplay(Protocol):
    """Shows how far several downloads are, each on a line of its own."""

    def show(self, number: int, name: str, progress: Progress) -> None:
        """The download of this number is that far."""
        ...

    def finish(self, number: int) -> None:
        """It is over, and need not be shown any more."""
        ...

    def close(self) -> None:
        """See `ProgressDisplay.close`."""
        ...


@frozen
class Numbered:
    """A printer that puts a number before each line, to tell several transfers apart."""

    printer: LinePrinter
    number: int

    @property
    def blocks(self) -> tuple[str, str]:
        """See `LinePrinter`."""
        return self.printer.blocks

    def line(self, *parts: tuple[str, Style]) -> None:
        """See `LinePrinter`."""
        self.printer.line((f"[{self.number}] ", Style.DIM), *parts)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at ``stream``; ``None`` is what Python has for a closed one."""
    return stream is not None and stream.isatty()


def open_printer(stream: TextIO | None) -> Printer:
    """A printer on ``stream``, coloured if that is a terminal and rich is installed."""
    if stream is None or not _rich_can_draw(stream):
        return _PlainPrinter(stream)
    from .drawing import RichPrinter  # rich may not be installed

    return RichPrinter(stream)


@contextmanager
def open_progress(stream: TextIO) -> Iterator[ProgressDisplay]:
    """A display on the terminal ``stream``: bars if rich is installed, else lines."""
    display: ProgressDisplay = _ProgressLines(_PlainPrinter(stream))
    if _rich_can_draw(stream):
        from .drawing import RichBars  # rich may not be installed

        display = RichBars(stream, clock=trio.current_time)
    try:
        yield display
    finally:
        display.close()


def open_downloads(stream: TextIO) -> DownloadDisplay | None:
    """Bars for downloads on the terminal ``stream``; ``None`` if rich is not installed."""
    if not _rich_can_draw(stream):
        return None
    from .drawing import RichDownloads  # rich may not be installed

    return RichDownloads(stream, clock=trio.current_time)


def print_failure(printer: LinePrinter, message: str) -> None:
    """Print what went wrong, on one line."""
    printer.line(("trioreply: ", Style.BAD), (printable(message), Style.PLAIN))


def print_event(printer: LinePrinter, event: Event, *, elapsed: float, width: int | None = None) -> None:
    """Print ``event`` on one line, or on as many as ``width`` columns need; ``elapsed`` are seconds."""
    label = (type(event).__name__, _style(event))
    text = details(event)
    if isinstance(event, Progress) and event.fraction is not None and event.total:
        full = int(event.fraction * BAR_WIDTH)
        done, open_ = printer.blocks
        bar = done * full + open_ * (BAR_WIDTH - full)
        text = f"{event.direction.value:<8} {bar} {percent(event):>4} {amount(event)}"
    print_moment(printer, label, text, elapsed=elapsed, width=width)


def print_moment(
    printer: LinePrinter, label: tuple[str, Style], text: str, *, elapsed: float, width: int | None = None
) -> None:
    """Print an entry of a timeline; see `print_event`."""
    name, style = label
    start, label_text = f"{elapsed * 1000:7.1f} ms  ", f"{name:<{NAME_WIDTH}} "
    indent = len(start) + len(label_text)
    first, *more = [text] if width is None else textwrap.wrap(text, width - indent) or [""]
    printer.line((start, Style.DIM), (label_text, style), (first, Style.PLAIN))
    for rest in more:
        printer.line((" " * indent + rest, Style.PLAIN))


def _style(event: Event) -> Style:
    if isinstance(event, ErrorOccurred):
        return Style.BAD
    if isinstance(event, Finished):
        return Style.GOOD if event.error is NetworkError.NO_ERROR else Style.BAD
    return Style.EVENT


def _rich_can_draw(stream: TextIO) -> bool:
    return is_terminal(stream) and os.environ.get("TERM") != "dumb" and find_spec("rich") is not None


class _PlainPrinter:
    blocks = ("#", ".")

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def line(self, *parts: tuple[str, Style]) -> None:
        if self._stream is not None:
            self._stream.write("".join(text for text, _ in parts).rstrip() + "\n")
            self._stream.flush()

    def table(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        self.line((f"{title}:", Style.PLAIN))
        width = max(len(name) for name, _ in rows)
        for name, text in rows:
            self.line((f"  {name:<{width}}  {text}", Style.PLAIN))

    def prompt(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


class _ProgressLines:
    """Progress as text: a line per second, and one for the end."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._next = 0.0
        self._last = ""

    def show(self, progress: Progress) -> None:
        line = f"{progress.direction.value} {percent(progress)} {amount(progress)}".replace("  ", " ")
        is_complete = progress.total is not None and progress.done >= progress.total
        now = trio.current_time()
        if line != self._last and (is_complete or now >= self._next):
            self._next = now + LINE_SECONDS
            self._last = line
            self._printer.line((line, Style.PLAIN))

    def close(self) -> None:
        pass
