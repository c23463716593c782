"""What a job needs of a manager: to open replies (`Manager` does, and so may a wrapper of yours), and its settings."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, Unpack

from yarl import URL

from .._model.request import Request, RequestFields
from .._model.retry import RetryPolicy
from .._model.running import RunSync
from .._model.values import frozen
from .._reply.reply import Reply

DOWNLOAD_RETRY = RetryPolicy(5, backoff=1.0)
"""For downloads that say nothing about retries, of a manager that says nothing either. The count begins anew with each
piece that arrives, so these are five failures in the same place, in about fifteen seconds."""
RECONNECT_DELAY = 3.0
"""Seconds for which an event stream waits before a new connection until the server names a time; what browsers take."""


class Opener(Protocol):
    """Something with a manager's ``get``."""

    def get(self, url: str | URL | Request, **fields: Unpack[RequestFields]) -> AbstractAsyncContextManager[Reply]:
        """As `Manager.get`."""
        ...


@frozen
class DownloadEnvironment:
    """What downloads need of a manager."""

    opener: Opener
    run_sync: RunSync
    retry: RetryPolicy
    """For downloads that do not say it themselves."""
