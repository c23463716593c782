"""The command and the web as it is: redirects, credentials, cookies, codings, retries, hosts that want https."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trioreply._cli.app import main
from trioreply._cli.exits import Exit
from trioreply.testing import Authority, Origin, OriginRequest, OriginResponse, Routes

from ..journeys.guarded import BASIC, basic, door, guarded
from .conftest import serving, standard_input

Output = pytest.CaptureFixture[bytes]
Writer = Callable[[str, bytes], str]

SECRET = "open sesame"
BODY = b"hello\n"


def sent(origin: Origin, field: str) -> list[tuple[str, str | None]]:
    """Where each request went, and one of its fields."""
    return [(request.path, request.header(field)) for request in origin.requests]


@pytest.fixture
def elsewhere() -> Iterator[Origin]:
    """Another origin, where everybody is welcome."""
    with serving({"/": OriginResponse(body=b"elsewhere\n")}) as origin:
        yield origin


@pytest.fixture
def origin(elsewhere: Origin) -> Iterator[Origin]:
    """An origin with redirects, cookies and a guarded page."""

    def redirect(to: str) -> OriginResponse:
        return OriginResponse(302, [("Location", to), ("Set-Cookie", "hop=1")], b"this way\n", reason="Found")

    async def busy(request: OriginRequest) -> OriginResponse:
        await request.read()
        attempts = sum(request.path == "/busy" for request in site.requests)
        return OriginResponse(503, body=b"later\n", reason="Busy") if attempts < 3 else OriginResponse(body=BODY)

    async def coded(request: OriginRequest) -> OriginResponse:
        return OriginResponse(200, [("Content-Encoding", "gzip")], gzip.compress(BODY))

    routes: Routes = {
        "/hello": OriginResponse(headers=[("Set-Cookie", "late=2; Max-Age=3600; Path=/")], body=BODY, reason="Fine"),
        "/missing": OriginResponse(404, [("Set-Cookie", "missed=3")]),
        "/go": redirect("/hello"),
        "/round": redirect("/round"),
        "/away": redirect(elsewhere.url()),
        "/busy": busy,
        "/coded": coded,
        "/private": guarded(door(BASIC, opens=basic("me", SECRET)), inside=OriginResponse(body=BODY)),
    }
    with serving(routes) as site:
        yield site


def test_redirects_are_followed(origin: Origin, capfdbinary: Output) -> None:
    """A redirect is followed by default, and ``-v`` has a line for where it leads."""
    assert main(["-v", origin.url("/go")]) == Exit.OK
    out, err = capfdbinary.readouterr()
    assert out == BODY
    assert f"Redirected              302 to {origin.url('/hello')}\n" in err.decode()
    assert b"< HTTP/1.1 302" in err  # its reason is forgotten as soon as the next response is there
    assert b"< HTTP/1.1 200 Fine\n" in err


def test_redirect_is_delivered_if_wished(origin: Origin, capfdbinary: Output) -> None:
    """``--no-location`` gives the redirect with its body, which is no failure."""
    assert main(["--no-location", origin.url("/go")]) == Exit.OK
    assert capfdbinary.readouterr() == (b"this way\n", b"")


def test_heads_of_all_hops(origin: Origin, capfdbinary: Output) -> None:
    """``-I`` prints the head of every response, an empty line between two."""
    assert main(["-I", origin.url("/go")]) == Exit.OK
    first, second = capfdbinary.readouterr().out.split(b"\n\n")
    assert first.startswith(b"HTTP/1.1 302")
    assert b"\nLocation: /hello\n" in first
    assert second.startswith(b"HTTP/1.1 200 Fine\nSet-Cookie: ")


@pytest.mark.parametrize(
    ("argv", "path", "message"),
    [
        (["--max-redirs", "2"], "/round", "Too many redirects: more than --max-redirs 2; look with -v whether they "),
        (["--redirect-policy", "same-origin"], "/away", "Insecure redirect: "),
    ],
)
def test_redirect_that_is_refused(
    origin: Origin, *, capfdbinary: Output, argv: list[str], path: str, message: str
) -> None:
    """A redirect that must not be followed fails the transfer, in the words of the options."""
    assert main([*argv, origin.url(path)]) == Exit.TRANSPORT
    assert capfdbinary.readouterr().err.decode().startswith(f"trioreply: {message}")


def test_nobody_can_be_asked_about_a_redirect(origin: Origin, capfdbinary: Output) -> None:
    """A redirect that somebody has to agree to is delivered where there is nobody."""
    assert main(["--redirect-policy", "user-verified", origin.url("/go")]) == Exit.OK
    assert capfdbinary.readouterr().out == b"this way\n"


def test_body_that_comes_once_cannot_follow(capfdbinary: Output) -> None:
    """What cannot be sent a second time fails with advice that can be followed here."""
    reader, writer = os.pipe()
    os.write(writer, BODY)
    os.close(writer)
    with serving({"/": OriginResponse(307, [("Location", "/x")])}) as origin, os.fdopen(reader) as pipe:
        with standard_input(pipe):
            assert main(["-d", "@-", origin.url()]) == Exit.CONTENT
    assert capfdbinary.readouterr().err.endswith(b"cannot be sent a second time; give it as text, or as @FILE\n")


@pytest.mark.parametrize("path", ["/private", "/away"])
def test_user_and_password(origin: Origin, elsewhere: Origin, path: str) -> None:
    """``--user`` logs in at once, and at the URL's own origin only."""
    assert main(["-u", f"me:{SECRET}", origin.url(path)]) == Exit.OK
    assert sent(origin, "authorization") == [(path, basic("me", SECRET))]
    assert sent(elsewhere, "authorization") == ([("/", None)] if path == "/away" else [])


def test_bearer_token(origin: Origin) -> None:
    """``--oauth2-bearer`` sends the token."""
    assert main(["--oauth2-bearer", "a.b", origin.url("/hello")]) == Exit.OK
    assert sent(origin, "authorization") == [("/hello", "Bearer a.b")]


@pytest.mark.parametrize("option", ["--netrc", "--netrc-file"])
def test_netrc(origin: Origin, *, files: Writer, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """With a .netrc a demand is answered from it, and nothing is sent before."""
    file = files("netrc", f'machine 127.0.0.1 login me password "{SECRET}"\n'.encode())
    monkeypatch.setenv("NETRC", file)
    argv = [option, file] if option == "--netrc-file" else [option]
    assert main([*argv, origin.url("/private")]) == Exit.OK
    assert sent(origin, "authorization") == [("/private", None), ("/private", basic("me", SECRET))]


@pytest.mark.parametrize("argv", [[], ["-u", f"you:{SECRET}"]])
def test_refusal_is_the_result(origin: Origin, *, capfdbinary: Output, argv: list[str]) -> None:
    """Without a terminal nobody is asked: the 401 is what comes, with advice, and shows no password."""
    assert main([*argv, "--events", origin.url("/private")]) == Exit.CONTENT
    out, err = capfdbinary.readouterr()
    records = {record["event"]: record for record in map(json.loads, out.splitlines())}
    challenge = records["AuthenticationRequired"]["challenge"]
    assert (challenge["scheme"], challenge["previous_user"]) == ("Basic", "you" if argv else None)
    assert records["MetaDataChanged"]["status_code"] == 401
    assert err.endswith(b"; log in with --user, or check what you gave\n")
    assert SECRET.encode() not in out + err


def test_verbose_shows_no_password(origin: Origin, capfdbinary: Output) -> None:
    """``-v`` has a line for a demand, with who was refused, and no password in it."""
    url = origin.url("/private").replace("//", f"//you:{SECRET.replace(' ', '%20')}@")
    assert main(["-v", url]) == Exit.CONTENT
    err = capfdbinary.readouterr().err.decode()
    assert "AuthenticationRequired  Basic r; 'you' was not accepted\n" in err
    assert "sesame" not in err


def test_user_without_password_and_terminal(origin: Origin, capfdbinary: Output) -> None:
    """A password that nobody can be asked for is wrong usage, and nothing is sent."""
    assert main(["-u", "me", origin.url("/private")]) == Exit.USAGE
    assert capfdbinary.readouterr().err == (
        b"trioreply: -u/--user: there is no password; give USER:PASSWORD, or be at a terminal\n"
    )
    assert not origin.requests


def test_cookies_from_everywhere(origin: Origin, elsewhere: Origin, files: Writer) -> None:
    """Cookies that were typed go with those of a file, win over them, and go to the URL's host only, on every hop."""
    jar = files("jar", b"127.0.0.1\tFALSE\t/\tFALSE\t0\ta\tfile\n127.0.0.1\tFALSE\t/hello\tFALSE\t0\tb\tfile\n")
    assert main(["-b", "a=typed; c=4", "-b", jar, origin.url("/go")]) == Exit.OK
    assert sent(origin, "cookie") == [("/go", "a=typed; c=4"), ("/hello", "b=file; a=typed; c=4; hop=1")]


@pytest.mark.parametrize(("path", "code"), [("/hello", Exit.OK), ("/missing", Exit.CONTENT)])
def test_cookie_jar(origin: Origin, tmp_path: Path, *, path: str, code: Exit) -> None:
    """``-c`` writes every cookie at the end, also of a failed transfer; the file may be read, too, once it exists."""
    jar = tmp_path / "jar"
    argv = ["-b", str(jar), "-c", str(jar), origin.url(path)]
    assert main(argv) == code
    name, value = ("late", "2") if path == "/hello" else ("missed", "3")
    assert jar.read_text().endswith(f"\t{name}\t{value}\n")
    assert main(argv) == code
    assert sent(origin, "cookie") == [(path, None), (path, f"{name}={value}")]


def test_broken_cookie_file(origin: Origin, files: Writer, capfdbinary: Output) -> None:
    """A file that is no cookies.txt is wrong usage, is not shown, and nothing is sent."""
    file = files("f", SECRET.encode())
    assert main(["-b", file, origin.url("/hello")]) == Exit.USAGE
    why = "line 1 is no line of a cookies.txt: it has 1 of 7 fields"
    assert capfdbinary.readouterr().err.decode() == f"trioreply: -b/--cookie: {file} is no cookies.txt: {why}\n"
    assert not origin.requests


@pytest.mark.parametrize("status", [200, 404])
def test_cookies_that_cannot_be_written(tmp_path: Path, capfdbinary: Output, status: int) -> None:
    """Cookies that cannot be kept are a failure of their own; what failed before is said first."""
    jar = tmp_path / "jar"

    async def spoil(_request: OriginRequest) -> OriginResponse:
        jar.mkdir()
        return OriginResponse(status, body=BODY)

    with serving(spoil) as origin:
        assert main(["-c", str(jar), origin.url()]) == (Exit.OUTPUT if status == 200 else Exit.CONTENT)
    out, err = capfdbinary.readouterr()
    assert out == BODY
    assert err.endswith(f"cannot write the cookies to {jar}: Is a directory\n".encode())
    assert (b"check the path of the URL; cannot" in err) == (status == 404)


def test_bodies_are_decoded(origin: Origin, capfdbinary: Output) -> None:
    """A compressed body is printed as what it stands for; ``--no-compressed`` asks for none, and prints what comes."""
    for argv in ([], ["--compressed"]):
        assert main([*argv, origin.url("/coded")]) == Exit.OK
        assert capfdbinary.readouterr().out == BODY
    assert main(["--no-compressed", origin.url("/coded")]) == Exit.OK
    assert gzip.decompress(capfdbinary.readouterr().out) == BODY
    asked = [field for _, field in sent(origin, "accept-encoding")]
    assert asked[0] == asked[1] is not None
    assert asked[2] is None


@pytest.mark.parametrize(("retries", "code"), [("2", Exit.OK), ("1", Exit.SERVER)])
def test_retries(origin: Origin, *, capfdbinary: Output, retries: str, code: Exit) -> None:
    """``--retry`` tries that often again, after the given delay, and ``-v`` has a line for it."""
    assert main(["-v", "--retry", retries, "--retry-delay", "0.001", origin.url("/busy")]) == code
    out, err = capfdbinary.readouterr()
    assert out == (BODY if code is Exit.OK else b"later\n")
    lines = [line.partition("Retrying")[2].strip() for line in err.decode().splitlines() if "Retrying" in line]
    assert lines == [f"attempt {n + 2} in 0.001 s: the server said 503 Busy" for n in range(int(retries))]


AUTHORITY = Authority()


@pytest.fixture
def strict() -> Iterator[Origin]:
    """A server that wants to be spoken to securely only; on localhost, because an address cannot want that."""
    routes = {"/": OriginResponse(headers=[("Strict-Transport-Security", "max-age=3600")], body=BODY)}
    with serving(routes, AUTHORITY.serve("localhost")) as origin:
        yield origin


def test_hosts_that_want_https(strict: Origin, *, files: Writer, tmp_path: Path, capfdbinary: Output) -> None:
    """What a host says about https is kept in the file of ``--hsts``, and obeyed the next time."""
    argv = ["--cacert", files("ca.pem", AUTHORITY.certificate_pem), "--hsts", str(tmp_path / "hosts")]
    url = strict.url().replace("127.0.0.1", "localhost")
    assert main([*argv, url]) == Exit.OK
    assert main([*argv, url.replace("https:", "http:")]) == Exit.OK
    assert capfdbinary.readouterr() == (BODY + BODY, b"")


def test_broken_file_of_hosts(origin: Origin, files: Writer, capfdbinary: Output) -> None:
    """A file of hosts that is something else is wrong usage, stays as it is, and nothing is sent."""
    file = files("hosts", b"# HSTS cache of another program, in its own format")
    assert main(["--hsts", file, origin.url("/hello")]) == Exit.USAGE
    assert capfdbinary.readouterr().err.startswith(b"trioreply: --hsts: the hosts in ")
    assert Path(file).read_bytes().startswith(b"# HSTS")
    assert not origin.requests
