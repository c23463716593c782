"""One HTTP/1.1 connection: the request goes out while the response comes in.

That the two run at the same time is not a refinement. A server may refuse an upload after its first bytes and close; a
client that writes everything before it reads never learns why. So a request with a body is sent by a task of its own,
and:

* A response that is no success (300 or more) stops the upload. The connection is then of no further use, for its
  request was cut short (RFC 9112 section 9.3), but the response is read to its end and delivered.
* A write that fails is not an error yet: the server may have answered before it closed. Reading tells.
* `RequestSent` is reported after the first piece of the body is on its way, but never later than what the server says.

Cancelled at any place, a connection is in the middle of something: `is_reusable` is false then, and the pool closes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._model.errors import OperationCanceledError, RemoteHostClosedError, UnknownNetworkError
from .._model.events import Informational, RequestSent
from .._model.messages import RequestProgress, ResponseHead
from .._wire.codec import Codec, RequestHead, ResponseEnd
from .connection import MessageSink
from .groups import raise_ungrouped
from .interfaces import ByteStream, TlsError
from .upload import Upload

if TYPE_CHECKING:
    from .._model.tls import TlsInfo

CONTINUE_SECONDS = 1.0
"""How long a body is held back for ``100 Continue``; servers that know the word answer at once (RFC 9110 section
10.1.1)."""
READ_SIZE = 64 * 1024
"""Bytes asked of a connection: memory for more is got from the system anew each time, which a small response feels."""
LARGE_READ_SIZE = 256 * 1024
"""Bytes asked of it while it fills them: each read costs a turn of the whole pipeline. Above, a processor's cache no
longer holds what was read, and downloads take longer."""


class H1Connection:
    """A byte stream with an HTTP/1.1 codec on it; one exchange at a time."""

    __slots__ = ("_codec", "_failed", "_read_size", "_stream", "tls")

    def __init__(self, stream: ByteStream, codec: Codec, tls: TlsInfo | None = None) -> None:
        self._stream = stream
        self._codec = codec
        self._failed = False
        self._read_size = READ_SIZE
        self.tls = tls
        """See `Connection.tls`."""

    def __repr__(self) -> str:
        return f"<H1Connection {'reusable' if self.is_reusable else 'in use'}>"

    @property
    def is_reusable(self) -> bool:
        """See `Connection.is_reusable`."""
        return not self._failed and self._codec.is_reusable

    def is_dead(self) -> bool:
        """See `Connection.is_dead`."""
        if self._stream.receive_nowait() is not None:
            self._failed = True  # what was there is taken, and another look would find nothing
        return self._failed

    def close_nowait(self) -> None:
        """See `Connection.close_nowait`."""
        self._failed = True
        self._stream.close_nowait()

    async def exchange(self, head: RequestHead, sink: MessageSink) -> None:
        """Send a request without a body, and report its response.

        Raises:
            ProtocolFailure, RemoteHostClosedError: see `Codec.receive`; with ``resendable`` if nothing was answered.
            OperationCanceledError: the connection was closed from our side meanwhile.
        """
        await self._write(self._codec.start(head) + self._codec.end_request())
        await sink.put(RequestSent())
        await self._receive(sink, None)

    async def exchange_with_body(
        self,
        head: RequestHead,
        upload: Upload,
        sink: MessageSink,
        *,
        length: int | None,
        expect_continue: bool,
        is_prompt: bool,
    ) -> None:
        """Send a request with a body while its response comes in.

        Args:
            head: what comes first.
            upload: the body; the caller closes it.
            sink: who is told.
            length: of the body, as the head announces it; ``None`` if unknown.
            expect_continue: hold the body back for the server's word, or a second.
            is_prompt: the first piece will be there at once, so that it can share a packet with the head.

        Raises:
            UnknownNetworkError: the body failed, or did not have the length that was announced.
            ProtocolFailure, RemoteHostClosedError, OperationCanceledError: as `exchange`.
        """
        sending = _Sending(self._codec.start(head), upload, sink, write=self._write, length=length)
        failures: list[Exception] = []

        async def run(side: Awaitable[None]) -> None:
            # Both sides run in one nursery, and what one of them raises must come out as itself, not in a group.
            try:
                await side
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)
                nursery.cancel_scope.cancel()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run, sending.run(self._codec, expect_continue=expect_continue, is_prompt=is_prompt))
                await run(self._receive(sink, sending))
        except BaseExceptionGroup as group:
            await raise_ungrouped(group)
        if sending.was_cut:
            self._failed = True  # the codec may think that all was sent: it had given away the last chunk already
        if failures:
            raise failures[0]

    async def _write(self, data: bytes | memoryview) -> bool:
        """Send ``data``; whether the connection took it. If not, reading will tell why."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self._failed = True
            return False
        except trio.ClosedResourceError as error:
            raise _closed_by_us() from error
        return True

    async def _receive(self, sink: MessageSink, sending: _Sending | None) -> None:
        ended = False
        while not ended:
            data = await self._read()
            try:
                for message in self._codec.receive(data):
                    if isinstance(message, ResponseEnd):
                        ended = True  # the codec still has to look at what lies behind it
                        continue
                    if sending is not None:
                        await sending.heard(message)
                    await sink.put(message)
            except RemoteHostClosedError as error:
                raise self._judged(error) from error.__cause__

    async def _read(self) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(self._read_size))
        except TlsError as error:
            raise UnknownNetworkError(str(error)) from error
        except trio.BrokenResourceError as error:
            why = str(error) or "the connection is lost"
            raise self._judged(RemoteHostClosedError(f"Connection closed: {why}")) from error
        except trio.ClosedResourceError as error:
            raise _closed_by_us() from error
        self._read_size = LARGE_READ_SIZE if len(data) >= READ_SIZE else READ_SIZE
        return data

    def _judged(self, error: RemoteHostClosedError) -> RemoteHostClosedError:
        error.resendable = not self._codec.response_started
        return error


class _Sending:
    """A request with a body on its way out."""

    def __init__(
        self,
        head: bytes,
        upload: Upload,
        sink: MessageSink,
        *,
        write: Callable[[bytes | memoryview], Awaitable[bool]],
        length: int | None,
    ) -> None:
        self._head = head
        self._length = length
        self._upload = upload
        self._sink = sink
        self._write = write
        self._scope = trio.CancelScope()
        self._may_go_on = trio.Event()
        self._announced = False
        self.was_cut = False
        """Whether the request was given up before its end."""

    async def heard(self, message: object) -> None:
        """The server says something: whatever it is, the head was sent; and it may make the body superfluous."""
        await self._announce()
        if isinstance(message, ResponseHead) and message.status_code is not None and message.status_code >= 300:
            self._scope.cancel()
        if isinstance(message, (ResponseHead, Informational)):
            self._may_go_on.set()

    async def run(self, codec: Codec, *, expect_continue: bool, is_prompt: bool) -> None:
        """Send everything, unless the server's answer or a broken connection ends that early."""
        with self._scope:
            if expect_continue:
                await self._write(self._head)
                self._head = b""
                with trio.move_on_after(CONTINUE_SECONDS):
                    await self._may_go_on.wait()
            elif not is_prompt:
                await self._write(self._head)
                self._head = b""
            await self._send_pieces(codec)
        self.was_cut = self._scope.cancelled_caught

    async def _send_pieces(self, codec: Codec) -> None:
        done = 0
        total = self._length
        while (piece := await self._upload.read()) is not None:
            framed = codec.send_data(piece)
            if self._head:
                framed = self._head + bytes(framed)
                self._head = b""
            if not await self._write(framed):
                return
            done += len(piece)
            await self._sink.put(RequestProgress(done, total, complete=done == total))
            await self._announce()
        last = self._head + codec.end_request()
        if last and not await self._write(last):
            return
        if done != total or not done:
            await self._sink.put(RequestProgress(done, done, complete=True))
        await self._announce()

    async def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            await self._sink.put(RequestSent())


def _closed_by_us() -> OperationCanceledError:
    return OperationCanceledError("Operation canceled: the connection was closed from our side")
