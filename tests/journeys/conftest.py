"""Where journeys happen: on the network in memory and on real loopback sockets, plain and over TLS.

The same cases must pass on all four.
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Unpack

import pytest
from attrs import frozen

import trioreply
from trioreply import Event, Manager, ManagerConfig
from trioreply.testing import (
    Authority,
    MemoryNetwork,
    Origin,
    OriginHandler,
    Routes,
    ScriptedPeer,
    ServerTls,
    open_origin,
    run_sync_inline,
    serve_peer,
)

from .notation import sequence


@frozen
class Place:
    """A network to run on."""

    network: MemoryNetwork | None
    """``None`` is loopback."""
    authority: Authority | None = None
    """Who certifies the servers; without one they are not secure."""

    def open_manager(self, **config: Unpack[ManagerConfig]) -> AbstractAsyncContextManager[Manager]:
        """A manager on this network."""
        if self.network is not None:
            config = {"resolver": self.network, "dialer": self.network, **config}
            # A thread would end in real time, and a mock clock would have run on until then.
            config = {"run_sync": run_sync_inline, **config}
        if self.authority is not None:
            config = {"ssl": self.authority.trust(), **config}
        return trioreply.open_manager(**config)

    def serve(self, peer: ScriptedPeer) -> AbstractAsyncContextManager[str]:
        """Run ``peer`` here; gives its base URL."""
        return serve_peer(peer, network=self.network, tls=self._tls())

    def origin(self, routes: Routes | OriginHandler) -> AbstractAsyncContextManager[Origin]:
        """A correct server here."""
        return open_origin(routes, network=self.network, tls=self._tls())

    def sequence(self, events: Iterable[Event]) -> str:
        """`sequence`; over TLS each connection must be encrypted before it is used, and is then shown as if it were
        plain.
        """
        text = sequence(events)
        if self.authority is not None:
            assert not re.search(r"\bS (?=[QUI])", text), f"a connection is used that is not encrypted: {text}"
            text = text.replace("S T", "S")
        return text

    def _tls(self) -> ServerTls | None:
        if self.authority is None:
            return None
        return _server_tls(self.authority)


# A certificate for each server of a thousand journeys would take as long as the journeys.
@functools.cache
def _server_tls(authority: Authority) -> ServerTls:
    return authority.serve("peer.test", "origin.test", "server.test", "127.0.0.1")


@functools.cache
def _authority() -> Authority:
    return Authority()


@pytest.fixture(params=["memory", "loopback", "memory-tls", "loopback-tls"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """All networks, one after the other."""
    authority = _authority() if request.param.endswith("-tls") else None
    if request.param.startswith("loopback"):
        yield Place(None, authority)
        return
    async with MemoryNetwork() as network:
        yield Place(network, authority)


@pytest.fixture
async def memory() -> AsyncIterator[Place]:
    """The network in memory, for tests with a mock clock."""
    async with MemoryNetwork() as network:
        yield Place(network)
