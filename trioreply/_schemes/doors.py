"""The doors to what only some exchanges need: each imports what is behind it when it is first gone through.

Behind them are ``data:``, ``file:`` and ``resource:``, and TLS, which is a sixth of all there is to import. Importing
modules of ours is plain work of some milliseconds: nothing can be cancelled within it, and the order of checkpoints
does not depend on whether it happens. If it fails (a process that has no descriptors left cannot open a module either),
that is an error of the exchange like any other, and the next one tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from .._model.exchange import Sink
from .._model.request import Request
from .._model.running import RunSync
from .._net.connection import MessageSink, Origin, TlsKey
from .._net.interfaces import ByteStream
from .environments import FileEnvironment, TlsEnvironment

if TYPE_CHECKING:
    import ssl

    from .._model.tls import TlsInfo
    from .._net.tls import TlsStream


async def data(request: Request, sink: Sink) -> None:
    """See `data.data`."""
    from .data import data

    await data(request, sink)


async def file(env: FileEnvironment, request: Request, sink: Sink) -> None:
    """See `file.file`."""
    from .file import file

    await file(env, request, sink)


async def resource(run_sync: RunSync, request: Request, sink: Sink) -> None:
    """See `resource.resource`."""
    from .resource import resource

    await resource(run_sync, request, sink)


async def secure(
    env: TlsEnvironment,
    transport: ByteStream,
    context: ssl.SSLContext,
    *,
    origin: Origin,
    key: TlsKey,
    sink: MessageSink,
) -> tuple[TlsStream, TlsInfo]:
    """See `secure.secure`."""
    from .secure import secure

    return await secure(env, transport, context, origin=origin, key=key, sink=sink)


async def with_decisions(
    key: TlsKey, sink: Sink, attempt: Callable[[TlsKey], Awaitable[None]], *, strict: bool
) -> None:
    """See `secure.with_decisions`."""
    from .secure import with_decisions

    await with_decisions(key, sink, attempt, strict=strict)
