"""What is said about a secure channel: certificates, verification errors, and the channel itself, as values.

A `Certificate` is its DER bytes and nothing else: it is equal to whatever has the same bytes, whether anybody can
decode them or not, since they come from the other end of a connection. What they say is decoded when somebody asks.
That is `x509`'s work, which is imported only then: it takes cryptography, and most programs never look.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import field

from .._facade import public
from .values import frozen

if TYPE_CHECKING:
    from .x509 import Decoded

PIN_PREFIX: Final = "sha256/"
"""How the text of a pin begins (as in RFC 7469, and as curl writes it but for one slash)."""


@public
class SslErrorCode(enum.IntEnum):
    """Why a certificate was not accepted (``QSslError::SslError``, the same numbers)."""

    UNSPECIFIED = -1
    NO_ERROR = 0
    UNABLE_TO_GET_ISSUER_CERTIFICATE = 1
    UNABLE_TO_DECRYPT_CERTIFICATE_SIGNATURE = 2
    UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY = 3
    CERTIFICATE_SIGNATURE_FAILED = 4
    CERTIFICATE_NOT_YET_VALID = 5
    CERTIFICATE_EXPIRED = 6
    INVALID_NOT_BEFORE_FIELD = 7
    INVALID_NOT_AFTER_FIELD = 8
    SELF_SIGNED_CERTIFICATE = 9
    SELF_SIGNED_CERTIFICATE_IN_CHAIN = 10
    UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE = 11
    UNABLE_TO_VERIFY_FIRST_CERTIFICATE = 12
    CERTIFICATE_REVOKED = 13
    INVALID_CA_CERTIFICATE = 14
    PATH_LENGTH_EXCEEDED = 15
    INVALID_PURPOSE = 16
    CERTIFICATE_UNTRUSTED = 17
    CERTIFICATE_REJECTED = 18
    SUBJECT_ISSUER_MISMATCH = 19
    AUTHORITY_ISSUER_SERIAL_NUMBER_MISMATCH = 20
    NO_PEER_CERTIFICATE = 21
    HOST_NAME_MISMATCH = 22
    NO_SSL_SUPPORT = 23
    CERTIFICATE_BLACKLISTED = 24
    CERTIFICATE_STATUS_UNKNOWN = 25
    OCSP_NO_RESPONSE_FOUND = 26
    OCSP_MALFORMED_REQUEST = 27
    OCSP_MALFORMED_RESPONSE = 28
    OCSP_INTERNAL_ERROR = 29
    OCSP_TRY_LATER = 30
    OCSP_SIG_REQUIRED = 31
    OCSP_UNAUTHORIZED = 32
    OCSP_RESPONSE_CANNOT_BE_TRUSTED = 33
    OCSP_RESPONSE_CERT_ID_UNKNOWN = 34
    OCSP_RESPONSE_EXPIRED = 35
    OCSP_STATUS_UNKNOWN = 36


_TEXTS = {
    SslErrorCode.UNSPECIFIED: "Unknown error",
    SslErrorCode.NO_ERROR: "No error",
    SslErrorCode.UNABLE_TO_GET_ISSUER_CERTIFICATE: "The issuer certificate could not be found",
    SslErrorCode.UNABLE_TO_DECRYPT_CERTIFICATE_SIGNATURE: "The certificate's signature could not be decrypted",
    SslErrorCode.UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: "The issuer's public key could not be read",
    SslErrorCode.CERTIFICATE_SIGNATURE_FAILED: "The certificate's signature is invalid",
    SslErrorCode.CERTIFICATE_NOT_YET_VALID: "The certificate is not yet valid",
    SslErrorCode.CERTIFICATE_EXPIRED: "The certificate has expired",
    SslErrorCode.INVALID_NOT_BEFORE_FIELD: "The certificate's notBefore is no valid time",
    SslErrorCode.INVALID_NOT_AFTER_FIELD: "The certificate's notAfter is no valid time",
    SslErrorCode.SELF_SIGNED_CERTIFICATE: "The certificate is self-signed, and not trusted",
    SslErrorCode.SELF_SIGNED_CERTIFICATE_IN_CHAIN: "The chain ends in a self-signed certificate that is not trusted",
    SslErrorCode.UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE: "The issuer certificate is not known here",
    SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE: "No certificate could be verified",
    SslErrorCode.CERTIFICATE_REVOKED: "The certificate has been revoked",
    SslErrorCode.INVALID_CA_CERTIFICATE: "A certificate in the chain may not issue others",
    SslErrorCode.PATH_LENGTH_EXCEEDED: "The chain is longer than one of its certificates allows",
    SslErrorCode.INVALID_PURPOSE: "The certificate is not for this purpose",
    SslErrorCode.CERTIFICATE_UNTRUSTED: "The root certificate is not trusted for this purpose",
    SslErrorCode.CERTIFICATE_REJECTED: "The certificate is marked as rejected for this purpose",
    SslErrorCode.SUBJECT_ISSUER_MISMATCH: "An issuer certificate's subject is not the certificate's issuer",
    SslErrorCode.AUTHORITY_ISSUER_SERIAL_NUMBER_MISMATCH: (
        "An issuer certificate's name and serial number are not those that the certificate names"
    ),
    SslErrorCode.NO_PEER_CERTIFICATE: "The peer showed no certificate",
    SslErrorCode.HOST_NAME_MISMATCH: "The certificate is not valid for this host name",
    SslErrorCode.NO_SSL_SUPPORT: "TLS is not available",
    SslErrorCode.CERTIFICATE_BLACKLISTED: "The certificate is on a list of forbidden ones",
    SslErrorCode.CERTIFICATE_STATUS_UNKNOWN: "Whether the certificate has been revoked could not be found out",
    SslErrorCode.OCSP_NO_RESPONSE_FOUND: "There was no OCSP response",
    SslErrorCode.OCSP_MALFORMED_REQUEST: "The OCSP request was malformed",
    SslErrorCode.OCSP_MALFORMED_RESPONSE: "The OCSP response is malformed",
    SslErrorCode.OCSP_INTERNAL_ERROR: "The OCSP responder had an internal error",
    SslErrorCode.OCSP_TRY_LATER: "The OCSP responder cannot answer now",
    SslErrorCode.OCSP_SIG_REQUIRED: "The OCSP responder wants signed requests",
    SslErrorCode.OCSP_UNAUTHORIZED: "The OCSP responder does not answer us",
    SslErrorCode.OCSP_RESPONSE_CANNOT_BE_TRUSTED: "The OCSP responder's identity could not be verified",
    SslErrorCode.OCSP_RESPONSE_CERT_ID_UNKNOWN: "The OCSP response is about an unknown certificate",
    SslErrorCode.OCSP_RESPONSE_EXPIRED: "The OCSP response has expired",
    SslErrorCode.OCSP_STATUS_UNKNOWN: "The OCSP responder does not know the certificate's status",
}


@public
@frozen(repr=False)
class Certificate:
    """An X.509 certificate, by its DER bytes; two with the same bytes are equal (``QSslCertificate``).

    Whatever the bytes are, they make a certificate here. Where they cannot be decoded, the properties that say what
    is in it raise `ValueError`; ``repr`` and ``str`` never do.
    """

    der: bytes

    @classmethod
    def load(cls, source: str | bytes) -> tuple[Certificate, ...]:
        """The certificates in ``source``: PEM, which may hold several and other things too, or the DER of one.

        Raises:
            ValueError: there is none in it, or one is damaged.
        """
        octets = source.encode() if isinstance(source, str) else bytes(source)
        ders = _split_pem(octets) if isinstance(source, str) or b"-----BEGIN" in octets else (octets,)
        if not ders:
            raise ValueError("there is no certificate in it; give one as PEM ('-----BEGIN CERTIFICATE-----') or DER")
        for der in ders:
            _decoded(der)
        return tuple(cls(der) for der in ders)

    @property
    def subject(self) -> str:
        """Whose it is, as RFC 4514 writes names, the most specific part first: ``CN=example.com,O=Example``.

        Raises:
            ValueError: it cannot be decoded. So for the other properties.
        """
        return _decoded(self.der).subject

    @property
    def issuer(self) -> str:
        """Who signed it, or claims to have, as RFC 4514 writes names."""
        return _decoded(self.der).issuer

    @property
    def common_name(self) -> str | None:
        """The subject's common name, if it has one. It is for people; what counts are the alternative names."""
        return _decoded(self.der).common_name

    @property
    def serial_number(self) -> int:
        """The issuer's number for it."""
        return _decoded(self.der).serial_number

    @property
    def not_before(self) -> datetime:
        """When it begins to be valid, UTC (``effectiveDate``)."""
        return _decoded(self.der).not_before

    @property
    def not_after(self) -> datetime:
        """When it ends to be valid, UTC (``expiryDate``)."""
        return _decoded(self.der).not_after

    @property
    def subject_alternative_names(self) -> tuple[str, ...]:
        """The host names, then the IP addresses, that it is for."""
        decoded = _decoded(self.der)
        return (*decoded.dns_names, *(str(address) for address in decoded.ip_addresses))

    @property
    def key(self) -> str:
        """What kind of key it has: ``EC secp256r1``, ``RSA 2048``, ``Ed25519``; for unknown ones a dotted OID."""
        return _decoded(self.der).key

    @property
    def pin(self) -> str:
        """What to pin its key with: ``sha256/`` and the base64 of the SHA-256 of its SubjectPublicKeyInfo.

        A renewed certificate with the same key has the same pin (RFC 7469 section 2.4).
        """
        digest = hashlib.sha256(_decoded(self.der).public_key_info).digest()
        return PIN_PREFIX + base64.b64encode(digest).decode("ascii")

    @property
    def is_self_signed(self) -> bool:
        """Whether subject and issuer are one (``isSelfSigned``). The signature is not looked at."""
        return _decoded(self.der).is_self_issued

    @property
    def is_ca(self) -> bool:
        """Whether it says that it may issue others (RFC 5280 section 4.2.1.9)."""
        return _decoded(self.der).is_ca

    @property
    def pem(self) -> str:
        """The certificate as PEM text."""
        lines = base64.encodebytes(self.der).decode("ascii").replace("\n", "")
        wrapped = "\n".join(lines[i : i + 64] for i in range(0, len(lines), 64))
        return f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n"

    def fingerprint(self, algorithm: str = "sha256") -> str:
        """The digest of the DER bytes as lower-case hexadecimal text.

        Raises:
            ValueError: ``hashlib`` does not know ``algorithm``.
        """
        return hashlib.new(algorithm, self.der).hexdigest()

    def matches_host(self, host: str) -> bool:
        """Whether it is for ``host``: a host name in its ASCII form (as in a URL's ``raw_host``), or an IP address.

        RFC 9525 section 6, as OpenSSL does it: only the alternative names count, never the common name; ``*`` stands
        for one whole label, the leftmost, with at least two more after it; addresses are compared with addresses only.

        Raises:
            ValueError: it cannot be decoded.
        """
        decoded = _decoded(self.der)
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            name = host.removesuffix(".").lower()
            return any(_matches(pattern.lower(), name) for pattern in decoded.dns_names)
        return address in decoded.ip_addresses

    def __repr__(self) -> str:
        subject = _shown(lambda: f"{self.subject!r}, ")
        return f"Certificate({subject or ''}sha256={self.fingerprint()[:16]}...)"

    def __str__(self) -> str:
        lines = {
            "subject": _shown(lambda: self.subject),
            "issuer": _shown(lambda: self.issuer),
            "valid": _shown(lambda: f"{self.not_before:%Y-%m-%d %H:%M:%S} to {self.not_after:%Y-%m-%d %H:%M:%S} UTC"),
            "names": _shown(lambda: _printable(", ".join(self.subject_alternative_names)) or "none"),
            "key": _shown(lambda: self.key),
            "serial": _shown(lambda: f"{self.serial_number:x}"),
            "sha256": self.fingerprint(),
            "pin": _shown(lambda: self.pin),
        }
        return "\n".join(
            f"{name:>7}: {'(cannot be decoded)' if text is None else text}" for name, text in lines.items()
        )


def _decoded(der: bytes) -> Decoded:
    from .x509 import decode  # takes cryptography, which most programs never need

    return decode(der)


def _shown(part: Callable[[], str]) -> str | None:
    try:
        return part()
    except ValueError:
        return None


def _printable(text: str) -> str:
    """``text`` without anything that a terminal could obey: who made it is not known."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


# RFC 7468 section 5, and an older label that OpenSSL reads, too. What stands between certificates is explanation.
_PEM = re.compile(rb"-----BEGIN ((?:X509 )?CERTIFICATE)-----\s(.*?)-----END \1-----", re.DOTALL)


def _split_pem(text: bytes) -> tuple[bytes, ...]:
    try:
        return tuple(base64.b64decode(b"".join(body.split()), validate=True) for _, body in _PEM.findall(text))
    except binascii.Error as error:
        raise ValueError(f"a certificate is damaged, its base64 does not end well: {error}") from error


_LABEL = r"[a-z0-9-]+"
# What OpenSSL takes for a wildcard; anything else with a star in it is a name like others, and matches nothing.
_WILDCARD = re.compile(rf"\*(\.{_LABEL}){{2,}}")


def _matches(pattern: str, name: str) -> bool:
    if not _WILDCARD.fullmatch(pattern):
        return pattern == name
    label, dot, rest = name.partition(".")
    return re.fullmatch(_LABEL, label) is not None and dot + rest == pattern[1:]


@public
@frozen
class SslError:
    """One reason why a certificate was not accepted. Equal when code and certificate are (as ``QSslError``)."""

    code: SslErrorCode
    certificate: Certificate | None = None
    """The one that it is about; not always the peer's own."""
    message: str = field(default="", kw_only=True, eq=False, repr=False)
    """More than the code says, if there is more to say."""

    @property
    def error_string(self) -> str:
        """What is wrong, in words (``errorString``)."""
        return self.message or _TEXTS[self.code]


@public
@frozen
class TlsInfo:
    """The secure channel in use, or that was refused."""

    version: str
    """As ``ssl`` names it: ``TLSv1.3``. Empty if it never came to that."""
    cipher: str
    """OpenSSL's name of the cipher suite. Empty if it never came to that."""
    alpn: str | None = None
    """The protocol that was agreed on (RFC 7301), if any was."""
    peer_certificate: Certificate | None = None
    """The server's own. With a pre-shared key there is none."""
    peer_chain: tuple[Certificate, ...] = ()
    """As the server sent it, its own certificate first; often without the root."""
    verified_chain: tuple[Certificate, ...] = ()
    """As it was verified, from the server's own certificate to a trusted one. It shows what was trusted only if
    verification was not loosened."""
    session_reused: bool = False
    """Whether an earlier session was resumed."""
    ignored_errors: tuple[SslError, ...] = ()
    """What was wrong with the certificate, and was ignored for this reply."""
