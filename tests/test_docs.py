"""The documentation's examples run as they stand, and the changelog's fragments are ones."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from .examples import blocks_of, example_server, run_page
from .shape.source import ROOT

PAGES = sorted((ROOT / "docs").glob("*.rst"))
FRAGMENTS = sorted(path for path in (ROOT / "docs/changes").iterdir() if path.name not in (".gitignore", "README.rst"))
KINDS = {"breaking", "added", "changed", "fixed", "deprecated", "docs"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of a page runs, in order."""
    monkeypatch.chdir(tmp_path)
    with example_server() as origin:
        run_page(page, origin)


def test_python_blocks_are_found(tmp_path: Path) -> None:
    """A block is found in both notations, with its line, its indentation removed and its options left out."""
    (tmp_path / "page.rst").write_text("Title\n\n.. code-block:: python\n   :name: x\n\n   if a:\n       b\n\nText\n")
    (tmp_path / "page.md").write_text("Title\n\n```python\nif a:\n    b\n```\n")
    blocks = [blocks_of(tmp_path / name)[0] for name in ("page.rst", "page.md")]
    assert [(block.line, block.language, block.text) for block in blocks] == [
        (6, "python", "if a:\n    b\n"),
        (4, "python", "if a:\n    b\n"),
    ]


def test_failing_example_is_seen(tmp_path: Path) -> None:
    """An example that fails fails the page, whether it is a program or a fragment that awaits."""
    page = tmp_path / "page.md"
    page.write_text("```python\nassert False\n```\n")
    with pytest.raises(AssertionError):
        run_page(page, "http://127.0.0.1")
    page.write_text("```python\nawait trio.lowlevel.checkpoint()\nassert False\n```\n")
    with pytest.raises(AssertionError):
        run_page(page, "http://127.0.0.1")


def test_fragments_are_of_a_known_kind() -> None:
    """Each fragment is named after what it tells and one of the kinds, and says something."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
    assert {kind["directory"] for kind in settings["type"]} == KINDS
    assert [path.name for path in FRAGMENTS if path.suffix != ".rst" or path.stem.rpartition(".")[2] not in KINDS] == []
    assert all(path.read_text("utf-8").strip() for path in FRAGMENTS)
