"""How long an import takes, in a process that has imported nothing before that it can do without.

``run.py import PACKAGE [CORE]`` prints a `Sample`: the time of ``import trio``, or what another package takes on top.
A package that is imported only as far as it is used would look quick that way. So with ``fetch`` for the package it is
the time from before ``import trioreply`` until the first small file has come, from the port that the job on standard
input says; again on top of ``import trio``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

_FLOOR = "trio"
_FETCH = "fetch"


def main() -> None:
    """Import, and say how long it took."""
    _, package, *core = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    if package != _FLOOR:
        importlib.import_module(_FLOOR)
    url = f"http://127.0.0.1:{json.load(sys.stdin)['site']['port']}/small"
    cpu, wall = time.process_time(), time.perf_counter()
    if package == _FETCH:
        _fetch(url)
    else:
        importlib.import_module(package)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    # Without the class, since attrs is among what is imported.
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "count": 1}))


def _fetch(url: str) -> None:
    import trio

    import trioreply

    async def main() -> None:
        async with trioreply.open_manager(trust_env=False) as manager:
            await manager.fetch(url)

    trio.run(main)


if __name__ == "__main__":
    main()
