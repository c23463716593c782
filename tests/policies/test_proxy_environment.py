"""Proxies from the environment: what each variable means, and that none of it is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import Proxy, ProxyType
from trioreply._model.urls import make_url
from trioreply._policies.proxy_environment import EnvironmentProxies
from trioreply.errors import ProxyNotFoundError

A, B, C = "http://a.test:1", "http://b.test:2", "socks5h://c.test:3"


def chosen(environ: dict[str, str], url: str = "http://example.com/") -> list[str]:
    """What is used for ``url``, as text."""
    return [str(proxy) for proxy in EnvironmentProxies(environ).query(make_url(url))]


def goes_direct(no_proxy: str, host: str) -> bool:
    """Whether nothing stands between us and ``host`` in the face of ``no_proxy``."""
    return not chosen({"all_proxy": A, "no_proxy": no_proxy}, f"http://{host}/")


@pytest.mark.parametrize(
    ("environ", "url", "proxies"),
    [
        ({"http_proxy": A}, "http://h/", [A]),
        ({"http_proxy": A}, "https://h/", []),
        ({"https_proxy": A}, "http://h/", []),
        ({"https_proxy": A}, "https://h/", [A]),
        ({"HTTPS_PROXY": A}, "https://h/", [A]),
        ({"HTTP_PROXY": A}, "http://h/", [A]),
        ({"ALL_PROXY": C}, "https://h/", [C]),
        ({"all_proxy": C, "http_proxy": A}, "http://h/", [A]),
        ({"all_proxy": C, "http_proxy": A}, "https://h/", [C]),
        ({"all_proxy": C}, "ftp://h/", []),
        ({"all_proxy": C}, "data:,x", []),
        ({"http_proxy": A, "HTTP_PROXY": B}, "http://h/", [A]),
        ({"http_proxy": "", "HTTP_PROXY": B}, "http://h/", [B]),
        ({"http_proxy": " ", "all_proxy": C}, "http://h/", [C]),
        ({"http_proxy": f" {A}\n"}, "http://h/", [A]),
        ({"http_proxy": "a.test:1"}, "http://h/", [A]),
        ({"http_proxy": "direct://", "all_proxy": C, "no_proxy": "1/2"}, "http://h/", []),
        ({"http_proxy": A, "no_proxy": "h"}, "http://h/", []),
        ({"http_proxy": A, "NO_PROXY": "h"}, "http://h/", []),
        ({"http_proxy": A, "no_proxy": "g", "NO_PROXY": "h"}, "http://h/", [A]),
        ({"http_proxy": A, "no_proxy": "", "NO_PROXY": "h"}, "http://h/", []),
        ({}, "http://h/", []),
    ],
)
def test_which_variable_counts(environ: dict[str, str], url: str, proxies: list[str]) -> None:
    """The scheme's own variable, then the common one; lower case, then upper case; an empty one is none."""
    assert chosen(environ, url) == proxies


def test_a_proxy_with_all_it_says() -> None:
    """User and password of the variable come along."""
    environ = {"https_proxy": "socks5://me:hush@proxy.test"}
    (proxy,) = EnvironmentProxies(environ).query(URL("https://h/"))
    assert proxy == Proxy(ProxyType.SOCKS5, "proxy.test", user="me", password="hush")
    assert "hush" not in repr(EnvironmentProxies(environ).__dict__)


@pytest.mark.parametrize("environ", [{"HTTP_PROXY": A}, {"HTTP_PROXY": "nonsense://"}])
def test_a_client_of_a_cgi_program_chooses_no_proxy(environ: dict[str, str]) -> None:
    """Under CGI, HTTP_PROXY is a field of the request; only the name in lower case is the administrator's."""
    assert EnvironmentProxies({**environ, "REQUEST_METHOD": "GET"}).is_empty
    assert chosen({**environ, "REQUEST_METHOD": "GET", "http_proxy": B}) == [B]
    assert chosen({**environ, "REQUEST_METHOD": "GET", "HTTPS_PROXY": B}, "https://h") == [B]


@pytest.mark.parametrize("environ", [{}, {"no_proxy": "x/y"}, {"http_proxy": ""}, {"ftp_proxy": A}])
def test_an_environment_without_proxies_is_empty(environ: dict[str, str]) -> None:
    """It is known at once that there is nothing to ask, without reading anything."""
    assert EnvironmentProxies(environ).is_empty
    assert not EnvironmentProxies({**environ, "all_proxy": A}).is_empty


def test_the_environment_is_read_once() -> None:
    """What a program changes in its environment later makes no difference to a manager that is open."""
    environ = {"http_proxy": A, "no_proxy": "h"}
    proxies = EnvironmentProxies(environ)
    environ.update(http_proxy=B, no_proxy="")
    for _ in range(2):
        assert [str(proxy) for proxy in proxies.query(URL("http://g/"))] == [A]
        assert proxies.query(URL("http://h/")) == []


@pytest.mark.parametrize(
    ("no_proxy", "inside", "outside"),
    [
        ("*", ["h", "10.0.0.1", "[::1]", "h:8080"], []),
        ("a.test,*", ["h"], []),
        ("example.com", ["example.com", "a.b.example.com", "EXAMPLE.com.", "example.com:81"], ["xexample.com", "com"]),
        (".example.com", ["example.com", "www.example.com"], ["wwwexample.com", "example.com.au"]),
        ("*.Example.COM.", ["example.com", "www.example.com"], ["wwwexample.com"]),
        ("example.com:8080", ["example.com:8080", "www.example.com:8080"], ["example.com", "example.com:80"]),
        ("example.com:80", ["example.com"], ["example.com:8080"]),
        ("a:1,a:2", ["a:1", "a:2"], ["a:3"]),
        ("b\u00fccher.example", ["xn--bcher-kva.example", "www.b\u00fccher.example"], ["bucher.example"]),
        ("a , b\tc\n,,d", ["a", "b", "c", "d"], ["e"]),
        (",", [], ["a"]),
        ("my_host", ["my_host", "x.my_host"], ["my-host"]),
        ("10.0.0.1", ["10.0.0.1", "10.0.0.1:81", "[::ffff:10.0.0.1]"], ["10.0.0.10", "110.0.0.1", "h10.0.0.1.test"]),
        ("10.0.0.1.", ["10.0.0.1"], ["10.0.0.2"]),
        ("10.0.0.1:81", ["10.0.0.1:81"], ["10.0.0.1"]),
        ("::ffff:10.0.0.1", ["10.0.0.1", "[::ffff:a00:1]"], ["10.0.0.2", "[::1]"]),
        ("::1", ["[::1]", "[0:0::1]", "[::1]:81"], ["[::2]", "0.0.0.1"]),
        ("[::1]", ["[::1]", "[::1]:81"], ["[::2]"]),
        ("[::1]:81", ["[::1]:81"], ["[::1]"]),
        ("2001:DB8::1", ["[2001:db8::1]"], ["[2001:db8::2]"]),
        ("fe80::1", ["[fe80::1]", "[fe80::1%25eth0]"], ["[fe80::2%25eth0]"]),
        ("fe80::1%eth0", ["[fe80::1%25eth0]", "[fe80::1%25ETH0]"], ["[fe80::1]", "[fe80::1%25eth1]"]),
        ("fe80::1%ETH0", ["[fe80::1%25eth0]"], ["[fe80::1%25eth]"]),
        ("10.0.0.0/8", ["10.255.0.1", "10.0.0.1:81", "[::ffff:10.1.1.1]"], ["11.0.0.1", "[::a00:1]", "h"]),
        ("10.1.2.3/8", ["10.9.9.9"], ["9.1.2.3"]),
        ("0.0.0.0/0", ["1.2.3.4"], ["[::1]", "h"]),
        ("fe80::/10", ["[fe80::1]", "[febf::1%25eth0]"], ["[fec0::1]"]),
        ("::ffff:10.0.0.0/104", ["10.1.2.3"], ["11.1.2.3"]),
        ("::/0", ["[2001:db8::1]"], ["1.2.3.4", "h"]),
        ("1.test", ["1.test"], ["1.1.1.1"]),
        ("com", ["example.com"], ["example.org"]),
    ],
)
def test_to_whom_there_is_no_proxy(no_proxy: str, inside: list[str], outside: list[str]) -> None:
    """Each form of an entry is for these hosts and not for those."""
    assert [host for host in inside if not goes_direct(no_proxy, host)] == []
    assert [host for host in outside if goes_direct(no_proxy, host)] == []


def test_a_zone_may_be_encoded() -> None:
    """In a URL that nobody has normalised yet, the percent sign before a zone is encoded (RFC 6874)."""
    proxies = EnvironmentProxies({"http_proxy": A, "no_proxy": "fe80::1%eth0"})
    assert proxies.query(URL("http://[fe80::1%25eth0]/")) == []
    assert proxies.query(URL("http://[fe80::1%25eth1]/")) != []


NONSENSE = [
    "10.0.0.0/99", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/255.0.0.0", "10/8", "::/129", "[::]/8", "a/b", "/8",
    "10.0.0.0/8:80", "fe80::%eth0/64", "[::1", "::1]", "[::1]x", "[::1]:", "[::1]:0", "[a]", "[a]:80", "[10.0.0.1]",
    ":::", "h:port", "h:", ":80", "h:0", "h:65536", "h:80:90", "h:\u0663", "h:" + "9" * 5000, ".", "*.", "**",
    "*x.test", "a.*.b", "*:80", "..a", "a..b", "a;b", "a|b", "<local>", "a!b", "1.2.3", "0x7f.1", ".10.0.0.1",
    "*.[::1]", "10.0.0.1%eth0", "fe80::1%", "a%41", "http://a.test", "user@a.test", "\ud800", "\x00", "a\\b",
    "a" * 64,
]  # fmt: skip


@pytest.mark.parametrize("entry", NONSENSE)
def test_an_entry_that_makes_no_sense_is_an_error(entry: str) -> None:
    """It is not skipped, wherever it stands: it may be the one that keeps something off the proxy."""
    for no_proxy in (entry, f"a.test,{entry}", f"{entry} h"):
        proxies = EnvironmentProxies({"http_proxy": A, "NO_PROXY": no_proxy})
        for _ in range(2):
            with pytest.raises(ProxyNotFoundError, match=r"^No suitable proxy found: NO_PROXY: .*trust_env=False$"):
                proxies.query(URL("http://h/"))


def test_nonsense_that_does_not_matter() -> None:
    """Where no proxy would be used, nobody asks whom it is not for."""
    proxies = EnvironmentProxies({"https_proxy": A, "no_proxy": "1/2"})
    assert proxies.query(URL("http://h/")) == []
    with pytest.raises(ProxyNotFoundError):
        proxies.query(URL("https://h/"))
    assert chosen({"https_proxy": A, "all_proxy": "1/2"}, "https://h/") == [A]


@pytest.mark.parametrize("value", ["ftp://me:hush@h", "me:hush@h/path", "me:hush@h:x", "me:hush", "socks4://me:hush@h"])
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_that_makes_no_sense_is_an_error(name: str, value: str) -> None:
    """It is not skipped either, names the variable that is meant, and shows no password."""
    proxies = EnvironmentProxies({name: value, "no_proxy": "h"})
    for _ in range(2):
        with pytest.raises(ProxyNotFoundError, match=f"^No suitable proxy found: {name}: .*trust_env=False$") as caught:
            proxies.query(URL("http://h/"))
        assert "hush" not in str(caught.value)


def test_passwords_among_the_exceptions_are_not_shown() -> None:
    """Somebody may have pasted a whole URL there."""
    with pytest.raises(ProxyNotFoundError, match="no_proxy: an entry with an @ is no host name") as caught:
        goes_direct("http://me:hush@h", "h")
    assert "hush" not in str(caught.value)


@dataclass(frozen=True)
class Entry:
    """An entry of the model: what is written, and what it means as plain text or as bits."""

    text: str
    name: str = ""
    bits: str = ""
    port: int | None = None

    def covers(self, name: str, bits: str, port: int) -> bool:
        """Whether it is for this name, or for the address of these bits."""
        if self.port not in (None, port):
            return False
        if self.name:
            return name == self.name or name.endswith(f".{self.name}")
        return bool(bits) and bits.startswith(self.bits)


LABELS = st.sampled_from(["a", "b", "ab", "a-b", "x1"])
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
OCTETS = st.tuples(*[st.sampled_from([0, 1, 10, 127, 128, 255])] * 4)
PORTS = st.sampled_from([80, 81, 8080])


def dotted(octets: Sequence[int]) -> str:
    """An IPv4 address as text."""
    return ".".join(map(str, octets))


def as_bits(octets: Sequence[int]) -> str:
    """An IPv4 address as zeros and ones."""
    return "".join(f"{octet:08b}" for octet in octets)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Any entry for names, addresses or blocks."""
    octets = draw(OCTETS)
    if draw(st.booleans()):
        prefix = draw(st.integers(0, 32))
        return Entry(f"{dotted(octets)}/{prefix}", bits=f"4{as_bits(octets)[:prefix]}")
    port = draw(st.none() | PORTS)
    behind = "" if port is None else f":{port}"
    if draw(st.booleans()):
        return Entry(f"{dotted(octets)}{behind}", bits=f"4{as_bits(octets)}", port=port)
    name = draw(NAMES)
    before, dot = draw(st.sampled_from(["", ".", "*."])), draw(st.sampled_from(["", "."]))
    spelled = draw(st.sampled_from([name, name.upper(), name.title()]))
    return Entry(f"{before}{spelled}{dot}{behind}", name=name, port=port)


@given(
    st.lists(entries(), max_size=5),
    st.sampled_from([",", " ", ", ", "\t,\n"]),
    st.tuples(NAMES | OCTETS, PORTS, st.sampled_from(["{}", "[::ffff:{}]"])),
)
def test_exceptions_agree_with_a_simple_model(
    listed: list[Entry], separator: str, target: tuple[str | tuple[int, ...], int, str]
) -> None:
    """A host is excepted if and only if some entry is for it: names are compared by suffix, addresses by bits."""
    host, port, spelling = target
    if isinstance(host, str):
        name, bits, shown = host, "", host
    else:
        name, bits, shown = "", f"4{as_bits(host)}", spelling.format(dotted(host))
    expected = any(entry.covers(name, bits, port) for entry in listed)
    assert goes_direct(separator.join(entry.text for entry in listed), f"{shown}:{port}") is expected


@given(st.sampled_from(["http_proxy", "no_proxy"]), st.text() | st.text("a.:/*[]%@,1f 0-_"))
def test_any_text_is_understood_or_refused(name: str, text: str) -> None:
    """Whatever a variable holds, the answer is a list of at most one proxy, or a ProxyNotFoundError in its name."""
    proxies = EnvironmentProxies({"http_proxy": A, name: text})
    for url in ("http://a.test/", "http://10.0.0.1:81/", "http://[::1]/"):
        try:
            found = proxies.query(URL(url))
        except ProxyNotFoundError as error:
            assert str(error).startswith(f"No suitable proxy found: {name}: ")  # noqa: PT017 - a list is as good
        else:
            assert len(found) <= 1
