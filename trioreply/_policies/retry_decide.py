"""Whether a request that failed is sent again, and after how long: pure decisions.

Sent again is what may be: a request whose method is idempotent (RFC 9110 section 9.2.2) and whose body can be had
again. A POST is never repeated here, whatever the policy says, because it might do its work twice.
"""

from __future__ import annotations

from .._model.bodies import is_rewindable
from .._model.headers import Headers
from .._model.http_date import parse_http_date
from .._model.messages import ResponseHead
from .._model.request import Request
from .._model.retry import RetryPolicy
from .resend import IDEMPOTENT

_DIGITS = 9  # of seconds: thirty years, and anything longer is no number that anybody meant


def may_repeat(request: Request) -> bool:
    """Whether ``request`` can be sent again without harm."""
    return request.verb in IDEMPOTENT and is_rewindable(request.body)


def delay_after(
    policy: RetryPolicy, head: ResponseHead | None, failures: int, *, chance: float, now: float
) -> float | None:
    """Seconds to wait after a failure; ``None`` if the server asks for more than the policy allows.

    Args:
        policy: how long it would be by itself.
        head: of the response that failed; ``None`` if there was none.
        failures: how often it failed until now.
        chance: a random number from 0 to 1.
        now: the wall clock's time in POSIX seconds.
    """
    delay = policy.delay(failures, chance)
    wished = retry_after(head.headers, now=now) if head is not None and policy.respect_retry_after else None
    if wished is None:
        return delay
    return None if wished > policy.max_delay else max(delay, wished)


def retry_after(headers: Headers, *, now: float) -> float | None:
    """The seconds that Retry-After asks for (RFC 9110 section 10.2.3); ``None`` if it says nothing that can be read."""
    text = headers.get("Retry-After")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return float(text)
    date = parse_http_date(text, now=now)
    return None if date is None else max(0.0, date.timestamp() - now)
