"""Open questions: who may answer, and when silence counts as "no". One test for each rule, with real tasks."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from yarl import URL

import trioreply
from trioreply import (
    AuthenticationRequired,
    Challenge,
    Event,
    Finished,
    MetaDataChanged,
    NetworkError,
    Progress,
    Proxy,
    ProxyAuthenticationRequired,
    ProxyType,
    Question,
    Redirected,
    Reply,
    RequestProgress,
    RequestSent,
    SocketStartedConnecting,
    SslError,
    SslErrorCode,
    SslErrors,
)
from trioreply._model.messages import AuthenticationQuestion, ProxyChallenge, RedirectQuestion, TlsAnswer, TlsQuestion
from trioreply._reply.questions import Ask

from .scripted import URL as REPLY_URL
from .scripted import AnyQuestion, Script, open_reply, open_scripted, rest_of, settle

ERRORS = (SslError(SslErrorCode.SELF_SIGNED_CERTIFICATE),)
IGNORED = TlsAnswer(ERRORS)
CONNECTING = SocketStartedConnecting("host", 443)
CHALLENGE = Challenge("Basic", "here")
PROXY = Proxy(ProxyType.HTTP, "proxy", 3128)
TARGET = URL("http://h/b")


def asking() -> Script:
    """Connects, asks about a certificate, and responds."""
    script = Script(CONNECTING, TlsQuestion(ERRORS))
    script.respond()
    script.end()
    return script


async def receive_question(reply: Reply) -> SslErrors:
    """Receive events up to the question."""
    async for event in reply:
        if isinstance(event, SslErrors):
            return event
    raise AssertionError("the reply ended without asking")


def is_settled(event: SslErrors) -> bool:
    """Whether the question is no longer open; answers it if it is."""
    try:
        event.ignore()
    except RuntimeError:
        return True
    return False


async def test_an_answer_lets_the_exchange_go_on() -> None:
    """The answer given on the event is what the exchange gets; a second one is a RuntimeError."""
    script = asking()
    async with open_reply(script) as reply:
        event = await receive_question(reply)
        assert event == SslErrors(ERRORS)
        event.ignore(event.errors)
        assert is_settled(event)
        assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert script.answers == [IGNORED]


@pytest.mark.parametrize(
    ("question", "expected", "answer", "given"),
    [
        (TlsQuestion(ERRORS), SslErrors(ERRORS), lambda event: event.ignore(), IGNORED),
        (
            AuthenticationQuestion(TARGET, CHALLENGE),
            AuthenticationRequired(TARGET, CHALLENGE),
            lambda event: event.answer("u", "p"),
            ("u", "p"),
        ),
        (
            ProxyChallenge(PROXY, CHALLENGE),
            ProxyAuthenticationRequired(PROXY, CHALLENGE),
            lambda event: event.answer("u", "p"),
            ("u", "p"),
        ),
        (RedirectQuestion(301, TARGET), Redirected(301, TARGET), lambda event: event.allow(), True),
    ],
)
async def test_each_question_has_its_event(
    question: AnyQuestion, expected: Event, answer: Callable[[Event], None], given: object
) -> None:
    """Each kind of question becomes its event, and the event's answer is the question's."""
    script = Script(question)
    script.respond()
    script.end()
    async with open_reply(script) as reply:
        event = await reply.events.receive()
        assert event == expected
        answer(event)
        await reply.wait_finished()
    assert script.answers == [given]


async def test_receiver_moves_on_to_the_next_event() -> None:
    """Rule (a): whoever received the question and asks for the next event has declined."""
    script = asking()
    async with open_reply(script) as reply:
        events = await rest_of(reply.events)
        assert [type(event) for event in events] == [
            SocketStartedConnecting,
            SslErrors,
            MetaDataChanged,
            Progress,
            Finished,
        ]
        assert isinstance(events[1], SslErrors)
        assert is_settled(events[1])
    assert script.answers == [None]


async def test_receiver_moves_on_to_another_method() -> None:
    """Rule (a): whoever received the question and waits for something else of the reply has declined."""
    script = asking()
    async with open_reply(script) as reply:
        event = await receive_question(reply)
        await reply.wait_metadata()
        assert is_settled(event)
    assert script.answers == [None]


async def test_receiver_may_wait_for_other_things() -> None:
    """The question waits while its receiver does something else (asks a person, say), whoever else waits meanwhile."""
    script = asking()
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        event = await receive_question(reply)
        nursery.start_soon(reply.wait_finished)
        nursery.start_soon(reply.read_all)
        await settle()
        assert script.answers == []
        event.ignore()
    assert script.answers == [IGNORED]


async def test_someone_is_waiting_and_nobody_ever_read_events() -> None:
    """Rule (b): with a task in ``wait_finished`` and no reader of events, the question is refused when it is asked."""
    script = asking()
    async with open_reply(script) as reply:
        assert await reply.wait_finished() is NetworkError.NO_ERROR
        event = await receive_question(reply)
        assert is_settled(event)
    assert script.answers == [None]


async def test_someone_comes_to_wait_and_nobody_ever_read_events() -> None:
    """Rule (b): a question that rests unseen is refused when a task begins to wait for something else."""
    script = asking()
    async with open_reply(script) as reply:
        await settle()
        assert script.answers == []
        assert await reply.read_all() == b""
    assert script.answers == [None]


async def test_the_last_reader_had_ended() -> None:
    """Rule (b): a task that once read an event and has ended will not come back to answer."""
    script = Script(CONNECTING)
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(reply.events.receive)
        nursery.start_soon(reply.wait_finished)
        await settle()
        script.put(TlsQuestion(ERRORS))
        script.respond()
        script.end()
    assert script.answers == [None]


async def test_the_last_reader_ends_while_the_question_is_open() -> None:
    """Rule (b): the question waits for a reader that lives, and is refused at its end if somebody is waiting."""
    script = Script(CONNECTING)
    leave = trio.Event()

    async def read_once(reply: Reply) -> None:
        await reply.events.receive()
        await leave.wait()

    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        nursery.start_soon(read_once, reply)
        nursery.start_soon(reply.wait_finished)
        script.put(TlsQuestion(ERRORS))
        script.respond()
        script.end()
        await settle()
        assert script.answers == []
        leave.set()
    assert script.answers == [None]


async def test_the_last_reader_ends_and_nobody_waits() -> None:
    """The end of a reader refuses nothing while nobody waits: somebody else may come and read."""
    script = Script(CONNECTING)
    async with open_reply(script) as reply:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply.events.receive)
            script.put(TlsQuestion(ERRORS))
            script.respond()
            script.end()
        await settle()
        assert script.answers == []
        (await receive_question(reply)).ignore()
        await reply.wait_finished()
    assert script.answers == [IGNORED]


async def test_the_last_reader_is_itself_waiting_elsewhere() -> None:
    """Rule (b): a task that reads events and now waits in another method cannot answer."""
    script = Script(CONNECTING)
    async with open_reply(script) as reply:
        await reply.events.receive()
        script.put(TlsQuestion(ERRORS))
        script.respond()
        script.end()
        assert await reply.wait_finished() is NetworkError.NO_ERROR
    assert script.answers == [None]


async def test_a_living_reader_keeps_the_question_open() -> None:
    """A reader of events that is busy elsewhere is expected back, though others wait for the body, or end."""
    script = Script(CONNECTING)
    async with open_reply(script) as reply, trio.open_nursery() as nursery:
        await reply.events.receive()
        nursery.start_soon(reply.read_all)
        script.put(TlsQuestion(ERRORS))
        script.respond()
        script.end()
        await settle()
        nursery.start_soon(trio.lowlevel.checkpoint)
        await settle()
        assert script.answers == []
        (await receive_question(reply)).ignore()
    assert script.answers == [IGNORED]


async def test_nobody_touched_the_reply() -> None:
    """A reply that nobody has touched keeps its question, however long it takes until somebody looks."""
    script = asking()
    async with open_reply(script) as reply:
        await settle()
        reply.read()
        assert script.answers == []
        event = await receive_question(reply)
        assert not is_settled(event)
        await reply.wait_finished()
    assert script.answers == [IGNORED]


@pytest.mark.parametrize("when", ["before", "while it is open"])
async def test_events_are_closed(when: str) -> None:
    """Rule (c): without an event channel nobody can answer, whether it was closed before or is closed now."""
    script = asking()
    async with open_reply(script) as reply:
        if when != "before":
            await settle()
            assert script.answers == []
        await reply.events.aclose()
        await settle()
        assert reply.is_finished
    assert script.answers == [None]


@pytest.mark.parametrize(
    "stop", [lambda reply: reply.abort(), lambda reply: reply.cancel_scope.cancel(), lambda reply: reply.close()]
)
async def test_the_reply_ends(stop: Callable[[Reply], None]) -> None:
    """Rule (d): a question of a reply that ends is refused, however it ends, and its event says so."""
    script = asking()
    async with open_reply(script) as reply:
        event = await receive_question(reply)
        stop(reply)
        await settle()
        assert is_settled(event)
        assert reply.error is NetworkError.OPERATION_CANCELED
    assert script.cancelled
    assert ERRORS not in script.answers


async def test_a_detached_exchange_asks_nobody() -> None:
    """Behind a closed reply questions are refused: the open one, and those that come later."""
    script = Script(RequestProgress(1, 4), TlsQuestion(ERRORS))
    async with open_scripted(script) as manager:
        async with manager.post(REPLY_URL, b"data") as reply:
            await settle()
            reply.close()
            script.put(TlsQuestion(ERRORS), RequestProgress(4, 4, complete=True), RequestSent())
            script.respond()
            script.end()
    assert script.answers == [None, None]


async def test_fetch_refuses_at_once() -> None:
    """``fetch`` has no reader of events, so it refuses without waiting."""
    script = asking()
    async with open_scripted(script) as manager:
        response = await manager.fetch(REPLY_URL)
    assert response.status_code == 200
    assert script.answers == [None]


async def answer_all(reply: Reply, event: SslErrors) -> None:
    """A manager's handler that ignores all errors."""
    assert reply.is_running
    event.ignore()
    await trio.lowlevel.checkpoint()


async def decline(reply: Reply, event: SslErrors) -> None:
    """A manager's handler that leaves the decision to others."""
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("by_fetch", [False, True])
async def test_the_managers_handler_comes_first(by_fetch: bool) -> None:
    """A question that the manager's handler answers never becomes an event, and ``fetch`` asks the handler too."""
    script = asking()
    async with open_scripted(script, ssl_errors=answer_all) as manager:
        if by_fetch:
            await manager.fetch(REPLY_URL)
        else:
            async with manager.get(REPLY_URL) as reply:
                events = await rest_of(reply.events)
            assert SslErrors not in map(type, events)
    assert script.answers == [IGNORED]


async def test_the_managers_handler_declines() -> None:
    """A handler that does not answer passes the question on to the reply's reader, and is asked for its type only."""
    script = asking()
    script_of_others = Script(AuthenticationQuestion(TARGET, CHALLENGE))
    script_of_others.respond()
    script_of_others.end()
    async with open_scripted(script, ssl_errors=decline) as manager:
        manager.register_scheme("other", script_of_others)
        async with manager.get(REPLY_URL) as reply:
            (await receive_question(reply)).ignore()
            await reply.wait_finished()
        async with manager.get("other:x") as reply:
            assert isinstance(await reply.events.receive(), AuthenticationRequired)
    assert script.answers == [IGNORED]


async def test_a_raising_handler_harms_its_own_reply() -> None:
    """An exception of a handler ends the reply it was asked for as UNKNOWN_NETWORK, with itself as the cause."""
    mistake = ZeroDivisionError("a bug")

    async def stumble(reply: Reply, event: SslErrors) -> None:
        raise mistake

    script = asking()
    async with open_scripted(script, ssl_errors=stumble) as manager:
        manager.register_scheme("other", waiting := Script())
        async with manager.get("other:x") as other, manager.get(REPLY_URL) as reply:
            assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
            with pytest.raises(trioreply.UnknownNetworkError, match=r"^ZeroDivisionError: a bug$") as caught:
                reply.raise_for_error()
            assert caught.value.__cause__ is mistake
            waiting.respond(b"fine")
            waiting.end()
            assert await other.read_all() == b"fine"


async def test_a_handler_that_is_too_late() -> None:
    """An answer after the reply was aborted is a RuntimeError, also when the handler still had the question."""
    events: list[SslErrors] = []

    async def linger(reply: Reply, event: SslErrors) -> None:
        events.append(event)
        await trio.sleep_forever()

    async with open_scripted(asking(), ssl_errors=linger) as manager, manager.get(REPLY_URL) as reply:
        await settle()
        reply.abort()
        await reply.aclose()
        assert is_settled(events[0])


async def test_observers_cannot_answer() -> None:
    """An observer sees the question and cannot answer it; the reply's reader can."""
    script = asking()
    async with open_scripted(script) as manager, manager.observe() as seen, manager.get(REPLY_URL) as reply:
        event = await receive_question(reply)
        assert [await seen.receive(), await seen.receive()] == [(reply, CONNECTING), (reply, event)]
        event.ignore()
        await reply.wait_finished()
    assert script.answers == [IGNORED]


async def test_only_questions_are_asked() -> None:
    """A handler that asks something else has made a mistake, which ends its reply."""
    async with open_reply(Script(Question())) as reply:
        assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
        assert "TypeError: a sink asks one of the question classes" in reply.error_string


def test_refusing_is_idempotent() -> None:
    """Refusing twice, or after an answer, changes nothing."""
    ask = Ask()
    ask.settle("yes")
    ask.refuse()
    assert (ask.answer, ask.is_settled) == ("yes", True)
    refused = Ask()
    refused.refuse()
    refused.refuse()
    with pytest.raises(RuntimeError, match="settled"):
        refused.settle("late")
    assert refused.answer is None


WAITING: list[Callable[[Reply], Awaitable[object]]] = [
    lambda reply: reply.receive_some(),
    lambda reply: reply.read_all(),
    lambda reply: reply.read_exactly(1),
    lambda reply: anext(reply.chunks()),
    lambda reply: anext(reply.lines()),
    lambda reply: reply.text(),
    lambda reply: reply.json(),
    lambda reply: reply.wait_metadata(),
    lambda reply: reply.wait_finished(),
    lambda reply: reply.stream.receive_some(),
    lambda reply: reply.aclose(),
]


@pytest.mark.parametrize("wait", WAITING)
async def test_every_waiting_method_counts(wait: Callable[[Reply], Awaitable[object]]) -> None:
    """Rules (a) and (b) hold for every waiting method of a reply: none of them can hang on an unseen question."""
    script = asking()
    async with open_reply(script) as reply:
        await settle()
        with trio.fail_after(1):
            with contextlib.suppress(trioreply.ReplyError, StopAsyncIteration):
                await wait(reply)
        assert reply.is_finished


async def test_an_answer_of_a_cancelled_task_is_no_mistake() -> None:
    """Who is cancelled together with the reply, and was about to answer, hears of the cancellation and nothing else."""
    script = asking()
    with trio.CancelScope() as scope:
        async with open_reply(script) as reply:
            event = await receive_question(reply)
            scope.cancel()
            reply.abort()
            event.ignore()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    with pytest.raises(RuntimeError, match="settled"):
        event.ignore()
