"""Getting out of a nursery what went into it: one exception, not a group of one."""

from __future__ import annotations

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
