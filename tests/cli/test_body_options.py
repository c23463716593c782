"""The options that give a body."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trioreply import FormBody, MultipartBody, Operation
from trioreply._cli.app import main
from trioreply._cli.args import Fetch, parse
from trioreply._cli.exits import CommandError, Exit
from trioreply.testing import Origin, OriginRequest, OriginResponse

from .conftest import serving, standard_input

URL = "http://h.test/"
Writer = Callable[[str, bytes], str]
Field = tuple[str, bytes]


def fetch(*argv: str) -> Fetch:
    """What ``argv`` asks to be fetched."""
    command = parse([*argv, URL])
    assert isinstance(command, Fetch)
    return command


async def answer(request: OriginRequest) -> OriginResponse:
    """Take whatever comes."""
    await request.read()
    return OriginResponse()


def sent(*argv: str) -> OriginRequest:
    """The request that a server gets."""
    with serving(answer) as origin:
        assert main([*argv, origin.url()]) == Exit.OK
        return only_request(origin)


def only_request(origin: Origin) -> OriginRequest:
    """The one that there was."""
    (request,) = origin.requests
    return request


def form_of(request: OriginRequest) -> list[Field]:
    """The parts of a form as they stand in it: their descriptions, and what they hold."""
    kind, _, boundary = (request.header("content-type") or "").partition("; boundary=")
    assert kind == "multipart/form-data"
    first, *parts, last = request.body.split(f"--{boundary}".encode())
    assert (first, last) == (b"", b"--\r\n")
    fields = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        fields.append(("; ".join(line.partition(": ")[2] for line in head.decode().split("\r\n")), content))
    return [(described.removeprefix("form-data; "), content) for described, content in fields]


def test_json() -> None:
    """``--json`` sends a text as it is, says what it is, and that JSON is wanted back."""
    request = sent("--json", '{"a": 1}')
    assert (request.method, request.body) == ("POST", b'{"a": 1}')
    assert [request.header(name) for name in ("content-type", "accept")] == ["application/json"] * 2


def test_json_of_a_file(files: Writer) -> None:
    """The JSON may be in a file, and ``-H`` overrules what is said about it."""
    request = sent("--json", f"@{files('f', b'[]')}", "-H", "content-type: application/x", "-X", "PATCH")
    assert (request.method, request.body) == ("PATCH", b"[]")
    assert [request.header(name) for name in ("content-type", "accept")] == ["application/x", "application/json"]


def test_form_of_fields(files: Writer) -> None:
    """``--data-urlencode`` makes one form of its fields, with values that were typed or stand in a file."""
    fields = ["a=1&2=@", "b@" + files("f", b"\xff&="), "ü="]
    request = sent(*(word for field in fields for word in ("--data-urlencode", field)))
    assert request.body == b"a=1%262%3D%40&b=%FF%26%3D&%C3%BC="
    assert request.header("content-type") == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a=1", ('name="a"', b"1")),
        ("a= 1 ; x=2", ('name="a"', b" 1 ; x=2")),
        ("a=1;type=text/x; q=1", ('name="a"; text/x; q=1', b"1")),
        ("a=@FILE", ('name="a"; filename="f.txt"; text/plain', b"content")),
        ("a=@FILE;type=text/x;filename=g", ('name="a"; filename="g"; text/x', b"content")),
        ('a=@"FILE"; filename="a\\"b\\\\;c"', ('name="a"; filename="a%22b\\;c"; application/octet-stream', b"content")),
        ("a=<FILE", ('name="a"', b"content")),
        ("a=1;filename=g.html", ('name="a"; filename="g.html"; text/html', b"1")),
        ("=", ('name=""', b"")),
    ],
)
def test_form_with_files(files: Writer, text: str, part: Field) -> None:
    """A field of ``-F`` is a value, a file, or a value from a file, with type and name if they are given."""
    request = sent("-F", text.replace("FILE", files("f.txt", b"content")))
    assert form_of(request) == [part]


def test_form_keeps_its_order() -> None:
    """Fields of both kinds stand in the order in which they were given, and a plain value has no meaning."""
    fields = form_of(sent("-F", "a=1", "--form-string", "b=@/no/such;type=x", "--form", "a=2"))
    assert fields == [('name="a"', b"1"), ('name="b"', b"@/no/such;type=x"), ('name="a"', b"2")]


@pytest.mark.parametrize(
    ("sign", "described"), [("@", 'name="a"; filename="-"; application/octet-stream'), ("<", 'name="a"')]
)
def test_form_from_standard_input(files: Writer, sign: str, described: str) -> None:
    """A field may be standard input: a file called ``-``, or a value without a file's name, whatever it is."""
    with Path(files("f", b"content")).open() as file, standard_input(file):
        request = sent("-F", f"a={sign}-")
    assert form_of(request) == [(described, b"content")]


@pytest.mark.parametrize(
    ("argv", "taken"),
    [
        ([], False),
        (["-d", "@-"], True),
        (["-d", "-"], False),
        (["--json", "@-"], True),
        (["-F", "a=-"], False),
        (["-F", "a=@-"], True),
        (["-F", "a=b", "-F", "a=<-;type=text/x"], True),
        (["--form-string", "a=@-"], False),
    ],
)
def test_body_from_the_keyboard_leaves_no_answers(argv: list[str], taken: bool) -> None:
    """It is known whether standard input is sent, for nobody can answer there then."""
    with Path(os.devnull).open() as file, standard_input(file):
        assert fetch(*argv).is_input_taken is taken


@pytest.mark.parametrize(
    ("argv", "kind"),
    [(["--data-urlencode", "a=1"], FormBody), (["-F", "a=1"], MultipartBody), (["--json", ""], object)],
)
def test_a_body_is_posted(argv: list[str], kind: type) -> None:
    """Whatever gives a body implies POST, an empty one too."""
    request = fetch(*argv).request
    assert request.operation is Operation.POST
    assert isinstance(request.body, kind)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-d", "a", "--json", "b"], "--json: a request has one body, and -d/--data gives it already"),
        (["-F", "a=1", "--data-urlencode", "b=1"], "-F/--form: a request has one body, and --data-urlencode gives"),
        (["-I", "-F", "a=1"], "-I/--head: it asks with HEAD, so leave -X and the body away"),
        (["--json", "@/no/such"], "--json: '/no/such' is not a file that can be read"),
        (["--data-urlencode", "a"], "--data-urlencode: 'a' is no field; write NAME=VALUE or NAME@FILE"),
        (["--data-urlencode", "a@/no/such"], "--data-urlencode: '/no/such' is not a file that can be read"),
        (["--data-urlencode", "\udcff=a"], "--data-urlencode: '\\udcff' holds half a character"),
        (["-F", "a"], "-F/--form: 'a' is no field; write NAME=VALUE or NAME=@FILE"),
        (["-F", "a=@/no/such"], "-F/--form: '/no/such' is not a file that can be read"),
        (["-F", "a=@/"], "-F/--form: '/' is not a file that can be read"),
        (["-F", "a=1;type=x"], "-F/--form: the content_type 'x' is no media type"),
        (["--form-string", "a"], "--form-string: 'a' is no field"),
    ],
)
def test_usage_errors_name_the_option(argv: list[str], message: str) -> None:
    """What cannot be sent is refused before anything is, in the words of the option."""
    with pytest.raises(CommandError) as caught:
        fetch(*argv)
    assert str(caught.value).startswith(message)
    assert caught.value.code is Exit.USAGE


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that may be read, and cannot be")
def test_file_that_fails_is_explained() -> None:
    """A file that cannot be read after all is wrong usage, with the reason."""
    with pytest.raises(CommandError, match=r"^-F/--form: '/proc/self/mem' cannot be read: Input/output error"):
        fetch("-F", "a=</proc/self/mem")


def test_closed_standard_input() -> None:
    """A form from a standard input that is closed is wrong usage."""
    with standard_input(None), pytest.raises(CommandError, match=r"^-F/--form: standard input is closed"):
        fetch("-F", "a=<-")
