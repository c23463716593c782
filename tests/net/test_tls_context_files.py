"""Certificates and keys from files and bytes: every form works, and whatever is wrong is named."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from trioreply._model.ssl_configuration import SslConfiguration
from trioreply._net.tls_context import build_context
from trioreply._net.tls_files import private_file

from .handshakes import HOST, refused, shake_hands

AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes()
DER = ssl.PEM_cert_to_DER_cert(PEM.decode())


def identity(kind: trustme.KeyType) -> tuple[bytes, bytes]:
    """A client's certificate and its key."""
    issued = AUTHORITY.issue_cert("me@device.example", key_type=kind)
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


def key_as(key: bytes, encoding: Encoding, form: PrivateFormat, password: bytes | None = None) -> bytes:
    """The client's key in another form."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return load_pem_private_key(key, None).private_bytes(encoding, form, encryption)


CERTIFICATE, KEY = identity(trustme.KeyType.ECDSA)
RSA_CERTIFICATE, RSA_KEY = identity(trustme.KeyType.RSA)
ENCRYPTED_KEY = key_as(KEY, Encoding.PEM, PrivateFormat.PKCS8, b"secret")
ME = "(('email', 'me@device.example'),)"
JUNK_PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def server() -> ssl.SSLContext:
    """A server that wants to know who its clients are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def weak_identity() -> tuple[bytes, bytes]:
    """A certificate with an RSA key of 1024 bits, and that key."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "me")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + dt.timedelta(days=20000))
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def anchors_of(*sources: bytes | str | Path) -> int:
    """How many authorities a context trusts that was given these."""
    context = build_context(SslConfiguration(use_system_ca=False, ca_certificates=sources))
    return context.cert_store_stats()["x509_ca"]


OTHER_PEM = trustme.CA().cert_pem.bytes()


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (PEM, 1),
        (DER, 1),
        (PEM + OTHER_PEM, 2),
        (DER + ssl.PEM_cert_to_DER_cert(OTHER_PEM.decode()), 2),
        ("# Autorit\xe9 \u2603\n".encode() + PEM, 1),
        (KEY + PEM, 1),
    ],
    ids=["pem", "der", "two-pem", "two-der", "comment", "beside-a-key"],
)
def test_authorities_come_in_any_form(content: bytes, count: int, tmp_path: Path) -> None:
    """PEM and DER, one certificate or many, as bytes or in a file; comments in any language are no hindrance."""
    file = tmp_path / "ca"
    file.write_bytes(content)
    assert anchors_of(content) == count
    assert anchors_of(file) == count


def test_authorities_add_up() -> None:
    """Several sources are all trusted, and the same certificate twice is no mistake."""
    assert anchors_of(PEM.decode(), OTHER_PEM, DER) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", KEY, JUNK_PEM, PEM + JUNK_PEM, PEM + PEM[:100], DER[:-1], DER + b"junk"],
    ids=["empty", "junk", "a-key", "junk-pem", "second-junk", "second-cut", "cut", "junk-behind"],
)
def test_authorities_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    """A source without a certificate, or with a damaged one among good ones, is an error and never skipped."""
    file = tmp_path / "ca"
    file.write_bytes(content)
    with refused(f"ca_certificates: no valid certificates in '{file}': "):
        anchors_of(file)


def test_broken_bytes_are_not_shown() -> None:
    """What was given as bytes is not repeated in the error."""
    with refused("ca_certificates: no valid certificates in the given bytes"):
        anchors_of(JUNK_PEM)


def test_unreadable_authority_is_refused(tmp_path: Path) -> None:
    """A path that cannot be read is named."""
    with refused(f"ca_certificates: cannot read '{tmp_path}/missing': No such file"):
        anchors_of(tmp_path / "missing")
    with refused(f"ca_certificates: cannot read '{tmp_path}': Is a directory"):
        anchors_of(tmp_path)


def own(
    server: ssl.SSLContext | None = None,
    *,
    certificate: bytes | Path = CERTIFICATE,
    key: bytes | Path | None = KEY,
    password: str | bytes | None = None,
    platform: str = "linux",
) -> str:
    """Load a certificate of ours; gives who the server sees, if there is one."""
    options = SslConfiguration(
        use_system_ca=False, ca_certificates=PEM, certificate=certificate, private_key=key, password=password
    )
    context = build_context(options, platform=platform)
    if server is None:
        return ""
    shown = shake_hands(context, server).server.getpeercert()
    assert shown
    return str(shown["subjectAltName"])


@pytest.mark.parametrize("platform", ["linux", "plan9"])
@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (CERTIFICATE, KEY),
        (CERTIFICATE + KEY, None),
        (KEY + CERTIFICATE, None),
        (ssl.PEM_cert_to_DER_cert(CERTIFICATE.decode()), KEY),
        (CERTIFICATE, key_as(KEY, Encoding.DER, PrivateFormat.PKCS8)),
        (CERTIFICATE, key_as(KEY, Encoding.DER, PrivateFormat.TraditionalOpenSSL)),
        (RSA_CERTIFICATE, key_as(RSA_KEY, Encoding.DER, PrivateFormat.PKCS8)),
        (RSA_CERTIFICATE, key_as(RSA_KEY, Encoding.DER, PrivateFormat.TraditionalOpenSSL)),
    ],
    ids=["pem", "one", "one-key-first", "der", "pkcs8", "sec1", "rsa-pkcs8", "pkcs1"],
)
def test_own_certificate_comes_in_any_form(
    server: ssl.SSLContext, certificate: bytes, key: bytes | None, *, platform: str, tmp_path: Path
) -> None:
    """PEM and DER, the key apart or in the same place, as bytes or in files, with memory files or without."""
    assert own(server, certificate=certificate, key=key, platform=platform) == ME
    (tmp_path / "certificate").write_bytes(certificate)
    (tmp_path / "key").write_bytes(key or b"")
    key_file = tmp_path / "key" if key else None
    assert own(server, certificate=tmp_path / "certificate", key=key_file, platform=platform) == ME


def test_chain_is_sent_with_the_certificate() -> None:
    """Intermediate certificates after the own one go to the server, which needs them."""
    root = trustme.CA()
    issued = root.create_child_ca().issue_cert("me@device.example")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(server)
    root.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    assert own(server, certificate=chain, key=issued.private_key_pem.bytes()) == ME


@pytest.mark.parametrize(
    "key",
    [ENCRYPTED_KEY, key_as(KEY, Encoding.DER, PrivateFormat.PKCS8, b"secret")],
    ids=["pem", "der"],
)
def test_password_opens_the_key(server: ssl.SSLContext, key: bytes) -> None:
    """An encrypted key opens with its password; a password that no key needs does no harm."""
    assert own(server, key=key, password="secret") == ME
    assert own(server, key=KEY, password="secret") == ME


def test_encrypted_key_without_a_password_is_refused() -> None:
    """OpenSSL never asks on the terminal: a missing password is an error."""
    with refused("password: the private key is encrypted, and there is no password"):
        own(key=ENCRYPTED_KEY)


@pytest.mark.parametrize("password", ["wrong", "", "endless" * 1000])
def test_wrong_password_is_refused(password: str) -> None:
    """A password that does not open the key is what the error is about."""
    with refused("password: it does not open the private key"):
        own(key=ENCRYPTED_KEY, password=password)


@pytest.mark.parametrize(
    "key", [AUTHORITY.issue_cert(HOST).private_key_pem.bytes(), RSA_KEY], ids=["same-kind", "other-kind"]
)
def test_key_of_another_certificate_is_refused(key: bytes) -> None:
    """A key that does not fit the certificate is found out before the first connection."""
    with refused("private_key: it does not belong to the certificate"):
        own(key=key)


@pytest.mark.parametrize("key", [b"junk", b"\x30", CERTIFICATE, None], ids=["junk", "cut", "certificate", "absent"])
def test_key_that_is_none_is_refused(key: bytes | None) -> None:
    """What is no key is named as such, and so is a missing one."""
    with refused("private_key: it cannot be used: "):
        own(key=key)


@pytest.mark.parametrize("certificate", [b"junk", KEY, JUNK_PEM], ids=["junk", "key", "junk-pem"])
def test_certificate_that_is_none_is_refused(certificate: bytes) -> None:
    """What is no certificate is named as such."""
    with refused("certificate: it cannot be used: "):
        own(certificate=certificate)


def test_certificate_too_weak_for_openssl_is_refused() -> None:
    """A certificate with a key that OpenSSL's security level forbids is what the error is about, not its key."""
    certificate, key = weak_identity()
    with refused("certificate: it cannot be used: ee key too small"):
        own(certificate=certificate, key=key)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    """A path that cannot be read is named, with the field that it stands in."""
    with refused(f"certificate: cannot read '{tmp_path}/missing': No such file"):
        own(certificate=tmp_path / "missing")
    with refused(f"private_key: cannot read '{tmp_path}': Is a directory"):
        own(key=tmp_path)


@pytest.mark.parametrize("platform", ["linux", "plan9"])
def test_private_file_is_private_and_short_lived(platform: str) -> None:
    """What a key goes through can be opened by its owner only, and is gone afterwards, after an error too."""
    with pytest.raises(ZeroDivisionError), private_file(b"key", platform=platform) as path:
        file = Path(path)
        assert file.read_bytes() == b"key"
        if platform == "plan9":
            assert file.stat().st_mode & 0o777 == 0o600
        raise ZeroDivisionError
    assert not file.exists()


def test_file_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no place for a temporary file, that is an error of ours and not of the system's."""
    monkeypatch.setitem(vars(tempfile), "tempdir", "/missing")
    with refused("certificate: it must be in a file for OpenSSL, and there can be none: No such file"):
        own(platform="plan9")


def test_pem_files_are_used_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is a PEM file already is not copied to anywhere else."""
    monkeypatch.setitem(vars(tempfile), "tempdir", "/missing")
    (tmp_path / "both").write_bytes(KEY + CERTIFICATE)
    own(certificate=tmp_path / "both", key=None, platform="plan9")
