"""Proxies, where it is easy to go wrong: whose password is whose, what is held against a proxy, and what is final."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import trio
from trio.testing import MockClock
from yarl import URL

from tests.proxies import SOCKS4_MISCHIEF, SOCKS5_MISCHIEF, LeakRecord, Script, open_scripted
from tests.proxies.doors import DigestDoor, Scheme
from trioreply import (
    Finished,
    NetworkError,
    Proxy,
    ProxyAuthenticationRequired,
    ProxyFactory,
    ProxyType,
    Reply,
    RetryPolicy,
)
from trioreply.testing import (
    MemoryNetwork,
    OriginResponse,
    Receive,
    ReceiveEnd,
    ReceiveHead,
    ScriptedPeer,
    Send,
    Stall,
)

from .conftest import Place, _authority
from .proxied import LOGIN, OTHER, Surroundings, proxy_at

PAGE = OriginResponse(200, body=b"hello")
FAR = ("far-user", "far-s3cret")
NEAR = ("near-user", "near-s3cret")


@pytest.fixture
async def secure() -> AsyncIterator[Place]:
    """The network in memory, with servers that speak https."""
    async with MemoryNetwork() as network:
        yield Place(network, _authority())


class Listed(ProxyFactory):
    """Lists the same ways for every URL."""

    def __init__(self, *ways: Proxy) -> None:
        self.ways = ways

    def query(self, url: URL) -> Sequence[Proxy]:
        """See `ProxyFactory.query`."""
        del url
        return self.ways


class Congested:
    """A dialer whose streams do not get rid of the end of a chunked body: their send buffer is full."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    async def dial(self, address: str, port: int) -> trio.abc.Stream:
        """See `trioreply.abc.Dialer`."""
        stream = await self._network.dial(address, port)
        send_all = stream.send_all

        async def send_all_but_the_end(data: bytes | bytearray | memoryview) -> None:
            if bytes(data) == b"0\r\n\r\n":
                await trio.sleep_forever()
            await send_all(data)

        stream.send_all = send_all_but_the_end  # type: ignore[method-assign]  # the simplest way to be full
        return stream


async def test_an_upload_that_was_cut_at_its_very_end(memory: Place) -> None:
    """A connection whose request was cut short is not used again (RFC 9112 section 9.3): what came next would be taken
    for a part of its body.
    """
    assert memory.network is not None

    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    refusal = Send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    peer = ScriptedPeer(ReceiveHead(), Receive(b"piece\r\n"), refusal, ReceiveEnd())
    async with memory.serve(peer) as url:
        async with memory.open_manager(dialer=Congested(memory.network)) as manager:
            async with manager.post(url, pieces()) as reply:
                await reply.wait_finished()
            assert manager.statistics().idle == 0


@pytest.mark.parametrize("scheme", ["basic", "digest"])
async def test_a_chain_of_two_http_proxies_with_logins(scheme: Scheme, memory: Place) -> None:
    """A plain request through two HTTP proxies that both want credentials succeeds on a second connection, too."""
    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy("far.test", login=FAR, scheme=scheme) as far:
        async with here.http_proxy("near.test", login=NEAR, scheme=scheme) as near:
            chain = proxy_at(far, FAR, via=proxy_at(near, NEAR))
            async with memory.open_manager(proxy=chain) as manager:
                assert (await manager.fetch(origin.url())).status_code == 200
                manager.clear_connections()
                assert (await manager.fetch(origin.url())).status_code == 200


async def test_a_secure_far_proxy_s_password_is_its_own(memory: Place) -> None:
    """What a proxy that is spoken to over TLS is told is heard by no other proxy."""
    here = Surroundings(memory)
    tls = _authority().serve("far.test")
    async with here.origin({"/": PAGE}) as origin, here.http_proxy("far.test", login=FAR, tls=tls) as far:
        async with here.http_proxy("near.test") as near:
            chain = Proxy(
                ProxyType.HTTP,
                far.host,
                far.port,
                *FAR,
                tls=_authority().trust(),
                via=Proxy(ProxyType.HTTP, near.host, near.port),
            )
            async with memory.open_manager(proxy=chain) as manager:
                assert (await manager.fetch(origin.url())).status_code == 200
                manager.clear_connections()
                assert (await manager.fetch(origin.url())).status_code == 200
            assert LeakRecord({"far": far, "near": near}).who_heard(FAR[1]) == {"far"}


async def test_the_user_s_own_field_is_for_the_last_proxy(secure: Place) -> None:
    """Proxy-Authorization of the request's is for the proxy of the request, and not for each one on the way to it."""
    here = Surroundings(secure)
    async with (
        here.origin({"/": PAGE}) as origin,
        here.http_proxy("far.test") as far,
        here.http_proxy("near.test") as near,
    ):
        chain = proxy_at(far, via=proxy_at(near))
        async with secure.open_manager(proxy=chain) as manager:
            await manager.fetch(origin.url(), headers={"Proxy-Authorization": "Bearer t0ken"})
    assert [seen.credentials for seen in far.requests] == ["Bearer t0ken"]
    assert [seen.credentials for seen in near.requests] == [None]


@pytest.mark.parametrize("name", ["reply 91", "reply 92", "reply 93", "refusal cut short"])
async def test_a_socks4_refusal_is_final(name: str, memory: Place) -> None:
    """A SOCKS4 proxy that rejects a request has spoken: the server is not contacted around it."""
    async with open_scripted(SOCKS4_MISCHIEF[name], network=memory.network) as strict:
        async with memory.origin({"/": PAGE}) as origin:
            factory = Listed(Proxy(ProxyType.SOCKS4A, strict.host, strict.port), Proxy(ProxyType.NONE))
            async with memory.open_manager(proxy_factory=factory) as manager, manager.get(origin.url()) as reply:
                await reply.wait_finished()
            assert origin.requests == []


@pytest.mark.parametrize("name", ["reply 7", "reply 8", "reply 9", "reply 255"])
async def test_a_socks5_refusal_is_final(name: str, memory: Place) -> None:
    """A SOCKS5 proxy that answers with any code has spoken: the server is not contacted around it."""
    async with open_scripted(SOCKS5_MISCHIEF[name], network=memory.network) as strict:
        async with memory.origin({"/": PAGE}) as origin:
            factory = Listed(Proxy(ProxyType.SOCKS5H, strict.host, strict.port), Proxy(ProxyType.NONE))
            async with memory.open_manager(proxy_factory=factory) as manager, manager.get(origin.url()) as reply:
                await reply.wait_finished()
            assert origin.requests == []


async def test_a_network_that_was_down_is_not_held_against_a_proxy(memory: Place) -> None:
    """That our own network was down is no failure of a proxy: when it is back, the proxies stand in their order."""
    assert memory.network is not None
    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy() as proxy:
        ways = Listed(proxy_at(proxy), Proxy(ProxyType.NONE))
        async with memory.open_manager(proxy_factory=ways) as manager:
            for host in ("proxy.test", "origin.test"):
                memory.network.host(host).unreachable = True
            response = manager.fetch(origin.url(), raise_for_error=False)
            with pytest.raises(Exception, match="unreachable"):
                await response
            for host in ("proxy.test", "origin.test"):
                memory.network.host(host).unreachable = False
            await manager.fetch(origin.url())
    assert len(proxy.requests) == 1


async def test_a_silent_server_is_not_held_against_a_proxy(secure: Place, autojump_clock: MockClock) -> None:
    """One server that never answers a proxy does not send the requests to all other servers around that proxy."""
    del autojump_clock
    assert secure.network is not None
    here = Surroundings(secure)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy() as proxy:
        secure.network.add_host("hole.test").black_hole = True
        ways = Listed(proxy_at(proxy), Proxy(ProxyType.NONE))
        async with secure.open_manager(proxy_factory=ways, connect_timeout=5) as manager:
            async with manager.get("https://hole.test/") as reply:
                assert await reply.wait_finished() is not NetworkError.NO_ERROR
            await manager.fetch(origin.url())
    assert [seen.target for seen in proxy.requests][1:] == ["origin.test:443"]


async def test_digest_of_the_near_proxy_when_the_far_one_demands(memory: Place) -> None:
    """A tunnel that is asked for again is asked for with the next number of a Digest nonce (RFC 7616 section 3.4)."""
    here = Surroundings(memory)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy("near.test", login=NEAR, scheme="digest") as near:
        async with here.socks_proxy(login=FAR) as far:
            chain = proxy_at(far, via=proxy_at(near, NEAR))
            async with memory.open_manager(proxy=chain) as manager:
                async with manager.get(origin.url()) as reply:
                    asked = []
                    async for event in reply:
                        if isinstance(event, ProxyAuthenticationRequired):
                            asked.append(event.proxy.host)
                            if event.proxy.host == far.host:
                                event.answer(*FAR)
            assert (asked, event) == ([far.host], Finished(NetworkError.NO_ERROR))


async def test_digest_when_a_certificate_is_ignored(secure: Place) -> None:
    """Connecting again because of a certificate needs no second question about the same proxy's password."""
    here = Surroundings(secure)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy(login=LOGIN, scheme="digest") as proxy:
        async with secure.open_manager(proxy=proxy_at(proxy), ssl=None) as manager:
            async with manager.get(origin.url()) as reply:
                reply.ignore_ssl_errors()
                asked = 0
                async for event in reply:
                    if isinstance(event, ProxyAuthenticationRequired):
                        asked += 1
                        event.answer(*LOGIN)
            assert (asked, event) == (1, Finished(NetworkError.NO_ERROR))


async def test_the_domain_of_a_proxy_s_digest_means_nothing(secure: Place) -> None:
    """A proxy's protection space is all of it, whatever its challenge has for a domain (RFC 7616 section 3.3)."""
    here = Surroundings(secure)

    class WithDomain:
        """A door whose challenges name a domain."""

        def __init__(self, door: DigestDoor) -> None:
            self.door = door

        def refusal(self, method: str, target: str, credentials: str | None, /) -> str | None:
            challenge = self.door.refusal(method, target, credentials)
            if challenge is None:
                return None
            self.door.generation += 1  # each demand has a nonce of its own, as real ones have
            return f'{self.door._challenge()}, domain="/somewhere"'

    async with here.origin({"/": PAGE}) as origin, here.http_proxy(login=LOGIN, scheme="digest") as proxy:
        assert isinstance(proxy.door, DigestDoor)
        proxy.door = WithDomain(proxy.door)
        async with secure.open_manager(proxy=proxy_at(proxy, LOGIN)) as manager:
            for _ in range(2):
                await manager.fetch(origin.url())
                manager.clear_connections()
    assert [seen.credentials is not None for seen in proxy.requests] == [False, True, True]


async def test_tunnels_are_not_shared_between_own_fields(secure: Place) -> None:
    """A tunnel that was opened in one user's name carries no request that goes out in another's, or in nobody's."""
    here = Surroundings(secure)
    async with here.origin({"/": PAGE}) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with secure.open_manager(proxy=proxy_at(proxy)) as manager:
            right = "Basic bWU6czNjcmV0"
            await manager.fetch(origin.url(), headers={"Proxy-Authorization": right})
            async with manager.get(origin.url(), headers={"Proxy-Authorization": "Basic eDp5"}) as reply:
                assert await reply.wait_finished() is NetworkError.PROXY_AUTHENTICATION_REQUIRED


async def test_two_proxies_of_one_private_address(memory: Place) -> None:
    """10.0.0.1 behind one proxy is another machine than 10.0.0.1 behind another, and is not told its login."""
    left, right = Surroundings(memory), Surroundings(memory)
    async with left.origin({"/": PAGE}) as origin, left.http_proxy("mine.test", login=FAR) as mine:
        async with right.http_proxy("theirs.test", login=OTHER) as theirs, memory.open_manager() as manager:
            async with left.http_proxy("left.test") as way_left, right.http_proxy("right.test") as way_right:
                left.names["inner.test"], right.names["inner.test"] = mine.address, theirs.address
                first = Proxy(ProxyType.HTTP, "inner.test", mine.port, *FAR, via=proxy_at(way_left))
                await manager.fetch(origin.url(), proxy=first)
                second = Proxy(ProxyType.HTTP, "inner.test", mine.port, via=proxy_at(way_right))
                async with manager.get(origin.url(), proxy=second) as reply:
                    await reply.wait_finished()
            assert LeakRecord({"mine": mine, "theirs": theirs}).who_heard(FAR[1]) == {"mine"}


async def test_what_was_told_over_tls_is_not_told_in_the_clear(memory: Place) -> None:
    """Credentials that a proxy has accepted over TLS are not sent, unasked, to its port without TLS."""
    here = Surroundings(memory)
    tls = _authority().serve("proxy.test")
    async with here.origin({"/": PAGE}) as origin:
        async with here.http_proxy(login=LOGIN, tls=tls) as proxy, memory.open_manager() as manager:
            entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, *LOGIN, tls=_authority().trust())
            await manager.fetch(origin.url(), proxy=entry)
            assert memory.network is not None
            port = proxy.port
            memory.network._listeners[proxy.host, port].close()
            script = Script(ReceiveHead(), Send(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"), Stall())
            plain = script.peer()
            memory.network.listen(proxy.host, port, plain.serve)
            async with manager.get(origin.url(), proxy=Proxy(ProxyType.HTTP, proxy.host, port)) as reply:
                await reply.wait_finished()
            assert not plain.requests[0].header("Proxy-Authorization")


async def test_the_entry_s_own_field_comes_before_what_is_known(memory: Place) -> None:
    """An entry that says Proxy-Authorization itself goes out in that name, forwarded or tunnelled."""
    here = Surroundings(memory)
    async with (
        here.origin({"/": PAGE}) as origin,
        here.http_proxy(login=LOGIN) as proxy,
        memory.open_manager() as manager,
    ):
        await manager.fetch(origin.url(), proxy=proxy_at(proxy, LOGIN))
        entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, headers={"Proxy-Authorization": "Bearer 0ther"})
        async with manager.get(origin.url(), proxy=entry) as reply:
            await reply.wait_finished()
    assert proxy.requests[2].credentials == "Bearer 0ther"


async def test_a_socks_answer_for_the_entry_s_user_is_remembered(memory: Place) -> None:
    """A password that was asked for once is not asked for again on the next connection (as with HTTP proxies)."""
    here = Surroundings(memory)
    asked = 0

    async def answer(_reply: Reply, event: ProxyAuthenticationRequired) -> None:
        nonlocal asked
        asked += 1
        event.answer(*LOGIN)

    async with here.origin({"/": PAGE}) as origin, here.socks_proxy(login=LOGIN) as proxy:
        entry = proxy_at(proxy, (LOGIN[0], "old"))
        async with memory.open_manager(proxy=entry, proxy_authenticator=answer) as manager:
            for _ in range(2):
                await manager.fetch(origin.url())
                manager.clear_connections()
    assert asked == 1


async def test_a_socks_proxy_that_takes_no_passwords(memory: Place) -> None:
    """A proxy that accepts none of the methods offered is not helped by a password, so nobody is asked for one."""
    asked = 0

    async def answer(_reply: Reply, event: ProxyAuthenticationRequired) -> None:
        nonlocal asked
        asked += 1
        event.answer("me", f"guess {asked}")

    async with open_scripted(SOCKS5_MISCHIEF["no method"], network=memory.network) as proxy:
        entry = Proxy(ProxyType.SOCKS5H, proxy.host, proxy.port)
        async with memory.open_manager(proxy=entry, proxy_authenticator=answer) as manager:
            async with manager.get("http://origin.test/") as reply:
                assert await reply.wait_finished() is not NetworkError.NO_ERROR
    assert asked == 0


async def test_a_refused_login_is_not_retried(memory: Place, autojump_clock: MockClock) -> None:
    """A password that a proxy has refused is not tried again by a retry policy: it locks doors."""
    del autojump_clock
    here = Surroundings(memory)
    async with here.socks_proxy(login=LOGIN) as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy, OTHER), retry=RetryPolicy(3)) as manager:
            async with manager.get("http://origin.test/") as reply:
                assert await reply.wait_finished() is NetworkError.PROXY_CONNECTION_REFUSED
    assert len(proxy.visits) == 1


class Slow:
    """A dialer whose streams take the processor for 10 seconds whenever something has come."""

    def __init__(self, network: MemoryNetwork, clock: MockClock) -> None:
        self._network = network
        self._clock = clock

    async def dial(self, address: str, port: int) -> trio.abc.Stream:
        """See `trioreply.abc.Dialer`."""
        stream = await self._network.dial(address, port)
        receive_some = stream.receive_some

        async def receive_late(max_bytes: int | None = None) -> bytes:
            data = bytes(await receive_some(max_bytes))
            self._clock.jump(10.0)
            return data

        stream.receive_some = receive_late  # type: ignore[method-assign]  # the simplest way to be late
        return stream


async def test_a_budget_that_is_overdrawn(secure: Place, mock_clock: MockClock) -> None:
    """A demand that comes when the time for connecting is just over ends as a timeout, not as a mistake of ours."""
    assert secure.network is not None
    here = Surroundings(secure)
    async with here.http_proxy(login=LOGIN) as proxy:
        dialer = Slow(secure.network, mock_clock)
        async with secure.open_manager(proxy=proxy_at(proxy, LOGIN), dialer=dialer, connect_timeout=5) as manager:
            async with manager.get("https://origin.test/") as reply:
                error = await reply.wait_finished()
            assert error in (NetworkError.PROXY_TIMEOUT, NetworkError.TIMEOUT), reply.error_string


async def test_a_socks_user_is_not_told_in_errors(memory: Place) -> None:
    """A user name may be a token, so no error's text shows it."""
    here = Surroundings(memory)
    async with here.socks_proxy(login=LOGIN) as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy, ("t0ken", ""))) as manager:
            async with manager.get("http://origin.test/") as reply:
                await reply.wait_finished()
            assert "t0ken" not in reply.error_string
