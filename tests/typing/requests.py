"""Opening replies: what the verbs take, what a reply gives, and the mistakes that an editor should underline."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import trio
from yarl import URL

import trioreply
from trioreply import Limits, Manager, NetworkError, Operation, Priority, RedirectPolicy, Reply, Request, Response


async def use(manager: Manager) -> None:
    """The usual ways to ask for something."""
    async with manager.get("http://example.org/", headers={"Accept": "text/plain"}, priority=Priority.HIGH) as reply:
        assert_type(reply, Reply)
        assert_type(reply.read(), bytes)
        assert_type(reply.status_code, int | None)
        assert_type(reply.url, URL)
        assert_type(reply.cancel_scope, trio.CancelScope)
        assert_type(await reply.read_all(), bytes)
        assert_type(await reply.text(), str)
        assert_type(await reply.wait_finished(), NetworkError)
        async for chunk in reply.chunks():
            assert_type(chunk, bytes)
        async with manager.put(URL("http://example.org/copy"), reply) as copy:
            copy.abort()
    async with manager.post("http://example.org/", Path("upload.bin"), transfer_timeout=30):
        pass
    assert_type(await manager.fetch("http://example.org/", max_size=1000), Response)


async def configure() -> None:
    """Everything about a manager is given by name."""
    async with trioreply.open_manager(limits=Limits(per_host=2), user_agent="mine/1.0") as manager:
        assert_type(manager, Manager)
    assert_type(await trioreply.fetch("http://example.org/"), Response)


def change(request: Request) -> Request:
    """A request is changed by making another."""
    return request.replace(operation=Operation.HEAD, redirect_policy=RedirectPolicy.MANUAL)


def mistakes(manager: Manager, request: Request) -> None:
    """What does not exist, has another type, or must not be done."""
    manager.get("http://example.org/", timeout=3)  # type: ignore[call-arg]  # there are two timeouts, both with longer names
    manager.get("http://example.org/", priority="high")  # type: ignore[arg-type]  # an enumeration, not a word
    manager.post("http://example.org/", "text")  # type: ignore[arg-type]  # text has no bytes of its own
    trioreply.open_manager(max_connections=3)  # type: ignore[call-arg]  # limits=Limits(...)
    request.url = URL("http://example.org/")  # type: ignore[misc]  # frozen
    request.replace(path="/")  # type: ignore[call-arg]  # no such field
