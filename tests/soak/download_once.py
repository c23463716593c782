"""A process that downloads one file, to be killed meanwhile.

Run as ``python download_once.py URL PATH``. It writes a dot before everything that it does in a thread, and a line feed
when the file is whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

import trioreply
from trioreply._jobs.download import download
from trioreply._jobs.opener import DOWNLOAD_RETRY, DownloadEnvironment

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def noted(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
    """As `trio.to_thread.run_sync`, with a dot before."""
    sys.stdout.write(".")
    sys.stdout.flush()
    return await trio.to_thread.run_sync(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)


async def download_once(url: str, path: str) -> None:
    """Download the file, and say so."""
    async with trioreply.open_manager() as manager:
        await download(DownloadEnvironment(manager, noted, DOWNLOAD_RETRY), url, path)
    sys.stdout.write("\n")


if __name__ == "__main__":
    trio.run(download_once, sys.argv[1], sys.argv[2])
