"""How much memory this process has, as Linux tells it; other systems do not, and then it is ``None``."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident() -> int | None:
    """What is resident now, in KiB."""
    return _status("VmRSS:")


def resident_peak() -> int | None:
    """The most that was resident since `forget_peak`, in KiB."""
    return _status("VmHWM:")


def forget_peak() -> int | None:
    """Let what is resident now be the peak; it in KiB."""
    gc.collect()
    try:
        _CLEAR.write_text("5", "ascii")
    except OSError:
        return None
    return resident_peak()


def above(before: int | None, now: int | None) -> int | None:
    """What came on top."""
    return None if before is None or now is None else now - before


def _status(name: str) -> int | None:
    with suppress(OSError):
        for line in _STATUS.read_text("ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return None
