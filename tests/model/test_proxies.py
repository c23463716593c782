"""Proxies as values: what cannot be is refused at once, what is equal leads to the same place, and nothing is told."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import Proxy, ProxyType, SslConfiguration, VerifyMode
from trioreply._model.proxies import MAX_CHAIN, make_proxy
from trioreply._model.securing import check_ssl
from trioreply._model.ssl_configuration import DEFAULT_CONFIGURATION

HTTP = ProxyType.HTTP
SOCKS = (ProxyType.SOCKS5, ProxyType.SOCKS5H, ProxyType.SOCKS4, ProxyType.SOCKS4A)
EVERY = {*ProxyType}


def test_what_each_type_can_do() -> None:
    """Qt's capabilities: who forwards, who tunnels, and who is given names instead of addresses."""
    forwards = {HTTP, ProxyType.HTTP_CACHING}
    assert {kind for kind in EVERY if kind.can_forward} == forwards
    assert {kind for kind in EVERY if kind.can_tunnel} == {HTTP, *SOCKS}
    assert {kind for kind in EVERY if kind.is_socks} == {*SOCKS}
    assert {kind for kind in EVERY if kind.resolves_names} == {*forwards, ProxyType.SOCKS5H, ProxyType.SOCKS4A}


@pytest.mark.parametrize("kind", [HTTP, ProxyType.HTTP_CACHING, *SOCKS])
def test_what_is_forwarded(kind: ProxyType) -> None:
    """A proxy that forwards sees requests for http:, and no others; for SOCKS all are the same."""
    assert Proxy(kind, "h").forwards("http") is kind.can_forward
    assert not Proxy(kind, "h").forwards("https")


@pytest.mark.parametrize(
    ("proxy", "port", "text"),
    [
        (Proxy(HTTP, "proxy.test"), 80, "http://proxy.test:80"),
        (Proxy(HTTP, "proxy.test", tls=DEFAULT_CONFIGURATION), 443, "https://proxy.test:443"),
        (Proxy(ProxyType.HTTP_CACHING, "proxy.test", 3128), 3128, "http://proxy.test:3128"),
        (Proxy(ProxyType.SOCKS5H, "proxy.test", user="me"), 1080, "socks5h://proxy.test:1080"),
        (Proxy(ProxyType.SOCKS4, "[::1]", 65535), 65535, "socks4://[::1]:65535"),
        (Proxy(HTTP, "b", 1, via=Proxy(ProxyType.SOCKS5, "a", 2)), 1, "http://b:1 via socks5://a:2"),
        (Proxy(ProxyType.NONE), 0, "no proxy"),
        (Proxy(), 0, "the default proxy"),
    ],
)
def test_how_a_proxy_is_shown(proxy: Proxy, port: int, text: str) -> None:
    """A proxy is shown as a URL without its user; a port that was left out is the usual one of its kind."""
    assert proxy.port == port
    assert str(proxy) == text


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("Proxy.TEST", "proxy.test"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[FE80::1%25eth0]", "fe80::1%eth0"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_hosts_have_one_form(given: str, host: str) -> None:
    """However a host is spelled, equal ones are one: in lower case, in ASCII, and without brackets."""
    assert Proxy(HTTP, given) == Proxy(HTTP, host)
    assert Proxy(HTTP, given).host == host


@pytest.mark.parametrize(
    "host",
    ["exa mple", "a/b", "h:80", "h?", "h#", "[a]", "[::1", "::g", "1.2.3", "a..b", "h\\x", "a\uff0fb", "%41", "\ud800"],
)
def test_impossible_hosts(host: str) -> None:
    """What is not clearly one host is refused, by the rules for URLs."""
    with pytest.raises(ValueError, match=r"^host: "):
        Proxy(HTTP, host)


def test_a_host_with_a_user_is_not_shown() -> None:
    """A password that got into the host is refused there, and not repeated."""
    with pytest.raises(ValueError, match=r"^host: it holds an @") as caught:
        Proxy(HTTP, "me:hush@proxy.test")
    assert "hush" not in str(caught.value)


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({"type": HTTP}, "host: a proxy needs one"),
    ({"type": HTTP, "host": "h", "port": 65536}, "port: 65536 is none"),
    ({"type": HTTP, "host": "h", "port": -1}, "port: -1 is none"),
    ({"type": HTTP, "host": "h", "password": "hush"}, "password: it is of no use without a user"),
    ({"type": HTTP, "host": "h", "user": "a:hush"}, "user: it holds a colon"),
    ({"type": HTTP, "host": "h", "user": "hush\r\n"}, "user: it holds a control character"),
    ({"type": ProxyType.SOCKS5, "host": "h", "user": "u", "password": "hush\x00"}, "password: it holds a control"),
    ({"type": ProxyType.SOCKS5, "host": "h", "user": "u", "password": "hush\ud800"}, "password: it holds a control"),
    ({"type": ProxyType.SOCKS4, "host": "h", "user": "u", "password": "hush"}, "password: SOCKS4 has user names only"),
    ({"type": ProxyType.SOCKS4A, "host": "h", "user": "u", "password": ""}, "password: SOCKS4 has user names only"),
    ({"type": ProxyType.SOCKS5, "host": "h", "headers": {"a": "hush"}}, "headers: a Proxy of type SOCKS5 has none"),
    ({"type": ProxyType.SOCKS5, "host": "h", "tls": DEFAULT_CONFIGURATION}, "tls: a Proxy of type SOCKS5 has none"),
    ({"type": HTTP, "host": "h", "headers": {"a b": "hush"}}, "headers: 'a b' is not a field name"),
    ({"type": HTTP, "host": "h", "headers": {"host": "hush"}}, "headers: host follows from each request"),
    ({"type": HTTP, "host": "h", "headers": [("Content-Length", "1")]}, "headers: Content-Length follows"),
    ({"type": HTTP, "host": "h", "headers": [("Transfer-Encoding", "x")]}, "headers: Transfer-Encoding follows"),
    ({"type": HTTP, "host": "h", "headers": [("Connection", "close")]}, "headers: Connection follows"),
    ({"type": HTTP, "host": "h", "tls": SslConfiguration(verify=VerifyMode.QUERY)}, "tls: VerifyMode.QUERY"),
    ({"type": HTTP, "host": "h", "via": Proxy()}, "via: a Proxy of type DEFAULT opens no tunnel"),
    ({"type": HTTP, "host": "h", "via": Proxy(ProxyType.NONE)}, "via: a Proxy of type NONE opens no tunnel"),
    ({"type": HTTP, "host": "h", "via": Proxy(ProxyType.HTTP_CACHING, "c")}, "via: a Proxy of type HTTP_CACHING opens"),
    ({"type": ProxyType.NONE, "host": "h"}, "host: a Proxy of type NONE has none"),
    ({"port": 80}, "port: a Proxy of type DEFAULT has none"),
    ({"user": ""}, "user: a Proxy of type DEFAULT has none"),
    ({"password": "hush"}, "password: a Proxy of type DEFAULT has none"),
    ({"headers": {"a": "hush"}}, "headers: a Proxy of type DEFAULT has none"),
    ({"tls": DEFAULT_CONFIGURATION}, "tls: a Proxy of type DEFAULT has none"),
    ({"via": Proxy(HTTP, "h")}, "via: a Proxy of type DEFAULT has none"),
]


@pytest.mark.parametrize(("fields", "text"), IMPOSSIBLE)
def test_impossible_proxies(fields: Mapping[str, object], text: str) -> None:
    """What cannot be, or does not fit the type, is refused with the field's name, and no secret is repeated."""
    with pytest.raises(ValueError, match=f"^{text}") as caught:
        Proxy(**fields)  # type: ignore[arg-type]  # the point
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"type": "http"}, "type: 'http' is no member"),
        ({"host": None}, "host: give a str"),
        ({"host": "h", "port": "80"}, "port: give an int"),
        ({"host": "h", "port": True}, "port: give an int"),
        ({"host": "h", "user": b"u"}, "user: give a str"),
        ({"host": "h", "user": "u", "password": b"hush"}, "password: give a str"),
        ({"host": "h", "headers": 1}, "headers: give a mapping"),
        ({"host": "h", "headers": "hush"}, "headers: give pairs"),
        ({"host": "h", "tls": True}, "tls: give a SslConfiguration"),
        ({"host": "h", "via": "http://me:hush@h"}, "via: give a Proxy"),
    ],
)
def test_values_of_the_wrong_type(fields: dict[str, object], text: str) -> None:
    """A value of the wrong type is refused with the field's name, and no secret is repeated."""
    with pytest.raises(TypeError, match=f"^{text}") as caught:
        Proxy(**{"type": HTTP, **fields})  # type: ignore[arg-type]  # the point
    assert "hush" not in str(caught.value)


def test_chains_end() -> None:
    """A chain of eight proxies can be made, and no longer one."""
    chain = Proxy(HTTP, "first")
    for number in range(MAX_CHAIN - 1):
        chain = Proxy(ProxyType.SOCKS5, f"p{number}", via=chain)
    assert str(chain).count(" via ") == MAX_CHAIN - 1
    with pytest.raises(ValueError, match=r"^via: more than 8 proxies"):
        Proxy(ProxyType.SOCKS5, "last", via=chain)


def test_proxies_are_keys() -> None:
    """All that another proxy, another user of it or another way to it may be is told apart; nothing else is."""
    first = Proxy(HTTP, "h", 80, "u", "p", {"X-Team": "a"})
    assert first == Proxy(HTTP, "H", 0, "u", "p", [("X-Team", b"a")])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    others = [
        attrs.evolve(first, type=ProxyType.HTTP_CACHING),
        attrs.evolve(first, host="g"),
        attrs.evolve(first, port=81),
        attrs.evolve(first, user="v"),
        attrs.evolve(first, password="q"),
        attrs.evolve(first, headers=()),
        attrs.evolve(first, tls=context),
        attrs.evolve(first, tls=DEFAULT_CONFIGURATION),
        attrs.evolve(first, via=Proxy(HTTP, "h")),
    ]
    assert len({first, Proxy(HTTP, "h", 80, "u", "p", {"X-Team": "a"}), *others}) == 1 + len(others)


def test_secrets_are_not_shown() -> None:
    """Neither a password nor the value of a field is in what a log may hold; names and the user are."""
    proxy = Proxy(HTTP, "h", user="me", password="hush", headers={"Proxy-Authorization": "Bearer hush"})
    assert "hush" not in f"{proxy!r} {proxy}"
    assert "<Proxy-Authorization>" in repr(proxy)
    assert proxy.headers == (("Proxy-Authorization", "Bearer hush"),)


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.test:3128", Proxy(HTTP, "proxy.test", 3128)),
        ("http://proxy.test", Proxy(HTTP, "proxy.test", 80)),
        ("HTTP://proxy.test/", Proxy(HTTP, "proxy.test", 80)),
        ("https://proxy.test", Proxy(HTTP, "proxy.test", 443, tls=DEFAULT_CONFIGURATION)),
        ("proxy.test:3128", Proxy(HTTP, "proxy.test", 3128)),
        ("proxy.test", Proxy(HTTP, "proxy.test", 80)),
        ("u:p@proxy.test", Proxy(HTTP, "proxy.test", 80, "u", "p")),
        ("[::1]:3128", Proxy(HTTP, "::1", 3128)),
        ("http://[fe80::1%25eth0]", Proxy(HTTP, "fe80::1%eth0")),
        ("socks://proxy.test", Proxy(ProxyType.SOCKS5, "proxy.test")),
        ("socks5://u@proxy.test", Proxy(ProxyType.SOCKS5, "proxy.test", user="u")),
        ("socks5h://a%3Ab:%40%2F%25@proxy.test:9", Proxy(ProxyType.SOCKS5H, "proxy.test", 9, "a:b", "@/%")),
        ("socks4://u@10.0.0.1", Proxy(ProxyType.SOCKS4, "10.0.0.1", user="u")),
        ("socks4a://proxy.test", Proxy(ProxyType.SOCKS4A, "proxy.test")),
        ("http://:p@proxy.test", Proxy(HTTP, "proxy.test", 80, "", "p")),
        ("http://u:@proxy.test", Proxy(HTTP, "proxy.test", 80, "u", "")),
        ("http://b\u00fccher.example", Proxy(HTTP, "xn--bcher-kva.example")),
        ("direct://", Proxy(ProxyType.NONE)),
    ],
)
def test_proxies_from_text(text: str, proxy: Proxy) -> None:
    """The scheme of a URL says how the proxy is spoken to, none means HTTP; user and password come decoded."""
    assert make_proxy(text) == proxy
    if "://" in text:
        assert make_proxy(URL(text)) == proxy


def test_what_is_one_already_remains() -> None:
    """A Proxy is given back as it is, and so is None."""
    proxy = Proxy(ProxyType.SOCKS5, "h")
    assert make_proxy(proxy) is proxy
    assert make_proxy(None) is None


NONSENSE = [
    ("", "there is no host"),
    ("http://", "there is no host"),
    ("ftp://me:hush@h", "its scheme is none of http, https, socks"),
    ("me:hush://h", "its scheme is none of"),
    ("http://me:hush@h/path", "there is more behind the host"),
    ("me:hush@h?x", "there is more behind the host"),
    ("me:hush@h#x", "there is more behind the host"),
    ("direct://me:hush@h", "direct:// means no proxy"),
    ("me:hush@h:0", "port 0 is none"),
    ("me:hush@h:99999", "it is no URL"),
    ("me:hush", "it is no URL"),
    ("me:hu/hush@h", "it is no URL"),
    ("me:hush@", "it is no URL"),
    ("me:][hush@", "it is no URL"),
    ("me:hush@a b", "it is no URL"),
    ("me:hush@1.2.3", "it is no URL"),
    ("me:hush@h\n", "it is no URL"),
    ("socks5:hush:80", "it is no URL"),
    ("me%3Ahush@h", "user: it holds a colon"),
    ("me:hush%0A@h", "password: it holds a control character"),
    ("me:hush%FF@h", "user and password are not UTF-8"),
    ("socks4://me:hush@h", "password: SOCKS4 has user names only"),
]


@pytest.mark.parametrize(("value", "text"), NONSENSE)
def test_text_that_names_no_proxy(value: str, text: str) -> None:
    """What is no proxy is refused in the name of where it was found; neither user nor password nor a cause is shown."""
    with pytest.raises(ValueError, match=f"^HTTP_PROXY: {text}") as caught:
        make_proxy(value, field="HTTP_PROXY")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "hush" not in str(caught.value)


def test_a_url_without_slashes_is_not_shown() -> None:
    """A parsed URL whose scheme is really a user name is refused without it."""
    with pytest.raises(ValueError, match=r"^proxy: its scheme is none of ") as caught:
        make_proxy(URL("hush:pw@h"))
    assert "hush" not in str(caught.value)


def test_other_things_are_no_proxies() -> None:
    """Bytes, or anything else, are refused without being shown."""
    wrong: object = b"http://me:hush@h"
    with pytest.raises(TypeError, match=r"^proxy: give a Proxy, a yarl.URL or a str, not bytes$"):
        make_proxy(wrong)  # type: ignore[arg-type]  # the point


@given(st.text(), st.sampled_from(["", "http://", "socks5://", "https://u:p@"]))
def test_any_text_is_a_proxy_or_refused(text: str, prefix: str) -> None:
    """Whatever the text, there is a proxy that its own URL leads to again, or a ValueError with the field's name."""
    try:
        proxy = make_proxy(prefix + text)
    except ValueError as error:
        assert str(error).startswith("proxy: ")  # noqa: PT017 - a proxy is as good
    else:
        assert proxy is not None
        bare = attrs.evolve(proxy, user=None, password=None)
        assert bare == (bare if proxy.type is ProxyType.NONE else make_proxy(str(proxy)))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_credentials_survive_a_url(user: str, password: str) -> None:
    """A user and a password that can be sent come out of a URL as they went in."""
    url = URL.build(scheme="socks5", host="h", user=user, password=password)
    proxy = make_proxy(url)
    assert proxy is not None
    if user or password:
        assert (proxy.user, proxy.password or "") == (user, password)


def test_how_a_connection_may_be_secured() -> None:
    """A configuration and anything that can do what a context can are taken; all else is refused by name."""
    check_ssl(DEFAULT_CONFIGURATION)
    check_ssl(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(TypeError, match=r"^ssl: give a SslConfiguration or a ssl.SSLContext, not False"):
        check_ssl(False)
