"""A process that undoes a bomb and says how much came out of it, and what memory that took.

Run as ``python content_bomb.py FILE CODING...``. Memory is measured in a process of its own, because the peak of one
that has done other things before says nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trioreply._wire.content import STEP, available_codings, make_decoder

PIECE = 16 * 1024


def memory(field: str) -> int:
    """A figure of this process from the kernel, in bytes: VmRSS is now, VmHWM the peak since it was reset."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def main(path: str, *codings: str) -> None:
    """Decode the file piece by piece and print the outcome as JSON."""
    available_codings()  # which imports the libraries
    decoder = make_decoder(codings, limit=None)
    assert decoder is not None
    total = largest = 0
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    idle = memory("VmRSS")
    with Path(path).open("rb") as file:
        while piece := file.read(PIECE):
            for part in decoder.decode(piece):
                total += len(part)
                largest = max(largest, len(part))
    decoder.finish()
    assert largest <= STEP
    sys.stdout.write(json.dumps({"total": total, "peak": memory("VmHWM") - idle}))


if __name__ == "__main__":
    main(*sys.argv[1:])
