"""A server's end of TLS for which no rule holds: it shakes hands honestly, and then writes records that OpenSSL would
never write.

`ForgedEnd` has OpenSSL do the handshake and read what the client sends. What it sends itself it encrypts with its own
hands, with the keys from OpenSSL's key log: so there may be anything in it, in any order, and in any number. That is
RFC 8446 sections 5.2 and 7 for TLS 1.3, and RFC 5246 sections 5 and 6.3 with RFC 5288 for TLS 1.2.

Every byte it sends can be interfered with on the way: see `Wire`.
"""

from __future__ import annotations

import enum
import hmac
import ssl
from pathlib import Path
from typing import Protocol, Self

import trio
from attrs import define, field, frozen
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests import certificates
from trioreply.testing import Transport
from trioreply.testing.transport import close_transport, reset_transport


class Content(enum.IntEnum):
    """What a record holds (RFC 8446 section 5.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


def plain_record(content: Content, data: bytes) -> bytes:
    """A record that is not encrypted."""
    return bytes([content, 3, 3]) + len(data).to_bytes(2, "big") + data


def handshake_message(kind: int, body: bytes) -> bytes:
    """A handshake message, for as many records as it takes."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


class EndOfScene(Exception):  # noqa: N818 - no error, but what was planned
    """The connection is over, by a fault or because the client went away."""


class Cut(enum.Enum):
    """What happens to the byte at a `Fault`'s place, and to all that would follow."""

    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"
    """Nothing comes any more, and nothing ends."""
    FLIP = "flip"
    """One bit is another one; all else arrives as it was."""
    DOUBLE = "double"
    """The byte comes twice; all else arrives as it was."""
    DROP = "drop"
    """The byte is left out; all else arrives as it was."""


@frozen
class Fault:
    """What happens to which byte of all that the server sends."""

    at: int
    cut: Cut
    bit: int = 0


class Wire:
    """A transport that counts what is sent, and interferes with one byte of it."""

    def __init__(self, transport: Transport, fault: Fault | None = None) -> None:
        self.transport = transport
        self.sent = bytearray()
        """What was meant to be sent."""
        self._fault = fault

    async def send(self, data: bytes) -> None:
        """Send, or what is made of it.

        Raises:
            EndOfScene: the fault ends the connection, or the client did.
        """
        place = -1 if self._fault is None else self._fault.at - len(self.sent)
        self.sent += data
        try:
            if self._fault is None or not 0 <= place < len(data):
                await self.transport.send_all(data)
                return
            await self.transport.send_all(_altered(self._fault, data, place))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise EndOfScene from error
        match self._fault.cut:
            case Cut.CLOSE:
                close_transport(self.transport)
                raise EndOfScene
            case Cut.RESET:
                reset_transport(self.transport)
                raise EndOfScene
            case Cut.STALL:
                await trio.sleep_forever()
            case _:
                pass

    async def receive(self) -> bytes:
        """The next bytes from the client.

        Raises:
            EndOfScene: there are none.
        """
        try:
            data = await self.transport.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise EndOfScene from error
        if not data:
            raise EndOfScene
        return bytes(data)


def _altered(fault: Fault, data: bytes, place: int) -> bytes:
    before, octet, after = data[:place], data[place : place + 1], data[place + 1 :]
    match fault.cut:
        case Cut.FLIP:
            return before + bytes([octet[0] ^ 1 << fault.bit]) + after
        case Cut.DOUBLE:
            return before + octet + octet + after
        case Cut.DROP:
            return before + after
        case _:
            return before


class Sealer(Protocol):
    """Turns anything into a record that the client can decrypt."""

    def seal(self, content: int, data: bytes) -> bytes:
        """The next record."""
        ...


def _expand(secret: bytes, label: str, size: int, algorithm: hashes.HashAlgorithm) -> bytes:
    """RFC 8446 section 7.1, with an empty context."""
    name = b"tls13 " + label.encode("ascii")
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    return HKDFExpand(algorithm, size, info).derive(secret)


@define
class Sealer13:
    """TLS 1.3: the number of a record is in its nonce, and what it holds is encrypted with it."""

    _secret: bytes
    _key_size: int
    _algorithm: hashes.HashAlgorithm
    _number: int = 0
    _key: AESGCM = field(init=False)
    _nonce: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._set_keys()

    def seal(self, content: int, data: bytes) -> bytes:
        """See `Sealer`."""
        inner = data + bytes([content])
        head = bytes([Content.APPLICATION_DATA, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._nonce ^ self._number).to_bytes(12, "big")
        self._number += 1
        return head + self._key.encrypt(nonce, inner, head)

    def update(self, *, requested: bool) -> bytes:
        """A KeyUpdate, after which the keys are new ones (RFC 8446 section 7.2)."""
        record = self.seal(Content.HANDSHAKE, handshake_message(24, bytes([requested])))
        self._secret = _expand(self._secret, "traffic upd", self._algorithm.digest_size, self._algorithm)
        self._number = 0
        self._set_keys()
        return record

    def _set_keys(self) -> None:
        self._key = AESGCM(_expand(self._secret, "key", self._key_size, self._algorithm))
        self._nonce = int.from_bytes(_expand(self._secret, "iv", 12, self._algorithm), "big")


@define
class Sealer12:
    """TLS 1.2 with AES-128-GCM: a nonce stands before the record, and its number is authenticated with it."""

    _key: AESGCM
    _salt: bytes
    _number: int = 1  # the server's Finished was the first

    @classmethod
    def from_master(cls, master: bytes, *, client_random: bytes, server_random: bytes) -> Self:
        """From the secret that both sides know (RFC 5246 section 6.3)."""
        seed = b"key expansion" + server_random + client_random
        block, link = b"", seed
        while len(block) < 40:
            link = hmac.digest(master, link, "sha256")
            block += hmac.digest(master, link + seed, "sha256")
        return cls(AESGCM(block[16:32]), block[36:40])

    def seal(self, content: int, data: bytes) -> bytes:
        """See `Sealer`."""
        number = self._number.to_bytes(8, "big")
        head = bytes([content, 3, 3])
        sealed = self._key.encrypt(self._salt + number, data, number + head + len(data).to_bytes(2, "big"))
        self._number += 1
        return head + (8 + len(sealed)).to_bytes(2, "big") + number + sealed


class Forge:
    """Makes servers' ends, all with the usual certificate or one chain; keeps what it must in ``directory``."""

    def __init__(self, directory: Path, chain: bytes | None = None) -> None:
        self._pem = directory / "server.pem"
        self._secrets = directory / "secrets.log"
        served = certificates.issued()
        self._pem.write_bytes((chain or served.chain) + served.key)
        versions = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        self._contexts = {version: self._make_context(version) for version in versions}

    def end(self, wire: Wire, version: ssl.TLSVersion) -> ForgedEnd:
        """The server's end of a new connection, for TLS 1.2 or 1.3."""
        return ForgedEnd(wire, self._contexts[version], self._secrets)

    def _make_context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """Without session tickets, so that after the handshake no record is sent of which a sealer knows nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")  # of which TLS 1.3 takes no notice
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        context.load_cert_chain(self._pem)
        context.keylog_filename = str(self._secrets)
        return context


class ForgedEnd:
    """The server's end of one connection. Made by a `Forge`."""

    def __init__(self, wire: Wire, context: ssl.SSLContext, secrets: Path) -> None:
        self.wire = wire
        self._secrets = secrets
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def do_handshake(self) -> None:
        """Do it as it should be done.

        Raises:
            EndOfScene: it failed.
        """
        while not self._step():
            await self._flush()
            self._incoming.write(await self.wire.receive())
        await self._flush()

    async def server_hello(self) -> bytes:
        """The message that a handshake begins with, once the client has said hello; not sent.

        Raises:
            EndOfScene: it failed.
        """
        while not self._outgoing.pending:
            self._incoming.write(await self.wire.receive())
            self._step()
        flight = self._outgoing.read()
        return flight[5 : 9 + int.from_bytes(flight[6:9], "big")]

    async def receive_request(self) -> None:
        """Wait for the end of a request's head.

        Raises:
            EndOfScene: it does not come.
        """
        received = b""
        while b"\r\n\r\n" not in received:
            try:
                piece = self._tls.read(65536)
                if not piece:
                    raise EndOfScene  # a close_notify
                received += piece
            except ssl.SSLWantReadError:
                self._incoming.write(await self.wire.receive())
            except ssl.SSLError as error:
                raise EndOfScene from error

    async def read_on(self) -> None:
        """Take all that the client sends, whatever it is, until it goes away.

        Raises:
            EndOfScene: it went away.
        """
        while True:
            await self.wire.receive()

    async def send(self, data: bytes) -> None:
        """Send application bytes as OpenSSL would; not together with a `sealer`'s records."""
        self._tls.write(data)
        await self._flush()

    def sealer(self) -> Sealer12 | Sealer13:
        """Who makes records of our own."""
        lines = [line.split() for line in self._secrets.read_text("ascii").splitlines() if line[0] != "#"]
        # The newest are ours: connections come one after the other.
        last = {name: (bytes.fromhex(random), bytes.fromhex(secret)) for name, random, secret in lines}
        if self._tls.version() == "TLSv1.2":
            client_random, master = last["CLIENT_RANDOM"]
            # The ServerHello comes first: heads of the record and of the message, version, random.
            return Sealer12.from_master(master, client_random=client_random, server_random=bytes(self.wire.sent[11:43]))
        _, secret = last["SERVER_TRAFFIC_SECRET_0"]
        is_long = len(secret) == hashes.SHA384.digest_size
        return Sealer13(secret, 32 if is_long else 16, hashes.SHA384() if is_long else hashes.SHA256())

    def _step(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise EndOfScene from error
        return True

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self.wire.send(self._outgoing.read())
