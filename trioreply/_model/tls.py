"""What is said about a secure channel: certificates, verification errors, and the channel itself, as values."""

from __future__ import annotations

import base64
import enum
import hashlib

from attrs import field, frozen


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


@frozen
class Certificate:
    """An X.509 certificate, by its DER bytes; two with the same bytes are equal."""

    der: bytes = field(repr=False)

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


@frozen
class SslError:
    """One reason why a certificate was not accepted. Equal when code and certificate are (as ``QSslError``)."""

    code: SslErrorCode
    certificate: Certificate | None = None


@frozen
class TlsInfo:
    """The secure channel in use."""

    version: str
    cipher: str
    alpn: str | None = None
    peer_certificate: Certificate | None = None
    peer_chain: tuple[Certificate, ...] = ()
    verified_chain: tuple[Certificate, ...] = ()
    session_reused: bool = False
    ignored_errors: tuple[SslError, ...] = ()
