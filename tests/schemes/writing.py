"""What the tests of `ReplyWriter` share: replies that a function writes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Unpack

import pytest

import trioreply
from trioreply import Reply, RequestFields
from trioreply._schemes.reply_writer import ReplyWriter, reply_handler
from trioreply.errors import UnknownNetworkError

Function = Callable[[ReplyWriter], Awaitable[None]]
URL_OF_IT = "x://alice:hush@host/path"


@contextlib.asynccontextmanager
async def written(function: Function, verb: str = "GET", **fields: Unpack[RequestFields]) -> AsyncIterator[Reply]:
    """A reply that ``function`` writes."""
    async with trioreply.open_manager() as manager:
        manager.register_scheme("x", reply_handler(function))
        async with manager.send_custom(URL_OF_IT, verb, **fields) as reply:
            yield reply


async def finished(function: Function, verb: str = "GET") -> Reply:
    """The same, when it has finished."""
    async with written(function, verb) as reply:
        await reply.wait_finished()
        return reply


async def failure(function: Function) -> str:
    """What a mistake in ``function`` amounts to: it is one of the handler's own, and here is its text."""
    reply = await finished(function)
    with pytest.raises(UnknownNetworkError) as caught:
        reply.raise_for_error()
    assert isinstance(caught.value.__cause__, RuntimeError)
    return str(caught.value.__cause__)
