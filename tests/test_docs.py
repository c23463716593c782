"""The documentation's examples run as they stand, and the changelog's fragments are ones."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from trioreply._reply.state import TABLE

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


def test_tests_on_a_page_are_run(tmp_path: Path) -> None:
    """A test that a page shows is run, on a mock clock if it asks for one; what nobody could run is refused."""
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nasync def test_it(autojump_clock):\n    await trio.sleep(1000)\n    assert False\n```\n"
    )
    with pytest.raises(AssertionError):
        run_page(page, "http://127.0.0.1")
    page.write_text("```python\ndef test_it():\n    pass\n```\n")
    with pytest.raises(TypeError, match="nobody who would run it"):
        run_page(page, "http://127.0.0.1")


def literals(pattern: str) -> set[str]:
    """What stands in double backquotes in the documentation and is of this form."""
    return {found for page in PAGES for found in re.findall(rf"``({pattern})``", page.read_text("utf-8"))}


def test_tests_that_are_named_exist() -> None:
    """A test that a page refers to is a test."""
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = literals(r"test_\w+")
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_files_that_are_named_exist() -> None:
    """A file of the project that a page refers to is there."""
    named = literals(r"[\w./-]+\.py")
    assert named
    assert [
        name for name in sorted(named) if not ((ROOT / name).exists() or (ROOT / "trioreply" / name).exists())
    ] == []


def state_drawing() -> ModuleType:
    """The module that draws the state table; it belongs to the documentation, and is in no package."""
    spec = importlib.util.spec_from_file_location("state_drawing", ROOT / "docs/_ext/state_drawing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_drawn_moves_are_those_of_the_table() -> None:
    """The page about events shows every move of the table, with its events, and no other."""
    moves = {
        (move.state, happening): (move.after, move.emits)
        for move in state_drawing().moves()
        for happening in move.inputs
    }
    assert moves == TABLE


def test_each_change_of_state_is_an_arrow() -> None:
    """The picture has an arrow for each two states between which the table moves."""
    changes = {(state, after) for (state, _), (after, _) in TABLE.items() if after is not state}
    picture = state_drawing().picture()
    assert picture.count("<line ") == len(changes)
    assert all(f">{state.name}</text>" in picture for state, _ in changes)


def test_contributing_has_the_commands_of_readme() -> None:
    """Whoever wants to contribute is told the same commands as whoever only looks."""
    (readme,) = (
        line for block in blocks_of(ROOT / "README.md") for line in block.text.splitlines() if line.endswith("pytest")
    )
    assert "\n".join(readme.split(" && ")) in {
        block.text.strip() for block in blocks_of(ROOT / "docs/contributing.rst")
    }


def test_fragments_are_of_a_known_kind() -> None:
    """Each fragment is named after what it tells and one of the kinds, and says something."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
    assert {kind["directory"] for kind in settings["type"]} == KINDS
    assert [path.name for path in FRAGMENTS if path.suffix != ".rst" or path.stem.rpartition(".")[2] not in KINDS] == []
    assert all(path.read_text("utf-8").strip() for path in FRAGMENTS)
