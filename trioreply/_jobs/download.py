"""A download as its reader sees it: a block, typed events, and a path in the end.

Entering the block starts the job as a task in a nursery of its own; the block can read the events, wait for the end, or
do something else. Leaving it early stops the job, as leaving a reply's block stops the reply. What has come until then
stays on the disk, if the server said enough about it to be sure that the rest will fit; the same call, later, goes on
from there.

The events are those of the replies, one request after the other, as of one long reply: `Progress` is that of the whole
file, what an earlier call has left included; a failure that is got over is a `Retrying`; there is no `ReadyRead`, for
the bytes are not to be read here; and `ErrorOccurred` and `Finished` come once.

The nursery is entered and left by hand, so that an exception raised in the block leaves it as itself. The one task in
it ends in a result and not in an exception, except for a `KeyboardInterrupt` and its like.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack, final

import attrs
import trio
from yarl import URL

from .._facade import public
from .._model.errors import NetworkError, OperationCanceledError, ReplyError, UnknownNetworkError
from .._model.events import (
    ErrorOccurred,
    Event,
    Finished,
    Progress,
    QuestionEvent,
    without_question,
)
from .._model.options import Direction
from .._model.request import Request, RequestFields
from .._model.urls import display
from .._net.groups import leave_nursery
from .._reply.core import event_key
from .._reply.mailbox import Mailbox
from .._reply.questions import Ask, QuestionDesk
from .._reply.reply import Reply
from .download_job import DownloadJob, Order, make_order
from .opener import DownloadEnvironment


@public
@final
class Download:
    """A running or finished download. Made by ``Manager.open_download``; ``async with`` it, once.

    ``async for event in download`` iterates over `events`.
    """

    def __init__(self, order: Order, env: DownloadEnvironment, *, chance: Callable[[], float] = random.random) -> None:
        self._order = order
        self._block: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._scope = trio.CancelScope()
        self._finished = trio.Event()
        self._failure: ReplyError | None = None
        self._desk = QuestionDesk()
        self._mailbox: Mailbox[Event] = Mailbox(event_key, _ReaderWatch(self._desk))
        self._listener = _Listener(self._mailbox, self._desk)
        self._job = DownloadJob(order, env, self._listener, chance=chance)

    def __repr__(self) -> str:
        job = self._job
        of_total = "" if job.total is None else f" of {job.total}"
        state = "finished" if self.is_finished else "running" if self._block is not None else "not begun"
        error = "" if self._failure is None else f", {self._failure.code.name}"
        shown = display(self._order.request.url)
        return f"<Download {shown} to {str(self.path)!r} {state}: {job.done}{of_total} bytes{error}>"

    @property
    def events(self) -> trio.abc.ReceiveChannel[Event]:
        """What happens. Unread `Progress` coalesces; nothing else is ever dropped."""
        return self._mailbox

    def __aiter__(self) -> trio.abc.ReceiveChannel[Event]:
        return self._mailbox

    @property
    def path(self) -> Path:
        """Where the file will be. While nobody knows its name that is the directory that was given."""
        path, place = Path(self._order.path), self._job.place
        if place is None or place.name is not None or self._job.published is None:
            return path
        return path / self._job.published

    @property
    def temporary_path(self) -> Path | None:
        """Where the bytes are until the file is whole; ``None`` before the place has been looked at."""
        return None if self._job.place is None else self._job.place.part

    @property
    def bytes_done(self) -> int:
        """How many bytes of the file are there, those of an earlier call included."""
        return self._job.done

    @property
    def total(self) -> int | None:
        """The size of the whole file in bytes; ``None`` while nobody knows."""
        return self._job.total

    @property
    def reply(self) -> Reply | None:
        """The reply of the current request, or of the last one. Its bytes are taken from it by the download."""
        return self._job.reply

    @property
    def is_finished(self) -> bool:
        """Whether `Finished` has been sent: nothing changes any more."""
        return self._finished.is_set()

    @property
    def error(self) -> NetworkError:
        """`NetworkError.NO_ERROR` until the download has failed."""
        return NetworkError.NO_ERROR if self._failure is None else self._failure.code

    @property
    def error_string(self) -> str:
        """What went wrong, for people; empty while nothing did."""
        return "" if self._failure is None else str(self._failure)

    async def wait(self) -> Path:
        """Until the file is whole, verified and under its name; the path of it. Always a checkpoint.

        Raises:
            ReplyError: the download has failed, or was stopped (`OperationCanceledError`).
            RuntimeError: the block has not been entered.
        """
        if self._block is None:
            raise RuntimeError("use 'async with' on the download, and wait within its block")
        task = trio.lowlevel.current_task()
        self._desk.blocked(task)
        try:
            await self._finished.wait()
        finally:
            self._desk.unblocked(task)
        if self._failure is not None:
            raise self._failure
        return self.path

    def abort(self) -> None:
        """Stop. `Finished` comes when the file is closed. Idempotent; does nothing when it has finished."""
        self._scope.cancel()

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise RuntimeError("a download's block is entered once; call open_download() again for another one")
        await trio.lowlevel.checkpoint()
        self._block = trio.open_nursery()
        nursery = await self._block.__aenter__()
        nursery.start_soon(self._run)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()
        if self._block is None:  # pragma: no cover - __aexit__ follows __aenter__
            return
        await leave_nursery(self._block, exc)

    async def _run(self) -> None:
        """The job's task."""
        failure: ReplyError | None = OperationCanceledError("the download was stopped")
        try:
            with self._scope:
                failure = await self._outcome()
        finally:
            await self._job.aclose()
            # The last step may have been taken while it was cancelled: then the file is there, and that is the truth.
            self._end(None if self._job.published is not None else failure)

    async def _outcome(self) -> ReplyError | None:
        try:
            await self._job.run()
        except ReplyError as error:
            return error
        except trio.ClosedResourceError as error:
            closed = OperationCanceledError("the manager is closed")
            closed.__cause__ = error
            return closed
        except Exception as error:  # noqa: BLE001 - of somebody's own opener, resolver, ...; it must not end the block
            failure = UnknownNetworkError(f"the download failed: {error!r}")
            failure.__cause__ = error
            return failure
        return None

    def _end(self, failure: ReplyError | None) -> None:
        """Say how it ended."""
        self._failure = failure
        if failure is not None:
            failure.locate(url=display(self._order.request.url), status_code=None, reply=self._job.reply)
            self._listener.tell(ErrorOccurred(failure.code, str(failure)))
        progress = Progress(Direction.DOWNLOAD, self._job.done, self._job.total)
        if self._listener.last != progress:
            self._listener.tell(progress)
        self._listener.tell(Finished(self.error))
        self._finished.set()
        self._mailbox.end()
        self._desk.refuse()


class _ReaderWatch:
    """Connects the event channel to the rules that depend on who reads it."""

    def __init__(self, desk: QuestionDesk) -> None:
        self._desk = desk

    def receiving(self, task: trio.lowlevel.Task) -> None:
        self._desk.event_wanted(task)

    def waiting(self) -> None:
        pass

    def received(self, task: trio.lowlevel.Task, item: Event) -> None:
        self._desk.event_received(task, item)

    def closed(self) -> None:
        self._desk.refuses_all = True
        self._desk.refuse()


class _Listener:
    """Passes a job's events on, and its questions with the same patience as a reply has."""

    def __init__(self, mailbox: Mailbox[Event], desk: QuestionDesk) -> None:
        self.last: Event | None = None
        self._mailbox = mailbox
        self._desk = desk

    def tell(self, event: Event) -> None:
        self.last = event
        self._mailbox.post(event)

    async def ask(self, event: QuestionEvent) -> None:
        question = event._question
        if question is None or self._desk.refuses_all:
            self.tell(without_question(event))
            return
        ask = Ask()
        await self._desk.put(ask, lambda: self.tell(attrs.evolve(event, question=ask)))
        if ask.answer is not None:
            with suppress(RuntimeError):  # the reply has ended meanwhile
                question.settle(ask.answer)


def open_download(
    env: DownloadEnvironment,
    url: str | URL | Request,
    path: str | os.PathLike[str],
    *,
    resume: bool = True,
    checksum: str | None = None,
    sha256: str | None = None,
    **fields: Unpack[RequestFields],
) -> Download:
    """A download of ``url`` into a file: ``async with`` it.

    The bytes go into a partial file beside the place, which takes its name when they are all there and verified. After
    a break the rest is asked for, as often as the ``retry`` policy says; a piece that arrives begins its count anew.

    Args:
        env: the manager.
        url: what to download, or a whole request.
        path: the file, which is replaced if it exists; or a directory that exists, in which the file gets the name
            that the server proposes, made safe, and never replaces another.
        resume: go on with what an earlier call has left there, and leave such a part if this one fails.
        checksum: what the file must amount to: ``"sha512:..."``, any algorithm that `hashlib` always has.
        sha256: the same for SHA-256, the digits alone.
        fields: as for `Manager.get`.

    Raises:
        ValueError, TypeError: an argument is impossible; the text starts with its name.
    """
    return Download(make_order(url, path, fields, resume=resume, checksum=checksum, sha256=sha256), env)


async def download(
    env: DownloadEnvironment,
    url: str | URL | Request,
    path: str | os.PathLike[str],
    *,
    resume: bool = True,
    checksum: str | None = None,
    sha256: str | None = None,
    **fields: Unpack[RequestFields],
) -> Path:
    """`open_download` in one call, for who only wants the file; its path. Questions are refused at once.

    Raises:
        ReplyError: it failed. What had come stays for the next call, if it can be continued and ``resume`` is true.
        ValueError, TypeError: an argument is impossible; the text starts with its name.
    """
    async with open_download(env, url, path, resume=resume, checksum=checksum, sha256=sha256, **fields) as opened:
        return await opened.wait()  # without ever having looked at an event: that refuses questions
