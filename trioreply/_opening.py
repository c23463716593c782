"""The block of a manager: ``async with open_manager() as manager``.

The nursery is entered and left by hand, for one reason: an exception raised in the block must leave it as itself, not
in a group. It does, because no task of ours raises (exchanges end in replies, not in exceptions), and so the nursery
has nothing to add, save for a `KeyboardInterrupt` and its like.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Unpack

import trio
from yarl import URL

from ._config import ManagerConfig
from ._manager import Manager
from ._model.request import FetchFields, Request
from ._model.response import Response
from ._net.groups import leave_nursery


class OpenManager:
    """What `open_manager` returns: ``async with`` it to get the `Manager`. Can be entered once."""

    _nursery_block: AbstractAsyncContextManager[trio.Nursery]  # made when entered: before, there may be no Trio yet

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._was_entered = False

    async def __aenter__(self) -> Manager:
        if self._was_entered:
            raise RuntimeError("a manager's block is entered once; call open_manager() again for another manager")
        self._was_entered = True
        await self._manager._load()
        self._nursery_block = trio.open_nursery()
        self._manager._start(await self._nursery_block.__aenter__())
        return self._manager

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        manager = self._manager
        manager._replies.accepting = False
        try:
            if exc is None:
                await manager._finish()
        finally:
            await manager._tear_down()
            await leave_nursery(self._nursery_block, exc)


def open_manager(**config: Unpack[ManagerConfig]) -> OpenManager:
    """Open a manager: ``async with trioreply.open_manager() as manager``.

    Args:
        config: any of these.

            * ``schemes``: the URL schemes that may be used at all; default: all that are registered.
            * ``base_url``: what relative URLs are appended to.
            * ``headers``: fields for every request that does not set them itself.
            * ``user_agent``: the User-Agent; empty for none.
            * ``transfer_timeout``: seconds without progress after which an exchange ends as TIMEOUT; default: never.
            * ``connect_timeout``: seconds for name resolution, connecting and TLS; default 30.
            * ``detached_timeout``: seconds without progress that an upload behind a closed reply may take; default 30.
            * ``limits``: how many connections; see `Limits`.
            * ``wire_limits``: how much a server may send of anything but content; see `WireLimits`.
            * ``run_sync``: calls what may block; default `trio.to_thread.run_sync`. Your own may have a limiter.
            * ``ssl``: how to secure connections, a `SslConfiguration` or a `ssl.SSLContext` of your own.
            * ``proxy``: what requests go through that do not say it themselves, a `Proxy` or its URL;
              ``Proxy(ProxyType.NONE)`` for nothing; default: what the factory or the environment says.
            * ``proxy_factory``: says for each URL which proxies there are, a `ProxyFactory`; instead of ``proxy``.
            * ``trust_env``: whether the environment is looked at (``http_proxy``, ``https_proxy``, ``all_proxy``,
              ``no_proxy``, ``SSLKEYLOGFILE``); default: yes.
            * ``cookie_jar``: where cookies are kept, a `CookieJar`; ``None`` for nowhere; default: a new one in memory.
            * ``hsts``: the hosts that are spoken to securely only, a `HstsStore`; default: nobody keeps account.
            * ``retry``: when requests are sent again that do not say it themselves, a `RetryPolicy`; default: never.
            * ``redirect_policy``: which redirects are followed, for requests that do not say it; see `RedirectPolicy`.
            * ``netrc``: a file to look for credentials in, or ``True`` for the user's own; default: none is looked at.
            * ``resolver``, ``dialer``: replace name resolution and connecting; see `trioreply.abc`.
            * ``ssl_errors``, ``authenticator``, ``proxy_authenticator``, ``redirect_verifier``: handlers
              ``async (reply, event)`` that may answer a question on the event before the reply's reader is asked.

    Raises:
        ValueError, TypeError: an option is impossible; the text starts with its name.
        CookieStoreError, HstsStoreError: on entering the block, what was kept on disk cannot be read.
    """
    return OpenManager(Manager(config))


async def fetch(
    url: str | URL | Request,
    *,
    raise_for_error: bool = True,
    max_size: int | None = None,
    **fields: Unpack[FetchFields],
) -> Response:
    """`Manager.fetch` with a manager of its own, for a program that fetches one thing."""
    async with open_manager() as manager:
        return await manager.fetch(url, raise_for_error=raise_for_error, max_size=max_size, **fields)
