"""What one request costs in instructions: a number that a busy machine does not change.

The network is replaced by a stream that has the answer ready, and time stands still, so that every request does the
same: repeated runs differ by less than a hundredth, mostly by less than a thousandth. What is counted is everything
from the call to the result, Trio's share included, and without the sockets. There are two counts:

*bytecodes*
   Instructions of the interpreter, counted by `sys.monitoring` in Python code only. Needs Python 3.12.
*instructions*
   Instructions of the processor in user mode, those of C libraries too: see `simulation`, which makes a process of this
   work and looks on from outside.
"""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

import trio
from trio.testing import MockClock

from .clients import CLIENTS, Session
from .contents import SMALL
from .job import Job, Sample

BASE = "http://192.0.2.1"
"""Nobody's address, which needs no look-up."""
_ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx/1.22.1\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\n"
    b"Last-Modified: Sun, 22 Nov 2026 11:00:00 GMT\r\n"
    b"Connection: keep-alive\r\n"
    b'ETag: "6922f1a0-64"\r\n'
    b"Accept-Ranges: bytes\r\n"
    b"\r\n" % len(SMALL)
) + SMALL
"""As nginx says it."""

_TOOL_ID = 3
"""One of those that `sys.monitoring` leaves to anybody."""


class ReadyStream(trio.abc.Stream):
    """Answers every request with the small file. Implements `trioreply.abc.ByteStream`."""

    def __init__(self) -> None:
        self._is_asked = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:  # noqa: ARG002 - whatever it is
        """A request."""
        await trio.lowlevel.checkpoint()
        self._is_asked = True

    async def wait_send_all_might_not_block(self) -> None:
        """It never does."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002 - the answer is small
        """The answer, if there was a request; nothing else ever comes."""
        await trio.lowlevel.checkpoint()
        if not self._is_asked:
            await trio.sleep_forever()
        self._is_asked = False
        return _ANSWER

    async def aclose(self) -> None:
        """Nothing is open."""
        await trio.lowlevel.checkpoint()

    def receive_nowait(self) -> bytes | None:
        """Nothing lies ready."""
        return None

    def close_nowait(self, farewell: bytes = b"") -> None:
        """Nothing is open."""


class _ReadyDialer:
    """Connects with a `ReadyStream`. Implements `trioreply.abc.Dialer`."""

    async def dial(self, address: str, port: int) -> trio.abc.Stream:  # noqa: ARG002 - it leads nowhere
        """A new one."""
        await trio.lowlevel.checkpoint()
        return ReadyStream()


@asynccontextmanager
async def open_counted(variant: str) -> AsyncIterator[Session]:
    """A session of ours whose requests all go the same way."""
    import trioreply  # the worker says before which parser may be imported

    from .clients.with_trioreply import session_of  # as above

    async with trioreply.open_manager(dialer=_ReadyDialer(), trust_env=False) as manager:
        yield session_of(variant, manager, BASE)


async def _requests(session: Session, count: int) -> None:
    for _ in range(count):
        if await session.get("small") != SMALL:
            raise RuntimeError("expected the small file, got something else")


def can_count_bytecodes() -> bool:
    """Whether this Python tells of each instruction."""
    return sys.version_info >= (3, 12)


class _Monitor:
    """Counts the instructions of the interpreter while its block runs."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        events = sys.monitoring.events.INSTRUCTION
        sys.monitoring.use_tool_id(_TOOL_ID, "benchmark")
        sys.monitoring.register_callback(_TOOL_ID, events, self._seen)
        sys.monitoring.set_events(_TOOL_ID, events)
        return self

    def __exit__(self, *_: object) -> None:
        sys.monitoring.set_events(_TOOL_ID, 0)
        sys.monitoring.free_tool_id(_TOOL_ID)

    def _seen(self, _code: object, _offset: int) -> None:
        self.count += 1


def count_bytecodes(job: Job) -> Sample:
    """Carry out ``job``, counting what the interpreter does; without a count if this Python cannot count."""
    monitor = _Monitor()

    async def main() -> None:
        async with open_counted(CLIENTS[job.client].variant) as session:
            await _requests(session, job.warm_up)
            if can_count_bytecodes():
                with monitor:
                    await _requests(session, job.count)

    _run(main)
    bytecodes = monitor.count / job.count if can_count_bytecodes() else None
    return Sample(seconds=0.0, cpu_seconds=0.0, count=job.count, bytecodes=bytecodes)


def make_requests(job: Job) -> None:
    """Carry out ``job`` without looking: valgrind does."""

    async def main() -> None:
        async with open_counted(CLIENTS[job.client].variant) as session:
            await _requests(session, job.count)

    _run(main)


def _run(main: Callable[[], Awaitable[None]]) -> None:
    random.seed(1)  # Trio draws the order in which tasks get their turn
    trio.run(main, clock=MockClock())
