"""The command line's arguments, checked: from ``sys.argv`` to a request that is legal.

The library checks what it is given and names the field that is wrong; here that name becomes the option's. So there
is one set of rules, and a mistake is reported in the words of whoever made it. Everything that can be known to fail
is refused before anything is sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from attrs import frozen

from .. import Operation, Request, __version__
from .body_options import add_body_options, content, has_content, is_input_taken
from .exits import MEANINGS, CommandError, Exit
from .kinds import seconds
from .network_options import Network, add_network_options, local_server_name, network
from .tls_options import NAMES as TLS_NAMES
from .tls_options import OnBadCertificate, add_tls_options, on_bad_certificate, ssl_configuration
from .web_options import NAMES as WEB_NAMES
from .web_options import Keeping, add_web_options, keeping, netrc, user_without_password, web_fields

DESCRIPTION = "Fetch a URL, and show every phase of it."

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
  trioreply demo                                     see six transfers, offline
"""

_NAMES = {
    "url": "URL",
    "headers": "-H/--header",
    "verb": "-X/--request",
    **TLS_NAMES,
    **WEB_NAMES,
}
"""From the library's fields to what the user typed."""


@frozen
class Answer:
    """``--help`` or ``--version``."""

    text: str


@frozen
class Demo:
    """``trioreply demo``."""


@frozen(kw_only=True)
class Fetch:
    """``trioreply URL``."""

    request: Request
    output: Path | None
    """Where the body goes; ``None`` for standard output."""
    verbose: bool
    events: bool
    show_head: bool
    """Whether the response's head is what is asked for, and not a body."""
    max_time: float | None
    """Seconds for the transfer as a whole."""
    on_bad_certificate: OnBadCertificate
    user: str | None
    """Who logs in with a password that is yet to be asked for."""
    netrc: bool | Path
    keeping: Keeping
    network: Network
    is_input_taken: bool
    """Whether standard input is sent, so that nobody can answer there."""

    @property
    def has_credentials(self) -> bool:
        """Whether the command line says who we are."""
        request = self.request
        return request.auth is not None or "Authorization" in request.headers or request.url.raw_password is not None


class _AnswerError(Exception):
    """Ends the parsing because an option is a question; its message is the answer."""


class _Say(argparse.Action):
    """Answers with its constant, or the help. argparse's own actions would print it, and hide that they could not."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        raise _AnswerError(parser.format_help() if self.const is None else self.const)


class _Parser(argparse.ArgumentParser):
    """Raises our error instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message.removeprefix('argument ')}; see trioreply --help", Exit.USAGE)


def parse(argv: Sequence[str]) -> Answer | Demo | Fetch:
    """What ``argv``, without the program's name, asks for.

    Raises:
        CommandError: it asks for nothing sensible; the message names the option.
    """
    try:
        if list(argv[:1]) == ["demo"]:
            make_demo_parser().parse_args(argv[1:])
            return Demo()
        return _fetch(make_parser().parse_args(argv))
    except _AnswerError as answer:
        return Answer(str(answer))


def _fetch(options: argparse.Namespace) -> Fetch:
    _check_combination(options)
    try:
        request = _request(options)
        kept = keeping(options, request.url)
        way = network(options)
    except (ValueError, TypeError) as error:
        field, _, rest = str(error).partition(":")
        raise CommandError(f"{_NAMES.get(field, field)}:{rest}", Exit.USAGE) from error
    return Fetch(
        request=request,
        output=_output_path(options.output),
        verbose=options.verbose,
        events=options.events,
        show_head=options.head and not options.events,
        max_time=options.max_time,
        on_bad_certificate=on_bad_certificate(options),
        user=user_without_password(options),
        netrc=netrc(options),
        keeping=kept,
        network=way,
        is_input_taken=is_input_taken(options),
    )


def make_parser() -> argparse.ArgumentParser:
    """The parser of ``trioreply URL``."""
    codes = "".join(f"  {code:>3}  {meaning}\n" for code, meaning in MEANINGS.items())
    parser = _Parser(
        prog="trioreply",
        usage="trioreply [options] URL\n       trioreply demo",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\nexit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="URL", help="an absolute URL; or the word demo")
    parser.add_argument("-h", "--help", action=_Say, nargs=0, help="print this")
    parser.add_argument("--version", action=_Say, nargs=0, const=f"trioreply {__version__}\n", help="print the version")
    asking = parser.add_argument_group("what is asked")
    asking.add_argument("-X", "--request", metavar="METHOD", help="the method; default GET, and POST with a body")
    asking.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="a header field; repeatable"
    )
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
    add_web_options(parser)
    add_tls_options(parser)
    add_network_options(parser)
    times = parser.add_argument_group("how long it may take")
    times.add_argument("--timeout", metavar="SECONDS", type=seconds, help="the longest time without progress")
    times.add_argument(
        "--connect-timeout", metavar="SECONDS", type=seconds, help="the longest time to connect; default 30"
    )
    times.add_argument("--max-time", metavar="SECONDS", type=seconds, help="the longest time for everything")
    return parser


def make_demo_parser() -> argparse.ArgumentParser:
    """The parser of ``trioreply demo``."""
    parser = _Parser(
        prog="trioreply demo",
        description="Run six transfers against servers inside this process, print the events of each as they come, "
        "and check that each went as promised. Needs no network. The exit code is 0 if all did, else 1.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action=_Say, nargs=0, help="print this")
    return parser


def _check_combination(options: argparse.Namespace) -> None:
    if options.head and (has_content(options) or options.request is not None):
        raise CommandError("-I/--head: it asks with HEAD, so leave -X and the body away", Exit.USAGE)


def _request(options: argparse.Namespace) -> Request:
    sent = content(options)
    fields = [_field(text) for text in options.header]
    own = {name.lower() for name, _ in fields}
    request = Request(
        options.url,
        operation=_operation(options),
        headers=[*fields, *(field for field in sent.headers if field[0].lower() not in own)],
        body=sent.body,
        transfer_timeout=options.timeout,
        connect_timeout=options.connect_timeout,
        ssl=ssl_configuration(options),
        local_server_name=local_server_name(options),
    ).replace(**web_fields(options))
    if not request.url.scheme:
        raise ValueError(f"url: {options.url!r} has no scheme; begin it with http://")
    return request if options.request is None else request.replace(verb=options.request)


def _operation(options: argparse.Namespace) -> Operation:
    if options.head:
        return Operation.HEAD
    return Operation.POST if has_content(options) else Operation.GET


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"headers: {text!r} is no field; write 'Name: value'")
    return name, value


def _output_path(text: str | None) -> Path | None:
    if text is None or text == "-":
        return None
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a directory" if path.is_dir() else "is in a directory that does not exist"
        raise CommandError(f"-o/--output: {text!r} {problem}; give the name of a file", Exit.USAGE)
    return path
