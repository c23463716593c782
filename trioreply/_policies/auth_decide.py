"""What to do about a demand for credentials, as decisions that neither wait nor know a network.

A `Conversation` is one request's talk with whoever demands credentials: an origin server with 401, or a proxy with 407;
`auth_guard.Guard` holds the difference. It is told what comes (a refusal, what a look-up found, what the application
answered) and says what comes next, as one of four steps: `Send`, `LookUp`, `Ask`, `Deliver`.

The strongest challenge that can be answered counts, and no weaker one beside it: a server that offers Digest is never
given the password itself because Digest did not work. Credentials are tried in this order, each once for a scheme:

1. the request's ``auth``. It is also sent before anybody asks: a bearer token, or Basic (as ``curl --user``), unless
   it is known that this server speaks Digest;
2. user and password in the URL, only when challenged (as Qt);
3. what was accepted in this realm before;
4. the ``netrc`` file, if the manager is to look into it;
5. the application's answer, asked for again and again until it does not change (as Qt).

The file comes before the question because a question that is refused must end in the server's own 401; and because it
is the manager's owner who decided that the file may answer, so that nobody need be asked for what is written there.

A request that has the field already says itself in whose name it goes out. Nothing in this list may gainsay that in
silence, but for the last: if the field is refused, the application is asked.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence

import attrs
from attrs import field

from .._model.auth import Bearer, UserPassword, make_login, user_bytes
from .._model.bodies import BytesBody
from .._model.credentials import Challenge
from .._model.errors import AuthenticationRequiredError, ProtocolFailure
from .._model.messages import Question, ResponseHead
from .._model.options import LoadControl
from .._model.request import Request
from .._model.values import frozen
from .._wire.challenge import parse_challenges, parse_parameters
from .._wire.digest import DigestAnswer, DigestChallenge, DigestRequest, DigestSession, choose_qop, parse_digest
from .auth_guard import Setting
from .credential_cache import Owner, Space, digest_prefixes

MAX_ROUNDS = 8
"""Attempts for one request after the first. Enough for every source and for a person's typing mistakes; a server that
calls each nonce stale, or a handler that invents passwords, must not keep a request alive for ever."""


@frozen(kw_only=True)
class Offer:
    """A challenge that can be answered."""

    challenge: Challenge
    digest: DigestChallenge | None = None
    """``None`` for Basic."""
    qop: str = ""

    @property
    def scheme(self) -> str:
        """What credentials are tried once for."""
        return "basic" if self.digest is None else "digest"

    @property
    def strength(self) -> int:
        """Greater is stronger; Basic, which gives the password away, is the weakest."""
        return -1 if self.digest is None else self.digest.strength


def strongest(challenges: Sequence[Challenge], body: bytes | memoryview | None) -> Offer | None:
    """The strongest challenge that can be answered; of two as strong, the server's first.

    Args:
        challenges: what was demanded.
        body: the request's, as far as its bytes are at hand; see `choose_qop`.
    """
    offers = (offer for challenge in challenges if (offer := _offer(challenge, body)) is not None)
    return max(offers, key=lambda offer: offer.strength, default=None)


def _offer(challenge: Challenge, body: bytes | memoryview | None) -> Offer | None:
    if challenge.scheme.lower() == "basic":
        return Offer(challenge=challenge)
    digest = parse_digest(challenge)
    qop = None if digest is None else choose_qop(digest, body)
    return None if qop is None else Offer(challenge=challenge, digest=digest, qop=qop)


@frozen(eq=False, kw_only=True)
class Attempt:
    """Credentials as they go out with a request."""

    value: str = field(repr=False)
    """For the field `Guard.credentials`."""
    login: UserPassword | None = None
    """``None`` for a bearer token."""
    offer: Offer | None = None
    """The challenge that this answers; ``None`` if it goes out before there is one."""
    answer: DigestAnswer | None = field(default=None, repr=False)


@frozen
class Send:
    """The request goes out again with these credentials."""

    attempt: Attempt


@frozen
class LookUp:
    """Look for credentials for this host, and tell `Conversation.found`."""

    host: str


@frozen
class Ask:
    """Ask the application, and tell `Conversation.answered`."""

    question: Question[tuple[str, str]]


@frozen
class Deliver:
    """There is nothing left to try: the demand itself is the response."""


Step = Send | LookUp | Ask | Deliver


class Conversation:
    """One request's talk with a guard; see the module's text."""

    __slots__ = (
        "_asks_netrc",
        "_attempt",
        "_body",
        "_has_own_field",
        "_netrc",
        "_offer",
        "_owner",
        "_place",
        "_request",
        "_rounds",
        "_setting",
        "_tried",
        "_user",
    )

    def __init__(self, setting: Setting, request: Request) -> None:
        self._setting = setting
        self._request = request
        self._place = setting.guard.place_of(request)
        auth = setting.guard.auth_of(request)
        login = setting.guard.login_of(request)
        self._owner = Owner(auth if isinstance(auth, UserPassword) else None, None if login is None else login.user)
        self._body = request.body.data if isinstance(request.body, BytesBody) else b"" if request.body is None else None
        self._attempt: Attempt | None = None
        self._offer: Offer | None = None
        self._tried: set[tuple[str, UserPassword]] = set()
        self._user: str | None = None
        self._has_own_field = setting.guard.is_said(request)
        self._asks_netrc = setting.has_netrc and not self._has_own_field
        self._netrc: UserPassword | None = None
        self._rounds = 0

    def opening(self) -> Attempt | None:
        """What goes out before anybody asks."""
        auth = self._setting.guard.auth_of(self._request)
        if isinstance(auth, Bearer):
            self._attempt = Attempt(value=f"Bearer {auth.token}")
        else:
            space = self._setting.cache.covering(self._place, self._owner) if self._may_reuse else None
            self._attempt = None if space is None else self._reuse(space)
            if self._attempt is None and auth is not None:
                self._attempt = Attempt(value=_basic(auth), login=auth)
        return self._attempt

    def challenged(self, head: ResponseHead) -> bool:
        """Take in that the guard refused; whether that can be answered at all."""
        challenges = parse_challenges(head.headers.getall(self._setting.guard.demand, ()))
        self._offer = strongest(challenges, self._body)
        attempt = self._attempt
        if attempt is not None and attempt.login is not None:
            self._user = attempt.login.user
            # A nonce from another day may be refused without a word about the credentials.
            if attempt.answer is None or attempt.offer is not None:
                self._tried.add(("basic" if attempt.answer is None else "digest", attempt.login))
                if self._offer is not None and not self._is_stale():
                    self._setting.cache.forget(self._place.origin, self._offer.challenge.realm, attempt.login)
        return self._offer is not None

    def next(self) -> Step:
        """What to do about the demand."""
        if self._offer is None or self._rounds >= MAX_ROUNDS:
            return Deliver()
        attempt = self._attempt
        if attempt is not None and attempt.login is not None and self._is_stale():
            return self._send(self._offer, attempt.login)
        for login in self._known():
            if login is not None and (self._offer.scheme, login) not in self._tried:
                return self._send(self._offer, login)
        if self._asks_netrc:
            self._asks_netrc = False
            return LookUp(self._place.origin[1])
        challenge = attrs.evolve(self._offer.challenge, previous_user=self._user)
        return Ask(self._setting.guard.question(self._request, challenge))

    def found(self, login: tuple[str, str] | None) -> Step:
        """The look-up's result. What cannot be sent is as good as not found."""
        try:
            self._netrc = None if login is None else make_login(*login, field="netrc")
        except ValueError:
            self._netrc = None
        return self.next()

    def answered(self, login: tuple[str, str] | None) -> Step:
        """The application's answer. The same one that was refused before is none (as Qt).

        Raises:
            AuthenticationRequiredError: it cannot be sent: see `make_login`.
        """
        if login is None or self._offer is None:
            return Deliver()
        try:
            checked = make_login(*login, field="answer")
        except ValueError as error:
            raise AuthenticationRequiredError(str(error)) from error
        if (self._offer.scheme, checked) in self._tried:
            return Deliver()
        return self._send(self._offer, checked)

    def accepted(self, head: ResponseHead) -> Proof | None:
        """Take in that a response came which is no demand; gives what its body has to prove, if anything.

        Raises:
            ProtocolFailure: the server pretends to know the password, and does not.
        """
        attempt = self._attempt
        if attempt is None or head.status_code is None or head.status_code >= 500 or head.status_code == 407:
            return None  # somebody else may speak here: a gateway, a proxy
        proof = None
        if attempt.answer is not None:
            info = parse_parameters(head.headers.getall(self._setting.guard.info, ()))
            proof = Proof(attempt.answer, info)
            if attempt.answer.qop != "auth-int":
                proof.check()
                proof = None
            if "nextnonce" in info:
                attempt.answer.session.renew(info["nextnonce"])
        self._remember(attempt)
        return proof

    def again(self, attempt: Attempt) -> Attempt:
        """``attempt`` for the same request once more, with the next number if they are counted."""
        if attempt.answer is None:
            return attempt
        answer = attempt.answer.session.answer(self._digest_request(), attempt.answer.qop)
        self._attempt = attrs.evolve(attempt, value=answer.value, answer=answer)
        return self._attempt

    @property
    def _may_reuse(self) -> bool:
        return self._request.authentication_reuse is LoadControl.AUTOMATIC

    def _is_stale(self) -> bool:
        """Whether the guard says that the credentials were right, and only the nonce too old."""
        answer = None if self._attempt is None else self._attempt.answer
        digest = None if self._offer is None else self._offer.digest
        return (
            answer is not None
            and digest is not None
            and digest.is_stale
            and digest.realm == answer.session.challenge.realm
        )

    def _known(self) -> Sequence[UserPassword | None]:
        """What can be tried without waiting for anybody, in order."""
        if self._has_own_field:
            return ()
        guard, offer = self._setting.guard, self._offer
        space = None
        if self._may_reuse and offer is not None:
            space = self._setting.cache.of_realm(self._place, self._owner, offer.challenge.realm)
        return (
            self._owner.login,
            guard.login_of(self._request),
            None if space is None else space.login,
            self._netrc,
        )

    def _send(self, offer: Offer, login: UserPassword) -> Send:
        self._rounds += 1
        answer = None
        if offer.digest is not None:
            session = DigestSession(offer.digest, login, make_cnonce=self._setting.make_cnonce)
            answer = session.answer(self._digest_request(), offer.qop)
        value = _basic(login) if answer is None else answer.value
        self._attempt = Attempt(value=value, login=login, offer=offer, answer=answer)
        return Send(self._attempt)

    def _reuse(self, space: Space) -> Attempt | None:
        """The credentials of ``space`` for this request, with the next number if they are counted."""
        if space.session is None:
            return Attempt(value=_basic(space.login), login=space.login)
        qop = choose_qop(space.session.challenge, self._body)
        if qop is None:
            return None
        answer = space.session.answer(self._digest_request(), qop)
        return Attempt(value=answer.value, login=space.login, answer=answer)

    def _remember(self, attempt: Attempt) -> None:
        offer = attempt.offer
        if offer is None or attempt.login is None or not self._may_reuse:
            return
        if offer.digest is None or not self._setting.guard.has_extent:
            prefixes: tuple[str, ...] = (self._place.directory,)
        else:
            prefixes = digest_prefixes(offer.digest.domain, self._place)
        session = None if attempt.answer is None else attempt.answer.session
        space = Space(offer.challenge.realm, attempt.login, attempt.login == self._owner.login, session, prefixes)
        self._setting.cache.remember(self._place.origin, space)

    def _digest_request(self) -> DigestRequest:
        return DigestRequest(self._request.verb, self._setting.guard.target_of(self._request), self._body)


class Proof:
    """That the server knows the password too (RFC 7616 section 3.5); with ``auth-int``, the response's body too."""

    __slots__ = ("_answer", "_hasher", "_info")

    def __init__(self, answer: DigestAnswer, info: Mapping[str, str]) -> None:
        self._answer = answer
        self._info = info
        self._hasher = answer.session.challenge.hasher()

    def update(self, data: bytes) -> None:
        """Take in a piece of the response's body."""
        self._hasher.update(data)

    def check(self) -> None:
        """Compare with what the server said.

        Raises:
            ProtocolFailure: it does not fit.
        """
        if not self._answer.is_proven(self._info, self._hasher.hexdigest().encode()):
            raise ProtocolFailure("the server's Authentication-Info does not prove that it knows the password")


def _basic(login: UserPassword) -> str:
    """RFC 7617 section 2."""
    return f"Basic {b64encode(user_bytes(login.user) + b':' + user_bytes(login.password)).decode()}"
