"""``trioreply events``: a stream of server-sent events, one line for each, over as many connections as it takes.

Writing a line is waited for, so a reader of our output that is slow holds the server back, and memory stays bounded.

What happens besides (``-v``) is told by the manager's replies themselves, to a task of its own. The hard part is to let
it end: it has to tell of everything first, also of what was the end.
"""

from __future__ import annotations

import math
import shlex
import sys
from functools import partial

import trio

from .. import Event, EventStream, Finished, Manager, Reply, ReplyError, ServerSentEvent
from .asking import Dialogue
from .exits import CommandError, Exit
from .files import Output
from .listen_options import LAST_EVENT_ID, Listen
from .network_options import Network
from .parsing import as_wrong_usage
from .questions import Desk, judges, with_passwords
from .records import event_line
from .render import LinePrinter, Style, open_printer, print_moment
from .tasks import together
from .transfer import failure, print_events, too_late, with_manager
from .wording import printable

_DEFAULTS = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
"""What a request for events says (HTML standard section 9.2.2)."""

_OK = (None, 200)
_NO_MORE = 204


def columns(event: ServerSentEvent) -> bytes:
    """``event`` as a line for people: kind, id and text, with tabs in between, and everything that steers escaped."""
    return "\t".join(map(printable, (event.event, event.id, event.data))).encode() + b"\n"


class ListenRun:
    """One run of the command."""

    def __init__(self, command: Listen, output: Output, dialogue: Dialogue | None) -> None:
        self._command = command
        self._output = output
        self._dialogue = dialogue
        self._printer = open_printer(sys.stderr)
        self._desk = Desk(judges(command, self._printer, dialogue), make_room=lambda: None)
        self._last_id = ""
        self._count = 0
        self._connections = 0
        """How many replies there were."""

    async def perform(self) -> int:
        """Print events until there are no more; gives the exit code.

        Raises:
            CommandError: it failed.
        """
        command = await with_passwords(self._command, self._dialogue)
        work = self._listen_and_tell if command.verbose else self._listen
        await with_manager(command, partial(work, command), config=self._desk.config())
        return Exit.OK

    def kept(self) -> str:
        """Where to go on, if something was printed that has a place in the stream."""
        if not self._count or not self._last_id or not self._last_id.isprintable():
            return ""
        return f"; with --last-event-id={shlex.quote(self._last_id)} it goes on from there"

    async def _listen_and_tell(self, command: Listen, manager: Manager) -> CommandError | None:
        """As `_listen`, and print what happens besides."""
        found: CommandError | None = None
        teller = _Teller(self._printer, command.network)

        async def listen() -> None:
            nonlocal found
            found = await self._listen(command, manager)
            teller.end_after(self._connections)

        async with manager.observe() as channel:
            await together(listen, partial(teller.tell, channel))
        return found

    async def _listen(self, command: Listen, manager: Manager) -> CommandError | None:
        """Print the events; gives what went wrong."""
        try:
            with trio.move_on_after(math.inf if command.max_time is None else command.max_time) as limit:
                with as_wrong_usage():
                    stream = manager.event_stream(
                        command.request, last_event_id=command.last_event_id, reconnect=command.reconnect
                    )
                # Also made for one connection, for what it says about the arguments.
                await (self._read_once(command, manager) if command.is_once else self._read(stream))
        except ReplyError as error:
            return failure(error.code, error.message)
        except CommandError as error:
            return error
        return too_late(command) if limit.cancelled_caught else None

    async def _read(self, stream: EventStream) -> None:
        async with stream:
            try:
                async for event in stream:
                    if await self._print(event):
                        break
            finally:
                self._connections = stream.attempts

    async def _read_once(self, command: Listen, manager: Manager) -> None:
        fields = {**_DEFAULTS, **({LAST_EVENT_ID: command.last_event_id} if command.last_event_id else {})}
        given = command.request.headers
        headers = [*given.items(), *(field for field in fields.items() if field[0] not in given)]
        async with manager.send(command.request.replace(headers=headers)) as reply:
            self._connections = 1
            await reply.wait_metadata()
            if reply.status_code in _OK:
                async for event in reply.server_sent_events(last_event_id=command.last_event_id):
                    if await self._print(event):
                        return
            else:
                async for _ in reply.chunks():
                    pass  # a status is the reply's error only when its page has come
            reply.raise_for_error()
            if reply.status_code not in (*_OK, _NO_MORE):
                raise CommandError(
                    f"the server answered with status {reply.status_code}; event streams have 200", Exit.CONTENT
                )

    async def _print(self, event: ServerSentEvent) -> bool:
        """Print ``event``; whether it was the last one that is wanted."""
        await self._output.write(event_line(event) if self._command.is_json else columns(event))
        self._last_id = event.id
        self._count += 1
        return self._count == self._command.count


class _Teller:
    """Prints what happens to the replies of a stream of events."""

    def __init__(self, printer: LinePrinter, network: Network) -> None:
        self._printer = printer
        self._watch = print_events(printer, network)
        self._started = trio.current_time()
        self._reply: Reply | None = None
        self._begun = 0
        self._ended = 0
        self._wanted = math.inf
        self._scope = trio.CancelScope()

    def end_after(self, replies: int) -> None:
        """There were so many replies, and there will be no more."""
        self._wanted = replies
        if self._ended >= replies:
            self._scope.cancel()

    async def tell(self, channel: trio.abc.ReceiveChannel[tuple[Reply, Event]]) -> None:
        """Print what ``channel`` says, to the end of the last reply."""
        with self._scope:
            async for reply, event in channel:
                elapsed = trio.current_time() - self._started
                if reply is not self._reply:
                    self._note_connection(reply, elapsed)
                await self._watch(reply, event, elapsed)
                if isinstance(event, Finished):
                    self._ended += 1
                    if self._ended >= self._wanted:
                        return

    def _note_connection(self, reply: Reply, elapsed: float) -> None:
        self._reply = reply
        self._begun += 1
        if self._begun > 1:
            last_id = reply.request.headers.get(LAST_EVENT_ID)
            place = "" if last_id is None else f", to go on behind {printable(last_id)!r}"
            print_moment(
                self._printer, ("reconnecting", Style.HEADING), f"connection {self._begun}{place}", elapsed=elapsed
            )
