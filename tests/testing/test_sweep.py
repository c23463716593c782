"""The sweep cancels at every step, ends, and catches what is left behind. Each leak here is deliberate."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

import pytest
import trio
import trio.testing

from trioreply.testing import MemoryNetwork, MemoryStream, cancellation_sweep, sweep_environment


async def three_checkpoints() -> None:
    """Wait three times."""
    for _ in range(3):
        await trio.lowlevel.checkpoint()


async def test_every_step_is_a_cancellation() -> None:
    """The scenario is run undisturbed, cancelled at each step, and once more to see that no step is left."""
    progress: list[int] = []

    async def scenario() -> None:
        progress.append(0)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            progress[-1] += 1

    assert await cancellation_sweep(scenario) == 3
    assert progress == [3, 0, 1, 2, 3]


async def test_steps_of_other_tasks_count() -> None:
    """While the scenario itself waits it is cancelled at each step of the tasks that it waits for."""
    async with trio.open_nursery() as nursery:
        reached: list[int] = []

        async def worker(done: trio.Event) -> None:
            reached.append(0)
            for _ in range(10):
                await trio.lowlevel.checkpoint()
                reached[-1] += 1
            done.set()

        async def scenario() -> None:
            done = trio.Event()
            with trio.CancelScope() as working:
                async with trio.open_nursery() as workers:
                    workers.start_soon(worker, done)
                    await done.wait()
                    working.cancel()

        steps = await cancellation_sweep(scenario)
        assert steps >= 11
        assert set(reached) == set(range(11))
        nursery.cancel_scope.cancel()


async def test_a_scenario_that_never_waits_has_no_steps() -> None:
    """Without a checkpoint there is nothing to sweep."""

    async def scenario() -> None:
        return

    assert await cancellation_sweep(scenario) == 0


async def test_check_is_called_after_each_run() -> None:
    """The check runs after the complete runs and the cancelled ones, and is not cancelled itself."""
    calls: list[str] = []

    async def check() -> None:
        await trio.lowlevel.checkpoint()
        calls.append("checked")

    assert await cancellation_sweep(three_checkpoints, check=check) == 3
    assert len(calls) == 5


async def test_catches_a_task_in_an_outer_nursery() -> None:
    """A scenario that leaves a task running elsewhere fails, and the task is named."""
    async with trio.open_nursery() as outer:

        async def scenario() -> None:
            outer.start_soon(trio.sleep_forever, name="the-leak")
            await trio.lowlevel.checkpoint()

        with pytest.raises(AssertionError, match="tasks were left running: the-leak"):
            await cancellation_sweep(scenario, grace=0.01)
        outer.cancel_scope.cancel()


async def swallow(stream: MemoryStream) -> None:
    """Read everything."""
    async for _ in stream:
        pass


async def test_catches_a_stream_left_open_by_a_cancellation() -> None:
    """A scenario that closes its stream only when nobody cancels it fails, at the step where it was cancelled."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, swallow)

        async def scenario() -> None:
            stream = await network.dial("127.0.0.1", 80)
            await trio.lowlevel.checkpoint()
            await stream.aclose()

        with pytest.raises(AssertionError, match="streams were left open: <MemoryStream client") as caught:
            await cancellation_sweep(scenario, network=network)
        assert "cancelled at step" in caught.value.__notes__[0]


async def test_streams_that_were_open_before_may_stay() -> None:
    """Only what a run opened must be closed after it."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, swallow)
        async with await network.dial("127.0.0.1", 80):
            await trio.testing.wait_all_tasks_blocked()
            assert await cancellation_sweep(three_checkpoints, network=network) == 3


async def test_catches_a_resource_that_is_not_usable_again() -> None:
    """A scenario after which the check fails is caught: here a limiter whose token is lost by cancellation."""
    limiter = trio.CapacityLimiter(1)

    async def scenario() -> None:
        token = object()
        await limiter.acquire_on_behalf_of(token)
        await trio.lowlevel.checkpoint()
        limiter.release_on_behalf_of(token)

    async def check() -> None:
        assert limiter.available_tokens == 1, "the token is lost"

    with pytest.raises(AssertionError, match="the token is lost") as caught:
        await cancellation_sweep(scenario, check=check)
    assert "cancelled at step 1, which was one of <test" in caught.value.__notes__[0]


async def test_catches_a_descriptor_left_open() -> None:
    """A descriptor that a run opened and did not close is caught, unless one does not look."""
    opened: list[int] = []

    async def scenario() -> None:
        opened.append(os.open(os.devnull, os.O_RDONLY))
        await trio.lowlevel.checkpoint()
        if len(opened) == 1:
            os.close(opened.pop())

    async def check() -> None:
        for descriptor in opened:
            os.close(descriptor)
        opened.clear()

    async def leave() -> None:
        opened.append(os.open(os.devnull, os.O_RDONLY))

    with pytest.raises(AssertionError, match="file descriptors were left open"):
        await cancellation_sweep(leave, grace=0.01)
    assert await cancellation_sweep(leave, descriptors=False) == 0
    await check()
    assert await cancellation_sweep(scenario, check=check) == 1


async def test_an_exception_of_the_scenario_is_not_hidden() -> None:
    """What a scenario raises comes out of the sweep, with a note of when it was."""

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError

    with pytest.raises(LookupError) as caught:
        await cancellation_sweep(fail)
    assert caught.value.__notes__ == ["cancellation sweep: the scenario was not cancelled"]


async def test_a_run_that_hangs_is_caught(autojump_clock: trio.testing.MockClock) -> None:
    """A scenario that does not end, or that a cancellation makes hang, is an error after a while."""
    with pytest.raises(AssertionError, match=r"did not end within 60\.0 s"):
        await cancellation_sweep(trio.sleep_forever)


async def test_a_scenario_that_is_too_long_is_refused() -> None:
    """There is an end to the number of steps."""

    async def long() -> None:
        for _ in range(20):
            await trio.lowlevel.checkpoint()

    with pytest.raises(AssertionError, match="after 10"):
        await cancellation_sweep(long, max_steps=10)
    assert await cancellation_sweep(long, max_steps=21) == 20


async def test_a_run_that_is_short_by_chance_does_not_end_the_sweep() -> None:
    """The sweep goes on past a short run until it has passed the undisturbed one."""
    lengths = iter([6, 6, 1, 6, 6, 6, 6, 6])
    runs: list[int] = []

    async def scenario() -> None:
        runs.append(0)
        for _ in range(next(lengths)):
            await trio.lowlevel.checkpoint()
            runs[-1] += 1

    assert await cancellation_sweep(scenario) == 6
    assert runs == [6, 0, 1, 2, 3, 4, 5, 6]


class Recorder:
    """An environment that records what is done with it."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    async def __aenter__(self) -> Self:
        self._log.append("enter")
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await trio.lowlevel.checkpoint()
        self._log.append("exit")

    async def scenario(self) -> None:
        """Wait once."""
        await trio.lowlevel.checkpoint()
        self._log.append("through")

    async def verify(self) -> None:
        """Wait once more."""
        await trio.lowlevel.checkpoint()
        self._log.append("verify")


async def test_an_environment_is_made_for_each_run() -> None:
    """Environments are entered, swept, verified and left, and only the scenario is ever cancelled."""
    log: list[str] = []
    assert await sweep_environment(lambda: Recorder(log)) == 1
    complete, cancelled = ["enter", "through", "verify", "exit"], ["enter", "verify", "exit"]
    assert log == complete + cancelled + complete


async def test_an_outer_cancellation_goes_through() -> None:
    """A sweep can itself be cancelled, and leaves no instrument behind."""
    with trio.move_on_after(0) as scope:
        await cancellation_sweep(trio.sleep_forever)
    assert scope.cancelled_caught
    assert await cancellation_sweep(three_checkpoints) == 3
