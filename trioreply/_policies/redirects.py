"""Redirects: a response that leads elsewhere is followed there, hop by hop, and each hop is visible.

What is decided is in `redirects_decide`; here is what has to be done for it. Each hop is a whole exchange of the
handler inside, so each gets its own connection, cookies, credentials and attempts. Only responses to ``http:`` and
``https:`` requests are looked at: what another scheme says is up to its handler, and is delivered.

Of a redirect that is followed the reply shows the head, and at once, without a checkpoint in between, that it goes on:
who waits for a response must not take this one for it. The body is of no interest. It is read away so that the
connection can be used again; if it is larger than `MAX_WITHHELD`, the exchange is cut. One that must not be
followed is treated the same way, and then ends the reply. How long a body may take is up to ``transfer_timeout``, as
with any response: a limit of our own would be a cancel scope around every request, for the sake of very few.

A redirect to be verified is withheld until its body is read, or becomes too large; then its head is shown and the
question asked. If the answer is no, the redirect is the response, with its body.

The hard part was to stop an exchange from inside its sink. An exception does it: whatever the handler makes of that on
its way out, the policy knows that it was the one who stopped it. And an exchange may go on to report for a while when
everything is decided, such as the progress of an upload to a server that would not have it: nobody is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from yarl import URL

from .._model.errors import OperationCanceledError, ReplyError
from .._model.exchange import Handler, Sink
from .._model.messages import Message, ResponseData, ResponseHead, ResponseTrailers
from .._model.options import RedirectPolicy
from .._model.request import Request
from .pipeline import WrappedSink
from .redirects_decide import REDIRECTS, SCHEMES, Follow, Refuse, Step, Verify, decide

MAX_WITHHELD = 64 * 1024
"""Bytes of a redirect's body that are read away; about what a round trip of a new connection costs."""


def _as_it_is(url: URL) -> URL:
    return url


def redirects(handler: Handler, *, upgrade: Callable[[URL], URL] = _as_it_is) -> Handler:
    """Follow redirects, as the request's ``redirect_policy`` says.

    Args:
        handler: what carries out one hop.
        upgrade: gives a URL as it will really be used, such as `HstsStore.upgrade`. The policies judge, and the reply
            shows, that one.
    """

    def with_redirects(request: Request, sink: Sink) -> Awaitable[None]:
        if request.redirect_policy is RedirectPolicy.MANUAL or request.url.scheme not in SCHEMES:
            return handler(request, sink)
        return _Hops(sink, request, upgrade).follow(handler)

    return with_redirects


class _Stopped(Exception):  # noqa: N818 - it is no error, and nobody sees it
    """Raised into a handler whose exchange is given up."""


class _Redirect:
    """A redirect that has come, and what is to be done about it."""

    __slots__ = ("is_cut", "size", "step", "withheld")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.size = 0
        """Bytes of the body so far."""
        self.withheld: list[Message] = []
        """The response, as long as it may become the reply's."""
        self.is_cut = False
        """Whether we have stopped the exchange."""


class _Hops(WrappedSink):
    """One request's way from server to server."""

    __slots__ = ("_followed", "_redirect", "_request", "_upgrade")

    is_idle = True  # a success leads nowhere else

    def __init__(self, sink: Sink, request: Request, upgrade: Callable[[URL], URL]) -> None:
        self._sink = sink
        self._request = request
        self._upgrade = upgrade
        self._followed = 0
        self._redirect: _Redirect | None = None  # most responses are none

    async def follow(self, handler: Handler) -> None:
        """Carry out the exchange, hop by hop.

        Raises:
            ProtocolUnknownError, TooManyRedirectsError, InsecureRedirectError, ContentReSendError: a redirect leads
                nowhere, or to where the request must not go.
            ReplyError: an exchange failed.
        """
        while True:
            failure: ReplyError | None = None
            try:
                await handler(self._request, self)
            except Exception as error:
                if self._redirect is None:
                    raise
                failure = _judged(error, self._redirect)
            if self._redirect is None or not await self._go_on(self._redirect):
                break
        if failure is not None:
            raise failure

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        redirect = self._redirect
        if redirect is None:
            if type(message) is ResponseHead and message.status_code in REDIRECTS:
                await self._begin(message)
            else:
                await self._sink.put(message)
        elif isinstance(message, ResponseData | ResponseTrailers):
            await self._withhold(redirect, message)
        elif isinstance(redirect.step, Verify):
            await self._sink.put(message)  # about the upload, and nothing is decided

    async def _begin(self, head: ResponseHead) -> None:
        step = decide(self._request, head, followed=self._followed, upgrade=self._upgrade)
        self._redirect = redirect = _Redirect(step)
        if isinstance(step, Verify):
            redirect.withheld.append(head)
            return
        await self._sink.put(head)
        await self._announce(step)

    async def _announce(self, step: Follow | Refuse) -> None:
        if isinstance(step, Follow):
            await self._sink.put(step.redirected)

    async def _withhold(self, redirect: _Redirect, message: ResponseData | ResponseTrailers) -> None:
        """Read away a piece of the body, or keep it; when it becomes too much, decide now."""
        if isinstance(message, ResponseData):
            redirect.size += max(len(message.data), message.wire_size or 0)
        if isinstance(redirect.step, Verify):
            redirect.withheld.append(message)
        if redirect.size > MAX_WITHHELD:
            if isinstance(redirect.step, Verify) and await self._verify(redirect, redirect.step) is None:
                return
            redirect.is_cut = True
            raise _Stopped

    async def _go_on(self, redirect: _Redirect) -> bool:
        """The exchange is over; whether there is another.

        Raises:
            ReplyError: the redirect must not be followed.
        """
        step = redirect.step
        decided = await self._verify(redirect, step) if isinstance(step, Verify) else step
        if decided is None:
            return False
        if isinstance(decided, Refuse):
            raise decided.error
        self._request = decided.request
        self._followed += 1
        self._redirect = None
        return True

    async def _verify(self, redirect: _Redirect, verify: Verify) -> Follow | Refuse | None:
        """Ask; what to do if the answer is yes. If it is no, the redirect is delivered as far as it has come."""
        # Until it is answered, and if the asking fails, this is a response like others.
        self._redirect = None
        await self._sink.put(redirect.withheld.pop(0))
        if await self._sink.ask(verify.question):
            redirect.step = verify.allowed
            self._redirect = redirect
            await self._announce(verify.allowed)
            return verify.allowed
        for message in redirect.withheld:
            await self._sink.put(message)
        return None


def _judged(error: Exception, redirect: _Redirect) -> ReplyError | None:
    """What the failure of an exchange amounts to that ended in ``redirect``.

    Raises:
        Exception: it is ``error``, and the end of the reply.
    """
    if redirect.is_cut:
        return None  # whatever was made of it on the way
    # A body that nobody wants may fail; but neither bugs nor our own side's wish to stop are about the body.
    if not isinstance(error, ReplyError) or isinstance(error, OperationCanceledError):
        raise error
    return error.with_traceback(None)  # whose frames hold the one that will hold the error
