"""A server that follows a script: for hostile peers, and for tests about exact bytes.

A `ScriptedPeer` plays the same steps for each connection, or one script for each. Steps are small frozen values; each
knows how to play itself in a conversation. When the client goes away in the middle of a script the script ends,
quietly: that is what the test is about. A connection nobody wrote a script for is a mistake and fails the test.

The same peer runs on a `MemoryNetwork` and on a real socket (`serve_peer`), and over TLS on either. There the steps are
about what TLS carries, an end is a close_notify, and `Truncate` and `RawSend` do what TLS is there to notice.
"""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, cast

import h11
import trio
from attrs import field, frozen

from .network import MemoryNetwork
from .reading import MAX_HEAD, ReceivedRequest, head_fields
from .serving import ServedStream, close_nowait, reset, serve_streams, transport_of, truncate
from .tls import ServerTls, TlsServerStream


class Ending(enum.Enum):
    """How a conversation ended."""

    SCRIPT = "script"
    """All steps were played, and the peer closed."""
    CLIENT_CLOSED = "client-closed"
    """A step wanted bytes, and the client had ended its stream."""
    BROKEN = "broken"
    """A step met a connection that was reset, or that was closed by an earlier step."""


class _ClientClosedError(Exception):
    """The client ended its stream where the script wanted more of it."""


class PeerConnection:
    """One conversation: what was received in it, and how it ended."""

    def __init__(self, stream: ServedStream) -> None:
        self.stream = stream
        self.requests: list[ReceivedRequest] = []
        self.received = bytearray()
        """Every byte that was received, as it came."""
        self.ending: Ending | None = None
        """How it ended; `None` while it runs, and if it was cancelled with its server."""
        self._unread = bytearray()
        self._h11 = h11.Connection(h11.SERVER)
        self._ended = trio.Event()

    async def wait_ended(self) -> Ending | None:
        """Wait until the conversation is over and its stream closed."""
        await self._ended.wait()
        return self.ending

    async def play(self, steps: Sequence[Step]) -> None:
        """Play ``steps``, then close; for peers of your own make."""
        try:
            for step in steps:
                await step.play(self)
            await self.stream.aclose()
            self.ending = Ending.SCRIPT
        except _ClientClosedError:
            self.ending = Ending.CLIENT_CLOSED
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ending = Ending.BROKEN
        finally:
            close_nowait(self.stream)
            self._ended.set()

    async def receive_until(self, marker: bytes) -> bytes:
        """The bytes up to and with ``marker``; what follows stays for the next step."""
        while (at := self._unread.find(marker)) < 0:
            await self._receive_more()
        return self._take(at + len(marker))

    async def receive_exactly(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        while len(self._unread) < count:
            await self._receive_more()
        return self._take(count)

    async def receive_head(self) -> None:
        """A request's head, recorded as a request without a body so far.

        Raises:
            h11.RemoteProtocolError: the client sent something that is no request.
        """
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._h11.receive_data(await self.receive_until(b"\r\n\r\n"))
        # What ends in an empty line is a request for h11, or a mistake.
        head = cast("h11.Request", self._h11.next_event())
        self.requests.append(ReceivedRequest(**head_fields(head)))

    async def receive_body(self) -> None:
        """The body of the request whose head came last.

        Raises:
            h11.RemoteProtocolError: the body's framing is wrong.
        """
        while not self.requests[-1].is_complete:
            event = self._h11.next_event()
            if isinstance(event, h11.Event):
                self.requests[-1].add(event)
                continue
            if not self._unread:
                await self._receive_more()
            self._h11.receive_data(self._take(len(self._unread)))
        self._unread += self._h11.trailing_data[0]

    async def _receive_more(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise _ClientClosedError
        self.received += data
        self._unread += data

    def _take(self, count: int) -> bytes:
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data


class Step(Protocol):
    """One step of a script; write your own if the ones here do not do."""

    async def play(self, connection: PeerConnection, /) -> None:
        """Do it. May raise Trio's stream errors; they end the conversation."""
        ...


@frozen
class Receive:
    """Receive up to and with ``until``, or exactly ``count`` bytes."""

    until: bytes = b"\r\n\r\n"
    count: int | None = field(default=None, kw_only=True)

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        if self.count is None:
            await connection.receive_until(self.until)
        else:
            await connection.receive_exactly(self.count)


@frozen
class ReceiveHead:
    """Receive a request's head and record it; the body stays unread."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await connection.receive_head()


@frozen
class ReceiveBody:
    """Receive the body of the request whose head came last."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await connection.receive_body()


@frozen
class ReceiveRequest:
    """Receive a whole request, head and body, and record it."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await connection.receive_head()
        await connection.receive_body()


@frozen
class ReceiveEnd:
    """Receive until the client ends its stream, and go on with the script."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        with contextlib.suppress(_ClientClosedError):
            await connection.receive_exactly(2**63)


@frozen
class Send:
    """Send exactly these bytes."""

    data: bytes

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await connection.stream.send_all(self.data)


@frozen
class SendSlowly:
    """Send ``data`` in pieces of ``size`` bytes, ``delay`` seconds of Trio's clock after each (0: let others run)."""

    data: bytes
    size: int = 1
    delay: float = 0.0

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        for start in range(0, len(self.data), self.size):
            await connection.stream.send_all(self.data[start : start + self.size])
            await trio.sleep(self.delay)


@frozen
class RawSend:
    """Send exactly these bytes below TLS, where they are no record unless you made them one."""

    data: bytes

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await transport_of(connection.stream).send_all(self.data)


@frozen
class SendEof:
    """End our direction (a FIN; over TLS a close_notify alone); the client's stays open."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await connection.stream.send_eof()


@frozen
class Stall:
    """Do nothing any more, and keep the connection open until the server's block ends."""

    async def play(self, _connection: PeerConnection) -> None:
        """Do it."""
        await trio.sleep_forever()


@frozen
class Close:
    """Close the connection (a FIN, or a RST if something the client sent is unread); over TLS with a close_notify."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await connection.stream.aclose()


@frozen
class Truncate:
    """Close the connection as `Close` does, but over TLS without a close_notify: anybody may have cut it off."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        truncate(connection.stream)


@frozen
class Reset:
    """Reset the connection (a RST). What the client has not read yet may be lost; in memory, it is."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        reset(connection.stream)


@frozen
class WaitFor:
    """Wait for an event that the test sets."""

    event: trio.Event

    async def play(self, _connection: PeerConnection) -> None:
        """Do it."""
        await self.event.wait()


@frozen
class Signal:
    """Set an event that the test waits for."""

    event: trio.Event

    async def play(self, _connection: PeerConnection) -> None:
        """Do it."""
        self.event.set()


@frozen(init=False)
class Loop:
    """Play ``steps`` again and again, ``times`` times; by default until the client goes away."""

    steps: tuple[Step, ...]
    times: float

    def __init__(self, *steps: Step, times: float = math.inf) -> None:
        self.__attrs_init__(steps, times)

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        done = 0
        while done < self.times:
            # Steps such as Signal never wait; without this a loop of them alone would never let anybody else run.
            await trio.lowlevel.checkpoint()
            for step in self.steps:
                await step.play(connection)
            done += 1


class ScriptedPeer:
    """A server that plays ``steps`` on every connection, then closes it."""

    def __init__(self, *steps: Step) -> None:
        self.connections: list[PeerConnection] = []
        """The conversations so far, in the order they began."""
        self.handshakes: list[TlsServerStream] = []
        """The streams of all TLS connections so far, those included that have not got to a conversation."""
        self._for_all: Sequence[Step] = steps
        self._for_each: Sequence[Sequence[Step]] | None = None

    @classmethod
    def for_each(cls, *scripts: Sequence[Step]) -> ScriptedPeer:
        """A server with a script for each connection; one connection too many is an `AssertionError` at the end."""
        peer = cls()
        peer._for_each = scripts
        return peer

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests of all connections."""
        return [request for connection in self.connections for request in connection.requests]

    async def serve(self, stream: ServedStream) -> None:
        """Play the script on ``stream``; fits `MemoryNetwork.listen` and `trio.serve_listeners`."""
        steps = self._script_of(len(self.connections))
        connection = PeerConnection(stream)
        self.connections.append(connection)
        await connection.play(steps)

    def _script_of(self, number: int) -> Sequence[Step]:
        if self._for_each is None:
            return self._for_all
        if number >= len(self._for_each):
            raise AssertionError(
                f"a client opened connection {number + 1}, and there are {len(self._for_each)} scripts"
            )
        return self._for_each[number]


def serve_peer(
    peer: ScriptedPeer,
    *,
    network: MemoryNetwork | None = None,
    host: str = "peer.test",
    tls: ServerTls | None = None,
) -> AbstractAsyncContextManager[str]:
    """Run ``peer`` on ``network``, or on a loopback socket; ``async with`` it gives the base URL.

    With ``tls`` it speaks https; a handshake that fails is no failure of the peer, takes none of its scripts, and is
    seen in `ScriptedPeer.handshakes`.

    Raises:
        Exception: on leaving, what the block raised, or else what the peer raised: a request that h11 refuses, or a
            connection without a script.
    """
    return serve_streams(peer.serve, network=network, host=host, tls=tls, on_accept=peer.handshakes.append)
