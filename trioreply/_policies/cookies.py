"""Cookies on their way: what the jar has goes out with a request, and what a response sets goes into the jar.

By default both happen for every request; ``cookie_load`` and ``cookie_save`` switch them off, each on its own. A
request with a ``Cookie`` field of its own goes out with just that: who says it himself means it. (In Qt the jar's
cookies take its place, if there are any.)

The policy stands inside of those that send a request again, for every hop and every attempt asks the jar anew. It never
waits, and it costs one look where the jar is empty. A 407 is the proxy's answer and not the server's, so it sets
nothing; neither does an interim response.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import trio
from yarl import URL

from .._model.exchange import Handler, Policy, Sink
from .._model.headers import make_headers, with_missing
from .._model.messages import Message, ResponseHead
from .._model.options import LoadControl
from .._model.request import Request
from .late_jar import LateJar
from .pipeline import WrappedSink

if TYPE_CHECKING:
    from .cookiejar import CookieJar

SAVE_DELAY = 1.0
"""Seconds between a change and the writing of it: a page sets cookies in bursts, and one write does for all of them."""
MAX_SAVE_DELAY = 60.0
"""Seconds between two attempts at most, when a store fails again and again."""

_PROXY_AUTHENTICATION_REQUIRED = 407

_logger = logging.getLogger("trioreply.cookies")


def cookies(jar: CookieJar | LateJar) -> Policy:
    """Send what ``jar`` has, and put what comes into it."""

    def policy(handler: Handler) -> Handler:
        def with_cookies(request: Request, sink: Sink) -> Awaitable[None]:
            if jar and request.cookie_load is LoadControl.AUTOMATIC and "Cookie" not in request.headers:
                request = _with_cookies(request, jar)
            if request.cookie_save is LoadControl.AUTOMATIC:
                sink = _Watch(sink, jar, request.url)
            return handler(request, sink)

        return with_cookies

    return policy


def _with_cookies(request: Request, jar: CookieJar | LateJar) -> Request:
    value = jar.header_for(request.url)
    if not value:
        return request
    return request.replace(headers=with_missing(request.headers, make_headers({"Cookie": value})))


class _Watch(WrappedSink):
    """Lets the jar see what a response sets, before anybody else sees the response."""

    __slots__ = ("_jar", "_url")

    is_idle = True  # a plain response sets none

    def __init__(self, sink: Sink, jar: CookieJar | LateJar, url: URL) -> None:
        self._sink = sink
        self._jar = jar
        self._url = url

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        if (
            type(message) is ResponseHead
            and "Set-Cookie" in message.headers
            and message.status_code != _PROXY_AUTHENTICATION_REQUIRED
        ):
            self._jar.set_from_headers(message.headers.getall("Set-Cookie"), self._url)
        await self._sink.put(message)


async def keep_saved(jar: CookieJar) -> None:
    """Write ``jar`` to its store a moment after each change, for ever; a task of the manager's.

    A store that fails never ends this task, nor any request: it is tried again, less and less often, and each failure
    is logged and stands in `CookieJar.store_error`.
    """
    while True:
        await jar.wait_changed()
        delay = SAVE_DELAY
        await trio.sleep(delay)
        while not await save_or_log(jar):
            delay = min(delay * 2, MAX_SAVE_DELAY)
            await trio.sleep(delay)


async def save_or_log(jar: CookieJar) -> bool:
    """Write ``jar`` to its store; whether it worked. A failure is logged with its traceback, and not raised."""
    try:
        await jar.save()
    except Exception:
        # Whatever a user's own store raises: it is about cookies, and must not harm the manager's other work.
        _logger.exception("cookies were not saved; they are kept in memory, and saving is tried again")
        return False
    return True
