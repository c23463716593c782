"""The head of a request as it goes on the wire, and whom it is written for.

The order is the one people expect: Host first unless the user placed it, the user's fields as they were set, then ours.
What frames the message (Content-Length, Transfer-Encoding) follows from the body; the one thing the user may say about
it is a Content-Length for a body whose length we cannot know.

A proxy that forwards a request reads it, so it gets the whole URL in the first line (RFC 9112 section 3.2.2), and what
is said to proxies. Nobody else does: a server never sees Proxy-Authorization, whoever set it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from attrs import evolve

from .._model.bodies import content_type_of
from .._model.errors import ProtocolInvalidOperationError
from .._model.headers import Headers, encode_text
from .._model.proxies import Proxy
from .._model.request import Request
from .._model.urls import absolute_form, host_header, local_socket, origin_form
from .._net.connection import LocalName, Route
from .._wire.codec import RequestHead

_FOR_PROXY = "Proxy-Authorization"

Field = tuple[bytes, bytes]


def route_of(request: Request) -> Route:
    """How the server of ``request`` is reached. A Unix socket has no need of a proxy."""
    if request.local_server_name is None and request.url.scheme in ("http", "https"):
        proxy = request.proxy
        if proxy is None or _FOR_PROXY not in request.headers or proxy.forwards(request.url.scheme):
            return proxy
        return _in_own_name(proxy, request.headers[_FOR_PROXY])
    return LocalName(local_socket(request.url, request.local_server_name))


def _in_own_name(proxy: Proxy, credentials: str) -> Proxy:
    """``proxy``, told the field that the request says itself: a tunnel is one user's, and carries nobody else's."""
    if proxy.type.is_socks:
        return proxy
    others = tuple(pair for pair in proxy.headers if pair[0].lower() != _FOR_PROXY.lower())
    return evolve(proxy, headers=(*others, (_FOR_PROXY, credentials)))


_REMEMBERED = 64
"""How many servers' fields are remembered; all are forgotten when there are more."""


class _Known(NamedTuple):
    """The fields of a server's last request, and all that they follow from."""

    headers: Headers
    proxy: Proxy | None
    is_forwarded: bool
    fields: tuple[Field, ...]


class HeadComposer:
    """Composes heads, and remembers the fields of requests without a body: the next one often says the same.

    That is so if its own fields are the very same object, such as those that every request of a manager has.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None, int | None], _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def compose(self, request: Request) -> RequestHead:
        """As `compose_head`, of a request without a body whose length is not said either.

        Raises:
            ProtocolInvalidOperationError: see `compose_head`.
        """
        url, headers, proxy = request.url, request.headers, request.proxy
        server = (url.scheme, url.raw_host, url.port)
        known = self._known.get(server)
        if known is None or known.headers is not headers or known.proxy is not proxy:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            fields = compose_head(request, None, has_body=False).fields
            known = self._known[server] = _Known(headers, proxy, _forwarder(request) is not None, fields)
        return RequestHead(request.verb, absolute_form(url) if known.is_forwarded else origin_form(url), known.fields)


def compose_head(request: Request, length: int | None, *, has_body: bool) -> RequestHead:
    """The head of ``request``; ``length`` is that of its body, ``None`` if unknown (or no body).

    Raises:
        ProtocolInvalidOperationError: the user's fields contradict the body.
    """
    _check_framing(request.headers, length)
    proxy = _forwarder(request)
    fields = _own_fields(request, proxy)
    kind = content_type_of(request.body)
    if kind is not None and "Content-Type" not in request.headers:
        fields.append((b"Content-Type", encode_text(kind)))
    if length is not None and "Content-Length" not in request.headers:
        fields.append((b"Content-Length", b"%d" % length))
    if has_body and length is None:
        fields.append((b"Transfer-Encoding", b"chunked"))
    if has_body and request.expect_continue and "Expect" not in request.headers:
        fields.append((b"Expect", b"100-continue"))
    target = origin_form(request.url) if proxy is None else absolute_form(request.url)
    return RequestHead(request.verb, target, tuple(fields))


def _forwarder(request: Request) -> Proxy | None:
    """The proxy that sees the request itself, and not just a tunnel."""
    proxy = request.proxy
    return proxy if proxy is not None and proxy.forwards(request.url.scheme) and route_of(request) is proxy else None


def _own_fields(request: Request, proxy: Proxy | None) -> list[Field]:
    """What the user has set, with a Host before it, and what ``proxy`` is to be told."""
    fields = _encoded(request.headers.items())
    if "Host" not in request.headers:
        fields.insert(0, (b"Host", host_header(request.url).encode("ascii")))
    if proxy is not None:
        fields += _encoded((name, value) for name, value in proxy.headers if name not in request.headers)
    elif _FOR_PROXY in request.headers:
        fields = [field for field in fields if field[0].lower() != _FOR_PROXY.lower().encode()]
    return fields


def _encoded(pairs: Iterable[tuple[str, str]]) -> list[Field]:
    return [(name.encode("ascii"), encode_text(value)) for name, value in pairs]


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
