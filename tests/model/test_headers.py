"""Header fields: what is let in, and that bytes survive being text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.headers import (
    EMPTY,
    HeaderSource,
    content_length,
    decode_text,
    encode_text,
    from_wire,
    is_token,
    make_headers,
    trusted_headers,
    with_missing,
)

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

names = st.text(TOKEN_CHARACTERS, min_size=1, max_size=10)
values = st.binary(max_size=20).filter(lambda raw: not any(byte == 0x7F or (byte < 0x20 and byte != 9) for byte in raw))


def make(source: object) -> object:
    """Headers from something that need not be of the right type."""
    return make_headers(source)  # type: ignore[arg-type]  # wrong types are the point


@given(st.binary(max_size=50))
def test_any_bytes_survive(raw: bytes) -> None:
    """A value off the wire goes back onto it as the same bytes, whatever charset it was in."""
    assert encode_text(decode_text(raw)) == raw


@given(st.lists(st.tuples(names, values)))
def test_valid_fields_pass_in_order(pairs: list[tuple[str, bytes]]) -> None:
    """Valid names with values of any bytes are kept: in order, repeats included, only white space around them gone."""
    headers = make_headers(pairs)
    kept = [(name, encode_text(value)) for name, value in headers.items()]
    assert kept == [(name, value.strip(b" \t")) for name, value in pairs]


@given(st.integers(0, 255), names)
def test_no_control_character_gets_in(byte: int, name: str) -> None:
    """A byte below 32 (but a tab), or 127, in a value is refused: it could end the line and begin another request."""
    value = b"a" + bytes([byte]) + b"b"
    if byte == 0x7F or (byte < 0x20 and byte != 9):
        with pytest.raises(ValueError, match=r"^headers: .*control character"):
            make_headers([(name, value)])
    else:
        assert encode_text(make_headers([(name, value)])[name]) == value


@given(st.characters())
def test_only_token_characters_make_a_name(character: str) -> None:
    """A field's name is made of the characters of a token and of no other (RFC 9110 section 5.6.2)."""
    assert is_token(character) == (character in TOKEN_CHARACTERS)
    if not is_token(character):
        with pytest.raises(ValueError, match=r"^headers: .* is not a field name"):
            make_headers({f"X{character}": "y"})


@pytest.mark.parametrize("name", ["", " ", "X Y", "X:", "X\n", "X\r\nY", "Ü", b"\xff", "a\N{KELVIN SIGN}"])
def test_bad_names_are_refused(name: str | bytes) -> None:
    """A name that is empty, or not a token from end to end, is refused and the text says which field of ours it was."""
    with pytest.raises(ValueError, match=r"^trailers: "):
        make_headers([(name, "x")], field="trailers")


@pytest.mark.parametrize("half", [0xD800, 0xDBFF, 0xDC00, 0xDC0A, 0xDC7F, 0xDD00, 0xDFFF])
def test_half_characters_are_refused(half: int) -> None:
    """A surrogate that stands for no byte has no encoding, so it is refused when given and not when sent."""
    with pytest.raises(ValueError, match=r"^headers: "):
        make_headers({"X": f"a{chr(half)}"})


@pytest.mark.parametrize(
    "source",
    ["abc", b"abc", ["ab"], [("only one",)], [("one", "two", "three")], {"X": 5}, {"X": None}, {5: "x"}, [(None, "x")]],
)
def test_wrong_types_are_named(source: object) -> None:
    """What is neither a mapping nor pairs of text is refused with the field's name, even if it could be unpacked."""
    with pytest.raises(TypeError, match=r"^headers: "):
        make(source)


@pytest.mark.parametrize("source", [None, {}, [], ()])
def test_nothing_gives_the_empty_headers(source: HeaderSource | None) -> None:
    """No headers are one shared empty object."""
    assert make_headers(source) is EMPTY


def test_copy_is_our_own_and_ignores_case() -> None:
    """Headers do not change with what they were made from, and are found in any case."""
    source = {"Accept": "text/plain"}
    headers = make_headers(source)
    source["Accept"] = "changed"
    assert headers["ACCEPT"] == "text/plain"
    assert not hasattr(headers, "add")


def test_bytes_and_lists_are_taken() -> None:
    """Names and values may be bytes, a pair may be a list, and headers may be made from headers."""
    pairs: list[tuple[str | bytes, str | bytes]] = [(b"X", b"\xff\xc3\xa4"), ("x", "\u00e4")]
    headers = make_headers(pairs)
    assert headers.getall("x") == ["\udcff\u00e4", "\u00e4"]
    assert list(make_headers(headers).items()) == list(headers.items())
    assert make([["X", "y"]]) == make_headers({"X": "y"})


def test_checked_fields_of_a_codec_become_text() -> None:
    """Fields off the wire keep their order, repeats, spelling and bytes."""
    headers = from_wire([(b"Set-Cookie", b"a=\xff"), (b"Age", b"1"), (b"set-cookie", b"b")])
    assert list(headers.items()) == [("Set-Cookie", "a=\udcff"), ("Age", "1"), ("set-cookie", "b")]


def test_defaults_go_behind_and_under() -> None:
    """Defaults are added behind the fields that are set, and none of those whose name is set already, in any case."""
    defaults = make_headers([("User-Agent", "x"), ("Accept", "1"), ("Accept", "2")])
    own = make_headers([("accept", "own"), ("X", "y")])
    assert list(with_missing(own, defaults).items()) == [("accept", "own"), ("X", "y"), ("User-Agent", "x")]
    assert list(with_missing(make_headers({"user-agent": "z"}), defaults).items()) == [
        ("user-agent", "z"),
        ("Accept", "1"),
        ("Accept", "2"),
    ]


def test_defaults_are_not_copied_without_need() -> None:
    """Where one side adds nothing the other is taken as it is: this is on the way of every request."""
    defaults, own = make_headers({"A": "1"}), make_headers({"a": "2"})
    assert with_missing(EMPTY, defaults) is defaults
    assert with_missing(own, defaults) is own


def test_fields_of_a_codec_are_not_checked_again() -> None:
    """Headers that are headers already are trusted; anything else is checked."""
    headers = make_headers({"A": "1"})
    assert trusted_headers(headers) is headers
    assert trusted_headers({"a": "1"}) == headers
    with pytest.raises(ValueError, match=r"^headers: "):
        trusted_headers({"A": "\n"})


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
        *((text, None) for text in ("9" * 19, "-1", "+1", "1, 1", "1_0", "\u0661", "\u00b2", "", "x")),
        (None, None),
    ],
)
def test_content_length(value: str | None, length: int | None) -> None:
    """A Content-Length is ASCII digits of a sane number; anything else is no length."""
    assert content_length(make_headers(None if value is None else {"Content-Length": value})) == length
