"""What is known before a transfer, and what is kept of it: cookies, and the hosts that want to be spoken to securely.

Cookies are read from and written to ``cookies.txt``, which curl and browsers' tools read as well; the hosts stand in a
file of the library's own. A file that cannot be read is a mistake in the option that names it, and nothing is sent
then; one that cannot be written is said at the end, whatever became of the transfer.
"""

from __future__ import annotations

import trio

from .. import CookieJar, HstsStore, HstsStoreError
from .exits import CommandError, Exit
from .web_options import Keeping


class Stores:
    """The jar and the store of one run of the command."""

    def __init__(self, keeping: Keeping) -> None:
        self.jar = CookieJar()
        self.hsts = None if keeping.hsts is None else HstsStore(path=keeping.hsts)
        self._keeping = keeping

    async def load(self) -> None:
        """Read what there is.

        Raises:
            CommandError: a file cannot be read.
        """
        await trio.lowlevel.checkpoint()
        for path in self._keeping.cookie_files:
            try:
                await self.jar.load_cookies_txt(path)
            except (OSError, ValueError) as error:
                raise CommandError(f"-b/--cookie: {path} is no cookies.txt: {error}", Exit.USAGE) from error
        # What was typed counts more than what was kept.
        for cookie in self._keeping.cookies:
            self.jar.insert(cookie)
        if self.hsts is not None:
            try:
                await self.hsts.load()
            except HstsStoreError as error:
                raise CommandError(f"--hsts: {error}", Exit.USAGE) from error

    async def save(self) -> CommandError | None:
        """Write what is to be kept; gives what went wrong."""
        await trio.lowlevel.checkpoint()
        try:
            if self._keeping.cookie_jar is not None:
                await self.jar.save_cookies_txt(self._keeping.cookie_jar)
            if self.hsts is not None:
                await self.hsts.save()
        except OSError as error:
            reason = error.strerror or str(error)
            return CommandError(f"cannot write the cookies to {self._keeping.cookie_jar}: {reason}", Exit.OUTPUT)
        except HstsStoreError as error:
            return CommandError(str(error), Exit.OUTPUT)
        return None
