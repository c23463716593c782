"""Which proxies are tried, in which order, and what is told when none of them works."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import Proxy, ProxyType
from trioreply._model.proxies import ProxySource
from trioreply._policies.proxy_decide import (
    FAILURE_SECONDS,
    MAX_FAILURES,
    ProxyFailures,
    gave_up,
    suitable,
)
from trioreply.errors import (
    ConnectionRefusedError,
    ProxyAuthenticationRequiredError,
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ProxyNotFoundError,
    ProxyTimeoutError,
    ReplyError,
    UnknownProxyError,
)

DIRECT = Proxy(ProxyType.NONE)
HTTP = Proxy(ProxyType.HTTP, "http.test", 3128, "me", "hush")
CACHE = Proxy(ProxyType.HTTP_CACHING, "cache.test", 3128)
SOCKS = Proxy(ProxyType.SOCKS5H, "socks.test", 1080)


@pytest.mark.parametrize(
    ("proxies", "scheme", "fitting"),
    [
        ([CACHE, HTTP, SOCKS, DIRECT], "http", [CACHE, HTTP, SOCKS, DIRECT]),
        ([CACHE, HTTP, SOCKS, DIRECT], "https", [HTTP, SOCKS, DIRECT]),
        ([DIRECT], "https", [DIRECT]),
        ([], "http", []),
        ((), "https", []),
        (["socks5h://socks.test", URL("http://me:hush@http.test:3128")], "https", [SOCKS, HTTP]),
    ],
)
def test_suitable_proxies(proxies: Iterable[ProxySource], scheme: str, fitting: list[Proxy]) -> None:
    """A proxy that only forwards serves http: alone; the order is the factory's, and text is taken too."""
    assert suitable(proxies, scheme) == fitting
    assert suitable(iter(proxies), scheme) == fitting


def test_the_way_is_not_direct_for_want_of_a_proxy() -> None:
    """If there are proxies and none of them can do it, that is an error, and nothing goes out past them."""
    with pytest.raises(ProxyNotFoundError, match=r"^No suitable proxy found: http://cache.test:3128 cannot tunnel"):
        suitable([CACHE], "https")


@pytest.mark.parametrize(
    ("proxies", "error", "text"),
    [
        ([HTTP, Proxy()], ValueError, r"^proxy_factory: Proxy\(\) means the default"),
        (["ftp://me:hush@h"], ValueError, "^proxy_factory: its scheme is none of"),
        ([None], TypeError, "^proxy_factory: give a Proxy, a yarl.URL or a str, not NoneType"),
        (None, TypeError, r"^proxy_factory: query\(\) must give a list.*not NoneType"),
        ("http://me:hush@h", TypeError, r"^proxy_factory: query\(\) must give a list.*not str"),
        (URL("http://me:hush@h"), TypeError, r"^proxy_factory: query\(\) must give a list.*not URL"),
        (HTTP, TypeError, r"^proxy_factory: query\(\) must give a list.*not Proxy"),
    ],
)
def test_answers_that_are_no_lists_of_proxies(proxies: object, error: type[Exception], text: str) -> None:
    """What a factory says amiss is an error in its name that shows no password; nothing in it is passed over."""
    with pytest.raises(error, match=text) as caught:
        suitable(proxies, "http")  # type: ignore[arg-type]  # the point
    assert "hush" not in str(caught.value)


def test_those_that_failed_are_last() -> None:
    """A proxy that failed comes behind those that did not, until it works again; it is not left out."""
    failures = ProxyFailures()
    ways = [HTTP, CACHE, SOCKS, DIRECT]
    assert failures.ordered(ways, 0) == ways
    failures.failed(HTTP, 0)
    failures.failed(SOCKS, 0)
    assert failures.ordered(ways, 1) == [CACHE, DIRECT, HTTP, SOCKS]
    failures.worked(HTTP)
    assert failures.ordered(ways, 1) == [HTTP, CACHE, DIRECT, SOCKS]
    failures.worked(SOCKS)
    failures.worked(SOCKS)
    assert failures.ordered(ways, 1) == ways


def test_failures_are_forgotten() -> None:
    """After five minutes a proxy has its place again; failing anew begins them anew."""
    failures = ProxyFailures()
    failures.failed(HTTP, 0)
    failures.failed(SOCKS, 10)
    failures.failed(HTTP, 20)
    assert failures.ordered([HTTP, SOCKS, DIRECT], FAILURE_SECONDS) == [DIRECT, HTTP, SOCKS]
    assert failures.ordered([HTTP, SOCKS, DIRECT], FAILURE_SECONDS + 10) == [SOCKS, DIRECT, HTTP]
    assert failures.ordered([HTTP, SOCKS, DIRECT], FAILURE_SECONDS + 20) == [HTTP, SOCKS, DIRECT]
    assert not len(failures)


def test_a_failure_belongs_to_a_place() -> None:
    """Who asks makes no difference to whether a proxy is in order; where it is and how it is reached does."""
    failures = ProxyFailures()
    failures.failed(HTTP, 0)
    stranger = Proxy(ProxyType.HTTP, "http.test", 3128, "you", "other")
    others = [
        Proxy(ProxyType.HTTP_CACHING, "http.test", 3128),
        Proxy(ProxyType.HTTP, "other.test", 3128),
        Proxy(ProxyType.HTTP, "http.test", 3129),
        Proxy(ProxyType.HTTP, "http.test", 3128, via=SOCKS),
    ]
    assert failures.ordered([stranger, *others], 1) == [*others, stranger]
    failures.failed(Proxy(ProxyType.HTTP, "http.test", 3128, via=SOCKS), 1)
    assert failures.ordered([others[-1], DIRECT], 1) == [DIRECT, others[-1]]


def test_memory_of_failures_is_bounded() -> None:
    """A factory that makes proxies up fills no memory: the oldest failure is forgotten first."""
    failures = ProxyFailures()
    many = [Proxy(ProxyType.HTTP, "h", port) for port in range(1, MAX_FAILURES + 2)]
    for proxy in many:
        failures.failed(proxy, 0)
    failures.failed(many[1], 0)
    assert len(failures) == MAX_FAILURES
    assert failures.ordered([many[1], many[0]], 0) == [many[0], many[1]]


@given(st.lists(st.tuples(st.sampled_from("fwo"), st.integers(0, 4), st.integers(0, 200))))
def test_order_agrees_with_a_simple_model(steps: list[tuple[str, int, int]]) -> None:
    """Whatever happened, all proxies are tried, in their order but for those that failed in the last five minutes."""
    ways = [Proxy(ProxyType.SOCKS5, f"p{number}") for number in range(5)]
    failures = ProxyFailures()
    since: dict[Proxy, float] = {}
    now = 0.0
    for action, index, seconds in steps:
        now += seconds
        if action == "f":
            failures.failed(ways[index], now)
            since[ways[index]] = now
        elif action == "w":
            failures.worked(ways[index])
            since.pop(ways[index], None)
        bad = [way for way in ways if way in since and now < since[way] + FAILURE_SECONDS]
        assert failures.ordered(ways, now) == [way for way in ways if way not in bad] + bad


def test_one_error_remains_itself() -> None:
    """With only one proxy there is nothing to sum up."""
    error = ProxyTimeoutError("too slow")
    assert gave_up([(HTTP, error)]) is error


def test_all_have_failed() -> None:
    """The summary is of the most telling kind, tells what each proxy did, shows no secret, and has a cause."""
    missing, refused, strange = ProxyNotFoundError("lost"), ProxyConnectionRefusedError("no"), UnknownProxyError("?")
    strange.resendable = True
    error = gave_up([(HTTP, missing), (SOCKS, strange), (CACHE, refused)])
    assert type(error) is UnknownProxyError
    assert str(error) == (
        "None of 3 ways worked: http://http.test:3128: lost; socks5h://socks.test:1080: ?; http://cache.test:3128: no"
    )
    assert error.__cause__ is strange
    assert error.resendable


@pytest.mark.parametrize(
    ("order", "telling"),
    [
        ([ProxyNotFoundError, ProxyTimeoutError], ProxyTimeoutError),
        ([ProxyConnectionRefusedError, ProxyTimeoutError], ProxyConnectionRefusedError),
        ([ProxyConnectionRefusedError, ProxyConnectionClosedError], ProxyConnectionClosedError),
        ([UnknownProxyError, ConnectionRefusedError], ConnectionRefusedError),
        ([UnknownProxyError, ProxyAuthenticationRequiredError], ProxyAuthenticationRequiredError),
    ],
)
def test_the_further_we_came_the_more_it_tells(order: list[type[ReplyError]], telling: type[ReplyError]) -> None:
    """What a server did tells more than what a proxy did, and a proxy that answered more than one that did not."""
    for kinds in (order, order[::-1]):
        assert type(gave_up([(HTTP, kind("x")) for kind in kinds])) is telling
