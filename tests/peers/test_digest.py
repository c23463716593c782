"""Digest with lighttpd: a server that reckons it by itself, and counts on being answered right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply import (
    AuthenticationRequired,
    AuthenticationRequiredError,
    Event,
    LoadControl,
    Manager,
    NetworkError,
    Reply,
    RequestSent,
)
from trioreply.testing import OriginRequest, OriginResponse, open_origin

from .lighttpd import PAGE, PASSWORD, REALMS, USER, Lighttpd, running_lighttpd

SECONDS = 20.0
"""No journey takes a hundredth of it."""

RIGHT, WRONG = (USER, PASSWORD), (USER, "open barley")


@pytest.fixture(scope="module")
def lighttpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lighttpd]:
    """The server of these tests."""
    with running_lighttpd(tmp_path_factory.mktemp("lighttpd")) as server:
        yield server


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    """A manager as it comes."""
    with trio.fail_after(SECONDS):
        async with trioreply.open_manager() as manager:
            yield manager


async def converse(reply: Reply, *answers: tuple[str, str]) -> list[AuthenticationRequired]:
    """Answer the questions of ``reply`` one after the other; gives them."""
    asked: list[AuthenticationRequired] = []
    async for event in reply:
        if isinstance(event, AuthenticationRequired):
            asked.append(event)
            if len(asked) <= len(answers):
                event.answer(*answers[len(asked) - 1])
    return asked


@pytest.mark.parametrize("path", REALMS)
async def test_each_place(path: str, manager: Manager, lighttpd: Lighttpd) -> None:
    """MD5, SHA-256, the stronger of both, and hashed names let us in, once asked; the next request is not refused."""
    async with manager.get(lighttpd.url(f"{path}page?a=b%20c&d")) as reply:
        (asked,) = await converse(reply, RIGHT)
        assert reply.read() == PAGE
    assert (asked.challenge.scheme, asked.challenge.realm) == ("Digest", REALMS[path])
    assert asked.challenge.parameters["algorithm"] == ("MD5" if path == "/md5/" else "SHA-256")
    assert asked.challenge.parameters.get("userhash") == ("true" if path == "/hashed/" else None)
    async with manager.get(lighttpd.url(f"{path}page")) as reply:
        assert await converse(reply) == []
        assert reply.read() == PAGE


@pytest.mark.parametrize("path", REALMS)
async def test_a_body(path: str, manager: Manager, lighttpd: Lighttpd) -> None:
    """A body is sent again with the answer, and arrives; afterwards it is sent once."""
    body = bytes(range(256)) * 1000
    for questions in (1, 0):
        async with manager.post(lighttpd.url(f"{path}echo.sh"), body) as reply:
            assert len(await converse(reply, RIGHT)) == questions
            assert reply.error is NetworkError.NO_ERROR
            assert reply.read() == body


async def test_wrong_and_then_right(manager: Manager, lighttpd: Lighttpd) -> None:
    """A wrong password is asked about again, with the user's name; the same once more is given up."""
    url = lighttpd.url("/sha256/page")

    async def give_up() -> None:
        async with manager.get(url, authentication_reuse=LoadControl.MANUAL) as reply:
            assert len(await converse(reply, WRONG, WRONG, RIGHT)) == 2
            assert (reply.error, reply.status_code) == (NetworkError.AUTHENTICATION_REQUIRED, 401)
            assert b"401 Unauthorized" in reply.read()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)  # meanwhile, because the server thinks for a second about a wrong answer
        async with manager.get(url) as reply:
            asked = await converse(reply, WRONG, RIGHT)
            assert [event.challenge.previous_user for event in asked] == [None, USER]
            assert reply.read() == PAGE


async def test_credentials_that_come_along(manager: Manager, lighttpd: Lighttpd) -> None:
    """``auth`` and the URL answer without a question; nobody's answer is the server's own refusal."""
    url = lighttpd.url("/md5/page")
    with pytest.raises(AuthenticationRequiredError):
        await manager.fetch(url)
    assert (await manager.fetch(url, auth=RIGHT)).body == PAGE
    with_user = trioreply.Request(url).url.with_user(USER).with_password(PASSWORD)
    assert (await manager.fetch(with_user)).body == PAGE


async def test_one_nonce_for_many_requests(tmp_path: Path) -> None:
    """Twenty requests, several of them at once, are let in with one nonce, and only the first was refused."""
    with running_lighttpd(tmp_path) as server, trio.fail_after(SECONDS):
        async with trioreply.open_manager() as manager:
            async with manager.get(server.url("/sha256/page")) as reply:
                await converse(reply, RIGHT)
            for _ in range(4):
                async with trio.open_nursery() as nursery:
                    for _ in range(5):
                        nursery.start_soon(manager.fetch, server.url("/sha256/page"))
        server.stop()
        seen = [line for line in server.log if "/sha256/" in line]  # it was asked for something else when it started
        assert seen == ["401 GET /sha256/page", *["200 GET /sha256/page"] * 21]


class Detour:
    """A network where every name is this machine, at the port of our choice."""

    def __init__(self) -> None:
        self.port = 0

    async def resolve(self, _host: str, _port: int) -> list[str]:
        """Always the same address."""
        return ["127.0.0.1"]

    async def dial(self, address: str, _port: int) -> trio.abc.Stream:
        """A connection to the port."""
        return await trio.open_tcp_stream(address, self.port)


@pytest.mark.parametrize(
    ("age", "refused", "renewed"), [(60, 0, False), (570, 0, True), (1200, 1, False)], ids=["new", "ageing", "old"]
)
async def test_nonces_that_grow_old(age: int, refused: int, renewed: bool, lighttpd: Lighttpd) -> None:
    """A nonce of the server's kind that is too old is replaced without a question; shortly before, the server gives the
    next one along with its page, and that one is used.
    """
    url = "http://digest.test/sha256/page"
    # Whose nonce it is lighttpd does not ask; when it was made, it reads from it.
    made = int(datetime.now(UTC).timestamp()) - age
    challenge = f'Digest realm="{REALMS["/sha256/"]}", algorithm=SHA-256, nonce="{made:x}:{"0" * 64}", qop="auth"'

    async def believe(request: OriginRequest) -> OriginResponse:
        if request.header("authorization") is None:
            return OriginResponse(401, [("WWW-Authenticate", challenge)])
        return OriginResponse()

    detour = Detour()
    async with open_origin(believe) as earlier, trioreply.open_manager(resolver=detour, dialer=detour) as manager:
        detour.port = int(earlier.base_url.rpartition(":")[2])
        async with manager.get(url) as reply:
            assert len(await converse(reply, RIGHT)) == 1
        manager.clear_connections()
        detour.port = lighttpd.port
        async with manager.get(url) as reply:
            events: list[Event] = [event async for event in reply]
            assert reply.read() == PAGE
            assert ("nextnonce" in reply.headers.get("Authentication-Info", "")) is renewed
        assert not any(isinstance(event, AuthenticationRequired) for event in events)
        assert sum(isinstance(event, RequestSent) for event in events) == 1 + refused
        async with manager.get(url) as reply:
            events = [event async for event in reply]
            assert reply.read() == PAGE
            if renewed or refused:
                assert "Authentication-Info" not in reply.headers
        assert sum(isinstance(event, RequestSent) for event in events) == 1
