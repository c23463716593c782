"""What the clients on asyncio's own event loop have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """See `ClientModule.run`."""

    async def coroutine() -> T:
        return await main()

    return asyncio.run(coroutine())


async def all_of(tasks: list[Callable[[], Awaitable[None]]]) -> None:
    """See `Session.all_of`."""

    async def coroutine(task: Callable[[], Awaitable[None]]) -> None:
        await task()

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(coroutine(task))
