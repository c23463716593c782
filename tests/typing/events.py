"""Reading events: every event is in the union, and a match over it can be exhaustive."""

from __future__ import annotations

from typing import assert_never, assert_type

import trio

from trioreply import (
    AuthenticationRequired,
    Direction,
    Encrypted,
    ErrorOccurred,
    Event,
    Finished,
    Informational,
    MetaDataChanged,
    NetworkError,
    Progress,
    ProxyAuthenticationRequired,
    ReadyRead,
    Redirected,
    Reply,
    RequestSent,
    Retrying,
    SocketStartedConnecting,
    SslErrors,
    TlsInfo,
)


def describe(event: Event) -> str:
    """Name every event; forgetting one would be a type error at the end."""
    match event:
        case SocketStartedConnecting(host=host, port=port):
            return f"{assert_type(host, str)}:{assert_type(port, int)}"
        case SslErrors():
            event.ignore()
            return str(event.errors)
        case Encrypted(tls=tls):
            return str(assert_type(tls, TlsInfo))
        case ProxyAuthenticationRequired() | AuthenticationRequired():
            event.answer("user", "password")
            return event.challenge.realm
        case Redirected():
            event.allow()
            return str(event.url)
        case RequestSent() | Informational() | Retrying():
            return "on its way"
        case MetaDataChanged(status_code=status_code):
            return str(assert_type(status_code, int | None))
        case ReadyRead(bytes_available=count):
            return str(assert_type(count, int))
        case Progress(direction=Direction.DOWNLOAD):
            return str(assert_type(event.fraction, float | None))
        case Progress():
            return "up"
        case ErrorOccurred(error=error) | Finished(error=error):
            return assert_type(error, NetworkError).name
        case _:
            assert_never(event)


async def read(reply: Reply) -> None:
    """A reply is iterated for events, and so is its channel."""
    async for event in reply:
        assert_type(event, Event)
    assert_type(reply.events, trio.abc.ReceiveChannel[Event])
    assert_type(await reply.events.receive(), Event)


def mistakes(event: Finished) -> None:
    """Events are frozen, and only the ones that ask can be answered."""
    event.error = NetworkError.NO_ERROR  # type: ignore[misc]  # frozen
    event.allow()  # type: ignore[attr-defined]  # it asks nothing
