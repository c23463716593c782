"""The value `Cookie`: what is legal, what is the same, and how it reads."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply._model.cookies import Cookie, SameSite, default_path
from trioreply._policies.cookie_parse import parse_set_cookie

evolve: Callable[..., Cookie] = attrs.evolve
"""With whatever is tried."""
SURROGATE = "\udcff"
"""A byte that is not UTF-8, as header fields show it."""
HALF = "\ud800"
"""Half a character, which stands for no byte."""

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=";="), max_size=40)


def test_only_name_and_value_are_needed() -> None:
    """A cookie is a session cookie for one host unless it says more, and its value does not show in its repr."""
    cookie = Cookie("sid", "secret")
    assert (cookie.domain, cookie.path, cookie.host_only, cookie.expires) == ("", "", True, None)
    assert (cookie.secure, cookie.http_only, cookie.same_site) == (False, False, SameSite.DEFAULT)
    assert cookie.is_session
    assert not cookie.is_expired(1e12)
    assert "secret" not in repr(cookie)


def test_white_space_around_name_and_value_goes() -> None:
    """Blanks and tabs around a name or a value are not part of it, those within are."""
    assert Cookie(" a\t", "\tb c ") == Cookie("a", "b c")


def test_the_largest() -> None:
    """Name and value may have 4096 bytes together."""
    assert Cookie("ab", "é" * 2047).id.name == "ab"


@pytest.mark.parametrize(
    ("given", "domain", "host_only"),
    [
        ("Example.ORG", "example.org", True),
        (".example.org", "example.org", False),
        ("::1", "::1", True),
        ("fe80::1%eth0", "fe80::1%eth0", True),
    ],
)
def test_domains(given: str, domain: str, host_only: bool) -> None:
    """A domain is kept in lower case, and a leading dot says that hosts below it are meant, too (as Qt)."""
    cookie = Cookie("a", "b", domain=given)
    assert (cookie.domain, cookie.host_only) == (domain, host_only)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"name": "a=b"}, ValueError, "^name: 'a=b' holds an equals sign"),
        ({"name": "a;b"}, ValueError, "^name: it holds a control character, a semicolon"),
        ({"name": "a\n"}, ValueError, "^name: it holds"),
        ({"value": "secret\r"}, ValueError, "^value: it holds a control character, a semicolon, or half"),
        ({"value": "secret;"}, ValueError, "^value: it holds"),
        ({"value": HALF}, ValueError, "^value: it holds"),
        ({"value": "x" * 4096}, ValueError, "^value: with its name it is larger than 4096 bytes$"),
        ({"value": "é" * 2048}, ValueError, "^value: with its name it is larger"),
        ({"value": 7}, TypeError, "^value: give a str, not int$"),
        ({"path": "a"}, ValueError, "^path: 'a' does not begin with a slash$"),
        ({"path": "/\x7f"}, ValueError, "^path: it holds"),
        ({"domain": "a b"}, ValueError, "^domain: 'a b' is no host"),
        ({"domain": "bücher.example"}, ValueError, "^domain: 'bücher.example' is no host; write .* xn-- form$"),
        ({"domain": "."}, ValueError, "^domain: '.' is no host"),
        ({"domain": "..a"}, ValueError, "^domain: '..a' is no host"),
        ({"expires": "soon"}, TypeError, "^expires: give POSIX seconds, not str$"),
        ({"expires": True}, TypeError, "^expires: give POSIX seconds, not bool$"),
        ({"expires": math.nan}, ValueError, "^expires: nan is no moment$"),
        ({"created": math.inf}, ValueError, "^created: inf is no moment$"),
        ({"same_site": "Lax"}, TypeError, "^same_site: 'Lax' is no member of SameSite$"),
    ],
)
def test_what_is_refused(fields: dict[str, object], error: type[Exception], message: str) -> None:
    """What could not stand in a header field, or has the wrong type, is refused; the text never shows the value."""
    with pytest.raises(error, match=message) as caught:
        evolve(Cookie("a", "b"), **fields)
    assert "secret" not in str(caught.value)


def test_what_is_the_same_cookie() -> None:
    """Name, domain, path and whether hosts below it are meant make a cookie the same as another; nothing else does."""
    cookie = Cookie("a", "1", domain="h.example", path="/")
    assert evolve(cookie, value="2", secure=True, expires=5).id == cookie.id
    for other in (Cookie("b", "1"), Cookie("a", "1", domain="g.example"), Cookie("a", "1", path="/x")):
        assert other.id != cookie.id
    assert Cookie("a", "1", domain=".h.example", path="/").id != cookie.id


def test_equality_ignores_when_it_was_created() -> None:
    """Two cookies that differ in nothing but the time they were created are equal."""
    assert Cookie("a", "1", created=1) == Cookie("a", "1", created=2)
    assert Cookie("a", "1") != Cookie("a", "2")


def test_expiry() -> None:
    """A cookie is over at the second that it names, and not before."""
    cookie = Cookie("a", "1", expires=100)
    assert not cookie.is_session
    assert [cookie.is_expired(now) for now in (99.9, 100, 101)] == [False, True, True]


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("", "/"),
        ("x", "/"),
        ("/", "/"),
        ("/a", "/"),
        ("/a/", "/a"),
        ("/a/b", "/a"),
        ("/a/b/", "/a/b"),
        ("//", "/"),
    ],
)
def test_default_path(path: str, default: str) -> None:
    """Without a path of its own a cookie gets the directory of the URL (RFC 6265bis section 5.1.4)."""
    assert default_path(path) == default


def test_normalized() -> None:
    """Normalizing fills in host and directory of a URL, and touches nothing that is there (as Qt)."""
    url = URL("https://WWW.example.org./a/b?q")
    assert Cookie("a", "1").normalized(url) == Cookie("a", "1", domain="www.example.org", path="/a")
    own = Cookie("a", "1", domain=".example.org", path="/x")
    assert own.normalized(url) == own
    assert Cookie("a", "1").normalized(URL("/relative")).domain == ""


def test_as_text() -> None:
    """A cookie can be written as it is sent, and as a server would set it."""
    cookie = Cookie(
        "a",
        "1",
        domain=".h.example",
        path="/x",
        expires=784111777,
        secure=True,
        http_only=True,
        same_site=SameSite.STRICT,
    )
    assert cookie.name_and_value == "a=1"
    assert cookie.to_set_cookie() == (
        "a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Domain=h.example; Path=/x; Secure; HttpOnly; SameSite=Strict"
    )
    assert Cookie("", "1").name_and_value == "1"
    assert Cookie("a", "1", domain="h.example").to_set_cookie() == "a=1"


@pytest.mark.parametrize(("moment", "year"), [(1e18, " 9999 "), (-1e18, " 0001 ")])
def test_dates_beyond_the_calendar(moment: float, year: str) -> None:
    """A moment that no calendar shows is written as the calendar's end."""
    assert year in Cookie("a", "1", expires=moment).to_set_cookie()


COOKIES = st.builds(
    Cookie,
    TEXT,
    TEXT.map(lambda text: text + SURROGATE),
    path=st.sampled_from(["/", "/a b", "/\udcfc"]),
    expires=st.none() | st.integers(0, 4 * 10**9),
    secure=st.booleans(),
    same_site=st.sampled_from(SameSite),
)


@given(COOKIES)
def test_written_and_read(cookie: Cookie) -> None:
    """What a cookie writes of itself, the parser of Set-Cookie understands as just that."""
    parsed = parse_set_cookie(cookie.to_set_cookie())
    assert parsed is not None
    for part in ("name", "value", "path", "expires", "secure", "same_site"):
        assert getattr(parsed, part) == getattr(cookie, part)
