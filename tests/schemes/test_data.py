"""``data:`` URLs: Qt's behaviour, which is RFC 2397 with a generous mind."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trioreply
from trioreply import Direction, ErrorOccurred, Finished, MetaDataChanged, NetworkError, Progress, ReadyRead
from trioreply._schemes.data import DEFAULT_TYPE, parse
from trioreply.errors import ProtocolFailure


@pytest.mark.parametrize(
    ("url", "content_type", "content"),
    [
        ("data:,hello", DEFAULT_TYPE, b"hello"),
        ("data:,", DEFAULT_TYPE, b""),
        ("data:text/html,a%20b", "text/html", b"a b"),
        ("data:text/html;charset=utf-8,%C3%A4", "text/html;charset=utf-8", b"\xc3\xa4"),
        ("data:;charset=latin-1,%E4", "text/plain;charset=latin-1", b"\xe4"),
        ("data:%20text/x%20,y", "text/x", b"y"),
        ("data:text/x,a,b", "text/x", b"a,b"),
        ("data:text/x;base64,aGVsbG8=", "text/x", b"hello"),
        ("data:;base64,aGVsbG8", DEFAULT_TYPE, b"hello"),
        ("data:text/x;BASE64,aGVs%20bG8%3D", "text/x", b"hello"),
        ("data:text/x;base64,", "text/x", b""),
        ("data:text/x;base64,a", "text/x", b""),
        ("data:text/x;base64,a*b=", "text/x", b""),
        ("data:text/x;base64,aGVs=bG8=", "text/x", b""),
        ("data:text/x;base64;y=z,aGVs", "text/x;base64;y=z", b"aGVs"),
        ("data:base64,aGVs", "base64", b"aGVs"),
        ("data:%FF,x", "\ufffd", b"x"),
    ],
)
def test_parsing(url: str, content_type: str, content: bytes) -> None:
    """Type and content come out of the address; what is no base64 is empty, as in Qt."""
    assert parse(url) == (content_type, content)


@pytest.mark.parametrize("url", ["data:", "data:text/plain", "data:;base64", "data://host/,x", "data:%2C"])
def test_what_is_no_data_url(url: str) -> None:
    """Without a comma, or with a host, it is PROTOCOL_FAILURE."""
    with pytest.raises(ProtocolFailure, match=r"^Invalid URI: "):
        parse(url)


@given(st.binary(max_size=60), st.booleans())
def test_any_content_survives(content: bytes, as_base64: bool) -> None:
    """Bytes written as base64 or percent-encoded come back."""
    text = base64.b64encode(content).decode() if as_base64 else quote(content)
    assert parse(f"data:x/y{';base64' if as_base64 else ''},{text}") == ("x/y", content)


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
async def test_events(verb: str) -> None:
    """GET and HEAD deliver the content with type and length, in the order of every reply, without a status."""
    async with trioreply.open_manager() as manager, manager.send_custom("data:text/x,a b#f", verb) as reply:
        assert [event async for event in reply] == [
            MetaDataChanged(None, reply.headers),
            ReadyRead(3),
            Progress(Direction.DOWNLOAD, 3, 3, 3, 3),
            Finished(NetworkError.NO_ERROR),
        ]
        assert (reply.status_code, reply.read()) == (None, b"a b")
        assert dict(reply.headers) == {"Content-Type": "text/x", "Content-Length": "3"}


async def test_no_content() -> None:
    """An empty data: URL is a reply without ReadyRead."""
    async with trioreply.open_manager() as manager, manager.get("data:,") as reply:
        assert ReadyRead not in [type(event) async for event in reply]
        assert reply.headers["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("verb", "url", "error"),
    [
        ("POST", "data:,x", NetworkError.PROTOCOL_UNKNOWN),
        ("DELETE", "data:,x", NetworkError.PROTOCOL_UNKNOWN),
        ("PURGE", "data:,x", NetworkError.PROTOCOL_UNKNOWN),
        ("GET", "data:x", NetworkError.PROTOCOL_FAILURE),
        ("GET", "data://host/,x", NetworkError.PROTOCOL_FAILURE),
    ],
)
async def test_failures(verb: str, url: str, error: NetworkError) -> None:
    """What cannot be is an error of the reply, told by events and not raised where it is opened."""
    async with trioreply.open_manager() as manager, manager.send_custom(url, verb) as reply:
        events = [event async for event in reply]
        assert isinstance(events[0], ErrorOccurred)
        assert events[-1] == Finished(error)
