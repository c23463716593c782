"""What is measured: tables.

A *case* is a kind of work, a *row* one client's way to do it. Rows of a case take turns, one process each, round by
round, so that whatever else the machine does disturbs all of them alike. Rows of trioreply come twice, once for each
parser that it can read responses with.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from attrs import frozen

from .clients import CLIENTS
from .contents import FILES
from .job import SMALL_SIZE, Parser, Work

OUR_PER_HOST = 6
"""trioreply's own default."""
MIB = 1024 * 1024


class Clock(enum.Enum):
    """What ratios are made of."""

    WALL = "time"
    CPU = "CPU time"
    """Where waiting is not the point, and the server's share would hide the client's."""


class Way(enum.Enum):
    """How the client gets to the server."""

    PLAIN = "plain"
    TLS = "TLS"
    OWN = "own"
    """To the server that can do what nginx cannot."""
    FORWARDED = "forwarded"
    """Through a proxy that gets the requests."""
    TUNNEL = "tunnel"
    """Over TLS, through a proxy that only passes on."""


@frozen
class Row:
    """One client at work."""

    client: str
    """A name from `clients.CLIENTS`."""
    width: int = 1
    """How many requests at once."""
    connections: int = OUR_PER_HOST
    """How many connections it may use."""
    shows_width: bool = False
    parser: Parser | None = None
    """What trioreply reads with; ``None`` for the others, and where nothing is read."""
    goes_straight: bool = False
    """Without the proxy that the others of the case go through."""

    @property
    def label(self) -> str:
        """What the table calls it."""
        words = [
            self.client,
            f"{self.width:,} at once" if self.shows_width else "",
            "no proxy" if self.goes_straight else "",
            self.parser or "",
        ]
        return ", ".join(filter(None, words))


@frozen(kw_only=True)
class Case:
    """A kind of work."""

    name: str
    title: str
    rows: tuple[Row, ...]
    references: tuple[str, ...]
    """Labels of the rows that the others are set in proportion to; one of ours without its parser stands for the one
    that has the same."""
    count: int
    """Requests in one measurement."""
    warm_up: int
    work: Work = Work.GET
    path: str = "small"
    size: int | None = SMALL_SIZE
    """Bytes of what is asked for or sent; ``None`` for as many as the large file has."""
    way: Way = Way.PLAIN
    clock: Clock = Clock.WALL

    @property
    def is_large(self) -> bool:
        """Whether one request is enough for a measurement, and is told in milliseconds."""
        return self.work in {Work.DOWNLOAD, Work.UPLOAD_FILE, Work.UPLOAD_JSON}

    @property
    def looks_first(self) -> bool:
        """Whether there is a round beforehand that compares all bytes, or compiles what will be imported."""
        return self.is_large or self.work is Work.IMPORT or self.path == "ten"


def _both(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Each of ``rows`` that is ours, with either parser."""
    return tuple(
        Row(row.client, row.width, row.connections, row.shows_width, parser, row.goes_straight)
        for row in rows
        for parser in (tuple(Parser) if CLIENTS[row.client].is_ours else (None,))
    )


def _rows(*clients: str, width: int = 1, connections: int = OUR_PER_HOST) -> tuple[Row, ...]:
    return _both(Row(client, width, connections) for client in clients)


def with_parser(label: str, parser: Parser = Parser.H11) -> str:
    """The label of a row that reads with ``parser``."""
    return f"{label}, {parser}"


WIDTHS = (1, 10, 100, 1000)
OUR_SMALL = ("trioreply fetch", "trioreply get", "trioreply events")
OUR_LARGE = ("trioreply events", "trioreply chunks", "trioreply stream")
HANDSHAKES = ("resumed", "not resumed")
_PEERS = ("bare Trio", "httpx2", "aiohttp")
_MORE_PEERS = ("httpx", "pyreqwest", "pycurl", "Qt")
_SECURE_PEERS = ("trio.SSLStream", "httpx2", "aiohttp")


def _proxied() -> tuple[Row, ...]:
    straight = Row("trioreply fetch", goes_straight=True)
    return _both((Row("trioreply fetch"), straight, Row("httpx2"), Row("aiohttp")))


_SMALL_CASES = (
    Case(
        name="sequential",
        title="GET of 100 bytes, one after another on one connection",
        rows=_rows(*OUR_SMALL, *_PEERS, *_MORE_PEERS),
        references=("trioreply fetch", *_PEERS),
        count=2000,
        warm_up=200,
    ),
    Case(
        name="at-once",
        title="GET of 100 bytes, 64 at once on 64 connections",
        rows=_rows(*OUR_SMALL, *_PEERS, *_MORE_PEERS, width=64, connections=64),
        references=("trioreply fetch", *_PEERS),
        count=4000,
        warm_up=256,
    ),
    Case(
        name="queue",
        title="GET of 100 bytes, more and more replies on 6 connections",
        rows=_both(Row("trioreply get", width, shows_width=True) for width in WIDTHS),
        references=("trioreply get, 1 at once",),
        count=6000,
        warm_up=1000,
        clock=Clock.CPU,
    ),
    Case(
        name="connections",
        title="GET of 100 bytes, more and more replies with a connection each",
        rows=_both(Row("trioreply get", width, width, shows_width=True) for width in WIDTHS),
        references=("trioreply get, 1 at once",),
        count=6000,
        warm_up=2000,
        clock=Clock.CPU,
    ),
    Case(
        name="churn",
        title="GET of 100 bytes, and the server closes the connection after each",
        rows=_rows("trioreply fetch", "trioreply get", *_PEERS),
        references=_PEERS,
        count=1000,
        warm_up=50,
        path="close/small",
    ),
    Case(
        name="forwarded",
        title="GET of 100 bytes through a proxy that forwards it",
        rows=_proxied(),
        references=("trioreply fetch, no proxy", "httpx2", "aiohttp"),
        count=1000,
        warm_up=100,
        way=Way.FORWARDED,
        clock=Clock.CPU,
    ),
    Case(
        name="medium",
        title="GET of 100 kB, one after another on one connection",
        rows=_rows(*OUR_SMALL, *_PEERS, "pyreqwest", "pycurl", "Qt"),
        references=("trioreply fetch", *_PEERS),
        count=1000,
        warm_up=100,
        path="medium",
        size=FILES["medium"],
    ),
    Case(
        name="ten",
        title="GET of 10 MB as a whole, one after another on one connection",
        rows=_rows(*OUR_SMALL, *_PEERS, "pyreqwest", "pycurl", "Qt"),
        references=("trioreply fetch", *_PEERS),
        count=40,
        warm_up=50,
        path="ten",
        size=FILES["ten"],
    ),
)

_SECURE_CASES = (
    Case(
        name="sequential-tls",
        title="GET of 100 bytes over TLS, one after another on one connection",
        rows=_rows("trioreply fetch", "trioreply get", *_SECURE_PEERS, "pyreqwest", "pycurl"),
        references=_SECURE_PEERS,
        count=2000,
        warm_up=200,
        way=Way.TLS,
    ),
    Case(
        name="handshakes",
        title="GET of 100 bytes over TLS, each on a connection of its own",
        rows=_rows(*(f"{client}, {how}" for client in ("trioreply", "asyncio") for how in HANDSHAKES)),
        references=tuple(f"asyncio, {how}" for how in HANDSHAKES),
        count=400,
        warm_up=40,
        way=Way.TLS,
    ),
    Case(
        name="tunnel",
        title="GET of 100 bytes over TLS, through a proxy that passes it on unseen",
        rows=_proxied(),
        references=("trioreply fetch, no proxy", "httpx2", "aiohttp"),
        count=1000,
        warm_up=100,
        way=Way.TUNNEL,
        clock=Clock.CPU,
    ),
)

_LARGE_CASES = (
    Case(
        name="download",
        title="GET of the large file",
        rows=_rows(*OUR_LARGE, *_PEERS),
        references=_PEERS,
        count=1,
        warm_up=50,
        work=Work.DOWNLOAD,
        path="large",
        size=None,
    ),
    Case(
        name="download-tls",
        title="GET of the large file over TLS",
        rows=_rows(*OUR_LARGE, *_SECURE_PEERS),
        references=_SECURE_PEERS,
        count=1,
        warm_up=50,
        work=Work.DOWNLOAD,
        path="large",
        size=None,
        way=Way.TLS,
    ),
    Case(
        name="upload-file",
        title="PUT of the large file, from where it lies",
        rows=_rows("trioreply get", *_PEERS),
        references=_PEERS,
        count=1,
        warm_up=50,
        work=Work.UPLOAD_FILE,
        path="sink",
        size=None,
        way=Way.OWN,
    ),
    Case(
        name="upload-json",
        title="POST of 100 MB of JSON, making it included",
        rows=_rows("trioreply get", *_PEERS),
        references=_PEERS,
        count=1,
        warm_up=50,
        work=Work.UPLOAD_JSON,
        path="sink",
        size=100_000_000,
        way=Way.OWN,
    ),
)

_SPECIAL_CASES = (
    Case(
        name="slow",
        title="1,000 replies open at the same time, whose bodies then come little by little",
        rows=_rows("trioreply get", *_PEERS, width=1000, connections=1000),
        references=_PEERS,
        count=1,
        warm_up=10,
        work=Work.HOLD,
        path="slow",
        way=Way.OWN,
    ),
    Case(
        name="stalled",
        title="5,000 replies open at the same time, whose bodies do not come",
        # httpx2 takes minutes for it.
        rows=_rows("trioreply get", "bare Trio", "aiohttp", width=5000, connections=5000),
        references=("bare Trio", "aiohttp"),
        count=1,
        warm_up=10,
        work=Work.HOLD,
        path="stalled",
        way=Way.OWN,
    ),
    Case(
        name="import",
        title="Importing, on top of Trio",
        rows=(
            *_rows("import trio", "import httpx2", "import aiohttp"),
            Row("import trioreply"),
            Row("import and first fetch"),
        ),
        references=("import trio",),
        count=1,
        warm_up=0,
        work=Work.IMPORT,
    ),
    Case(
        name="instructions",
        title="GET of 100 bytes, counted instead of timed",
        rows=_rows(*OUR_SMALL),
        references=(),
        count=200,
        warm_up=100,
        work=Work.COUNT,
    ),
)

CASES = {case.name: case for case in (*_SMALL_CASES, *_SECURE_CASES, *_LARGE_CASES, *_SPECIAL_CASES)}


@frozen(kw_only=True)
class Scale:
    """How much is measured."""

    rounds: int
    large_size: int
    divisor: int = 1
    """What counts and sizes are divided by; never below two requests for each that is in flight."""
    widest: int = max(WIDTHS)
    """More requests at once than that are not made; held replies are divided like counts."""
    hurries: bool = False
    """Whether a library's measurements share a process, and two of these run at the same time. Numbers that come of
    that mean nothing."""
    checks_always: bool = False
    """Whether all bytes are compared in every round."""
    simulates: bool = True
    """Whether instructions of the processor are counted, which takes a minute for each row."""

    def count(self, count: int, width: int) -> int:
        """``count``, scaled down."""
        return max(count // self.divisor, 2 * width) if count > 1 else count

    def size(self, case: Case) -> int:
        """The bytes that one request of ``case`` is about."""
        if case.size is None:
            return self.large_size
        return case.size // self.divisor if case.work is Work.UPLOAD_JSON else case.size

    def rows(self, case: Case) -> tuple[Row, ...]:
        """The rows of ``case`` that are measured."""
        return tuple(row for row in case.rows if case.work is Work.HOLD or row.width <= self.widest)

    def width(self, case: Case, row: Row) -> int:
        """How many requests of ``row`` there are at once."""
        return max(row.width // self.divisor, 10) if case.work is Work.HOLD else row.width


FULL = Scale(rounds=5, large_size=1024 * MIB)
SMOKE = Scale(
    rounds=1,
    large_size=8 * MIB,
    divisor=200,
    widest=100,
    hurries=True,
    checks_always=True,
    simulates=False,
)


def chosen(names: Sequence[str] | None) -> list[Case]:
    """The cases called ``names``, in the usual order; all for ``None``."""
    return [case for case in CASES.values() if names is None or case.name in names]
