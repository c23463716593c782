"""Valid responses with random faults: whatever comes of one, it is a success or a typed error, soon, and for itself.

Between two faulty ones comes a sound request, which must bring its own answer: whatever the fault before was, none of
its bytes may be taken for that of another.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import MockClock

import trioreply
from trioreply import Manager, ReplyError
from trioreply.testing import MemoryNetwork, ServedStream, serve_streams
from trioreply.testing.serving import close_nowait, reset

from .watching import is_at_rest

pytestmark = pytest.mark.soak

ROUNDS = 1500
UPLOAD_SIZE = 100_000
"""More than fits on the way, so that an early answer meets an upload that is still going on."""
DOWNLOADS: list[tuple[str, bytes | None]] = [("GET", None), ("GET", None), ("HEAD", None)]
BYTEWISE = 4
"""The seed whose network gives one byte at a time."""
SECONDS = 60.0
"""Of the mock clock, for one reply, which has a timeout of 5."""

OK = b"HTTP/1.1 200 OK\r\n"
RESPONSES = [
    OK + b"Content-Length: 26\r\nContent-Type: text/plain\r\n\r\nabcdefghijklmnopqrstuvwxyz",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n10;name=value\r\n0123456789abcdef\r\n0\r\n\r\n",
    OK
    + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-Sum: 1\r\n\r\n",
    OK + b"Connection: close\r\n\r\nup to the end of the connection",
    b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nfrom the last century",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 100\r\n\r\n',
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nnot there",
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
    b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 3\r\n\r\n302",
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]
TELLING = [
    *(bytes([value]) for value in (0, 9, 10, 13, 32, 34, 44, 45, 48, 57, 58, 59, 61, 127, 128, 255)),
    b"\r\n", b"\r\n\r\n", b"\n\n", b"Content-Length: 7\r\n", b"Content-Length: -1\r\n", b"Content-Length: 1e3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/2.0 ", b"ffffffffffffffff\r\n", b"0\r\n\r\n", b" folded\r\n", b"\xff\xfe\x00",
    b"Upgrade: websocket\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"x" * 5000,
]  # fmt: skip


def _replace(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _delete(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice([1, 1, 2, 10]) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    # Mostly where lines begin: elsewhere hardly anything means anything.
    places = [0, *(at + 2 for at in range(len(data)) if data[at : at + 2] == b"\r\n")]
    at = rng.choice(places) if rng.random() < 0.7 else rng.randrange(len(data))
    return data[:at] + rng.choice(TELLING) + data[at:]


def _double(rng: random.Random, data: bytes) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[begin:end] + data[end:]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _splice(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(RESPONSES)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _swap_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    rng.shuffle(lines)
    return b"\r\n".join(lines)


FAULTS: list[Callable[[random.Random, bytes], bytes]] = [
    _replace, _flip, _flip, _delete, _insert, _insert, _insert, _double, _truncate, _splice, _swap_lines,
]  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """One of the responses with up to three faults."""
    data = rng.choice(RESPONSES)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        data = rng.choice(FAULTS)(rng, data) or b"x"
    return data


class BufferedReader:
    """Reads requests without a look at what they say."""

    def __init__(self, stream: ServedStream) -> None:
        self._stream = stream
        self._received = b""

    async def until(self, marker: bytes) -> bytes | None:
        """What comes before ``marker``; ``None`` if the client has closed before."""
        while marker not in self._received:
            if not await self._receive():
                return None
        found, _, self._received = self._received.partition(marker)
        return found

    async def skip(self, count: int) -> bool:
        """Read ``count`` bytes away; whether the client has sent so many."""
        while len(self._received) < count:
            if not await self._receive():
                return False
        self._received = self._received[count:]
        return True

    async def _receive(self) -> bool:
        data = await self._stream.receive_some()
        self._received += data
        return bool(data)


class FaultyServer:
    """Answers ``/sound/...`` with its own path, and anything else with a mutation, after which it does as it likes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.last = b""

    async def serve(self, stream: ServedStream) -> None:
        """Serve one connection."""
        buffered = BufferedReader(stream)
        while (head := await buffered.until(b"\r\n\r\n")) is not None:
            target = head.split(b" ", 2)[1]
            if target.startswith(b"/sound/"):
                await stream.send_all(OK + b"Content-Length: %d\r\n\r\n%s" % (len(target), target))
                continue
            length = UPLOAD_SIZE if head.startswith(b"PUT ") else 0
            reads_first = self._random.random() < 0.5
            if reads_first and not await buffered.skip(length):
                return
            if not await self._misbehave(stream) or (not reads_first and not await buffered.skip(length)):
                return

    async def _misbehave(self, stream: ServedStream) -> bool:
        """Send a mutation; whether to go on with the connection."""
        self.last = mutated(self._random)
        await stream.send_all(self.last)
        match self._random.randrange(4):
            case 0:
                close_nowait(stream)
            case 1:
                # What is on its way is lost in memory, so let it be read first, or not.
                if self._random.random() < 0.5:
                    await trio.testing.wait_all_tasks_blocked()
                reset(stream)
            case _:
                return True
        return False


@pytest.fixture
async def network(autojump_clock: MockClock) -> AsyncIterator[MemoryNetwork]:
    """A network in memory on a clock that jumps."""
    async with MemoryNetwork() as network:
        yield network


@pytest.mark.parametrize("seed", range(5))
async def test_a_faulty_response_is_a_success_or_a_typed_error(
    seed: int, autojump_clock: MockClock, network: MemoryNetwork
) -> None:
    """No mutation hangs, raises anything else than a `ReplyError`, or spoils the answer to the next request."""
    server = FaultyServer(seed)
    outcomes: Counter[str] = Counter()
    network.one_byte_at_a_time = bytewise = seed == BYTEWISE
    kinds = DOWNLOADS if bytewise else [*DOWNLOADS, ("PUT", bytes(UPLOAD_SIZE))]
    async with (
        serve_streams(server.serve, network=network) as url,
        trioreply.open_manager(resolver=network, dialer=network) as manager,
    ):
        for number in range(ROUNDS):
            try:
                with trio.fail_after(SECONDS):
                    outcomes[await outcome(manager, f"{url}/{number}", kinds[number % len(kinds)])] += 1
                    sound = await manager.fetch(f"{url}/sound/{number}")
            except Exception as error:
                error.add_note(f"seed {seed}, round {number}, after {server.last!r}")
                raise
            assert sound.body == b"/sound/%d" % number, server.last
        assert is_at_rest(manager)
    assert not network.open_streams
    # It would prove nothing if hardly any fault mattered, or all did.
    assert min(outcomes["success"], outcomes["ProtocolFailure"], outcomes["RemoteHostClosedError"]) > ROUNDS / 20


async def outcome(manager: Manager, url: str, kind: tuple[str, bytes | None]) -> str:
    """What became of a request to ``url``, made in one of two ways: ``success``, or the name of the error."""
    verb, body = kind
    try:
        if zlib.crc32(url.encode()) % 2:
            await manager.fetch(url, verb=verb, body=body, transfer_timeout=5)
            return "success"
        async with manager.send_custom(url, verb, body, transfer_timeout=5) as reply:
            async for _ in reply:
                pass
            assert reply.is_finished
            await reply.read_all()
            reply.raise_for_error()
    except ReplyError as error:
        return type(error).__name__
    return "success"
