"""The command and the way to a server: through proxies, to Unix sockets, to addresses that were given."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import frozen

from tests.proxies import Address, HttpProxy, SocksProxy, address_of, open_http_proxy, open_socks_proxy
from tests.proxies.doors import Login
from trioreply._cli.app import main
from trioreply._cli.exits import Exit
from trioreply.testing import Authority, Origin, OriginResponse, ServerTls

from .conftest import Person, in_a_thread, serving

Output = pytest.CaptureFixture[bytes]
Writer = Callable[[str, bytes], str]

SECRET = "open sesame"
LOGIN = ("me", SECRET)
BODY = b"hello\n"
URL = "http://server.test/hello"
NAME, PASSWORD = "User name: ", "Password: "
AUTHORITY = Authority()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing about proxies, to be changed."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A server; nobody but its proxies knows its name."""
    with serving({"/hello": OriginResponse(body=BODY)}) as origin:
        yield origin


@frozen
class Doorway:
    """Opens proxies that know one server by its name."""

    names: dict[str, Address]

    @contextlib.contextmanager
    def http(self, login: Login | None = None, tls: ServerTls | None = None) -> Iterator[HttpProxy]:
        """An HTTP proxy."""
        with in_a_thread(open_http_proxy(resolve=self.names, login=login, tls=tls)) as proxy:
            yield proxy

    @contextlib.contextmanager
    def socks(self, login: Login | None = None) -> Iterator[SocksProxy]:
        """A SOCKS5 proxy."""
        with in_a_thread(open_socks_proxy(resolve=self.names, login=login)) as proxy:
            yield proxy


@pytest.fixture
def doorway(origin: Origin) -> Doorway:
    """Proxies for ``server.test``."""
    return Doorway({"server.test": address_of(origin.base_url)})


def at(proxy: HttpProxy | SocksProxy, scheme: str = "http") -> str:
    """The URL of a proxy."""
    return f"{scheme}://{proxy.host}:{proxy.port}"


def test_through_a_proxy(doorway: Doorway, origin: Origin, capfdbinary: Output) -> None:
    """``--proxy`` carries the request, its own fields reach nobody else, and ``-v`` says through whom it went."""
    with doorway.http() as proxy:
        argv = ["-v", "-x", at(proxy), "--proxy-header", "Proxy-Authorization: Bearer t0ken"]
        assert main([*argv, URL]) == Exit.OK
    out, err = capfdbinary.readouterr()
    assert out == BODY
    assert (
        f"SocketStartedConnecting {proxy.host}:{proxy.port}\n          * through the proxy {at(proxy)}\n"
        in err.decode()
    )
    assert proxy.requests[0].credentials == "Bearer t0ken"
    assert origin.requests[0].header("Proxy-Authorization") is None
    assert b"t0ken" not in err


def test_through_two(doorway: Doorway, *, origin: Origin, capfdbinary: Output) -> None:
    """``--preproxy`` is the way to ``--proxy``; each is named to the one before it."""
    with doorway.http() as far, doorway.socks() as near:
        argv = ["-v", "-x", at(far), "--preproxy", at(near, "socks5h")]
        assert main([*argv, URL]) == Exit.OK
    assert [(visit.host, visit.port) for visit in near.visits] == [far.address]
    assert f"* through the proxy {at(far)} via {at(near, 'socks5h')}\n" in capfdbinary.readouterr().err.decode()
    assert len(origin.requests) == 1


def test_environment_and_exceptions(
    doorway: Doorway, *, origin: Origin, environment: pytest.MonkeyPatch, capfdbinary: Output
) -> None:
    """A proxy of the environment is used, as ever, and ``--noproxy`` says for whom it is not."""
    with doorway.http() as proxy:
        environment.setenv("http_proxy", at(proxy))
        assert main([URL]) == Exit.OK
        assert main(["--noproxy", "127.0.0.1", origin.url("/hello")]) == Exit.OK
        assert main(["-x", "", origin.url("/hello")]) == Exit.OK
        assert main(["--noproxy", "*", "-v", origin.url("/hello")]) == Exit.OK
    assert len(proxy.requests) == 1
    assert len(origin.requests) == 4
    assert b"through the proxy" not in capfdbinary.readouterr().err


def test_nonsense_in_the_environment(origin: Origin, environment: pytest.MonkeyPatch, capfdbinary: Output) -> None:
    """A variable that makes no sense fails the transfer, with what to do about it here; nothing is sent past it."""
    environment.setenv("http_proxy", f"me:{SECRET}")
    assert main([origin.url()]) == Exit.PROXY
    err = capfdbinary.readouterr().err.decode()
    assert err.startswith("trioreply: No suitable proxy found: http_proxy: ")
    assert err.endswith("; correct it, or overrule it with --proxy or --noproxy\n")
    assert SECRET not in err
    assert origin.requests == []


@pytest.mark.parametrize("argv", [["--proxy-cacert"], ["--proxy-insecure"]], ids=lambda argv: argv[0])
def test_secure_proxy(doorway: Doorway, *, files: Writer, argv: list[str], capfdbinary: Output) -> None:
    """The certificate of an https proxy must be good, by an authority of ours, or be of no interest."""
    if argv == ["--proxy-cacert"]:
        argv = [*argv, files("ca.pem", AUTHORITY.certificate_pem)]
    with doorway.http(tls=AUTHORITY.serve("127.0.0.1")) as proxy:
        assert main(["-x", at(proxy, "https"), *argv, URL]) == Exit.OK
        assert capfdbinary.readouterr() == (BODY, b"")
        assert main(["-x", at(proxy, "https"), URL]) == Exit.PROXY
        assert capfdbinary.readouterr().err.endswith(b"; trust its certificate with --proxy-cacert\n")


def test_authorities_that_are_none(doorway: Doorway, files: Writer, capfdbinary: Output) -> None:
    """A file for ``--proxy-cacert`` that holds no certificate is wrong usage."""
    with doorway.http(tls=AUTHORITY.serve("127.0.0.1")) as proxy:
        argv = ["-x", at(proxy, "https"), "--proxy-cacert", files("ca.pem", b"nothing")]
        assert main([*argv, URL]) == Exit.USAGE
    assert capfdbinary.readouterr().err.startswith(b"trioreply: --proxy-cacert: ")
    assert proxy.requests == []


@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_login(doorway: Doorway, *, kind: str, capfdbinary: Output) -> None:
    """``--proxy-user`` logs in at the proxy; without it, and nobody there to ask, the refusal is the result."""
    opened = doorway.http(LOGIN) if kind == "http" else doorway.socks(LOGIN)
    with opened as proxy:
        assert main(["-x", at(proxy, kind), "-U", ":".join(LOGIN), URL]) == Exit.OK
        assert capfdbinary.readouterr() == (BODY, b"")
        assert main(["-x", at(proxy, kind), URL]) == Exit.PROXY
        assert capfdbinary.readouterr().err.endswith(b"; log in with --proxy-user, or check what you gave\n")
        assert main(["-x", at(proxy, kind), "-U", "me", URL]) == Exit.USAGE
    expected = b"trioreply: -U/--proxy-user: there is no password; give USER:PASSWORD, or be at a terminal\n"
    assert capfdbinary.readouterr().err == expected


def test_demand_in_json(doorway: Doorway, capfdbinary: Output) -> None:
    """The demand of a proxy is a line of ``--events`` with the proxy, and no secret of ours."""
    with doorway.http(LOGIN) as proxy:
        argv = ["--events", "-x", at(proxy), "-U", f"you:{SECRET}", "--proxy-header", f"X-Key: {SECRET}"]
        assert main([*argv, URL]) == Exit.PROXY
    out, err = capfdbinary.readouterr()
    (demand,) = [record for record in map(json.loads, out.splitlines()) if "proxy" in record]
    assert (demand["proxy"]["port"], demand["proxy"]["headers"]) == (proxy.port, ["X-Key"])
    assert demand["challenge"]["previous_user"] == "you"
    assert SECRET.encode() not in out + err


@pytest.mark.parametrize(("kind", "asked"), [("http", "(Basic) for 'proxy'"), ("socks5h", "(SOCKS)")])
def test_person_is_asked(
    doorway: Doorway, *, person: Person, kind: str, asked: str, origin: Origin, capfdbinary: Output
) -> None:
    """On a terminal the demand of a proxy becomes a question, and its answer is not told to the server."""
    person.answers("me\n", NAME)
    person.answers(f"{SECRET}\n", PASSWORD)
    with doorway.http(LOGIN) if kind == "http" else doorway.socks(LOGIN) as proxy:
        assert person.runs(["-v", "-x", at(proxy, kind), URL]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    assert origin.requests[0].header("authorization") is None
    shown = person.sees()
    assert f"the proxy {at(proxy, kind)} wants a user name and a password {asked}\n{NAME}me\n{PASSWORD}\n" in shown
    assert f"; at the proxy {at(proxy, kind)}\n" in shown
    assert SECRET not in shown


def test_no_answer_is_the_refusal(doorway: Doorway, person: Person) -> None:
    """Who gives no name is refused by the proxy."""
    person.answers("\n", NAME)
    with doorway.http(LOGIN) as proxy:
        assert person.runs(["-x", at(proxy), URL]) == Exit.PROXY


def test_password_is_asked_for(doorway: Doorway, person: Person, capfdbinary: Output) -> None:
    """``--proxy-user USER`` asks for the password before anything is sent, and a mistyped one again."""
    person.answers("wrong\n", "Password of me at the proxy: ")
    person.answers("\n", "User name [me]: ")
    person.answers(f"{SECRET}\n", PASSWORD)
    with doorway.http(LOGIN) as proxy:
        assert person.runs(["-x", at(proxy), "-U", "me", URL]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    shown = person.sees()
    assert "does not accept what it got from 'me', wants a user name" in shown
    assert SECRET not in shown


def test_unusable_password(doorway: Doorway, person: Person) -> None:
    """A password that cannot be sent is wrong usage: nothing is sent, and it is not shown."""
    person.answers("open\x16\x01sesame\n", "Password of me at the proxy: ")
    with doorway.http(LOGIN) as proxy:
        assert person.runs(["-x", at(proxy), "-U", "me", URL]) == Exit.USAGE
    assert proxy.visitors == []
    shown = person.sees()
    assert "trioreply: -U/--proxy-user: it holds a control character" in shown
    assert "sesame" not in shown


def test_what_was_said_is_not_asked_for(doorway: Doorway, person: Person) -> None:
    """Who has given a password for the proxy is not asked for another one."""
    with doorway.http(LOGIN) as proxy:
        assert person.runs(["-x", at(proxy), "-U", "me:wrong", URL]) == Exit.PROXY
    assert NAME not in person.sees()


@pytest.mark.parametrize(
    "argv",
    [
        ["--resolve", "server.test:PORT:127.0.0.1"],
        ["--resolve", "*:PORT:127.0.0.1", "-4"],
        ["--resolve", "server.test:PORT:127.0.0.1", "--interface", "127.0.0.1", "--keepalive-time", "5"],
        ["--resolve", "server.test:PORT:127.0.0.1", "--no-keepalive"],
    ],
    ids=lambda argv: argv[-2],
)
def test_given_addresses(origin: Origin, *, argv: list[str], capfdbinary: Output) -> None:
    """A host is where ``--resolve`` says, and the connection is as was wished."""
    host, port = address_of(origin.base_url)
    argv = [text.replace("PORT", str(port)) for text in argv]
    assert main([*argv, f"http://server.test:{port}/hello"]) == Exit.OK
    assert capfdbinary.readouterr() == (BODY, b"")
    assert origin.requests[0].header("host") == f"server.test:{port}"
    assert host == "127.0.0.1"


def test_version_that_an_address_is_not_of(origin: Origin, capfdbinary: Output) -> None:
    """``-6`` and an IPv4 address in the URL do not go together, and the message says so."""
    assert main(["-6", origin.url()]) == Exit.TRANSPORT
    assert b"127.0.0.1 is not an IPv6 address" in capfdbinary.readouterr().err
    assert origin.requests == []


@asynccontextmanager
async def open_local(name: str) -> AsyncIterator[Origin]:
    """A server on the Unix socket ``name``, as the system spells it."""
    origin = Origin({"/hello": OriginResponse(body=BODY)})
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(name)
        listener.listen()
        async with trio.open_nursery() as nursery:
            listeners = [trio.SocketListener(listener)]
            nursery.start_soon(trio.serve_listeners, origin.serve, listeners)  # noqa: ASYNC113 - it listens already
            yield origin
            nursery.cancel_scope.cancel()


def test_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Output) -> None:
    """``--unix-socket`` connects to a path from here; the URL's host goes to the server, and no proxy is asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("http_proxy", "http://nowhere.invalid")
    with in_a_thread(open_local(str(tmp_path / "s"))) as origin:
        assert main(["--unix-socket", "s", URL]) == Exit.OK
    assert capfdbinary.readouterr() == (BODY, b"")
    assert origin.requests[0].header("host") == "server.test"
    assert main(["--unix-socket", "gone", URL]) == Exit.TRANSPORT
    assert str(tmp_path / "gone").encode() in capfdbinary.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_abstract_socket(tmp_path: Path, capfdbinary: Output) -> None:
    """``--abstract-unix-socket`` connects to a name that is no path."""
    with in_a_thread(open_local(f"\0{tmp_path}")):
        assert main(["--abstract-unix-socket", str(tmp_path), URL]) == Exit.OK
    assert capfdbinary.readouterr() == (BODY, b"")
