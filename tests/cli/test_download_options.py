"""The arguments of ``trioreply download`` and ``trioreply events``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from yarl import URL

from trioreply import NetworkError, Operation, RetryPolicy
from trioreply._cli.args import Command, parse
from trioreply._cli.download_options import Downloads, make_download_parser
from trioreply._cli.exits import CommandError, Exit
from trioreply._cli.listen_options import Listen, make_listen_parser
from trioreply._cli.web_options import SteadyRetry

from ..shape.source import ROOT

PLACE = "http://h/p"


def downloads(*argv: str) -> Downloads:
    """What ``argv`` asks to be downloaded."""
    command = parse(["download", *argv])
    assert isinstance(command, Downloads)
    return command


def listen(*argv: str) -> Listen:
    """What ``argv`` asks to be listened to."""
    command = parse(["events", *argv, PLACE])
    assert isinstance(command, Listen)
    return command


def test_urls_alone_go_here() -> None:
    """URLs alone are asked for with GET, and go into this directory, four at once, resumed, none stopping another."""
    command = downloads("http://h/p", "http://i/q")
    assert command.urls == (URL("http://h/p"), URL("http://i/q"))
    assert (command.request.operation, command.request.url) == (Operation.GET, URL("http://h/p"))
    assert (command.place, command.parallel, command.resume, command.fails_fast) == (Path(), 4, True, False)
    assert (command.sha256, command.checksum, command.verbose, command.max_time) == (None, None, False, None)


def test_places(tmp_path: Path) -> None:
    """``-o`` names a file, and ``-d`` a directory."""
    assert downloads("-o", str(tmp_path / "f"), PLACE).place == tmp_path / "f"
    assert downloads("-d", str(tmp_path), PLACE).place == tmp_path


def test_request_options_are_shared() -> None:
    """What the main command understands about requests holds for each download, and is the same for all."""
    command = downloads("-H", "X: 1", "--retry", "2", "--timeout", "3", "-b", "a=1", "-x", "p:1", PLACE, "http://i/q")
    assert command.request.headers["X"] == "1"
    assert command.request.retry == RetryPolicy(3)
    assert command.request.transfer_timeout == 3
    assert [cookie.domain for cookie in command.keeping.cookies] == ["h", "i"]
    assert command.network.ways.chosen is not None


@pytest.mark.parametrize(
    ("argv", "known"),
    [
        ([PLACE], False),
        (["-u", "me:x", PLACE], True),
        (["-u", "me", PLACE], False),
        ([PLACE, "http://me:x@i/q"], True),
        (["-H", "Authorization: x", PLACE], True),
    ],
)
def test_credentials_of_any_url_count(argv: list[str], *, known: bool) -> None:
    """Nobody is asked who has said it, in whichever of the URLs."""
    assert downloads(*argv).has_credentials == known


def test_events_alone_come_for_ever() -> None:
    """A URL alone is listened to for ever, from where the server begins, with the library's patience."""
    command = listen()
    assert (command.is_json, command.last_event_id, command.reconnect, command.is_once, command.count) == (
        False,
        "",
        None,
        False,
        None,
    )
    assert not command.is_input_taken


def test_events_with_options() -> None:
    """``-n`` counts events here; ``--retry`` is how many failures in a row are borne."""
    command = listen("--json", "-n", "3", "--netrc", "--last-event-id", "é 7", "--no-reconnect", "--retry", "1")
    assert (command.is_json, command.count, command.netrc, command.last_event_id) == (True, 3, True, "é 7")
    assert command.is_once
    assert command.reconnect is not None
    assert command.reconnect.attempts == 2
    assert 500 in command.reconnect.on_status
    assert NetworkError.HOST_NOT_FOUND in command.reconnect.on_errors
    assert isinstance(listen("--retry", "1", "--retry-delay", "2").reconnect, SteadyRetry)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["download"], "the following arguments are required: URL; see trioreply download --help"),
        (["download", "example.org"], "URL: 'example.org' has no scheme"),
        (["download", PLACE, "http://a b/"], "URL: 'http://a b/' holds a space"),
        (["download", "-X", "PUT", PLACE], "unrecognized arguments: -X"),
        (["download", "-o", "/", PLACE], "-o/--output: '/' is no file"),
        (["download", "-o", "-", PLACE], "-o/--output: '-' is no file"),
        (["download", "-d", "/no/such", PLACE], "-d/--directory: '/no/such' is no directory; make it"),
        (["download", "-o", "f", "-d", ".", PLACE], "-d/--directory: not allowed with argument -o/--output"),
        (["download", "-o", "f", PLACE, PLACE], "-o/--output: it is for one URL, and there are 2; give -d DIR"),
        (["download", "--sha256", "00", PLACE, PLACE], "--sha256: it is for one URL, and there are 2"),
        (["download", "--checksum", "a:0", PLACE, PLACE], "--checksum: it is for one URL, and there are 2"),
        (["download", "-j", "0", PLACE], "-j/--parallel: '0' is not a number from 1 on"),
        (["download", "-H", "range: bytes=0-", PLACE], "-H/--header: Range is what this command says itself; to get"),
        (["download", "-H", "If-Range: x", PLACE], "-H/--header: If-Range is what this command says itself"),
        (["events"], "the following arguments are required: URL; see trioreply events --help"),
        (["events", "-n", "x", PLACE], "-n/--count: 'x' is not a number from 1 on"),
        (["events", "-H", "last-event-id: 1", PLACE], "-H/--header: Last-Event-ID is what this command says itself"),
    ],
)
def test_usage_errors_name_the_option(argv: list[str], message: str) -> None:
    """What cannot work is refused before anything is sent, in the words of the option."""
    with pytest.raises(CommandError) as caught:
        parse(argv)
    assert str(caught.value).startswith(message)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize("word", ["download", "events"])
def test_word_must_come_first(word: str) -> None:
    """Only the first word is a command: elsewhere it would be a URL, and is none."""
    with pytest.raises(CommandError, match=f"^URL: '{word}' has no scheme"):
        parse(["-v", word])


def test_each_command_has_help() -> None:
    """``--help`` of a command is about it, and that of the program mentions each."""
    for word in ("download", "events", "demo"):
        answer: Command = parse([word, "--help"])
        assert f"usage: trioreply {word} " in str(answer).replace("\\n", "\n")
        assert f"trioreply {word}" in str(parse(["--help"]))


PARSERS = pytest.mark.parametrize("parser", [make_download_parser(), make_listen_parser()], ids=["download", "events"])


@PARSERS
def test_help_fits_a_terminal(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help fits into 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert max(len(line) for line in parser.format_help().splitlines()) <= 80


@PARSERS
def test_documentation_has_every_option(parser: argparse.ArgumentParser) -> None:
    """The page about the command names each option of these two as well."""
    page = (ROOT / "docs/cli.rst").read_text("utf-8")
    options = re.findall(r"(?<![\w-])--?[a-zA-Z][a-z0-9-]*", parser.format_help())
    assert [option for option in dict.fromkeys(options) if f"``{option}" not in page] == []
