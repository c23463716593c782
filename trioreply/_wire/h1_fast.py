"""HTTP/1.1 over httptools: the quick codec.

httptools is llhttp, the parser of Node.js, behind a thin layer: it reads a head in a fifteenth of h11's time, and finds
a chunk in less than our rules need to look at it. It is shown exactly what h11 is shown, complete heads and the framing
of chunked bodies, after the same rules; the rest is `h1_cycle`. So either codec can stand in for the other, and each is
the other's test.

What was hard is what llhttp does not know, or does in its own way:

* It has no request to go by, so it waits for a body after a HEAD, a 304, or a 1xx with a Content-Length; and it cannot
  be told that the stream has ended. It is never asked: the rules say where a body ends, and each head gets a parser of
  its own.
* It leaves the white space behind a value where it is; and a tab there makes it blind to what the value says, so that
  it takes ``Transfer-Encoding: chunked<TAB>`` for no chunks at all. That white space means nothing (RFC 9110 section
  5.5), and a head that has any loses it before it is parsed.
* It sets no limits on a head's size or the number of its fields. The rules do.
* What a callback raises comes out as a complaint about the peer. Ctrl-C may arrive in any line of Python, and must not
  look like that.
* It keeps its callbacks for ever. They belong to an object that does not know the parser: no cycle is left to the
  garbage collector.
"""

from __future__ import annotations

import httptools

from .._model.errors import ProtocolFailure
from .h1_cycle import H1Codec
from .h1_rules import DEFAULT_LIMITS, WireLimits

if not hasattr(httptools.HttpResponseParser, "set_dangerous_leniencies"):
    # Those before 0.6.3 refuse what is valid (quotes in chunk extensions), and forgive more.
    raise ImportError("httptools is too old; install 0.6.4 or a newer one", name="httptools")


class HttptoolsCodec(H1Codec):
    """`Codec` over httptools; see there for what each member promises."""

    __slots__ = ()

    def __init__(self, limits: WireLimits = DEFAULT_LIMITS) -> None:
        super().__init__(_HttptoolsResponse, limits)


class _Heard:
    """What the parser has told of since somebody looked; its names are those that httptools calls."""

    __slots__ = ("fields", "is_complete", "on_body", "on_status", "pieces", "reasons")

    # Looked for by httptools, and found sooner than missed.
    on_message_begin = on_headers_complete = on_chunk_header = on_chunk_complete = None

    def __init__(self) -> None:
        self.reasons: list[bytes] = []
        self.fields: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_complete = False
        # Not methods of ours: that would double the cost of a small chunk.
        self.on_status = self.reasons.append
        self.on_body = self.pieces.append

    def on_header(self, *field: bytes) -> None:
        self.fields.append(field)  # type: ignore[arg-type]  # there are always two, and naming them takes twice as long

    def on_message_complete(self) -> None:
        self.is_complete = True


class _HttptoolsResponse:
    """A response that httptools reads."""

    __slots__ = ("_heard", "_parser", "fields", "http_version", "reason", "status_code")

    def __init__(self, block: bytes) -> None:
        self._heard = heard = _Heard()
        self._parser = parser = httptools.HttpResponseParser(heard)
        self._feed(_without_space_at_ends(block) if b"\t" in block or b" \r\n" in block else block)
        self.status_code = parser.get_status_code()
        self.reason = b"".join(heard.reasons)
        self.http_version = parser.get_http_version()
        self.fields, heard.fields = heard.fields, []

    def decode(self, chunks: bytes) -> tuple[bytes, list[tuple[bytes, bytes]] | None]:
        """See `Response.decode`."""
        heard = self._heard
        self._feed(chunks)
        body = b"".join(heard.pieces)
        heard.pieces.clear()
        if not heard.is_complete:
            return body, None
        return body, [(name, value.rstrip(b" \t")) for name, value in heard.fields]

    def _feed(self, data: bytes) -> None:
        """The one place where httptools' errors become ours; the rules have seen the bytes, so there should be few."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise ProtocolFailure(f"the response is not valid HTTP/1.1 (the parser says: {error})") from error


def _without_space_at_ends(block: bytes) -> bytes:
    first, *fields = block.split(b"\r\n")  # the reason keeps what it has
    # Not by a regular expression: one would look at a long run of spaces from each of them.
    return b"\r\n".join([first, *[line.rstrip(b" \t") for line in fields]])
