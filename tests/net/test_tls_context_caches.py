"""The contexts and the sessions that a manager keeps."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
import trio.testing
import trustme
from attrs import define, field

from trioreply._model.errors import SslHandshakeFailedError
from trioreply._model.ssl_configuration import SslConfiguration
from trioreply._model.tls import Certificate, SslError, SslErrorCode
from trioreply._net.tls import Resumable
from trioreply._net.tls_context import MOST_CONTEXTS, MOST_SESSIONS, TlsContexts, TlsSessions, build_context
from trioreply._net.verification import Tolerance

from .handshakes import HOST, Pair, shake_hands

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LEAF = Certificate(ssl.PEM_cert_to_DER_cert(trustme.CA().cert_pem.bytes().decode()))
TOLERANCE = Tolerance((SslError(SslErrorCode.HOST_NAME_MISMATCH, LEAF),), LEAF)
PLAIN = SslConfiguration(use_system_ca=False)


@define
class Workers:
    """Runs what blocks at once, but not before the test says so."""

    calls: int = 0
    may_work: trio.Event = field(factory=trio.Event)

    async def __call__(self, sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
        """As `trio.to_thread.run_sync`."""
        assert abandon_on_cancel  # a file may lie on a network that hangs
        self.calls += 1
        await self.may_work.wait()
        return sync_fn(*args)


@pytest.fixture
def workers() -> Workers:
    """Workers that work at once."""
    workers = Workers()
    workers.may_work.set()
    return workers


async def test_own_context_is_given_back_untouched(workers: Workers) -> None:
    """A context of the application's is used as it is."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own.check_hostname = False
    with trio.testing.assert_no_checkpoints():
        assert await TlsContexts(workers).get(own, alpn=("h2",)) is own
    assert (workers.calls, own.check_hostname) == (0, False)


async def test_context_is_built_in_a_thread_and_kept() -> None:
    """The first use builds a context in a worker thread; later ones get the same and do not even checkpoint."""
    contexts = TlsContexts(trio.to_thread.run_sync)
    first = await contexts.get(PLAIN)
    with trio.testing.assert_no_checkpoints():
        assert await contexts.get(SslConfiguration(use_system_ca=False)) is first


async def test_contexts_are_told_apart_by_all_that_matters(workers: Workers) -> None:
    """Another configuration, other protocols, or other ignored errors mean another context."""
    contexts = TlsContexts(workers)
    built = [
        await contexts.get(PLAIN),
        await contexts.get(SslConfiguration(use_system_ca=False, ciphers="ECDHE+AESGCM")),
        await contexts.get(PLAIN, alpn=("h2",)),
        await contexts.get(PLAIN, tolerance=TOLERANCE),
    ]
    assert len(set(built)) == len(built)


async def test_manager_s_key_log_is_used(workers: Workers, tmp_path: Path) -> None:
    """The key log that the manager found in the environment goes into every context."""
    path = str(tmp_path / "keys")
    assert (await TlsContexts(workers, key_log=path).get(PLAIN)).keylog_filename == path


async def test_concurrent_users_wait_for_one_build() -> None:
    """However many want a context first, it is built once."""
    workers = Workers()
    contexts = TlsContexts(workers)
    got = []

    async def use() -> None:
        got.append(await contexts.get(PLAIN))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(use)
        await trio.testing.wait_all_tasks_blocked()
        workers.may_work.set()
    assert (workers.calls, len(got), len(set(got))) == (1, 5, 1)


async def test_cancelled_builder_is_replaced() -> None:
    """If the one who builds is cancelled, the next who waits builds, and all the others get that."""
    workers = Workers()
    contexts = TlsContexts(workers)
    got = []

    async def use(scope: trio.CancelScope) -> None:
        with scope:
            got.append(await contexts.get(PLAIN))

    first = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(use, first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(use, trio.CancelScope())
        nursery.start_soon(use, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        await trio.testing.wait_all_tasks_blocked()
        workers.may_work.set()
    assert (workers.calls, len(got), len(set(got))) == (2, 2, 1)


async def test_failure_is_not_remembered(workers: Workers, tmp_path: Path) -> None:
    """A file that was missing may be there the next time."""
    path = tmp_path / "ca.pem"
    contexts = TlsContexts(workers)
    configuration = SslConfiguration(use_system_ca=False, ca_certificates=path)
    with pytest.raises(SslHandshakeFailedError):
        await contexts.get(configuration)
    trustme.CA().cert_pem.write_to_path(path)
    assert (await contexts.get(configuration)).cert_store_stats()["x509_ca"] == 1


async def test_contexts_used_longest_ago_are_forgotten(workers: Workers) -> None:
    """The number of contexts is bounded, and one that is used stays."""
    contexts = TlsContexts(workers)
    first, second = await contexts.get(PLAIN), await contexts.get(PLAIN, alpn=("second",))
    for number in range(MOST_CONTEXTS - 2):
        await contexts.get(PLAIN, alpn=(f"{number}",))
    assert await contexts.get(PLAIN) is first
    await contexts.get(PLAIN, alpn=("one more",))
    assert await contexts.get(PLAIN) is first
    assert await contexts.get(PLAIN, alpn=("second",)) is not second


def connect(client: ssl.SSLContext, server: ssl.SSLContext, session: Resumable | None) -> Pair:
    """A connection on which the server has said something, so that its session tickets have come."""
    pair = shake_hands(client, server, session=None if session is None else session.session)
    assert pair.say_hello() == b"hello"
    return pair


def session_of(pair: Pair) -> Resumable:
    """What a later connection may resume."""
    session = pair.client.session
    assert session is not None
    return Resumable(session, (), ())


@pytest.fixture(scope="module")
def ends() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client and a server that it trusts."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(server)
    configuration = SslConfiguration(use_system_ca=False, ca_certificates=authority.cert_pem.bytes())
    return build_context(configuration), server


def test_session_is_resumed_once(ends: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A kept session really saves a handshake, and is given out only once."""
    client, server = ends
    sessions = TlsSessions()
    sessions.put(HOST, session_of(connect(client, server, None)), client)
    second = connect(client, server, sessions.get(HOST, client))
    assert second.client.session_reused
    assert sessions.get(HOST, client) is None


def test_newest_session_counts(ends: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Of two sessions with one key the newer is given."""
    client, server = ends
    sessions = TlsSessions()
    newest = session_of(connect(client, server, None))
    sessions.put(HOST, session_of(connect(client, server, None)), client)
    sessions.put(HOST, newest, client)
    assert sessions.get(HOST, client) is newest


def test_session_of_another_context_is_not_offered(ends: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Python refuses a session with a context that it does not come from; it stays for the right one."""
    client, server = ends
    sessions = TlsSessions()
    session = session_of(connect(client, server, None))
    sessions.put(HOST, session, client)
    assert sessions.get(HOST, build_context(PLAIN)) is None
    assert sessions.get(HOST, client) is session


def test_sessions_kept_longest_are_forgotten(ends: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The number of sessions is bounded; a key that got a newer session counts as new."""
    client, server = ends
    sessions = TlsSessions()
    session = session_of(connect(client, server, None))
    for number in range(MOST_SESSIONS):
        sessions.put(number, session, client)
    sessions.put(0, session, client)
    sessions.put("one more", session, client)
    assert sessions.get(1, client) is None
    assert sessions.get(2, client) is session
    assert sessions.get(0, client) is session
    assert sessions.get("one more", client) is session
