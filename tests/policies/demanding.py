"""What authentication is tested between: servers that demand credentials, and a reader who has answers."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from attrs import define, field

from trioreply import Message, Question, Request, RequestSent, ResponseData, ResponseHead
from trioreply._model.auth import Auth, Bearer, UserPassword
from trioreply._model.messages import AuthenticationQuestion
from trioreply._policies.auth import Netrc, authentication
from trioreply._policies.auth_guard import origin_guard
from trioreply._policies.credential_cache import CredentialCache
from trioreply.abc import Handler, Sink

from .recording import RecordingSink

A = TypeVar("A")

PAGE = ResponseData(b"go away")
_PARAMETER = re.compile(r'([\w*]+)=("(?:[^"\\]|\\.)*"|[^,]*)')


def brought(request: Request) -> Auth | None:
    """The ``auth`` of a request in these tests: what stands in its ``user_data``."""
    return request.user_data if isinstance(request.user_data, UserPassword | Bearer) else None


def basic(user: str, password: str) -> str:
    """The Authorization field of these two."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class AnsweringSink(RecordingSink):
    """Takes everything, and answers questions from a list; when that is empty, it declines."""

    def __init__(self, answers: Iterable[tuple[str, str]] = (), *, watch: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._answers = list(answers)
        self._watch = watch

    async def ask(self, question: Question[A]) -> A | None:
        """Keep the question, and give the next answer."""
        await super().ask(question)
        self._watch()
        return cast("A", self._answers.pop(0)) if self._answers else None

    @property
    def asked(self) -> list[tuple[str, str, str | None]]:
        """Scheme, realm and previous user of each question."""
        return [
            (question.challenge.scheme, question.challenge.realm, question.challenge.previous_user)
            for question in self.questions
            if isinstance(question, AuthenticationQuestion)
        ]

    @property
    def statuses(self) -> list[int | None]:
        """Of the heads that the reader saw."""
        return [message.status_code for message in self.messages if isinstance(message, ResponseHead)]


@define
class Server:
    """Lets in whom ``admits`` says; it gives the challenges for those it does not. Remembers what it was sent."""

    admits: Callable[[Request], list[str]]
    """For a request: the challenges of the 401, or nothing."""
    info: Callable[[Request], str | None] = lambda _request: None
    """For an admitted request: Authentication-Info."""
    page: tuple[Message, ...] = (PAGE,)
    status: int = 200
    sent: list[str | None] = field(factory=list)
    is_busy: bool = False

    async def __call__(self, request: Request, sink: Sink) -> None:
        """The handler."""
        self.sent.append(", ".join(request.headers.getall("Authorization", ())) or None)
        self.is_busy = True
        try:
            await sink.put(RequestSent())
            if challenges := self.admits(request):
                await sink.put(ResponseHead(401, headers=[("WWW-Authenticate", value) for value in challenges]))
                for message in self.page:
                    await sink.put(message)
                return
            info = self.info(request)
            await sink.put(ResponseHead(self.status, headers={} if info is None else {"Authentication-Info": info}))
            await sink.put(ResponseData(b"welcome"))
        finally:
            self.is_busy = False


def demands(expected: str | None, *challenges: str) -> Callable[[Request], list[str]]:
    """Admits only requests with this Authorization field."""
    return lambda request: [] if request.headers.get("Authorization") == expected else list(challenges)


@define
class Digest:
    """A server's Digest, reckoned by itself: MD5, one user ``u`` with password ``p``, each count once for a nonce."""

    nonce: str = "n1"
    qop: str = "auth"
    taken: set[tuple[str, str]] = field(factory=set)

    def admits(self, request: Request) -> list[str]:
        """See `Server.admits`; a right answer to a nonce of another day is stale."""
        given = _parameters(request)
        if not given or given["response"] != self._reckoned(given, request.verb, b""):
            return [self._challenge()]
        if (given["nonce"], given["nc"]) in self.taken:
            return [self._challenge()]
        self.taken.add((given["nonce"], given["nc"]))
        return [] if given["nonce"] == self.nonce else [f"{self._challenge()}, stale=true"]

    def proof(self, request: Request, body: bytes = b"welcome") -> str:
        """The right rspauth for ``request``."""
        return self._reckoned(_parameters(request), "", body)

    def _challenge(self) -> str:
        return f'Digest realm="r", nonce="{self.nonce}", qop="{self.qop}"'

    def _reckoned(self, given: dict[str, str], verb: str, body: bytes) -> str:
        parts = [verb, given["uri"], *([_hash(body.decode())] if self.qop == "auth-int" else [])]
        middle = [given["nonce"], given["nc"], given["cnonce"], given["qop"]]
        return _hash(_hash("u", "r", "p"), *middle, _hash(*parts))


def _parameters(request: Request) -> dict[str, str]:
    value = request.headers.get("Authorization", "")
    return {name: text.strip('"') for name, text in _PARAMETER.findall(value)} if value.startswith("Digest") else {}


def _hash(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


async def visit(
    server: Handler,
    request: Request,
    *answers: tuple[str, str],
    cache: CredentialCache | None = None,
    netrc: Netrc | None = None,
) -> AnsweringSink:
    """One request to ``server`` through the policy; what its reader saw."""
    sink = AnsweringSink(answers)
    policy = authentication(
        CredentialCache() if cache is None else cache, origin_guard(brought), netrc=netrc, make_cnonce=lambda: "cn"
    )
    await policy(server)(request, sink)
    return sink
