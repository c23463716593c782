"""Snapshots find what a run has left behind."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from trioreply.testing.leaks import Snapshot, describe_descriptor, open_descriptors, running_tasks


async def test_finds_tasks_in_any_nursery() -> None:
    """A task that was not there before is named, wherever its nursery is."""
    async with trio.open_nursery() as nursery:
        before = Snapshot.take()
        await before.assert_nothing_new()
        nursery.start_soon(trio.sleep_forever, name="left-over")
        with pytest.raises(AssertionError, match="left-over"):
            await before.assert_nothing_new(grace=0)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(AssertionError, match=r"left-over \(waiting at .*:"):
            await before.assert_nothing_new(grace=0)
        nursery.cancel_scope.cancel()


async def test_finds_descriptors() -> None:
    """A descriptor that was not there before is named, and so is an old number that is something else now."""
    before = Snapshot.take()
    reading, writing = os.pipe()
    try:
        with pytest.raises(AssertionError, match=f"descriptors were left open: {reading} "):
            await before.assert_nothing_new(grace=0)
        await Snapshot.take(descriptors=False).assert_nothing_new()
        middle = Snapshot.take()
        os.close(reading)
        assert os.open(os.devnull, os.O_RDONLY) == reading
        with pytest.raises(AssertionError, match=f"{reading} "):
            await middle.assert_nothing_new(grace=0)
    finally:
        os.close(reading)
        os.close(writing)
    await before.assert_nothing_new()


async def test_a_descriptor_may_go_a_little_later() -> None:
    """A descriptor that is closed within the grace time is not a leak."""
    async with trio.open_nursery() as nursery:

        async def close_when_all_wait() -> None:
            await trio.testing.wait_all_tasks_blocked()
            os.close(reading)
            os.close(writing)

        nursery.start_soon(close_when_all_wait)
        before = Snapshot.take()
        reading, writing = os.pipe()
        await before.assert_nothing_new(grace=10)


async def test_descriptions_of_the_present() -> None:
    """The present has this task in it, and standard output, by what it is."""
    assert trio.lowlevel.current_task() in set(running_tasks())
    assert open_descriptors()[1][1:] == (os.fstat(1).st_dev, os.fstat(1).st_ino)


def test_descriptors_where_they_are_not_listed() -> None:
    """Without a list of descriptors there are none to compare; a second list does when the first is missing."""
    assert open_descriptors(["/nowhere"]) == {}
    assert open_descriptors(["/nowhere", "/dev/fd"]) == open_descriptors()
    assert describe_descriptor(-1) == "-1"
