"""One measurement in a process of its own: a `Job` comes on standard input, a `Sample` goes to standard output.

A process has imported one client and nothing of the others, has a heap that nobody used before, and runs on a processor
that the server does not use. What is served is compared with what should have come: the small file always (that takes
no time), the large one when the job says so.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from .clients import CLIENTS, Session, Take
from .contents import SMALL, Comparison, Counter
from .job import Job, Sample

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


async def get_small(session: Session, count: int, width: int) -> None:
    """GET the small file ``count`` times, ``width`` at once.

    Raises:
        RuntimeError: something else came.
    """
    left = count

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            body = await session.small()
            if body != SMALL:
                raise RuntimeError(f"expected the small file, got {len(body)} bytes: {body[:40]!r}")

    if width == 1:
        await one_after_another()
    else:
        await session.all_of([one_after_another] * width)


async def get_large(session: Session, job: Job) -> None:
    """GET the large file as often as ``job`` says.

    Raises:
        RuntimeError: not all of it came, or something else.
    """
    for _ in range(job.count):
        reader: Counter | Comparison = Comparison() if job.check else Counter()
        take: Take = reader.take
        await session.large(take)
        if reader.size != job.large_size:
            raise RuntimeError(f"expected {job.large_size} bytes, got {reader.size}")


def resident_peak() -> int | None:
    """The most memory that was resident since `forget_peak`, in KiB; ``None`` where the system does not tell."""
    with suppress(OSError):
        for line in _STATUS.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return None


def forget_peak() -> int | None:
    """Let what is resident now be the peak; it in KiB, or ``None`` where the system cannot do that."""
    gc.collect()
    try:
        _CLEAR.write_text("5", "ascii")
    except OSError:
        return None
    return resident_peak()


async def measured(work: Callable[[], Awaitable[None]], count: int) -> Sample:
    """Carry out ``work`` and say what it took."""
    idle = forget_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    peak = resident_peak()
    above = None if idle is None or peak is None else peak - idle
    return Sample(seconds=seconds, cpu_seconds=cpu_seconds, count=count, peak_kib=above)


def carry_out(job: Job) -> Sample:
    """Do what ``job`` says.

    Raises:
        Exception: whatever went wrong; a measurement of something that failed is none.
    """
    client = CLIENTS[job.client]
    module = client.load()

    async def main() -> Sample:
        async with module.open_session(client.variant, site=job.site, connections=job.connections) as session:
            await get_small(session, job.warm_up, job.width)
            if job.download:
                return await measured(lambda: get_large(session, job), job.count)
            return await measured(lambda: get_small(session, job.count, job.width), job.count)

    return module.run(main)


def main() -> None:
    """Take the job, carry it out, say what it took."""
    job = Job.from_json(sys.stdin.read())
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a descriptor for each connection, and usually 1024
    print(carry_out(job).to_json())


if __name__ == "__main__":
    main()
