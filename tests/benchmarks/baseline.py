"""What a run is compared with: ratios, counts and memory of an earlier one, each with what it may grow by.

Times are worth nothing on another machine, or on the same one an hour later; ratios to a client that was measured in
turns with ours, and counts of instructions, are. All of them are better when smaller.

Rules that hold here:

* A number is compared with the one of the same case, row and measure, and fails if it is larger than that by more than
  its tolerance. Tolerances stand in the file, one a number, and updating the numbers keeps them.
* Counts are compared only if interpreter and processor are of the same kind: another one does other steps.
* A row that the baseline has and a run lacks is a failure, if the run was about its case: to disappear is the worst
  that can happen to it. A number that a row lacks because a peer or a tool is not installed is none, but it is named.
"""

from __future__ import annotations

import enum
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from .cases import CASES, Case, Clock
from .job import Sample, Work
from .results import Results, bytecodes, held_kib, instructions, peak_mib, ratio

FILE = Path(__file__).with_name("baseline.json")

_RATIO, _MEMORY, _MEMORY_EACH, _COUNT = 0.2, 1.0, 0.1, 0.02
"""Tolerances of new numbers. Ratios carry what noise is left after five rounds; the peak of a download is a few MiB,
one of which is the allocator's mood; counts repeat to within half a hundredth."""
_COUNTS = ("instructions", "bytecodes")


@frozen(order=True)
class Key:
    """What a number is about."""

    case: str
    row: str
    measure: str
    """Such as ``CPU time / aiohttp``, or ``instructions``."""

    def __str__(self) -> str:
        return f"{self.case}: {self.row}: {self.measure}"


@frozen
class Expected:
    """A number of the baseline."""

    value: float
    tolerance: float
    """The part of it by which it may grow."""


@frozen
class Baseline:
    """An earlier run."""

    python: str
    """Such as ``CPython 3.13``: what the counts depend on."""
    processor: str
    """Such as ``x86_64``: likewise."""
    numbers: Mapping[Key, Expected] = field(factory=dict)

    def to_json(self) -> str:
        """For the file."""
        rows = [
            {
                "case": key.case,
                "row": key.row,
                "measure": key.measure,
                "value": float(f"{expected.value:.4g}") if expected.value < 1000 else round(expected.value),
                "tolerance": expected.tolerance,
            }
            for key, expected in sorted(self.numbers.items())
        ]
        lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
        head = f'  "python": {json.dumps(self.python)},\n  "processor": {json.dumps(self.processor)}'
        return f'{{\n{head},\n  "rows": [\n{lines}\n  ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """What `to_json` gave, perhaps with other tolerances.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        document = json.loads(text)
        numbers = {
            Key(row["case"], row["row"], row["measure"]): Expected(row["value"], row["tolerance"])
            for row in document["rows"]
        }
        return cls(document["python"], document["processor"], numbers)


class Outcome(enum.Enum):
    """What came out for one number; the value is what people read."""

    SAME = "as before"
    BETTER = "better"
    WORSE = "WORSE"
    MISSING = "NOT MEASURED"
    NEW = "new"
    FOREIGN = "not comparable"


@frozen
class Finding:
    """One number beside the baseline's."""

    key: Key
    value: float | None
    expected: Expected | None
    is_comparable: bool = True

    @property
    def outcome(self) -> Outcome:
        """What it means."""
        if self.expected is None:
            return Outcome.NEW
        if not self.is_comparable:
            return Outcome.FOREIGN
        if self.value is None:
            return Outcome.MISSING
        if self.value > self.expected.value * (1 + self.expected.tolerance):
            return Outcome.WORSE
        is_better = self.value < self.expected.value * (1 - self.expected.tolerance)
        return Outcome.BETTER if is_better else Outcome.SAME

    def __str__(self) -> str:
        parts = [f"{self.outcome.value:14}  {self.key}"]
        if self.value is not None:
            parts.append(f"now {_short(self.value)}")
        if self.expected is not None:
            parts.append(f"was {_short(self.expected.value)}, may grow by {self.expected.tolerance:.0%}")
        return "; ".join(parts)


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def this_python() -> str:
    """What counts the bytecodes."""
    return f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}"


def watched(results: Results) -> dict[Key, float]:
    """The numbers of our own rows that are worth watching."""
    return {
        Key(name, label, measure): value
        for name, rows in results.cases.items()
        for label in rows
        if "trioreply" in label
        for measure, value in _measures(CASES[name], label, rows)
    }


def _measures(case: Case, label: str, rows: Mapping[str, Sequence[Sample]]) -> Iterator[tuple[str, float]]:
    samples = rows[label]
    for other in case.references:
        # Processor time, since what others do on the machine does not count in it.
        value = ratio(label, other, rows, clock=Clock.CPU)
        if value is not None:
            yield f"{Clock.CPU.value} / {other}", value
    known = {"instructions": instructions(samples), "bytecodes": bytecodes(samples)}
    if case.work is Work.HOLD:
        known["KiB each"] = held_kib(samples)
    elif case.is_large:
        known["memory, MiB"] = peak_mib(samples)
    yield from ((measure, value) for measure, value in known.items() if value is not None)


def _usual_tolerance(measure: str) -> float:
    if measure in _COUNTS:
        return _COUNT
    return {"memory, MiB": _MEMORY, "KiB each": _MEMORY_EACH}.get(measure, _RATIO)


def compare(baseline: Baseline, results: Results) -> list[Finding]:
    """Hold ``results`` against the ``baseline``, as far as they are about the same cases."""
    values = watched(results)
    keys = sorted(values.keys() | {key for key in baseline.numbers if key.case in results.cases})
    is_alike = (baseline.python, baseline.processor) == (this_python(), platform.machine())
    return [
        Finding(
            key,
            values.get(key),
            baseline.numbers.get(key),
            is_comparable=_can_be_had(key, values, results) and (is_alike or key.measure not in _COUNTS),
        )
        for key in keys
    ]


def _can_be_had(key: Key, values: Mapping[Key, float], results: Results) -> bool:
    """Not if its row was measured without it: what it takes (a peer, valgrind) is not installed here."""
    return key in values or key.row not in results.cases[key.case]


def fails(findings: Iterable[Finding]) -> bool:
    """Whether anything got worse, or got lost."""
    return any(finding.outcome in {Outcome.WORSE, Outcome.MISSING} for finding in findings)


def updated(baseline: Baseline | None, results: Results) -> Baseline:
    """The baseline with the numbers of ``results``; those of cases that were not measured stay, and all tolerances.

    Counts of another interpreter or processor do not stay: nobody could say of which they are.
    """
    before = {} if baseline is None else dict(baseline.numbers)
    if baseline is not None and (baseline.python, baseline.processor) != (this_python(), platform.machine()):
        before = {key: expected for key, expected in before.items() if key.measure not in _COUNTS}
    numbers = {key: expected for key, expected in before.items() if key.case not in results.cases}
    for key, value in watched(results).items():
        tolerance = before[key].tolerance if key in before else _usual_tolerance(key.measure)
        numbers[key] = Expected(value, tolerance)
    return Baseline(this_python(), platform.machine(), numbers)
