"""When an event stream connects again: what a status means, and how long each wait is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._jobs.reconnect_decide import RECONNECT, Verdict, delay_before_next, judge
from trioreply._model.retry import RetryPolicy


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.STREAM) for status in (None, 200)),
        (204, Verdict.NO_MORE),
        *((status, Verdict.LATER) for status in (429, 500, 502, 503, 504)),
        *((status, Verdict.REFUSED) for status in (201, 205, 206, 301, 304, 307, 400, 401, 404, 410, 501, 505)),
    ],
)
def test_verdicts(status: int | None, verdict: Verdict) -> None:
    """200 is a stream, 204 the end, what is about the moment may pass, and anything else will not."""
    assert judge(status, RECONNECT) is verdict


def test_a_policy_cannot_change_what_streams_are() -> None:
    """What a policy says of 200 and 204 has no effect; of any other status it has."""
    odd = RetryPolicy(on_status={200, 204, 404})
    assert [judge(status, odd) for status in (200, 204, 404, 503)] == [
        Verdict.STREAM,
        Verdict.NO_MORE,
        Verdict.LATER,
        Verdict.REFUSED,
    ]


@pytest.mark.parametrize(
    ("time", "failures", "chance", "wish", "delay"),
    [
        (3, 0, 0, None, 4),
        (3, 0, 1, None, 3.5),
        (0, 0, 1, None, 0.5),
        (3, 1, 0, None, 5),
        (3, 4, 0, None, 19),
        (3, 9, 0, None, 63),
        (100, 0, 0, None, 101),
        (3, 10, 0, None, None),
        (3, 1, 0, 60, 60),
        (3, 1, 0, 1, 5),
        (3, 1, 0, 60.1, None),
    ],
)
def test_delays(time: float, failures: int, *, chance: float, wish: float | None, delay: float | None) -> None:
    """The server's time, and the policy's on top of it; what the server asks for beyond that, within reason."""
    assert delay_before_next(RECONNECT, time, failures, chance=chance, wish=wish) == delay


@given(st.floats(0, 3600), st.integers(0, 50), st.floats(0, 1))
def test_nobody_comes_back_too_early_or_never(time: float, failures: int, chance: float) -> None:
    """Whatever the failures and the chance: not before the server's time, and at most ``max_delay`` after it."""
    delay = delay_before_next(RECONNECT, time, failures, chance=chance)
    if failures >= RECONNECT.attempts:
        assert delay is None
    else:
        assert delay is not None
        assert time <= delay <= time + RECONNECT.max_delay
