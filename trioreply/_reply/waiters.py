"""Tasks that wait until something is so: each is woken when its own condition holds, and not before.

A parking lot would wake everybody at each change, and most would park again; a turn of the scheduler costs more than
all we do for a message.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class Waiters:
    """Waiting tasks, each with its condition."""

    __slots__ = ("_conditions",)

    def __init__(self) -> None:
        self._conditions: dict[trio.lowlevel.Task, Callable[[], bool]] = {}

    def __len__(self) -> int:
        return len(self._conditions)

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Block the calling task until `wake` finds ``condition()`` true, even if it is true already."""
        task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._conditions[task]
            return trio.lowlevel.Abort.SUCCEEDED

        self._conditions[task] = condition
        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        """Something has changed: let those go on whose condition holds now."""
        for task, condition in list(self._conditions.items()):
            if condition():
                del self._conditions[task]
                trio.lowlevel.reschedule(task)
