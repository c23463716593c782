"""The options about proxies, names, addresses, sockets and connections, as arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from yarl import URL

from trioreply import (
    Operation,
    Proxy,
    ProxyNotFoundError,
    ProxyType,
    Request,
    SocketStartedConnecting,
    SslConfiguration,
    VerifyMode,
)
from trioreply._cli.args import Fetch, parse
from trioreply._cli.exits import CommandError, Exit
from trioreply._cli.network_options import Network

HTTP, HTTPS = "http://h.test/p", "https://h.test/p"
PROXY = "http://proxy.test:3128"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
SECRET = "sesame"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing about proxies, to be changed."""
    for name in (*VARIABLES, *map(str.upper, VARIABLES), "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def fetch(*argv: str) -> Fetch:
    """What ``argv`` asks to be fetched."""
    command = parse([*argv, HTTP])
    assert isinstance(command, Fetch)
    return command


def network(*argv: str) -> Network:
    """What ``argv`` says about the way."""
    return fetch(*argv).network


def chosen(*argv: str) -> Proxy:
    """The proxy that ``argv`` names."""
    proxy = network(*argv).ways.chosen
    assert proxy is not None
    return proxy


def ways(found: Network) -> list[str]:
    """The proxies for a plain URL, and those for a secure one."""
    return [str(proxy) for url in (HTTP, HTTPS) for proxy in found.ways.query(URL(url))]


def test_nothing_said_is_the_library_s_way() -> None:
    """Without options there is no proxy, names and connections are the library's own business, and so is the host."""
    found = network()
    assert ways(found) == []
    assert list(found.config()) == ["proxy_factory"]
    assert fetch().request.local_server_name is None
    assert (found.asks_password, found.has_credentials, found.user) == (False, False, "")


@pytest.mark.parametrize(
    ("argv", "variables", "expected"),
    [
        ([], {"http_proxy": "a.test"}, ["http://a.test:80"]),
        ([], {"all_proxy": "socks5h://s.test", "no_proxy": "h.test:80"}, ["socks5h://s.test:1080"]),
        (["-x", PROXY], {}, [PROXY, PROXY]),
        (["--proxy", "proxy.test:3128"], {"http_proxy": "a.test", "https_proxy": "b.test"}, [PROXY, PROXY]),
        (["-x", PROXY], {"no_proxy": "test"}, []),
        (["-x", PROXY], {"NO_PROXY": "h.test:443"}, [PROXY]),
        (["-x", PROXY, "--noproxy", ""], {"no_proxy": "test", "NO_PROXY": "*"}, [PROXY, PROXY]),
        (["-x", PROXY, "--noproxy", "other, 10.0.0.0/8"], {"no_proxy": "*"}, [PROXY, PROXY]),
        (["-x", PROXY, "--noproxy", "10.0.0.0/8,.test:443"], {}, [PROXY]),
        (["-x", PROXY, "--noproxy", " * "], {}, []),
        (["--noproxy", "h.test"], {"all_proxy": "a.test"}, []),
        (["--noproxy", "h.test:80"], {"all_proxy": "a.test", "no_proxy": "*"}, ["http://a.test:80"]),
        (["--noproxy", ""], {"http_proxy": "a.test", "NO_PROXY": "*"}, ["http://a.test:80"]),
        (["--noproxy", "*"], {"all_proxy": "no:sense"}, []),
        (["-x", ""], {"all_proxy": "a.test"}, []),
        (["-x", "direct://", "--noproxy", "x"], {"all_proxy": "no:sense"}, []),
    ],
)
def test_who_goes_through_which_proxy(
    environment: pytest.MonkeyPatch, *, argv: list[str], variables: dict[str, str], expected: list[str]
) -> None:
    """What was typed counts before the environment; ``no_proxy`` counts for both, and ``--noproxy`` in its place."""
    for name, text in variables.items():
        environment.setenv(name, text)
    assert ways(network(*argv)) == expected


def test_nonsense_in_the_environment_is_an_error_when_it_is_needed(environment: pytest.MonkeyPatch) -> None:
    """A variable that makes no sense never means that a proxy is left out."""
    environment.setenv("no_proxy", "???")
    with pytest.raises(ProxyNotFoundError, match="no_proxy"):
        ways(network("-x", PROXY))
    assert ways(network("-x", PROXY, "--noproxy", "")) == [PROXY, PROXY]


@pytest.mark.parametrize(
    ("argv", "proxy"),
    [
        (["-x", "https://p.test"], Proxy(ProxyType.HTTP, "p.test", 443, tls=SslConfiguration())),
        (["-x", "http://me:a%20b@p.test"], Proxy(ProxyType.HTTP, "p.test", 80, "me", "a b")),
        (["-x", "p.test", "-U", "me:a:b"], Proxy(ProxyType.HTTP, "p.test", 80, "me", "a:b")),
        (["-x", "p.test", "--proxy-user", "me:"], Proxy(ProxyType.HTTP, "p.test", 80, "me", "")),
        (["-x", "socks4://p.test", "-U", "me"], Proxy(ProxyType.SOCKS4, "p.test", 1080, "me")),
        (
            ["-x", "p.test", "--proxy-header", "A: 1:2", "--proxy-header", "a:3"],
            Proxy(ProxyType.HTTP, "p.test", 80, headers=[("A", "1:2"), ("a", "3")]),
        ),
        (
            ["-x", "p.test", "--preproxy", "socks5://me:x@s.test:9"],
            Proxy(ProxyType.HTTP, "p.test", 80, via=Proxy(ProxyType.SOCKS5, "s.test", 9, "me", "x")),
        ),
        (
            ["-x", "https://p.test", "--proxy-insecure"],
            Proxy(ProxyType.HTTP, "p.test", tls=SslConfiguration(verify=VerifyMode.NONE)),
        ),
        (
            ["-x", "https://p.test", "--proxy-cacert", __file__, "--preproxy", "http://q.test"],
            Proxy(
                ProxyType.HTTP,
                "p.test",
                tls=SslConfiguration(ca_certificates=[Path(__file__)]),
                via=Proxy(ProxyType.HTTP, "q.test"),
            ),
        ),
        (
            ["-x", "p.test", "--proxy-cacert", __file__, "--preproxy", "https://q.test"],
            Proxy(
                ProxyType.HTTP,
                "p.test",
                via=Proxy(ProxyType.HTTP, "q.test", tls=SslConfiguration(ca_certificates=[Path(__file__)])),
            ),
        ),
    ],
)
def test_what_is_said_about_a_proxy(argv: list[str], proxy: Proxy) -> None:
    """URL, user, fields, certificates and the proxy before it become one proxy."""
    assert chosen(*argv) == proxy


@pytest.mark.parametrize(
    ("argv", "asks", "has"),
    [
        ([], False, False),
        (["-U", "me"], True, False),
        (["-U", "me:"], False, True),
        (["--proxy-header", "proxy-authorization: Bearer x"], False, True),
        (["--proxy-header", "x: y"], False, False),
    ],
)
def test_which_credentials_are_missing(argv: list[str], asks: bool, has: bool) -> None:
    """A password that was left out is to be asked for; who has said everything is asked nothing more."""
    found = network("-x", "p.test", *argv)
    assert (found.asks_password, found.has_credentials) == (asks, has)
    assert network("-x", "http://me:x@p.test").has_credentials
    assert not network("-x", "http://me@p.test").has_credentials
    assert not network("-x", "socks4a://p.test", "-U", "me").asks_password  # there are none in that protocol


def test_password_that_was_typed_later() -> None:
    """The password completes the proxy; one that cannot be sent is refused in the words of the option."""
    found = network("-x", "p.test", "-U", "me")
    assert found.user == "me"
    assert found.with_password("x y").ways.chosen == Proxy(ProxyType.HTTP, "p.test", 80, "me", "x y")
    with pytest.raises(ValueError, match=r"^-U/--proxy-user: it holds a control character") as caught:
        found.with_password(f"open\n{SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["-4"], "SystemResolver(ip_version=4)"),
        (["--ipv6"], "SystemResolver(ip_version=6)"),
        (["--resolve", "a:1:::1", "--resolve", "[::1]:2:[::2],1.2.3.4"], "<CachingResolver of SystemResolver(): 0 of"),
        (["-6", "--resolve", "a:1:::1"], "<CachingResolver of SystemResolver(ip_version=6): 0 of"),
    ],
)
def test_who_looks_names_up(argv: list[str], shown: str) -> None:
    """Addresses are of the version that is wanted, and known ones are not looked up."""
    resolver = network(*argv).config()["resolver"]
    assert repr(resolver).startswith(shown)


def test_numbers_are_still_values() -> None:
    """That ``-4`` is an option does not make one of every negative number."""
    assert fetch("-4", "-d", "-5").request == Request(HTTP, operation=Operation.POST, body=b"-5")


async def test_resolve() -> None:
    """``--resolve`` gives addresses for a host, or for all hosts, at one port."""
    resolver = network("--resolve", "H.test:80:[::2],1.2.3.4", "--resolve", "*:81:1.1.1.1").config()["resolver"]
    assert await resolver.resolve("h.test", 80) == ("::2", "1.2.3.4")
    assert await resolver.resolve("any", 81) == ("1.1.1.1",)


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--interface", "127.0.0.1"], "local_address='127.0.0.1', keep_alive=KeepAlive(idle=60, interval=10"),
        (["--keepalive-time", "7"], "local_address=None, keep_alive=KeepAlive(idle=7, interval=7, probes=5)"),
        (["--no-keepalive", "--interface", "::1"], "local_address='::1', keep_alive=None"),
    ],
)
def test_who_connects(argv: list[str], shown: str) -> None:
    """Where connections start and when silence is questioned is up to the options, each by itself."""
    assert repr(network(*argv).config()["dialer"]).startswith(f"TcpDialer({shown}")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an address must be given")
def test_interface_by_name() -> None:
    """On Linux an interface has a name."""
    assert "local_address='lo'" in repr(network("--interface", "lo").dialer)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["--unix-socket", "/run/s"], "/run/s"),
        (["--unix-socket", "@s"], os.path.join(os.getcwd(), "@s")),  # noqa: PTH109, PTH118 - as the system has it
        (["--abstract-unix-socket", "s"], "@s"),
    ],
)
def test_sockets(argv: list[str], name: str) -> None:
    """A path is one from where we are, as in curl; an abstract name is one."""
    assert fetch(*argv).request.local_server_name == name


@pytest.mark.parametrize(
    ("host", "port", "expected"), [("first.test", 1, "http://p.test:80 via http://first.test:1"), ("p.test", 80, None)]
)
def test_first_step_of_a_way(host: str, port: int, expected: str | None) -> None:
    """A connection to the nearest proxy of the chain is the way to a URL; any other is not."""
    found = network("-x", "p.test", "--preproxy", "first.test:1").ways
    proxy = found.begun(SocketStartedConnecting(host, port), URL(HTTP))
    assert (proxy and str(proxy)) == expected


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-x", f"ftp://me:{SECRET}@h"], "-x/--proxy: its scheme is none of http, https, socks"),
        (["-x", f"http://me:{SECRET}@h:99999"], "-x/--proxy: it is no URL of a proxy; write it like http://host:3128"),
        (["-x", f"me:{SECRET}@h/path"], "-x/--proxy: there is more behind the host"),
        (["-x", "h", "--preproxy", f"me:{SECRET}@h:x"], "--preproxy: it is no URL of a proxy"),
        (["-x", "h", "--preproxy", "direct://"], "--preproxy: a Proxy of type NONE opens no tunnel"),
        (["-x", "", "--preproxy", "h"], "--preproxy: a Proxy of type NONE has none; leave it out"),
        (["-x", "", "-U", f"me:{SECRET}"], "-U/--proxy-user: a Proxy of type NONE has none; leave it out"),
        (["--preproxy", "h"], "--preproxy: it is about the proxy that --proxy names; give that, too"),
        (["-U", f"me:{SECRET}"], "-U/--proxy-user: it is about the proxy that --proxy names"),
        (["--proxy-insecure"], "--proxy-insecure: it is about the proxy that --proxy names"),
        (["--proxy-cacert", __file__], "--proxy-cacert: it is about the proxy"),
        (["--proxy-header", f"A: {SECRET}"], "--proxy-header: it is about the proxy"),
        (["-x", "me@h", "-U", f"me:{SECRET}"], "-U/--proxy-user: the URL of the proxy has a user, too"),
        (["-x", "h", "-U", f"me:a\n{SECRET}"], "-U/--proxy-user: it holds a control character"),
        (["-x", "socks4://h", "-U", f"me:{SECRET}"], "-U/--proxy-user: SOCKS4 has user names only"),
        (["-x", "h", "--proxy-insecure"], "--proxy-insecure: the proxy shows no certificate"),
        (["-x", "h", "--preproxy", "g", "--proxy-cacert", __file__], "--proxy-cacert: the proxy shows no certificate"),
        (["-x", "https://h", "--proxy-cacert", "/"], "--proxy-cacert: '/' is not a file that can be read"),
        (["-x", "h", "--proxy-header", SECRET], "--proxy-header: there is no colon in it; write 'Name: value'"),
        (["-x", "h", "--proxy-header", f"A: a\n{SECRET}"], "--proxy-header: the value of 'A' holds a control char"),
        (["-x", "h", "--proxy-header", "Host: x"], "--proxy-header: Host follows from each request; leave it out"),
        (["-x", "socks5://h", "--proxy-header", "A: 1"], "--proxy-header: a Proxy of type SOCKS5 has none"),
        (
            ["--noproxy", "a, b?"],
            "--noproxy: 'b?' is no host name and no address, with a port or without, and no block",
        ),
        (["--noproxy", f"me:{SECRET}@h"], "--noproxy: an entry with an @ is no host name"),
        (["--resolve", "h:80"], "--resolve: 'h:80' is not HOST:PORT:ADDRESS, with brackets around a HOST that is IPv6"),
        (["--resolve", "h:80:x"], "--resolve: 'h:80': ['x'] is no IP address"),
        (["--resolve", "h:99999:1.1.1.1"], "--resolve: 'h:99999' is no 'host:port'"),
        (["--resolve", "h:1:1.1.1.1", "--resolve", "h:1:1.1.1.2"], "--resolve: 'h:1' is there twice"),
        (["-4", "--resolve", "h:80:1.1.1.1,::1"], "--resolve: 'h:80' has an address that is not IPv4, as -4 wants it"),
        (["-6", "--resolve", "h:80:1.1.1.1"], "--resolve: 'h:80' has an address that is not IPv6, as -6 wants it"),
        (["-4", "-6"], "-6/--ipv6: not allowed with argument -4/--ipv4"),
        (["--unix-socket", ""], "--unix-socket: '' is no name of a socket"),
        (["--abstract-unix-socket", ""], "--abstract-unix-socket: '' is no name of a socket"),
        (
            ["--unix-socket", "a", "--abstract-unix-socket", "b"],
            "--abstract-unix-socket: not allowed with argument --u",
        ),
        (["--interface", "a/b"], "--interface: 'a/b' is neither an IP address nor the name of an interface"),
        (["--keepalive-time", "x"], "--keepalive-time: 'x' is not a number from 0 on"),
        (["--keepalive-time", "0"], "--keepalive-time: 0 is not possible; give an integer from 1 to 32767"),
        (["--keepalive-time", "1", "--no-keepalive"], "--no-keepalive: not allowed with argument --keepalive-time"),
    ],
)
def test_usage_errors_name_the_option_and_no_secret(argv: list[str], message: str) -> None:
    """What cannot work is refused before anything is sent, in the words of the option, and shows no password."""
    with pytest.raises(CommandError) as caught:
        fetch(*argv)
    assert str(caught.value).startswith(message)
    assert caught.value.code is Exit.USAGE
    assert SECRET not in str(caught.value)
