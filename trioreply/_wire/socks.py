"""SOCKS from the client's side: version 5 (RFC 1928, RFC 1929), version 4 and its extension 4A, without any I/O.

A `Negotiation` is one attempt to have one proxy connect us to one target. It is started, fed what the proxy says, and
says what to answer, until it is done or raises. Whatever it raises ends the connection; another attempt needs another
connection, and another `Negotiation`.

The rules:

* The outcome depends on the bytes, never on how they were cut. Each field is judged as soon as it is complete: a peer
  that speaks something else is recognised by its first byte, and a refusal by its code, so that proxies which cut their
  refusals short are understood too. No more is kept than one field that is still incomplete, at most 256 bytes.
* What the proxy says about the target is told as if we had found out ourselves (`HostNotFoundError`, ...). A
  `ProxyError` means that the proxy does not work, or not for this target. `LoginWanted` is no failure yet.
* Nothing may follow the proxy's consent: the target speaks only after us, in HTTP as in TLS, so it would be the proxy
  that speaks in the target's name.
* No text holds a user name or a password.

Why there is no library underneath. socksio is the one that does no I/O, and what it leaves to do was measured with its
release 1.0. It takes each piece of input for a whole message, so versions, address types and lengths must have been
read before it can be asked. It ignores the version of the first answer, takes a wrong one in the second for a refused
login, gives an address that is a name with its length byte in it, and fails if it is no UTF-8. Codes that it does not
know, and refusals that are cut short, are the same "Malformed reply" as garbage. What is too long ends in an
`OverflowError`, a NUL in a SOCKS4 user name goes out and ends the field early, and a SOCKS4A request for an address
sends its four raw bytes as a name. What would be left for it is to join a few constant bytes.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from .._model.auth import UserPassword, user_bytes
from .._model.errors import (
    ConnectionRefusedError,
    HostNotFoundError,
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ReplyError,
    TemporaryNetworkFailureError,
    TimeoutError,
    UnknownProxyError,
    out_of_order,
)
from .._model.proxies import Proxy, ProxyType
from .._model.values import frozen

_Talk = Generator[tuple[bytes, int], bytes, None]
"""A handshake, as it goes: it gives what to send and how many bytes must come next (0: it is done), and gets those."""

_Host = str | IPv4Address | IPv6Address

_GREETING = b"\x05\x02\x00\x02"
"""Version 5 and two methods. User and password are offered even without any: else nobody would hear of the need."""
_NO_AUTHENTICATION, _USER_PASSWORD, _NO_METHOD = b"\x00", b"\x02", b"\xff"
_OK = b"\x00"
_NAME = 3
_ADDRESS_SIZES = {1: 4, 4: 16}
"""Bytes of an address of SOCKS5 by its type; a name (type 3) brings its length along."""

_GRANTED = b"\x5a"
_NAME_FOLLOWS = b"\x00\x00\x00\x01"
"""What SOCKS4A has in the place of an address: one that cannot exist, 0.0.0.x with an x that is not 0."""

# A name is in its ASCII form already; both protocols have room for 255 bytes, and SOCKS4A ends it with a NUL.
_SENDABLE_NAME = re.compile(r"[\x21-\x7e]{1,255}")

_SOCKS5_REFUSALS: Final[dict[int, tuple[type[ReplyError], str]]] = {
    1: (HostNotFoundError, "general failure; the host may not exist, or the proxy cannot reach it"),
    2: (HostNotFoundError, "not allowed by its rules; ask who runs it, or use another proxy"),
    3: (TemporaryNetworkFailureError, "network unreachable; try again later"),
    4: (HostNotFoundError, "host unreachable; check the host's name"),
    5: (ConnectionRefusedError, "connection refused; check the port, nobody listens there"),
    6: (TimeoutError, "time to live expired; the host is too far away or does not answer, try again later"),
    7: (UnknownProxyError, "command not supported; it opens no connections, use another proxy"),
    8: (UnknownProxyError, "address type not supported; use another proxy, or give it names (SOCKS5H) or addresses"),
}
"""The codes of RFC 1928 section 6, in Qt's classes as far as Qt has more to say than that it does not know."""

_SOCKS4_REFUSALS: Final[dict[int, tuple[type[ReplyError], str]]] = {
    0x5B: (UnknownProxyError, "rejected or failed; check host and port, and whether the proxy allows them"),
    0x5C: (ProxyConnectionRefusedError, "it cannot ask this machine's identd who we are; run one, or use SOCKS5"),
    0x5D: (ProxyConnectionRefusedError, "this machine's identd names another user; give the Proxy that user"),
}


class LoginWanted(Exception):  # noqa: N818 - nobody's fault so far: a decision is due
    """A SOCKS5 proxy wants a user and a password, or others than it got.

    Args:
        was_refused: it has seen some, and did not accept them.
    """

    def __init__(self, *, was_refused: bool) -> None:
        super().__init__()
        self.was_refused = was_refused


class Negotiation:
    """One attempt at one connection to a target. Made by `negotiate`; over, if anything is raised."""

    __slots__ = ("_opening", "_partial", "_talk", "_wanted", "_way")

    def __init__(self, way: _Way, talk: _Talk) -> None:
        self._way = way
        self._talk = talk
        self._opening, self._wanted = next(talk)
        self._partial = b""

    @property
    def is_done(self) -> bool:
        """Whether the proxy has consented: what is sent and comes from now on is the target's."""
        return not self._wanted

    def start(self) -> bytes:
        """What to send first."""
        return self._opening

    def receive(self, data: bytes) -> bytes:
        """Feed what the proxy said, ``b""`` for the end of the stream; gives what to send now, which may be nothing.

        Raises:
            LoginWanted: it demands credentials, or refuses those it was given (RFC 1929 section 2).
            HostNotFoundError, ConnectionRefusedError, TemporaryNetworkFailureError, TimeoutError: what it says about
                the target.
            ProxyConnectionClosedError: it ended the connection before it was done.
            ProxyConnectionRefusedError: it does not know us (SOCKS4).
            UnknownProxyError: it refuses for another reason, does not speak SOCKS, or goes on after its consent.
        """
        if not data:
            raise self._way.closed()
        to_send = b""
        position = 0
        while position < len(data):
            if self.is_done:
                raise self._way.injected()
            piece = data[position : position + self._wanted - len(self._partial)]
            position += len(piece)
            self._partial += piece
            if len(self._partial) == self._wanted:
                answer, self._wanted = self._talk.send(self._partial)
                self._partial = b""
                to_send += answer
        return to_send


def negotiate(proxy: Proxy, host: str, port: int, *, login: UserPassword | None) -> Negotiation:
    """Begin to have ``proxy``, of a SOCKS type, connect us to ``host``.

    Args:
        proxy: its type decides about the protocol, and it is named in errors.
        host: an address, or a name in its ASCII form, which the proxy will resolve (not with SOCKS4). The zone of an
            IPv6 address is left out, because it means something on this machine only.
        port: 0 to 65535.
        login: for SOCKS5, told only if the proxy asks; of SOCKS4, whose proxies do not ask, the user is told at once.

    Raises:
        HostNotFoundError: no such host can exist: its name is empty, too long or not ASCII, or its address is 0.0.0.x,
            which in SOCKS4 means something else.
        UnknownProxyError: this kind of proxy cannot be told that host or that login.
    """
    way = _Way(proxy, host, port)
    if proxy.type in (ProxyType.SOCKS4, ProxyType.SOCKS4A):
        return Negotiation(way, _socks4(way, _socks4_request(way, login)))
    return Negotiation(way, _socks5(way, _socks5_request(way), login=_socks5_login(way, login)))


@frozen
class _Way:
    """From which proxy to which target: what the errors name."""

    proxy: Proxy
    host: str
    port: int

    @property
    def target(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def protocol(self) -> str:
        return "SOCKS4" if self.proxy.type in (ProxyType.SOCKS4, ProxyType.SOCKS4A) else "SOCKS5"

    def closed(self) -> ReplyError:
        return out_of_order(
            ProxyConnectionClosedError(
                f"Proxy connection closed prematurely: {self.proxy} ended the {self.protocol} handshake; check the "
                "proxy's type and port"
            )
        )

    def injected(self) -> ReplyError:
        return out_of_order(
            UnknownProxyError(f"the proxy {self.proxy} put bytes of its own into the tunnel; use another proxy")
        )

    def malformed(self) -> ReplyError:
        return out_of_order(
            UnknownProxyError(
                f"{self.proxy} did not answer as a {self.protocol} server; check the proxy's type and port"
            )
        )

    def refused(self, code: int) -> ReplyError:
        """What the proxy's ``code``, which is not the one for consent, amounts to."""
        refusals = _SOCKS4_REFUSALS if self.protocol == "SOCKS4" else _SOCKS5_REFUSALS
        unknown = UnknownProxyError, f"an unknown refusal, code {code}; ask who runs it, or use another proxy"
        make_error, words = refusals.get(code, unknown)
        return make_error(f"No connection to {self.target}: the proxy {self.proxy} answered: {words}")

    def check(self, version: bytes, expected: bytes) -> None:
        """Refuse an answer that does not begin with ``expected``."""
        if version != expected:
            raise self.malformed()


def _socks5(way: _Way, request: bytes, *, login: bytes | None) -> _Talk:
    """The handshake of RFC 1928 sections 3 to 6, with that of RFC 1929 inside."""
    way.check((yield _GREETING, 1), b"\x05")
    method = yield b"", 1
    if method == _USER_PASSWORD and login is not None:
        way.check((yield login, 1), b"\x01")
        if (yield b"", 1) != _OK:
            raise LoginWanted(was_refused=True)
    elif method == _USER_PASSWORD:
        raise LoginWanted(was_refused=False)
    elif method == _NO_METHOD:
        raise ProxyConnectionRefusedError(
            f"Connection to proxy refused: {way.proxy} takes neither passwords nor anybody without one"
        )
    elif method != _NO_AUTHENTICATION:
        raise way.malformed()  # it was not offered
    way.check((yield request, 1), b"\x05")
    (code,) = yield b"", 1
    if code:
        raise way.refused(code)
    # Where the proxy's own end is: of no use to us, but it stands between us and the target's first byte.
    _, kind = yield b"", 2
    if kind == _NAME:
        (size,) = yield b"", 1
    elif kind in _ADDRESS_SIZES:
        size = _ADDRESS_SIZES[kind]
    else:
        raise way.malformed()
    yield b"", size + 2
    yield b"", 0


def _socks4(way: _Way, request: bytes) -> _Talk:
    """The handshake of SOCKS4: a request, and eight bytes, of which the last six have no meaning for us."""
    way.check((yield request, 1), b"\x00")
    code = yield b"", 1
    if code != _GRANTED:
        raise way.refused(code[0])
    yield b"", 6
    yield b"", 0


def _parsed(way: _Way) -> _Host:
    """The target as an address, or as a name that can be sent."""
    try:
        return ip_address(way.host)
    except ValueError:
        if _SENDABLE_NAME.fullmatch(way.host):
            return way.host
    raise HostNotFoundError(
        f"Host not found: its name has {len(way.host)} characters, and a SOCKS proxy takes 1 to 255, all of visible "
        "ASCII; check the URL"
    )


def _socks5_request(way: _Way) -> bytes:
    """CONNECT (RFC 1928 section 4)."""
    host = _parsed(way)
    if isinstance(host, str):
        address = bytes([_NAME, len(host)]) + host.encode("ascii")
    else:
        address = (b"\x01" if isinstance(host, IPv4Address) else b"\x04") + host.packed
    return b"\x05\x01\x00" + address + way.port.to_bytes(2, "big")


def _socks5_login(way: _Way, login: UserPassword | None) -> bytes | None:
    """The message with user and password (RFC 1929 section 2)."""
    if login is None:
        return None
    message = b"\x01"
    for name, text in (("user name", login.user), ("password", login.password)):
        part = user_bytes(text)
        # RFC 1929 wants a byte at least of each. A token for a user needs no password, and everybody sends it empty.
        if len(part) > 255:
            raise UnknownProxyError(
                f"the {name} for {way.proxy} has {len(part)} bytes, and SOCKS5 takes 255; give another one"
            )
        message += bytes([len(part)]) + part
    return message


def _socks4_request(way: _Way, login: UserPassword | None) -> bytes:
    """CONNECT of SOCKS4, or of SOCKS4A if the target is a name and the proxy is said to know names."""
    user = b"" if login is None else user_bytes(login.user)
    if b"\x00" in user:
        raise UnknownProxyError(f"the user name for {way.proxy} holds a NUL, which would end it; give another one")
    host = _parsed(way)
    if isinstance(host, IPv6Address):
        raise _too_old(way, "an IPv6 address", "SOCKS5")
    if isinstance(host, IPv4Address):
        address, name = host.packed, b""
        if address[:3] == _NAME_FOLLOWS[:3] and address[3]:
            # The proxy would wait for a name.
            raise HostNotFoundError(f"Host not found: {way.host} is no address of a host; check the URL")
    elif way.proxy.type is ProxyType.SOCKS4A:
        address, name = _NAME_FOLLOWS, host.encode("ascii") + b"\x00"
    else:
        raise _too_old(way, "a host name", "SOCKS4A or SOCKS5H")
    return b"\x04\x01" + way.port.to_bytes(2, "big") + address + user + b"\x00" + name


def _too_old(way: _Way, what: str, remedy: str) -> ReplyError:
    return UnknownProxyError(f"{way.proxy} cannot be told {what}, {way.host}; use a proxy of type {remedy}")
