"""httpx2 on Trio. Its defaults, but for the number of connections; and the environment does not count."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2

from ..job import Site
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
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    trusts = True if site.ca_file is None else ssl.create_default_context(cafile=site.ca_file)
    async with httpx2.AsyncClient(limits=limits, trust_env=False, verify=trusts) as client:
        yield _Httpx2(client, site.base)
