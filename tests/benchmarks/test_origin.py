"""The server that takes uploads, holds replies back, and is a proxy."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from .contents import SMALL, content
from .origin import HELD_SIZE, RELEASE, Head, Wire, open_origin, open_wire


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Wire, int]]:
    """A connection to a server, and the server's port."""
    with trio.fail_after(10):
        async with open_origin() as port, open_wire("127.0.0.1", port) as wire:
            yield wire, port


async def asked(wire: Wire, request: str, body: bytes = b"") -> tuple[str, bytes]:
    """Send a request; the status and the body of what comes back."""
    await wire.send(request.encode("ascii") + b"\r\n\r\n" + body)
    return await answered(wire)


async def answered(wire: Wire) -> tuple[str, bytes]:
    """The status and the body of what comes."""
    head = await wire.head()
    assert head is not None
    return head.first[1], await received(wire, head.length)


async def received(wire: Wire, length: int) -> bytes:
    """So many bytes."""
    body = b""
    while len(body) < length:
        body += await wire.some(length - len(body))
    return body


async def test_small_file() -> None:
    """One can warm up here, on one connection; what else is asked for is not there."""
    async with connected() as (wire, _):
        assert await asked(wire, "GET /small HTTP/1.1") == ("200", SMALL)
        assert await asked(wire, "GET /large HTTP/1.1") == ("404", b"")


@pytest.mark.parametrize("size", [0, 1, 600_000])
async def test_uploads_are_receipted(size: int) -> None:
    """A body is taken to its end, and the answer says how long it was; where asked, with its checksum."""
    async with connected() as (wire, _):
        body = content(size)
        length = f"HTTP/1.1\r\nContent-Length: {size}"
        assert await asked(wire, f"PUT /sink {length}", body) == ("200", f"{size} -".encode())
        checked = await asked(wire, f"POST /sink?check {length}", body)
        assert checked == ("200", f"{size} {zlib.crc32(body)}".encode())


async def test_requests_may_follow_at_once() -> None:
    """Bytes behind a body are the next request."""
    async with connected() as (wire, _):
        upload = "PUT /sink HTTP/1.1\r\nContent-Length: 3"
        assert await asked(wire, upload, b"abcGET /small HTTP/1.1\r\n\r\n") == ("200", b"3 -")
        assert await answered(wire) == ("200", SMALL)


@pytest.mark.parametrize("path", ["stalled", "slow"])
async def test_bodies_are_held_back(path: str) -> None:
    """A head and one byte come at once, the rest not before somebody asks for the release of all."""
    async with connected() as (wire, port), open_wire("127.0.0.1", port) as control:
        await wire.send(f"GET /{path} HTTP/1.1\r\n\r\n".encode())
        head = await wire.head()
        assert head is not None
        assert head.length == HELD_SIZE
        bodies = [await received(wire, 1)]

        async def read_on() -> None:
            bodies.append(await received(wire, HELD_SIZE - 1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            await wait_all_tasks_blocked()
            assert await asked(control, "GET /small HTTP/1.1") == ("200", SMALL)
            await wait_all_tasks_blocked()
            assert len(bodies) == 1
            await control.send(RELEASE)
            assert await answered(control) == ("200", b"")
        assert b"".join(bodies) == content(HELD_SIZE)


async def test_forwarding() -> None:
    """What names a whole URL goes to that server without its name, one after another on one connection."""
    async with connected() as (wire, port):
        for _ in range(2):
            assert await asked(wire, f"GET http://127.0.0.1:{port}/small HTTP/1.1") == ("200", SMALL)
        assert await asked(wire, f"GET http://127.0.0.1:{port} HTTP/1.1") == ("404", b"")


async def test_heads_have_no_bodies() -> None:
    """A forwarded HEAD is answered without the body that its length speaks of, and the next request follows."""
    async with connected() as (wire, _):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def answer(stream: trio.SocketStream) -> None:
            async for _ in stream:
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")

        request = f"HEAD http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ HTTP/1.1\r\n\r\n".encode()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, answer, listeners)
            for _ in range(2):
                await wire.send(request)
                head = await wire.head()
                assert head is not None
                assert head.length == 5
            nursery.cancel_scope.cancel()


async def test_tunnels() -> None:
    """After CONNECT bytes pass both ways as they are, and so does the end."""
    async with connected() as (wire, port):
        await wire.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        head = await wire.head()
        assert head is not None
        assert head.first == ("HTTP/1.1", "200", "Connected")
        assert await asked(wire, "GET /small HTTP/1.1") == ("200", SMALL)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"PUT /sink HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 100_000,
    ],
)
async def test_nonsense_ends_the_connection(nonsense: bytes) -> None:
    """What is not understood ends its connection, and no other."""
    async with connected() as (wire, port):
        await wire.send(nonsense)
        with suppress(ConnectionError):  # closed with bytes unread: the same, in other words
            assert await wire.head() is None
        async with open_wire("127.0.0.1", port) as other:
            assert await asked(other, "GET /small HTTP/1.1") == ("200", SMALL)


async def test_broken_uploads_end_the_connection() -> None:
    """A client that leaves in the middle of an upload does not harm the next one, looked at or not."""
    async with connected() as (_, port):
        for path in ("/sink", "/sink?check"):
            async with open_wire("127.0.0.1", port) as wire:
                await wire.send(f"PUT {path} HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc".encode())
        async with open_wire("127.0.0.1", port) as wire:
            assert await asked(wire, "GET /small HTTP/1.1") == ("200", SMALL)


def test_heads_are_read() -> None:
    """The first line has three words, the last of which may be missing; a length may be written in any case."""
    assert Head.parse(b"HTTP/1.1 200\r\ncontent-LENGTH: 7\r\n\r\n") == Head(
        ("HTTP/1.1", "200", ""), 7, b"HTTP/1.1 200\r\ncontent-LENGTH: 7\r\n\r\n"
    )
