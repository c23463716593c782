"""Who may use an HTTP proxy: Basic, and Digest as a proxy reckons it.

The Digest here is written from the formulas of RFC 7616 section 3.4.1 and knows only what a proxy needs that does it
well: MD5 or SHA-256, ``qop=auth``, each number of a nonce once. It shares nothing with the client's own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Literal, Protocol

from attrs import define, field, frozen

Login = tuple[str, str]
"""A user and a password."""

Scheme = Literal["basic", "digest", "digest-sha-256"]

_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')


class Door(Protocol):
    """Decides about one request."""

    def refusal(self, method: str, target: str, credentials: str | None, /) -> str | None:
        """The challenge for somebody who may not come in; `None` for somebody who may.

        Args:
            method: of the request.
            target: of the request, as it stands in its first line.
            credentials: the value of Proxy-Authorization, if there was one.
        """
        ...


@frozen
class BasicDoor:
    """Opens for one user and password, in UTF-8 (RFC 7617)."""

    login: Login
    realm: str = "proxy"

    def refusal(self, _method: str, _target: str, credentials: str | None, /) -> str | None:
        """See `Door`."""
        scheme, _, token = (credentials or "").partition(" ")
        right = base64.b64encode(":".join(self.login).encode()).decode()
        return None if scheme.lower() == "basic" and token == right else f'Basic realm="{self.realm}"'


@define
class DigestDoor:
    """Opens for one user and password, each number once for a nonce (RFC 7616)."""

    login: Login
    algorithm: Literal["MD5", "SHA-256"] = "MD5"
    realm: str = "proxy"
    generation: int = 1
    """Counts the nonces. Raise it, and those who come with an older one are told that it is stale."""
    taken: list[tuple[str, str]] = field(factory=list)
    """Nonce and number of each request that was let in."""

    @property
    def nonce(self) -> str:
        """The one that is good now."""
        return f"nonce-{self.generation}"

    def refusal(self, method: str, target: str, credentials: str | None) -> str | None:
        """See `Door`."""
        given = digest_parameters(credentials or "")
        if not self._is_true(given, method, target):
            return self._challenge()
        if given["nonce"] != self.nonce:
            return self._challenge() + ", stale=true"
        use = (given["nonce"], given["nc"])
        if use in self.taken:
            return self._challenge()
        self.taken.append(use)
        return None

    def _challenge(self) -> str:
        return f'Digest realm="{self.realm}", nonce="{self.nonce}", qop="auth", algorithm={self.algorithm}'

    def _is_true(self, given: dict[str, str], method: str, target: str) -> bool:
        """Whether somebody who knows the password has said this, about this very request."""
        user, password = self.login
        said = (given.get("username"), given.get("realm"), given.get("uri"), given.get("qop"))
        if said != (user, self.realm, target, "auth") or given.get("algorithm", "MD5") != self.algorithm:
            return False
        if not (re.fullmatch(r"[0-9a-f]{8}", given.get("nc", "")) and given.get("cnonce") and given.get("nonce")):
            return False
        secret = self._hash(user, self.realm, password)
        about = self._hash(method, target)
        proof = self._hash(secret, given["nonce"], given["nc"], given["cnonce"], "auth", about)
        return given.get("response") == proof

    def _hash(self, *parts: str) -> str:
        name = {"MD5": "md5", "SHA-256": "sha256"}[self.algorithm]
        return hashlib.new(name, ":".join(parts).encode()).hexdigest()


def make_door(login: Login, scheme: Scheme) -> Door:
    """A door that opens for ``login``, given by ``scheme``."""
    if scheme == "basic":
        return BasicDoor(login)
    return DigestDoor(login, "MD5" if scheme == "digest" else "SHA-256")


def digest_parameters(credentials: str) -> dict[str, str]:
    """What stands in a Digest Proxy-Authorization field; empty for another one."""
    scheme, _, rest = credentials.partition(" ")
    if scheme.lower() != "digest":
        return {}
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
