"""trioreply, in each of its ways. Its defaults, but for the number of connections, and whom to trust."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trioreply

from ..job import Site
from . import Session, Take
from .on_trio import all_of, run

__all__ = ["open_session", "run"]


class _Ours:
    """One manager."""

    def __init__(self, manager: trioreply.Manager, base: str) -> None:
        self._manager = manager
        self._small_url = f"{base}/small"
        self._large_url = f"{base}/large"

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def large(self, take: Take) -> None:
        """See `Session.large`."""
        raise NotImplementedError("this way is not for large files")

    async def small(self) -> bytes:
        """See `Session.small`. The plain way, which also warms up for large files."""
        return (await self._manager.fetch(self._small_url)).body


class _Get(_Ours):
    """``async with manager.get`` and one read."""

    async def small(self) -> bytes:
        async with self._manager.get(self._small_url) as reply:
            body = await reply.read_all()
            reply.raise_for_error()
        return body


class _Events(_Ours):
    """The events, and ``read`` whenever there is something."""

    async def small(self) -> bytes:
        pieces: list[bytes] = []
        await self._follow(self._small_url, pieces.append)
        return b"".join(pieces)

    async def large(self, take: Take) -> None:
        await self._follow(self._large_url, take)

    async def _follow(self, url: str, take: Take) -> None:
        async with self._manager.get(url) as reply:
            async for event in reply:
                match event:
                    case trioreply.ReadyRead():
                        take(reply.read())
                    case _:
                        pass
            reply.raise_for_error()


class _Chunks(_Ours):
    """``async for`` over ``chunks()``."""

    async def large(self, take: Take) -> None:
        async with self._manager.get(self._large_url) as reply:
            async for piece in reply.chunks():
                take(piece)
            reply.raise_for_error()


class _Stream(_Ours):
    """``async for`` over ``stream``."""

    async def large(self, take: Take) -> None:
        async with self._manager.get(self._large_url) as reply:
            async for piece in reply.stream:
                take(bytes(piece))
            reply.raise_for_error()


class _Anew(_Ours):
    """A connection for each request; whether it resumes a session is configured."""

    async def small(self) -> bytes:
        body = await super().small()
        self._manager.clear_connections()
        return body


_WAYS = {
    "fetch": _Ours,
    "get": _Get,
    "events": _Events,
    "chunks": _Chunks,
    "stream": _Stream,
    "resumed": _Anew,
    "not resumed": _Anew,
}


@asynccontextmanager
async def open_session(variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    limits = trioreply.Limits(per_host=connections, total=connections, max_idle=connections)
    trusts = trioreply.SslConfiguration(
        ca_certificates=() if site.ca_file is None else Path(site.ca_file),
        use_system_ca=False,
        session_reuse=variant != "not resumed",
    )
    async with trioreply.open_manager(limits=limits, ssl=trusts) as manager:
        yield _WAYS[variant](manager, site.base)
