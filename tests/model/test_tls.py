"""Certificates and verification errors as values: what they show, what they are equal to, and what they never do."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ssl

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from trioreply import Certificate, SslError, SslErrorCode

from ..certificates import INTERMEDIATE, SERVER, certificate, issued, self_signed, server, shared_key

PEM = certificate(SERVER, "Test Root")
DER = ssl.PEM_cert_to_DER_cert(PEM.decode())
CERTIFICATE = Certificate(DER)


def pin_of_key() -> str:
    """The pin as RFC 7469 appendix A makes it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key = shared_key().public_key().public_bytes(serialization.Encoding.DER, form)
    return "sha256/" + base64.b64encode(hashlib.sha256(key).digest()).decode()


def test_what_a_certificate_shows() -> None:
    """A certificate shows whose it is, by whom, for which hosts, from when until when, and its key."""
    assert CERTIFICATE.subject == "CN=Test Server,O=trioreply tests"
    assert CERTIFICATE.issuer == "CN=Test Root,O=trioreply tests"
    assert CERTIFICATE.common_name == "Test Server"
    assert CERTIFICATE.serial_number == 1011
    assert CERTIFICATE.not_before == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert CERTIFICATE.not_after == dt.datetime(2090, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    assert CERTIFICATE.subject_alternative_names == ("localhost", "127.0.0.1", "::1")
    assert CERTIFICATE.key == "EC secp256r1"
    assert CERTIFICATE.pin == pin_of_key()


def test_who_is_self_signed_and_who_is_an_authority() -> None:
    """Self-signed is who is its own issuer, and an authority is who says so."""
    itself, (leaf, above) = (
        Certificate.load(self_signed().chain)[0],
        Certificate.load(issued(SERVER, INTERMEDIATE).chain),
    )
    assert [one.is_self_signed for one in (itself, leaf, above)] == [True, False, False]
    assert [one.is_ca for one in (itself, leaf, above)] == [False, False, True]


TEXT = f"""\
subject: CN=Test Server,O=trioreply tests
 issuer: CN=Test Root,O=trioreply tests
  valid: 2020-01-01 00:00:00 to 2090-12-31 23:59:59 UTC
  names: localhost, 127.0.0.1, ::1
    key: EC secp256r1
 serial: 3f3
 sha256: {CERTIFICATE.fingerprint()}
    pin: {pin_of_key()}"""


def test_text_for_people() -> None:
    """As text a certificate is a few lines that a person can read; its repr is short."""
    assert str(CERTIFICATE) == TEXT
    sha256 = CERTIFICATE.fingerprint()[:16]
    assert repr(CERTIFICATE) == f"Certificate('CN=Test Server,O=trioreply tests', sha256={sha256}...)"


def test_text_without_names() -> None:
    """A certificate without alternative names says that it has none."""
    assert "  names: none\n" in str(Certificate.load(issued(SERVER, INTERMEDIATE).chain)[1])


def test_text_is_printable() -> None:
    """Nothing that a terminal would obey is in the text of a certificate, whoever made it."""
    evil = DER.replace(b"localhost", b"lo\x1b[2Jost")
    assert r"lo\x1b[2Jost, 127.0.0.1" in str(Certificate(evil))


@given(st.binary(max_size=60))
def test_text_of_garbage(der: bytes) -> None:
    """Garbage has a text and a repr, which both tell its fingerprint."""
    garbage = Certificate(der)
    assert str(garbage).count("(cannot be decoded)") == 7
    assert f"sha256: {garbage.fingerprint()}" in str(garbage)
    assert repr(garbage) == f"Certificate(sha256={garbage.fingerprint()[:16]}...)"


@pytest.mark.parametrize(
    "part",
    [
        "subject", "issuer", "common_name", "serial_number", "not_before", "not_after", "subject_alternative_names",
        "key", "pin", "is_self_signed", "is_ca",
    ],
)  # fmt: skip
def test_parts_of_garbage(part: str) -> None:
    """What cannot be decoded raises a `ValueError` that says so."""
    with pytest.raises(ValueError, match=r"^the certificate cannot be decoded: "):
        getattr(Certificate(b"garbage"), part)
    with pytest.raises(ValueError, match=r"^the certificate cannot be decoded: "):
        Certificate(b"garbage").matches_host("localhost")


CHAIN = issued(SERVER, INTERMEDIATE).chain


@pytest.mark.parametrize(
    "source",
    [
        CHAIN,
        CHAIN.decode(),
        b"\xe4 comment\r\n" + CHAIN.replace(b"\n", b"\r\n") + issued().key,
        CHAIN.replace(b" CERTIFICATE", b" X509 CERTIFICATE"),
    ],
    ids=["bytes", "text", "bundle", "old label"],
)
def test_loading_pem(source: str | bytes) -> None:
    """All certificates in a PEM are loaded, in their order; keys and comments between them are passed over."""
    names = [one.common_name for one in Certificate.load(source)]
    assert names == ["Test Server", "Test Intermediate"]


def test_loading_der() -> None:
    """DER is one certificate."""
    assert Certificate.load(DER) == (CERTIFICATE,)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "there is no certificate in it"),
        ("a path?", "there is no certificate in it"),
        (issued().key, "there is no certificate in it"),
        (b"", "the certificate cannot be decoded"),
        (PEM.replace(b"M", b"?", 1), "a certificate is damaged"),
        (Certificate(b"garbage").pem, "the certificate cannot be decoded"),
        (DER[:-1], "the certificate cannot be decoded"),
    ],
)
def test_loading_what_is_none(source: str | bytes, complaint: str) -> None:
    """Where there is no certificate, or a damaged one, loading says so."""
    with pytest.raises(ValueError, match=f"^{complaint}"):
        Certificate.load(source)


@pytest.mark.parametrize(
    ("names", "hosts", "others"),
    [
        (("a.Example",), ["a.example", "A.Example", "a.example."], ["b.example", "example", "x.a.example", "", "."]),
        (("*.a.test",), ["x.a.test", "xn--x.A.test"], ["a.test", "y.x.a.test", ".a.test", "_.a.test"]),
        (("*.example",), [], ["a.example", "example"]),
        (("w*.a.example", "*w.a.example", "a.*.example"), [], ["ww.a.example", "a.b.example"]),
        (("127.0.0.1", "::1"), ["127.0.0.1", "::1", "0:0::0:1", "::1%lo"], ["127.0.0.2", "127.1", "::2", "localhost"]),
    ],
)  # fmt: skip
def test_hosts(names: tuple[str, ...], hosts: list[str], others: list[str]) -> None:
    """A name counts exactly but for its case, a wildcard for one whole leftmost label, an address among addresses."""
    (loaded,) = Certificate.load(certificate(server(*names), "Test Root"))
    assert [host for host in [*hosts, *others] if loaded.matches_host(host)] == hosts


def test_common_name_is_no_host() -> None:
    """The common name never counts as a host (RFC 9525 section 2)."""
    assert not CERTIFICATE.matches_host("Test Server")
    assert not Certificate.load(certificate(INTERMEDIATE, "Test Root"))[0].matches_host("Test Intermediate")


def test_names_that_look_like_addresses() -> None:
    """A DNS name that is written like an address is none."""
    fake = Certificate(DER.replace(b"localhost", b"127.0.0.9"))
    assert fake.subject_alternative_names[0] == "127.0.0.9"
    assert not fake.matches_host("127.0.0.9")


def test_every_error_has_words() -> None:
    """Each code has its own text, and a message of its own has precedence."""
    texts = [SslError(code).error_string for code in SslErrorCode]
    assert len(set(texts)) == len(SslErrorCode)
    assert SslError(SslErrorCode.CERTIFICATE_EXPIRED).error_string == "The certificate has expired"
    assert SslError(SslErrorCode.UNSPECIFIED, message="EE certificate key too weak").error_string == (
        "EE certificate key too weak"
    )


def test_words_do_not_matter_for_equality() -> None:
    """Errors are equal by code and certificate, whatever their message."""
    code = SslErrorCode.CERTIFICATE_REJECTED
    assert SslError(code, CERTIFICATE, message="a") == SslError(code, CERTIFICATE, message="b")
    assert len({SslError(code, CERTIFICATE, message="a"), SslError(code, CERTIFICATE), SslError(code)}) == 2
