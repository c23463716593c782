"""Resolvers: the system's, and the memory in front of one."""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal

import pytest
import trio
from attrs import Factory, define
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreply._net.resolvers import CachingResolver, PublicResolver, SystemResolver, is_numeric

V6, V4 = "2606:4700::1", "93.184.216.34"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "fe80::1%3", "0.0.0.0", "::ffff:1.2.3.4"])
def test_addresses_are_numeric(host: str) -> None:
    """An address is one whatever its family, with and without a zone."""
    assert is_numeric(host)


@pytest.mark.parametrize("host", ["example.org", "1.2.3", "127.0.0.1.", "127.0.0.01", "localhost", "[::1]", ""])
def test_names_are_not_numeric(host: str) -> None:
    """What is not exactly one address is a name."""
    assert not is_numeric(host)


# The system's resolver

OldAnswer = tuple[Literal[socket.AddressFamily.AF_INET], socket.SocketKind, int, str, tuple[str, int]]
NewAddress = tuple[str, int, int, int] | tuple[int, bytes]
NewAnswer = tuple[Literal[socket.AddressFamily.AF_INET6], socket.SocketKind, int, str, NewAddress]


@define
class CustomNames(trio.abc.HostnameResolver):
    """Stands in for the operating system's resolver, at the place Trio provides for that."""

    answers: list[OldAnswer | NewAnswer]
    asked: list[tuple[object, ...]] = Factory(list)

    async def getaddrinfo(  # noqa: PLR0917 - Trio's signature
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - Trio's name for it
        proto: int = 0,
        flags: int = 0,
    ) -> list[OldAnswer | NewAnswer]:
        """All answers."""
        self.asked.append((host, port, family, type, proto, flags))
        return self.answers

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        """Not used."""
        raise NotImplementedError(sockaddr, flags)


def ipv6(address: str, scope: int = 0) -> NewAnswer:
    """An IPv6 answer."""
    return socket.AddressFamily.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 80, 0, scope)


async def test_system_resolver() -> None:
    """The system is asked for stream sockets; its answers come in order, without repeats, and with their zones."""
    ipv4: OldAnswer = (socket.AddressFamily.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
    names = CustomNames([ipv6("::1"), ipv6("fe80::1", scope=3), ipv6("fe80::2%eth0", scope=4), ipv4, ipv6("::1")])
    trio.socket.set_custom_hostname_resolver(names)
    assert await SystemResolver().resolve("example.org", 80) == ["::1", "fe80::1%3", "fe80::2%eth0", "127.0.0.1"]
    assert names.asked == [(b"example.org", 80, 0, socket.SOCK_STREAM, 0, 0)]


@pytest.mark.parametrize(("ip_version", "family"), [(4, socket.AF_INET), (6, socket.AF_INET6)])
async def test_system_resolver_of_one_ip_version(ip_version: Literal[4, 6], family: int) -> None:
    """Only addresses of the wanted version are asked for."""
    names = CustomNames([])
    trio.socket.set_custom_hostname_resolver(names)
    assert await SystemResolver(ip_version=ip_version).resolve("example.org", 80) == []
    assert names.asked == [(b"example.org", 80, family, socket.SOCK_STREAM, 0, 0)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0"])
async def test_system_resolver_answers_for_addresses_itself(host: str) -> None:
    """A numeric host is its own address, zone and all, and the system is not asked."""
    names = CustomNames([])
    trio.socket.set_custom_hostname_resolver(names)
    with assert_checkpoints():
        assert list(await SystemResolver().resolve(host, 80)) == [host]
    version: Literal[4, 6] = 6 if ":" in host else 4
    assert list(await SystemResolver(ip_version=version).resolve(host, 80)) == [host]
    assert names.asked == []


async def test_system_resolver_refuses_the_other_ip_version() -> None:
    """A numeric host of the version that is not wanted is a network error that says so."""
    with pytest.raises(OSError, match=r"^\[Errno \d+\] ::1 is not an IPv4 address$"):
        await SystemResolver(ip_version=4).resolve("::1", 80)
    with pytest.raises(OSError, match=r"127\.0\.0\.1 is not an IPv6 address$"):
        await SystemResolver(ip_version=6).resolve("127.0.0.1", 80)


def test_ip_versions() -> None:
    """There are two versions of IP."""
    with pytest.raises(ValueError, match=r"^ip_version: 5"):
        SystemResolver(ip_version=5)  # type: ignore[arg-type]  # the wrong value is the point
    assert [repr(SystemResolver()), repr(SystemResolver(ip_version=6))] == [
        "SystemResolver()",
        "SystemResolver(ip_version=6)",
    ]


# The memory


@define(eq=False)
class Names:
    """A resolver that answers with ``answer``, and notes who asks; ``work`` is done first."""

    answer: Sequence[str] | Exception = (V4,)
    work: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    asked: list[tuple[str, int]] = Factory(list)
    running: int = 0

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Give or raise."""
        self.asked.append((host, port))
        self.running += 1
        try:
            await self.work()
        finally:
            self.running -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def __repr__(self) -> str:
        return "Names()"


async def test_answers_are_remembered(autojump_clock: MockClock) -> None:
    """An answer is used for ttl seconds from when it came, for its host in any case of letters and for its port."""
    names = Names([V6, V4], work=partial(trio.sleep, 5))
    cache = CachingResolver(names, ttl=10)
    assert list(await cache.resolve("example.org", 80)) == [V6, V4]
    await trio.sleep(9.9)
    with assert_checkpoints():
        assert list(await cache.resolve("EXAMPLE.org", 80)) == [V6, V4]
    assert names.asked == [("example.org", 80)]
    await cache.resolve("example.org", 81)
    await cache.resolve("example.org.", 80)
    assert names.asked[1:] == [("example.org", 81), ("example.org.", 80)]
    await cache.resolve("Example.org", 80)
    assert names.asked[3:] == [("Example.org", 80)]


async def test_numeric_hosts_are_passed_on() -> None:
    """An address is nothing to remember, but the resolver behind may refuse it."""
    names = Names()
    cache = CachingResolver(names)
    for _ in range(2):
        await cache.resolve("10.0.0.1", 80)
    assert names.asked == [("10.0.0.1", 80)] * 2
    with pytest.raises(PermissionError):
        await CachingResolver(PublicResolver()).resolve("10.0.0.1", 80)


@pytest.mark.parametrize("answer", [OSError("no"), UnicodeError("no"), LookupError("no"), []], ids=repr)
async def test_failures_are_not_remembered(answer: Sequence[str] | Exception) -> None:
    """A name that could not be found, or has no address, is asked for again."""
    names = Names(answer)
    cache = CachingResolver(names)
    for _ in range(2):
        if isinstance(answer, Exception):
            with pytest.raises(type(answer)):
                await cache.resolve("h", 80)
        else:
            assert list(await cache.resolve("h", 80)) == []
    assert len(names.asked) == 2


async def test_nothing_is_remembered_for_no_time(autojump_clock: MockClock) -> None:
    """With a ttl of 0 every request asks, and nothing is kept."""
    names = Names()
    cache = CachingResolver(names, ttl=0)
    for _ in range(2):
        await cache.resolve("h", 80)
    assert len(names.asked) == 2
    assert "0 of at most" in repr(cache)


async def test_the_oldest_answer_leaves(autojump_clock: MockClock) -> None:
    """Beyond max_entries the oldest answer is forgotten; one that was asked for anew is not the oldest any more."""
    names = Names()
    cache = CachingResolver(names, max_entries=2, ttl=10)
    for host in ("a", "b", "c"):
        await cache.resolve(host, 80)
    assert "2 of at most 2 entries for 10 s" in repr(cache)
    names.asked.clear()
    for host in ("b", "c", "a"):
        await cache.resolve(host, 80)
    assert names.asked == [("a", 80)]
    await trio.sleep(10)
    await cache.resolve("c", 80)
    assert "1 of at most 2 entries" in repr(cache), "what has expired is dropped, though there is room for it"


async def test_clearing() -> None:
    """After clear() everything is asked for again."""
    names = Names()
    cache = CachingResolver(names, ttl=math.inf)
    await cache.resolve("h", 80)
    cache.clear()
    await cache.resolve("h", 80)
    assert len(names.asked) == 2


async def test_clearing_while_asking() -> None:
    """A question that was under way is answered to who asked it, but not remembered, nor shared with later ones."""
    gate = trio.Event()
    names = Names(work=gate.wait)
    cache = CachingResolver(names)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(cache.resolve, "h", 80)
            await wait_all_tasks_blocked()
        cache.clear()
        nursery.start_soon(cache.resolve, "h", 80)
        await wait_all_tasks_blocked()
        assert names.running == 2
        names.asked.clear()
        gate.set()
    await cache.resolve("h", 80)
    assert names.asked == []


async def test_an_answer_from_before_clearing_is_not_remembered() -> None:
    """What was asked before clear() may be outdated when it is answered."""
    gate = trio.Event()
    names = Names(work=gate.wait)
    cache = CachingResolver(names)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.resolve, "h", 80)
        await wait_all_tasks_blocked()
        cache.clear()
        gate.set()
    await cache.resolve("h", 80)
    assert len(names.asked) == 2


async def ask(cache: CachingResolver, answers: list[object]) -> None:
    """Add the answer, or the failure, to ``answers``."""
    try:
        answers.append(await cache.resolve("h", 80))
    except OSError as error:
        answers.append(error)


@pytest.mark.parametrize("answer", [[V4], OSError("no"), []], ids=repr)
@pytest.mark.parametrize("ttl", [0, 60])
async def test_the_same_question_is_asked_once(answer: Sequence[str] | Exception, ttl: float) -> None:
    """Who asks while a question is under way gets its answer, or its failure, even if nothing is remembered."""
    gate = trio.Event()
    names = Names(answer, work=gate.wait)
    cache = CachingResolver(names, ttl=ttl)
    answers: list[object] = []
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask, cache, answers)
            await wait_all_tasks_blocked()
        gate.set()
    assert answers == [answer if isinstance(answer, Exception) else tuple(answer)] * 3
    assert names.asked == [("h", 80)]


async def test_the_one_who_asks_is_cancelled() -> None:
    """A cancelled request ends its question, and one of those who waited for it asks anew, for all of them."""
    gate = trio.Event()
    names = Names(work=gate.wait)
    cache = CachingResolver(names)
    answers: list[object] = []
    scope = trio.CancelScope()

    async def cancelled() -> None:
        with scope:
            await cache.resolve("h", 80)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancelled)
        for _ in range(3):
            await wait_all_tasks_blocked()
            nursery.start_soon(ask, cache, answers)
        await wait_all_tasks_blocked()
        assert (names.running, len(names.asked)) == (1, 1)
        scope.cancel()
        await wait_all_tasks_blocked()
        assert (names.running, len(names.asked)) == (1, 2)
        gate.set()
    assert answers == [(V4,)] * 3


async def test_one_who_waits_is_cancelled() -> None:
    """A cancelled request that waited for another's question leaves it alone."""
    gate = trio.Event()
    names = Names(work=gate.wait)
    cache = CachingResolver(names)
    answers: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, cache, answers)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await cache.resolve("h", 80)
        assert scope.cancelled_caught
        gate.set()
    assert answers == [(V4,)]


async def test_a_bug_is_not_shared() -> None:
    """What is no failure of the network leaves where it happened; who waited asks for itself."""
    gate = trio.Event()
    names = Names(LookupError("bug"), work=gate.wait)
    cache = CachingResolver(names)
    answers: list[object] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def unlucky() -> None:
            with pytest.raises(LookupError):
                await cache.resolve("h", 80)
            names.answer = [V4]

        await wait_all_tasks_blocked()
        nursery.start_soon(ask, cache, answers)
        await wait_all_tasks_blocked()
        gate.set()
    assert answers == [(V4,)]


def test_another_run_of_trio() -> None:
    """Another run has another clock, so nothing that was remembered counts there."""
    names = Names()
    cache = CachingResolver(names)
    for _ in range(2):
        trio.run(cache.resolve, "h", 80)
    assert len(names.asked) == 2


@pytest.mark.parametrize(("field", "value"), [("ttl", -1), ("ttl", math.nan), ("max_entries", 0)])
def test_impossible_memories(field: str, value: float) -> None:
    """Times and counts below their least are refused by name."""
    with pytest.raises(ValueError, match=f"^{field}: "):
        CachingResolver(**{field: value})  # type: ignore[arg-type]  # mypy does not see which value is whose


async def test_memory_in_front_of_the_system() -> None:
    """Without another resolver the system's is asked."""
    assert repr(CachingResolver()) == "<CachingResolver of SystemResolver(): 0 of at most 1000 entries for 60 s>"
    assert list(await CachingResolver().resolve("127.0.0.1", 80)) == ["127.0.0.1"]


# Overrides


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("example.org", 80, ["10.0.0.1"]),
        ("EXAMPLE.ORG.", 80, ["10.0.0.1"]),
        ("example.org", 443, ["10.0.0.2", "::2"]),
        ("other.org", 80, ["10.0.0.3"]),
        ("::1", 80, ["10.0.0.4"]),
        ("fe80::1%eth0", 80, ["10.0.0.6"]),
        ("xn--bcher-kva.example", 8080, ["10.0.0.5"]),
        ("192.0.2.1", 80, ["10.0.0.3"]),
        ("other.org", 443, [V4]),
    ],
)
async def test_overrides(host: str, port: int, expected: list[str]) -> None:
    """The most specific entry answers, without anybody being asked; a place without one is asked for."""
    names = Names()
    cache = CachingResolver(
        names,
        overrides={
            "*:80": "10.0.0.3",
            "Example.org.": ["10.0.0.2", "[::2]"],
            "example.org:80": "10.0.0.1",
            "[::1]:80": "10.0.0.4",
            "[fe80::1%eth0]": "10.0.0.6",
            "bücher.example": "10.0.0.5",
        },
    )
    with assert_checkpoints():
        assert list(await cache.resolve(host, port)) == expected
    assert (names.asked == []) == (expected != [V4])
    assert "6 overrides" in repr(cache)


async def test_override_for_everything() -> None:
    """A star alone leads every host to one place; pairs are as good as a mapping."""
    names = Names()
    cache = CachingResolver(names, overrides=[("*", "127.0.0.1"), ("a.test:80", ["::1"])])
    assert list(await cache.resolve("b.test", 80)) == ["127.0.0.1"]
    assert list(await cache.resolve("a.test", 80)) == ["::1"]
    cache.clear()
    assert list(await cache.resolve("a.test", 81)) == ["127.0.0.1"]
    assert names.asked == []


@pytest.mark.parametrize(
    ("entry", "addresses"),
    [
        ("", "127.0.0.1"),
        (":80", "127.0.0.1"),
        ("a:", "127.0.0.1"),
        ("a:b", "127.0.0.1"),
        ("a:65536", "127.0.0.1"),
        ("a:٣", "127.0.0.1"),
        ("::1", "127.0.0.1"),
        ("[::1", "127.0.0.1"),
        ("[::1]x", "127.0.0.1"),
        ("a b", "127.0.0.1"),
        ("user@a", "127.0.0.1"),
        ("a/b:80", "127.0.0.1"),
        ("*.example.org", "127.0.0.1"),
        ("a", "localhost"),
        ("a", ""),
        ("a", []),
        ("a", ["127.0.0.1", "b"]),
        ("a", "127.0.0.1:80"),
        ("a", "[::1"),
    ],
)
def test_impossible_overrides(entry: str, addresses: str | list[str]) -> None:
    """An entry that means no place, or leads to no address, is refused by name when the resolver is made."""
    with pytest.raises(ValueError, match=f"^overrides: {re.escape(repr(entry))}"):
        CachingResolver(overrides={entry: addresses})


def test_overrides_are_unique() -> None:
    """Two spellings of one place are a mistake: only one of them could count."""
    with pytest.raises(ValueError, match=r"^overrides: 'A\.test\.:80' is there twice"):
        CachingResolver(overrides={"a.test:80": "127.0.0.1", "A.test.:80": "127.0.0.2"})
