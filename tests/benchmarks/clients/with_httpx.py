"""httpx and httpx2 on Trio, which have the same names for the same things.

Their defaults, but for the number of connections, and no limit on time; and the environment does not count.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from ..job import Site
from . import Session, Take
from .on_trio import all_of, run

if TYPE_CHECKING:
    import httpx2  # which of the two is imported is said at run time

__all__ = ["open_session", "run"]

_UPLOAD_STEP = 256 * 1024
"""What is read of a file at a time: an asynchronous client takes no file, so its users choose this."""


class _Httpx(Session):
    """One ``AsyncClient`` of either library."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        response = await self._client.get(f"/{path}")
        response.raise_for_status()
        return response.content

    async def download(self, path: str, take: Take) -> None:
        """See `Session.download`."""
        async with self._client.stream("GET", f"/{path}") as response:
            response.raise_for_status()
            async for piece in response.aiter_bytes():
                take(piece)

    async def upload(self, path: str, file: Path) -> bytes:
        """See `Session.upload`."""
        async with await trio.open_file(file, "rb") as opened:

            async def pieces() -> AsyncIterator[bytes]:
                while piece := await opened.read(_UPLOAD_STEP):
                    yield piece

            length = {"Content-Length": str(file.stat().st_size)}  # noqa: ASYNC240 - of a file that is in memory
            response = await self._client.put(f"/{path}", content=pieces(), headers=length)
        response.raise_for_status()
        return response.content

    async def upload_json(self, path: str, value: list[str]) -> bytes:
        """See `Session.upload_json`."""
        response = await self._client.post(f"/{path}", json=value)
        response.raise_for_status()
        return response.content

    async def hold(self, path: str, opened: Callable[[], None]) -> bytes:
        """See `Session.hold`."""
        async with self._client.stream("GET", f"/{path}") as response:
            response.raise_for_status()
            opened()
            return await response.aread()


@asynccontextmanager
async def open_session(variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    library = importlib.import_module(variant)
    limits = library.Limits(max_connections=connections, max_keepalive_connections=connections)
    trusts = True if site.ca_file is None else ssl.create_default_context(cafile=site.ca_file)
    async with library.AsyncClient(
        base_url=site.base, limits=limits, trust_env=False, verify=trusts, proxy=site.proxy, timeout=None
    ) as client:
        yield _Httpx(client)
