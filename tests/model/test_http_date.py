"""Dates in header fields: three forms to read, one to write."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.http_date import format_http_date, parse_http_date

EXAMPLE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
NOW = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC).timestamp()
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun, 6 nov 1994 08:49:37 utc",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_forms(text: str) -> None:
    """The three forms of RFC 9110 are read, and what people make of them; the day of the week is not looked at."""
    assert parse_http_date(text, now=NOW) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Non 1994 08:49:37 GMT",
        "Sun, 06 Nov 19940 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 0٦ Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    ],
)
def test_garbage(text: str) -> None:
    """What is no date, or has a zone that no form allows, is none."""
    assert parse_http_date(text, now=NOW) is None


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("Saturday, 01-Aug-26 12:00:00 GMT", 2026),
        ("Friday, 31-Dec-75 23:59:59 GMT", 2075),
        ("Saturday, 01-Aug-76 12:00:00 GMT", 2076),
        ("Saturday, 01-Aug-76 12:00:01 GMT", 1976),
        ("Saturday, 01-Jan-77 00:00:00 GMT", 1977),
        ("Saturday, 01-Jan-15 00:00:00 GMT", 2015),
        ("Saturday, 01-Jan-00 00:00:00 GMT", 2000),
    ],
)
def test_two_digits_of_a_year(text: str, year: int) -> None:
    """A year with two digits is the one that is at most 50 years ahead, to the second."""
    moment = parse_http_date(text, now=NOW)
    assert moment is not None
    assert moment.year == year


def test_leap_second() -> None:
    """A leap second is the second before it, since Python has none."""
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", now=NOW) == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(MOMENTS)
def test_round_trip(moment: datetime) -> None:
    """What is written is read back, by us and by the standard library."""
    text = format_http_date(moment)
    assert parse_http_date(text, now=NOW) == moment
    if moment.year >= 1000:  # the standard library takes 0099 for 1999
        assert email.utils.parsedate_to_datetime(text) == moment


@given(MOMENTS)
def test_asctime_round_trip(moment: datetime) -> None:
    """C's form of every moment is read."""
    assert parse_http_date(moment.strftime("%a %b %e %H:%M:%S ") + f"{moment.year:04}", now=NOW) == moment


@given(st.text() | st.from_regex(r"(Sun|Sunday), \d\d[ -]\w+[ -]\d{2,4} \d\d:\d\d:\d\d GMT", fullmatch=True))
def test_reading_never_fails(text: str) -> None:
    """Garbage gives no date, and no exception."""
    moment = parse_http_date(text, now=NOW)
    assert moment is None or moment.tzinfo is UTC


def test_writing() -> None:
    """Written is the fixed form, in UTC whatever the zone, fractions of a second cut off."""
    assert format_http_date(EXAMPLE) == "Sun, 06 Nov 1994 08:49:37 GMT"
    elsewhere = EXAMPLE.replace(microsecond=999999).astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert format_http_date(elsewhere) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_date_without_zone_is_refused() -> None:
    """A date without a zone could be any moment of a day, so it is not written."""
    with pytest.raises(ValueError, match="a date needs a time zone"):
        format_http_date(datetime(2026, 8, 1))  # noqa: DTZ001 - the point
