"""When a request that failed is sent again, and after how long: a policy, as a value.

Nothing is retried unless a request or its manager asks for it. What may be sent again at all does not depend on the
policy: see `trioreply._policies.retry_decide`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrs import Attribute, field

from .errors import NetworkError
from .values import frozen

TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
"""Too Many Requests, Bad Gateway, Service Unavailable, Gateway Timeout: they are about the moment, not the request."""
TRANSIENT_ERRORS = frozenset(
    {
        NetworkError.CONNECTION_REFUSED,
        NetworkError.REMOTE_HOST_CLOSED,
        NetworkError.TIMEOUT,
        NetworkError.TEMPORARY_NETWORK_FAILURE,
        NetworkError.PROXY_CONNECTION_REFUSED,
        NetworkError.PROXY_CONNECTION_CLOSED,
        NetworkError.PROXY_TIMEOUT,
    }
)
"""What a server that restarts, or a network that changes, makes of a connection. A name that is not found is mostly a
name that does not exist."""

_MAX_DOUBLINGS = 60  # by then any delay has met its maximum, and floats still reach


def _statuses(source: Iterable[int]) -> frozenset[int]:
    statuses = frozenset(source)
    for status in statuses:
        if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
            raise ValueError(f"on_status: {status!r} is no status of a final response; give numbers from 200 to 599")
    return statuses


def _errors(source: Iterable[NetworkError]) -> frozenset[NetworkError]:
    try:
        errors = frozenset(NetworkError(code) for code in source)
    except ValueError as error:
        raise ValueError(f"on_errors: {error}") from None
    if NetworkError.NO_ERROR in errors:
        raise ValueError("on_errors: NO_ERROR is no failure")
    return errors


def _attempts(_instance: object, _attribute: Attribute[int], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"attempts: {value!r} is not a count; give an integer from 1 on, which means never again")


def _seconds(_instance: object, attribute: Attribute[float], value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name}: {value!r} is not a number of seconds from 0 on")


def _share(_instance: object, _attribute: Attribute[float], value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"jitter: {value!r} is not a number from 0 to 1")


@frozen
class RetryPolicy:
    """How often and when a request is sent again that failed in a way that may pass.

    The first wait is ``backoff``, each further one twice as long, up to ``max_delay``; a random part of it, up to
    ``jitter``, is left out, so that many clients of a server that failed do not come back all at once.

    Raises:
        ValueError: a value is impossible; the text starts with its name.
    """

    attempts: int = field(default=3, validator=_attempts)
    """How often the request is sent altogether. 3 gets over a restart, and a server that is down is not kept there."""
    on_status: frozenset[int] = field(default=TRANSIENT_STATUSES, converter=_statuses, kw_only=True)
    """The statuses after which it is."""
    on_errors: frozenset[NetworkError] = field(default=TRANSIENT_ERRORS, converter=_errors, kw_only=True)
    """The failures after which it is, as long as no response had begun."""
    backoff: float = field(default=0.5, validator=_seconds, kw_only=True)
    """Seconds before the second attempt."""
    jitter: float = field(default=0.5, validator=_share, kw_only=True)
    """How much of a wait may be left out: 0 nothing, 1 all of it."""
    max_delay: float = field(default=60.0, validator=_seconds, kw_only=True)
    """The longest wait in seconds. A server that asks for more in Retry-After is left alone: that response is final."""
    respect_retry_after: bool = field(default=True, kw_only=True)
    """Whether Retry-After (RFC 9110 section 10.2.3) makes a wait longer than it would be anyway."""

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after that many ``failures`` (1 for the first); ``chance`` is random, from 0 to 1."""
        full = min(self.backoff * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), self.max_delay)
        return full * (1 - self.jitter * chance)
