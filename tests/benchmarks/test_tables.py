"""What people read: tables on the terminal and in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import CASES, MIB
from .job import Sample
from .results import Results
from .samples import EVENTS, FETCH, SEQUENTIAL, sample
from .tables import BEGIN, END, as_rst, as_text, chapter, fill, report, table


def test_table_of_requests() -> None:
    """A table has the rows in their order, microseconds, the spread, and the ratios to the rows that were measured."""
    assert table(CASES["sequential"], SEQUENTIAL.cases["sequential"], 1) == [
        ["client", "us", "best", "spread", "CPU us", "time / httpx2"],
        [FETCH, "300.0", "200.0", "67%", "300.0", "0.50"],
        ["httpx2", "400.0", "400.0", "100%", "400.0", ""],
    ]


def test_table_of_downloads() -> None:
    """A download's table has milliseconds, the rate and the memory."""
    rows = {EVENTS: [sample(2.0, peak=2048)], "aiohttp": [sample(1.0)]}
    assert table(CASES["download"], rows, 1024 * MIB) == [
        ["client", "ms", "best", "spread", "CPU ms", "MiB/s", "memory, MiB", "time / aiohttp"],
        [EVENTS, "2,000.0", "2,000.0", "0%", "2,000.0", "512", "2.0", "2.00"],
        ["aiohttp", "1,000.0", "1,000.0", "0%", "1,000.0", "1,024", "unknown", ""],
    ]


def test_text_is_aligned() -> None:
    """On a terminal names stand to the left, numbers to the right, and no line ends in spaces."""
    assert as_text([["client", "us", ""], ["x", "1,234.0", ""]]) == "client       us\nx       1,234.0"


def test_rst_is_a_list_table() -> None:
    """In the documentation a table is a list, with a heading."""
    assert as_rst([["client", "us"], ["x", ""]]).splitlines() == [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - client",
        "     - us",
        "   * - x",
        "     -",
    ]


def test_reports_name_what_was_measured() -> None:
    """Both reports name the case; the documentation's also names the machine."""
    assert report(SEQUENTIAL).startswith("sequential: GET of 100 bytes, one after another")
    assert chapter(SEQUENTIAL).startswith("Measured with processor: Abacus 3000.\n\n``sequential``: GET")


def test_smaller_downloads_say_so() -> None:
    """A download that was not of the size its title promises is marked."""
    results = Results({}, 8 * MIB)
    results.add(CASES["download"], "aiohttp", sample(1.0))
    assert "GET of the large file, which has 8 MiB" in report(results)


def test_table_of_held_replies() -> None:
    """Held replies have their memory in the table."""
    rows = {"bare Trio": [Sample(seconds=1.0, cpu_seconds=0.5, count=1000, held_kib=5400)]}
    assert table(CASES["slow"], rows, 1) == [
        ["client", "us", "best", "spread", "CPU us", "KiB each"],
        ["bare Trio", "1,000.0", "1,000.0", "0%", "500.0", "5.4"],
    ]


def test_table_of_counts() -> None:
    """Counts have no times; what was not counted says so."""
    counted = Sample(seconds=0.0, cpu_seconds=0.0, count=1, bytecodes=11277.4)
    assert table(CASES["instructions"], {FETCH: [counted]}, 1) == [
        ["client", "instructions", "bytecodes"],
        [FETCH, "not counted", "11,277"],
    ]


def test_numbers_go_between_their_marks() -> None:
    """Numbers replace older ones, and nothing else of the page."""
    page = f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n"
    filled = fill(page, "new")
    assert filled == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
    assert fill(filled, "new") == filled


def test_page_without_marks() -> None:
    """A page without a place for numbers is left alone, with a word about what it lacks."""
    with pytest.raises(ValueError, match="has no lines"):
        fill("a page", "new")


def test_the_documentation_has_a_place_for_numbers() -> None:
    """The page about performance can be filled."""
    page = Path(__file__).parents[2] / "docs" / "performance.rst"
    assert "numbers" in fill(page.read_text("utf-8"), "numbers")
