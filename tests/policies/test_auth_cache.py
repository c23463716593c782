"""Which credentials are known where: extent, owners, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.auth import UserPassword
from trioreply._policies.credential_cache import (
    MAX_ORIGINS,
    MAX_PREFIXES,
    MAX_SPACES,
    CredentialCache,
    Origin,
    Owner,
    Place,
    Space,
    digest_prefixes,
)

HOME: Origin = ("http", "h", 80)
ANN, BOB = UserPassword("ann", "1"), UserPassword("bob", "2")
ANYBODY = Owner()


def space(realm: str = "r", login: UserPassword = ANN, *prefixes: str, is_private: bool = False) -> Space:
    """A space for Basic."""
    return Space(realm, login, is_private, None, prefixes or ("/",))


def at(path: str, origin: Origin = HOME) -> Place:
    """A place on the server of these tests."""
    return Place(origin, path)


def test_what_lies_below_is_covered() -> None:
    """Credentials are good for their prefix and what is below it, on their own origin."""
    cache = CredentialCache()
    known = space("r", ANN, "/a/")
    cache.remember(HOME, known)
    assert cache
    assert cache.covering(at("/a/b/c"), ANYBODY) is known
    for place in [
        at("/"),
        at("/a"),
        at("/b/a/"),
        *(at("/a/", other) for other in [("https", "h", 80), ("http", "g", 80)]),
    ]:
        assert cache.covering(place, ANYBODY) is None


def test_the_innermost_space_counts() -> None:
    """Of two spaces around a place the narrower one counts; of two as narrow, the one accepted last."""
    cache = CredentialCache()
    outer, inner, newer = space("outer"), space("inner", ANN, "/a/"), space("newer", BOB, "/a/")
    for known in (inner, outer):
        cache.remember(HOME, known)
    assert cache.covering(at("/a/b"), ANYBODY) is inner
    assert cache.covering(at("/b"), ANYBODY) is outer
    cache.remember(HOME, newer)
    assert cache.covering(at("/a/b"), ANYBODY) is newer


def test_a_realm_is_found_anywhere_on_its_origin() -> None:
    """A realm that challenges elsewhere is the same realm."""
    cache = CredentialCache()
    known = space("r", ANN, "/a/")
    cache.remember(HOME, known)
    assert cache.of_realm(at("/elsewhere"), ANYBODY, "r") is known
    assert cache.of_realm(at("/a/"), ANYBODY, "s") is None
    assert cache.of_realm(at("/a/", ("http", "h", 81)), ANYBODY, "r") is None


@pytest.mark.parametrize(
    ("owner", "is_private", "may"),
    [
        (Owner(), False, True),
        (Owner(), True, False),
        (Owner(user="ann"), False, True),
        (Owner(user="ann"), True, False),
        (Owner(user="bob"), False, False),
        (Owner(ANN), False, True),
        (Owner(ANN), True, True),
        (Owner(ANN, "bob"), True, True),
        (Owner(BOB), True, False),
        (Owner(UserPassword("ann", "other")), False, False),
    ],
)
def test_owners(owner: Owner, is_private: bool, may: bool) -> None:
    """What one request brought serves only requests that bring the same; nobody goes out under another's name."""
    cache = CredentialCache()
    cache.remember(HOME, space(is_private=is_private))
    assert (cache.covering(at("/"), owner) is not None) is may
    assert (cache.of_realm(at("/"), owner, "r") is not None) is may


def test_the_same_login_is_extended() -> None:
    """What is accepted for the same login in another directory is one space with two prefixes, newest first."""
    cache = CredentialCache()
    cache.remember(HOME, space("r", ANN, "/a/"))
    cache.remember(HOME, space("r", BOB, "/b/"))
    newest = space("r", ANN, "/c/", "/a/")
    cache.remember(HOME, newest)
    assert newest.prefixes == ("/c/", "/a/")
    assert cache.covering(at("/a/"), ANYBODY) is newest
    found = cache.covering(at("/b/"), ANYBODY)
    assert found is not None
    assert found.login == BOB


def test_what_is_forgotten() -> None:
    """Forgetting a login takes it from its realm only, and clearing takes everything."""
    cache = CredentialCache()
    for known in (space(), space("s"), space("r", BOB)):
        cache.remember(HOME, known)
    cache.forget(HOME, "r", ANN)
    assert cache.of_realm(at("/"), Owner(ANN), "r") is None
    assert cache.of_realm(at("/"), Owner(ANN), "s") is not None
    assert cache.of_realm(at("/"), Owner(BOB), "r") is not None
    cache.forget(("http", "unknown", 80), "r", ANN)
    cache.clear()
    assert not cache
    cache.remember(HOME, space())
    cache.forget(HOME, "r", ANN)
    assert not cache


def test_limits() -> None:
    """Servers, realms and directories are kept up to a limit, and the oldest leave first."""
    cache = CredentialCache()
    for number in range(MAX_ORIGINS + 1):
        cache.remember(("http", "h", number), space())
    assert cache.covering(at("/", ("http", "h", 0)), ANYBODY) is None
    assert cache.covering(at("/", ("http", "h", 1)), ANYBODY) is not None
    for number in range(MAX_SPACES + 1):
        cache.remember(HOME, space(f"realm {number}"))
    assert cache.of_realm(at("/"), ANYBODY, "realm 0") is None
    assert cache.of_realm(at("/"), ANYBODY, "realm 1") is not None
    for number in range(MAX_PREFIXES + 1):
        cache.remember(HOME, space("r", ANN, f"/{number}/"))
    known = cache.of_realm(at("/"), ANYBODY, "r")
    assert known is not None
    assert len(known.prefixes) == MAX_PREFIXES
    assert "/0/" not in known.prefixes


@pytest.mark.parametrize(("path", "directory"), [("/", "/"), ("/a", "/"), ("/a/", "/a/"), ("/a/b", "/a/"), ("", "")])
def test_directory(path: str, directory: str) -> None:
    """Basic credentials are good from the last slash of the path on (RFC 7617 section 2.2)."""
    assert at(path).directory == directory


@pytest.mark.parametrize(
    ("domain", "prefixes"),
    [
        ([], ("",)),
        (["/x", "/y/z"], ("/x", "/y/z")),
        (["http://h/x", "http://h:80/y", "http://h"], ("/x", "/y", "/")),
        (["http://evil/", "https://h/", "http://h:81/"], ("/a/",)),
        (["//evil/x", "x/y", "http://[", "http://h:99999/", "/ok"], ("/ok",)),
    ],
)
def test_domain(domain: list[str], prefixes: tuple[str, ...]) -> None:
    """A Digest challenge's domain means paths on its own server; whatever else it names is not believed."""
    assert digest_prefixes(domain, at("/a/b")) == prefixes


@given(uris=st.lists(st.text(max_size=20), max_size=5))
def test_any_domain(uris: list[str]) -> None:
    """Whatever a server writes as its domain, it amounts to paths."""
    assert all(path.startswith("/") or not path for path in digest_prefixes(uris, at("/a/b")))
