"""httpx2 on Trio. Its defaults, but for the number of connections; and the environment does not count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2

from . import Session, Take
from .on_trio import all_of, run

__all__ = ["open_session", "run"]


class _Httpx2:
    """One client."""

    def __init__(self, client: httpx2.AsyncClient, base: str) -> None:
        self._client = client
        self._small_url = f"{base}/small"
        self._large_url = f"{base}/large"

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def small(self) -> bytes:
        """See `Session.small`."""
        response = await self._client.get(self._small_url)
        response.raise_for_status()
        return response.content

    async def large(self, take: Take) -> None:
        """See `Session.large`."""
        async with self._client.stream("GET", self._large_url) as response:
            response.raise_for_status()
            async for piece in response.aiter_bytes():
                take(piece)


@asynccontextmanager
async def open_session(_variant: str, *, port: int, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as client:
        yield _Httpx2(client, f"http://127.0.0.1:{port}")
