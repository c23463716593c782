"""The command line's arguments, checked: from ``sys.argv`` to a request that is legal.

The library checks what it is given and names the field that is wrong; here that name becomes the option's. So there
is one set of rules, and a mistake is reported in the words of whoever made it. Everything that can be known to fail
is refused before anything is sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from .. import Operation, __version__
from . import parsing
from .body_options import add_body_options, content, has_content, is_input_taken
from .download_options import Downloads, parse_downloads
from .errands import Errand, add_errand_options, add_header_option, errand_fields, make_request
from .exits import MEANINGS, CommandError, Exit
from .listen_options import Listen, parse_listen
from .parsing import AnswerError, Say, as_wrong_usage

DESCRIPTION = "Fetch a URL, and show every phase of it."

USAGE = """\
trioreply [options] URL
       trioreply download [options] URL...   into files
       trioreply events [options] URL        server-sent events
       trioreply demo"""

EXAMPLES = """\
examples:
  trioreply http://example.org/                      print the page
  trioreply -o big.iso http://example.org/big.iso    save a file, with progress
  trioreply -v http://example.org/                   watch it happen
  trioreply --events URL | jq .event                 the same, for programs
  trioreply --json '{"answer": 42}' http://example.org/api
  trioreply -F name=me -F photo=@me.jpg http://example.org/form
  trioreply -u me -b jar.txt -c jar.txt http://example.org/private
  trioreply -x socks5h://127.0.0.1:1080 http://example.org/
  trioreply --unix-socket /run/docker.sock http://docker/version
  tar cz . | trioreply -X PUT -d @- http://example.org/backup.tgz
  trioreply download -d isos URL URL URL             files, resumed after breaks
  trioreply events --json URL | jq .data             follow a stream of events
  trioreply demo                                     see six transfers, offline
"""


@frozen
class Answer:
    """``--help`` or ``--version``."""

    text: str


@frozen
class Demo:
    """``trioreply demo``."""


@frozen(kw_only=True)
class Fetch(Errand):
    """``trioreply URL``."""

    output: Path | None
    """Where the body goes; ``None`` for standard output."""
    events: bool
    show_head: bool
    """Whether the response's head is what is asked for, and not a body."""
    sends_input: bool

    @property
    def is_input_taken(self) -> bool:
        """See `Errand.is_input_taken`."""
        return self.sends_input


Command = Answer | Demo | Downloads | Fetch | Listen
"""What can be asked for."""


def parse(argv: Sequence[str]) -> Command:
    """What ``argv``, without the program's name, asks for.

    Raises:
        CommandError: it asks for nothing sensible; the message names the option.
    """
    makers: dict[str, Callable[[Sequence[str]], Command]] = {
        "demo": _demo,
        "download": parse_downloads,
        "events": parse_listen,
    }
    # None of these words can be a URL, which has a colon.
    make = makers.get(argv[0]) if argv else None
    try:
        return _fetch(make_parser().parse_args(argv)) if make is None else make(argv[1:])
    except AnswerError as answer:
        return Answer(str(answer))


def _demo(argv: Sequence[str]) -> Demo:
    make_demo_parser().parse_args(argv)
    return Demo()


def _fetch(options: argparse.Namespace) -> Fetch:
    _check_combination(options)
    with as_wrong_usage():
        request = make_request(options, options.url, sent=content(options), operation=_operation(options))
        if options.request is not None:
            request = request.replace(verb=options.request)
        fields = errand_fields(options, request, [request.url])
    return Fetch(
        **fields,
        output=_output_path(options.output),
        events=options.events,
        show_head=options.head and not options.events,
        sends_input=is_input_taken(options),
    )


def make_parser() -> argparse.ArgumentParser:
    """The parser of ``trioreply URL``."""
    codes = "".join(f"  {code:>3}  {meaning}\n" for code, meaning in MEANINGS.items())
    parser = parsing.make_parser("trioreply", DESCRIPTION, usage=USAGE, epilog=f"{EXAMPLES}\nexit codes:\n{codes}")
    parser.add_argument("url", metavar="URL", help="an absolute URL; or one of the words above, each with its --help")
    parser.add_argument("--version", action=Say, nargs=0, const=f"trioreply {__version__}\n", help="print the version")
    asking = parser.add_argument_group("what is asked")
    asking.add_argument("-X", "--request", metavar="METHOD", help="the method; default GET, and POST with a body")
    add_header_option(asking)
    add_body_options(asking)
    asking.add_argument("-I", "--head", action="store_true", help="ask with HEAD, and print the response's head")
    asking.add_argument(
        "--compressed",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask for a compressed body and decode it, or neither; it is done by default",
    )
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("-o", "--output", metavar="FILE", help="write the body to FILE; '-' is standard output")
    shown.add_argument("-v", "--verbose", action="store_true", help="print the events as they come, to standard error")
    shown.add_argument(
        "--events", action="store_true", help="print the events as lines of JSON; the body goes to -o FILE, or nowhere"
    )
    add_errand_options(parser)
    return parser


def make_demo_parser() -> argparse.ArgumentParser:
    """The parser of ``trioreply demo``."""
    return parsing.make_parser(
        "trioreply demo",
        "Run six transfers against servers inside this process, print the events of each as they come, "
        "and check that each went as promised. Needs no network. The exit code is 0 if all did, else 1.",
    )


def _check_combination(options: argparse.Namespace) -> None:
    if options.head and (has_content(options) or options.request is not None):
        raise CommandError("-I/--head: it asks with HEAD, so leave -X and the body away", Exit.USAGE)


def _operation(options: argparse.Namespace) -> Operation:
    if options.head:
        return Operation.HEAD
    return Operation.POST if has_content(options) else Operation.GET


def _output_path(text: str | None) -> Path | None:
    if text is None or text == "-":
        return None
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a directory" if path.is_dir() else "is in a directory that does not exist"
        raise CommandError(f"-o/--output: {text!r} {problem}; give the name of a file", Exit.USAGE)
    return path
