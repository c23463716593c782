"""Credentials from a ``.netrc`` file, for those who ask for them (``netrc=``).

The file is read for each look-up, in a thread: it is small, a look-up happens only after a server has demanded
credentials, and people edit it while programs run.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from .._model.errors import AuthenticationRequiredError
from .._model.running import RunSync


def netrc_lookup(
    source: bool | str | os.PathLike[str], run_sync: RunSync
) -> Callable[[str], Awaitable[tuple[str, str] | None]] | None:
    """How to find user and password for a host in the file ``source``.

    Args:
        source: the file; ``True`` for the one that ``NETRC`` names or ``~/.netrc``, ``False`` for none.
        run_sync: carries out what blocks.
    """
    if source is False:
        return None
    path = None if source is True else Path(source)

    def find(host: str) -> tuple[str, str] | None:
        return look_up(host, path)

    async def lookup(host: str) -> tuple[str, str] | None:
        return await run_sync(find, host)

    return lookup


def look_up(host: str, path: Path | None) -> tuple[str, str] | None:
    """User and password for ``host``; ``None`` if the file has none, or is not there. Blocks.

    Raises:
        AuthenticationRequiredError: the file cannot be read, or makes no sense.
    """
    import netrc  # for who asks for it

    if path is None:
        path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        found = netrc.netrc(path).authenticators(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        raise AuthenticationRequiredError(f"netrc: {path} cannot be used: {error}") from error
    if found is None:
        return None
    user, account, password = found
    return (user or account or "", password or "")
