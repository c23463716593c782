"""Journeys that pass a download on as an upload: nothing is kept on the way but what fits the reader's buffer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import trio
import trio.testing

from trioreply import NetworkError
from trioreply.testing import Close, OriginRequest, OriginResponse, ReceiveRequest, ScriptedPeer, Send

from .conftest import Place

PIECE = bytes(64 * 1024)
PIECES = 200


async def test_a_slow_receiver_slows_the_sender(place: Place) -> None:
    """The server at the far end decides how fast the one at the near end may send."""
    sent = 0
    go_on = trio.Event()

    async def near(_request: OriginRequest) -> OriginResponse:
        async def body() -> AsyncGenerator[bytes, None]:
            nonlocal sent
            for _ in range(PIECES):
                sent += 1
                yield PIECE

        return OriginResponse(200, body=body())

    async def far(request: OriginRequest) -> OriginResponse:
        await go_on.wait()
        return OriginResponse(200, body=b"%d" % len(await request.read()))

    async with place.origin(near) as source, place.origin(far) as target, place.open_manager() as manager:
        async with manager.get(source.url(), read_buffer_size=128 * 1024) as download:
            async with trio.open_nursery() as nursery:
                outcome: list[bytes] = []

                async def upload() -> None:
                    async with manager.put(target.url(), download.stream) as reply:
                        outcome.append(await reply.read_all())

                nursery.start_soon(upload)
                await _settled(lambda: sent)
                assert 0 < sent < PIECES, "everything was taken although nobody received it"
                go_on.set()
        assert outcome == [b"%d" % (len(PIECE) * PIECES)]
        assert download.error is NetworkError.NO_ERROR


async def test_a_download_that_breaks_breaks_the_upload(place: Place) -> None:
    """What is passed on is whole, or it is a failure of both: the far end does not take half of it for all."""

    async def far(request: OriginRequest) -> OriginResponse:
        received.append(await request.read())
        return OriginResponse()

    received: list[bytes] = []
    near = ScriptedPeer(ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Close())
    async with place.serve(near) as source, place.origin(far) as target, place.open_manager() as manager:
        async with manager.get(source) as download, manager.put(target.url(), download.stream) as reply:
            assert await reply.wait_finished() is NetworkError.REMOTE_HOST_CLOSED
    assert received == []


async def _settled(count: Callable[[], int]) -> None:
    """Until what ``count`` gives does not change any more."""
    before = -1
    while before != count() or not before:
        before = count()
        for _ in range(50):
            await trio.testing.wait_all_tasks_blocked(0.001)
