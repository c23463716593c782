"""A large file no two mebibytes of which are the same, so that nothing can be lost, doubled or swapped unnoticed."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

_BLOCK_SIZE = 1024 * 1024


def write_large(path: Path, size: int) -> str:
    """Write ``size`` bytes, a multiple of a mebibyte, to ``path``; gives their SHA-256 in hexadecimal.

    Raises:
        OSError: there is no room.
    """
    block = random.Random(size).randbytes(_BLOCK_SIZE - 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(size // _BLOCK_SIZE):
            for piece in (number.to_bytes(8, "big"), block):
                digest.update(piece)
                file.write(piece)
    return digest.hexdigest()
