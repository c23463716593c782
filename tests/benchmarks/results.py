"""From samples to numbers: pure functions, and the form in which results are kept."""

from __future__ import annotations

import json
import statistics
from collections.abc import Container, Iterable, Mapping, Sequence

import attrs
from attrs import Factory, define, frozen

from .cases import CASES, MIB, Case, Clock, with_parser
from .job import Parser, Sample
from .targets import KIB_EACH, MILLISECONDS, TARGETS, Target

KIB_PER_MIB = MIB // 1024


@frozen
class Summary:
    """A few numbers that are meant to be one."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """How far apart they are, as a part of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def summarise(values: Iterable[float]) -> Summary:
    """What ``values`` say.

    Raises:
        ValueError: there are none.
    """
    known = sorted(values)
    if not known:
        raise ValueError("values: there are none to summarise; measure at least one round")
    return Summary(statistics.median(known), known[0], known[-1])


def cost(sample: Sample, clock: Clock) -> float:
    """Seconds for one request."""
    return (sample.seconds if clock is Clock.WALL else sample.cpu_seconds) / sample.count


def paired_ratio(ours: Sequence[Sample], theirs: Sequence[Sample], clock: Clock) -> float:
    """The median of the rounds' ratios: a round that was disturbed is disturbed on both sides, and cancels out.

    Raises:
        ValueError: the two have not as many rounds, or none.
    """
    return summarise(cost(one, clock) / cost(other, clock) for one, other in zip(ours, theirs, strict=True)).median


def peak_mib(samples: Iterable[Sample]) -> float | None:
    """The most memory that any round took; ``None`` if the system does not tell."""
    known = [sample.peak_kib for sample in samples if sample.peak_kib is not None]
    return max(known) / KIB_PER_MIB if known else None


def held_kib(samples: Iterable[Sample]) -> float | None:
    """The memory of one reply that is held open, in the worst round; ``None`` if the system does not tell."""
    known = [sample.held_kib / sample.count for sample in samples if sample.held_kib is not None]
    return max(known) if known else None


def bytecodes(samples: Iterable[Sample]) -> float | None:
    """The interpreter's instructions for one request; ``None`` if nobody counted."""
    known = [sample.bytecodes for sample in samples if sample.bytecodes is not None]
    return statistics.median(known) if known else None


def instructions(samples: Iterable[Sample]) -> float | None:
    """The processor's instructions for one request; ``None`` if nobody counted."""
    known = [sample.instructions for sample in samples if sample.instructions is not None]
    return statistics.median(known) if known else None


@define
class Results:
    """All samples of a run: by case, by row's label, round by round."""

    machine: Mapping[str, str]
    large_size: int
    cases: dict[str, dict[str, list[Sample]]] = Factory(dict)

    def add(self, case: Case, label: str, sample: Sample) -> None:
        """Enter the sample of one more round."""
        self.cases.setdefault(case.name, {}).setdefault(label, []).append(sample)

    def to_json(self) -> str:
        """For people's scripts, and for `from_json`: the samples, and what they amount to."""
        cases = [
            {
                "name": name,
                "title": CASES[name].title,
                "rows": [_row_as_json(CASES[name], label, rows) for label in rows],
            }
            for name, rows in self.cases.items()
        ]
        targets = [
            {
                "target": str(verdict.target),
                "limit": verdict.target.limit,
                "value": verdict.value,
                "met": verdict.is_met,
            }
            for verdict in judge(self)
        ]
        document = {"machine": dict(self.machine), "large_size": self.large_size, "cases": cases, "targets": targets}
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What `to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: it is something else, or from other benchmarks than these.
        """
        document = json.loads(text)
        results = cls(document["machine"], document["large_size"])
        for case in document["cases"]:
            for row in case["rows"]:
                for sample in row["samples"]:
                    results.add(CASES[case["name"]], row["label"], Sample(**sample))
        return results


def partner(label: str, reference: str, rows: Container[str]) -> str | None:
    """The row that ``label`` is compared with: ``reference``, or the one of ours by that name that has its parser.

    ``None`` if that was not measured, or is the row itself.
    """
    names = [reference, *(with_parser(reference, parser) for parser in Parser if label.endswith(f", {parser}"))]
    return next((name for name in names if name in rows and name != label), None)


def ratio(label: str, reference: str, rows: Mapping[str, Sequence[Sample]], *, clock: Clock) -> float | None:
    """How a row compares with a reference; ``None`` if there is nothing to compare with."""
    other = partner(label, reference, rows)
    return None if other is None else paired_ratio(rows[label], rows[other], clock)


def ratios(case: Case, label: str, rows: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """How a row compares with the references that were measured, by either clock."""
    return {
        f"{clock.value} / {reference}": value
        for reference in case.references
        for clock in Clock
        if (value := ratio(label, reference, rows, clock=clock)) is not None
    }


def _row_as_json(case: Case, label: str, rows: Mapping[str, Sequence[Sample]]) -> dict[str, object]:
    samples = rows[label]
    return {
        "label": label,
        "seconds": attrs.asdict(summarise(cost(sample, Clock.WALL) for sample in samples)),
        "cpu_seconds": attrs.asdict(summarise(cost(sample, Clock.CPU) for sample in samples)),
        "peak_mib": peak_mib(samples),
        "held_kib": held_kib(samples),
        "bytecodes": bytecodes(samples),
        "instructions": instructions(samples),
        "ratios": ratios(case, label, rows),
        "samples": [attrs.asdict(sample) for sample in samples],
    }


@frozen
class Verdict:
    """Whether a target was reached."""

    target: Target
    value: float | None
    """What was measured; ``None`` if it was not."""

    @property
    def is_met(self) -> bool:
        """Whether it was measured, and was reached."""
        return self.value is not None and self.value <= self.target.limit

    def __str__(self) -> str:
        if self.value is None:
            return f"NOT MEASURED  {self.target}"
        return f"{'met   ' if self.is_met else 'MISSED'}  {self.target}; it takes {self.value:.2f}"


def judge(results: Results) -> list[Verdict]:
    """Hold what was measured against the targets of the cases that were measured."""
    return [
        Verdict(target, _value(target, results.cases[target.case]))
        for target in TARGETS
        if target.case in results.cases
    ]


def _value(target: Target, rows: Mapping[str, Sequence[Sample]]) -> float | None:
    if target.row not in rows:
        return None
    samples = rows[target.row]
    if target.against is not None:
        clock = CASES[target.case].clock
        return paired_ratio(samples, rows[target.against], clock) if target.against in rows else None
    if target.unit == KIB_EACH:
        return held_kib(samples)
    if target.unit == MILLISECONDS:
        return summarise(cost(sample, Clock.WALL) for sample in samples).median * 1e3
    return peak_mib(samples)
