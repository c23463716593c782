"""Credentials that servers have accepted, and where they may be sent without being asked for.

A protection space is an origin and a realm (RFC 9110 section 11.5), and what the server said about its extent: for
Basic the directory of the request and everything below it (RFC 7617 section 2.2), for Digest the URIs of ``domain``, or
the whole server (RFC 7616 section 3.3). Two rules keep credentials where they belong:

* Nothing a server says extends a space beyond its own origin.
* What came with one request, as its ``auth``, is only used for requests that bring the same again. A manager may work
  for several users, and one user's request must not go out in the name of another.

A server could invent realms without end, so there are limits; the oldest leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from yarl import URL

from .._model.auth import UserPassword
from .._model.values import define, frozen

if TYPE_CHECKING:
    from .._wire.digest import DigestSession

MAX_ORIGINS = 256
"""Servers that credentials are kept for; more than an application has accounts."""
MAX_SPACES = 16
"""Realms and users of one server; real servers have one or two."""
MAX_PREFIXES = 64
"""Directories of one space."""

Origin = tuple[str, str, int]
"""Scheme (or kind of proxy), host and port."""


@frozen
class Place:
    """Where a request goes, as far as credentials are concerned."""

    origin: Origin
    path: str

    @property
    def directory(self) -> str:
        """The path up to its last slash: what Basic credentials are good for."""
        return self.path[: self.path.rfind("/") + 1]


@define(eq=False)
class Space:
    """Credentials that were accepted in a realm."""

    realm: str
    login: UserPassword
    is_private: bool
    """Whether only requests that bring ``login`` themselves may use it."""
    session: DigestSession | None
    """``None`` for Basic."""
    prefixes: tuple[str, ...]


@frozen
class Owner:
    """In whose name a request goes out, if it says so itself."""

    login: UserPassword | None = None
    """The request's own ``auth``."""
    user: str | None = None
    """The user in its URL."""

    def may_use(self, space: Space) -> bool:
        """Whether ``space`` fits what the request says."""
        if self.login is not None:
            return space.login == self.login
        return not space.is_private and self.user in (None, space.login.user)


class CredentialCache:
    """The protection spaces that a manager knows, in memory only. False if there are none."""

    __slots__ = ("_spaces",)

    def __init__(self) -> None:
        self._spaces: dict[Origin, list[Space]] = {}  # the newest origin last, its newest space first

    def __bool__(self) -> bool:
        return bool(self._spaces)

    def clear(self) -> None:
        """Forget all credentials (the first half of Qt's ``clearAccessCache``)."""
        self._spaces.clear()

    def covering(self, place: Place, owner: Owner) -> Space | None:
        """The innermost space around ``place``; of two, the one that was accepted last."""
        return max(
            (space for space in self._of(place, owner) if _depth(space, place) >= 0),
            key=lambda space: _depth(space, place),
            default=None,
        )

    def of_realm(self, place: Place, owner: Owner, realm: str) -> Space | None:
        """The space of ``realm`` on the origin of ``place``, wherever it was thought to end."""
        return next((space for space in self._of(place, owner) if space.realm == realm), None)

    def remember(self, origin: Origin, space: Space) -> None:
        """Keep what has just been accepted; what is known about the same login in the same realm is extended."""
        spaces = self._spaces.pop(origin, [])
        for known in spaces:
            if (known.realm, known.login, known.is_private) == (space.realm, space.login, space.is_private):
                space.prefixes = tuple(dict.fromkeys((*space.prefixes, *known.prefixes)))[:MAX_PREFIXES]
                spaces.remove(known)
                break
        self._spaces[origin] = [space, *spaces][:MAX_SPACES]
        if len(self._spaces) > MAX_ORIGINS:
            del self._spaces[next(iter(self._spaces))]

    def forget(self, origin: Origin, realm: str, login: UserPassword) -> None:
        """Drop what the server does not accept any more."""
        kept = [space for space in self._spaces.get(origin, ()) if (space.realm, space.login) != (realm, login)]
        if kept:
            self._spaces[origin] = kept
        else:
            self._spaces.pop(origin, None)

    def _of(self, place: Place, owner: Owner) -> list[Space]:
        return [space for space in self._spaces.get(place.origin, ()) if owner.may_use(space)]


def _depth(space: Space, place: Place) -> int:
    """The length of the longest prefix that ``place`` lies under; -1 if there is none."""
    return max((len(prefix) for prefix in space.prefixes if place.path.startswith(prefix)), default=-1)


def digest_prefixes(domain: Iterable[str], place: Place) -> tuple[str, ...]:
    """The paths that a Digest challenge's ``domain`` means, on the origin of ``place`` only.

    If it names other servers alone, or nonsense, the request's own directory is all that is known.
    """
    uris = tuple(domain)[:MAX_PREFIXES]
    if not uris:
        return ("",)
    return tuple(path for uri in uris if (path := _path_on(uri, place.origin)) is not None) or (place.directory,)


def _path_on(uri: str, origin: Origin) -> str | None:
    try:
        url = URL(uri)
        own = not url.absolute or (url.scheme, url.raw_host, url.port) == origin
    except ValueError:  # whatever a server may write there
        return None
    return url.raw_path if own and url.raw_path.startswith("/") else None
