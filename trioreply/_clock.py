"""The wall clock, read here and nowhere else.

What the library does takes its time from Trio (`trio.current_time`), so that it can be tested. What others have dated
(certificates, cookies, caches, HSTS) has to be compared with the calendar; whoever does that gets this function as an
argument.
"""

from __future__ import annotations

import time


def wall_clock() -> float:
    """Seconds since 1970-01-01 00:00 UTC."""
    return time.time()
