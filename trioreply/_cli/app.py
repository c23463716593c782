"""The program: arguments in, an exit code out.

Ctrl-C does what leaving a block through a cancellation does: the reply is aborted, its connection closed, and the command says
what it kept. So the signal cancels the command's scope, instead of raising `KeyboardInterrupt` somewhere in the middle. It does
so once; a second Ctrl-C ends the process the hard way.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from types import FrameType

import trio

from .args import Demo, Fetch, parse
from .demo import run_demo
from .exits import CommandError, Exit
from .files import Output, file_output, standard_output
from .render import Style, is_terminal, open_printer, open_progress
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
from .wording import printable

_SIGNALS = {signal.SIGINT: (Exit.INTERRUPTED, "interrupted"), signal.SIGTERM: (Exit.TERMINATED, "terminated")}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the process's arguments); its exit code. To be called in the main thread."""
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
        command = parse(argv)
        return trio.run(_perform, command)
    except CommandError as error:
        open_printer(sys.stderr).line(("trioreply: ", Style.BAD), (printable(str(error)), Style.PLAIN))
        return error.code
    except SystemExit as end:  # argparse has printed the help, or the version
        return Exit.OK if end.code is None else int(end.code)


async def _perform(command: Demo | Fetch) -> int:
    output = Output("", _open_nothing)
    with trio.CancelScope() as scope, _cancelled_by_signals(scope) as received:
        if isinstance(command, Demo):
            return Exit.OK if await run_demo(open_printer(sys.stdout)) else Exit.FAILED
        output = standard_output() if command.output is None else file_output(command.output)
        await _fetch(command, output)
        return Exit.OK
    code, word = _SIGNALS[received[0]]
    raise CommandError(f"{word}{output.kept()}", code)
