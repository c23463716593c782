"""Processes of ours that serve: they get a processor, and they end with the benchmark whatever happens to it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 5.0


def become_server(core: int | None) -> None:
    """In the process that becomes a server: take a processor, and end with whoever started us, even if killed."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End ``process``, and wait until it has."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
