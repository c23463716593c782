"""One way to serve connections, on a network in memory or on a real loopback socket.

Whatever is served through here behaves the same on both: handlers run until the block ends and are then cancelled, a
client that disconnects is no failure, and `reset` is a RST. That is what makes the network in memory a verified fake:
the same test runs on either.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from collections.abc import AsyncIterator

import trio

from .background import StreamHandler, open_background
from .network import MemoryNetwork
from .stream import MemoryStream

ServedStream = MemoryStream | trio.SocketStream
"""What a server gets for a connection."""

_HTTP_PORT = 80


@contextlib.asynccontextmanager
async def serve_streams(
    serve: StreamHandler[ServedStream], *, network: MemoryNetwork | None = None, host: str = "server.test"
) -> AsyncIterator[str]:
    """Serve each connection with ``serve``; gives the base URL, such as ``http://server.test``.

    Args:
        serve: handles one connection, which is closed when it returns.
        network: where to serve; `None` for 127.0.0.1 and a free port.
        host: the name on ``network``, at port 80 or else the next free one; not used on loopback.

    Raises:
        Exception: on leaving, what the block raised, or else what ``serve`` raised that is not a disconnect.
    """
    if network is None:
        async with _serve_loopback(serve) as url:
            yield url
        return
    port = _HTTP_PORT
    while network.is_listening(host, port):
        port += 1
    async with open_background() as background:
        listener = network.listen(host, port, serve, background=background)
        try:
            yield f"http://{host}" if port == _HTTP_PORT else f"http://{host}:{port}"
        finally:
            listener.close()


@contextlib.asynccontextmanager
async def _serve_loopback(serve: StreamHandler[ServedStream]) -> AsyncIterator[str]:
    async with open_background() as background:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        handler = functools.partial(background.run, serve)
        # Not awaited: the task closes the sockets even if it is cancelled at once.
        serve_all = functools.partial(trio.serve_listeners, handler, listeners, handler_nursery=background.nursery)
        background.nursery.start_soon(serve_all)  # noqa: ASYNC113 - the sockets listen already
        port = listeners[0].socket.getsockname()[1]
        yield f"http://127.0.0.1:{port}"


def reset(stream: ServedStream) -> None:
    """Close ``stream`` at once with a RST, so that the peer's next receive fails."""
    if isinstance(stream, MemoryStream):
        stream.reset()
        return
    # Lingering for no time at all is how a socket is asked to abort (RFC 9293 section 3.10.5).
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


def close_nowait(stream: ServedStream) -> None:
    """Close ``stream`` at once."""
    if isinstance(stream, MemoryStream):
        stream.close_nowait()
    else:
        stream.socket.close()
