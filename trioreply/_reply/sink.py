"""The exchange's end of a reply: what a handler's ``sink`` is, and the task that runs the handler.

This is the one place where ``Exception`` is caught: what a handler raises that is none of our errors (a bug in a body
iterable, in the application's handler for questions, in a custom scheme) ends its own reply and no other.

What was hard is to trust nothing about it. It may come in a group, together with a cancellation that belongs to
somebody else; it may be of a class whose code is none, cannot be copied, or cannot be printed. Whatever went wrong here
would go wrong in the manager's own nursery.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, cast

import trio

from .._model.errors import NetworkError, ReplyError, UnknownNetworkError
from .._model.events import AuthenticationRequired, ProxyAuthenticationRequired, QuestionEvent, Redirected, SslErrors
from .._model.messages import (
    AuthenticationQuestion,
    ConnectionLeased,
    Message,
    ProxyChallenge,
    Question,
    RedirectQuestion,
    ResponseData,
    TlsAnswer,
    TlsQuestion,
)
from .questions import Ask

if TYPE_CHECKING:
    from .._model.exchange import Handler
    from .reply import Reply

A = TypeVar("A")


class ReplySink:
    """The `Sink` of one reply."""

    __slots__ = ("_core", "_reply", "_shown")

    def __init__(self, reply: Reply) -> None:
        self._shown: Redirected | None = None  # the redirect that the reader was asked about: one event is enough
        self._reply = reply
        self._core = reply._core  # the sink is part of the reply

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        core = self._core
        if self._shown is not None and message == self._shown:
            core.enter_silently(message)
            self._shown = None
            return
        if core.is_released:
            raise RuntimeError("out of order: the exchange is over, and its sink takes nothing after the handler's end")
        core.enter(message)
        kind = type(message)
        if kind is ResponseData:
            if core.max_size is not None:
                core.refuse_too_much()
            if core.read_buffer_size != 0 and core.must_pause():
                await core.wait_for_room()
        elif kind is ConnectionLeased and not core.state.is_running:
            await trio.lowlevel.checkpoint_if_cancelled()  # if this was one exchange too many, none of it is sent

    async def ask(self, question: Question[A]) -> A | None:
        """See `Sink.ask`. The manager's handler is asked first; if it declines, the reply's reader."""
        core = self._core
        if not core.state.is_running:
            return None
        ask = Ask()
        # What is said of errors that must not be ignored goes nowhere, and is no mistake either.
        is_strict = isinstance(question, TlsQuestion) and question.strict
        event = _event(question, Ask() if is_strict else ask)
        handler = core.owner.question_handlers.get(type(event))
        if isinstance(question, TlsQuestion):
            core.state.refused(question.tls)
            if not is_strict:
                core.ignored.asked(ask, question)
        core.state.is_verifying = isinstance(question, RedirectQuestion)
        try:
            if ask.is_settled or is_strict:
                core.tell(event)
                return cast("A | None", _answer(question, ask))
            if handler is not None:
                await handler(self._reply, event)
            if not ask.is_settled and core.state.is_running:  # the handler may have thought until the reply was closed
                self._shown = event if isinstance(event, Redirected) else None
                await core.ask(event, ask)
        finally:
            core.verified()
            ask.refuse()  # if it was cancelled: whoever holds the event shall learn that it is too late
            core.ignored.over()
        return cast("A | None", _answer(question, ask))  # the event's own method made it, by the question's type


def _answer(question: Question[A], ask: Ask) -> object:
    if isinstance(question, TlsQuestion) and isinstance(ask.answer, tuple):
        return TlsAnswer(ask.answer)  # as `SslErrors.ignore` says it
    return ask.answer


def _event(question: Question[A], ask: Ask) -> QuestionEvent:
    asked: object = question  # whose type parameter says nothing that a pattern could check
    match asked:
        case TlsQuestion(errors=errors, peer_chain=chain):
            return SslErrors(errors, chain, question=ask)
        case AuthenticationQuestion(url=url, challenge=challenge):
            return AuthenticationRequired(url, challenge, question=ask)
        case ProxyChallenge(proxy=proxy, challenge=challenge):
            return ProxyAuthenticationRequired(proxy, challenge, question=ask)
        case RedirectQuestion(status_code=status, url=url):
            return Redirected(status, url, question=ask)
        case _:
            raise TypeError(f"a sink asks one of the question classes, not {question!r}")


async def run_exchange(reply: Reply, handler: Handler) -> None:
    """Carry out ``reply``'s exchange; afterwards the reply has finished, somehow, and holds nothing."""
    core = reply._core  # the exchange is part of the reply
    try:
        if core.state.is_running or core.is_detached:
            with core.scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # so that a handler which never waits is not begun
                core.has_begun = True
                await _exchange(reply, handler)
        if core.scope.cancelled_caught:
            core.scope_cancelled()
    finally:
        if core.state.is_running or core.is_detached:  # something else than the exchange's own end has brought us here
            core.abort()
        core.release()
        core.owner.released(reply)


async def _exchange(reply: Reply, handler: Handler) -> None:
    core = reply._core
    try:
        await handler(core.state.request, ReplySink(reply))
        core.complete()
    except BaseExceptionGroup as group:
        # From a nursery of the handler's. A cancellation among the failures is on its way to some scope further out.
        failures, others = group.split(Exception)
        if failures is not None:
            core.fail(_failure(failures))
        if others is not None:
            raise others from None
    except Exception as error:  # noqa: BLE001 - the one place: see the module's text
        core.fail(_failure(error))


def _failure(error: Exception) -> ReplyError:
    """What the reply fails with when its handler has raised ``error``."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        (error,) = error.exceptions  # a nursery makes a group of one, too
    # A handler's own class may have any code, or call something else so.
    code = getattr(error, "code", None)
    kind = code.exception if isinstance(code, NetworkError) else None
    if kind is not None and isinstance(error, ReplyError) and _is_sound(error, kind):
        return _without_frames(error)
    failure = UnknownNetworkError(_description(error)) if kind is None else kind(_description(error))
    failure.__cause__ = error
    return failure


def _is_sound(error: ReplyError, kind: type[ReplyError]) -> bool:
    """Whether ``error`` can be the reply's. If its class is the handler's own, what will be done with it is tried."""
    if type(error) is kind:
        return True
    with suppress(Exception):
        copy.copy(error)
        str(error)
        return True
    return False


def _description(error: Exception) -> str:
    with suppress(Exception):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def _without_frames(error: ReplyError) -> ReplyError:
    """Frames hold the sink, and so the reply, which holds this error: a cycle for the garbage collector.

    Those of its causes do as well. They stay only where somebody may look for a fault of their own in them: in a
    request body's source, or a dialler.
    """
    cause: BaseException | None = None if isinstance(error, UnknownNetworkError) else error.__cause__
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:  # somebody's code may raise an error from itself
        seen.add(id(cause))
        cause.__traceback__ = None
        cause = cause.__cause__
    return error.with_traceback(None)
