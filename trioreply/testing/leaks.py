"""What a run has left behind: tasks and file descriptors, compared before and after.

Tasks are found by walking Trio's own tree from the root, so one in a nursery nobody thought of is found too.
Descriptors are told apart by what they are (device and inode), because a number is soon used again.
"""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Iterable, Iterator
from typing import Self

import trio
from attrs import frozen

_QUICK_LOOKS = 20  # with only a checkpoint between them, before real time is waited for
_GRACE_STEP = 0.005

Descriptors = dict[int, tuple[int, int, int]]


@frozen
class Snapshot:
    """The tasks and descriptors of one moment."""

    tasks: frozenset[trio.lowlevel.Task]
    descriptors: Descriptors | None

    @classmethod
    def take(cls, *, descriptors: bool = True) -> Self:
        """The present moment; without ``descriptors`` they are neither looked at nor compared."""
        return cls(frozenset(running_tasks()), open_descriptors() if descriptors else None)

    async def assert_nothing_new(self, *, grace: float = 1.0) -> None:
        """Compare with the present.

        What is left is given ``grace`` seconds of real time to go: the server of a connection that was just closed has
        a step to do yet, and a thread that could not be interrupted closes its own file.

        Raises:
            AssertionError: there is a task or a descriptor that was not there.
        """
        looks, waited = 0, 0.0
        while (left := self._describe_new()) and waited < grace:
            looks += 1
            if looks < _QUICK_LOOKS:
                await trio.lowlevel.checkpoint()
                continue
            # In a thread, so that this is real time whatever clock Trio runs on.
            await trio.to_thread.run_sync(threading.Event().wait, _GRACE_STEP)
            waited += _GRACE_STEP
        if left:
            raise AssertionError(left)

    def _describe_new(self) -> str:
        """What there is that was not there, in words; nothing if there is nothing."""
        tasks = [_describe_task(task) for task in running_tasks() if task not in self.tasks]
        if tasks:
            return "tasks were left running: " + ", ".join(tasks)
        known = self.descriptors
        if known is None:
            return ""
        numbers = [number for number, what in open_descriptors().items() if known.get(number) != what]
        return "file descriptors were left open: " + ", ".join(map(describe_descriptor, numbers)) if numbers else ""


def running_tasks() -> Iterator[trio.lowlevel.Task]:
    """Every task of this run of Trio, its own system tasks included."""
    root = trio.lowlevel.current_root_task()
    waiting = [root] if root is not None else []
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


def open_descriptors(listings: Iterable[str] = ("/proc/self/fd", "/dev/fd")) -> Descriptors:
    """The open file descriptors and what each is; empty where the system has none of the ``listings`` of them."""
    found: Descriptors = {}
    for directory in listings:
        try:
            names = [path.name for path in pathlib.Path(directory).iterdir()]
        except OSError:
            continue
        for name in names:
            try:
                status = os.fstat(int(name))
            except OSError:
                continue  # the descriptor that listed the directory
            found[int(name)] = (status.st_mode, status.st_dev, status.st_ino)
        break
    return found


def describe_descriptor(number: int) -> str:
    """Its number, and what it leads to where the system says so."""
    try:
        return f"{number} ({pathlib.Path(f'/proc/self/fd/{number}').readlink()})"
    except OSError:
        return str(number)


def _describe_task(task: trio.lowlevel.Task) -> str:
    places = [f"{frame.f_code.co_filename}:{line}" for frame, line in task.iter_await_frames()]
    return f"{task.name} (waiting at {places[-1]})" if places else task.name
