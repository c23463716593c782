"""aiohttp on asyncio's own event loop. Its defaults, but for the number of connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

from . import Session, Take

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """See `ClientModule.run`."""

    async def coroutine() -> T:
        return await main()

    return asyncio.run(coroutine())


class _Aiohttp:
    """One client session."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._small_url = f"{base}/small"
        self._large_url = f"{base}/large"

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""

        async def coroutine(task: Callable[[], Awaitable[None]]) -> None:
            await task()

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(coroutine(task))

    async def small(self) -> bytes:
        """See `Session.small`."""
        async with self._session.get(self._small_url) as response:
            response.raise_for_status()
            return await response.read()

    async def large(self, take: Take) -> None:
        """See `Session.large`."""
        async with self._session.get(self._large_url) as response:
            response.raise_for_status()
            async for piece in response.content.iter_any():
                take(piece)


@asynccontextmanager
async def open_session(_variant: str, *, port: int, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield _Aiohttp(session, f"http://127.0.0.1:{port}")
