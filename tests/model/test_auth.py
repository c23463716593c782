"""Credentials as values: what is refused, and what never shows."""

from __future__ import annotations

import pytest

from trioreply._model.auth import AuthSource, Bearer, UserPassword, make_auth, make_login, user_bytes


@pytest.mark.parametrize("source", [None, Bearer("abc.def~+/="), ("Jäsøn Doe", "Secret, or: not?"), ("", "")])
def test_what_is_taken(source: AuthSource | None) -> None:
    """A pair stays the pair it was, a bearer token itself, and nothing stays nothing."""
    assert make_auth(source) == source


def test_secrets_do_not_show() -> None:
    """Neither a password nor a token is in what ends up in logs."""
    login = make_login("mufasa", "hakuna", field="auth")
    assert repr(login) == "UserPassword(user='mufasa')"
    assert "hakuna" not in f"{login} {login!r} {[login]}"
    assert "matata" not in f"{Bearer('matata')} {Bearer('matata')!r}"


@pytest.mark.parametrize(
    ("user", "password", "complaint"),
    [
        ("a:b", "p", "auth: the user name 'a:b' holds a colon"),
        ("a\n", "p", "auth: the user name holds a control character"),
        ("a", "secret\r\nX: y", "auth: the password holds a control character"),
        ("a", "\x7f", "auth: the password holds"),
        ("a", "\udc80", "auth: the password holds a control character, or half a character"),
    ],
)
def test_what_cannot_be_sent_is_refused(user: str, password: str, complaint: str) -> None:
    """A colon in a user name, and control characters anywhere, are refused by the field's name; no password shows."""
    with pytest.raises(ValueError, match=complaint) as caught:
        make_auth((user, password))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("source", ["user:password", ("a",), ("a", "b", "c"), ["a", "b"], ("a", b"b"), (None, "b"), 3])
def test_other_types_are_refused(source: AuthSource) -> None:
    """What is no pair of texts and no token is a mistake of type, and the message names the field."""
    with pytest.raises(TypeError, match="auth: "):
        make_auth(source)


@pytest.mark.parametrize("token", ["", "a b", "a\n", "ä"])
def test_tokens_are_checked(token: str) -> None:
    """A bearer token is visible ASCII, and something."""
    with pytest.raises(ValueError, match="token: "):
        Bearer(token)


def test_tokens_are_text() -> None:
    """A token of bytes is a mistake of type."""
    with pytest.raises(TypeError, match="token: give a str"):
        Bearer(b"abc")  # type: ignore[arg-type]  # the mistake that is tested


def test_texts_are_utf8_in_normal_form_c() -> None:
    """However a user's keyboard composes an umlaut, the server gets the same bytes."""
    assert user_bytes("a\u0308") == user_bytes("\u00e4") == b"\xc3\xa4"
    assert isinstance(make_auth(("a", "b")), UserPassword)
