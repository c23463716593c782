"""What the suite tells a measuring process to do, and what that process answers. Both travel as JSON."""

from __future__ import annotations

import json

import attrs
from attrs import frozen

BLOCK_SIZE = 65_521
"""Bytes after which a served file's contents repeat: a prime, so that no lost or doubled read buffer goes unnoticed."""
SMALL_SIZE = 100


@frozen(kw_only=True)
class Site:
    """Where the server is."""

    port: int
    ca_file: str | None = None
    """PEM of who vouches for it, over TLS; ``None`` without TLS."""

    @property
    def base(self) -> str:
        """Its URL, without a path."""
        return f"{'http' if self.ca_file is None else 'https'}://127.0.0.1:{self.port}"


@frozen(kw_only=True)
class Job:
    """One measurement, carried out in a process of its own."""

    client: str
    """A name from `clients.CLIENTS`."""
    site: Site
    download: bool
    """Whether ``count`` large files are read, instead of small ones."""
    count: int
    warm_up: int
    """Requests for the small file that go before, and are not counted."""
    width: int = 1
    """How many requests run at once."""
    connections: int
    """How many connections the client may use."""
    large_size: int
    """Bytes of the large file."""
    check: bool = False
    """Whether every byte of a download is compared, which takes time; otherwise they are counted."""
    core: int | None
    """The processor to run on; ``None`` for any."""

    def to_json(self) -> str:
        """For the measuring process."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` gave.

        Raises:
            TypeError: it is something else.
        """
        fields = json.loads(text)
        return cls(**{**fields, "site": Site(**fields["site"])})


@frozen(kw_only=True)
class Sample:
    """The outcome of a job."""

    seconds: float
    """By the clock on the wall."""
    cpu_seconds: float
    """Processor time of the client's process: what a busy machine disturbs least."""
    count: int
    """Requests that were counted."""
    peak_kib: int | None
    """The most memory that was resident, above what was before the first counted request; ``None`` if unknown."""

    def to_json(self) -> str:
        """For the suite."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Sample:
        """What `to_json` gave.

        Raises:
            TypeError: it is something else.
        """
        return cls(**json.loads(text))
