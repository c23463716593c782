"""Which domains belong to everybody: the public suffix list.

Under ``co.uk`` or ``github.io`` anybody may have a name, so a cookie for the whole of one of these would reach
strangers. The list is large (it takes tens of milliseconds to read), so it is read when the first cookie comes and not
before; a program that never meets a cookie never pays. This is the only file that knows where the list comes from.

A name that the list does not know counts by its last label (``localhost`` and ``lan`` are public suffixes, as the
list's own default rule says).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@functools.cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # reading the list takes tens of milliseconds

    return PublicSuffixList()


def is_public_suffix(domain: str) -> bool:
    """Whether strangers may have names below ``domain`` (lower case, labels beyond ASCII in their ``xn--`` form)."""
    return _suffixes().is_public(domain)


@functools.lru_cache(maxsize=1024)
def registrable_domain(domain: str) -> str:
    """The public suffix of ``domain`` with one label more: what one party owns. A public suffix is itself."""
    return _suffixes().privatesuffix(domain) or domain
