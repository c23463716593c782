"""Examples in README and the documentation, found in the text and run as a reader would run them.

Every block marked as Python is run; what shall not be run is not marked as Python. The blocks of a page share their
names, in order. A block is a program, or a fragment that may ``await``: then it finds an open ``manager``. Examples
speak to ``http://example.org``; here that is a server on this machine, which answers

* ``/missing`` with 404, ``/NAME.json`` with a JSON object, anything else with 200,000 bytes;
* a request with a body with that body.

A block that defines tests (``async def test_...``) has them run, as pytest-trio would: with the one fixture
``autojump_clock``, if a test asks for it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import CodeType

import trio
from attrs import frozen
from trio.testing import MockClock

import trioreply

_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n(?:(?P=indent) +:.*\n)*\n(?P<text>(?:(?P=indent) +.*\n|\n)+)",
    re.MULTILINE,
)


@frozen
class Block:
    """One block of a page."""

    path: Path
    line: int
    """Where its text begins, counted from 1."""
    language: str
    text: str


def blocks_of(path: Path) -> list[Block]:
    """The marked blocks of a page, in order."""
    page = path.read_text("utf-8")
    pattern = _FENCE if path.suffix == ".md" else _DIRECTIVE
    blocks = []
    for match in pattern.finditer(page):
        line = page.count("\n", 0, match.start("text")) + 1
        blocks.append(Block(path, line, match["language"], textwrap.dedent(match["text"]).strip() + "\n"))
    return blocks


def run_page(path: Path, origin: str) -> int:
    """Run the Python of a page, with ``http://example.org`` at ``origin``; how many blocks that were."""
    names: dict[str, object] = {"__name__": "__main__", "trio": trio, "trioreply": trioreply}
    blocks = [block for block in blocks_of(path) if block.language == "python"]
    for block in blocks:
        # Blank lines in front make the line numbers of a traceback those of the page.
        text = "\n" * (block.line - 1) + block.text.replace("http://example.org", origin)
        code = compile(text, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        before = dict(names)
        if code.co_flags & inspect.CO_COROUTINE:
            trio.run(_run_fragment, code, names)
        else:
            exec(code, names)
        for name, value in list(names.items()):
            if name.startswith("test_") and before.get(name) is not value:
                _run_test(value)
    return len(blocks)


def _run_test(test: object) -> None:
    if not inspect.iscoroutinefunction(test):
        raise TypeError(f"{test} is no async function, so there is nobody who would run it")
    wanted = inspect.signature(test).parameters
    clock = MockClock(autojump_threshold=0) if "autojump_clock" in wanted else None
    trio.run(partial(test, **dict.fromkeys(wanted, clock)), clock=clock)


async def _run_fragment(code: CodeType, names: dict[str, object]) -> None:
    async with trioreply.open_manager() as manager:
        names["manager"] = manager
        await eval(code, names)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/missing"):
            self._answer(404, "text/plain", b"no such thing\n")
        elif self.path.partition("?")[0].endswith(".json"):
            self._answer(200, "application/json", json.dumps({"path": self.path}).encode())
        else:
            self._answer(200, "application/octet-stream", bytes(200_000))

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b"".join(iter(self._read_chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(200, self.headers.get("Content-Type", "application/octet-stream"), body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_POST()

    def _read_chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        return self.rfile.read(size + 2)[:size]

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: pages print enough themselves."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            # An example that aborts closes the connection, which is the point of it.
            self.close_connection = True


@contextmanager
def example_server() -> Iterator[str]:
    """A server for the examples, on its own thread; gives its origin, such as ``http://127.0.0.1:49152``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        # Nobody waits for a thread whose connection the manager of an example keeps: it ends with that connection.
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
