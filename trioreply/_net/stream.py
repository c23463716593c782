"""Byte streams: our own one over a socket, and a wrapper for everybody else's.

`SocketStream` is what connections run on. It differs from `trio.SocketStream` in three ways that this library needs:

* **It waits only when it has to.** Trio's stream gives up its turn on every call, also when the bytes lie ready in
  the kernel, and that costs more than the system call itself. Ours tries the socket first. What a checkpoint is for
  must not get lost by that, so after `STREAK` calls in a row that did not wait comes a real one, before the socket is
  touched: nothing is received and then dropped because of a cancellation. The first receiving after a sending waits
  in any case. What it is to get is mostly the answer, which no peer gives as soon as that, and to look in vain costs
  more than half of the waiting. So whoever sends and then receives has waited.
* **It can be asked, and closed, without waiting** (`receive_nowait`, `close_nowait`), as the pool does at every
  check-out.
* **It reads `RECEIVE_SIZE` bytes at a time** unless it is asked for more, which who expects much should do.

Every `OSError` is turned into Trio's two words for it here and nowhere else: `trio.ClosedResourceError` if we closed
it, `trio.BrokenResourceError` if the world did.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import trio

from .interfaces import ByteStream

RECEIVE_SIZE = 64 * 1024
"""Bytes asked of the socket when the caller does not say: memory for more is got from the system anew each time."""

STREAK = 16
"""Calls that may succeed in a row without a checkpoint: at 256 KiB each, four mebibytes and about a millisecond."""


class SocketStream(trio.abc.Stream):
    """A connected stream socket, which this object then owns. Implements `ByteStream`.

    `send_all` and `receive_some` checkpoint when they wait, and at least at every `STREAK` calls. One task may send
    while another receives; two that do the same get `trio.BusyResourceError`.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            # Small writes must not wait for acknowledgements. A Unix socket knows no such option and does not need
            # it; a connection that is broken already will say so when it is used.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._socket = sock
        self._sending = self._receiving = False
        self._awaits_answer = False
        self._send_streak = self._receive_streak = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``; when cancelled, an unknown part of it.

        Raises:
            trio.BrokenResourceError: the connection is lost.
            trio.ClosedResourceError: this stream was closed, perhaps while this call waited.
            trio.BusyResourceError: another task is sending.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            if self._send_streak == STREAK:
                self._send_streak = 0
                await trio.lowlevel.checkpoint()
            sent = self._send_now(data)
            if sent < (data.nbytes if isinstance(data, memoryview) else len(data)):
                await self._send_rest(data, sent)
            self._send_streak += 1
            self._awaits_answer = True
        finally:
            self._sending = False

    async def _send_rest(self, data: bytes | bytearray | memoryview, sent: int) -> None:
        # The views are released even on an error: a traceback that kept them would keep the caller's bytearray locked.
        with memoryview(data) as whole, whole.cast("B") as octets:
            while sent < len(octets):
                await trio.lowlevel.wait_writable(self._socket)
                with octets[sent:] as rest:
                    sent += self._send_now(rest)
        self._send_streak = 0

    def _send_now(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._trouble(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket takes bytes again. Always a checkpoint.

        Raises:
            trio.ClosedResourceError: this stream was closed.
            trio.BusyResourceError: another task is sending.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("this stream was closed")
        self._sending = True
        try:
            await trio.lowlevel.wait_writable(self._socket)
        finally:
            self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, at most ``max_bytes`` (default `RECEIVE_SIZE`); ``b""`` at the end of the stream.

        A cancelled call has taken nothing from the socket.

        Raises:
            trio.BrokenResourceError: the connection is lost.
            trio.ClosedResourceError: this stream was closed, perhaps while this call waited.
            trio.BusyResourceError: another task is receiving.
            ValueError: ``max_bytes`` is below 1.
        """
        if max_bytes is None:
            max_bytes = RECEIVE_SIZE
        elif max_bytes < 1:
            raise ValueError(f"max_bytes: must be at least 1, not {max_bytes}")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            if self._awaits_answer:
                self._awaits_answer = False
                self._receive_streak = 0
                await trio.lowlevel.wait_readable(self._socket)
            elif self._receive_streak == STREAK:
                self._receive_streak = 0
                await trio.lowlevel.checkpoint()
            self._receive_streak += 1
            while True:
                try:
                    return self._socket.recv(max_bytes)
                except BlockingIOError:
                    self._receive_streak = 0
                    await trio.lowlevel.wait_readable(self._socket)
                except OSError as error:
                    raise self._trouble(error) from error
        finally:
            self._receiving = False

    def receive_nowait(self) -> bytes | None:
        """See `ByteStream.receive_nowait`; at most `RECEIVE_SIZE` bytes."""
        try:
            return self._socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def close_nowait(self, farewell: bytes = b"") -> None:
        """Close the socket; tasks waiting in this stream get `trio.ClosedResourceError`. Idempotent."""
        if self._socket.fileno() >= 0:
            self._awaits_answer = False
            trio.lowlevel.notify_closing(self._socket)
            if farewell:
                with contextlib.suppress(OSError):  # nobody waits for it: not here, and perhaps not there
                    self._socket.send(farewell)
            self._socket.close()

    async def aclose(self) -> None:
        """`close_nowait`, then a checkpoint."""
        self.close_nowait()
        await trio.lowlevel.checkpoint()

    def _trouble(self, error: OSError) -> trio.ClosedResourceError | trio.BrokenResourceError:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this stream was closed")
        return trio.BrokenResourceError(f"the connection is lost: {error.strerror}")


class _ForeignStream:
    """Somebody else's stream, with the two methods it lacks."""

    def __init__(self, stream: trio.abc.Stream, close_later: Callable[[trio.abc.AsyncResource], None]) -> None:
        self._stream = stream
        self._close_later = close_later
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._require_open()
        await self._stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._require_open()
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        self._closed = True
        await self._stream.aclose()

    def receive_nowait(self) -> bytes | None:
        # Not to be known without waiting. A connection that was closed meanwhile is then found out by using it.
        return None

    def close_nowait(self, farewell: bytes = b"") -> None:  # noqa: ARG002 - sending it would be waiting
        if not self._closed:
            self._closed = True
            self._close_later(self._stream)

    def _require_open(self) -> None:
        # The real stream may not be closed yet when `close_nowait` was called; for us it is.
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")


def adapt(stream: trio.abc.Stream, close_later: Callable[[trio.abc.AsyncResource], None]) -> ByteStream:
    """``stream`` as a `ByteStream`: itself if it is one, else wrapped.

    Of a wrapped stream nobody can tell whether input lies ready (it says no), it sends no farewell, and
    `ByteStream.close_nowait` hands it to ``close_later``, once, which must see to it that it is closed soon
    (`trio.aclose_forcefully` in a task of the manager's).
    """
    return stream if isinstance(stream, ByteStream) else _ForeignStream(stream, close_later)
