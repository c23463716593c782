"""Questions to whoever sits at the terminal, and what is typed in answer.

A person is asked, never a script: a `Dialogue` exists only where both ends are a terminal and where what is typed is
not the request's body. Nobody has to answer: the end of the input (Ctrl-D) is no answer, and so is a terminal that has
gone. What must not be seen is not shown while it is typed, and the terminal is put in order again however that ends.
"""

from __future__ import annotations

import contextlib

from .files import StandardInput
from .render import Printer


class Dialogue:
    """Asks on ``printer``, and reads the answer from ``keyboard``. One question at a time."""

    def __init__(self, printer: Printer, keyboard: StandardInput) -> None:
        self.printer = printer
        self._keyboard = keyboard

    async def says_yes(self, question: str) -> bool:
        """Whether the answer is yes; anything else is a no."""
        return (await self.line(question) or "").strip().lower() in ("y", "yes")

    async def line(self, prompt: str) -> str | None:
        """What is typed up to Enter; ``None`` if nobody answers."""
        return await self._answer(prompt, hidden=False)

    async def secret(self, prompt: str) -> str | None:
        """As `line`, and nobody who looks over the shoulder sees it."""
        with contextlib.suppress(OSError), self._keyboard.without_echo():
            return await self._answer(prompt, hidden=True)
        return None

    async def _answer(self, prompt: str, *, hidden: bool) -> str | None:
        typed = b""
        self.printer.prompt(prompt)
        try:
            with contextlib.suppress(OSError):  # the terminal has gone
                typed = await self._keyboard.receive_some()  # a line: that is what terminals give
        finally:
            if hidden or not typed.endswith(b"\n"):
                self.printer.line()  # nobody has seen an Enter, and what comes next needs a line of its own
        return typed.decode("utf-8", "surrogateescape").removesuffix("\n") if typed else None
