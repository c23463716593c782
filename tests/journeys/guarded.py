"""Origin servers that want credentials: Basic, and Digest as a server reckons it.

The Digest here is written from RFC 7616's formulas alone and shares nothing with the client's, so that a mistake would
have to be made twice. A door looks at a request and gives the challenges of a refusal, or ``None`` for somebody who
may come in; `guarded` is the handler that stands behind one.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence

from attrs import define, field

from trioreply import AuthenticationRequired, Event, Reply
from trioreply.testing import Origin, OriginHandler, OriginRequest, OriginResponse

USER, PASSWORD = "u", "p"
RIGHT, WRONG = (USER, PASSWORD), (USER, "wrong")
REALM = "r"
BASIC = f'Basic realm="{REALM}"'
HIDDEN = b"go away"
WELCOME = b"welcome"
OK_END = "H(200) R D(7,7) F(NO_ERROR)"
REFUSED_END = "H(401) R E(AUTHENTICATION_REQUIRED) D(7,7) F(AUTHENTICATION_REQUIRED)"
"""How the events end for those who are let in, and for those who are not; see `tests.journeys.notation`."""

Door = Callable[[OriginRequest], Sequence[str] | None]
"""The challenges for a request that is refused; ``None`` for one that is let in."""

_PARAMETER = re.compile(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]*))')
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def basic(user: str, password: str) -> str:
    """The Authorization field of these two (RFC 7617)."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def door(*challenges: str, opens: str = basic(*RIGHT)) -> Door:
    """Opens for one Authorization field, and answers others with ``challenges``."""
    return lambda request: None if request.header("authorization") == opens else challenges


def guarded(opens: Door, *, page: OriginResponse | None = None, inside: OriginResponse | None = None) -> OriginHandler:
    """A handler behind a door.

    Args:
        opens: the door.
        page: the refusal, to which the challenges are added.
        inside: what those get who may come in.
    """
    refusal = page or OriginResponse(401, body=HIDDEN)
    welcome = inside or OriginResponse(body=WELCOME)

    async def handle(request: OriginRequest) -> OriginResponse:
        await request.read()
        challenges = opens(request)
        if challenges is None:
            return welcome
        fields = [*refusal.headers, *(("WWW-Authenticate", challenge) for challenge in challenges)]
        return OriginResponse(401, fields, refusal.body, close=refusal.close)

    return handle


@define
class DigestDoor:
    """Opens for Digest: user ``u`` with password ``p``, each number once for a nonce."""

    algorithm: str | None = "MD5"
    qop: str | None = "auth"
    nonce: str = "n1"
    more: str = ""
    """Further parameters of the challenge."""
    says_stale: bool = True
    taken: list[tuple[str, str]] = field(factory=list)
    """Nonce and number of each request that was let in."""

    def __call__(self, request: OriginRequest) -> Sequence[str] | None:
        """See `Door`."""
        given = parameters(request.header("authorization") or "")
        if not given or given["response"] != self._expected(given, request):
            return [self.challenge()]
        if given["nonce"] != self.nonce:
            return [self.challenge() + (", stale=true" if self.says_stale else "")]
        count = (given["nonce"], given.get("nc", str(len(self.taken))))
        if count in self.taken:
            return [self.challenge()]
        self.taken.append(count)
        return None

    @property
    def hashed_user(self) -> str:
        """The user as ``userhash`` has it (RFC 7616 section 3.4.4)."""
        return self._hash(USER, REALM)

    def challenge(self) -> str:
        """The WWW-Authenticate field."""
        parts = [f'realm="{REALM}"', f'nonce="{self.nonce}"']
        parts += [] if self.algorithm is None else [f"algorithm={self.algorithm}"]
        parts += [] if self.qop is None else [f'qop="{self.qop}"']
        parts += [self.more] if self.more else []
        return f"Digest {', '.join(parts)}"

    def proof(self, request: OriginRequest, body: bytes) -> str:
        """The ``rspauth`` of a response with ``body``: RFC 7616 section 3.5, the answer's formula without a method."""
        return self._reckoned(parameters(request.header("authorization") or ""), "", body)

    def _expected(self, given: dict[str, str], request: OriginRequest) -> str:
        name = self.hashed_user if given.get("userhash") == "true" else USER
        is_about_this = given["uri"] == request.target and given["username"] == name
        return self._reckoned(given, request.method, request.body) if is_about_this else ""

    def _reckoned(self, given: dict[str, str], method: str, body: bytes) -> str:
        """RFC 7616 section 3.4.1; without ``qop`` RFC 2069's."""
        secret = self._hash(USER, REALM, PASSWORD)
        if (self.algorithm or "").endswith("-sess"):
            secret = self._hash(secret, given["nonce"], given["cnonce"])
        qop = given.get("qop")
        about = [method, given["uri"], *([self._hash_of(body)] if qop == "auth-int" else [])]
        middle = [given["nonce"], *([given["nc"], given["cnonce"], qop] if qop else [])]
        return self._hash(secret, *middle, self._hash(*about))

    def _hash(self, *parts: str) -> str:
        return self._hash_of(":".join(parts).encode())

    def _hash_of(self, data: bytes) -> str:
        return hashlib.new(_HASHES[(self.algorithm or "MD5").removesuffix("-sess")], data).hexdigest()


def parameters(authorization: str) -> dict[str, str]:
    """Those of a Digest Authorization field; empty for another."""
    if not authorization.startswith("Digest "):
        return {}
    return {name: quoted or plain for name, quoted, plain in _PARAMETER.findall(authorization)}


def sent(origin: Origin) -> list[str | None]:
    """The Authorization field of each request that the server got."""
    return [request.header("authorization") for request in origin.requests]


async def converse(reply: Reply, answers: Iterable[tuple[str, str] | None] = ()) -> list[Event]:
    """All events of ``reply``; its questions get ``answers`` in turn, and ``None`` or no more of them for no answer."""
    left = list(answers)
    events: list[Event] = []
    async for event in reply:
        events.append(event)
        if isinstance(event, AuthenticationRequired):
            answer = left.pop(0) if left else None
            if answer is not None:
                event.answer(*answer)
    return events
