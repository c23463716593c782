"""Checksums as people write them, and as servers send them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._jobs.checksums import Checksum, expected_checksums, field_digests, make_hash, parse_checksum
from trioreply._model.headers import decode_text, make_headers

SHA256 = hashlib.sha256(b"x")
SHA512 = hashlib.sha512(b"x")


def encoded(raw: bytes) -> str:
    """A byte sequence as structured fields write it."""
    return f":{base64.b64encode(raw).decode()}:"


@pytest.mark.parametrize("algorithm", sorted(name for name in hashlib.algorithms_guaranteed if "shake" not in name))
def test_every_algorithm_is_read(algorithm: str) -> None:
    """What Python always has can be given, by the names that people use for it."""
    digest = hashlib.new(algorithm, b"x").digest()
    for text in (f"{algorithm}:{digest.hex()}", f" {algorithm.upper()}:{digest.hex().upper()} "):
        assert parse_checksum(text) == Checksum(algorithm, digest)
    assert str(parse_checksum(f"{algorithm}:{digest.hex()}")) == f"{algorithm}:{digest.hex()}"
    assert make_hash(algorithm).digest_size == len(digest)


def test_names_with_dashes() -> None:
    """The names of the standards are the same algorithms."""
    assert parse_checksum(f"SHA-256:{SHA256.hexdigest()}").algorithm == "sha256"
    assert parse_checksum(f"sha3-256:{hashlib.sha3_256(b'').hexdigest()}").algorithm == "sha3_256"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no checksum"),
        ("sha256", "no checksum"),
        ("sha256:", "no checksum"),
        ("sha256:xyz", "no checksum"),
        ("crc32:00000000", "'crc32' is not known"),
        ("shake_128:00", "not known"),
        ("sha256:00", "64 hexadecimal digits"),
        ("md5:" + "0" * 64, "32 hexadecimal digits"),
    ],
)
def test_what_is_no_checksum(text: str, problem: str) -> None:
    """A mistake is told, with the name of the argument in front."""
    with pytest.raises(ValueError, match=f"^checksum: .*{problem}"):
        parse_checksum(text)


def test_both_arguments_count() -> None:
    """One, the other, both or none."""
    checksum, digits = f"md5:{'0' * 32}", SHA256.hexdigest()
    assert expected_checksums(None, None) == ()
    assert [one.algorithm for one in expected_checksums(checksum, f" {digits} ")] == ["md5", "sha256"]
    for wrong in ("", "xyz", "sha256:" + digits):
        with pytest.raises(ValueError, match=r"^sha256: "):
            expected_checksums(None, wrong)
    with pytest.raises(TypeError, match=r"^sha256: "):
        expected_checksums(None, b"00")  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(TypeError, match=r"^checksum: "):
        expected_checksums(7, None)  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize(
    ("value", "algorithms"),
    [
        (f"sha-256={encoded(SHA256.digest())}", ["sha256"]),
        (f"sha-256={encoded(SHA256.digest())}, sha-512={encoded(SHA512.digest())};q=1", ["sha256", "sha512"]),
        (f"md5={encoded(bytes(16))}, sha-512={encoded(SHA512.digest())}", ["sha512"]),
        (f"sha-256={encoded(bytes(31))}", []),
        ("sha-256=:not base64:", []),
        ("sha-256=:A:", []),
        ("sha-256=text", []),
        (f"SHA-256={encoded(SHA256.digest())}", []),
        ("", []),
    ],
)
def test_what_is_believed_of_a_server(value: str, algorithms: list[str]) -> None:
    """Byte sequences of the right length, under the two algorithms that RFC 9530 calls good."""
    found = field_digests(make_headers({"Repr-Digest": value}), "Repr-Digest")
    assert [one.algorithm for one in found] == algorithms
    assert all(one.digest == hashlib.new(one.algorithm, b"x").digest() for one in found)


def test_the_last_of_a_repeated_key_counts() -> None:
    """As structured fields have it (RFC 9651 section 3.2), also over several fields."""
    fields = [("Repr-Digest", f"sha-256={encoded(bytes(32))}"), ("Repr-Digest", f"sha-256={encoded(SHA256.digest())}")]
    assert field_digests(make_headers(fields), "Repr-Digest") == (Checksum("sha256", SHA256.digest()),)
    assert field_digests(make_headers(fields), "Content-Digest") == ()


@given(st.binary(max_size=200))
def test_any_field_can_be_read(octets: bytes) -> None:
    """Whatever a server sends is no error."""
    try:
        headers = make_headers({"Repr-Digest": decode_text(octets)})
    except ValueError:
        return
    field_digests(headers, "Repr-Digest")
