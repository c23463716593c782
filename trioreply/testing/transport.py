"""What carries a served connection's bytes, in memory or over loopback, and how to send and close without waiting.

Plain connections are these streams themselves; TLS (`TlsServerStream`) lies on top of one of them. What was hard:
Trio's sockets have no send that does not wait, and a close that says goodbye must neither wait nor fail.
"""

from __future__ import annotations

import contextlib
import socket
import struct

import trio

from .stream import MemoryStream

Transport = MemoryStream | trio.SocketStream
"""A connection's bytes as the network carries them."""


def reset_transport(transport: Transport) -> None:
    """Close ``transport`` at once with a RST, so that the peer's next receive fails."""
    if isinstance(transport, MemoryStream):
        transport.reset()
        return
    if transport.socket.fileno() >= 0:
        # Lingering for no time at all is how a socket is asked to abort (RFC 9293 section 3.10.5).
        transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.socket.close()


def close_transport(transport: Transport, farewell: bytes = b"") -> None:
    """Close ``transport`` at once; ``farewell`` is sent first if that needs no waiting. Idempotent."""
    if isinstance(transport, MemoryStream):
        transport.close_nowait(farewell)
        return
    if farewell:
        # Nobody waits for it: not here, and perhaps not there.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            send_nowait(transport, farewell)
    transport.socket.close()


def send_nowait(transport: Transport, data: bytes | bytearray) -> int:
    """Send as much of ``data`` as ``transport`` takes at once; gives how much that is.

    Raises:
        trio.BrokenResourceError: the connection is lost.
        trio.ClosedResourceError: this end was closed.
    """
    if isinstance(transport, MemoryStream):
        return transport.send_nowait(data)
    if transport.socket.fileno() < 0:
        raise trio.ClosedResourceError("this socket was closed")
    # Trio's sockets do not wait in the system, so this second object for the same one does not either.
    borrowed = socket.socket(fileno=transport.socket.fileno())
    try:
        return borrowed.send(data)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise trio.BrokenResourceError(f"the connection is lost: {error.strerror}") from error
    finally:
        borrowed.detach()  # it is Trio's to close
