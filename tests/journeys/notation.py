"""Event sequences as text: the notation of the measured tables, one word for each event.

``S`` SocketStartedConnecting, ``V(codes)`` SslErrors, ``T`` Encrypted, ``Q`` RequestSent, ``I(status)`` Informational,
``H(status)`` MetaDataChanged, ``R`` ReadyRead, ``U(done,total)`` and ``D(done,total)`` Progress up and down,
``A(user)`` AuthenticationRequired with the user that was refused before, ``P(user)`` ProxyAuthenticationRequired in the
same way, ``E(error)`` ErrorOccurred, ``F(error)`` Finished; an unknown total is ``?``.
"""

from __future__ import annotations

from collections.abc import Iterable

from trioreply import (
    AuthenticationRequired,
    Direction,
    Encrypted,
    ErrorOccurred,
    Event,
    Finished,
    Informational,
    MetaDataChanged,
    Progress,
    ProxyAuthenticationRequired,
    ReadyRead,
    RequestSent,
    SocketStartedConnecting,
    SslErrors,
)


def word(event: Event) -> str:  # noqa: PLR0911 - one for each kind
    """One event."""
    match event:
        case SocketStartedConnecting():
            return "S"
        case SslErrors(errors=errors):
            return f"V({','.join(error.code.name for error in errors)})"
        case Encrypted():
            return "T"
        case AuthenticationRequired(challenge=challenge) | ProxyAuthenticationRequired(challenge=challenge):
            letter = "A" if isinstance(event, AuthenticationRequired) else "P"
            return f"{letter}({challenge.previous_user or ''})"
        case RequestSent():
            return "Q"
        case Informational(status_code=status):
            return f"I({status})"
        case MetaDataChanged(status_code=status):
            return f"H({status})"
        case ReadyRead():
            return "R"
        case Progress(direction=direction, done=done, total=total):
            letter = "U" if direction is Direction.UPLOAD else "D"
            return f"{letter}({done},{'?' if total is None else total})"
        case ErrorOccurred(error=error):
            return f"E({error.name})"
        case Finished(error=error):
            return f"F({error.name})"
        case _:
            return type(event).__name__


def sequence(events: Iterable[Event]) -> str:
    """All of them; neighbours that are both ``R`` are one, since how often it comes is a matter of timing."""
    words: list[str] = []
    for event in events:
        if not (word(event) == "R" and words[-1:] == ["R"]):
            words.append(word(event))
    return " ".join(words)
