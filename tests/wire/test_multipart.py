"""Multipart framing: what the parts of a body are on the wire, byte by byte."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from trioreply._model.bodies import BytesBody, PathBody
from trioreply._model.forms import MultipartBody, Part
from trioreply._wire.multipart import JOIN_LIMIT, frame


def wire(body: MultipartBody) -> bytes:
    """The bytes of a body that lies in memory."""
    pieces = list(frame(body))
    assert all(isinstance(piece, BytesBody) for piece in pieces)
    return b"".join(piece.data for piece in pieces if isinstance(piece, BytesBody))


def test_form_on_the_wire() -> None:
    """Each part is a delimiter, its fields, an empty line and its content; the last delimiter has two dashes more."""
    body = MultipartBody([Part("a", "1"), Part("f", b"\x00\r\n", filename="é.png")], boundary="cut")
    assert wire(body) == (
        b"--cut\r\n"
        b'Content-Disposition: form-data; name="a"\r\n'
        b"\r\n"
        b"1\r\n"
        b"--cut\r\n"
        b'Content-Disposition: form-data; name="f"; filename="\xc3\xa9.png"\r\n'
        b"Content-Type: image/png\r\n"
        b"\r\n"
        b"\x00\r\n\r\n"
        b"--cut--\r\n"
    )


def test_part_without_fields() -> None:
    """A part without fields has the empty line all the same."""
    assert wire(MultipartBody([Part(None, b"x")], subtype="mixed", boundary="cut")) == b"--cut\r\n\r\nx\r\n--cut--\r\n"


def test_nested_on_the_wire() -> None:
    """A body of parts within a part is framed by its own boundary, its end included."""
    inner = MultipartBody([Part(None, b"x")], subtype="mixed", boundary="in")
    body = MultipartBody([Part(None, inner), Part(None, b"y")], subtype="mixed", boundary="out")
    assert wire(body) == (
        b"--out\r\n"
        b"Content-Type: multipart/mixed; boundary=in\r\n"
        b"\r\n"
        b"--in\r\n\r\nx\r\n--in--\r\n"
        b"\r\n--out\r\n\r\ny\r\n--out--\r\n"
    )


def test_what_must_be_read_is_left_as_it_is() -> None:
    """What is not in memory comes between the pieces that are, in its place, once for each part."""
    with io.BytesIO() as file:
        body = MultipartBody([Part(None, Path("/1")), Part(None, file), Part(None, b"3")], subtype="x", boundary="b")
        pieces = list(frame(body))
        assert pieces == [
            BytesBody(b"--b\r\n\r\n"),
            PathBody("/1"),
            BytesBody(b"\r\n--b\r\n\r\n"),
            body.sections[1].body,
            BytesBody(b"\r\n--b\r\n\r\n3\r\n--b--\r\n"),
        ]


@pytest.mark.parametrize("size", [JOIN_LIMIT, JOIN_LIMIT + 1])
def test_large_content_is_not_copied(size: int) -> None:
    """Small content is joined to what surrounds it; large content is handed on as it is."""
    content = bytes(size)
    body = MultipartBody([Part(None, content)], subtype="mixed", boundary="b")
    handed_on = [piece for piece in frame(body) if piece is body.sections[0].body]
    assert len(handed_on) == (size > JOIN_LIMIT)
    assert wire(body) == b"--b\r\n\r\n" + content + b"\r\n--b--\r\n"


def test_joining_is_bounded() -> None:
    """However many small parts there are, no joined piece grows far beyond the limit, and none is empty."""
    parts = [Part(None, bytes(1000)) for _ in range(300)]
    sizes = [len(piece.data) for piece in frame(MultipartBody(parts, subtype="mixed")) if isinstance(piece, BytesBody)]
    assert max(sizes) <= 2 * JOIN_LIMIT
    assert min(sizes) > 0
    assert sum(sizes) == len(wire(MultipartBody(parts, subtype="mixed")))
