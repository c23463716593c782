"""pyreqwest, which is reqwest in Rust, on asyncio's own event loop. Its defaults, but for the number of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pyreqwest.client import Client, ClientBuilder

from ..job import Site
from . import Session, Take
from .on_asyncio import all_of, run

__all__ = ["open_session", "run"]

_READ_SIZE = 64 * 1024


class _Pyreqwest(Session):
    """One client."""

    def __init__(self, client: Client, base: str) -> None:
        self._client = client
        self._base = base

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        response = await self._client.get(f"{self._base}/{path}").build().send()
        return bytes(await response.bytes())

    async def download(self, path: str, take: Take) -> None:
        """See `Session.download`."""
        async with self._client.get(f"{self._base}/{path}").build_streamed() as response:
            while piece := await response.body_reader.read(_READ_SIZE):
                take(bytes(piece))


@asynccontextmanager
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    builder = ClientBuilder().no_proxy().http1_only().error_for_status().max_connections(connections)
    if site.ca_file is not None:
        builder = builder.add_root_certificate_pem(Path(site.ca_file).read_bytes())  # noqa: ASYNC240 - it is small
    async with builder.build() as client:
        yield _Pyreqwest(client, site.base)
