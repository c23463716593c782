"""Which HTTP/1.1 codec is used: the quick one where it can be had, else the reference.

Both make the same of the same bytes, so that nothing but the time it takes depends on the choice. It is made once for
all connections of a manager, and only then is a parser imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from .codec import Codec
from .h1_rules import DEFAULT_LIMITS, WireLimits

ParserName: TypeAlias = Literal["httptools", "h11"]
"""The libraries that can read responses."""


def codec_maker(limits: WireLimits = DEFAULT_LIMITS, *, parser: ParserName | None = None) -> Callable[[], Codec]:
    """What makes the codec of a new connection. Without a ``parser`` it is httptools, or h11 where that is missing.

    Raises:
        ImportError: httptools is asked for, and it is not installed or too old.
    """
    if parser is None:
        try:
            return codec_maker(limits, parser="httptools")
        except ImportError:
            return codec_maker(limits, parser="h11")
    if parser == "httptools":
        from .h1_fast import HttptoolsCodec  # may not be installed

        return partial(HttptoolsCodec, limits)
    from .h1 import H11Codec  # not needed where httptools is

    return partial(H11Codec, limits)
