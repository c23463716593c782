"""Cookies on disk: SQLite under kills, locks and rubbish, and the jar in step with it."""

from __future__ import annotations

import signal
import sqlite3
import stat
import sys
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked
from yarl import URL

from trioreply._model.cookies import Cookie, CookieId, CookieStoreError, SameSite
from trioreply._policies.cookie_store import (
    CookieStore,
    SqliteCookieStore,
)
from trioreply._policies.cookiejar import CookieJar

NOW = 1_000_000.0
HERE = "https://h.example/"


def lasting(name: str, value: str = "1", *, domain: str = "h.example", expires: float = NOW + 1000) -> Cookie:
    """A cookie that a store keeps."""
    return Cookie(name, value, domain=domain, path="/", expires=expires, created=NOW)


FULL = Cookie(
    "ü\udcff",
    '"x\t\udcfe"',
    domain=".h.example",
    path="/\udcfd",
    expires=NOW + 0.5,
    secure=True,
    http_only=True,
    same_site=SameSite.LAX,
    created=NOW - 0.25,
)


def jar_with(store: CookieStore) -> CookieJar:
    """A jar that keeps what it has in ``store``."""
    return CookieJar(store, now=lambda: NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "cookies.sqlite"


def mode_of(path: Path) -> int:
    """Who may do what with the file."""
    return stat.S_IMODE(path.stat().st_mode)


def names_in(directory: Path) -> list[str]:
    """The files there."""
    return sorted(entry.name for entry in directory.iterdir())


def bytes_of(path: Path) -> bytes:
    """What stands in the file."""
    return path.read_bytes()


def write(path: Path, content: bytes | str) -> None:
    """Put that into the file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def failure_of(jar: CookieJar) -> Exception | None:
    """What the store said last."""
    return jar.store_error


async def saved(path: Path) -> list[Cookie]:
    """What a new process would find."""
    return list(await SqliteCookieStore(path).load())


async def test_stored_and_loaded(path: Path) -> None:
    """A cookie comes back from the store with everything that it had, bytes that are no UTF-8 included."""
    store = SqliteCookieStore(path)
    assert await store.load() == ()
    assert names_in(path.parent) == []
    await store.save([FULL, lasting("b")], [])
    loaded = await store.load()
    assert loaded == (FULL, lasting("b"))
    assert [cookie.created for cookie in loaded] == [FULL.created, NOW]
    assert repr(store) == f"SqliteCookieStore({str(path)!r})"


async def test_replaced_and_deleted(path: Path) -> None:
    """Saving replaces what is the same cookie, deletes what is named, and leaves all else; twice is harmless."""
    store = SqliteCookieStore(path)
    await store.save([lasting("a"), lasting("b"), lasting("c")], [])
    for _ in range(2):
        await store.save([lasting("a", "2")], [lasting("b").id])
    assert await saved(path) == [lasting("a", "2"), lasting("c")]


async def test_an_empty_file(path: Path) -> None:
    """A file without content is a store without cookies, and can become one with some."""
    write(path, b"")
    store = SqliteCookieStore(path)
    assert await store.load() == ()
    await store.save([lasting("a")], [])
    assert await saved(path) == [lasting("a")]


async def test_only_the_owner_may_read(path: Path) -> None:
    """The database and its journal are nobody else's to read, for cookies are as good as passwords."""
    await SqliteCookieStore(path).save([lasting("a")], [])
    assert mode_of(path) == 0o600
    assert names_in(path.parent) == [path.name]


CHILD = """
import os, signal, sys, trio
from trioreply._model.cookies import Cookie
from trioreply._policies.cookie_store import SqliteCookieStore

class Bomb:
    @property
    def id(self):
        os.kill(os.getpid(), signal.SIGKILL)

def cookie(name, value="new" + "x" * 3000):
    return Cookie(name, value, domain="h.example", path="/", expires=9e9, created=1)

async def main():
    store = SqliteCookieStore(sys.argv[1])
    await store.save([cookie(f"n{n}", "old") for n in range(2000)], [])
    await store.save([*(cookie(f"n{n}") for n in range(2000)), Bomb()], [])

trio.run(main)
"""


async def test_killed_in_the_middle(path: Path) -> None:
    """Who is killed while writing leaves what was there before, all of it, and the next one can go on."""
    child = await trio.run_process([sys.executable, "-c", CHILD, str(path)], check=False)
    assert child.returncode == -signal.SIGKILL
    # The transaction had begun to reach the file: it is undone with the help of the journal.
    assert f"{path.name}-journal" in names_in(path.parent)
    found = await saved(path)
    assert len(found) == 2000
    assert {cookie.value for cookie in found} == {"old"}
    await SqliteCookieStore(path).save([lasting("z")], [])
    assert len(await saved(path)) == 2001


async def test_two_share_one_file(path: Path) -> None:
    """Two that write at the same time both get everything in."""
    stores = [SqliteCookieStore(path, busy_timeout=30), SqliteCookieStore(path, busy_timeout=30)]

    async def fill(number: int) -> None:
        for count in range(10):
            await stores[number].save([lasting(f"n{number}-{count}")], [])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fill, 0)
        nursery.start_soon(fill, 1)
    assert len(await saved(path)) == 20


@pytest.mark.parametrize("content", [b"rubbish " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_broken_file(path: Path, content: bytes) -> None:
    """A file that is no database, or a broken one, is an error that says what to do, and is left as it is."""
    write(path, content)
    store = SqliteCookieStore(path)
    with pytest.raises(CookieStoreError, match=r"cookies\.sqlite' could not be read: .*; if the file is broken, move"):
        await store.load()
    with pytest.raises(CookieStoreError, match=r"could not be written: "):
        await store.save([lasting("a")], [])
    assert bytes_of(path) == content


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE cookies (name)", "it is a database of something else"),
        ("PRAGMA application_id = 1953653616; PRAGMA user_version = 2", r"another version of trioreply \(format 2\)"),
    ],
)
async def test_somebody_elses_database(path: Path, statement: str, message: str) -> None:
    """A database that is not ours, or that a later version wrote, is neither read nor written."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statement)
    before = bytes_of(path)
    store = SqliteCookieStore(path)
    with pytest.raises(CookieStoreError, match=message):
        await store.load()
    with pytest.raises(CookieStoreError, match=message):
        await store.save([lasting("a")], [])
    assert bytes_of(path) == before


async def test_rows_that_are_no_cookies(path: Path) -> None:
    """A row that somebody has spoilt is an error, not a cookie that could harm."""
    await SqliteCookieStore(path).save([lasting("a")], [])
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE cookies SET value = x'0d0a'")
        database.commit()
    with pytest.raises(CookieStoreError, match="value: it holds a control character"):
        await saved(path)


async def test_no_such_directory(tmp_path: Path) -> None:
    """A store in a directory that is not there has no cookies and cannot be written."""
    store = SqliteCookieStore(tmp_path / "none" / "cookies")
    assert await store.load() == ()
    with pytest.raises(CookieStoreError, match=r"could not be written: .*No such file"):
        await store.save([lasting("a")], [])


async def test_a_locked_file(path: Path) -> None:
    """While somebody else holds the file, saving fails after its time, the jar keeps everything, and tries again."""
    store = SqliteCookieStore(path, busy_timeout=0)
    jar = jar_with(store)
    jar.insert(lasting("a"))
    await jar.save()
    jar.insert(lasting("b"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CookieStoreError, match="locked"):
            await jar.save()
        with pytest.raises(CookieStoreError, match="locked"):
            await jar.load()
        assert isinstance(failure_of(jar), CookieStoreError)
        assert jar.all() == (lasting("a"), lasting("b"))
    await jar.save()
    assert failure_of(jar) is None
    assert await saved(path) == [lasting("a"), lasting("b")]


# The jar with a store


async def test_what_a_jar_stores(path: Path) -> None:
    """What has a date outlives the process, and what has none does not; a look is not a change."""
    jar = jar_with(SqliteCookieStore(path))
    await jar.load()
    jar.set_from_headers(["session=1", "lasting=1; Max-Age=60; Path=/"], HERE)
    await jar.save()
    again = jar_with(SqliteCookieStore(path))
    await again.load()
    assert [cookie.name for cookie in again.cookies_for(HERE)] == ["lasting"]
    await trio.Path(path).unlink()
    await again.save()
    assert names_in(path.parent) == []


async def test_what_a_jar_forgets(path: Path) -> None:
    """A cookie that was deleted, has become a session cookie, or is over, is gone from the store."""
    now = NOW
    jar = CookieJar(SqliteCookieStore(path), now=lambda: now)
    for name in "abcd":
        jar.insert(lasting(name, expires=NOW + 10 if name == "c" else NOW + 100))
    await jar.save()
    jar.delete(lasting("a"))
    jar.set_from_headers(["b=2; Path=/"], HERE)
    now += 10
    await jar.save()
    assert await saved(path) == [lasting("d", expires=NOW + 100)]


async def test_expired_in_the_store(path: Path) -> None:
    """What was over, or has become a super-cookie, while nobody looked, is neither loaded nor kept."""
    await SqliteCookieStore(path).save([lasting("old", expires=NOW), lasting("wide", domain=".co.uk")], [])
    jar = jar_with(SqliteCookieStore(path))
    await jar.load()
    assert not jar
    await jar.save()
    assert await saved(path) == []


async def test_loading_again(path: Path) -> None:
    """Loading brings what others have stored and deleted, and touches neither fresh changes nor session cookies."""
    jar, other = jar_with(SqliteCookieStore(path)), jar_with(SqliteCookieStore(path))
    for name in ("a", "b", "c"):
        jar.insert(lasting(name))
    await jar.save()
    await other.load()
    other.delete(lasting("a"))
    other.insert(lasting("b", "theirs"))
    other.insert(lasting("c", "theirs"))
    other.insert(lasting("session", "theirs"))
    await other.save()
    jar.insert(lasting("c", "mine"))
    jar.insert(lasting("new"))
    jar.insert(Cookie("session", "mine", domain="h.example", path="/"))
    jar.insert(Cookie("own", "mine", domain="h.example", path="/"))
    await jar.load()
    assert jar.header_for(URL(HERE)) == "b=theirs; c=mine; new=1; session=mine; own=mine"
    await jar.save()
    assert [cookie.name_and_value for cookie in await saved(path)] == ["b=theirs", "c=mine", "new=1"]


async def test_limits_when_loading(path: Path) -> None:
    """What is too much in the store does not come into the jar, and leaves the store."""
    await SqliteCookieStore(path).save([lasting(f"n{number}") for number in range(200)], [])
    jar = jar_with(SqliteCookieStore(path))
    await jar.load()
    assert len(jar) == 180
    await jar.save()
    assert len(await saved(path)) == 180


async def test_without_a_store() -> None:
    """Without a store, loading and saving do nothing but checkpoint, and nothing is noted down."""
    jar = CookieJar(now=lambda: NOW)
    assert jar.store is None
    jar.insert(lasting("a"))
    with assert_checkpoints():
        await jar.load()
    with assert_checkpoints():
        await jar.save()
    with trio.move_on_after(0) as scope:
        await jar.wait_changed()
    assert scope.cancelled_caught
    assert jar.all() == (lasting("a"),)


class SlowStore:
    """A store that takes until it is told to go on."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], list[str]]] = []
        self.entered = trio.Event()
        self.go_on = trio.Event()

    async def load(self) -> Collection[Cookie]:
        """One cookie."""
        self.entered.set()
        await self.go_on.wait()
        return (lasting("stored"), lasting("both", "stored"))

    async def save(self, stored: Collection[Cookie], deleted: Collection[CookieId]) -> None:
        """Write down what is to be done."""
        self.calls.append(([cookie.name for cookie in stored], [identity.name for identity in deleted]))
        self.entered.set()
        await self.go_on.wait()


async def test_changes_while_loading(nursery: trio.Nursery) -> None:
    """What changes while the store is read is newer than what comes from there."""
    store = SlowStore()
    jar = jar_with(store)
    assert jar.store is store
    nursery.start_soon(jar.load)
    await store.entered.wait()
    jar.insert(lasting("both", "mine"))
    store.go_on.set()
    await wait_all_tasks_blocked()
    assert {cookie.name_and_value for cookie in jar} == {"stored=1", "both=mine"}


async def test_changes_while_saving(nursery: trio.Nursery) -> None:
    """What changes during a save waits for the next one, which waits for this one."""
    store = SlowStore()
    jar = jar_with(store)
    jar.insert(lasting("a"))
    nursery.start_soon(jar.save)
    await store.entered.wait()
    jar.delete(lasting("a"))
    jar.insert(lasting("b"))
    nursery.start_soon(jar.save)
    await wait_all_tasks_blocked()
    assert store.calls == [(["a"], [])]
    store.go_on.set()
    await wait_all_tasks_blocked()
    assert store.calls == [(["a"], []), (["b"], ["a"])]


async def test_changes_while_a_save_fails(nursery: trio.Nursery) -> None:
    """When a save fails, what was changed meanwhile goes before what should have been saved."""
    store = SlowStore()
    jar = jar_with(store)
    jar.insert(lasting("a"))
    with trio.CancelScope() as scope:
        nursery.start_soon(_after, store.entered, lambda: (jar.delete(lasting("a")), scope.cancel()))
        await jar.save()
    store.go_on.set()
    await jar.save()
    assert store.calls == [(["a"], []), ([], ["a"])]


async def test_what_is_no_change() -> None:
    """A cookie that is set again as it is, and one that goes with the session, leave the store in peace."""
    store = SlowStore()
    store.go_on.set()
    jar = jar_with(store)
    jar.insert(lasting("a"))
    await jar.save()
    assert jar.insert(lasting("a"))
    assert jar.set_from_headers(["session=1"], HERE)
    jar.delete(Cookie("session", "", domain="h.example", path="/"))
    await jar.save()
    assert store.calls == [(["a"], [])]


async def test_a_cancelled_save(nursery: trio.Nursery) -> None:
    """A save that is cancelled has lost nothing: everything is saved the next time, newer changes first."""
    store = SlowStore()
    jar = jar_with(store)
    jar.insert(lasting("a"))
    jar.insert(lasting("b"))
    with trio.CancelScope() as scope:
        nursery.start_soon(_after, store.entered, scope.cancel)
        await jar.save()
    assert scope.cancelled_caught
    await jar.wait_changed()
    jar.delete(lasting("b"))
    store.go_on.set()
    await jar.save()
    assert store.calls == [(["a", "b"], []), (["a"], ["b"])]


async def _after(event: trio.Event, act: Callable[[], object]) -> None:
    await event.wait()
    act()
