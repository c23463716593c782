"""Known hosts: what is a policy, what a host may say, who is known, and what outlives the process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import assert_checkpoints

import trioreply
from trioreply._model.hsts import MAX_AGE, HstsPolicy, HstsStoreError, parse_strict_transport
from trioreply._model.urls import make_url
from trioreply._policies import hsts_file
from trioreply._policies.hsts_store import HstsStore

NOW = 1_700_000_000.0


class Clock:
    """A wall clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        """The time."""
        return self.time


def known(*policies: HstsPolicy, path: Path | None = None, now: Clock | None = None) -> HstsStore:
    """A store that lives at `NOW`, or by a clock."""
    return HstsStore(policies, path, now=now or Clock())


@pytest.mark.parametrize(
    ("host", "canonical"),
    [
        ("example.org", "example.org"),
        ("EXAMPLE.org.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
    ],
)
def test_hosts_have_one_spelling(host: str, canonical: str) -> None:
    """A host is known by its encoded name in lower case, without the root's dot (RFC 6797 section 8.2)."""
    assert HstsPolicy(host).host == canonical


@pytest.mark.parametrize("host", ["", ".", "127.0.0.1", "::1", "[::1]", "127.1", "a b", "a/b", "h:80", "u@h", None])
def test_what_is_no_host(host: str) -> None:
    """Addresses have no policy, and what is no name neither."""
    with pytest.raises(ValueError, match=r"^host: "):
        HstsPolicy(host)


def test_policies_expire() -> None:
    """A policy is over at its expiry, which may be given as a date, too; one without an expiry never is."""
    policy = HstsPolicy("h", datetime.fromtimestamp(NOW, UTC))
    assert policy == HstsPolicy("h", NOW)
    assert (policy.is_expired(NOW - 1), policy.is_expired(NOW)) == (False, True)
    assert not HstsPolicy("h").is_expired(10**12)
    with pytest.raises(ValueError, match=r"^expiry: .* needs a time zone"):
        HstsPolicy("h", datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=31536000", (31536000, False)),
        ("max-age=15768000 ; includeSubDomains", (15768000, True)),
        ('max-age="31536000"', (31536000, False)),
        ("max-age=0; includeSubDomains", (0, True)),
        ("INCLUDESUBDOMAINS;MAX-AGE = 7", (7, True)),
        (" ; ;max-age=1; ;", (1, False)),
        ('max-age=1; preload; x=y; z="a;b\\""', (1, False)),
        ('max-age="1\\2"', (12, False)),
        ("max-age=00000000000000000001", (1, False)),
        ("max-age=99999999999", (MAX_AGE, False)),
        (f"max-age={'9' * 5000}", (MAX_AGE, False)),
        ("", None),
        ("includeSubDomains", None),
        ("max-age", None),
        ("max-age=", None),
        ('max-age=""', None),
        ("max-age=-1", None),
        ("max-age=1.5", None),
        ("max-age=\u0661", None),
        ("max-age=1; max-age=1", None),
        ("max-age=1; x; X", None),
        ("max-age=1; includeSubDomains=true", None),
        ("max-age=1 includeSubDomains", None),
        ("max-age=1, includeSubDomains", None),
        ('max-age=1; x="', None),
        ("=1", None),
    ],
)
def test_the_field(value: str, expected: tuple[int, bool] | None) -> None:
    """The field is read by its grammar (RFC 6797 section 6.1, with its examples); one mistake makes all of it void."""
    assert parse_strict_transport(value) == expected


@given(st.lists(st.sampled_from(["max-age", "=", "1", ";", " ", '"', "\\", "includeSubDomains", "x", ",", "\t"])))
def test_no_text_is_a_problem(parts: list[str]) -> None:
    """Whatever a server says is a policy with a bounded age, or nothing."""
    said = parse_strict_transport("".join(parts))
    assert said is None or 0 <= said.max_age <= MAX_AGE


NAMES = st.sampled_from(["org", "a.org", "b.a.org", "b.org", "xa.org"])


@given(st.lists(st.tuples(NAMES, st.booleans(), st.sampled_from([-1, 0, 1, None]))), NAMES)
def test_who_is_known(said: list[tuple[str, bool, int | None]], host: str) -> None:
    """A host is known by a policy of its own, or by one of a host above it that includes subdomains (section 8.2)."""
    policies = [HstsPolicy(name, None if age is None else NOW + age, flag) for name, flag, age in said]
    last = {policy.host: policy for policy in policies}
    expected = any(
        not policy.is_expired(NOW)
        and (policy.host == host or (policy.include_subdomains and host.endswith(f".{policy.host}")))
        for policy in last.values()
    )
    assert known(*policies).knows(host) is expected


def test_nobody_is_known_by_nothing() -> None:
    """Without a host there is nothing to know, and an address is never known."""
    store = known(HstsPolicy("h"))
    assert not store.knows(None)
    assert not store.knows("")
    assert not store.knows("127.0.0.1")
    assert store.knows("H.")


def test_upgrading_gives_the_same_or_a_secure_url() -> None:
    """Only a known host's http: URL changes; anything else comes back as the very same."""
    store = known(HstsPolicy("h"))
    assert str(store.upgrade(make_url("http://h:80/?q=%2F"))) == "https://h/?q=%2F"
    for url in map(make_url, ("https://h/", "http://other/", "data:,h", "relative")):
        assert store.upgrade(url) is url


def test_a_store_can_be_looked_at_and_changed() -> None:
    """Hosts can be added, listed, removed and forgotten altogether; expired ones are not there."""
    clock = Clock()
    first, second = HstsPolicy("one", NOW + 10), HstsPolicy("two")
    store = known(first, second, HstsPolicy("old", NOW), now=clock)
    assert list(store) == [first, second]
    assert len(store) == 2
    assert repr(store) == "<HstsStore: 2 hosts>"
    store.add([HstsPolicy("two", NOW)])  # adding one that is over takes back
    assert list(store) == [first]
    clock.time += 10
    assert not store.knows("one")
    assert len(store) == 0
    store.add([second])
    store.remove("nobody")
    store.clear()
    assert store.policies == ()


def test_what_a_host_says_counts_from_now() -> None:
    """A host's word replaces its earlier one, and runs from when it came."""
    clock = Clock()
    store = known(now=clock)
    store.learn("H.", "max-age=10; includeSubDomains")
    clock.time += 5
    store.learn("h", "max-age=10")
    assert store.policies == (HstsPolicy("h", NOW + 15),)
    store.learn("h", "nonsense")
    store.learn("127.0.0.1", "max-age=10")
    assert len(store) == 1
    store.learn("h", "max-age=0")
    assert len(store) == 0


def test_the_applications_word_stays() -> None:
    """What the application has said for ever, no server can take back."""
    store = known(HstsPolicy("h", include_subdomains=True))
    store.learn("h", "max-age=0")
    store.learn("h", "max-age=1")
    assert store.policies == (HstsPolicy("h", include_subdomains=True),)


def test_the_number_of_hosts_is_bounded() -> None:
    """When there are too many, who has not confirmed its word for the longest time is forgotten; never the own ones."""
    store = HstsStore([HstsPolicy("own")], max_hosts=4, now=Clock())
    for name in ("a", "b", "c", "a", "new", "c"):
        store.learn(name, "max-age=1000")
    assert [policy.host for policy in store] == ["own", "a", "new", "c"]
    full = HstsStore([HstsPolicy("own"), HstsPolicy("other")], max_hosts=1, now=Clock())
    full.learn("new", "max-age=1000")
    assert [policy.host for policy in full] == ["own", "other"]


# The file


async def reloaded(path: Path, now: Clock | None = None) -> set[HstsPolicy]:
    """What another process would know."""
    store = known(path=path, now=now)
    await store.load()
    return set(store)


async def test_policies_outlive_the_process(tmp_path: Path) -> None:
    """What was added, learnt or removed is in the file when it was saved; the file is its owner's only."""
    path = tmp_path / "hsts"
    store = known(HstsPolicy("ever", include_subdomains=True), HstsPolicy("gone"), path=path)
    assert repr(store) == f"<HstsStore: 2 hosts, HstsFile({str(path)!r})>"
    await store.load()
    store.learn("said", "max-age=10")
    await store.save()
    store.remove("gone")
    await store.save()
    assert not store.has_news
    assert await reloaded(path) == {HstsPolicy("ever", include_subdomains=True), HstsPolicy("said", NOW + 10)}
    assert path.stat().st_mode & 0o777 == 0o600
    assert not path.with_name("hsts-journal").exists()


async def test_what_is_over_leaves_the_file(tmp_path: Path) -> None:
    """Expired policies are neither read nor kept."""
    path, later = tmp_path / "hsts", Clock()
    store = known(HstsPolicy("a", NOW + 1), HstsPolicy("b", NOW + 100), path=path)
    await store.save()
    later.time += 1
    assert await reloaded(path, later) == {HstsPolicy("b", NOW + 100)}
    other = known(HstsPolicy("c"), path=path, now=later)
    await other.save()
    assert await reloaded(path) == {HstsPolicy("b", NOW + 100), HstsPolicy("c")}


async def test_without_a_file_nothing_is_done() -> None:
    """A store in memory has nothing to load, save or report; both methods are checkpoints all the same."""
    store = known(HstsPolicy("h"))
    assert not store.has_news
    with assert_checkpoints():
        await store.load()
    with assert_checkpoints():
        await store.save()


async def test_repeating_a_word_writes_nothing(tmp_path: Path) -> None:
    """An expiry that has moved by less than a hundredth is not written; one that has moved more is, or another flag."""
    clock = Clock()
    store = known(path=tmp_path / "hsts", now=clock)
    news = []
    for step, value in [(0, "max-age=1000"), (9, "max-age=1000"), (9, "max-age=1000"), (0, "max-age=1000"),
                        (0, "max-age=1000;includeSubDomains"), (0, "max-age=100000")]:  # fmt: skip
        clock.time += step
        store.learn("h", value)
        news.append(store.has_news)
        await store.save()
    assert news == [True, False, True, False, True, True]


async def test_the_file_adds_to_what_is_known(tmp_path: Path) -> None:
    """Loading changes nothing of what the application or a host has said since; nor is what was removed back."""
    path = tmp_path / "hsts"
    await known(HstsPolicy("a", NOW + 1), HstsPolicy("b", NOW + 1), HstsPolicy("c", NOW + 1), path=path).save()
    store = known(HstsPolicy("a"), path=path)
    await store.load()
    store.remove("b")
    await store.load()
    assert set(store) == {HstsPolicy("a"), HstsPolicy("c", NOW + 1)}
    await store.save()
    await store.load()
    assert await reloaded(path) == set(store)


async def test_two_stores_share_a_file(tmp_path: Path) -> None:
    """Each writes its own changes only, so nothing of the other's is lost; of one host the last word stays."""
    path = tmp_path / "hsts"
    one, two = known(path=path), known(path=path)
    one.learn("both", "max-age=1")
    one.learn("one", "max-age=1")
    two.learn("both", "max-age=2")
    two.learn("two", "max-age=2")
    await one.save()
    await two.save()
    assert await reloaded(path) == {
        HstsPolicy("one", NOW + 1),
        HstsPolicy("two", NOW + 2),
        HstsPolicy("both", NOW + 2),
    }


def write_text(path: Path) -> None:
    """A file that is no database."""
    path.write_text("not a database at all " * 100)


def write_other(path: Path) -> None:
    """Somebody else's database."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")


def write_newer(path: Path) -> None:
    """A file of a later version of ours."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA application_id = {hsts_file._APPLICATION_ID}")
        database.execute("PRAGMA user_version = 99")


def write_nonsense(path: Path) -> None:
    """A file of ours that somebody has edited."""
    hsts_file.HstsFile(path).write({"h": HstsPolicy("h")}, NOW)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE hosts SET host = 'no host'")
        database.commit()


@pytest.mark.parametrize("write", [write_text, write_other, write_newer, write_nonsense, Path.mkdir])
async def test_a_file_that_is_not_ours(tmp_path: Path, write: Iterable[object]) -> None:
    """A file that is broken, of something else, or of a later version is an error and stays as it is."""
    path = tmp_path / "hsts"
    assert callable(write)
    write(path)
    before = None if path.is_dir() else path.read_bytes()
    store = known(path=path)
    with pytest.raises(HstsStoreError, match=r"^the hosts in .* could not be read: .*move it away$"):
        await store.load()
    if write is not write_nonsense:
        store.learn("h", "max-age=1")
        with pytest.raises(HstsStoreError, match=r"^the hosts in .* could not be written: "):
            await store.save()
        assert store.knows("h")
    assert before is None or path.read_bytes() == before


async def test_an_empty_file_is_ours(tmp_path: Path) -> None:
    """A file that somebody made for us, or that we had only begun, is used."""
    path = tmp_path / "hsts"
    path.touch()
    assert await reloaded(path) == set()
    await known(HstsPolicy("h"), path=path).save()
    assert await reloaded(path) == {HstsPolicy("h")}


async def test_what_was_not_written_is_written_later(tmp_path: Path) -> None:
    """A save that fails, or is cancelled, loses nothing: the next one writes it, without undoing newer changes."""
    path = tmp_path / "directory" / "hsts"
    store = known(HstsPolicy("a"), HstsPolicy("b"), path=path)
    with pytest.raises(HstsStoreError):
        await store.save()
    assert not store.has_news  # it is not tried again for every request
    store.remove("b")
    path.parent.mkdir()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.save()
    assert not path.exists()
    await store.save()
    assert await reloaded(path) == {HstsPolicy("a")}


CHILD = """
import sys, trio
from trioreply._policies.hsts_store import HstsStore

async def main() -> None:
    store = HstsStore(path=sys.argv[1], now=lambda: 0.0)
    await store.load()
    number = len(store)
    while True:
        store.learn(f"host{number}", "max-age=1000")
        await store.save()
        print(number, flush=True)
        number += 1

trio.run(main)
"""


def test_a_killed_process_leaves_what_it_saved(tmp_path: Path) -> None:
    """Whenever a process is killed, everything that it had saved is in the file, and the file is sound."""
    path = tmp_path / "hsts"
    saved = -1
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)],
            env={"PYTHONPATH": str(Path(trioreply.__file__).parents[1])},
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            for _ in range(5):
                saved = int(process.stdout.readline())
            process.kill()
        names = {policy.host for policy in hsts_file.HstsFile(path).read(0)}
        assert names >= {f"host{number}" for number in range(saved + 1)}
    assert saved >= 14
