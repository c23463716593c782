"""The suite: starts the servers, lets the clients take turns, and reports."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
from attrs import frozen

from .arguments import parse_arguments, scale_of
from .baseline import Baseline, compare, fails, updated
from .cases import Case, Row, Scale, chosen
from .clients import CLIENTS
from .job import Job, Parser, Sample, Site, Work
from .machine import machine
from .results import Results, cost, judge
from .server import Server, ServerError, serving
from .simulation import REQUESTS, count, find_valgrind
from .tables import chapter, fill, report

_RUN = Path(__file__).with_name("run.py")
_MEASUREMENT_SECONDS = 300.0
"""After which a measurement that does not end is a failure."""


class BenchmarkError(Exception):
    """A measurement failed; there is no number for what does not work."""


@frozen(kw_only=True)
class Cores:
    """Which processor is whose; ``None`` where there is only one."""

    server: int | None
    client: int | None


@frozen(kw_only=True)
class Turn:
    """One measurement to be made."""

    case: Case
    row: Row
    round: int
    """From 1 on; 0 is the one that is only looked at for its contents."""


def choose_cores(available: Sequence[int]) -> Cores:
    """A processor for each side, if two are available."""
    if len(available) < 2:
        return Cores(server=None, client=None)
    return Cores(server=available[0], client=available[1])


def turns(cases: Sequence[Case], scale: Scale, rows: Mapping[str, Sequence[Row]]) -> Iterator[Turn]:
    """All measurements in their order: case by case, in each of them round by round, in each of these row by row."""
    for case in cases:
        first = 0 if case.looks_first and not scale.checks_always else 1
        # Counts come out the same every time.
        last = 1 if case.work is Work.COUNT else scale.rounds
        for number in range(first, last + 1):
            for row in rows[case.name]:
                yield Turn(case=case, row=row, round=number)


def job_of(turn: Turn, scale: Scale, *, server: Server, core: int | None) -> Job:
    """What the measuring process is told."""
    case, width = turn.case, scale.width(turn.case, turn.row)
    is_held = case.work is Work.HOLD
    return Job(
        client=turn.row.client,
        parser=turn.row.parser,
        site=server.site(case.way, goes_straight=turn.row.goes_straight),
        work=case.work,
        path=case.path,
        size=scale.size(case),
        file=server.large_file if case.work is Work.UPLOAD_FILE else None,
        count=scale.count(case.count, width),
        warm_up=case.warm_up if is_held else scale.count(case.warm_up, width),
        width=width,
        connections=turn.row.connections,
        check=turn.round == 0 or scale.checks_always,
        core=core,
    )


def measure(jobs: Sequence[Job], *, simulates: bool = False) -> list[Sample]:
    """Have ``jobs``, which are one library's and of one kind, done by a process of their own.

    Raises:
        BenchmarkError: one failed, or did not end.
    """
    job = jobs[0]
    if job.work is Work.IMPORT:
        core = [] if job.core is None else [str(job.core)]
        return [Sample.from_json(_carried_out(jobs, ["import", CLIENTS[job.client].imports, *core]))]
    samples = [Sample.from_json(line) for line in _carried_out(jobs, ["worker"]).splitlines()]
    if job.work is Work.COUNT and simulates:
        return [attrs.evolve(samples[0], instructions=_simulated(job))]
    return samples


def _carried_out(jobs: Sequence[Job], command: list[str]) -> str:
    names = ", ".join(sorted({job.client for job in jobs}))
    try:
        worker = subprocess.run(
            [sys.executable, "-P", str(_RUN), *command],
            input="\n".join(job.to_json() for job in jobs),
            capture_output=True,
            text=True,
            timeout=_MEASUREMENT_SECONDS,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{names} did not end within {_MEASUREMENT_SECONDS:g} s: {jobs}") from None
    if worker.returncode:
        failed = jobs[len(worker.stdout.splitlines())]
        raise BenchmarkError(f"{failed.client} failed: {failed}\n{worker.stderr[-4000:]}")
    return worker.stdout


def _environment() -> dict[str, str]:
    """Ours, and an order of sets that is the same every time."""
    return {**os.environ, "PYTHONHASHSEED": "0"}


def _simulated(job: Job) -> float | None:
    valgrind = find_valgrind()
    if valgrind is None:
        return None
    jobs = [attrs.evolve(job, count=requests).to_json() for requests in REQUESTS]
    command = [sys.executable, "-P", str(_RUN), "worker", "unmeasured"]
    try:
        return count(valgrind, command, jobs, environment=_environment())
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"{job.client} failed under valgrind: {error.stderr[-4000:]}") from error


def run_all(cases: Sequence[Case], scale: Scale, *, server: Server, cores: Cores) -> Results:
    """Make all measurements.

    Raises:
        BenchmarkError: one of them failed.
    """
    results = Results(machine(server.version, is_divided=cores.client is not None), scale.large_size)
    planned = list(turns(cases, scale, rows_here(cases, scale)))
    samples: dict[Turn, Sample] = {}
    with ThreadPoolExecutor(2 if scale.hurries else 1) as pool:

        def run(batch: list[Turn]) -> None:
            jobs = [job_of(turn, scale, server=server, core=cores.client) for turn in batch]
            for turn, sample in zip(batch, measure(jobs, simulates=scale.simulates), strict=True):
                samples[turn] = sample
                print(_line(turn, sample, scale), file=sys.stderr, flush=True)

        try:
            list(pool.map(run, batches(planned, scale)))
        finally:
            pool.shutdown(cancel_futures=True)
    for turn in planned:
        if turn.round:
            results.add(turn.case, turn.row.label, samples[turn])
    return results


def batches(planned: Sequence[Turn], scale: Scale) -> list[list[Turn]]:
    """What shares a process: nothing, but in a hurry whatever is one library's."""
    if not scale.hurries:
        return [[turn] for turn in planned]
    shared: dict[object, list[Turn]] = {}
    for turn in planned:
        library = CLIENTS[turn.row.client].requires
        # An import is measured in a process that has imported nothing yet.
        key = turn if turn.case.work is Work.IMPORT else (library, turn.row.parser)
        shared.setdefault(key, []).append(turn)
    return list(shared.values())


def _line(turn: Turn, sample: Sample, scale: Scale) -> str:
    note = f"{cost(sample, turn.case.clock) * 1e6:12,.1f} us" if turn.round else "    contents right"
    if turn.case.work is Work.COUNT:
        note = f"{sample.instructions or sample.bytecodes or 0:12,.0f} instructions"
    place = f"round {turn.round}/{scale.rounds}" if turn.round else "beforehand"
    return f"{turn.case.name:14} {place:10}  {turn.row.label:38} {note}"


def rows_here(cases: Sequence[Case], scale: Scale) -> dict[str, list[Row]]:
    """The rows that can be measured, by case; what is missing is named."""
    clients = installed_clients()
    parsers = usable_parsers()
    return {
        case.name: [row for row in scale.rows(case) if row.client in clients and row.parser in {None, *parsers}]
        for case in cases
    }


def installed_clients() -> list[str]:
    """Whom to measure; who is missing is named."""
    for missing in sorted({client.requires for client in CLIENTS.values() if not client.is_installed}):
        print(f"skipped: {missing} is not installed (pip install {missing})", file=sys.stderr)
    return [client.name for client in CLIENTS.values() if client.is_installed]


def usable_parsers() -> list[Parser]:
    """With which trioreply reads when it is made to; which it cannot is named."""
    usable = []
    for parser in Parser:
        probe = Job(
            client="trioreply fetch",
            parser=parser,
            site=Site(port=1),
            work=Work.COUNT,
            count=1,
            warm_up=1,
            connections=1,
            core=None,
        )
        try:
            measure([probe])
        except BenchmarkError as error:
            print(f"skipped: rows with {parser}: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
        else:
            usable.append(parser)
    return usable


def conclude(results: Results, options: argparse.Namespace) -> int:
    """Report, and give the exit code."""
    print(chapter(results) if options.rst else report(results))
    if options.json is not None:
        options.json.write_text(results.to_json(), "utf-8")
    if options.fill is not None:
        options.fill.write_text(fill(options.fill.read_text("utf-8"), chapter(results)), "utf-8")
    if options.smoke:
        print("The benchmarks work. With so few requests the numbers mean nothing.")
        return 0
    if not options.rst:
        print("\n".join(map(str, judge(results))))
    baseline = Baseline.from_json(options.baseline.read_text("utf-8")) if options.baseline.exists() else None
    if options.update_baseline:
        options.baseline.write_text(updated(baseline, results).to_json(), "utf-8")
        return 0
    return _checked(baseline, results) if options.check else 0


def _checked(baseline: Baseline | None, results: Results) -> int:
    if baseline is None:
        print("error: there is no baseline to compare with; make one with --update-baseline", file=sys.stderr)
        return 2
    findings = compare(baseline, results)
    print("\n".join(map(str, findings)))
    return 1 if fails(findings) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 0 good, 1 worse than the baseline, 2 nothing could be measured."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    if options.load is not None:
        return conclude(Results.from_json(options.load.read_text("utf-8")), options)
    scale = scale_of(options)
    # A smoke test is over sooner if everybody may run anywhere.
    cores = choose_cores(() if options.smoke else sorted(os.sched_getaffinity(0)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # being told to go must still stop the servers
    try:
        with serving(scale.large_size, core=cores.server) as server:
            results = run_all(chosen(options.case), scale, server=server, cores=cores)
    except (BenchmarkError, ServerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return conclude(results, options)


if __name__ == "__main__":
    sys.exit(main())
