"""The jar: taking, finding, forgetting, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from time import time

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply._model.cookies import Cookie
from trioreply._policies.cookie_sites import MAX_PER_SITE, MAX_TOTAL
from trioreply._policies.cookiejar import CookieJar

HERE = "https://www.example.org/dir/page"


@define
class WallClock:
    """A clock that tests move."""

    time: float = 1_000_000.0

    def __call__(self) -> float:
        """The time it shows."""
        return self.time


@pytest.fixture
def clock() -> WallClock:
    """The time of the jar."""
    return WallClock()


@pytest.fixture
def jar(clock: WallClock) -> CookieJar:
    """An empty jar."""
    return CookieJar(now=clock)


def names(jar: CookieJar, url: str = HERE) -> list[str]:
    """The names of the cookies that a request carries, in order."""
    return [cookie.name for cookie in jar.cookies_for(url)]


def made(name: str, domain: str = "www.example.org", *, expires: float | None = None) -> Cookie:
    """A cookie for the whole of one host."""
    return Cookie(name, "1", domain=domain, path="/", expires=expires)


def test_an_empty_jar(jar: CookieJar) -> None:
    """A jar without cookies is false, and gives none to anybody."""
    assert not jar
    assert (len(jar), list(jar), jar.all(), jar.cookies_for(HERE), jar.header_for(URL(HERE))) == (0, [], (), (), "")
    assert repr(jar) == "<CookieJar: 0 cookies of 0 sites>"
    assert made("a") not in jar
    assert not jar.delete(made("a"))


def test_set_and_sent(jar: CookieJar) -> None:
    """What a response has set is sent with requests, the most specific first."""
    assert jar.set_from_headers(["a=1; Path=/", "b=2", "c=3; Domain=example.org; Path=/", "=4; Path=/"], HERE)
    assert jar.header_for(URL(HERE)) == "b=2; a=1; c=3; 4"
    assert jar.header_for(URL("https://example.org/")) == "c=3"
    assert jar.header_for(URL("https://other.example/")) == ""
    assert jar.header_for(URL("ftp://www.example.org/dir/")) == ""
    assert repr(jar) == "<CookieJar: 4 cookies of 1 sites>"
    assert (bool(jar), len(jar), len(list(jar))) == (True, 4, 4)
    assert Cookie("c", "3", domain=".example.org", path="/") in jar
    assert "c" not in jar


def test_own_clock() -> None:
    """A jar that is given no clock goes by the wall's."""
    jar = CookieJar()
    assert jar.set_from_headers(["a=1; Max-Age=1000"], HERE)
    (cookie,) = jar
    assert cookie.expires is not None
    assert 900 < cookie.expires - time() <= 1000


def test_urls_as_text_are_checked(jar: CookieJar) -> None:
    """A text that is no URL is refused, by whatever method it is given to."""
    for method in (
        jar.cookies_for,
        lambda url: jar.set_from_headers([], url),
        lambda url: jar.validate(made("a"), url),
    ):
        with pytest.raises(ValueError, match=r"^url: "):
            method("http://exa mple/")


def test_super_cookies_reach_nobody(jar: CookieJar) -> None:
    """A cookie for co.uk, set by one party there, is not sent to another one."""
    assert not jar.set_from_headers(["evil=1; Domain=co.uk", "evil=1; Domain=uk"], "https://foo.co.uk/")
    assert not jar
    assert not jar.set_from_headers(["a=1"], "data:,x")


def test_renewed(jar: CookieJar, clock: WallClock) -> None:
    """A cookie that is set again has its new value, and keeps its place in the order."""
    jar.set_from_headers(["a=1; Path=/", "b=1; Path=/"], HERE)
    clock.time += 5
    jar.set_from_headers(["c=1; Path=/", "a=2; Path=/"], HERE)
    assert jar.header_for(URL(HERE)) == "a=2; b=1; c=1"


def test_expired(jar: CookieJar, clock: WallClock) -> None:
    """A cookie whose time is over is gone from every point of view."""
    jar.set_from_headers(["a=1; Max-Age=10; Path=/", "b=1; Path=/"], HERE)
    clock.time += 9
    assert names(jar) == ["a", "b"]
    clock.time += 1
    assert names(jar) == ["b"]
    assert len(jar) == 1


def test_deleted_by_the_server(jar: CookieJar) -> None:
    """A server deletes a cookie by setting it with a time that is over, and no other cookie."""
    jar.set_from_headers(["a=1; Path=/", "b=1; Path=/"], HERE)
    past = "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    assert not jar.set_from_headers(["a=; Path=/; Max-Age=0", f"b=; Path=/elsewhere; {past}"], HERE)
    assert names(jar) == ["b"]


def test_secure_cookies_are_left_alone(jar: CookieJar) -> None:
    """Who speaks plain http can neither replace, nor delete, nor stand before a secure cookie."""
    jar.set_from_headers(["a=1; Path=/; Secure; Domain=example.org"], HERE)
    plain = "http://www.example.org/"
    for attempt in ("a=2; Path=/", "a=2; Path=/; Domain=example.org", "a=; Path=/; Max-Age=0", "a=2; Path=/x"):
        assert not jar.set_from_headers([attempt], plain)
    assert jar.set_from_headers(["b=2; Path=/"], plain)
    assert jar.header_for(URL(HERE)) == "a=1; b=2"
    assert jar.header_for(URL(plain)) == "b=2"
    assert jar.set_from_headers(["a=3; Path=/; Secure; Domain=example.org"], HERE)
    assert jar.header_for(URL(HERE)) == "a=3; b=2"


def test_set_cookies_from_url(jar: CookieJar) -> None:
    """Cookies set from a URL get its host and directory, and what the URL may not set is left out (as Qt)."""
    mine, theirs = Cookie("a", "1"), made("b", "other.example")
    assert jar.set_cookies_from_url([mine, theirs], HERE)
    assert jar.all() == (Cookie("a", "1", domain="www.example.org", path="/dir"),)
    assert not jar.set_cookies_from_url([theirs], HERE)
    assert not jar.set_cookies_from_url([mine], "data:,x")


def test_validate(jar: CookieJar) -> None:
    """Whether a URL may set a cookie can be asked without setting it."""
    assert jar.validate(made("a"), HERE)
    assert not jar.validate(made("a"), "https://other.example/")
    assert not jar.validate(made("a"), "data:,x")
    assert not jar


def test_insert(jar: CookieJar, clock: WallClock) -> None:
    """Any cookie with a place can be inserted, but none for a public suffix and none that is over."""
    assert jar.insert(made("a"))
    assert jar.insert(made("b", "other.example", expires=clock.time + 1))
    assert not jar.insert(made("c", ".co.uk"))
    assert not jar.insert(Cookie("d", "1"))
    assert not jar.insert(made("e", expires=clock.time))
    assert names(jar) == ["a"]
    assert not jar.insert(made("a", expires=clock.time))
    assert names(jar) == []


def test_inserted_cookies_have_an_age(jar: CookieJar, clock: WallClock) -> None:
    """An inserted cookie is as old as it says, or as old as its stay in the jar."""
    jar.insert(made("new"))
    jar.insert(Cookie("old", "1", domain="www.example.org", path="/", created=5))
    assert [cookie.created for cookie in jar.cookies_for(HERE)] == [5, clock.time]


def test_update_and_delete(jar: CookieJar) -> None:
    """Updating and deleting are about the same cookie, and tell whether it was there (as Qt)."""
    assert not jar.update(made("a"))
    jar.insert(made("a"))
    changed = Cookie("a", "2", domain="www.example.org", path="/", secure=True)
    assert jar.update(changed)
    assert jar.all() == (changed,)
    assert not jar.delete(made("a", ".www.example.org"))
    assert jar.delete(made("a"))
    assert not jar


def test_clear(jar: CookieJar) -> None:
    """All cookies can be removed, or those of a domain and the hosts below it."""
    for domain in ("example.org", "www.example.org", ".example.org", "badexample.org", "other.example"):
        jar.insert(made("a", domain))
    assert jar.clear("www.example.org") == 1
    assert jar.clear(".Example.org") == 2
    assert [cookie.domain for cookie in jar] == ["badexample.org", "other.example"]
    assert jar.clear() == 2
    assert repr(jar) == "<CookieJar: 0 cookies of 0 sites>"


def many(count: int) -> Iterator[str]:
    """So many different cookies."""
    return (f"n{number}=1; Path=/" for number in range(count))


def test_limit_of_a_site(jar: CookieJar, clock: WallClock) -> None:
    """A site has 180 cookies at most, in all its hosts together; the oldest leaves, and other sites lose nothing."""
    jar.insert(made("other", "other.example"))
    jar.set_from_headers(many(MAX_PER_SITE - 1), HERE)
    clock.time += 1
    jar.set_from_headers(["late=1; Path=/; Domain=example.org"], "https://a.example.org/")
    assert len(jar.cookies_for(HERE)) == 180
    jar.set_from_headers(["latest=1"], "https://b.example.org/")
    assert "n0" not in names(jar)
    assert "n1" in names(jar)
    assert len(jar) == 181


def test_what_leaves_first(jar: CookieJar, clock: WallClock) -> None:
    """When a site has too many cookies, one that is over leaves first, then the oldest that is not secure."""
    jar.set_from_headers(["secure=1; Secure; Path=/", "plain=1; Path=/", "brief=1; Max-Age=5; Path=/"], HERE)
    clock.time += 5
    jar.set_from_headers(many(MAX_PER_SITE - 3), HERE)
    jar.set_from_headers(["one=1; Path=/"], HERE)
    assert {"secure", "plain"} <= set(names(jar))
    jar.set_from_headers(["two=1; Path=/"], HERE)
    assert "plain" not in names(jar)
    assert {"secure", "one", "two"} <= set(names(jar))


def test_limit_of_all(jar: CookieJar, clock: WallClock) -> None:
    """There are 3000 cookies at most; what is over leaves first, then the oldest of all."""
    for number in range(MAX_TOTAL):
        jar.insert(made("a", f"h{number}.example", expires=clock.time + 100 if number == 7 else None))
        clock.time += 0.001
    assert len(jar) == 3000
    clock.time += 100
    jar.insert(made("a"))
    assert not jar.cookies_for("https://h7.example/")
    assert len(jar) == 3000
    jar.set_from_headers(["b=1", "c=1"], HERE)
    assert not jar.cookies_for("https://h0.example/")
    assert not jar.cookies_for("https://h1.example/")
    assert jar.cookies_for("https://h2.example/")
    assert len(jar) == 3000


HOSTS = st.sampled_from(["example.org", "a.example.org", "b.a.example.org", "other.example"])
SET = st.tuples(
    HOSTS,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "; Domain=example.org", "; Domain=a.example.org"]),
    st.sampled_from(["", "; Path=/", "; Max-Age=5", "; Max-Age=0"]),
    st.floats(0, 3),
)


@given(st.lists(SET, max_size=30))
def test_a_jar_is_like_a_browser(steps: list[tuple[str, str, str, str, float]]) -> None:
    """Whatever is set: a jar has one of each cookie, and gives each host what matches it and nothing else."""
    clock = WallClock()
    jar = CookieJar(now=clock)
    for host, name, domain, rest, pause in steps:
        jar.set_from_headers([f"{name}=1{domain}{rest}"], f"https://{host}/")
        clock.time += pause
    everything = jar.all()
    assert len({cookie.id for cookie in everything}) == len(everything)
    for host in ("example.org", "a.example.org", "b.a.example.org", "other.example"):
        expected = {
            cookie.id
            for cookie in everything
            if host == cookie.domain or (not cookie.host_only and host.endswith(f".{cookie.domain}"))
        }
        assert {cookie.id for cookie in jar.cookies_for(f"https://{host}/")} == expected
