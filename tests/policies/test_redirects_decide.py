"""Redirects, decided: where they lead, who may go there, and what goes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import assert_never

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from trioreply import Bearer, Operation, Priority, Redirected, RedirectPolicy, Request, ResponseHead
from trioreply._model.bodies import BodySource
from trioreply._model.headers import HeaderSource
from trioreply._model.messages import RedirectQuestion
from trioreply._model.urls import make_url
from trioreply._policies.redirects_decide import (
    MAX_LOCATION,
    REDIRECTS,
    Follow,
    Refuse,
    Verify,
    decide,
    next_request,
    origin,
    resolve,
)
from trioreply.errors import (
    ContentReSendError,
    InsecureRedirectError,
    ProtocolUnknownError,
    ReplyError,
    TooManyRedirectsError,
)

BASE = "http://a/b/c/d;p?q"
HERE = "http://h.example/dir/page"


def as_it_is(url: URL) -> URL:
    """Nothing is upgraded."""
    return url


def outcome(request: Request, location: str, *, status: int = 302, followed: int = 0) -> Request | type[ReplyError]:
    """What comes of a redirect to ``location``: the next request, or the error."""
    head = ResponseHead(status, headers=[("Location", location)])
    step = decide(request, head, followed=followed, upgrade=as_it_is)
    if isinstance(step, Verify):
        step = step.allowed
    match step:
        case Follow(request=following, redirected=redirected):
            assert redirected == Redirected(status, following.url)
            return following
        case Refuse(error=error):
            return type(error)
        case _:
            assert_never(step)


def followed_to(request: Request, location: str, *, status: int = 302) -> Request:
    """The next request, where there must be one."""
    following = outcome(request, location, status=status)
    assert isinstance(following, Request)
    return following


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        ("g?y#s", "http://a/b/c/g?y#s"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y#s"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
    ],
)
def test_relative_references(reference: str, target: str) -> None:
    """References are resolved as RFC 3986 section 5.4 shows, its abnormal examples included."""
    assert str(resolve(make_url(BASE), reference)) == target


@pytest.mark.parametrize(
    ("base", "location", "target"),
    [
        (HERE, "http://other.example", "http://other.example"),
        (HERE, "HTTPS://Other.Example:8443/x", "https://other.example:8443/x"),
        (HERE, "//other.example/x?y", "http://other.example/x?y"),
        ("https://h/", "//other.example/x", "https://other.example/x"),
        ("http://h:81/", "/x", "http://h:81/x"),
        ("http://h", "x", "http://h/x"),
        ("http://h", "?x", "http://h/?x"),
        ("http://h", "#x", "http://h/#x"),
        ("http://[::1]:81/a", "/b", "http://[::1]:81/b"),
        ("http://[fe80::1%25eth0]/a", "b", "http://[fe80::1%eth0]/b"),
        (HERE, "/a b", "http://h.example/a%20b"),
        (HERE, "/ü?ü#ü", "http://h.example/%C3%BC?%C3%BC#%C3%BC"),
        (HERE, "/\udce9t\udce9", "http://h.example/%E9t%E9"),
        (HERE, "http://bücher.example/", "http://xn--bcher-kva.example/"),
        (HERE, "/a%2Fb?c%2Fd", "http://h.example/a%2Fb?c%2Fd"),
        (HERE, "http://u:p@other.example/a?c%2Fd", "http://other.example/a?c%2Fd"),
        (HERE, "/\\other.example", "http://h.example/%5Cother.example"),
    ],
)
def test_locations(base: str, location: str, target: str) -> None:
    """A Location leads to one host, whatever it leaves out; what servers forget to encode is encoded."""
    assert str(resolve(make_url(base), location)) == target


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("http://other.example/#theirs", "http://other.example/#theirs"),
        ("http://other.example/", "http://other.example/#ours"),
        ("?y", "http://h.example/x?y#ours"),
        ("y#", "http://h.example/y"),
    ],
)
def test_fragments(location: str, text: str) -> None:
    """A missing fragment is inherited (RFC 9110 section 10.2.2), and an empty one is not missing."""
    assert str(resolve(make_url("http://h.example/x#ours"), location)) == text


GARBAGE = [
    "ftp://other.example/",
    "file:///etc/passwd",
    "data:,x",
    "javascript:alert(1)",
    "mailto:me@other.example",
    "1:2",
    "http:",
    "http:x",
    "http:/x",
    "http:///other.example",
    "///other.example",
    "//",
    "//u@",
    "http://:80/",
    "http://other.example:99999/",
    "http://other.example:x/",
    "http://[::1/",
    "http://o ther.example/",
    "http://\udce9.example/",
    "http://good.example\\@other.example/",
    "http://0x7f.1/",
    "http://..",
    "/a\tb",
    "x" * (MAX_LOCATION + 1),
]


@pytest.mark.parametrize("policy", [policy for policy in RedirectPolicy if policy is not RedirectPolicy.MANUAL])
@pytest.mark.parametrize("location", GARBAGE)
def test_locations_that_lead_nowhere(location: str, policy: RedirectPolicy) -> None:
    """Garbage and other schemes than http and https are a typed error under every policy, and nobody is asked."""
    request = Request(HERE, redirect_policy=policy)
    step = decide(request, ResponseHead(302, headers={"Location": location}), followed=0, upgrade=as_it_is)
    assert isinstance(step, Refuse)
    assert type(step.error) is ProtocolUnknownError


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Location", "")],
        [("Location", "/a"), ("Location", "/b")],
    ],
)
def test_no_location(headers: HeaderSource) -> None:
    """A redirect without one clear Location leads nowhere."""
    step = decide(Request(HERE), ResponseHead(301, headers=headers), followed=0, upgrade=as_it_is)
    assert isinstance(step, Refuse)
    assert type(step.error) is ProtocolUnknownError
    assert str(step.error).startswith("Unknown protocol specified: ")


def test_the_same_location_twice() -> None:
    """A Location that is repeated without contradiction is one."""
    head = ResponseHead(301, headers=[("Location", "/a"), ("location", "/a")])
    step = decide(Request(HERE), head, followed=0, upgrade=as_it_is)
    assert isinstance(step, Follow)
    assert step.request.url == URL("http://h.example/a")


@given(st.sampled_from([BASE, "https://u:p@h:81", "http://[::1]/x#y"]), st.text())
@example(BASE, "//\ud800")
@example(BASE, "http://u:p@x/\udcff")
def test_resolving_never_fails(base: str, location: str) -> None:
    """Any text is a http(s) URL with a host and without a user, or one typed error."""
    try:
        url = resolve(make_url(base), location)
    except ProtocolUnknownError:
        return
    assert url.scheme in ("http", "https")
    assert url.raw_host
    assert url.raw_user is None
    assert url.raw_password is None
    assert make_url(str(url)) == url


async def pieces() -> AsyncIterator[bytes]:
    """A body that comes once."""
    yield b"data"


FIELDS = [
    ("Accept", "*/*"),
    ("Content-Type", "text/plain"),
    ("content-md5", "x"),
    ("Content-Length", "4"),
    ("Expect", "100-continue"),
    ("Digest", "x"),
    ("X-Content-Type", "mine"),
]


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "GET"])
def test_becomes_get(verb: str, status: int) -> None:
    """301, 302 and 303 turn a request into a GET; its body goes with the fields that are about it (as in Qt)."""
    request = Request(HERE, operation=Operation.CUSTOM, verb=verb, body=b"data", headers=FIELDS)
    following = followed_to(request, "/x", status=status)
    assert (following.operation, following.verb, following.body) == (Operation.GET, "GET", None)
    assert [*following.headers] == ["Accept", "X-Content-Type"]


@pytest.mark.parametrize("body", [None, b"data"])
def test_head_stays_head(body: bytes | None) -> None:
    """HEAD is HEAD after any redirect, and has no body after a 303."""
    for status in (301, 302, 303):
        following = followed_to(Request(HERE, operation=Operation.HEAD, body=body), "/x", status=status)
        assert (following.verb, following.body) == ("HEAD", None)
    request = Request(HERE, operation=Operation.HEAD, body=body)
    assert followed_to(request, "/x", status=308) == request.replace(url="http://h.example/x")


def test_a_get_without_body_keeps_its_fields() -> None:
    """Where no body is dropped and no method changes, the user's fields stay as they are."""
    request = Request(HERE, headers=FIELDS)
    assert followed_to(request, "/x", status=302).headers == request.headers


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("body", [None, b"", b"data", io.BytesIO(b"data")])
def test_method_and_body_stay(status: int, body: BodySource | None) -> None:
    """307 and 308 change nothing but the URL (RFC 9110 sections 15.4.8 and 15.4.9)."""
    request = Request(
        HERE, operation=Operation.POST, body=body, headers=FIELDS, priority=Priority.LOW, user_data="mine"
    )
    following = followed_to(request, "/x", status=status)
    assert following == request.replace(url="http://h.example/x")
    assert following.user_data == "mine"


def test_a_body_that_comes_once() -> None:
    """A body that cannot be sent again is an error where it would have to be, and only there."""
    request = Request(HERE, operation=Operation.POST, body=pieces())
    assert outcome(request, "/x", status=307) is ContentReSendError
    assert outcome(request, "/x", status=308) is ContentReSendError
    assert followed_to(request, "/x", status=303).body is None


SECRETS = [
    ("Authorization", "secret"),
    ("COOKIE", "secret"),
    ("cookie", "secret"),
    ("Cookie2", "secret"),
    ("Proxy-Authorization", "secret"),
    ("Host", "secret"),
    ("X-Api-Key", "secret"),
    ("Accept", "*/*"),
]
BEARING = Request(
    "http://u:p@h.example/",
    headers=SECRETS,
    sensitive_headers=["X-API-KEY"],
    auth=Bearer("secret"),
    peer_verify_name="other",
    user_data="mine",
)


@pytest.mark.parametrize(
    "location",
    [
        "https://h.example/",
        "http://h.example:81/",
        "https://h.example:80/",
        "http://h.example./",
        "http://www.h.example/",
        "//example/",
        "http://v:w@other.example/",
    ],
)
def test_nothing_crosses_origins(location: str) -> None:
    """Another scheme, host or port gets no credentials, no Host, no sensitive field and no name to look for."""
    following = followed_to(BEARING, location)
    assert [*following.headers.items()] == [("Accept", "*/*")]
    assert following.auth is None
    assert following.peer_verify_name is None
    assert (following.url.raw_user, following.url.raw_password) == (None, None)
    assert following.user_data == "mine"
    assert "Referer" not in following.headers


@pytest.mark.parametrize("location", ["/x", "http://h.example/x", "http://h.example:80/x", "http://v:w@H.example/x"])
def test_all_stays_within_an_origin(location: str) -> None:
    """Within one origin everything stays, the URL's own user too; the one of the Location is not used."""
    following = followed_to(BEARING, location)
    assert following == BEARING.replace(url=following.url)
    assert (following.url.user, following.url.password, following.url.raw_path) == ("u", "p", "/x")


@pytest.mark.parametrize("user", ["u:p", "u", ":p", "%C3%BC%3A:%40"])
def test_users_in_urls(user: str) -> None:
    """A user in the request's URL is the same after a redirect, however much of it there is."""
    following = followed_to(Request(f"http://{user}@h.example/"), "/x?c%2Fd")
    assert str(following.url) == f"http://{user}@h.example/x?c%2Fd"


def test_what_was_taken_off_stays_off() -> None:
    """A redirect back to the first origin does not bring the credentials back: who led us here may lead us anywhere."""
    back = followed_to(followed_to(BEARING, "http://other.example/"), "http://h.example/")
    assert back.auth is None
    assert [*back.headers] == ["Accept"]


@pytest.mark.parametrize(
    ("policy", "location", "expected"),
    [
        (RedirectPolicy.NO_LESS_SAFE, "http://h.example/", InsecureRedirectError),
        (RedirectPolicy.NO_LESS_SAFE, "http://other.example:443/", InsecureRedirectError),
        (RedirectPolicy.NO_LESS_SAFE, "https://other.example/", "https://other.example/"),
        (RedirectPolicy.SAME_ORIGIN, "https://h.example:443/x", "https://h.example/x"),
        (RedirectPolicy.SAME_ORIGIN, "https://h.example:444/", InsecureRedirectError),
        (RedirectPolicy.SAME_ORIGIN, "https://other.example/", InsecureRedirectError),
        (RedirectPolicy.SAME_ORIGIN, "http://h.example/", InsecureRedirectError),
        (RedirectPolicy.USER_VERIFIED, "http://h.example/", "http://h.example/"),
    ],
)
def test_policies(policy: RedirectPolicy, location: str, expected: object) -> None:
    """NO_LESS_SAFE never goes from https to http, SAME_ORIGIN never elsewhere, and the user may allow both."""
    result = outcome(Request("https://h.example/", redirect_policy=policy), location)
    assert (str(result.url) if isinstance(result, Request) else result) == expected


def test_from_http_to_http() -> None:
    """NO_LESS_SAFE minds nothing where nothing was safe."""
    assert str(followed_to(Request(HERE), "http://other.example/").url) == "http://other.example/"


def test_verification() -> None:
    """Under USER_VERIFIED the application is asked about the absolute URL, and about nothing that is an error."""
    request = Request(HERE, redirect_policy=RedirectPolicy.USER_VERIFIED)
    step = decide(request, ResponseHead(303, headers={"Location": "x"}), followed=0, upgrade=as_it_is)
    assert isinstance(step, Verify)
    assert step.question == RedirectQuestion(303, URL("http://h.example/dir/x"))
    assert isinstance(step.allowed, Follow)


@pytest.mark.parametrize("policy", [policy for policy in RedirectPolicy if policy is not RedirectPolicy.MANUAL])
def test_limits(policy: RedirectPolicy) -> None:
    """N means that N redirects are followed and the next one fails; 0 means none (as in Qt)."""
    request = Request(HERE, max_redirects=2, redirect_policy=policy)
    assert isinstance(outcome(request, "/", followed=1), Request)
    assert outcome(request, "/", followed=2) is TooManyRedirectsError
    assert outcome(request.replace(max_redirects=0), "/") is TooManyRedirectsError


def test_upgrades_are_judged() -> None:
    """What counts is the URL that will be requested: an upgraded one is secure, and of the origin that it then has."""

    def upgrade(url: URL) -> URL:
        return url.with_scheme("https")

    request = Request("https://u:p@h.example/", redirect_policy=RedirectPolicy.SAME_ORIGIN)
    head = ResponseHead(302, headers={"Location": "http://h.example/x"})
    step = decide(request, head, followed=0, upgrade=upgrade)
    assert isinstance(step, Follow)
    assert step.redirected.url == step.request.url == URL("https://u:p@h.example/x")


def test_errors_hide_users() -> None:
    """No error shows the user and password of a URL, ours or theirs."""
    request = Request("https://us:secret@h.example/")
    for location in ("http://them:secret@other.example/", "http://them:secret@0x7.1/", "http://them:secret@:80/"):
        step = decide(request, ResponseHead(302, headers={"Location": location}), followed=0, upgrade=as_it_is)
        assert isinstance(step, Refuse)
        assert "secret" not in f"{step.error} {step.error.__cause__}"


def test_which_statuses_are_redirects() -> None:
    """300, 304, 305 and 306 are responses like others."""
    assert sorted(REDIRECTS) == [301, 302, 303, 307, 308]


NAMES = st.sampled_from(["Authorization", "cookie", "Host", "X-Key", "Accept", "Content-Type", "Content-Foo"])
HOSTS = st.sampled_from(["http://a/", "http://b/", "https://a/", "http://a:81/", "http://u:p@a/"])
REQUESTS = st.builds(
    Request,
    HOSTS,
    verb=st.sampled_from(["GET", "POST", "HEAD", "PATCH"]),
    operation=st.just(Operation.CUSTOM),
    headers=st.lists(st.tuples(NAMES, st.sampled_from(["x", "y"]))),
    sensitive_headers=st.just(["x-key"]),
)


@given(REQUESTS, HOSTS, st.sampled_from(sorted(REDIRECTS)))
def test_fields_keep_their_order(request: Request, there: str, status: int) -> None:
    """Fields are only taken off, never changed, added or moved; none if neither origin nor method changes."""
    following = next_request(request, status, make_url(there))
    rest = iter(request.headers.items())
    assert all(item in rest for item in following.headers.items())
    if origin(request.url) == origin(following.url) and request.verb == following.verb:
        assert following.headers == request.headers
