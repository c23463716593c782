"""Tasks that wait until something is so: each is woken when its own condition holds, and not before.

A parking lot would wake everybody at each change, and most would park again; a turn of the scheduler costs more than
all we do for a message.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class Waiters(dict[trio.lowlevel.Task, Callable[[], bool]]):
    """Waiting tasks, each with its condition. A mapping, so that asking whether there are any costs next to nothing."""

    __slots__ = ()

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Block the calling task until `wake` finds ``condition()`` true, even if it is true already."""
        task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self[task]
            return trio.lowlevel.Abort.SUCCEEDED

        self[task] = condition
        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        """Something has changed: let those go on whose condition holds now."""
        for task, condition in list(self.items()):
            if condition():
                del self[task]
                trio.lowlevel.reschedule(task)
