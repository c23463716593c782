"""Threads that are waited for when who called them is cancelled, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreply._jobs.patient import STUCK_SECONDS, PatientThreads
from trioreply.testing import run_sync_inline

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def test_a_call_gives_what_the_function_gives() -> None:
    """Results and exceptions pass."""
    threads = PatientThreads(trio.to_thread.run_sync)
    assert await threads(divmod, 7, 2) == (3, 1)
    assert await PatientThreads(run_sync_inline)(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads(divmod, 7, 0)


async def test_a_thread_at_work_is_waited_for() -> None:
    """Cancelled, the call lasts until the thread has ended, and `trio.Cancelled` goes on."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait()
        ended.set()

    had_ended: list[bool] = []

    async def call() -> None:
        try:
            await PatientThreads(trio.to_thread.run_sync)(work)
        finally:
            had_ended.append(ended.is_set())

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.to_thread.run_sync(begun.wait)
            scope.cancel()
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()
                assert had_ended == []
                may_end.set()
    assert scope.cancelled_caught
    assert had_ended == [True]


async def test_a_thread_that_is_stuck_is_abandoned(mock_clock: MockClock) -> None:
    """After a moment nobody waits any more; what the thread does then harms nobody."""
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait()

    try:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(PatientThreads(trio.to_thread.run_sync), work)
                await trio.to_thread.run_sync(begun.wait)
                scope.cancel()
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                    mock_clock.jump(STUCK_SECONDS)
        assert scope.cancelled_caught
    finally:
        may_end.set()


async def test_a_call_that_has_not_begun_never_does() -> None:
    """A thread that gets to run after the cancellation finds that it is not wanted, and nobody waited for it."""
    late: list[Callable[[], object]] = []

    async def slow(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        late.append(lambda: sync_fn(*args))
        await trio.sleep_forever()
        raise AssertionError

    worked: list[int] = []
    with trio.move_on_after(0) as scope:
        await PatientThreads(slow)(worked.append, 1)
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        late[0]()
    assert worked == []


def test_a_thread_may_outlive_trio() -> None:
    """The end of a thread that was abandoned is no error when there is nobody left to be told."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()
    failures: list[object] = []

    async def run_sync(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        def body() -> None:
            try:
                sync_fn(*args)
            except Exception as error:  # noqa: BLE001 - whatever it is
                failures.append(error)
            ended.set()

        threading.Thread(target=body).start()
        begun.wait()
        await trio.sleep_forever()
        raise AssertionError

    def work() -> None:
        begun.set()
        may_end.wait()

    async def main() -> None:
        with trio.move_on_after(0):
            await PatientThreads(run_sync)(work)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    may_end.set()
    assert ended.wait(10)
    assert failures == []
