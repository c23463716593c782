"""Makes public names say where users import them from, and finds those that are imported only when they are used.

Tracebacks, ``repr``, pickles and documentation show a class by its ``__module__``. Ours should read
``trioreply.Reply``, which people can import, and not ``trioreply._reply.reply.Reply``, which may move tomorrow. What is
imported together with the package is told so there, by `export`. A module that is imported later may be imported by
anybody, so it says itself which of its names are `public`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Mapping
from importlib import import_module
from typing import TypeVar

T = TypeVar("T", bound=Callable[..., object])

_PACKAGE = __package__ or ""


def export(namespace: Mapping[str, object], names: Iterable[str], *, module: str, only: Mapping[str, str] = {}) -> None:
    """Rewrite ``__module__`` of classes and functions to ``module``, or to what ``only`` says for a name."""
    for name in names:
        value = namespace[name]
        if getattr(value, "__name__", None) == name and getattr(value, "__module__", "").startswith(_PACKAGE):
            value.__module__ = only.get(name, module)


def public(made: T) -> T:
    """Decorate a class or function that is importable from the package, in a module that is not imported with it."""
    made.__module__ = _PACKAGE
    return made


def finder(namespace: dict[str, object], names: Container[str], homes: Mapping[str, str]) -> Callable[[str], object]:
    """The package's ``__getattr__`` (PEP 562), which imports what a name needs when it is first used.

    Several threads may do that at once: importing takes care of it, and each of them finds the same object. If an
    import fails, its error is the caller's and nothing is kept, so the next use tries again.

    Args:
        namespace: the package's, where a name is found by itself from then on.
        names: those that can be found.
        homes: the modules of those that are not among the essentials, and public modules; relative to the package.
    """

    def find(name: str) -> object:
        home = homes.get(name)
        if home is None and name not in names:
            # Python's own words, and what it takes to propose a name that is spelt like this one.
            raise AttributeError(
                f"module {_PACKAGE!r} has no attribute {name!r}", name=name, obj=sys.modules.get(_PACKAGE)
            )
        essentials = vars(import_module("._essentials", _PACKAGE))
        if home is None:
            value = essentials[name]
        else:
            module = import_module(home, _PACKAGE)
            value = module if home == f".{name}" else getattr(module, name)
        namespace[name] = value
        return value

    return find
