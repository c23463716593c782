"""Where the proxies' own tests happen: in memory and on loopback, the proxy itself plain or behind TLS."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from trioreply.testing import MemoryNetwork

from .clients import SERVER_TLS, Ground


@pytest.fixture(params=["memory", "loopback", "memory-tls", "loopback-tls"])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    """All four, one after the other."""
    tls = SERVER_TLS if request.param.endswith("-tls") else None
    if request.param.startswith("loopback"):
        # A port that is taken, by somebody who does not listen: nobody else will listen there either.
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            yield Ground(None, tls, {"closed.test": taken.getsockname()})
        return
    async with MemoryNetwork() as network:
        network.add_host("closed.test")
        yield Ground(network, tls)


@pytest.fixture
async def memory() -> AsyncIterator[Ground]:
    """The network in memory alone, plain."""
    async with MemoryNetwork() as network:
        network.add_host("closed.test")
        yield Ground(network, None)
