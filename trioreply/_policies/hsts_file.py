"""Where HSTS policies outlive the process: a small SQLite file. Everything here blocks, and is called in a thread.

A store lives in memory and hands over what has changed, so two processes may share a file: each writes its own changes,
and of one host the last word stays. Every change is one transaction with a rollback journal, on a connection that lives
no longer: whoever is killed leaves all of it or nothing. A file that is not ours, or is broken, is an error and stays
as it is: to begin anew would silently give up what protects the user.

Which hosts somebody visits is nobody else's business, so the file is made readable by its owner only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .._model.hsts import HstsPolicy, HstsStoreError
from .sqlite_files import is_ours

if TYPE_CHECKING:
    import sqlite3

BUSY_SECONDS = 2.0
"""How long another process's write is waited for. It takes milliseconds: after this something is wrong with it."""

_APPLICATION_ID = 0x74726873  # "trhs", which `file` shows
_VERSION = 1
_SCHEMA = "CREATE TABLE hosts (host TEXT PRIMARY KEY, expiry REAL, include_subdomains INTEGER NOT NULL)"
_UPSERT = """
INSERT INTO hosts VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET expiry = excluded.expiry, include_subdomains = excluded.include_subdomains
"""


class HstsFile:
    """Policies by host, in a file that is made when there is something to write."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        # A thread whose task was cancelled may still be at work when the next one comes; changes keep their order.
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"HstsFile({str(self._path)!r})"

    def read(self, now: float) -> list[HstsPolicy]:
        """All policies that are not over at ``now``; none if there is no file.

        Raises:
            HstsStoreError: it cannot be read.
        """
        with self._turn, self._translated_errors("read"):
            if not self._path.exists():
                return []
            with closing(self._connect()) as database:
                if not _is_ours(database):
                    return []
                rows = database.execute(
                    "SELECT host, expiry, include_subdomains FROM hosts WHERE expiry IS NULL OR expiry > ?", (now,)
                )
                return [HstsPolicy(host, expiry, bool(subdomains)) for host, expiry, subdomains in rows]

    def write(self, changes: Mapping[str, HstsPolicy | None], now: float) -> None:
        """Keep the policies in ``changes``, forget the hosts without one, and whatever is over at ``now``.

        Raises:
            HstsStoreError: nothing of it was done.
        """
        with self._turn, self._translated_errors("written"):
            self._path.touch(mode=0o600, exist_ok=True)  # SQLite would make it with whatever rights are usual
            with closing(self._connect()) as database:
                # Leaving it by an exception closes the connection, and that rolls back.
                database.execute("BEGIN IMMEDIATE")
                if not _is_ours(database):
                    database.execute(_SCHEMA)
                    database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    database.execute(f"PRAGMA user_version = {_VERSION}")
                database.execute("DELETE FROM hosts WHERE expiry <= ?", (now,))
                for host, policy in changes.items():
                    if policy is None:
                        database.execute("DELETE FROM hosts WHERE host = ?", (host,))
                    else:
                        database.execute(_UPSERT, (policy.host, policy.expiry, policy.include_subdomains))
                database.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        # No isolation level: transactions begin and end where we say.
        connection: sqlite3.Connection = _sqlite().connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        return connection

    @contextmanager
    def _translated_errors(self, action: str) -> Iterator[None]:
        database_error: type[Exception] = _sqlite().Error
        try:
            yield
        except (database_error, OSError, ValueError, TypeError) as error:
            raise HstsStoreError(
                f"the hosts in {str(self._path)!r} could not be {action}: {error}; if the file is broken, move it away"
            ) from error


def _sqlite() -> ModuleType:
    # A shared library that few programs need: it is loaded when a store has a file.
    return import_module("sqlite3")


def _is_ours(database: sqlite3.Connection) -> bool:
    return is_ours(database, application_id=_APPLICATION_ID, version=_VERSION)
