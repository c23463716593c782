"""What the server serves, and how to see that it arrived: a block of bytes, over and over."""

from __future__ import annotations

import random
from pathlib import Path

from .job import BLOCK_SIZE, SMALL_SIZE

SMALL = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz", k=SMALL_SIZE))
_BLOCK = random.Random(2).randbytes(BLOCK_SIZE)


def write_large(path: Path, size: int) -> None:
    """Write ``size`` bytes to ``path``.

    Raises:
        OSError: there is no room.
    """
    many = _BLOCK * 64
    with path.open("wb") as file:
        while size:
            size -= file.write(many[: min(size, len(many))])


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
