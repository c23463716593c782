"""Whose file a SQLite database is: each kind of ours carries a mark, so that nobody else's is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def is_ours(database: sqlite3.Connection, *, application_id: int, version: int) -> bool:
    """Whether ``database`` is of that application and version; ``False`` for an empty file.

    Raises:
        ValueError: it is somebody else's file, or of another version.
    """
    application = database.execute("PRAGMA application_id").fetchone()[0]
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if (application, found) == (application_id, version):
        return True
    if application == application_id:
        raise ValueError(f"it was written by another version of trioreply (format {found})")
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ValueError("it is a database of something else")
    return False
