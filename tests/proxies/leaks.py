"""Who got to know what: everything that each party received, as it could read it.

A party that ends TLS hears what was decrypted; one that only carries it hears TLS. A secret counts as heard in other
spellings too: within Base64, as Basic sends it, and percent-encoded, as in a URL.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from attrs import frozen

from trioreply.testing import Loop, Origin, ReceiveRequest, ScriptedPeer, Send

from .scripts import ScriptedProxy
from .tunnels import RealProxy

Party = RealProxy | ScriptedProxy | ScriptedPeer | Origin
"""Somebody who receives bytes."""

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{4,}={0,2}")


@frozen
class LeakRecord:
    """All parties of a test by name; may be made before anything was heard."""

    parties: Mapping[str, Party]

    def clear_text(self, name: str) -> bytes:
        """All that this party has received, in the order of its connections, decrypted where it could.

        An `Origin` keeps no bytes: its requests are put together again, with names in lower case.

        Raises:
            KeyError: there is no such party.
        """
        return _clear_text(self.parties[name])

    def everything(self) -> dict[str, bytes]:
        """`clear_text` of each party."""
        return {name: self.clear_text(name) for name in self.parties}

    def who_heard(self, secret: str | bytes) -> set[str]:
        """The names of those who have received ``secret``, in one spelling or another."""
        wanted = secret.encode() if isinstance(secret, str) else secret
        return {name for name, text in self.everything().items() if any(wanted in one for one in spellings(text))}


def recording_origin(answer: bytes = ANSWER) -> ScriptedPeer:
    """A server that gives ``answer`` to every request and keeps each byte; for `trioreply.testing.serve_peer`."""
    return ScriptedPeer(Loop(ReceiveRequest(), Send(answer)))


def spellings(text: bytes) -> list[bytes]:
    """``text``, and what can be read in it by decoding once what looks like percent-encoding or Base64."""
    return [text, unquote_to_bytes(text), *(_decoded(token) for token in _BASE64.findall(text))]


def _decoded(token: bytes) -> bytes:
    bare = token.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4))
    except binascii.Error:
        return b""  # no Base64 has this length


def _clear_text(party: Party) -> bytes:
    match party:
        case Origin():
            return b"\n".join(
                "\r\n".join(
                    [
                        f"{request.method} {request.target} HTTP/{request.http_version}",
                        *(f"{name}: {value}" for name, value in (*request.headers, *request.trailers)),
                        "",
                        "",
                    ]
                ).encode("latin-1")
                + request.body
                for request in party.requests
            )
        case ScriptedPeer():
            return b"\n".join(bytes(connection.received) for connection in party.connections)
        case _:
            return party.heard
