"""The measuring process: that it does what it counts, and counts nothing that went wrong."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import trio

from .clients import CLIENTS, Session, Take
from .clients.on_callbacks import Loop, Outcome
from .contents import SMALL, content, receipt, receipt_for_file
from .counting import can_count_bytecodes, count_bytecodes, make_requests
from .job import SMALL_SIZE, Job, Parser, Site, Work
from .origin import HELD_SIZE
from .simulation import instructions_in
from .worker import Holding, carried_out, carry_out, get_small, getting, require_parser

JOB = Job(client="trioreply fetch", site=Site(port=1), count=4, warm_up=1, connections=6, core=None)


class Canned(Session):
    """A session with one answer to everything."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.running = self.most = self.asked = 0

    async def get(self, path: str) -> bytes:
        """The answer, after a turn of everybody else; the small file is as it should be."""
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await trio.lowlevel.checkpoint()
        self.running -= 1
        return self.body if path != "small" else SMALL

    async def download(self, path: str, take: Take) -> None:  # noqa: ARG002 - whatever it is
        """The answer in two pieces."""
        take(self.body[:10])
        take(self.body[10:])

    async def upload(self, path: str, file: Path) -> bytes:  # noqa: ARG002 - whatever it is
        """The answer."""
        return self.body

    async def upload_json(self, path: str, value: list[str]) -> bytes:  # noqa: ARG002 - whatever it is
        """The answer."""
        return self.body

    async def hold(self, path: str, opened: Callable[[], None]) -> bytes:  # noqa: ARG002 - whatever it is
        """The answer, once everybody else had a turn."""
        opened()
        await trio.lowlevel.checkpoint()
        return self.body

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """In a nursery."""
        async with trio.open_nursery() as nursery:
            for task in tasks:
                nursery.start_soon(task)


@pytest.mark.parametrize("width", [1, 4])
async def test_small_files_are_counted(width: int) -> None:
    """Just as many requests are made as are counted, and as many at once as was said."""
    session = Canned(SMALL)
    await get_small(session, 10, width)
    assert (session.asked, session.most) == (10, width)
    assert len(SMALL) == SMALL_SIZE


async def test_wrong_file_is_noticed() -> None:
    """A client that gives something else is not measured; when not comparing, at least the length is looked at."""
    with pytest.raises(RuntimeError, match="expected 4 bytes of /x"):
        await getting(Canned(b"404!"), "x", b"good")()
    with pytest.raises(RuntimeError, match="got 3 bytes"):
        await getting(Canned(b"404"), "x", b"good", check=False)()
    await getting(Canned(b"404!"), "x", b"good", check=False)()


@pytest.mark.parametrize("check", [True, False])
async def test_downloads_are_looked_at(check: bool) -> None:
    """A download that lacks bytes is no measurement; one with wrong bytes is none where they are compared."""
    job = attrs.evolve(JOB, work=Work.DOWNLOAD, path="large", size=1000, count=1, check=check)
    assert (await carried_out(Canned(content(1000)), job)).count == 1
    with pytest.raises(RuntimeError, match="expected 1000 bytes, got 999"):
        await carried_out(Canned(content(999)), job)
    if check:
        with pytest.raises(RuntimeError, match="differs"):
            await carried_out(Canned(bytes(1000)), job)


async def test_uploads_are_looked_at(tmp_path: Path) -> None:
    """The server must have got as much as was sent, and where it looks, the same."""
    (tmp_path / "large").write_bytes(content(70_000))
    receipts = {check: receipt_for_file(tmp_path / "large", check=check) for check in (True, False)}
    assert receipts[False] == receipt(70_000, None)
    for check, answer in receipts.items():
        job = attrs.evolve(JOB, work=Work.UPLOAD_FILE, file=str(tmp_path / "large"), count=1, check=check)
        assert (await carried_out(Canned(answer), job)).count == 1
        with pytest.raises(RuntimeError, match="the server has got b'1 -'"):
            await carried_out(Canned(b"1 -"), job)


@pytest.mark.parametrize("answer", [b"1000 -", b"991 -"])
async def test_json_has_two_lengths(answer: bytes) -> None:
    """JSON may arrive with spaces behind its nine commas or without, and in no other length."""
    job = attrs.evolve(JOB, work=Work.UPLOAD_JSON, size=1000, count=1)
    assert (await carried_out(Canned(answer), job)).count == 1
    with pytest.raises(RuntimeError, match="the server has got b'992 -'"):
        await carried_out(Canned(b"992 -"), job)


async def test_replies_are_held_together() -> None:
    """The measurement is made, and the bodies are released, when all replies are open and none has ended."""
    released: list[int] = []
    session = Canned(content(HELD_SIZE))
    holding = Holding(attrs.evolve(JOB, width=3), lambda: released.append(len(holding.samples)))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(holding.hold, session)
    assert released == [1]
    assert holding.samples[0].count == 3


async def test_held_bodies_are_compared() -> None:
    """A held reply that ends with something else is no measurement."""
    with pytest.raises(RuntimeError, match="expected 1000 bytes"):
        await Holding(JOB, lambda: None).hold(Canned(b"other"))


def test_the_parser_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement with another parser than was meant is none; what others use does not matter."""
    monkeypatch.setitem(sys.modules, "httptools", None)
    require_parser(CLIENTS["trioreply fetch"], Parser.H11)
    require_parser(CLIENTS["trioreply fetch"], None)
    require_parser(CLIENTS["aiohttp"], Parser.HTTPTOOLS)
    with pytest.raises(RuntimeError, match="was to read with httptools, and has used h11"):
        require_parser(CLIENTS["trioreply fetch"], Parser.HTTPTOOLS)


def test_counts_repeat() -> None:
    """Counting twice gives the same to within a hundredth: nothing but our code is in the count."""
    job = attrs.evolve(JOB, work=Work.COUNT, count=20, warm_up=20)
    one, other = count_bytecodes(job).bytecodes, carry_out(job).bytecodes
    if can_count_bytecodes():
        assert one is not None
        assert other == pytest.approx(one, rel=0.01)
    else:
        assert (one, other) == (None, None)


@pytest.mark.parametrize("client", ["trioreply fetch", "trioreply get", "trioreply events"])
def test_counted_requests_work(client: str) -> None:
    """Every way that is counted gets the right answer without a network."""
    make_requests(attrs.evolve(JOB, client=client, work=Work.COUNT))


def test_valgrinds_count_is_found() -> None:
    """The number is the one behind ``I refs``; without it there is no measurement."""
    assert instructions_in("==1== \n==1== I   refs:      1,778,445,010\n") == 1_778_445_010
    with pytest.raises(ValueError, match="counted nothing: no such tool"):
        instructions_in("no such tool")


class _Later:
    """Something that calls back when it gets its turn."""

    def __init__(self) -> None:
        self.loop = Loop(self._turn)
        self.waiting: list[tuple[Outcome[int], int]] = []

    async def ask(self, number: int) -> int:
        """The number, later."""
        outcome = Outcome[int](self.loop)
        self.waiting.append((outcome, number))
        return await outcome

    def _turn(self) -> None:
        outcome, number = self.waiting.pop()
        outcome.give(number)


def test_callbacks_can_be_awaited() -> None:
    """The loop for callbacks runs tasks side by side, in the order in which they are called back."""
    later, order = _Later(), list[int]()

    def task(number: int) -> Callable[[], Awaitable[None]]:
        async def one() -> None:
            order.append(await later.ask(number))

        return one

    async def main() -> int:
        await later.loop.all_of([task(number) for number in range(3)])
        return await later.ask(7)

    assert later.loop.run(main) == 7
    assert order == [2, 1, 0]


def test_callbacks_may_come_early() -> None:
    """What has been given before it is awaited is there at once."""
    later = _Later()

    async def main() -> str:
        outcome = Outcome[str](later.loop)
        outcome.give("early")
        return await outcome

    assert later.loop.run(main) == "early"


def test_callbacks_carry_errors() -> None:
    """What a task raises leaves the loop."""

    async def main() -> None:
        raise RuntimeError("it failed")

    with pytest.raises(RuntimeError, match="it failed"):
        _Later().loop.run(main)
