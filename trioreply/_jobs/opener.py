"""What a job needs of a manager: to open replies. `Manager` has it, and so may a wrapper of yours."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, Unpack

from yarl import URL

from .._model.request import Request, RequestFields
from .._reply.reply import Reply


class Opener(Protocol):
    """Something with a manager's ``get``."""

    def get(self, url: str | URL | Request, **fields: Unpack[RequestFields]) -> AbstractAsyncContextManager[Reply]:
        """As `Manager.get`."""
        ...
