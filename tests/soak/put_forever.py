"""A process that replaces a file again and again, until it is killed.

Run as ``python put_forever.py URL``. Each content is another, and can be told from its first bytes, so that a mixture
is seen. The process writes a dot before everything it does in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TypeVar, TypeVarTuple

import trio

import trioreply
from trioreply import NetworkError
from trioreply._net.upload import Uploads
from trioreply._schemes.environments import FileEnvironment
from trioreply._schemes.file import file

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def content(version: int) -> bytes:
    """The content with that number; any two differ in length, and in each of their words."""
    return version.to_bytes(8) * (60_000 + version)


async def noted(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
    """As `trio.to_thread.run_sync`, with a dot before."""
    sys.stdout.write(".")
    sys.stdout.flush()
    return await trio.to_thread.run_sync(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)


async def put_forever(url: str) -> None:
    """Replace the file, until this process is killed."""
    async with trioreply.open_manager() as manager:
        manager.register_scheme("file", partial(file, FileEnvironment(noted, Uploads(run_sync=noted))))
        for version in count(1):
            async with manager.put(url, content(version)) as reply:
                assert await reply.wait_finished() is NetworkError.NO_ERROR


if __name__ == "__main__":
    trio.run(put_forever, sys.argv[1])
