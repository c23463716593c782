"""Which proxies a request may use, in which order they are tried, and what it means when they fail; as pure decisions.

A `ProxyFactory` says for a URL which proxies there are, the best first (``QNetworkProxyFactory``). Qt takes the first
that fits and leaves it at that; here the next one is tried if one is out of order, and one that was is remembered for a
while, so that not every request waits for it again. Rules that hold here:

* What the factory says is done, or it is an error. A proxy that cannot be used is passed over only for another one of
  the same list: the way is direct where the factory says so, and never because nothing else was left.
* A proxy that failed loses its place, not its chance: if all have failed, all are tried.
* A proxy that refuses us (407) is not out of order. Another one might let us pass, but nobody has said that it should.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Final, Protocol

from yarl import URL

from .._model.errors import (
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ProxyNotFoundError,
    ProxyTimeoutError,
    ReplyError,
    UnknownProxyError,
)
from .._model.proxies import Proxy, ProxySource, ProxyType, read_proxy

FAILURE_SECONDS: Final = 300.0
"""How long a failure is remembered. Browsers have settled on five minutes: a proxy that is being restarted is found
again soon, and one that is gone costs its connect timeout once in that time and not once a request."""

MAX_FAILURES: Final = 64
"""Failures that are remembered; more proxies than anybody has, and a bound for factories that make them up."""

_FIELD = "proxy_factory"


class ProxyFactory(Protocol):
    """Says which proxies to use for a URL (``QNetworkProxyFactory``). Any object with such a ``query`` will do."""

    def query(self, url: URL) -> Sequence[ProxySource] | Awaitable[Sequence[ProxySource]]:
        """The proxies for ``url``, the best first; the next one is tried if one is out of order.

        ``Proxy(ProxyType.NONE)`` stands for a direct connection, and so does an empty list (as in Qt). URLs as text
        are taken, too. It may be an async function. What it raises ends the reply that it was asked for.
        """
        ...


def suitable(proxies: Iterable[ProxySource], scheme: str) -> list[Proxy]:
    """Those of a factory's ``proxies`` that can carry a request for a URL of ``scheme``, in their order.

    Empty only if ``proxies`` are: then there is no proxy to be used.

    Raises:
        ProxyNotFoundError: there are proxies, and none of them can.
        ValueError, TypeError: one is none, or means "as usual", which is what is being asked for.
    """
    if isinstance(proxies, str | URL) or not isinstance(proxies, Iterable):
        # Without the value: it may be a URL with a password.
        kind = type(proxies).__name__
        raise TypeError(f"{_FIELD}: query() must give a list of proxies, even if it is only one; not {kind}")
    found = [_checked(one) for one in proxies]
    fitting = [proxy for proxy in found if _can_serve(proxy, scheme)]
    if found and not fitting:
        names = ", ".join(map(str, found))
        raise ProxyNotFoundError(
            f"No suitable proxy found: {names} cannot tunnel, as {scheme} needs; give a proxy of type HTTP or SOCKS"
        )
    return fitting


def _checked(one: ProxySource) -> Proxy:
    proxy = read_proxy(one, _FIELD)
    if proxy.type is ProxyType.DEFAULT:
        raise ValueError(
            f"{_FIELD}: Proxy() means the default, and query() is asked what that is; "
            "for a direct connection give Proxy(ProxyType.NONE)"
        )
    return proxy


def _can_serve(proxy: Proxy, scheme: str) -> bool:
    return proxy.type is ProxyType.NONE or proxy.type.can_tunnel or proxy.forwards(scheme)


class ProxyFailures:
    """The proxies that were out of order a short while ago. Times are seconds on Trio's clock."""

    def __init__(self) -> None:
        # Oldest first, so what has expired stands in front.
        self._since: dict[tuple[object, ...], float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def failed(self, proxy: Proxy, now: float) -> None:
        """``proxy`` is out of order: others come first for `FAILURE_SECONDS`."""
        place = _place(proxy)
        self._since.pop(place, None)
        self._since[place] = now
        if len(self._since) > MAX_FAILURES:
            self._forget_oldest()

    def worked(self, proxy: Proxy) -> None:
        """``proxy`` is in order (again)."""
        if self._since:
            self._since.pop(_place(proxy), None)

    def ordered(self, proxies: Sequence[Proxy], now: float) -> list[Proxy]:
        """All of ``proxies`` in their order, but those that failed behind those that did not."""
        while self._since and next(iter(self._since.values())) + FAILURE_SECONDS <= now:
            self._forget_oldest()
        if not self._since:
            return list(proxies)
        return sorted(proxies, key=lambda proxy: _place(proxy) in self._since)

    def _forget_oldest(self) -> None:
        del self._since[next(iter(self._since))]


def _place(proxy: Proxy) -> tuple[object, ...]:
    """Where a proxy is and how it is reached: all that decides whether it is in order, so neither user nor password."""
    via = () if proxy.via is None else _place(proxy.via)
    return (proxy.type, proxy.host, proxy.port, *via)


# From the one that says least about a proxy to the one that says most: the further we came, the better the chance that
# the proxy is meant, and that its complaint is what has to be set right.
_OUT_OF_ORDER: tuple[type[ReplyError], ...] = (
    ProxyNotFoundError,
    ProxyTimeoutError,
    ProxyConnectionRefusedError,
    ProxyConnectionClosedError,
    UnknownProxyError,
)


def gave_up(errors: Sequence[tuple[Proxy, ReplyError]]) -> ReplyError:
    """The error to raise when all proxies have been tried in vain; ``errors`` says what each one did, and is not empty.

    It is of the kind of the most telling of them, which is its cause; its text tells all. What is no failure of a
    proxy, such as that of a direct connection at the end of the list, is more telling than any that is one: it is about
    the server.
    """
    _, telling = max(errors, key=lambda pair: _telling(pair[1]))
    if len(errors) == 1:
        return telling
    stories = "; ".join(f"{proxy}: {error.message}" for proxy, error in errors)
    summary = type(telling)(f"None of {len(errors)} ways worked: {stories}")
    summary.resendable = telling.resendable
    summary.__cause__ = telling
    return summary


def _telling(error: ReplyError) -> int:
    ranks = [rank for rank, kind in enumerate(_OUT_OF_ORDER) if isinstance(error, kind)]
    return ranks[0] if ranks else len(_OUT_OF_ORDER)
