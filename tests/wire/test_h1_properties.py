"""What must hold of every HTTP/1.1 codec for any bytes, tried on a hundred examples each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioreply._wire.codec import RequestHead

from . import h1_agreement as agreement
from . import h1_properties as h1
from .h1_cases import Case, Make, by_codec, needs_httptools


@by_codec
@given(valid=h1.valid_responses(), cuts=h1.places)
def test_round_trip(make: Make, valid: h1.Valid, cuts: list[int]) -> None:
    """A valid response gives exactly what it was made from, however it is cut."""
    h1.check_valid(make, valid, cuts)


@by_codec
@given(request_head=h1.requests, wire=h1.nearly_responses, cuts=h1.places)
def test_any_bytes(make: Make, request_head: RequestHead, wire: bytes, cuts: list[int]) -> None:
    """Whatever comes amounts to the same however it is cut, and raises nothing but our errors."""
    h1.check_any_bytes(make, request_head, wire, cuts)


@by_codec
@given(cases=h1.good_cycles, wire=h1.nearly_responses)
def test_cycles_are_independent(make: Make, cases: list[Case], wire: bytes) -> None:
    """Earlier cycles on a connection do not change what a response amounts to."""
    h1.check_cycles(make, cases, wire)


@by_codec
@given(wire=st.binary(max_size=50), cuts=h1.places)
def test_unasked_bytes(make: Make, wire: bytes, cuts: list[int]) -> None:
    """Bytes that nobody asked for never become messages."""
    h1.check_unasked(make, wire, cuts)


@needs_httptools
@given(conversation=agreement.conversations(), cuts=h1.places)
def test_codecs_agree(conversation: agreement.Conversation, cuts: list[int]) -> None:
    """Two independent parsers make the same of the same bytes, at every step."""
    agreement.check_agreement(conversation, cuts)
