"""How what may block is called: in a worker thread, or by whoever a test puts in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class RunSync(Protocol):
    """`trio.to_thread.run_sync`, or a stand-in that works with a mock clock."""

    async def __call__(self, sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        """Call ``sync_fn(*args)`` where it may block."""
        ...
