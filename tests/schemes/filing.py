"""What the tests of local files share: managers that serve them, and a worker thread without rights."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trioreply
from trioreply import Manager
from trioreply._model.running import RunSync
from trioreply._net.upload import Uploads
from trioreply._schemes.environments import FileEnvironment
from trioreply._schemes.file import file
from trioreply._schemes.resource import resource

from ..net.uploading import inline

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_NOBODY = 65534


def register(manager: Manager, run_sync: RunSync = inline) -> None:
    """Have ``manager`` serve ``file:`` and ``resource:``."""
    manager.register_scheme("file", partial(file, FileEnvironment(run_sync, Uploads(run_sync=run_sync))))
    manager.register_scheme("resource", partial(resource, run_sync))


@asynccontextmanager
async def open_filing(run_sync: RunSync = inline) -> AsyncIterator[Manager]:
    """A manager that does."""
    async with trioreply.open_manager() as manager:
        register(manager, run_sync)
        yield manager


@contextmanager
def common_directory() -> Iterator[Path]:
    """A directory that everybody may use; pytest's own are for one user."""
    with tempfile.TemporaryDirectory(prefix="trioreply-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        yield directory
        directory.chmod(0o700)


async def without_rights(sync_fn: Callable[[*Ts], T], /, *args: *Ts, abandon_on_cancel: bool = False) -> T:
    """Stand in for a worker thread, as a user for whom permissions count: the superuser passes them all."""
    is_superuser = os.geteuid() == 0
    if is_superuser:
        os.seteuid(_NOBODY)
    try:
        return await inline(sync_fn, *args, abandon_on_cancel=abandon_on_cancel)
    finally:
        if is_superuser:
            os.seteuid(0)


def names_in(directory: Path) -> list[str]:
    """What lies in ``directory``."""
    return sorted(path.name for path in directory.iterdir())


def contents(directory: Path) -> dict[str, bytes]:
    """The files in ``directory``, and what is in them."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
