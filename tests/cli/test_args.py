"""The arguments of the command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

import trioreply
from trioreply import Operation, SslConfiguration, VerifyMode
from trioreply._cli.args import Demo, Fetch, make_demo_parser, make_parser, parse
from trioreply._cli.exits import CommandError, Exit
from trioreply._cli.tls_options import OnBadCertificate

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
    assert command.on_bad_certificate is OnBadCertificate.ASK


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


PIN = f"sha256/{'A' * 43}="
ASK, REFUSE, GO_ON = OnBadCertificate


@pytest.mark.parametrize(
    ("argv", "configuration"),
    [
        (["-k"], SslConfiguration(verify=VerifyMode.QUERY)),
        (["--insecure", "--pin", PIN], SslConfiguration(verify=VerifyMode.NONE, pins=[PIN])),
        (["--pin", PIN, "--pin", "00" * 32], SslConfiguration(pins=[PIN, bytes(32)])),
        (
            ["--cacert", __file__, "--cacert", "/dev/null"],
            SslConfiguration(ca_certificates=[Path(__file__), "/dev/null"]),
        ),
        (["-E", __file__], SslConfiguration(certificate=Path(__file__))),
        (
            ["--cert", __file__, "--key", "/dev/null", "--pass", "env:TRIOREPLY_TEST"],
            SslConfiguration(certificate=Path(__file__), private_key="/dev/null", password=b"pass:word\xff"),
        ),
        (["--tls-min", "1.3"], SslConfiguration(minimum_version="TLSv1.3")),
        (
            ["--tls-min", "1.0", "--tls-max", "1.2"],
            SslConfiguration(minimum_version="TLSv1.0", maximum_version="TLSv1.2"),
        ),
    ],
)
def test_tls(monkeypatch: pytest.MonkeyPatch, argv: list[str], configuration: SslConfiguration) -> None:
    """The options about TLS are the request's configuration, and nothing of it is weakened unasked."""
    monkeypatch.setenv("TRIOREPLY_TEST", "pass:word\udcff")  # as Python shows a byte that is no text
    assert fetch(*argv).request.ssl == configuration


@pytest.mark.parametrize(("content", "password"), [(b"a b\r\nrest", b"a b"), (b"\xff:", b"\xff:"), (b"\n", b"")])
def test_password_is_the_first_line_of_a_file(tmp_path: Path, content: bytes, password: bytes) -> None:
    """Of the file of ``--pass`` the first line counts, without its end, as the bytes that it is."""
    (tmp_path / "f").write_bytes(content)
    configuration = fetch("--cert", __file__, "--pass", f"file:{tmp_path / 'f'}").request.ssl
    assert isinstance(configuration, SslConfiguration)
    assert configuration.password == password


@pytest.mark.parametrize(
    ("argv", "policy"),
    [
        (["--cert", __file__, "--tls-min", "1.3"], ASK),
        (["--cacert", __file__], REFUSE),
        (["--pin", PIN], REFUSE),
        (["-k"], GO_ON),
        (["-k", "--pin", PIN], REFUSE),
    ],
)
def test_who_says_whom_to_trust_is_not_asked(argv: list[str], policy: OnBadCertificate) -> None:
    """Nobody is asked who has said whom to trust; a pin counts with ``-k``, too."""
    assert fetch(*argv).on_bad_certificate is policy


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
        (["--cacert", "/no/such/file", URL], "--cacert: '/no/such/file' is not a file that can be read; check the"),
        (["--cert", "/", URL], "-E/--cert: '/' is not a file that can be read"),
        (["--key", __file__, URL], "--key: there is no certificate that it is for; give --cert, too"),
        (["--pass", "env:HOME", URL], "--pass: there is no key that it could open; give --cert and --key, too"),
        (["--pass", "env:NO_SUCH", URL], "--pass: its environment variable is not set; check the name behind env:"),
        (["--pass", "file:/no/such", URL], "--pass: its file cannot be read; check the name behind file:"),
        (["--pass", "file:/", URL], "--pass: its file cannot be read"),
        (["--pass", "file:\0", URL], "--pass: its file cannot be read"),
        (["--pin", "sha256/short", URL], "--pin: 'sha256/short' is none; give 'sha256/' and the base64 of"),
        (["--tls-min", "1.4", URL], "--tls-min: '1.4' is no version of TLS; give one of 1.0, 1.1, 1.2, 1.3"),
        (["--tls-max", "TLSv1.3", URL], "--tls-max: 'TLSv1.3' is no version of TLS"),
        (["--tls-min", "1.3", "--tls-max", "1.2", URL], "--tls-min: it is above --tls-max, so there is no version"),
    ],
)
def test_usage_errors_name_the_option(argv: list[str], message: str) -> None:
    """What cannot work is refused before anything is sent, in the words of the option."""
    with pytest.raises(CommandError) as caught:
        parse(argv)
    assert str(caught.value).startswith(message)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize("source", ["open sesame", "env:open sesame", "file:/open sesame", "pass:open sesame"])
def test_password_is_never_repeated(source: str) -> None:
    """What was typed for ``--pass`` may be the password itself: a message about it does not show it."""
    with pytest.raises(CommandError, match=r"^--pass: ") as caught:
        parse(["--pass", source, URL])
    assert "sesame" not in str(caught.value)


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
