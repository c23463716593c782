"""The cancellation sweep: cancel a scenario at each of its steps, and see that nothing is left and all still works.

The scenario is run once undisturbed. Then it is run again and again: in the n-th run its cancel scope is cancelled at
the n-th *step*, until a run is over before its step comes. A step is what Trio's scheduler calls one: a task runs
until it next waits. The steps of *all* tasks count, those of exchanges, writers and servers too, so a scenario is
also cancelled at moments when it itself has been waiting for long: between any two things that others do.

Trio shuffles the order of tasks, so two runs of one scenario differ a little in their steps. That cannot make a sweep
fail: every order is a legal one. It only means that the end is not found by the first run that is over early: the sweep
goes on until it has passed the length of the undisturbed run. What a failing run did is in the notes of its exception.

A scenario must end by itself when nobody cancels it. It may leave by an exception only if that is a failure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol

import trio
from attrs import frozen

from .leaks import Snapshot
from .network import MemoryNetwork

_RUN_SECONDS = 60.0  # on Trio's clock; far more than any scenario takes, and a MockClock jumps there at once


class SweepEnvironment(Protocol):
    """What surrounds a scenario: made anew for each run, entered, used once, left."""

    async def __aenter__(self) -> object:
        """Make what the scenario needs. Not swept."""
        ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Take it down. Not swept. After this no task and no descriptor of the run may exist."""
        ...

    def scenario(self) -> Awaitable[object]:
        """What is cancelled."""
        ...

    def verify(self) -> Awaitable[object]:
        """After the scenario, in the living environment: check that nothing is held and that it still works.

        Raises:
            AssertionError: it does not.
        """
        ...


async def sweep_environment(
    make: Callable[[], SweepEnvironment],
    *,
    max_steps: int = 2000,
    run_seconds: float = _RUN_SECONDS,
    descriptors: bool = True,
    grace: float = 1.0,
) -> int:
    """Run the scenario of ``make()`` once for each of its steps, cancelled at that step; gives the number of steps.

    After each run ``verify`` is called, and when the environment is down no task and no file descriptor may be left.

    Args:
        make: makes the environment of one run.
        max_steps: how many steps a scenario may have.
        run_seconds: seconds, on Trio's clock, for one run with everything around it.
        descriptors: whether to compare file descriptors; switch it off where others open some at the same time.
        grace: seconds of real time that what is left after a run may take to go; spent only if something is.

    Raises:
        AssertionError: something is left, or does not work, or a run did not end; its notes say at which step.
        Exception: what the scenario or its environment raised, with the same notes.
    """
    settings = _Settings(run_seconds=run_seconds, descriptors=descriptors, grace=grace)
    undisturbed = await _noted_run(make, None, settings)
    for step in range(1, max_steps + 1):
        run = await _noted_run(make, step, settings)
        if not run.was_cancelled and step > undisturbed.steps:
            return step - 1
    raise AssertionError(f"the scenario still had steps left after {max_steps}; make it shorter, or raise max_steps")


async def cancellation_sweep(
    scenario: Callable[[], Awaitable[object]],
    *,
    check: Callable[[], Awaitable[object]] | None = None,
    network: MemoryNetwork | None = None,
    max_steps: int = 2000,
    run_seconds: float = _RUN_SECONDS,
    descriptors: bool = True,
    grace: float = 1.0,
) -> int:
    """Run ``scenario`` once for each of its steps, cancelled at that step; gives the number of steps.

    After each run no task and no file descriptor may be left that was not there before it.

    Args:
        scenario: one whole run: it makes all that it needs, except what is meant to survive.
        check: called after each run, outside of what is cancelled: does what survives still work?
        network: if given, no client stream of it may be open after a run that was not open before.
        max_steps: how many steps a scenario may have.
        run_seconds: seconds, on Trio's clock, for one run.
        descriptors: whether to compare file descriptors; switch it off where others open some at the same time.
        grace: seconds of real time that what is left after a run may take to go; spent only if something is.

    Raises:
        AssertionError: something is left, or a run did not end; its notes say at which step.
        Exception: what ``scenario`` or ``check`` raised, with the same notes.
    """
    return await sweep_environment(
        lambda: _Surroundings(scenario, check, network),
        max_steps=max_steps,
        run_seconds=run_seconds,
        descriptors=descriptors,
        grace=grace,
    )


class _Surroundings:
    """The environment of a scenario that brings its own."""

    def __init__(
        self,
        scenario: Callable[[], Awaitable[object]],
        check: Callable[[], Awaitable[object]] | None,
        network: MemoryNetwork | None,
    ) -> None:
        self.scenario = scenario
        self._check = check
        self._network = network
        self._open_before = network.open_streams if network is not None else ()

    async def __aenter__(self) -> None:
        return

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    async def verify(self) -> None:
        if self._network is not None:
            assert_streams_closed(self._network, before=self._open_before)
        if self._check is not None:
            await self._check()


def assert_streams_closed(network: MemoryNetwork, *, before: tuple[object, ...] = ()) -> None:
    """Check that every client stream of ``network`` is closed, but those that were open ``before``.

    Raises:
        AssertionError: one is open.
    """
    left = [stream for stream in network.open_streams if stream not in before]
    if left:
        raise AssertionError("streams were left open: " + ", ".join(map(repr, left)))


@frozen
class _Settings:
    run_seconds: float
    descriptors: bool
    grace: float


@frozen
class _Run:
    steps: int
    was_cancelled: bool


class _StepCounter(trio.abc.Instrument):
    """Counts the steps of all tasks, and cancels its scope at one of them."""

    def __init__(self, cancel_at: int | None) -> None:
        self.steps = 0
        self.scope = trio.CancelScope()
        self._cancel_at = cancel_at
        self._moment = "not cancelled"

    def __str__(self) -> str:
        return self._moment

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task waits again, or has ended."""
        self.steps += 1
        if self.steps == self._cancel_at:
            self._moment = f"cancelled at step {self.steps}, which was one of {task.name}"
            self.scope.cancel()


async def _noted_run(make: Callable[[], SweepEnvironment], cancel_at: int | None, settings: _Settings) -> _Run:
    counter = _StepCounter(cancel_at)
    try:
        return await _run(make, counter, settings)
    except Exception as error:
        error.add_note(f"cancellation sweep: the scenario was {counter}")
        raise


async def _run(make: Callable[[], SweepEnvironment], counter: _StepCounter, settings: _Settings) -> _Run:
    before = Snapshot.take(descriptors=settings.descriptors)
    with trio.move_on_after(settings.run_seconds):
        environment = make()
        async with environment:
            await _run_scenario(environment, counter)
            await environment.verify()
        await before.assert_nothing_new(grace=settings.grace)
        return _Run(counter.steps, counter.scope.cancel_called)
    raise AssertionError(f"a run did not end within {settings.run_seconds} s")


async def _run_scenario(environment: SweepEnvironment, counter: _StepCounter) -> None:
    with counter.scope:
        trio.lowlevel.add_instrument(counter)
        try:
            await environment.scenario()
        finally:
            trio.lowlevel.remove_instrument(counter)
