"""Content codings: what they are called, how they end, and what damage and bombs come to."""

from __future__ import annotations

import gzip
import random
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest

from trioreply._wire import content
from trioreply._wire.content import MAX_CODINGS, STEP, available_codings, make_decoder, stacked_codings
from trioreply.errors import UnknownContentError

from .content_cases import (
    COMPRESSORS,
    EVERY,
    Outcome,
    br,
    bytewise,
    compress,
    decode,
    needs_br,
    needs_zstd,
    raw_deflate,
    zstd,
)

TEXT = b"The quick brown fox jumps over the lazy dog. " * 400
NOISE = random.Random(1).randbytes(300_000)
GROWING = b"".join(b"%d," % number for number in range(200_000))
"""Something that compresses well and is not the same everywhere."""


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ([], ()),
        (["gzip"], ("gzip",)),
        ([" GZip\t"], ("gzip",)),
        (["x-gzip"], ("gzip",)),
        (["identity"], ()),
        (["deflate, gzip"], ("deflate", "gzip")),
        (["br", "identity,, gzip"], ("br", "gzip")),
        (["compress"], ("compress",)),
    ],
)
def test_names(values: list[str], codings: tuple[str, ...]) -> None:
    """Codings are named without case, over one field or several; identity is none, and x-gzip an old name."""
    assert stacked_codings(values) == codings


@pytest.mark.parametrize("codings", [(), ("compress",), ("gzip", "compress"), ("gzip;q=1",), ("gzip",) * 5 + ("x",)])
def test_what_is_not_decoded(codings: tuple[str, ...]) -> None:
    """Without codings, or with one that is not known, there is nothing that could decode."""
    assert make_decoder(codings) is None


@pytest.mark.parametrize("coding", EVERY)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, NOISE, GROWING], ids=["empty", "one", "text", "noise", "growing"])
def test_there_and_back(coding: str, data: bytes) -> None:
    """What was compressed comes back, in pieces that are bounded."""
    outcome = decode([coding], [COMPRESSORS[coding](data)])
    assert (outcome.data, outcome.error) == (data, None)
    assert outcome.largest <= STEP


@pytest.mark.parametrize("coding", EVERY)
def test_byte_by_byte(coding: str) -> None:
    """Input that comes in single bytes gives the same."""
    assert decode([coding], bytewise(COMPRESSORS[coding](TEXT))).data == TEXT


@pytest.mark.parametrize("coding", EVERY)
def test_nothing_at_all(coding: str) -> None:
    """An empty body is an empty content, whatever its coding."""
    assert decode([coding], []) == decode([coding], [b""])
    assert decode([coding], []).error is None


@pytest.mark.parametrize("coding", EVERY)
def test_nothing_waits_inside(coding: str) -> None:
    """What can be decoded of some input is given at once, and not with the next."""
    for size in (1, 65536, STEP, STEP + 1, 3 * STEP):
        data = bytes(size)
        decoder = make_decoder([coding.removeprefix("raw ")], limit=None)
        assert decoder is not None
        assert sum(len(part) for part in decoder.decode(COMPRESSORS[coding](data))) == size


@pytest.mark.parametrize("extra", [1, 50, 257])
def test_a_piece_may_end_inside_of_a_repetition(extra: int) -> None:
    """What the library still holds when the input is used up is given, too."""
    whole = raw_deflate(bytes(STEP + extra))
    for length in range(len(whole) - 5, len(whole)):
        expected = zlib.decompressobj(-zlib.MAX_WBITS).decompress(whole[:length])
        assert decode(["raw deflate"], [whole[:length]]).data == expected


STACKS = [
    pytest.param(("gzip", "deflate")),
    pytest.param(("gzip", "gzip", "deflate", "gzip")),
    pytest.param(("br", "gzip"), marks=needs_br),
    pytest.param(("zstd", "gzip", "zstd"), marks=needs_zstd),
    pytest.param(("br", "br", "zstd", "zstd"), marks=[needs_br, needs_zstd]),
]


@pytest.mark.parametrize("codings", STACKS)
def test_stacks(codings: Sequence[str]) -> None:
    """Codings on top of each other are undone from the last to the first."""
    compressed = compress(codings, TEXT)
    assert decode(codings, [compressed]).data == TEXT
    assert decode(codings, bytewise(compressed)).data == TEXT


def test_a_stack_has_a_limit() -> None:
    """More than four codings are refused."""
    assert make_decoder(("gzip",) * MAX_CODINGS) is not None
    with pytest.raises(UnknownContentError, match=r"^Decompression failed: 5 content codings .* 4 are decoded$"):
        make_decoder(("gzip",) * 5)


def test_members_of_gzip() -> None:
    """Several gzip members are one content (RFC 1952 section 2.2), also with zeros behind the last."""
    members = gzip.compress(b"one,") + gzip.compress(b"") + gzip.compress(b"two")
    for padding in (b"", bytes(1), bytes(100_000)):
        for pieces in ([members + padding], bytewise(members + padding)):
            outcome = decode(["gzip"], pieces)
            assert (outcome.data, outcome.error) == (b"one,two", None)


@needs_zstd
def test_frames_of_zstd() -> None:
    """Several zstd frames are one content, and what may be skipped is skipped (RFC 8878 section 3.1)."""
    skippable = struct.pack("<II", 0x184D2A50, 4) + b"skip"
    frames = skippable + zstd(b"one,") + skippable + zstd(b"two") + skippable
    assert decode(["zstd"], [frames]).data == decode(["zstd"], bytewise(frames)).data == b"one,two"


@pytest.mark.parametrize("coding", EVERY)
@pytest.mark.parametrize("behind", [b"x", b"\0x", b"<html>"])
def test_something_behind_the_end(coding: str, behind: bytes) -> None:
    """What follows a complete stream and is not more of it is an error, behind the content that was decoded."""
    whole = COMPRESSORS[coding](b"content")
    for pieces in ([whole, behind], bytewise(whole + behind)):
        outcome = decode([coding], pieces)
        assert outcome.data == b"content"
        assert outcome.error is not None
        assert outcome.error.startswith("Decompression failed: ")
    assert decode([coding], [whole + behind]).error is not None


def test_zeros_are_padding_only_at_the_end() -> None:
    """Behind gzip's padding nothing may follow, not even another member."""
    member = gzip.compress(b"x")
    for pieces in ([member + b"\0" + member], [member, b"\0", member]):
        assert (
            decode(["gzip"], pieces).error
            == "Decompression failed: there is something behind the end of the gzip stream"
        )


@pytest.mark.parametrize("coding", EVERY)
def test_a_stream_that_ends_early(coding: str) -> None:
    """A stream cut anywhere is an error, behind what could be decoded of it."""
    whole = COMPRESSORS[coding](GROWING[:3000])
    outcome = Outcome(b"")
    for length in range(1, len(whole)):
        outcome = decode([coding], [whole[:length]])
        assert outcome.error == f"Decompression failed: the {coding.removeprefix('raw ')} stream ends too early"
        assert GROWING.startswith(outcome.data)
    assert len(outcome.data) > 2900 or coding == "zstd"  # which is made of blocks


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("data", [TEXT, GROWING], ids=["one slice", "many"])
@pytest.mark.parametrize("split", [10**9, 1000, 100])
def test_damage_at_the_end(coding: str, data: bytes, split: int) -> None:
    """A wrong checksum is an error, and all of the content is in front of it, however the input was cut."""
    whole = bytearray(COMPRESSORS[coding](data))
    whole[-5 if coding == "gzip" else -1] ^= 1
    pieces = [bytes(whole[start : start + split]) for start in range(0, len(whole), split)]
    outcome = decode([coding], pieces)
    assert outcome.data == data
    assert outcome.error is not None
    assert "incorrect data check" in outcome.error
    assert outcome.largest <= STEP


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_damage_behind_much(coding: str) -> None:
    """What a single piece of the input amounted to before the damage comes in bounded pieces, and all of it."""
    whole = bytearray(COMPRESSORS[coding](bytes(40 * STEP + 7)))
    whole[-5 if coding == "gzip" else -1] ^= 1
    outcome = decode([coding], [bytes(whole)])
    assert (len(outcome.data), outcome.largest) == (40 * STEP + 7, STEP)
    assert outcome.error is not None


@pytest.mark.parametrize("coding", EVERY)
def test_damage_in_the_middle(coding: str) -> None:
    """Damage among the first bytes leaves what is in front of it."""
    whole = COMPRESSORS[coding](NOISE[:40])
    for index in range(12, len(whole) - 8):
        damaged = whole[:index] + bytes([whole[index] ^ 0xFF]) + whole[index + 1 :]
        whole_at_once = decode([coding], [damaged])
        assert whole_at_once.data == decode([coding], bytewise(damaged)).data


@pytest.mark.parametrize("coding", EVERY)
def test_what_is_no_stream(coding: str) -> None:
    """Something else under a coding's name is an error."""
    outcome = decode([coding], [b"<html>Not compressed at all</html>"])
    assert outcome.error is not None


@needs_br
def test_a_library_that_cannot_be_copied() -> None:
    """Damage far behind the beginning of a br stream costs one step at most."""
    whole = bytearray(br(NOISE))
    whole[200_000:] = b"\xff" * 1000
    outcome = decode(["br"], [bytes(whole[start : start + 1000]) for start in range(0, len(whole), 1000)])
    assert outcome.error is not None
    assert NOISE.startswith(outcome.data[:150_000])
    assert len(outcome.data) > 150_000


@needs_br
def test_damage_behind_a_window() -> None:
    """A br decoder may be far ahead of what it gives; if it finds damage there, all that comes, in bounded pieces."""
    data = b"".join(b"line %d of very many lines\n" % number for number in range(100_000))
    whole = bytearray(br(data))
    whole[20_000:] = b"\xff" * 1000
    outcome = decode(["br"], [bytes(whole)])
    assert outcome.error is not None
    assert outcome.data[: STEP + 1] == data[: STEP + 1]
    assert outcome.largest <= STEP


def test_what_is_salvaged_ends_with_the_input() -> None:
    """Where no damage is found after all, everything that is there is given."""
    assert b"".join(content._bytewise(content._Inflate(31), gzip.compress(TEXT))) == TEXT


RATIOS = {"gzip": 40, "deflate": 40, "raw deflate": 40, "br": 100, "zstd": 100}


@pytest.mark.parametrize("coding", EVERY)
def test_bombs(coding: str) -> None:
    """Content that is much larger than its wire form is an error from the limit on; up to it, it is given."""
    bomb = COMPRESSORS[coding](bytes(4_000_000))
    outcome = decode([coding], [bomb], limit=1_000_000)
    assert outcome.error is not None
    assert f"more than {RATIOS[coding]} times as many" in outcome.error
    assert "decompression_limit=1000000" in outcome.error
    assert 1_000_000 - STEP <= len(outcome.data) <= 1_000_000
    assert decode([coding], [bomb], limit=4_000_000).error is None
    assert decode([coding], [bomb], limit=None).error is None


def tame(ratio: int) -> Iterator[bytes]:
    """Members of gzip that are exactly ``ratio`` times as large as their wire form, which is stored and padded."""
    for _ in range(20):
        noise = NOISE[:1000]
        yield gzip.compress(noise + bytes(len(gzip.compress(noise)) * ratio - len(noise)))


def test_an_honest_ratio_has_no_limit() -> None:
    """Content that stays below the ratio may be as large as it likes."""
    assert decode(["gzip"], tame(30), limit=1000).error is None
    assert decode(["gzip"], tame(60), limit=1000).error is not None


def test_no_layer_grows_unseen() -> None:
    """The rule holds for every coding of a stack: what the inner one throws away is counted."""
    hidden = gzip.compress(gzip.compress(b"harmless") + bytes(4_000_000))
    assert decode(["gzip", "gzip"], [hidden], limit=None).data == b"harmless"
    assert decode(["gzip", "gzip"], [hidden], limit=1_000_000).error is not None


@needs_br
def test_the_largest_window_decides() -> None:
    """In a stack the ratio is that of the coding that may grow most."""
    compressed = compress(("br", "gzip"), TEXT * 100)
    assert "100 times" in str(decode(("br", "gzip"), [compressed], limit=1000).error)


@needs_br
@pytest.mark.parametrize(("window_log", "codings", "fits"), [
    (24, ("br",), True),
    (24, ("br", "gzip"), True),
    (22, ("br", "br"), True),
    (24, ("br", "br"), False),
    (23, ("br", "br"), False),
    (22, ("br", "br", "br"), False),
    (16, ("br", "br", "br", "br"), True),
])  # fmt: skip
def test_windows_of_br(window_log: int, codings: Sequence[str], fits: bool) -> None:
    """A br stream by itself may have the largest window; several share what there is."""
    compressed = br(NOISE, window_log=window_log)
    for name in codings[1:]:
        compressed = br(compressed, window_log=16) if name == "br" else COMPRESSORS[name](compressed)
    outcome = decode(codings, [compressed])
    assert (outcome.error is None) is fits


@needs_zstd
@pytest.mark.parametrize(("window_log", "copies", "fits"), [
    (23, 1, True), (24, 1, False), (22, 2, True), (23, 2, False), (21, 4, True), (22, 4, False),
])  # fmt: skip
def test_windows_of_zstd(window_log: int, copies: int, fits: bool) -> None:
    """A zstd window may have 8 MiB (RFC 9659 section 3); several share them."""
    compressed = zstd(NOISE * 30, window_log=window_log)
    for _ in range(copies - 1):
        compressed = zstd(compressed, window_log=18)
    assert (decode(("zstd",) * copies, [compressed]).error is None) is fits


class TooOld:
    """What brotli's decompressor was before its output could be bounded."""


@pytest.mark.parametrize("names", [("gzip", "deflate"), ("br", "gzip", "deflate")], ids=["nothing", "only br"])
def test_what_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    """A coding whose library is missing, or too old to bound its output, is neither offered nor decoded."""
    library = ModuleType("brotli")
    library.Decompressor = ContentLike if "br" in names else TooOld  # type: ignore[attr-defined]  # it is made here
    for name in ("backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "brotli", library)
    available_codings.cache_clear()
    try:
        assert available_codings() == names
        assert make_decoder(["zstd"]) is None
        monkeypatch.setitem(sys.modules, "brotli", None)
        available_codings.cache_clear()
        assert available_codings() == ("gzip", "deflate")
    finally:
        available_codings.cache_clear()


class ContentLike:
    """What brotli's decompressor is now."""

    def can_accept_more_data(self) -> bool:
        """Whether more may be given."""
        return True


def test_members_are_cheap() -> None:
    """Many tiny members cost no more than their number: what follows one is not copied over and over."""
    members = gzip.compress(b"") * 20_000
    outcome = decode(["gzip"], [members])
    assert outcome == decode(["gzip"], [b""])
    assert content._SLICE <= 64 * 1024  # the quadratic part, bounded


def test_zlib_with_another_window_is_known() -> None:
    """The zlib format is told from bare deflate for every window size that it can have."""
    for window_log in range(9, 16):
        compressor = zlib.compressobj(wbits=window_log)
        compressed = compressor.compress(TEXT) + compressor.flush()
        assert decode(["deflate"], [compressed]).data == TEXT


@needs_br
def test_damage_after_what_cannot_be_tried_again() -> None:
    """A coding whose state cannot be copied gives up at the damage; what was decoded before has been given."""
    whole = compress(["br"], TEXT * 100)
    decoder = make_decoder(["br"])
    assert decoder is not None
    given = b"".join(decoder.decode(whole[: len(whole) // 2]))
    with pytest.raises(UnknownContentError):
        list(decoder.decode(b"\xff" * 1000))
    assert (TEXT * 100).startswith(given)
