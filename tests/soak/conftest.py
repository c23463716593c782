"""The nginx of the soak tests, with a large file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from ..peers.nginx import Nginx, running_nginx
from .large import write_large

GIBIBYTE = 1024**3


@frozen
class LargeFile:
    """A file that nginx serves."""

    url: str
    size: int
    sha256: str
    nginx: Nginx


@pytest.fixture(scope="session")
def large_file() -> Iterator[LargeFile]:
    """A file of 1 GiB, behind nginx; gone when the session ends."""
    # Not pytest's directory, which stays until three more runs have passed.
    with tempfile.TemporaryDirectory(prefix="trioreply-soak-") as directory, running_nginx(Path(directory)) as nginx:
        digest = write_large(nginx.files / "large", GIBIBYTE)
        yield LargeFile(nginx.url("/large"), GIBIBYTE, digest, nginx)
