"""``trioreply demo``: six transfers that show what the library promises, and check it.

Both sides are here, and they wait for each other: the origin sends a piece only when the client has read the one
before, the client aborts when it has half and the origin sends no more. So each act goes the same way however fast
the machine is. The short sleeps are for the spectator alone; nothing depends on them.
"""

from __future__ import annotations

import contextlib

import trio

from .. import (
    ContentNotFoundError,
    Direction,
    MetaDataChanged,
    NetworkError,
    ReadyRead,
    Reply,
    RequestSent,
    SslErrorCode,
    SslErrors,
    open_manager,
)
from ..testing import OriginRequest, OriginResponse, SelfSigned
from .render import Printer
from .stage import BrokenPromiseError, Timeline, perform, promise
from .wording import size

PIECES = 4
PIECE_SIZE = 16 * 1024
CONTENT = bytes(range(256)) * (PIECES * PIECE_SIZE // 256)
"""What is sent back and forth."""
PIECE_LIST = [CONTENT[start : start + PIECE_SIZE] for start in range(0, len(CONTENT), PIECE_SIZE)]
LARGE = CONTENT * 64
"""More than a loopback connection holds while nobody reads."""
PACE = 0.04
"""Seconds between two pieces, so that they can be seen to come one by one."""
EVERY = 0.0
"""The interval of progress events: each one is shown, where the default spares an application all but ten a second."""


async def run_demo(printer: Printer) -> bool:
    """Play all acts; whether all went as promised."""
    return await perform([Download(), SlowUpload(), NotFound(), Abort(), Close(), Device()], printer)


class Feed:
    """`CONTENT` piece by piece: the next one is handed out when the one before has arrived on the other side."""

    def __init__(self) -> None:
        self._outlet, self.pieces = trio.open_memory_channel[bytes](PIECES)
        self._handed_out = 0

    async def arrived(self, count: int) -> None:
        """So many bytes have arrived there in all; with 0 it begins."""
        while self._handed_out < min(count // PIECE_SIZE + 1, PIECES):
            await trio.sleep(PACE)
            self._outlet.send_nowait(PIECE_LIST[self._handed_out])
            self._handed_out += 1
        if self._handed_out == PIECES:
            self._outlet.close()


class Download:
    """A body that comes in pieces."""

    name = "download"
    story = "a body in four pieces, read as it comes"
    path = "/download"
    tls = None

    def __init__(self) -> None:
        self._feed = Feed()

    async def serve(self, _request: OriginRequest) -> OriginResponse:
        """Send a piece whenever the client has read the one before."""
        return OriginResponse(headers=(("Content-Length", str(len(CONTENT))),), body=self._feed.pieces)

    async def play(self, url: str, timeline: Timeline) -> str:
        """Read and compare."""
        received = bytearray()
        async with open_manager() as manager, manager.get(url, progress_interval=EVERY) as reply:
            async for event in reply:
                timeline.add(event)
                if isinstance(event, ReadyRead):
                    received += reply.read()
                if isinstance(event, MetaDataChanged | ReadyRead):
                    await self._feed.arrived(len(received))
        reply.raise_for_error()
        promise(received == CONTENT, f"{size(len(received))} came that are not what the origin sent")
        timeline.expect("SocketStartedConnecting", "RequestSent", "MetaDataChanged", "Finished")
        promise(timeline.progress(Direction.DOWNLOAD)[-1].fraction == 1, "the progress did not end at 100%")
        return f"{size(len(received))}, every byte as sent; progress up to 100%"


class SlowUpload:
    """A body that is made while it is sent."""

    name = "slow upload"
    story = "each piece is made when the origin has the one before"
    path = "/upload"
    tls = None

    def __init__(self) -> None:
        self._feed = Feed()

    async def serve(self, request: OriginRequest) -> OriginResponse:
        """Take the body; each piece that has come lets the next one be made."""
        await self._feed.arrived(0)
        async for _ in request:
            await self._feed.arrived(len(request.body))
        return OriginResponse(201, body=b"as sent" if request.body == CONTENT else b"changed on the way")

    async def play(self, url: str, timeline: Timeline) -> str:
        """Send, and read what the origin says about it."""
        headers = {"Content-Length": str(len(CONTENT))}  # an iterable has no length of its own
        answer = b""
        async with (
            open_manager() as manager,
            manager.post(url, self._feed.pieces, headers=headers, progress_interval=EVERY) as reply,
        ):
            async for event in reply:
                timeline.add(event)
                if isinstance(event, ReadyRead):
                    answer += reply.read()
        reply.raise_for_error()
        promise(answer == b"as sent", f"the origin says that the body was: {answer.decode('ascii', 'replace')}")
        timeline.expect("SocketStartedConnecting", "RequestSent", "MetaDataChanged", "Finished")
        promise(timeline.progress(Direction.UPLOAD)[-1].fraction == 1, "the progress did not end at 100%")
        return f"the origin has all {size(len(CONTENT))}, every byte as sent"


class NotFound:
    """An error page."""

    name = "not found"
    story = "a 404 is an error at the end, and its page can be read"
    path = "/missing"
    tls = None
    page = b"There is nothing here.\n"

    async def serve(self, _request: OriginRequest) -> OriginResponse:
        """Have nothing."""
        return OriginResponse(404, body=self.page, reason="Not Found")

    async def play(self, url: str, timeline: Timeline) -> str:
        """Read the page, and have the error raised."""
        page = b""
        async with open_manager() as manager, manager.get(url) as reply:
            async for event in reply:
                timeline.add(event)
                if isinstance(event, ReadyRead):
                    page += reply.read()
        promise(page == self.page, f"the page reads {page!r}")
        try:
            reply.raise_for_error()
        except ContentNotFoundError as error:
            timeline.expect("SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ErrorOccurred", "Finished")
            return f"the page was read, then {type(error).__name__} raised"
        raise BrokenPromiseError("raise_for_error() raised nothing")


class Abort:
    """A download that is not wanted any more."""

    name = "abort"
    story = "half of the body is enough"
    path = "/abort"
    tls = None

    def __init__(self) -> None:
        self._client_gone = trio.Event()

    async def serve(self, request: OriginRequest) -> OriginResponse:
        """Send half of the body, and wait for the client to go."""
        await request.read()  # it has no body; behind it nothing can come but the client's end
        headers = (("Content-Length", str(len(CONTENT))),)
        return OriginResponse(headers=headers, body=_HalfOfIt(request, self._client_gone))

    async def play(self, url: str, timeline: Timeline) -> str:
        """Read half, abort, and wait until the origin knows."""
        received = bytearray()
        async with open_manager() as manager, manager.get(url, progress_interval=EVERY) as reply:
            async for event in reply:
                timeline.add(event)
                if isinstance(event, ReadyRead):
                    received += reply.read()
                if reply.is_running and len(received) >= len(CONTENT) // 2:
                    timeline.note("reply.abort()", "")
                    reply.abort()
                    promise(reply.is_finished, "abort() did not end the reply at once")
            await self._client_gone.wait()
            timeline.note("origin", "the connection was closed by the client")
        promise(reply.error is NetworkError.OPERATION_CANCELED, f"the reply's error is {reply.error.name}")
        promise(received == CONTENT[: len(CONTENT) // 2], f"{size(len(received))} were read, not the first half")
        timeline.expect("SocketStartedConnecting", "RequestSent", "MetaDataChanged", "ErrorOccurred", "Finished")
        return "OPERATION_CANCELED at once, and the origin saw the end"


class _HalfOfIt:
    """A response's body of which only half is sent, and which ends when the client has gone."""

    def __init__(self, request: OriginRequest, client_gone: trio.Event) -> None:
        self._request = request
        self._client_gone = client_gone
        self._halves = iter([CONTENT[: len(CONTENT) // 2]])

    def __aiter__(self) -> _HalfOfIt:
        return self

    async def __anext__(self) -> bytes:
        half = next(self._halves, None)
        if half is not None:
            return half
        # A client may leave either way: with an orderly end, or with a reset.
        with contextlib.suppress(trio.BrokenResourceError):
            await self._request.connection.receive_piece(self._request)
        self._client_gone.set()
        raise trio.BrokenResourceError("the client has gone")


class Close:
    """An upload that its application does not wait for."""

    name = "close"
    story = "the application looks away, its upload goes on"
    path = "/close"
    tls = None

    def __init__(self) -> None:
        self._began = trio.Event()
        self._client_closed = trio.Event()
        self._received = b""

    async def serve(self, request: OriginRequest) -> OriginResponse:
        """Begin to read, wait until the client has closed the reply, and read the rest."""
        async for _ in request:
            self._began.set()
            await self._client_closed.wait()
        self._received = request.body
        return OriginResponse(204)

    async def play(self, url: str, timeline: Timeline) -> str:
        """Close the reply while the origin holds its upload up, and leave."""
        async with open_manager() as manager:
            async with manager.post(url, LARGE) as reply:
                async for event in reply:
                    timeline.add(event)
                    if isinstance(event, RequestSent):
                        await self._began.wait()
                        timeline.note("reply.close()", "")
                        reply.close()
                        promise(reply.is_finished, "close() did not end the reply at once")
                        promise(not self._received, "the upload was over before it could be closed")
                        self._client_closed.set()
            timeline.note("the block is left", "")
        # Leaving the manager has waited for it.
        timeline.note("origin", f"has {size(len(self._received))} of {size(len(LARGE))}")
        promise(reply.error is NetworkError.OPERATION_CANCELED, f"the reply's error is {reply.error.name}")
        promise(self._received == LARGE, f"the origin has {size(len(self._received))} of {size(len(LARGE))}")
        timeline.expect("SocketStartedConnecting", "RequestSent", "ErrorOccurred", "Finished")
        return f"OPERATION_CANCELED at once; the origin got all {size(len(LARGE))}"


class Device:
    """A server that vouches for itself, as devices do, and that we know by its key."""

    name = "device"
    story = "nobody vouches for its certificate, but we know its key"
    path = "/device"
    page = b"Hello from the device.\n"

    def __init__(self) -> None:
        identity = SelfSigned("127.0.0.1")
        self.tls = identity.serve()
        self.known_pin = identity.certificate.pin
        """What was written down when the device was set up."""
        self.requests = 0

    async def serve(self, request: OriginRequest) -> OriginResponse:
        """Count, and answer."""
        await request.read()
        self.requests += 1
        return OriginResponse(body=self.page)

    async def play(self, url: str, timeline: Timeline) -> str:
        """Decide about the certificate when it is shown, and see that the decision is this reply's alone."""
        async with open_manager() as manager:
            async with manager.get(url) as reply:
                page = await self._read(reply, timeline)
            reply.raise_for_error()
            async with manager.get(url) as other:
                timeline.note("another reply", f"{(await other.wait_finished()).name}: it ignored nothing")
        promise(page == self.page, f"the page reads {page!r}")
        timeline.expect(
            "SocketStartedConnecting",
            "SslErrors",
            "SocketStartedConnecting",
            "Encrypted",
            "RequestSent",
            "MetaDataChanged",
            "Finished",
        )
        promise(other.error is NetworkError.SSL_HANDSHAKE_FAILED, f"the other reply's error is {other.error.name}")
        promise(self.requests == 1, f"the origin saw {self.requests} requests")
        return "shown, known, and accepted for one reply only"

    async def _read(self, reply: Reply, timeline: Timeline) -> bytes:
        page = b""
        async for event in reply:
            timeline.add(event)
            if isinstance(event, SslErrors):
                promise(self.requests == 0, "the request was sent before the decision")
                if self._is_expected(event):
                    timeline.note("event.ignore()", "it is the key that we know")
                    event.ignore()
            if isinstance(event, ReadyRead):
                page += reply.read()
        return page

    def _is_expected(self, event: SslErrors) -> bool:
        """Whether it is self-signed, nothing else is wrong with it, and its key is the one that we know."""
        codes = [error.code for error in event.errors]
        return codes == [SslErrorCode.SELF_SIGNED_CERTIFICATE] and event.peer_chain[0].pin == self.known_pin
