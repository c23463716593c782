"""Content codings (RFC 9110 section 8.4.1): compressed bytes in, the content out, a bounded step at a time.

A `ContentDecoder` is fed what came over the wire and gives the content in pieces of at most `STEP` bytes; what it has
not been asked for yet is not produced. gzip (RFC 1952) and deflate are always there, br (RFC 7932) and zstd (RFC 8878,
RFC 9659) if their libraries are installed. Codings may be stacked, up to `MAX_CODINGS`.

The rules:

* A stream that ends early, or is damaged, is an error, never a short success. What could be decoded before comes first.
* gzip may have several members and zstd several frames, one behind the other. Behind the last gzip member zeros are
  allowed, as every implementation does (RFC 1952 does not speak of them, tapes and some servers add them), because
  nothing can hide in them. Anything else behind the end is an error, with every coding.
* ``deflate`` is the zlib format (RFC 1950); what some servers send is bare deflate (RFC 1951). The two differ in the
  first two bytes.
* Nothing at all is an empty content, whatever its coding: servers do that, and nobody is harmed.
* Content that grows out of proportion is an error; see `ContentDecoder`.

What was hard: the libraries bound their output in three different ways, and all of them lose what they have decoded
when the same call comes upon damage. So a stage keeps a copy of its state, or begins anew if it has just begun, and
repeats a step that failed byte by byte. Where the library cannot be copied (br, zstd), up to one step is lost if the
damage is not among the first bytes that came.

Both optional libraries are imported here and nowhere else, by the first request that may use them.
"""

from __future__ import annotations

import functools
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Protocol

from .._model.errors import UnknownContentError
from .._model.values import frozen

STEP = 256 * 1024
"""The largest piece. It is what a reader's buffer may be overshot by, for every reply that is decoded."""
MAX_CODINGS = 4
"""Codings on top of each other. One is usual, two happen by mistake, and each has memory of its own."""
DEFAULT_LIMIT = 10 * 1024 * 1024
"""Bytes that are free of the ratio's rule: small things may be as repetitive as they like (Qt's threshold)."""

_SLICE = 64 * 1024
# What is behind the end of a member is copied by the library: in small slices that stays cheap even for tiny members.
_BROTLI_STEP = 64 * 1024  # its buffer grows by doubling, so that it gives up to 96 KiB for this
_WINDOW_LOG = 23  # 8 MiB: what RFC 9659 section 3 demands for zstd, and allows
_BROTLI_WINDOW_LOG = 24  # 16 MiB: the largest of RFC 7932, which its command line tool uses


class _DamageError(Exception):
    """The stream is not what its coding says. The text says in what way."""


class _Engine(Protocol):
    """One member of a compressed stream, on its way through a library."""

    ended: bool
    """Whether the member is complete; then `rest` is what followed it in the last input."""
    rest: bytes
    has_more: bool
    """Whether ``step(b"")`` would give more."""

    def step(self, data: bytes) -> bytes:
        """Decode ``data``, or go on with what was given before if that ``has_more``.

        Raises:
            _DamageError: it cannot be decoded. What this very step had decoded is lost.
        """
        ...

    def fork(self) -> tuple[_Engine, bytes] | None:
        """A copy, and the input that it has not consumed yet; ``None`` if the library makes none."""
        ...


class _Inflate:
    """zlib's formats, chosen by ``wbits`` as in `zlib.decompressobj`."""

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self._tail = b""
        self._wbits = wbits
        self.ended = self.has_more = False
        self.rest = b""

    def step(self, data: bytes) -> bytes:
        try:
            made = self._inflate.decompress(self._tail + data if self._tail else data, STEP)
        except zlib.error as error:
            raise _DamageError(str(error)) from error
        self._tail = self._inflate.unconsumed_tail
        self.ended = self._inflate.eof
        self.rest = self._inflate.unused_data
        # A full piece may be all there is, or there may be more inside: only asking tells.
        self.has_more = not self.ended and (bool(self._tail) or len(made) == STEP)
        return made

    def fork(self) -> tuple[_Engine, bytes] | None:
        copy = _Inflate(self._wbits)
        copy._inflate = self._inflate.copy()
        return copy, self._tail


class _Deflate:
    """``deflate``: the zlib format or bare deflate, which the first two bytes tell (RFC 1950 section 2.2)."""

    def __init__(self) -> None:
        self._first = b""
        self._chosen: _Inflate | None = None
        self.ended = self.has_more = False
        self.rest = b""

    def step(self, data: bytes) -> bytes:
        if self._chosen is None:
            data = self._first = self._first + data
            if len(data) < 2:
                return b""
            # Bare deflate cannot look like this: it would be a stored block with padding that is not zero.
            is_zlib = data[0] & 0x8F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._chosen = _Inflate(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        made = self._chosen.step(data)
        self.ended, self.has_more, self.rest = self._chosen.ended, self._chosen.has_more, self._chosen.rest
        return made

    def fork(self) -> tuple[_Engine, bytes] | None:
        return (_Deflate(), self._first) if self._chosen is None else self._chosen.fork()


class _Brotli:
    """``br``. Its library has no word for what follows the end, and calls that damage, as we would."""

    def __init__(self, window_log: int) -> None:
        self._library = _brotli()
        self._decompressor = self._library.Decompressor()
        self._window_log = window_log
        self._is_new = True
        self.ended = self.has_more = False
        self.rest = b""

    def step(self, data: bytes) -> bytes:
        if self._is_new:
            self._is_new = False
            _check_brotli_window(data[0], self._window_log)
        try:
            made: bytes = self._decompressor.process(data, output_buffer_limit=_BROTLI_STEP)
        except self._library.error as error:
            raise _DamageError(str(error)) from error
        self.ended = self._decompressor.is_finished()
        self.has_more = not self.ended and (bool(made) or not self._decompressor.can_accept_more_data())
        return made

    def fork(self) -> tuple[_Engine, bytes] | None:
        return None


def _check_brotli_window(first: int, limit: int) -> None:
    """Refuse a window that would take more memory than there is for it (RFC 7932 section 9.1)."""
    window_log = 17 + (first >> 1 & 7) if first & 1 else 16
    if window_log > limit:
        raise _DamageError(f"a window of 2^{window_log} bytes, and several codings share 2^{_WINDOW_LOG}")


class _Zstd:
    """One frame of ``zstd``."""

    def __init__(self, window_log: int) -> None:
        self._library = _zstd()
        options = {self._library.DecompressionParameter.window_log_max: window_log}
        self._decompressor = self._library.ZstdDecompressor(options=options)
        self.ended = self.has_more = False
        self.rest = b""

    def step(self, data: bytes) -> bytes:
        try:
            made: bytes = self._decompressor.decompress(data, STEP)
        except self._library.ZstdError as error:
            raise _DamageError(str(error)) from error
        self.ended = self._decompressor.eof
        self.has_more = not self.ended and not self._decompressor.needs_input
        self.rest = self._decompressor.unused_data if self.ended else b""
        return made

    def fork(self) -> tuple[_Engine, bytes] | None:
        return None


def _brotli() -> ModuleType:
    return import_module("brotli")


def _zstd() -> ModuleType:
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _has_brotli() -> bool:
    try:
        # Older ones cannot bound their output: a bomb would go off inside.
        return hasattr(_brotli().Decompressor, "can_accept_more_data")
    except ImportError:
        return False


def _has_zstd() -> bool:
    try:
        _zstd()
    except ImportError:
        return False
    return True


def _always() -> bool:
    return True


@frozen
class _Coding:
    """What is known about a coding."""

    make: Callable[[int], _Engine]
    """Begins a member; the argument is the logarithm of the largest window for each of several."""
    is_installed: Callable[[], bool] = _always
    ratio: int = 40
    """How many times as large as the wire's bytes the content may be; design's numbers, which are Qt's."""
    has_members: bool = False
    allows_padding: bool = False
    has_large_window: bool = False


_CODINGS = {
    "zstd": _Coding(_Zstd, _has_zstd, ratio=100, has_members=True, has_large_window=True),
    "br": _Coding(
        lambda window_log: _Brotli(_BROTLI_WINDOW_LOG if window_log == _WINDOW_LOG else window_log),
        _has_brotli,
        ratio=100,
        has_large_window=True,
    ),
    "gzip": _Coding(lambda _: _Inflate(16 + zlib.MAX_WBITS), has_members=True, allows_padding=True),
    "deflate": _Coding(lambda _: _Deflate()),
}
"""In the order in which we ask for them: what compresses best comes first (Qt's order)."""


@functools.cache
def available_codings() -> tuple[str, ...]:
    """The codings that can be decoded here, the preferred one first. The first call imports their libraries."""
    return tuple(name for name, coding in _CODINGS.items() if coding.is_installed())


def stacked_codings(values: Iterable[str]) -> tuple[str, ...]:
    """The codings that the values of Content-Encoding name, in the order in which they were applied; in lower case.

    ``identity`` says nothing and is left out, and ``x-gzip`` is ``gzip`` (RFC 9110 section 8.4.1.3).
    """
    names = (name.strip(" \t").lower() for value in values for name in value.split(","))
    return tuple("gzip" if name == "x-gzip" else name for name in names if name not in ("", "identity"))


def make_decoder(codings: Sequence[str], *, limit: int | None = DEFAULT_LIMIT) -> ContentDecoder | None:
    """A decoder for ``codings`` as `stacked_codings` gives them; ``None`` if there are none, or one is not known here.

    Raises:
        UnknownContentError: there are more than `MAX_CODINGS`.
    """
    known = available_codings()
    if not codings or any(name not in known for name in codings):
        return None
    if len(codings) > MAX_CODINGS:
        raise UnknownContentError(
            f"Decompression failed: {len(codings)} content codings on top of each other, and {MAX_CODINGS} are decoded"
        )
    return ContentDecoder(codings, limit=limit)


class _Stage:
    """One coding of the stack: members one behind the other."""

    def __init__(self, name: str, window_log: int) -> None:
        self._name = name
        self._coding = _CODINGS[name]
        self._window_log = window_log
        self._engine: _Engine | None = None  # between two members there is none
        self._is_first = True
        self._is_padded = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            yield from self._decode_slice(data[start : start + _SLICE])

    def finish(self) -> None:
        if self._engine is not None:
            raise _DamageError(f"the {self._name} stream ends too early")

    def _decode_slice(self, data: bytes) -> Iterator[bytes]:
        while data:
            engine, anew = self._engine, None
            if engine is None:
                if not self._is_first and not self._may_follow(data):
                    return
                engine = self._engine = self._make()
                anew = self._make
                self._is_first = False
            yield from _run(engine, data, anew)
            if not engine.ended:
                return
            data, self._engine = engine.rest, None

    def _make(self) -> _Engine:
        return self._coding.make(self._window_log)

    def _may_follow(self, data: bytes) -> bool:
        """Whether ``data``, which follows a complete member, begins another; if not, it is only padding."""
        if self._coding.allows_padding and not data.strip(b"\0"):
            self._is_padded = True
            return False
        if self._is_padded or not self._coding.has_members or (self._coding.allows_padding and data[0] == 0):
            raise _DamageError(f"there is something behind the end of the {self._name} stream")
        return True


def _run(engine: _Engine, data: bytes, anew: Callable[[], _Engine] | None) -> Iterator[bytes]:
    """All that ``data`` amounts to, in steps; ``anew`` makes another ``engine``, if this one is still as it was made.

    Raises:
        _DamageError: it cannot be decoded; everything in front of the damage has been given, if that is possible.
    """
    while True:
        spare = None if anew is not None else engine.fork()
        try:
            made = engine.step(data)
        except _DamageError:
            if anew is not None:
                spare = anew(), b""
            if spare is not None:
                yield from _joined(_bytewise(spare[0], spare[1] + data))
            raise
        if made:
            yield made
        if not engine.has_more:
            return
        data, anew = b"", None


def _bytewise(engine: _Engine, data: bytes) -> Iterator[bytes]:
    """What can be decoded of ``data``, in which there is damage somewhere."""
    try:
        for index in range(len(data)):
            yield engine.step(data[index : index + 1])
            while engine.has_more:
                yield engine.step(b"")
    except _DamageError:
        return


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in few pieces."""
    joined = bytearray()
    for piece in pieces:
        if len(joined) + len(piece) > STEP:
            yield bytes(joined)
            joined.clear()
        joined += piece
    if joined:
        yield bytes(joined)


class ContentDecoder:
    """Undoes a stack of codings. Feed it with `decode`, iterate to the end each time, and `finish` it.

    Against bombs (content that is millions of times as large as its compressed form) stands one rule, Qt's: from
    ``limit`` bytes on, content may be at most 40 times (gzip, deflate) or 100 times (br, zstd) as large as what came
    over the wire. It holds for what comes out of each coding of a stack, so that no layer in between grows unseen.
    Memory is bounded in any case: a piece and a window for each coding. Several codings with large windows share the
    8 MiB that a single zstd may have; a single br may have the 16 MiB that its format allows.
    """

    def __init__(self, codings: Sequence[str], *, limit: int | None) -> None:
        large = sum(_CODINGS[name].has_large_window for name in codings)
        window_log = _WINDOW_LOG - max(0, large - 1).bit_length()
        self._stages = [_Stage(name, window_log) for name in reversed(codings)]
        self._ratio = max(_CODINGS[name].ratio for name in codings)
        self._limit = limit
        self._received = 0
        self._made = [0] * len(self._stages)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The content that ``data`` adds, in pieces of 1 to `STEP` bytes.

        Raises:
            UnknownContentError: it is damaged or grows out of proportion; what was decoded before it has been given.
        """
        self._received += len(data)
        try:
            yield from self._through(0, data)
        except _DamageError as damage:
            raise UnknownContentError(f"Decompression failed: {damage}") from damage.__cause__

    def finish(self) -> None:
        """There is no more input.

        Raises:
            UnknownContentError: there should be.
        """
        for stage in self._stages:
            try:
                stage.finish()
            except _DamageError as damage:
                raise UnknownContentError(f"Decompression failed: {damage}") from None

    def _through(self, index: int, data: bytes) -> Iterator[bytes]:
        if index == len(self._stages):
            yield data
            return
        for piece in self._stages[index].decode(data):
            self._made[index] += len(piece)
            self._check_proportion(self._made[index])
            yield from self._through(index + 1, piece)

    def _check_proportion(self, made: int) -> None:
        if self._limit is not None and made > self._limit and made > self._ratio * self._received:
            raise UnknownContentError(
                f"Decompression failed: {self._received} bytes have become {made}, more than {self._ratio} times as "
                f"many; if you trust the server, raise decompression_limit={self._limit}, or switch it off with None"
            )
