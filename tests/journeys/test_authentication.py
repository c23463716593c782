"""Authentication at an origin server, end to end: every row of the measured table, and what differs on purpose."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from trioreply import (
    AuthenticationRequired,
    AuthenticationRequiredError,
    Bearer,
    ContentReSendError,
    Direction,
    Limits,
    LoadControl,
    Manager,
    NetworkError,
    OpenReply,
    Progress,
    Reply,
)
from trioreply.testing import (
    Origin,
    OriginRequest,
    OriginResponse,
    ReceiveEnd,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
)

from .conftest import Place
from .guarded import (
    BASIC,
    HIDDEN,
    OK_END,
    REFUSED_END,
    RIGHT,
    WELCOME,
    WRONG,
    Door,
    basic,
    converse,
    door,
    guarded,
    sent,
)
from .notation import sequence

Answers = tuple[tuple[str, str] | None, ...]
SHA = 'Digest realm="r", nonce="n", algorithm=SHA-1, qop="auth"'


def _get(manager: Manager, url: str) -> OpenReply:
    return manager.get(url)


def _as_user(user: str, password: str) -> Callable[[Manager, str], OpenReply]:
    def request(manager: Manager, url: str) -> OpenReply:
        return manager.get(url.replace("://", f"://{user}:{password}@"))

    return request


@frozen
class Case:
    """One row: the door, the answers that its questions get, and what comes of it."""

    name: str
    opens: Door
    answers: Answers
    events: str
    sent: list[str | None]
    request: Callable[[Manager, str], OpenReply] = _get
    close: bool = False


REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: " + BASIC.encode() + b"\r\n"

BASIC_DOOR = door(BASIC)
CASES = [
    Case("right", BASIC_DOOR, (RIGHT,), f"S Q A() Q {OK_END}", [None, basic(*RIGHT)]),
    Case(
        "wrong, then right",
        BASIC_DOOR,
        (WRONG, RIGHT),
        f"S Q A() Q A(u) Q {OK_END}",
        [None, basic(*WRONG), basic(*RIGHT)],
    ),
    Case(
        "wrong, and the same again", BASIC_DOOR, (WRONG, WRONG), f"S Q A() Q A(u) {REFUSED_END}", [None, basic(*WRONG)]
    ),
    Case("wrong, then none", BASIC_DOOR, (WRONG,), f"S Q A() Q A(u) {REFUSED_END}", [None, basic(*WRONG)]),
    Case("none", BASIC_DOOR, (), f"S Q A() {REFUSED_END}", [None]),
    Case("no challenge", door(), (RIGHT,), f"S Q {REFUSED_END}", [None]),
    Case("Bearer only", door("Bearer"), (RIGHT,), f"S Q {REFUSED_END}", [None]),
    Case("an unknown algorithm only", door(SHA), (RIGHT,), f"S Q {REFUSED_END}", [None]),
    Case("an unknown algorithm, and Basic", door(SHA, BASIC), (RIGHT,), f"S Q A() Q {OK_END}", [None, basic(*RIGHT)]),
    Case(
        "POST",
        BASIC_DOOR,
        (RIGHT,),
        f"S U(4,4) Q A() U(4,4) Q {OK_END}",
        [None, basic(*RIGHT)],
        lambda manager, url: manager.post(url, b"data"),
    ),
    Case(
        "HEAD",
        BASIC_DOOR,
        (RIGHT,),
        "S Q A() Q H(200) D(0,7) F(NO_ERROR)",
        [None, basic(*RIGHT)],
        lambda manager, url: manager.head(url),
    ),
    Case("user and password in the URL", BASIC_DOOR, (), f"S Q Q {OK_END}", [None, basic(*RIGHT)], _as_user(*RIGHT)),
    Case(
        "a wrong password in the URL",
        BASIC_DOOR,
        (RIGHT,),
        f"S Q Q A(u) Q {OK_END}",
        [None, basic(*WRONG), basic(*RIGHT)],
        _as_user(*WRONG),
    ),
    Case(
        "control characters in the URL",
        BASIC_DOOR,
        (RIGHT,),
        f"S Q A() Q {OK_END}",
        [None, basic(*RIGHT)],
        _as_user("u", "p%0D%0AX:y"),
    ),
    Case(
        "auth, right",
        BASIC_DOOR,
        (),
        f"S Q {OK_END}",
        [basic(*RIGHT)],
        lambda manager, url: manager.get(url, auth=RIGHT),
    ),
    Case(
        "auth, wrong",
        BASIC_DOOR,
        (RIGHT,),
        f"S Q A(u) Q {OK_END}",
        [basic(*WRONG), basic(*RIGHT)],
        lambda manager, url: manager.get(url, auth=WRONG),
    ),
    Case(
        "a bearer token",
        door("Bearer", opens="Bearer token"),
        (),
        f"S Q {OK_END}",
        ["Bearer token"],
        lambda manager, url: manager.get(url, auth=Bearer("token")),
    ),
    Case(
        "a bearer token that is refused",
        door("Bearer", opens="Bearer token"),
        (RIGHT,),
        f"S Q {REFUSED_END}",
        ["Bearer old"],
        lambda manager, url: manager.get(url, auth=Bearer("old")),
    ),
    Case(
        "a server that closes after its refusal",
        BASIC_DOOR,
        (RIGHT,),
        f"S Q A() S Q {OK_END}",
        [None, basic(*RIGHT)],
        close=True,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_measured_table(case: Case, place: Place) -> None:
    """Each scenario has its events in the measured order: an answered refusal is never seen, an unanswered one is the
    response, and what goes out is exactly the credentials that were given.
    """
    page = OriginResponse(401, body=HIDDEN, close=case.close)
    async with place.origin(guarded(case.opens, page=page)) as origin, place.open_manager() as manager:
        async with case.request(manager, origin.url("/")) as reply:
            events = await converse(reply, case.answers)
            assert place.sequence(events) == case.events
            assert reply.read() == (
                HIDDEN if reply.status_code == 401 else WELCOME if "R" in case.events.split() else b""
            )
        assert sent(origin) == case.sent
        assert {request.body for request in origin.requests} == {b"data" if "U(" in case.events else b""}
        assert manager.statistics().leases == 0


@pytest.fixture
async def stage(memory: Place) -> AsyncIterator[tuple[Manager, Origin]]:
    """A manager, and a server with Basic."""
    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager() as manager:
        yield manager, origin


# Who is asked


async def test_a_refusal_says_so(stage: tuple[Manager, Origin]) -> None:
    """Unanswered, the reply has Qt's words for it, and the page can be read."""
    manager, origin = stage
    async with manager.get(origin.url()) as reply:
        assert await reply.wait_finished() is NetworkError.AUTHENTICATION_REQUIRED
        assert reply.error_string == "Host requires authentication"
        assert (reply.status_code, reply.headers["WWW-Authenticate"], reply.read()) == (401, BASIC, HIDDEN)


async def test_fetch_refuses_at_once(stage: tuple[Manager, Origin]) -> None:
    """Nobody reads events in fetch: the refusal is raised, or, if statuses are not to be, given."""
    manager, origin = stage
    with pytest.raises(AuthenticationRequiredError, match="requires authentication") as caught:
        await manager.fetch(origin.url())
    assert caught.value.status_code == 401
    response = await manager.fetch(origin.url(), raise_for_error=False)
    assert (response.status_code, response.body) == (401, HIDDEN)


async def test_the_managers_handler_is_asked_first(memory: Place) -> None:
    """The ``authenticator`` answers for everybody, ``fetch`` included; where it declines, the reader is asked."""
    asked: list[tuple[str, str, str | None]] = []

    async def authenticate(reply: Reply, event: AuthenticationRequired) -> None:
        assert reply.url == event.url
        asked.append((event.challenge.scheme, event.challenge.realm, event.challenge.previous_user))
        await trio.lowlevel.checkpoint()
        if reply.url.path != "/declined":
            event.answer(*(WRONG if event.challenge.previous_user is None else RIGHT))

    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager(authenticator=authenticate) as manager:
        assert (await manager.fetch(origin.url("/fetched"))).body == WELCOME
        assert asked == [("Basic", "r", None), ("Basic", "r", "u")]
        manager.clear_credentials()
        async with manager.get(origin.url("/read")) as reply:
            assert sequence(await converse(reply)) == f"Q Q Q {OK_END}"
        manager.clear_credentials()
        async with manager.get(origin.url("/declined")) as reply:
            assert sequence(await converse(reply, [RIGHT])) == f"Q A() Q {OK_END}"


async def test_a_handler_that_never_gives_up(memory: Place) -> None:
    """Somebody who invents another password each time is asked a few times, and not for ever."""
    asked = 0

    async def guess(_reply: Reply, event: AuthenticationRequired) -> None:
        nonlocal asked
        asked += 1
        event.answer("u", f"guess {asked}")

    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager(authenticator=guess) as manager:
        with pytest.raises(AuthenticationRequiredError):
            await manager.fetch(origin.url())
    assert asked == 8
    assert len(origin.requests) == 9


# While it is open


async def test_an_open_question_holds_no_connection(place: Place) -> None:
    """While one reply's question is open, another reply gets the only connection there is."""
    limits = Limits(per_host=1, total=1)
    async with place.origin(guarded(BASIC_DOOR)) as origin, place.open_manager(limits=limits) as manager:
        async with manager.get(origin.url("/a")) as asking:
            event = await _question_of(asking)
            assert manager.statistics().leases == 0
            assert (await manager.fetch(origin.url("/b"), auth=RIGHT)).body == WELCOME
            event.answer(*RIGHT)
            assert await asking.read_all() == WELCOME
        assert len(origin.connections) == 1


async def test_no_timeout_while_somebody_thinks(memory: Place, autojump_clock: MockClock) -> None:
    """Neither the exchange's time nor anybody else's runs while a person looks for the password."""
    async with memory.origin(guarded(BASIC_DOOR)) as origin:
        async with memory.open_manager(transfer_timeout=1, connect_timeout=1) as manager:
            async with manager.get(origin.url()) as reply:
                event = await _question_of(reply)
                await trio.sleep(3600)
                event.answer(*RIGHT)
                assert await reply.read_all() == WELCOME


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_stopped_while_it_is_open(how: str, stage: tuple[Manager, Origin]) -> None:
    """Stopping the reply closes the question; an answer that comes too late is a mistake, and nothing is sent."""
    manager, origin = stage
    async with manager.get(origin.url()) as reply:
        event = await _question_of(reply)
        getattr(reply, how)()
        assert await reply.wait_finished() is NetworkError.OPERATION_CANCELED
        with pytest.raises(RuntimeError, match="settled"):
            event.answer(*RIGHT)
    assert sent(origin) == [None]


async def test_who_only_reads_the_body_gives_no_answer(stage: tuple[Manager, Origin]) -> None:
    """A task that waits for the body, with nobody at the events, does not wait for an answer that cannot come."""
    manager, origin = stage
    async with manager.get(origin.url()) as reply:
        assert await reply.read_all() == HIDDEN
    async with manager.get(origin.url()) as reply:
        await _question_of(reply)
        assert await reply.read_all() == HIDDEN


async def _question_of(reply: Reply) -> AuthenticationRequired:
    async for event in reply:
        if isinstance(event, AuthenticationRequired):
            return event
    raise AssertionError("the reply asked nothing")


# What is accepted is used again


async def test_reuse_within_a_protection_space(stage: tuple[Manager, Origin]) -> None:
    """What was accepted goes out at once below the same directory, over any connection; elsewhere on the server it is
    tried when the same realm asks, without a question.
    """
    manager, origin = stage
    async with manager.get(origin.url("/a/b")) as reply:
        await converse(reply, [RIGHT])
    async with manager.get(origin.url("/a/c/d")) as reply:
        assert sequence(await converse(reply)) == f"Q {OK_END}"
    manager.clear_connections()
    async with manager.get(origin.url("/a/e")) as reply:
        assert sequence(await converse(reply)) == f"S Q {OK_END}"
    async with manager.get(origin.url("/z")) as reply:
        assert sequence(await converse(reply)) == f"Q Q {OK_END}"
    assert sent(origin) == [None, *[basic(*RIGHT)] * 3, None, basic(*RIGHT)]


async def test_cleared_credentials(stage: tuple[Manager, Origin]) -> None:
    """After ``clear_credentials()`` nothing is sent, and everybody is asked again."""
    manager, origin = stage
    for _ in range(2):
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply, [RIGHT])).endswith(f"Q A() Q {OK_END}")
        manager.clear_credentials()
    assert sent(origin) == [None, basic(*RIGHT)] * 2


async def test_manual_reuse_neither_takes_nor_gives(stage: tuple[Manager, Origin]) -> None:
    """With ``authentication_reuse=MANUAL`` nothing known is sent, it is asked about, and the answer is not kept."""
    manager, origin = stage
    for reuse in (LoadControl.MANUAL, LoadControl.AUTOMATIC, LoadControl.MANUAL):
        async with manager.get(origin.url(), authentication_reuse=reuse) as reply:
            assert sequence(await converse(reply, [RIGHT])).endswith(f"Q A() Q {OK_END}")
    async with manager.get(origin.url(), authentication_reuse=LoadControl.MANUAL) as reply:
        assert sequence(await converse(reply)) == f"Q A() {REFUSED_END}"


async def test_what_is_refused_is_forgotten(memory: Place) -> None:
    """Credentials that a server does not accept any more are asked about, with the user's name, and not sent again."""
    current = [RIGHT]

    def opens(request: OriginRequest) -> Sequence[str] | None:
        return door(BASIC, opens=basic(*current[0]))(request)

    async with memory.origin(guarded(opens)) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            await converse(reply, [RIGHT])
        current[0] = ("u", "changed")
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply)) == f"Q A(u) {REFUSED_END}"
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply, current)) == f"Q A() Q {OK_END}"
    assert sent(origin) == [None, basic(*RIGHT), basic(*RIGHT), None, basic("u", "changed")]


async def test_one_users_request_is_not_anothers(stage: tuple[Manager, Origin]) -> None:
    """What came with a request as its ``auth``, or as the user in its URL, does not go out in somebody else's name."""
    manager, origin = stage
    assert (await manager.fetch(origin.url(), auth=RIGHT)).status_code == 200
    assert (await manager.fetch(origin.url(), raise_for_error=False)).status_code == 401
    async with manager.get(origin.url()) as reply:
        await converse(reply, [RIGHT])
    other = origin.url().replace("://", "://other@")
    assert (await manager.fetch(other, raise_for_error=False)).status_code == 401
    assert sent(origin)[-2:] == [None, basic("other", "")]


# Bodies


async def _pieces() -> AsyncIterator[bytes]:
    yield b"data"


@pytest.mark.parametrize("size", [4, 1_000_000])
async def test_a_path_is_sent_again(size: int, place: Place, tmp_path: Path) -> None:
    """A body that lies somewhere is read from its beginning for each attempt."""
    path = tmp_path / "body"
    path.write_bytes(bytes(size))
    async with place.origin(guarded(BASIC_DOOR)) as origin, place.open_manager() as manager:
        async with manager.put(origin.url(), path) as reply:
            events = await converse(reply, [RIGHT])
            assert reply.read() == WELCOME
    uploaded = [event.done for event in events if isinstance(event, Progress) and event.direction is Direction.UPLOAD]
    assert uploaded.count(size) == 2
    assert [len(request.body) for request in origin.requests] == [size, size]


async def test_a_body_that_comes_once(place: Place) -> None:
    """Credentials for a body that cannot be sent again end in ContentReSendError, with the page readable;
    credentials that come with the request go out at once.
    """
    async with place.origin(guarded(BASIC_DOOR)) as origin, place.open_manager() as manager:
        async with manager.put(origin.url(), _pieces()) as reply:
            events = await converse(reply, [RIGHT])
            assert place.sequence(events).endswith("H(401) R E(CONTENT_RE_SEND) D(7,7) F(CONTENT_RE_SEND)")
            assert reply.read() == HIDDEN
            with pytest.raises(ContentReSendError, match="give it as bytes"):
                reply.raise_for_error()
        async with manager.put(origin.url(), _pieces()) as reply:
            assert place.sequence(await converse(reply)).endswith(REFUSED_END)
        async with manager.put(origin.url(), _pieces(), auth=RIGHT) as reply:
            assert await reply.read_all() == WELCOME
    assert sent(origin) == [None, None, basic(*RIGHT)]


@pytest.mark.parametrize("answers", [(RIGHT,), ()], ids=["answered", "declined"])
async def test_a_refusal_of_any_size(answers: Answers, place: Place) -> None:
    """A page that is too large to wait for does not hide the demand; answered it is given up, else it comes whole."""
    page = OriginResponse(401, body=bytes(300_000))
    async with place.origin(guarded(BASIC_DOOR, page=page)) as origin, place.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            await converse(reply, answers)
            assert reply.read() == (WELCOME if answers else page.body)
        assert (await manager.fetch(origin.url(), auth=RIGHT)).body == WELCOME


async def test_a_refusal_that_never_ends(memory: Place) -> None:
    """Of a page without an end only so much is waited for; answered, its connection is given up."""
    endless = (Send(REFUSAL + b"Content-Length: 1000000\r\n\r\n" + bytes(70_000)), Stall())
    welcome = (Send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + WELCOME), ReceiveEnd())
    peer = ScriptedPeer.for_each((ReceiveRequest(), *endless), (ReceiveRequest(), *welcome))
    async with memory.serve(peer) as url, memory.open_manager() as manager, manager.get(url) as reply:
        assert sequence(await converse(reply, [RIGHT])) == f"S Q A() S Q {OK_END}"
        assert manager.statistics().connections[url + ":80"].idle == 1


async def test_a_compressed_refusal(memory: Place) -> None:
    """A page that was withheld is decoded like any other body when it is delivered after all."""
    page = OriginResponse(401, [("Content-Encoding", "gzip")], gzip.compress(HIDDEN))
    async with memory.origin(guarded(BASIC_DOOR, page=page)) as origin, memory.open_manager() as manager:
        assert (await manager.fetch(origin.url(), raise_for_error=False)).body == HIDDEN
        async with manager.get(origin.url()) as reply:
            await converse(reply, [RIGHT])
            assert reply.read() == WELCOME
