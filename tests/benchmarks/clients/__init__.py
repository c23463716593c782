"""The clients that are measured, each in a module that only its own measuring process imports.

A client's module has two names: ``run``, which runs an async function to its end in the client's event loop, and
``open_session``, an async context manager that gives a `Session`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeVar, cast

from attrs import frozen

from ..job import Site

T = TypeVar("T")
Take = Callable[[bytes], None]
"""Gets each piece of a download."""

IMPORTED = "imported"
"""The variant that stands for importing the package, and nothing else."""
FETCHED = "fetched"
"""The variant that stands for importing as much of the package as its first exchange needs, and for that exchange."""


class Session:
    """A client that is connected to the benchmark's server. Paths have no slash in front.

    Every method raises whatever the client raises, and a status other than 200 is an error, too. A client need not be
    able to do everything: what it inherits from here raises `NotImplementedError`.
    """

    async def get(self, path: str) -> bytes:
        """GET ``path``; its contents."""
        raise NotImplementedError("this way is not for whole bodies")

    async def download(self, path: str, take: Take) -> None:
        """GET ``path``, and hand over the pieces as they come."""
        raise NotImplementedError("this way is not for downloads")

    async def upload(self, path: str, file: Path) -> bytes:
        """PUT what is in ``file``; the answer's contents."""
        raise NotImplementedError("this way is not for uploads")

    async def upload_json(self, path: str, value: list[str]) -> bytes:
        """POST ``value`` as JSON; the answer's contents."""
        raise NotImplementedError("this way is not for JSON")

    async def hold(self, path: str, opened: Callable[[], None]) -> bytes:
        """GET ``path``, call ``opened`` once the head has come, then read the contents."""
        raise NotImplementedError("this way does not see heads before bodies")

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """Run ``tasks`` at the same time, until all have ended."""
        raise NotImplementedError("this way does one thing at a time")


class ClientModule(Protocol):
    """What a client's module has."""

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run ``main`` to its end."""
        ...

    def open_session(self, variant: str, *, site: Site, connections: int) -> AbstractAsyncContextManager[Session]:
        """Connect to the server at ``site``, with up to ``connections`` connections."""
        ...


@frozen
class Client:
    """Something that is measured."""

    name: str
    module: str
    requires: str
    """The package that has to be installed."""
    variant: str = ""
    """Which of a library's ways, where it has several."""

    @property
    def imports(self) -> str:
        """What `importing` has to be told."""
        return "fetch" if self.variant == FETCHED else self.requires

    @property
    def is_ours(self) -> bool:
        """Whether it is what the benchmarks are about."""
        return self.requires == "trioreply"

    @property
    def is_installed(self) -> bool:
        """Whether it can be measured here."""
        return importlib.util.find_spec(self.requires) is not None

    def load(self) -> ClientModule:
        """Import it.

        Raises:
            ImportError: it is not installed.
        """
        return cast("ClientModule", importlib.import_module(f"{__name__}.{self.module}"))


CLIENTS = {
    client.name: client
    for client in (
        Client("trioreply fetch", "with_trioreply", "trioreply", "fetch"),
        Client("trioreply get", "with_trioreply", "trioreply", "get"),
        Client("trioreply events", "with_trioreply", "trioreply", "events"),
        Client("trioreply chunks", "with_trioreply", "trioreply", "chunks"),
        Client("trioreply stream", "with_trioreply", "trioreply", "stream"),
        Client("trioreply, resumed", "with_trioreply", "trioreply", "resumed"),
        Client("trioreply, not resumed", "with_trioreply", "trioreply", "not resumed"),
        Client("bare Trio", "with_sockets", "trio"),
        Client("trio.SSLStream", "with_sockets", "trio", "tls"),
        Client("asyncio, resumed", "with_asyncio", "asyncio", "resumed"),
        Client("asyncio, not resumed", "with_asyncio", "asyncio"),
        Client("httpx", "with_httpx", "httpx", "httpx"),
        Client("httpx2", "with_httpx", "httpx2", "httpx2"),
        Client("aiohttp", "with_aiohttp", "aiohttp"),
        Client("pyreqwest", "with_pyreqwest", "pyreqwest"),
        Client("pycurl", "with_pycurl", "pycurl"),
        Client("Qt", "with_qt", "PySide6"),
        Client("import trio", "", "trio", IMPORTED),
        Client("import trioreply", "", "trioreply", IMPORTED),
        Client("import and first fetch", "", "trioreply", FETCHED),
        Client("import httpx2", "", "httpx2", IMPORTED),
        Client("import aiohttp", "", "aiohttp", IMPORTED),
    )
}
