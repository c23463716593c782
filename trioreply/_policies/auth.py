"""Authentication: a demand for credentials is answered, and the request goes out again; the reply shows neither.

What is decided is in `auth_decide`; here is what has to be done for it. The demand (head and body of the 401) is
withheld until it is clear whether it will be answered. Its body is read to the end first, so that the connection goes
back and nobody waits for a connection because somebody thinks about a password. A body of more than
`MAX_WITHHELD` bytes is not read on: the decision is then made while the connection is kept, and if the request goes out
again, that connection is given up. If nothing can be tried, the demand passes as the response that it is.

The hard part was to stop an exchange from inside its sink. An exception does it: whatever the handler makes of that on
its way out, the policy knows that it was the one who stopped it.

A request in whose headers the user put the field himself goes out with just that. If it is refused, the application is
asked, and its answer takes the field's place (as in Qt); nothing else is tried in its stead.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, assert_never

from .._model.bodies import is_rewindable
from .._model.errors import ContentReSendError, RemoteHostClosedError, ReplyError
from .._model.exchange import Handler, Policy, Sink
from .._model.messages import Message, ResponseData, ResponseHead, ResponseTrailers
from .._model.request import Request
from .auth_guard import Guard, Setting
from .credential_cache import CredentialCache
from .pipeline import WrappedSink

if TYPE_CHECKING:
    from .auth_decide import Attempt, Conversation, Proof

MAX_WITHHELD = 64 * 1024
"""Bytes of a demand's body that are read before anybody is asked: error pages are smaller."""

Netrc = Callable[[str], Awaitable[tuple[str, str] | None]]
"""Looks up user and password for a host."""


def random_cnonce() -> str:
    """Text that nobody can predict, of hexadecimal digits."""
    return os.urandom(16).hex()


def authentication(
    cache: CredentialCache,
    guard: Guard,
    *,
    netrc: Netrc | None = None,
    make_cnonce: Callable[[], str] = random_cnonce,
) -> Policy:
    """Answer the demands of ``guard``, and send what ``cache`` knows before they are made.

    Args:
        cache: what was accepted before; new credentials are added.
        guard: the origin server, or a proxy.
        netrc: where to look for credentials before the application is asked.
        make_cnonce: gives unpredictable text of token characters.
    """
    setting = Setting(guard, cache, make_cnonce, has_netrc=netrc is not None)

    def policy(handler: Handler) -> Handler:
        def with_authentication(request: Request, sink: Sink) -> Awaitable[None]:
            watch = _Watch(sink, request, setting, netrc=netrc)
            if (cache or guard.auth_of(request) is not None) and not guard.is_said(request):
                watch.begin()
            return watch.run(handler)

        return with_authentication

    return policy


class _Stopped(Exception):  # noqa: N818 - it is no error, and nobody sees it
    """Raised into a handler whose exchange is given up."""


class _Demand:
    """A demand for credentials that is withheld until it is clear what comes of it."""

    __slots__ = ("is_answered", "messages", "size", "talk")

    def __init__(self, head: ResponseHead, talk: Conversation) -> None:
        self.talk = talk
        self.messages: list[Message] = [head]
        self.size = 0
        self.is_answered = False
        """Whether the request goes out again, so that nothing more of this exchange is wanted."""


class _Watch(WrappedSink):
    """One request's way through the policy: looks at each response's head, and withholds a demand."""

    __slots__ = ("_credentials", "_demand", "_netrc", "_proof", "_request", "_setting", "_talk", "is_idle")

    def __init__(self, sink: Sink, request: Request, setting: Setting, *, netrc: Netrc | None) -> None:
        self._sink = sink
        self._request = request
        self._setting = setting
        self._netrc = netrc
        self._talk: Conversation | None = None  # most requests are never challenged
        self._credentials: Attempt | None = None
        self._demand: _Demand | None = None
        self._proof: Proof | None = None
        self.is_idle = True  # until there are credentials: those may be proven, or renewed, by a success

    def begin(self) -> None:
        """Send what can be sent before anybody asks."""
        self._talk = self._begin_talk()
        self._credentials = self._talk.opening()

    async def run(self, handler: Handler) -> None:
        """Carry out the exchange, as often as it must go out.

        Raises:
            ReplyError: it failed.
        """
        while True:
            failure: ReplyError | None = None
            try:
                await handler(self._request if self._credentials is None else self._authorised(self._credentials), self)
            except Exception as error:  # noqa: BLE001 - raised again if it is not about a demand
                failure = self._judged(error)
            demand, self._demand = self._demand, None
            if demand is None:
                if self._proof is not None:
                    self._proof.check()
                return
            if not await self._answer(demand, failure):
                return

    async def _answer(self, demand: _Demand, failure: ReplyError | None) -> bool:
        """The exchange has ended in ``demand``; whether it goes out again.

        Raises:
            ReplyError: it is ``failure``, and not about the demand.
        """
        # A server that says no in the middle of an upload often closes before all of its page has come through.
        if failure is None or isinstance(failure, RemoteHostClosedError):
            if demand.is_answered or await self._find_credentials(demand):
                return True
        else:
            await self._release(demand)
        if failure is not None:
            raise failure
        return False

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        if type(message) is ResponseHead:
            self._demand = self._demanded(message)
            if self._demand is not None:
                return
        elif self._demand is not None and isinstance(message, ResponseData | ResponseTrailers):
            await self._withhold(self._demand, message)
            return
        elif self._proof is not None and isinstance(message, ResponseData):
            self._proof.update(message.data)
        await self._sink.put(message)

    def _judged(self, error: Exception) -> ReplyError | None:
        """What the failure of an exchange amounts to; it does not matter if it was to be stopped anyway.

        Raises:
            Exception: it is ``error``, and there was no demand.
        """
        if self._demand is None:
            raise error
        if self._demand.is_answered:
            return None  # whatever was made of it on the way
        if not isinstance(error, ReplyError):
            raise error
        return error

    def _authorised(self, credentials: Attempt) -> Request:
        fields = self._request.headers.copy()
        fields[self._setting.guard.credentials] = credentials.value
        return self._request.replace(headers=fields)

    def _demanded(self, head: ResponseHead) -> _Demand | None:
        """``head`` as a demand, if it is one that something can be done about."""
        guard = self._setting.guard
        if head.status_code != guard.status:
            self._proof = None if self._talk is None else self._talk.accepted(head)
            return None
        if self._talk is None:
            self._talk = self._begin_talk()
        return _Demand(head, self._talk) if self._talk.challenged(head) else None

    def _begin_talk(self) -> Conversation:
        from .auth_decide import Conversation  # most programs are never challenged

        self.is_idle = False
        return Conversation(self._setting, self._request)

    async def _withhold(self, demand: _Demand, message: ResponseData | ResponseTrailers) -> None:
        """Keep a piece of the demand's body; when it becomes too much, decide now."""
        if not demand.is_answered:  # it is, if a handler goes on after it was stopped
            demand.messages.append(message)
            demand.size += len(message.data) if isinstance(message, ResponseData) else 0
            if demand.size <= MAX_WITHHELD:
                return
            demand.is_answered = await self._find_credentials(demand)
        if demand.is_answered:
            raise _Stopped

    async def _find_credentials(self, demand: _Demand) -> bool:
        """Whether there are any to go on with; if not, the demand has been delivered.

        Raises:
            ContentReSendError: there are, and the body cannot be sent a second time.
            AuthenticationRequiredError: the application's answer cannot be sent.
        """
        failure: ReplyError | None = None
        try:
            self._credentials = await self._decide(demand.talk)
            if self._credentials is not None and not is_rewindable(self._request.body):
                raise ContentReSendError(
                    "the server wants credentials, and the body cannot be sent a second time; give it as bytes, or as "
                    "a path, or send the credentials with the request"
                )
        except ReplyError as error:
            failure = error
        if self._credentials is None or failure is not None:
            await self._release(demand)
        if failure is not None:
            raise failure
        return self._credentials is not None

    async def _decide(self, talk: Conversation) -> Attempt | None:
        """Do what the conversation says, until it says what to send; ``None`` if that is nothing."""
        from .auth_decide import Ask, Deliver, LookUp, Send

        step = talk.next()
        while True:
            match step:
                case Send(attempt=attempt):
                    return attempt
                case LookUp(host=host):
                    step = talk.found(None if self._netrc is None else await self._netrc(host))
                case Ask(question=question):
                    answer = await self._sink.ask(question)
                    step = talk.answered(answer)
                case Deliver():
                    return None
                case _:
                    assert_never(step)

    async def _release(self, demand: _Demand) -> None:
        """Nothing came of it: what was withheld is the response."""
        self._demand = None
        for message in demand.messages:
            await self._sink.put(message)
