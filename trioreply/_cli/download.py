"""``trioreply download``: several downloads at once, and what is said about them.

A few tasks take the URLs one after the other. What is said about a file (a line on standard output when it is there, a
line on standard error when it failed) comes at once, unless bars are drawn on the terminal: then it waits until they
are gone, for both may be the same terminal.

The exit code is that of the first download that failed. What a download that did not come to its end has left on the
disk is said with its failure, or with what stopped all of them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import trio
from attrs import frozen
from yarl import URL

from .. import ContentError, Download, Event, Limits, Manager, Progress, ReplyError
from .asking import Dialogue
from .download_options import Downloads
from .exits import CommandError, Exit
from .parsing import as_wrong_usage
from .questions import Desk, judges, with_passwords
from .render import DownloadDisplay, LinePrinter, Numbered, Style, open_printer, print_event, print_failure
from .tasks import together
from .transfer import failure, print_events, too_late, with_manager
from .wording import printable, shown_url, size

_GOES_ON = "and the same command goes on from there"


class Report:
    """Says what became of each download, when the terminal is free for it.

    Args:
        display: where bars are drawn; ``None`` if there are none.
    """

    def __init__(self, display: DownloadDisplay | None) -> None:
        self._display = display
        self._waiting: list[Callable[[], None]] = []

    def show(self, number: int, name: str, progress: Progress) -> None:
        """The download of this number is that far."""
        if self._display is not None and progress.done:
            self._display.show(number, printable(name), progress)

    def make_room(self) -> None:
        """Leave the terminal to others for a moment."""
        if self._display is not None:
            self._display.close()

    def done(self, number: int, path: Path, octets: int) -> None:
        """The download of this number is a file of so many bytes."""
        self._say(
            number, lambda: open_printer(sys.stdout).line((f"{printable(str(path))}: {size(octets)}", Style.PLAIN))
        )

    def failed(self, number: int, message: str) -> None:
        """The download of this number has failed."""
        self._say(number, lambda: print_failure(open_printer(sys.stderr), message))

    def close(self) -> None:
        """End the bars, and say what had to wait."""
        display, self._display = self._display, None
        if display is not None:
            display.close()
        while self._waiting:
            self._waiting.pop(0)()

    def _say(self, number: int, say: Callable[[], None]) -> None:
        if self._display is None:
            say()
        else:
            self._display.finish(number)
            self._waiting.append(say)


@frozen(eq=False)
class _Item:
    """One of the downloads."""

    number: int
    """From 1 on."""
    url: URL
    download: Download

    @property
    def name(self) -> str:
        """What it is called while nobody knows how the server calls it."""
        return self.url.name or self.url.host or str(self.url)


class DownloadRun:
    """One run of the command."""

    def __init__(self, command: Downloads, report: Report, dialogue: Dialogue | None) -> None:
        self._command = command
        self._report = report
        self._dialogue = dialogue
        printer = open_printer(sys.stderr)
        self._printer: LinePrinter = printer
        self._desk = Desk(judges(command, printer, dialogue), make_room=report.make_room)
        self._code = Exit.OK
        self._started = 0.0
        self._scope = trio.CancelScope()
        self._open: dict[int, _Item] = {}
        """Those whose fate nobody has been told of."""

    async def perform(self) -> int:
        """Download everything; gives the exit code.

        Raises:
            CommandError: it failed as a whole.
        """
        command = await with_passwords(self._command, self._dialogue)
        limits = Limits()
        many = Limits(per_host=max(limits.per_host, command.parallel), total=max(limits.total, command.parallel))
        try:
            await with_manager(
                command, partial(self._download_all, command), config={"limits": many, **self._desk.config()}
            )
        except CommandError as error:
            raise CommandError(str(error), self._code or error.code) from error
        return self._code

    def kept(self) -> str:
        """How much is on the disk of the downloads that were stopped."""
        parts = [part for item in self._open.values() if (part := _part(item.download)) is not None]
        if not parts:
            return ""
        return parts[0] if len(parts) == 1 else f"; of {len(parts)} files there is a part, {_GOES_ON}"

    async def _download_all(self, command: Downloads, manager: Manager) -> CommandError | None:
        try:
            items = [_open(manager, command, number) for number in range(1, len(command.sources) + 1)]
        except CommandError as error:
            await trio.lowlevel.checkpoint()
            return error
        self._open = {item.number: item for item in items}
        self._started = trio.current_time()
        self._scope.deadline = self._started + (math.inf if command.max_time is None else command.max_time)
        with self._scope:
            rest = iter(items)
            workers = min(command.parallel, len(items))
            await together(*[partial(self._work, rest)] * workers)
        if not self._open:
            return None
        if command.fails_fast and self._code:
            return CommandError(f"--fail-fast: {len(self._open)} more were stopped or not begun", self._code)
        return too_late(command)

    async def _work(self, rest: Iterator[_Item]) -> None:
        """Carry out one download after the other."""
        for item in rest:
            try:
                path = await self._carry_out(item)
            except ReplyError as error:
                self._fail(item, error)
            else:
                del self._open[item.number]
                self._report.done(item.number, path, item.download.bytes_done)

    async def _carry_out(self, item: _Item) -> Path:
        async with item.download as download:
            async for event in download:
                if self._command.verbose:
                    await self._print(item, event)
                elif isinstance(event, Progress) and not self._desk.is_busy:
                    self._report.show(item.number, item.name, event)
            return await download.wait()

    async def _print(self, item: _Item, event: Event) -> None:
        printer = self._printer if len(self._command.sources) == 1 else Numbered(self._printer, item.number)
        elapsed = trio.current_time() - self._started
        reply = item.download.reply
        if reply is None:  # nothing was requested yet
            print_event(printer, event, elapsed=elapsed)
        else:
            await print_events(printer, self._command.network)(reply, event, elapsed)

    def _fail(self, item: _Item, error: ReplyError) -> None:
        """Say that a download has failed, and stop the others if that is wanted."""
        found = _failure(error, item.download)
        self._code = self._code or found.code
        del self._open[item.number]
        message = str(found)
        shown = shown_url(item.url)
        if len(self._command.sources) > 1 and shown not in message:
            message = f"{shown}: {message}"
        self._report.failed(item.number, message + (_part(item.download) or ""))
        if self._command.fails_fast:
            self._scope.cancel()


def _open(manager: Manager, command: Downloads, number: int) -> _Item:
    """A download that is yet to begin.

    Raises:
        CommandError: there cannot be such a one.
    """
    url = command.sources[number - 1]
    with as_wrong_usage():
        download = manager.open_download(
            command.request.replace(url=url),
            command.place,
            resume=command.resume,
            checksum=command.checksum,
            sha256=command.sha256,
        )
    return _Item(number, url, download)


def _failure(error: ReplyError, download: Download) -> CommandError:
    """What ``error`` means; that the disk has failed is not what a server has to answer for."""
    of_server = download.reply is not None and download.reply.error is error.code
    if isinstance(error, ContentError) and isinstance(error.__cause__, OSError) and not of_server:
        return CommandError(error.message, Exit.OUTPUT)
    return failure(error.code, error.message)


def _part(download: Download) -> str | None:
    """What a message adds about the part that ``download`` has left; ``None`` if there is none."""
    path = download.temporary_path
    try:
        octets = 0 if path is None else path.stat().st_size
    except OSError:
        return None
    return f"; the first {size(octets)} are in {path}, {_GOES_ON}" if octets else None
