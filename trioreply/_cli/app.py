"""The program: arguments in, an exit code out.

Ctrl-C does what leaving a block through a cancellation does: the reply is aborted, its connection closed, and the
command says what it kept. So the signal cancels the command's scope, instead of raising `KeyboardInterrupt` somewhere
in the middle. It does so once; a second Ctrl-C ends the process the hard way.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from types import FrameType
from typing import Protocol

import trio

from .args import Answer, Command, Demo, Fetch, parse
from .asking import Dialogue
from .demo import run_demo
from .download import DownloadRun, Report
from .download_options import Downloads
from .errands import Errand
from .exits import CommandError, Exit
from .files import Output, StandardInput, file_output, standard_output
from .listen import ListenRun
from .listen_options import Listen
from .questions import judges, with_passwords
from .render import is_terminal, open_downloads, open_printer, open_progress, print_failure
from .transfer import (
    Nowhere,
    Watcher,
    print_events,
    show_progress,
    transfer,
    write_body,
    write_events,
    write_head,
)

_SIGNALS: dict[int, tuple[Exit, str]] = {
    signal.SIGINT: (Exit.INTERRUPTED, "interrupted"),
    signal.SIGTERM: (Exit.TERMINATED, "terminated"),
}

# What the library logs, that a file could not be written, is a message of ours in the end, and needs no traceback.
_SAID_OTHERWISE = logging.NullHandler()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the process's arguments); its exit code.

    To be called in the main thread, because signals can be heard only there.
    """
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # As `head` and `less` leave: no message. What Python still holds back must not fail a second time at exit.
        _divert_standard_streams()
        return Exit.BROKEN_PIPE
    return code


def _run(argv: Sequence[str]) -> int:
    try:
        return _obey(parse(argv))
    except CommandError as error:
        print_failure(open_printer(sys.stderr), str(error))
        return error.code


def _obey(command: Command) -> int:
    if not isinstance(command, Answer):
        logging.getLogger("trioreply").addHandler(_SAID_OTHERWISE)
        return trio.run(_perform, command)
    if sys.stdout is not None:
        sys.stdout.write(command.text)
    return Exit.OK


class _Run(Protocol):
    """What a command does."""

    async def perform(self) -> int:
        """Do it; gives the exit code.

        Raises:
            CommandError: it failed.
        """
        ...

    def kept(self) -> str:
        """What a message about a failure adds: what is there all the same."""
        ...


class _DemoRun:
    async def perform(self) -> int:
        return Exit.OK if await run_demo(open_printer(sys.stdout)) else Exit.FAILED

    def kept(self) -> str:
        return ""


class _FetchRun:
    def __init__(self, command: Fetch, stack: ExitStack) -> None:
        self._command = command
        self._stack = stack
        self._output = stack.enter_context(closing(_output(command)))
        self.kept = self._output.kept

    async def perform(self) -> int:
        dialogue = _dialogue(self._command)
        command = await with_passwords(self._command, dialogue)
        await transfer(command, _watchers(command, self._output, self._stack, dialogue=dialogue))
        return Exit.OK


async def _perform(command: Demo | Downloads | Fetch | Listen) -> int:
    run: _Run | None = None
    with trio.CancelScope() as scope, _cancelled_by_signals(scope) as received, ExitStack() as stack:
        run = _run_of(command, stack)
        try:
            return await run.perform()
        except CommandError as error:
            raise CommandError(f"{error}{run.kept()}", error.code) from error
    code, word = _SIGNALS[received[0]]
    raise CommandError(f"{word}{'' if run is None else run.kept()}", code)


def _run_of(command: Demo | Downloads | Fetch | Listen, stack: ExitStack) -> _Run:
    """What carries out ``command``; what has to be ended afterwards is put on ``stack``."""
    match command:
        case Demo():
            return _DemoRun()
        case Downloads():
            wants_bars = is_terminal(sys.stderr) and not command.verbose and sys.stderr is not None
            display = open_downloads(sys.stderr) if wants_bars else None
            return DownloadRun(command, stack.enter_context(closing(Report(display))), _dialogue(command))
        case Listen():
            output = stack.enter_context(closing(standard_output()))
            return ListenRun(command, output, _dialogue(command))
        case _:
            return _FetchRun(command, stack)


def _output(command: Fetch) -> Output:
    return standard_output() if command.output is None else file_output(command.output)


def _watchers(command: Fetch, output: Output, stack: ExitStack, *, dialogue: Dialogue | None) -> list[Watcher]:
    """Who shall be told of the events; what has to be ended afterwards is put on ``stack``."""
    watchers = []
    if _wants_progress(command) and sys.stderr is not None:
        # First, so that it is out of the way when somebody is asked.
        watchers.append(show_progress(stack.enter_context(open_progress(sys.stderr))))
    if command.verbose:
        watchers.append(print_events(open_printer(sys.stderr), command.network))
    watchers += judges(command, open_printer(sys.stderr), dialogue)
    if command.events:
        watchers.append(write_events(standard_output()))
    if command.show_head:
        watchers.append(write_head(output))
    # With events or a head on standard output, a body has a place of its own or none.
    has_place = command.output is not None if command.events else not command.show_head
    watchers.append(write_body(output if has_place else Nowhere()))
    return watchers


def _dialogue(command: Errand) -> Dialogue | None:
    """Whom to ask: somebody who can type, and can also read the question."""
    if command.is_input_taken or not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return None
    return Dialogue(open_printer(sys.stderr), StandardInput(sys.stdin.fileno()))


def _wants_progress(command: Fetch) -> bool:
    """Whether a bar has a terminal to itself."""
    prints_here = command.output is None or command.events
    return is_terminal(sys.stderr) and not command.verbose and not (prints_here and is_terminal(sys.stdout))


@contextmanager
def _cancelled_by_signals(scope: trio.CancelScope) -> Iterator[list[int]]:
    """Cancel ``scope`` when the process is asked to stop; gives the list that the signal's number is put into."""
    received: list[int] = []
    token = trio.lowlevel.current_trio_token()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        token.run_sync_soon(scope.cancel)

    # What a shell lets its background jobs ignore stays ignored.
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _divert_standard_streams() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
