"""Forms: what the fields and parts of one become, and the mistakes that are found when it is made."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.bodies import (
    BytesBody,
    FileBody,
    PathBody,
    StreamBody,
    content_type_of,
    is_detachable,
    is_empty,
    is_prompt,
    is_rewindable,
    leaves,
    make_body,
)
from trioreply._model.forms import FilenameOption, FormBody, FormSource, MultipartBody, Part, free_boundary
from trioreply._model.headers import encode_text
from trioreply._model.media_types import guess_type

# Text that has bytes: no half characters.
TEXT = st.text(st.characters(codec="utf-8"))


async def pieces() -> AsyncIterator[bytes]:
    """An asynchronous iterator of bytes."""
    yield b"never read"


class Drip(io.RawIOBase):
    """A binary file that cannot go back."""

    def readable(self) -> bool:
        """It can be read."""
        return True


def disposition(part: Part, options: FilenameOption | None = None) -> str:
    """How a form of ``part`` alone names it."""
    body = MultipartBody([part]) if options is None else MultipartBody([part], filename_options=options)
    return body.sections[0].headers["Content-Disposition"]


def type_of(part: Part, subtype: str = "form-data") -> str | None:
    """The Content-Type of ``part``."""
    return MultipartBody([part], subtype=subtype).sections[0].headers.get("Content-Type")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, b""),
        ({"a": "1", "b": "x y"}, b"a=1&b=x+y"),
        ([("a", "1"), ("a", "2")], b"a=1&a=2"),
        ([["list", "pair"]], b"list=pair"),
        ({"n": 5, "f": 0.5}, b"n=5&f=0.5"),
        ({"é": "€"}, b"%C3%A9=%E2%82%AC"),
        ({"raw": b"\xff\x00"}, b"raw=%FF%00"),
        ({"marks": "*-._~!&=+%\r\n"}, b"marks=*-._%7E%21%26%3D%2B%25%0D%0A"),
        ({"": ""}, b"="),
    ],
)
def test_form_is_encoded(fields: FormSource, expected: bytes) -> None:
    """A form is encoded as the URL standard says: UTF-8, a plus for a space, names may repeat, and it says its type."""
    body = FormBody(fields)
    assert body.data == expected
    assert content_type_of(body) == "application/x-www-form-urlencoded"
    assert body == FormBody(fields)
    assert make_body(body) is body


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_form_is_read_back(fields: list[tuple[str, str]]) -> None:
    """Whatever names and values a form has, another's decoder reads them back."""
    data = bytes(FormBody(fields).data).decode("ascii")
    assert parse_qsl(data, keep_blank_values=True) == [pair for pair in fields if data]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ("a=1", TypeError, "form: give pairs"),
        ([("a", "b", "c")], TypeError, "form: give pairs"),
        ([(1, "b")], TypeError, "form: a name must be str, not int"),
        ({"a": None}, TypeError, "form: the value of 'a' must be str, bytes or a number, not NoneType"),
        ({"a": True}, TypeError, "not bool"),
        ({"a": float("nan")}, ValueError, "form: the value of 'a' is nan"),
        ({"\ud800": "x"}, ValueError, "form: .* holds half a character"),
        ({"x": "\udfff"}, ValueError, "form: .* holds half a character"),
    ],
)
def test_form_is_refused(fields: FormSource, error: type[Exception], message: str) -> None:
    """A field that has no clear text is refused when the form is made."""
    with pytest.raises(error, match=message):
        FormBody(fields)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", 'name="plain"'),
        ('a"b\r\nc', 'name="a%22b%0D%0Ac"'),
        ("é\\%", 'name="é\\%"'),
        ("", 'name=""'),
    ],
)
def test_names_of_parts(name: str, expected: str) -> None:
    """The name of a form's part is written as browsers do: UTF-8, and only quotes and ends of lines are encoded."""
    assert disposition(Part(name, b"")) == f"form-data; {expected}"


NAIVE = "naïve €.txt"


@pytest.mark.parametrize(
    ("filename", "options", "expected"),
    [
        ("a.txt", FilenameOption(0), b'filename="a.txt"'),
        ('a"\n.txt', FilenameOption.OMIT_RFC8187, b'filename="a%22%0A.txt"'),
        (NAIVE, FilenameOption.OMIT_RFC8187, 'filename="naïve €.txt"'.encode()),
        (
            NAIVE,
            FilenameOption(0),
            "filename=\"naïve €.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt".encode(),
        ),
        (
            NAIVE,
            FilenameOption.PERCENT_ENCODED,
            b"filename=\"na%C3%AFve%20%E2%82%AC.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt",
        ),
        (NAIVE, FilenameOption.STRICT_RFC7578, b'filename="na%C3%AFve%20%E2%82%AC.txt"'),
        (NAIVE, FilenameOption.PREFER_LATIN1 | FilenameOption.OMIT_RFC8187, 'filename="naïve €.txt"'.encode()),
        ("naïve", FilenameOption.PREFER_LATIN1 | FilenameOption.OMIT_RFC8187, b'filename="na\xefve"'),
        ("naïve", FilenameOption.PREFER_LATIN1, b"filename=\"na\xefve\"; filename*=UTF-8''na%C3%AFve"),
        ("\udcff", FilenameOption(0), b"filename=\"\xff\"; filename*=UTF-8''%EF%BF%BD"),
    ],
)
def test_filename_options(filename: str, options: FilenameOption, expected: bytes) -> None:
    """The name of a file is written in the way that was chosen; each of Qt's is one of them."""
    part = Part("f", b"", filename=filename)
    assert encode_text(disposition(part, options)) == b'form-data; name="f"; ' + expected


def test_browsers_way_is_the_default() -> None:
    """Unless asked otherwise, a file's name stands once, in UTF-8: that is what servers are tested with."""
    assert disposition(Part("f", b"", filename=NAIVE)) == f'form-data; name="f"; filename="{NAIVE}"'


def test_filename_comes_from_the_file(tmp_path: Path) -> None:
    """A path or an open file in a form is a file to the server, called as it is there unless another name is given."""
    path = tmp_path / "image.png"
    path.touch()
    assert disposition(Part("f", path)) == 'form-data; name="f"; filename="image.png"'
    assert disposition(Part("f", path, filename="other")) == 'form-data; name="f"; filename="other"'
    with path.open("rb") as file, open(file.fileno(), "rb", closefd=False) as nameless:
        assert disposition(Part("f", file)) == 'form-data; name="f"; filename="image.png"'
        assert disposition(Part("f", nameless)) == 'form-data; name="f"'
    assert disposition(Part("f", io.BytesIO())) == 'form-data; name="f"'


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part("a", "text"), None),
        (Part("a", b"bytes"), None),
        (Part("a", pieces()), None),
        (Part("a", "text", filename="x"), "text/plain; charset=utf-8"),
        (Part("a", b"", filename="x.PNG"), "image/png"),
        (Part("a", b"", filename="x.unheard-of"), "application/octet-stream"),
        (Part("a", b"", filename="png"), "application/octet-stream"),
        (Part("a", Path("/somewhere/x.json")), "application/json"),
        (Part("a", b"", filename="x.png", content_type="image/webp"), "image/webp"),
        (Part("a", "<p>", content_type="text/html"), "text/html"),
        (Part("a", "t", content_type="text/plain; charset=utf-8"), "text/plain; charset=utf-8"),
        (Part("a", BytesBody(b"{}", content_type="application/json")), "application/json"),
        (Part("a", b"", headers={"content-type": "x/y"}), "x/y"),
    ],
)
def test_types_of_parts(part: Part, expected: str | None) -> None:
    """A part's type is what was given, else what its body says, else what its file's name suggests."""
    assert type_of(part) == expected


def test_text_says_its_charset_outside_of_forms() -> None:
    """In mail's multipart types text without a charset is ASCII, so there a text says that it is UTF-8."""
    assert type_of(Part(None, "é"), "mixed") == "text/plain; charset=utf-8"
    assert MultipartBody([Part(None, "é")], subtype="mixed").sections[0].body == BytesBody(
        "é".encode(), content_type="text/plain; charset=utf-8"
    )


def test_names_outside_of_forms() -> None:
    """In other multipart types a part needs no name; one it has is an ordinary parameter of an attachment."""
    parts = [
        Part(None, b""),
        Part("n", b""),
        Part(None, b"", filename='a"€.txt'),
        Part(None, Path("/x.png")),
        Part(None, b"", headers={"Content-Disposition": "inline"}),
    ]
    body = MultipartBody(parts, subtype="mixed")
    assert [section.headers.get("Content-Disposition") for section in body.sections] == [
        None,
        "attachment; name=n",
        'attachment; filename="a\\"_.txt"; filename*=UTF-8\'\'a%22%E2%82%AC.txt',
        None,
        "inline",
    ]


def test_own_headers_of_parts() -> None:
    """A part's own fields follow ours, and take the place of ours if they have the name of one."""
    part = Part("a", b"", filename="f", headers={"X-Own": "1", "content-disposition": "form-data; name=b"})
    headers = MultipartBody([part]).sections[0].headers
    assert list(headers.items()) == [
        ("Content-Type", "application/octet-stream"),
        ("X-Own", "1"),
        ("content-disposition", "form-data; name=b"),
    ]


def bad(**fields: object) -> Part:
    """A part with fields that need not be of the right type."""
    return Part(**{"name": "n", "body": b"", **fields})  # type: ignore[arg-type]  # wrong types are the point


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"body": None}, TypeError, "part: it needs a body"),
        ({"body": 5}, TypeError, "body: give bytes"),
        ({"body": "\ud800"}, ValueError, "part: .* half a character"),
        ({"name": b"n"}, TypeError, "part: the name must be str, not bytes"),
        ({"filename": Path("x")}, TypeError, "part: the filename must be str"),
        ({"content_type": 1}, TypeError, "part: the content_type must be str"),
        ({"content_type": "png"}, ValueError, "part: the content_type 'png' is no media type"),
        ({"content_type": "a/b", "headers": {"content-type": "a/b"}}, ValueError, "not both"),
        ({"body": "x", "content_type": "text/plain; charset=latin-1"}, ValueError, "part: text is sent as UTF-8"),
        ({"headers": {"X": "a\r\nb"}}, ValueError, "part: the value of 'X' holds a control character"),
    ],
)
def test_part_is_refused(fields: dict[str, object], error: type[Exception], message: str) -> None:
    """A part that could not be sent is refused when it is made, in a text that says what is wrong."""
    with pytest.raises(error, match=message):
        bad(**fields)


@pytest.mark.parametrize(
    ("parts", "subtype", "error", "message"),
    [
        ([], "form-data", ValueError, "parts: a multipart body has at least one part"),
        ([b"x"], "form-data", TypeError, "parts: give Part objects, not bytes"),
        ([Part(None, b"")], "form-data", ValueError, "parts: every part of a form has a name"),
        ([Part("a\0", b"")], "form-data", ValueError, "part: the value of 'Content-Disposition' holds a control"),
        ([Part(None, b"", filename="a\n")], "mixed", ValueError, "'filename' holds a control character"),
        ([Part("a", b"", content_type="a/b\r\nX: y")], "form-data", ValueError, "part: the value of 'Content-Type'"),
        ([Part("a", b"")], "Form Data", ValueError, "subtype: 'Form Data' is none"),
    ],
)
def test_multipart_is_refused(parts: Iterable[Part], subtype: str, error: type[Exception], message: str) -> None:
    """A body whose parts do not fit together, or to its subtype, is refused when it is made."""
    with pytest.raises(error, match=message):
        MultipartBody(parts, subtype=subtype)


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [
        ("x", "multipart/form-data; boundary=x"),
        ("a b", 'multipart/form-data; boundary="a b"'),
        ("(:=?/,)", 'multipart/form-data; boundary="(:=?/,)"'),
        ("y" * 70, f"multipart/form-data; boundary={'y' * 70}"),
    ],
)
def test_boundary_is_named(boundary: str, expected: str) -> None:
    """The type of a multipart body names its boundary, in quotes only if it needs them."""
    assert content_type_of(MultipartBody([Part("a", b"")], boundary=boundary)) == expected


@pytest.mark.parametrize("boundary", ["", "a ", "y" * 71, 'a"b', "é", "a\r\nb", "a;b"])
def test_boundary_is_refused(boundary: str) -> None:
    """A boundary that RFC 2046 does not allow is refused."""
    with pytest.raises(ValueError, match=r"boundary: .* is none"):
        MultipartBody([Part("a", b"")], boundary=boundary)


INNER = MultipartBody([Part(None, b"deep --in-deep")], subtype="mixed", boundary="inner")


@pytest.mark.parametrize(
    ("part", "boundary"),
    [
        (Part("a", b"before\r\n--cut\r\nafter"), "cut"),
        (Part("a", BytesBody(memoryview(b"--cut"))), "cut"),
        (Part("a", b"", headers={"--cut": "x"}), "cut"),
        (Part("a", INNER), "inner"),
        (Part("a", INNER), "inn"),
        (Part("a", INNER), "in-deep"),
    ],
)
def test_boundary_that_occurs_is_refused(part: Part, boundary: str) -> None:
    """A boundary that would end a part early is refused, wherever in it the boundary lies, an inner one's start too."""
    with pytest.raises(ValueError, match=r"boundary: .* occurs in a part"):
        MultipartBody([part], boundary=boundary)


def test_random_boundaries() -> None:
    """A boundary nobody gave is random, and another is drawn if it happens to occur in a part."""
    assert len({MultipartBody([Part("a", b"")]).boundary for _ in range(10)}) == 10
    sections = MultipartBody([Part("a", b"--first, --second")]).sections
    drawn = iter(["first", "second", "third", "fourth"])
    assert free_boundary(sections, lambda: next(drawn)) == "third"


def test_related_names_the_type_of_its_root() -> None:
    """A multipart/related body says what its first part is, as RFC 2387 demands."""
    typed = MultipartBody([Part(None, b"{}", content_type="application/json; x=y")], subtype="related", boundary="b")
    assert typed.content_type == 'multipart/related; boundary=b; type="application/json"'
    untyped = MultipartBody([Part(None, b"{}")], subtype="related", boundary="b")
    assert untyped.content_type == 'multipart/related; boundary=b; type="text/plain"'


def test_nested_body_has_its_type() -> None:
    """A multipart body in a part says of itself what it is."""
    assert type_of(Part("a", INNER)) == "multipart/mixed; boundary=inner"


@pytest.mark.parametrize(
    ("part", "rewindable", "detachable", "prompt"),
    [
        (Part("a", b"x"), True, True, True),
        (Part("a", Path("/x")), True, True, True),
        (Part("a", io.BytesIO()), True, False, True),
        (Part("a", io.BufferedReader(Drip())), False, False, True),
        (Part("a", pieces()), False, False, False),
    ],
)
def test_multipart_is_as_good_as_its_parts(part: Part, rewindable: bool, detachable: bool, prompt: bool) -> None:
    """A body of parts can be sent again, outlive its reply, or be had at once, if all its parts can, deep ones too."""
    for body in (
        MultipartBody([part, Part("b", b"")]),
        MultipartBody([Part("b", b""), Part("nested", MultipartBody([part], subtype="mixed"))]),
    ):
        assert is_rewindable(body) is rewindable
        assert is_detachable(body) is detachable
        assert is_prompt(body) is prompt
        assert not is_empty(body)


def test_leaves() -> None:
    """The leaves of a body are what has no parts, in order; nothing has none, and a body without parts is its own."""
    body = MultipartBody([Part("a", b"1"), Part("b", INNER), Part("c", Path("/2"))])
    assert list(leaves(body)) == [BytesBody(b"1"), BytesBody(b"deep --in-deep"), PathBody("/2")]
    assert list(leaves(None)) == []
    assert list(leaves(PathBody("/2"))) == [PathBody("/2")]


def test_content_types_of_other_bodies() -> None:
    """Bytes, files and streams that nobody described have no type."""
    for body in (BytesBody(b"x"), PathBody("/x.png"), FileBody(io.BytesIO()), StreamBody(pieces()), None):
        assert content_type_of(body) is None


def test_multipart_bodies_are_silent_and_unequal() -> None:
    """The repr of a body shows no content, and one is equal only to itself, as its parts may be."""
    body = MultipartBody([Part("a", b"secret")], boundary="b")
    assert repr(body) == (
        "MultipartBody(boundary='b', content_type='multipart/form-data; boundary=b', subtype='form-data')"
    )
    assert body != MultipartBody([Part("a", b"secret")], boundary="b")
    assert "secret" not in repr(Part("a", b"secret"))


@pytest.mark.parametrize(("name", "expected"), [("a.tar.gz", "application/gzip"), ("a", None), (".", None)])
def test_types_by_name(name: str, expected: str | None) -> None:
    """What follows the last dot of a name, in any case, suggests a type."""
    assert guess_type(name) == expected
