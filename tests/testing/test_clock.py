"""The stand-in for worker threads."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing

from trioreply.testing import run_sync_inline


async def test_runs_here_with_its_arguments() -> None:
    """The function runs in Trio's own thread, and its result comes back after a checkpoint."""
    with trio.testing.assert_checkpoints():
        assert await run_sync_inline(divmod, 7, 2, abandon_on_cancel=True) == (3, 1)
    assert await run_sync_inline(threading.get_ident) == threading.get_ident()


async def test_exceptions_come_back() -> None:
    """What the function raises is raised."""
    with pytest.raises(ZeroDivisionError):
        await run_sync_inline(divmod, 1, 0)


async def test_cancelled_before_it_does_not_run() -> None:
    """A cancellation that is pending is delivered instead of running the function."""
    calls: list[str] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await run_sync_inline(calls.append, "ran")
    assert scope.cancelled_caught
    assert not calls
