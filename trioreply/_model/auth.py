"""Credentials that a request brings along: a user with a password, or a bearer token.

Checked on the way in, like everything in a request. A colon cannot stand in a user name (RFC 7617 section 2: it is
what separates name and password), and control characters can stand nowhere: they have no meaning in a password, and in
a header field they would be an attack. Neither class shows its secret in ``repr``, for that ends up in logs.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import normalize

from attrs import field

from .values import frozen

# RFC 7617 section 2 forbids CTL; half a character has no bytes.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# RFC 6750 section 2.1 allows less, but tokens with "|" or ":" are in use; a space would begin something else.
_TOKEN = re.compile("[\x21-\x7e]+")


class UserPassword(NamedTuple):
    """A user name and a password, as a pair that does not show the password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"UserPassword(user={self.user!r})"


def _checked_token(token: str) -> str:
    if not isinstance(token, str):
        raise TypeError(f"token: give a str, not {type(token).__name__}")
    if not _TOKEN.fullmatch(token):
        raise ValueError("token: it is empty, or holds a space, a control character or a letter beyond ASCII")
    return token


@frozen
class Bearer:
    """A bearer token (RFC 6750), sent with the request at once.

    Raises:
        ValueError: the token is empty, or holds a space, a control character or a letter beyond ASCII.
        TypeError: it is no text.
    """

    token: str = field(repr=False, converter=_checked_token)


Auth = UserPassword | Bearer
"""What a request's ``auth`` is, unless it is ``None``."""

AuthSource = tuple[str, str] | Bearer
"""What may be given for it: a pair of user name and password, or a `Bearer`."""


def make_auth(source: AuthSource | None) -> Auth | None:
    """The credentials that ``source`` stands for; the converter of the request's ``auth``.

    Raises:
        ValueError: see `make_login`.
        TypeError: it is no pair of texts and no `Bearer`.
    """
    if source is None or isinstance(source, Bearer):
        return source
    if not isinstance(source, tuple) or len(source) != 2:
        raise TypeError(f"auth: give a pair (user, password) or a Bearer, not {type(source).__name__}")
    return make_login(*source, field="auth")


def make_login(user: str, password: str, *, field: str) -> UserPassword:
    """``user`` and ``password`` as a pair that can be sent.

    Raises:
        ValueError: one holds a control character or half a character, or the user name a colon; the text starts with
            ``field`` and does not show the password.
        TypeError: one is no text.
    """
    for name, text in (("user name", user), ("password", password)):
        if not isinstance(text, str):
            raise TypeError(f"{field}: the {name} must be str, not {type(text).__name__}")
        if _FORBIDDEN.search(text):
            raise ValueError(f"{field}: the {name} holds a control character, or half a character; remove it")
    if ":" in user:
        raise ValueError(f"{field}: the user name {user!r} holds a colon, which separates it from the password")
    return UserPassword(user, password)


def user_bytes(text: str) -> bytes:
    """A user name or a password as Basic and Digest mean it (RFC 7617 section 2.1, RFC 7616 section 4)."""
    return normalize("NFC", text).encode()
