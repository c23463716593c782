"""Cookies on disk: an interface, SQLite behind it, and the text format that other programs read.

A jar lives in memory and tells its store what has changed. So a store need not know what a cookie means, two processes
may share one (each writes its own changes; of one cookie the last writer's stays), and a store that fails costs nobody
a request.

What was hard is to be interrupted anywhere. Every change is one transaction of a database with a rollback journal, on
a connection that lives no longer than that: whoever is killed leaves either all of it or nothing, no descriptor is kept
in between, and the file at rest is one file. A task that is cancelled leaves the worker thread alone with its
transaction; the next one waits behind it, so that changes arrive in the order in which they were made. A file that is
not ours, or is broken, is an error and is left as it is: somebody may want to repair it.

Cookies are as good as passwords, so files are made readable by their owner only.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import trio

from .._facade import public
from .._model.cookies import Cookie, CookieId, CookieStoreError, SameSite
from .._model.headers import decode_text, encode_text
from .._model.running import RunSync
from .sqlite_files import is_ours

if TYPE_CHECKING:
    import sqlite3


_APPLICATION_ID = 0x74726370  # "trcp", as `file` will show it
_VERSION = 1
_SCHEMA = """
CREATE TABLE cookies (
    name BLOB NOT NULL, domain TEXT NOT NULL, path BLOB NOT NULL, host_only INTEGER NOT NULL,
    value BLOB NOT NULL, expires REAL NOT NULL, secure INTEGER NOT NULL, http_only INTEGER NOT NULL,
    same_site TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (name, domain, path, host_only)
)
"""
_SELECT = """
SELECT name, domain, path, host_only, value, expires, secure, http_only, same_site, created
FROM cookies ORDER BY created, rowid
"""
_UPSERT = """
INSERT INTO cookies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires, secure = excluded.secure,
    http_only = excluded.http_only, same_site = excluded.same_site, created = excluded.created
"""
_DELETE = "DELETE FROM cookies WHERE name = ? AND domain = ? AND path = ? AND host_only = ?"

_Row = tuple[bytes, str, bytes, int, bytes, float, int, int, str, float]


class CookieStore(Protocol):
    """Where a `CookieJar` keeps what must outlive the process. Cookies without a date never get here.

    A jar makes one call at a time. A call that was cancelled, or that failed, is made again later, its changes and
    perhaps newer ones in it; so to carry out a change twice must be harmless.
    """

    async def load(self) -> Collection[Cookie]:
        """Everything that is stored, in any order; one cookie of each `Cookie.id`.

        Raises:
            CookieStoreError: it cannot be had.
        """
        ...

    async def save(self, stored: Collection[Cookie], deleted: Collection[CookieId]) -> None:
        """Keep ``stored`` in place of what has the same ids, and forget ``deleted``: all of it, or nothing.

        Raises:
            CookieStoreError: nothing of it was done.
        """
        ...


@public
class SqliteCookieStore:
    """Cookies in a SQLite file of their own.

    Args:
        path: the file; made when there is something to store, in a directory that must exist.
        busy_timeout: seconds to wait while another process writes. A write takes milliseconds, so when this is over,
            something is wrong with the other one.
        run_sync: carries out what blocks.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_timeout: float = 2.0,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self._path = Path(path)
        self._busy_timeout = busy_timeout
        self._run_sync = run_sync
        # A thread that was left alone may still be at work when the next one comes.
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"SqliteCookieStore({str(self._path)!r})"

    async def load(self) -> tuple[Cookie, ...]:
        """See `CookieStore.load`. No file is no cookies."""
        return await self._run_sync(self._load, abandon_on_cancel=True)

    async def save(self, stored: Collection[Cookie], deleted: Collection[CookieId]) -> None:
        """See `CookieStore.save`."""
        await self._run_sync(self._save, tuple(stored), tuple(deleted), abandon_on_cancel=True)

    def _load(self) -> tuple[Cookie, ...]:
        with self._database("read") as database:
            # One look at one state of the file, which another process may be making right now.
            database.execute("BEGIN")
            return tuple(map(_from_row, database.execute(_SELECT))) if _is_ours(database) else ()

    def _save(self, stored: tuple[Cookie, ...], deleted: tuple[CookieId, ...]) -> None:
        with self._database("written") as database:
            # Leaving it by an exception closes the connection, and that rolls back.
            database.execute("BEGIN IMMEDIATE")
            if not _is_ours(database):
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {_VERSION}")
            database.executemany(_DELETE, map(_key, deleted))
            database.executemany(_UPSERT, map(_to_row, stored))
            database.execute("COMMIT")

    @contextmanager
    def _database(self, purpose: Literal["read", "written"]) -> Iterator[sqlite3.Connection]:
        """A connection for one purpose, with the errors that go with it."""
        import sqlite3  # a shared library that few programs need, and that some Pythons lack

        try:
            with self._turn:
                if purpose == "written":
                    self._path.touch(mode=0o600, exist_ok=True)  # SQLite would make it with whatever rights are usual
                # To read is not to make one: no file is as good as an empty one.
                place = self._path if self._path.exists() else ":memory:"
                # No isolation level: transactions begin and end where we say.
                with closing(sqlite3.connect(place, timeout=self._busy_timeout, isolation_level=None)) as database:
                    yield database
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            raise CookieStoreError(
                f"the cookies in {str(self._path)!r} could not be {purpose}: {error}; "
                "if the file is broken, move it out of the way"
            ) from error


def _is_ours(database: sqlite3.Connection) -> bool:
    return is_ours(database, application_id=_APPLICATION_ID, version=_VERSION)


def _key(identity: CookieId) -> tuple[bytes, str, bytes, int]:
    return encode_text(identity.name), identity.domain, encode_text(identity.path), identity.host_only


def _to_row(cookie: Cookie) -> _Row:
    return (
        *_key(cookie.id),
        encode_text(cookie.value),
        cookie.expires or 0.0,
        cookie.secure,
        cookie.http_only,
        cookie.same_site.value,
        cookie.created,
    )


def _from_row(row: _Row) -> Cookie:
    name, domain, path, host_only, value, expires, secure, http_only, same_site, created = row
    return Cookie(
        decode_text(name),
        decode_text(value),
        domain=domain,
        path=decode_text(path),
        host_only=bool(host_only),
        expires=expires,
        secure=bool(secure),
        http_only=bool(http_only),
        same_site=SameSite(same_site),
        created=created,
    )


_TITLE = "# Netscape HTTP Cookie File"
_HTTP_ONLY = "#HttpOnly_"
_FLAGS = {"TRUE": True, "FALSE": False}


def parse_cookies_txt(text: str) -> tuple[Cookie, ...]:
    """The cookies in ``text``, which is in the format of Netscape's ``cookies.txt``, as curl writes it.

    Raises:
        ValueError: a line is not of that format; the text says which, and does not show it.
    """
    cookies = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if line.strip() and (line.startswith(_HTTP_ONLY) or not line.startswith("#")):
            try:
                cookies.append(_parse_line(line))
            except (ValueError, KeyError, OverflowError) as error:
                raise ValueError(f"line {number} is no line of a cookies.txt: {error}") from None
    return tuple(cookies)


def _parse_line(line: str) -> Cookie:
    # Six tabs at most: any others belong to the value. Some programs leave out the last one for an empty value.
    fields = line.removeprefix(_HTTP_ONLY).split("\t", 6)
    if len(fields) < 6:
        raise ValueError(f"it has {len(fields)} of 7 fields")
    domain, below, path, secure, expires, name, value = (*fields, "")[:7]
    return Cookie(
        name,
        value,
        domain=domain.removeprefix("."),
        path=path,
        host_only=not _FLAGS[below.upper()],
        expires=float(expires) or None,
        secure=_FLAGS[secure.upper()],
        http_only=line.startswith(_HTTP_ONLY),
    )


def format_cookies_txt(cookies: Iterable[Cookie]) -> str:
    """``cookies`` in the format of Netscape's ``cookies.txt``.

    The format has no place for ``same_site``, for fractions of a second, and for a name, a path or a domain with a tab
    in it: such a cookie is left out. Session cookies are written, with the date 0.
    """
    lines = [_TITLE]
    for cookie in cookies:
        if "\t" in cookie.name or "\t" in cookie.path:
            continue
        fields = (
            (_HTTP_ONLY if cookie.http_only else "") + ("" if cookie.host_only else ".") + cookie.domain,
            "FALSE" if cookie.host_only else "TRUE",
            cookie.path,
            "TRUE" if cookie.secure else "FALSE",
            # Rounded away from 0, which would make a session cookie of it.
            "0" if cookie.expires is None else str(int(cookie.expires) or 1),
            cookie.name,
            cookie.value,
        )
        lines.append("\t".join(fields))
    return "\n".join([*lines, ""])


def read_text(path: str | os.PathLike[str]) -> str:
    """What stands in the file, byte for byte. Blocks.

    Raises:
        OSError: it cannot be read.
    """
    return decode_text(Path(path).read_bytes())


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Put ``text`` in the file's place at once, readable by the owner only: nobody ever sees half of it. Blocks.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    target = Path(path)
    # `mkstemp` makes it readable by its owner only, and `replace` keeps that.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode_text(text))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except OSError:
        Path(name).unlink()
        raise
