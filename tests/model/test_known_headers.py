"""Header fields with a type: what is read from them, what is written, and that garbage harms nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply._model.field_values import ByteRange, ContentDisposition, ContentType, Link
from trioreply._model.headers import from_wire, make_headers
from trioreply._model.known_headers import KnownHeader

T = TypeVar("T")

NOW = 1785585600.0
DAY = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
IMF = "Sun, 06 Nov 1994 08:49:37 GMT"

K = KnownHeader
ALL: dict[str, KnownHeader[object]] = {
    name: known for name, known in vars(KnownHeader).items() if isinstance(known, KnownHeader)
}
TOKENS = st.text("abcz09!#$&+-.^_", min_size=1, max_size=8)
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


def read(known: KnownHeader[T], *values: str) -> T | None:
    """What fields with ``values`` mean."""
    return known.get(make_headers([(known.name, value) for value in values]), now=NOW)


READINGS: list[tuple[str, str, object]] = [
    ("CONTENT_TYPE", "text/html", ContentType("text/html")),
    ("CONTENT_TYPE", 'Text/HTML ; Charset="UTF-8";x=', ContentType("text/html", {"charset": "UTF-8", "x": ""})),
    ("CONTENT_TYPE", 'a/b; q="\\"\\\\;"; flag', ContentType("a/b", {"q": '"\\;', "flag": ""})),
    ("CONTENT_TYPE", "a/b; x=1; x=2", ContentType("a/b", {"x": "1"})),
    ("CONTENT_TYPE", 'a/b; x="1" junk; y=2', ContentType("a/b", {"x": "1"})),
    ("CONTENT_TYPE", "text", None),
    ("CONTENT_TYPE", "/", None),
    ("CONTENT_LENGTH", "0", 0),
    ("CONTENT_LENGTH", "999999999999999999", 999999999999999999),
    ("CONTENT_LENGTH", "1" * 19, None),
    ("CONTENT_LENGTH", "-1", None),
    ("CONTENT_LENGTH", "\uff11", None),
    ("LOCATION", "/a?b#c", URL("/a?b#c")),
    ("LOCATION", "https://h:99999/", None),
    ("LOCATION", "", None),
    ("LAST_MODIFIED", IMF, DAY),
    ("LAST_MODIFIED", "Sunday, 06-Nov-94 08:49:37 GMT", DAY),
    ("LAST_MODIFIED", "yesterday", None),
    ("IF_MODIFIED_SINCE", IMF, DAY),
    ("COOKIE", "a=1; b=x=y;c=", (("a", "1"), ("b", "x=y"), ("c", ""))),
    ("COOKIE", "nameless; a=1", (("a", "1"),)),
    ("COOKIE", ";", None),
    ("SET_COOKIE", "a=1; Path=/", ("a=1; Path=/",)),
    ("CONTENT_DISPOSITION", "INLINE", ContentDisposition("inline")),
    ("CONTENT_DISPOSITION", 'attachment; filename="a \\"b\\".txt"', ContentDisposition("attachment", 'a "b".txt')),
    (
        "CONTENT_DISPOSITION",
        "attachment; filename=two words.txt; x=y",
        ContentDisposition("attachment", "two words.txt", {"x": "y"}),
    ),
    ("CONTENT_DISPOSITION", "form-data; name=a", ContentDisposition("form-data", None, {"name": "a"})),
    (
        "CONTENT_DISPOSITION",
        "attachment; filename*=UTF-8'en'%e2%82%ac%20rates; filename=\"EURO rates\"",
        ContentDisposition("attachment", "€ rates"),
    ),
    ("CONTENT_DISPOSITION", "attachment; filename*=iso-8859-1''na%EFve", ContentDisposition("attachment", "naïve")),
    ("CONTENT_DISPOSITION", "attachment; filename*=UTF-8''%FF; filename=a", ContentDisposition("attachment", "a")),
    ("CONTENT_DISPOSITION", "attachment; filename*=koi8-r''%FF", ContentDisposition("attachment")),
    ("CONTENT_DISPOSITION", "attachment; filename*=UTF-8''%4", ContentDisposition("attachment")),
    ("CONTENT_DISPOSITION", 'attachment; filename="never ends', ContentDisposition("attachment", "")),
    ("CONTENT_DISPOSITION", '"attachment"', None),
    ("USER_AGENT", "me/1.0 (x)", "me/1.0 (x)"),
    ("SERVER", "", None),
    ("ETAG", '"x"', '"x"'),
    ("ETAG", 'W/"é\\"', 'W/"é\\"'),
    ("ETAG", "x", None),
    ("ETAG", 'w/"x"', None),
    ("IF_MATCH", '"a,b" , W/"\\",', ('"a,b"', 'W/"\\"')),
    ("IF_MATCH", "*", ("*",)),
    ("IF_NONE_MATCH", '"a", b', None),
    ("IF_NONE_MATCH", ",", None),
    ("RANGE", "Bytes=0-499, 500-,-5", (ByteRange(0, 499), ByteRange(500), ByteRange(None, 5))),
    ("RANGE", "bytes=5-4", None),
    ("RANGE", "bytes=0-1,-", None),
    ("RANGE", "bytes=0-1,x", None),
    ("RANGE", "bytes=", None),
    ("RANGE", "lines=1-2", None),
    ("RETRY_AFTER", "120", 120),
    ("RETRY_AFTER", IMF, DAY),
    ("RETRY_AFTER", "-5", None),
    (
        "LINK",
        '</a,b?c;d>; rel="next last"; title="a, \\"b\\"", <https://h/>;REL=prev',
        (
            Link(URL("/a,b?c;d"), ("next", "last"), {"title": 'a, "b"'}),
            Link(URL("https://h/"), ("prev",)),
        ),
    ),
    ("LINK", "</>; title*=UTF-8''%E2%82%AC; title=E", (Link(URL("/"), (), {"title": "€"}),)),
    ("LINK", 'junk, <http://h:x/>, </never ends, "', None),
]


@pytest.mark.parametrize(("name", "text", "expected"), READINGS)
def test_reading(name: str, text: str, expected: object) -> None:
    """Each field is read into its type as its RFC says; what does not follow the grammar is as if it were missing."""
    assert read(ALL[name], text) == expected


@pytest.mark.parametrize("known", ALL.values(), ids=ALL.keys())
def test_missing(known: KnownHeader[object]) -> None:
    """A field that is missing is ``None``."""
    assert known.get(make_headers(None), now=NOW) is None


def test_repeats() -> None:
    """A field that may stand once and contradicts itself is ``None``; lists go on in the next field."""
    assert read(K.CONTENT_LENGTH, "5", "5") == 5
    assert read(K.CONTENT_LENGTH, "5", "6") is None
    assert read(K.CONTENT_TYPE, "a/b", "a/c") is None
    assert read(K.IF_MATCH, '"a"', '"b"') == ('"a"', '"b"')
    assert read(K.COOKIE, "a=1", "b=2") == (("a", "1"), ("b", "2"))
    assert read(K.SET_COOKIE, "a=1", "a=2") == ("a=1", "a=2")
    assert read(K.LINK, "</1>", "</2>") == (Link(URL("/1")), Link(URL("/2")))


def test_filename_in_latin1() -> None:
    """A file name whose bytes are no UTF-8 is read as Latin-1, which old servers send."""
    headers = from_wire([(b"Content-Disposition", b'attachment; filename="na\xefve"')])
    assert K.CONTENT_DISPOSITION.get(headers, now=NOW) == ContentDisposition("attachment", "naïve")


def test_charset() -> None:
    """The charset of a type is one of its parameters."""
    assert ContentType("text/html", {"charset": "utf-8"}).charset == "utf-8"
    assert ContentType("text/html").charset is None


def test_types() -> None:
    """The type of a value follows from the member, for a type checker, too."""
    headers = make_headers({"Content-Length": "5", "Last-Modified": IMF})
    length = K.CONTENT_LENGTH.get(headers, now=NOW)
    assert_type(length, int | None)
    modified = K.LAST_MODIFIED.get(headers, now=NOW)
    assert_type(modified, datetime | None)
    assert_type(K.LINK.get(headers, now=NOW), tuple[Link, ...] | None)
    assert (length, modified) == (5, DAY)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            K.CONTENT_TYPE.format(ContentType("text/plain", {"charset": "utf-8", "x": "a b"})),
            'text/plain; charset=utf-8; x="a b"',
        ),
        (K.CONTENT_LENGTH.format(5), "5"),
        (K.LOCATION.format(URL("/a?b")), "/a?b"),
        (K.LAST_MODIFIED.format(DAY), IMF),
        (K.COOKIE.format((("a", "1"), ("b", ""))), "a=1; b="),
        (K.SET_COOKIE.format(("a=1; Path=/",)), "a=1; Path=/"),
        (K.CONTENT_DISPOSITION.format(ContentDisposition("inline")), "inline"),
        (
            K.CONTENT_DISPOSITION.format(ContentDisposition("attachment", "€?.txt", {"x": "y"})),
            "attachment; x=y; filename=\"__.txt\"; filename*=UTF-8''%E2%82%AC%3F.txt".replace('"', ""),
        ),
        (K.SERVER.format("me"), "me"),
        (K.ETAG.format('W/"x"'), 'W/"x"'),
        (K.IF_MATCH.format(("*",)), "*"),
        (K.IF_NONE_MATCH.format(('"a"', 'W/"b"')), '"a", W/"b"'),
        (K.RANGE.format((ByteRange(0, 4), ByteRange(9), ByteRange(None, 2))), "bytes=0-4, 9-, -2"),
        (K.RETRY_AFTER.format(5), "5"),
        (K.RETRY_AFTER.format(DAY), IMF),
        (
            K.LINK.format((Link(URL("/a"), ("next", "up"), {"title": 'a"b'}), Link(URL("/b")))),
            '</a>; rel="next up"; title="a\\"b", </b>',
        ),
    ],
)
def test_writing(written: str, expected: str) -> None:
    """Each field is written in the form that every reader understands."""
    assert written == expected


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: K.CONTENT_TYPE.format(ContentType("text")), "Content-Type: 'text' is no media type"),
        (lambda: K.CONTENT_TYPE.format(ContentType("a/b", {"x y": ""})), "Content-Type: 'x y' is not the name"),
        (lambda: K.CONTENT_TYPE.format(ContentType("a/b", {"x*": ""})), "Content-Type: 'x.' is not the name"),
        (lambda: K.CONTENT_TYPE.format(ContentType("a/b", {"x": "\n"})), "Content-Type: the parameter 'x' holds"),
        (lambda: K.CONTENT_LENGTH.format(-1), "Content-Length: -1 is not a number from 0 on"),
        (lambda: K.CONTENT_LENGTH.format(10**18), "Content-Length: 1000000000000000000 is .* too large"),
        (lambda: K.IF_MODIFIED_SINCE.format(DAY.replace(tzinfo=None)), "If-Modified-Since: a date needs a time zone"),
        (lambda: K.COOKIE.format(()), "Cookie: give pairs"),
        (lambda: K.COOKIE.format((("a", "1;2"),)), "Cookie: give pairs"),
        (lambda: K.SET_COOKIE.format(("a=1", "b=2")), "Set-Cookie: one field says one cookie"),
        (lambda: K.CONTENT_DISPOSITION.format(ContentDisposition("a b")), "'a b' is no disposition"),
        (lambda: K.CONTENT_DISPOSITION.format(ContentDisposition("a", "\r\n")), "'filename' holds a control"),
        (lambda: K.USER_AGENT.format("a\r\nb"), "User-Agent: the value of 'User-Agent' holds a control"),
        (lambda: K.ETAG.format("x"), "ETag: 'x' is no entity tag; write it in quotes"),
        (lambda: K.IF_MATCH.format(()), r"If-Match: \(\) are no entity tags"),
        (lambda: K.IF_MATCH.format(("x",)), "If-Match: .* are no entity tags"),
        (lambda: K.RANGE.format(()), "Range: give at least one"),
        (lambda: K.RANGE.format((ByteRange(5, 4),)), r"Range: ByteRange\(first=5, last=4\) is no range"),
        (lambda: K.RANGE.format((ByteRange(None),)), "Range: .* is no range"),
        (lambda: K.RANGE.format((ByteRange(-1),)), "Range: .* is no range"),
        (lambda: K.RETRY_AFTER.format(-5), "Retry-After: -5 is not"),
        (lambda: K.LINK.format(()), "Link: give at least one"),
        (lambda: K.LINK.format((Link(URL("/"), ("a b",)),)), "Link: 'a b' is no relation"),
    ],
)
def test_writing_is_refused(write: Callable[[], str], message: str) -> None:
    """What a field cannot say is refused, in a text that begins with the field's name."""
    with pytest.raises(ValueError, match=message):
        write()


@given(TOKENS, st.none() | PRINTABLE, st.dictionaries(TOKENS, PRINTABLE, max_size=4))
def test_disposition_round_trip(kind: str, filename: str | None, parameters: dict[str, str]) -> None:
    """Whatever a file is called, its name is read as it was written, beyond ASCII, too."""
    value = ContentDisposition(kind, filename, parameters)
    assert read(K.CONTENT_DISPOSITION, K.CONTENT_DISPOSITION.format(value)) == value


@given(TOKENS, TOKENS, st.dictionaries(TOKENS, PRINTABLE, max_size=4))
def test_content_type_round_trip(kind: str, subtype: str, parameters: dict[str, str]) -> None:
    """A type with any parameters is read as it was written."""
    value = ContentType(f"{kind}/{subtype}", parameters)
    assert read(K.CONTENT_TYPE, K.CONTENT_TYPE.format(value)) == value


NUMBERS = st.integers(0, 10**17)
RANGES = st.one_of(
    NUMBERS.map(ByteRange),
    NUMBERS.map(lambda last: ByteRange(None, last)),
    st.builds(lambda first, size: ByteRange(first, first + size), NUMBERS, NUMBERS),
)


@given(st.lists(RANGES, min_size=1).map(tuple))
def test_range_round_trip(ranges: tuple[ByteRange, ...]) -> None:
    """Ranges are read as they were written."""
    assert read(K.RANGE, K.RANGE.format(ranges)) == ranges


LINKS = st.builds(
    Link,
    st.sampled_from([URL("/"), URL("https://h/a,b;c?d=%3E"), URL("?page=2")]),
    st.lists(TOKENS, max_size=3).map(tuple),
    st.dictionaries(TOKENS, PRINTABLE, max_size=3),
)


@given(st.lists(LINKS, min_size=1, max_size=3).map(tuple))
def test_link_round_trip(links: tuple[Link, ...]) -> None:
    """Links are read as they were written, commas and quotes in them included."""
    assert read(K.LINK, K.LINK.format(links)) == links


PUNCTUATION = st.text(st.sampled_from("abW/,;=\"\\<>*'% \t-0159UTF8*"))


@pytest.mark.parametrize("known", ALL.values(), ids=ALL.keys())
@given(values=st.lists(PRINTABLE | PUNCTUATION | st.binary().map(lambda raw: raw.decode("latin-1")), min_size=1))
def test_reading_never_fails(known: KnownHeader[object], values: list[str]) -> None:
    """Whatever a field holds, reading it gives a value or nothing, never an exception and never an empty list."""
    raw = [(known.name.encode(), value.encode("latin-1", "replace")) for value in values]
    assert known.get(from_wire(raw), now=NOW) != ()


def test_long_garbage_is_read_in_one_go() -> None:
    """A field of a size that no server should send is read in time that grows with its length only."""
    for text in ('"' * 60000, "<" * 60000, "\\" * 60000, ";" * 60000, "a/b" + ";a=" * 20000, 'W/"' * 20000):
        for known in ALL.values():
            assert read(known, text) == read(known, text)


def test_members_are_qts_and_more() -> None:
    """Every known header of Qt has a member of its name, and their texts show what they are."""
    names = {known.name for known in ALL.values()}
    assert names >= {
        "Content-Type", "Content-Length", "Location", "Last-Modified", "Cookie", "Set-Cookie", "Content-Disposition",
        "User-Agent", "Server", "If-Modified-Since", "ETag", "If-Match", "If-None-Match",
    }  # fmt: skip
    assert repr(K.ETAG) == "KnownHeader(name='ETag')"
