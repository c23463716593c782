"""How far one direction of a transfer is, and when that is worth an event.

Qt's rule: at most one progress report per 100 ms and direction, the first interval counted from the start of the
request, and an unconditional last one. For uploads the first report is unconditional too. Time is an argument.
"""

from __future__ import annotations

from .._model.events import Progress
from .._model.options import Direction


class Meter:
    """Counts the bytes of one direction."""

    __slots__ = ("_due", "_interval", "direction", "done", "total", "wire_done", "wire_total")

    def __init__(self, direction: Direction, *, now: float, interval: float) -> None:
        self.direction = direction
        self.done = 0
        self.total: int | None = None
        self.wire_done = 0
        self.wire_total: int | None = None
        self._interval = interval
        self._due = now + interval

    def is_due(self, now: float) -> bool:
        """Whether an event may be sent at ``now``; if so, the next may be one interval later."""
        if now < self._due:
            return False
        self._due = now + self._interval
        return True

    def progress(self) -> Progress:
        """The state of things; totals are ``None`` while unknown."""
        return Progress(self.direction, self.done, self.total, self.wire_done, self.wire_total)

    def last_progress(self) -> Progress:
        """The unconditional report at the end: an unknown total has become known, it is what came (as Qt)."""
        total = self.done if self.total is None else self.total
        wire_total = self.wire_done if self.wire_total is None else self.wire_total
        return Progress(self.direction, self.done, total, self.wire_done, wire_total)
