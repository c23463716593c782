"""The parts of the benchmarks that measure nothing: arithmetic, tables, the order of turns, arguments.

That the measuring works is shown by ``nox -s bench -- --smoke``, which needs nginx.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .arguments import parse_arguments, scale_of
from .baseline import Baseline, Expected, Key
from .cases import CASES, FULL, MIB, SMOKE, Case, Clock, Row, Way, chosen, with_parser
from .clients import CLIENTS
from .contents import Comparison, Counter, write_large
from .job import BLOCK_SIZE, Job, Parser, Sample, Site, Work
from .results import Results, Verdict, cost, held_kib, judge, paired_ratio, peak_mib, ratio, summarise
from .samples import CHUNKS, EVENTS, FETCH, SEQUENTIAL, results_of, sample
from .server import Server
from .suite import Cores, Turn, batches, choose_cores, conclude, job_of, main, turns
from .tables import BEGIN, END, chapter
from .targets import KIB_EACH, MILLISECONDS, TARGETS, Target

SERVER = Server(port=1, tls_port=2, own_port=3, ca_file="ca.pem", large_file="large", version="nginx/0")


def all_rows(*cases: str) -> dict[str, tuple[Row, ...]]:
    """The rows of all cases, or of those that are named, as if everything were installed."""
    return {name: SMOKE.rows(CASES[name]) for name in cases or CASES}


def test_summary() -> None:
    """A row's number is the median of its rounds, and its spread is their whole range as a part of that."""
    summary = summarise([3.0, 1.0, 2.0])
    assert (summary.median, summary.low, summary.high, summary.spread) == (2.0, 1.0, 3.0, 1.0)


def test_nothing_has_no_summary() -> None:
    """Without a single round there is no number, rather than a nought."""
    with pytest.raises(ValueError, match="values: there are none"):
        summarise([])


def test_no_spread_of_nought() -> None:
    """What took no time at all has no spread, instead of dividing by it."""
    assert summarise([0.0]).spread == 0.0


def test_ratio_is_paired() -> None:
    """Ratios are made round by round: a machine that was slow in one round was slow for both sides."""
    slow_in_the_middle = [sample(1.0), sample(10.0), sample(1.0)]
    other = [sample(2.0), sample(20.0), sample(2.0)]
    assert paired_ratio(slow_in_the_middle, other, Clock.WALL) == 0.5


def test_ratio_needs_equal_rounds() -> None:
    """Rounds that have no partner are a mistake, not something to leave out quietly."""
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([sample(1.0)], [sample(1.0), sample(2.0)], Clock.WALL)


def test_cost_is_per_request_and_by_clock() -> None:
    """Costs are seconds for one request, by the clock that is asked for."""
    one = sample(4.0, cpu=2.0, count=2)
    assert (cost(one, Clock.WALL), cost(one, Clock.CPU)) == (2.0, 1.0)


def test_memory_is_the_worst_round() -> None:
    """A bound on memory holds for every round, so the worst counts; unknown ones do not."""
    assert peak_mib([sample(1, peak=1024), sample(1, peak=3072), sample(1)]) == 3.0
    assert peak_mib([sample(1)]) is None


def test_samples_travel() -> None:
    """What a measuring process is told and what it answers arrive as they were."""
    answer = sample(1.5, cpu=1.25, count=7, peak=8)
    assert Sample.from_json(answer.to_json()) == answer
    for turn in turns(chosen(None), FULL, all_rows()):
        job = job_of(turn, FULL, server=SERVER, core=None)
        assert Job.from_json(job.to_json()) == job


def test_a_site_has_a_url() -> None:
    """A site whose authority is known is a secure one."""
    assert Site(port=1).base == "http://127.0.0.1:1"
    assert Site(port=2, ca_file="ca.pem").base == "https://127.0.0.1:2"


def test_ways_lead_somewhere() -> None:
    """Each way has its server, and only proxied ones a proxy, which the rows that go straight do without."""
    assert {way: SERVER.site(way).port for way in Way} == {
        Way.PLAIN: 1,
        Way.FORWARDED: 1,
        Way.TLS: 2,
        Way.TUNNEL: 2,
        Way.OWN: 3,
    }
    assert {way for way in Way if SERVER.site(way).proxy} == {Way.FORWARDED, Way.TUNNEL}
    assert SERVER.site(Way.TUNNEL).proxy == "http://127.0.0.1:3"
    assert SERVER.site(Way.TUNNEL, goes_straight=True).proxy is None


def test_secure_cases_say_so() -> None:
    """What is called TLS is measured over TLS, and nothing else is."""
    secure = {case.name for case in CASES.values() if case.way in {Way.TLS, Way.TUNNEL}}
    assert secure == {"sequential-tls", "handshakes", "download-tls", "tunnel"}
    assert all(("over TLS" in case.title) is (case.name in secure) for case in CASES.values())


def test_ours_come_with_either_parser() -> None:
    """Whatever trioreply reads is measured with both parsers, and the others' rows name none."""
    for case in CASES.values():
        for row in case.rows:
            ours = [other.parser for other in case.rows if (row.client, row.width) == (other.client, other.width)]
            is_reading = CLIENTS[row.client].is_ours and case.work is not Work.IMPORT
            assert set(ours) == (set(Parser) if is_reading else {None})


def test_results_travel() -> None:
    """A file of results gives the same tables as the run that wrote it."""
    again = Results.from_json(SEQUENTIAL.to_json())
    assert again == SEQUENTIAL
    row = json.loads(SEQUENTIAL.to_json())["cases"][0]["rows"][0]
    assert row["ratios"]["time / httpx2"] == 0.5
    assert row["seconds"]["median"] == pytest.approx(3e-4)


def test_targets_name_rows() -> None:
    """Every target speaks of rows that are measured."""
    for target in TARGETS:
        labels = {row.label for row in CASES[target.case].rows}
        assert target.row in labels
        assert target.against is None or target.against in labels


def test_rows_name_clients() -> None:
    """Every row's client exists, and no two rows of a case have one name."""
    for case in CASES.values():
        assert {row.client for row in case.rows} <= CLIENTS.keys()
        assert len({row.label for row in case.rows}) == len(case.rows)
        labels = {row.label for row in case.rows}
        assert all({other, with_parser(other)} & labels for other in case.references)


def test_targets_are_judged() -> None:
    """A target is met by a value up to its limit, and not by one that nobody measured."""
    verdicts = {verdict.target.row: verdict for verdict in judge(SEQUENTIAL)}
    assert verdicts[FETCH].is_met
    assert verdicts[FETCH].value == 0.5
    other = verdicts[with_parser("trioreply get")]
    assert not other.is_met
    assert other.value is None


def test_targets_need_the_peer() -> None:
    """Without the other client there is nothing to compare with, and so no success."""
    alone = results_of("sequential", {FETCH: [sample(1.0)]})
    assert {verdict.value for verdict in judge(alone)} == {None}


def test_memory_targets_are_judged() -> None:
    """A bound on memory is held against MiB above an idle manager."""
    results = results_of("download", {EVENTS: [sample(1.0, peak=13 * 1024)], CHUNKS: [sample(1.0, peak=1024)]})
    verdicts = {verdict.target.row: verdict for verdict in judge(results) if verdict.target.against is None}
    assert not verdicts[EVENTS].is_met
    assert verdicts[CHUNKS].is_met


def test_other_bounds_are_judged() -> None:
    """A held reply's memory is held against KiB, an import against milliseconds."""
    held = Sample(seconds=1.0, cpu_seconds=1.0, count=10, held_kib=190)
    results = results_of("stalled", {with_parser("trioreply get"): [held]})
    results.add(CASES["import"], "import trioreply", sample(0.061))
    verdicts = {verdict.target.unit: verdict for verdict in judge(results) if verdict.value is not None}
    assert (verdicts[KIB_EACH].value, verdicts[KIB_EACH].is_met) == (19.0, True)
    assert (verdicts[MILLISECONDS].value, verdicts[MILLISECONDS].is_met) == (61.0, False)


def test_partners_have_the_same_parser() -> None:
    """A row of ours is compared with the one of ours that reads with the same parser; others have no such partner."""
    rows = {with_parser(f"trioreply {way}", parser): [sample(1.0)] for way in ("fetch", "get") for parser in Parser}
    rows[with_parser("trioreply get", Parser.HTTPTOOLS)] = [sample(3.0)]
    rows["httpx2"] = [sample(2.0)]
    found = {label: ratio(label, "trioreply fetch", rows, clock=Clock.WALL) for label in rows}
    assert list(found.values()) == [None, None, 1.0, 3.0, None]


def test_held_memory_is_the_worst_round() -> None:
    """Of held replies counts the memory of each, in the worst round; unknown rounds do not count."""
    rounds = [Sample(seconds=1, cpu_seconds=1, count=10, held_kib=kib) for kib in (100, 200, None)]
    assert held_kib(rounds) == 20.0
    assert held_kib(rounds[2:]) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.5, "met     a: b takes at most 1 x c; it takes 0.50"), (2.0, "MISSED"), (None, "NOT MEASURED")],
)
def test_verdict_in_words(value: float | None, words: str) -> None:
    """A verdict says what was asked and what came."""
    assert str(Verdict(Target(case="a", row="b", against="c", limit=1), value)).startswith(words)


def test_rounds_are_interleaved() -> None:
    """Rows take turns, so that what disturbs the machine disturbs all of them; downloads are looked at beforehand."""
    case = Case(name="a", title="b", rows=(), references=(), count=1, warm_up=1, work=Work.DOWNLOAD)
    order = [(turn.row.client, turn.round) for turn in turns([case], FULL, {"a": [Row("x"), Row("y")]})]
    assert order == [(client, number) for number in range(FULL.rounds + 1) for client in ("x", "y")]


def test_smoke_leaves_out_the_widest_and_compares_at_once() -> None:
    """A smoke test does little, but looks at all contents."""
    planned = list(turns(chosen(None), SMOKE, all_rows()))
    jobs = [job_of(turn, SMOKE, server=SERVER, core=None) for turn in planned]
    assert {turn.round for turn in planned} == {1}
    assert max(job.width for job in jobs) == SMOKE.widest
    assert all(job.check for job in jobs)


def test_hurry_shares_processes() -> None:
    """In a hurry a library's rows share a process, except imports; a measurement that counts has one of its own."""
    rows = all_rows("sequential", "import")
    planned = list(turns(chosen(list(rows)), SMOKE, rows))
    shared = batches(planned, SMOKE)
    assert {turn.row.parser for turn in shared[0]} == {Parser.H11}
    assert len(shared[0]) == 3
    assert sum(batch[0].case.name == "import" for batch in shared if len(batch) == 1) == 5
    assert batches(planned, FULL) == [[turn] for turn in planned]


def test_counting_once_is_enough() -> None:
    """Counts come out the same every time, so there is one round of them."""
    assert [turn.round for turn in turns([CASES["instructions"]], FULL, {"instructions": [Row("x")]})] == [1]


def test_held_replies_are_scaled() -> None:
    """Fewer replies are held in a smoke test, and it does not warm up with more than usual."""
    case = CASES["stalled"]
    job = job_of(Turn(case=case, row=case.rows[0], round=1), SMOKE, server=SERVER, core=None)
    assert (job.width, job.warm_up, job.connections) == (25, 10, 5000)
    job = job_of(Turn(case=case, row=case.rows[0], round=1), FULL, server=SERVER, core=None)
    assert (job.width, job.warm_up) == (5000, 10)


def test_sizes_are_scaled() -> None:
    """What is as large as the large file follows it; JSON is divided; what lies on the server stays."""
    sizes = [SMOKE.size(CASES[name]) for name in ("upload-file", "upload-json", "ten")]
    assert sizes == [8 * MIB, 500_000, 10_000_000]


def test_counts_are_scaled() -> None:
    """Fewer requests, but at least two for each that is in flight; and one download stays one."""
    assert [SMOKE.count(2000, 1), SMOKE.count(2000, 64), SMOKE.count(1, 1)] == [10, 128, 1]


def test_only_first_round_compares() -> None:
    """Comparing takes time, so the rounds that count do not do it."""
    planned = turns([CASES["download"]], FULL, {"download": [Row("aiohttp")]})
    checks = [job_of(turn, FULL, server=SERVER, core=None).check for turn in planned]
    assert checks == [True, *[False] * FULL.rounds]


def test_cores_are_divided() -> None:
    """Server and client get a processor each; with one alone there is nothing to divide."""
    assert choose_cores([2, 5, 7]) == Cores(server=2, client=5)
    assert choose_cores([2]) == Cores(server=None, client=None)


def test_arguments() -> None:
    """The command line chooses cases, rounds and files."""
    options = parse_arguments(["--check", "--case", "download", "--case", "queue", "--rounds", "3", "--json", "x.json"])
    assert options.check
    assert options.case == ["download", "queue"]
    assert scale_of(options).rounds == 3
    assert options.json == Path("x.json")


def test_smoke_argument() -> None:
    """``--smoke`` does little."""
    assert scale_of(parse_arguments(["--smoke"])) is SMOKE


@pytest.mark.parametrize(
    "wrong", [["--smoke", "--check"], ["--check", "--update-baseline"], ["--case", "nothing"], ["--rounds", "0"]]
)
def test_wrong_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is refused: a smoke test proves no speed."""
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(wrong)
    assert stopped.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_missed_targets_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Targets are what we aim at: missing one is said, and is no failure."""
    assert conclude(SEQUENTIAL, parse_arguments([])) == 0
    assert "NOT MEASURED" in capsys.readouterr().out


def test_check_decides_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is worse than in the baseline is a failure, and only for ``--check``; a baseline has to be there."""
    file = tmp_path / "baseline.json"
    check = parse_arguments(["--check", "--baseline", str(file)])
    assert conclude(SEQUENTIAL, check) == 2
    key = Key("sequential", FETCH, "CPU time / httpx2")
    for before, code in ((0.5, 0), (0.3, 1)):
        file.write_text(Baseline("any", "any", {key: Expected(before, 0.2)}).to_json(), "utf-8")
        assert conclude(SEQUENTIAL, check) == code
    assert "WORSE" in capsys.readouterr().out
    assert conclude(SEQUENTIAL, parse_arguments(["--baseline", str(file)])) == 0


def test_update_writes_the_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--update-baseline`` makes a baseline that the same results then pass."""
    file = tmp_path / "baseline.json"
    assert conclude(SEQUENTIAL, parse_arguments(["--update-baseline", "--baseline", str(file)])) == 0
    assert Key("sequential", FETCH, "CPU time / httpx2") in Baseline.from_json(file.read_text("utf-8")).numbers
    assert conclude(SEQUENTIAL, parse_arguments(["--check", "--baseline", str(file)])) == 0
    assert "as before" in capsys.readouterr().out


def test_rst_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--rst`` prints what goes into the documentation, and nothing else."""
    assert conclude(SEQUENTIAL, parse_arguments(["--rst"])) == 0
    assert capsys.readouterr().out == chapter(SEQUENTIAL) + "\n"


def test_results_can_be_loaded_and_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without measuring anything, results go from a file into a page."""
    (tmp_path / "results.json").write_text(SEQUENTIAL.to_json(), "utf-8")
    page = tmp_path / "page.rst"
    page.write_text(f"{BEGIN}\n{END}\n", "utf-8")
    assert main(["--load", str(tmp_path / "results.json"), "--fill", str(page)]) == 0
    assert "Abacus 3000" in page.read_text("utf-8")
    assert "trioreply fetch" in capsys.readouterr().out


def test_contents_repeat_and_are_compared(tmp_path: Path) -> None:
    """The large file has its size, and any pieces of it are recognised, wherever they were cut."""
    size = 3 * BLOCK_SIZE + 17
    write_large(tmp_path / "large", size)
    content = (tmp_path / "large").read_bytes()
    comparison, counter = Comparison(), Counter()
    for begin in range(0, size, 50_000):
        comparison.take(content[begin : begin + 50_000])
        counter.take(content[begin : begin + 50_000])
    assert comparison.size == counter.size == size


def test_wrong_contents_are_noticed(tmp_path: Path) -> None:
    """A piece that was left out is noticed, of whatever size."""
    write_large(tmp_path / "large", 2 * BLOCK_SIZE)
    content = (tmp_path / "large").read_bytes()
    comparison = Comparison()
    comparison.take(content[:1000])
    with pytest.raises(RuntimeError, match="from 1000 on"):
        comparison.take(content[1000 + 64 * 1024 :])
