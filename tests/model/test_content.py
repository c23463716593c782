"""Bodies by keyword: what ``json``, ``form`` and ``files`` of a request become."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply import Operation, Request
from trioreply._model.bodies import Body, BytesBody, PathBody
from trioreply._model.content import json_body
from trioreply._model.forms import FormBody, MultipartBody, Part
from trioreply._model.request import RequestFields

URL = "http://h/"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def content_of(body: Body) -> bytes:
    """What ``body`` holds; of a path, the path."""
    if isinstance(body, BytesBody):
        return bytes(body.data)
    return body.path.encode() if isinstance(body, PathBody) else b"file"


def sections(request: Request) -> list[tuple[str, str | None, bytes]]:
    """Disposition, type and content of the parts that ``request`` sends."""
    assert isinstance(request.body, MultipartBody)
    return [
        (section.headers["Content-Disposition"], section.headers.get("Content-Type"), content_of(section.body))
        for section in request.body.sections
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True]}, b'{"a":[1,2.5,null,true]}'),
        ("é€", '"é€"'.encode()),
        (0, b"0"),
        ("", b'""'),
        ([], b"[]"),
    ],
)
def test_json(value: object, expected: bytes) -> None:
    """``json`` becomes compact UTF-8 that says it is JSON, empty values included."""
    assert Request(URL, json=value).body == BytesBody(expected, content_type="application/json")


@given(JSON)
def test_json_is_read_back(value: object) -> None:
    """What is sent as JSON means what was given."""
    assert json.loads(bytes(json_body(value).data)) == value


def endless() -> object:
    """A list that contains itself."""
    found: list[object] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({1, 2}, TypeError),
        ({"a": b"x"}, TypeError),
        (float("nan"), ValueError),
        ("\ud800", ValueError),
        (endless(), ValueError),
    ],
)
def test_json_is_refused(value: object, error: type[Exception]) -> None:
    """What has no form in JSON is refused in a text that names the keyword."""
    with pytest.raises(error, match=r"^json: "):
        Request(URL, json=value)


def test_form() -> None:
    """``form`` alone becomes a form in one line, an empty one too."""
    assert Request(URL, form={"a": "b c"}).body == FormBody({"a": "b c"})
    assert Request(URL, form=[]).body == FormBody({})


def test_files(tmp_path: Path) -> None:
    """``files`` becomes a form with parts: each is a file to the server, with a name, even where none was given."""
    path = tmp_path / "a.png"
    path.touch()
    with path.open("rb") as file:
        request = Request(
            URL,
            files={
                "path": path,
                "bytes": b"1",
                "open": file,
                "nameless": io.BytesIO(),
                "pair": ("b.txt", "text"),
                "triple": ("c", b"2", "image/png"),
                "part": Part(None, b"3", filename="d"),
                "same": Part("same", b"4"),
                "unnamed": (None, b"5"),
            },
        )
    assert sections(request) == [
        ('form-data; name="path"; filename="a.png"', "image/png", bytes(path)),
        ('form-data; name="bytes"; filename="bytes"', "application/octet-stream", b"1"),
        ('form-data; name="open"; filename="a.png"', "image/png", b"file"),
        ('form-data; name="nameless"; filename="nameless"', "application/octet-stream", b"file"),
        ('form-data; name="pair"; filename="b.txt"', "text/plain; charset=utf-8", b"text"),
        ('form-data; name="triple"; filename="c"', "image/png", b"2"),
        ('form-data; name="part"; filename="d"', "application/octet-stream", b"3"),
        ('form-data; name="same"', None, b"4"),
        ('form-data; name="unnamed"; filename="unnamed"', "application/octet-stream", b"5"),
    ]


def test_form_with_files() -> None:
    """``form`` and ``files`` together are one form, the fields first; names may repeat in both."""
    request = Request(URL, form=[("a", 1), ("a", "é")], files=[("f", ("x", b"1")), ("f", ("y", b"2"))])
    assert [(disposition, content) for disposition, _, content in sections(request)] == [
        ('form-data; name="a"', b"1"),
        ('form-data; name="a"', "é".encode()),
        ('form-data; name="f"; filename="x"', b"1"),
        ('form-data; name="f"; filename="y"', b"2"),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"json": 1, "form": {}}, "json and form/files: a request has one body"),
        ({"json": 1, "files": {}}, "json and form/files"),
        ({"body": b"x", "json": 1}, "body and json"),
        ({"body": b"x", "form": {}}, "body and form/files"),
        ({"files": {}}, "parts: a multipart body has at least one part"),
        ({"files": {"a": Part("b", b"")}}, "files: the part under 'a' has the name 'b'"),
        ({"files": {"a": ("f", b"", "a/b", {})}}, "files: 'a' has 4 items"),
    ],
)
def test_contradictions_are_refused(fields: RequestFields, message: str) -> None:
    """Two bodies for one request, or a file that contradicts itself, are refused by the names of the keywords."""
    with pytest.raises(ValueError, match=message):
        Request(URL, **fields)


def test_none_is_nothing() -> None:
    """A keyword that is ``None`` is as if it were left out."""
    assert Request(URL, json=None, form=None, files=None, body=b"x").body == BytesBody(b"x")


@pytest.mark.parametrize("operation", list(Operation)[:-1])
def test_every_operation_may_have_content(operation: Operation) -> None:
    """Content can go with any operation, GET included, as it can in Qt."""
    assert Request(URL, operation=operation, json=[]).body is not None


def test_replacing_content() -> None:
    """Content given to `Request.replace` takes the place of the body; without, the body stays."""
    request = Request(URL, json=[1])
    assert request.replace(priority=request.priority).body == request.body
    assert request.replace(form={"a": "b"}).body == FormBody({"a": "b"})
    assert request.replace(body=b"x").body == BytesBody(b"x")
    assert request.replace(json=None).body == request.body
    with pytest.raises(ValueError, match="body and json"):
        request.replace(body=b"x", json=1)


def test_keywords_are_gone_afterwards() -> None:
    """A request shows what it sends in one place: the body."""
    request = Request(URL, json=[1])
    assert (request.json, request.form, request.files) == (None, None, None)
    assert request == Request(URL, body=BytesBody(b"[1]", content_type="application/json"))
