"""From samples to numbers: pure functions, and the form in which results are kept."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence

import attrs
from attrs import Factory, define, frozen

from .cases import CASES, MIB, TARGETS, Case, Clock, Target
from .job import Sample

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


def _row_as_json(case: Case, label: str, rows: Mapping[str, Sequence[Sample]]) -> dict[str, object]:
    samples = rows[label]
    return {
        "label": label,
        "seconds": attrs.asdict(summarise(cost(sample, Clock.WALL) for sample in samples)),
        "cpu_seconds": attrs.asdict(summarise(cost(sample, Clock.CPU) for sample in samples)),
        "peak_mib": peak_mib(samples),
        "ratios": {
            f"{clock.value} / {other}": paired_ratio(samples, rows[other], clock)
            for other in case.references
            if other in rows and other != label
            for clock in Clock
        },
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
    if target.against is None:
        return peak_mib(rows[target.row])
    if target.against not in rows:
        return None
    return paired_ratio(rows[target.row], rows[target.against], CASES[target.case].clock)
