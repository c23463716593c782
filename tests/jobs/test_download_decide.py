"""What responses mean for a download: all cases, and that whatever is read never brings a mixture."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import NetworkError, RetryPolicy
from trioreply._jobs.checksums import Checksum
from trioreply._jobs.download_decide import (
    Asked,
    Coding,
    ContentRange,
    Judgement,
    Meaning,
    Notes,
    Patience,
    Validators,
    can_be_continued,
    judge,
    parse_content_range,
    read_notes,
    status_error,
    strong_validators,
    url_key,
)
from trioreply._model.headers import EMPTY, make_headers

NOW = 1_700_000_000.0
ONE = Validators(etag='"one"')
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
NOTES = Notes("key", ONE, 1000, (Checksum("sha256", bytes(32)),), "name.txt")
NOT_NOTES: list[object] = [
    None,
    [],
    {},
    "text",
    *(
        {**json.loads(NOTES.to_json()), field: value}
        for field, value in [
            ("version", 2),
            ("url_sha256", "other"),
            ("etag", None),
            ("etag", ""),
            ("etag", 5),
            ("etag", "a\r\nb"),
            ("last_modified", ["x"]),
            ("total", -1),
            ("total", True),
            ("total", "1"),
            ("total", 10**18),
            ("digests", 7),
            ("digests", [7]),
            ("digests", ["sha256:xx"]),
            ("name", "../up"),
            ("name", 3),
        ]
    ),
]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"ETag": '"x"'}, Validators('"x"')),
        ({"ETag": 'W/"x"'}, None),
        ({"ETag": "no quotes"}, None),
        ({}, None),
        ({"Last-Modified": DATE}, None),
        ({"Last-Modified": DATE, "Date": "Sun, 06 Nov 1994 08:50:36 GMT"}, None),
        ({"Last-Modified": DATE, "Date": "Sun, 06 Nov 1994 08:50:37 GMT"}, Validators(None, DATE)),
        ({"Last-Modified": "long ago", "Date": DATE}, None),
        ({"ETag": 'W/"x"', "Last-Modified": DATE, "Date": "Mon, 07 Nov 1994 08:49:37 GMT"}, Validators(None, DATE)),
        ({"ETag": '"x"', "Last-Modified": DATE, "Date": "Mon, 07 Nov 1994 08:49:37 GMT"}, Validators('"x"')),
    ],
)
def test_only_strong_validators_count(fields: dict[str, str], found: Validators | None) -> None:
    """An entity tag that is not weak, or a date a minute older than the response (RFC 9110 section 8.8.2.2)."""
    assert strong_validators(make_headers(fields), now=NOW) == found


@pytest.mark.parametrize(
    ("validators", "fields", "contradicts"),
    [
        (ONE, {}, False),
        (ONE, {"ETag": '"one"'}, False),
        (ONE, {"ETag": '"two"'}, True),
        (ONE, {"ETag": 'W/"one"'}, True),
        (ONE, {"Last-Modified": DATE}, False),
        (Validators(None, DATE), {"Last-Modified": DATE}, False),
        (Validators(None, DATE), {"Last-Modified": "Mon, 07 Nov 1994 08:49:37 GMT"}, True),
        (Validators(None, DATE), {"ETag": '"new"'}, False),
    ],
)
def test_what_contradicts_a_version(validators: Validators, fields: dict[str, str], contradicts: bool) -> None:
    """Another value of the very validator does; what is not said does not."""
    assert validators.contradict(make_headers(fields)) is contradicts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bytes 0-9/10", ContentRange(range(10), 10)),
        ("Bytes 5-9/*", ContentRange(range(5, 10), None)),
        ("bytes */10", ContentRange(None, 10)),
        ("bytes */*", None),
        ("bytes 9-5/10", None),
        ("bytes 0-10/10", None),
        ("bytes 0-9", None),
        ("bytes=0-9/10", None),
        ("items 0-9/10", None),
        ("bytes \u0660-9/10", None),
        ("", None),
    ],
)
def test_content_range(text: str, found: ContentRange | None) -> None:
    """A part within the file, or the file's size alone; anything else makes no sense."""
    assert parse_content_range(text) == found


PART = Asked(100, 1000, ONE)
PLAIN = Asked()


@pytest.mark.parametrize(
    ("status", "fields", "asked", "meaning", "total"),
    [
        (200, {"Content-Length": "7"}, PLAIN, Meaning.WHOLE, 7),
        (200, {}, PLAIN, Meaning.WHOLE, None),
        (203, {}, PLAIN, Meaning.WHOLE, None),
        (None, {}, PLAIN, Meaning.WHOLE, None),
        (200, {"Content-Length": "7"}, PART, Meaning.WHOLE, 7),
        (206, {"Content-Range": "bytes 0-6/7"}, PLAIN, Meaning.FAILED, None),
        (416, {"Content-Range": "bytes */0"}, PLAIN, Meaning.FAILED, None),
        (204, {}, PLAIN, Meaning.FAILED, None),
        (302, {}, PLAIN, Meaning.FAILED, None),
        (304, {}, PART, Meaning.FAILED, None),
        (404, {}, PART, Meaning.FAILED, None),
        (206, {"Content-Range": "bytes 100-999/1000"}, PART, Meaning.PART, 1000),
        (206, {"Content-Range": "bytes 100-199/1000"}, PART, Meaning.PART, 1000),
        (206, {"Content-Range": "bytes 100-199/*"}, PART, Meaning.PART, 1000),
        (206, {"Content-Range": "bytes 100-199/500"}, Asked(100, None, ONE), Meaning.PART, 500),
        (206, {"Content-Range": "bytes 100-199/*"}, Asked(100, None, ONE), Meaning.PART, None),
        (206, {"Content-Range": "bytes 101-999/1000"}, PART, Meaning.OTHER, None),
        (206, {"Content-Range": "bytes 0-999/1000"}, PART, Meaning.OTHER, None),
        (206, {"Content-Range": "bytes 100-998/999"}, PART, Meaning.OTHER, None),
        (206, {"Content-Range": "bytes 100-999/1000", "ETag": '"two"'}, PART, Meaning.OTHER, None),
        (206, {"Content-Range": "bytes */1000"}, PART, Meaning.OTHER, None),
        (206, {"Content-Type": "multipart/byteranges"}, PART, Meaning.OTHER, None),
        (416, {"Content-Range": "bytes */100"}, Asked(100, 100, ONE), Meaning.COMPLETE, 100),
        (416, {"Content-Range": "bytes */100"}, Asked(100, None, ONE), Meaning.COMPLETE, 100),
        (416, {"Content-Range": "bytes */100", "ETag": '"two"'}, Asked(100, 100, ONE), Meaning.OTHER, None),
        (416, {"Content-Range": "bytes */100"}, PART, Meaning.OTHER, None),
        (416, {"Content-Range": "bytes */99"}, Asked(100, None, ONE), Meaning.OTHER, None),
        (416, {"Content-Range": "bytes 0-99/100"}, Asked(100, 100, ONE), Meaning.OTHER, None),
        (416, {}, Asked(100, 100, ONE), Meaning.OTHER, None),
        (200, {"Content-Encoding": "gzip"}, PLAIN, Meaning.CODED, None),
        (200, {"Content-Encoding": " Identity", "Content-Length": "7"}, PLAIN, Meaning.WHOLE, 7),
        (200, {"Content-Encoding": "gzip", "Content-Length": "7"}, Asked(coding=Coding.KEPT), Meaning.WHOLE, 7),
        (200, {"Content-Encoding": "gzip", "Content-Length": "7"}, Asked(coding=Coding.UNDONE), Meaning.WHOLE, None),
    ],
)
def test_what_a_response_means(
    status: int | None, fields: dict[str, str], *, asked: Asked, meaning: Meaning, total: int | None
) -> None:
    """Only what fits exactly is continued; what does not fit is begun again, and only a success is a file."""
    judgement = judge(status, make_headers(fields), asked)
    assert (judgement.meaning, judgement.total) == (meaning, total)
    assert judgement.is_exact is (asked.coding is not Coding.UNDONE)
    assert bool(judgement.reason) is (meaning in (Meaning.OTHER, Meaning.CODED))


@given(
    status=st.sampled_from([200, 206, 416, 404, None]),
    first=st.integers(0, 30),
    last=st.integers(0, 30),
    total=st.one_of(st.none(), st.integers(0, 30)),
    etag=st.sampled_from(['"one"', '"two"', None]),
)
def test_a_part_is_only_continued_by_what_follows_it(
    *, status: int | None, first: int, last: int, total: int | None, etag: str | None
) -> None:
    """Whatever a server says: what is taken for the rest begins where the part ends, and is of its version."""
    said = f"bytes {first}-{last}/{'*' if total is None else total}"
    headers = make_headers({"Content-Range": said, **({} if etag is None else {"ETag": etag})})
    judgement = judge(status, headers, Asked(10, 20, ONE))
    if judgement.meaning is Meaning.PART:
        assert status == 206
        assert first == 10
        assert total in (None, 20)
        assert etag in (None, '"one"')
        assert judgement.total == 20
    else:
        assert judgement.meaning is not Meaning.COMPLETE


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (Asked(), [("Accept-Encoding", "identity")]),
        (Asked(coding=Coding.UNDONE), []),
        (Asked(0, 100, ONE), [("Accept-Encoding", "identity")]),
        (Asked(5), [("Accept-Encoding", "identity")]),
        (Asked(5, 9, ONE, Coding.UNDONE), [("Range", "bytes=5-"), ("If-Range", '"one"')]),
        (
            Asked(5, 9, Validators(None, DATE), Coding.KEPT),
            [("Accept-Encoding", "identity"), ("Range", "bytes=5-"), ("If-Range", DATE)],
        ),
    ],
)
def test_what_is_asked_for(asked: Asked, fields: list[tuple[str, str]]) -> None:
    """A range never goes without the condition that the file is the same."""
    assert asked.fields() == fields


@pytest.mark.parametrize(
    ("value", "can"), [(None, True), ("bytes", True), ("none", False), (" None ", False), ("x, none", False)]
)
def test_accept_ranges(value: str | None, can: bool) -> None:
    """Only a server that says it has none has none."""
    assert can_be_continued(EMPTY if value is None else make_headers({"Accept-Ranges": value})) is can


TAGS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)


@given(
    st.one_of(st.builds(Validators, TAGS), st.builds(Validators, st.none(), TAGS)),
    st.one_of(st.none(), st.integers(0, 10**18 - 1)),
    st.lists(st.builds(Checksum, st.just("sha256"), st.binary(min_size=32, max_size=32))),
    st.sampled_from([None, "a", "a (1).tar.gz", "\u20ac"]),
)
def test_notes_are_read_as_they_were_written(
    validators: Validators, total: int | None, digests: list[Checksum], name: str | None
) -> None:
    """Any notes come back equal, and no beginning of them is taken for notes."""
    notes = Notes("key", validators, total, tuple(digests), name)
    written = notes.to_json()
    assert read_notes(written, "key") == notes
    assert read_notes(written, "other") is None
    assert all(read_notes(written[:size], "key") is None for size in range(0, len(written), 7))
    assert read_notes(written[:-1], "key") is None


@pytest.mark.parametrize("content", NOT_NOTES, ids=str)
def test_what_are_no_notes(content: object) -> None:
    """Whatever else lies there under that name is not believed."""
    assert read_notes(json.dumps(content).encode(), "key") is None


@given(st.binary())
def test_any_bytes_may_lie_there(octets: bytes) -> None:
    """Garbage is never notes, and never an error."""
    assert read_notes(octets, "key") is None


def test_deep_notes() -> None:
    """Notes that nest without end are garbage, too."""
    assert read_notes(b"[" * 100_000, "key") is None


def test_a_key_says_nothing_of_the_url() -> None:
    """Secrets of a URL are not to be read off the disk; a fragment makes no other file."""
    key = url_key(URL("http://user:secret@host.test/f?token=secret"))
    assert "secret" not in key
    assert key == url_key(URL("http://user:secret@host.test/f?token=secret#part"))
    assert key != url_key(URL("http://user:secret@host.test/f?token=other"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, NetworkError.CONTENT_NOT_FOUND),
        (503, NetworkError.SERVICE_UNAVAILABLE),
        (204, NetworkError.UNKNOWN_CONTENT),
        (304, NetworkError.UNKNOWN_CONTENT),
    ],
)
def test_what_a_status_amounts_to(status: int, code: NetworkError) -> None:
    """Every status that brings no file is an error, also where a reply has none."""
    error = status_error(status, "Why", "http://host.test/")
    assert error.code is code
    assert "Why" in str(error)


def test_patience_ends_without_progress() -> None:
    """Failures are counted as long as no byte comes further than any before; a wait may be asked for too long."""
    patience = Patience(RetryPolicy(3, backoff=1, jitter=0, max_delay=100), lambda: 0.0)
    delays: list[float | None] = []
    for done in (10, 10, 20, 20, 5, 21):
        patience = patience.after_failure(done)
        delays.append(patience.delay(None, now=NOW))
    assert delays == [1, 2, 1, 2, None, 1]
    assert patience.delay(make_headers({"Retry-After": "50"}), now=NOW) == 50
    assert patience.delay(make_headers({"Retry-After": "101"}), now=NOW) is None


@given(st.integers(1, 5), st.lists(st.integers(0, 10), min_size=60, max_size=60), st.randoms())
def test_patience_always_ends(attempts: int, places: list[int], chance: random.Random) -> None:
    """In a file of ten bytes nobody is patient for more failures than attempts at each of its bytes."""
    patience = Patience(RetryPolicy(attempts, backoff=0), chance.random)
    for done in places[:59]:
        patience = patience.after_failure(done)
        if patience.delay(None, now=NOW) is None:
            return
    assert attempts == 5 or attempts * 11 >= 59


def test_judgements_are_values() -> None:
    """Equal meanings are equal."""
    assert Judgement(Meaning.WHOLE, 7) == judge(200, make_headers({"Content-Length": "7"}), Asked())
