"""Ranges of a file: which bytes are meant, and what the response says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply import KnownHeader, NetworkError
from trioreply._model.field_values import ByteRange
from trioreply._model.ranges import content_range, span_of
from trioreply._schemes.local import PIECE

from ..journeys.notation import sequence
from .filing import open_filing

CONTENT = b"0123456789"
EXACT = "Sun, 09 Sep 2001 01:46:40 GMT"
TAG = '"de0b6b3a7640000-a"'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of ten bytes, of a known date."""
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(0, 10**18))
    return path


numbers = st.integers(0, 30)
ranges = st.one_of(
    numbers.map(ByteRange),
    numbers.map(lambda last: ByteRange(None, last)),
    st.tuples(numbers, numbers).map(lambda ends: ByteRange(min(ends), max(ends))),
)


@given(ranges, st.integers(0, 25))
def test_a_range_means_what_the_rfc_says(one: ByteRange, size: int) -> None:
    """A position is in the span exactly if it exists and lies between the two ends, or among the last n."""
    if one.first is None:
        wanted = [at for at in range(size) if at >= size - (one.last or 0)]
    else:
        wanted = [at for at in range(size) if one.first <= at and (one.last is None or at <= one.last)]
    span = span_of(one, size)
    assert list(span) == wanted
    assert content_range(span, size) == (f"bytes {wanted[0]}-{wanted[-1]}/{size}" if wanted else f"bytes */{size}")


@pytest.mark.parametrize(
    ("text", "body", "content_range"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=2-", b"23456789", "bytes 2-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-30", CONTENT, "bytes 0-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=9-99", b"9", "bytes 9-9/10"),
    ],
)
async def test_a_range_is_served(text: str, body: bytes, content_range: str, path: Path) -> None:
    """One range gives its bytes, a 206, and says which they are; length and progress are those of the part."""
    async with open_filing() as manager, manager.get(path.as_uri(), headers={"Range": text}) as reply:
        assert sequence([event async for event in reply]) == f"H(206) R D({len(body)},{len(body)}) F(NO_ERROR)"
        assert (reply.status_code, reply.reason, reply.read()) == (206, "Partial Content", body)
    assert reply.headers["Content-Range"] == content_range
    assert reply.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=-0", "bytes=20-30"])
async def test_a_range_behind_the_end(text: str, path: Path) -> None:
    """A range without a byte is a 416 that tells the size, and UNKNOWN_CONTENT with a text that tells what to do."""
    async with open_filing() as manager, manager.get(path.as_uri(), headers={"Range": text}) as reply:
        assert sequence([event async for event in reply]) == "H(416) E(UNKNOWN_CONTENT) D(0,0) F(UNKNOWN_CONTENT)"
    assert reply.headers["Content-Range"] == "bytes */10"
    assert f"{str(path)!r} has 10 bytes" in reply.error_string


async def test_any_range_of_an_empty_file(path: Path) -> None:
    """An empty file has no range at all."""
    os.truncate(path, 0)
    async with open_filing() as manager, manager.get(path.as_uri(), headers={"Range": "bytes=0-"}) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_CONTENT
    assert reply.headers["Content-Range"] == "bytes */0"


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,4-5"},
        {"Range": "bytes=5-2"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=1-2", "If-Range": '"another"'},
        {"Range": "bytes=1-2", "If-Range": "Sun, 09 Sep 2001 01:46:41 GMT"},
    ],
)
async def test_what_gives_the_whole(headers: dict[str, str], path: Path) -> None:
    """Several ranges, none that makes sense, and one of another version are answered with the whole file."""
    async with open_filing() as manager:
        response = await manager.fetch(path.as_uri(), headers=headers)
    assert (response.status_code, response.body) == (None, CONTENT)


@pytest.mark.parametrize("condition", [TAG, EXACT])
async def test_a_range_of_this_version(condition: str, path: Path) -> None:
    """A range on condition is served if the file is still the one that was meant, by its tag or its date."""
    async with open_filing() as manager:
        response = await manager.fetch(path.as_uri(), headers={"Range": "bytes=1-2", "If-Range": condition})
    assert (response.status_code, response.body, response.headers["ETag"]) == (206, b"12", TAG)


async def test_head_knows_no_range(path: Path) -> None:
    """Ranges are for GET (RFC 9110 section 14.2): HEAD tells of the whole."""
    async with open_filing() as manager, manager.head(path.as_uri(), headers={"Range": "bytes=1-2"}) as reply:
        await reply.wait_finished()
    assert (reply.status_code, reply.headers["Content-Length"]) == (None, "10")


async def test_a_range_of_several_pieces(tmp_path: Path) -> None:
    """A long range begins and ends where it should."""
    path = tmp_path / "long"
    content = bytes(range(251)) * 4000
    path.write_bytes(content)
    wanted = ByteRange(100, 100 + 2 * PIECE)
    async with open_filing() as manager:
        response = await manager.fetch(path.as_uri(), headers={"Range": KnownHeader.RANGE.format((wanted,))})
    assert response.body == content[100 : 101 + 2 * PIECE]
