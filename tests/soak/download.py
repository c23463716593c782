"""A process that downloads a file in one of three ways and says what came, and what memory it took.

Run as ``python download.py URL WAY``. Memory is measured in a process of its own, because the peak of a process that
has done other things before says nothing.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

import trioreply

Take = Callable[[bytes], object]


async def by_events(reply: trioreply.Reply, take: Take) -> None:
    """As Qt does it: read when there is something to read."""
    async for event in reply:
        if isinstance(event, trioreply.ReadyRead):
            take(reply.read())
    take(reply.read())


async def by_stream(reply: trioreply.Reply, take: Take) -> None:
    """As Trio does it."""
    while piece := await reply.stream.receive_some():
        take(piece)


async def by_chunks(reply: trioreply.Reply, take: Take) -> None:
    """As Python does it."""
    async for piece in reply.chunks():
        take(piece)


WAYS: dict[str, Callable[[trioreply.Reply, Take], Awaitable[None]]] = {
    "events": by_events,
    "stream": by_stream,
    "chunks": by_chunks,
}


def memory(field: str) -> int:
    """A figure of this process from the kernel, in bytes: VmRSS is now, VmHWM the peak since it was reset."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def reset_peak() -> None:
    """The peak of this process's memory is now what there is now."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


async def download(url: str, way: str) -> None:
    """Download, and print the report as JSON."""
    digest = hashlib.sha256()
    async with trioreply.open_manager() as manager:
        gc.collect()
        reset_peak()
        idle = memory("VmRSS")
        async with manager.get(url) as reply:
            await WAYS[way](reply, digest.update)
            reply.raise_for_error()
            report = {"sha256": digest.hexdigest(), "peak_above_idle": memory("VmHWM") - idle}
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    trio.run(download, sys.argv[1], sys.argv[2])
