"""A certificate that is not accepted: shown to whoever runs the command, who may be asked what to do.

The question is put to a person at a terminal, never to a script: without a terminal at both ends the transfer fails at
once, with the same table in plain text. A yes counts for exactly the errors that were shown, of that server, as long as
the command runs: it may have several transfers, or come back after a break. Everything in the table is the server's to
choose, so all of it passes through `printable`.
"""

from __future__ import annotations

import trio
from yarl import URL

from .. import Certificate, Event, Reply, SslError, SslErrors
from .asking import Dialogue
from .render import Printer, Style
from .tls_options import OnBadCertificate
from .transfer import Watcher
from .wording import printable, subject_of

TITLE = "The server's certificate cannot be trusted"
QUESTION = "Go on with this certificate? [y/N] "


def judge_certificates(printer: Printer, policy: OnBadCertificate, dialogue: Dialogue | None) -> Watcher:
    """Show what is wrong with a certificate, and do about it what ``policy`` says.

    Args:
        printer: where to show it.
        policy: what to do.
        dialogue: who is asked; ``None`` if nobody can be, and then nothing is.
    """
    accepted: dict[tuple[URL, SslErrors], bool] = {}

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, SslErrors):
            known = (reply.url.origin(), event)
            if known not in accepted:
                accepted[known] = False
                _show(printer, event, policy)
                if policy is OnBadCertificate.ASK and dialogue is not None:
                    accepted[known] = await _says_yes(dialogue, reply)
            if accepted[known] and reply.is_running:
                event.ignore()
        await trio.lowlevel.checkpoint()

    return watch


def _show(printer: Printer, event: SslErrors, policy: OnBadCertificate) -> None:
    if policy is OnBadCertificate.GO_ON:
        _warn(printer, event)
    else:
        printer.table(TITLE, certificate_rows(event))


def certificate_rows(event: SslErrors) -> list[tuple[str, str]]:
    """What is wrong, and with which certificate: names, and texts on one line."""
    leaf = event.peer_chain[0] if event.peer_chain else None
    rows = [("problem", _about(error, leaf)) for error in event.errors]
    if leaf is not None:
        # A certificate's own text is a line for each of its parts, such as "subject: CN=example.org".
        parts = (line.strip().partition(": ") for line in str(leaf).splitlines())
        rows += [(name, value) for name, _, value in parts]
    return [(name, printable(text)) for name, text in rows]


def _about(error: SslError, leaf: Certificate | None) -> str:
    whose = "" if error.certificate in (None, leaf) else f", said of {subject_of(error.certificate)}"
    return f"{error.error_string} ({error.code.name}){whose}"


def _warn(printer: Printer, event: SslErrors) -> None:
    reasons = "; ".join(printable(error.error_string) for error in event.errors)
    warning = f"{reasons}; going on all the same, because of --insecure"
    printer.line(("trioreply: warning: ", Style.BAD), (warning, Style.PLAIN))


async def _says_yes(dialogue: Dialogue, reply: Reply) -> bool:
    # The library's own timeouts stop while a question is open; a limit on the whole transfer does not.
    with trio.CancelScope(deadline=reply.cancel_scope.deadline):
        return await dialogue.says_yes(QUESTION)
    return False
