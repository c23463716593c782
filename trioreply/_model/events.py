"""What a reply tells its reader: one frozen class per phase of a transfer.

An event that exists is legal: it is built once, by the reply, from what has happened already. Events do no I/O. The
four that ask for a decision (`SslErrors`, `AuthenticationRequired`, `ProxyAuthenticationRequired`, `Redirected` under
USER_VERIFIED) carry an open question in a field that takes no part in equality, hash, ``repr`` or JSON; their one
method answers it. Observers get copies without the question, so that only the reply's own reader decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

import attrs
from attrs import field
from yarl import URL

from .credentials import Challenge
from .errors import NetworkError
from .headers import Headers
from .options import Direction
from .proxies import Proxy
from .urls import display
from .values import frozen

if TYPE_CHECKING:
    from .tls import Certificate, SslError, TlsInfo


class OpenQuestion(Protocol):
    """The answering end of a question; whoever asked waits at the other."""

    def settle(self, answer: object) -> None:
        """Give the answer.

        Raises:
            RuntimeError: the question is settled: answered before, or refused.
        """
        ...


def _question() -> OpenQuestion | None:
    question: OpenQuestion | None = field(default=None, eq=False, repr=False, kw_only=True, alias="question")
    return question


@frozen
class SocketStartedConnecting:
    """A connection attempt begins; one event per address tried, none on a reused connection."""

    host: str
    port: int
    address: str | None = field(default=None, eq=False)
    """The numeric address of this attempt, where one is known."""


@frozen
class SslErrors:
    """The certificate was not accepted; no byte of the request has been sent. Answer with `ignore`."""

    errors: tuple[SslError, ...]
    peer_chain: tuple[Certificate, ...] = ()
    _question: OpenQuestion | None = _question()

    def ignore(self, errors: Iterable[SslError] | None = None) -> None:
        """Go on in spite of exactly these errors (default: of the ones reported here).

        Raises:
            RuntimeError: the question is already settled, or this copy carries none.
        """
        _settle(self._question, tuple(self.errors if errors is None else errors))


@frozen
class Encrypted:
    """A new connection's TLS handshake is done; no byte of the request has been sent."""

    tls: TlsInfo


@frozen
class ProxyAuthenticationRequired:
    """The proxy wants credentials. Answer with `answer`, or look away to get the 407."""

    proxy: Proxy
    challenge: Challenge
    _question: OpenQuestion | None = _question()

    def answer(self, user: str, password: str) -> None:
        """Try again with these credentials.

        Raises:
            RuntimeError: the question is already settled, or this copy carries none.
        """
        _settle(self._question, (user, password))


@frozen
class AuthenticationRequired:
    """The server wants credentials. Answer with `answer`, or look away to get the 401 and its body."""

    url: URL = field(repr=display)
    challenge: Challenge
    _question: OpenQuestion | None = _question()

    def answer(self, user: str, password: str) -> None:
        """Try again with these credentials.

        Raises:
            RuntimeError: the question is already settled, or this copy carries none.
        """
        _settle(self._question, (user, password))


@frozen
class RequestSent:
    """The request's head and the first piece of its body are on their way."""


@frozen
class Informational:
    """A 1xx response: ``100 Continue``, ``103 Early Hints``, ..."""

    status_code: int
    headers: Headers = field(hash=False)


@frozen
class Redirected:
    """The reply goes on at ``url`` (absolute). Under USER_VERIFIED it waits for `allow` first."""

    status_code: int
    url: URL = field(repr=display)
    _question: OpenQuestion | None = _question()

    def allow(self) -> None:
        """Follow this redirect.

        Raises:
            RuntimeError: the question is already settled, or there is none: the policy has decided.
        """
        _settle(self._question, True)


@frozen
class Retrying:
    """The request failed in a way that may pass and is sent again after ``delay`` seconds."""

    attempt: int
    delay: float
    reason: str


@frozen
class MetaDataChanged:
    """Status and headers of a response are known (once for every response, redirects included)."""

    status_code: int | None
    headers: Headers = field(hash=False)


@frozen
class ReadyRead:
    """There is something to read; unread ones coalesce."""

    bytes_available: int


@frozen
class Progress:
    """How far a transfer is: body bytes as the application sees them, and as they went over the wire."""

    direction: Direction
    done: int
    total: int | None = None
    wire_done: int | None = None
    wire_total: int | None = None

    @property
    def fraction(self) -> float | None:
        """From 0.0 to 1.0; ``None`` while neither total is known."""
        if self.total is not None:
            return _ratio(self.done, self.total)
        if self.wire_total is not None and self.wire_done is not None:
            return _ratio(self.wire_done, self.wire_total)
        return None


@frozen
class ErrorOccurred:
    """The reply failed; `Finished` follows. At most once."""

    error: NetworkError
    message: str


@frozen
class Finished:
    """Nothing will change any more. Exactly once, and last."""

    error: NetworkError


Event = (
    SocketStartedConnecting
    | SslErrors
    | Encrypted
    | ProxyAuthenticationRequired
    | AuthenticationRequired
    | RequestSent
    | Informational
    | Redirected
    | Retrying
    | MetaDataChanged
    | ReadyRead
    | Progress
    | ErrorOccurred
    | Finished
)
"""Every event there is; ``typing.assert_never`` over a ``match`` on it type-checks."""

QuestionEvent = SslErrors | ProxyAuthenticationRequired | AuthenticationRequired | Redirected

E = TypeVar("E", bound=Event)


def without_question(event: E) -> E:
    """``event`` as others than the reply's own reader may see it: its question cannot be answered."""
    if isinstance(event, QuestionEvent):
        return attrs.evolve(event, question=None)
    return event


def _settle(question: OpenQuestion | None, answer: object) -> None:
    if question is None:
        raise RuntimeError("this event asks nothing: it is a copy for observers, or the decision was made by policy")
    question.settle(answer)


def _ratio(done: int, total: int) -> float:
    return min(done / total, 1.0) if total else 1.0
