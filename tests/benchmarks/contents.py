"""What is served and what is sent, and how to see that it arrived: a block of bytes, over and over."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Mapping
from pathlib import Path

from .job import BLOCK_SIZE, SMALL_SIZE

_BLOCK = random.Random(2).randbytes(BLOCK_SIZE)
_ITEM_SIZE = 100

FILES: Mapping[str, int] = {"small": SMALL_SIZE, "medium": 100_000, "ten": 10_000_000}
"""What the server serves besides the large file: sizes in bytes, by path."""


def content(size: int) -> bytes:
    """The first ``size`` bytes of any file."""
    return (_BLOCK * (size // BLOCK_SIZE + 1))[:size]


SMALL = content(SMALL_SIZE)


def write_large(path: Path, size: int) -> None:
    """Write ``size`` bytes to ``path``.

    Raises:
        OSError: there is no room.
    """
    many = _BLOCK * 64
    with path.open("wb") as file:
        while size:
            size -= file.write(many[: min(size, len(many))])


def value_of(size: int) -> list[str]:
    """Something that makes about ``size`` bytes of JSON: many short strings, as a table has them."""
    return [f"{number:0{_ITEM_SIZE - 4}}" for number in range(size // _ITEM_SIZE)]


def receipt(size: int, checksum: int | None) -> bytes:
    """What the server says it has got: ``size`` bytes and, if it looked at them, their CRC."""
    return f"{size} {'-' if checksum is None else checksum}".encode("ascii")


def receipts_for_json(value: list[str], *, check: bool) -> set[bytes]:
    """What the server may say of ``value``, depending on how generous the client is with spaces."""
    texts = (json.dumps(value).encode("ascii"), json.dumps(value, separators=(",", ":")).encode("ascii"))
    return {receipt(len(text), zlib.crc32(text) if check else None) for text in texts}


def receipt_for_file(path: Path, *, check: bool) -> bytes:
    """What the server must say of the file at ``path``."""
    checksum = None
    if check:
        checksum = 0
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                checksum = zlib.crc32(piece, checksum)
    return receipt(path.stat().st_size, checksum)


class Counter:
    """Counts the bytes of a download."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, piece: bytes) -> None:
        """The next piece."""
        self.size += len(piece)


class Comparison:
    """Compares the bytes of a download with what was written."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            RuntimeError: it is not what was written.
        """
        begin = self.size % BLOCK_SIZE
        expected = (_BLOCK * ((begin + len(piece)) // BLOCK_SIZE + 1))[begin : begin + len(piece)]
        if piece != expected:
            raise RuntimeError(f"the download differs within the {len(piece)} bytes from {self.size} on")
        self.size += len(piece)
