"""One way to serve connections, on a network in memory or on a real loopback socket, plain or over TLS.

Whatever is served through here behaves the same on both: handlers run until the block ends and are then cancelled, a
client that disconnects is no failure, and `reset` is a RST. That is what makes the network in memory a verified fake:
the same test runs on either.

Over TLS the handshake comes before the handler. A client that does not like our certificate is a client that went
away, no failure; the stream it refused is shown to ``on_accept`` like all the others, and remembers why.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable

import trio

from .background import Background, StreamHandler, open_background
from .network import MemoryNetwork
from .tls import ServerTls, TlsServerStream
from .transport import Transport, close_transport, reset_transport

ServedStream = Transport | TlsServerStream
"""What a server gets for a connection."""

OnAccept = Callable[[TlsServerStream], object]
"""Is shown the stream of each TLS connection, before its handshake."""

_HTTP_PORT = 80
_HTTPS_PORT = 443


@contextlib.asynccontextmanager
async def serve_streams(
    serve: StreamHandler[ServedStream],
    *,
    network: MemoryNetwork | None = None,
    host: str = "server.test",
    tls: ServerTls | None = None,
    on_accept: OnAccept | None = None,
) -> AsyncIterator[str]:
    """Serve each connection with ``serve``; gives the base URL, such as ``http://server.test``.

    Args:
        serve: handles one connection, which is closed when it returns; over TLS only after a handshake that succeeded.
        network: where to serve; `None` for 127.0.0.1 and a free port.
        host: the name on ``network``, at port 80 (443 with TLS) or else the next free one; not used on loopback.
        tls: serve https with it; its certificate must be for ``host``, or on loopback for 127.0.0.1.
        on_accept: with TLS, is shown each connection's stream, also those whose handshake will fail.

    Raises:
        Exception: on leaving, what the block raised, or else what ``serve`` raised that is not a disconnect.
    """
    async with open_background() as background:
        handler: StreamHandler[Transport] = serve
        if tls is not None:
            handler = _over_tls(serve, tls, background=background, on_accept=on_accept)
        scheme = "http" if tls is None else "https"
        if network is None:
            yield f"{scheme}://{await _serve_loopback(handler, background)}"
            return
        usual = _HTTP_PORT if tls is None else _HTTPS_PORT
        port = usual
        while network.is_listening(host, port):
            port += 1
        listener = network.listen(host, port, handler, background=background)
        try:
            yield f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"
        finally:
            listener.close()


async def _serve_loopback(handler: StreamHandler[Transport], background: Background) -> str:
    """Serve on a loopback socket, in ``background``; gives its address and port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    run = functools.partial(background.run, handler)
    # Not awaited: the task closes the sockets even if it is cancelled at once.
    serve_all = functools.partial(trio.serve_listeners, run, listeners, handler_nursery=background.nursery)
    background.nursery.start_soon(serve_all)
    return f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"


def _over_tls(
    serve: StreamHandler[ServedStream], tls: ServerTls, *, background: Background, on_accept: OnAccept | None
) -> StreamHandler[Transport]:
    async def shake_hands_and_serve(stream: TlsServerStream) -> None:
        await stream.do_handshake()
        await serve(stream)

    async def accept(transport: Transport) -> None:
        stream = TlsServerStream(transport, tls)
        if on_accept is not None:
            on_accept(stream)
        # Run as any stream is: what goes wrong must be kept before the polite close wakes the client.
        await background.run(shake_hands_and_serve, stream)

    return accept


def transport_of(stream: ServedStream) -> Transport:
    """What carries the bytes of ``stream``: itself, or what lies below its TLS."""
    return stream.transport if isinstance(stream, TlsServerStream) else stream


def reset(stream: ServedStream) -> None:
    """Close ``stream`` at once with a RST, so that the peer's next receive fails."""
    if isinstance(stream, TlsServerStream):
        stream.reset()
    else:
        reset_transport(stream)


def close_nowait(stream: ServedStream) -> None:
    """Close ``stream`` at once, as politely as is possible without waiting: TLS says close_notify."""
    if isinstance(stream, TlsServerStream):
        stream.end_nowait()
    else:
        close_transport(stream)


def truncate(stream: ServedStream) -> None:
    """Close ``stream`` at once with a FIN alone: without a close_notify, over TLS."""
    if isinstance(stream, TlsServerStream):
        stream.close_nowait()
    else:
        close_transport(stream)
