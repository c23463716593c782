"""Who we are, and where we may go: questions of a transfer that somebody at the terminal is asked.

What was said on the command line is not asked for again: a server that refuses a password given there gets no other
one, and its refusal is the result. Without a terminal nothing is asked, and the transfer takes the course that it takes
when nobody answers. Realms and URLs are the server's to choose, so they pass through `printable`.
"""

from __future__ import annotations

import trio
from attrs import evolve

from .. import AuthenticationRequired, Challenge, Event, Redirected, Reply
from .args import Fetch
from .asking import Dialogue
from .exits import CommandError, Exit
from .render import Style
from .transfer import Watcher
from .wording import printable, shown_url


async def with_password(command: Fetch, dialogue: Dialogue | None) -> Fetch:
    """``command`` with the password that ``--user`` left out.

    Raises:
        CommandError: there is nobody to ask, or no answer, or one that cannot be sent.
    """
    if command.user is None:
        await trio.lowlevel.checkpoint()
        return command
    password = None
    if dialogue is not None:
        password = await dialogue.secret(f"Password of {printable(command.user)}: ")
    if password is None:
        raise CommandError("-u/--user: there is no password; give USER:PASSWORD, or be at a terminal", Exit.USAGE)
    try:
        return evolve(command, request=command.request.replace(auth=(command.user, password)))
    except ValueError as error:
        raise CommandError(str(error).replace("auth:", "-u/--user:", 1), Exit.USAGE) from error


def answer_demands(dialogue: Dialogue) -> Watcher:
    """When the server wants to know who we are, ask for a user name and a password."""

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, AuthenticationRequired):
            # The library's own timeouts stop while a question is open; a limit on the whole transfer does not.
            with trio.CancelScope(deadline=reply.cancel_scope.deadline):
                login = await _login(dialogue, event)
                if login is not None and reply.is_running:
                    event.answer(*login)
        await trio.lowlevel.checkpoint()

    return watch


async def _login(dialogue: Dialogue, event: AuthenticationRequired) -> tuple[str, str] | None:
    challenge = event.challenge
    known = challenge.previous_user or ""
    dialogue.printer.line((_demand(str(event.url.origin()), challenge), Style.HEADING))
    user = await dialogue.line(f"User name{f' [{printable(known)}]' if known else ''}: ")
    if user is None or not (user or known):
        return None
    password = await dialogue.secret("Password: ")
    return None if password is None else (user or known, password)


def _demand(server: str, challenge: Challenge) -> str:
    known = challenge.previous_user
    refused = f" does not accept what it got from {known!r}," if known else ""
    return printable(f"{server}{refused} wants a user name and a password ({challenge.scheme}) for {challenge.realm!r}")


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
