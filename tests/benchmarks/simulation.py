"""Counting a process's instructions from outside, with valgrind.

It simulates the processor, so it needs no counters of the machine's (virtual machines have none), and counts the same
every time, however busy the machine is; but everything takes fifty times as long. What it takes to start is got rid of
by running twice, with different numbers of requests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

REQUESTS = (100, 300)
"""The requests of the two runs; the first of them have warmed everything up."""
_OPTIONS = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


def find_valgrind() -> str | None:
    """Its path, if it is installed."""
    return shutil.which("valgrind")


def count(valgrind: str, command: Sequence[str], jobs: Sequence[str], *, environment: Mapping[str, str]) -> float:
    """Instructions for each request, from a run of ``command`` for each of ``jobs``, which have `REQUESTS`.

    Raises:
        subprocess.CalledProcessError: it failed.
        ValueError: it did not count.
    """
    few, many = (
        instructions_in(
            subprocess.run(
                [valgrind, *_OPTIONS, *command],
                input=job,
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            ).stderr
        )
        for job in jobs
    )
    return (many - few) / (REQUESTS[1] - REQUESTS[0])


def instructions_in(output: str) -> int:
    """The number in what valgrind prints at the end.

    Raises:
        ValueError: there is none.
    """
    found = re.search(r"I\s+refs:\s+([\d,]+)", output)
    if found is None:
        raise ValueError(f"valgrind counted nothing: {output[-400:]}")
    return int(found[1].replace(",", ""))
