"""A new secure connection for each request, with nothing but ``asyncio.open_connection``.

asyncio cannot be told which session to resume. But it asks the context for each connection's TLS, so a context that
knows the session does what is needed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from ..job import Site
from . import Session
from .on_asyncio import all_of, run

__all__ = ["open_session", "run"]


class _Resuming(ssl.SSLContext):
    """A context whose connections resume `session`, if there is one."""

    session: ssl.SSLSession | None = None

    def wrap_bio(  # noqa: PLR0917 - the base class's
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As that of the base class."""
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self.session)


class _Connections(Session):
    """One connection after the other."""

    def __init__(self, site: Site, *, resumes: bool) -> None:
        self._site = site
        self._context = _Resuming(ssl.PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(site.ca_file)
        self._resumes = resumes

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._site.port, ssl=self._context)
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{self._site.port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"not the answer that was expected: {head[:40]!r}")
        _, _, length = head.partition(b"Content-Length: ")
        body = await reader.readexactly(int(length[: length.index(b"\r\n")]))
        if self._resumes:
            self._context.session = cast("ssl.SSLObject", writer.get_extra_info("ssl_object")).session
        writer.close()
        return body


@asynccontextmanager
async def open_session(variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`. There is never more than one connection."""
    del connections
    yield _Connections(site, resumes=variant == "resumed")
