"""TLS over any byte stream: the handshake, and a stream that decrypts all records of one read in one go.

Trio's own ``SSLStream`` is not used, for what it cannot do: it gives one record for each read, sends no alert when it
refuses a certificate, cannot be asked without waiting whether application bytes lie ready, and hides the chain of a
failed handshake. Here the ``ssl`` module works on memory, and this file carries the bytes. What had to be got right:

* **What is sent is sent in order, by one task at a time.** Receiving may have to send (a key update) while another
  task sends; it then leaves its bytes to that one, who looks again before it goes.
* **A send that was cut short has sent an unknown part of a record.** Nothing may follow it, not even a farewell.
* **An end without close_notify is no end** (RFC 8446 section 6.1) but a broken connection, so that a body that is
  delimited by the end of the stream cannot be shortened by anybody on the way.
* **A refused certificate gets its alert**, so that the people at the other end can see why.
* TLS 1.3 sends session tickets at any time: they are no input to who asks with `TlsStream.receive_nowait`.
"""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import Callable
from typing import Protocol, cast

import trio

from .._model.errors import RemoteHostClosedError, SslHandshakeFailedError
from .._model.tls import Certificate, SslError, TlsInfo
from .._model.values import frozen
from .interfaces import ByteStream, TlsError
from .verification import Verdict

RECORD_SIZE = 16 * 1024
"""The most plaintext that a record holds (RFC 8446 section 5.1), and so what one `ssl.SSLObject.read` gives."""

READ_SIZE = 256 * 1024
"""Bytes asked of the network at once while it has as many: sixteen records, decrypted together."""

FIRST_READ_SIZE = 64 * 1024
"""Bytes asked of it otherwise: memory for more is got from the system anew each time, which small reads feel."""

WRITE_SIZE = 256 * 1024
"""Plaintext that is encrypted before it is sent; bounds what lies encrypted in memory."""

ALERT_SECONDS = 1.0
"""How long a refusal may take to send; a connection that does not take its few bytes at once likely never will."""


@frozen
class Resumable:
    """A session that may be resumed, and the certificates it began with: a resumption does not show them again."""

    session: ssl.SSLSession
    peer_chain: tuple[Certificate, ...]
    verified_chain: tuple[Certificate, ...]


OnSession = Callable[[Resumable], None]


class CertificateRefused(Exception):  # noqa: N818 - nobody's fault so far: a decision is due
    """OpenSSL does not accept the peer's certificate. The peer has been told."""

    def __init__(
        self, verdict: Verdict, *, peer_chain: tuple[Certificate, ...], built_chain: tuple[Certificate, ...]
    ) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict
        self.peer_chain = peer_chain
        """As the peer sent it, its own certificate first."""
        self.built_chain = built_chain
        """As far as OpenSSL came in building one, from the peer's certificate up."""


class TlsStream:
    """A secure channel over ``transport``, which it owns from then on; a `ByteStream`. Made by `handshake`.

    Args:
        transport: what carries the records.
        tls: the channel's state, which reads from and writes to the two memories.
        incoming: encrypted bytes that came.
        outgoing: encrypted bytes to send.
        resumed: the session it tries to resume.
        on_session: told once, with the first application bytes, what a later connection may resume.
    """

    __slots__ = (
        "_chains",
        "_failure",
        "_flushed",
        "_incoming",
        "_is_closed",
        "_is_flushing",
        "_is_over",
        "_is_receiving",
        "_is_sending",
        "_is_torn",
        "_on_session",
        "_outgoing",
        "_read_size",
        "_resumed",
        "_tls",
        "_transport",
    )

    def __init__(
        self,
        transport: ByteStream,
        tls: ssl.SSLObject,
        *,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        resumed: Resumable | None,
        on_session: OnSession | None,
    ) -> None:
        self._transport = transport
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        self._resumed = resumed
        self._read_size = FIRST_READ_SIZE
        self._chains: tuple[tuple[Certificate, ...], tuple[Certificate, ...]] | None = None
        self._on_session = on_session
        self._is_sending = self._is_receiving = self._is_flushing = self._is_closed = False
        self._is_over = False  # the peer has said that nothing more comes
        self._is_torn = True  # until the handshake is done nothing may be sent, and no farewell is due
        self._flushed = trio.lowlevel.ParkingLot()
        self._failure: trio.BrokenResourceError | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `ByteStream.send_all`.

        Raises:
            TlsError: the peer broke the rules of TLS.
            trio.BrokenResourceError: the connection is lost, or an earlier send was cut short.
            trio.ClosedResourceError: this stream was closed.
            trio.BusyResourceError: another task is sending.
        """
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._require_open()
        if self._is_torn:
            raise trio.BrokenResourceError("an earlier send was cut short, and nothing can follow it")
        self._is_sending = True
        try:
            if type(data) is bytes and len(data) <= WRITE_SIZE:
                await self._send(data)  # as most requests are, which need no views
                return
            # The views are released even on an error: a traceback that kept them would keep a bytearray locked.
            with memoryview(data) as whole, whole.cast("B") as octets:
                for start in range(0, len(octets), WRITE_SIZE):
                    with octets[start : start + WRITE_SIZE] as piece:
                        await self._send(piece)
        finally:
            self._is_sending = False

    async def _send(self, data: bytes | memoryview) -> None:
        self._encrypt(data)
        while self._is_flushing:
            await self._flushed.park()
        await self._flush()

    def _encrypt(self, data: bytes | memoryview) -> None:
        done = 0
        try:
            while done < len(data):
                done += self._tls.write(memoryview(data)[done:] if done else data)
        except ssl.SSLError as error:  # also one that wants to read first: a renegotiation, which we never agree to
            raise trio.BrokenResourceError("the secure channel is broken, and takes nothing more") from error

    async def _flush(self) -> None:
        """Send what is encrypted, unless another task is at it: it will see what has come meanwhile."""
        if self._is_flushing:
            return
        self._is_flushing = True
        is_done = False
        try:
            while self._outgoing.pending:
                await self._transport.send_all(self._outgoing.read())
            is_done = True
        finally:
            self._is_flushing = False
            self._is_torn = self._is_torn or not is_done
            self._flushed.unpark_all()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `ByteStream.receive_some`: all that one read of the network decrypts to, up to ``max_bytes``.

        Raises:
            TlsError: the peer sent an alert, or broke the rules of TLS.
            trio.BrokenResourceError: the connection is lost, or ended without a close_notify.
            trio.ClosedResourceError: this stream was closed.
            trio.BusyResourceError: another task is receiving.
        """
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._require_open()
        limit = READ_SIZE if max_bytes is None else max_bytes
        self._is_receiving = True
        try:
            while (data := self._decrypt(limit)) is None:
                await self._receive()
            return data
        finally:
            self._is_receiving = False

    async def _receive(self) -> None:
        """Get more from the network; first send what the peer may be waiting for."""
        if self._outgoing.pending:
            await self._flush()
        data = await self._transport.receive_some(self._read_size)
        self._read_size = READ_SIZE if len(data) == self._read_size else FIRST_READ_SIZE
        self._feed(data)

    def _feed(self, data: bytes | bytearray) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _has_input(self) -> bool:
        # OpenSSL takes no more than one record from the memory at a time, and if there is none it says so by an error,
        # which takes longer than to decrypt a small response.
        return bool(self._incoming.pending or self._tls.pending() or self._incoming.eof or self._is_over)

    def _decrypt(self, limit: int) -> bytes | None:
        """All that can be decrypted; ``None`` if more is needed first, ``b""`` at the peer's close_notify."""
        if self._failure is not None:
            raise self._failure
        if not self._has_input():
            return None
        pieces: list[bytes] = []
        size = 0
        try:
            while size < limit:
                piece = self._tls.read(min(limit - size, RECORD_SIZE))
                if not piece:
                    self._is_over = True
                    break
                pieces.append(piece)
                size += len(piece)
                if not self._has_input():
                    break
        except ssl.SSLWantReadError:
            if not pieces:
                return None
        except ssl.SSLError as error:
            failure = _broken(error)
            if not pieces:
                raise failure from error
            failure.__cause__ = error
            self._failure = failure  # what came before it comes first
        if self._on_session is not None:
            self._keep_session(self._on_session)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep_session(self, on_session: OnSession) -> None:
        # Servers send their tickets before the first application bytes.
        self._on_session = None
        session = cast("ssl.SSLSession", self._tls.session)  # after a handshake there is one
        on_session(Resumable(session, *self._certificates()))

    def receive_nowait(self) -> bytes | None:
        """See `ByteStream.receive_nowait`: application bytes, so a session ticket is nothing."""
        try:
            while (data := self._decrypt(READ_SIZE)) is None:
                encrypted = self._transport.receive_nowait()
                if encrypted is None:
                    return None
                self._feed(encrypted)
        except trio.BrokenResourceError:
            return b""
        return data

    def close_nowait(self, farewell: bytes = b"") -> None:
        """See `ByteStream.close_nowait`. The peer gets a close_notify, if one can be sent without waiting."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_torn or self._is_flushing:
            self._transport.close_nowait()
            return
        if farewell:
            with contextlib.suppress(ssl.SSLError):
                self._tls.write(farewell)
        with contextlib.suppress(ssl.SSLError):  # it would now wait for the peer's close_notify; nobody needs that
            self._tls.unwrap()
        self._transport.close_nowait(self._outgoing.read())

    async def aclose(self) -> None:
        """`close_nowait`, then a checkpoint."""
        self.close_nowait()
        await trio.lowlevel.checkpoint()

    def _require_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("this stream was closed")

    @property
    def session_reused(self) -> bool:
        """Whether an earlier session was resumed, which saves the server its certificate."""
        # A key that both had before (PSK) looks the same to OpenSSL.
        return self._resumed is not None and bool(self._tls.session_reused)

    @property
    def alpn(self) -> str | None:
        """The protocol that was agreed on (RFC 7301); ``None`` if that was left open."""
        return self._tls.selected_alpn_protocol()

    def info(self, ignored_errors: tuple[SslError, ...] = ()) -> TlsInfo:
        """What was agreed on."""
        peer_chain, verified_chain = self._certificates()
        return TlsInfo(
            version=self._tls.version() or "",
            cipher=_cipher(self._tls),
            alpn=self.alpn,
            peer_certificate=peer_chain[0] if peer_chain else None,
            peer_chain=peer_chain,
            verified_chain=verified_chain,
            session_reused=self.session_reused,
            ignored_errors=ignored_errors,
        )

    def _certificates(self) -> tuple[tuple[Certificate, ...], tuple[Certificate, ...]]:
        """The chains that the peer sent and that OpenSSL built; they are copied out of OpenSSL once."""
        if self._chains is None:
            resumed = self._resumed
            if resumed is not None and self._tls.session_reused:
                self._chains = resumed.peer_chain, resumed.verified_chain
            else:
                self._chains = _chains(self._tls)
        return self._chains

    async def do_handshake(self) -> None:
        """Agree on a secure channel; once, before anything else. For what it raises see `handshake`."""
        try:
            while not self._advance():
                await self._receive()
            await self._flush()
            self._is_torn = False
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, trio.BrokenResourceError) as error:
            raise RemoteHostClosedError("Connection closed: the server ended it during the TLS handshake") from error
        except ssl.SSLError as error:
            failure = error
        else:
            return
        await self._send_alert()
        raise self._failed(failure) from failure

    def _failed(self, error: ssl.SSLError) -> CertificateRefused | SslHandshakeFailedError:
        if not isinstance(error, ssl.SSLCertVerificationError):
            return SslHandshakeFailedError(f"SSL handshake failed: Error during SSL handshake: {_explain(error)}")
        peer_chain, built_chain = _chains(self._tls)
        verdict = Verdict(error.verify_code, error.verify_message)
        return CertificateRefused(verdict, peer_chain=peer_chain, built_chain=built_chain)

    def _advance(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    async def _send_alert(self) -> None:
        with trio.move_on_after(ALERT_SECONDS), contextlib.suppress(trio.BrokenResourceError):
            await self._flush()


async def handshake(
    transport: ByteStream,
    context: ssl.SSLContext,
    server_name: str,
    *,
    resume: Resumable | None = None,
    on_session: OnSession | None = None,
) -> TlsStream:
    """A secure channel over ``transport`` to ``server_name``. If it raises, ``transport`` is for the caller to close.

    Args:
        transport: an open stream on which nothing was sent yet.
        context: what is offered and how the certificate is judged.
        server_name: host name or address for the certificate, and for SNI (RFC 6066), which addresses do not get.
        resume: an earlier session of the same context and name.
        on_session: told of the session that a later connection may resume.

    Raises:
        CertificateRefused: the certificate was not accepted.
        SslHandshakeFailedError: anything else that TLS did not like, ``server_name`` included.
        RemoteHostClosedError: the server ended the connection.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = None if resume is None else resume.session
    try:
        tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name, session=session)
    except (ValueError, ssl.SSLError) as error:
        # A name that cannot be one, or a user's own context that is not one for clients.
        raise SslHandshakeFailedError(f"SSL handshake failed: peer name {server_name!r}: {error}") from error
    stream = TlsStream(transport, tls, incoming=incoming, outgoing=outgoing, resumed=resume, on_session=on_session)
    await stream.do_handshake()
    return stream


class _NativeCertificate(Protocol):
    def public_bytes(self, form: int, /) -> bytes: ...


class _ChainSource(Protocol):
    def get_unverified_chain(self) -> list[bytes | _NativeCertificate] | None: ...

    def get_verified_chain(self) -> list[bytes | _NativeCertificate] | None: ...


_DER = 2  # _ssl.ENCODING_DER


def _chains(tls: ssl.SSLObject) -> tuple[tuple[Certificate, ...], tuple[Certificate, ...]]:
    """The chain that the peer sent, and the one that OpenSSL built; after a failed handshake, too.

    Public since Python 3.13. Before, the same methods exist on the object behind it and give objects instead of bytes.
    """
    source = cast("_ChainSource", tls if sys.version_info >= (3, 13) else vars(tls)["_sslobj"])
    return _certificates(source.get_unverified_chain()), _certificates(source.get_verified_chain())


def _certificates(chain: list[bytes | _NativeCertificate] | None) -> tuple[Certificate, ...]:
    return tuple(Certificate(item if isinstance(item, bytes) else item.public_bytes(_DER)) for item in chain or ())


def _cipher(tls: ssl.SSLObject) -> str:
    cipher = tls.cipher()
    return "" if cipher is None else cipher[0]


_NO_TLS = "the server does not speak TLS there; check the port, or use http:"
_VERSIONS = (
    "the server and we have no TLS version in common; SslConfiguration(minimum_version=...) allows older ones, "
    "which are not safe"
)
_CIPHERS = (
    "the server accepts nothing we offer; SslConfiguration(ciphers=...) offers more. "
    "It may also want a client certificate: SslConfiguration(certificate=..., private_key=...)"
)
_CLIENT_CERTIFICATE = (
    "the server wants a client certificate that it trusts; give one with "
    "SslConfiguration(certificate=..., private_key=...)"
)
_REMEDIES = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _VERSIONS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _VERSIONS,
    "NO_PROTOCOLS_AVAILABLE": _VERSIONS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _CIPHERS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _CLIENT_CERTIFICATE,
    "SSLV3_ALERT_BAD_CERTIFICATE": _CLIENT_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _CLIENT_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": _CLIENT_CERTIFICATE,
    "TLSV1_ALERT_ACCESS_DENIED": _CLIENT_CERTIFICATE,
    "TLSV1_UNRECOGNIZED_NAME": "the server knows no such host name; peer_verify_name= sends another one",
    "DH_KEY_TOO_SMALL": "its keys are too weak; SslConfiguration(ciphers='DEFAULT@SECLEVEL=1') accepts them",
}
"""What to do, by OpenSSL's reason."""


def _explain(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    words = reason.lower().replace("_", " ") or str(error)
    remedy = _REMEDIES.get(reason)
    return f"{words}: {remedy}" if remedy else words


def _broken(error: ssl.SSLError) -> trio.BrokenResourceError:
    if isinstance(error, ssl.SSLEOFError):
        return trio.BrokenResourceError("it ended without a TLS close_notify, so something may be missing")
    explained = _explain(error)
    # A server that refuses to go on has accepted what we offer.
    return TlsError(f"TLS error: {explained.removesuffix(f': {_CIPHERS}')}")
