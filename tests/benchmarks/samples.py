"""Outcomes that nobody measured, for the tests."""

from __future__ import annotations

from .cases import CASES, MIB, with_parser
from .job import Sample
from .results import Results

FETCH = with_parser("trioreply fetch")
EVENTS, CHUNKS = with_parser("trioreply events"), with_parser("trioreply chunks")


def sample(seconds: float, *, cpu: float | None = None, count: int = 1, peak: int | None = None) -> Sample:
    """What a round might have taken; by default all of the time on the processor."""
    return Sample(seconds=seconds, cpu_seconds=seconds if cpu is None else cpu, count=count, peak_kib=peak)


def results_of(case: str, rows: dict[str, list[Sample]]) -> Results:
    """Results of one case."""
    results = Results({"processor": "Abacus 3000"}, 1024 * MIB)
    for label, samples in rows.items():
        for one in samples:
            results.add(CASES[case], label, one)
    return results


SEQUENTIAL = results_of(
    "sequential",
    {
        FETCH: [sample(2.0, count=10_000), sample(4.0, count=10_000), sample(3.0, count=10_000)],
        "httpx2": [sample(4.0, count=10_000), sample(8.0, count=10_000), sample(4.0, count=10_000)],
    },
)
