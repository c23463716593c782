"""HSTS as a policy: who is upgraded, whose word counts, and when it is saved."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
from trio.testing import assert_no_checkpoints

from trioreply import (
    ConnectionLeased,
    Message,
    Request,
    ResponseHead,
    SslError,
    SslErrorCode,
    TlsInfo,
)
from trioreply._model.events import Encrypted
from trioreply._model.hsts import HstsPolicy
from trioreply._model.ssl_configuration import SslConfiguration, VerifyMode
from trioreply._policies.hsts import hsts, is_verified
from trioreply._policies.hsts_store import HstsStore
from trioreply.abc import Sink
from trioreply.errors import RemoteHostClosedError

from .recording import RecordingSink, handler_of, put

NOW = 1_700_000_000.0
GOOD = TlsInfo("TLSv1.3", "TLS_AES_128_GCM_SHA256")
IGNORED = TlsInfo("TLSv1.3", "TLS_AES_128_GCM_SHA256", ignored_errors=(SslError(SslErrorCode.CERTIFICATE_EXPIRED),))
SAYS = ResponseHead(200, headers={"Strict-Transport-Security": "max-age=100"})


def known(*policies: HstsPolicy) -> HstsStore:
    """A store with ``policies``, at a time of its own."""
    return HstsStore(policies, now=lambda: NOW)


async def sent(url: str, store: HstsStore) -> Request:
    """The request for ``url`` as it leaves the policy."""
    requests: list[Request] = []

    async def handle(request: Request, _sink: Sink) -> None:
        requests.append(request)

    await hsts(store)(handle)(Request(url, headers={"X": "1"}), RecordingSink())
    return requests[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.org/a?b=%2F#c", "https://example.org/a?b=%2F#c"),
        ("http://EXAMPLE.org", "https://example.org"),
        ("http://example.org./", "https://example.org./"),
        ("http://example.org:80/", "https://example.org/"),
        ("http://example.org:8080/", "https://example.org:8080/"),
        ("http://user:word@example.org/", "https://user:word@example.org/"),
        ("http://sub.example.org/", "http://sub.example.org/"),
        ("http://a.b.example.net/", "https://a.b.example.net/"),
        ("http://example.com/", "http://example.com/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("https://example.org/", "https://example.org/"),
        ("data:,http://example.org/", "data:,http://example.org/"),
    ],
)
async def test_known_hosts_are_upgraded(url: str, expected: str) -> None:
    """A known host is spoken to securely, at the port that follows; nobody else is touched (RFC 6797 section 8.3)."""
    store = known(HstsPolicy("example.org"), HstsPolicy("example.net", include_subdomains=True))
    request = await sent(url, store)
    assert request.url == Request(expected).url
    assert str(request.url) == str(Request(expected).url)
    assert request.headers == {"X": "1"}


async def test_who_is_not_concerned_pays_nothing() -> None:
    """A request that is not upgraded goes on as it is, to the very sink, at once."""
    seen: list[object] = []

    async def handle(request: Request, sink: Sink) -> None:
        seen.extend([request, sink])

    for url in ("http://example.org/", "data:,x"):
        request, sink = Request(url), RecordingSink()
        with assert_no_checkpoints():
            await hsts(known())(handle)(request, sink)
        assert seen[-2] is request
        assert seen[-1] is sink


async def learnt(*messages: Message, request: Request | None = None) -> bool:
    """Whether a host's word counts that came with ``messages``; all of them pass."""
    store, sink = known(), RecordingSink()
    request = request or Request("https://example.org/")
    await hsts(store)(handler_of(*map(put, messages)))(request, sink)
    assert sink.messages == [*messages]
    return store.knows("example.org")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([ConnectionLeased(reused=False), Encrypted(GOOD)], True),
        ([ConnectionLeased(reused=True, tls=GOOD)], True),
        ([ConnectionLeased(reused=False), Encrypted(IGNORED)], False),
        ([ConnectionLeased(reused=True, tls=IGNORED)], False),
        ([ConnectionLeased(reused=True, tls=GOOD), ConnectionLeased(reused=False)], False),
        ([ConnectionLeased(reused=True, tls=GOOD), ConnectionLeased(reused=False), Encrypted(IGNORED)], False),
        ([ConnectionLeased(reused=False), Encrypted(IGNORED), Encrypted(GOOD)], True),
        ([], False),
    ],
)
async def test_only_a_good_channel_counts(before: list[Message], expected: bool) -> None:
    """A host's word counts if it came over a secure channel without errors (RFC 6797 section 8.1), new or kept."""
    assert await learnt(*before, SAYS) is expected


async def test_in_the_clear_nobody_is_believed() -> None:
    """What comes in the clear is not looked at: anybody could have written it."""
    assert not await learnt(ConnectionLeased(reused=False), SAYS, request=Request("http://example.org/"))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (ResponseHead(200), False),
        (ResponseHead(404, headers={"strict-transport-security": "max-age=1"}), True),
        (ResponseHead(301, headers={"Strict-Transport-Security": "max-age=1"}), True),
        (ResponseHead(407, headers={"Strict-Transport-Security": "max-age=1"}), False),
        (ResponseHead(200, headers={"Strict-Transport-Security": "max-age=soon"}), False),
        (
            ResponseHead(
                200,
                headers=[("Strict-Transport-Security", "max-age=0"), ("Strict-Transport-Security", "max-age=1")],
            ),
            False,
        ),
        (
            ResponseHead(
                200,
                headers=[("Strict-Transport-Security", "max-age=1"), ("Strict-Transport-Security", "nonsense")],
            ),
            True,
        ),
    ],
)
async def test_what_is_said(head: ResponseHead, expected: bool) -> None:
    """The first field of any response of the host counts, and the others do not; a proxy is not the host."""
    assert await learnt(ConnectionLeased(reused=True, tls=GOOD), head) is expected


async def test_a_word_may_be_taken_back() -> None:
    """With ``max-age=0`` a host is forgotten."""
    store = known(HstsPolicy("example.org", NOW + 100))
    head = ResponseHead(200, headers={"Strict-Transport-Security": "max-age=0"})
    steps = [put(ConnectionLeased(reused=True, tls=GOOD)), put(head)]
    await hsts(store)(handler_of(*steps))(Request("http://example.org/"), RecordingSink())
    assert not store.knows("example.org")


def unverified_context() -> ssl.SSLContext:
    """A context that accepts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


def unasked_context() -> ssl.SSLContext:
    """A context that does not even look at certificates."""
    context = unverified_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("https://h/"), True),
        (Request("https://h/", ssl=SslConfiguration()), True),
        (Request("https://h/", ssl=SslConfiguration(verify=VerifyMode.QUERY)), True),
        (Request("https://h/", ssl=SslConfiguration(verify=VerifyMode.NONE)), False),
        (Request("https://h/", ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)), True),
        (Request("https://h/", ssl=unverified_context()), False),
        (Request("https://h/", ssl=unasked_context()), False),
        (Request("https://h/", peer_verify_name="H"), True),
        (Request("https://h/", peer_verify_name="other"), False),
    ],
    ids=["default", "configuration", "query", "none", "context", "any name", "anybody", "its name", "other name"],
)
async def test_an_unverified_server_is_not_believed(request_: Request, expected: bool) -> None:
    """Where nothing is verified, or another name is, there are no errors either, and yet the channel is not good."""
    assert is_verified(request_) is expected
    store = known()
    steps = [put(ConnectionLeased(reused=True, tls=GOOD)), put(SAYS)]
    await hsts(store)(handler_of(*steps))(request_, RecordingSink())
    assert store.knows("h") is expected


async def test_news_are_saved_behind_the_exchange(tmp_path: Path) -> None:
    """What was learnt is in the file when the exchange is over, and the same word is not written again."""
    path = tmp_path / "hsts"
    store = HstsStore(path=path, now=lambda: NOW)
    handler = hsts(store)(handler_of(put(ConnectionLeased(reused=True, tls=GOOD)), put(SAYS)))
    await handler(Request("https://example.org/"), RecordingSink())
    other = HstsStore(path=path, now=lambda: NOW)
    await other.load()
    assert other.policies == (HstsPolicy("example.org", NOW + 100),)
    path.unlink()
    await handler(Request("https://example.org/"), RecordingSink())
    assert not path.exists()


async def test_a_failed_exchange_is_not_held_up(tmp_path: Path) -> None:
    """An exchange that fails does so at once; what it has learnt is written with the next one."""
    path = tmp_path / "hsts"
    store = HstsStore(path=path, now=lambda: NOW)

    async def fail(_sink: Sink) -> None:
        raise RemoteHostClosedError("Connection closed")

    steps = [put(ConnectionLeased(reused=True, tls=GOOD)), put(SAYS)]
    with pytest.raises(RemoteHostClosedError):
        await hsts(store)(handler_of(*steps, fail))(Request("https://example.org/"), RecordingSink())
    assert store.knows("example.org")
    assert not path.exists()
    await hsts(store)(handler_of())(Request("https://example.com/"), RecordingSink())
    assert path.exists()


async def test_a_broken_file_costs_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be written is logged once per change; the request goes well, and the host is known."""
    path = tmp_path / "hsts"
    path.write_text("this is no database, but somebody's text " * 100)
    store = HstsStore(path=path, now=lambda: NOW)
    handler = hsts(store)(handler_of(put(ConnectionLeased(reused=True, tls=GOOD)), put(SAYS)))
    with caplog.at_level(logging.ERROR, "trioreply.hsts"):
        for _ in range(2):
            await handler(Request("https://example.org/"), RecordingSink())
    assert [record.message for record in caplog.records] == [
        "what hosts said about their security was not saved; it is kept in memory"
    ]
    assert store.knows("example.org")
