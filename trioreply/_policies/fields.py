"""Changing the header fields of a request on its way through the pipeline.

`Request.replace` checks the whole request again, which is right for what people write and a tenth of the price of a
small exchange for what a policy does to its fields. Here the copy is not checked: the request was legal, and the new
fields are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import attrs

from .._model.headers import Headers
from .._model.request import Request

_NAMES = tuple(field.name for field in attrs.fields(Request))
_values: Callable[[Request], tuple[object, ...]] = attrgetter(*_NAMES)
# Slots can be filled this way although the class is frozen; attrs itself does the same.
_SETTERS: tuple[Callable[[Request, object], None], ...] = tuple(getattr(Request, name).__set__ for name in _NAMES)


def with_headers(request: Request, headers: Headers) -> Request:
    """A copy of ``request`` with ``headers``, which must be legal."""
    copy = object.__new__(Request)
    for fill, value in zip(_SETTERS, _values(request), strict=True):
        fill(copy, value)
    object.__setattr__(copy, "headers", headers)
    return copy
