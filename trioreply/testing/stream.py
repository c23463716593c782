"""A connection in memory that breaks, blocks and closes the way a TCP connection does.

`MemoryConnection` is two bounded pipes with a `MemoryStream` at each end. What was hard is to be no kinder than the
real thing:

* A sender waits when ``buffer_size`` bytes lie unread at the other end, so back-pressure is real.
* Closing an end with nothing unread in it is a FIN: the other end reads what is on its way, then the end of the
  stream. Its first write afterwards *succeeds* and is lost; only the next one fails, because the answer to the first
  was a RST.
* Closing an end that holds unread bytes is a RST (as on Linux): the other end reads what is on its way, then breaks.
* `MemoryConnection.drop` is a RST that also loses what was on its way (as on Windows and the BSDs).
* Receiving is "check for cancellation, take, schedule": a cancelled `receive_some` has never taken anything.

Nothing here uses a socket, a thread or time.
"""

from __future__ import annotations

import contextlib
import enum
import operator
from collections.abc import Iterator

import trio
from attrs import define

BUFFER_SIZE = 64 * 1024
"""Bytes that may be on their way in one direction; about what a loopback socket takes before it makes the sender
wait.
"""

_RECEIVE_SIZE = 64 * 1024


@define
class Weather:
    """How bytes travel: shared by all connections of a network, and once more for each connection."""

    one_byte_at_a_time: bool = False
    stall: bool = False


class _Reader(enum.Enum):
    """What the sender of a pipe will find at the other end."""

    PRESENT = "present"
    GONE = "gone"
    """Closed, which the sender learns by a RST after one more write."""
    RESET = "reset"


class _Ending(enum.Enum):
    """What comes after the last byte of a pipe."""

    EOF = "eof"
    RESET = "reset"


class _Pipe:
    """One direction. Sync: streams do the waiting, on the two parking lots."""

    def __init__(self, capacity: int, weather: tuple[Weather, ...]) -> None:
        self.capacity = capacity
        self.sent = 0
        self.received = 0
        self.reader = _Reader.PRESENT
        self.ending: _Ending | None = None
        self.readable = trio.lowlevel.ParkingLot()
        self.writable = trio.lowlevel.ParkingLot()
        self._buffer = bytearray()
        self._weather = weather
        self._dropped = False

    def can_take(self) -> bool:
        """Whether `take` has something to say."""
        return self._dropped or (not self._stalled and (bool(self._buffer) or self.ending is not None))

    def can_put(self) -> bool:
        """Whether `put` would take a byte, or say why not."""
        return len(self._buffer) < self.capacity or self.reader is not _Reader.PRESENT

    @property
    def _stalled(self) -> bool:
        return any(weather.stall for weather in self._weather)

    def put(self, data: memoryview) -> int:
        """Accept as much of ``data`` as there is room for; 0 means: wait on `writable`."""
        if self.reader is _Reader.RESET:
            raise trio.BrokenResourceError("the peer has reset the connection")
        if self.reader is _Reader.GONE:
            self.reader = _Reader.RESET
            accepted = len(data)
        else:
            accepted = min(len(data), self.capacity - len(self._buffer))
            self._buffer += data[:accepted]
        self.sent += accepted
        self.readable.unpark_all()
        return accepted

    def take(self, max_bytes: int) -> bytes:
        """Up to ``max_bytes`` of what has arrived, ``b""`` at the end; only when `can_take`."""
        if any(weather.one_byte_at_a_time for weather in self._weather):
            max_bytes = 1
        data = bytes(self._buffer[:max_bytes])
        if not data and self.ending is _Ending.RESET:
            raise trio.BrokenResourceError("the peer has reset the connection")
        del self._buffer[:max_bytes]
        self.received += len(data)
        self.writable.unpark_all()
        return data

    def end(self, ending: _Ending) -> None:
        """The sender is done: nothing follows what is on its way."""
        self.ending = self.ending or ending
        self.wake()

    def leave(self) -> bool:
        """The reader is gone. Gives whether bytes were lost with it, which makes a FIN a RST."""
        lost = bool(self._buffer)
        self._buffer.clear()
        self.reader = _Reader.RESET if lost or self.reader is _Reader.RESET else _Reader.GONE
        self.wake()
        return lost

    def drop(self) -> None:
        """Break at once, in any weather."""
        self._buffer.clear()
        self._dropped = True
        self.reader = _Reader.RESET
        self.ending = _Ending.RESET
        self.wake()

    def cut(self) -> None:
        """End politely from both sides: an end of stream for the reader, nobody there any more for the sender."""
        self.end(_Ending.EOF)
        if self.reader is _Reader.PRESENT:
            self.reader = _Reader.GONE

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self.readable.unpark_all()
        self.writable.unpark_all()


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a `MemoryConnection`, with the error contract of `trio.SocketStream`.

    Besides Trio's methods it has `receive_nowait` and `close_nowait`, so an HTTP client can watch it while it is idle.
    """

    def __init__(self, connection: MemoryConnection, outgoing: _Pipe, incoming: _Pipe) -> None:
        self.connection = connection
        """The connection of which this is an end."""
        self._outgoing = outgoing
        self._incoming = incoming
        self._closed = False
        self._ended = False
        self._receiving = False
        self._sending = False

    def __repr__(self) -> str:
        side = "client" if self is self.connection.client else "server"
        return f"<MemoryStream {side} of {self.connection!r}, {'closed' if self._closed else 'open'}>"

    @property
    def is_closed(self) -> bool:
        """Whether this end was closed, by whichever way."""
        return self._closed

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As `trio.abc.SendStream.send_all`; waits while the peer does not read. Cancelled, part of it may be sent."""
        if self._ended:
            raise trio.ClosedResourceError("can't send data after sending EOF")
        with self._exclusive_send(), memoryview(data) as view:
            self._check_open()
            await trio.lowlevel.checkpoint_if_cancelled()
            accepted = 0
            while accepted < len(view):
                with view[accepted:] as rest:
                    taken = self._outgoing.put(rest)
                accepted += taken
                if not taken:
                    await self._outgoing.writable.park()
                    self._check_open()
            await trio.lowlevel.cancel_shielded_checkpoint()

    def send_nowait(self, data: bytes | bytearray) -> int:
        """Send as much of ``data`` as there is room for; gives how much that is.

        Raises:
            trio.BrokenResourceError: the peer has reset the connection.
            trio.ClosedResourceError: this end was closed or has ended its direction.
        """
        self._check_open()
        if self._ended:
            raise trio.ClosedResourceError("can't send data after sending EOF")
        with memoryview(data) as view:
            return self._outgoing.put(view)

    async def wait_send_all_might_not_block(self) -> None:
        """As `trio.abc.SendStream.wait_send_all_might_not_block`."""
        with self._exclusive_send():
            self._check_open()
            await trio.lowlevel.checkpoint()
            while not self._outgoing.can_put():
                await self._outgoing.writable.park()
                self._check_open()

    async def send_eof(self) -> None:
        """As `trio.abc.HalfCloseableStream.send_eof`."""
        with self._exclusive_send():
            await trio.lowlevel.checkpoint()
            self._check_open()
            self._ended = True
            self._outgoing.end(_Ending.EOF)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As `trio.abc.ReceiveStream.receive_some`: at most ``max_bytes`` (default 64 KiB), ``b""`` at the end.

        Raises:
            trio.BrokenResourceError: the connection was reset.
            trio.ClosedResourceError: this end is closed, perhaps while this call waited.
            trio.BusyResourceError: another task is waiting in this method.
            ValueError: ``max_bytes`` is less than 1.
        """
        limit = _RECEIVE_SIZE if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError("max_bytes must be >= 1")
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        if self._incoming.can_take():
            data = self._incoming.take(limit)
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        if self._receiving:
            raise trio.BusyResourceError("another task is already receiving from this stream")
        self._receiving = True
        try:
            while not self._incoming.can_take():
                await self._incoming.readable.park()
                self._check_open()
        finally:
            self._receiving = False
        return self._incoming.take(limit)

    def receive_nowait(self) -> bytes | None:
        """What lies ready: bytes, ``b""`` at the end or if the connection is broken, ``None`` if that is nothing."""
        if self._closed:
            return b""
        if not self._incoming.can_take():
            return None
        try:
            return self._incoming.take(_RECEIVE_SIZE)
        except trio.BrokenResourceError:
            return b""

    def close_nowait(self, farewell: bytes = b"") -> None:
        """Close at once; as much of ``farewell`` as there is room for is sent first. Idempotent.

        Tasks that wait in this end get `trio.ClosedResourceError`.
        """
        if self._closed:
            return
        if farewell:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                self.send_nowait(farewell)
        self._closed = True
        lost = self._incoming.leave()
        self._outgoing.end(_Ending.RESET if lost else _Ending.EOF)

    def reset(self) -> None:
        """Close as with a RST: the peer's next receive fails and what was on its way is lost. Idempotent."""
        if not self._closed:
            self._closed = True
            self.connection.drop()

    async def aclose(self) -> None:
        """`close_nowait`, then a checkpoint."""
        self.close_nowait()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end of the connection was closed")

    @contextlib.contextmanager
    def _exclusive_send(self) -> Iterator[None]:
        if self._sending:
            raise trio.BusyResourceError("another task is currently sending data on this stream")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False


class MemoryConnection:
    """A connection in memory: two streams, switches for what goes wrong between them, and a record.

    Inside a `MemoryNetwork` the dialler makes them; on its own it is a pair of streams with real back-pressure.

    Args:
        host: the name under which the client knew the peer, for people.
        address: the address that was dialled.
        port: the port that was dialled.
        buffer_size: bytes that may be on their way in one direction.
        weather: what the whole network does to bytes.
    """

    def __init__(
        self,
        *,
        host: str = "",
        address: str = "",
        port: int = 0,
        buffer_size: int = BUFFER_SIZE,
        weather: Weather | None = None,
    ) -> None:
        self.host = host
        self.address = address
        self.port = port
        self._weather = Weather()
        both = (weather or Weather(), self._weather)
        self._upstream = _Pipe(buffer_size, both)
        self._downstream = _Pipe(buffer_size, both)
        self.client = MemoryStream(self, self._upstream, self._downstream)
        """The end that dialled."""
        self.server = MemoryStream(self, self._downstream, self._upstream)
        """The end that was dialled."""

    def __repr__(self) -> str:
        return f"<MemoryConnection to {self.host}:{self.port} ({self.bytes_received} bytes in, {self.bytes_sent} out)>"

    @property
    def one_byte_at_a_time(self) -> bool:
        """Whether every receive, at both ends, gives one byte; may be changed at any time."""
        return self._weather.one_byte_at_a_time

    @one_byte_at_a_time.setter
    def one_byte_at_a_time(self, value: bool) -> None:
        self._weather.one_byte_at_a_time = value

    @property
    def stall(self) -> bool:
        """Whether nothing is delivered, neither bytes nor an end; switched off, what was held back arrives."""
        return self._weather.stall

    @stall.setter
    def stall(self, value: bool) -> None:
        self._weather.stall = value
        self.wake()

    @property
    def bytes_received(self) -> int:
        """Bytes that the server's end has received."""
        return self._upstream.received

    @property
    def bytes_sent(self) -> int:
        """Bytes that the server's end has sent, whether or not they were read."""
        return self._downstream.sent

    @property
    def is_open(self) -> bool:
        """Whether the end that dialled has not been closed yet."""
        return not self.client.is_closed

    def drop(self) -> None:
        """Break both directions as a RST does: `trio.BrokenResourceError` at both ends, what was on its way is gone."""
        self._upstream.drop()
        self._downstream.drop()

    def cut(self) -> None:
        """End both directions politely: both ends read what is on its way, then the end of the stream."""
        self._upstream.cut()
        self._downstream.cut()

    def wake(self) -> None:
        """Let tasks that wait look at the weather again; the switches here and on the network do it by themselves."""
        self._upstream.wake()
        self._downstream.wake()
