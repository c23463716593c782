"""A manager that is watched: how every reply of it ended, and whether anything came after that."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Unpack

import trio
from attrs import Factory, define

import trioreply
from trioreply import Event, Finished, Manager, ManagerConfig, NetworkError, Reply

REST_SECONDS = 10.0
"""How long a manager may take to come to rest; draining and detached uploads are bounded by less."""


@define
class Endings:
    """What observers saw of all replies of a manager."""

    finished: Counter[Reply] = Factory(Counter)
    """How often each reply finished, those that never did included."""
    errors: Counter[NetworkError] = Factory(Counter)
    late: list[Event] = Factory(list)
    """Events that came after their reply had finished."""

    def take(self, reply: Reply, event: Event) -> None:
        """``event`` of ``reply``, as it came."""
        if self.finished[reply]:
            self.late.append(event)
        self.finished[reply] += isinstance(event, Finished)
        if isinstance(event, Finished):
            self.errors[event.error] += 1

    def check(self, *, at_least: int) -> None:
        """Every reply finished once, with nothing after it, and there were as many as expected.

        Raises:
            AssertionError: it is not so.
        """
        assert self.late == []
        assert {count for reply, count in self.finished.items()} == {1}
        assert len(self.finished) >= at_least


@contextlib.asynccontextmanager
async def watched_manager(**config: Unpack[ManagerConfig]) -> AsyncIterator[tuple[Manager, Endings]]:
    """A manager, and how its replies end. The endings are complete when the block is left."""
    endings = Endings()

    async def watch(task_status: trio.TaskStatus[None]) -> None:
        async with manager.observe() as events:
            task_status.started()
            async for reply, event in events:
                endings.take(reply, event)

    async with trio.open_nursery() as nursery:
        async with trioreply.open_manager(**config) as manager:
            await nursery.start(watch)
            yield manager, endings


async def until_at_rest(manager: Manager) -> None:
    """Wait until nothing runs, waits or is leased.

    Raises:
        trio.TooSlowError: something still does after `REST_SECONDS`.
    """
    with trio.fail_after(REST_SECONDS):
        while not is_at_rest(manager):
            await trio.lowlevel.checkpoint()


def is_at_rest(manager: Manager) -> bool:
    """Whether nothing runs, waits or is leased."""
    statistics = manager.statistics()
    return (statistics.leases, statistics.queued, statistics.replies_running) == (0, 0, 0)
