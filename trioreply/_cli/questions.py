"""Who we are, and where we may go: questions of a transfer that somebody at the terminal is asked.

What was said on the command line is not asked for again: a server that refuses a password given there gets no other
one, and its refusal is the result. Without a terminal nothing is asked, and the transfer takes the course that it takes
when nobody answers. Realms and URLs are the server's to choose, so they pass through `printable`.

A command may have several transfers at once, and there is one person. So they are asked one after the other (`Desk`),
and what was answered is not asked again for the next transfer, unless it turned out to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import trio
from attrs import evolve

from .. import (
    AuthenticationRequired,
    Challenge,
    Event,
    ManagerConfig,
    ProxyAuthenticationRequired,
    QuestionEvent,
    Redirected,
    RedirectPolicy,
    Reply,
)
from .asking import Dialogue
from .certificates import judge_certificates
from .errands import Errand
from .exits import CommandError, Exit
from .render import Printer, Style
from .transfer import Watcher
from .wording import printable, shown_url

Demand = AuthenticationRequired | ProxyAuthenticationRequired


E = TypeVar("E", bound=Errand)

Demanded = tuple[str, str, str]
"""Who wants a login, how, and for what."""
Logins = dict[Demanded, tuple[str, str] | None]
"""What was answered so far; ``None`` if nothing was."""


def judges(errand: Errand, printer: Printer, dialogue: Dialogue | None) -> list[Watcher]:
    """Who answers the questions of ``errand``.

    Args:
        errand: what may have answered some of them.
        printer: where it is said what is wrong with a certificate.
        dialogue: who can be asked; ``None`` if nobody can.
    """
    found = [judge_certificates(printer, errand.on_bad_certificate, dialogue)]
    if dialogue is not None:
        if not errand.has_credentials or errand.user is not None:
            found.append(answer_demands(dialogue))
        if not errand.network.has_credentials:
            found.append(answer_proxies(dialogue))
        if errand.request.redirect_policy is RedirectPolicy.USER_VERIFIED:
            found.append(verify_redirects(dialogue))
    return found


class Desk:
    """Puts the questions of all replies of a manager to ``judges``, one after the other."""

    def __init__(self, judges: Sequence[Watcher], *, make_room: Callable[[], None]) -> None:
        self._judges = judges
        self._make_room = make_room
        """Called before each question: whoever draws on the terminal leaves it."""
        self._turn = trio.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether a question is open, so that nobody else may draw."""
        return self._turn.locked()

    async def ask(self, reply: Reply, event: QuestionEvent) -> None:
        """Have ``event`` answered, if somebody has an answer."""
        async with self._turn:
            self._make_room()
            for judge in self._judges:
                await judge(reply, event, 0.0)

    def config(self) -> ManagerConfig:
        """How a manager learns of it."""
        return {
            "ssl_errors": self.ask,
            "authenticator": self.ask,
            "proxy_authenticator": self.ask,
            "redirect_verifier": self.ask,
        }


async def with_passwords(command: E, dialogue: Dialogue | None) -> E:
    """``command`` with the passwords that ``--proxy-user`` and ``--user`` left out.

    Raises:
        CommandError: there is nobody to ask, or no answer, or one that cannot be sent.
    """
    await trio.lowlevel.checkpoint()
    network, user = command.network, command.user
    try:
        if network.asks_password:
            password = await _password(dialogue, f"{network.user} at the proxy", "-U/--proxy-user")
            command = evolve(command, network=network.with_password(password))
        if user is not None:
            password = await _password(dialogue, user, "-u/--user")
            command = evolve(command, request=command.request.replace(auth=(user, password)))
    except ValueError as error:
        raise CommandError(str(error).replace("auth:", "-u/--user:", 1), Exit.USAGE) from error
    return command


async def _password(dialogue: Dialogue | None, of: str, option: str) -> str:
    password = None if dialogue is None else await dialogue.secret(f"Password of {printable(of)}: ")
    if password is None:
        raise CommandError(f"{option}: there is no password; give USER:PASSWORD, or be at a terminal", Exit.USAGE)
    return password


def answer_demands(dialogue: Dialogue) -> Watcher:
    """When the server wants to know who we are, ask for a user name and a password."""
    known: Logins = {}

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, AuthenticationRequired):
            await _answer(dialogue, reply, event, demanded=_demanded(str(event.url.origin()), event), known=known)
        await trio.lowlevel.checkpoint()

    return watch


def answer_proxies(dialogue: Dialogue) -> Watcher:
    """When a proxy wants to know who we are, ask for a user name and a password."""
    known: Logins = {}

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, ProxyAuthenticationRequired):
            await _answer(dialogue, reply, event, demanded=_demanded(f"the proxy {event.proxy}", event), known=known)
        await trio.lowlevel.checkpoint()

    return watch


def _demanded(who: str, event: Demand) -> Demanded:
    return who, event.challenge.scheme, event.challenge.realm


async def _answer(dialogue: Dialogue, reply: Reply, event: Demand, *, demanded: Demanded, known: Logins) -> None:
    if demanded not in known or event.challenge.previous_user is not None:
        # The library's own timeouts stop while a question is open; a limit on the whole transfer does not.
        with trio.CancelScope(deadline=reply.cancel_scope.deadline) as scope:
            known[demanded] = await _login(dialogue, event.challenge, who=demanded[0])
        if scope.cancelled_caught:
            return
    login = known[demanded]
    if login is not None and reply.is_running:
        event.answer(*login)


async def _login(dialogue: Dialogue, challenge: Challenge, *, who: str) -> tuple[str, str] | None:
    known = challenge.previous_user or ""
    dialogue.printer.line((_demand(who, challenge), Style.HEADING))
    user = await dialogue.line(f"User name{f' [{printable(known)}]' if known else ''}: ")
    if user is None or not (user or known):
        return None
    password = await dialogue.secret("Password: ")
    return None if password is None else (user or known, password)


def _demand(who: str, challenge: Challenge) -> str:
    known, realm = challenge.previous_user, challenge.realm
    refused = f" does not accept what it got from {known!r}," if known else ""
    place = f" for {realm!r}" if realm else ""  # SOCKS has none
    return printable(f"{who}{refused} wants a user name and a password ({challenge.scheme}){place}")


def verify_redirects(dialogue: Dialogue) -> Watcher:
    """When a redirect is to be verified, ask whether to follow it."""

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, Redirected):
            with trio.CancelScope(deadline=reply.cancel_scope.deadline):
                question = f"Follow the redirect to {printable(shown_url(event.url))}? [y/N] "
                if await dialogue.says_yes(question) and reply.is_running:
                    event.allow()
        await trio.lowlevel.checkpoint()

    return watch
