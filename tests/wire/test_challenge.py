"""Challenges: what servers send, what hostile servers send, and that reading is the inverse of writing."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.credentials import Challenge
from trioreply._model.headers import is_token
from trioreply._wire.challenge import (
    MAX_CHALLENGES,
    MAX_SIZE,
    TOKEN68,
    parse_challenges,
    parse_parameters,
    quoted,
)

BASIC = Challenge("Basic", "x")

CASES: dict[str, tuple[list[str], list[Challenge]]] = {
    "none": ([], []),
    "empty": (["", " , ,"], []),
    "one": (['Basic realm="x"'], [BASIC]),
    "without realm": (["Negotiate"], [Challenge("Negotiate")]),
    "realm as a token": (["Basic realm=x"], [BASIC]),
    "spaces around the equals sign": (['Basic  realm \t= "x" '], [BASIC]),
    "names in any case": (['basic REALM="x", ChArSeT=UTF-8'], [Challenge("basic", "x", {"charset": "UTF-8"})]),
    "two in one field": (
        ['Digest realm="a", nonce="n", qop="auth,auth-int", Basic realm="x"'],
        [Challenge("Digest", "a", {"nonce": "n", "qop": "auth,auth-int"}), BASIC],
    ),
    "two in two fields": (["Negotiate", 'Basic realm="x"'], [Challenge("Negotiate"), BASIC]),
    "a value of its own": (
        ['NTLM TlRMTVNTUAA=, Basic realm="x"'],
        [Challenge("NTLM", parameters={TOKEN68: "TlRMTVNTUAA="}), BASIC],
    ),
    "what looks like a parameter without a value": (["Foo abc="], [Challenge("Foo", parameters={TOKEN68: "abc="})]),
    "a comma, a quote and a scheme in quotes": (
        [r'Basic realm="a, \"Digest\" realm=\\b, c"'],
        [Challenge("Basic", r'a, "Digest" realm=\b, c')],
    ),
    "empty elements": ([', ,Basic realm="x",, ,a=b,'], [Challenge("Basic", "x", {"a": "b"})]),
    "comma after the scheme": (['Basic , realm="x"'], [BASIC]),
    "three schemes in a row": (["A, B ,C"], [Challenge("A"), Challenge("B"), Challenge("C")]),
    "the same twice": (['Basic realm="x", realm=x'], [BASIC]),
    "bytes of another charset": (['Basic realm="\udce4"'], [Challenge("Basic", "\udce4")]),
    "contradictory": (['Digest realm="a", realm="b", Basic realm="x"'], [BASIC]),
    "two values": (['Foo bar baz, Basic realm="x"'], [BASIC]),
    "parameter after a value": (['Foo YII=, a=b, Basic realm="x"'], [BASIC]),
    "no value": (['Digest realm="a", nonce=, qop="auth", Basic realm="x"'], [BASIC]),
    "no comma": (['Digest realm="a" nonce="n", Basic realm="x"'], [BASIC]),
    "no scheme": (['realm="a", Basic realm="x"'], [BASIC]),
    "no name": (['="a, b", Basic realm="x"'], [BASIC]),
    "garbage with parameters": (['{}, realm="a", Basic realm="x"'], [BASIC]),
    "quote without end": (['Basic realm="x', 'Basic realm="x"'], [BASIC]),
    "control character": (['Basic realm="a\x00b"', 'Basic realm="x"'], [BASIC]),
    "escaped end": (['Basic realm="x\\"'], []),
}


@pytest.mark.parametrize("case", CASES)
def test_fields(case: str) -> None:
    """What is malformed or contradictory costs its own challenge and no other; what is unknown is kept."""
    values, expected = CASES[case]
    assert parse_challenges(values) == expected


def test_a_challenge_cannot_be_changed() -> None:
    """Parameters that are read are values like everything in an event."""
    with pytest.raises(TypeError):
        parse_challenges(["A b=c"])[0].parameters["b"] = "d"  # type: ignore[index]  # the mistake that is tested


def test_count_is_bounded() -> None:
    """A server that sends challenges without end is heard for a while, in one field or in many."""
    many = [f"S{number} a=b" for number in range(MAX_CHALLENGES + 10)]
    expected = [Challenge(f"S{number}", parameters={"a": "b"}) for number in range(MAX_CHALLENGES)]
    assert parse_challenges(many) == parse_challenges([", ".join(many)]) == expected


def test_size_is_bounded() -> None:
    """A field that goes past the limit is not read, nor is what follows it."""
    large = f'Large realm="{"x" * MAX_SIZE}"'
    assert parse_challenges(['Basic realm="x"', large, 'Basic realm="x"']) == [BASIC]
    assert parse_parameters([f"a={'b' * MAX_SIZE}"]) == {}


@pytest.mark.parametrize("piece", ['a="', '"\\"', "a=,", "a a ", '\\"', 'a="\\', "a=b=", "=", '", "', "a ", 'x="y" '])
def test_hostile_repetition_is_read_once(piece: str) -> None:
    """No repeated piece makes reading take longer than its length: this ends, where going back would take for ever."""
    text = piece * (MAX_SIZE // len(piece))
    assert len(parse_challenges([text])) <= MAX_CHALLENGES
    assert len(parse_parameters([text])) <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        (
            ['rspauth="ab", CNONCE="c",nc=00000001', "qop=auth"],
            {"rspauth": "ab", "cnonce": "c", "nc": "00000001", "qop": "auth"},
        ),
        (['nextnonce="a", nextnonce="b"'], {}),
        (['nextnonce="a'], {}),
        (['nextnonce="a", Basic'], {}),
    ],
)
def test_parameters(values: list[str], expected: dict[str, str]) -> None:
    """Authentication-Info is read whole, or not at all."""
    assert parse_parameters(values) == expected


tokens = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
gaps = st.sampled_from([",", ", ", " ,", ",,\t", " , ,"])
spaces = st.sampled_from(["", " ", "\t"])


@st.composite
def parameters(draw: st.DrawFn) -> tuple[str, str, str]:
    """A name, a value, and how they may stand in a field."""
    name, value = draw(tokens), draw(texts)
    written = value if is_token(value) and draw(st.booleans()) else quoted(value)
    return name.lower(), value, f"{name}{draw(spaces)}={draw(spaces)}{written}"


@st.composite
def challenges(draw: st.DrawFn) -> tuple[Challenge, str]:
    """A challenge, and how it may stand in a field."""
    scheme = draw(tokens)
    if draw(st.booleans()):
        value = draw(st.from_regex(r"[A-Za-z0-9\-._~+/]{1,8}={0,2}", fullmatch=True))
        return Challenge(scheme, parameters={TOKEN68: value}), f"{scheme} {value}"
    read = draw(st.lists(parameters(), max_size=4, unique_by=lambda parameter: parameter[0]))
    values = {name: value for name, value, _ in read}
    wire = scheme + (" " if read else "") + draw(gaps).join(text for _, _, text in read)
    return Challenge(scheme, values.pop("realm", ""), values), wire


@given(pairs=st.lists(challenges(), max_size=6), gap=gaps, cut=st.integers(0, 6))
def test_round_trip(pairs: list[tuple[Challenge, str]], gap: str, cut: int) -> None:
    """What is written is read again, in one field or in several, however it is spaced."""
    wires = [wire for _, wire in pairs]
    expected = [challenge for challenge, _ in pairs]
    assert parse_challenges(wires) == expected
    assert parse_challenges([gap.join(wires[:cut]), gap.join(wires[cut:])]) == expected


@given(read=st.lists(parameters(), max_size=5, unique_by=lambda parameter: parameter[0]), gap=gaps)
def test_parameters_round_trip(read: list[tuple[str, str, str]], gap: str) -> None:
    """Parameters without a challenge are read as they were written."""
    assert parse_parameters([gap.join(text for _, _, text in read)]) == {name: value for name, value, _ in read}


alphabet = st.sampled_from(
    ["Basic", "Digest", "realm", "=", '"', "\\", ",", " ", "\t", "a", "==", "/", "\x00", "ä", "\udc80"]
)


@given(values=st.lists(st.lists(alphabet, max_size=30).map("".join), max_size=4))
def test_any_text(values: list[str]) -> None:
    """Whatever comes, it is read without an error, and what is made of it is well-formed."""
    for challenge in parse_challenges(values):
        assert is_token(challenge.scheme)
        assert "realm" not in challenge.parameters
        assert all(name == name.lower() for name in challenge.parameters)
    assert all(is_token(name) for name in parse_parameters(values))


@given(pair=challenges(), junk=st.sampled_from(["A b c", 'A b="c" d', "A x=1, x=2", "A b=c=", 'A x="']))
def test_junk_behind_a_challenge(pair: tuple[Challenge, str], junk: str) -> None:
    """A challenge that cannot be read leaves the one before it as it is."""
    challenge, wire = pair
    assert parse_challenges([f"{wire}, {junk}"]) == [challenge]


@given(pair=challenges(), junk=st.sampled_from(["{}", "A b c", 'A b="c" d', "=", "A x=1, x=2", '""', '{} "a, b", c=d']))
def test_junk_before_a_challenge(pair: tuple[Challenge, str], junk: str) -> None:
    """A challenge that cannot be read leaves the one behind it as it is."""
    challenge, wire = pair
    assert parse_challenges([f"{junk}, {wire}"]) == [challenge]
