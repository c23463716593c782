"""How many connections a manager may have, and how long it keeps the ones nobody uses.

Values only; `trioreply._net.slots` applies them. Another bound stands here because signatures name it: their modules
shall not import what reads events.
"""

from __future__ import annotations

import math
from typing import TypeVar

from attrs import Attribute, field

from .values import frozen

N = TypeVar("N", int, float)

MAX_EVENT = 1024 * 1024
"""The largest server-sent event that is accepted by default, in bytes: one alone could fill the memory otherwise."""


def _positive_int(_instance: object, attribute: Attribute[int], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{attribute.name}: {value!r} is not a count of connections; give an integer from 1 on")


def _positive_seconds(_instance: object, attribute: Attribute[N], value: object) -> None:
    # bool is an int to Python, and NaN would compare as "not yet" for ever.
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value) or value <= 0:
        raise ValueError(f"{attribute.name}: {value!r} is not a number of seconds above 0; math.inf means never")


@frozen(kw_only=True)
class Limits:
    """Limits of a manager's connections. Each one applies by itself: a ``total`` below ``per_host`` just wins.

    A connection counts from the moment its dialling begins until it is closed, idle ones included.

    Raises:
        ValueError: a value is not positive, or not a number; the text starts with the field's name.
    """

    per_host: int = field(default=6, validator=_positive_int)
    """Connections to one origin. 6 is what Qt and the browsers use, so servers are tuned to it, and their owners take
    more for an attack. HTTP/2 needs only one."""
    total: int = field(default=100, validator=_positive_int)
    """Connections altogether. 100 serves 16 origins at their full 6, and leaves a process most of the 256 descriptors
    that the strictest common system (macOS) allows it by default."""
    idle_expiry: float = field(default=120, validator=_positive_seconds)
    """Seconds for which an unused connection is kept; `math.inf` keeps it until the peer closes it. 120 is the default
    of Qt's ``ConnectionCacheExpiryTimeoutSecondsAttribute``; servers that give up earlier are noticed when they do."""
    max_idle: int = field(default=20, validator=_positive_int)
    """Unused connections kept altogether; the oldest leaves first. 20 keeps three origins warm at their full 6, and
    bounds what an application that visits many hosts once each holds open at the servers' cost."""
