"""``http:`` and ``https:``: from a request to a connection's exchange.

The request's head is composed here, in the order people expect on the wire: Host first unless the user placed it, the
user's fields as they were set, then ours. What frames the message (Content-Length, Transfer-Encoding) follows from the
body; the one thing the user may say about it is a Content-Length for a body whose length we cannot know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import trio
from attrs import define, frozen

from .._model.bodies import content_type_of, is_empty, is_prompt
from .._model.errors import (
    HostNotFoundError,
    ProtocolInvalidOperationError,
    RemoteHostClosedError,
    TimeoutError,
)
from .._model.events import SocketStartedConnecting
from .._model.exchange import Sink
from .._model.headers import Headers, content_length, encode_text
from .._model.messages import ResponseHead
from .._model.options import Operation
from .._model.request import Request
from .._model.urls import host_header, origin_form
from .._net.connection import MessageSink, Origin, TlsKey
from .._net.dial import connect
from .._net.h1_connection import H1Connection
from .._net.interfaces import Dialer, Resolver
from .._net.pool import Pool
from .._net.stream import adapt
from .._net.upload import Upload, Uploads
from .._wire.codec import Codec, RequestHead
from .secure import ALPN, TlsEnvironment, secure, with_decisions

_WITH_LENGTH = frozenset({Operation.POST, Operation.PUT})
"""Operations whose meaning anticipates a body: without one they say so with a length of 0 (RFC 9110 section 8.6)."""


@frozen
class HttpEnvironment:
    """What the handler of ``http:`` and ``https:`` needs of its manager."""

    pool: Pool
    resolver: Resolver
    dialer: Dialer
    make_codec: Callable[[], Codec]
    uploads: Uploads
    connect_timeout: float
    close_later: Callable[[trio.abc.AsyncResource], None]
    tls: TlsEnvironment


@define
class Budget:
    """The seconds that all connecting for one request may take, redials included."""

    seconds: float
    left: float

    async def spend(self, origin: Origin, work: Callable[[], Awaitable[H1Connection]]) -> H1Connection:
        """``work``, as long as there is time.

        Raises:
            TimeoutError: there was not enough.
        """
        start = trio.current_time()
        with trio.move_on_after(self.left):
            try:
                return await work()
            finally:
                self.left -= trio.current_time() - start
        raise TimeoutError(
            f"Socket operation timed out: no connection to {origin} within connect_timeout={self.seconds:g} s"
        )


async def open_connection(env: HttpEnvironment, origin: Origin, sink: MessageSink) -> H1Connection:
    """Dial ``origin``, and secure the connection if it asks for that; each attempt is reported to ``sink``.

    Raises:
        Refused: the certificate is not accepted.
        TransportError: see `connect` and `secure`.
    """

    async def on_attempt(address: str) -> None:
        await sink.put(SocketStartedConnecting(origin.host, origin.port, address))

    key = origin.tls
    context = await env.tls.contexts.get(key.source, tolerance=key.tolerance, alpn=ALPN) if key is not None else None
    stream = adapt(
        await connect(origin.host, origin.port, resolver=env.resolver, dialer=env.dialer, on_attempt=on_attempt),
        env.close_later,
    )
    if key is None or context is None:
        return H1Connection(stream, env.make_codec())
    is_secure = False
    try:
        secured, info = await secure(env.tls, stream, context, origin=origin, key=key, sink=sink)
        is_secure = True
    finally:
        if not is_secure:
            stream.close_nowait()
    return H1Connection(secured, env.make_codec(), info)


async def http(env: HttpEnvironment, request: Request, sink: Sink) -> None:
    """Carry out one request on one connection.

    Raises:
        HostNotFoundError: the URL names no host.
        ReplyError: connecting or the exchange failed; see `connect` and `H1Connection`.
    """
    if not request.url.raw_host:
        raise HostNotFoundError("Host  not found: the URL names no host")
    await _connected(env, request, sink, use=partial(_exchange, env, request=request, sink=sink))


async def connect_ahead(env: HttpEnvironment, request: Request, sink: Sink) -> None:
    """Open a connection for a later request, under the limits; one that is idle already will do. Ends without a status.

    Raises:
        TransportError: see `open_connection`.
    """
    await _connected(env, request, sink, use=_nothing)
    await sink.put(ResponseHead())


Use = Callable[[H1Connection], Awaitable[None]]


async def _connected(env: HttpEnvironment, request: Request, sink: Sink, *, use: Use) -> None:
    """Do ``use`` with a connection for ``request``, kept or new."""
    seconds = env.connect_timeout if request.connect_timeout is None else request.connect_timeout
    budget = Budget(seconds, seconds)

    async def attempt(key: TlsKey | None) -> None:
        origin = Origin.of(request.url, key)
        async with env.pool.lease(origin, request.priority, sink) as lease:
            was_reused = lease.connection is not None
            if not was_reused:
                lease.attach(await budget.spend(origin, partial(open_connection, env, origin, sink)))
            connection = cast("H1Connection", lease.connection)  # nobody else puts connections into the pool
            try:
                await use(connection)
            except RemoteHostClosedError as error:
                if was_reused and error.resendable:
                    env.pool.discard_idle(origin)
                raise

    if request.url.scheme == "http":
        await attempt(None)
    else:
        strict = env.tls.is_strict(request.url.raw_host or "")
        await with_decisions(TlsKey.of(request), sink, attempt, strict=strict)


async def _nothing(connection: H1Connection) -> None:
    """The use of a connection that is only opened."""


async def _exchange(env: HttpEnvironment, connection: H1Connection, *, request: Request, sink: Sink) -> None:
    body = request.body
    if body is None or is_empty(body):
        says_so = body is not None or request.operation in _WITH_LENGTH
        await connection.exchange(compose_head(request, 0 if says_so else None, has_body=False), sink)
        return
    upload = await env.uploads.open(body)
    try:
        length = _announced_length(request, upload)
        await connection.exchange_with_body(
            compose_head(request, length, has_body=True),
            upload,
            sink,
            length=length,
            expect_continue=expects_continue(request),
            is_prompt=is_prompt(body),
        )
    finally:
        await upload.aclose()


def compose_head(request: Request, length: int | None, *, has_body: bool) -> RequestHead:
    """The head of ``request`` as it goes on the wire; ``length`` is that of its body, ``None`` if unknown (or no body).

    Raises:
        ProtocolInvalidOperationError: the user's fields contradict the body.
    """
    _check_framing(request.headers, length)
    fields = [(name.encode("ascii"), encode_text(value)) for name, value in request.headers.items()]
    if "Host" not in request.headers:
        fields.insert(0, (b"Host", host_header(request.url).encode("ascii")))
    kind = content_type_of(request.body)
    if kind is not None and "Content-Type" not in request.headers:
        fields.append((b"Content-Type", encode_text(kind)))
    if length is not None and "Content-Length" not in request.headers:
        fields.append((b"Content-Length", b"%d" % length))
    if has_body and length is None:
        fields.append((b"Transfer-Encoding", b"chunked"))
    if has_body and request.expect_continue and "Expect" not in request.headers:
        fields.append((b"Expect", b"100-continue"))
    return RequestHead(request.verb, origin_form(request.url), tuple(fields))


def expects_continue(request: Request) -> bool:
    """Whether the body waits for the server's ``100 Continue``, by the option or by the user's own field."""
    return request.expect_continue or request.headers.get("Expect", "").lower() == "100-continue"


def _check_framing(headers: Headers, length: int | None) -> None:
    if "Transfer-Encoding" in headers:
        raise ProtocolInvalidOperationError("Transfer-Encoding follows from the body; leave the field out")
    announced = headers.getall("Content-Length", ())
    if announced and announced != [str(length)]:
        raise ProtocolInvalidOperationError(
            f"Content-Length: {', '.join(announced)} was set, but the body has length {length}; leave the field out"
        )


def _announced_length(request: Request, upload: Upload) -> int | None:
    """The body's length: known by itself, or announced by the user for a body that cannot know it."""
    return content_length(request.headers) if upload.length is None else upload.length
