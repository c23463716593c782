"""SOCKS proxies that refuse, lie, fall silent or never stop: by name, as scripts.

The steps read what an honest client says at each stage, so a proxy goes wrong exactly there; what a client says that
speaks another version, or no SOCKS at all, is not judged. The scripts of version 5 take whatever methods are offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from trioreply.testing import Close, Loop, PeerConnection, Reset, Send, Stall, Step

from .scripts import Script
from .socks_messages import read_greeting, read_login, read_request, read_request4, reply4, reply5

NO_LOGIN, ASK_LOGIN, NO_METHOD = b"\x05\x00", b"\x05\x02", b"\x05\xff"
"""Answers to a greeting."""
LOGIN_RIGHT, LOGIN_WRONG = b"\x01\x00", b"\x01\x01"
"""Answers to a login."""
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
"""What no proxy may say in its target's name."""


@frozen
class ReceiveGreeting:
    """Receive the greeting of version 5."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await read_greeting(connection)


@frozen
class ReceiveLogin:
    """Receive user and password of version 5."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await read_login(connection)


@frozen
class ReceiveWish:
    """Receive the request of version 5."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await read_request(connection)


@frozen
class ReceiveWish4:
    """Receive the request of version 4 or 4A."""

    async def play(self, connection: PeerConnection) -> None:
        """Do it."""
        await read_request4(connection)


def _after_wish(*steps: Step) -> Script:
    return Script(ReceiveGreeting(), Send(NO_LOGIN), ReceiveWish(), *steps)


def _after_login(*steps: Step) -> Script:
    return Script(ReceiveGreeting(), Send(ASK_LOGIN), ReceiveLogin(), *steps)


def socks5_reply(code: int, address: bytes = b"\x01\0\0\0\0") -> Script:
    """Answer the request with ``code``, then close; ``address`` is what the proxy says it bound, its type first."""
    return _after_wish(Send(reply5(code, address)))


def socks4_reply(code: int) -> Script:
    """Answer the request with ``code``, then close."""
    return Script(ReceiveWish4(), Send(reply4(code)))


_GRANTED = reply5(0)

SOCKS5_MISCHIEF: Mapping[str, Script] = MappingProxyType(
    {
        **{f"reply {code}": socks5_reply(code) for code in (*range(1, 10), 255)},
        "refusal cut short": _after_wish(Send(b"\x05\x05"), Close()),
        "no method": Script(ReceiveGreeting(), Send(NO_METHOD)),
        "unoffered method": Script(ReceiveGreeting(), Send(b"\x05\x01")),
        "login refused": _after_login(Send(LOGIN_WRONG)),
        "login in a wrong version": _after_login(Send(b"\x05\x00"), Stall()),
        "wrong version": Script(ReceiveGreeting(), Send(b"\x04\x00"), Stall()),
        "wrong version in the reply": _after_wish(Send(b"\x04" + _GRANTED[1:]), Stall()),
        "http": Script(ReceiveGreeting(), Send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
        "unknown address type": _after_wish(Send(b"\x05\x00\x00\x02" + bytes(6)), Stall()),
        "endless name": _after_wish(Send(b"\x05\x00\x00\x03\xff"), Loop(Send(b"x" * 1000))),
        "empty name": socks5_reply(0, b"\x03\0"),
        "injected": _after_wish(Send(_GRANTED + EVIL), Stall()),
        "closed at once": Script(Close()),
        "closed after the greeting": Script(ReceiveGreeting(), Close()),
        "closed within the method": Script(ReceiveGreeting(), Send(NO_LOGIN[:1]), Close()),
        "closed after the method": Script(ReceiveGreeting(), Send(NO_LOGIN), Close()),
        "closed after the login": _after_login(Close()),
        "closed within the login's answer": _after_login(Send(LOGIN_RIGHT[:1]), Close()),
        "closed after the login's answer": _after_login(Send(LOGIN_RIGHT), Close()),
        "closed after the request": _after_wish(Close()),
        "closed within the reply": _after_wish(Send(_GRANTED[:3]), Close()),
        "closed within the address": _after_wish(Send(_GRANTED[:7]), Close()),
        "closed within a name": _after_wish(Send(b"\x05\x00\x00\x03\x0aproxy"), Close()),
        "reset after the request": _after_wish(Reset()),
        "silent at once": Script(Stall()),
        "silent after the greeting": Script(ReceiveGreeting(), Stall()),
        "silent after the method": Script(ReceiveGreeting(), Send(NO_LOGIN), Stall()),
        "silent after the login": _after_login(Stall()),
        "silent after the request": _after_wish(Stall()),
        "silent within the reply": _after_wish(Send(_GRANTED[:3]), Stall()),
        "silent within the address": _after_wish(Send(_GRANTED[:7]), Stall()),
    }
)
"""All of it by name. What has `login` in its name asks for one, and needs a client that has one to give."""

SOCKS4_MISCHIEF: Mapping[str, Script] = MappingProxyType(
    {
        **{f"reply {code}": socks4_reply(code) for code in (0x5B, 0x5C, 0x5D, 0x5E)},
        "refusal cut short": Script(ReceiveWish4(), Send(b"\0\x5b"), Close()),
        "wrong version": Script(ReceiveWish4(), Send(b"\x05" + reply4(0x5A)[1:]), Stall()),
        "http": Script(ReceiveWish4(), Send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
        "injected": Script(ReceiveWish4(), Send(reply4(0x5A) + EVIL), Stall()),
        "closed at once": Script(Close()),
        "closed after the request": Script(ReceiveWish4(), Close()),
        "closed within the reply": Script(ReceiveWish4(), Send(reply4(0x5A)[:5]), Close()),
        "silent at once": Script(Stall()),
        "silent after the request": Script(ReceiveWish4(), Stall()),
        "silent within the reply": Script(ReceiveWish4(), Send(reply4(0x5A)[:5]), Stall()),
    }
)
"""All of it by name."""
