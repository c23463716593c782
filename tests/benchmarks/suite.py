"""The suite: reads the arguments, starts the server, lets the clients take turns, and reports."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
from attrs import frozen

from .cases import CASES, FULL, SMOKE, Case, Row, Scale
from .clients import CLIENTS
from .job import Job, Sample, Site
from .results import Results, cost, judge
from .server import Server, ServerError, serving
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


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="run.py", description="Measure trioreply beside other clients.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--smoke", action="store_true", help="a few requests of everything: do the benchmarks work?")
    how.add_argument("--check", action="store_true", help="fail when a target is missed")
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="only this one; may be repeated")
    parser.add_argument("--rounds", type=_positive, help=f"how often each row is measured (default {FULL.rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    parser.add_argument("--load", type=Path, metavar="FILE", help="measure nothing, take what --json wrote")
    parser.add_argument("--fill", type=Path, metavar="PAGE", help="put the tables into this page of the documentation")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def scale_of(options: argparse.Namespace) -> Scale:
    """How much is to be measured."""
    scale = SMOKE if options.smoke else FULL
    return attrs.evolve(scale, rounds=options.rounds) if options.rounds else scale


def choose_cores(available: Sequence[int]) -> Cores:
    """A processor for each side, if two are available."""
    if len(available) < 2:
        return Cores(server=None, client=None)
    return Cores(server=available[0], client=available[1])


def turns(cases: Sequence[Case], scale: Scale, clients: Sequence[str]) -> Iterator[Turn]:
    """All measurements in their order: case by case, in each of them round by round, in each of these row by row."""
    for case in cases:
        rows = [row for row in scale.rows(case) if row.client in clients]
        first = 0 if case.download and not scale.check_every_download else 1
        for number in range(first, scale.rounds + 1):
            for row in rows:
                yield Turn(case=case, row=row, round=number)


def job_of(turn: Turn, scale: Scale, *, site: Site, core: int | None) -> Job:
    """What the measuring process is told."""
    return Job(
        client=turn.row.client,
        site=site,
        download=turn.case.download,
        count=scale.count(turn.case.count, turn.row.width),
        warm_up=scale.count(turn.case.warm_up, turn.row.width),
        width=turn.row.width,
        connections=turn.row.connections,
        large_size=scale.large_size,
        check=turn.round == 0 or scale.check_every_download,
        core=core,
    )


def measure(job: Job) -> Sample:
    """Have ``job`` done by a process of its own.

    Raises:
        BenchmarkError: it failed, or did not end.
    """
    command = [sys.executable, "-P", str(_RUN), "worker"]
    try:
        worker = subprocess.run(
            command, input=job.to_json(), capture_output=True, text=True, timeout=_MEASUREMENT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{job.client} did not end within {_MEASUREMENT_SECONDS:g} s: {job}") from None
    if worker.returncode:
        raise BenchmarkError(f"{job.client} failed: {job}\n{worker.stderr[-4000:]}")
    return Sample.from_json(worker.stdout)


def run_all(cases: Sequence[Case], scale: Scale, *, server: Server, cores: Cores) -> Results:
    """Make all measurements.

    Raises:
        BenchmarkError: one of them failed.
    """
    results = Results(machine(server, cores), scale.large_size)
    for turn in turns(cases, scale, installed_clients()):
        site = server.secure_site if turn.case.tls else server.plain_site
        sample = measure(job_of(turn, scale, site=site, core=cores.client))
        if turn.round:
            results.add(turn.case, turn.row.label, sample)
        note = f"{cost(sample, turn.case.clock) * 1e6:12,.1f} us" if turn.round else "    contents right"
        place = f"round {turn.round}/{scale.rounds}" if turn.round else "beforehand"
        print(f"{turn.case.name:14} {place:10}  {turn.row.label:30} {note}", file=sys.stderr, flush=True)
    return results


def installed_clients() -> list[str]:
    """Whom to measure; who is missing is named."""
    for missing in {client.requires for client in CLIENTS.values() if not client.is_installed}:
        print(f"skipped: {missing} is not installed (pip install {missing})", file=sys.stderr)
    return [client.name for client in CLIENTS.values() if client.is_installed]


def machine(server: Server, cores: Cores) -> dict[str, str]:
    """What the numbers depend on."""
    described = {
        "processor": _processor(),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "server": server.version,
        "TLS": ssl.OPENSSL_VERSION,
        "cores": "one each for client and server" if cores.client is not None else "not divided, so expect nonsense",
    }
    packages = {client.requires for client in CLIENTS.values() if client.is_installed} | {"h11"}
    for name in sorted(packages - sys.stdlib_module_names):
        described[name] = importlib.metadata.version(name) if name != "trioreply" else _our_version()
    return described


def _our_version() -> str:
    import trioreply  # noqa: PLC0415 - may be the source tree, which has no metadata; and only the suite asks

    return trioreply.__version__


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def conclude(results: Results, options: argparse.Namespace) -> int:
    """Report, and give the exit code."""
    print(report(results))
    if options.json is not None:
        options.json.write_text(results.to_json(), "utf-8")
    if options.fill is not None:
        options.fill.write_text(fill(options.fill.read_text("utf-8"), chapter(results)), "utf-8")
    if options.smoke:
        print("The benchmarks work. With so few requests the numbers mean nothing.")
        return 0
    verdicts = judge(results)
    print("\n".join(map(str, verdicts)))
    return 1 if options.check and not all(verdict.is_met for verdict in verdicts) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 0 good, 1 a target was missed, 2 nothing could be measured."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    if options.load is not None:
        return conclude(Results.from_json(options.load.read_text("utf-8")), options)
    cases = [case for case in CASES.values() if options.case is None or case.name in options.case]
    scale = scale_of(options)
    # A smoke test is over sooner if everybody may run anywhere.
    cores = choose_cores(() if options.smoke else sorted(os.sched_getaffinity(0)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # being told to go must still stop the server
    try:
        with serving(scale.large_size, core=cores.server) as server:
            results = run_all(cases, scale, server=server, cores=cores)
    except (BenchmarkError, ServerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return conclude(results, options)


if __name__ == "__main__":
    sys.exit(main())
