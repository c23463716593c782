"""HTTP Strict Transport Security (RFC 6797) as values: which hosts are to be spoken to securely only.

A host says so in a field that counts only if it came over a good secure connection; who may say it is decided in
`trioreply._policies.hsts`, and what is known is kept by `trioreply._policies.hsts_store`. Here is what a policy is, and
how the field is read.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from attrs import field

from .._facade import public
from .urls import make_url
from .values import frozen

MAX_AGE = 10 * 365 * 24 * 3600
"""Seconds that a server's word counts at most. Servers say two years; what outlives ten is a mistake or an attack."""

# RFC 6797 section 6.1: directive = directive-name [ "=" directive-value ], with white space where RFC 2616 allows it.
_DIRECTIVE = re.compile(
    r"""[ \t]*(?:(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)
        (?:[ \t]*=[ \t]*(?:(?P<token>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"(?P<quoted>(?:[^"\\]|\\.)*)"))?
    )?[ \t]*(?:;|\Z)""",
    re.ASCII | re.VERBOSE,
)
_ADDRESS = re.compile("[0-9.]+")  # a name that ends in a number is refused by `make_url` already


@public
class HstsStoreError(Exception):
    """What is known about hosts could not be read from disk, or written to it. The cause is in ``__cause__``."""


def canonical_host(host: str) -> str:
    """``host`` as a URL has it (RFC 6797 section 8.2): encoded, in lower case, without the root's dot.

    Raises:
        ValueError: it is no host name; an address is none. The text starts with ``host``.
    """
    if not isinstance(host, str) or any(mark in host for mark in "/?#@:[]\\"):
        raise ValueError(f"host: {host!r} is not a host name")
    name = (make_url(f"https://{host}/", field="host").raw_host or "").removesuffix(".")
    if not name or _ADDRESS.fullmatch(name):
        raise ValueError(f"host: {host!r} is not a host name; an address has no policy (RFC 6797 section 8.1.1)")
    return name


def _expiry(value: float | datetime | None) -> float | None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"expiry: {value!r} needs a time zone; try datetime.now(UTC)")
        return value.timestamp()
    return value


@public
@frozen
class HstsPolicy:
    """That a host is to be spoken to securely only (``QHstsPolicy``).

    Raises:
        ValueError: ``host`` is not the name of a host, or ``expiry`` has no time zone.
    """

    host: str = field(converter=canonical_host)
    expiry: float | None = field(default=None, converter=_expiry)
    """Until when, in POSIX seconds; a `datetime.datetime` with a time zone may be given, too. ``None``: for ever, as an
    application says it of its own servers. (In Qt a policy without a date is an expired one.)"""
    include_subdomains: bool = False
    """Whether it holds for all hosts below that one."""

    def is_expired(self, now: float) -> bool:
        """Whether it is over at ``now``, in POSIX seconds (``isExpired``)."""
        return self.expiry is not None and self.expiry <= now


class StrictTransport(NamedTuple):
    """What a host says in the Strict-Transport-Security field."""

    max_age: int
    """Seconds from now; 0 takes an earlier word back."""
    include_subdomains: bool


def parse_strict_transport(value: str) -> StrictTransport | None:
    """What the field's ``value`` says (RFC 6797 section 6.1); ``None`` if it does not follow the grammar.

    One mistake makes all of it void, as section 8.1 demands: directives that are repeated, a ``max-age`` that is
    missing or no number, an ``includeSubDomains`` with a value. Directives that are not known are skipped.
    """
    directives: dict[str, str | None] = {}
    position = 0
    while position < len(value):
        match = _DIRECTIVE.match(value, position)
        if match is None:
            return None
        position = match.end()
        if match["name"] is None:
            continue
        name = match["name"].lower()
        if name in directives:
            return None
        directives[name] = match["token"] if match["quoted"] is None else re.sub(r"\\(.)", r"\1", match["quoted"])
    seconds = directives.get("max-age")
    if seconds is None or not seconds.isascii() or not seconds.isdigit():
        return None
    if directives.get("includesubdomains") is not None:
        return None
    # Python refuses to convert very long numbers, and nobody can wait for them.
    max_age = MAX_AGE if len(seconds.lstrip("0")) > 10 else min(int(seconds[-10:]), MAX_AGE)
    return StrictTransport(max_age, "includesubdomains" in directives)
