"""The bodies of redirects, which nobody wants, and those of requests, which are wanted at the target, too."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trioreply import (
    BodySource,
    ContentReSendError,
    NetworkError,
    RedirectPolicy,
)
from trioreply.testing import (
    OriginRequest,
    OriginResponse,
    ReceiveBody,
    ReceiveHead,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
)

from .conftest import Place
from .redirecting import (
    ARRIVED,
    END,
    MANUAL,
    TARGET,
    VERIFIED,
    allowing,
    at_rest,
    moved,
    on_the_wire,
    to_target,
    visited,
)


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, VERIFIED])
@pytest.mark.parametrize("size", [0, 60_000, 1_000_000])
async def test_the_body_of_a_redirect(size: int, policy: RedirectPolicy, place: Place) -> None:
    """A redirect's body is never the reply's; a short one is read away, a long one costs the connection."""
    async with place.origin({"/": moved("/x", body=bytes(size)), "/x": TARGET}) as origin:
        async with place.open_manager() as manager:
            async with manager.get(origin.url(), redirect_policy=policy) as reply:
                events = [event async for event in allowing(reply)]
            again = "S " if size > 64 * 1024 else ""
            assert place.sequence(events) == f"S Q H(302) Redirected {again}Q H(200) {END}"
            assert reply.read() == b"target"
            assert at_rest(manager)


@pytest.mark.parametrize("policy", [MANUAL, VERIFIED])
async def test_the_body_of_a_redirect_that_is_not_followed(policy: RedirectPolicy, place: Place) -> None:
    """However long it is, it is delivered whole."""
    body = bytes(range(256)) * 4000
    async with place.origin({"/": moved("/x", body=body)}) as origin, place.open_manager() as manager:
        assert (await manager.fetch(origin.url(), redirect_policy=policy)).body == body
        assert at_rest(manager)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\ncut",
        b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nno gzip!",
    ],
    ids=["cut", "bad chunks", "bad coding"],
)
async def test_the_broken_body_of_a_redirect(rest: bytes, memory: Place) -> None:
    """A body that nobody wants may be broken: the redirect is followed all the same."""
    broken = (ReceiveRequest(), Send(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n" + rest))
    async with (
        memory.serve(ScriptedPeer.for_each(broken, (ReceiveRequest(), ARRIVED))) as url,
        memory.open_manager() as manager,
    ):
        assert (await manager.fetch(url)).body == b"target"
        assert at_rest(manager)


async def _pieces() -> AsyncIterator[bytes]:
    yield b"once"
    yield b" only"


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
async def test_a_body_is_sent_again(kind: str, place: Place, tmp_path: Path) -> None:
    """What can be had again goes to the new place from its beginning, on another server, too."""
    content = b"x" * 300_000
    (tmp_path / "body").write_bytes(content)

    async def take(request: OriginRequest) -> OriginResponse:
        await request.read()
        return TARGET

    with io.BytesIO(b"junk" + content) as file:
        file.seek(4)
        bodies: dict[str, BodySource] = {"bytes": content, "path": tmp_path / "body", "file": file}
        async with place.origin(take) as there:

            async def redirect(request: OriginRequest) -> OriginResponse:
                await request.read()
                return moved(there.url(), 308)

            async with place.origin(redirect) as here, place.open_manager() as manager:
                async with manager.put(here.url(), bodies[kind]) as reply:
                    assert await reply.read_all() == b"target"
        assert not file.closed
    assert [here.requests[0].body == content, there.requests[0].body == content] == [True, True]


async def test_a_body_that_comes_once(place: Place) -> None:
    """A 307 for a body that comes only once is CONTENT_RE_SEND; a 303 needs no body, and is followed."""
    async with place.origin(to_target(307)) as origin, place.open_manager() as manager:
        async with manager.post(origin.url(), _pieces()) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_RE_SEND
        with pytest.raises(ContentReSendError):
            reply.raise_for_error()
        assert (reply.status_code, reply.redirects, visited(origin)) == (307, (), ["/"])
        assert at_rest(manager)
        origin.routes = to_target(303)
        async with manager.post(origin.url(), _pieces()) as reply:
            assert await reply.read_all() == b"target"


@pytest.mark.parametrize(("status", "method", "size"), [(303, "GET", 0), (307, "POST", 5_000_000)])
async def test_a_redirect_in_the_middle_of_an_upload(status: int, method: str, size: int, place: Place) -> None:
    """A redirect that comes before the upload is done stops it; what is needed at the new place is sent there whole."""
    head = on_the_wire(status, "/x", b"Connection: close")
    peer = ScriptedPeer.for_each((ReceiveHead(), Send(head), Stall()), (ReceiveRequest(), ARRIVED))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, bytes(5_000_000)) as reply:
            assert await reply.read_all() == b"target"
        assert at_rest(manager)
    assert (peer.requests[1].method, len(peer.requests[1].body)) == (method, size)
    assert len(peer.connections[0].received) < 5_000_000


async def test_a_redirect_instead_of_100_continue(place: Place) -> None:
    """With ``expect_continue`` a 307 comes before any byte of the body was sent; the new place is asked again."""
    go_on = Send(b"HTTP/1.1 100 Continue\r\n\r\n")
    first = (ReceiveHead(), Send(on_the_wire(307, "/x")), Stall())
    peer = ScriptedPeer.for_each(first, (ReceiveHead(), go_on, ReceiveBody(), ARRIVED))
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.post(url, b"data", expect_continue=True) as reply:
            assert await reply.read_all() == b"target"
    assert [request.body for request in peer.requests] == [b"", b"data"]
