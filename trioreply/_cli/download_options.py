"""What ``trioreply download`` is asked for, checked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from yarl import URL

from .. import Operation
from .body_options import Content
from .errands import (
    Errand,
    add_errand_options,
    add_header_option,
    errand_fields,
    make_request,
    refuse_fields,
)
from .exits import CommandError, Exit
from .kinds import directory, positive_count, writable_file
from .parsing import as_wrong_usage, make_parser

DESCRIPTION = """\
Download URLs into files, several at once. What a break or an earlier call has left is taken up again, and a file
appears under its name when all of it is there. Prints the path and the size of each.
"""
PARALLEL = 4
"""How many downloads run at once: enough for a slow server not to hold up the others, and few for one server."""


@frozen(kw_only=True)
class Downloads(Errand):
    """``trioreply download URL...``."""

    sources: tuple[URL, ...]
    """The first of them is that of ``request``, which says how all of them are asked for."""
    place: Path
    """A file, for one URL; or a directory."""
    parallel: int
    resume: bool
    sha256: str | None
    checksum: str | None
    fails_fast: bool
    """Whether the first failure stops the others."""

    @property
    def urls(self) -> Sequence[URL]:
        """See `Errand.urls`."""
        return self.sources


def parse_downloads(argv: Sequence[str]) -> Downloads:
    """What ``argv``, without the word, asks for.

    Raises:
        CommandError: it asks for nothing sensible; the message names the option.
    """
    options = make_download_parser().parse_args(argv)
    _refuse_for_several(options)
    with as_wrong_usage():
        request, *others = (make_request(options, url, sent=Content(), operation=Operation.GET) for url in options.urls)
        refuse_fields(request, ("Range", "If-Range"), advice="to get a part of a file leave the word download away")
        sources = (request.url, *(other.url for other in others))
        fields = errand_fields(options, request, sources)
    return Downloads(
        **fields,
        sources=sources,
        place=options.output or options.directory,
        parallel=options.parallel,
        resume=options.resume,
        sha256=options.sha256,
        checksum=options.checksum,
        fails_fast=options.fail_fast,
    )


def make_download_parser() -> argparse.ArgumentParser:
    """The parser of ``trioreply download``."""
    parser = make_parser("trioreply download", DESCRIPTION, usage="trioreply download [options] URL...")
    parser.add_argument("urls", metavar="URL", nargs="+", help="what to download")
    # A file is what its server has; who wants its compressed form asks for it without the word.
    parser.set_defaults(compressed=True)
    files = parser.add_argument_group("where it goes")
    places = files.add_mutually_exclusive_group()
    places.add_argument("-o", "--output", metavar="FILE", type=writable_file, help="the file, for one URL; replaced")
    places.add_argument(
        "-d",
        "--directory",
        metavar="DIR",
        type=directory,
        default=Path(),
        help="the directory, in which files get the names that servers propose, made safe, and replace none; "
        "default this one",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "-j",
        "--parallel",
        metavar="N",
        type=positive_count,
        default=PARALLEL,
        help=f"run N downloads at once; default {PARALLEL}",
    )
    how.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on with what an earlier call has left, and leave what has come; it is done by default",
    )
    how.add_argument("--sha256", metavar="HEX", help="what the file must amount to, for one URL")
    how.add_argument(
        "--checksum", metavar="ALGORITHM:HEX", help="the same, for another algorithm, such as sha512:... or md5:..."
    )
    how.add_argument("--fail-fast", action="store_true", help="stop all of them when one has failed")
    how.add_argument("-v", "--verbose", action="store_true", help="print the events as they come, to standard error")
    add_header_option(how)
    add_errand_options(parser)
    return parser


def _refuse_for_several(options: argparse.Namespace) -> None:
    if len(options.urls) == 1:
        return
    given = {"-o/--output": options.output, "--sha256": options.sha256, "--checksum": options.checksum}
    for option, value in given.items():
        if value is not None:
            advice = "; give -d DIR" if value is options.output else ""
            raise CommandError(f"{option}: it is for one URL, and there are {len(options.urls)}{advice}", Exit.USAGE)
