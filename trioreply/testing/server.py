"""A small correct HTTP/1.1 origin server, on h11, whose routes are async functions.

It does what a test needs an honest server for: keep-alive, streamed request and response bodies, chunks with
trailers, HEAD, 1xx, early responses, and all of that over TLS as well. A handler that waits for a `trio.Event` holds
its response back for as long as the test likes.

The rules that were hard:

* A response may be sent before the request is complete. What remains of the request is then read and thrown away, up to
  `LINGER_SIZE` bytes and `LINGER_TIME` seconds; if it ends within that the connection lives on, else it is closed.
  Closing at once would reset the connection, and the client might lose the response (RFC 9112 section 9.6).
* ``100 Continue`` is sent when the handler first asks for the body, so a handler that answers without reading refuses
  it (RFC 9110 section 10.1.1). Such a connection is closed: nobody can tell whether a body follows.
* A client that goes away is not a failure; a handler that raises is, and surfaces when the server's block ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Self

import h11
import trio
from attrs import define, field, frozen

from .network import MemoryNetwork
from .reading import MAX_HEAD, ReceivedRequest, head_fields
from .serving import ServedStream, close_nowait, reset, serve_streams, truncate
from .tls import ServerTls, TlsServerStream

LINGER_SIZE = 1024 * 1024
"""Bytes of an unwanted request body that are read so that the client gets to read the response."""

LINGER_TIME = 2.0
"""Seconds that this may take."""

_WITHOUT_BODY = frozenset({204, 304})


def _as_tuple(fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(fields)


@frozen
class OriginResponse:
    """What a handler answers.

    A streamed body goes out in chunks, unless ``headers`` hold a Content-Length. Bytes get their Content-Length by
    themselves.
    """

    status_code: int = 200
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_as_tuple)
    body: bytes | AsyncIterable[bytes] = b""
    reason: str = field(default="", kw_only=True)
    trailers: tuple[tuple[str, str], ...] = field(default=(), converter=_as_tuple, kw_only=True)
    close: bool = field(default=False, kw_only=True)
    """Announce and do the closing of the connection after this response."""


@define(eq=False)
class OriginRequest(ReceivedRequest):
    """A request in its handler's hands; iterating over it gives the body as it comes."""

    connection: OriginConnection = field(kw_only=True, repr=False)

    # No generator: who leaves the loop early would leave one behind for the garbage collector.
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self.is_complete:
            piece = await self.connection.receive_piece(self)
            if piece:
                return piece
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """The whole body, the part read before included."""
        while not self.is_complete:
            await self.connection.receive_piece(self)
        return self.body

    async def inform(self, status_code: int, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send a 1xx response, such as 103 with ``Link`` fields."""
        await self.connection.send(h11.InformationalResponse(status_code=status_code, headers=list(headers)))


OriginHandler = Callable[[OriginRequest], Awaitable[OriginResponse]]
"""Answers a request. It need not read the body; it may read it while the response's body is being sent."""

Routes = Mapping[str, OriginHandler | OriginResponse]
"""From paths to what answers there; a plain response is given to everybody. What is not in it is a 404."""


class _ClientGoneError(Exception):
    """The client ended its stream within a request."""


class OriginConnection:
    """One connection of the server's: its requests, and the means to break it."""

    def __init__(self, stream: ServedStream, respond: OriginHandler) -> None:
        self.requests: list[OriginRequest] = []
        self.is_open = True
        self._stream = stream
        self._respond = respond
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    def close(self) -> None:
        """Close it now, whatever is going on; over TLS with a close_notify if that needs no waiting."""
        close_nowait(self._stream)

    def truncate(self) -> None:
        """Close it now, over TLS without a close_notify."""
        truncate(self._stream)

    def reset(self) -> None:
        """Reset it now (a RST), whatever is going on."""
        reset(self._stream)

    async def serve(self) -> None:
        """Answer requests until the connection ends."""
        try:
            while await self._serve_one():
                self._h11.start_next_cycle()
        except _ClientGoneError:
            pass
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
        finally:
            self.is_open = False

    async def receive_piece(self, request: OriginRequest) -> bytes:
        """The next piece of the request's body; ``b""`` with its end."""
        if self._h11.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        return request.add(await self._next_event())

    async def send(self, event: h11.Event) -> None:
        """Send what ``event`` stands for."""
        data = self._h11.send(event)
        if data:
            await self._stream.send_all(data)

    async def _next_event(self) -> h11.Event:
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Event):
                return event
            data = await self._stream.receive_some()
            if not data and self._h11.their_state is h11.SEND_BODY:
                raise _ClientGoneError
            self._h11.receive_data(data)

    async def _serve_one(self) -> bool:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return False  # the client closed between two requests
        request = OriginRequest(**head_fields(head), connection=self)
        self.requests.append(request)
        response = await self._respond(request)
        await self._send_response(request, response)
        if self._h11.our_state is h11.MUST_CLOSE:
            await self._stream.send_eof()
        await self._discard_rest(request)
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    async def _send_response(self, request: OriginRequest, response: OriginResponse) -> None:
        headers = list(response.headers)
        is_bodiless = response.status_code in _WITHOUT_BODY
        if isinstance(response.body, bytes) and not is_bodiless and not _has_framing(headers):
            headers.append(("Content-Length", str(len(response.body))))
        if response.close or self._h11.they_are_waiting_for_100_continue:
            headers.append(("Connection", "close"))
        await self.send(h11.Response(status_code=response.status_code, headers=headers, reason=response.reason))
        if request.method == "HEAD" or is_bodiless:
            await self.send(h11.EndOfMessage())
        else:
            await self._send_body(response.body)
            await self.send(h11.EndOfMessage(headers=list(response.trailers)))

    async def _send_body(self, body: bytes | AsyncIterable[bytes]) -> None:
        if isinstance(body, bytes):
            await self.send(h11.Data(data=body))
            return
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(body, AsyncGenerator):
                # A client that goes away must not leave the handler's generator to the garbage collector.
                await stack.enter_async_context(contextlib.aclosing(body))
            async for piece in body:
                await self.send(h11.Data(data=piece))

    async def _discard_rest(self, request: OriginRequest) -> None:
        discarded = 0
        with trio.move_on_after(LINGER_TIME):
            while self._h11.their_state is h11.SEND_BODY and discarded <= LINGER_SIZE:
                discarded += len(await self.receive_piece(request))

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._h11.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            text = str(error).encode()
            headers = [("Content-Length", str(len(text))), ("Connection", "close")]
            await self.send(h11.Response(status_code=error.error_status_hint, headers=headers))
            await self.send(h11.Data(data=text))
            await self._linger()

    async def _linger(self) -> None:
        """End our direction and throw away what still comes, so that the client reads what was sent last."""
        await self._stream.send_eof()
        discarded = 0
        with trio.move_on_after(LINGER_TIME):
            while discarded <= LINGER_SIZE and (data := await self._stream.receive_some()):
                discarded += len(data)


class Origin:
    """The server: where it is, and what it has seen. Made by `open_origin`."""

    def __init__(self, routes: Routes | OriginHandler) -> None:
        self.routes = routes
        """May be replaced at any time."""
        self.connections: list[OriginConnection] = []
        """All connections so far."""
        self.handshakes: list[TlsServerStream] = []
        """The streams of all TLS connections so far, those included whose handshake failed."""
        self.base_url = ""

    @property
    def requests(self) -> list[OriginRequest]:
        """The requests of all connections, by connection."""
        return [request for connection in self.connections for request in connection.requests]

    @property
    def open_connections(self) -> int:
        """How many connections are open, as the server sees it."""
        return sum(connection.is_open for connection in self.connections)

    def url(self, target: str = "/") -> str:
        """The absolute URL of ``target``."""
        return self.base_url + target

    async def serve(self, stream: ServedStream) -> None:
        """Serve one connection."""
        connection = OriginConnection(stream, self._respond)
        self.connections.append(connection)
        await connection.serve()

    async def _respond(self, request: OriginRequest) -> OriginResponse:
        if not isinstance(self.routes, Mapping):
            return await self.routes(request)
        route = self.routes.get(request.path)
        if route is None:
            return OriginResponse(404, body=b"there is nothing here")
        return route if isinstance(route, OriginResponse) else await route(request)


@contextlib.asynccontextmanager
async def open_origin(
    routes: Routes | OriginHandler,
    *,
    network: MemoryNetwork | None = None,
    host: str = "origin.test",
    tls: ServerTls | None = None,
) -> AsyncIterator[Origin]:
    """Run an origin server on ``network``, or on a loopback socket, until the block ends.

    Args:
        routes: a mapping from paths to handlers or fixed responses, or one handler for everything.
        network: where to serve; `None` for 127.0.0.1 and a free port.
        host: the name on ``network``; not used on loopback.
        tls: serve https with it; its certificate must be for ``host``, or on loopback for 127.0.0.1.

    Raises:
        Exception: on leaving, what the block raised, or else what a handler raised; never a group.
    """
    origin = Origin(routes)
    shown = origin.handshakes.append
    async with serve_streams(origin.serve, network=network, host=host, tls=tls, on_accept=shown) as origin.base_url:
        yield origin


def _has_framing(headers: Iterable[tuple[str, str]]) -> bool:
    return any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers)
