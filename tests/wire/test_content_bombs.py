"""Bombs of a gibibyte: what they cost is time, and not memory."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest

import trioreply

from . import content_bomb
from .content_cases import COMPRESSORS, needs_br, needs_zstd

GIBIBYTE = 1024**3
MAX_PEAK = 16 * 1024 * 1024


class Compressor(Protocol):
    """What the libraries have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """The next part of the stream."""
        ...

    def flush(self) -> bytes:
        """The rest of it."""
        ...


class BrCompressor:
    """brotli's, by the others' names."""

    def __init__(self) -> None:
        self._compressor = import_module("brotli").Compressor(quality=3, lgwin=22)

    def compress(self, data: bytes, /) -> bytes:
        """See `Compressor`."""
        made: bytes = self._compressor.process(data)
        return made

    def flush(self) -> bytes:
        """See `Compressor`."""
        made: bytes = self._compressor.finish()
        return made


def zstd_compressor() -> Compressor:
    """One that uses the largest window there may be."""
    library = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    compressor: Compressor = library.ZstdCompressor(options={library.CompressionParameter.window_log: 23})
    return compressor


STREAMING: dict[str, Callable[[], Compressor]] = {
    "gzip": lambda: zlib.compressobj(1, wbits=31),
    "deflate": lambda: zlib.compressobj(1),
    "br": BrCompressor,
    "zstd": zstd_compressor,
}


def bomb(coding: str) -> Iterator[bytes]:
    """A gibibyte of zeros, compressed."""
    compressor = STREAMING[coding]()
    zeros = bytes(1024 * 1024)
    for _ in range(GIBIBYTE // len(zeros)):
        yield compressor.compress(zeros)
    yield compressor.flush()


@pytest.mark.soak
@pytest.mark.parametrize(
    "codings",
    [
        ("gzip",),
        ("deflate",),
        pytest.param(("br",), marks=needs_br),
        pytest.param(("zstd",), marks=needs_zstd),
        ("gzip", "gzip"),
        pytest.param(("gzip", "br"), marks=needs_br),
        pytest.param(("br", "gzip", "gzip"), marks=needs_br),
        pytest.param(("zstd", "gzip", "deflate", "gzip"), marks=needs_zstd),
    ],
    ids="-".join,
)
def test_a_bomb_takes_no_memory(tmp_path: Path, codings: Sequence[str]) -> None:
    """A gibibyte out of next to nothing is decoded in less than 16 MiB, also with codings on top of each other."""
    packed = b"".join(bomb(codings[0]))
    for name in codings[1:]:
        packed = COMPRESSORS[name](packed)
    path = tmp_path / "bomb"
    path.write_bytes(packed)
    result = subprocess.run(
        [sys.executable, content_bomb.__file__, str(path), *codings],
        env={"PYTHONPATH": str(Path(trioreply.__file__).parents[1])},
        capture_output=True,
        check=True,
        timeout=300,
    )
    outcome = json.loads(result.stdout)
    assert outcome["total"] == GIBIBYTE
    assert outcome["peak"] < MAX_PEAK
