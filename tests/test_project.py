"""What the project says about itself in several places is said everywhere alike."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

from packaging.requirements import Requirement

from .shape.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def floors() -> dict[str, str]:
    """The oldest allowed release of everything that a user's installation can pull in directly."""
    texts = list(PROJECT["dependencies"])
    for extra, more in PROJECT["optional-dependencies"].items():
        texts += more if is_for_users(extra) else []
    requirements = [Requirement(text) for text in texts if not text.startswith("trioreply")]
    return {requirement.name: str(requirement.specifier).removeprefix(">=") for requirement in requirements}


def is_for_users(extra: str) -> bool:
    """Whether an extra adds something to the client, and not to its workshop."""
    return extra not in ("test", "docs", "lint", "types", "bench", "dev")


def test_minimum_versions_are_the_ones_tested() -> None:
    """The constraints of the `minimum` sessions are exactly the floors that the package declares."""
    lines = (ROOT / "tests/constraints/minimum.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins == floors()


def test_all_means_all() -> None:
    """The extra `all` names every extra that adds something to the client."""
    (everything,) = PROJECT["optional-dependencies"]["all"]
    extras = {extra for extra in PROJECT["optional-dependencies"] if is_for_users(extra) and extra != "all"}
    assert Requirement(everything).extras == extras


def test_version_is_the_installed_one() -> None:
    """The version in the source is the one that was built and installed."""
    text = (ROOT / "trioreply/_version.py").read_text("utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert match is not None
    assert match[1] == version("trioreply")
