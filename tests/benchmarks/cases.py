"""What is measured, and what must come out: tables.

A *case* is a kind of work, a *row* one client's way to do it. Rows of a case take turns, one process each, round by
round, so that whatever else the machine does disturbs all of them alike.
"""

from __future__ import annotations

import enum

from attrs import frozen

OUR_PER_HOST = 6
"""trioreply's own default."""
MIB = 1024 * 1024


class Clock(enum.Enum):
    """What ratios are made of."""

    WALL = "time"
    CPU = "CPU time"
    """Where waiting is not the point, and the server's share would hide the client's."""


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

    @property
    def label(self) -> str:
        """What the table calls it."""
        return f"{self.client}, {self.width:,} at once" if self.shows_width else self.client


@frozen(kw_only=True)
class Case:
    """A kind of work."""

    name: str
    title: str
    rows: tuple[Row, ...]
    references: tuple[str, ...]
    """Labels of the rows that the others are set in proportion to."""
    count: int
    """Requests in one measurement."""
    warm_up: int
    download: bool = False
    tls: bool = False
    clock: Clock = Clock.WALL


_WIDTHS = (1, 10, 100, 1000)
_PEERS = ("bare Trio", "httpx2", "aiohttp")
_SMALL = ("trioreply fetch", "trioreply get", "trioreply events", *_PEERS)
_OUR_LARGE = ("trioreply events", "trioreply chunks", "trioreply stream")
_SECURE_PEERS = ("trio.SSLStream", "httpx2", "aiohttp")
_HANDSHAKES = ("resumed", "not resumed")

CASES = {
    case.name: case
    for case in (
        Case(
            name="sequential",
            title="GET of 100 bytes, one after another on one connection",
            rows=tuple(Row(client) for client in _SMALL),
            references=_PEERS,
            count=2000,
            warm_up=200,
        ),
        Case(
            name="at-once",
            title="GET of 100 bytes, 64 at once on 64 connections",
            rows=tuple(Row(client, 64, 64) for client in _SMALL),
            references=_PEERS,
            count=4000,
            warm_up=256,
        ),
        Case(
            name="queue",
            title="GET of 100 bytes, more and more replies on 6 connections",
            rows=tuple(Row("trioreply get", width, shows_width=True) for width in _WIDTHS),
            references=("trioreply get, 1 at once",),
            count=6000,
            warm_up=1000,
            clock=Clock.CPU,
        ),
        Case(
            name="connections",
            title="GET of 100 bytes, more and more replies with a connection each",
            rows=tuple(Row("trioreply get", width, width, shows_width=True) for width in _WIDTHS),
            references=("trioreply get, 1 at once",),
            count=6000,
            warm_up=2000,
            clock=Clock.CPU,
        ),
        Case(
            name="download",
            title="GET of 1 GiB",
            rows=tuple(Row(client) for client in (*_OUR_LARGE, *_PEERS)),
            references=_PEERS,
            count=1,
            warm_up=50,
            download=True,
        ),
        Case(
            name="sequential-tls",
            title="GET of 100 bytes over TLS, one after another on one connection",
            rows=tuple(Row(client) for client in ("trioreply fetch", "trioreply get", *_SECURE_PEERS)),
            references=_SECURE_PEERS,
            count=2000,
            warm_up=200,
            tls=True,
        ),
        Case(
            name="handshakes",
            title="GET of 100 bytes over TLS, each on a connection of its own",
            rows=tuple(Row(f"{client}, {how}") for client in ("trioreply", "asyncio") for how in _HANDSHAKES),
            references=tuple(f"asyncio, {how}" for how in _HANDSHAKES),
            count=400,
            warm_up=40,
            tls=True,
        ),
        Case(
            name="download-tls",
            title="GET of 1 GiB over TLS",
            rows=tuple(Row(client) for client in (*_OUR_LARGE, *_SECURE_PEERS)),
            references=_SECURE_PEERS,
            count=1,
            warm_up=50,
            download=True,
            tls=True,
        ),
    )
}


@frozen(kw_only=True)
class Scale:
    """How much is measured."""

    rounds: int
    large_size: int
    divisor: int = 1
    """What the counts of the cases are divided by; never below two requests for each that is in flight."""
    widest: int = max(_WIDTHS)
    check_every_download: bool = False

    def count(self, count: int, width: int) -> int:
        """``count``, scaled down."""
        return max(count // self.divisor, 2 * width) if count > 1 else count

    def rows(self, case: Case) -> tuple[Row, ...]:
        """The rows of ``case`` that are measured."""
        return tuple(row for row in case.rows if row.width <= self.widest)


FULL = Scale(rounds=5, large_size=1024 * MIB)
SMOKE = Scale(rounds=1, large_size=8 * MIB, divisor=200, widest=100, check_every_download=True)


@frozen(kw_only=True)
class Target:
    """What a row must reach: a part of another row's time, or a bound on memory."""

    case: str
    row: str
    limit: float
    against: str | None = None
    """The row that is compared with; ``None``: ``limit`` is in MiB of memory above an idle manager."""

    def __str__(self) -> str:
        if self.against is None:
            return f"{self.case}: {self.row} takes at most {self.limit:g} MiB above an idle manager"
        return f"{self.case}: {self.row} takes at most {self.limit:g} x {self.against}"


TARGETS = (
    *(Target(case="sequential", row=row, against="httpx2", limit=0.7) for row in ("trioreply fetch", "trioreply get")),
    # Many at once may be cheaper than one: they share wake-ups. What must not happen is that each costs more.
    *(
        Target(case=case, row=f"trioreply get, {width:,} at once", against="trioreply get, 1 at once", limit=1.15)
        for case in ("queue", "connections")
        for width in _WIDTHS[1:]
    ),
    *(Target(case="download", row=row, limit=12) for row in _OUR_LARGE),
    *(Target(case="handshakes", row=f"trioreply, {how}", against=f"asyncio, {how}", limit=1.1) for how in _HANDSHAKES),
    # Rates of at least 0.95 x aiohttp's and 1.4 x trio.SSLStream's, said as times.
    *(
        Target(case="download-tls", row=row, against=other, limit=limit)
        for row in _OUR_LARGE
        for other, limit in (("aiohttp", 1.05), ("trio.SSLStream", 0.71))
    ),
    *(Target(case="download-tls", row=row, limit=12) for row in _OUR_LARGE),
)
