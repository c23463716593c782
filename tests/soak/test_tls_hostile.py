"""Servers that mean harm, or are broken, below HTTP: in the handshake, in the certificates, in the records after it.

Whatever they send or leave out, a reply ends as a typed error within its timeouts, and a success brings what was
promised. Afterwards nothing of theirs is left, and the manager goes on with others.

Time is the mock clock's, but in the one test about servers that never let us rest.
"""

from __future__ import annotations

import random
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat

import pytest
import trio
from trio.testing import MockClock

from .tls_forgery import (
    Content,
    Cut,
    EndOfScene,
    Fault,
    Forge,
    ForgedEnd,
    Sealer,
    Sealer13,
    Wire,
    handshake_message,
    plain_record,
)
from .tls_world import (
    CONNECT_SECONDS,
    HEAD,
    MANY,
    RESPONSE,
    TLS_1_2,
    TLS_1_3,
    VERSIONS,
    Script,
    World,
    forge,
    honest,
    world,
)
from .watching import is_at_rest

__all__ = ("forge", "world")  # fixtures of these tests

pytestmark = pytest.mark.soak

# Every byte of a handshake, and of the response after it

# How many bytes there are from one that is tried to the next.
STEPS = {Cut.CLOSE: 1, Cut.FLIP: 1, Cut.RESET: 3, Cut.STALL: 3, Cut.DOUBLE: 3, Cut.DROP: 3}


@VERSIONS
@pytest.mark.parametrize("cut", Cut, ids=lambda cut: cut.value)
async def test_a_byte_that_is_not_as_it_was(
    version: ssl.TLSVersion, *, cut: Cut, autojump_clock: MockClock, world: World, forge: Forge
) -> None:
    """A server's bytes cut off, changed, doubled or left out, at any place: a typed error, or no harm done."""
    chance = random.Random(cut.value)
    outcomes: Counter[str] = Counter()
    faults: list[Fault | None] = [None]
    async with world.play(honest, forge, version, faults) as (url, wires):
        assert await world.outcome(url) == "success"
        size = len(wires[0].sent)
        for at in range(0, size, STEPS[cut]):
            world.manager.clear_connections()
            faults.append(Fault(at, cut, chance.randrange(8)))
            outcome = await world.outcome(url)
            # Signatures differ in length, so the last bytes of one connection may not exist in another.
            outcomes[outcome] += at < len(wires[-1].sent)
            assert is_at_rest(world.manager), faults[-1]
            if at % 50 == 0:
                world.manager.clear_connections()
                await world.check()
        world.manager.clear_connections()
    expected = {
        Cut.CLOSE: {"RemoteHostClosedError"},
        Cut.RESET: {"RemoteHostClosedError"},
        Cut.STALL: {"TimeoutError"},
    }.get(cut)
    assert expected is None or set(+outcomes) == expected
    # A few bytes are of no meaning: versions in the heads of records.
    assert outcomes["success"] <= 0.02 * outcomes.total()
    assert outcomes["SslHandshakeFailedError"] + outcomes["UnknownNetworkError"] > 0.3 * outcomes.total() or expected
    assert outcomes.total() > 250


# Floods

Flood = Callable[[Sealer], Iterator[bytes]]

HELLO_REQUEST = handshake_message(0, b"")
USER_CANCELED = b"\1\x5a"  # a warning
TICKET = handshake_message(4, bytes(8) + b"\1\0" + (1000).to_bytes(2, "big") + bytes(1000) + bytes(2))

BEFORE: dict[str, Callable[[], Iterator[bytes]]] = {
    "empty records": lambda: repeat(plain_record(Content.HANDSHAKE, b"")),
    "hello requests": lambda: repeat(plain_record(Content.HANDSHAKE, HELLO_REQUEST)),
    "many hello requests": lambda: repeat(plain_record(Content.HANDSHAKE, HELLO_REQUEST * 4000)),
    "warnings": lambda: repeat(plain_record(Content.ALERT, USER_CANCELED)),
    "new ciphers": lambda: repeat(plain_record(Content.CHANGE_CIPHER_SPEC, b"\1")),
    "application data": lambda: repeat(plain_record(Content.APPLICATION_DATA, bytes(100))),
    "a message without end": lambda: chain(
        [plain_record(Content.HANDSHAKE, b"\2\xff\xff\xff")], repeat(plain_record(Content.HANDSHAKE, bytes(16_384)))
    ),
    "records that are too large": lambda: repeat(b"\x16\3\3\xff\xff" + bytes(65_535)),
    "HTTP": lambda: repeat(RESPONSE),
    "noughts": lambda: repeat(bytes(1000)),
}
"""What may come in place of a handshake."""


@pytest.mark.parametrize("rhythm", ["at once", "slowly"])
@pytest.mark.parametrize("what", BEFORE)
async def test_a_flood_in_place_of_a_handshake(
    what: str, *, rhythm: str, autojump_clock: MockClock, world: World, forge: Forge
) -> None:
    """What is no handshake, or one that never ends, is refused or ends with the time for connecting."""

    async def script(end: ForgedEnd) -> None:
        await end.wire.receive()
        await pour(end.wire, BEFORE[what](), rhythm)

    async with world.play(script, forge, TLS_1_2) as (url, _):
        assert await world.outcome(url, CONNECT_SECONDS + 1) in {"SslHandshakeFailedError", "TimeoutError"}


async def pour(wire: Wire, records: Iterator[bytes], rhythm: str) -> None:
    """Send `MANY` of ``records`` and then nothing, or all of them one by one.

    Raises:
        EndOfScene: the client has had enough.
    """
    if rhythm == "at once":
        for record in islice(records, MANY):
            await wire.send(record)
    else:
        for record in records:
            await wire.send(record)
            await trio.sleep(0.1)
    await trio.sleep_forever()


async def test_garbage_in_place_of_a_handshake(autojump_clock: MockClock, world: World, forge: Forge) -> None:
    """Random bytes, of which some look like the head of a record, are refused, or end with the time for connecting."""
    chance = random.Random(1)
    outcomes: Counter[str] = Counter()

    async def script(end: ForgedEnd) -> None:
        await end.wire.receive()
        head = bytes([chance.choice(list(Content)), 3, chance.randrange(5), chance.randrange(4)])
        await end.wire.send(chance.choice([b"", head]) + chance.randbytes(chance.randrange(2000)))
        if chance.random() < 0.5:
            await trio.sleep_forever()

    async with world.play(script, forge, TLS_1_2) as (url, _):
        for _ in range(500):
            outcomes[await world.outcome(url, CONNECT_SECONDS + 1)] += 1
    assert set(outcomes) == {"SslHandshakeFailedError", "TimeoutError", "RemoteHostClosedError"}


async def test_a_certificate_without_end(autojump_clock: MockClock, world: World, forge: Forge) -> None:
    """A chain that is announced as 16 MiB is refused before it has come."""

    async def script(end: ForgedEnd) -> None:
        await end.wire.send(plain_record(Content.HANDSHAKE, await end.server_hello()))
        await end.wire.send(plain_record(Content.HANDSHAKE, b"\x0b\xff\xff\xff\xff\xff\xfc"))
        for piece in repeat(plain_record(Content.HANDSHAKE, bytes(16_384)), MANY):
            await end.wire.send(piece)

    async with world.play(script, forge, TLS_1_2) as (url, wires):
        assert await world.outcome(url) == "SslHandshakeFailedError"
        assert len(wires[0].sent) < 1024 * 1024


AFTER: dict[str, Flood] = {
    "empty records": lambda sealer: (sealer.seal(Content.APPLICATION_DATA, b"") for _ in repeat(None)),
    "empty handshakes": lambda sealer: (sealer.seal(Content.HANDSHAKE, b"") for _ in repeat(None)),
    "hello requests": lambda sealer: (sealer.seal(Content.HANDSHAKE, HELLO_REQUEST) for _ in repeat(None)),
    "warnings": lambda sealer: (sealer.seal(Content.ALERT, USER_CANCELED) for _ in repeat(None)),
    "alerts of one byte": lambda sealer: (sealer.seal(Content.ALERT, b"\1") for _ in repeat(None)),
    "new ciphers": lambda sealer: (sealer.seal(Content.CHANGE_CIPHER_SPEC, b"\1") for _ in repeat(None)),
    "new ciphers, plain": lambda _: repeat(plain_record(Content.CHANGE_CIPHER_SPEC, b"\1")),
    "application data, plain": lambda _: repeat(plain_record(Content.APPLICATION_DATA, RESPONSE)),
    "HTTP": lambda _: repeat(RESPONSE),
    "messages that nobody knows": lambda sealer: (
        sealer.seal(Content.HANDSHAKE, handshake_message(99, bytes(10))) for _ in repeat(None)
    ),
    "records that nobody knows": lambda sealer: (sealer.seal(99, bytes(10)) for _ in repeat(None)),
    "a message without end": lambda sealer: chain(
        [sealer.seal(Content.HANDSHAKE, b"\4\xff\xff\xff")],
        (sealer.seal(Content.HANDSHAKE, bytes(16_000)) for _ in repeat(None)),
    ),
    "records that are too large": lambda sealer: (
        sealer.seal(Content.APPLICATION_DATA, bytes(16_385)) for _ in repeat(None)
    ),
    "session tickets": lambda sealer: (sealer.seal(Content.HANDSHAKE, TICKET) for _ in repeat(None)),
    "key updates": lambda sealer: _key_updates(sealer, requested=False),
    "key updates to be answered": lambda sealer: _key_updates(sealer, requested=True),
}
"""What may come in place of a response, or in the middle of it."""


def _key_updates(sealer: Sealer, *, requested: bool) -> Iterator[bytes]:
    assert isinstance(sealer, Sealer13)
    while True:
        yield sealer.update(requested=requested)


AFTER_IN = [
    pytest.param(what, version, id=f"{what}-{version.name}")
    for what in AFTER
    for version in (TLS_1_2, TLS_1_3)
    if version is TLS_1_3 or not what.startswith("key updates")
]


@pytest.mark.parametrize("rhythm", ["at once", "slowly"])
@pytest.mark.parametrize("reads", [True, False], ids=["reading", "deaf"])
@pytest.mark.parametrize(("what", "version"), AFTER_IN)
async def test_a_flood_in_a_response(
    what: str,
    *,
    reads: bool,
    rhythm: str,
    version: ssl.TLSVersion,
    autojump_clock: MockClock,
    world: World,
    forge: Forge,
) -> None:
    """Records that bring nothing are no progress, whether the server takes our answers to them or not."""

    async def script(end: ForgedEnd) -> None:
        await end.do_handshake()
        await end.receive_request()
        sealer = end.sealer()
        await end.wire.send(sealer.seal(Content.APPLICATION_DATA, RESPONSE[:50]))
        async with trio.open_nursery() as nursery:
            if reads:
                nursery.start_soon(end.read_on)
            await pour(end.wire, AFTER[what](sealer), rhythm)

    async with world.play(ungrouped(script), forge, version) as (url, _):
        assert await world.outcome(url) in {"UnknownNetworkError", "TimeoutError"}


def ungrouped(script: Script) -> Script:
    """``script``, whose end of scene comes out of its nurseries as itself."""

    async def run(end: ForgedEnd) -> None:
        try:
            await script(end)
        except* EndOfScene:
            pass

    return run


@VERSIONS
@pytest.mark.parametrize("when", ["in the handshake", "in the response"])
@pytest.mark.parametrize("level", [1, 2], ids=["warning", "fatal"])
async def test_all_alerts(
    level: int, *, when: str, version: ssl.TLSVersion, autojump_clock: MockClock, world: World, forge: Forge
) -> None:
    """Each alert there is, and each that there is not, ends the reply as a typed error, or is passed over."""
    alert = bytes([level, 0])
    outcomes: Counter[str] = Counter()

    async def script(end: ForgedEnd) -> None:
        if when == "in the handshake":
            await end.wire.receive()
            await end.wire.send(plain_record(Content.ALERT, alert))
            return
        await end.do_handshake()
        await end.receive_request()
        sealer = end.sealer()
        await end.wire.send(sealer.seal(Content.APPLICATION_DATA, RESPONSE[:50]))
        await end.wire.send(sealer.seal(Content.ALERT, alert))

    async with world.play(script, forge, version) as (url, _):
        for number in range(128):
            alert = bytes([level, number])
            outcomes[await world.outcome(url)] += 1
    assert "success" not in outcomes
    assert outcomes.total() == 128


@VERSIONS
async def test_a_body_of_dust(version: ssl.TLSVersion, autojump_clock: MockClock, world: World, forge: Forge) -> None:
    """Single bytes in a record each are data as any other, and new keys in between do not matter."""

    async def script(end: ForgedEnd) -> None:
        await end.do_handshake()
        await end.receive_request()
        sealer = end.sealer()
        for number, octet in enumerate(HEAD % MANY + b"x" * MANY):
            if number % 100 == 0 and isinstance(sealer, Sealer13):
                await end.wire.send(sealer.update(requested=False))
            await end.wire.send(sealer.seal(Content.APPLICATION_DATA, bytes([octet])))
        await end.read_on()

    async with world.play(script, forge, version) as (url, _):
        assert (await world.manager.fetch(url)).body == b"x" * MANY
        world.manager.clear_connections()


IDLE: dict[str, Callable[[Sealer], bytes]] = {
    "a response": lambda sealer: sealer.seal(Content.APPLICATION_DATA, RESPONSE),
    "an error": lambda sealer: sealer.seal(Content.ALERT, b"\2\x28"),
    "a farewell": lambda sealer: sealer.seal(Content.ALERT, b"\1\0"),
    "nobody knows": lambda sealer: sealer.seal(99, b"x"),
    "HTTP": lambda _: b"HTTP/1.1 408 Request Timeout\r\n\r\n",
}
"""What may come when nothing was asked for."""


@VERSIONS
@pytest.mark.parametrize("what", IDLE)
async def test_records_after_the_response(
    what: str, *, version: ssl.TLSVersion, autojump_clock: MockClock, world: World, forge: Forge
) -> None:
    """A connection that brings anything but TLS's own affairs while it is idle is not used again."""

    async def script(end: ForgedEnd) -> None:
        await end.do_handshake()
        await end.receive_request()
        sealer = end.sealer()
        await end.wire.send(sealer.seal(Content.APPLICATION_DATA, RESPONSE))
        await trio.sleep(1)
        await end.wire.send(IDLE[what](sealer))
        await trio.sleep_forever()

    async with world.play(script, forge, version) as (url, wires):
        for count in range(1, 4):
            assert await world.outcome(url) == "success"
            assert len(wires) == count
            await trio.sleep(2)
        world.manager.clear_connections()


async def test_tls_s_own_affairs_while_idle(autojump_clock: MockClock, world: World, forge: Forge) -> None:
    """Tickets and new keys are no reason to give up a connection, however many there are."""

    async def script(end: ForgedEnd) -> None:
        await end.do_handshake()
        sealer = end.sealer()
        assert isinstance(sealer, Sealer13)
        while True:
            await end.receive_request()
            await end.wire.send(sealer.seal(Content.APPLICATION_DATA, RESPONSE))
            for requested in (False, True) * 10:
                await end.wire.send(sealer.update(requested=requested))
                await end.wire.send(sealer.seal(Content.HANDSHAKE, TICKET))

    async with world.play(script, forge, TLS_1_3) as (url, wires):
        for _ in range(10):
            assert await world.outcome(url) == "success"
            await trio.sleep(1)
        assert len(wires) == 1
        world.manager.clear_connections()
