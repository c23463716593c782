"""Retrying: a request that failed in a way that may pass is sent again, after a while, and visibly.

Off unless the request says otherwise (see `RetryPolicy`). It stands inside of the redirect policy, so each hop has its
own attempts, and outside of everything that prepares a request, so each attempt is prepared anew: it asks the cookie
jar and the cache again.

A response that will be retried is not shown: its head is withheld, and its body read away so that the connection can
serve the next attempt. A body that is larger than `MAX_WITHHELD`, or takes longer than `WITHHELD_SECONDS`, is not worth
it, and the exchange is cut. Only when the connection is given back `Retrying` is reported and the wait begins. The last
attempt passes as it is, whatever it is; so does a response that asks for more patience than the policy has.

What was hard: to stop an exchange from inside its sink. A cancel scope around the attempt does it, which no handler can
mistake for an error of its own; and it is the one that the time limit needs anyway.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio

from .._model.errors import ReplyError
from .._model.events import Retrying
from .._model.exchange import Handler, Policy, Sink
from .._model.messages import Message, ResponseData, ResponseHead, ResponseTrailers
from .._model.request import Request
from .._model.retry import RetryPolicy
from .._model.values import frozen
from .pipeline import WrappedSink

MAX_WITHHELD = 64 * 1024
"""Bytes of a failed response that are read away at most; about what a round trip of a new connection costs."""
WITHHELD_SECONDS = 2.0
"""How long reading them away may take."""


def retrying(
    policy_of: Callable[[Request], RetryPolicy | None],
    *,
    now: Callable[[], float],
    chance: Callable[[], float] = random.random,
) -> Policy:
    """Send again what failed, as the request's policy says.

    Args:
        policy_of: a request's policy; ``None`` for none.
        now: the wall clock, in POSIX seconds, for dates in Retry-After.
        chance: gives random numbers from 0 to 1.
    """

    def policy(handler: Handler) -> Handler:
        def with_retry(request: Request, sink: Sink) -> Awaitable[None]:
            rules = policy_of(request)
            # Most requests have none: they pay for no coroutine of ours.
            if rules is None or rules.attempts == 1:
                return handler(request, sink)
            from .retry_decide import may_repeat

            if not may_repeat(request):
                return handler(request, sink)
            return _repeat(handler, request, _Attempts(sink, rules, now=now, chance=chance))

        return with_retry

    return policy


async def _repeat(handler: Handler, request: Request, attempts: _Attempts) -> None:
    while (failure := await attempts.run(handler, request)) is not None:
        await attempts.wait(failure)


@frozen
class _Failure:
    """The last attempt failed in a way that may pass."""

    delay: float
    reason: str


class _Attempts(WrappedSink):
    """All attempts at one request: decides at each failure, and withholds what is not the last word."""

    __slots__ = ("_chance", "_count", "_failure", "_has_begun", "_now", "_rules", "_scope", "_size")

    def __init__(
        self, sink: Sink, rules: RetryPolicy, *, now: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        super().__init__(sink)
        self._rules = rules
        self._now = now
        self._chance = chance
        self._count = 0
        self._has_begun = False  # the reader has seen a response
        self._failure: _Failure | None = None
        self._size = 0  # of the response that is withheld, in bytes
        self._scope = trio.CancelScope()

    async def run(self, handler: Handler, request: Request) -> _Failure | None:
        """Try once more; gives the failure, if there must be another attempt.

        Raises:
            ReplyError: it failed for good.
        """
        self._count += 1
        self._failure = None
        with trio.CancelScope() as self._scope:
            try:
                await handler(request, self)
            except ReplyError as error:
                # What happens to a response that is withheld is of no interest.
                if self._failure is None:
                    self._failure = self._judge_error(error)
                    if self._failure is None:
                        raise
        return self._failure

    async def wait(self, failure: _Failure) -> None:
        """Say that there will be another attempt, and wait for its time."""
        await self._sink.put(Retrying(self._count + 1, failure.delay, failure.reason))
        await trio.sleep(failure.delay)

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        if type(message) is ResponseHead:
            self._failure = self._judge_response(message)
            if self._failure is not None:
                self._size = 0
                self._scope.deadline = trio.current_time() + WITHHELD_SECONDS
                return
            self._has_begun = True
        elif self._failure is not None and isinstance(message, ResponseData | ResponseTrailers):
            await self._withhold(message)
            return
        await self._sink.put(message)

    async def _withhold(self, message: ResponseData | ResponseTrailers) -> None:
        if isinstance(message, ResponseData):
            self._size += max(len(message.data), message.wire_size or 0)
        if self._size > MAX_WITHHELD:
            self._scope.cancel()
            await trio.lowlevel.checkpoint()

    def _judge_response(self, head: ResponseHead) -> _Failure | None:
        if head.status_code not in self._rules.on_status:
            return None
        return self._judge(head, f"the server said {head.status_code} {head.reason}".rstrip())

    def _judge_error(self, error: ReplyError) -> _Failure | None:
        if self._has_begun or error.is_final or error.code not in self._rules.on_errors:
            return None
        return self._judge(None, str(error))

    def _judge(self, head: ResponseHead | None, reason: str) -> _Failure | None:
        if self._count == self._rules.attempts:
            return None
        from .retry_decide import delay_after

        delay = delay_after(self._rules, head, self._count, chance=self._chance(), now=self._now())
        return None if delay is None else _Failure(delay, reason)
