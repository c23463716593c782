"""The cancellation sweep for code that uses a manager: network, origin, manager and what must hold afterwards, ready
made.

There are two ways to be cancelled, and both matter. In the first a part of the application is cancelled and the
manager lives on (`ManagerSweep` as it is): afterwards it must hold nothing for that part, and work. In the second the
manager goes down with everything else (``owns_manager=True``): afterwards nothing may be left of it.

In both an observer that is never cancelled sees every reply's events: each reply must have finished, exactly once and
last.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import trio

import trioreply

from .background import Background, open_background
from .network import MemoryNetwork
from .server import Origin, OriginHandler, OriginRequest, OriginResponse, Routes, open_origin
from .sweep import assert_streams_closed
from .tls import ServerTls

_PROBE = "/.sweep-probe"
_SETTLE = 10.0  # seconds on Trio's clock: the longest bounded wait of a reply's end, several times over
_LOOK_AGAIN = 0.01


class SweptStatistics(Protocol):
    """As much of a manager's statistics as is checked."""

    @property
    def leases(self) -> int:
        """Connections in use."""
        ...

    @property
    def queued(self) -> int:
        """Requests that wait for a connection."""
        ...

    @property
    def replies_running(self) -> int:
        """Replies that have not finished."""
        ...


class SweptResponse(Protocol):
    """As much of a response as is checked."""

    @property
    def status_code(self) -> int | None:
        """The HTTP status."""
        ...


class SweptManager(Protocol):
    """As much of a manager as the sweep itself uses; `trioreply.Manager` is one, and so may be a wrapper of yours."""

    def statistics(self) -> SweptStatistics:
        """What it holds."""
        ...

    def observe(self) -> AbstractAsyncContextManager[AsyncIterable[tuple[object, object]]]:
        """Every event of every reply, as ``(reply, event)``; ends with the manager."""
        ...

    async def fetch(self, url: str, /) -> SweptResponse:
        """One whole GET."""
        ...


M = TypeVar("M", bound=SweptManager)


class ManagerSweep(Generic[M]):
    """The environment of a scenario that uses a manager; give `sweep_environment` a function that makes one.

    Args:
        open_manager: `trioreply.open_manager`, or a partial of it; gets ``resolver`` and ``dialer`` if in memory.
        scenario: what is cancelled; gets this environment, with ``manager``, ``network``, ``origin`` and ``url``.
        routes: what the origin serves.
        owns_manager: whether the manager is opened and closed within what is cancelled.
        loopback: run over real sockets; there is no ``network`` then.
        tls: the origin speaks https with it, for ``origin.test`` or on loopback 127.0.0.1, and the manager that
            ``open_manager`` makes must trust it.
        beside: what else is to run, such as proxies: opened before the manager, left after it, and never cancelled.
    """

    manager: M
    """The manager; in the second way of cancelling only while the scenario runs."""
    origin: Origin
    """The server that the manager can reach."""

    def __init__(
        self,
        open_manager: Callable[..., AbstractAsyncContextManager[M]],
        scenario: Callable[[ManagerSweep[M]], Awaitable[object]],
        *,
        routes: Routes | OriginHandler | None = None,
        owns_manager: bool = False,
        loopback: bool = False,
        tls: ServerTls | None = None,
        beside: Callable[[ManagerSweep[M]], AbstractAsyncContextManager[object]] | None = None,
    ) -> None:
        self._open_manager = open_manager
        self._scenario = scenario
        self._routes = {} if routes is None else routes
        self._owns_manager = owns_manager
        self._network = None if loopback else MemoryNetwork()
        self._tls = tls
        self._beside = beside
        self._observed: dict[int, tuple[object, list[object]]] = {}
        self._observers = 0
        self._background: Background
        self._closing: contextlib.AsyncExitStack

    @property
    def network(self) -> MemoryNetwork:
        """The network in memory.

        Raises:
            RuntimeError: this environment runs over loopback.
        """
        if self._network is None:
            raise RuntimeError("over loopback there is no network to switch")
        return self._network

    @property
    def transcripts(self) -> list[list[object]]:
        """The events of each reply that was observed, in the order they came."""
        return [events for _, events in self._observed.values()]

    def url(self, target: str = "/") -> str:
        """The absolute URL of ``target`` on the origin."""
        return self.origin.url(target)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            if self._network is not None:
                await stack.enter_async_context(self._network)
            origin = open_origin(self._answer, network=self._network, tls=self._tls)
            self.origin = await stack.enter_async_context(origin)
            self._background = await stack.enter_async_context(open_background())
            stack.push(self._check_closed)
            if self._beside is not None:
                await stack.enter_async_context(self._beside(self))
            if not self._owns_manager:
                await stack.enter_async_context(self._managing())
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._closing.__aexit__(exc_type, exc, traceback)

    async def scenario(self) -> None:
        """The scenario, with the manager around it if it owns that."""
        async with contextlib.AsyncExitStack() as stack:
            if self._owns_manager:
                await stack.enter_async_context(self._managing())
            await self._scenario(self)

    async def verify(self) -> None:
        """Nothing is held, every reply has finished exactly once, and a living manager can still do a GET.

        The weather of the network is cleared first. Switches of hosts are the scenario's own to set back.

        Raises:
            AssertionError: one of these does not hold.
        """
        if self._network is not None:
            self._network.stall = self._network.one_byte_at_a_time = False
        await self._settle()
        if not self._owns_manager:
            response = await self.manager.fetch(self.url(_PROBE))
            if response.status_code != 200:
                raise AssertionError(f"a GET afterwards gave the status {response.status_code}")
            await self._settle()
        for events in self.transcripts:
            finished = sum(isinstance(event, trioreply.Finished) for event in events)
            if finished != 1 or not isinstance(events[-1], trioreply.Finished):
                raise AssertionError(f"a reply must finish once and last, and this one did not: {events}")

    @contextlib.asynccontextmanager
    async def _managing(self) -> AsyncIterator[None]:
        places = {} if self._network is None else {"resolver": self._network, "dialer": self._network}
        async with self._open_manager(**places) as manager:
            self.manager = manager
            # The observer is outside of what is cancelled, so it sees how the replies end.
            await self._background.nursery.start(self._observe, manager)
            yield

    async def _observe(self, manager: M, task_status: trio.TaskStatus[None]) -> None:
        async with manager.observe() as observed:
            self._observers += 1
            try:
                task_status.started()
                async for reply, event in observed:
                    # With the reply itself, because an id is free again when its object is gone.
                    self._observed.setdefault(id(reply), (reply, []))[1].append(event)
            finally:
                self._observers -= 1

    async def _settle(self) -> None:
        held = self._held()
        with trio.move_on_after(_SETTLE):
            while held:
                await trio.sleep(_LOOK_AGAIN)
                held = self._held()
        if held:
            raise AssertionError(f"after {_SETTLE} s there is still {held}")

    def _held(self) -> str:
        """What is not at rest yet, in words; nothing if all is."""
        unfinished = [events for events in self.transcripts if not isinstance(events[-1], trioreply.Finished)]
        if unfinished:
            return f"a reply that has not finished: {unfinished[0]}"
        if self._owns_manager:
            return "an observation that has not ended with its manager" if self._observers else ""
        statistics = self.manager.statistics()
        if statistics.leases or statistics.queued or statistics.replies_running:
            return f"something held: {statistics}"
        return ""

    def _check_closed(
        self, exc_type: type[BaseException] | None, _exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if exc_type is None and self._network is not None:
            assert_streams_closed(self._network)

    async def _answer(self, request: OriginRequest) -> OriginResponse:
        if request.path == _PROBE:
            return OriginResponse(body=b"still working")
        if not isinstance(self._routes, Mapping):
            return await self._routes(request)
        route = self._routes.get(request.path, OriginResponse(404))
        return route if isinstance(route, OriginResponse) else await route(request)
