"""An origin whose routes do all that servers do to their clients, and clients who cannot make up their minds."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn

import trio

import trioreply
from trioreply import Manager, NetworkError, ReplyError
from trioreply.testing import OriginRequest, OriginResponse, Routes

BODY = bytes(range(256)) * 100


async def slow(request: OriginRequest) -> OriginResponse:
    """The body in many small pieces, others running in between."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 512):
            await trio.lowlevel.checkpoint()
            yield BODY[start : start + 512]

    return OriginResponse(headers=[("Content-Length", str(len(BODY)))], body=pieces())


async def chunked(request: OriginRequest) -> OriginResponse:
    """In chunks, with a trailer."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 4096):
            yield BODY[start : start + 4096]

    return OriginResponse(body=pieces(), trailers=[("X-Trailer", "there")])


async def early_413(request: OriginRequest) -> OriginResponse:
    """Refused without a look at the body."""
    return OriginResponse(413, body=b"too large")


async def reset_at_once(request: OriginRequest) -> OriginResponse:
    """A reset instead of an answer."""
    request.connection.reset()
    return OriginResponse()


async def reset_in_the_body(request: OriginRequest) -> OriginResponse:
    """A reset after half of the body."""
    return OriginResponse(headers=[("Content-Length", str(len(BODY)))], body=_half(request.connection.reset))


async def end_in_the_body(request: OriginRequest) -> OriginResponse:
    """The connection ends after half of what was announced."""
    return OriginResponse(headers=[("Content-Length", str(len(BODY)))], body=_half(request.connection.close))


async def end_in_the_chunks(request: OriginRequest) -> OriginResponse:
    """The connection ends between two chunks."""
    return OriginResponse(body=_half(request.connection.close))


async def _half(end: Callable[[], None]) -> AsyncIterator[bytes]:
    yield BODY[: len(BODY) // 2]
    end()
    yield BODY[len(BODY) // 2 :]


async def closing(request: OriginRequest) -> OriginResponse:
    """All is well, but the connection is not kept."""
    return OriginResponse(body=BODY, close=True)


async def hints_first(request: OriginRequest) -> OriginResponse:
    """Two 103 before the answer."""
    await request.inform(103, [("Link", "</style.css>")])
    await request.inform(103, [("Link", "</script.js>")])
    return OriginResponse(body=BODY)


async def measured(request: OriginRequest) -> OriginResponse:
    """The length of what was sent."""
    return OriginResponse(body=b"%d" % len(await request.read()))


async def slowly_measured(request: OriginRequest) -> OriginResponse:
    """As `measured`, reading with pauses."""
    async for _ in request:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
    return OriginResponse(body=b"%d" % len(request.body))


async def reset_in_the_upload(request: OriginRequest) -> OriginResponse:
    """A reset after the first piece of the upload."""
    async for _ in request:
        break
    request.connection.reset()
    return OriginResponse()


async def never(request: OriginRequest) -> NoReturn:
    """No answer at all, and nothing of the body is read."""
    await trio.sleep_forever()


DOWNLOADS: Routes = {
    "/ok": OriginResponse(body=BODY),
    "/slow": slow,
    "/chunked": chunked,
    "/early-413": early_413,
    "/reset": reset_at_once,
    "/reset-in-the-body": reset_in_the_body,
    "/end-in-the-body": end_in_the_body,
    "/end-in-the-chunks": end_in_the_chunks,
    "/closing": closing,
    "/hints-first": hints_first,
}
COMPLETE = frozenset({"/ok", "/slow", "/chunked", "/closing", "/hints-first"})
"""The routes whose body is `BODY`, if nobody cancels."""

UPLOADS: Routes = {
    "/measured": measured,
    "/slowly-measured": slowly_measured,
    "/early-413": early_413,
    "/reset": reset_at_once,
    "/reset-in-the-upload": reset_in_the_upload,
    "/never": never,
}
MEASURING = frozenset({"/measured", "/slowly-measured"})
"""The routes that answer with the length of what they got."""


class WhimError(Exception):
    """Somebody left a reply's block in a way of their own."""


class Client:
    """Somebody who stops replies at random moments in random ways; the same ones for the same seed."""

    def __init__(self, manager: Manager, seed: object) -> None:
        self.random = random.Random(repr(seed))
        self._manager = manager
        self._ways: list[Callable[[trioreply.Request], Awaitable[None]]] = [
            self._whole,
            self._whole,
            self._cancelled_fetch,
            self._cancelled_block,
            self._left_in_the_middle,
            self._stopped_at_an_event,
            self._raised,
            self._own_scope,
        ]

    async def send(self, request: trioreply.Request) -> None:
        """Open ``request``, and do something with it.

        Raises:
            AssertionError: what came is not what was to come.
        """
        await self.random.choice(self._ways)(request)

    async def _whole(self, request: trioreply.Request) -> None:
        """As reasonable people do."""
        try:
            response = await self._manager.fetch(request)
        except ReplyError:
            assert request.url.path not in COMPLETE | MEASURING, request
        else:
            check(request, response.body)

    async def _cancelled_fetch(self, request: trioreply.Request) -> None:
        with suppress(ReplyError), trio.move_on_after(self._moment()):
            response = await self._manager.fetch(request)
            check(request, response.body)

    async def _cancelled_block(self, request: trioreply.Request) -> None:
        with suppress(ReplyError), trio.move_on_after(self._moment()):
            async with self._manager.send(request) as reply:
                async for _ in reply.chunks():
                    await trio.lowlevel.checkpoint()

    async def _left_in_the_middle(self, request: trioreply.Request) -> None:
        """Leave the block as if one had lost interest."""
        async with self._manager.send(request):
            for _ in range(self.random.randrange(20)):
                await trio.lowlevel.checkpoint()

    async def _stopped_at_an_event(self, request: trioreply.Request) -> None:
        stop = self.random.choice(["abort", "close", "aclose"])
        patience = self.random.randrange(6)
        async with self._manager.send(request) as reply:
            with trio.move_on_after(0.05):
                async for _ in reply:
                    patience -= 1
                    if patience < 0 and stop != "aclose":
                        getattr(reply, stop)()
                    elif patience < 0:
                        await reply.aclose()
            reply.abort()
            assert reply.is_finished

    async def _raised(self, request: trioreply.Request) -> None:
        with suppress(WhimError):
            async with self._manager.send(request) as reply:
                with trio.move_on_after(self._moment()):
                    await reply.wait_finished()
                raise WhimError

    async def _own_scope(self, request: trioreply.Request) -> None:
        """The reply's own scope, by deadline and by hand."""
        async with self._manager.send(request) as reply:
            reply.cancel_scope.deadline = trio.current_time() + self._moment()
            error = await reply.wait_finished()
            if reply.cancel_scope.cancelled_caught:
                assert error in (NetworkError.TIMEOUT, NetworkError.OPERATION_CANCELED)

    def _moment(self) -> float:
        """Seconds: often less than an exchange takes, sometimes more."""
        return self.random.choice([0.0005, 0.002, 0.01, 0.05, 0.2]) * self.random.random()


def check(request: trioreply.Request, body: bytes) -> None:
    """``body`` is what ``request`` was to bring.

    Raises:
        AssertionError: it is not.
    """
    if request.url.path in COMPLETE:
        assert body == BODY
    elif request.url.path in MEASURING:
        assert int(body) == request.user_data


async def many_at_once(tasks: int, client: Callable[[int], Awaitable[None]]) -> None:
    """Run ``client(number)`` in so many tasks."""
    async with trio.open_nursery() as nursery:
        for number in range(tasks):
            nursery.start_soon(partial(client, number))
