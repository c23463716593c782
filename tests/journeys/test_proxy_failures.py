"""What becomes of a request whose proxy refuses, lies, falls silent or is gone: a typed error, and never a way around.

The table is Qt's (as measured), and better where Qt knows no more than that something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock
from yarl import URL

from tests.proxies import HTTP_MISCHIEF, SOCKS4_MISCHIEF, SOCKS5_MISCHIEF, Script, open_scripted
from trioreply import NetworkError, Proxy, ProxyFactory, ProxyType, Request, RetryPolicy
from trioreply.testing import MemoryNetwork, OriginResponse

from .conftest import Place
from .proxied import LOGIN, Surroundings, proxy_at

SECRET = "s3cret"
REFUSED, CLOSED, NOT_FOUND, TIMEOUT, LOGIN_WANTED, UNKNOWN = (
    NetworkError.PROXY_CONNECTION_REFUSED,
    NetworkError.PROXY_CONNECTION_CLOSED,
    NetworkError.PROXY_NOT_FOUND,
    NetworkError.PROXY_TIMEOUT,
    NetworkError.PROXY_AUTHENTICATION_REQUIRED,
    NetworkError.UNKNOWN_PROXY,
)

HTTP_ERRORS = {"403": UNKNOWN, "404": NetworkError.HOST_NOT_FOUND, "407": LOGIN_WANTED, "504": TIMEOUT}
SOCKS5_ERRORS = {
    "reply 1": NetworkError.HOST_NOT_FOUND,
    "reply 2": NetworkError.HOST_NOT_FOUND,
    "reply 3": NetworkError.TEMPORARY_NETWORK_FAILURE,
    "reply 4": NetworkError.HOST_NOT_FOUND,
    "reply 5": NetworkError.CONNECTION_REFUSED,
    "reply 6": NetworkError.TIMEOUT,
    "refusal cut short": NetworkError.CONNECTION_REFUSED,
    "no method": REFUSED,
    "empty name": NetworkError.REMOTE_HOST_CLOSED,  # it consents, and leaves
    "login refused": REFUSED,
}
SOCKS4_ERRORS = {"reply 92": REFUSED, "reply 93": REFUSED}


def expected(name: str, known: dict[str, NetworkError]) -> NetworkError:
    """What a script of that name amounts to: unless it stands in ``known``, its first word tells."""
    if name in known or name[:3] in known:
        return known[name if name in known else name[:3]]
    first = name.split(maxsplit=1)[0]
    return {"closed": CLOSED, "reset": CLOSED, "silent": TIMEOUT}.get(first, UNKNOWN)


def table() -> Iterator[tuple[ProxyType, str, Script, NetworkError]]:
    """Every script, for the kind of proxy that it belongs to."""
    for name, script in HTTP_MISCHIEF.items():
        error = UNKNOWN if name == "endless refusal" else expected(name, HTTP_ERRORS)
        # What follows a refusal is not waited for: the refusal is the answer.
        yield ProxyType.HTTP, name, script, UNKNOWN if "refusal's body" in name else error
    for name, script in SOCKS5_MISCHIEF.items():
        yield ProxyType.SOCKS5H, name, script, expected(name, SOCKS5_ERRORS)
    for name, script in SOCKS4_MISCHIEF.items():
        yield ProxyType.SOCKS4A, name, script, expected(name, SOCKS4_ERRORS)


CASES = [pytest.param(kind, script, error, id=f"{kind.value}: {name}") for kind, name, script, error in table()]


@pytest.mark.parametrize(("kind", "script", "error"), CASES)
async def test_a_tunnel_that_does_not_open(
    kind: ProxyType, script: Script, error: NetworkError, autojump_clock: MockClock
) -> None:
    """Whatever a proxy does instead of opening a tunnel: one typed error, nothing left, and no way around it."""
    del autojump_clock
    async with MemoryNetwork() as network, open_scripted(script, network=network) as proxy:
        network.add_host("origin.test")
        password = None if kind is ProxyType.SOCKS4A else SECRET
        entry = Proxy(kind, proxy.host, proxy.port, "me", password)
        async with Place(network).open_manager(proxy=entry) as manager:
            async with manager.get("https://origin.test/secret-path") as reply:
                assert await reply.wait_finished() is error, reply.error_string
            statistics = manager.statistics()
            assert (statistics.leases, statistics.idle, statistics.replies_running) == (0, 0, 0)
        assert SECRET not in reply.error_string
        assert not network.open_streams
        (address,) = {address for address, _ in network.dialed}
    assert address == network.host("proxy.test").addresses[0]
    assert b"secret-path" not in proxy.heard


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("403 body", NetworkError.CONTENT_ACCESS_DENIED),
        ("404", NetworkError.CONTENT_NOT_FOUND),
        ("407 body", LOGIN_WANTED),
        ("407 without a challenge", LOGIN_WANTED),
        ("502", NetworkError.UNKNOWN_SERVER),
        ("garbage", NetworkError.PROTOCOL_FAILURE),
        ("closed after the request", NetworkError.REMOTE_HOST_CLOSED),
        ("1xx flood", NetworkError.PROTOCOL_FAILURE),
        ("endless fields", NetworkError.PROTOCOL_FAILURE),
    ],
)
async def test_a_forwarded_request_that_fails(name: str, error: NetworkError, memory: Place) -> None:
    """To a request that it forwards a proxy's answer is a response like any other."""
    async with open_scripted(HTTP_MISCHIEF[name], network=memory.network) as proxy:
        entry = Proxy(ProxyType.HTTP, proxy.host, proxy.port, "me", SECRET)
        async with memory.open_manager(proxy=entry) as manager, manager.get("http://origin.test/") as reply:
            assert await reply.wait_finished() is error


async def test_a_proxy_that_is_not_there(place: Place) -> None:
    """A port where nobody listens, and a name that nobody knows, are the proxy's; so is a network without a route."""
    here = Surroundings(place)
    async with here.origin({"/": OriginResponse()}) as origin, here.http_proxy() as proxy:
        gone = proxy_at(proxy)
    async with here.origin({"/": OriginResponse()}) as origin:
        for entry, error in ((gone, REFUSED), (Proxy(ProxyType.SOCKS5, "nowhere.invalid"), NOT_FOUND)):
            async with place.open_manager(proxy=entry) as manager, manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is error
                assert str(entry) in reply.error_string
    assert origin.requests == []


async def test_a_network_that_is_down_is_no_proxy_s_fault(memory: Place) -> None:
    """If our own network is the trouble, the error says so, also on the way to a proxy."""
    assert memory.network is not None
    memory.network.add_host("proxy.test").unreachable = True
    async with memory.open_manager(proxy="proxy.test") as manager, manager.get("http://origin.test/") as reply:
        assert await reply.wait_finished() is NetworkError.TEMPORARY_NETWORK_FAILURE


async def test_slow_proxies_and_slow_servers(memory: Place, autojump_clock: MockClock) -> None:
    """What takes longer than ``connect_timeout`` is the proxy's fault while we wait for it, and else the server's."""
    del autojump_clock
    assert memory.network is not None
    memory.network.add_host("proxy.test").black_hole = True
    async with memory.open_manager(proxy="proxy.test", connect_timeout=5) as manager:
        for url in ("http://origin.test/", "https://origin.test/"):
            async with manager.get(url) as reply:
                assert await reply.wait_finished() is TIMEOUT
                assert "did not answer within connect_timeout=5 s" in reply.error_string
    here = Surroundings(memory)
    memory.network.listen("silent.test", 443, _say_nothing)
    async with here.http_proxy("other.test") as proxy:
        async with memory.open_manager(proxy=proxy_at(proxy), connect_timeout=5) as manager:
            async with manager.get("https://silent.test/") as reply:
                assert await reply.wait_finished() is NetworkError.TIMEOUT


async def _say_nothing(stream: object) -> None:
    del stream
    await trio.sleep_forever()


class Listed(ProxyFactory):
    """Lists the same proxies for every URL, and counts how often it was asked."""

    def __init__(self, *proxies: Proxy | str) -> None:
        self.proxies = proxies
        self.asked: list[URL] = []

    def query(self, url: URL) -> tuple[Proxy | str, ...]:
        """See `ProxyFactory.query`."""
        self.asked.append(url)
        return self.proxies


async def test_the_next_proxy_is_tried(place: Place) -> None:
    """A proxy that is out of order is followed by the next one, and comes last for a while."""
    here = Surroundings(place)
    async with here.http_proxy("first.test") as gone:
        pass
    async with here.origin({"/": OriginResponse(body=b"hi")}) as origin, here.http_proxy("second.test") as second:
        factory = Listed(proxy_at(gone), proxy_at(second))
        async with place.open_manager(proxy_factory=factory) as manager:
            assert manager.proxy is None
            dialled = []
            for _ in range(2):
                async with manager.get(origin.url()) as reply:
                    dialled.append([event.port async for event in reply if hasattr(event, "port")])
                assert reply.error is NetworkError.NO_ERROR
                manager.clear_connections()
    assert dialled == [[gone.port, second.port], [second.port]]
    assert [str(url) for url in factory.asked] == [origin.url(), origin.url()]


async def test_all_proxies_fail(memory: Place) -> None:
    """If none works, the error tells of all; a failed one is tried again when there is no other."""
    assert memory.network is not None
    memory.network.add_host("down.test").refuse = True
    factory = Listed("http://down.test:1", "http://nowhere.test:2")
    async with memory.open_manager(proxy_factory=factory) as manager:
        for _ in range(2):
            async with manager.get("https://origin.test/") as reply:
                assert await reply.wait_finished() is REFUSED
            for part in ("None of 2 ways worked", "down.test:1: Connection", "nowhere.test:2: Proxy not found"):
                assert part in reply.error_string
    assert len(memory.network.dialed) == 2


@pytest.mark.parametrize("name", ["403", "407", "reply 5"])
async def test_a_proxy_s_word_is_final(name: str, memory: Place) -> None:
    """A proxy that works and says no is not gone around."""
    script = (SOCKS5_MISCHIEF if name.startswith("reply") else HTTP_MISCHIEF)[name]
    kind = ProxyType.SOCKS5H if name.startswith("reply") else ProxyType.HTTP
    here = Surroundings(memory)
    async with open_scripted(script, network=memory.network) as strict, here.http_proxy("second.test") as second:
        factory = Listed(Proxy(kind, strict.host, strict.port), proxy_at(second), Proxy(ProxyType.NONE))
        async with memory.open_manager(proxy_factory=factory) as manager:
            async with manager.get("https://origin.test/") as reply:
                assert await reply.wait_finished() is not NetworkError.NO_ERROR
    assert second.visitors == []


async def test_a_direct_way_is_one_that_is_listed(place: Place) -> None:
    """The direct way is gone if the factory lists it, at its place, or lists nothing; never otherwise."""
    here = Surroundings(place)
    async with here.http_proxy() as gone:
        pass
    async with here.origin({"/": OriginResponse()}) as origin:
        for ways in ((proxy_at(gone), Proxy(ProxyType.NONE)), (), ("direct://",)):
            async with place.open_manager(proxy_factory=Listed(*ways)) as manager:
                assert (await manager.fetch(origin.url())).status_code == 200
        assert len(origin.requests) == 3


async def test_factories_may_wait_and_may_be_wrong(place: Place) -> None:
    """A factory may be asynchronous; what it raises, or lists that is no proxy, ends the reply as its cause."""

    class Slow:
        async def query(self, url: URL) -> list[Proxy]:
            del url
            return [proxy_at(proxy)]

    class Broken(ProxyFactory):
        def query(self, url: URL) -> list[Proxy]:
            raise KeyError(url)

    here = Surroundings(place)
    async with here.origin({"/": OriginResponse()}) as origin, here.http_proxy() as proxy:
        async with place.open_manager(proxy_factory=Slow()) as manager:
            assert (await manager.fetch(origin.url())).status_code == 200
        assert len(proxy.visitors) == 1
        for factory, kind in ((Broken(), KeyError), (Listed(Proxy()), ValueError)):
            async with place.open_manager(proxy_factory=factory) as manager, manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
                with pytest.raises(Exception) as caught:
                    await reply.read_all()
                assert isinstance(caught.value.__cause__, kind)


async def test_retries_come_back_to_the_proxies(memory: Place, autojump_clock: MockClock) -> None:
    """A retry policy counts attempts with all proxies as one."""
    del autojump_clock
    assert memory.network is not None
    memory.network.add_host("down.test").refuse = True
    factory = Listed("http://down.test:1", "http://down.test:2")
    async with memory.open_manager(proxy_factory=factory, retry=RetryPolicy(3)) as manager:
        async with manager.get("http://origin.test/") as reply:
            assert await reply.wait_finished() is REFUSED
    assert len(memory.network.dialed) == 6


async def test_other_schemes_and_sockets_need_no_proxy(memory: Place) -> None:
    """Only http and https go through proxies: a URL that is its own content has no way to go."""
    factory = Listed("http://down.test")
    async with memory.open_manager(proxy_factory=factory, proxy=None) as manager:
        assert (await manager.fetch("data:,x", proxy="http://nowhere.test")).body == b"x"
    assert factory.asked == []


def test_one_of_the_two() -> None:
    """A manager has a proxy or a factory."""
    with pytest.raises(ValueError, match=r"^proxy: there is a proxy_factory too"):
        Place(None).open_manager(proxy="http://h", proxy_factory=Listed())
    with pytest.raises(TypeError, match=r"^proxy_factory: .* has no method query"):
        Place(None).open_manager(proxy_factory=object())  # type: ignore[arg-type]  # it is the point
    with pytest.raises(ValueError, match=r"^proxy: "):
        Request("http://h/", proxy="ftp://h")


async def test_the_user_of_an_entry_is_nobody_else_s(place: Place) -> None:
    """What one entry's user has logged in with is not used for another's, on the same proxy."""
    here = Surroundings(place)
    async with here.origin({"/": OriginResponse()}) as origin, here.http_proxy(login=LOGIN) as proxy:
        async with place.open_manager() as manager:
            assert (await manager.fetch(origin.url(), proxy=proxy_at(proxy, LOGIN))).status_code == 200
            async with manager.get(origin.url(), proxy=proxy_at(proxy, ("other", "x"))) as reply:
                assert await reply.wait_finished() is LOGIN_WANTED
