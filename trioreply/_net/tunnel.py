"""Through a proxy: from a stream to the proxy to a stream to whom we want to speak to.

An HTTP proxy is asked with CONNECT (RFC 9110 section 9.3.6), a SOCKS proxy in its own words. Nothing here knows or asks
for credentials: whoever calls brings them, and if they do not do, `LoginDemanded` says so.

Rules that hold here:

* The proxy speaks before anybody else may. What follows its consent in the same breath cannot come from the other end,
  which waits for us (in HTTP and in TLS the client begins); a proxy that says it all the same is not to be trusted.
* An answer is read up to its end and not a byte further, and within the limits of every HTTP response.
* The caller closes the stream if anything is raised: a connection on which a tunnel was refused is not used again.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from .._model.auth import UserPassword
from .._model.errors import (
    HostNotFoundError,
    ProtocolFailure,
    ProxyConnectionClosedError,
    ProxyTimeoutError,
    ReplyError,
    UnknownProxyError,
    out_of_order,
)
from .._model.messages import ResponseHead
from .._model.proxies import Proxy
from .._wire.codec import Codec, RequestHead
from .._wire.h1_rules import BlockScanner, WireLimits
from .connection import Endpoint
from .interfaces import ByteStream

READ_SIZE = 4096
"""Bytes asked of a proxy at once: its answer is small, and what is not is suspect."""


class LoginDemanded(Exception):  # noqa: N818 - nobody's fault so far: a decision is due
    """A proxy wants credentials, or others than it got.

    Args:
        proxy: the one that demands them.
        target: to what, as ``host:port``.
        head: its answer, with status 407; ``None`` for a SOCKS proxy.
    """

    def __init__(self, proxy: Proxy, target: str, head: ResponseHead | None = None) -> None:
        super().__init__()
        self.proxy = proxy
        self.target = target
        self.head = head


async def receive_from_proxy(stream: ByteStream, proxy: Proxy) -> bytes:
    """What ``proxy`` says next, never nothing.

    Raises:
        ProxyConnectionClosedError: nothing will come.
    """
    try:
        data = bytes(await stream.receive_some(READ_SIZE))
    except trio.BrokenResourceError as error:
        raise _closed(proxy) from error
    if not data:
        raise _closed(proxy)
    return data


async def send_to_proxy(stream: ByteStream, data: bytes) -> None:
    """Say ``data``. A proxy that has gone may have said why before: that is found by reading."""
    try:
        await stream.send_all(data)
    except trio.BrokenResourceError:
        return


async def http_tunnel(
    stream: ByteStream, request: RequestHead, *, proxy: Proxy, make_codec: Callable[[], Codec], limits: WireLimits
) -> ResponseHead:
    """Send ``request``, a CONNECT, and give the proxy's final answer. If that is a success, ``stream`` is the tunnel.

    Raises:
        ProxyConnectionClosedError: the proxy ended the connection.
        UnknownProxyError: it said something that is no answer, or too much.
    """
    codec = make_codec()
    await send_to_proxy(stream, codec.start(request) + codec.end_request())
    scanner = BlockScanner(limits)
    rest = b""
    try:
        while True:
            found = scanner.feed(rest or await receive_from_proxy(stream, proxy))
            rest = b""
            if found is None:
                continue
            block, rest = found
            # One head at a time, so that what follows the last one is seen here and by nobody else.
            heads = [message for message in codec.receive(block) if isinstance(message, ResponseHead)]
            if heads:
                break
    except ProtocolFailure as error:
        raise out_of_order(
            UnknownProxyError(
                f"Did not receive HTTP response from proxy {proxy}: {error}; check the proxy's type and port"
            )
        ) from error
    (head,) = heads
    if rest and is_success(head):
        raise out_of_order(UnknownProxyError(f"the proxy {proxy} put bytes of its own into the tunnel"))
    return head


async def socks_tunnel(stream: ByteStream, proxy: Proxy, target: Endpoint, *, login: UserPassword | None) -> None:
    """Have ``proxy``, of a SOCKS type, connect us to ``target``; ``stream`` is the tunnel then.

    Raises:
        LoginDemanded: it wants credentials, or does not accept ``login``.
        HostNotFoundError, ConnectionRefusedError, TemporaryNetworkFailureError, TimeoutError: it could not connect.
        ProxyError: see `Negotiation`.
    """
    from .._wire.socks import LoginWanted, negotiate

    negotiation = negotiate(proxy, target.host, target.port, login=login)
    try:
        await send_to_proxy(stream, negotiation.start())
        while not negotiation.is_done:
            answer = negotiation.receive(await receive_from_proxy(stream, proxy))
            if answer:
                await send_to_proxy(stream, answer)
    except LoginWanted:
        raise LoginDemanded(proxy, str(target)) from None


def is_success(head: ResponseHead) -> bool:
    """Whether a tunnel is open after ``head``."""
    return head.status_code is not None and 200 <= head.status_code < 300


def refusal(head: ResponseHead, proxy: Proxy, target: str) -> ReplyError:
    """What it means that ``proxy`` answered ``head`` instead of opening a tunnel (Qt's table, where it is no guess)."""
    said = f"{head.status_code} {head.reason}".strip()
    match head.status_code:
        case 403 | 405:
            return UnknownProxyError(f"Proxy denied connection: {proxy} answered {said} for {target}")
        case 404:
            return HostNotFoundError(f"Host {target} not found: the proxy {proxy} answered {said}")
        case 504:
            return ProxyTimeoutError(
                f"Error communicating with HTTP proxy: {proxy} answered {said}; {target} did not answer it in time"
            )
        case _:
            return UnknownProxyError(f"Error communicating with HTTP proxy: {proxy} answered {said} for {target}")


def _closed(proxy: Proxy) -> ReplyError:
    return out_of_order(
        ProxyConnectionClosedError(f"Proxy connection closed prematurely: {proxy} gave no answer; check its type")
    )
