"""What a request costs the pool's bookkeeping: the same, however many others wait."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import ClassVar

import pytest
from attrs import define

from trioreply._model.limits import Limits
from trioreply._model.options import Priority
from trioreply._net.slots import Slots


@define(frozen=True, eq=False)
class CountingKey:
    """A key that counts how often it is looked at."""

    number: int
    looks: ClassVar[list[int]] = []

    def __hash__(self) -> int:
        self.looks.append(self.number)
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        self.looks.append(self.number)
        return isinstance(other, CountingKey) and other.number == self.number


@define(frozen=True)
class Work:
    """What something costs."""

    looks_at_keys: int
    calls: int
    bytes: int


def work(act: Callable[[], None]) -> Work:
    """How often ``act`` looks at keys, how many calls it makes, and how much memory it takes at most."""
    calls: list[str] = []

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        calls.append(event)

    CountingKey.looks.clear()
    tracemalloc.start()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return Work(len(CountingKey.looks), len(calls), peak)


def work_with(waiting: int, origins: int) -> Work:
    """The work of a whole request and of an abandoned one, while ``waiting`` others wait for ``origins`` origins."""
    slots: Slots[CountingKey, str] = Slots(Limits(total=2), is_dead="dead".__eq__, close=id)
    users = [slots.ask(CountingKey(number), Priority.NORMAL) for number in range(2)]
    queue = [slots.ask(CountingKey(number % origins), Priority.NORMAL) for number in range(waiting)]

    def act() -> None:
        asked = slots.ask(CountingKey(origins), Priority.LOW)
        slots.attach(users[0], "alive")
        slots.give_back(users[0], 0, reusable=True)
        slots.abandon(queue[waiting // 2])
        slots.abandon(asked)
        slots.abandon(users[1])

    return work(act)


@pytest.mark.parametrize("origins_too", [False, True])
def test_work_per_request_does_not_grow(origins_too: bool) -> None:
    """A request costs the same with 10 and with 10,000 others waiting, for two origins or for one each."""
    few = work_with(10, 10 if origins_too else 2)
    many = work_with(10_000, 10_000 if origins_too else 2)
    assert few.looks_at_keys > 0
    assert abs(many.looks_at_keys - few.looks_at_keys) <= 2
    assert abs(many.calls - few.calls) <= 10
    assert many.bytes - few.bytes < 10_000, "something was copied that grows with who waits"
