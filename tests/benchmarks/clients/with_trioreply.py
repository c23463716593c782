"""trioreply, in each of its ways. Its defaults, but for the number of connections, whom to trust, and the proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trioreply

from ..job import Site
from . import Session, Take
from .on_trio import all_of, run

__all__ = ["open_session", "run", "session_of"]


class _Fetch(Session):
    """``await manager.fetch``."""

    def __init__(self, manager: trioreply.Manager, base: str) -> None:
        self._manager = manager
        self._base = base

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        return (await self._manager.fetch(f"{self._base}/{path}")).body


class _Get(_Fetch):
    """``async with`` a reply of the manager's, and one read."""

    async def get(self, path: str) -> bytes:
        async with self._manager.get(f"{self._base}/{path}") as reply:
            body = await reply.read_all()
            reply.raise_for_error()
        return body

    async def upload(self, path: str, file: Path) -> bytes:
        """See `Session.upload`."""
        async with self._manager.put(f"{self._base}/{path}", file) as reply:
            body = await reply.read_all()
            reply.raise_for_error()
        return body

    async def upload_json(self, path: str, value: list[str]) -> bytes:
        """See `Session.upload_json`."""
        async with self._manager.post(f"{self._base}/{path}", json=value) as reply:
            body = await reply.read_all()
            reply.raise_for_error()
        return body

    async def hold(self, path: str, opened: Callable[[], None]) -> bytes:
        """See `Session.hold`."""
        async with self._manager.get(f"{self._base}/{path}") as reply:
            await reply.wait_metadata()
            opened()
            body = await reply.read_all()
            reply.raise_for_error()
        return body


class _Events(_Fetch):
    """The events, and ``read`` whenever there is something."""

    async def get(self, path: str) -> bytes:
        pieces: list[bytes] = []
        await self.download(path, pieces.append)
        return b"".join(pieces)

    async def download(self, path: str, take: Take) -> None:
        async with self._manager.get(f"{self._base}/{path}") as reply:
            async for event in reply:
                match event:
                    case trioreply.ReadyRead():
                        take(reply.read())
                    case _:
                        pass
            reply.raise_for_error()


class _Chunks(_Fetch):
    """``async for`` over ``chunks()``."""

    async def download(self, path: str, take: Take) -> None:
        async with self._manager.get(f"{self._base}/{path}") as reply:
            async for piece in reply.chunks():
                take(piece)
            reply.raise_for_error()


class _Stream(_Fetch):
    """``async for`` over ``stream``."""

    async def download(self, path: str, take: Take) -> None:
        async with self._manager.get(f"{self._base}/{path}") as reply:
            async for piece in reply.stream:
                take(bytes(piece))
            reply.raise_for_error()


class _Anew(_Fetch):
    """A connection for each request; whether it resumes a session is configured."""

    async def get(self, path: str) -> bytes:
        body = await super().get(path)
        self._manager.clear_connections()
        return body


_WAYS = {
    "fetch": _Fetch,
    "get": _Get,
    "events": _Events,
    "chunks": _Chunks,
    "stream": _Stream,
    "resumed": _Anew,
    "not resumed": _Anew,
}


def session_of(variant: str, manager: trioreply.Manager, base: str) -> Session:
    """A session that uses ``manager`` in one of its ways."""
    return _WAYS[variant](manager, base)


@asynccontextmanager
async def open_session(variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`."""
    limits = trioreply.Limits(per_host=connections, total=connections, max_idle=connections)
    trusts = trioreply.SslConfiguration(
        ca_certificates=() if site.ca_file is None else Path(site.ca_file),
        use_system_ca=False,
        session_reuse=variant != "not resumed",
    )
    async with trioreply.open_manager(limits=limits, ssl=trusts, trust_env=False, proxy=site.proxy) as manager:
        yield session_of(variant, manager, site.base)
