"""A process that reads a compressed page through a manager and says what came, how it ended, and what memory it took.

Run as ``python -m tests.soak.unpack URL LIMIT``; 0 stands for no limit. See `download` for why it is a process.
"""

from __future__ import annotations

import gc
import json
import sys

import trio

import trioreply

from .download import memory, reset_peak


async def unpack(url: str, limit: int | None) -> None:
    """Read it all, throw it away, and print the report as JSON."""
    total = 0
    async with trioreply.open_manager() as manager:
        # What is loaded once for all is no bomb's fault.
        await manager.fetch(f"{url}/small")
        gc.collect()
        reset_peak()
        idle = memory("VmRSS")
        async with manager.get(f"{url}/bomb", decompression_limit=limit) as reply:
            try:
                while piece := await reply.receive_some():
                    total += len(piece)
            except trioreply.UnknownContentError:
                pass
            peak = memory("VmHWM") - idle
            error = reply.error.name
        after = (await manager.fetch(f"{url}/small")).text()
    sys.stdout.write(json.dumps({"total": total, "error": error, "peak_above_idle": peak, "after": after}))


if __name__ == "__main__":
    trio.run(unpack, sys.argv[1], int(sys.argv[2]) or None)
