"""Checksums of files: those that a caller expects, and those that a server sends along (RFC 9530).

A server may send two kinds. ``Repr-Digest`` is about the whole file, also when only a part of it is sent;
``Content-Digest`` is about the bytes of this very message. Both are dictionaries of structured fields (RFC 9651), of
which only byte sequences are read here, and of the algorithms only the two that RFC 9530 calls good: a checksum that
anybody can forge says nothing, and one that was not understood must not make a download fail.

A caller may use whatever `hashlib` knows on every system, MD5 included: of an old archive nothing better may exist.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Protocol

from .._model.headers import Headers
from .._model.parameters import split_list
from .._model.values import frozen

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_WRITTEN = re.compile(r"([A-Za-z0-9_\-]+):([0-9A-Fa-f]+)", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_MEMBER = re.compile(r"([a-z*][a-z0-9_\-.*]*)=:([A-Za-z0-9+/=]*):", re.ASCII)
_OF_SERVERS = {"sha-256": "sha256", "sha-512": "sha512"}
# Those of any length say nothing about how long theirs should be.
_KNOWN = frozenset(name for name in hashlib.algorithms_guaranteed if not name.startswith("shake"))


class Hash(Protocol):
    """A running hash, as `hashlib` makes them."""

    @property
    def digest_size(self) -> int:
        """Bytes of the result."""
        ...

    def update(self, octets: Buffer, /) -> None:
        """Take in more bytes."""
        ...

    def digest(self) -> bytes:
        """The result for all bytes so far."""
        ...


@frozen
class Checksum:
    """What bytes must amount to."""

    algorithm: str
    """As `hashlib` calls it."""
    digest: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest.hex()}"


def parse_checksum(text: str, *, field: str = "checksum") -> Checksum:
    """What ``text`` means: the name of an algorithm, a colon, and hexadecimal digits.

    Raises:
        TypeError: it is no `str`.
        ValueError: it is no checksum; the text starts with ``field``.
    """
    if not isinstance(text, str):
        raise TypeError(f"{field}: give a str, not {type(text).__name__}")
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{field}: {text!r} is no checksum; give an algorithm and digits, such as sha256:9f86d0...")
    algorithm = _algorithm(match[1])
    if algorithm is None:
        raise ValueError(f"{field}: {match[1]!r} is not known; take one of {', '.join(sorted(_KNOWN))}")
    digits = 2 * make_hash(algorithm).digest_size
    if len(match[2]) != digits:
        raise ValueError(f"{field}: {algorithm} has {digits} hexadecimal digits, and {text!r} has {len(match[2])}")
    return Checksum(algorithm, bytes.fromhex(match[2]))


def expected_checksums(checksum: str | None, sha256: str | None) -> tuple[Checksum, ...]:
    """What a caller expects, by the one argument or the other, or both.

    Raises:
        TypeError, ValueError: as `parse_checksum`.
    """
    expected: list[Checksum] = []
    if checksum is not None:
        expected.append(parse_checksum(checksum))
    if sha256 is not None:
        if not isinstance(sha256, str):
            raise TypeError(f"sha256: give a str, not {type(sha256).__name__}")
        if not _HEXADECIMAL.fullmatch(sha256.strip()):
            raise ValueError(f"sha256: {sha256!r} is no checksum; give 64 hexadecimal digits")
        expected.append(parse_checksum(f"sha256:{sha256.strip()}", field="sha256"))
    return tuple(expected)


def make_hash(algorithm: str) -> Hash:
    """A new hash; an old algorithm only finds accidents, also where the system forbids it for anything else."""
    return hashlib.new(algorithm, usedforsecurity=False)


def _algorithm(name: str) -> str | None:
    lowered = name.lower().replace("-", "_")
    return next((known for known in (lowered, lowered.replace("_", "")) if known in _KNOWN), None)


def field_digests(headers: Headers, name: str) -> tuple[Checksum, ...]:
    """What the field ``name`` (``Repr-Digest``, ``Content-Digest``) says, as far as it can be relied on."""
    found: dict[str, Checksum] = {}
    for member in split_list(", ".join(headers.getall(name, ()))):
        match = _MEMBER.match(member)
        algorithm = None if match is None else _OF_SERVERS.get(match[1])
        if match is None or algorithm is None:
            continue
        digest = _decoded(match[2])
        # Of a repeated key the last one counts (RFC 9651 section 3.2); what cannot be a digest is none.
        if digest is not None and len(digest) == make_hash(algorithm).digest_size:
            found[algorithm] = Checksum(algorithm, digest)
    return tuple(found.values())


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
