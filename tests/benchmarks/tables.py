"""From results to tables, for the terminal and for the documentation. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .cases import CASES, MIB, Case, Clock
from .job import Sample, Work
from .results import Results, bytecodes, cost, held_kib, instructions, partner, peak_mib, ratio, summarise

BEGIN = ".. numbers begin: written by tests/benchmarks, change nothing here"
END = ".. numbers end"

Table = list[list[str]]
"""Rows of cells; the first row has the headings."""


def table(case: Case, rows: Mapping[str, Sequence[Sample]], large_size: int) -> Table:
    """The table of one case."""
    if case.work is Work.COUNT:
        return _counts(rows)
    unit = _unit(case)
    headings = ["client", unit, "best", "spread", f"CPU {unit}"]
    headings += ["MiB/s", "memory, MiB"] if case.is_large else []
    headings += ["KiB each"] if case.work is Work.HOLD else []
    headings += [f"{case.clock.value} / {label}" for label in _references(case, rows)]
    return [headings, *(_cells(case, label, rows, large_size=large_size) for label in rows)]


def _unit(case: Case) -> str:
    return "ms" if case.is_large or case.work is Work.IMPORT else "us"


def _counts(rows: Mapping[str, Sequence[Sample]]) -> Table:
    return [
        ["client", "instructions", "bytecodes"],
        *([label, _whole(instructions(samples)), _whole(bytecodes(samples))] for label, samples in rows.items()),
    ]


def _whole(number: float | None) -> str:
    return "not counted" if number is None else f"{number:,.0f}"


def _cells(case: Case, label: str, rows: Mapping[str, Sequence[Sample]], *, large_size: int) -> list[str]:
    samples = rows[label]
    wall = summarise(cost(sample, Clock.WALL) for sample in samples)
    cpu = summarise(cost(sample, Clock.CPU) for sample in samples)
    per_second = 1e3 if _unit(case) == "ms" else 1e6
    cells = [label, *(f"{seconds * per_second:,.1f}" for seconds in (wall.median, wall.low))]
    cells += [f"{wall.spread:.0%}", f"{cpu.median * per_second:,.1f}"]
    if case.is_large:
        size = large_size if case.size is None else case.size
        cells += [f"{size / MIB / wall.median:,.0f}", _tenths(peak_mib(samples))]
    if case.work is Work.HOLD:
        cells.append(_tenths(held_kib(samples)))
    return cells + [_hundredths(ratio(label, other, rows, clock=case.clock)) for other in _references(case, rows)]


def _references(case: Case, rows: Mapping[str, Sequence[Sample]]) -> list[str]:
    """The references that at least one row is compared with."""
    return [other for other in case.references if any(partner(label, other, rows) for label in rows)]


def _hundredths(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"


def _tenths(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.1f}"


def as_text(rows: Table) -> str:
    """For the terminal: columns, names to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def as_rst(rows: Table) -> str:
    """For the documentation: a list table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for place, cell in enumerate(row):
            lines.append(f"   {'  ' if place else '* '}- {cell}".rstrip())
    return "\n".join(lines)


def report(results: Results) -> str:
    """All tables, for the terminal."""
    parts = []
    for name, rows in results.cases.items():
        case = CASES[name]
        parts.append(f"{name}: {_title(case, results)}\n{as_text(table(case, rows, results.large_size))}\n")
    return "\n".join(parts)


def chapter(results: Results) -> str:
    """All tables, for the documentation."""
    machine = "; ".join(f"{key}: {value}" for key, value in results.machine.items())
    parts = [f"Measured with {machine}."]
    for name, rows in results.cases.items():
        case = CASES[name]
        parts.append(f"``{name}``: {_title(case, results)}")
        parts.append(as_rst(table(case, rows, results.large_size)))
    return "\n\n".join(parts)


def _title(case: Case, results: Results) -> str:
    return f"{case.title}, which has {results.large_size / MIB:,g} MiB" if case.size is None else case.title


def fill(page: str, numbers: str) -> str:
    """``page`` with ``numbers`` in the place that is marked for them.

    Raises:
        ValueError: there is no such place.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r}; put them where the numbers go")
    return f"{before}{begin}\n\n{numbers}\n\n{end}{after}"
