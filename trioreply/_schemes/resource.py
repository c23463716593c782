"""``resource:`` URLs: data that lies in a Python package, as ``qrc:`` is data that lies in a Qt program.

``resource:my.package/path/to/file`` is the file of that path in the directory of the package ``my.package``, wherever
the package lies: in a directory or in an archive (see `importlib.resources`). The package stands in the path because a
host would be written in lower case by everybody who handles URLs, and packages may have capitals. A slash before it
makes no difference, as in ``qrc:/``. GET and HEAD only.

* **Looking for a package may run code**: that of the packages around it, for ``a.b`` that of ``a``, as importing it
  would. The package itself is not imported, and what is no package never. Still, do not open such URLs for strangers;
  a manager's ``schemes`` can leave ``resource`` out.
* **Nothing leads out of the package**: no dots, no separators in percent-encoding, no backslashes. Symbolic links that
  somebody installed with the package are followed.

The size of what lies in an archive is known only after it was unpacked, so it comes without a length.
"""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import unquote

from yarl import URL

from .._model.errors import (
    ContentAccessDenied,
    ContentNotFoundError,
    ContentOperationNotPermittedError,
    ProtocolInvalidOperationError,
    ProtocolUnknownError,
    UnknownContentError,
)
from .._model.exchange import Sink
from .._model.options import Operation
from .._model.request import Request
from .._model.running import RunSync
from .._model.urls import display
from .._net.owned import Owned
from .local import OpenFile, deliver, describe

_FORBIDDEN = frozenset("/\\\0")


async def resource(run_sync: RunSync, request: Request, sink: Sink) -> None:
    """Deliver a file of a package, for GET and HEAD.

    Raises:
        ProtocolUnknownError: another operation.
        ProtocolInvalidOperationError: the URL has a host, names no package, or leads out of it.
        ContentNotFoundError: there is no such package, or no such file in it.
        ContentOperationNotPermittedError: it is a directory.
        ContentAccessDenied, UnknownContentError: it may not be read, or cannot be for another reason.
    """
    if request.operation not in (Operation.GET, Operation.HEAD):
        raise ProtocolUnknownError(
            f'Protocol "resource" is unknown for {request.verb}; the data of a package can only be read'
        )
    package, path = parse(request.url)
    source = Owned(run_sync, OpenFile.close)
    try:
        opened = await source.open(partial(_open, package, path))
        await deliver(request, source, sink, opened=opened, name="/".join((package, *path)))
    finally:
        await source.aclose()


def parse(url: URL) -> tuple[str, tuple[str, ...]]:
    """The package that ``url`` names, and the path in it.

    Raises:
        ProtocolInvalidOperationError: it has a host, names no package or no file, or leads out of the package.
    """
    segments = url.raw_path.removeprefix("/").split("/")
    package, *path = (unquote(segment, errors="surrogateescape") for segment in segments)
    if url.raw_authority or not all(name.isidentifier() for name in package.split(".")) or not path:
        raise ProtocolInvalidOperationError(
            f"{display(url)} names no data of a package; write resource:package/path, such as resource:my.app/logo.png"
        )
    if not all(_is_name(segment) for segment in path):
        raise ProtocolInvalidOperationError(
            f"{display(url)} does not name a file below the package; leave out dots, backslashes and empty names"
        )
    return package, tuple(path)


def _is_name(segment: str) -> bool:
    return segment not in ("", ".", "..") and not _FORBIDDEN & set(segment)


# In a worker thread


def _open(package: str, path: tuple[str, ...]) -> OpenFile:
    name = "/".join(path)
    place: Traversable = _directory_of(package)
    for segment in path:
        place = place / segment
    if place.is_dir():
        raise ContentOperationNotPermittedError(f"{name!r} of the package {package} is a directory; name a file in it")
    if not place.is_file():
        raise ContentNotFoundError(f"the package {package} has no file {name!r}; check that it is installed with it")
    try:
        with ExitStack() as stack:
            opened = describe(stack.enter_context(place.open("rb")))
            stack.pop_all()
            return opened
    except OSError as error:
        kind = ContentAccessDenied if isinstance(error, PermissionError) else UnknownContentError
        raise kind(f"{name!r} of the package {package} could not be opened: {error.strerror or error}") from error


def _directory_of(package: str) -> Traversable:
    """Where the files of ``package`` are."""
    try:
        spec = importlib.util.find_spec(package)
    except (ModuleNotFoundError, ValueError) as error:  # ValueError: what is running cannot say what it is
        raise _no_package(package) from error
    if spec is None or spec.submodule_search_locations is None:
        raise _no_package(package)
    # A module that was made and never run is enough to ask where it would be.
    return files(importlib.util.module_from_spec(spec))


def _no_package(package: str) -> ContentNotFoundError:
    return ContentNotFoundError(f"there is no package {package!r}; check its name, and that it is installed")
