"""The part of a manager that is made of its other parts: many fetches, streams of events, downloads.

Each method makes an object that does the work; what it needs of the manager is what everybody has, ``get`` and
``fetch``. They stand here, and not with the manager, because a manager is about single replies.

The objects' classes are imported by the first call: jobs are a sixth of all there is to import, and few need them.
"""

from __future__ import annotations

import abc
import os
from collections.abc import AsyncIterable, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from yarl import URL

from .._model.limits import MAX_EVENT
from .._model.options import OnFailure
from .._model.request import FetchOptions, Request, RequestFields
from .._model.response import Response
from .._model.retry import RetryPolicy
from .._reply.reply import Reply
from .opener import RECONNECT_DELAY, DownloadEnvironment

if TYPE_CHECKING:
    from .download import Download
    from .event_stream import EventStream
    from .fetch_all import FetchAll


class _DownloadOptions(TypedDict):
    resume: bool
    checksum: str | None
    sha256: str | None


class WholeJobs(abc.ABC):
    """What a manager can do with several requests, or with one that is more than one."""

    @abc.abstractmethod
    def get(self, url: str | URL | Request, /, **fields: Unpack[RequestFields]) -> AbstractAsyncContextManager[Reply]:
        """See `Manager.get`."""

    @abc.abstractmethod
    async def fetch(self, url: str | URL | Request, **fields: Unpack[FetchOptions]) -> Response:
        """See `Manager.fetch`."""

    @abc.abstractmethod
    def _absolute(self, url: str | URL) -> URL:
        """``url``, completed by the manager's own."""

    _downloads: DownloadEnvironment

    def open_download(
        self,
        url: str | URL | Request,
        path: str | os.PathLike[str],
        *,
        resume: bool = True,
        checksum: str | None = None,
        sha256: str | None = None,
        **fields: Unpack[RequestFields],
    ) -> Download:
        """Download ``url`` into a file: ``async with manager.open_download(url, path) as download``.

        The bytes go into a partial file beside the place, which takes its name when they are all there and verified.
        After a break the rest is asked for, as often as the ``retry`` policy says; a piece that arrives begins its
        count anew.

        Args:
            url: what to download, or a whole request.
            path: the file, which is replaced if it exists; or a directory that exists, in which the file gets the name
                that the server proposes, made safe, and never replaces another.
            resume: go on with what an earlier call has left there, and leave such a part if this one fails.
            checksum: what the file must amount to: ``"sha512:..."``, any algorithm that ``hashlib`` always has.
            sha256: the same for SHA-256, the digits alone.
            fields: as for `get`.

        Raises:
            ValueError, TypeError: an argument is impossible; the text starts with its name.
        """
        from .download import open_download

        options = _DownloadOptions(resume=resume, checksum=checksum, sha256=sha256)
        return open_download(self._downloads, self._target(url), path, **options, **fields)

    async def download(
        self,
        url: str | URL | Request,
        path: str | os.PathLike[str],
        *,
        resume: bool = True,
        checksum: str | None = None,
        sha256: str | None = None,
        **fields: Unpack[RequestFields],
    ) -> Path:
        """`open_download` in one call, for who only wants the file; gives its path. Questions are refused at once.

        Raises:
            ReplyError: it failed. What had come stays for the next call, if it can be continued and ``resume`` is true.
            ValueError, TypeError: an argument is impossible; the text starts with its name.
        """
        from .download import download

        options = _DownloadOptions(resume=resume, checksum=checksum, sha256=sha256)
        return await download(self._downloads, self._target(url), path, **options, **fields)

    def _target(self, url: str | URL | Request) -> URL | Request:
        return url.replace(url=self._absolute(url.url)) if isinstance(url, Request) else self._absolute(url)

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
        from .fetch_all import FetchAll

        return FetchAll(partial(self.fetch, **options), urls, limit=limit, on_failure=on_failure)

    def event_stream(
        self,
        url: str | URL | Request,
        *,
        last_event_id: str = "",
        reconnect: RetryPolicy | None = None,
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
                wait is; default: ten that may pass, and up to half a minute.
            reconnect_delay: seconds to wait before a new connection until the server says how long (``retry``).
            max_size: the largest event that is wanted, in bytes.
            fields: as for `get`. ``transfer_timeout`` finds connections that died in silence.

        Raises:
            ValueError, TypeError: an argument is impossible; the text starts with its name.
        """
        from .event_stream import event_stream
        from .reconnect_decide import RECONNECT

        return event_stream(
            self,
            self._target(url),
            last_event_id=last_event_id,
            reconnect=RECONNECT if reconnect is None else reconnect,
            reconnect_delay=reconnect_delay,
            max_size=max_size,
            **fields,
        )
