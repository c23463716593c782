"""The meter of one direction: Qt's 100 ms, and what is known of totals."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from trioreply import Direction, Progress
from trioreply._reply.progress import Meter


def test_first_interval_counts_from_the_start() -> None:
    """No report is due before one interval has passed since the start of the request."""
    meter = Meter(Direction.DOWNLOAD, now=10.0, interval=0.1)
    assert not meter.is_due(10.0)
    assert not meter.is_due(10.09)
    assert meter.is_due(10.1)


def test_next_interval_counts_from_the_last_report() -> None:
    """After a report the next is due one interval later, however late the first was."""
    meter = Meter(Direction.DOWNLOAD, now=0.0, interval=0.5)
    assert [now for now in (0.25, 0.75, 1.0, 1.25, 1.5, 1.75, 9.0, 9.25) if meter.is_due(now)] == [
        0.75,
        1.25,
        1.75,
        9.0,
    ]


def test_without_interval_every_report_is_due() -> None:
    """With an interval of 0 every piece may be reported."""
    meter = Meter(Direction.UPLOAD, now=1.0, interval=0.0)
    assert meter.is_due(1.0)
    assert meter.is_due(1.0)


@given(st.lists(st.floats(0, 1), max_size=50), st.sampled_from([0.125, 0.25]))
def test_reports_keep_their_distance(steps: list[float], interval: float) -> None:
    """Two reports are never closer than the interval, whenever one asks."""
    meter = Meter(Direction.DOWNLOAD, now=0.0, interval=interval)
    now, due = 0.0, [0.0]
    for step in steps:
        now += step
        if meter.is_due(now):
            due.append(now)
    assert all(later >= earlier + interval for earlier, later in itertools.pairwise(due))


def test_progress_says_what_is_known() -> None:
    """Totals are None while nobody knows them; in the last report what came is the total."""
    meter = Meter(Direction.DOWNLOAD, now=0.0, interval=0.1)
    meter.done, meter.wire_done = 30, 10
    assert meter.progress() == Progress(Direction.DOWNLOAD, 30, None, 10, None)
    assert meter.last_progress() == Progress(Direction.DOWNLOAD, 30, 30, 10, 10)


def test_known_totals_stay() -> None:
    """A total that the server announced is reported to the end, reached or not (as Qt: HEAD gives 0 of 1234)."""
    meter = Meter(Direction.DOWNLOAD, now=0.0, interval=0.1)
    meter.total, meter.wire_total = 1234, 99
    assert meter.progress() == meter.last_progress() == Progress(Direction.DOWNLOAD, 0, 1234, 0, 99)
