"""Who we are, and where we may go: questions of a transfer that somebody at the terminal is asked.

What was said on the command line is not asked for again: a server that refuses a password given there gets no other
one, and its refusal is the result. Without a terminal nothing is asked, and the transfer takes the course that it takes
when nobody answers. Realms and URLs are the server's to choose, so they pass through `printable`.
"""

from __future__ import annotations

import trio
from attrs import evolve

from .. import AuthenticationRequired, Challenge, Event, ProxyAuthenticationRequired, Redirected, Reply
from .args import Fetch
from .asking import Dialogue
from .exits import CommandError, Exit
from .render import Style
from .transfer import Watcher
from .wording import printable, shown_url

Demand = AuthenticationRequired | ProxyAuthenticationRequired


async def with_passwords(command: Fetch, dialogue: Dialogue | None) -> Fetch:
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

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, AuthenticationRequired):
            await _answer(dialogue, reply, event, who=str(event.url.origin()))
        await trio.lowlevel.checkpoint()

    return watch


def answer_proxies(dialogue: Dialogue) -> Watcher:
    """When a proxy wants to know who we are, ask for a user name and a password."""

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, ProxyAuthenticationRequired):
            await _answer(dialogue, reply, event, who=f"the proxy {event.proxy}")
        await trio.lowlevel.checkpoint()

    return watch


async def _answer(dialogue: Dialogue, reply: Reply, event: Demand, *, who: str) -> None:
    # The library's own timeouts stop while a question is open; a limit on the whole transfer does not.
    with trio.CancelScope(deadline=reply.cancel_scope.deadline):
        login = await _login(dialogue, event.challenge, who=who)
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
