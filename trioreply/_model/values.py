"""attrs' `frozen` and `define`, quicker to make classes with: for ours are made while somebody waits for an import.

attrs writes the source of each class's methods and compiles it, which is most of what importing us costs. ``__init__``
and what else is called for every request is worth that: compiled for its class it is quicker than anything general. But
equality, hash and ``repr`` of most values are never asked for in most processes. They are the same three functions for
all classes here, and find out what they need to know about a class when they are first called for it. That halves what
a class costs.

What they do is what attrs' own do, with one rule for each:

* Equal are values of the very same class whose fields are equal, save for those with ``eq=False``.
* A frozen value's hash is that of the same fields, save for those with ``hash=False``; what can be changed has none.
* ``repr`` shows the fields in their order, each with its own ``repr`` function if it has one.
* A method that a class has written itself is left alone.

They are a little slower than compiled ones. So values that are keys on the way of every request take attrs' own.
Type checkers see nothing of this: to them these are attrs' own, and they know everything about those.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING

import attrs
from attrs import AttrsInstance

_Fields = Callable[[object], object]
"""Takes from a value the fields that count."""

_compared: dict[type, _Fields] = {}
_hashed: dict[type, _Fields] = {}
_shown: dict[type, tuple[tuple[str, Callable[[object], str]], ...]] = {}


def _make(
    make: Callable[..., type],
    hashing: Callable[[AttrsInstance], int] | None,
    made: type | None = None,
    **options: object,
) -> object:
    """The class ``made``; without one, what makes it: attrs' decorators can be used with options and without."""
    if made is None:
        return lambda made: _make(make, hashing, made, **options)
    methods: dict[str, object] = {}
    if options.pop("eq", True):
        methods.update(__eq__=_eq, __hash__=hashing)
    if options.pop("repr", True):
        methods.update(__repr__=_repr)
    own = vars(made)
    quick = make(made, eq=False, repr=False, **options)
    for name in methods.keys() - own.keys():
        setattr(quick, name, methods[name])
    return quick


def _fields(kind: type[AttrsInstance], wanted: Callable[[attrs.Attribute[object]], object]) -> _Fields:
    names = [field.name for field in attrs.fields(kind) if wanted(field)]
    return attrgetter(*names) if names else _nothing


def _nothing(_value: object) -> object:
    return ()


def _eq(self: AttrsInstance, other: object) -> object:
    kind = self.__class__
    if other.__class__ is not kind:
        return NotImplemented
    getter = _compared.get(kind)
    if getter is None:
        getter = _compared[kind] = _fields(kind, lambda field: field.eq)
    return getter(self) == getter(other)


def _hash(self: AttrsInstance) -> int:
    kind = self.__class__
    getter = _hashed.get(kind)
    if getter is None:
        getter = _hashed[kind] = _fields(kind, lambda field: field.eq if field.hash is None else field.hash)
    return hash(getter(self))


@recursive_repr()
def _repr(self: AttrsInstance) -> str:
    kind = self.__class__
    shown = _shown.get(kind)
    if shown is None:
        fields = ((field.name, field.repr) for field in attrs.fields(kind) if field.repr)
        shown = _shown[kind] = tuple((name, repr if show is True else show) for name, show in fields)
    texts = [f"{name}={show(getattr(self, name))}" for name, show in shown]
    return f"{kind.__qualname__.rpartition('>.')[2]}({', '.join(texts)})"


if TYPE_CHECKING:
    from attrs import define, frozen
else:
    frozen = partial(_make, attrs.frozen, _hash)
    define = partial(_make, attrs.define, None)

__all__ = ("define", "frozen")
