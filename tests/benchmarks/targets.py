"""What has to come out: a table of the design's promises."""

from __future__ import annotations

from attrs import frozen

from .cases import HANDSHAKES, OUR_LARGE, WIDTHS, with_parser
from .job import Parser


@frozen(kw_only=True)
class Target:
    """What a row must reach: a part of another row's time, or a bound."""

    case: str
    row: str
    limit: float
    against: str | None = None
    """The row that is compared with; ``None``: ``limit`` is in ``unit``."""
    unit: str = "MiB of memory"

    def __str__(self) -> str:
        amount = f"{self.limit:g} {self.unit}" if self.against is None else f"{self.limit:g} x {self.against}"
        return f"{self.case}: {self.row} takes at most {amount}"


KIB_EACH = "KiB for each reply"
MILLISECONDS = "ms on top of Trio"


def _for_each_parser(case: str, row: str, limit: float, **other: str) -> tuple[Target, ...]:
    return tuple(Target(case=case, row=with_parser(row, parser), limit=limit, **other) for parser in Parser)


def _beside_peers(case: str, row: str, *, quick: float, aiohttp: float | None, httpx2: float) -> tuple[Target, ...]:
    """With the quick parser a part of aiohttp's time; with h11 perhaps that too, and a part of httpx2's."""
    h11, httptools = with_parser(row), with_parser(row, Parser.HTTPTOOLS)
    return (
        Target(case=case, row=httptools, limit=quick, against="aiohttp"),
        *(() if aiohttp is None else (Target(case=case, row=h11, limit=aiohttp, against="aiohttp"),)),
        Target(case=case, row=h11, limit=httpx2, against="httpx2"),
    )


TARGETS = (
    *(
        target
        for row in ("trioreply fetch", "trioreply get")
        for target in _beside_peers("sequential", row, quick=0.9, aiohttp=1.2, httpx2=0.5)
    ),
    *(
        target
        for row in ("trioreply fetch", "trioreply get")
        for target in _beside_peers("at-once", row, quick=0.9, aiohttp=None, httpx2=0.4)
    ),
    # Many at once may be cheaper than one: they share wake-ups. What must not happen is that each costs more.
    *(
        Target(
            case=case,
            row=with_parser(f"trioreply get, {width:,} at once", parser),
            against=with_parser("trioreply get, 1 at once", parser),
            limit=1.15,
        )
        for case in ("queue", "connections")
        for width in WIDTHS[1:]
        for parser in Parser
    ),
    # Rates of at least 0.75 x the bare sockets' and 0.95 x aiohttp's, said as times; over TLS 1.4 x trio.SSLStream's.
    *(
        target
        for case, floor, limit in (("download", "bare Trio", 1.33), ("download-tls", "trio.SSLStream", 0.71))
        for row in OUR_LARGE
        for target in (
            *_for_each_parser(case, row, limit, against=floor),
            *_for_each_parser(case, row, 1.05, against="aiohttp"),
            *_for_each_parser(case, row, 12),
        )
    ),
    *_for_each_parser("upload-file", "trioreply get", 1.0, against="aiohttp"),
    *_for_each_parser("upload-file", "trioreply get", 12),
    *(
        target
        for how in HANDSHAKES
        for target in _for_each_parser("handshakes", f"trioreply, {how}", 1.1, against=f"asyncio, {how}")
    ),
    *_for_each_parser("stalled", "trioreply get", 20, unit=KIB_EACH),
    Target(case="import", row="import trioreply", limit=60, unit=MILLISECONDS),
)
