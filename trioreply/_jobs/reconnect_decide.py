"""Whether and when an event stream connects again: pure decisions (HTML standard section 9.2.3).

The standard waits for the reconnection time, which the server can set, and lets a client wait some more after failures.
What it waits more is a `RetryPolicy`'s: its back-off is *added*, so nobody comes back before the server wants it, and
with ``retry: 0`` nobody comes back at once, for ever. A part of it is random, also after a stream that ended well: when
a server restarts, all its streams have ended in the same moment.

The standard gives up at every status but 200. Here those that are about the moment are tried again, as everybody who
runs such streams does, and a number of failures in a row is the end of it.
"""

from __future__ import annotations

import enum

from .._model.errors import NetworkError
from .._model.retry import TRANSIENT_ERRORS, TRANSIENT_STATUSES, RetryPolicy

RECONNECT = RetryPolicy(
    10,  # in a row, which with these delays is five minutes: longer than most restarts, and somebody should know then
    on_status=TRANSIENT_STATUSES | {500},
    # A name that is not found was found before: it is the network that went away.
    on_errors=TRANSIENT_ERRORS | {NetworkError.HOST_NOT_FOUND},
    backoff=1.0,
)
"""How an event stream reconnects by default."""


class Verdict(enum.Enum):
    """What the head of a response means for an event stream."""

    STREAM = "its events follow, if it has the right type"
    NO_MORE = "the server wants no more connections"
    LATER = "it may work later"
    REFUSED = "it will not work"


def judge(status_code: int | None, policy: RetryPolicy) -> Verdict:
    """What a response with this status means; a scheme that has no statuses gives streams."""
    if status_code in (None, 200):
        return Verdict.STREAM
    if status_code == 204:
        return Verdict.NO_MORE
    return Verdict.LATER if status_code in policy.on_status else Verdict.REFUSED


def delay_before_next(
    policy: RetryPolicy, time: float, failures: int, *, chance: float, wish: float | None = None
) -> float | None:
    """Seconds until the next connection; ``None`` if there shall be none.

    Args:
        policy: how often and how much later.
        time: the reconnection time, in seconds.
        failures: how many connections in a row have failed; 0 after a stream that worked.
        chance: a random number from 0 to 1.
        wish: what a Retry-After asks for, in seconds.
    """
    if failures >= policy.attempts:
        return None
    delay = time + policy.delay(failures + 1, chance)
    if wish is None or not policy.respect_retry_after:
        return delay
    return None if wish > policy.max_delay else max(delay, wish)
