"""The public `Reply`: control, and the block that owns it.

Entering the block starts the exchange as a task in the manager's nursery and returns at once; nothing of it runs before
the block's first checkpoint. Leaving the block normally is ``close()``; leaving it through an exception is ``abort()``
and a short shielded wait until connection, task and files are released.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, final

import trio

from .._model.bodies import is_detachable
from .._model.messages import OWN_CONTEXT
from .._model.securing import as_configuration, usual_configuration
from .core import Core, Owner
from .replies import Replies
from .sink import run_exchange
from .waiting import Waiting

if TYPE_CHECKING:
    import ssl

    from .._model.events import Event
    from .._model.exchange import Handler
    from .._model.request import Request
    from .._model.ssl_configuration import SslConfiguration
    from .._model.tls import SslError

RELEASE_SECONDS = 2.0
"""How long leaving a block through an exception may wait for the exchange's resources. A thread may be stuck in the
kernel."""


@final
class Reply(Waiting):
    """A running or finished exchange: typed events, a sequential device, and control over both.

    Made by a manager's methods only. ``async for event in reply`` iterates over `events`.
    """

    __slots__ = ()

    @property
    def manager(self) -> object:
        """The `Manager` that made this reply (`object` to type checkers: replies do not depend on it)."""
        return self._core.owner.manager

    @property
    def events(self) -> trio.abc.ReceiveChannel[Event]:
        """The reply's events. Unread `ReadyRead` and `Progress` coalesce; nothing else is ever dropped."""
        return self._core.mailbox

    def __aiter__(self) -> trio.abc.ReceiveChannel[Event]:
        return self._core.mailbox

    def abort(self) -> None:
        """Stop at once: OPERATION_CANCELED, unread data gone, connection closed, upload stopped. Idempotent.

        Does nothing after `Finished`, but stops what `close` left running.

        Raises:
            RuntimeError: called from outside Trio.
        """
        self._core.abort()

    def close(self) -> None:
        """Look away: the reply ends as by `abort`, but an upload goes on to its end, and a short rest is read away.

        Idempotent; does nothing after `Finished`.

        Raises:
            RuntimeError: called from outside Trio.
        """
        trio.current_time()  # refuses a call from outside Trio even when there is nothing to do
        self._core.close()

    async def aclose(self) -> None:
        """Close, and wait until the reply holds no connection and no task; cancelled, abort."""
        self.close()
        await self._released_or_aborted()

    def ignore_ssl_errors(self, errors: Iterable[SslError] | None = None) -> None:
        """Go on in spite of certificate errors, in this reply alone (``ignoreSslErrors``).

        Before the handshake it answers the question beforehand; the `SslErrors` event comes all the same. While the
        question is open it answers it. Each call replaces the one before.

        Args:
            errors: exactly these, by code and certificate; more than turn up do no harm, ``[]`` is none. ``None``
                switches verification off for this reply, also for errors that nobody has seen yet.

        Raises:
            RuntimeError: the request brings its own `ssl.SSLContext`, which alone decides.
            TypeError: one of ``errors`` is no `SslError`.
        """
        source = self.request.ssl
        if source is not None and as_configuration(source) is None:
            raise RuntimeError(OWN_CONTEXT)
        self._core.ignored.say(errors)

    @property
    def ssl_configuration(self) -> SslConfiguration | ssl.SSLContext:
        """The TLS configuration in use (``sslConfiguration``); what the handshake gave is in `tls`."""
        source = self.request.ssl
        return usual_configuration() if source is None else source

    def set_ssl_configuration(self, config: SslConfiguration | ssl.SSLContext) -> None:
        """Use ``config`` for this reply instead of the request's or the manager's.

        Raises:
            RuntimeError: the exchange has begun; the block's first checkpoint starts it.
            TypeError: ``config`` is none.
        """
        if self._core.has_begun:
            raise RuntimeError(
                "the exchange has begun, and its TLS configuration is in use; set it before the block's first "
                "checkpoint, or give ssl= with the request"
            )
        self._core.state.request = self.request.replace(ssl=config)

    def raise_for_error(self) -> None:
        """Nothing if there is no error so far.

        Raises:
            ReplyError: the reply's error, HTTP statuses from 400 on included (`NetworkError.exception`).
        """
        self._core.raise_error()

    async def _released_or_aborted(self) -> None:
        """A checkpoint that lasts until all is released; if it is cancelled, what still runs is aborted first."""
        released = False
        try:
            await self._core.wait_released()
            released = True
        finally:
            if not released:
                await self._abort_and_release()

    async def _abort_and_release(self) -> None:
        self._core.abort()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RELEASE_SECONDS):
            await self._core.wait_released()

    async def _leave(self) -> None:
        """The normal end of the block: no schedule point if there is nothing to wait for, since entering it was one."""
        core = self._core
        core.close()
        if core.is_released:
            await trio.lowlevel.checkpoint_if_cancelled()
            return
        if not core.state.is_open and not core.is_detached:
            await self._abort_and_release()  # it is stopping already; a thread stuck in the kernel must not keep us
            await trio.lowlevel.checkpoint()
            return
        if not core.is_detached or not is_detachable(self.request.body):
            await self._released_or_aborted()
            return
        left = False
        try:
            await trio.lowlevel.checkpoint()
            left = True
        finally:
            if not left:
                await self._abort_and_release()


def make_reply(request: Request, owner: Owner) -> Reply:
    """A reply whose exchange has not begun."""
    reply = object.__new__(Reply)
    reply._core = Core(request, owner)
    reply._core.bind(reply)
    return reply


class OpenReply:
    """What the manager's verbs return: ``async with`` it to get the `Reply`. Can be entered once."""

    __slots__ = ("_handler", "_replies", "_reply", "_request")

    def __init__(self, request: Request, replies: Replies, handler: Handler) -> None:
        self._request = request
        self._replies = replies
        self._handler = handler
        self._reply: Reply | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._request.verb}: use 'async with' to open the reply>"

    async def __aenter__(self) -> Reply:
        if self._reply is not None:
            raise RuntimeError("a reply's block is entered once; call the manager's method again for another reply")
        await trio.lowlevel.checkpoint()
        reply = make_reply(self._request, self._replies)
        self._replies.begin(reply)
        self._reply = reply
        self._replies.spawn(reply, self._handler)
        return reply

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        reply = self._reply
        if reply is None:  # pragma: no cover - __aexit__ follows __aenter__
            return
        if exc is None:
            await reply._leave()
        else:
            await reply._abort_and_release()


async def run_unseen(request: Request, replies: Replies, handler: Handler, *, max_size: int | None = None) -> Reply:
    """Carry out an exchange in the calling task; for whole-exchange helpers, whose replies nobody reads meanwhile."""
    reply = make_reply(request, replies)
    replies.begin(reply)
    core = reply._core
    core.desk.refuses_all = True
    core.read_buffer_size = 0
    core.max_size = max_size
    await run_exchange(reply, handler)
    return reply
