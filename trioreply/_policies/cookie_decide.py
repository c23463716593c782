"""Cookies, decided: who may set one, who gets it to see, which of two is in the way (RFC 6265bis section 5).

Pure functions of values; the time is an argument. What was hard is what browsers learnt the hard way:

* A domain that belongs to everybody (`trioreply._policies.public_suffix`) sets cookies for itself alone.
* Hosts that are addresses have no parents: their cookies are for just that address.
* ``Secure`` means the ``https`` scheme, and nothing else: neither ``localhost`` nor an address is taken for safe
  because it is near. A cookie that is ``Secure`` is also left alone by whoever speaks plain ``http``.
* ``__Secure-`` and ``__Host-`` in front of a name are promises. They hold in any case of letters, and for a nameless
  cookie whose value looks like such a name on the wire.

``SameSite`` and ``HttpOnly`` are kept and change nothing: they are about pages and scripts, and we have neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from yarl import URL

from .._model.cookies import Cookie, canonical_host, default_path
from .._model.headers import encode_text
from .._model.urls import HTTP_SCHEMES
from .cookie_parse import MAX_ATTRIBUTE, ParsedCookie
from .public_suffix import is_public_suffix, registrable_domain

LONGEST_LIFE = 400 * 24 * 3600.0
"""Seconds that a server may keep a cookie alive without setting it anew (RFC 6265bis section 5.5)."""

_SECURE, _HOST = "__secure-", "__host-"


class Place(NamedTuple):
    """Where a request goes, as far as cookies are concerned. The port plays no part (RFC 6265bis section 8.5)."""

    host: str
    path: str
    secure: bool


def place_of(url: URL) -> Place | None:
    """The place that ``url`` names; ``None`` if there can be no cookies."""
    if url.scheme not in HTTP_SCHEMES or not (host := canonical_host(url)):
        return None
    return Place(host, url.raw_path or "/", secure=url.scheme == "https")


def site_of(domain: str) -> str:
    """The domain that one party owns and ``domain`` is part of; an address is its own."""
    return domain if is_address(domain) else registrable_domain(domain)


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP address, and so has no domains above it."""
    # Cheap first: a name that ends in a letter is none, unless there is a colon in it.
    if ":" not in host and not host[-1:].isdigit():
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def domain_matches(host: str, domain: str) -> bool:
    """Whether ``host`` is ``domain`` or lies below it (RFC 6265bis section 5.1.3); both in their canonical form."""
    return host == domain or (host.endswith(f".{domain}") and domain != "" and not is_address(host))


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether ``path`` is ``cookie_path`` or lies below it (RFC 6265bis section 5.1.4)."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"


def is_sent(cookie: Cookie, place: Place, *, now: float) -> bool:
    """Whether a request to ``place`` carries ``cookie`` (RFC 6265bis section 5.8.3)."""
    host, path, secure = place
    if cookie.host_only:
        if host != cookie.domain:
            return False
    elif not domain_matches(host, cookie.domain):
        return False
    return path_matches(path, cookie.path) and (secure or not cookie.secure) and not cookie.is_expired(now)


def in_order(cookies: Iterable[Cookie]) -> list[Cookie]:
    """``cookies`` as they are sent: longer paths first, of equal ones the older (RFC 6265bis section 5.8.3)."""
    return sorted(cookies, key=lambda cookie: (-len(cookie.path), cookie.created))


def receive(parsed: ParsedCookie, place: Place, *, now: float) -> Cookie | None:
    """The cookie that a response from ``place`` has set; ``None`` if it is refused (RFC 6265bis section 5.7).

    One whose time is over is a cookie too: it says that another is to be deleted.
    """
    domain, host_only = _domain_of(parsed, place)
    path = parsed.path or default_path(place.path)
    # A second dot in front would pass for the one that a cookie's domain may have. A default path that is longer than
    # any attribute could be is refused as well.
    if domain.startswith(".") or not domain.isascii() or len(encode_text(path)) > MAX_ATTRIBUTE:
        return None
    try:
        cookie = Cookie(
            parsed.name,
            parsed.value,
            domain=domain,
            path=path,
            host_only=host_only,
            expires=_expiry(parsed, now),
            secure=parsed.secure,
            http_only=parsed.http_only,
            same_site=parsed.same_site,
            created=now,
        )
    except ValueError:  # such as white space in the domain
        return None
    if not may_set(cookie, place):
        return None
    # Step 21: the path "/" must have been said, and not just come about.
    return None if parsed.path is None and _promises(cookie, _HOST) else cookie


def _domain_of(parsed: ParsedCookie, place: Place) -> tuple[str, bool]:
    """Which domain the cookie is for, and whether for its host alone."""
    domain = parsed.domain
    if not domain or (domain == place.host and _has_strangers_below(domain)):
        # A public suffix may have cookies of its own, as its host alone (step 9).
        return place.host, True
    return domain, False


def _has_strangers_below(domain: str) -> bool:
    # Below an address there is nothing at all, but ends of addresses do look like domains.
    return is_address(domain) or is_public_suffix(domain)


def _expiry(parsed: ParsedCookie, now: float) -> float | None:
    if parsed.max_age is not None:  # goes before Expires, wherever it stands (step 6)
        return now + min(parsed.max_age, LONGEST_LIFE) if parsed.max_age > 0 else min(now, 0.0)
    return None if parsed.expires is None else min(parsed.expires, now + LONGEST_LIFE)


def may_set(cookie: Cookie, place: Place) -> bool:
    """Whether a response from ``place`` may set ``cookie`` at all (``validateCookie``, and what Qt lets pass)."""
    if cookie.host_only:
        if cookie.domain != place.host:
            return False
    elif not domain_matches(place.host, cookie.domain):
        return False
    return (place.secure or not cookie.secure) and is_storable(cookie)


def is_storable(cookie: Cookie) -> bool:
    """Whether a jar can keep ``cookie``, wherever it came from: it reaches no strangers and keeps its promises."""
    if not cookie.domain or not cookie.path or not cookie.name_and_value:
        return False
    if not cookie.host_only and _has_strangers_below(cookie.domain):
        return False
    return _keeps_promises(cookie)


def _keeps_promises(cookie: Cookie) -> bool:
    if not cookie.name:
        return not cookie.value.lower().startswith((_SECURE, _HOST))
    if _promises(cookie, _HOST):
        return cookie.secure and cookie.host_only and cookie.path == "/"
    return cookie.secure or not _promises(cookie, _SECURE)


def _promises(cookie: Cookie, prefix: str) -> bool:
    return cookie.name.lower().startswith(prefix)


def overlays(cookie: Cookie, existing: Cookie) -> bool:
    """Whether plain ``http`` would put ``cookie`` in front of the secure ``existing`` (RFC 6265bis section 5.7, 16)."""
    return (
        existing.secure
        and cookie.name == existing.name
        and (domain_matches(existing.domain, cookie.domain) or domain_matches(cookie.domain, existing.domain))
        and path_matches(cookie.path, existing.path)
    )
