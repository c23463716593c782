"""The properties of the HTTP/1.1 codecs with as many examples as the hypothesis profile gives (``fuzz``: thousands).

Run with ``HYPOTHESIS_PROFILE=fuzz``; ``FUZZ_EXAMPLES`` is the number of examples of each. Whatever is found becomes a
case in ``tests/wire/h1_table.py``.
"""

from __future__ import annotations

from hypothesis import given, target
from hypothesis import strategies as st

from trioreply._wire.codec import RequestHead
from trioreply._wire.h1_rules import ChunkScanner

from ..wire import h1_agreement as agreement
from ..wire import h1_properties as h1
from ..wire.h1_cases import CHUNKED, GET, Case, Make, by_codec, cut, needs_httptools, play

any_places = st.lists(st.integers(0, 3000), max_size=100)


@by_codec
@given(valid=st.lists(h1.valid_responses(), min_size=1, max_size=4), cuts=any_places)
def test_round_trips(make: Make, valid: list[h1.Valid], cuts: list[int]) -> None:
    """Valid responses, one after the other on one connection, give exactly what they were made from."""
    codec = make()
    for one in valid:
        h1.check_valid(make, one, cuts)
        outcome = play(codec, one.case.request, cut(one.case.wire, cuts, ends=one.case.ends))
        assert len(outcome.messages) == len(one.case.messages)
        if not outcome.reusable:
            return


@by_codec
@given(request_head=h1.requests, wires=st.lists(h1.nearly_responses, min_size=1, max_size=5), cuts=any_places)
def test_any_bytes(make: Make, request_head: RequestHead, wires: list[bytes], cuts: list[int]) -> None:
    """Whatever comes amounts to the same however it is cut; the search is led to what is understood for longest."""
    wire = b"".join(wires)
    h1.check_any_bytes(make, request_head, wire, cuts)
    target(len(play(make(), request_head, cut(wire, ())).messages))


@by_codec
@given(cases=h1.good_cycles, wire=h1.nearly_responses)
def test_cycles_are_independent(make: Make, cases: list[Case], wire: bytes) -> None:
    """Earlier cycles on a connection do not change what a response amounts to."""
    h1.check_cycles(make, cases, wire)


@by_codec
@given(wire=st.binary(max_size=300), cuts=any_places)
def test_chunked_anything(make: Make, wire: bytes, cuts: list[int]) -> None:
    """Any bytes after a chunked head keep rules and parser in agreement about where the body ends."""
    h1.check_any_bytes(make, GET, CHUNKED + wire, cuts)
    proven, _rest, _mistake = ChunkScanner().feed(wire)
    # What the rules call good no parser may refuse.
    assert play(make(), GET, [CHUNKED + proven]).error is None


@needs_httptools
@given(conversation=agreement.conversations(most=6), cuts=any_places)
def test_codecs_agree(conversation: agreement.Conversation, cuts: list[int]) -> None:
    """Two independent parsers make the same of the same bytes, at every step."""
    target(agreement.check_agreement(conversation, cuts))
