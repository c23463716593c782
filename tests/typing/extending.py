"""Implementing interfaces: a function is a scheme, a small class is a way to the network."""

from __future__ import annotations

from collections.abc import Sequence

import trio

import trioreply
from trioreply import Manager, Request, ResponseData, ResponseHead
from trioreply.abc import Dialer, Handler, Resolver, Sink


async def hello(request: Request, sink: Sink) -> None:
    """A scheme that greets."""
    await sink.put(ResponseHead(headers={"Content-Type": "text/plain"}))
    await sink.put(ResponseData(b"hello " + request.url.path.encode()))


def greet(manager: Manager) -> None:
    """Register it."""
    handler: Handler = hello
    manager.register_scheme("hello", handler)
    manager.register_scheme("broken", lambda request: None)  # type: ignore[arg-type,misc]  # a handler takes a sink, too


class Fixed:
    """Knows one address."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Everything is here."""
        return ["127.0.0.1"]


class Nowhere:
    """Reaches nothing."""

    async def dial(self, address: str, port: int) -> trio.abc.Stream:
        """Refuse."""
        raise ConnectionRefusedError(address)


async def connect() -> None:
    """Both are accepted for what they can do, without inheriting anything."""
    resolver: Resolver = Fixed()
    dialer: Dialer = Nowhere()
    async with trioreply.open_manager(resolver=resolver, dialer=dialer):
        pass
