"""Unwrapping what a nursery has wrapped."""

from __future__ import annotations

import pytest
import trio

from trioreply._net.groups import raise_ungrouped


async def _cancelled() -> BaseExceptionGroup[BaseException]:
    """A group as a nursery makes it of a cancelled task."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(trio.sleep_forever)
        except BaseExceptionGroup as group:
            return group
    raise AssertionError("nothing was cancelled")


async def test_one_exception_comes_out_as_itself() -> None:
    """However deep it lies, and whatever was cancelled beside it."""
    fault = KeyboardInterrupt()
    group = BaseExceptionGroup("", [BaseExceptionGroup("", [fault]), await _cancelled()])
    with pytest.raises(KeyboardInterrupt) as raised:
        await raise_ungrouped(group)
    assert raised.value is fault


async def test_two_exceptions_stay_a_group() -> None:
    """Neither may hide the other."""
    group = BaseExceptionGroup("", [ValueError(), KeyError()])
    with pytest.raises(BaseExceptionGroup) as raised:
        await raise_ungrouped(group)
    assert raised.value is group


async def test_cancellation_is_one_exception() -> None:
    """A scope around us that is cancelled says so itself."""
    group = await _cancelled()
    with trio.CancelScope() as scope:
        scope.cancel()
        await raise_ungrouped(group)
    assert scope.cancelled_caught


async def test_cancellation_that_is_over_stays_what_it_was() -> None:
    """Where nothing is cancelled any more the group is all there is to raise."""
    group = await _cancelled()
    with pytest.raises(BaseExceptionGroup) as raised:
        await raise_ungrouped(group)
    assert raised.value is group
