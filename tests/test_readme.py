"""README's promises: its example runs as it stands, and its commands are the ones that the automation runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .examples import blocks_of, example_server, run_page
from .shape.source import ROOT

README = ROOT / "README.md"


def test_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README has at least one example, and every example in it runs."""
    monkeypatch.chdir(tmp_path)
    with example_server() as origin:
        assert run_page(README, origin) >= 1


@pytest.mark.parametrize("goal", ["trioreply demo", "pytest"])
def test_command_is_one_line_for_a_fresh_clone(goal: str) -> None:
    """A reader gets to each goal with one line, in an environment of its own; `.ci/run` takes the line from there."""
    lines = [line for block in blocks_of(README) if block.language == "sh" for line in block.text.splitlines()]
    assert [line for line in lines if line.startswith("python3 -m venv") and line.endswith(goal)]


def test_links_lead_somewhere() -> None:
    """What README links to in this project is there."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text("utf-8"))
    assert not [target for target in targets if not (ROOT / target).exists()]
