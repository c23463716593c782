"""Where cookies lie in memory: by the domain that one party owns, and within limits.

A look-up is the work of one party's cookies, however many there are of others; and the limit for one party is something
that no number of subdomains gets around. What is too much is only named here; removing it is the jar's business, for a
store may have to hear of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator

from .._model.cookies import Cookie, CookieId
from .cookie_decide import site_of

MAX_PER_SITE = 180
"""Cookies of one registrable domain, its subdomains included; what browsers allow."""
MAX_TOTAL = 3000
"""Cookies in all: the least that RFC 6265bis section 6.1 asks for, and 12 MiB of values at the very most."""


class CookieSites:
    """Cookies, one of each `Cookie.id`. True if there are any, expired ones included."""

    def __init__(self) -> None:
        self._sites: dict[str, dict[CookieId, Cookie]] = {}
        self._count = 0

    def __repr__(self) -> str:
        return f"{self._count} cookies of {len(self._sites)} sites"

    def __bool__(self) -> bool:
        # Asked for every request.
        return self._count > 0

    def __iter__(self) -> Iterator[Cookie]:
        for site in self._sites.values():
            yield from site.values()

    def around(self, host: str) -> Collection[Cookie]:
        """The cookies of the site that ``host`` is part of."""
        site = self._sites.get(site_of(host)) if self._sites else None
        return () if site is None else site.values()

    def get(self, identity: CookieId) -> Cookie | None:
        """The cookie of that id, if there is one."""
        site = self._sites.get(site_of(identity.domain)) if self._sites else None
        return None if site is None else site.get(identity)

    def put(self, cookie: Cookie) -> None:
        """Put ``cookie`` in the place of the one with its id, or behind all others."""
        site = self._sites.setdefault(site_of(cookie.domain), {})
        self._count += cookie.id not in site
        site[cookie.id] = cookie

    def discard(self, cookie: Cookie) -> None:
        """Take out the cookie with ``cookie``'s id, which is here."""
        name = site_of(cookie.domain)
        site = self._sites[name]
        del site[cookie.id]
        self._count -= 1
        if not site:
            del self._sites[name]

    def expired(self, now: float) -> list[Cookie]:
        """Those whose time is over."""
        return [cookie for cookie in self if cookie.is_expired(now)]

    def surplus_around(self, host: str, *, now: float) -> Cookie | None:
        """The cookie that the site of ``host`` has too many.

        What is over goes first, then what is not secure, then the oldest (RFC 6265bis section 5.7).
        """
        site = self.around(host)
        if len(site) <= MAX_PER_SITE:
            return None
        return min(site, key=lambda cookie: (not cookie.is_expired(now), cookie.secure, cookie.created))

    def surplus(self, *, now: float) -> list[Cookie]:
        """The cookies that are too many in all: what is over goes first, then the oldest."""
        if self._count <= MAX_TOTAL:
            return []
        excess = self._count - MAX_TOTAL
        return heapq.nsmallest(excess, self, key=lambda cookie: (not cookie.is_expired(now), cookie.created))
