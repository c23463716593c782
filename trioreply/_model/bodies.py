"""Request bodies, as values: where the bytes come from, how many there are, and whether they can be had twice.

Opening and reading a body is I/O and happens in `trioreply._net.upload`; here it is only decided what was given. Bytes
and paths are ours: an upload of them may go on after the reply was closed. An open file, an iterable or a stream is the
caller's: it is used only as long as the caller is in the reply's block.

A body of several parts is only as good as its parts: it can be had twice, or outlive the block, if each of them can.
The parts that have no parts themselves are its leaves, and every question about it is one about those.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterator
from typing import IO, BinaryIO, Protocol, TypeGuard, runtime_checkable

from attrs import field

from .headers import Headers
from .values import frozen


@runtime_checkable
class ByteReceiver(Protocol):
    """Anything bytes can be received from: a `trio.abc.ReceiveStream`, or another reply."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The next bytes, or ``b""`` at the end."""
        ...


class AsyncFile(Protocol):
    """A file opened with `trio.open_file` in binary mode."""

    wrapped: BinaryIO

    async def read(self, n: int = -1) -> bytes:
        """The next ``n`` bytes, or ``b""`` at the end."""
        ...


@frozen
class BytesBody:
    """A body in memory."""

    data: bytes | memoryview = field(repr=False)
    content_type: str | None = field(default=None, repr=False, kw_only=True)
    """What the bytes are, for the Content-Type of a request that does not set one itself."""


@frozen
class PathBody:
    """A file, by its path; opened anew each time the body is sent."""

    path: str


@frozen(eq=False)
class FileBody:
    """A binary file that the caller opened; sent from where it stood at first. Equal only to itself."""

    file: BinaryIO


@frozen(eq=False)
class StreamBody:
    """Bytes that come while they are sent: the length is unknown and they come once. Equal only to itself."""

    source: AsyncIterable[bytes] | ByteReceiver


Leaf = BytesBody | PathBody | FileBody | StreamBody
"""A body that has no parts."""


@frozen
class Section:
    """One part of a body, as it is sent: header fields, and what they are about."""

    headers: Headers = field(hash=False)
    body: Leaf | PartsBody


@frozen(eq=False)
class PartsBody:
    """Several bodies in one, with a boundary between them (RFC 2046 section 5.1). Equal only to itself."""

    sections: tuple[Section, ...] = field(repr=False)
    boundary: str
    content_type: str
    """The type of the whole, which names the boundary."""


Body = Leaf | PartsBody
"""What a request carries, once it was decided what was given."""

BodySource = (
    bytes
    | bytearray
    | memoryview
    | os.PathLike[str]
    | IO[bytes]
    | AsyncFile
    | AsyncIterable[bytes]
    | ByteReceiver
    | Body
)
"""What may be given as a request's body."""


def make_body(source: BodySource | None) -> Body | None:
    """The body that ``source`` stands for.

    Raises:
        TypeError: it is text, or nothing that gives bytes.
    """
    if source is None or isinstance(source, Body):
        return source
    if isinstance(source, str):
        raise TypeError("body: text has no bytes of its own; encode it, or give a pathlib.Path to send a file")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BytesBody(bytes(source))
    if isinstance(source, os.PathLike):
        return PathBody(os.fspath(source))
    file: object = source
    if isinstance(source, AsyncIterable) and hasattr(source, "wrapped"):
        file = source.wrapped  # Trio's files; `isinstance` does not see methods that they find by __getattr__
    elif isinstance(source, (ByteReceiver, AsyncIterable)):
        return StreamBody(source)
    if _is_binary_file(file):
        return FileBody(file)
    raise TypeError(
        "body: give bytes, a path, an open binary file, an async iterable or a ReceiveStream of bytes, or a reply, "
        f"not {type(source).__name__}"
    )


def _is_binary_file(source: object) -> TypeGuard[BinaryIO]:
    return callable(getattr(source, "read", None)) and not hasattr(source, "encoding")


def leaves(body: Body | None) -> Iterator[Leaf]:
    """The bodies without parts that ``body`` is made of, in the order they are sent; one alone is its own leaf."""
    if isinstance(body, PartsBody):
        for section in body.sections:
            yield from leaves(section.body)
    elif body is not None:
        yield body


def is_detachable(body: Body | None) -> bool:
    """Whether an exchange with ``body`` may outlive the block: nobody else holds what it reads from."""
    return body is None or all(isinstance(leaf, (BytesBody, PathBody)) for leaf in leaves(body))


def is_empty(body: Body | None) -> bool:
    """Whether it is known beforehand that there is nothing to send."""
    return body is None or (isinstance(body, BytesBody) and not body.data)


def is_rewindable(body: Body | None) -> bool:
    """Whether ``body`` can be sent a second time."""
    return body is None or all(_comes_again(leaf) for leaf in leaves(body))


def is_prompt(body: Body) -> bool:
    """Whether its bytes are there when they are asked for, and need not be waited for while something produces them."""
    return not any(isinstance(leaf, StreamBody) for leaf in leaves(body))


def content_type_of(body: Body | None) -> str | None:
    """What ``body`` says it is; ``None`` for bytes, files and streams that nobody described."""
    return body.content_type if isinstance(body, (BytesBody, PartsBody)) else None


def _comes_again(leaf: Leaf) -> bool:
    if isinstance(leaf, FileBody):
        return leaf.file.seekable()
    return not isinstance(leaf, StreamBody)
