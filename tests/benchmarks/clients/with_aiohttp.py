"""aiohttp on asyncio's own event loop. Its defaults, but for the number of connections."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from ..job import Site
from . import Session, Take
from .on_asyncio import all_of, run

__all__ = ["open_session", "run"]


class _Aiohttp:
    """One client session."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._small_url = f"{base}/small"
        self._large_url = f"{base}/large"

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

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
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    trusts = True if site.ca_file is None else ssl.create_default_context(cafile=site.ca_file)
    connector = aiohttp.TCPConnector(limit=connections, ssl=trusts)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield _Aiohttp(session, site.base)
