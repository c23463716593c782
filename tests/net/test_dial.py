"""Finding and connecting to a host: the race of its addresses, the errors, and the real resolver and dialler."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import trio
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trioreply._model import errors
from trioreply._net.dial import connect, connect_local, interleave, resolve
from trioreply._net.dialers import TcpDialer
from trioreply._net.resolvers import PublicResolver, SystemResolver

V6, V6B, V4, V4B = "2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"


def failure(code: int) -> OSError:
    """What the operating system would raise."""
    return OSError(code, os.strerror(code))


class Line(trio.abc.Stream):
    """A connection of `Network`; all it can do is to be closed."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.is_open = True

    async def aclose(self) -> None:
        """Close, and only then heed a cancellation, as every stream of Trio's does."""
        self.is_open = False
        await trio.lowlevel.checkpoint()

    async def send_all(self, data: object) -> None:
        """Not used."""
        raise NotImplementedError(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Not used."""
        raise NotImplementedError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Not used."""
        raise NotImplementedError(max_bytes)


@define(eq=False)
class Network:
    """Resolver and dialler of the tests' own: ``hosts`` says how each address answers, and what it logs is asserted."""

    hosts: dict[str, Callable[[], Awaitable[None]]]
    log: list[tuple[float, str]] = Factory(list)
    lines: list[Line] = Factory(list)
    cancelled: list[str] = Factory(list)
    asked: list[tuple[str, int]] = Factory(list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """All addresses, in the order they were given in."""
        self.asked.append((host, port))
        return list(self.hosts)

    async def dial(self, address: str, port: int) -> trio.abc.Stream:
        """A line, or what the address raises."""
        self.log.append((trio.current_time(), f"dial {address}"))
        await trio.lowlevel.checkpoint_if_cancelled()
        self.cancelled.append(address)
        await self.hosts[address]()
        self.cancelled.remove(address)
        line = Line(address, port)
        self.lines.append(line)
        return line

    async def on_attempt(self, address: str) -> None:
        """Log that an attempt was announced."""
        self.log.append((trio.current_time(), f"attempt {address}"))

    async def connect(self, host: str = "example.org", port: int = 80) -> trio.abc.Stream:
        """`connect`, with this network."""
        return await connect(host, port, resolver=self, dialer=self, on_attempt=self.on_attempt)

    @property
    def open_lines(self) -> list[Line]:
        """What would leak if nobody closed it."""
        return [line for line in self.lines if line.is_open]

    @property
    def started(self) -> list[tuple[float, str]]:
        """When which address was dialled."""
        return [(time, entry.removeprefix("dial ")) for time, entry in self.log if entry.startswith("dial ")]


def answers(after: float = 0) -> Callable[[], Awaitable[None]]:
    """An address that can be connected to, in ``after`` seconds."""

    async def answer() -> None:
        await trio.sleep(after)

    return answer


def fails(error: Exception, after: float = 0) -> Callable[[], Awaitable[None]]:
    """An address that raises ``error``."""

    async def answer() -> None:
        await trio.sleep(after)
        raise error

    return answer


silent = trio.sleep_forever


@pytest.mark.parametrize("host", ["127.0.0.1", "2001:db8::1", "fe80::1%eth0", "example.org"])
async def test_every_host_is_resolved(host: str) -> None:
    """Numeric hosts go to the resolver, too, and what it says is dialled."""
    network = Network({V4: answers()})
    await network.connect(host, 8080)
    assert network.asked == [(host, 8080)]
    assert [entry for _, entry in network.log] == [f"attempt {V4}", f"dial {V4}"]


@pytest.mark.parametrize(
    ("resolved", "tried"),
    [
        ([V4], [V4]),
        ([V6, V6B, V4, V4B], [V6, V4, V6B, V4B]),
        ([V4, V4B, V6], [V4, V6, V4B]),
        ([V6, V6B], [V6, V6B]),
        ([V6, V4, V6, V4], [V6, V4]),
    ],
)
def test_families_alternate(resolved: list[str], tried: list[str]) -> None:
    """Families alternate, beginning with that of the resolver's first answer; repeats are dropped."""
    assert interleave(resolved) == tried


@given(st.lists(st.sampled_from([V6, V6B, V4, V4B, "::1", "127.0.0.1", "::2", "::3"]), min_size=1))
def test_interleaving_keeps_every_address(resolved: list[str]) -> None:
    """No address is lost or doubled, and within a family the resolver's order stays."""
    tried = interleave(resolved)
    unique = list(dict.fromkeys(resolved))
    assert sorted(tried) == sorted(unique)
    for is_ipv6 in (True, False):
        assert [a for a in tried if (":" in a) == is_ipv6] == [a for a in unique if (":" in a) == is_ipv6]


async def test_attempts_start_one_after_the_other(autojump_clock: MockClock) -> None:
    """While nobody answers, the next attempt starts every 250 ms, announced right before; the first to connect wins."""
    network = Network({V6: silent, V4: silent, V6B: answers(after=0.1), V4B: answers()})
    stream = await network.connect()
    assert network.log == [
        (0, f"attempt {V6}"),
        (0, f"dial {V6}"),
        (0.25, f"attempt {V4}"),
        (0.25, f"dial {V4}"),
        (0.5, f"attempt {V6B}"),
        (0.5, f"dial {V6B}"),
    ]
    assert trio.current_time() == pytest.approx(0.6)
    assert isinstance(stream, Line)
    assert (stream.address, stream.port) == (V6B, 80)
    assert network.asked == [("example.org", 80)]
    assert network.open_lines == [stream]
    assert network.cancelled == [V6, V4]


async def test_slow_first_attempt_may_still_win(autojump_clock: MockClock) -> None:
    """A later attempt does not end an earlier one."""
    network = Network({V6: answers(after=0.3), V4: silent})
    stream = await network.connect()
    assert network.open_lines == [stream]
    assert trio.current_time() == pytest.approx(0.3)
    assert network.cancelled == [V4]


async def test_failure_starts_the_next_attempt_at_once(autojump_clock: MockClock) -> None:
    """When the latest attempt fails, the next one does not wait out the delay."""
    network = Network({V6: fails(failure(errno.ENETUNREACH), after=0.1), V4: answers(), V6B: answers()})
    stream = await network.connect()
    assert network.started == [(0, V6), (pytest.approx(0.1), V4)]
    assert network.open_lines == [stream]


async def test_attempt_delay(autojump_clock: MockClock) -> None:
    """The delay between attempts can be chosen."""
    network = Network({V6: silent, V4: answers()})
    await connect("h", 80, resolver=network, dialer=network, on_attempt=network.on_attempt, attempt_delay=2)
    assert network.started == [(0, V6), (2, V4)]


async def test_single_address_needs_no_task() -> None:
    """With one address the dialler runs in the caller's own task."""
    tasks: list[trio.lowlevel.Task] = []

    async def answer() -> None:
        tasks.append(trio.lowlevel.current_task())

    await Network({V4: answer}).connect()
    assert tasks == [trio.lowlevel.current_task()]


async def test_two_winners_at_once(autojump_clock: MockClock) -> None:
    """Of two attempts that connect in the same turn of the scheduler one is taken and the other closed."""
    gate = trio.Event()
    network = Network({V6: gate.wait, V4: gate.wait})
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def open_gate() -> None:
            await trio.sleep(1)
            gate.set()

        stream = await network.connect()
    assert len(network.lines) == 2
    assert network.open_lines == [stream]


async def test_dialer_that_does_not_heed_cancellation(autojump_clock: MockClock) -> None:
    """What a loser connects in spite of its cancellation is closed."""

    async def stubborn() -> None:
        with trio.move_on_after(5, shield=True):
            await trio.sleep(1)

    network = Network({V6: stubborn, V4: answers()})
    stream = await network.connect()
    assert [line.address for line in network.lines] == [V4, V6]
    assert network.open_lines == [stream]


@pytest.mark.parametrize("hosts", [{V6: silent}, {V6: silent, V4: silent}], ids=["one", "race"])
async def test_outer_cancellation(autojump_clock: MockClock, hosts: dict[str, Callable[[], Awaitable[None]]]) -> None:
    """A cancelled connect cancels every attempt and leaves nothing open."""
    network = Network(hosts)
    with trio.move_on_after(1) as scope:
        await network.connect()
    assert scope.cancelled_caught
    assert network.cancelled == list(hosts)


@pytest.mark.parametrize("winner", [V6, V4, V6B])
async def test_cancelled_while_connecting_succeeds(autojump_clock: MockClock, winner: str) -> None:
    """A connection made in the moment of the cancellation is either returned or closed."""
    returned: list[trio.abc.Stream] = []
    with trio.CancelScope() as scope:

        async def answer() -> None:
            await trio.sleep(0.6)
            scope.cancel()

        hosts: dict[str, Callable[[], Awaitable[None]]] = {V6: silent, V4: silent, V6B: silent}
        network = Network({**hosts, winner: answer})
        returned.append(await network.connect())
    assert len(network.lines) == 1
    assert network.open_lines == returned


async def test_attempts_are_announced_before_they_start() -> None:
    """An attempt whose announcement fails is never made; the exception leaves as itself."""

    async def refuse(address: str) -> None:
        raise LookupError(address)

    for hosts in ({V4: answers()}, {V6: answers(), V4: answers()}):
        network = Network(dict(hosts))
        with pytest.raises(LookupError, match=next(iter(hosts))):
            await connect("h", 80, resolver=network, dialer=network, on_attempt=refuse)
        assert network.log == []


async def test_announcement_fails_during_the_race(autojump_clock: MockClock) -> None:
    """An exception of a later announcement ends the race and leaves as itself."""
    network = Network({V6: silent, V4: silent})

    async def refuse_second(address: str) -> None:
        if address == V4:
            raise LookupError(address)

    with pytest.raises(LookupError):
        await connect("h", 80, resolver=network, dialer=network, on_attempt=refuse_second)
    assert network.cancelled == [V6]


@pytest.mark.parametrize(
    "others",
    [{}, {V4: silent}, {V4: fails(KeyError("second"), after=0.75)}],
    ids=["alone", "beside silence", "beside another"],
)
async def test_bug_in_a_dialer(autojump_clock: MockClock, others: dict[str, Callable[[], Awaitable[None]]]) -> None:
    """An exception of a user's dialler that is no network error leaves as itself, never in a group."""
    with pytest.raises(KeyError, match=r"first|second"):
        await Network({V6: fails(KeyError("first"), after=1), **others}).connect()


async def test_bug_beside_a_connection(autojump_clock: MockClock) -> None:
    """A connection made in the same moment as a bug appears is closed, whichever was first."""

    async def stubborn() -> None:
        with trio.move_on_after(5, shield=True):
            await trio.sleep(1)

    network = Network({V6: stubborn, V4: fails(KeyError("bug"))})
    with pytest.raises(KeyError):
        await network.connect()
    assert len(network.lines) == 1
    assert network.open_lines == []


@pytest.mark.parametrize(
    ("raised", "expected", "start"),
    [
        (failure(errno.ECONNREFUSED), errors.ConnectionRefusedError, "Connection refused"),
        (ConnectionRefusedError(), errors.ConnectionRefusedError, "Connection refused"),
        (failure(errno.ETIMEDOUT), errors.TimeoutError, "Socket operation timed out"),
        (TimeoutError(), errors.TimeoutError, "Socket operation timed out"),
        (failure(errno.ENETUNREACH), errors.TemporaryNetworkFailureError, "Network unreachable"),
        (failure(errno.EHOSTUNREACH), errors.TemporaryNetworkFailureError, "Network unreachable"),
        (failure(errno.ENETDOWN), errors.TemporaryNetworkFailureError, "Network unreachable"),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), errors.HostNotFoundError, "Host example.org not found"),
        (failure(errno.ENOENT), errors.HostNotFoundError, "Host example.org not found"),
        (failure(errno.EACCES), errors.UnknownNetworkError, "Connecting failed"),
        (OSError("odd"), errors.UnknownNetworkError, "Connecting failed"),
    ],
    ids=repr,
)
async def test_errors_of_one_attempt(raised: OSError, expected: type[errors.ReplyError], start: str) -> None:
    """Each kind of network failure is one of our errors, with the system's as its cause and its text in the message."""
    with pytest.raises(expected) as caught:
        await Network({V4: fails(raised)}).connect(port=8080)
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised
    text = raised.strerror or str(raised) or type(raised).__name__
    assert str(caught.value).startswith(f"{start}: example.org port 8080 ({V4}: {text}); check ")


@pytest.mark.parametrize(
    ("codes", "expected", "cause"),
    [
        ([errno.ECONNREFUSED, errno.ETIMEDOUT], errors.ConnectionRefusedError, 0),
        ([errno.ETIMEDOUT, errno.ECONNREFUSED], errors.ConnectionRefusedError, 1),
        ([errno.ENETUNREACH, errno.ETIMEDOUT], errors.TimeoutError, 1),
        ([errno.ECONNREFUSED, errno.ECONNREFUSED], errors.ConnectionRefusedError, 0),
        ([errno.EADDRNOTAVAIL, errno.ENETUNREACH], errors.TemporaryNetworkFailureError, 1),
    ],
)
async def test_most_telling_error_is_reported(
    autojump_clock: MockClock, codes: list[int], expected: type[errors.ReplyError], cause: int
) -> None:
    """If all attempts fail, the most telling failure is raised, alone; equals are ordered by attempt, not by time."""
    raised = [failure(code) for code in codes]
    network = Network({V6: fails(raised[0], after=0.3), V4: fails(raised[1])})
    with pytest.raises(expected) as caught:
        await network.connect()
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised[cause]
    assert f"({V6}: {raised[0].strerror}; {V4}: {raised[1].strerror})" in str(caught.value)


@define
class Names:
    """A resolver that gives or raises ``answer``."""

    answer: Sequence[str] | Exception
    asked: list[tuple[str, int]] = Factory(list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Give or raise."""
        self.asked.append((host, port))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label too long"), "label too long"),
        (failure(errno.ECONNREFUSED), os.strerror(errno.ECONNREFUSED)),
        ([], "the name has no address"),
    ],
    ids=repr,
)
async def test_host_not_found(answer: Sequence[str] | Exception, text: str) -> None:
    """Whatever keeps a resolver from giving an address, the host was not found, and the reason is said."""
    network = Network({})
    with pytest.raises(errors.HostNotFoundError) as caught:
        await connect("no.example", 80, resolver=Names(answer), dialer=network, on_attempt=network.on_attempt)
    assert str(caught.value).startswith(f"Host no.example not found: {text}; check ")
    assert caught.value.__cause__ is (answer if isinstance(answer, Exception) else None)
    assert network.log == []


async def test_bug_in_a_resolver() -> None:
    """An exception of a user's resolver that is no network error leaves as itself."""
    network = Network({})
    with pytest.raises(KeyError):
        await connect("h", 80, resolver=Names(KeyError("bug")), dialer=network, on_attempt=network.on_attempt)


async def test_real_connection() -> None:
    """Resolver and dialler of the default connect to a listener by its name."""
    attempts: list[str] = []

    async def on_attempt(address: str) -> None:
        attempts.append(address)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await connect(
            "localhost",
            listener.getsockname()[1],
            resolver=SystemResolver(),
            dialer=TcpDialer(),
            on_attempt=on_attempt,
        )
        await stream.aclose()
    assert attempts[-1] == "127.0.0.1"


@pytest.mark.parametrize("answer", [[V6, V6B, V4, V4], [V4], (V4,)], ids=str)
async def test_resolving_gives_the_order_of_the_attempts(answer: Sequence[str]) -> None:
    """Whoever makes the attempts, addresses come in the order for them, and at least one does."""
    assert list(await resolve("h", 80, Names(answer))) == interleave(answer)
    with pytest.raises(errors.HostNotFoundError):
        await resolve("h", 80, Names([]))


async def test_refused_address() -> None:
    """A resolver that refuses an address is quoted, and nothing is dialled."""
    network = Network({})
    with pytest.raises(errors.HostNotFoundError, match=r"^Host 10\.0\.0\.1 not found: 10\.0\.0\.1 is not a public"):
        await connect("10.0.0.1", 80, resolver=PublicResolver(), dialer=network, on_attempt=network.on_attempt)
    assert network.log == []


@define(eq=False)
class LocalNetwork(Network):
    """A network that has Unix sockets, too; ``hosts`` says how each path answers."""

    async def dial_local(self, path: str) -> trio.abc.Stream:
        """As `dial`, for a path."""
        return await self.dial(path, 0)


async def test_local_connection() -> None:
    """A Unix socket is announced and dialled by its path, and no resolver is asked."""
    network = LocalNetwork({"/run/x": answers()})
    stream = await connect_local("/run/x", dialer=network, on_attempt=network.on_attempt)
    assert network.open_lines == [stream]
    assert [entry for _, entry in network.log] == ["attempt /run/x", "dial /run/x"]
    assert network.asked == []


@pytest.mark.parametrize(
    ("raised", "expected", "start"),
    [
        (
            failure(errno.ENOENT),
            errors.HostNotFoundError,
            "Host {} not found: {} (No such file or directory); check the",
        ),
        (
            failure(errno.ECONNREFUSED),
            errors.ConnectionRefusedError,
            "Connection refused: {} (Connection refused); check",
        ),
        (
            failure(errno.EACCES),
            errors.UnknownNetworkError,
            "Connecting failed: {} (Permission denied); check that you",
        ),
        (failure(errno.ETIMEDOUT), errors.TimeoutError, "Socket operation timed out: {} (Connection timed out); check"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/run/x", "\0x"])
async def test_local_errors(raised: OSError, expected: type[errors.ReplyError], start: str, path: str) -> None:
    """A Unix socket's failures have Qt's codes, name the socket as people write it, and say what to check."""
    network = LocalNetwork({path: fails(raised)})
    with pytest.raises(expected) as caught:
        await connect_local(path, dialer=network, on_attempt=network.on_attempt)
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised
    name = path.replace("\0", "@")
    assert str(caught.value).startswith(start.format(name, name))


async def test_dialer_without_local_sockets() -> None:
    """A dialler that knows only TCP is named as the reason, with what it lacks; nothing is announced."""
    network = Network({})
    with pytest.raises(errors.UnknownNetworkError, match=r"@x: .* a Network, cannot .* dial_local\(path\)"):
        await connect_local("\0x", dialer=network, on_attempt=network.on_attempt)
    assert network.log == []


async def test_real_local_connection(tmp_path: Path) -> None:
    """The default dialler connects to a Unix socket, and a socket that is not there is Qt's unknown host."""
    path = str(tmp_path / "socket")
    network = Network({})
    with pytest.raises(errors.HostNotFoundError, match=f"^Host {path} not found"):
        await connect_local(path, dialer=TcpDialer(), on_attempt=network.on_attempt)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stream = await connect_local(path, dialer=TcpDialer(), on_attempt=network.on_attempt)
        await stream.aclose()
