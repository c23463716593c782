"""An origin that serves ranges of one file, well or badly, and breaks off where it is told to."""

from __future__ import annotations

import re
import resource
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio
from attrs import define, field

from trioreply import Manager
from trioreply._jobs.download_file import NOTES_SUFFIX, SUFFIX
from trioreply._jobs.opener import DOWNLOAD_RETRY, DownloadEnvironment
from trioreply._model.running import RunSync
from trioreply.testing import OriginRequest, OriginResponse, run_sync_inline

from ..journeys.conftest import Place

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CONTENT = bytes(value * value % 251 for value in range(20_000))
_PIECE = 1000
HELD_AFTER = 7000
_RANGE = re.compile("bytes=([0-9]+)-")


@define
class RangeOrigin:
    """A handler for a test origin: one file, which it serves by RFC 9110 unless it is told otherwise."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    headers: Mapping[str, str] = field(factory=dict)
    """Further fields of each response that brings the file, or a part of it."""
    cuts: list[int] = field(factory=list)
    """After how many bytes of its body each response breaks off, one after the other; then they are whole."""
    ignores_ranges: bool = False
    ignores_conditions: bool = False
    content_range: str | None = None
    """The Content-Range of partial responses, if it is to be a lie."""
    longest: int | None = None
    """How many bytes a partial response brings at most."""
    trailers: Mapping[str, str] = field(factory=dict)
    hold: trio.Event | None = None
    """Waited for after the first `HELD_AFTER` bytes of each body."""
    asked: list[tuple[str | None, str | None]] = field(factory=list)
    """Range and If-Range of all requests so far."""

    async def __call__(self, request: OriginRequest) -> OriginResponse:
        """Answer a request."""
        asked_range, condition = request.header("Range"), request.header("If-Range")
        self.asked.append((asked_range, condition))
        start = self._start(asked_range, condition)
        if start is None:
            return self._respond(request, 200, range(len(self.content)))
        if start >= len(self.content):
            return OriginResponse(416, [("Content-Range", f"bytes */{len(self.content)}"), *self._fields().items()])
        end = len(self.content) if self.longest is None else min(len(self.content), start + self.longest)
        return self._respond(request, 206, range(start, end))

    def _start(self, asked: str | None, condition: str | None) -> int | None:
        match = None if asked is None else _RANGE.fullmatch(asked)
        known = (self.etag, self.headers.get("Last-Modified"))
        if match is None or self.ignores_ranges or (condition not in known and not self.ignores_conditions):
            return None
        return int(match[1])

    def _fields(self) -> dict[str, str]:
        return {**({} if self.etag is None else {"ETag": self.etag}), **self.headers}

    def _respond(self, request: OriginRequest, status: int, part: range) -> OriginResponse:
        fields = self._fields()
        if status == 206:
            honest = f"bytes {part.start}-{part.stop - 1}/{len(self.content)}"
            fields["Content-Range"] = self.content_range or honest
        if not self.trailers:
            fields.setdefault("Content-Length", str(len(part)))
        cut = self.cuts.pop(0) if self.cuts else None
        body = self._body(request, self.content[part.start : part.stop], cut)
        return OriginResponse(status, fields.items(), body, trailers=self.trailers.items())

    async def _body(self, request: OriginRequest, content: bytes, cut: int | None) -> AsyncIterator[bytes]:
        for start in range(0, len(content) if cut is None else cut, _PIECE):
            yield content[start : start + _PIECE][: None if cut is None else cut - start]
            if start + _PIECE == HELD_AFTER and self.hold is not None:
                await self.hold.wait()
        if cut is not None:
            request.connection.truncate()
            raise trio.ClosedResourceError("broken off, as it was told")


def env_of(manager: Manager, where: Place, run_sync: RunSync | None = None) -> DownloadEnvironment:
    """What downloads need, with threads where there are some."""
    threads: RunSync = trio.to_thread.run_sync if where.network is None else run_sync_inline
    return DownloadEnvironment(manager, run_sync or threads, DOWNLOAD_RETRY)


def names_in(directory: Path) -> list[str]:
    """What lies in ``directory``."""
    return sorted(path.name for path in directory.iterdir())


def leave_part(directory: Path, name: str, octets: bytes, notes: bytes) -> None:
    """Put there what a killed download leaves."""
    (directory / f"{name}{SUFFIX}").write_bytes(octets)
    (directory / f"{name}{SUFFIX}{NOTES_SUFFIX}").write_bytes(notes)


def limited(size: int) -> RunSync:
    """Threads in which files cannot become larger than ``size`` bytes, as on a disk that is full."""

    async def run_limited(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            return await run_sync_inline(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return run_limited


def ranges(asked: Iterable[tuple[str | None, str | None]]) -> list[str | None]:
    """The Range fields of ``asked``."""
    return [one for one, _ in asked]
