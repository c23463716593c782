"""Many tasks that stop their replies at random over a small pool: nothing is left, and the manager goes on."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply import Limits, Manager, NetworkError, Operation
from trioreply.testing import Origin, open_origin
from trioreply.testing.leaks import Snapshot

from .mischief import BODY, COMPLETE, DOWNLOADS, UPLOADS, Client, many_at_once
from .watching import is_at_rest, until_at_rest, watched_manager

pytestmark = pytest.mark.soak

SECONDS = 60.0
TASKS = 40
LIMITS = Limits(per_host=10, total=10)
FOLLOWERS = 12
PIECE = 64 * 1024
ENDINGS = {
    NetworkError.NO_ERROR,
    NetworkError.OPERATION_CANCELED,
    NetworkError.REMOTE_HOST_CLOSED,
    NetworkError.TIMEOUT,
    NetworkError.UNKNOWN_CONTENT,  # the 413
}
"""How replies may end here, and how some of them must, or the hammer has not hit."""


async def hammer(manager: Manager, origin: Origin, client: Callable[[int], Awaitable[None]]) -> None:
    """Let all clients loose, and check that the manager is as good as new afterwards."""
    await many_at_once(TASKS, client)
    await until_at_rest(manager)
    origin.routes = DOWNLOADS
    succeeded: list[int] = []

    async def follow(number: int) -> None:
        target = sorted(COMPLETE)[number % len(COMPLETE)]
        assert (await manager.fetch(origin.url(target))).body == BODY
        succeeded.append(number)

    await many_at_once(FOLLOWERS, follow)
    assert sorted(succeeded) == list(range(FOLLOWERS))
    assert is_at_rest(manager)
    assert manager.statistics().idle <= LIMITS.total


@pytest.mark.parametrize("seed", range(4))
async def test_random_cancels_leave_nothing_behind(seed: int) -> None:
    """After thousands of downloads stopped at random, from honest and from faulty routes, nothing is held."""
    before = Snapshot.take()
    with trio.fail_after(SECONDS):
        async with open_origin(DOWNLOADS) as origin, watched_manager(limits=LIMITS) as (manager, endings):

            async def client(number: int) -> None:
                whimsical = Client(manager, (seed, number))
                for _ in range(100):
                    url = origin.url(whimsical.random.choice(list(DOWNLOADS)))
                    await whimsical.send(trioreply.Request(url))

            await hammer(manager, origin, client)
    endings.check(at_least=TASKS * 60)
    assert set(endings.errors) == ENDINGS
    await before.assert_nothing_new()


class Bodies:
    """Request bodies of every kind, of known content."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "body"
        self.path.write_bytes(BODY * 20)
        self.size = len(BODY) * 20

    def request(self, client: Client, url: str) -> trioreply.Request:
        """A request with a body of a kind of the client's choice; a broken one for routes that do not mind."""
        kind = client.random.choice(["bytes", "path", "stream", "measured stream"])
        headers = {"Content-Length": str(self.size)} if kind == "measured stream" else {}
        body: bytes | Path | AsyncIterator[bytes] = self._stream()
        if kind == "bytes":
            body = BODY * 20
        elif kind == "path":
            body = self.path
        return trioreply.Request(
            url,
            operation=Operation.PUT,
            body=body,
            headers=headers,
            expect_continue=client.random.random() < 0.2,
            user_data=self.size,
            # For routes that never answer, and callers who wait for them.
            transfer_timeout=0.2 if url.endswith("/never") else None,
        )

    async def _stream(self) -> AsyncIterator[bytes]:
        for start in range(0, self.size, PIECE):
            await trio.lowlevel.checkpoint()
            yield (BODY * 20)[start : start + PIECE]


@pytest.mark.parametrize("seed", range(4))
async def test_random_cancels_of_uploads_leave_nothing_behind(seed: int) -> None:
    """As above for uploads from memory, files and generators: no file, no thread and no connection is left."""
    before = Snapshot.take()
    with tempfile.TemporaryDirectory() as directory, trio.fail_after(SECONDS):
        bodies = Bodies(Path(directory))
        async with (
            open_origin(UPLOADS) as origin,
            watched_manager(limits=LIMITS, detached_timeout=0.5) as (manager, endings),
        ):

            async def client(number: int) -> None:
                whimsical = Client(manager, (seed, number))
                for _ in range(40):
                    url = origin.url(whimsical.random.choice(list(UPLOADS)))
                    await whimsical.send(bodies.request(whimsical, url))

            await hammer(manager, origin, client)
    endings.check(at_least=TASKS * 25)
    assert set(endings.errors) == ENDINGS
    await before.assert_nothing_new()
