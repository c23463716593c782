"""A server's end of TLS, for tests: it can do everything right, and everything wrong.

`TlsServerStream` runs OpenSSL on two memory buffers over a `Transport` that stays in reach, so that a script can send
bytes below TLS, cut the connection without a close_notify, or end one direction alone. It remembers what a test of a
client wants to know: which alert the client sent, the name it asked for (SNI), its certificate, whether it resumed a
session.

The rules that hold:

* One task may send while another receives. What TLS itself has to send (alerts) goes through the same lock, so records
  never mix.
* Everything that one receive of the transport brought is decrypted at once. So there is never a whole record left in
  OpenSSL's buffer when we end our direction: `ssl.SSLObject.unwrap` reads ahead there, and fails on application data.
* An end of the transport without a close_notify is an end of the stream like another (``b""``): the servers do not
  care, and a test that does looks at `TlsServerStream.received_close_notify`.
* A client of TLS 1.3 that closes without having read its session tickets resets the connection, as it does with any
  unread bytes. Servers for tests about how connections end are better made with ``tickets=0``.
* What the transport does not take at once is kept. So a send that is cancelled leaves no half of a record behind, and
  closing without waiting is polite as long as the transport has room for what is kept and a close_notify.
"""

from __future__ import annotations

import contextlib
import operator
import ssl
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, TypedDict, Unpack
from weakref import WeakKeyDictionary

import trio
from attrs import frozen

from .transport import Transport, close_transport, reset_transport, send_nowait

_RECEIVE_SIZE = 64 * 1024
_ENCRYPT_SIZE = 256 * 1024  # plain bytes turned into records before they are sent: bounds what a big send holds twice


# What clients asked for; Python tells it to a callback of the context, which is shared by all connections.
_requested_names: WeakKeyDictionary[ssl.SSLObject, str | None] = WeakKeyDictionary()


def _record_name(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    _requested_names[tls] = name


class TlsOptions(TypedDict, total=False):
    """What may be said of a server's TLS besides its certificate."""

    alpn: Sequence[str]
    """Protocols to choose from, the best first (RFC 7301); default ``("http/1.1",)``, empty for no ALPN."""
    minimum_version: ssl.TLSVersion | None
    """The oldest version that is spoken; those before TLS 1.2 lower OpenSSL's security level to 0, which they need."""
    maximum_version: ssl.TLSVersion | None
    """The newest version that is spoken."""
    client_ca: bytes | None
    """PEM of authorities; a client must show a certificate that one of them issued."""
    tickets: int
    """Sessions that a client is given to resume: that many tickets in TLS 1.3 (default 2), none at all for 0."""


@frozen
class ServerTls:
    """A server's settings for TLS.

    The context is made to record the name that a client asks for, unless it has an ``sni_callback`` of its own.
    """

    context: ssl.SSLContext

    def __attrs_post_init__(self) -> None:
        if self.context.sni_callback is None:
            self.context.sni_callback = _record_name

    @classmethod
    def from_pem(cls, chain_pem: bytes, key_pem: bytes, **options: Unpack[TlsOptions]) -> Self:
        """Settings with this certificate chain (the server's own first) and its private key.

        Raises:
            ssl.SSLError: they are not PEM, or the key is not that of the certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "server.pem")  # Python reads certificates with keys from files only
            path.write_bytes(chain_pem + b"\n" + key_pem)
            context.load_cert_chain(path)
        _set_versions(context, options.get("minimum_version"), options.get("maximum_version"))
        if alpn := options.get("alpn", ("http/1.1",)):
            context.set_alpn_protocols(list(alpn))
        if (client_ca := options.get("client_ca")) is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
        context.num_tickets = options.get("tickets", 2)
        if not context.num_tickets:
            context.options |= ssl.OP_NO_TICKET
        return cls(context)


def _set_versions(context: ssl.SSLContext, minimum: ssl.TLSVersion | None, maximum: ssl.TLSVersion | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a server that speaks old versions does so on purpose
        if minimum is not None:
            context.minimum_version = minimum
            if minimum < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if maximum is not None:
            context.maximum_version = maximum


class TlsServerStream(trio.abc.HalfCloseableStream):
    """The server's end of a TLS connection; takes ``transport`` over. Call `do_handshake` first.

    Closing it politely (`aclose`) sends a close_notify; `close_nowait` does not, which is a truncation; `reset` breaks.
    """

    def __init__(self, transport: Transport, tls: ServerTls) -> None:
        self.transport = transport
        """The bytes below; what is sent there is not encrypted."""
        self.is_established = False
        """Whether the handshake has succeeded."""
        self.handshake_error: ssl.SSLError | None = None
        """Why it has not: an alert of the client's has its name in ``reason``, such as TLSV1_ALERT_UNKNOWN_CA."""
        self.receive_error: ssl.SSLError | None = None
        """What broke TLS after the handshake: an alert, or bytes that are no record."""
        self.received_close_notify = False
        """Whether the client has ended its direction as TLS wants it."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = tls.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._plain = bytearray()
        self._unsent = bytearray()
        self._busy: set[str] = set()
        self._wire = trio.Lock()
        self._at_end = self._ended = self._closed = False

    @property
    def server_name(self) -> str | None:
        """The host name that the client asked for (SNI, RFC 6066 section 3); `None` if it named none."""
        return _requested_names.get(self._tls)

    @property
    def client_certificate(self) -> bytes | None:
        """The client's certificate, DER; `None` if it showed none, or before the handshake is done."""
        return self._tls.getpeercert(binary_form=True) if self.is_established else None

    @property
    def session_reused(self) -> bool:
        """Whether the client has resumed an earlier session."""
        return bool(self._tls.session_reused)

    @property
    def version(self) -> str | None:
        """The version spoken, such as ``TLSv1.3``; `None` before the handshake is done."""
        return self._tls.version() if self.is_established else None

    @property
    def cipher(self) -> str | None:
        """The name of the cipher suite; `None` before the handshake is done."""
        cipher = self._tls.cipher() if self.is_established else None
        return cipher[0] if cipher else None

    @property
    def alpn(self) -> str | None:
        """The protocol that ALPN chose; `None` if there was no choice."""
        return self._tls.selected_alpn_protocol()

    async def do_handshake(self) -> None:
        """Do the handshake; once.

        Raises:
            trio.BrokenResourceError: it failed; `handshake_error` says why, unless the connection just broke.
            trio.ClosedResourceError: this stream was closed.
        """
        while not (self._handshake_step() or self.handshake_error):
            await self._flush()
            await self._feed()
        # Our alert, or our last words and the tickets. A client that is gone already has still said what we will read.
        with contextlib.suppress(trio.BrokenResourceError):
            await self._flush()
        if self.handshake_error is not None:
            reason = self.handshake_error.reason
            raise trio.BrokenResourceError(f"the TLS handshake failed: {reason}") from self.handshake_error
        self._decrypt()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As `trio.abc.SendStream.send_all`. Cancelled, a part of it is sent, or will be with what is sent next."""
        with self._exclusive("sending"), memoryview(data) as view:
            self._check_sendable()
            await trio.lowlevel.checkpoint()
            for start in range(0, len(view), _ENCRYPT_SIZE):
                with view[start : start + _ENCRYPT_SIZE] as piece:
                    self._encrypt(piece)
                await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """As `trio.abc.SendStream.wait_send_all_might_not_block`."""
        with self._exclusive("sending"):
            self._check_open()
            async with self._wire:
                await self.transport.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End our direction with a close_notify; the transport stays open, and receiving goes on.

        TLS 1.3 allows that (RFC 8446 section 6.1); a client of TLS 1.2 is to answer with its own at once.
        """
        with self._exclusive("sending"):
            self._check_open()
            await trio.lowlevel.checkpoint()
            self._say_goodbye()
            await self._flush()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As `trio.abc.ReceiveStream.receive_some`: at most ``max_bytes`` (default 64 KiB), ``b""`` at the end.

        Raises:
            trio.BrokenResourceError: the connection was reset, or what came is no TLS; see `receive_error`.
            trio.ClosedResourceError: this end is closed, perhaps while this call waited.
            trio.BusyResourceError: another task is in this method.
            ValueError: ``max_bytes`` is less than 1.
        """
        limit = _RECEIVE_SIZE if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError("max_bytes must be >= 1")
        with self._exclusive("receiving"):
            self._check_open()
            await trio.lowlevel.checkpoint()
            while not (self._plain or self._at_end or self.receive_error):
                await self._feed()
                self._decrypt()
            data = bytes(self._plain[:limit])
            del self._plain[:limit]
            if not data and self.receive_error is not None:
                await self._flush()  # our alert
                raise trio.BrokenResourceError(f"TLS failed: {self.receive_error.reason}") from self.receive_error
            return data

    async def aclose(self) -> None:
        """Close politely: a close_notify, for which the peer may have to be waited for, then the transport.

        Cancelled, or with another task in the middle of a send, it does not wait: see `end_nowait`.
        """
        try:
            if self.is_established:
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                    await self.send_eof()
        finally:
            self.end_nowait()
        await trio.lowlevel.checkpoint()

    def end_nowait(self) -> None:
        """Close at once, with what is not sent yet and a close_notify if they need no waiting. Idempotent."""
        self._say_goodbye()
        self._closed = True
        close_transport(self.transport, bytes(self._unsent) + self._outgoing.read())

    def close_nowait(self) -> None:
        """Close at once without a close_notify: a truncation, which the peer must notice. Idempotent."""
        self._closed = True
        close_transport(self.transport)

    def reset(self) -> None:
        """Close the transport as with a RST."""
        self._closed = True
        reset_transport(self.transport)

    def _handshake_step(self) -> bool:
        """Go on with the handshake; gives whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self.handshake_error = error
            return False
        self.is_established = True
        return True

    def _encrypt(self, view: memoryview) -> None:
        done = 0
        try:
            while done < len(view):
                done += self._tls.write(view[done:])
        except ssl.SSLError as error:
            raise trio.BrokenResourceError(f"TLS failed: {error.reason}") from error

    def _decrypt(self) -> None:
        """Turn all that has come into plain bytes, and learn how it ends."""
        try:
            while record := self._read_record():
                self._plain += record
            self.received_close_notify = self._at_end = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._at_end = True
        except ssl.SSLError as error:
            self.receive_error = error

    def _read_record(self) -> bytes:
        # Python has two words for a close_notify: this exception if we sent ours before, else no bytes.
        with contextlib.suppress(ssl.SSLZeroReturnError):
            return self._tls.read(_RECEIVE_SIZE)
        return b""

    def _say_goodbye(self) -> None:
        """Put a close_notify after what is to be sent; once."""
        if self._ended:
            return
        self._ended = True
        # It wants the peer's, which we do not wait for; or there is no TLS to end, not yet or not any more.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()

    async def _feed(self) -> None:
        data = await self.transport.receive_some(_RECEIVE_SIZE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        async with self._wire:
            while self._outgoing.pending or self._unsent:
                self._unsent += self._outgoing.read()
                del self._unsent[: send_nowait(self.transport, self._unsent)]
                if self._unsent:
                    await self.transport.wait_send_all_might_not_block()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end of the connection was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._ended:
            raise trio.ClosedResourceError("can't send data after sending EOF")

    @contextlib.contextmanager
    def _exclusive(self, action: str) -> Iterator[None]:
        if action in self._busy:
            raise trio.BusyResourceError(f"another task is already {action} on this stream")
        self._busy.add(action)
        try:
            yield
        finally:
            self._busy.discard(action)
