"""Decoding certificates: each part by itself, and neither exceptions nor warnings of the library."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

import trioreply
from trioreply._model.x509 import Decoded, decode

from ..certificates import INTERMEDIATE, SERVER, certificate, server, shared_key

PublicKey = (
    ec.EllipticCurvePublicKey
    | ed448.Ed448PublicKey
    | ed25519.Ed25519PublicKey
    | rsa.RSAPublicKey
    | x25519.X25519PublicKey
)
PARTS = [name for name, part in vars(Decoded).items() if isinstance(part, property)]


def der_of(builder: x509.CertificateBuilder) -> bytes:
    """A signed certificate."""
    return builder.sign(shared_key(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def der_from_pem(pem: bytes) -> bytes:
    """What the PEM of one certificate encodes."""
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


SERVER_DER = der_from_pem(certificate(SERVER, "Test Root"))


def test_parts() -> None:
    """Every part is what the certificate was made of."""
    decoded = decode(SERVER_DER)
    assert decoded.subject == "CN=Test Server,O=trioreply tests"
    assert decoded.issuer == "CN=Test Root,O=trioreply tests"
    assert decoded.common_name == "Test Server"
    assert decoded.serial_number == 1011
    assert decoded.not_before == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert decoded.not_after == dt.datetime(2090, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    assert decoded.dns_names == ("localhost",)
    assert decoded.ip_addresses == (ip_address("127.0.0.1"), ip_address("::1"))
    assert not decoded.is_self_issued
    assert not decoded.is_ca


def test_authority() -> None:
    """An authority says that it is one, and one that is its own issuer is seen as such."""
    decoded = decode(der_from_pem(certificate(INTERMEDIATE, INTERMEDIATE.common_name)))
    assert decoded.is_ca
    assert decoded.is_self_issued
    assert decoded.dns_names == ()
    assert decoded.ip_addresses == ()


def bare(subject: x509.Name, key: PublicKey | None = None) -> x509.CertificateBuilder:
    """A certificate with nothing in it that need not be, still to be signed."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key or shared_key().public_key())
        .serial_number(1)
        .not_valid_before(SERVER.validity.not_before)
        .not_valid_after(SERVER.validity.not_after)
    )


def test_certificate_without_extensions() -> None:
    """A certificate without extensions and without a subject is for no host, and may issue nothing."""
    decoded = decode(der_of(bare(x509.Name([]))))
    assert (decoded.dns_names, decoded.ip_addresses, decoded.is_ca) == ((), (), False)
    assert (decoded.subject, decoded.common_name) == ("", None)


def test_names_are_printable() -> None:
    """What a terminal would obey is written as RFC 4514's pairs of hexadecimal digits."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\x1b[31m, é\u202e")])
    decoded = decode(der_of(bare(name)))
    assert decoded.subject == decoded.issuer == r"CN=\1B[31m\, é\E2\80\AE"
    assert decoded.common_name == "\x1b[31m, é\u202e"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()).public_key(), "EC secp384r1"),
        (lambda: rsa.generate_private_key(65537, 2048).public_key(), "RSA 2048"),
        (lambda: ed25519.Ed25519PrivateKey.generate().public_key(), "Ed25519"),
        (lambda: ed448.Ed448PrivateKey.generate().public_key(), "Ed448"),
        (lambda: x25519.X25519PrivateKey.generate().public_key(), "1.3.101.110"),
    ],
    ids=["ec", "rsa", "ed25519", "ed448", "x25519"],
)
def test_kinds_of_keys(make: Callable[[], PublicKey], text: str) -> None:
    """The kind of a key is named, and its bytes are those that were put into the certificate."""
    key = make()
    decoded = decode(der_of(bare(x509.Name([]), key)))
    assert decoded.key == text
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    assert decoded.public_key_info == key.public_bytes(serialization.Encoding.DER, form)


def test_unknown_key() -> None:
    """A key of a kind that nobody knows has a number for a name, and can be pinned nevertheless."""
    known, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")
    assert SERVER_DER.count(known) == 1
    decoded = decode(SERVER_DER.replace(known, unknown))
    assert decoded.key == "1.2.840.10045.2.127"
    assert decoded.public_key_info == decode(SERVER_DER).public_key_info.replace(known, unknown)


def element(tag: int, content: bytes) -> bytes:
    """DER of something longer than 255 bytes or shorter than 128."""
    size = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + size + content


def test_first_version() -> None:
    """The key of a certificate of version 1, which does not say its version, is found, too."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 64)])
    signed = bare(name).sign(shared_key(), hashes.SHA256())
    inner = signed.tbs_certificate_bytes
    ending = signed.public_bytes(serialization.Encoding.DER).partition(inner)[2]
    version = bytes.fromhex("a003020102")
    assert inner[4:9] == version
    decoded = decode(element(0x30, element(0x30, inner[9:]) + ending))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key = shared_key().public_key().public_bytes(serialization.Encoding.DER, form)
    assert sha256(decoded.public_key_info).digest() == sha256(key).digest()


def test_odd_certificates_make_no_noise() -> None:
    """A serial number that is none, and a country of five letters, are decoded without a warning."""
    serial, country = bytes.fromhex("020180"), bytes.fromhex("0603550406")
    odd = der_of(bare(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Qwert")])))
    odd = odd.replace(bytes.fromhex("020101"), serial).replace(bytes.fromhex("060355040a"), country)
    decoded = decode(odd)
    assert decoded.serial_number == -128
    assert decoded.subject == "C=Qwert"


def test_garbage() -> None:
    """What is no certificate is a `ValueError` that says so."""
    with pytest.raises(ValueError, match=r"^the certificate cannot be decoded: "):
        decode(b"garbage")


def test_broken_extension() -> None:
    """A broken extension spoils what it says, and nothing else."""
    name = b"localhost"
    decoded = decode(SERVER_DER.replace(b"\x82\x09" + name, b"\x82\x09" + name[:-1] + b"\xff"))
    with pytest.raises(ValueError, match=r"^the certificate's alternative names cannot be decoded: "):
        _ = decoded.dns_names
    assert decoded.common_name == "Test Server"


@given(st.lists(st.tuples(st.integers(0, len(SERVER_DER) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_certificates(damage: list[tuple[int, int]]) -> None:
    """Whatever is wrong with a certificate: each part is there, or is a `ValueError`, and no warning comes."""
    octets = bytearray(SERVER_DER)
    for place, octet in damage:
        octets[place] = octet
    complaints = set()
    try:
        decoded = decode(bytes(octets))
    except ValueError:
        return
    for part in PARTS:
        try:
            getattr(decoded, part)
        except ValueError as error:
            complaints.add(str(error).partition(" cannot be decoded: ")[2])
    assert "" not in complaints


def test_wildcards_are_names() -> None:
    """A wildcard is a name like others here."""
    pem = certificate(server("*.test.example"), "Test Root")
    assert decode(der_from_pem(pem)).dns_names == ("*.test.example",)


def test_import_without_cryptography() -> None:
    """Importing the package, and making a certificate of bytes, does not import cryptography: that is for decoding."""
    program = (
        "import sys, trioreply; c = trioreply.Certificate(b'x'); c.pem, c.fingerprint(), c == c\n"
        "assert 'cryptography' not in sys.modules\n"
        "repr(c); assert 'cryptography' in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(Path(trioreply.__file__).parents[1])},
        check=True,
        timeout=60,
    )
