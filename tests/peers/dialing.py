"""Diallers for real sockets that remember their streams, and a resolver to whom every host is this machine."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trioreply._net.dialers import TcpDialer
from trioreply._net.stream import SocketStream


class CountedStream(SocketStream):
    """A socket that counts the bytes that were received from it."""

    received = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As `SocketStream.receive_some`."""
        data = await super().receive_some(max_bytes)
        self.received += len(data)
        return data


class HereResolver:
    """Finds every host on this machine, under whatever name; for servers that look at the name."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002 - they make no difference
        """As `trioreply.abc.Resolver.resolve`."""
        await trio.lowlevel.checkpoint()
        return ["127.0.0.1"]


class WatchedDialer:
    """The ordinary dialler, and `streams`: all that it has dialled, in their order."""

    def __init__(self) -> None:
        self.streams: list[CountedStream] = []
        self._dialer = TcpDialer()

    async def dial(self, address: str, port: int) -> CountedStream:
        """As `trioreply.abc.Dialer.dial`."""
        stream = await self._dialer.dial(address, port)
        # The same socket in a stream of the other class: nobody has used the first one yet.
        self.streams.append(CountedStream(stream._socket))
        return self.streams[-1]


class HeldDialer(WatchedDialer):
    """One that has connected and does not say so before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.dialed = trio.Event()
        self.release = trio.Event()

    async def dial(self, address: str, port: int) -> CountedStream:
        """As `trioreply.abc.Dialer.dial`."""
        stream = await super().dial(address, port)
        self.dialed.set()
        released = False
        try:
            await self.release.wait()
            released = True
        finally:
            if not released:
                stream.close_nowait()
        return stream
