"""One event of every kind, and what the command says about it: to people, and to programs."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import frozen
from yarl import URL

from trioreply import (
    AuthenticationRequired,
    Certificate,
    Challenge,
    Direction,
    Encrypted,
    ErrorOccurred,
    Event,
    Finished,
    Informational,
    MetaDataChanged,
    NetworkError,
    Progress,
    Proxy,
    ProxyAuthenticationRequired,
    ProxyType,
    ReadyRead,
    Redirected,
    Request,
    RequestSent,
    Retrying,
    SocketStartedConnecting,
    SslError,
    SslErrorCode,
    SslErrors,
    TlsInfo,
)
from trioreply.testing import SelfSigned

SECRET = "open sesame"  # nothing of the command may show it


@frozen
class Sample:
    """An event, its words, and its JSON without ``event`` and ``time``."""

    event: Event
    words: str
    record: dict[str, object]

    def __str__(self) -> str:
        return type(self.event).__name__


HEADERS = Request("http://h/", headers=[("A", "1"), ("a", "é")]).headers
PAIRS = [["A", "1"], ["a", "é"]]
URL_WITH_PASSWORD = URL.build(scheme="http", user="me", password=SECRET, host="h", path="/p")
CERTIFICATE = Certificate(b"der")
UNDECODABLE = {"sha256": CERTIFICATE.fingerprint(), "subject": None}
OWN = SelfSigned("h", not_after=datetime(2090, 12, 31, tzinfo=UTC)).certificate
OWN_RECORD = {"sha256": OWN.fingerprint(), "subject": "CN=trioreply self-signed"}
SSL_ERROR = SslError(SslErrorCode.CERTIFICATE_EXPIRED, CERTIFICATE)
SSL_RECORD = {
    "code": "CERTIFICATE_EXPIRED",
    "certificate": UNDECODABLE,
    "message": "The certificate has expired",
}
REJECTED = SslError(SslErrorCode.CERTIFICATE_REJECTED, OWN, message="not that key")
REJECTED_RECORD = {"code": "CERTIFICATE_REJECTED", "certificate": OWN_RECORD, "message": "not that key"}
NO_CERTIFICATE_RECORD = {
    "code": "NO_PEER_CERTIFICATE",
    "certificate": None,
    "message": "The peer showed no certificate",
}
CHALLENGE = Challenge("Basic", "a realm", {"charset": "UTF-8"})
CHALLENGE_RECORD = {
    "scheme": "Basic",
    "realm": "a realm",
    "parameters": [["charset", "UTF-8"]],
    "previous_user": None,
}
PROXY_RECORD = {"type": "HTTP", "host": "p", "port": 8080, "user": "me", "headers": [], "via": None}
TLS_RECORD = {
    "version": "TLSv1.3",
    "cipher": "AES",
    "alpn": None,
    "peer_certificate": UNDECODABLE,
    "peer_chain": [UNDECODABLE],
    "verified_chain": [],
    "session_reused": False,
    "ignored_errors": [SSL_RECORD],
}

SAMPLES = [
    Sample(SocketStartedConnecting("h", 80), "h:80", {"host": "h", "port": 80, "address": None}),
    Sample(
        SocketStartedConnecting("h", 80, "127.0.0.1"),
        "h:80 at 127.0.0.1",
        {"host": "h", "port": 80, "address": "127.0.0.1"},
    ),
    Sample(
        SslErrors((SSL_ERROR, REJECTED), (OWN,)),
        "CERTIFICATE_EXPIRED, CERTIFICATE_REJECTED of CN=trioreply self-signed",
        {"errors": [SSL_RECORD, REJECTED_RECORD], "peer_chain": [OWN_RECORD]},
    ),
    Sample(
        SslErrors((SSL_ERROR,), (CERTIFICATE,)),
        f"CERTIFICATE_EXPIRED of sha256:{CERTIFICATE.fingerprint()}",
        {"errors": [SSL_RECORD], "peer_chain": [UNDECODABLE]},
    ),
    Sample(
        SslErrors((SslError(SslErrorCode.NO_PEER_CERTIFICATE),)),
        "NO_PEER_CERTIFICATE",
        {"errors": [NO_CERTIFICATE_RECORD], "peer_chain": []},
    ),
    Sample(
        Encrypted(TlsInfo("TLSv1.2", "PSK", session_reused=True)),
        "TLSv1.2 PSK; session resumed",
        {
            "tls": {
                **TLS_RECORD,
                "version": "TLSv1.2",
                "cipher": "PSK",
                "peer_certificate": None,
                "peer_chain": [],
                "session_reused": True,
                "ignored_errors": [],
            }
        },
    ),
    Sample(
        Encrypted(TlsInfo("TLSv1.3", "AES", "http/1.1", peer_certificate=OWN)),
        "TLSv1.3 AES; http/1.1; CN=trioreply self-signed until 2090-12-31",
        {
            "tls": {
                **TLS_RECORD,
                "alpn": "http/1.1",
                "peer_certificate": OWN_RECORD,
                "peer_chain": [],
                "ignored_errors": [],
            }
        },
    ),
    Sample(
        Encrypted(
            TlsInfo(
                "TLSv1.3",
                "AES",
                peer_certificate=CERTIFICATE,
                peer_chain=(CERTIFICATE,),
                ignored_errors=(SSL_ERROR,),
            )
        ),
        f"TLSv1.3 AES; sha256:{CERTIFICATE.fingerprint()}; in spite of CERTIFICATE_EXPIRED",
        {"tls": TLS_RECORD},
    ),
    Sample(
        ProxyAuthenticationRequired(Proxy(ProxyType.HTTP, "p", 8080, "me", SECRET), CHALLENGE),
        "Basic a realm; at the proxy http://p:8080",
        {"proxy": PROXY_RECORD, "challenge": CHALLENGE_RECORD},
    ),
    Sample(
        ProxyAuthenticationRequired(
            Proxy(ProxyType.HTTP, "q", headers={"X-Key": SECRET}, via=Proxy(ProxyType.HTTP, "p", 8080, "me")),
            Challenge("Digest", "r", previous_user="me"),
        ),
        "Digest r; 'me' was not accepted; at the proxy http://q:80 via http://p:8080",
        {
            "proxy": {**PROXY_RECORD, "host": "q", "port": 80, "user": None, "headers": ["X-Key"], "via": PROXY_RECORD},
            "challenge": {"scheme": "Digest", "realm": "r", "parameters": [], "previous_user": "me"},
        },
    ),
    Sample(
        AuthenticationRequired(URL_WITH_PASSWORD, CHALLENGE),
        "Basic a realm",
        {"url": "http://h/p", "challenge": CHALLENGE_RECORD},
    ),
    Sample(
        AuthenticationRequired(URL_WITH_PASSWORD, Challenge("Digest", "", {}, previous_user="me")),
        "Digest; 'me' was not accepted",
        {
            "url": "http://h/p",
            "challenge": {"scheme": "Digest", "realm": "", "parameters": [], "previous_user": "me"},
        },
    ),
    Sample(RequestSent(), "", {}),
    Sample(Informational(103, HEADERS), "103, 2 headers", {"status_code": 103, "headers": PAIRS}),
    Sample(Redirected(302, URL_WITH_PASSWORD), "302 to http://h/p", {"status_code": 302, "url": "http://h/p"}),
    Sample(Redirected(302, URL("http://h/")), "302 to http://h/", {"status_code": 302, "url": "http://h/"}),
    Sample(Retrying(2, 0.5, "503"), "attempt 2 in 0.5 s: 503", {"attempt": 2, "delay": 0.5, "reason": "503"}),
    Sample(Retrying(3, 1 / 3, "x"), "attempt 3 in 0.333 s: x", {"attempt": 3, "delay": 1 / 3, "reason": "x"}),
    Sample(MetaDataChanged(200, HEADERS), "200, 2 headers", {"status_code": 200, "headers": PAIRS}),
    Sample(
        MetaDataChanged(None, Request("http://h/", headers={"A": "1"}).headers),
        "no status, 1 header",
        {"status_code": None, "headers": [["A", "1"]]},
    ),
    Sample(ReadyRead(2048), "2.0 KiB", {"bytes_available": 2048}),
    Sample(
        Progress(Direction.DOWNLOAD, 16384, 65536, 16384, 65536),
        "download 25% 16.0 of 64.0 KiB",
        {"direction": "DOWNLOAD", "done": 16384, "total": 65536, "wire_done": 16384, "wire_total": 65536},
    ),
    Sample(
        Progress(Direction.UPLOAD, 5),
        "upload 5 B",
        {"direction": "UPLOAD", "done": 5, "total": None, "wire_done": None, "wire_total": None},
    ),
    Sample(
        Progress(Direction.UPLOAD, 5, 2048),
        "upload 0% 5 B of 2.0 KiB",
        {"direction": "UPLOAD", "done": 5, "total": 2048, "wire_done": None, "wire_total": None},
    ),
    Sample(
        Progress(Direction.DOWNLOAD, 0, 0, 0, 0),
        "download 0 B",
        {"direction": "DOWNLOAD", "done": 0, "total": 0, "wire_done": 0, "wire_total": 0},
    ),
    Sample(
        ErrorOccurred(NetworkError.TIMEOUT, "too late\x1b[2J"),
        r"TIMEOUT: too late\x1b[2J",
        {"error": "TIMEOUT", "message": "too late\x1b[2J"},
    ),
    Sample(Finished(NetworkError.NO_ERROR), "NO_ERROR", {"error": "NO_ERROR"}),
]
