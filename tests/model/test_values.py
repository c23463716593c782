"""The small values: choices with Qt's numbers, certificates, text and JSON, responses."""

from __future__ import annotations

import encodings.aliases
import enum
import json
import ssl
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import (
    Attribute,
    CacheLoad,
    Certificate,
    Challenge,
    Http2,
    LoadControl,
    NetworkError,
    Operation,
    Priority,
    Proxy,
    ProxyType,
    RedirectPolicy,
    Response,
    SslError,
    SslErrorCode,
    Timings,
    TlsInfo,
    UnknownContentError,
)
from trioreply._model.headers import make_headers
from trioreply._model.text import decode_body, decode_json

CHARSETS = sorted({*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "idna", "punycode", "undefined"})


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (Operation, {"HEAD": 1, "GET": 2, "PUT": 3, "POST": 4, "DELETE": 5, "CUSTOM": 6}),
        (Priority, {"HIGH": 1, "NORMAL": 3, "LOW": 5}),
        (RedirectPolicy, {"MANUAL": 0, "NO_LESS_SAFE": 1, "SAME_ORIGIN": 2, "USER_VERIFIED": 3}),
        (CacheLoad, {"ALWAYS_NETWORK": 0, "PREFER_NETWORK": 1, "PREFER_CACHE": 2, "ALWAYS_CACHE": 3}),
        (LoadControl, {"AUTOMATIC": 0, "MANUAL": 1}),
        (
            Attribute,
            {
                "HTTP_STATUS_CODE": 0,
                "HTTP_REASON_PHRASE": 1,
                "REDIRECTION_TARGET": 2,
                "CONNECTION_ENCRYPTED": 3,
                "SOURCE_IS_FROM_CACHE": 6,
                "HTTP2_WAS_USED": 20,
                "ORIGINAL_CONTENT_LENGTH": 21,
            },
        ),
    ],
)
def test_choices_have_qts_numbers(kind: type[enum.Enum], numbers: dict[str, int]) -> None:
    """The enumerations that Qt has too have its numbers."""
    assert {member.name: member.value for member in kind} == numbers


def test_http2_choices() -> None:
    """HTTP/2 may be allowed, disabled, or known to be spoken."""
    assert [member.name for member in Http2] == ["ALLOWED", "DISABLED", "PRIOR_KNOWLEDGE"]


def test_verification_errors_have_qts_numbers() -> None:
    """The codes of verification errors are Qt's, without a gap."""
    assert [code.value for code in SslErrorCode] == list(range(-1, 37))
    assert SslErrorCode(6) is SslErrorCode.CERTIFICATE_EXPIRED
    assert SslErrorCode(9) is SslErrorCode.SELF_SIGNED_CERTIFICATE
    assert SslErrorCode(22) is SslErrorCode.HOST_NAME_MISMATCH
    assert SslErrorCode(31) is SslErrorCode.OCSP_SIG_REQUIRED


@given(st.binary(max_size=200))
def test_certificate_as_pem(der: bytes) -> None:
    """The PEM text of a certificate is what the standard library makes of it, and gives the same bytes back."""
    pem = Certificate(der).pem
    assert ssl.PEM_cert_to_DER_cert(pem) == der
    if der:
        assert pem == ssl.DER_cert_to_PEM_cert(der)


def test_certificate_fingerprint() -> None:
    """A fingerprint is the digest of the DER bytes, SHA-256 unless said otherwise."""
    certificate = Certificate(b"abc")
    assert certificate.fingerprint() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert certificate.fingerprint("sha1") == "a9993e364706816aba3e25717850c26c9cd0d89d"
    with pytest.raises(ValueError, match="nonsense"):
        certificate.fingerprint("nonsense")


def test_equality_of_certificates_and_errors() -> None:
    """Certificates are equal by their bytes, verification errors by code and certificate (as ``QSslError``)."""
    one, same, other = Certificate(b"1"), Certificate(b"1"), Certificate(b"2")
    code = SslErrorCode.SELF_SIGNED_CERTIFICATE
    assert one == same
    assert len({SslError(code, one), SslError(code, same), SslError(code, other), SslError(code)}) == 3


def test_passwords_are_not_shown() -> None:
    """A proxy in a log shows no password."""
    assert "hush" not in repr(Proxy(ProxyType.SOCKS5H, "h", 1080, "me", "hush"))


def test_plain_values_can_be_hashed() -> None:
    """Values that travel in events can be put into a set."""
    assert len({Challenge("Basic", "r", {"a": "b"}), TlsInfo("TLSv1.3", "x"), Timings(1.0)}) == 3


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", "\u00e4".encode(), "\u00e4"),
        ("text/plain; charset=latin-1", b"\xe4", "\u00e4"),
        ('text/plain; Charset = "ISO-8859-1" ; x=y', b"\xe4", "\u00e4"),
        ("text/plain; boundary=x; charset=utf-16-le", b"\xe4\x00", "\u00e4"),
        ("text/plain; charset=", "\u00e4".encode(), "\u00e4"),
        ('text/plain; charset=""', "\u00e4".encode(), "\u00e4"),
        ("charset=latin-1", "\u00e4".encode(), "\u00e4"),
        ("", b"", ""),
    ],
)
def test_text_by_charset(content_type: str, body: bytes, text: str) -> None:
    """A body is text by the charset parameter of Content-Type, and by UTF-8 where there is none."""
    assert decode_body(body, make_headers({"Content-Type": content_type})) == text


def test_text_without_a_type() -> None:
    """Without a Content-Type a body is UTF-8."""
    assert decode_body(b"\xc3\xa4", make_headers(None)) == "\u00e4"


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-8", b"\xff"),
        ("nonsense", b"x"),
        ("zlib", zlib.compress(b"x" * 1000)),
        ("hex", b"00"),
        ("rot13", b"a"),
        ("a\ufffdb", b"x"),
    ],
)
def test_text_that_is_none(charset: str, body: bytes) -> None:
    """Bytes that do not fit, unknown charsets, and codecs that are none (zlib!) are UNKNOWN_CONTENT, with the cause."""
    with pytest.raises(UnknownContentError, match=r"^the body is not text in charset") as caught:
        decode_body(body, make_headers({"Content-Type": f"text/plain; charset={charset}"}))
    assert caught.value.__cause__ is not None


@given(st.sampled_from(CHARSETS), st.binary(max_size=40))
def test_any_charset_gives_text_or_our_error(charset: str, body: bytes) -> None:
    """Whatever charset a server names for whatever bytes, the outcome is text or UNKNOWN_CONTENT."""
    try:
        text = decode_body(body, make_headers({"Content-Type": f"text/plain; charset={charset}"}))
    except UnknownContentError:
        return
    assert type(text) is str


@pytest.mark.parametrize(("body", "value"), [(b'{"a": [1]}', {"a": [1]}), ('"\u00e4"'.encode("utf-16"), "\u00e4")])
def test_json(body: bytes, value: object) -> None:
    """JSON is decoded from UTF-8, -16 or -32, whichever it is (RFC 8259 section 8.1)."""
    assert decode_json(body) == value


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xff", b"[" * 100_000, b"1" * 5000], ids=lambda body: body[:5])
def test_json_that_is_none(body: bytes) -> None:
    """What is no JSON, is too deep or has too long a number is UNKNOWN_CONTENT, with the cause."""
    with pytest.raises(UnknownContentError, match=r"^the body is not JSON") as caught:
        decode_json(body)
    assert caught.value.__cause__ is not None


def test_response() -> None:
    """A response is one value: its body as text and JSON, and a repr without body and password."""
    response = Response(
        status_code=404,
        reason="Not Found",
        headers=make_headers({"Content-Type": "application/json"}),
        body=json.dumps(["hush"]).encode(),
        url=URL("http://me:hush@h/"),
        error=NetworkError.CONTENT_NOT_FOUND,
        timings=Timings(0.0),
    )
    assert response.text() == '["hush"]'
    assert response.json() == ["hush"]
    assert response.redirects == ()
    assert "hush" not in repr(response)
    assert len({response, response}) == 1
