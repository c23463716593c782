"""The way in, for people and for the processes that do the measuring: ``python tests/benchmarks/run.py [--help]``.

A script cannot import its neighbours as a package, and must not put the source tree in front of an installed wheel: so
the tree goes to the end of the path. ``run.py worker`` is one measurement (see `worker`); anything else is the suite.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))
    is_worker = sys.argv[1:] == ["worker"]
    runpy.run_module(f"tests.benchmarks.{'worker' if is_worker else 'suite'}", run_name="__main__")
