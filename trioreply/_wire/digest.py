"""Digest access authentication (RFC 7616, with what RFC 2617 and RFC 2069 servers still speak), without any I/O.

A `DigestChallenge` is a challenge that was understood; what is not fully understood (an algorithm, a quality of
protection, a challenge without realm or nonce) is no `DigestChallenge`, as if it had not been offered. A
`DigestSession` is one user at one nonce: it counts the requests, because a server takes each number once, and follows
the server to its next nonce. A `DigestAnswer` is what goes out with one request; it can check what comes back with the
response, because Digest proves in both directions that the other side knows the password.

What is hashed is bytes, and the other side must arrive at the same ones. Realm and nonce are hashed exactly as they
came; the user's texts as UTF-8 in normal form C (RFC 7616 section 4), which is what RFC 7617 says for Basic too.

MD5 is in here because servers are: it is the weakest of what is offered that is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

from attrs import field

from .._model.auth import UserPassword, user_bytes
from .._model.credentials import Challenge
from .._model.headers import encode_text
from .._model.values import frozen
from .challenge import quoted

SESSION = "-SESS"
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
"""The names in challenges and those of `hashlib`, from the weakest to the strongest."""


class Hasher(Protocol):
    """As much of a hash as is needed here."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Hash more bytes."""
        ...

    def hexdigest(self) -> str:
        """The hash so far, as lower-case hexadecimal text."""
        ...


@frozen
class DigestChallenge:
    """What a server says about how to answer it. Made by `parse_digest`."""

    realm: str
    nonce: str
    algorithm: str | None
    """As the server wrote it; ``None`` if it did not, which means MD5."""
    qops: frozenset[str]
    """Of ``auth`` and ``auth-int``; empty for the way of RFC 2069, which has none."""
    opaque: str | None = None
    has_user_hash: bool = False
    is_utf8: bool = False
    is_stale: bool = False
    """The credentials were right, only the nonce was too old."""
    domain: tuple[str, ...] = ()
    """URIs, absolute or not, that the same credentials are for; empty for the whole server."""

    @property
    def is_session(self) -> bool:
        """Whether a key is derived once for all requests with this challenge."""
        return (self.algorithm or "").upper().endswith(SESSION)

    @property
    def strength(self) -> int:
        """Greater is stronger."""
        return list(_ALGORITHMS).index(self._hash_name)

    @property
    def _hash_name(self) -> str:
        return (self.algorithm or "MD5").upper().removesuffix(SESSION)

    def hasher(self) -> Hasher:
        """A new hash by the challenge's algorithm."""
        return hashlib.new(_ALGORITHMS[self._hash_name], usedforsecurity=False)

    def digest(self, *parts: bytes | memoryview) -> bytes:
        """The hash over ``parts`` with colons between them, as hexadecimal text."""
        hasher = self.hasher()
        for place, part in enumerate(parts):
            if place:
                hasher.update(b":")
            hasher.update(part)
        return hasher.hexdigest().encode()


def parse_digest(challenge: Challenge) -> DigestChallenge | None:
    """``challenge`` as one that can be answered, else ``None``."""
    parameters = challenge.parameters
    if challenge.scheme.lower() != "digest" or not challenge.realm or not parameters.get("nonce"):
        return None
    algorithm = parameters.get("algorithm") or None
    if not _is_known((algorithm or "MD5").upper().removesuffix(SESSION)):
        return None
    offered = {name.strip(" \t").lower() for name in parameters.get("qop", "").split(",")} - {""}
    qops = frozenset(offered & {"auth", "auth-int"})
    if offered and not qops:
        return None
    return DigestChallenge(
        challenge.realm,
        parameters["nonce"],
        algorithm,
        qops,
        opaque=parameters.get("opaque"),
        has_user_hash=_is_true(parameters, "userhash"),
        is_utf8=parameters.get("charset", "").lower() == "utf-8",
        is_stale=_is_true(parameters, "stale"),
        domain=tuple(parameters.get("domain", "").split()),
    )


def _is_known(algorithm: str) -> bool:
    """Whether the name is one of ours, and this Python has the hash: OpenSSL may be built without."""
    return algorithm in _ALGORITHMS and _ALGORITHMS[algorithm] in hashlib.algorithms_available


def _is_true(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name, "").lower() == "true"


@frozen
class DigestRequest:
    """As much of a request as is protected."""

    method: str
    target: str
    """As in the request line."""
    body: bytes | memoryview | None = field(default=b"", repr=False)
    """``None`` if its bytes are not at hand; then it cannot be protected."""


MAX_PROTECTED_BODY = 1024 * 1024
"""Bytes of a body that are protected although the server does not insist: hashing more would be felt by others."""


def choose_qop(challenge: DigestChallenge, body: bytes | memoryview | None) -> str | None:
    """The quality of protection for a request with ``body``; ``None`` if the server offers none that can be had.

    The empty text is the way of RFC 2069. ``auth-int`` is the stronger one, if there is a body to protect.
    """
    if not challenge.qops:
        return ""
    if "auth" in challenge.qops and ("auth-int" not in challenge.qops or not body or len(body) > MAX_PROTECTED_BODY):
        return "auth"
    return None if body is None else "auth-int"


class DigestSession:
    """One user's exchanges with a server that gave ``challenge``; ``make_cnonce`` gives unpredictable token text."""

    __slots__ = ("_cnonce", "_count", "_key", "_user", "challenge", "nonce")

    def __init__(self, challenge: DigestChallenge, login: UserPassword, *, make_cnonce: Callable[[], str]) -> None:
        self.challenge = challenge
        self.nonce = challenge.nonce
        self._cnonce = make_cnonce()
        self._count = 0
        self._user = user_bytes(login.user)
        # RFC 7616 section 3.4.2. With -sess the first nonces of both sides go in, and later ones do not change it.
        self._key = challenge.digest(self._user, encode_text(challenge.realm), user_bytes(login.password))
        if challenge.is_session:
            self._key = challenge.digest(self._key, encode_text(self.nonce), self._cnonce.encode())

    def answer(self, request: DigestRequest, qop: str) -> DigestAnswer:
        """The credentials for ``request``, counted; ``qop`` is what `choose_qop` said."""
        self._count += 1
        count = f"{self._count:08x}"
        # RFC 7616 section 3.4.1; a request of RFC 2069 leaves out what did not exist then.
        middle = [encode_text(self.nonce)]
        if qop:
            middle += [count.encode(), self._cnonce.encode(), qop.encode()]
        target = encode_text(request.target)
        parts = [request.method.encode(), target]
        if qop == "auth-int":
            parts.append(self.challenge.digest(request.body or b""))
        response = self.challenge.digest(self._key, *middle, self.challenge.digest(*parts))
        return DigestAnswer(
            self._credentials(request.target, response.decode(), qop=qop, count=count),
            session=self,
            qop=qop,
            proof=(self._key, *middle),
            target=target,
        )

    def renew(self, nonce: str) -> None:
        """Go on with ``nonce``, the server's nextnonce (RFC 7616 section 3.5)."""
        if nonce != self.nonce:
            self.nonce = nonce
            self._count = 0

    def _credentials(self, target: str, response: str, *, qop: str, count: str) -> str:
        """The value of the Authorization field; what is quoted in it and what is not is RFC 7616 section 3.4's."""
        challenge = self.challenge
        fields = [
            self._user_field(),
            f"realm={quoted(challenge.realm)}",
            f"nonce={quoted(self.nonce)}",
            f"uri={quoted(target)}",
            f'response="{response}"',
        ]
        if challenge.algorithm is not None:
            fields.append(f"algorithm={challenge.algorithm}")
        if qop or challenge.is_session:
            fields.append(f'cnonce="{self._cnonce}"')
        if challenge.opaque is not None:
            fields.append(f"opaque={quoted(challenge.opaque)}")
        if qop:
            fields += [f"qop={qop}", f"nc={count}"]
        if challenge.has_user_hash:
            fields.append("userhash=true")
        return f"Digest {', '.join(fields)}"

    def _user_field(self) -> str:
        challenge = self.challenge
        if challenge.has_user_hash:  # RFC 7616 section 3.4.4
            return f'username="{challenge.digest(self._user, encode_text(challenge.realm)).decode()}"'
        if challenge.is_utf8 and not self._user.isascii():  # RFC 8187; others expect the bytes as they are
            return f"username*=UTF-8''{quote(self._user, safe='')}"
        return f"username={quoted(self._user.decode())}"


@frozen(eq=False)
class DigestAnswer:
    """The credentials of one request, and what the response must prove in turn."""

    value: str = field(repr=False)
    """For the Authorization field."""
    session: DigestSession = field(repr=False)
    qop: str
    _proof: tuple[bytes, ...] = field(repr=False, alias="proof")
    _target: bytes = field(repr=False, alias="target")

    def is_proven(self, info: Mapping[str, str], body: bytes | None) -> bool:
        """Whether the parameters of Authentication-Info are those of a server that knows the password.

        A server that offers no proof is believed (RFC 7616 section 3.5 leaves it the choice).

        Args:
            info: the field's parameters.
            body: the hash, as hexadecimal text, of the response's body; only ``auth-int`` needs it.
        """
        given = info.get("rspauth")
        if given is None or not self.qop:
            return True
        parts = (b"", self._target) if self.qop == "auth" else (b"", self._target, body or b"")
        challenge = self.session.challenge
        return challenge.digest(*self._proof, challenge.digest(*parts)).decode() == given.lower()
