"""Content codings: however the input is cut, and whatever it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioreply._wire.content import STEP, available_codings

from .content_cases import COMPRESSORS, compress, decode

NAMES = [name for name in COMPRESSORS if name.removeprefix("raw ") in available_codings()]
STACKS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)
CONTENTS = st.one_of(
    st.binary(max_size=2000),
    st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=20), st.integers(0, 20_000)),
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` cut at ``places``, as far as it is that long."""
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(STACKS, CONTENTS, st.lists(st.integers(0, 3000), max_size=20))
def test_any_split_gives_the_same(codings: list[str], data: bytes, places: list[int]) -> None:
    """What was compressed comes back, however the stream is cut on its way, in bounded pieces."""
    outcome = decode(codings, cut(compress(codings, data), places))
    assert (outcome.data, outcome.error) == (data, None)
    assert outcome.largest <= STEP


@given(STACKS, CONTENTS, st.floats(0, 1))
def test_no_cut_stream_is_a_success(codings: list[str], data: bytes, share: float) -> None:
    """A stream of which the end is missing is never a success, and what comes of it is the beginning of the content."""
    whole = compress(codings, data)
    length = max(1, round(share * len(whole)))
    outcome = decode(codings, [whole[:length]])
    assert (outcome.error is None) is (length == len(whole))
    assert data.startswith(outcome.data)


@given(STACKS, st.binary(max_size=500), st.lists(st.integers(0, 500), max_size=5))
def test_garbage_is_an_error_or_content(codings: list[str], garbage: bytes, places: list[int]) -> None:
    """Whatever comes is decoded or refused with the one error there is for it; cuts do not decide which."""
    whole, pieces = decode(codings, [garbage]), decode(codings, cut(garbage, places))
    assert (whole.error is None) is (pieces.error is None)
    assert whole.largest <= STEP
    if whole.error is None:
        assert whole.data == pieces.data
