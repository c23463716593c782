"""What the suite tells a measuring process to do, and what that process answers. Both travel as JSON."""

from __future__ import annotations

import enum
import json

import attrs
from attrs import frozen

BLOCK_SIZE = 65_521
"""Bytes after which a served file's contents repeat: a prime, so that no lost or doubled read buffer goes unnoticed."""
SMALL_SIZE = 100


class Work(enum.StrEnum):
    """What a measuring process does."""

    GET = "get"
    """Files, each as a whole."""
    DOWNLOAD = "download"
    """Files, piece by piece."""
    UPLOAD_FILE = "upload file"
    UPLOAD_JSON = "upload json"
    HOLD = "hold"
    """Many replies, open at the same time, whose bodies do not come."""
    IMPORT = "import"
    COUNT = "count"
    """Whatever one request makes the processor and the interpreter do, counted instead of timed."""


class Parser(enum.StrEnum):
    """What reads the responses, in trioreply."""

    H11 = "h11"
    HTTPTOOLS = "httptools"


@frozen(kw_only=True)
class Site:
    """Where the server is."""

    port: int
    ca_file: str | None = None
    """PEM of who vouches for it, over TLS; ``None`` without TLS."""
    proxy_port: int | None = None
    """Where the proxy is that leads there; ``None``: there is none."""

    @property
    def base(self) -> str:
        """Its URL, without a path."""
        return f"{'http' if self.ca_file is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def proxy(self) -> str | None:
        """The URL of its proxy."""
        return None if self.proxy_port is None else f"http://127.0.0.1:{self.proxy_port}"


@frozen(kw_only=True)
class Job:
    """One measurement, carried out in a process of its own."""

    client: str
    """A name from `clients.CLIENTS`."""
    parser: Parser | None = None
    """What trioreply has to use; ``None`` for whatever it would choose."""
    site: Site
    work: Work = Work.GET
    path: str = "small"
    """What is asked for."""
    size: int = SMALL_SIZE
    """Bytes of that, or about as many of what is sent."""
    file: str | None = None
    """The file that is sent."""
    count: int
    warm_up: int
    """Requests for the small file that go before, and are not counted."""
    width: int = 1
    """How many requests run at once."""
    connections: int
    """How many connections the client may use."""
    check: bool = False
    """Whether every byte of something large is compared, which takes time; otherwise they are counted."""
    core: int | None
    """The processor to run on; ``None`` for any."""

    def to_json(self) -> str:
        """For the measuring process."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` gave.

        Raises:
            TypeError, ValueError: it is something else.
        """
        fields = json.loads(text)
        parser = None if fields["parser"] is None else Parser(fields["parser"])
        return cls(**{**fields, "site": Site(**fields["site"]), "work": Work(fields["work"]), "parser": parser})


@frozen(kw_only=True)
class Sample:
    """The outcome of a job."""

    seconds: float
    """By the clock on the wall."""
    cpu_seconds: float
    """Processor time of the client's process: what a busy machine disturbs least."""
    count: int
    """Requests that were counted."""
    peak_kib: int | None = None
    """The most memory that was resident, above what was before the first counted request; ``None`` if unknown."""
    held_kib: int | None = None
    """The memory that was resident, above the same, while all replies were open; ``None`` if none were held."""
    bytecodes: float | None = None
    """Instructions of the interpreter for one request; ``None`` if they were not counted."""
    instructions: float | None = None
    """Instructions of the processor for one request; ``None`` if they were not counted."""

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
