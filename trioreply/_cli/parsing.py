"""How this program uses argparse, and the words in which a mistake is reported.

argparse prints and ends the process where we raise. And the library names the field that is wrong where the user knows
an option: `as_wrong_usage` puts the one in the place of the other, so there is one set of rules for both.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from .exits import CommandError, Exit
from .tls_options import NAMES as TLS_NAMES
from .web_options import NAMES as WEB_NAMES

_NAMES = {
    "url": "URL",
    "headers": "-H/--header",
    "verb": "-X/--request",
    "sha256": "--sha256",
    "checksum": "--checksum",
    "path": "-o/--output",
    "last_event_id": "--last-event-id",
    **TLS_NAMES,
    **WEB_NAMES,
}
"""From the library's fields to what the user typed."""


class AnswerError(Exception):
    """Ends the parsing because an option is a question; its message is the answer."""


class Say(argparse.Action):
    """Answers with its constant, or the help. argparse's own actions would print it, and hide that they could not."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Answer.

        Raises:
            AnswerError: always.
        """
        raise AnswerError(parser.format_help() if self.const is None else self.const)


class Parser(argparse.ArgumentParser):
    """Raises our error instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Raises:
            CommandError: always; it says where to read more.
        """
        raise CommandError(f"{message.removeprefix('argument ')}; see {self.prog} --help", Exit.USAGE)


def make_parser(prog: str, description: str, *, usage: str | None = None, epilog: str | None = None) -> Parser:
    """A parser that knows ``--help``, and nothing else yet."""
    parser = Parser(
        prog=prog,
        usage=usage,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action=Say, nargs=0, help="print this")
    return parser


@contextmanager
def as_wrong_usage() -> Iterator[None]:
    """Turn what the library says about a field into a mistake of the user's.

    Raises:
        CommandError: in the place of a `ValueError` or `TypeError`.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        field, _, rest = str(error).partition(":")
        raise CommandError(f"{_NAMES.get(field, field)}:{rest}", Exit.USAGE) from error
