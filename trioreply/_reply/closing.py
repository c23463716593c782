"""What becomes of an exchange whose reply was closed: pure decisions, made anew at each of its messages.

``close()`` ends the reply for the application. Behind it an upload runs to its end, because the server should get all
of what was promised, and a short rest of a response is read away, because that is cheaper than a new connection.
Everything else is dropped.
"""

from __future__ import annotations

import enum

from .._model.bodies import is_empty
from .._model.headers import content_length
from .._model.messages import ConnectionLeased, ConnectionQueued, Message, RequestProgress, ResponseData, ResponseHead
from .state import ReplyState

DRAIN_LIMIT = 64 * 1024
"""Bytes that are read away at most; about what one round trip of a new connection costs on a fast link."""
DRAIN_SECONDS = 2.0
"""How long reading them away may take."""

_WITHOUT_BODY_FROM_HERE = frozenset({301, 302, 303})
"""Redirects that become a GET: what the body was sent for has been done."""


class Rest(enum.Enum):
    """What to do with the rest of an exchange that nobody looks at any more."""

    DROP = "close the connection"
    DRAIN = "read the response's rest away"
    UPLOAD = "send the request's body to its end"
    QUEUE = "wait for a connection to send it on"


class Remainder:
    """What is left of an exchange, from ``close()`` on."""

    __slots__ = (
        "_accepted",
        "_answered",
        "_bodiless",
        "_drops_body",
        "_queued",
        "_remaining",
        "_sent_all",
        "_wants_answer",
    )

    def __init__(self, state: ReplyState) -> None:
        self._wants_answer = not is_empty(state.request.body)
        self._answered = state.head is not None
        self._sent_all = state.sent_all
        self._queued = state.is_queued
        self._accepted = _is_accepted(state.status_code)
        self._drops_body = state.status_code in _WITHOUT_BODY_FROM_HERE
        self._remaining = state.remaining()
        self._bodiless = state.request.verb == "HEAD"

    def decide(self) -> Rest:
        """What to do now."""
        # Until there is an answer the server may still be busy with what we sent: going away would make it stop.
        if self._wants_answer and not self._answered:
            return Rest.QUEUE if self._queued else Rest.UPLOAD
        if self._accepted and not self._sent_all:
            return Rest.UPLOAD
        if self._remaining is not None and self._remaining <= DRAIN_LIMIT:
            return Rest.DRAIN
        return Rest.DROP

    def take(self, message: Message) -> Rest:
        """What to do after ``message``."""
        match message:
            case ConnectionQueued() | ConnectionLeased():
                self._queued = isinstance(message, ConnectionQueued)
                self._begin_another()
            case RequestProgress(complete=complete):
                self._sent_all = complete
            case ResponseHead(status_code=status, headers=headers, original_content_length=wire_length):
                self._answered = True
                self._accepted = _is_accepted(status)
                self._drops_body = status in _WITHOUT_BODY_FROM_HERE
                no_content = self._bodiless or status in (204, 304)
                length = content_length(headers) if wire_length is None else wire_length
                self._remaining = 0 if no_content else length
            case ResponseData(data=data, wire_size=wire_size) if self._remaining is not None:
                self._remaining = max(self._remaining - (len(data) if wire_size is None else wire_size), 0)
            case _:
                pass
        return self.decide()

    def _begin_another(self) -> None:
        """What was answered is asked again, here or elsewhere: nobody wants to know, unless it takes the body along."""
        if self._answered:
            self._wants_answer = self._wants_answer and not self._drops_body
            self._answered = self._sent_all = False
            self._remaining = None


def _is_accepted(status_code: int | None) -> bool:
    """Whether the upload goes on after this answer. One that is no success ends it (RFC 9112 section 9.3)."""
    return status_code is None or status_code < 300
