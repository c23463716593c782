"""One transfer: a reply, and whoever watches it.

What the options ask for (events for people, events for programs, a progress bar, the body) is a watcher each: an
async function that is told of every event, in order. Waiting in a watcher is what slows the transfer down when its
output does, so memory stays bounded by the reply's read buffer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio

from .. import (
    Event,
    Finished,
    Informational,
    Manager,
    ManagerConfig,
    MetaDataChanged,
    NetworkError,
    Progress,
    QuestionEvent,
    ReadyRead,
    Reply,
    SocketStartedConnecting,
    open_manager,
)
from .args import Fetch
from .errands import Errand
from .exits import CommandError, Exit, exit_for, explain
from .files import Output
from .network_options import Network, mistake_in_proxy
from .records import json_line
from .render import LinePrinter, ProgressDisplay, Style, print_event
from .stores import Stores
from .tls_options import in_words_of_options, mistake_in_options
from .wording import printable

Watcher = Callable[[Reply, Event, float], Awaitable[None]]
"""``async (reply, event, elapsed) -> None``; ``elapsed`` are seconds since the transfer's start."""


class BytesWriter(Protocol):
    """Takes bytes."""

    async def write(self, content: bytes) -> None:
        """Take all of ``content``."""
        ...


class Nowhere:
    """Takes bytes that nobody wants."""

    async def write(self, content: bytes) -> None:
        """Forget ``content``."""


Use = Callable[[Manager], Awaitable[CommandError | None]]
"""What is done with a manager; gives what went wrong."""


async def with_manager(errand: Errand, use: Use, *, config: ManagerConfig | None = None) -> None:
    """Open a manager for ``errand``, and keep what is to be kept, whatever becomes of it.

    Args:
        errand: what the manager has to know.
        use: what is done with it.
        config: what it has to know besides.

    Raises:
        CommandError: ``use`` has failed; what is to be kept cannot be read, or not be written.
    """
    stores = Stores(errand.keeping)
    await stores.load()
    options: ManagerConfig = {
        "cookie_jar": stores.jar,
        "hsts": stores.hsts,
        "netrc": errand.netrc,
        **errand.network.config(),
        **(config or {}),
    }
    async with open_manager(**options) as manager:
        outcomes = [await use(manager), await stores.save()]
    failures = [outcome for outcome in outcomes if outcome is not None]
    if failures:
        raise CommandError("; ".join(map(str, failures)), failures[0].code) from failures[0]


async def transfer(options: Fetch, watchers: Sequence[Watcher]) -> None:
    """Carry out ``options.request`` and tell the watchers of each event; keep what is to be kept, failed or not.

    Raises:
        CommandError: the reply ended with an error, HTTP statuses included; what is to be kept cannot be read, or not
            be written; or what a watcher raises.
    """

    async def exchange(manager: Manager) -> CommandError | None:
        return await _exchange(manager, options, watchers)

    await with_manager(options, exchange)


async def _exchange(manager: Manager, options: Fetch, watchers: Sequence[Watcher]) -> CommandError | None:
    """The transfer; gives what went wrong."""
    try:
        async with manager.send(options.request) as reply:
            started = trio.current_time()
            if options.max_time is not None:
                reply.cancel_scope.deadline = started + options.max_time
            async for event in reply:
                elapsed = trio.current_time() - started
                for watch in watchers:
                    await watch(reply, event, elapsed)
            return None if reply.error is NetworkError.NO_ERROR else _failure(options, reply)
    except CommandError as error:
        return error


def _failure(options: Fetch, reply: Reply) -> CommandError:
    if reply.error is NetworkError.TIMEOUT and trio.current_time() >= reply.cancel_scope.deadline:
        return too_late(options)
    return failure(reply.error, reply.error_string)


def too_late(errand: Errand) -> CommandError:
    """It took longer than ``--max-time``."""
    return CommandError(f"--max-time: it was not over after {errand.max_time:g} s", Exit.TRANSPORT)


def failure(error: NetworkError, message: str) -> CommandError:
    """What a reply that ended with ``error`` means to whoever runs the command; ``message`` is the library's."""
    message = explain(error, message)
    if error is NetworkError.SSL_HANDSHAKE_FAILED:
        mistake = mistake_in_options(message)
        message = in_words_of_options(message)
    else:
        mistake = mistake_in_proxy(message)
    return CommandError(message, exit_for(error)) if mistake is None else CommandError(mistake, Exit.USAGE)


def write_body(output: BytesWriter) -> Watcher:
    """Write the body to ``output`` as it comes. An empty one is written, too, if there was a response."""

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, ReadyRead) or (isinstance(event, Finished) and reply.status_code is not None):
            await output.write(reply.read())

    return watch


def write_head(output: Output) -> Watcher:
    """Write status line and fields of each response to ``output``, an empty line between two of them."""
    between = ""

    async def watch(reply: Reply, event: Event, _elapsed: float) -> None:
        nonlocal between
        if isinstance(event, MetaDataChanged):
            text = between + "".join(f"{line}\n" for line in head_lines(reply, event))
            between = "\n"
            await output.write(text.encode("utf-8", "surrogateescape"))

    return watch


def write_events(output: Output) -> Watcher:
    """Write each event to ``output`` as a line of JSON."""

    async def watch(_reply: Reply, event: Event, elapsed: float) -> None:
        await output.write(json_line(event, elapsed=elapsed))

    return watch


def print_events(printer: LinePrinter, network: Network) -> Watcher:
    """Print each event, and under it what the server said, or where the way of ``network`` leads through a proxy."""

    async def watch(reply: Reply, event: Event, elapsed: float) -> None:
        print_event(printer, event, elapsed=elapsed)
        if isinstance(event, SocketStartedConnecting):
            proxy = network.ways.begun(event, reply.url)
            if proxy is not None:
                printer.line(("          * ", Style.DIM), (f"through the proxy {proxy}", Style.PLAIN))
        if isinstance(event, MetaDataChanged | Informational):
            for line in head_lines(reply, event):
                printer.line(("          < ", Style.DIM), (printable(line), Style.PLAIN))
        await trio.lowlevel.checkpoint()

    return watch


def show_progress(display: ProgressDisplay) -> Watcher:
    """Show on ``display`` how far it is, unless there is something else to look at: a question, or another place."""

    async def watch(_reply: Reply, event: Event, _elapsed: float) -> None:
        if isinstance(event, Progress) and event.done:
            display.show(event)
        elif isinstance(event, QuestionEvent):
            display.close()
        await trio.lowlevel.checkpoint()

    return watch


def head_lines(reply: Reply, event: MetaDataChanged | Informational) -> list[str]:
    """What the server said: its status line, if the scheme has such a thing, and the fields."""
    lines = [f"{name}: {value}" for name, value in event.headers.items()]
    if event.status_code is not None:
        # The reply may be at a later response by now, which has a reason phrase of its own.
        reason = f" {reply.reason}" if reply.reason and reply.status_code == event.status_code else ""
        version = f"HTTP/{reply.http_version}" if reply.http_version else "HTTP"
        lines.insert(0, f"{version} {event.status_code}{reason}")
    return lines
