"""Comparing with an earlier run: what counts as worse, and what is kept."""

from __future__ import annotations

import platform

import pytest

from .baseline import FILE, Baseline, Expected, Finding, Key, Outcome, compare, fails, this_python, updated, watched
from .cases import CASES, with_parser
from .job import Parser, Sample
from .results import Results

ROW = with_parser("trioreply fetch")
RATIO = Key("sequential", ROW, "CPU time / aiohttp")
COUNT = Key("instructions", ROW, "bytecodes")


def timed(seconds: float) -> Sample:
    """A round that took its time on the processor."""
    return Sample(seconds=seconds, cpu_seconds=seconds, count=1)


def measured(ratio: float = 2.0, bytecodes: float | None = 100.0) -> Results:
    """A run with one ratio and one count."""
    results = Results({}, 1)
    results.add(CASES["sequential"], ROW, timed(ratio))
    results.add(CASES["sequential"], "aiohttp", timed(1.0))
    if bytecodes is not None:
        counted = Sample(seconds=0.0, cpu_seconds=0.0, count=1, bytecodes=bytecodes)
        results.add(CASES["instructions"], ROW, counted)
    return results


def baseline(python: str | None = None, **numbers: float) -> Baseline:
    """An earlier run on this kind of machine, from which things may grow by a tenth."""
    keys = {"ratio": RATIO, "count": COUNT}
    expected = {keys[name]: Expected(value, 0.1) for name, value in numbers.items()}
    return Baseline(python or this_python(), platform.machine(), expected)


def outcomes(before: Baseline, results: Results) -> dict[Key, Outcome]:
    """What came out for each number."""
    return {finding.key: finding.outcome for finding in compare(before, results)}


@pytest.mark.parametrize(
    ("before", "outcome"),
    [(2.0, Outcome.SAME), (1.9, Outcome.SAME), (1.8, Outcome.WORSE), (2.2, Outcome.SAME), (2.3, Outcome.BETTER)],
)
def test_tolerance(before: float, outcome: Outcome) -> None:
    """A number may grow by its tolerance; more is worse, and as much below is better."""
    found = outcomes(baseline(ratio=before), measured(2.0, None))
    assert found == {RATIO: outcome}
    assert fails(compare(baseline(ratio=before), measured(2.0, None))) is (outcome is Outcome.WORSE)


def test_new_numbers_are_no_failure() -> None:
    """What the baseline does not know yet is named, and passes."""
    assert outcomes(baseline(), measured()) == {RATIO: Outcome.NEW, COUNT: Outcome.NEW}
    assert not fails(compare(baseline(), measured()))


def test_lost_rows_are_failures() -> None:
    """A row that disappeared from a case that was measured fails; one of a case that was not is left out."""
    lost = Key("sequential", with_parser("trioreply fetch", Parser.HTTPTOOLS), "CPU time / aiohttp")
    before = baseline(ratio=2.0, count=1.0)
    before = Baseline(before.python, before.processor, {**before.numbers, lost: Expected(1.0, 0.1)})
    assert outcomes(before, measured(bytecodes=None)) == {RATIO: Outcome.SAME, lost: Outcome.MISSING}
    assert fails(compare(before, measured(bytecodes=None)))


def test_lost_peers_are_no_failure() -> None:
    """A ratio to a peer that is not installed cannot be compared, which is not our row's fault."""
    results = Results({}, 1)
    results.add(CASES["sequential"], ROW, timed(1.0))
    assert outcomes(baseline(ratio=2.0), results) == {RATIO: Outcome.FOREIGN}
    assert not fails(compare(baseline(ratio=2.0), results))


def test_counts_of_other_interpreters() -> None:
    """Another Python takes other steps, so its counts are not compared; ratios are."""
    found = outcomes(baseline("CPython 2.7", ratio=2.0, count=1.0), measured())
    assert found == {RATIO: Outcome.SAME, COUNT: Outcome.FOREIGN}


def test_only_ours_is_watched() -> None:
    """How peers compare with each other is not our business."""
    assert watched(measured()) == {RATIO: 2.0, COUNT: 100.0}


def test_memory_is_watched() -> None:
    """Downloads are watched for their peak, held replies for the memory of each."""
    results = Results({}, 1)
    stream, get = with_parser("trioreply stream"), with_parser("trioreply get")
    results.add(CASES["download"], stream, Sample(seconds=1, cpu_seconds=1, count=1, peak_kib=2048))
    results.add(CASES["stalled"], get, Sample(seconds=1, cpu_seconds=1, count=10, held_kib=200))
    assert watched(results) == {Key("download", stream, "memory, MiB"): 2.0, Key("stalled", get, "KiB each"): 20.0}


def test_baselines_travel() -> None:
    """A file gives back what was written, to four digits."""
    before = baseline(ratio=2.0, count=123_456.0)
    assert Baseline.from_json(before.to_json()) == before
    assert '"value": 0.3333' in baseline(ratio=1 / 3).to_json()


def test_the_stored_baseline_is_about_our_rows() -> None:
    """Every number of the stored baseline belongs to a row that is measured."""
    for key in Baseline.from_json(FILE.read_text("utf-8")).numbers:
        assert key.row in {row.label for row in CASES[key.case].rows}


def test_updating_keeps_what_was_not_measured() -> None:
    """New numbers replace old ones of the same case and keep their tolerance; other cases stay as they were."""
    after = updated(baseline(ratio=1.0, count=50.0), measured(2.0, None))
    assert after.numbers == {RATIO: Expected(2.0, 0.1), COUNT: Expected(50.0, 0.1)}
    assert updated(None, measured()).numbers.keys() == {RATIO, COUNT}


def test_updating_drops_rows_that_are_gone() -> None:
    """A row of a measured case that is no longer measured leaves the baseline."""
    gone = Key("sequential", "trioreply carrier pigeon", "CPU time / aiohttp")
    before = Baseline(this_python(), platform.machine(), {gone: Expected(1.0, 0.1)})
    assert updated(before, measured(2.0, None)).numbers.keys() == {RATIO}


def test_updating_drops_counts_of_other_interpreters() -> None:
    """A baseline has counts of one kind of interpreter only."""
    after = updated(baseline("CPython 2.7", ratio=1.0, count=50.0), measured(2.0, None))
    assert after.python == this_python()
    assert after.numbers.keys() == {RATIO}


def test_finding_in_words() -> None:
    """A finding says what came, what was, and how much it might have grown."""
    assert str(Finding(COUNT, 12_345.6, Expected(10_000, 0.02))) == (
        f"WORSE           instructions: {ROW}: bytecodes; now 12,346; was 10,000, may grow by 2%"
    )
    assert str(Finding(RATIO, None, Expected(0.5, 0.2))).endswith("aiohttp; was 0.5, may grow by 20%")
    assert str(Finding(RATIO, 0.5, None)).startswith("new ")
