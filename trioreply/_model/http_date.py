"""Dates as HTTP writes them (RFC 9110 section 5.6.7): one form to write, three to read.

Read are the fixed form (``Sun, 06 Nov 1994 08:49:37 GMT``), that of RFC 850 (``Sunday, 06-Nov-94 08:49:37 GMT``) and
C's ``asctime`` (``Sun Nov  6 08:49:37 1994``). The names are English whatever the locale is, so ``strptime`` is of no
use. The day of the week is not compared with the date: where they differ, the date is what people meant.

The year of RFC 850 has two digits. What it stands for depends on when it is read, so ``now`` is passed in.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_MONTH = f"(?P<month>{'|'.join(_MONTH_NUMBERS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"{_DAY}, +(?P<day>[0-9]{{1,2}})[ -]{_MONTH}[ -](?P<year>[0-9]{{4}}|[0-9]{{2}}) +{_TIME} +(?:GMT|UTC)",
        rf"{_DAY} +{_MONTH} +(?P<day>[0-9]{{1,2}}) +{_TIME} +(?P<year>[0-9]{{4}})",
    )
)

_TOO_FAR = 50
"""Years. A two-digit year that seems to lie further ahead than this is one of the past."""


def parse_http_date(text: str, *, now: float) -> datetime | None:
    """The moment that ``text`` names, in UTC; ``None`` if it is none of the three forms, or no date of the calendar.

    Args:
        text: a field's value.
        now: the current time, in seconds since 1970, for years with two digits.
    """
    match = next((found for form in _FORMS if (found := form.fullmatch(text)) is not None), None)
    if match is None:
        return None
    second = min(int(match["second"]), 59) if match["second"] == "60" else int(match["second"])  # a leap second
    month, day, hour, minute = _MONTH_NUMBERS[match["month"].lower()], *map(int, match.group("day", "hour", "minute"))
    try:
        if len(match["year"]) == 4:
            return datetime(int(match["year"]), month, day, hour, minute, second, tzinfo=UTC)
        return _in_century(int(match["year"]), (month, day, hour, minute, second), datetime.fromtimestamp(now, UTC))
    except ValueError:
        return None


def _in_century(year: int, rest: tuple[int, int, int, int, int], now: datetime) -> datetime:
    """The latest date with this end of the year that is not more than 50 years ahead (RFC 9110 section 5.6.7)."""
    month, day, hour, minute, second = rest
    latest = now.year + _TOO_FAR
    full = latest - (latest - year) % 100
    if full == latest and rest > (now.month, now.day, now.hour, now.minute, now.second):
        full -= 100
    return datetime(full, month, day, hour, minute, second, tzinfo=UTC)


def format_http_date(moment: datetime) -> str:
    """``moment`` in the fixed form; fractions of a second are cut off.

    Raises:
        ValueError: it has no time zone, so it could be any moment of a day.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a date needs a time zone, and {moment!r} has none; try datetime.now(UTC)")
    utc = moment.astimezone(UTC)
    return (
        f"{_DAYS[utc.weekday()]}, {utc.day:02} {_MONTHS[utc.month - 1]} {utc.year:04} "
        f"{utc.hour:02}:{utc.minute:02}:{utc.second:02} GMT"
    )
