"""The jar: cookies in memory, kept in step with a store if there is one.

What may come in and what goes out is decided in `trioreply._policies.cookie_decide`, and where it lies is the matter
of `trioreply._policies.cookie_sites`; here the two are put together.

With a store, the jar notes which cookies have changed since they were last saved. Notes are only thrown away when the
store has confirmed them, so a store that fails, or a save that is cancelled, loses nothing that is in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import final

import trio
from attrs import evolve
from yarl import URL

from .._clock import wall_clock
from .._facade import public
from .._model.cookies import Cookie, CookieId
from .._model.running import RunSync
from .._model.urls import make_url
from .cookie_decide import (
    Place,
    domain_matches,
    in_order,
    is_sent,
    is_storable,
    may_set,
    overlays,
    place_of,
    receive,
)
from .cookie_parse import parse_set_cookie
from .cookie_sites import CookieSites
from .cookie_store import CookieStore, format_cookies_txt, parse_cookies_txt, read_text, write_text


@public
@final
class CookieJar:
    """Cookies in memory (``QNetworkCookieJar``). It may serve several managers, and be used without any.

    None of the plain methods waits or blocks. All of them see a cookie whose time is over as gone.

    Args:
        store: where cookies with a date are to outlive the process; `load` and `save` are then of use, and a manager
            calls them by itself.
        now: the time in POSIX seconds; tests give one that they can move.
        run_sync: carries out what blocks: reading and writing ``cookies.txt``.
    """

    def __init__(
        self,
        store: CookieStore | None = None,
        *,
        now: Callable[[], float] = wall_clock,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self._store = store
        self._now = now
        self._run_sync = run_sync
        self._sites = CookieSites()
        # Changes that the store does not know of; None: deleted.
        self._pending: dict[CookieId, Cookie | None] = {}
        self._changed = trio.Event()
        self._storing = trio.Lock()
        self._store_error: Exception | None = None

    def __repr__(self) -> str:
        return f"<CookieJar: {self._sites}>"

    def __bool__(self) -> bool:
        """Whether there may be any: this is asked for every request, so it is a single look."""
        return bool(self._sites)

    def __len__(self) -> int:
        return len(self.all())

    def __iter__(self) -> Iterator[Cookie]:
        return iter(self.all())

    def __contains__(self, cookie: object) -> bool:
        return isinstance(cookie, Cookie) and cookie in self.all()

    # Looking

    def all(self) -> tuple[Cookie, ...]:
        """Every cookie (``allCookies``)."""
        self._remove(*self._sites.expired(self._now()))
        return tuple(self._sites)

    def cookies_for(self, url: str | URL) -> tuple[Cookie, ...]:
        """The cookies that a request to ``url`` carries, in their order (``cookiesForUrl``).

        Raises:
            ValueError, TypeError: ``url`` is no URL.
        """
        return tuple(self._found(make_url(url)))

    def header_for(self, url: URL) -> str:
        """The value of the ``Cookie`` field of a request to ``url``; empty if there are none to send."""
        return "; ".join([cookie.name_and_value for cookie in self._found(url)])

    def _found(self, url: URL) -> list[Cookie]:
        if not self._sites or (place := place_of(url)) is None:
            return []
        now = self._now()
        return in_order(cookie for cookie in self._sites.around(place.host) if is_sent(cookie, place, now=now))

    def validate(self, cookie: Cookie, url: str | URL) -> bool:
        """Whether a response from ``url`` may set ``cookie`` (``validateCookie``).

        Raises:
            ValueError, TypeError: ``url`` is no URL.
        """
        place = place_of(make_url(url))
        return place is not None and may_set(cookie, place)

    # Changing

    def set_cookies_from_url(self, cookies: Iterable[Cookie], url: str | URL) -> bool:
        """Take ``cookies`` as if a response from ``url`` had set them; whether any was added (``setCookiesFromUrl``).

        A cookie without a domain or path gets those of ``url``. What may not be set is left out.

        Raises:
            ValueError, TypeError: ``url`` is no URL.
        """
        target = make_url(url)
        place = place_of(target)
        if place is None:
            return False
        given = [cookie.normalized(target) for cookie in cookies]
        return self._set([cookie for cookie in given if may_set(cookie, place)], place)

    def set_from_headers(self, values: Iterable[str], url: str | URL) -> bool:
        """Take what ``values``, those of a response's ``Set-Cookie`` fields, say; whether any was added.

        What cannot be understood or may not be set is left out, without an error: so do browsers.

        Raises:
            ValueError, TypeError: ``url`` is no URL.
        """
        place = place_of(make_url(url))
        if place is None:
            return False
        now = self._now()
        received = []
        for value in values:
            parsed = parse_set_cookie(value)
            if parsed is not None and (cookie := receive(parsed, place, now=now)) is not None:
                received.append(cookie)
        return self._set(received, place)

    def _set(self, cookies: Iterable[Cookie], place: Place) -> bool:
        added = False
        for cookie in cookies:
            if not place.secure and self._would_overlay(cookie):
                continue
            added = self._take(cookie) or added
        self._make_room()
        return added

    def _would_overlay(self, cookie: Cookie) -> bool:
        return any(overlays(cookie, existing) for existing in self._sites.around(cookie.domain))

    def insert(self, cookie: Cookie) -> bool:
        """Take ``cookie``, wherever it is from, in place of the same one; whether it was added (``insertCookie``).

        It needs a domain and a path. Not added is a cookie for a public suffix, one whose name promises what it does
        not keep (``__Host-``, ``__Secure-``), and one whose time is over; the last removes its predecessor.
        """
        added = is_storable(cookie) and self._take(cookie)
        self._make_room()
        return added

    def update(self, cookie: Cookie) -> bool:
        """Take ``cookie`` if the same one is there already; whether it was (``updateCookie``)."""
        if self._sites.get(cookie.id) is None:
            return False
        self.insert(cookie)
        return True

    def delete(self, cookie: Cookie) -> bool:
        """Remove the cookie with the same `Cookie.id`; whether there was one (``deleteCookie``)."""
        found = self._sites.get(cookie.id)
        if found is not None:
            self._remove(found)
        return found is not None

    def clear(self, domain: str | None = None) -> int:
        """Remove every cookie, or those of ``domain`` and the hosts below it; how many there were."""
        wanted = None if domain is None else domain.removeprefix(".").lower()
        removed = [cookie for cookie in self.all() if wanted is None or domain_matches(cookie.domain, wanted)]
        self._remove(*removed)
        return len(removed)

    def _take(self, cookie: Cookie) -> bool:
        """Put ``cookie`` in its predecessor's place; if its time is over, just remove that one."""
        now = self._now()
        previous = self._sites.get(cookie.id)
        if cookie.is_expired(now):
            if previous is not None:
                self._remove(previous)
            return False
        # It is as old as its predecessor (RFC 6265bis section 5.7, step 23): a renewed cookie keeps its place.
        created = previous.created if previous is not None else cookie.created or now
        cookie = evolve(cookie, created=created)
        if cookie != previous:
            self._note_change(cookie, previous)
            self._put(cookie, now)
        return True

    def _put(self, cookie: Cookie, now: float) -> None:
        self._sites.put(cookie)
        surplus = self._sites.surplus_around(cookie.domain, now=now)
        if surplus is not None:
            self._remove(surplus)

    def _remove(self, *cookies: Cookie) -> None:
        for cookie in cookies:
            self._sites.discard(cookie)
            self._note_change(None, cookie)

    def _make_room(self) -> None:
        self._remove(*self._sites.surplus(now=self._now()))

    # The store

    @property
    def store(self) -> CookieStore | None:
        """Where cookies with a date outlive the process."""
        return self._store

    @property
    def store_error(self) -> Exception | None:
        """Why the store could last not be written; ``None`` if it could, or nothing has been saved yet."""
        return self._store_error

    def _note_change(self, cookie: Cookie | None, previous: Cookie | None) -> None:
        """Remember for the store that ``cookie`` has taken the place of ``previous``."""
        changed = cookie or previous
        if self._store is None or changed is None:
            return
        kept = cookie if cookie is not None and not cookie.is_session else None
        # A session cookie is none of the store's business, unless something of it lies there.
        if kept is not None or (previous is not None and not previous.is_session):
            self._pending[changed.id] = kept
            self._changed.set()

    async def wait_changed(self) -> None:
        """Wait until there is something to `save`."""
        await self._changed.wait()

    async def load(self) -> None:
        """Take over what the store has; what has changed here since it was last saved stays as it is.

        Done again, it also brings what other processes have stored or deleted meanwhile.

        Raises:
            CookieStoreError: the store cannot be read; the jar is as it was.
        """
        await trio.lowlevel.checkpoint()
        if self._store is None:
            return
        async with self._storing:
            stored = await self._store.load()
            self._merge(stored)

    def _merge(self, stored: Iterable[Cookie]) -> None:
        theirs = {cookie.id: cookie for cookie in stored if cookie.id not in self._pending}
        for cookie in tuple(self._sites):
            if not cookie.is_session and cookie.id not in theirs and cookie.id not in self._pending:
                self._sites.discard(cookie)  # somebody else has deleted it
        for cookie in theirs.values():
            self._take_over(cookie)
        self._make_room()

    def _take_over(self, cookie: Cookie) -> None:
        now = self._now()
        previous = self._sites.get(cookie.id)
        if (previous is not None and previous.is_session) or cookie.is_expired(now) or not is_storable(cookie):
            # Newer here, or over, or for what has become a public suffix: it need not lie there any longer.
            self._note_change(None, cookie)
            return
        self._put(cookie, now)

    async def save(self) -> None:
        """Tell the store what has changed since the last time.

        Raises:
            CookieStoreError: the store cannot be written; the changes wait for the next time.
        """
        await trio.lowlevel.checkpoint()
        if self._store is None:
            return
        async with self._storing:
            self._remove(*self._sites.expired(self._now()))
            if self._pending:
                await self._save_to(self._store)

    async def _save_to(self, store: CookieStore) -> None:
        changes, self._pending, self._changed = self._pending, {}, trio.Event()
        stored = [cookie for cookie in changes.values() if cookie is not None]
        deleted = [identity for identity, cookie in changes.items() if cookie is None]
        confirmed = False
        try:
            await store.save(stored, deleted)
            confirmed = True
            self._store_error = None
        except Exception as error:
            self._store_error = error
            raise
        finally:
            if not confirmed:  # cancelled, too
                self._pending = {**changes, **self._pending}
                self._changed.set()

    # cookies.txt

    async def load_cookies_txt(self, path: str | os.PathLike[str]) -> int:
        """Take the cookies of a Netscape ``cookies.txt``, as browsers and curl write it; how many were added.

        Raises:
            OSError: the file cannot be read.
            ValueError: a line is not of that format; nothing is taken then.
        """
        text = await self._run_sync(read_text, path, abandon_on_cancel=True)
        return sum([self.insert(cookie) for cookie in parse_cookies_txt(text)])

    async def save_cookies_txt(self, path: str | os.PathLike[str]) -> None:
        """Write every cookie to a Netscape ``cookies.txt``, session cookies included; replaces the file at once.

        Raises:
            OSError: the file cannot be written; what was there is still there.
        """
        await self._run_sync(write_text, path, format_cookies_txt(self.all()))
