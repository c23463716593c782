"""libcurl's multi interface through pycurl, without any framework: this is what curl itself can do in Python."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pycurl

from ..job import Site
from . import Session, Take
from .on_callbacks import Loop, Outcome

__all__ = ["open_session", "run"]

_POLL_SECONDS = 1.0


class _Transfers:
    """A multi handle, and what its transfers are waited for with."""

    def __init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._outcomes: dict[pycurl.Curl, Outcome[str]] = {}
        self.loop = Loop(self._turn)

    async def perform(self, handle: pycurl.Curl) -> None:
        """Carry out the transfer that ``handle`` describes.

        Raises:
            RuntimeError: it failed.
        """
        outcome = Outcome[str](self.loop)
        self._outcomes[handle] = outcome
        self._multi.add_handle(handle)
        self._multi.perform()
        if trouble := await outcome:
            raise RuntimeError(trouble)

    def _turn(self) -> None:
        self._multi.perform()
        _, succeeded, failed = self._multi.info_read()
        for handle in succeeded:
            self._end(handle, "")
        for handle, _, message in failed:
            self._end(handle, message or "curl failed without a word")
        if not (succeeded or failed):
            self._multi.select(_POLL_SECONDS)

    def _end(self, handle: pycurl.Curl, trouble: str) -> None:
        self._multi.remove_handle(handle)
        self._outcomes.pop(handle).give(trouble)


_transfers = _Transfers()
run = _transfers.loop.run


class _Pycurl(Session):
    """Handles that are used again and again; the connections are the multi handle's."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._free: list[pycurl.Curl] = []

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await _transfers.loop.all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        pieces: list[bytes] = []
        await self.download(path, pieces.append)
        return b"".join(pieces)

    async def download(self, path: str, take: Take) -> None:
        """See `Session.download`."""
        handle = self._free.pop() if self._free else self._handle()
        handle.setopt(pycurl.URL, f"{self._site.base}/{path}")
        handle.setopt(pycurl.WRITEFUNCTION, take)
        await _transfers.perform(handle)
        self._free.append(handle)

    def _handle(self) -> pycurl.Curl:
        handle = pycurl.Curl()
        handle.setopt(pycurl.FAILONERROR, 1)
        handle.setopt(pycurl.NOPROXY, "*")
        if self._site.ca_file is not None:
            handle.setopt(pycurl.CAINFO, self._site.ca_file)
        return handle


@asynccontextmanager
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`. ``connections`` needs no looking after: no more tasks than these come."""
    del connections
    yield _Pycurl(site)
