"""Makes public names say where users import them from.

Tracebacks, ``repr`` and documentation show a class by its ``__module__``. Ours should read ``trioreply.Reply``, which
people can import, and not ``trioreply._reply.reply.Reply``, which may move tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def export(namespace: Mapping[str, object], names: Iterable[str], *, module: str, only: Mapping[str, str] = {}) -> None:
    """Rewrite ``__module__`` of classes and functions to ``module``, or to what ``only`` says for a name."""
    for name in names:
        value = namespace[name]
        if getattr(value, "__name__", None) == name and getattr(value, "__module__", "").startswith(__package__ or ""):
            value.__module__ = only.get(name, module)
