"""Where servers run: a nursery that makes ordinary disconnects silent, and a server's mistake loud, without groups.

A client that goes away is no failure of the server, so `trio.BrokenResourceError` and `trio.ClosedResourceError` end a
connection's task quietly. Anything else that a server raises is a mistake in the test: it is kept until the block
ends and is raised there as itself. An exception of the block leaves as itself too; the nursery would have wrapped it.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import trio

S = TypeVar("S", bound=trio.abc.Stream)

StreamHandler = Callable[[S], Awaitable[object]]
"""Serves one connection; the stream is closed when it returns."""


class Background:
    """Runs connection handlers; made by `open_background`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.failures: list[Exception] = []

    def start(self, serve: StreamHandler[S], stream: S) -> None:
        """Serve ``stream`` in a task of its own."""
        self.nursery.start_soon(self.run, serve, stream)

    async def run(self, serve: StreamHandler[S], stream: S) -> None:
        """Serve ``stream`` here and close it; keep what goes wrong that is not a disconnect."""
        # Closing the stream wakes the client, whose block may then end and cancel us: keep what went wrong before it.
        async with stream:
            try:
                try:
                    await serve(stream)
                except* (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass  # the client went away: the test sees that at its own end
            except Exception as error:  # noqa: BLE001 - kept, and raised when the block ends
                self.failures.append(error)


@contextlib.asynccontextmanager
async def open_background() -> AsyncIterator[Background]:
    """A place for servers to run; leaving it cancels them.

    Raises:
        Exception: what the block raised, as itself; else what the first failing server did.
    """
    block_error: Exception | None = None
    failures: list[Exception] = []
    try:
        async with trio.open_nursery() as nursery:
            background = Background(nursery)
            failures = background.failures
            try:
                yield background
            except Exception as error:  # noqa: BLE001 - raised below, outside of the nursery
                block_error = error
            nursery.cancel_scope.cancel()
    finally:
        # Here, and not after the block: with an outer scope cancelled the nursery ends in Cancelled, and a failed
        # assertion must not get lost in that.
        _raise_first(block_error, failures)


def _raise_first(block_error: Exception | None, failures: list[Exception]) -> None:
    if block_error is not None:
        for failure in failures:
            block_error.add_note("A server had failed: " + "".join(traceback.format_exception(failure)))
        raise block_error
    for failure in failures:
        raise failure
