"""A scheme whose exchanges do what the test says, step by step.

`Script` is a handler: it carries out what the test puts into it, in the exchange's own task, and remembers the answers
to its questions. `open_scripted` opens a manager that serves ``test:`` URLs with one.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Unpack, cast

import trio
import trio.testing

import trioreply
from trioreply import Event, Manager, Message, Question, Reply, Request, ResponseData, ResponseHead, TlsAnswer
from trioreply.abc import Sink

URL = "test://alice:hush@host/path"
SHOWN_URL = "test://host/path"

AnyQuestion = Question[TlsAnswer] | Question[tuple[str, str]] | Question[bool] | Question[object]

Step = Message | AnyQuestion | Exception | Callable[[], Awaitable[None]]
"""A message to report, a question to ask, an error to end with, or something to wait for."""


class Script:
    """A handler that does what it is told; it runs until `end`, or until an error was among the steps."""

    def __init__(self, *steps: Step) -> None:
        self._send, self._receive = trio.open_memory_channel[Step](math.inf)
        self.answers: list[object] = []
        self.done = 0
        """How many steps it has carried out."""
        self.requests: list[Request] = []
        self.cancelled = False
        self.put(*steps)

    def put(self, *steps: Step) -> None:
        """Have these steps carried out."""
        for step in steps:
            self._send.send_nowait(step)

    def respond(self, *pieces: bytes, status: int | None = 200, **headers: str) -> None:
        """Have a response reported: its head, and its body in pieces."""
        self.put(
            ResponseHead(status, "Reason", {name.replace("_", "-"): value for name, value in headers.items()}, "1.1")
        )
        self.put(*map(ResponseData, pieces))

    def end(self) -> None:
        """Have the exchange end when the steps are done."""
        self._send.close()

    async def __call__(self, request: Request, sink: Sink) -> None:
        """Carry out the steps."""
        self.requests.append(request)
        try:
            async for step in self._receive:
                await self._carry_out(step, sink)
                self.done += 1
        finally:
            self.cancelled = trio.current_effective_deadline() == -math.inf

    async def _carry_out(self, step: Step, sink: Sink) -> None:
        match step:
            case Exception():
                raise step
            case Question():
                self.answers.append(await sink.ask(cast("Question[object]", step)))  # any answer will do
            case _ if callable(step):
                await step()
            case _:
                await sink.put(step)


@contextlib.asynccontextmanager
async def open_scripted(script: Script, **config: Unpack[trioreply.ManagerConfig]) -> AsyncIterator[Manager]:
    """A manager that serves ``test:`` URLs with ``script``."""
    async with trioreply.open_manager(**config) as manager:
        manager.register_scheme("test", script)
        yield manager


@contextlib.asynccontextmanager
async def open_reply(
    script: Script, body: trioreply.BodySource | None = None, **fields: Unpack[trioreply.RequestFields]
) -> AsyncIterator[Reply]:
    """A reply of a manager of its own."""
    async with open_scripted(script) as manager, manager.get(URL, body, **fields) as reply:
        yield reply


async def settle() -> None:
    """Until every task waits for something that this one has to do."""
    await trio.testing.wait_all_tasks_blocked()


async def rest_of(events: trio.abc.ReceiveChannel[Event]) -> list[Event]:
    """Every event up to the end of the channel."""
    return [event async for event in events]
