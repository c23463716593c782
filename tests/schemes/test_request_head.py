"""What is remembered of a request's head must never reach another one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioreply import Proxy, ProxyType, Request
from trioreply._model.headers import EMPTY, Headers, make_headers
from trioreply._model.request import with_headers
from trioreply._schemes.request_head import HeadComposer, compose_head

HEADERS: list[Headers] = [
    EMPTY,
    make_headers({"User-Agent": "a"}),
    make_headers({"User-Agent": "b", "Proxy-Authorization": "Basic x"}),
    make_headers({"Host": "other", "Content-Length": "0"}),
]
PROXIES = [
    None,
    Proxy(ProxyType.NONE),
    Proxy(ProxyType.HTTP, "p", 1, headers={"X-To-Proxy": "1"}),
    Proxy(ProxyType.HTTP, "q", 2),
    Proxy(ProxyType.SOCKS5, "s", 3),
]
URLS = ["http://h/", "http://h/path?query", "https://h/", "http://h:81/", "http://other/"]
REQUESTS = st.builds(
    lambda url, headers, proxy: with_headers(Request(url, proxy=proxy), headers),
    st.sampled_from(URLS),
    st.sampled_from(HEADERS[:3]),
    st.sampled_from(PROXIES),
)


@given(st.lists(REQUESTS, max_size=8))
def test_memory_changes_nothing(requests: list[Request]) -> None:
    """Whatever was sent before, a head is the one that a composer without memory makes."""
    composer = HeadComposer()
    for request in requests:
        assert composer.compose(request) == compose_head(request, None, has_body=False)


def test_the_same_fields_are_the_same_object() -> None:
    """Two requests that say the same share their fields, by which the codec knows them again; other words do not."""
    composer = HeadComposer()
    first, second = (composer.compose(with_headers(Request(f"http://h/{n}"), HEADERS[1])) for n in range(2))
    assert first.fields is second.fields
    assert (first.target, second.target) == ("/0", "/1")
    assert composer.compose(with_headers(Request("http://h/"), HEADERS[2])).fields is not first.fields


def test_the_memory_is_bounded() -> None:
    """Servers without end do not fill it, and are all served."""
    composer = HeadComposer()
    for number in range(200):
        head = composer.compose(with_headers(Request(f"http://h{number}/"), HEADERS[1]))
        assert (b"Host", b"h%d" % number) in head.fields
    assert len(composer) <= 64
