"""Several things at once. One of them failing is one failure, and never a group of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


async def together(*jobs: Callable[[], Awaitable[None]]) -> None:
    """Run ``jobs`` until all are done, or one has failed: then the others are cancelled.

    Raises:
        Exception: what the first of them that failed has raised.
    """
    failures: list[Exception] = []

    async def guarded(job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - raised again below, as itself
            failures.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for job in jobs:
            nursery.start_soon(guarded, job)
    if failures:
        raise failures[0]
