"""aiohttp on asyncio's own event loop. Its defaults, but for the number of connections, and no limit on time."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from ..job import Site
from . import Session, Take
from .on_asyncio import all_of, run

__all__ = ["open_session", "run"]


class _Aiohttp(Session):
    """One client session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        async with self._session.get(f"/{path}") as response:
            return await response.read()

    async def download(self, path: str, take: Take) -> None:
        """See `Session.download`."""
        async with self._session.get(f"/{path}") as response:
            async for piece in response.content.iter_any():
                take(piece)

    async def upload(self, path: str, file: Path) -> bytes:
        """See `Session.upload`."""
        with file.open("rb") as opened:  # noqa: ASYNC230 - as aiohttp's documentation does it
            async with self._session.put(f"/{path}", data=opened) as response:
                return await response.read()

    async def upload_json(self, path: str, value: list[str]) -> bytes:
        """See `Session.upload_json`."""
        async with self._session.post(f"/{path}", json=value) as response:
            return await response.read()

    async def hold(self, path: str, opened: Callable[[], None]) -> bytes:
        """See `Session.hold`."""
        async with self._session.get(f"/{path}") as response:
            opened()
            return await response.read()


@asynccontextmanager
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    trusts = True if site.ca_file is None else ssl.create_default_context(cafile=site.ca_file)
    connector = aiohttp.TCPConnector(limit=connections, ssl=trusts)
    async with aiohttp.ClientSession(
        site.base,
        connector=connector,
        raise_for_status=True,
        proxy=site.proxy,
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        yield _Aiohttp(session)
