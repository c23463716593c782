"""The part of a manager that is made of its other parts: many fetches, streams of events, downloads.

Each method makes an object that does the work; what it needs of the manager is what everybody has, ``get`` and
``fetch``. They stand here, and not with the manager, because a manager is about single replies.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterable, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Unpack

from yarl import URL

from .._model.request import FetchFields, FetchOptions, Request, RequestFields
from .._model.response import Response
from .._model.retry import RetryPolicy
from .._model.sse import MAX_EVENT
from .._reply.reply import Reply
from .event_stream import EventStream, event_stream
from .fetch_all import FetchAll, OnFailure
from .reconnect_decide import RECONNECT, RECONNECT_DELAY


class WholeJobs(abc.ABC):
    """What a manager can do with several requests, or with one that is more than one."""

    @abc.abstractmethod
    def get(self, url: str | URL | Request, /, **fields: Unpack[RequestFields]) -> AbstractAsyncContextManager[Reply]:
        """See `Manager.get`."""

    @abc.abstractmethod
    async def fetch(self, url: str | URL | Request, **fields: Unpack[FetchOptions]) -> Response:
        """See `Manager.fetch`."""

    def fetch_all(
        self,
        urls: Iterable[str | URL | Request] | AsyncIterable[str | URL | Request],
        *,
        limit: int = 10,
        on_failure: OnFailure = OnFailure.CANCEL,
        **options: Unpack[FetchOptions],
    ) -> FetchAll:
        """Carry out many fetches: ``async with manager.fetch_all(urls) as results``, then ``async for result``.

        The results (`FetchResult`) come as they are complete, each with the number of its request.

        Args:
            urls: URLs or whole requests; an iterable of either kind, taken only as fast as they are carried out.
            limit: how many at once; the manager's `Limits` apply as well.
            on_failure: what the failure of one means for the others; see `OnFailure`.
            options: as for `fetch`.

        Raises:
            ValueError, TypeError: an argument is impossible; the text starts with its name.
        """
        return FetchAll(partial(self.fetch, **options), urls, limit=limit, on_failure=on_failure)

    def event_stream(
        self,
        url: str | URL | Request,
        *,
        last_event_id: str = "",
        reconnect: RetryPolicy = RECONNECT,
        reconnect_delay: float = RECONNECT_DELAY,
        max_size: int = MAX_EVENT,
        **fields: Unpack[RequestFields],
    ) -> EventStream:
        """Read the events of ``url``, over as many connections as it takes (HTML standard section 9.2).

        ``async with manager.event_stream(url) as events``, and within it ``async for event in events``. When the
        response has ended, or the connection is broken, the next step waits, connects again, and says with
        ``Last-Event-ID`` where to go on. It is over when the server answers 204, or when an error is raised.

        Args:
            url: where the events come from, or a whole request.
            last_event_id: where to begin; empty for wherever the server begins.
            reconnect: how many failures in a row are borne, which ones, and how much longer than the server wants each
                wait is.
            reconnect_delay: seconds to wait before a new connection until the server says how long (``retry``).
            max_size: the largest event that is wanted, in bytes.
            fields: as for `get`. ``transfer_timeout`` finds connections that died in silence.

        Raises:
            ValueError, TypeError: an argument is impossible; the text starts with its name.
        """
        return event_stream(
            self,
            url,
            last_event_id=last_event_id,
            reconnect=reconnect,
            reconnect_delay=reconnect_delay,
            max_size=max_size,
            **fields,
        )
