"""The parts of the benchmarks that measure nothing: arithmetic, tables, the order of turns, arguments.

That the measuring works is shown by ``nox -s bench -- --smoke``, which needs nginx.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from .cases import CASES, FULL, MIB, SMOKE, TARGETS, Case, Clock, Row, Target
from .clients import CLIENTS
from .contents import SMALL, Comparison, Counter, write_large
from .job import BLOCK_SIZE, SMALL_SIZE, Job, Sample, Site
from .results import Results, Verdict, cost, judge, paired_ratio, peak_mib, summarise
from .suite import Cores, choose_cores, conclude, job_of, main, parse_arguments, scale_of, turns
from .tables import BEGIN, END, as_rst, as_text, chapter, fill, report, table
from .worker import get_small


def sample(seconds: float, *, cpu: float | None = None, count: int = 1, peak: int | None = None) -> Sample:
    """What a round might have taken; by default all of the time on the processor."""
    return Sample(seconds=seconds, cpu_seconds=seconds if cpu is None else cpu, count=count, peak_kib=peak)


def results_of(case: str, rows: dict[str, list[Sample]]) -> Results:
    """Results of one case."""
    results = Results({"processor": "Abacus 3000"}, 1024 * MIB)
    for label, samples in rows.items():
        for one in samples:
            results.add(CASES[case], label, one)
    return results


SITE = Site(port=1)
SEQUENTIAL = results_of(
    "sequential",
    {
        "trioreply fetch": [sample(2.0, count=10_000), sample(4.0, count=10_000), sample(3.0, count=10_000)],
        "httpx2": [sample(4.0, count=10_000), sample(8.0, count=10_000), sample(4.0, count=10_000)],
    },
)


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
    job = job_of(next(turns([CASES["download"]], FULL, list(CLIENTS))), FULL, site=SITE, core=None)
    assert Job.from_json(job.to_json()) == job


def test_a_site_has_a_url() -> None:
    """A site whose authority is known is a secure one."""
    assert SITE.base == "http://127.0.0.1:1"
    assert Site(port=2, ca_file="ca.pem").base == "https://127.0.0.1:2"


def test_secure_cases_say_so() -> None:
    """What is called TLS is measured over TLS, and nothing else is."""
    assert {case.name for case in CASES.values() if case.tls} == {"sequential-tls", "handshakes", "download-tls"}
    assert all(("over TLS" in case.title) is case.tls for case in CASES.values())


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
        assert set(case.references) <= {row.label for row in case.rows}


def test_targets_are_judged() -> None:
    """A target is met by a value up to its limit, and not by one that nobody measured."""
    verdicts = {verdict.target.row: verdict for verdict in judge(SEQUENTIAL)}
    assert verdicts["trioreply fetch"].is_met
    assert verdicts["trioreply fetch"].value == 0.5
    assert not verdicts["trioreply get"].is_met
    assert verdicts["trioreply get"].value is None


def test_targets_need_the_peer() -> None:
    """Without the other client there is nothing to compare with, and so no success."""
    alone = results_of("sequential", {"trioreply fetch": [sample(1.0)]})
    assert [verdict.value for verdict in judge(alone)] == [None, None]


def test_memory_targets_are_judged() -> None:
    """A bound on memory is held against MiB above an idle manager."""
    results = results_of(
        "download", {"trioreply events": [sample(1.0, peak=13 * 1024)], "trioreply chunks": [sample(1.0, peak=1024)]}
    )
    verdicts = {verdict.target.row: verdict for verdict in judge(results)}
    assert not verdicts["trioreply events"].is_met
    assert verdicts["trioreply chunks"].is_met


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.5, "met     a: b takes at most 1 x c; it takes 0.50"), (2.0, "MISSED"), (None, "NOT MEASURED")],
)
def test_verdict_in_words(value: float | None, words: str) -> None:
    """A verdict says what was asked and what came."""
    assert str(Verdict(Target(case="a", row="b", against="c", limit=1), value)).startswith(words)


def test_table_of_requests() -> None:
    """A table has the rows in their order, microseconds, the spread, and the ratios to the rows that were measured."""
    assert table(CASES["sequential"], SEQUENTIAL.cases["sequential"], 1) == [
        ["client", "us", "best", "spread", "CPU us", "time / httpx2"],
        ["trioreply fetch", "300.0", "200.0", "67%", "300.0", "0.50"],
        ["httpx2", "400.0", "400.0", "100%", "400.0", ""],
    ]


def test_table_of_downloads() -> None:
    """A download's table has milliseconds, the rate and the memory."""
    rows = {"trioreply events": [sample(2.0, peak=2048)], "aiohttp": [sample(1.0)]}
    assert table(CASES["download"], rows, 1024 * MIB) == [
        ["client", "ms", "best", "spread", "CPU ms", "MiB/s", "memory, MiB", "time / aiohttp"],
        ["trioreply events", "2,000.0", "2,000.0", "0%", "2,000.0", "512", "2.0", "2.00"],
        ["aiohttp", "1,000.0", "1,000.0", "0%", "1,000.0", "1,024", "unknown", ""],
    ]


def test_text_is_aligned() -> None:
    """On a terminal names stand to the left, numbers to the right, and no line ends in spaces."""
    assert as_text([["client", "us", ""], ["x", "1,234.0", ""]]) == "client       us\nx       1,234.0"


def test_rst_is_a_list_table() -> None:
    """In the documentation a table is a list, with a heading."""
    assert as_rst([["client", "us"], ["x", ""]]).splitlines() == [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - client",
        "     - us",
        "   * - x",
        "     -",
    ]


def test_reports_name_what_was_measured() -> None:
    """Both reports name the case; the documentation's also names the machine."""
    assert report(SEQUENTIAL).startswith("sequential: GET of 100 bytes, one after another")
    assert chapter(SEQUENTIAL).startswith("Measured with processor: Abacus 3000.\n\n``sequential``: GET")


def test_smaller_downloads_say_so() -> None:
    """A download that was not of the size its title promises is marked."""
    results = Results({}, 8 * MIB)
    results.add(CASES["download"], "aiohttp", sample(1.0))
    assert "(here: 8 MiB)" in report(results)


def test_numbers_go_between_their_marks() -> None:
    """Numbers replace older ones, and nothing else of the page."""
    page = f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n"
    filled = fill(page, "new")
    assert filled == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
    assert fill(filled, "new") == filled


def test_page_without_marks() -> None:
    """A page without a place for numbers is left alone, with a word about what it lacks."""
    with pytest.raises(ValueError, match="has no lines"):
        fill("a page", "new")


def test_the_documentation_has_a_place_for_numbers() -> None:
    """The page about performance can be filled."""
    page = Path(__file__).parents[2] / "docs" / "performance.rst"
    assert "numbers" in fill(page.read_text("utf-8"), "numbers")


def test_rounds_are_interleaved() -> None:
    """Rows take turns, so that what disturbs the machine disturbs all of them; downloads are looked at beforehand."""
    case = Case(
        name="a", title="b", rows=(Row("x"), Row("y"), Row("absent")), references=(), count=1, warm_up=1, download=True
    )
    order = [(turn.row.client, turn.round) for turn in turns([case], FULL, ["x", "y"])]
    assert order == [(client, number) for number in range(FULL.rounds + 1) for client in ("x", "y")]


def test_smoke_leaves_out_the_widest_and_compares_at_once() -> None:
    """A smoke test does little, but looks at all contents."""
    planned = list(turns(list(CASES.values()), SMOKE, list(CLIENTS)))
    assert {turn.round for turn in planned} == {1}
    assert max(turn.row.width for turn in planned) == SMOKE.widest
    assert job_of(planned[-1], SMOKE, site=SITE, core=None).check


def test_counts_are_scaled() -> None:
    """Fewer requests, but at least two for each that is in flight; and one download stays one."""
    assert [SMOKE.count(2000, 1), SMOKE.count(2000, 64), SMOKE.count(1, 1)] == [10, 128, 1]


def test_only_first_round_compares() -> None:
    """Comparing takes time, so the rounds that count do not do it."""
    checks = [job_of(turn, FULL, site=SITE, core=None).check for turn in turns([CASES["download"]], FULL, ["aiohttp"])]
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


@pytest.mark.parametrize("wrong", [["--smoke", "--check"], ["--case", "nothing"], ["--rounds", "0"]])
def test_wrong_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is refused: a smoke test proves no speed."""
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(wrong)
    assert stopped.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_check_decides_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A missed target is a failure only for ``--check``; what was not measured counts as missed."""
    assert conclude(SEQUENTIAL, parse_arguments([])) == 0
    assert conclude(SEQUENTIAL, parse_arguments(["--check"])) == 1
    assert "NOT MEASURED" in capsys.readouterr().out
    met = Results({}, 1)
    rows = {"trioreply fetch": 1.0, "trioreply get": 1.0, "httpx2": 2.0}
    for label, seconds in rows.items():
        met.add(CASES["sequential"], label, sample(seconds))
    assert conclude(met, parse_arguments(["--check"])) == 0


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


class _Canned:
    """A session with one answer."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.running = self.most = self.asked = 0

    async def small(self) -> bytes:
        """The answer, after a turn of everybody else."""
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await trio.lowlevel.checkpoint()
        self.running -= 1
        return self.body

    async def large(self, take: object) -> None:
        """Not asked here."""

    async def all_of(self, tasks: object) -> None:
        """In a nursery."""
        assert isinstance(tasks, list)
        async with trio.open_nursery() as nursery:
            for task in tasks:
                nursery.start_soon(task)


@pytest.mark.parametrize("width", [1, 4])
async def test_small_files_are_counted(width: int) -> None:
    """Just as many requests are made as are counted, and as many at once as was said."""
    session = _Canned(SMALL)
    await get_small(session, 10, width)
    assert (session.asked, session.most) == (10, width)
    assert len(SMALL) == SMALL_SIZE


async def test_wrong_small_file_is_noticed() -> None:
    """A client that gives something else is not measured."""
    with pytest.raises(RuntimeError, match="expected the small file"):
        await get_small(_Canned(b"404"), 1, 1)
