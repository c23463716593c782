"""Reading Set-Cookie and its dates: the RFC's algorithms, and that nothing disturbs them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioreply._model.cookies import SameSite
from trioreply._policies.cookie_parse import ParsedCookie, parse_date, parse_set_cookie


def parsed(text: str) -> ParsedCookie:
    """What ``text`` says, which must be something."""
    cookie = parse_set_cookie(text)
    assert cookie is not None
    return cookie


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("SID=31d4d96e407aad42", "SID", "31d4d96e407aad42"),
        ("a=b", "a", "b"),
        ("  a \t=\t b  ; Path=/", "a", "b"),
        ("a=", "a", ""),
        ("=b", "", "b"),
        ("b", "", "b"),
        ("a=b=c", "a", "b=c"),
        ("=a=b", "", "a=b"),
        ('a="b c"', "a", '"b c"'),
        ('a="b;c"', "a", '"b'),
        ("a=b, c=d", "a", "b, c=d"),
        ("a=1\t2", "a", "1\t2"),
        ("ä=\udcff", "ä", "\udcff"),
    ],
)
def test_name_and_value(text: str, name: str, value: str) -> None:
    """The first equals sign ends the name, the first semicolon the value; quotes stay and commas separate nothing."""
    cookie = parsed(text)
    assert (cookie.name, cookie.value) == (name, value)


@pytest.mark.parametrize("text", ["", " ", "=", " = ; Path=/", ";", "; a=b"])
def test_neither_name_nor_value(text: str) -> None:
    """A cookie that has neither a name nor a value is ignored."""
    assert parse_set_cookie(text) is None


@pytest.mark.parametrize("control", ["\0", "\x08", "\n", "\r", "\x1f", "\x7f", "\ud800"])
@pytest.mark.parametrize("where", ["a{}=b", "a=b{}c", "a=b; Path=/{}", "a=b; x{}"])
def test_control_characters(control: str, where: str) -> None:
    """A control character anywhere, but for the tab, and the whole cookie is ignored."""
    assert parse_set_cookie(where.format(control)) is None


def test_size() -> None:
    """Name and value may have 4096 bytes together; one more, and the cookie is ignored."""
    assert parsed("ab=" + "x" * 4094).name == "ab"
    assert parse_set_cookie("ab=" + "x" * 4095) is None
    assert parsed("=" + "é" * 2048).name == ""
    assert parse_set_cookie("=" + "é" * 2048 + "x") is None


def test_every_attribute() -> None:
    """Attributes are found in any case and with any white space, and unknown ones are nothing."""
    cookie = parsed(
        "a=b;expires = Sun, 06 Nov 1994 08:49:37 GMT; MAX-AGE=60;\tDomain = .Example.ORG ;path=/x y;"
        "SECURE=no;; httponly; SameSite=LAX; Priority=High; =; Partitioned"
    )
    assert (cookie.expires, cookie.max_age) == (784111777, 60)
    assert (cookie.domain, cookie.path) == ("example.org", "/x y")
    assert (cookie.secure, cookie.http_only, cookie.same_site) == (True, True, SameSite.LAX)


def test_no_attribute() -> None:
    """Without attributes a cookie says nothing but its name and value."""
    assert parsed("a=b") == ParsedCookie(name="a", value="b")


@pytest.mark.parametrize(
    ("text", "max_age"),
    [
        ("0", 0),
        ("-1", -1),
        ("007", 7),
        ("9" * 1000, int("9" * 1000)),
        ("", None),
        ("-", None),
        ("+1", None),
        ("1.5", None),
        ("1s", None),
        ("\u0663", None),
        ("--1", None),
    ],
)
def test_max_age(text: str, max_age: int | None) -> None:
    """Max-Age is digits, perhaps behind a minus; anything else is no Max-Age."""
    assert parsed(f"a=b; Max-Age={text}").max_age == max_age


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ("Max-Age=1; Max-Age=2", "max_age", 2),
        ("Max-Age=1; Max-Age=x", "max_age", 1),
        ("Domain=a.example; Domain=b.example", "domain", "b.example"),
        ("Domain=a.example; Domain=", "domain", ""),
        ("Domain=..a.example", "domain", ".a.example"),
        ("Path=/a; Path=/b", "path", "/b"),
        ("Path=/a; Path=b", "path", ""),
        ("Path=", "path", ""),
        ("SameSite=Strict; SameSite=None", "same_site", SameSite.NONE),
        ("SameSite=Strict; SameSite=maybe", "same_site", SameSite.DEFAULT),
        ("Expires=Sun, 06 Nov 1994 08:49:37 GMT; Expires=never", "expires", 784111777.0),
    ],
)
def test_the_last_counts(attributes: str, field: str, value: object) -> None:
    """Of an attribute that comes twice, the last one that can be understood counts."""
    assert getattr(parsed(f"a=b; {attributes}"), field) == value


@pytest.mark.parametrize("path", ["/" + "x" * 1024, "/x" + "é" * 512])
def test_long_attributes(path: str) -> None:
    """An attribute whose value has more than 1024 bytes is ignored, and the cookie is not."""
    longest = "/" + "x" * 1023
    assert parsed(f"a=b; Path={longest}").path == longest
    assert parsed(f"a=b; Path={path}; Secure") == ParsedCookie(name="a", value="b", secure=True)


EXAMPLE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "06 Nov 1994 08:49:37",
        "8:49:37 6 nov 94",
        "08:49:37GMT;1994x 6th;NOVEMBER",
        "1994 Nov 6 08:49:37",
        "06 Nov 1994 08:49:37 +0200 UTC 2024 May",
    ],
)
def test_dates(text: str) -> None:
    """All forms that servers write, in any order of their parts, are the same moment; the zone is always GMT."""
    # A year of four digits in front is no day of the month: that has two at most.
    assert parse_date(text) == EXAMPLE


@pytest.mark.parametrize(("written", "year"), [("69", 2069), ("70", 1970), ("99", 1999), ("00", 2000), ("1601", 1601)])
def test_years(written: str, year: int) -> None:
    """A year of two digits is from 1970 to 2069."""
    assert parse_date(f"01 Jan {written} 00:00:00") == datetime(year, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "06 Nov 1994",
        "Nov 1994 08:49:37",
        "06 1994 08:49:37",
        "06 Nov 08:49:37",
        "00 Nov 1994 08:49:37",
        "32 Nov 1994 08:49:37",
        "31 Nov 1994 08:49:37",
        "29 Feb 1900 00:00:00",
        "06 Nov 1600 08:49:37",
        "06 Nov 999 08:49:37",
        "06 Nov 19945 08:49:37",
        "06 Nov 1994 24:00:00",
        "06 Nov 1994 08:60:37",
        "06 Nov 1994 08:49:60",
        "06 Nov 1994 008:49:37",
        "06 Nov 1994 08:49",
        "\u06606 Nov 1994 08:49:37",
    ],
)
def test_no_dates(text: str) -> None:
    """A text that lacks a part, or names a moment that never was, is no date."""
    assert parse_date(text) is None


@given(st.text() | st.text("0123456789:;, -janfebJANGMTx", max_size=60))
@example("\ud800")
@example("1:1:1" * 1000)
@example("99 Jan 99 99:99:99")
def test_no_text_disturbs_the_date_parser(text: str) -> None:
    """Whatever the text is, it is a moment or it is none."""
    moment = parse_date(text)
    assert moment is None or moment >= datetime(1601, 1, 1, tzinfo=UTC).timestamp()


@given(st.datetimes(datetime(1601, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - the zone is added below
def test_dates_as_servers_write_them(moment: datetime) -> None:
    """Every date in the form that HTTP prefers is understood to the second."""
    exact = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_date(exact.strftime(f"%a, %d %b {exact.year:04} %H:%M:%S GMT")) == exact.timestamp()


ATTRIBUTES = st.sampled_from(["Expires", "Max-Age", "Domain", "Path", "Secure", "HttpOnly", "SameSite", "x"])
LIKELY = st.lists(st.tuples(ATTRIBUTES, st.text(max_size=8)).map("=".join)).map(lambda parts: "a=b;" + ";".join(parts))


@given(st.text() | LIKELY)
@example("\ud800=\udfff")
@example("a=b;" + "expires=1:1:1;" * 1000)
def test_no_text_disturbs_the_parser(text: str) -> None:
    """Whatever the text is, it is a cookie within the limits or it is none, and reads the same again."""
    cookie = parse_set_cookie(text)
    if cookie is not None:
        assert len(cookie.name) + len(cookie.value) <= 4096
        again = parse_set_cookie(f"{cookie.name}={cookie.value}")
        assert again == ParsedCookie(name=cookie.name, value=cookie.value)
