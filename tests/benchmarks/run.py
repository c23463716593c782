"""The way in, for people and for the processes that do the measuring: ``python tests/benchmarks/run.py [--help]``.

A script cannot import its neighbours as a package, and must not put the source tree in front of an installed wheel: so
the tree goes to the end of the path. ``run.py worker`` is one measurement (see `worker`), ``run.py import PACKAGE`` one
of another kind (see `importing`), ``run.py origin`` a server (see `origin`), ``run.py profile`` a table of where the
work goes (see `profiling`); anything else is the suite.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

_PARTS = {"worker": "worker", "import": "importing", "origin": "origin", "profile": "profiling"}

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))
    runpy.run_module(f"tests.benchmarks.{_PARTS.get(''.join(sys.argv[1:2]), 'suite')}", run_name="__main__")
