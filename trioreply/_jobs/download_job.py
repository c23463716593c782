"""The work of a download: request after request, until the file is there, whole and verified.

Each request asks for what is missing. What its response means is decided in `download_decide`, what is on the disk is
the business of `download_file`; here the two are brought together, and the events of the replies become those of one
download. Nothing is requested again by the replies themselves: only who knows what is there already can say what to
ask for.

A reply's bytes are taken when it says that there are some, and written by a thread. Meanwhile the network goes on into
the reply's buffer, and stops when that is full: so that, and what the thread holds, is all that a download keeps in
memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

import attrs
import trio
from attrs import field
from yarl import URL

from .._clock import wall_clock
from .._model.content_disposition import FALLBACK, proposed_name
from .._model.errors import RemoteHostClosedError, ReplyError, UnknownContentError
from .._model.events import ErrorOccurred, Event, Finished, Progress, QuestionEvent, ReadyRead, Retrying
from .._model.headers import Headers, make_headers, with_missing
from .._model.options import Direction
from .._model.request import Request, RequestFields
from .._model.retry import RetryPolicy
from .._model.urls import display
from .._model.values import define, frozen
from .._reply.reply import Reply
from .checksums import Checksum, expected_checksums, field_digests
from .download_decide import (
    Asked,
    Coding,
    Judgement,
    Meaning,
    Notes,
    Patience,
    can_be_continued,
    judge,
    status_error,
    strong_validators,
    url_key,
)
from .download_file import PartFile, Place
from .opener import DownloadEnvironment

_OWN_FIELDS = ("Range", "If-Range")
_OF_ONE_REPLY = (ReadyRead, ErrorOccurred, Finished)
_GONE = (404, 410)
_ONCE = RetryPolicy(1)


def _path(source: str | os.PathLike[str]) -> str:
    path = os.fspath(source) if isinstance(source, os.PathLike) else source
    if not isinstance(path, str):
        raise TypeError(f"path: give a str or a path of text, not {source!r}")
    if not path:
        raise ValueError("path: it is empty; give a file, or a directory such as '.'")
    return path


@frozen
class Order:
    """What is to be downloaded, and where to.

    Raises:
        ValueError, TypeError: it cannot be done; the text starts with the name of what is wrong.
    """

    url: str | URL | Request
    path: str = field(converter=_path)
    fields: RequestFields = field(factory=RequestFields)
    resume: bool = field(default=True, kw_only=True)
    checksums: tuple[Checksum, ...] = field(default=(), kw_only=True)
    request: Request = field(init=False, repr=False)
    """The request, without what is added to it each time."""
    key: str = field(init=False, repr=False)
    """See `url_key`."""

    @request.default
    def _make_request(self) -> Request:
        # Now, because a download may begin far away from where the mistake is.
        request = self.url.replace(**self.fields) if isinstance(self.url, Request) else Request(self.url, **self.fields)
        for name in _OWN_FIELDS:
            if name in request.headers:
                raise ValueError(f"headers: {name} is what a download says itself; to get a part of a file use get()")
        return request

    @key.default
    def _make_key(self) -> str:
        return url_key(self.request.url)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.resume, bool):
            raise TypeError(f"resume: give True or False, not {self.resume!r}")

    @property
    def coding(self) -> Coding:
        """What happens to a compressed response. Who asks for one, or wants it as it is, gets it as it is."""
        is_ours = self.request.decompress and "Accept-Encoding" not in self.request.headers
        return Coding.REFUSED if is_ours else Coding.KEPT

    def fields_for(self, asked: Asked) -> RequestFields:
        """The keywords of one request."""
        fields = self.fields.copy()
        fields["headers"] = with_missing(self.request.headers, make_headers(asked.fields()))
        fields["retry"] = _ONCE
        return fields


def make_order(
    url: str | URL | Request,
    path: str | os.PathLike[str],
    fields: RequestFields,
    *,
    resume: bool,
    checksum: str | None,
    sha256: str | None,
) -> Order:
    """An order out of the arguments of ``open_download``.

    Raises:
        ValueError, TypeError: as `Order`, and for what is no checksum.
    """
    return Order(url, path, fields, resume=resume, checksums=expected_checksums(checksum, sha256))


class Listener(Protocol):
    """Who is told of a download's events."""

    def tell(self, event: Event) -> None:
        """Something has happened."""
        ...

    async def ask(self, event: QuestionEvent) -> None:
        """A question has come up; when this returns it is answered, or nobody wants to."""
        ...


@define
class _Message:
    """The bytes that one response brings."""

    start: int = 0
    """Which byte of the file is the first of them."""
    digests: tuple[Checksum, ...] = ()
    """What the server says that they amount to."""
    is_exact: bool = True
    """Whether they are what the server has digested, and not what was decompressed."""

    def progress(self, event: Progress, *, total: int | None) -> Progress:
        """The reply's progress as that of the whole file."""
        if not self.is_exact:
            return event
        return attrs.evolve(event, done=self.start + event.done, total=total, wire_done=None, wire_total=None)


@frozen
class _Setback:
    """The exchange did not bring the rest of the file."""

    error: ReplyError
    may_pass: bool
    headers: Headers | None = None
    """Of a response that may say when to come again."""


class DownloadJob:
    """One download, for one task: `run` it, and close it in any case."""

    def __init__(
        self, order: Order, env: DownloadEnvironment, listener: Listener, *, chance: Callable[[], float]
    ) -> None:
        self.reply: Reply | None = None
        """The reply of the last request."""
        self.done = 0
        """Bytes of the file that are there."""
        self.total: int | None = None
        """The size of the whole file; ``None`` while nobody knows."""
        self.place: Place | None = None
        """Where it goes; ``None`` before that has been looked at."""
        self._order = order
        self._opener = env.opener
        self._listener = listener
        self._file = PartFile(order.path, order.key, env.run_sync)
        self._patience = Patience(order.request.retry or env.retry, chance)
        self._coding = order.coding
        self._notes: Notes | None = None
        self._digests: tuple[Checksum, ...] = ()
        self._message = _Message()
        self._name: str | None = None
        self._requests = 0

    @property
    def published(self) -> str | None:
        """The name that the file has got; ``None`` before. Also if it got it while this job was cancelled."""
        return None if self._file.published is None else self._file.published.name

    async def run(self) -> None:
        """Download the file.

        Raises:
            ReplyError: it cannot be had, or cannot be written, or is not what it should be.
        """
        draft = await self._file.open(resume=self._order.resume)
        self.place = draft.place
        if draft.notes is not None:
            self._take_up(draft.notes, draft.size)
        while not await self._request():
            pass
        await self._verify()
        await self._file.publish(self._name or FALLBACK)

    async def aclose(self) -> None:
        """Let go of the file: bounded in time, complete also when cancelled, idempotent."""
        await self._file.aclose()

    def _take_up(self, notes: Notes, size: int) -> None:
        """Go on with what an earlier download has left."""
        self._notes, self._digests, self._name = notes, notes.digests, notes.name
        self.done, self.total = size, notes.total

    async def _request(self) -> bool:
        """Ask for what is missing; whether nothing is any more."""
        self._requests += 1
        asked = Asked(coding=self._coding)
        if self._notes is not None:
            asked = Asked(self.done, self._notes.total, self._notes.validators, self._coding)
        async with self._opener.get(self._order.url, **self._order.fields_for(asked)) as reply:
            self.reply = reply
            outcome = await self._exchange(reply, asked)
        if isinstance(outcome, bool):
            return outcome
        self._patience = self._patience.after_failure(self.done)
        delay = self._patience.delay(outcome.headers, now=wall_clock()) if outcome.may_pass else None
        if delay is None:
            raise outcome.error
        self._announce(delay, str(outcome.error))
        await trio.sleep(delay)
        return False

    def _announce(self, delay: float, reason: str) -> None:
        self._listener.tell(Retrying(self._requests + 1, delay, reason))

    async def _exchange(self, reply: Reply, asked: Asked) -> bool | _Setback:
        """See one exchange through; whether it brought the end of the file."""
        while not isinstance(event := await reply.events.receive(), ReadyRead | Finished):
            await self._relay(event)
        try:
            await reply.wait_metadata()
        except ReplyError as error:
            return self._setback(error)
        judgement = judge(reply.status_code, reply.headers, asked)
        match judgement.meaning:
            case Meaning.WHOLE:
                await self._begin(judgement, reply)
            case Meaning.PART:
                self._continue(judgement, reply)
            case _:
                return self._refuse(judgement, reply)
        return await self._receive(reply)

    async def _receive(self, reply: Reply) -> bool | _Setback:
        """Write what comes, to the end of the exchange."""
        await self._append(reply.read())
        async for event in reply.events:
            if isinstance(event, ReadyRead):
                await self._append(reply.read())
            elif isinstance(event, Progress) and event.direction is Direction.DOWNLOAD:
                self._listener.tell(self._message.progress(event, total=self.total))
            else:
                await self._relay(event)
        await self._append(reply.read())
        try:
            reply.raise_for_error()
        except ReplyError as error:
            return self._setback(error)
        if self.total is None or self.done == self.total:
            self._learn_digests(reply.trailers)
            self.total = self.done
            return True
        if self._message.start and self.done > self._message.start:
            return False  # a server may send less than it was asked for (RFC 9110 section 15.3.7)
        return self._setback(RemoteHostClosedError(f"{self.done} of {self.total} bytes came, and then no more"))

    async def _relay(self, event: Event) -> None:
        """Pass on what is about the download as a whole."""
        if isinstance(event, QuestionEvent):
            await self._listener.ask(event)
        elif not isinstance(event, _OF_ONE_REPLY) and not (
            isinstance(event, Progress) and event.direction is Direction.DOWNLOAD
        ):
            self._listener.tell(event)

    async def _begin(self, judgement: Judgement, reply: Reply) -> None:
        """The file comes from its first byte on."""
        headers = reply.headers
        self._name = proposed_name(headers, reply.url)
        self._digests = ()
        self._message = _Message(is_exact=judgement.is_exact)
        self._learn_digests(headers)
        validators = strong_validators(headers, now=wall_clock())
        if validators is None or not judgement.is_exact or not can_be_continued(headers):
            self._notes = None
        else:
            self._notes = Notes(self._order.key, validators, judgement.total, self._digests, self._name)
        self.done, self.total = 0, judgement.total
        await self._file.begin(self._notes)
        self._file.keep(is_kept=self._order.resume and self._notes is not None)
        self._watch()

    def _continue(self, judgement: Judgement, reply: Reply) -> None:
        """What follows is the rest of the file, or a part of that."""
        self._message = _Message(self.done)
        self._learn_digests(reply.headers)
        self.total = judgement.total
        self._watch()

    def _refuse(self, judgement: Judgement, reply: Reply) -> bool | _Setback:
        """The response does not bring what was asked for."""
        match judgement.meaning:
            case Meaning.COMPLETE:
                self.total = judgement.total
                self._message = _Message(self.done)
                return True
            case Meaning.OTHER:
                self._notes = None
                self.done, self.total = 0, None
            case Meaning.CODED:
                self._coding = Coding.UNDONE
            case _:
                return self._refuse_status(reply)
        self._announce(0.0, judgement.reason)
        return False

    def _refuse_status(self, reply: Reply) -> _Setback:
        status, url = reply.status_code or 0, display(reply.url)
        if status in _GONE:
            self._file.keep(is_kept=False)
        error = status_error(status, reply.reason, url)
        error.locate(url=url, status_code=status, reply=reply)
        return _Setback(error, status in self._patience.policy.on_status, reply.headers)

    def _setback(self, error: ReplyError) -> _Setback:
        return _Setback(error, error.code in self._patience.policy.on_errors)

    def _learn_digests(self, headers: Headers) -> None:
        """Remember what the server says that its bytes amount to, unless that is about a form that we do not have."""
        if self._message.is_exact:
            self._digests = field_digests(headers, "Repr-Digest") or self._digests
            self._message.digests = field_digests(headers, "Content-Digest") or self._message.digests

    def _watch(self) -> None:
        """Hash on the way what will be compared in the end."""
        whole = {(checksum.algorithm, 0) for checksum in (*self._order.checksums, *self._digests)}
        message = {(checksum.algorithm, self._message.start) for checksum in self._message.digests}
        self._file.watch(whole | message)

    async def _append(self, octets: bytes) -> None:
        if not octets:
            return
        if self.total is not None and self.done + len(octets) > self.total:
            raise self._wrong(f"more than the {self.total} bytes came that were announced")
        await self._file.append(octets)
        self.done += len(octets)

    async def _verify(self) -> None:
        """See that the file is what it should be.

        Raises:
            UnknownContentError: it is not.
        """
        for checksum in self._order.checksums:
            await self._compare(checksum, 0, source="what was to be downloaded")
        for checksum in self._digests:
            await self._compare(checksum, 0, source="the server's Repr-Digest")
        for checksum in self._message.digests:
            await self._compare(checksum, self._message.start, source="the server's Content-Digest")

    async def _compare(self, expected: Checksum, start: int, *, source: str) -> None:
        actual = Checksum(expected.algorithm, await self._file.digest(expected.algorithm, start))
        if actual != expected:
            raise self._wrong(f"they amount to {actual}, and {expected} was expected by {source}")

    def _wrong(self, why: str) -> UnknownContentError:
        """The error for bytes that nobody should use, and that do not stay."""
        self._file.keep(is_kept=False)
        url = display(self._order.request.url)
        error = UnknownContentError(f"the bytes of {url} are wrong and were removed: {why}; try again")
        error.locate(url=url, status_code=None, reply=self.reply)
        return error
