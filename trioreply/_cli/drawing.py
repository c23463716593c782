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
        opened = bars.Progress(
            bars.TextColumn("{task.description:<8}"),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[amount]}"),
            _Speed(),
            bars.TimeRemainingColumn(),
            console=Console(file=self._stream),
            auto_refresh=False,
            get_time=self._clock,
        )
        opened.start()
        return opened
