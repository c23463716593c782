"""TLS handshakes between two contexts, in memory and without waiting; and refused configurations."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from attrs import frozen

from trioreply._model.errors import SslHandshakeFailedError

HOST = "device.example"


@frozen
class Pair:
    """Both ends of a secure channel, after the handshake."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    _flights: Callable[[], bool]

    def say_hello(self) -> bytes:
        """Send a few bytes from the server, after its session tickets; gives what the client received."""
        self.server.write(b"hello")
        self._flights()
        return self.client.read()


def shake_hands(
    client_context: ssl.SSLContext,
    server_context: ssl.SSLContext,
    *,
    host: str = HOST,
    session: ssl.SSLSession | None = None,
) -> Pair:
    """Carry out a handshake.

    Raises:
        ssl.SSLError: one side refused; the client is asked first.
    """
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    from_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, from_client, server_hostname=host, session=session)
    server = server_context.wrap_bio(to_server, from_server, server_side=True)

    def exchange() -> bool:
        sent_by_client, sent_by_server = from_client.read(), from_server.read()
        to_server.write(sent_by_client)
        to_client.write(sent_by_server)
        return bool(sent_by_client or sent_by_server)

    client_failure = server_failure = None
    is_moving = True
    while is_moving:
        client_failure = client_failure or _advance(client)
        server_failure = server_failure or _advance(server)
        is_moving = exchange()
    if failure := client_failure or server_failure:
        raise failure
    return Pair(client, server, exchange)


def _advance(end: ssl.SSLObject) -> ssl.SSLError | None:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError as error:
        return error
    return None


@contextmanager
def refused(beginning: str) -> Iterator[None]:
    """The block must fail because of a configuration: name the field, say what and what to do, and keep the cause."""
    with pytest.raises(SslHandshakeFailedError) as caught:
        yield
    text = str(caught.value)
    assert text.startswith(f"SSL handshake failed: {beginning}")
    assert "; " in text
    assert "_ssl.c" not in text
