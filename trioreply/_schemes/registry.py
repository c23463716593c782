"""Which handler serves which scheme, and which schemes may be used at all."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable

import trio

from .._model.errors import ProtocolUnknownError
from .._model.exchange import Handler, Sink
from .._model.request import Request

_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*", re.ASCII)


class Registry:
    """The innermost handler of every pipeline: it looks up the handler of the URL's scheme."""

    def __init__(self, allowed: Iterable[str] | None = None) -> None:
        self._handlers: dict[str, Handler] = {}
        self._waiting: set[str] = set()  # the schemes whose handlers are known to wait
        self._allowed = None if allowed is None else frozenset(map(_scheme, allowed))

    def register(self, name: str, handler: Handler, *, waits: bool = False) -> None:
        """Serve URLs of scheme ``name`` with ``handler``, also if another one did so before.

        Whatever goes well has been a checkpoint: with ``waits`` the handler sees to that, for others it is done here.

        Raises:
            ValueError: ``name`` is not a scheme's name (RFC 3986 section 3.1).
        """
        scheme = _scheme(name)
        self._handlers[scheme] = handler
        self._waiting.discard(scheme)
        if waits:
            self._waiting.add(scheme)

    @property
    def supported(self) -> tuple[str, ...]:
        """The schemes that can be used, in the order of their registration."""
        return tuple(name for name in self._handlers if self._allowed is None or name in self._allowed)

    def __call__(self, request: Request, sink: Sink) -> Awaitable[None]:
        """Carry out ``request`` with the handler of its scheme.

        Raises:
            ProtocolUnknownError: there is none, or the manager's ``schemes`` do not allow it.
        """
        scheme = request.url.scheme
        handler = self._handlers.get(scheme)
        if handler is None:
            raise ProtocolUnknownError(
                f'Protocol "{scheme}" is unknown; this manager supports {", ".join(self.supported)}'
            )
        if self._allowed is not None and scheme not in self._allowed:
            raise ProtocolUnknownError(f'Protocol "{scheme}" is not among the schemes this manager allows')
        return handler(request, sink) if scheme in self._waiting else _after_checkpoint(handler, request, sink)


async def _after_checkpoint(handler: Handler, request: Request, sink: Sink) -> None:
    await trio.lowlevel.checkpoint()
    await handler(request, sink)


def _scheme(name: str) -> str:
    lowered = name.lower()
    if not _SCHEME.fullmatch(lowered):
        raise ValueError(f"scheme: {name!r} is not the name of a URL scheme; use letters, digits, '+', '.' and '-'")
    return lowered
