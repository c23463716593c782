"""Where journeys happen: on the network in memory, and on real loopback sockets. The same cases must pass on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Unpack

import pytest
from attrs import frozen

import trioreply
from trioreply import Manager, ManagerConfig
from trioreply.testing import MemoryNetwork, Origin, OriginHandler, Routes, ScriptedPeer, open_origin, serve_peer


@frozen
class Place:
    """A network to run on; ``None`` is loopback."""

    network: MemoryNetwork | None

    def open_manager(self, **config: Unpack[ManagerConfig]) -> AbstractAsyncContextManager[Manager]:
        """A manager on this network."""
        if self.network is not None:
            config = {"resolver": self.network, "dialer": self.network, **config}
        return trioreply.open_manager(**config)

    def serve(self, peer: ScriptedPeer) -> AbstractAsyncContextManager[str]:
        """Run ``peer`` here; gives its base URL."""
        return serve_peer(peer, network=self.network)

    def origin(self, routes: Routes | OriginHandler) -> AbstractAsyncContextManager[Origin]:
        """A correct server here."""
        return open_origin(routes, network=self.network)


@pytest.fixture(params=["memory", "loopback"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Both networks, one after the other."""
    if request.param == "loopback":
        yield Place(None)
        return
    async with MemoryNetwork() as network:
        yield Place(network)


@pytest.fixture
async def memory() -> AsyncIterator[Place]:
    """The network in memory, for tests with a mock clock."""
    async with MemoryNetwork() as network:
        yield Place(network)
