"""What a run has left behind: tasks and file descriptors, compared before and after.

Tasks are found by walking Trio's own tree from the root, so one in a nursery nobody thought of is found too.
Descriptors are told apart by what they are (device and inode), because a number is soon used again.
"""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Iterator
from typing import Self

import trio
from attrs import frozen

_GRACE = 1.0  # seconds of the real world that a worker thread may take to close the file it owns
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

    async def assert_nothing_new(self) -> None:
        """Compare with the present.

        A descriptor is given a second of real time to go: a thread that could not be interrupted closes its own file.

        Raises:
            AssertionError: there is a task or a descriptor that was not there.
        """
        left = [task for task in running_tasks() if task not in self.tasks]
        if left:
            raise AssertionError("tasks were left running: " + ", ".join(_describe_task(task) for task in left))
        if self.descriptors is None:
            return
        waited = 0.0
        while (new := _new_descriptors(self.descriptors)) and waited < _GRACE:
            # In a thread, so that this is real time whatever clock Trio runs on.
            await trio.to_thread.run_sync(threading.Event().wait, _GRACE_STEP)
            waited += _GRACE_STEP
        if new:
            raise AssertionError("file descriptors were left open: " + ", ".join(map(_describe_descriptor, new)))


def running_tasks() -> Iterator[trio.lowlevel.Task]:
    """Every task of this run of Trio, its own system tasks included."""
    root = trio.lowlevel.current_root_task()
    waiting = [root] if root is not None else []
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


def open_descriptors() -> Descriptors:
    """The open file descriptors and what each one is; empty where the system does not list them."""
    found: Descriptors = {}
    for directory in ("/proc/self/fd", "/dev/fd"):
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


def _new_descriptors(before: Descriptors) -> list[int]:
    return [number for number, what in open_descriptors().items() if before.get(number) != what]


def _describe_descriptor(number: int) -> str:
    try:
        return f"{number} ({pathlib.Path(f'/proc/self/fd/{number}').readlink()})"
    except OSError:
        return str(number)


def _describe_task(task: trio.lowlevel.Task) -> str:
    places = [f"{frame.f_code.co_filename}:{line}" for frame, line in task.iter_await_frames()]
    return f"{task.name} (waiting at {places[-1]})" if places else task.name
