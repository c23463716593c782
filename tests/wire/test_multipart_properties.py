"""Multipart bodies are what an independent parser, that of the standard library for mail, takes them for."""

from __future__ import annotations

import email.parser
import email.policy
import re
from email.message import Message

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.bodies import BytesBody
from trioreply._model.forms import FilenameOption, MultipartBody, Part
from trioreply._wire.multipart import frame

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]) | st.sampled_from('\r\n"'))
# Line ends and dashes are what framing is made of, so they come more often than chance would have it.
CONTENT = st.binary() | st.lists(st.sampled_from([b"\r", b"\n", b"--", b"-", b"x", b"\x00", b"\xff"])).map(b"".join)
BOUNDARIES = st.from_regex(r"[0-9A-Za-z'()+_,\-./:=?]{8,70}", fullmatch=True)


@frozen
class Field:
    """A part of a form, as somebody means it, or as a parser understood it."""

    name: str
    filename: str | None
    content: bytes


FIELDS = st.lists(st.builds(Field, NAMES, st.none() | NAMES, CONTENT), min_size=1)


def wire(body: MultipartBody) -> bytes:
    """What is sent of a body that lies in memory."""
    return b"".join(piece.data for piece in frame(body) if isinstance(piece, BytesBody))


def parse(body: MultipartBody) -> list[Message]:
    """The parts of ``body`` in the eyes of the standard library."""
    parser = email.parser.BytesParser(policy=email.policy.compat32)
    message = parser.parsebytes(b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + wire(body))
    assert not message.defects
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, Message)]


def content_of(part: Message) -> bytes:
    """The bytes of a part."""
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def understood(part: Message) -> Field:
    """What a server makes of a part of a form, names decoded as the URL standard encodes them."""
    raw = dict(part.raw_items())["Content-Disposition"]
    text = str(raw).encode("ascii", "surrogateescape").decode()
    match = re.fullmatch(r'form-data; name="([^"]*)"(?:; filename="([^"]*)")?', text)
    assert match is not None
    return Field(_decoded(match[1]), None if match[2] is None else _decoded(match[2]), content_of(part))


def _decoded(name: str) -> str:
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


@given(FIELDS, st.none() | BOUNDARIES)
def test_forms_are_read_back(fields: list[Field], boundary: str | None) -> None:
    """Whatever names and contents a form has, a parser finds these parts, in this order, and nothing else."""
    parts = [Part(field.name, field.content, filename=field.filename) for field in fields]
    body = MultipartBody(parts, boundary=boundary)
    expected = [Field(_decoded(f.name), f.filename and _decoded(f.filename), f.content) for f in fields]
    assert [understood(part) for part in parse(body)] == expected


@given(NAMES, st.sampled_from([FilenameOption(number) for number in range(8)]))
def test_no_name_breaks_out(filename: str, options: FilenameOption) -> None:
    """However a file's name is written, it adds neither a field nor a part."""
    (part,) = parse(MultipartBody([Part("f", b"content", filename=filename)], filename_options=options))
    assert part.keys() == ["Content-Disposition", "Content-Type"]
    assert content_of(part) == b"content"


TREES = st.recursive(CONTENT, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12)
Tree = bytes | list["Tree"]


def planted(tree: Tree) -> Part:
    """A part that holds ``tree``, each list a body of its own."""
    if isinstance(tree, bytes):
        return Part(None, tree, content_type="application/octet-stream")
    return Part(None, MultipartBody(map(planted, tree), subtype="mixed"))


def harvested(part: Message) -> Tree:
    """The tree that a parser found."""
    parts = part.get_payload()
    if not part.is_multipart():
        return content_of(part)
    assert isinstance(parts, list)
    return [harvested(inner) for inner in parts if isinstance(inner, Message)]


@given(st.lists(TREES, min_size=1, max_size=4))
def test_nested_bodies_are_read_back(trees: list[Tree]) -> None:
    """However deep bodies are nested, a parser finds the same tree."""
    body = MultipartBody(map(planted, trees), subtype="mixed")
    assert [harvested(part) for part in parse(body)] == trees
