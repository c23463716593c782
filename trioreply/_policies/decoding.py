"""Content coding (RFC 9110 section 8.4): asked for with every request, and undone before anybody sees the body.

By default a request says in Accept-Encoding what can be decoded here, and what comes so encoded is decoded. A request
that has the field already means to decode by itself: it goes out with just that, and its response comes as it is (as
in Qt). ``decompress=False`` neither asks nor decodes.

What the reply shows is Qt's way: Content-Encoding stays, so that one can see what happened, and Content-Length goes,
for it says how long the compressed form was. A coding that is not known here is passed on as it is.

Two things are not Qt's way. A stream that is damaged or ends early is an error, and what was decoded before it can be
read. And a request for a range asks for ``identity``, because offsets count encoded bytes: a part of a compressed form
(206) is of use only to somebody who has the rest of it, so it is passed on as it is.

`ResponseData` says how many bytes came over the wire for it, also when they amount to none yet: progress and timeouts
count those.
"""

from __future__ import annotations

from functools import cache

import trio
from attrs import evolve

from .._model.errors import UnknownContentError
from .._model.exchange import Handler, Sink
from .._model.headers import Headers, content_length, make_headers, with_missing
from .._model.messages import Message, ResponseData, ResponseHead, ResponseTrailers
from .._model.request import Request, with_headers
from .._model.urls import HTTP_SCHEMES
from .._wire.content import ContentDecoder, available_codings, make_decoder, stacked_codings
from .pipeline import WrappedSink

BREATH = 1024 * 1024
"""Decoded bytes of one piece from the wire after which other tasks get their turn, if the reader has not made us wait:
about a millisecond's work, and a compressed piece may stand for very many."""

WITH_CODINGS = HTTP_SCHEMES  # a scheme of the application's own says what it means by itself
_PARTIAL_CONTENT = 206
_BODILESS = (204, 304)


def decoding(handler: Handler) -> Handler:
    """Ask for the codings that we know, and decode what comes in them."""

    async def with_decoding(request: Request, sink: Sink) -> None:
        headers = request.headers
        accepted = headers.get("Accept-Encoding")
        if accepted is None and request.decompress and request.url.scheme in WITH_CODINGS:
            request = with_headers(request, with_missing(headers, _identity() if "Range" in headers else everything()))
        elif accepted is not everything()["Accept-Encoding"]:
            await handler(request, sink)
            return
        decoded = _Decoded(sink, request)
        await handler(request, decoded)
        decoded.finish()

    return with_decoding


@cache
def everything() -> Headers:
    """What a request asks for that does not say so itself.

    A manager may put it into a request that it has just made, which spares this policy a copy. It is known again by
    its value, which is the very same object: the same words from a user mean that the user will decode.
    """
    return make_headers({"Accept-Encoding": ", ".join(available_codings())})


@cache
def _identity() -> Headers:
    return make_headers({"Accept-Encoding": "identity"})


class _Decoded(WrappedSink):
    """Decodes on the way up."""

    __slots__ = ("_decoder", "_request")

    is_idle = True  # a plain response comes in no coding

    def __init__(self, sink: Sink, request: Request) -> None:
        self._sink = sink
        self._request = request
        self._decoder: ContentDecoder | None = None

    async def put(self, message: Message) -> None:
        """See `Sink.put`.

        Raises:
            UnknownContentError: the body is damaged, or a bomb; what was decoded before has been passed on.
        """
        if type(message) is ResponseHead:
            await self._begin(message)
        elif type(message) is ResponseData and self._decoder is not None:
            await self._decode(message, self._decoder)
        else:
            if type(message) is ResponseTrailers:
                self.finish()
            await self._sink.put(message)

    def finish(self) -> None:
        """The body is complete.

        Raises:
            UnknownContentError: its coding says that it is not.
        """
        if self._decoder is not None:
            self._decoder.finish()

    async def _begin(self, head: ResponseHead) -> None:
        self._decoder = None
        if "Content-Encoding" not in head.headers or not _is_whole(self._request, head):
            await self._sink.put(head)
            return
        codings = stacked_codings(head.headers.getall("Content-Encoding"))
        refusal: UnknownContentError | None = None
        try:
            self._decoder = make_decoder(codings, limit=self._request.decompression_limit)
        except UnknownContentError as error:
            refusal = error  # the reader shall see the head all the same
        await self._sink.put(head if self._decoder is None else decoded_head(head))
        if refusal is not None:
            raise refusal

    async def _decode(self, message: ResponseData, decoder: ContentDecoder) -> None:
        unreported = len(message.data) if message.wire_size is None else message.wire_size
        since_breath = 0
        for piece in decoder.decode(message.data):
            await self._sink.put(ResponseData(piece, unreported))
            unreported = 0
            since_breath += len(piece)
            if since_breath >= BREATH:
                await trio.lowlevel.checkpoint()
                since_breath = 0
        if unreported:
            await self._sink.put(ResponseData(b"", unreported))


def _is_whole(request: Request, head: ResponseHead) -> bool:
    """Whether a body follows ``head``, and from its beginning on."""
    return request.verb != "HEAD" and head.status_code not in _BODILESS and head.status_code != _PARTIAL_CONTENT


def decoded_head(head: ResponseHead) -> ResponseHead:
    """``head`` as the reader sees it when the body is decoded: the compressed form's length is not the content's."""
    if "Content-Length" not in head.headers:
        return head
    fields = head.headers.copy()
    fields.popall("Content-Length")
    return evolve(head, headers=type(head.headers)(fields), original_content_length=content_length(head.headers))
