"""Where the work of one request goes: instructions of the interpreter and calls, by parts of the library.

``python tests/benchmarks/run.py profile [fetch|get|events] [--h11] [--functions]`` prints a table, as the documentation
has it. The network is the one of `counting`, so the numbers are the same every time. Needs Python 3.12.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from types import CodeType

import trio
from attrs import field, frozen
from trio.testing import MockClock

from .clients import CLIENTS, Session
from .counting import open_counted

ROUNDS = 100
WARM_UP = 50
_TOOL_ID = 3
"""One of those that `sys.monitoring` leaves to anybody."""

PARTS = {
    "trio/": "Trio",
    "outcome/": "Trio",
    "contextlib.py": "Trio",
    "collections/__init__.py": "Trio",
    "trioreply/_reply/": "the reply: state, events, buffer, cancel scope",
    "trioreply/_policies/": "the policies",
    "trioreply/_schemes/": "from the request to a connection, the head's fields",
    "trioreply/_net/": "pool and connection",
    "trioreply/_wire/": "the codec: rules, framing",
    "h11/": "h11",
    "trioreply/_model/": "the values: request, header fields, messages, URL",
    "trioreply/_manager.py": "the manager",
}
"""Parts by what their files' paths have in them; the first that fits counts."""
_GENERATED = "<attrs generated methods "
_OTHER = "the rest"


@frozen
class Profile:
    """What was counted, for `ROUNDS` requests."""

    instructions: Counter[CodeType] = field(factory=Counter)
    calls: Counter[CodeType] = field(factory=Counter)

    def by_part(self) -> list[tuple[str, float, float]]:
        """Part, instructions and calls of one request; the largest first."""
        return self._grouped({code: part_of(code) for code in self.instructions})

    def by_function(self) -> list[tuple[str, float, float]]:
        """The same for each function."""
        return self._grouped({code: f"{_file(code)} {code.co_qualname}" for code in self.instructions})

    def _grouped(self, names: dict[CodeType, str]) -> list[tuple[str, float, float]]:
        instructions, calls = Counter[str](), Counter[str]()
        for code, name in names.items():
            instructions[name] += self.instructions[code]
            calls[name] += self.calls[code]
        return [(name, count / ROUNDS, calls[name] / ROUNDS) for name, count in instructions.most_common()]


def _file(code: CodeType) -> str:
    path = code.co_filename
    if path.startswith(_GENERATED):  # by attrs, for a class whose module is named there
        return path.removeprefix(_GENERATED).rstrip(">").rpartition(".")[0].replace(".", "/") + ".py"
    return path


def part_of(code: CodeType) -> str:
    """The part of the library, or the other library, that ``code`` belongs to."""
    path = _file(code)
    return next((part for piece, part in PARTS.items() if piece in path), _OTHER)


def profile(client: str) -> Profile:
    """Count what one request of ``client`` does, a row of ours."""
    found = Profile()

    def executed(code: CodeType, _offset: int) -> None:
        found.instructions[code] += 1

    def started(code: CodeType, _offset: int) -> None:
        found.calls[code] += 1

    async def main() -> None:
        async with open_counted(CLIENTS[client].variant) as session:
            await _requests(session, WARM_UP)
            monitoring = sys.monitoring
            events = monitoring.events
            monitoring.use_tool_id(_TOOL_ID, "profile")
            monitoring.register_callback(_TOOL_ID, events.INSTRUCTION, executed)
            monitoring.register_callback(_TOOL_ID, events.PY_START, started)
            monitoring.set_events(_TOOL_ID, events.INSTRUCTION | events.PY_START)
            try:
                await _requests(session, ROUNDS)
            finally:
                monitoring.set_events(_TOOL_ID, 0)
                monitoring.free_tool_id(_TOOL_ID)

    random.seed(1)  # Trio draws the order in which tasks get their turn
    trio.run(main, clock=MockClock())
    return found


async def _requests(session: Session, count: int) -> None:
    for _ in range(count):
        await session.get("small")


def lines(rows: Sequence[tuple[str, float, float]]) -> Iterator[str]:
    """``rows`` as a table of the documentation."""
    total = sum(row[1] for row in rows)
    yield from (".. list-table::", "   :header-rows: 1", "", "   * - part", "     - bytecodes", "     - share")
    yield "     - calls"
    for name, instructions, calls in [*rows, ("all", total, sum(row[2] for row in rows))]:
        cells = (name, f"{instructions:,.0f}", f"{instructions / total:.0%}", f"{calls:,.0f}")
        yield from (f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(cells))


def main(arguments: Sequence[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="run.py profile", description="Where the work of one request goes.")
    parser.add_argument("variant", nargs="?", default="fetch", choices=["fetch", "get", "events"])
    parser.add_argument("--h11", action="store_true", help="read with h11")
    parser.add_argument("--functions", action="store_true", help="function by function")
    options = parser.parse_args(arguments)
    if options.h11:
        sys.modules["httptools"] = None  # type: ignore[assignment]  # how Python is told that it cannot be imported
    found = profile(f"trioreply {options.variant}")
    print("\n".join(lines(found.by_function() if options.functions else found.by_part())))


if __name__ == "__main__":
    main(sys.argv[2:])
