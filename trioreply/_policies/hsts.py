"""HTTP Strict Transport Security on its way: known hosts are upgraded, and what hosts say is learnt.

Nothing is sent to a known host in the clear: its ``http:`` URLs become ``https:`` before anything is dialled (RFC 6797
section 8.3). The policy stands inside of the redirect policy, so that every hop passes here. As in Qt the upgrade is
no redirect and no event: whoever opens a request and whoever follows a redirect asks `HstsStore.upgrade` first, so
that the reply's URL is the secure one from the start; here is the place that nobody gets around.

What a host says counts only if it came over a secure channel without any error (section 8.1): not if errors were
ignored, not if nothing was verified, and not if another name than the host's was. Then its first field counts, and the
others do not.

A change is written to the store's file when the exchange is over and its connection is free. A file that fails costs
no request: it is logged, and tried again with the next change.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from .._model.events import Encrypted
from .._model.exchange import Handler, Policy, Sink
from .._model.hsts import HstsStoreError
from .._model.messages import ConnectionLeased, Message, ResponseHead
from .._model.request import Request
from .._model.ssl_configuration import SslConfiguration, VerifyMode
from .._model.tls import TlsInfo
from .hsts_store import HstsStore
from .pipeline import WrappedSink

_PROXY_AUTHENTICATION_REQUIRED = 407

_logger = logging.getLogger("trioreply.hsts")


def hsts(store: HstsStore) -> Policy:
    """Upgrade what goes to hosts that ``store`` knows, and put into it what hosts say."""

    def policy(handler: Handler) -> Handler:
        def with_hsts(request: Request, sink: Sink) -> Awaitable[None]:
            scheme = request.url.scheme
            if scheme == "http":
                url = store.upgrade(request.url)
                if url is request.url:
                    return handler(request, sink)
                request = request.replace(url=url)
            elif scheme != "https":
                return handler(request, sink)
            return _learning(handler, request, sink, store=store)

        return with_hsts

    return policy


async def _learning(handler: Handler, request: Request, sink: Sink, *, store: HstsStore) -> None:
    await handler(request, _Watch(sink, store, request.url.raw_host or "") if is_verified(request) else sink)
    if store.has_news:
        await save_or_log(store)


async def save_or_log(store: HstsStore) -> None:
    """Write ``store`` to its file. A failure is logged with its traceback, and not raised."""
    try:
        await store.save()
    except HstsStoreError:
        _logger.exception("what hosts said about their security was not saved; it is kept in memory")


def is_verified(request: Request) -> bool:
    """Whether the server of ``request`` must show a certificate that is good for its host."""
    host, name = request.url.raw_host, request.peer_verify_name
    if name is not None and name.lower() != host:
        return False
    if request.ssl is None:
        return True
    if isinstance(request.ssl, SslConfiguration):
        return request.ssl.verify is not VerifyMode.NONE
    # By name: whoever has a context has loaded `ssl` already, and nobody else needs it here.
    return request.ssl.check_hostname and request.ssl.verify_mode.name == "CERT_REQUIRED"


class _Watch(WrappedSink):
    """Lets the store see what a response says, if the channel it came over is good."""

    __slots__ = ("_host", "_is_good", "_store")

    def __init__(self, sink: Sink, store: HstsStore, host: str) -> None:
        super().__init__(sink)
        self._store = store
        self._host = host
        self._is_good = False

    async def put(self, message: Message) -> None:
        """See `Sink.put`."""
        if type(message) is ConnectionLeased or type(message) is Encrypted:
            self._is_good = _is_good(message.tls)
        elif (
            type(message) is ResponseHead
            and self._is_good
            and "Strict-Transport-Security" in message.headers
            and message.status_code != _PROXY_AUTHENTICATION_REQUIRED
        ):
            self._store.learn(self._host, message.headers["Strict-Transport-Security"])
        await self._sink.put(message)


def _is_good(tls: TlsInfo | None) -> bool:
    return tls is not None and not tls.ignored_errors
