"""The decisions about cookies, as tables: domains, paths, promises, and who gets what."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply._model.cookies import Cookie
from trioreply._policies.cookie_decide import (
    LONGEST_LIFE,
    Place,
    domain_matches,
    in_order,
    is_address,
    is_sent,
    is_storable,
    may_set,
    overlays,
    path_matches,
    place_of,
    receive,
    site_of,
)
from trioreply._policies.cookie_parse import parse_set_cookie

evolve: Callable[..., Cookie] = attrs.evolve
"""With whatever a table says."""
NOW = 1_000_000.0


def received(text: str, url: str = "https://www.example.co.uk/dir/page", *, now: float = NOW) -> Cookie | None:
    """The cookie that ``text``, in a response from ``url``, sets."""
    parsed, place = parse_set_cookie(text), place_of(URL(url))
    assert parsed is not None
    assert place is not None
    return receive(parsed, place, now=now)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://h.example", Place("h.example", "/", secure=False)),
        ("https://H.Example.:444/a/b?c#d", Place("h.example", "/a/b", secure=True)),
        ("http://[::1]/", Place("::1", "/", secure=False)),
        ("https://bücher.example/ü", Place("xn--bcher-kva.example", "/%C3%BC", secure=True)),
        ("ftp://h.example/", None),
        ("file:///etc/passwd", None),
        ("data:,x", None),
        ("/relative", None),
    ],
)
def test_places(url: str, place: Place | None) -> None:
    """Cookies are for http and https hosts, whatever the port; the root's dot is no part of a host."""
    assert place_of(URL(url)) == place


@pytest.mark.parametrize(
    ("host", "domain", "matches"),
    [
        ("example.org", "example.org", True),
        ("www.example.org", "example.org", True),
        ("a.b.example.org", "example.org", True),
        ("example.org", "www.example.org", False),
        ("badexample.org", "example.org", False),
        ("example.org.evil.net", "example.org", False),
        ("example.org", "", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.1", False),
        ("127.0.0.1", "1", False),
        ("::1", "::1", True),
        ("a.::1", "::1", True),
        ("localhost", "localhost", True),
    ],
)
def test_domain_match(host: str, domain: str, matches: bool) -> None:
    """A host matches itself and the domains above it, label by label; an address matches itself only."""
    assert domain_matches(host, domain) is matches


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("1.2.3.4", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("1.2.3.4.example", False),
        ("host1", False),
        ("", False),
        ("h:x", False),
    ],
)
def test_addresses(host: str, address: bool) -> None:
    """What looks like an address is one, and a name that ends in a digit is not."""
    assert is_address(host) is address


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/", "/", True),
        ("/a", "/", True),
        ("/a", "/a", True),
        ("/a/", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/a", "/a/", False),
        ("/ab", "/a", False),
        ("/b", "/a", False),
        ("/", "/a", False),
        ("/A", "/a", False),
    ],
)
def test_path_match(path: str, cookie_path: str, matches: bool) -> None:
    """A path matches itself and the directories above it, and case matters."""
    assert path_matches(path, cookie_path) is matches


@pytest.mark.parametrize(
    ("domain", "site"),
    [
        ("example.org", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("me.github.io", "me.github.io"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_sites(domain: str, site: str) -> None:
    """A site is what one party owns below a public suffix; a suffix itself and an address are sites of their own."""
    assert site_of(domain) == site


@pytest.mark.parametrize(
    ("attribute", "domain", "host_only"),
    [
        ("", "www.example.co.uk", True),
        ("; Domain=", "www.example.co.uk", True),
        ("; Domain=www.example.co.uk", "www.example.co.uk", False),
        ("; Domain=.EXAMPLE.co.uk", "example.co.uk", False),
    ],
)
def test_accepted_domains(attribute: str, domain: str, host_only: bool) -> None:
    """Without Domain a cookie is for its host alone; with it, for the host or a domain above it and all below that."""
    cookie = received(f"a=b{attribute}")
    assert cookie is not None
    assert (cookie.domain, cookie.host_only, cookie.path, cookie.created) == (domain, host_only, "/dir", NOW)


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("co.uk", "https://www.example.co.uk/"),
        ("uk", "https://www.example.co.uk/"),
        ("github.io", "https://me.github.io/"),
        ("foo.ck", "https://a.foo.ck/"),
        ("local", "https://printer.local/"),
        ("xn--p1ai", "https://a.xn--p1ai/"),
    ],
)
def test_super_cookies(domain: str, url: str) -> None:
    """A cookie for a public suffix, which would reach strangers, is refused."""
    assert received(f"a=b; Domain={domain}", url) is None


@pytest.mark.parametrize("host", ["github.io", "localhost", "127.0.0.1", "[::1]"])
def test_suffixes_and_addresses_for_themselves(host: str) -> None:
    """A host that is a public suffix, or an address, may name itself, and the cookie is for it alone."""
    bare = host.strip("[]")
    cookie = received(f"a=b; Domain={bare}", f"https://{host}/")
    assert cookie is not None
    assert (cookie.domain, cookie.host_only) == (bare, True)


@pytest.mark.parametrize(
    "domain", ["other.example", "a.www.example.co.uk", "ample.co.uk", "..example.co.uk", "example.co.uk.", "a b", "é"]
)
def test_refused_domains(domain: str) -> None:
    """A cookie for somebody else's domain, one below the host, or what is no domain, is refused."""
    assert received(f"a=b; Domain={domain}") is None


def test_an_address_has_no_parents() -> None:
    """The end of an address is no domain above it."""
    assert received("a=b; Domain=0.0.1", "https://127.0.0.1/") is None


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("a=b", None),
        ("a=b; Max-Age=60", NOW + 60),
        ("a=b; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", NOW + 60),
        ("a=b; Expires=Tue, 13 Jan 1970 00:00:00 GMT", 12 * 86400),
        ("a=b; Max-Age=0", 0),
        ("a=b; Max-Age=-5; Expires=Fri, 01 Jan 2038 00:00:00 GMT", 0),
        ("a=b; Max-Age=" + "9" * 500, NOW + LONGEST_LIFE),
        ("a=b; Expires=Fri, 01 Jan 2038 00:00:00 GMT", NOW + LONGEST_LIFE),
        ("a=b; Expires=soon", None),
    ],
)
def test_expiry(text: str, expires: float | None) -> None:
    """Max-Age goes before Expires wherever it stands, neither goes beyond 400 days, and nonsense is no date."""
    cookie = received(text)
    assert cookie is not None
    assert cookie.expires == expires


def test_expired_at_any_time() -> None:
    """A Max-Age that is not positive is over, whatever the clock shows."""
    for now in (NOW, 0.0, -NOW):
        cookie = received("a=b; Max-Age=0", now=now)
        assert cookie is not None
        assert cookie.is_expired(now)


@pytest.mark.parametrize(
    ("text", "path"),
    [("a=b", "/dir"), ("a=b; Path=/x", "/x"), ("a=b; Path=x", "/dir"), ("a=b; Path=/x; Path=", "/dir")],
)
def test_paths(text: str, path: str) -> None:
    """A cookie is for the path that it names, or the URL's directory; it may name any."""
    cookie = received(text)
    assert cookie is not None
    assert cookie.path == path


def test_long_default_paths() -> None:
    """A directory that is too long for an attribute is too long for a default, and nothing wider takes its place."""
    assert received("a=b", f"https://h.example/{'x' * 1023}/y") is not None
    assert received("a=b", f"https://h.example/{'x' * 1024}/y") is None


@pytest.mark.parametrize(
    ("text", "url", "accepted"),
    [
        ("a=b; Secure", "https://h.example/", True),
        ("a=b; Secure", "http://h.example/", False),
        ("a=b; Secure", "http://localhost/", False),
        ("a=b; Secure", "http://127.0.0.1/", False),
        ("__Secure-a=b; Secure", "https://h.example/", True),
        ("__secure-A=b", "https://h.example/", False),
        ("__Host-a=b; Secure; Path=/", "https://h.example/", True),
        ("__Host-a=b; Secure", "https://h.example/", False),
        ("__Host-a=b; Secure; Path=", "https://h.example/", True),
        ("__Host-a=b; Secure; Path=/x", "https://h.example/", False),
        ("__HOST-a=b; Path=/", "https://h.example/", False),
        ("__Host-a=b; Secure; Path=/; Domain=h.example", "https://h.example/", False),
        ("__Host-a=b; Secure; Path=/; Domain=localhost", "https://localhost/", True),
        ("=__Host-a=b; Secure; Path=/", "https://h.example/", False),
        ("__Secure-a; Secure", "https://h.example/", False),
        ("=b", "https://h.example/", True),
    ],
)
def test_secure_and_prefixes(text: str, url: str, accepted: bool) -> None:
    """Secure cookies come over https only, and a name's prefix is a promise that holds in any case of letters."""
    assert (received(text, url) is not None) is accepted


SENT = Cookie("a", "b", domain="example.org", path="/dir", host_only=False, expires=NOW + 1)


@pytest.mark.parametrize(
    ("change", "place", "sent"),
    [
        ({}, Place("example.org", "/dir", secure=False), True),
        ({}, Place("www.example.org", "/dir/x", secure=True), True),
        ({}, Place("other.example", "/dir", secure=True), False),
        ({}, Place("example.org", "/directory", secure=True), False),
        ({"host_only": True}, Place("example.org", "/dir", secure=True), True),
        ({"host_only": True}, Place("www.example.org", "/dir", secure=True), False),
        ({"secure": True}, Place("example.org", "/dir", secure=True), True),
        ({"secure": True}, Place("example.org", "/dir", secure=False), False),
        ({"http_only": True}, Place("example.org", "/dir", secure=False), True),
        ({"expires": NOW}, Place("example.org", "/dir", secure=True), False),
        ({"expires": None}, Place("example.org", "/dir", secure=True), True),
    ],
)
def test_what_is_sent(change: dict[str, object], place: Place, sent: bool) -> None:
    """A cookie goes where its domain, path and Secure allow, as long as its time is not over."""
    assert is_sent(evolve(SENT, **change), place, now=NOW) is sent


def test_order() -> None:
    """Longer paths come first, and of equal ones the older; of the same age, what was there first."""
    short, old, new = (
        Cookie("short", "", path="/", created=1),
        Cookie("old", "", path="/x", created=2),
        Cookie("new", "", path="/x", created=3),
    )
    twin = evolve(new, name="twin")
    assert in_order([short, new, twin, old]) == [old, new, twin, short]


@pytest.mark.parametrize(
    ("domain", "path", "name", "is_overlay"),
    [
        ("h.example", "/login", "a", True),
        ("h.example", "/login/en", "a", True),
        ("a.h.example", "/login", "a", True),
        ("example.org", "/login", "a", False),
        ("h.example", "/", "a", False),
        ("h.example", "/foo", "a", False),
        ("h.example", "/login", "b", False),
    ],
)
def test_secure_cookies_are_left_alone(domain: str, path: str, name: str, is_overlay: bool) -> None:
    """Over http nothing can be set that would stand in front of a secure cookie of the same name."""
    existing = Cookie("a", "1", domain="h.example", path="/login", secure=True)
    cookie = Cookie(name, "2", domain=domain, path=path, host_only=False)
    assert overlays(cookie, existing) is is_overlay
    assert overlays(evolve(existing, domain="x.h.example"), evolve(existing, host_only=False))
    assert not overlays(cookie, evolve(existing, secure=False))


@pytest.mark.parametrize(
    ("cookie", "storable"),
    [
        (Cookie("a", "b", domain="h.example", path="/"), True),
        (Cookie("a", "b", path="/"), False),
        (Cookie("a", "b", domain="h.example"), False),
        (Cookie("", "", domain="h.example", path="/"), False),
        (Cookie("a", "b", domain=".co.uk", path="/"), False),
        (Cookie("a", "b", domain="co.uk", path="/"), True),
        (Cookie("a", "b", domain=".1.2.3.4", path="/"), False),
    ],
)
def test_what_can_be_kept(cookie: Cookie, storable: bool) -> None:
    """Wherever a cookie comes from: it has a place, it is not empty, and it reaches no strangers."""
    assert is_storable(cookie) is storable


def test_what_may_be_set() -> None:
    """A response may set cookies for its own host or a domain above it, as `CookieJar.validate` tells."""
    place = Place("www.h.example", "/", secure=False)
    assert may_set(Cookie("a", "b", domain="www.h.example", path="/"), place)
    assert may_set(Cookie("a", "b", domain=".h.example", path="/"), place)
    assert not may_set(Cookie("a", "b", domain="h.example", path="/"), place)
    assert not may_set(Cookie("a", "b", domain="www.h.example", path="/", secure=True), place)


LABELS = st.sampled_from(["a", "www", "example", "co", "uk", "com", "github", "io", "1"])
HOSTS = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
TEXTS = st.lists(st.sampled_from(["Secure", "Path=/", "Path=/a", "Max-Age=9", "Path=x"])).map("; ".join)


@given(HOSTS, HOSTS, TEXTS, st.booleans())
def test_what_is_set_comes_back_and_stays_at_home(host: str, domain: str, attributes: str, named: bool) -> None:
    """Whatever a server sets goes back to it (Path permitting), and never to a host of another site."""
    text = f"a=b; {attributes}" + (f"; Domain={domain}" if named else "")
    cookie = received(text, f"https://{host}/a/b") if not is_address(host) else None
    if cookie is not None:
        assert is_sent(cookie, Place(host, "/a/b", secure=True), now=NOW)
        assert site_of(cookie.domain) == site_of(host)
        assert not is_sent(cookie, Place(f"{host}.net", "/a/b", secure=True), now=NOW)
        assert not is_sent(cookie, Place(f"x{site_of(host)}", "/a/b", secure=True), now=NOW)
