"""What the demo's acts are played on: a timeline that prints events as they come, promises, and verdicts.

An act makes promises about what happened and in which order, never about how long it took. The limit on an act's time
is there so that a broken promise cannot hang the demo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio
from attrs import frozen

from .. import Direction, Event, Progress, ReadyRead, ReplyError
from ..testing import OriginRequest, OriginResponse, ServerTls, open_origin
from .render import Printer, Style, print_event, print_moment

WIDTH = 80
"""Columns that the demo uses at most: what the narrowest usual terminal has."""
ACT_SECONDS = 10.0
"""Seconds after which an act has failed; each takes well under one."""


class BrokenPromiseError(Exception):
    """Something did not happen as promised; the message says what."""


class Timeline:
    """The events of one act, printed as they come."""

    def __init__(self, printer: Printer) -> None:
        self.events: list[Event] = []
        """All of them so far."""
        self._printer = printer
        self._started = trio.current_time()

    def add(self, event: Event) -> None:
        """``event`` has come."""
        self.events.append(event)
        print_event(self._printer, event, elapsed=self._elapsed(), width=WIDTH)

    def note(self, who: str, text: str) -> None:
        """Something worth knowing happened elsewhere."""
        print_moment(self._printer, (who, Style.SERVER), text, elapsed=self._elapsed())

    def expect(self, *names: str) -> None:
        """Promise that the events came in this order, the last right after a `Progress`, and that progress only grew.

        How often data and progress came in between is the network's business.

        Raises:
            BrokenPromiseError: they did not.
        """
        landmarks = [type(event).__name__ for event in self.events if not isinstance(event, ReadyRead | Progress)]
        promise(landmarks == list(names), f"the events came as {', '.join(landmarks)}, not as {', '.join(names)}")
        promise(isinstance(self.events[-2], Progress), f"{self.events[-2]!r} came right before the end, not Progress")
        for direction in Direction:
            steps = [event.done for event in self.progress(direction)]
            promise(steps == sorted(steps), f"the {direction.value} went backwards: {steps}")

    def progress(self, direction: Direction) -> list[Progress]:
        """The progress of one direction."""
        return [event for event in self.events if isinstance(event, Progress) and event.direction is direction]

    def _elapsed(self) -> float:
        return trio.current_time() - self._started


class Act(Protocol):
    """One of the demo's transfers, with both of its sides."""

    @property
    def name(self) -> str:
        """A word or two."""
        ...

    @property
    def story(self) -> str:
        """One line: what is going to happen."""
        ...

    @property
    def path(self) -> str:
        """Where the origin serves it."""
        ...

    @property
    def tls(self) -> ServerTls | None:
        """What the origin is secured with; ``None`` for plain http."""
        ...

    async def serve(self, request: OriginRequest) -> OriginResponse:
        """The origin's side."""
        ...

    async def play(self, url: str, timeline: Timeline) -> str:
        """The client's side; says in a few words what was kept.

        Raises:
            BrokenPromiseError: something went otherwise than promised.
            ReplyError: a transfer failed that should not have.
        """
        ...


@frozen
class Verdict:
    """How an act went."""

    name: str
    is_ok: bool
    words: str


def promise(kept: bool, why: str) -> None:
    """Nothing if ``kept``.

    Raises:
        BrokenPromiseError: with ``why``, if it was not.
    """
    if not kept:
        raise BrokenPromiseError(why)


async def perform(acts: Sequence[Act], printer: Printer, *, seconds: float = ACT_SECONDS) -> bool:
    """Play ``acts``, each against an origin on loopback, with ``seconds`` for it; whether all went as promised."""
    verdicts = []
    printer.line((f"trioreply demo: {len(acts)} transfers, as their events tell them", Style.HEADING))
    printer.line(("The origin servers are inside this process.", Style.DIM))
    for number, act in enumerate(acts, start=1):
        printer.line()
        printer.line((f"{number}. {act.name}: ", Style.HEADING), (act.story, Style.PLAIN))
        async with open_origin({act.path: act.serve}, tls=act.tls) as origin:
            verdict = await _play(act, origin.url(act.path), printer, seconds=seconds)
        _print(verdict, printer)
        verdicts.append(verdict)
    printer.line()
    printer.line(("Did everything go as promised?", Style.HEADING))
    for verdict in verdicts:
        _print(verdict, printer)
    return all(verdict.is_ok for verdict in verdicts)


async def _play(act: Act, url: str, printer: Printer, *, seconds: float) -> Verdict:
    try:
        with trio.fail_after(seconds):
            return Verdict(act.name, True, await act.play(url, Timeline(printer)))
    except BrokenPromiseError as broken:
        why = str(broken)
    except ReplyError as error:
        why = f"{type(error).__name__}: {error}"
    except trio.TooSlowError:
        why = f"it was not over after {seconds:g} s"
    return Verdict(act.name, False, why)


def _print(verdict: Verdict, printer: Printer) -> None:
    mark = ("ok      ", Style.GOOD) if verdict.is_ok else ("FAILED  ", Style.BAD)
    printer.line(("  ", Style.PLAIN), mark, (f"{verdict.name:<14}", Style.HEADING), (verdict.words, Style.PLAIN))
