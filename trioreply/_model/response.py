"""A whole response as one value: what ``fetch`` gives."""

from __future__ import annotations

from attrs import field
from yarl import URL

from .errors import NetworkError
from .events import Redirected
from .headers import Headers
from .text import decode_body, decode_json
from .timings import Timings
from .urls import display
from .values import frozen


@frozen(kw_only=True)
class Response:
    """The outcome of an exchange whose transfer went well; its status may still be an error."""

    status_code: int | None
    reason: str
    headers: Headers = field(hash=False)
    body: bytes = field(repr=False)
    url: URL = field(repr=display)
    """Where the content came from, after redirects."""
    error: NetworkError
    """What the status amounts to; `NetworkError.NO_ERROR` below 400."""
    redirects: tuple[Redirected, ...] = ()
    timings: Timings = field(repr=False)

    def text(self) -> str:
        """The body as text, by the charset of Content-Type (UTF-8 if it names none).

        Raises:
            UnknownContentError: no such charset, or the bytes do not fit it.
        """
        return decode_body(self.body, self.headers)

    def json(self) -> object:
        """What the body means as JSON.

        Raises:
            UnknownContentError: it is no JSON.
        """
        return decode_json(self.body)
