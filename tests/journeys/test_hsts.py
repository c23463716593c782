"""HTTP Strict Transport Security end to end: learnt over good connections, then nothing goes in the clear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import pytest

from trioreply import (
    CookieJar,
    HstsPolicy,
    HstsStore,
    HstsStoreError,
    Manager,
    NetworkError,
    Redirected,
    Reply,
    SslConfiguration,
    SslErrors,
    SslHandshakeFailedError,
    VerifyMode,
)
from trioreply.testing import (
    Authority,
    Origin,
    OriginRequest,
    OriginResponse,
    SelfSigned,
    ServerTls,
    open_origin,
)

from .conftest import Place
from .notation import sequence

NOW = 1_700_000_000.0
YEAR = 365 * 24 * 3600
STS = "Strict-Transport-Security"
NOBODY = SslConfiguration(use_system_ca=False)
SECURE = "S T Q H(200) R D(4,4) F(NO_ERROR)"
PLAIN = "S Q H(200) R D(4,4) F(NO_ERROR)"


@cache
def _authority() -> Authority:
    return Authority()


@cache
def _tls(host: str) -> ServerTls:
    return _authority().serve(host)


async def answer(request: OriginRequest) -> OriginResponse:
    """Says what the request asks for in ``X-Say``, as its policy; ``/to?URL`` leads there."""
    fields = [(STS, value) for name, value in request.headers if name == "x-say"]
    if request.path == "/to":
        return OriginResponse(302, [*fields, ("Location", request.query)])
    return OriginResponse(200, fields, b"page")


@pytest.fixture
async def origins(memory: Place) -> AsyncIterator[Mapping[str, Origin]]:
    """Servers on `memory`, by their URLs: each host securely, and in the clear."""
    async with AsyncExitStack() as stack:
        served = {}
        for host in ("good.test", "a.good.test", "other.test", "198.51.100.200"):
            for tls in (None, _tls(host)):
                origin = await stack.enter_async_context(
                    open_origin(answer, network=memory.network, host=host, tls=tls)
                )
                served[origin.base_url] = origin
        yield served


@pytest.fixture
def secured(memory: Place) -> Place:
    """The same network, to a manager that trusts its authority."""
    return Place(memory.network, _authority())


def store(*policies: HstsPolicy, now: Callable[[], float] = lambda: NOW) -> HstsStore:
    """A store with ``policies``, at a time of its own."""
    return HstsStore(policies, now=now)


async def visit(manager: Manager, url: str, *says: str) -> str:
    """GET ``url``, where the server says ``says``; the URL that it came to."""
    return str((await manager.fetch(url, headers=[("X-Say", value) for value in says])).url)


def ports(place: Place) -> list[int]:
    """The ports that were dialled so far."""
    assert place.network is not None
    return [port for _, port in place.network.dialed]


async def test_learnt_and_kept_to(secured: Place, origins: Mapping[str, Origin]) -> None:
    """After a host's word over a good connection nothing is dialled at port 80: the URL is another from the start, as
    silently as in Qt.
    """
    known = store()
    async with secured.open_manager(hsts=known) as manager:
        assert await visit(manager, "http://good.test/x?y#z") == "http://good.test/x?y#z"
        await visit(manager, "https://good.test/", f"max-age={YEAR}")
        manager.clear_connections()
        before = ports(secured)
        async with manager.get("http://good.test/x?y#z") as reply:
            assert str(reply.url) == "https://good.test/x?y#z"
            assert sequence([event async for event in reply]) == SECURE
            assert reply.redirects == ()
        assert ports(secured) == [*before, 443]
        assert manager.hsts is known
    assert known.policies == (HstsPolicy("good.test", NOW + YEAR),)
    assert [request.target for request in origins["http://good.test"].requests] == ["/x?y"]


async def test_known_in_the_last_moment(secured: Place, origins: Mapping[str, Origin]) -> None:
    """A host that becomes known after a request was made, and before it goes out, is not spoken to in the clear."""
    known = store()
    async with secured.open_manager(hsts=known) as manager:
        request = manager.get("http://good.test/")
        known.add([HstsPolicy("good.test")])
        async with request as reply:
            assert await reply.read_all() == b"page"
            assert reply.tls is not None
    assert ports(secured) == [443]


async def test_ports(secured: Place, origins: Mapping[str, Origin]) -> None:
    """Port 80 becomes 443, said or not; any other stays, and is spoken to securely."""
    network = secured.network
    async with open_origin(answer, network=network, host="good.test", tls=_tls("good.test")) as other:
        async with secured.open_manager(hsts=store(HstsPolicy("good.test"))) as manager:
            assert await visit(manager, "http://good.test:80/") == "https://good.test/"
            assert other.base_url == "https://good.test:444"
            assert await visit(manager, "http://good.test:444/") == "https://good.test:444/"
    assert ports(secured) == [443, 444]


async def test_no_account_is_kept_unless_asked(secured: Place, origins: Mapping[str, Origin]) -> None:
    """A manager without a store learns nothing and changes nothing (as Qt's default)."""
    async with secured.open_manager() as manager:
        await visit(manager, "https://good.test/", f"max-age={YEAR}")
        assert await visit(manager, "http://good.test/") == "http://good.test/"
        assert manager.hsts is None


async def test_the_word_in_the_clear_is_nothing(secured: Place, origins: Mapping[str, Origin]) -> None:
    """Anybody could have written what comes over a plain connection."""
    known = store()
    async with secured.open_manager(hsts=known) as manager:
        await visit(manager, "http://good.test/", f"max-age={YEAR}")
        assert len(known) == 0
        known.add([HstsPolicy("good.test", NOW + YEAR)])
        await visit(manager, "http://other.test/", "max-age=0; includeSubDomains")
        assert known.knows("good.test")


async def test_subdomains(secured: Place, origins: Mapping[str, Origin]) -> None:
    """``includeSubDomains`` holds for all hosts below, without it for the host alone; never for those above."""
    async with secured.open_manager(hsts=store()) as manager:
        await visit(manager, "https://good.test/", f"max-age={YEAR}")
        assert await visit(manager, "http://a.good.test/") == "http://a.good.test/"
        await visit(manager, "https://good.test/", f"max-age={YEAR}; includeSubDomains")
        assert await visit(manager, "http://a.good.test/") == "https://a.good.test/"
        await visit(manager, "https://good.test/", "max-age=0")
        await visit(manager, "https://a.good.test/", f"max-age={YEAR}; includeSubDomains")
        assert await visit(manager, "http://good.test/") == "http://good.test/"


async def test_taken_back_and_over(secured: Place, origins: Mapping[str, Origin]) -> None:
    """``max-age=0`` takes the word back, and without being confirmed it ends with its time."""
    now = [NOW]
    async with secured.open_manager(hsts=store(now=lambda: now[0])) as manager:
        await visit(manager, "https://good.test/", "max-age=100")
        assert await visit(manager, "http://good.test/") == "https://good.test/"
        await visit(manager, "https://good.test/", "max-age=0")
        assert await visit(manager, "http://good.test/") == "http://good.test/"
        await visit(manager, "https://good.test/", "max-age=100")
        now[0] += 99
        await visit(manager, "http://good.test/", "max-age=100")
        now[0] += 99
        assert await visit(manager, "http://good.test/") == "https://good.test/"
        now[0] += 1
        assert await visit(manager, "http://good.test/") == "http://good.test/"


@pytest.mark.parametrize("says", [["max-age"], ["max-age=-1"], ["max-age=1; max-age=2"], ["includeSubDomains"], [""]])
async def test_what_breaks_the_grammar_says_nothing(
    says: list[str], secured: Place, origins: Mapping[str, Origin]
) -> None:
    """A field that does not follow the grammar neither adds a policy nor takes one back."""
    known = store(HstsPolicy("other.test", NOW + 1))
    async with secured.open_manager(hsts=known) as manager:
        for host in ("good.test", "other.test"):
            await visit(manager, f"https://{host}/", *says)
    assert known.policies == (HstsPolicy("other.test", NOW + 1),)


async def test_the_first_field_counts(secured: Place, origins: Mapping[str, Origin]) -> None:
    """Of several fields only the first is read."""
    known = store()
    async with secured.open_manager(hsts=known) as manager:
        await visit(manager, "https://good.test/", "max-age=1", "max-age=2; includeSubDomains")
    assert known.policies == (HstsPolicy("good.test", NOW + 1),)


async def test_never_for_addresses(place: Place, secured: Place, origins: Mapping[str, Origin]) -> None:
    """An address has no policy, whatever it says, in memory as on loopback."""
    known = store()
    async with secured.open_manager(hsts=known) as manager:
        await visit(manager, "https://198.51.100.200/", f"max-age={YEAR}; includeSubDomains")
        assert await visit(manager, "http://198.51.100.200/") == "http://198.51.100.200/"
    async with place.origin(answer) as origin, place.open_manager(hsts=known) as manager:
        assert await visit(manager, origin.url("/"), "max-age=1") == origin.url("/")
    assert {policy.host for policy in known} <= {"origin.test"}


async def test_redirects_are_upgraded(secured: Place, origins: Mapping[str, Origin]) -> None:
    """A redirect to a known host in the clear goes there securely, so it is no insecure one, and is shown like that."""
    async with secured.open_manager(hsts=store(HstsPolicy("good.test"))) as manager:
        async with manager.get("https://other.test/to?http://good.test/x") as reply:
            (redirected,) = [event async for event in reply if isinstance(event, Redirected)]
            assert str(redirected.url) == str(reply.url) == "https://good.test/x"
            assert reply.error is NetworkError.NO_ERROR
    assert 80 not in ports(secured)


async def test_the_word_of_a_redirect_counts(secured: Place, origins: Mapping[str, Origin]) -> None:
    """What a redirect says is learnt before it is followed: here it leads to the clear, and is not gone."""
    async with secured.open_manager(hsts=store()) as manager:
        response = await manager.fetch("https://good.test/to?http://good.test/", headers={"X-Say": "max-age=1"})
        assert (str(response.url), response.body) == ("https://good.test/", b"page")
    assert 80 not in ports(secured)


async def test_an_upgraded_request_is_a_secure_one(secured: Place, origins: Mapping[str, Origin]) -> None:
    """Cookies that are for secure connections only go with it, and those it sets are set securely."""
    jar = CookieJar()
    jar.set_from_headers(["a=1; Secure"], "https://good.test/")
    async with secured.open_manager(hsts=store(HstsPolicy("good.test")), cookie_jar=jar) as manager:
        await visit(manager, "http://good.test/")
    assert origins["https://good.test"].requests[0].header("cookie") == "a=1"


# Certificates with errors


@pytest.fixture
async def bad(memory: Place) -> AsyncIterator[Origin]:
    """A server that vouches for itself, and wants to be spoken to securely."""
    tls = SelfSigned("bad.test").serve()
    routes = {"/": OriginResponse(200, [(STS, f"max-age={YEAR}")], b"page")}
    async with open_origin(routes, network=memory.network, host="bad.test", tls=tls) as origin:
        yield origin


@pytest.mark.parametrize(
    "config", [NOBODY, NOBODY.replace(verify=VerifyMode.QUERY), NOBODY.replace(verify=VerifyMode.NONE)]
)
async def test_nothing_is_learnt_where_errors_were_ignored(
    config: SslConfiguration, memory: Place, bad: Origin
) -> None:
    """Who got through although something was wrong could be anybody, and says nothing about the host."""
    known = store()
    async with memory.open_manager(hsts=known, ssl=config) as manager:
        for _ in range(2):  # also over a connection that is kept
            async with manager.get(bad.url()) as reply:
                reply.ignore_ssl_errors()
                assert await reply.read_all() == b"page"
    assert len(known) == 0


async def test_another_name_is_not_the_hosts(secured: Place, origins: Mapping[str, Origin]) -> None:
    """A certificate that was checked for another name than the host's proves nothing about the host."""
    known = store()
    async with secured.open_manager(hsts=known) as manager:
        headers = {"X-Say": "max-age=1"}
        await manager.fetch("https://good.test/", headers=headers, peer_verify_name="GOOD.test")
        assert [policy.host for policy in known] == ["good.test"]
    async with open_origin(answer, network=secured.network, host="third.test", tls=_tls("good.test")):
        async with secured.open_manager(hsts=known) as manager:
            await manager.fetch("https://third.test/", headers=headers, peer_verify_name="good.test")
    assert [policy.host for policy in known] == ["good.test"]


IGNORING: dict[str, Callable[[Reply, SslErrors], object]] = {
    "ignore_ssl_errors()": lambda reply, _event: reply.ignore_ssl_errors(),
    "ignore_ssl_errors(errors)": lambda reply, event: reply.ignore_ssl_errors(event.errors),
    "event.ignore()": lambda _reply, event: event.ignore(),
    "event.ignore(errors)": lambda _reply, event: event.ignore(event.errors),
    "nothing": lambda _reply, _event: None,
}


@pytest.mark.parametrize("url", ["https://bad.test/", "http://bad.test/", "https://a.bad.test/"])
@pytest.mark.parametrize("how", IGNORING)
async def test_errors_of_known_hosts_cannot_be_ignored(how: str, url: str, memory: Place, bad: Origin) -> None:
    """For a known host the errors are told, and ignoring them has no effect and is no mistake: nothing is sent, and the
    text says why and what to do.
    """
    assert memory.network is not None
    tls = SelfSigned("a.bad.test").serve()
    known = store(HstsPolicy("bad.test", include_subdomains=True))
    async with open_origin(answer, network=memory.network, host="a.bad.test", tls=tls) as below:
        async with memory.open_manager(hsts=known, ssl=NOBODY) as manager, manager.get(url) as reply:
            events = []
            async for event in reply:
                events.append(event)
                if isinstance(event, SslErrors):
                    assert [error.code.name for error in event.errors] == ["SELF_SIGNED_CERTIFICATE"]
                    IGNORING[how](reply, event)
            assert sequence(events) == (
                "S V(SELF_SIGNED_CERTIFICATE) E(SSL_HANDSHAKE_FAILED) D(0,0) F(SSL_HANDSHAKE_FAILED)"
            )
            assert "HSTS" in reply.error_string
            assert "ca_certificates" in reply.error_string
            assert manager.statistics().leases == 0
        assert [*bad.requests, *below.requests] == []
    assert ports(memory) == [443]


async def test_ignored_beforehand_and_by_the_manager(memory: Place, bad: Origin) -> None:
    """Neither what was said before the connection nor the manager's own handler changes that; fetch raises it."""
    asked: list[SslErrors] = []

    async def ignore(_reply: Reply, event: SslErrors) -> None:
        asked.append(event)
        event.ignore()

    known = store(HstsPolicy("bad.test"))
    async with memory.open_manager(hsts=known, ssl=NOBODY, ssl_errors=ignore) as manager:
        async with manager.get(bad.url()) as reply:
            reply.ignore_ssl_errors()
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
        with pytest.raises(SslHandshakeFailedError, match="HSTS"):
            await manager.fetch(bad.url())
        assert asked == []
        known.remove("bad.test")
        assert (await manager.fetch(bad.url())).body == b"page"
    assert len(asked) == 1
    assert len(bad.requests) == 1


async def test_query_mode_does_not_get_around_it(memory: Place, bad: Origin) -> None:
    """VerifyMode.QUERY goes on by itself, but not for a known host."""
    config = NOBODY.replace(verify=VerifyMode.QUERY)
    async with memory.open_manager(hsts=store(HstsPolicy("bad.test")), ssl=config) as manager:
        with pytest.raises(SslHandshakeFailedError, match="HSTS"):
            await manager.fetch(bad.url())
    assert bad.requests == []


async def test_a_kept_connection_with_ignored_errors_is_not_used(memory: Place, bad: Origin) -> None:
    """A host that becomes known is not spoken to over a connection from before, whose errors were ignored."""
    known = store()
    async with memory.open_manager(hsts=known, ssl=NOBODY) as manager:
        async with manager.get(bad.url()) as reply:
            reply.ignore_ssl_errors()
            assert await reply.read_all() == b"page"
        known.add([HstsPolicy("bad.test")])
        async with manager.get(bad.url()) as reply:
            reply.ignore_ssl_errors()
            assert await reply.wait_finished() is NetworkError.SSL_HANDSHAKE_FAILED
    assert len(bad.requests) == 1


# Between two runs


async def test_a_file_outlives_its_manager(secured: Place, origins: Mapping[str, Origin], tmp_path: Path) -> None:
    """What was learnt is kept to in the next manager from its first request on, and what was taken back is gone."""
    path = tmp_path / "hsts.sqlite"
    async with secured.open_manager(hsts=HstsStore(path=path)) as manager:
        await visit(manager, "https://good.test/", f"max-age={YEAR}; includeSubDomains")
        await visit(manager, "https://other.test/", f"max-age={YEAR}")
        await visit(manager, "https://other.test/", "max-age=0")
    before = ports(secured)
    async with secured.open_manager(hsts=HstsStore(path=path)) as manager:
        assert manager.hsts is not None
        assert [policy.host for policy in manager.hsts] == ["good.test"]
        assert await visit(manager, "http://a.good.test/") == "https://a.good.test/"
    assert ports(secured) == [*before, 443]


async def test_two_managers_share_a_file(secured: Place, origins: Mapping[str, Origin], tmp_path: Path) -> None:
    """Each writes what it has learnt, so neither undoes the other's."""
    path = tmp_path / "hsts.sqlite"
    async with secured.open_manager(hsts=HstsStore(path=path)) as one:
        async with secured.open_manager(hsts=HstsStore(path=path)) as two:
            await visit(one, "https://good.test/", f"max-age={YEAR}")
            await visit(two, "https://other.test/", f"max-age={YEAR}")
    async with secured.open_manager(hsts=HstsStore(path=path)) as manager:
        assert sorted(policy.host for policy in manager.hsts or ()) == ["good.test", "other.test"]


async def test_a_corrupt_file(memory: Place, tmp_path: Path) -> None:
    """To begin anew would silently give up what protects the user, so the manager does not open; the file stays."""
    path = tmp_path / "hsts.sqlite"
    path.write_bytes(b"nonsense" * 200)
    with pytest.raises(HstsStoreError, match=r"hsts\.sqlite"):
        async with memory.open_manager(hsts=HstsStore(path=path)):
            raise AssertionError("it has opened")
    assert path.read_bytes() == b"nonsense" * 200
