"""Proxies that follow a script instead of the rules: the same one on every connection.

A `Script` is a value, so a table of what a client must make of each can be written down: name, script, expected error.
Where one says `Script.is_silent`, nothing but the client's own deadline ends it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from attrs import frozen

from trioreply.testing import Loop, MemoryNetwork, ScriptedPeer, ServerTls, Stall, Step, serve_peer

from .tunnels import Address, address_of


@frozen(init=False)
class Script:
    """What a proxy does on each connection; it closes the connection after the last step."""

    steps: tuple[Step, ...]

    def __init__(self, *steps: Step) -> None:
        self.__attrs_init__(steps)

    @property
    def is_silent(self) -> bool:
        """Whether it leaves its client waiting."""
        return any(isinstance(step, Stall) for step in self.steps)

    @property
    def is_endless(self) -> bool:
        """Whether it goes on for as long as its client listens."""
        return any(isinstance(step, Loop) for step in self.steps)

    def peer(self) -> ScriptedPeer:
        """A new peer that plays it, for `trioreply.testing.serve_peer`."""
        return ScriptedPeer(*self.steps)


@frozen
class ScriptedProxy:
    """A proxy that plays a script: where it is, and the peer with its record."""

    peer: ScriptedPeer
    base_url: str

    @property
    def address(self) -> Address:
        """Where it is, for a client."""
        return address_of(self.base_url)

    @property
    def host(self) -> str:
        """Its name, or on loopback its address."""
        return self.address[0]

    @property
    def port(self) -> int:
        """Its port."""
        return self.address[1]

    @property
    def heard(self) -> bytes:
        """All that its clients have said to it."""
        return b"\n".join(bytes(connection.received) for connection in self.peer.connections)


@contextlib.asynccontextmanager
async def open_scripted(
    script: Script,
    *,
    network: MemoryNetwork | None = None,
    tls: ServerTls | None = None,
    host: str = "proxy.test",
) -> AsyncIterator[ScriptedProxy]:
    """Run ``script`` as a proxy on ``network``, or on a loopback socket, until the block ends.

    Raises:
        Exception: on leaving, what the block raised, or else what the peer raised: a request that h11 refuses.
    """
    peer = script.peer()
    async with serve_peer(peer, network=network, host=host, tls=tls) as base_url:
        yield ScriptedProxy(peer, base_url)
