"""The limits of a manager's connections as values."""

from __future__ import annotations

import math

import pytest

from trioreply._model.limits import Limits


@pytest.mark.parametrize("field", ["per_host", "total", "max_idle", "idle_expiry"])
@pytest.mark.parametrize("value", [0, -1, True, "6", None, math.nan])
def test_limits_must_be_positive_numbers(field: str, value: object) -> None:
    """A limit that is not a positive number is refused by a ValueError that begins with its name."""
    with pytest.raises(ValueError, match=f"^{field}: "):
        Limits(**{field: value})  # type: ignore[arg-type]  # the wrong type is the point


def test_limits_of_connections_are_whole() -> None:
    """A count of connections is an integer, a time need not be one."""
    with pytest.raises(ValueError, match=r"^total: 1\.5"):
        Limits(total=1.5)  # type: ignore[arg-type]  # the wrong type is the point
    assert Limits(idle_expiry=0.5).idle_expiry == 0.5


def test_limits_have_the_documented_defaults() -> None:
    """Without arguments the limits are Qt's and the browsers'."""
    assert Limits() == Limits(per_host=6, total=100, idle_expiry=120, max_idle=20)
