"""What a test server knows about a request that it received.

Both servers, the scripted one and the correct one, record requests as `ReceivedRequest` and read them with h11, which
is strict about what clients send.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import h11
from attrs import define, field

MAX_HEAD = 1024 * 1024
"""Bytes of a request's head that h11 will buffer; more than any client of ours should send."""

HeaderFields = tuple[tuple[str, str], ...]


@define(eq=False)
class ReceivedRequest:
    """A request as it came over the wire; the body grows while it is received."""

    method: str
    target: str
    headers: HeaderFields = field(default=(), kw_only=True)
    """Names in lower case and values, in the order of the wire; Latin-1."""
    http_version: str = field(default="1.1", kw_only=True)
    _pieces: list[bytes] = field(factory=list, init=False, repr=False)
    trailers: HeaderFields = field(default=(), kw_only=True)
    is_complete: bool = field(default=False, kw_only=True)
    """Whether the end of the body has been read."""

    @property
    def body(self) -> bytes:
        """As much of the body as the server has read."""
        if len(self._pieces) > 1:
            self._pieces[:] = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, undecoded, without the question mark."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The value of the field ``name``, in any case; repeated ones joined by a comma; `None` if there is none."""
        values = [value for known, value in self.headers if known == name.lower()]
        return ", ".join(values) if values else None

    def add(self, event: h11.Event) -> bytes:
        """Take in a piece of the body, or its end; gives the piece."""
        if isinstance(event, h11.EndOfMessage):
            self.trailers = decode_fields(event.headers)
            self.is_complete = True
        piece = bytes(event.data) if isinstance(event, h11.Data) else b""
        if piece:
            self._pieces.append(piece)
        return piece


class HeadFields(TypedDict):
    """The fields of a `ReceivedRequest` that its head decides."""

    method: str
    target: str
    headers: HeaderFields
    http_version: str


def head_fields(head: h11.Request) -> HeadFields:
    """What ``head`` says, as text."""
    return {
        "method": head.method.decode("ascii"),
        "target": head.target.decode("latin-1"),
        "headers": decode_fields(head.headers),
        "http_version": head.http_version.decode("ascii"),
    }


def decode_fields(fields: Iterable[tuple[bytes, bytes]]) -> HeaderFields:
    """Fields as text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
