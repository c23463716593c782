"""How long an import takes, in a process that has imported nothing before that it can do without.

``run.py import PACKAGE [CORE]`` prints a `Sample`: the time of ``import trio``, or what another package takes on top.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

_FLOOR = "trio"


def main() -> None:
    """Import, and say how long it took."""
    _, package, *core = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    if package != _FLOOR:
        importlib.import_module(_FLOOR)
    cpu, wall = time.process_time(), time.perf_counter()
    importlib.import_module(package)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    # Without the class, since attrs is among what is imported.
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "count": 1}))


if __name__ == "__main__":
    main()
