"""URLs: one URL is one host for every reader, and nobody's password is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply._model.urls import display, host_header, make_url, origin_form

AMBIGUOUS_HOSTS = [
    "exa mple.com",
    "ex%41mple.com",
    "a%2eb",
    "a..b",
    ".a",
    "h\\x",
    "[::1",
    "::1]",
    "[::1]x",
    "[::g]",
    "[v1.x]",
    "[1.2.3.4]",
    "::1",
    "a]b",
    "[::1%25]",
    "[::1%]",
    "[::1%25a%25b]",
    "[::1%25a/b]",
    "[]@",
    "a][@",
]
ODD_NUMBERS = [
    "1.2.3",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.1.",
    "1.2.3.4.5",
    "256.1.1.1",
    "a.0x",
    "a.1",
    "\u2460\u2461\u2462.\u2463",
]
BAD_PORTS = ["x", "-1", "+80", "8_0", "\uff18\uff10", "80:80", "65536", "99999"]


@pytest.mark.parametrize("host", AMBIGUOUS_HOSTS)
def test_ambiguous_hosts_are_refused(host: str) -> None:
    """A host that two readers could understand in two ways is refused."""
    with pytest.raises(ValueError, match=r"^url: "):
        make_url(f"http://{host}/")


@pytest.mark.parametrize("host", ODD_NUMBERS)
def test_odd_numbers_are_no_names(host: str) -> None:
    """A host that ends in a number is an IPv4 address in its usual spelling, or nothing."""
    with pytest.raises(ValueError, match=r"^url: .* IPv4"):
        make_url(f"http://{host}/")


@pytest.mark.parametrize("port", BAD_PORTS)
def test_ports_are_digits(port: str) -> None:
    """A port is ASCII digits up to 65535; what Python's ``int`` would also take is refused."""
    with pytest.raises(ValueError, match=r"^url: "):
        make_url(f"http://h:{port}/")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://EXAMPLE.com/", "example.com"),
        ("http://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://h\u3002com/", "h.com"),
        ("http://\u212aelvin/", "kelvin"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://127.0.0.\uff11/", "127.0.0.1"),
        ("http://a_b.c/", "a_b.c"),
        ("http://a.0x1g/", "a.0x1g"),
        ("http://root./", "root."),
        ("http://[::1]/", "::1"),
        ("http://[FE80::1%25Eth0]/", "fe80::1%Eth0"),
        ("http://[fe80::1%eth0]/", "fe80::1%eth0"),
        ("http://[fe80::1%257]/", "fe80::1%7"),
        ("http://user:p%40ss@h/", "h"),
        ("http://one@two@h/", "h"),
        ("http://h#@other/", "h"),
        ("http://h?@other/", "h"),
        ("/relative", None),
        ("", None),
        ("mailto:a@b", None),
        ("data:,x", None),
    ],
)
def test_host_as_it_is_dialled(text: str, host: str | None) -> None:
    """A clear host is normalised once: lower case, IDNA, and an IPv6 zone as the system calls write it."""
    url = make_url(text)
    assert url.raw_host == host
    assert make_url(url) == url == make_url(str(url))


@pytest.mark.parametrize(
    "text",
    ["http://a b/", "http://h/a b", "http://h/a\tb", "http://h/\n", "\x00http://h", "http://h/\x7f", " http://h"],
)
def test_spaces_and_controls_are_refused(text: str) -> None:
    """A space or a control character would end up in the request line, so it is refused anywhere."""
    with pytest.raises(ValueError, match=r"^url: .*control character"):
        make_url(text)


@given(st.characters(categories=["Cs"]))
def test_half_characters_are_refused(half: str) -> None:
    """A lone surrogate, which the parser would drop without a word, is refused."""
    for text in (f"http://h/{half}", f"data:,{half}"):
        with pytest.raises(ValueError, match=r"^url: "):
            make_url(text)


def test_data_urls_may_hold_spaces() -> None:
    """A data: URL goes nowhere, so the spaces that people write in it are kept; control characters are not."""
    assert str(make_url("DATA:text/plain,a b")) == "data:text/plain,a%20b"
    with pytest.raises(ValueError, match=r"^url: "):
        make_url("data:,a\nb")


@pytest.mark.parametrize("length", [63, 64])
def test_labels_have_a_longest_length(length: int) -> None:
    """Between two dots there are at most 63 characters."""
    url = f"http://{'a' * length}.example/"
    if length <= 63:
        assert make_url(url).raw_host == f"{'a' * length}.example"
    else:
        with pytest.raises(ValueError, match=r"^url: .*too long"):
            make_url(url)


@pytest.mark.parametrize("dot", ["", "."])
def test_names_have_a_longest_length(dot: str) -> None:
    """A name has at most 253 characters, the dot of the root not counted."""
    fits = ".".join(["a" * 62] * 4) + "a"
    assert make_url(f"http://{fits}{dot}/").raw_host == fits + dot
    with pytest.raises(ValueError, match=r"^url: .*too long"):
        make_url(f"http://{fits}a{dot}/")


def test_a_url_object_is_checked_too() -> None:
    """It does not matter whether text or a parsed URL is given; anything else is a TypeError that names the field."""
    with pytest.raises(ValueError, match=r"^base_url: "):
        make_url(URL("http://0x7f.1/"), field="base_url")
    with pytest.raises(ValueError, match=r"^url: "):
        make_url(URL("http://h/ x", encoded=True))
    assert make_url(URL("data:,a b", encoded=True)) == URL("data:,a b", encoded=True)
    assert make_url(URL("http://[fe80::1%25eth0]:81/")).raw_host == "fe80::1%eth0"
    wrong: object = b"http://h/"
    with pytest.raises(TypeError, match=r"^url: .*bytes"):
        make_url(wrong)  # type: ignore[arg-type]  # a wrong type is the point


@pytest.mark.parametrize("rest", ["exa mple.com/", "h:99999/", "[::1", "h\\/", "0x7f.1/", "h\uff03/"])
def test_refusals_hide_credentials(rest: str) -> None:
    """The error about an impossible URL, with its causes, never shows user name and password."""
    with pytest.raises(ValueError, match=r"^url: ") as caught:
        make_url(f"http://alice:hush@{rest}")
    assert caught.value.__cause__ is None
    assert "hush" not in str(caught.value)
    assert "alice" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["http://alice:hush@h/p?q#f", "http://alice@h/p?q#f", "http://:hush@h/p?q#f", "http://h/p?q#f"]
)
def test_display_hides_credentials(text: str) -> None:
    """A URL is shown to people without user name and password, and otherwise as it is."""
    assert display(make_url(text)) == "http://h/p?q#f"


@pytest.mark.parametrize(
    ("text", "target", "host"),
    [
        ("http://h", "/", "h"),
        ("http://h:80/a%20b?c=d#e", "/a%20b?c=d", "h"),
        ("http://h:8080?x", "/?x", "h:8080"),
        ("http://[::1]:81/", "/", "[::1]:81"),
        ("http://[fe80::1%25eth0]/", "/", "[fe80::1]"),
        ("http://u:p@h/\u00e4", "/%C3%A4", "h"),
        ("http:///path", "/path", ""),
    ],
)
def test_request_target_and_host_field(text: str, target: str, host: str) -> None:
    """The target is never empty and has no fragment; Host has no user, no zone and no default port."""
    url = make_url(text)
    assert origin_form(url) == target
    assert host_header(url) == host


@pytest.mark.parametrize("query", ["q=a%2Fb", "q=%7E&r=%5B1%5D", "filter[a]=1", "a+b=%20c", "sig=ab%2Bc%3D%3D"])
def test_a_query_goes_out_as_it_was_written(query: str) -> None:
    """What is a query already is not decoded and encoded again: it may be signed over its bytes."""
    url = make_url(f"http://user@host.test:8080/a/b?{query}#part")
    assert url.raw_query_string == query
    assert str(url) == f"http://user@host.test:8080/a/b?{query}#part"


@pytest.mark.parametrize(
    ("written", "sent"), [("q=\u00e4", "q=%C3%A4"), ("q={a}", "q=%7Ba%7D"), ("q=100%", "q=100%25")]
)
def test_a_query_that_is_none_yet_is_encoded(written: str, sent: str) -> None:
    """Characters that no query may hold are encoded."""
    assert make_url(f"http://host.test/?{written}").raw_query_string == sent


def test_a_backslash_before_the_path_is_refused() -> None:
    """Readers of URLs differ in where a host ends that has a backslash before it; none of them is right."""
    with pytest.raises(ValueError, match="backslashes"):
        make_url("http://good.example\\@other.example/")
