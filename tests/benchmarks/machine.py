"""What the numbers depend on: the machine, and the releases of everything that takes part."""

from __future__ import annotations

import importlib.metadata
import platform
import ssl
import sys
from pathlib import Path

from .clients import CLIENTS

_WITHOUT_CLIENT = ("h11", "httptools")
"""What takes part behind somebody else's name."""


def machine(server: str, *, is_divided: bool) -> dict[str, str]:
    """A description; ``server`` is its version, and ``is_divided`` whether client and server have a processor each."""
    described = {
        "processor": _processor(),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "server": server,
        "TLS": ssl.OPENSSL_VERSION,
        "cores": "one each for client and server" if is_divided else "not divided, so expect nonsense",
    }
    packages = {client.requires for client in CLIENTS.values() if client.is_installed} | {*_WITHOUT_CLIENT}
    for name in sorted(packages - sys.stdlib_module_names):
        if (version := _version(name)) is not None:
            described[name] = version
    return described


def _version(package: str) -> str | None:
    """Which release of ``package`` is installed; ``None`` if none is."""
    for distribution in importlib.metadata.packages_distributions().get(package, [package]):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
