"""A cookie jar for a manager that was not given one: it is made when the first cookie comes, or somebody asks for it.

Most programs that talk to services never see a cookie, and a jar is a lot to import: what may be set by whom, and where
to, is the longest set of rules that there is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from yarl import URL

if TYPE_CHECKING:
    from .cookiejar import CookieJar


class LateJar:
    """As much of a jar as requests and responses need. False as long as there are no cookies."""

    __slots__ = ("_jar",)

    def __init__(self) -> None:
        self._jar: CookieJar | None = None

    def __bool__(self) -> bool:
        return bool(self._jar)

    def made(self) -> CookieJar:
        """The jar itself."""
        if self._jar is None:
            from .cookiejar import CookieJar

            self._jar = CookieJar()
        return self._jar

    def header_for(self, url: URL) -> str:
        """See `CookieJar.header_for`."""
        return self.made().header_for(url)

    def set_from_headers(self, values: Iterable[str], url: URL) -> bool:
        """See `CookieJar.set_from_headers`."""
        return self.made().set_from_headers(values, url)
