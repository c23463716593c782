"""Colours and bars, drawn with rich; the only file that knows it. Imported when it is needed and installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import Direction, Progress
from .wording import amount, size

NAME_WIDTH = 22
"""Columns for the name of a download, and for its bar: with the numbers behind them that is a line of 80."""


class RichPrinter:
    """A `Printer` with colours, for a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)

    @property
    def blocks(self) -> tuple[str, str]:
        """See `Printer`."""
        return ("#", ".") if self._console.options.ascii_only else ("█", "░")

    def line(self, *parts: tuple[str, str]) -> None:
        """See `Printer`."""
        # Text, because print() would take square brackets for markup. Unwrapped, because terminals wrap what can be
        # copied as one line again.
        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def table(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """See `Printer`."""
        table = Table(title=Text(title, "bold red"), title_justify="left", show_header=False)
        table.add_column(style="dim")
        # Folded, because digests have no place to break at, and must be seen in full.
        table.add_column(overflow="fold")
        for name, text in rows:
            table.add_row(name, Text(text, "bold" if name == "problem" else ""))
        self._console.print(table)

    def prompt(self, text: str) -> None:
        """See `Printer`."""
        self._console.print(Text(text, "bold"), end="")


class _Speed(bars.ProgressColumn):
    """Bytes per second; rich's own column counts in other units than we do."""

    def render(self, task: bars.Task) -> Text:
        return Text("" if task.speed is None else f"{size(int(task.speed))}/s")


class RichBars:
    """A bar for each direction, drawn when there is news: no thread, and no clock of its own."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._bars: bars.Progress | None = None
        self._tasks: dict[Direction, bars.TaskID] = {}

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        if self._bars is None:
            self._bars = self._open()
        if progress.direction not in self._tasks:
            self._tasks[progress.direction] = self._bars.add_task(progress.direction.value, amount="")
        task = self._tasks[progress.direction]
        self._bars.update(task, completed=progress.done, total=progress.total, amount=amount(progress), refresh=True)

    def close(self) -> None:
        """See `ProgressDisplay`."""
        if self._bars is not None:
            self._bars.stop()
            # If they were started again they would erase as many lines as they had, which are somebody else's now.
            self._bars = None
            self._tasks.clear()

    def _open(self) -> bars.Progress:
        return _open_bars(self._stream, self._clock, (bars.TextColumn("{task.description:<8}"), bars.BarColumn()))


class RichDownloads:
    """A bar for each download that runs; drawn as `RichBars` are."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._bars: bars.Progress | None = None
        self._tasks: dict[int, bars.TaskID] = {}

    def show(self, number: int, name: str, progress: Progress) -> None:
        """See `DownloadDisplay`."""
        if self._bars is None:
            # No markup, because a server may choose names. Narrower, because names need room.
            names = bars.TextColumn("{task.description}", markup=False)
            columns = (names, bars.BarColumn(bar_width=NAME_WIDTH))
            self._bars = _open_bars(self._stream, self._clock, columns)
        if number not in self._tasks:
            shown = name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"
            self._tasks[number] = self._bars.add_task(shown, amount="")
        task = self._tasks[number]
        self._bars.update(task, completed=progress.done, total=progress.total, amount=amount(progress), refresh=True)

    def finish(self, number: int) -> None:
        """See `DownloadDisplay`."""
        task = self._tasks.pop(number, None)
        if self._bars is not None and task is not None:
            self._bars.remove_task(task)
            self._bars.refresh()

    def close(self) -> None:
        """See `DownloadDisplay`."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()


def _open_bars(stream: TextIO, clock: Callable[[], float], columns: tuple[bars.ProgressColumn, ...]) -> bars.Progress:
    opened = bars.Progress(
        *columns,
        bars.TextColumn("{task.fields[amount]}"),
        _Speed(),
        bars.TimeRemainingColumn(),
        console=Console(file=stream),
        auto_refresh=False,
        get_time=clock,
    )
    opened.start()
    return opened
