"""The arguments of the command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

import trioreply
from trioreply import Operation
from trioreply._cli.args import Demo, Fetch, make_demo_parser, make_parser, parse
from trioreply._cli.exits import CommandError, Exit

from ..shape.source import ROOT

URL = "http://h/p"


def fetch(*argv: str) -> Fetch:
    """What ``argv`` asks to be fetched."""
    command = parse([*argv, URL])
    assert isinstance(command, Fetch)
    return command


def test_url_alone_is_a_get() -> None:
    """A URL alone asks with GET, for the body on standard output, without a limit on time."""
    command = fetch()
    assert command.request == trioreply.Request(URL)
    assert command.output is None
    assert (command.verbose, command.events, command.show_head, command.max_time) == (False, False, False, None)


def test_word_demo_is_the_demo() -> None:
    """The word ``demo`` in the first place is the demo, and a URL of that name can be written."""
    assert parse(["demo"]) == Demo()
    assert isinstance(parse(["-v", "http://demo"]), Fetch)


@pytest.mark.parametrize(
    ("argv", "operation", "verb"),
    [
        ([], Operation.GET, "GET"),
        (["-d", "x"], Operation.POST, "POST"),
        (["-I"], Operation.HEAD, "HEAD"),
        (["-X", "PUT", "-d", "x"], Operation.PUT, "PUT"),
        (["-X", "get", "-d", "x"], Operation.GET, "GET"),
        (["--request", "PURGE"], Operation.CUSTOM, "PURGE"),
    ],
)
def test_method(argv: list[str], operation: Operation, verb: str) -> None:
    """``-d`` implies POST, ``-I`` is HEAD, ``-X`` overrules."""
    request = fetch(*argv).request
    assert (request.operation, request.verb) == (operation, verb)


def test_headers_repeat() -> None:
    """Header fields keep their order, their repeats and their values' colons."""
    request = fetch("-H", "A: 1:2", "--header", "a:3", "-H", "B:").request
    assert list(request.headers.items()) == [("A", "1:2"), ("a", "3"), ("B", "")]


def test_times() -> None:
    """Each of the three limits goes to its own place."""
    command = fetch("--timeout", "1", "--connect-timeout", "2.5", "--max-time", "3")
    assert (command.request.transfer_timeout, command.request.connect_timeout, command.max_time) == (1, 2.5, 3)


def test_output(tmp_path: Path) -> None:
    """``-o`` names a file, which need not exist; ``-`` is standard output; a head is shown when no events are."""
    assert fetch("-o", str(tmp_path / "new")).output == tmp_path / "new"
    assert fetch("-o", "-").output is None
    assert fetch("-I").show_head
    assert not fetch("-I", "--events").show_head


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: URL; see trioreply --help"),
        (["http://a b/"], "URL: 'http://a b/' holds a space or a control character; percent-encode it"),
        (["example.org"], "URL: 'example.org' has no scheme; begin it with http://"),
        (["http://1.2.3/"], "URL: '1.2.3' is an unusual spelling of an IPv4 address"),
        (["-X", "A B", URL], "-X/--request: 'A B' is not a method name"),
        (["-H", "nothing", URL], "-H/--header: 'nothing' is no field; write 'Name: value'"),
        (["-H", "a b: c", URL], "-H/--header: 'a b' is not a field name"),
        (["-H", "a: b\nc", URL], "-H/--header: the value of 'a' holds a control character"),
        (["-d", "@/no/such/file", URL], "-d/--data: '/no/such/file' is not a file that can be read"),
        (["-d", "@/", URL], "-d/--data: '/' is not a file that can be read"),
        (["-I", "-d", "x", URL], "-I/--head: it asks with HEAD"),
        (["-I", "-X", "GET", URL], "-I/--head: it asks with HEAD"),
        (["--timeout", "0", URL], "--timeout: '0' is not a number of seconds above 0"),
        (["--timeout", "nan", URL], "--timeout: 'nan' is not a number of seconds above 0"),
        (["--connect-timeout", "soon", URL], "--connect-timeout: 'soon' is not a number of seconds above 0"),
        (["--max-time", "inf", URL], "--max-time: 'inf' is not a number of seconds above 0"),
        (["-o", "/", URL], "-o/--output: '/' is a directory"),
        (["-o", "/no/such/file", URL], "-o/--output: '/no/such/file' is in a directory that does not exist"),
        (["--fail", URL], "unrecognized arguments: --fail"),
        (["--verb", URL], "unrecognized arguments: --verb"),
        (["demo", "-v"], "unrecognized arguments: -v"),
    ],
)
def test_usage_errors_name_the_option(argv: list[str], message: str) -> None:
    """What cannot work is refused before anything is sent, in the words of the option."""
    with pytest.raises(CommandError) as caught:
        parse(argv)
    assert str(caught.value).startswith(message)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize("parser", [make_parser(), make_demo_parser()], ids=["fetch", "demo"])
def test_help_fits_a_terminal(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help fits into 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert max(len(line) for line in parser.format_help().splitlines()) <= 80


def test_documentation_has_every_option_and_exit_code() -> None:
    """The page about the command names each option and each exit code."""
    page = (ROOT / "docs/cli.rst").read_text("utf-8")
    options = re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", make_parser().format_usage() + make_parser().format_help())
    assert [option for option in dict.fromkeys(options) if f"``{option}" not in page] == []
    assert [code for code in Exit if f"\n   * - {code}\n" not in page] == []
