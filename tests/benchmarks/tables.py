"""From results to tables, for the terminal and for the documentation. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .cases import CASES, MIB, Case, Clock
from .job import Sample
from .results import Results, cost, paired_ratio, peak_mib, summarise

BEGIN = ".. numbers begin: written by tests/benchmarks, change nothing here"
END = ".. numbers end"

Table = list[list[str]]
"""Rows of cells; the first row has the headings."""


def table(case: Case, rows: Mapping[str, Sequence[Sample]], large_size: int) -> Table:
    """The table of one case."""
    unit = "ms" if case.download else "us"
    references = [label for label in case.references if label in rows]
    headings = ["client", unit, "best", "spread", f"CPU {unit}"]
    headings += ["MiB/s", "memory, MiB"] if case.download else []
    headings += [f"{case.clock.value} / {label}" for label in references]
    return [headings, *(_cells(case, label, rows, large_size=large_size) for label in rows)]


def _cells(case: Case, label: str, rows: Mapping[str, Sequence[Sample]], *, large_size: int) -> list[str]:
    samples = rows[label]
    wall = summarise(cost(sample, Clock.WALL) for sample in samples)
    cpu = summarise(cost(sample, Clock.CPU) for sample in samples)
    per_second = 1e3 if case.download else 1e6
    cells = [label, *(f"{seconds * per_second:,.1f}" for seconds in (wall.median, wall.low))]
    cells += [f"{wall.spread:.0%}", f"{cpu.median * per_second:,.1f}"]
    if case.download:
        peak = peak_mib(samples)
        cells += [f"{large_size / MIB / wall.median:,.0f}", "unknown" if peak is None else f"{peak:.1f}"]
    for other in case.references:
        if other in rows:
            cells.append("" if other == label else f"{paired_ratio(samples, rows[other], case.clock):.2f}")
    return cells


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
    is_small = case.download and results.large_size < 1024 * MIB
    return f"{case.title} (here: {results.large_size / MIB:g} MiB)" if is_small else case.title


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
