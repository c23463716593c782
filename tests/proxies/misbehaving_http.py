"""HTTP proxies that refuse, lie, fall silent or never stop: by name, as scripts.

They are written for a client that says CONNECT; all but `"injected"` and the tunnels that never open are as good for a
plain request without a body. `refuse` makes a refusal to order; `HTTP_MISCHIEF` has those that a client must know, as
``"403"``, ``"403 body"``, ``"403 close"`` and ``"403 body close"``, and everything else.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from trioreply.testing import Close, Loop, ReceiveHead, Reset, Send, Stall

from .scripts import Script

CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
"""The answer that opens a tunnel."""

CHALLENGE = b'Proxy-Authenticate: Basic realm="proxy"\r\n'
"""The field of a 407 that asks for Basic."""

REFUSALS = (403, 404, 405, 407, 500, 502, 504)
"""The statuses that `HTTP_MISCHIEF` refuses with."""

BODY = b"<h1>the proxy's own words</h1>"


def answer(status: int, *, fields: bytes = b"", body: bytes = b"") -> bytes:
    """A response with a Content-Length; ``fields`` are whole lines."""
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, phrase, fields, len(body), body)


def refuse(status: int, *, fields: bytes = b"", body: bytes = b"", close: bool = False) -> Script:
    """Answer every request of a connection like this, or only the first, if it is to ``close``.

    A 407 asks for Basic, whatever it was given.
    """
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        fields += CHALLENGE
    if close:
        return Script(ReceiveHead(), Send(answer(status, fields=fields + b"Connection: close\r\n", body=body)))
    return Script(Loop(ReceiveHead(), Send(answer(status, fields=fields, body=body))))


def _refusals() -> dict[str, Script]:
    scripts = {}
    for status, body, close in itertools.product(REFUSALS, (b"", BODY), (False, True)):
        name = f"{status}{' body' if body else ''}{' close' if close else ''}"
        scripts[name] = refuse(status, body=body, close=close)
    return scripts


HTTP_MISCHIEF: Mapping[str, Script] = MappingProxyType(
    {
        **_refusals(),
        "407 without a challenge": Script(Loop(ReceiveHead(), Send(answer(407)))),
        "407 for an unknown scheme": Script(
            Loop(ReceiveHead(), Send(answer(407, fields=b"Proxy-Authenticate: Telepathy\r\n")))
        ),
        "garbage": Script(ReceiveHead(), Send(b"\x00\x01\x02 I am no HTTP proxy\r\n\r\n")),
        "ssh": Script(Send(b"SSH-2.0-OpenSSH_9.9\r\n"), ReceiveHead()),
        "wrong version": Script(ReceiveHead(), Send(b"HTTP/3.0 200 OK\r\n\r\n")),
        "closed at once": Script(Close()),
        "closed after the request": Script(ReceiveHead(), Close()),
        "reset after the request": Script(ReceiveHead(), Reset()),
        "closed within the head": Script(ReceiveHead(), Send(CONNECTED[:-2]), Close()),
        "closed within the status line": Script(ReceiveHead(), Send(CONNECTED[:9]), Close()),
        "closed within a refusal's body": Script(ReceiveHead(), Send(answer(403, body=BODY)[:-10]), Close()),
        "silent at once": Script(Stall()),
        "silent after the request": Script(ReceiveHead(), Stall()),
        "silent within the head": Script(ReceiveHead(), Send(CONNECTED[:-2]), Stall()),
        "silent within a refusal's body": Script(ReceiveHead(), Send(answer(403, body=BODY)[:-10]), Stall()),
        "endless status line": Script(ReceiveHead(), Send(b"HTTP/1.1 200 "), Loop(Send(b"O" * 1000))),
        "endless field": Script(ReceiveHead(), Send(b"HTTP/1.1 200 OK\r\nX-Long: "), Loop(Send(b"x" * 1000))),
        "endless fields": Script(ReceiveHead(), Send(b"HTTP/1.1 200 OK\r\n"), Loop(Send(b"X-Many: x\r\n" * 100))),
        "endless refusal": Script(ReceiveHead(), Send(b"HTTP/1.1 403 Forbidden\r\n\r\n"), Loop(Send(b"no " * 300))),
        "1xx flood": Script(ReceiveHead(), Loop(Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 400))),
        "101": Script(ReceiveHead(), Send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), Stall()),
        "injected": Script(
            ReceiveHead(), Send(CONNECTED + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), Stall()
        ),
        "200 with a length": Script(ReceiveHead(), Send(answer(200, body=b"hello")), Stall()),
        "200 in chunks": Script(
            ReceiveHead(),
            Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            Stall(),
        ),
        "redirected": Script(ReceiveHead(), Send(answer(302, fields=b"Location: http://evil.test/\r\n"))),
    }
)
"""All of it by name. Where a refusal says nothing of closing, the connection stays open for another request."""
