"""The misbehaving proxies: each says exactly what its name promises, and no more."""

from __future__ import annotations

import math

import pytest
import trio
from attrs import frozen

from .clients import Ground
from .misbehaving_http import BODY, HTTP_MISCHIEF, refuse
from .misbehaving_socks import EVIL, SOCKS4_MISCHIEF, SOCKS5_MISCHIEF, socks5_reply
from .scripts import Script, open_scripted

CONNECT = b"CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n\r\n"
GREETING = b"\x05\x02\x00\x02"
LOGIN = b"\x01\x05maria\x06secret"
WISH = b"\x05\x01\x00\x03\x0borigin.test\x01\xbb"
WISH_4 = b"\x04\x01\x01\xbb\0\0\0\1\0origin.test\0"
REST = b"\x00\x01" + bytes(6)
HTTP_400 = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
ENOUGH = 100_000
"""Bytes after which a proxy is believed that it will not stop."""


@frozen
class Said:
    """What a client of a script got to hear, and how it ended: ``closed``, ``reset``, ``silent`` or ``endless``."""

    data: bytes
    end: str


async def listen(ground: Ground, script: Script, says: bytes) -> Said:
    """Say everything at once to a proxy that plays ``script``, and hear what it has to say."""
    heard = bytearray()
    async with open_scripted(script, network=ground.network, tls=ground.tls) as proxy:
        async with ground.visit(proxy.address) as client:
            end = "silent"
            with trio.move_on_after(1 if script.is_silent else math.inf):
                try:
                    await client.send_all(says)
                    end = "closed"
                    while piece := await client.receive_some():
                        heard += piece
                        if len(heard) > ENOUGH:
                            return Said(bytes(heard[:60]), "endless")
                except trio.BrokenResourceError:
                    return Said(bytes(heard), "reset")
                return Said(bytes(heard), end)
    return Said(bytes(heard), "silent")


OK_HEAD = b"HTTP/1.1 200 Connection established\r\n\r\n"
CUT_403 = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 30\r\n\r\n" + BODY[:-10]
HTTP_TABLE = {
    "garbage": Said(b"\x00\x01\x02 I am no HTTP proxy\r\n\r\n", "closed"),
    "ssh": Said(b"SSH-2.0-OpenSSH_9.9\r\n", "closed"),
    "wrong version": Said(b"HTTP/3.0 200 OK\r\n\r\n", "closed"),
    "closed after the request": Said(b"", "closed"),
    "reset after the request": Said(b"", "reset"),
    "closed within the head": Said(OK_HEAD[:-2], "closed"),
    "closed within the status line": Said(b"HTTP/1.1 ", "closed"),
    "closed within a refusal's body": Said(CUT_403, "closed"),
    "silent at once": Said(b"", "silent"),
    "silent after the request": Said(b"", "silent"),
    "silent within the head": Said(OK_HEAD[:-2], "silent"),
    "silent within a refusal's body": Said(CUT_403, "silent"),
    "endless status line": Said(b"HTTP/1.1 200 " + b"O" * 47, "endless"),
    "endless field": Said(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 35, "endless"),
    "endless fields": Said((b"HTTP/1.1 200 OK\r\n" + b"X-Many: x\r\n" * 9)[:60], "endless"),
    "endless refusal": Said((b"HTTP/1.1 403 Forbidden\r\n\r\n" + b"no " * 30)[:60], "endless"),
    "1xx flood": Said((b"HTTP/1.1 100 Continue\r\n\r\n" * 3)[:60], "endless"),
    "101": Said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "silent"),
    "injected": Said(OK_HEAD + EVIL, "silent"),
    "200 with a length": Said(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "silent"),
    "200 in chunks": Said(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "silent"),
    "redirected": Said(b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n", "closed"),
}
AGAIN = {
    "407 without a challenge": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "407 for an unknown scheme": (
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Telepathy\r\nContent-Length: 0\r\n\r\n"
    ),
}
AT_ONCE = ("closed at once",)
"""Closed with the request unread: which of FIN and RST a client sees first is a matter of luck."""


def test_no_mischief_is_forgotten() -> None:
    """Each script of the three collections is in a table here."""
    refusals = {name for name in HTTP_MISCHIEF if name[:3] in REASONS and name not in AGAIN}
    assert set(HTTP_MISCHIEF) == refusals | set(HTTP_TABLE) | set(AGAIN) | set(AT_ONCE)
    assert len(refusals) == 4 * len(REASONS)
    assert set(SOCKS5_MISCHIEF) == set(SOCKS5_TABLE) | set(AT_ONCE)
    assert set(SOCKS4_MISCHIEF) == set(SOCKS4_TABLE) | set(AT_ONCE)


@pytest.mark.parametrize("name", HTTP_TABLE)
async def test_http(memory: Ground, name: str, autojump_clock: trio.abc.Clock) -> None:
    """An HTTP proxy that misbehaves says this, and ends like this."""
    assert await listen(memory, HTTP_MISCHIEF[name], CONNECT) == HTTP_TABLE[name]


@pytest.mark.parametrize("name", [name for name, said in HTTP_TABLE.items() if said.end in ("closed", "endless")])
async def test_http_everywhere(ground: Ground, name: str) -> None:
    """The same on loopback and over TLS."""
    assert await listen(ground, HTTP_MISCHIEF[name], CONNECT) == HTTP_TABLE[name]


REASONS = {
    "403": b"Forbidden",
    "404": b"Not Found",
    "405": b"Method Not Allowed",
    "407": b"Proxy Authentication Required",
    "500": b"Internal Server Error",
    "502": b"Bad Gateway",
    "504": b"Gateway Timeout",
}


@pytest.mark.parametrize("status", REASONS)
@pytest.mark.parametrize("body", [b"", BODY])
@pytest.mark.parametrize("close", [False, True])
async def test_refusals(memory: Ground, status: str, body: bytes, *, close: bool) -> None:
    """A refusal has its status, a challenge if it is 407, its body; it is repeated unless it closes the connection."""
    script = HTTP_MISCHIEF[f"{status}{' body' if body else ''}{' close' if close else ''}"]
    lines = [b"HTTP/1.1 " + status.encode() + b" " + REASONS[status]]
    lines += [b'Proxy-Authenticate: Basic realm="proxy"'] if status == "407" else []
    lines += [b"Connection: close"] if close else []
    wanted = b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])
    async with open_scripted(script, network=memory.network) as proxy:
        assert (proxy.host, proxy.port) == proxy.address
        async with memory.visit(proxy.address) as client:
            for _ in range(1 if close else 3):
                await client.send_all(CONNECT)
                assert await client.receive_exactly(len(wanted)) == wanted
            if close:
                assert await client.receive_rest() == b""
    assert len(proxy.peer.requests) == (1 if close else 3)
    assert proxy.heard == CONNECT * (1 if close else 3)


@pytest.mark.parametrize("name", AGAIN)
async def test_demands_without_a_way_out(memory: Ground, name: str) -> None:
    """A demand for credentials that names no known scheme is repeated for ever."""
    async with open_scripted(HTTP_MISCHIEF[name], network=memory.network) as proxy:
        async with memory.visit(proxy.address) as client:
            for _ in range(3):
                await client.send_all(CONNECT)
                assert await client.receive_exactly(len(AGAIN[name])) == AGAIN[name]


async def test_a_refusal_to_order(memory: Ground) -> None:
    """Fields of one's own come before the length."""
    said = await listen(memory, refuse(503, fields=b"Retry-After: 1\r\n", close=True), CONNECT)
    fields = b"Retry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert said == Said(b"HTTP/1.1 503 Service Unavailable\r\n" + fields, "closed")


@pytest.mark.parametrize("script", [HTTP_MISCHIEF["closed at once"], SOCKS5_MISCHIEF["closed at once"]])
async def test_closed_at_once(ground: Ground, script: Script) -> None:
    """A proxy that closes at once says nothing."""
    async with open_scripted(script, network=ground.network, tls=ground.tls) as proxy:
        async with ground.visit(proxy.address) as client:
            assert await client.receive_rest() == b""


def reply(code: int) -> Said:
    """A refusal of version 5 after a greeting."""
    return Said(b"\x05\x00\x05" + bytes((code,)) + REST, "closed")


ASKED = b"\x05\x02"
GRANTED = b"\x05\x00\x05\x00" + REST
SOCKS5_TABLE = {
    **{f"reply {code}": reply(code) for code in (1, 2, 3, 4, 5, 6, 7, 8, 9, 255)},
    "refusal cut short": Said(b"\x05\x00\x05\x05", "closed"),
    "no method": Said(b"\x05\xff", "closed"),
    "unoffered method": Said(b"\x05\x01", "closed"),
    "login refused": Said(ASKED + b"\x01\x01", "closed"),
    "login in a wrong version": Said(ASKED + b"\x05\x00", "silent"),
    "wrong version": Said(b"\x04\x00", "silent"),
    "wrong version in the reply": Said(b"\x05\x00\x04\x00" + REST, "silent"),
    "http": Said(HTTP_400, "closed"),
    "unknown address type": Said(b"\x05\x00\x05\x00\x00\x02" + bytes(6), "silent"),
    "endless name": Said(b"\x05\x00\x05\x00\x00\x03\xff" + b"x" * 53, "endless"),
    "empty name": Said(b"\x05\x00\x05\x00\x00\x03\x00\x00\x00", "closed"),
    "injected": Said(GRANTED + EVIL, "silent"),
    "closed after the greeting": Said(b"", "closed"),
    "closed within the method": Said(b"\x05", "closed"),
    "closed after the method": Said(b"\x05\x00", "closed"),
    "closed after the login": Said(ASKED, "closed"),
    "closed within the login's answer": Said(ASKED + b"\x01", "closed"),
    "closed after the login's answer": Said(ASKED + b"\x01\x00", "closed"),
    "closed after the request": Said(b"\x05\x00", "closed"),
    "closed within the reply": Said(GRANTED[:5], "closed"),
    "closed within the address": Said(GRANTED[:9], "closed"),
    "closed within a name": Said(b"\x05\x00\x05\x00\x00\x03\x0aproxy", "closed"),
    "reset after the request": Said(b"", "reset"),
    "silent at once": Said(b"", "silent"),
    "silent after the greeting": Said(b"", "silent"),
    "silent after the method": Said(b"\x05\x00", "silent"),
    "silent after the login": Said(ASKED, "silent"),
    "silent after the request": Said(b"\x05\x00", "silent"),
    "silent within the reply": Said(GRANTED[:5], "silent"),
    "silent within the address": Said(GRANTED[:9], "silent"),
}
AFTER_GREETING = ("no method", "unoffered", "wrong version", "http", "after the greeting", "the method")


def says(name: str) -> bytes:
    """As much as the script called ``name`` reads: what is left unread would make a RST of its end."""
    if "reply" in name:
        return GREETING + WISH
    if "login" in name:
        return GREETING + LOGIN
    return GREETING if any(part in name for part in AFTER_GREETING) else GREETING + WISH


@pytest.mark.parametrize("name", SOCKS5_TABLE)
async def test_socks5(memory: Ground, name: str, autojump_clock: trio.abc.Clock) -> None:
    """A SOCKS5 proxy that misbehaves says this, and ends like this."""
    wanted = SOCKS5_TABLE[name]
    said = await listen(memory, SOCKS5_MISCHIEF[name], says(name))
    assert said.end == wanted.end
    # What is on its way when a connection is reset may be lost.
    assert said.data == wanted.data or wanted.end == "reset"


@pytest.mark.parametrize("name", [name for name, said in SOCKS5_TABLE.items() if said.end in ("closed", "endless")])
async def test_socks5_everywhere(ground: Ground, name: str) -> None:
    """The same on loopback and over TLS."""
    assert await listen(ground, SOCKS5_MISCHIEF[name], says(name)) == SOCKS5_TABLE[name]


async def test_a_bound_address_to_order(memory: Ground) -> None:
    """A reply may name what was bound in another way."""
    said = await listen(memory, socks5_reply(0, b"\x03\x05bound"), GREETING + WISH)
    assert said.data == b"\x05\x00\x05\x00\x00\x03\x05bound\x00\x00"


SOCKS4_TABLE = {
    **{f"reply {code}": Said(bytes((0, code)) + bytes(6), "closed") for code in (0x5B, 0x5C, 0x5D, 0x5E)},
    "refusal cut short": Said(b"\0\x5b", "closed"),
    "wrong version": Said(b"\x05\x5a" + bytes(6), "silent"),
    "http": Said(HTTP_400, "closed"),
    "injected": Said(b"\0\x5a" + bytes(6) + EVIL, "silent"),
    "closed after the request": Said(b"", "closed"),
    "closed within the reply": Said(b"\0\x5a\0\0\0", "closed"),
    "silent at once": Said(b"", "silent"),
    "silent after the request": Said(b"", "silent"),
    "silent within the reply": Said(b"\0\x5a\0\0\0", "silent"),
}


@pytest.mark.parametrize("name", SOCKS4_TABLE)
async def test_socks4(memory: Ground, name: str, autojump_clock: trio.abc.Clock) -> None:
    """A SOCKS4 proxy that misbehaves says this, and ends like this."""
    assert await listen(memory, SOCKS4_MISCHIEF[name], WISH_4) == SOCKS4_TABLE[name]


def test_which_scripts_wait() -> None:
    """A script says by itself whether it leaves its client waiting, or never stops."""
    for table, scripts in ((HTTP_TABLE, HTTP_MISCHIEF), (SOCKS5_TABLE, SOCKS5_MISCHIEF)):
        for name, said in table.items():
            assert (scripts[name].is_silent, scripts[name].is_endless) == (said.end == "silent", said.end == "endless")
