"""What stands in a certificate, by its DER bytes. The one file that knows cryptography.

The bytes come from whoever is at the other end, so anything can be in them. Each part is decoded by itself when it is
asked for: a certificate with a broken extension still has a subject. Two rules make the rest of the code simple:

* What cannot be decoded is a `ValueError`; no exception of the library leaves this file.
* No warning leaves it either: an odd certificate (a serial number that is negative, a country of three letters) is
  its issuer's doing, not that of the program that is told to turn warnings into errors.

The public key is cut out of the bytes as it stands there, and not encoded again: pins are made over what the issuer
signed, and keys of unknown kinds can be pinned, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

CACHED: Final = 128
"""Certificates that stay decoded: a few chains' worth; each takes some kilobytes."""


@contextmanager
def _decoding(part: str) -> Iterator[None]:
    try:
        # Only the library's category: filters are global to the process, and a thread may be busy with them.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            yield
    except Exception as error:
        # Anything: which exceptions bytes from a stranger provoke differs between versions (one had a KeyError).
        raise ValueError(f"the {part} cannot be decoded: {error}") from error


@lru_cache(maxsize=CACHED)
def decode(der: bytes) -> Decoded:
    """The certificate with these bytes.

    Raises:
        ValueError: it is none.
    """
    with _decoding("certificate"):
        return Decoded(x509.load_der_x509_certificate(der))


class Decoded:
    """A certificate whose parts can be read. Each property raises `ValueError` if that part cannot be decoded."""

    __slots__ = ("_certificate",)

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate

    @property
    def subject(self) -> str:
        """Whose it is, as RFC 4514 writes names; printable characters only."""
        with _decoding("certificate's subject"):
            return _escaped(self._certificate.subject.rfc4514_string())

    @property
    def issuer(self) -> str:
        """Who issued it, as RFC 4514 writes names; printable characters only."""
        with _decoding("certificate's issuer"):
            return _escaped(self._certificate.issuer.rfc4514_string())

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are one."""
        with _decoding("certificate's subject or issuer"):
            return self._certificate.subject == self._certificate.issuer

    @property
    def common_name(self) -> str | None:
        """The subject's first common name."""
        with _decoding("certificate's subject"):
            names = self._certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            return str(names[0].value) if names else None

    @property
    def serial_number(self) -> int:
        """The issuer's number for it."""
        with _decoding("certificate's serial number"):
            return self._certificate.serial_number

    @property
    def not_before(self) -> datetime:
        """When it begins to be valid, UTC."""
        with _decoding("certificate's notBefore"):
            return self._certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """When it ends to be valid, UTC."""
        with _decoding("certificate's notAfter"):
            return self._certificate.not_valid_after_utc

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The host names among its alternative names."""
        names = self._alternative_names()
        return () if names is None else tuple(names.get_values_for_type(x509.DNSName))

    @property
    def ip_addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """The IP addresses among its alternative names."""
        names = self._alternative_names()
        # The type has room for networks, which stand in name constraints only.
        found = () if names is None else names.get_values_for_type(x509.IPAddress)
        return tuple(address for address in found if isinstance(address, IPv4Address | IPv6Address))

    def _alternative_names(self) -> x509.SubjectAlternativeName | None:
        with _decoding("certificate's alternative names"):
            try:
                return self._certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            except x509.ExtensionNotFound:
                return None

    @property
    def is_ca(self) -> bool:
        """Whether its basic constraints let it issue others."""
        with _decoding("certificate's basic constraints"):
            try:
                return self._certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            except x509.ExtensionNotFound:
                return False

    @property
    def key(self) -> str:
        """The kind of its key and, where kinds differ in it, the curve or the size in bits."""
        try:
            with _decoding("certificate's key"):
                return self._key_text()
        except ValueError:
            return self._certificate.public_key_algorithm_oid.dotted_string

    def _key_text(self) -> str:
        match self._certificate.public_key():
            case ec.EllipticCurvePublicKey() as key:
                return f"EC {key.curve.name}"
            case rsa.RSAPublicKey() as key:
                return f"RSA {key.key_size}"
            case ed25519.Ed25519PublicKey():
                return "Ed25519"
            case ed448.Ed448PublicKey():
                return "Ed448"
            case _:
                return self._certificate.public_key_algorithm_oid.dotted_string

    @property
    def public_key_info(self) -> bytes:
        """The DER bytes of its SubjectPublicKeyInfo (RFC 5280 section 4.1)."""
        rest = _content(self._certificate.tbs_certificate_bytes)
        if rest[0] == _VERSION:
            rest = rest[_size(rest) :]
        for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
            rest = rest[_size(rest) :]
        return rest[: _size(rest)]


def _escaped(name: str) -> str:
    """``name`` with what does not print as pairs of hexadecimal digits (RFC 4514 section 2.4)."""
    return "".join(char if char.isprintable() else _hexpairs(char) for char in name)


def _hexpairs(char: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in char.encode("utf-8", "surrogatepass"))


# The few lines of DER (X.690 section 8.1.3) that it takes to step over fields, in bytes that have been parsed already.
_VERSION = 0xA0
_LONG = 0x80


def _header_size(element: bytes) -> int:
    return 2 + (element[1] - _LONG if element[1] >= _LONG else 0)


def _size(element: bytes) -> int:
    """The size of the first element, its header included."""
    header = _header_size(element)
    return header + (element[1] if header == 2 else int.from_bytes(element[2:header], "big"))


def _content(element: bytes) -> bytes:
    return element[_header_size(element) : _size(element)]
