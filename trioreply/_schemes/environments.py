"""What the handlers of schemes need of their manager, as far as it can be had without the handlers themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .._clock import wall_clock
from .._model.running import RunSync
from .._model.values import frozen
from .._net.upload import Uploads

if TYPE_CHECKING:
    from datetime import datetime

    from .._net.tls_context import TlsContexts, TlsSessions


@frozen
class FileEnvironment:
    """What the handler of ``file:`` needs of its manager."""

    run_sync: RunSync
    uploads: Uploads


ALPN = ("http/1.1",)
"""The protocols that we speak over TLS (RFC 7301)."""


class TlsEnvironment:
    """What secure connections need of their manager.

    Args:
        run_sync: carries out what blocks: building contexts.
        key_log: see `build_context`.
        is_strict: whether a host must be secure, so that errors of its certificate cannot be ignored (RFC 6797 section
            8.4).
        clock: the wall clock, in POSIX seconds; only to tell which certificates have expired.
    """

    def __init__(
        self,
        run_sync: RunSync,
        *,
        key_log: str | None,
        is_strict: Callable[[str], bool],
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self.is_strict = is_strict
        self.handshakes = 0
        """How many were done."""
        self.resumptions = 0
        """How many of them resumed an earlier session."""
        self._run_sync = run_sync
        self._key_log = key_log
        self._clock = clock
        self._kept: tuple[TlsContexts, TlsSessions] | None = None

    @property
    def contexts(self) -> TlsContexts:
        """Those that were built so far."""
        return self._caches()[0]

    @property
    def sessions(self) -> TlsSessions:
        """Those that may be resumed."""
        return self._caches()[1]

    def _caches(self) -> tuple[TlsContexts, TlsSessions]:
        if self._kept is None:
            from .._net.tls_context import TlsContexts, TlsSessions

            self._kept = TlsContexts(self._run_sync, key_log=self._key_log), TlsSessions()
        return self._kept

    def now(self) -> datetime:
        """The time, with a time zone."""
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self._clock(), UTC)
