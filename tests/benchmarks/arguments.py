"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import attrs

from .baseline import FILE
from .cases import CASES, FULL, SMOKE, Scale


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="run.py", description="Measure trioreply beside other clients.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--smoke", action="store_true", help="a few requests of everything: do the benchmarks work?")
    how.add_argument("--check", action="store_true", help="fail when something is worse than in the baseline")
    how.add_argument("--update-baseline", action="store_true", help="let the results be the baseline")
    parser.add_argument("--baseline", type=Path, metavar="FILE", default=FILE, help="another baseline than the usual")
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="only this one; may be repeated")
    parser.add_argument("--rounds", type=_positive, help=f"how often each row is measured (default {FULL.rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    parser.add_argument("--load", type=Path, metavar="FILE", help="measure nothing, take what --json wrote")
    parser.add_argument("--rst", action="store_true", help="print the tables as the documentation has them")
    parser.add_argument("--fill", type=Path, metavar="PAGE", help="put the tables into this page of the documentation")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def scale_of(options: argparse.Namespace) -> Scale:
    """How much is to be measured."""
    scale = SMOKE if options.smoke else FULL
    return attrs.evolve(scale, rounds=options.rounds) if options.rounds else scale
