"""Where the work goes: that all of it is found, and called by its right name."""

from __future__ import annotations

import pytest

from .counting import can_count_bytecodes
from .profiling import lines, main, part_of, profile

pytestmark = pytest.mark.skipif(not can_count_bytecodes(), reason="only Python 3.12 and newer tell of each instruction")


def test_every_part_of_a_request_has_its_share() -> None:
    """A request's work is in the library's layers and in Trio, and next to nothing is left without a name."""
    found = profile("trioreply fetch")
    rows = found.by_part()
    shares = {name: count for name, count, _ in rows}
    assert {"Trio", "the policies", "the manager", "pool and connection"} <= shares.keys()
    assert shares["the rest"] < sum(shares.values()) / 10
    assert sum(count for _, count, _ in found.by_function()) == pytest.approx(sum(shares.values()))


def test_generated_code_belongs_to_its_class() -> None:
    """What attrs has written for a class counts where the class is."""
    code = compile("0", "<attrs generated methods trioreply._model.response.Response>", "exec")
    assert part_of(code).startswith("the values")
    assert part_of(compile("0", "/elsewhere.py", "exec")) == "the rest"


def test_the_table() -> None:
    """A row for each part, and one for all of them; every row has as many cells as the head."""
    table = list(lines([("a", 30.0, 2.0), ("b", 10.0, 1.0)]))
    assert table[-4:] == ["   * - all", "     - 40", "     - 100%", "     - 3"]
    assert [line for line in table if line.startswith("   * - ")] == [
        "   * - part",
        "   * - a",
        "   * - b",
        "   * - all",
    ]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints functions instead of parts if told so."""
    main(["get", "--functions"])
    assert "Mailbox.post" in capsys.readouterr().out
