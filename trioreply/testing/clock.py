"""Worker threads that are none, for tests on a clock that jumps.

`trio.testing.MockClock` with an autojump threshold jumps when every task waits, also for a thread that is busy. Code
that takes its thread runner as an argument can be given this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def run_sync_inline(
    sync_fn: Callable[[*Ts], T],
    *args: *Ts,
    thread_name: str | None = None,
    abandon_on_cancel: bool = False,
    limiter: trio.CapacityLimiter | None = None,
) -> T:
    """As `trio.to_thread.run_sync`, but ``sync_fn`` runs here and now, between two checkpoints.

    A cancellation that is pending is delivered before; once ``sync_fn`` runs its outcome is kept. ``thread_name``,
    ``abandon_on_cancel`` and ``limiter`` mean nothing without a thread.
    """
    del thread_name, abandon_on_cancel, limiter
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        return sync_fn(*args)
    finally:
        await trio.lowlevel.cancel_shielded_checkpoint()
