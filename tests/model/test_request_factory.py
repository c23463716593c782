"""`RequestFactory`: what its requests have in common, and how paths are appended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import Bearer, Priority, Request
from trioreply._model.request_factory import RequestFactory

BASE = "https://example.org/api"


def make(**fields: object) -> RequestFactory:
    """A factory with fields that need not be of the right type."""
    return RequestFactory(BASE, **fields)  # type: ignore[arg-type]  # wrong types are the point


@pytest.mark.parametrize(
    ("base", "path", "expected"),
    [
        (BASE, "", BASE),
        ("https://example.org", "", "https://example.org/"),
        ("https://example.org", "a", "https://example.org/a"),
        (BASE, "a", f"{BASE}/a"),
        (BASE, "/a", f"{BASE}/a"),
        (f"{BASE}/", "a/", f"{BASE}/a/"),
        (f"{BASE}/", "//a".lstrip("/"), f"{BASE}/a"),
        (BASE, "/", f"{BASE}/"),
        (BASE, "../up", f"{BASE}/../up"),
        (BASE, "a?b=c#d", f"{BASE}/a?b=c#d"),
        (f"{BASE}?lost=1#lost", "a", f"{BASE}/a"),
        ("http://[::1]:8080/x", "%2F", "http://[::1]:8080/x/%2F"),
        (BASE, "/a:b", f"{BASE}/a:b"),
    ],
)
def test_paths(base: str, path: str, expected: str) -> None:
    """A path is appended with exactly one slash between, and nothing in it is resolved, as in Qt."""
    assert str(RequestFactory(base).create(path).url) == expected


@given(st.text(st.characters(codec="utf-8")))
def test_no_path_leaves_the_origin(path: str) -> None:
    """Whatever is given as a path, the request goes to the factory's origin, or there is none."""
    try:
        url = RequestFactory("https://example.org/api", user="me").create(path).url
    except ValueError:
        return
    assert url.origin() == URL("https://example.org")
    assert url.raw_path.startswith("/api")


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example/x", "a:b", "mailto:x"])
def test_whole_urls_are_refused(path: str) -> None:
    """A URL of its own would take the credentials elsewhere."""
    with pytest.raises(ValueError, match=r"path: .* is a whole URL; give what follows base_url"):
        RequestFactory(BASE).create(path)


def test_query() -> None:
    """The factory's query goes with requests that have none; the path's, or better the call's own, replaces it."""
    factory = RequestFactory(BASE, query={"a": 1})
    assert factory.create("x").url.raw_query_string == "a=1"
    assert factory.create("x?b=2").url.raw_query_string == "b=2"
    assert factory.create("x", {"c": 3}).url.raw_query_string == "c=3"
    assert factory.create("x?b=2", "d").url.raw_query_string == "d"
    assert factory.create("x", {}).url.raw_query_string == ""


def test_query_is_kept() -> None:
    """A query given as pairs that come once, or as a mapping that changes later, stays what it was."""
    changing = {"a": "1"}
    for query in (changing, iter([("a", "1")]), "a=1"):
        factory = RequestFactory(BASE, query=query)
        changing["a"] = "2"
        assert [factory.create().url.raw_query_string for _ in range(2)] == ["a=1", "a=1"]
        changing["a"] = "1"
        hash(factory)


def test_settings_are_passed_on() -> None:
    """Everything that the factory knows is in its requests."""
    factory = RequestFactory(
        BASE, headers={"X": "1"}, priority=Priority.HIGH, transfer_timeout=5, user_data="mine", query=None
    )
    request = factory.create("a")
    assert request == Request(f"{BASE}/a", headers={"X": "1"}, priority=Priority.HIGH, transfer_timeout=5)
    assert request.user_data == "mine"


def test_credentials() -> None:
    """Credentials go with each request as its ``auth``; an Authorization among the headers stays."""
    assert RequestFactory(BASE, bearer_token="t0").create().auth == Bearer("t0")
    assert RequestFactory(BASE, user="Aladdin", password="open sesame").create().auth == ("Aladdin", "open sesame")
    assert RequestFactory(BASE, user="é").create().auth == ("é", "")
    assert RequestFactory(BASE).create().auth is None
    assert RequestFactory(BASE, headers={"authorization": "x"}).create().headers["Authorization"] == "x"


def test_secrets_are_silent() -> None:
    """The repr of a factory shows no secret."""
    assert "secret" not in repr(RequestFactory(BASE, bearer_token="secret", headers={"X": "secret"}))
    assert "secret" not in repr(RequestFactory("https://u:secret@h/", user="me", password="secret"))


def test_replace() -> None:
    """A factory is changed by making another, which is checked again; equal ones make equal requests."""
    factory = RequestFactory(BASE, user="me")
    changed = factory.replace(user=None, bearer_token="t", base_url="http://h/")
    assert changed == RequestFactory("http://h/", bearer_token="t")
    assert factory == RequestFactory(BASE, user="me")
    with pytest.raises(ValueError, match="bearer_token"):
        factory.replace(bearer_token="t")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"bearer_token": "t", "user": "me"}, ValueError, "bearer_token: there is a user"),
        ({"password": "p"}, ValueError, "password: it needs a user"),
        ({"bearer_token": "a b"}, ValueError, "^bearer_token: it is empty, or holds a space"),
        ({"bearer_token": 1}, TypeError, "^bearer_token: give a str"),
        ({"user": "a:b"}, ValueError, "^user: .* holds a colon"),
        ({"headers": {"a b": ""}}, ValueError, "^headers: "),
        ({"transfer_timeout": -1}, ValueError, "^transfer_timeout: "),
        ({"priority": 4}, ValueError, "^priority: "),
        ({"ssl": 5}, TypeError, "^ssl: "),
        ({"query": [("a", None)]}, TypeError, "^query: "),
    ],
)
def test_mistakes(fields: dict[str, object], error: type[Exception], message: str) -> None:
    """An impossible factory is refused when it is made, in a text that begins with the field's name."""
    with pytest.raises(error, match=message):
        make(**fields)


@pytest.mark.parametrize("base", ["/relative", "data:,x"])
def test_base_is_absolute(base: str) -> None:
    """There is something to append paths to."""
    with pytest.raises(ValueError, match="base_url: it must be absolute"):
        RequestFactory(base)
