"""Many fetches at once, and their outcomes as they come: ``async with manager.fetch_all(urls) as results``.

A fixed number of tasks take the requests one after the other, and none begins the next one before somebody has taken
its last outcome: what is kept in memory is at most one outcome for each task, however many requests there are.

What is hard about many tasks is the end. There is one rule for it: the reader hears of a failure where he waits for
outcomes, as the exception itself and never in a group; and when the block is left, in whatever way, every task has
ended. What the failure of one request means for the others is said when the block is opened (`OnFailure`).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Self

import trio
from yarl import URL

from .._facade import public
from .._model.errors import ReplyError
from .._model.options import OnFailure
from .._model.request import Request
from .._model.response import Response
from .._model.urls import display, make_url
from .._model.values import frozen
from .._net.groups import leave_nursery

Source = str | URL | Request


@public
@frozen
class FetchResult:
    """The outcome of one of many fetches: a response, or the error."""

    index: int
    """The how manieth request it was, from 0 on."""
    source: Source
    """The request, as it was given."""
    response: Response | None = None
    error: ReplyError | None = None

    def __repr__(self) -> str:
        shown = display(self.source.url if isinstance(self.source, Request) else make_url(self.source))
        return f"<FetchResult {self.index} {shown}: {self.response if self.error is None else self.error!r}>"


Fetch = Callable[[Source], Awaitable[Response]]


@public
class FetchAll(AsyncIterator[FetchResult]):
    """The block, and the outcomes to iterate over: ``async for result in results``. Can be entered once.

    Args:
        fetch: carries out one request.
        sources: the requests; taken only as fast as they are carried out.
        limit: how many at once.
        on_failure: what a failure means for the others.
    """

    _block: AbstractAsyncContextManager[trio.Nursery]  # made when entered: before, there may be no Trio yet

    def __init__(
        self,
        fetch: Fetch,
        sources: Iterable[Source] | AsyncIterable[Source],
        *,
        limit: int,
        on_failure: OnFailure,
    ) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ValueError(f"limit: {limit!r} is not a number of fetches; give an integer from 1 on")
        if not isinstance(on_failure, OnFailure):
            raise TypeError(f"on_failure: {on_failure!r} is no member of OnFailure")
        if isinstance(sources, str | URL | Request):
            raise TypeError("urls: give several, in a list or another iterable, even if it is only one")
        self._fetch = fetch
        self._sources = _Numbered(sources)
        self._limit = limit
        self._on_failure = on_failure
        self._failure: Exception | None = None
        self._was_entered = False
        # Of the fetches alone. The nursery's own surrounds the reader as well, who must hear of a failure, and not be
        # cancelled by it.
        self._scope = trio.CancelScope()
        self._send, self._receive = trio.open_memory_channel[FetchResult](0)

    async def __aenter__(self) -> Self:
        if self._was_entered:
            raise RuntimeError("this block is entered once; call fetch_all() again")
        self._was_entered = True
        self._block = trio.open_nursery()
        nursery = await self._block.__aenter__()
        nursery.start_soon(self._run)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._scope.cancel()
        self._receive.close()
        await leave_nursery(self._block, exc)

    async def __anext__(self) -> FetchResult:
        """The next outcome. Always a checkpoint.

        Raises:
            StopAsyncIteration: there are no more.
            ReplyError: a fetch failed, under `OnFailure.CANCEL`.
            ValueError, TypeError: a request is impossible.
            Exception: the iterable of the requests failed.
        """
        with suppress(trio.EndOfChannel):
            return await self._receive.receive()
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _run(self) -> None:
        with self._send, self._scope:
            async with trio.open_nursery() as nursery:
                for _ in range(self._limit):
                    nursery.start_soon(self._work)

    async def _work(self) -> None:
        try:
            while (numbered := await self._sources.next()) is not None:
                await self._send.send(await self._outcome(*numbered))
        except Exception as error:  # noqa: BLE001 - raised again where the reader waits
            self._failure = self._failure or error
            self._scope.cancel()

    async def _outcome(self, index: int, source: Source) -> FetchResult:
        try:
            return FetchResult(index, source, await self._fetch(source))
        except ReplyError as error:
            if self._on_failure is OnFailure.CANCEL:
                raise
            return FetchResult(index, source, error=error)


class _Numbered:
    """Takes requests from an iterable of either kind, for one task at a time."""

    def __init__(self, sources: Iterable[Source] | AsyncIterable[Source]) -> None:
        self._sync = iter(sources) if isinstance(sources, Iterable) else None
        self._async = aiter(sources) if isinstance(sources, AsyncIterable) else None
        if self._sync is None and self._async is None:
            raise TypeError(f"urls: give an iterable of URLs or requests, not {type(sources).__name__}")
        self._count = 0
        self._turn = trio.Lock()

    async def next(self) -> tuple[int, Source] | None:
        """The next one and its number; ``None`` at the end."""
        async with self._turn:
            try:
                source = await anext(self._async) if self._async is not None else next(self._sync or iter(()))
            except (StopIteration, StopAsyncIteration):
                return None
            self._count += 1
            return self._count - 1, source
