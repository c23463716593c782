"""Compressed bytes to feed the decoders with, made by the other halves of the same libraries."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

import pytest
from attrs import define

from trioreply._wire.content import available_codings, make_decoder
from trioreply.errors import UnknownContentError

needs_br = pytest.mark.skipif("br" not in available_codings(), reason="brotli is not installed")
needs_zstd = pytest.mark.skipif("zstd" not in available_codings(), reason="zstd is not installed")


def raw_deflate(data: bytes) -> bytes:
    """Bare deflate, without zlib's head and checksum (RFC 1951)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def br(data: bytes, *, window_log: int = 20) -> bytes:
    """One br stream."""
    compressed: bytes = import_module("brotli").compress(data, quality=5, lgwin=window_log)
    return compressed


def zstd(data: bytes, *, window_log: int = 0) -> bytes:
    """One zstd frame, in pieces, so that it has a window of its own."""
    library = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    compressor = library.ZstdCompressor(options={library.CompressionParameter.window_log: window_log})
    compressed: bytes = compressor.compress(data) + compressor.flush()
    return compressed


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),  # the same bytes at any time
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": br,
    "zstd": zstd,
}

EVERY = [
    pytest.param("gzip"),
    pytest.param("deflate"),
    pytest.param("raw deflate"),
    pytest.param("br", marks=needs_br),
    pytest.param("zstd", marks=needs_zstd),
]
"""The codings, as parameters of a test."""


def compress(codings: Sequence[str], data: bytes) -> bytes:
    """``data`` with ``codings`` applied in their order."""
    for name in codings:
        data = COMPRESSORS[name](data)
    return data


@define
class Outcome:
    """What a decoder made of some input."""

    data: bytes
    error: str | None = None
    largest: int = 0


def decode(codings: Sequence[str], pieces: Iterable[bytes], *, limit: int | None = None) -> Outcome:
    """What comes of ``pieces``, and of the end behind them."""
    decoder = make_decoder([name.removeprefix("raw ") for name in codings], limit=limit)
    assert decoder is not None
    outcome, found = Outcome(b""), bytearray()
    try:
        for piece in pieces:
            for part in decoder.decode(piece):
                found += part
                outcome.largest = max(outcome.largest, len(part))
        decoder.finish()
    except UnknownContentError as error:
        outcome.error = str(error)
    outcome.data = bytes(found)
    return outcome


def bytewise(data: bytes) -> list[bytes]:
    """``data`` in pieces of one byte."""
    return [data[index : index + 1] for index in range(len(data))]
