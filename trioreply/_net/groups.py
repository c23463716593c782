"""Getting out of a nursery what went into it: one exception, not a group of one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import NoReturn

import trio


async def raise_ungrouped(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise what a nursery of ours has wrapped: its one exception as itself, or `trio.Cancelled` if that is all.

    Two exceptions and more stay the group they are.
    """
    _, others = group.split(trio.Cancelled)
    if others is None:
        await trio.lowlevel.checkpoint_if_cancelled()
    while others is not None and len(others.exceptions) == 1:
        (only,) = others.exceptions
        if not isinstance(only, BaseExceptionGroup):
            raise only
        others = only
    raise group


async def leave_nursery(block: AbstractAsyncContextManager[trio.Nursery], exc: BaseException | None) -> None:
    """Leave a nursery that was entered by hand, on the way out of a block of ours, with ``exc`` if that is raised.

    The nursery is not told of ``exc``, which would come back in a group. It has nothing to add, since no task of ours
    raises, save for a `KeyboardInterrupt` and its like, or what a scope around all of it has cancelled.
    """
    try:
        await block.__aexit__(None, None, None)
    except BaseExceptionGroup as group:
        _, others = group.split(trio.Cancelled)
        if exc is None or others is not None:
            await raise_ungrouped(group)
        # Only tasks that a scope around us cancelled: what counts is the exception on its way out.
