"""Cookies end to end: who may set them, who gets to see them, and where they lie between two runs of a program."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trioreply import Cookie, CookieJar, CookieStoreError, LoadControl, Manager, RedirectPolicy, SqliteCookieStore
from trioreply.testing import (
    Authority,
    Loop,
    MemoryNetwork,
    OriginRequest,
    OriginResponse,
    Receive,
    ScriptedPeer,
    Send,
    ServerTls,
    open_origin,
    run_sync_inline,
)

from .conftest import Place

HOSTS = (
    "example.org",
    "www.example.org",
    "a.www.example.org",
    "notexample.org",
    "foo.co.uk",
    "bar.co.uk",
    "198.51.100.200",
    "198.51.100.20",
)
NOW = 1_700_000_000.0
SET = "X-Set"
"""What a request says in this field, the server sets."""


@cache
def _authority() -> Authority:
    return Authority()


@cache
def _tls(host: str) -> ServerTls:
    return _authority().serve(host)


async def answer(request: OriginRequest) -> OriginResponse:
    """Sets what it is asked to, and tells which cookies came; ``/to?URL`` leads there, ``/401`` wants credentials."""
    fields = [("Set-Cookie", value) for name, value in request.headers if name == SET.lower()]
    if request.path == "/to":
        return OriginResponse(302, [*fields, ("Location", request.query)])
    if request.path == "/401" and request.header("authorization") is None:
        return OriginResponse(401, [*fields, ("WWW-Authenticate", 'Basic realm="r"')])
    return OriginResponse(200, fields, (request.header("cookie") or "").encode("latin-1"))


@pytest.fixture
async def web() -> AsyncIterator[Place]:
    """A network where all the hosts serve ``http:`` and ``https:``."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(MemoryNetwork())
        for host in HOSTS:
            for tls in (None, _tls(host)):
                await stack.enter_async_context(open_origin(answer, network=network, host=host, tls=tls))
        yield Place(network, _authority())


async def visit(manager: Manager, url: str, *says: str) -> str:
    """Have the server at ``url`` set the cookies ``says``; gives the Cookie field that it got."""
    return (await manager.fetch(url, headers=[(SET, value) for value in says], auth=("u", "p"))).text()


DIALOGUES = {
    # Where they go
    "host-only": ("http://example.org/", ["a=1"], {"http://example.org/": "a=1", "http://www.example.org/": ""}),
    "a domain": (
        "http://www.example.org/",
        ["a=1; Domain=example.org"],
        {
            "http://example.org/": "a=1",
            "http://a.www.example.org/": "a=1",
            "http://notexample.org/": "",
            "https://www.example.org/": "a=1",
        },
    ),
    "a domain with a dot, in capitals": (
        "http://www.example.org/",
        ["a=1; domain=.EXAMPLE.org"],
        {"http://example.org/": "a=1", "http://a.www.example.org/": "a=1"},
    ),
    "another's domain": (
        "http://www.example.org/",
        ["a=1; Domain=a.www.example.org", "b=2; Domain=foo.co.uk", "c=3; Domain=ple.org"],
        {"http://a.www.example.org/": "", "http://foo.co.uk/": "", "http://www.example.org/": ""},
    ),
    "the default path": (
        "http://example.org/a/b",
        ["a=1"],
        {"http://example.org/a/c": "a=1", "http://example.org/a": "a=1", "http://example.org/": ""},
    ),
    "a path": (
        "http://example.org/",
        ["a=1; Path=/a"],
        {"http://example.org/a/b": "a=1", "http://example.org/a": "a=1", "http://example.org/ab": ""},
    ),
    "a path that is none": ("http://example.org/a/b", ["a=1; Path=x"], {"http://example.org/a/": "a=1"}),
    "the longest path first": (
        "http://example.org/",
        ["a=1; Path=/", "b=2; Path=/x/y", "c=3; Path=/x", "d=4; Path=/"],
        {"http://example.org/x/y/z": "b=2; c=3; a=1; d=4"},
    ),
    "addresses are themselves": (
        "http://198.51.100.200/",
        ["a=1", "b=2; Domain=198.51.100.200", "c=3; Domain=51.100.200", "d=4; Domain=100.200"],
        {"http://198.51.100.200/": "a=1; b=2", "http://198.51.100.20/": ""},
    ),
    "Secure": (
        "https://example.org/",
        ["a=1; Secure"],
        {"https://example.org/": "a=1", "http://example.org/": ""},
    ),
    "Secure said in the clear": ("http://example.org/", ["a=1; Secure"], {"https://example.org/": ""}),
    # How they are read
    "an empty value": ("http://example.org/", ["a="], {"http://example.org/": "a="}),
    "no name": ("http://example.org/", ["a"], {"http://example.org/": "a"}),
    "nothing": ("http://example.org/", ["", "=", ";a=1"], {"http://example.org/": ""}),
    "quotes are kept": ("http://example.org/", ['a="1, 2"'], {"http://example.org/": 'a="1, 2"'}),
    "quotes hide no semicolon": ("http://example.org/", ['a="1;2"'], {"http://example.org/": 'a="1'}),
    "commas separate nothing": ("http://example.org/", ["a=1, b=2"], {"http://example.org/": "a=1, b=2"}),
    "the last attribute counts": (
        "http://example.org/",
        ["a=1; Path=/b; Path=/c"],
        {"http://example.org/c": "a=1", "http://example.org/b": ""},
    ),
    "a date that is none": ("http://example.org/", ["a=1; Expires=tomorrow"], {"http://example.org/": "a=1"}),
    "Max-Age before Expires, wherever it stands": (
        "http://example.org/",
        [
            "a=1; Max-Age=100; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "b=2; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Max-Age=0",
        ],
        {"http://example.org/": "a=1"},
    ),
    "a date in the past deletes": (
        "http://example.org/",
        ["a=1", "b=2", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        {"http://example.org/": "b=2"},
    ),
    "two digits of a year": (
        "http://example.org/",
        ["a=1; Expires=Friday, 01-Jan-60 00:00:00 GMT", "b=2; Expires=Thursday, 01-Jan-70 00:00:00 GMT"],
        {"http://example.org/": "a=1"},
    ),
}


@pytest.mark.parametrize("name", DIALOGUES)
async def test_cookies_of_one_server(name: str, web: Place) -> None:
    """What a server sets goes where it belongs, and nowhere else, by the rules of RFC 6265bis section 5."""
    url, says, expected = DIALOGUES[name]
    async with web.open_manager() as manager:
        await visit(manager, url, *says)
        assert {target: await visit(manager, target) for target in expected} == expected


async def test_bytes_that_no_charset_explains(memory: Place) -> None:
    """A value comes back byte for byte, whatever the bytes are."""
    says = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=\xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n"
    peer = ScriptedPeer(Loop(Receive(), Send(says)))
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        await manager.fetch(url)
        await manager.fetch(url)
        assert re.findall(rb"Cookie: (.*)\r\n", bytes(peer.connections[0].received)) == [b"a=\xc3\xa9\xff"]


async def test_no_super_cookies(web: Place) -> None:
    """A cookie for a domain that belongs to everybody is refused, so that strangers never see it."""
    async with web.open_manager() as manager:
        await visit(manager, "http://foo.co.uk/", "a=1; Domain=co.uk", "b=2; Domain=uk", "c=3; Domain=foo.co.uk")
        assert await visit(manager, "http://bar.co.uk/") == ""
        assert await visit(manager, "http://foo.co.uk/") == "c=3"
        assert [cookie.domain for cookie in manager.cookie_jar or ()] == ["foo.co.uk"]


async def test_prefixes_are_promises(web: Place) -> None:
    """A cookie whose name promises a secure origin, or one host, and whose attributes do not keep it, is refused."""
    async with web.open_manager() as manager:
        await visit(
            manager,
            "https://www.example.org/",
            "__Host-a=1; Secure; Path=/; Domain=www.example.org",
            "__Host-b=1; Secure; Path=/x",
            "__Host-c=1; Path=/",
            "__Secure-d=1",
            "__hOsT-e=1; Secure; Path=/x",
            "__Host-good=1; Secure; Path=/",
            "__Secure-good=1; Secure; Domain=example.org",
        )
        await visit(manager, "http://www.example.org/", "__Host-f=1; Path=/", "__Host-g=1; Secure; Path=/")
        assert await visit(manager, "https://www.example.org/") == "__Host-good=1; __Secure-good=1"
        assert await visit(manager, "https://www.example.org/x") == "__Host-good=1; __Secure-good=1"
        assert await visit(manager, "http://www.example.org/") == ""


async def test_plain_http_leaves_secure_cookies_alone(web: Place) -> None:
    """Who can speak for a host in the clear cannot replace what it has set securely, nor put something in front."""
    async with web.open_manager() as manager:
        await visit(manager, "https://www.example.org/", "id=good; Secure; Path=/")
        await visit(
            manager,
            "http://www.example.org/",
            "id=evil",
            "id=evil; Domain=example.org",
            "id=; Max-Age=0",
            "id=x; Path=/x",
        )
        assert await visit(manager, "https://www.example.org/x") == "id=good"


async def test_floods(web: Place) -> None:
    """Too large a cookie is refused; of too many the oldest leave, and nobody else's."""
    async with web.open_manager() as manager:
        await visit(manager, "http://foo.co.uk/", "mine=1")
        await visit(manager, "http://example.org/", f"large={'x' * 4092}", f"fits={'x' * 4092}")
        assert await visit(manager, "http://example.org/") == f"fits={'x' * 4092}"
        for start in range(0, 200, 50):
            await visit(manager, "http://example.org/", *(f"c{number}=1" for number in range(start, start + 50)))
        names = [pair.partition("=")[0] for pair in (await visit(manager, "http://example.org/")).split("; ")]
        assert names == [f"c{number}" for number in range(20, 200)]
        assert await visit(manager, "http://foo.co.uk/") == "mine=1"


async def test_they_end_with_their_time(web: Place) -> None:
    """A cookie is sent until its time is over by the jar's clock; one without a date stays."""
    now = [NOW]
    async with web.open_manager(cookie_jar=CookieJar(now=lambda: now[0])) as manager:
        await visit(manager, "http://example.org/", "a=1; Max-Age=100", "b=2")
        now[0] += 99
        assert await visit(manager, "http://example.org/") == "a=1; b=2"
        now[0] += 1
        assert await visit(manager, "http://example.org/") == "b=2"


# On the way


async def test_set_on_a_redirect(web: Place) -> None:
    """What a redirect sets goes with the next hop if that is where it belongs; each hop asks the jar anew."""
    async with web.open_manager() as manager:
        own, other = "https://example.org/x", "http://foo.co.uk/"
        assert await visit(manager, f"https://example.org/to?{own}", "a=1", "b=2; Secure") == "a=1; b=2"
        assert await visit(manager, "http://www.example.org/to?/x", "c=3") == "c=3"
        await visit(manager, other, "d=4")
        response = await manager.fetch(
            f"https://example.org/to?{other}",
            headers={SET: "e=5"},
            redirect_policy=RedirectPolicy.USER_VERIFIED,
            raise_for_error=False,
        )
        assert response.status_code == 302, "nobody has allowed it"
        assert await visit(manager, f"http://example.org/to?{other}", "f=6") == "d=4"
        assert await visit(manager, own) == "a=1; b=2; e=5; f=6"


async def test_set_with_a_refusal(web: Place) -> None:
    """What a 401 sets is sent along with the credentials that answer it, although nobody sees that 401."""
    async with web.open_manager() as manager:
        async with manager.get("http://u:p@example.org/401", headers={SET: "session=1"}) as reply:
            assert await reply.read_all() == b"session=1"
            assert reply.status_code == 200


async def test_the_users_own_field(web: Place) -> None:
    """A request with a Cookie field of its own goes out with just that; what the answer sets is kept all the same."""
    async with web.open_manager() as manager:
        await visit(manager, "http://example.org/", "a=1")
        response = await manager.fetch("http://example.org/", headers={"cookie": "mine=1", SET: "b=2"})
        assert response.text() == "mine=1"
        assert await visit(manager, "http://example.org/") == "a=1; b=2"


async def test_load_and_save_by_hand(web: Place) -> None:
    """``cookie_load`` and ``cookie_save`` MANUAL send nothing and keep nothing, each on its own."""
    manual = LoadControl.MANUAL
    async with web.open_manager() as manager:
        url = "http://example.org/"
        await manager.fetch(url, headers={SET: "a=1"}, cookie_save=manual)
        assert await visit(manager, url, "b=2") == ""
        assert (await manager.fetch(url, headers={SET: "c=3"}, cookie_load=manual)).text() == ""
        assert await visit(manager, url) == "b=2; c=3"


async def test_who_keeps_cookies(web: Place) -> None:
    """Every manager has a jar of its own, unless it is given one, which others may share, or told to have none."""
    url, jar = "http://example.org/", CookieJar()
    async with web.open_manager(cookie_jar=jar) as one, web.open_manager(cookie_jar=jar) as two:
        async with web.open_manager() as other, web.open_manager(cookie_jar=None) as none:
            await visit(one, url, "a=1")
            assert [await visit(manager, url) for manager in (one, two, other, none)] == ["a=1", "a=1", "", ""]
            await visit(none, url, "b=2")
            assert await visit(none, url) == ""
            assert one.cookie_jar is two.cookie_jar is jar
            assert none.cookie_jar is None
            assert isinstance(other.cookie_jar, CookieJar)
    assert [cookie.name_and_value for cookie in jar.cookies_for(url)] == ["a=1"]


async def test_on_each_network(place: Place) -> None:
    """A cookie comes back on real sockets and over TLS too, whatever the port."""
    async with place.origin(answer) as origin, place.origin(answer) as other, place.open_manager() as manager:
        await visit(manager, origin.url("/a"), "a=1; Path=/; HttpOnly")
        assert await visit(manager, origin.url("/b")) == "a=1"
        assert origin.base_url != other.base_url
        assert await visit(manager, other.url("/")) == "a=1"


# Between two runs


def _jar(path: Path) -> CookieJar:
    return CookieJar(SqliteCookieStore(path))


async def test_a_store_outlives_its_manager(web: Place, tmp_path: Path) -> None:
    """What has a date is there again in the next manager, with all that it says; a session cookie is not."""
    path, url = tmp_path / "cookies.sqlite", "https://www.example.org/a/b"
    async with web.open_manager(cookie_jar=_jar(path)) as manager:
        await visit(manager, url, "a=1; Max-Age=1000; Secure; HttpOnly; SameSite=Lax; Domain=example.org", "b=2")
        assert manager.cookie_jar is not None
        kept = [cookie for cookie in manager.cookie_jar if not cookie.is_session]
    async with web.open_manager(cookie_jar=_jar(path)) as manager:
        assert list(manager.cookie_jar or ()) == kept
        assert await visit(manager, "https://example.org/a/", "a=; Max-Age=0; Domain=example.org; Path=/a") == "a=1"
    async with web.open_manager(cookie_jar=_jar(path)) as manager:
        assert await visit(manager, url) == ""


async def test_two_managers_share_a_store(web: Place, tmp_path: Path) -> None:
    """Each writes its own changes, so neither undoes the other's."""
    path, url = tmp_path / "cookies.sqlite", "http://example.org/"
    async with web.open_manager(cookie_jar=_jar(path)) as one, web.open_manager(cookie_jar=_jar(path)) as two:
        await visit(one, url, "a=1; Max-Age=1000")
        await visit(two, url, "b=2; Max-Age=1000")
    async with web.open_manager(cookie_jar=_jar(path)) as manager:
        assert sorted((await visit(manager, url)).split("; ")) == ["a=1", "b=2"]


async def test_written_while_the_manager_runs(web: Place, tmp_path: Path, autojump_clock: MockClock) -> None:
    """A change is in the file a moment later, so that whoever is killed loses little."""
    path = tmp_path / "cookies.sqlite"
    store = SqliteCookieStore(path, run_sync=run_sync_inline)
    async with web.open_manager(cookie_jar=CookieJar(store), ssl=None) as manager:
        await visit(manager, "http://example.org/", "a=1; Max-Age=1000")
        await trio.sleep(2)
        assert [cookie.name for cookie in await store.load()] == ["a"]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"somebody else's"])
async def test_a_corrupt_store(content: bytes, web: Place, tmp_path: Path) -> None:
    """A file that cannot be read keeps the manager from opening, with an error that names it, and is left alone."""
    path = tmp_path / "cookies.sqlite"
    if content == b"somebody else's":
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE bookmarks (url TEXT)")
        database.close()
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(CookieStoreError, match=r"cookies\.sqlite.*could not be read"):
        async with web.open_manager(cookie_jar=_jar(path)):
            raise AssertionError("it has opened")
    assert path.read_bytes() == content


async def test_a_store_that_cannot_be_written(web: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Cookies go on working in memory, requests and the manager's end are not harmed, and the log says why."""
    directory = tmp_path / "gone"
    directory.mkdir()
    jar = _jar(directory / "cookies.sqlite")
    async with web.open_manager(cookie_jar=jar) as manager:
        directory.rmdir()
        await visit(manager, "http://example.org/", "a=1; Max-Age=1000")
        assert await visit(manager, "http://example.org/") == "a=1"
    assert isinstance(jar.store_error, CookieStoreError)
    assert "cookies were not saved" in caplog.text


async def test_cookies_txt(web: Place, tmp_path: Path) -> None:
    """What was exported for another program comes back the same, session cookies included."""
    path, url = tmp_path / "cookies.txt", "https://www.example.org/a/b"
    now = lambda: NOW  # noqa: E731 - a clock
    jar, read = CookieJar(now=now), CookieJar(now=now)
    async with web.open_manager(cookie_jar=jar) as manager:
        await visit(manager, url, "a=1; Max-Age=1000; Secure; HttpOnly; Domain=example.org", "b=2; Path=/", "c")
    await jar.save_cookies_txt(path)
    assert await read.load_cookies_txt(path) == 3
    async with web.open_manager(cookie_jar=read) as manager:
        assert await visit(manager, url) == "a=1; c; b=2"
    assert sorted(map(_essence, read)) == sorted(map(_essence, jar))


def _essence(cookie: Cookie) -> tuple[object, ...]:
    """All that a cookies.txt has a place for."""
    return (*cookie.id, cookie.value, cookie.expires, cookie.secure, cookie.http_only)


async def test_a_user_of_the_module(web: Place) -> None:
    """Cookies given to the jar by hand are sent like any others."""
    jar = CookieJar()
    assert jar.insert(Cookie("a", "1", domain=".example.org", path="/"))
    async with web.open_manager(cookie_jar=jar) as manager:
        assert await visit(manager, "http://www.example.org/") == "a=1"
        assert await visit(manager, "http://foo.co.uk/") == ""
