"""One measurement in a process of its own: a `Job` comes on standard input, a `Sample` goes to standard output.

A process has imported one client and nothing of the others, has a heap that nobody used before, and runs on a processor
that the server does not use. (Only who is in a hurry sends several jobs of one library, a line each.) What is served is
compared with what should have come: small files always (that takes no time), large ones when the job says so.

``worker unmeasured`` makes the requests of a counting job and prints nothing: valgrind looks on.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from . import contents
from .clients import CLIENTS, Client, Session
from .contents import SMALL, Comparison, Counter, content
from .counting import count_bytecodes, make_requests
from .job import Job, Parser, Sample, Work
from .memory import above, forget_peak, resident, resident_peak
from .origin import HELD_SIZE, RELEASE

Doing = Callable[[], Awaitable[None]]

_ALWAYS_COMPARED = 1_000_000
"""Bytes up to which comparing takes no time worth mentioning."""


async def side_by_side(session: Session, count: int, width: int, *, one: Doing) -> None:
    """Do ``one`` thing ``count`` times, ``width`` at once."""
    left = count

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    if width == 1:
        await one_after_another()
    else:
        await session.all_of([one_after_another] * width)


def getting(session: Session, path: str, expected: bytes, *, check: bool = True) -> Doing:
    """GET ``path``.

    Raises (when awaited):
        RuntimeError: something else came than was ``expected``, or another amount of it.
    """

    async def get() -> None:
        body = await session.get(path)
        if len(body) != len(expected) or (check and body != expected):
            raise RuntimeError(f"expected {len(expected)} bytes of /{path}, got {len(body)} bytes: {body[:40]!r}")

    return get


async def get_small(session: Session, count: int, width: int) -> None:
    """GET the small file ``count`` times, ``width`` at once.

    Raises:
        RuntimeError: something else came.
    """
    await side_by_side(session, count, width, one=getting(session, "small", SMALL))


def downloading(session: Session, job: Job) -> Doing:
    """GET what ``job`` says, piece by piece.

    Raises (when awaited):
        RuntimeError: not all of it came, or something else.
    """

    async def download() -> None:
        reader: Counter | Comparison = Comparison() if job.check else Counter()
        await session.download(job.path, reader.take)
        if reader.size != job.size:
            raise RuntimeError(f"expected {job.size} bytes, got {reader.size}")

    return download


def uploading(session: Session, job: Job) -> Doing:
    """Send what ``job`` says.

    Raises (when awaited):
        RuntimeError: something else arrived.
    """
    path = f"{job.path}?check" if job.check else job.path
    if job.file is not None:
        file = Path(job.file)
        right = {contents.receipt_for_file(file, check=job.check)}
        return lambda: _sent(session.upload(path, file), right)
    value = contents.value_of(job.size)
    right = contents.receipts_for_json(value, check=job.check)
    return lambda: _sent(session.upload_json(path, value), right)


async def _sent(answer: Awaitable[bytes], right: set[bytes]) -> None:
    receipt = await answer
    if receipt not in right:
        raise RuntimeError(f"the server has got {receipt!r}, and should have got one of {right}")


async def measured(work: Doing, count: int) -> Sample:
    """Carry out ``work`` and say what it took."""
    idle = forget_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(seconds=seconds, cpu_seconds=cpu_seconds, count=count, peak_kib=above(idle, resident_peak()))


class Holding:
    """Opens replies until all are open, measures, and has the bodies released."""

    def __init__(self, job: Job, release: Callable[[], None]) -> None:
        self._job = job
        self._release = release
        self._left = job.width
        self._expected = content(HELD_SIZE)
        self._idle = forget_peak()
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        self.samples: list[Sample] = []
        """One, when all have been open."""

    async def hold(self, session: Session) -> None:
        """One reply.

        Raises:
            RuntimeError: something else came.
        """
        body = await session.hold(self._job.path, self._opened)
        if body != self._expected:
            raise RuntimeError(f"expected {HELD_SIZE} bytes, got {len(body)}: {body[:40]!r}")

    def _opened(self) -> None:
        self._left -= 1
        if not self._left:
            seconds, cpu_seconds = time.perf_counter() - self._wall, time.process_time() - self._cpu
            held = above(self._idle, resident())
            sample = Sample(seconds=seconds, cpu_seconds=cpu_seconds, count=self._job.width, held_kib=held)
            self.samples.append(sample)
            self._release()


async def held(session: Session, job: Job) -> Sample:
    """Hold as many replies as ``job`` says."""
    holding = Holding(job, lambda: _ask_for_release(job.site.port))
    await session.all_of([lambda: holding.hold(session)] * job.width)
    return holding.samples[0]


def _ask_for_release(port: int) -> None:
    # Blocking is no harm here: there is nothing to be done until the server has heard this.
    with socket.create_connection(("127.0.0.1", port)) as control:
        control.sendall(RELEASE)
        control.recv(1000)


async def carried_out(session: Session, job: Job) -> Sample:
    """Warm up, then do what ``job`` says."""
    await get_small(session, job.warm_up, min(job.width, job.warm_up))
    match job.work:
        case Work.HOLD:
            return await held(session, job)
        case Work.DOWNLOAD:
            one = downloading(session, job)
        case Work.UPLOAD_FILE | Work.UPLOAD_JSON:
            one = uploading(session, job)
        case _:
            check = job.check or job.size <= _ALWAYS_COMPARED
            one = getting(session, job.path, content(job.size), check=check)
    return await measured(lambda: side_by_side(session, job.count, job.width, one=one), job.count)


def carry_out(job: Job) -> Sample:
    """Do what ``job`` says.

    Raises:
        Exception: whatever went wrong; a measurement of something that failed is none.
    """
    client = CLIENTS[job.client]
    if job.work is Work.COUNT:
        sample = count_bytecodes(job)
    else:
        module = client.load()

        async def main() -> Sample:
            async with module.open_session(client.variant, site=job.site, connections=job.connections) as session:
                return await carried_out(session, job)

        sample = module.run(main)
    require_parser(client, job.parser)
    return sample


def allow_parser(parser: Parser | None) -> None:
    """See to it that trioreply, which is not imported yet, does not choose httptools if that is not wanted."""
    if parser is Parser.H11:
        sys.modules["httptools"] = None  # type: ignore[assignment]  # Python's way to say: not to be imported


def require_parser(client: Client, parser: Parser | None) -> None:
    """What was measured must be what was meant.

    Raises:
        RuntimeError: trioreply has used another parser.
    """
    used = Parser.H11 if sys.modules.get("httptools") is None else Parser.HTTPTOOLS
    if client.is_ours and parser not in {None, used}:
        raise RuntimeError(f"trioreply was to read with {parser}, and has used {used}")


def main() -> None:
    """Take the job, carry it out, say what it took."""
    jobs = [Job.from_json(line) for line in sys.stdin]
    if jobs[0].core is not None:
        os.sched_setaffinity(0, {jobs[0].core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a descriptor for each connection, and usually 1024
    allow_parser(jobs[0].parser)
    for job in jobs:
        if sys.argv[-1] == "unmeasured":
            make_requests(job)
        else:
            print(carry_out(job).to_json(), flush=True)
    # What libraries do while the interpreter ends is not measured; and one of them crashes then.
    os._exit(0)


if __name__ == "__main__":
    main()
