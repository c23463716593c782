"""The reply's state table as text and as a picture, made from the table itself so that they cannot lie.

This knows nothing of Sphinx: it turns ``TABLE`` into lines of reStructuredText and into SVG. `state_directives` puts
both into pages, and a test compares them with the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from trioreply._reply.state import TABLE, Emit, Input, State


class Move(NamedTuple):
    """Moves that differ in nothing but what caused them."""

    state: State
    inputs: tuple[Input, ...]
    after: State
    emits: tuple[Emit, ...]


def moves() -> list[Move]:
    """All moves of the table, grouped, in its order."""
    causes: dict[tuple[State, State, tuple[Emit, ...]], list[Input]] = {}
    for (state, happening), (after, emits) in TABLE.items():
        causes.setdefault((state, after, emits), []).append(happening)
    return [Move(state, tuple(inputs), after, emits) for (state, after, emits), inputs in causes.items()]


def table_lines() -> Iterator[str]:
    """The table as a ``list-table``."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 12 46 12 30", "")
    yield from _row("State", "What happens", "Next", "Events")
    for move in moves():
        causes = _causes(move.inputs)
        events = "; ".join(emit.value for emit in move.emits) or "none"
        yield from _row(move.state.name, causes, move.after.name, events)


def _causes(inputs: tuple[Input, ...]) -> str:
    others = [happening for happening in Input if happening not in inputs]
    named, start = (others, "anything but: ") if len(others) == 1 else (inputs, "")
    return start + "; ".join(happening.value for happening in named)


def _row(*cells: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield f"   {'* -' if number == 0 else '  -'} {cell}"


_PLACES = {
    State.PENDING: (110, 45),
    State.RECEIVING: (420, 45),
    State.FINISHED: (640, 165),
    State.DETACHED: (110, 285),
    State.STOPPED: (420, 285),
}
"""Where the states stand; arrows come from the table."""

_WIDTH, _HEIGHT = 120, 36
_APART = 9
"""How far the arrows of two opposite moves are from the line between their states."""

_STYLE = (
    ".states rect{fill:none;stroke:currentColor}"
    ".states line{stroke:currentColor}"
    ".states text{fill:currentColor;font:14px sans-serif;text-anchor:middle;dominant-baseline:middle}"
    ".states .cause{font-size:12px;paint-order:stroke;stroke:var(--color-background-primary,white);stroke-width:5px}"
)


def arrows() -> dict[tuple[State, State], list[Input]]:
    """What leads from one state to another one."""
    causes: dict[tuple[State, State], list[Input]] = {}
    for (state, happening), (after, _) in TABLE.items():
        if after is not state:
            causes.setdefault((state, after), []).append(happening)
    return causes


def picture() -> str:
    """The states and the moves between them, as SVG."""
    parts = [
        '<svg class="states" viewBox="0 0 730 330" role="img" aria-label="the states of a reply">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" orient="auto">',
        '<path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker></defs>',
    ]
    for state, (x, y) in _PLACES.items():
        corner = f'x="{x - _WIDTH / 2:g}" y="{y - _HEIGHT / 2:g}"'
        parts.append(f'<rect {corner} width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>')
        parts.append(f'<text x="{x}" y="{y}">{state.name}</text>')
    labels = []
    for (state, after), causes in arrows().items():
        apart = _APART if (after, state) in arrows() else 0
        text = ", ".join(cause.name for cause in causes)
        line, label = _arrow(_PLACES[state], _PLACES[after], text, apart=apart)
        parts.append(line)
        labels.append(label)
    return "\n".join([*parts, *labels, "</svg>"])  # texts last, so that no line crosses them


def _arrow(start: tuple[int, int], end: tuple[int, int], text: str, *, apart: float) -> tuple[str, str]:
    across, down = end[0] - start[0], end[1] - start[1]
    length = math.hypot(across, down)
    aside = (-down / length * apart, across / length * apart)
    # From edge to edge of the two boxes: how much of the way lies inside one.
    inside = min(_WIDTH / 2 / abs(across or 0.001), (_HEIGHT / 2 + 2) / abs(down or 0.001))
    first = [start[i] + (across, down)[i] * inside + aside[i] for i in (0, 1)]
    last = [end[i] - (across, down)[i] * inside + aside[i] for i in (0, 1)]
    # Not in the middle, where two arrows cross.
    middle = [first[i] + (last[i] - first[i]) * 0.36 for i in (0, 1)]
    line = '<line x1="{:.0f}" y1="{:.0f}" x2="{:.0f}" y2="{:.0f}" marker-end="url(#tip)"/>'.format(*first, *last)
    return line, '<text class="cause" x="{:.0f}" y="{:.0f}">{}</text>'.format(*middle, text)
