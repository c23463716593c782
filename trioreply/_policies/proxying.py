"""Proxies: which one a request goes through, and what follows if that one is out of order.

Who decides: the request's own ``proxy``; else the manager's, which stands in the request by then; else the factory, or
the environment. The first of them that says anything is heard, and nobody else: a server is never contacted directly
because its proxy failed, unless a factory lists that among the ways.

A factory's proxies are tried in order. Another one is tried only if a proxy itself did not work and nothing of the
request was sent; what a working proxy says about the server, or about us, is the answer. Which ones failed is
remembered for a while (`ProxyFailures`), so that later requests do not wait for them first.

The policy stands innermost but for the one that repeats a request on a fresh connection: to the others a request looks
the same whatever carries it. Demands of a proxy that forwards the request are answered here, too; those of a tunnel
never come this far, and what comes through a tunnel is never a proxy's demand (`proxy_logins`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence

import trio
from attrs import field

from .._model.errors import ProxyError, ReplyError
from .._model.exchange import Handler, Policy, Sink
from .._model.proxies import Proxy, ProxyType
from .._model.request import Request
from .._model.values import define
from .proxy_decide import ProxyFactory, ProxyFailures, gave_up, suitable

_SCHEMES = ("http", "https")


@define(eq=False)
class ProxySelection:
    """What a manager says about proxies."""

    factory: ProxyFactory | None = None
    """Asked for the URLs of requests that do not say it themselves."""
    failures: ProxyFailures = field(factory=ProxyFailures, init=False)

    def concerns(self, request: Request) -> bool:
        """Whether ``request`` may have to go through a proxy at all."""
        if request.proxy is None and self.factory is None:
            return False
        return request.local_server_name is None and request.url.scheme in _SCHEMES

    async def ways(self, request: Request) -> Sequence[Proxy]:
        """The proxies for ``request``, best first; ``Proxy(ProxyType.NONE)`` among them is the direct way.

        Raises:
            ProxyNotFoundError: there are proxies, but none that could serve it.
        """
        scheme = request.url.scheme
        if request.proxy is not None or self.factory is None:
            return suitable([request.proxy or _DIRECT], scheme)
        found = self.factory.query(request.url)
        usable = suitable(await found if inspect.isawaitable(found) else found, scheme)
        return self.failures.ordered(usable, trio.current_time()) or (_DIRECT,)


_DIRECT = Proxy(ProxyType.NONE)


def proxying(selection: ProxySelection, authentication: Policy) -> Policy:
    """Send requests the way that ``selection`` says; ``authentication`` answers the demands of proxies that forward."""

    def policy(handler: Handler) -> Handler:
        forwarding = authentication(handler)

        def with_proxies(request: Request, sink: Sink) -> Awaitable[None]:
            if not selection.concerns(request):
                return handler(request, sink)
            return _try_all(selection, request, sink, tunnelled=handler, forwarded=forwarding)

        return with_proxies

    return policy


async def _try_all(
    selection: ProxySelection, request: Request, sink: Sink, *, tunnelled: Handler, forwarded: Handler
) -> None:
    failed: list[tuple[Proxy, ReplyError]] = []
    for proxy in await selection.ways(request):
        wanted = None if proxy.type is ProxyType.NONE else proxy
        hop = request if request.proxy is wanted else request.replace(proxy=wanted)
        handler = forwarded if proxy.forwards(request.url.scheme) else tunnelled
        try:
            await handler(hop, sink)
        except ReplyError as error:
            if not error.proxy_failed and not (failed and wanted is None):
                raise
            failed.append((proxy, error))
            if wanted is None:
                break  # the direct way, if it is listed, is the last: what failed on it is the server's
            # Neither a network of ours that is down nor a server that keeps a proxy waiting is held against a proxy.
            if isinstance(error, ProxyError) and not error.proxy_reached:
                selection.failures.failed(proxy, trio.current_time())
        else:
            selection.failures.worked(proxy)
            return
    raise gave_up(failed)
