"""Questions about who we are and where to go, to somebody at a terminal, and passwords that nobody sees."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

import trioreply
from trioreply._cli.app import main
from trioreply._cli.asking import Dialogue
from trioreply._cli.exits import Exit
from trioreply._cli.files import StandardInput
from trioreply._cli.questions import answer_demands, verify_redirects
from trioreply._cli.render import open_printer
from trioreply._cli.transfer import Watcher
from trioreply.testing import Origin, OriginResponse, Routes, open_origin

from ..journeys.guarded import BASIC, DigestDoor, basic, door, guarded
from .conftest import Person, Terminal, serving
from .test_render import without_rich

Output = pytest.CaptureFixture[bytes]

SECRET = "open sesame"
BODY = b"hello\n"
PAGE = b"go away"
ROUTES: Routes = {
    "/": guarded(door(BASIC, opens=basic("me", SECRET)), inside=OriginResponse(body=BODY)),
    "/digest": guarded(DigestDoor(), inside=OriginResponse(body=BODY)),
    "/go": OriginResponse(302, [("Location", "/open")], b"this way\n"),
    "/open": OriginResponse(body=BODY),
}
CURSOR_SHOWN, CURSOR_HIDDEN = "\x1b[?25h", "\x1b[?25l"
NAME, PASSWORD = "User name: ", "Password: "


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A server with a guarded page and a redirect."""
    with serving(ROUTES) as origin:
        yield origin


def echoes(descriptor: int) -> bool:
    """Whether a terminal shows what is typed."""
    return bool(termios.tcgetattr(descriptor)[3] & termios.ECHO)


def sent(origin: Origin) -> list[str | None]:
    """What each request said about who we are."""
    return [request.header("authorization") for request in origin.requests]


@pytest.mark.parametrize("rich", [True, False])
def test_person_is_asked(
    origin: Origin, *, person: Person, monkeypatch: pytest.MonkeyPatch, capfdbinary: Output, rich: bool
) -> None:
    """On a terminal a demand becomes a question, whose second answer is seen by nobody; then the body comes."""
    if not rich:
        without_rich(monkeypatch)
    person.answers("me\n", NAME)
    person.answers(f"{SECRET}\n", PASSWORD)
    assert person.runs([origin.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    assert sent(origin) == [None, basic("me", SECRET)]
    assert echoes(person.keyboard.fileno())
    server = origin.url().removesuffix("/")
    asked = f"{server} wants a user name and a password (Basic) for 'r'\n{NAME}me\n{PASSWORD}\n"
    assert person.sees().startswith(asked)


def test_wrong_answer_is_asked_for_again(origin: Origin, person: Person) -> None:
    """After a refusal it is said whom the server does not accept, and Enter keeps the name."""
    person.answers("u\n", NAME)
    person.answers("wrong\n", PASSWORD)
    person.answers("\n", "User name [u]: ")
    person.answers("p\n", PASSWORD)
    assert person.runs(["-v", origin.url("/digest")]) == Exit.OK
    shown = person.sees()
    assert "does not accept what it got from 'u', wants a user name and a password (Digest) for 'r'\n" in shown
    assert "AuthenticationRequired  Digest r; 'u' was not accepted\n" in shown


@pytest.mark.parametrize(("name", "password"), [("\n", None), ("\x04", None), ("me\n", "\x04")], ids=ascii)
def test_no_answer_is_the_refusal(
    origin: Origin, *, person: Person, capfdbinary: Output, name: str, password: str | None
) -> None:
    """Who gives no name, or ends the input, gets the page that the server has for strangers."""
    person.answers(name, NAME)
    if password is not None:
        person.answers(password, PASSWORD)
    assert person.runs([origin.url()]) == Exit.CONTENT
    assert capfdbinary.readouterr().out == PAGE
    assert len(origin.requests) == 1
    assert echoes(person.keyboard.fileno())


def test_answer_that_cannot_be_sent(origin: Origin, person: Person) -> None:
    """A name that cannot be sent fails the transfer with the reason, and the password is not shown."""
    person.answers("m:e\n", NAME)
    person.answers(f"{SECRET}\n", PASSWORD)
    assert person.runs([origin.url()]) == Exit.CONTENT
    shown = person.sees()
    assert "the user name 'm:e' holds a colon" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("argv", [["-u", "me:wrong"], ["--oauth2-bearer", "t"], ["-H", "Authorization: Basic bWU6"]])
def test_what_was_said_is_not_asked_for(origin: Origin, *, person: Person, argv: list[str]) -> None:
    """Who has given credentials is not asked for others: the refusal is the result."""
    assert person.runs([*argv, origin.url()]) == Exit.CONTENT
    assert NAME not in person.sees()


def test_input_that_is_sent_is_no_answer(origin: Origin, *, person: Person, capfdbinary: Output) -> None:
    """Where standard input is the body nobody is asked, even on a terminal."""
    person.answers("x\n\x04", "SocketStartedConnecting")
    assert person.runs(["-v", "-X", "PUT", "-d", "@-", origin.url()]) == Exit.CONTENT
    assert capfdbinary.readouterr().out == PAGE
    assert NAME not in person.sees()


def test_password_of_user_is_asked_for(origin: Origin, *, person: Person, capfdbinary: Output) -> None:
    """``-u USER`` asks for the password before anything is sent, and a mistyped one again."""
    person.answers("wrong\n", "Password of me: ")
    person.answers("\n", "User name [me]: ")
    person.answers(f"{SECRET}\n", PASSWORD)
    assert person.runs(["-u", "me", origin.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    assert sent(origin) == [basic("me", "wrong"), basic("me", SECRET)]
    shown = person.sees()
    assert "wrong" not in shown
    assert SECRET not in shown


def test_empty_password_is_one(origin: Origin, person: Person) -> None:
    """Enter alone is an empty password."""
    person.answers("\n", "Password of me: ")
    person.answers("\x04", "User name [me]: ")
    assert person.runs(["-u", "me", origin.url()]) == Exit.CONTENT
    assert sent(origin) == [basic("me", "")]


@pytest.mark.parametrize(
    ("user", "keys", "message"),
    [
        ("me", "\x04", "-u/--user: there is no password; give USER:PASSWORD, or be at a terminal"),
        ("me", "open\x16\x01sesame\n", "-u/--user: the password holds a control character, or half a character"),
    ],
)
def test_unusable_password(origin: Origin, *, person: Person, user: str, keys: str, message: str) -> None:
    """No password, or one that cannot be sent, is wrong usage: nothing is sent, and it is not shown."""
    person.answers(keys, "Password of me: ")
    assert person.runs(["-u", user, origin.url()]) == Exit.USAGE
    assert not origin.requests
    shown = person.sees()
    assert f"trioreply: {message}" in shown
    assert "sesame" not in shown


@pytest.mark.parametrize("argv", [["-u", "me"], []], ids=["before", "meanwhile"])
def test_interrupted_question_leaves_the_terminal_as_it_was(origin: Origin, *, person: Person, argv: list[str]) -> None:
    """Ctrl-C ends the command while it asks for a password, and what is typed is shown again."""
    if not argv:
        person.answers("me\n", NAME)
    person.when("Password", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert person.runs([*argv, origin.url()]) == Exit.INTERRUPTED
    assert echoes(person.keyboard.fileno())
    assert person.sees().splitlines()[-1] == "trioreply: interrupted"


def test_question_does_not_outlast_the_limit(origin: Origin, person: Person) -> None:
    """``--max-time`` counts while a question is open, too."""
    assert person.runs(["--max-time", "0.3", origin.url()]) == Exit.TRANSPORT
    assert person.sees().endswith("trioreply: --max-time: it was not over after 0.3 s\n")


@pytest.mark.parametrize(("keys", "body", "requests"), [("y\n", BODY, 2), ("n\n", b"this way\n", 1)])
def test_redirect_is_asked_about(
    origin: Origin, *, person: Person, capfdbinary: Output, keys: str, body: bytes, requests: int
) -> None:
    """Under user-verified a redirect is followed after a yes, and delivered after anything else."""
    person.answers(keys, "? [y/N] ")
    assert person.runs(["--redirect-policy", "user-verified", origin.url("/go")]) == Exit.OK
    assert capfdbinary.readouterr().out == body
    assert len(origin.requests) == requests
    assert f"Follow the redirect to {origin.url('/open')}? [y/N] " in person.sees()


def test_question_stands_below_the_bar(origin: Origin, *, person: Person, terminal: Terminal, tmp_path: Path) -> None:
    """The bar of an upload is finished before somebody is asked, and begins anew behind the answer."""
    pytest.importorskip("rich")
    person.answers("me\n", NAME)
    person.answers(f"{SECRET}\n", PASSWORD)
    assert person.runs(["-X", "PUT", "-d", "x", "-o", str(tmp_path / "f"), origin.url()]) == Exit.OK
    before, _, after = terminal.shown().partition(PASSWORD)
    assert "upload" in before
    assert before.rindex(CURSOR_SHOWN) > before.rindex(CURSOR_HIDDEN)
    assert after.lstrip().removeprefix("\x1b[0m").lstrip().startswith(f"{CURSOR_HIDDEN}\r\x1b[2Kupload")


def test_scripts_are_not_asked(origin: Origin, person: Person, capfdbinary: Output) -> None:
    """A terminal to read from is not enough without one to show the question on."""
    with Path(os.devnull).open("w") as nowhere:
        assert person.runs([origin.url()], stderr=nowhere) == Exit.CONTENT
    assert capfdbinary.readouterr().out == PAGE
    assert main(["-u", "me", origin.url()]) == Exit.USAGE


class Typist(StandardInput):
    """Answers when the reply is over; its terminal is none."""

    def __init__(self, reply: trioreply.Reply, keys: bytes) -> None:
        super().__init__(-1)
        self._reply = reply
        self._keys = keys

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The answer."""
        self._reply.abort()
        await trio.testing.wait_all_tasks_blocked()
        return self._keys[:max_bytes]

    @contextlib.contextmanager
    def without_echo(self) -> Iterator[None]:
        """Nobody looks."""
        yield


async def outcome(watch: Watcher, reply: trioreply.Reply) -> trioreply.NetworkError:
    """How ``reply`` ends when ``watch`` is told of it."""
    with trio.fail_after(10):
        async for event in reply:
            await watch(reply, event, 0)
    return reply.error


async def test_answers_that_come_too_late() -> None:
    """An answer to a question that is over changes nothing, and is no mistake."""
    async with open_origin(ROUTES) as origin, trioreply.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            watch = answer_demands(Dialogue(open_printer(None), Typist(reply, b"me\n")))
            assert await outcome(watch, reply) is trioreply.NetworkError.OPERATION_CANCELED
        policy = trioreply.RedirectPolicy.USER_VERIFIED
        async with manager.get(origin.url("/go"), redirect_policy=policy) as reply:
            watch = verify_redirects(Dialogue(open_printer(None), Typist(reply, b"y\n")))
            assert await outcome(watch, reply) is trioreply.NetworkError.OPERATION_CANCELED


async def test_terminal_that_has_gone_gives_no_answer() -> None:
    """A keyboard that is no terminal any more is asked for no password, and gives no line."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    dialogue = Dialogue(open_printer(None), StandardInput(reader))
    assert await dialogue.secret(PASSWORD) is None
    assert await dialogue.line(NAME) is None
    assert not await dialogue.says_yes(NAME)


async def test_answer_is_as_it_was_typed() -> None:
    """Only the end of the line is not part of an answer; bytes that are no text are kept for whoever checks them."""
    reader, writer = os.pipe()
    dialogue = Dialogue(open_printer(None), StandardInput(reader))
    os.write(writer, " a\xff \n".encode("latin-1"))
    assert await dialogue.line(NAME) == " a\udcff "
    os.close(writer)
    assert await dialogue.line(NAME) is None
    os.close(reader)
