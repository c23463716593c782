"""What the clients on Trio have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """See `ClientModule.run`."""
    return trio.run(main)


async def all_of(tasks: list[Callable[[], Awaitable[None]]]) -> None:
    """See `Session.all_of`."""
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
