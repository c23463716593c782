"""A small correct HTTP/1.1 proxy, on h11: tunnels by CONNECT, plain requests in absolute form.

The rules, RFC 9110 section 7 and RFC 9112 section 3.2:

* Who may not come in gets 407 with a challenge, who wants to go to a denied target 403, and for a target that cannot
  be reached it is 502. A target that is not in absolute form (for CONNECT: ``host:port``), or that carries a user, is
  400. After all of these but 400 the connection lives on, unless the proxy was opened with ``closes_refused``.
* A plain request gets a connection to its origin for itself; what is between two hops only is not passed on, nor is
  any ``Proxy-`` field. Host is made from the target, Via is added. Bodies, trailers and 1xx go through as they come.
* Request and response are carried at the same time, so an early answer to an upload arrives. The rest of the upload is
  then read and thrown away for a while, so that the connection may live on.
* Once a response has begun there is nothing left to say about what goes wrong: the visitor is cut off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from urllib.parse import urlsplit

import h11
import trio
from attrs import define

from trioreply.testing import MemoryNetwork, ServerTls

from .doors import Door, Login, Scheme, make_door
from .tunnels import Address, Exits, RealProxy, RecordedStream, run_proxy

Fields = tuple[tuple[bytes, bytes], ...]

MAX_HEAD = 1024 * 1024
"""Bytes of a head that h11 will buffer; more than an honest client or origin sends."""

LINGER_TIME = 2.0
"""Seconds that the rest of an unwanted request body may take to come."""

_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"upgrade"})
_BROKEN = (h11.RemoteProtocolError, trio.BrokenResourceError)


@define(eq=False)
class SeenRequest:
    """A request as it came to the proxy."""

    method: str
    target: str
    fields: Fields
    """Names, in the case they came in, and values, in the order of the wire."""
    status: int | None = None
    """What was answered, be it the proxy's word or the origin's; 200 for a tunnel, `None` for nothing (yet)."""

    @property
    def credentials(self) -> str | None:
        """The value of Proxy-Authorization; `None` if none came."""
        return self.header("proxy-authorization")

    def header(self, name: str) -> str | None:
        """The value of the field ``name``, in any case; repeated ones joined by a comma; `None` if there is none."""
        wanted = name.lower().encode()
        values = [value.decode("latin-1") for known, value in self.fields if known.lower() == wanted]
        return ", ".join(values) if values else None


class HttpProxy(RealProxy):
    """The proxy: where it is, and what it has seen. Made by `open_http_proxy`."""

    def __init__(self, exits: Exits, *, door: Door | None, denied: Collection[str], closes_refused: bool) -> None:
        super().__init__(exits)
        self.door = door
        """Who may come in; `None` for everybody. May be replaced at any time."""
        self.denied = denied
        self.closes_refused = closes_refused
        self.requests: list[SeenRequest] = []
        """All requests of all connections, those that were refused included, in the order they came."""

    async def serve(self, visitor: RecordedStream) -> None:
        """Answer requests until the connection ends, or has become a tunnel."""
        await _Conversation(self, visitor).run()


def open_http_proxy(
    *,
    network: MemoryNetwork | None = None,
    tls: ServerTls | None = None,
    host: str = "proxy.test",
    login: Login | None = None,
    scheme: Scheme = "basic",
    denied: Collection[str] = (),
    resolve: Mapping[str, Address] | None = None,
    closes_refused: bool = False,
) -> AbstractAsyncContextManager[HttpProxy]:
    """Run an HTTP proxy on ``network``, or on a loopback socket, until the block ends.

    Args:
        network: where it is, and where its targets are; `None` for loopback.
        tls: what it shows to its own clients; its certificate must be for ``host``, or on loopback for 127.0.0.1.
        host: its name on ``network``; not used on loopback.
        login: who may use it; `None` for everybody.
        scheme: how the login is to be given.
        denied: hosts, or ``"host:port"``, to which nobody may go.
        resolve: where names lead; see `Exits`. On loopback no other names are known.
        closes_refused: close the connection after each 407, 403 and 502, and say so before.

    Raises:
        Exception: on leaving, what the block raised, or else what the proxy raised; never a group.
    """
    door = None if login is None else make_door(login, scheme)
    exits = Exits(network, {} if resolve is None else resolve)
    return run_proxy(HttpProxy(exits, door=door, denied=denied, closes_refused=closes_refused), host=host, tls=tls)


@define
class _RefusedError(Exception):
    """The proxy's own answer to a request."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...] = ()


class _Conversation:
    """One visitor's requests."""

    def __init__(self, proxy: HttpProxy, visitor: RecordedStream) -> None:
        self._proxy = proxy
        self._visitor = visitor
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._seen: SeenRequest | None = None
        self._is_body_refused = False

    async def run(self) -> None:
        """Serve until the end."""
        try:
            while await self._serve_one():
                self._h11.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._seen = None
            await self._refuse(_RefusedError(400, str(error)), must_close=True)

    async def _serve_one(self) -> bool:
        """One request; gives whether there may be another."""
        head = await _next_event(self._h11, self._visitor)
        if not isinstance(head, h11.Request):
            return False
        seen = SeenRequest(head.method.decode(), head.target.decode(), tuple(head.headers.raw_items()))
        self._proxy.requests.append(seen)
        self._seen = seen
        try:
            if seen.method == "CONNECT":
                await self._connect(seen)
                return False
            await self._forward(seen)
        except _RefusedError as refused:
            await self._refuse(refused, must_close=self._proxy.closes_refused or refused.status == 400)
        await self._discard_rest()
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def _admit(self, seen: SeenRequest, host: str, port: int) -> None:
        """Raise if this request may not go there."""
        proxy = self._proxy
        challenge = None if proxy.door is None else proxy.door.refusal(seen.method, seen.target, seen.credentials)
        if challenge is not None:
            raise _RefusedError(407, "who are you?", (("Proxy-Authenticate", challenge),))
        if host in proxy.denied or f"{host}:{port}" in proxy.denied:
            raise _RefusedError(403, f"nobody may go to {host}")

    async def _dial(self, host: str, port: int) -> trio.abc.Stream:
        try:
            return await self._proxy.exits.dial(host, port)
        except OSError as error:
            raise _RefusedError(502, f"{host} cannot be reached: {error}") from error

    async def _connect(self, seen: SeenRequest) -> None:
        """Become a tunnel."""
        host, port, rest = _place_of(f"//{seen.target}")
        if port is None or rest != "/":
            raise _RefusedError(400, "CONNECT wants host:port")
        self._admit(seen, host, port)
        while not isinstance(await _next_event(self._h11, self._visitor), h11.EndOfMessage):
            pass
        async with await self._dial(host, port) as upstream:
            seen.status = 200
            await self._visitor.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._visitor.give_back(self._h11.trailing_data[0])
            await self._proxy.tunnel(self._visitor, upstream, (host, port))

    async def _forward(self, seen: SeenRequest) -> None:
        """Carry a plain request to its origin and the response back."""
        host, port, target = _place_of(seen.target)
        if not seen.target.lower().startswith("http://"):
            raise _RefusedError(400, "a proxy is asked for absolute URLs")
        self._admit(seen, host, port or 80)
        async with await self._dial(host, port or 80) as upstream:
            authority = urlsplit(seen.target).netloc.encode()
            fields = [(b"Host", authority), *_passed_on(seen.fields), (b"Via", b"1.1 test"), (b"Connection", b"close")]
            head = h11.Request(method=seen.method, target=target, headers=fields)
            try:
                await self._exchange(_Upstream(upstream), head)
            except* _BROKEN:
                await self._give_up()

    async def _exchange(self, origin: _Upstream, head: h11.Request) -> None:
        await origin.send(head)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carry_request, origin)
            await self._carry_response(origin)
            nursery.cancel_scope.cancel()

    async def _carry_request(self, origin: _Upstream) -> None:
        # An origin that does not want the rest may still have an answer.
        with suppress(trio.BrokenResourceError):
            while self._h11.their_state is h11.SEND_BODY:
                event = await _next_event(self._h11, self._visitor)
                await origin.send(event)

    async def _carry_response(self, origin: _Upstream) -> None:
        while True:
            event = await origin.next_event()
            match event:
                case h11.Response():
                    fields = _passed_on(event.headers.raw_items())
                    await self._send_head(event.status_code, bytes(event.reason), fields)
                case h11.InformationalResponse():
                    passed = h11.InformationalResponse(
                        status_code=event.status_code, headers=list(event.headers.raw_items())
                    )
                    await self._send(passed)
                case _:
                    await self._send(event)
            if isinstance(event, h11.EndOfMessage):
                return

    async def _send_head(self, status: int, reason: bytes, fields: Iterable[tuple[bytes, bytes]]) -> None:
        if self._seen is not None:
            self._seen.status = status
        headers = list(fields)
        if self._h11.they_are_waiting_for_100_continue:
            # Nobody can tell whether a body follows (RFC 9110 section 10.1.1).
            self._is_body_refused = True
            headers.append((b"Connection", b"close"))
        await self._send(h11.Response(status_code=status, reason=reason, headers=headers))

    async def _give_up(self) -> None:
        """Say whose fault it is, if it is not too late for that."""
        if self._h11.their_state is h11.ERROR:
            await self._refuse(_RefusedError(400, "that was no request"), must_close=True)
        else:
            await self._refuse(_RefusedError(502, "the origin speaks no HTTP"), must_close=True)

    async def _refuse(self, refused: _RefusedError, *, must_close: bool) -> None:
        if self._h11.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return  # too late: something else has been said
        text = refused.reason.encode()
        fields = [(name.encode(), value.encode()) for name, value in refused.fields]
        fields.append((b"Content-Length", str(len(text)).encode()))
        if must_close:
            fields.append((b"Connection", b"close"))
        await self._send_head(refused.status, b"", fields)
        if self._seen is None or self._seen.method != "HEAD":
            await self._send(h11.Data(data=text))
        await self._send(h11.EndOfMessage())

    async def _discard_rest(self) -> None:
        with trio.move_on_after(LINGER_TIME):
            while self._h11.their_state is h11.SEND_BODY and not self._is_body_refused:
                await _next_event(self._h11, self._visitor)

    async def _send(self, event: h11.Event) -> None:
        if data := self._h11.send(event):
            await self._visitor.send_all(data)


class _Upstream:
    """The connection to an origin, for one request."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = RecordedStream(stream)
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    async def send(self, event: h11.Event) -> None:
        """Send what ``event`` stands for."""
        if data := self._h11.send(event):
            await self._stream.send_all(data)

    async def next_event(self) -> h11.Event:
        """What comes next of the response."""
        return await _next_event(self._h11, self._stream)


async def _next_event(connection: h11.Connection, stream: RecordedStream) -> h11.Event:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Event):
            return event
        connection.receive_data(await stream.receive_some())


def _place_of(url: str) -> tuple[str, int | None, str]:
    """Host, port and what remains for the origin's first line.

    Raises:
        _RefusedError: there is no host in it, no such port, or a user.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _RefusedError(400, str(error)) from error
    if not parts.hostname or "@" in parts.netloc:
        raise _RefusedError(400, "a host is wanted, and no user")
    return parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _passed_on(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields that are for the next hop too; Host is not among them."""
    known = list(fields)
    named = {
        option.strip().lower() for name, value in known if name.lower() == b"connection" for option in value.split(b",")
    }
    dropped = _HOP_BY_HOP | named | {b"host"}
    return [
        (name, value) for name, value in known if name.lower() not in dropped and not name.lower().startswith(b"proxy-")
    ]
