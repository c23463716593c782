"""What a response means for a download, and when the next request is worth it: pure decisions.

A part of a file may only be continued if the rest is of the same version. What tells versions apart is a strong
validator (RFC 9110 section 8.8): an entity tag that is not weak, or a date of modification that the server could not
have given to two versions. It goes back in ``If-Range``, so that a server which has another version sends that one as a
whole. Servers make mistakes there, so each answer is compared with what is known; whatever does not fit is not used,
and the download begins again. That can cost time, and never a file made of two.

The notes beside a partial file say which version it is of. They are trusted as little as a server: they come from a
disk that others can write to.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from yarl import URL

from .._model.content_disposition import safe_name
from .._model.errors import ReplyError, UnknownContentError, error_for_status, status_error_string
from .._model.headers import Headers, content_length
from .._model.http_date import parse_http_date
from .._model.known_headers import KnownHeader
from .._model.messages import ResponseHead
from .._model.retry import RetryPolicy
from .._model.values import frozen
from .._policies.retry_decide import delay_after
from .checksums import Checksum, parse_checksum

STRONG_DATE = timedelta(seconds=60)
"""How much younger than its date of modification a response must be, so that the date can be relied on. RFC 9110
section 8.8.2.2 asks for one second of a clock that is known to be the same, and nothing tells us which clock it was."""

_VERSION = 1
_MAX_SIZE = 10**18
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)", re.IGNORECASE)
_WHOLE = (None, 200, 203)


@frozen
class Validators:
    """What tells one version of a file from another, as the server wrote it. At least one of the two is there."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def if_range(self) -> str:
        """The value of If-Range: the tag if there is one, since it says more (RFC 9110 section 13.1.5)."""
        return self.etag or self.last_modified or ""

    def contradict(self, headers: Headers) -> bool:
        """Whether a response with ``headers`` is of another version. What it does not say is no contradiction."""
        if self.etag is not None:
            return headers.get("ETag", self.etag) != self.etag
        return headers.get("Last-Modified", self.last_modified) != self.last_modified


def strong_validators(headers: Headers, *, now: float) -> Validators | None:
    """The validators of a response that can be relied on byte for byte; ``None`` if there are none."""
    etag = KnownHeader.ETAG.get(headers, now=now)
    if etag is not None and not etag.startswith("W/"):
        return Validators(etag=etag)
    modified, sent = (parse_http_date(headers.get(name, ""), now=now) for name in ("Last-Modified", "Date"))
    if modified is None or sent is None or sent - modified < STRONG_DATE:
        return None
    return Validators(last_modified=headers["Last-Modified"])


def url_key(url: URL) -> str:
    """What stands for ``url`` in notes and names: URLs may hold secrets, and a disk keeps them."""
    return hashlib.sha256(str(url.with_fragment(None)).encode()).hexdigest()


@frozen
class Notes:
    """What is known of a partial file."""

    key: str
    """Of the URL; see `url_key`."""
    validators: Validators
    total: int | None = None
    """The size of the whole file in bytes."""
    digests: tuple[Checksum, ...] = ()
    """What the server said that the whole file amounts to."""
    name: str | None = None
    """What the server calls it."""

    def to_json(self) -> bytes:
        """The notes for the disk."""
        content = {
            "version": _VERSION,
            "url_sha256": self.key,
            "etag": self.validators.etag,
            "last_modified": self.validators.last_modified,
            "total": self.total,
            "digests": [str(digest) for digest in self.digests],
            "name": self.name,
        }
        return json.dumps(content, indent=1).encode()


def read_notes(octets: bytes, key: str) -> Notes | None:
    """The notes that `Notes.to_json` has written for ``key``; ``None`` if these are none, or only a part of them."""
    try:
        content = json.loads(octets)
        if not isinstance(content, dict) or content["version"] != _VERSION or content["url_sha256"] != key:
            return None
        digests = tuple(parse_checksum(text) for text in content["digests"])
        return Notes(
            key, _read_validators(content), _read_total(content["total"]), digests, _read_name(content["name"])
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _read_validators(content: Mapping[str, object]) -> Validators:
    found = [content[name] for name in ("etag", "last_modified")]
    etag, last_modified = (_header_text(value) for value in found)
    if etag is None and last_modified is None:
        raise ValueError("notes without a validator say nothing")
    return Validators(etag, last_modified)


def _header_text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise ValueError(f"{value!r} cannot have come from a header")
    return value


def _read_total(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MAX_SIZE:
        raise ValueError(f"{value!r} is not the size of a file")
    return value


def _read_name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or safe_name(value) != value:
        raise ValueError(f"{value!r} is not the name of a file")
    return value


@frozen
class ContentRange:
    """Which part of a file of which size a response brings (RFC 9110 section 14.4). Without a part: there is none."""

    part: range | None
    total: int | None


def parse_content_range(text: str) -> ContentRange | None:
    """The part that ``text`` names; ``None`` if it makes no sense."""
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return None if total is None else ContentRange(None, total)
    part = range(int(match[1]), int(match[2]) + 1)
    if not part or (total is not None and part.stop > total):
        return None
    return ContentRange(part, total)


class Meaning(enum.Enum):
    """What a response is to a download."""

    WHOLE = "the file from its first byte on"
    PART = "what follows the bytes that are there"
    COMPLETE = "there is nothing after them"
    OTHER = "it does not fit the bytes that are there, which are of no use any more"
    CODED = "it is compressed, although that was not wanted"
    FAILED = "a status that is no success"


@frozen
class Judgement:
    """A meaning, and what goes with it."""

    meaning: Meaning
    total: int | None = None
    """The size of the whole file, if the response says it."""
    is_exact: bool = True
    """Whether the bytes are those that lengths, ranges and digests count; not so of what is decompressed on the way."""
    reason: str = ""
    """Why a response cannot be used, for people."""


class Coding(enum.Enum):
    """What is to become of content that is sent compressed."""

    REFUSED = "it is asked for anew in another way"
    KEPT = "the compressed form is what the file shall be"
    UNDONE = "it is decompressed by who reads it"


@frozen
class Asked:
    """What was asked for: the whole, or what follows the first ``offset`` bytes of a version."""

    offset: int = 0
    total: int | None = None
    validators: Validators | None = None
    coding: Coding = Coding.REFUSED

    def fields(self) -> list[tuple[str, str]]:
        """The header fields that say so."""
        # Who undoes codings asks for those that it knows.
        fields = [] if self.coding is Coding.UNDONE else [("Accept-Encoding", "identity")]
        if self.offset and self.validators is not None:
            fields += [("Range", f"bytes={self.offset}-"), ("If-Range", self.validators.if_range)]
        return fields


def judge(status: int | None, headers: Headers, asked: Asked) -> Judgement:
    """What a response with this head means, if that was asked for. A scheme without statuses has none (``None``)."""
    if asked.offset and status == 206:
        return _judge_part(headers, asked)
    if asked.offset and status == 416:
        return _judge_end(headers, asked)
    if status not in _WHOLE:
        return Judgement(Meaning.FAILED)
    if _is_coded(headers) and asked.coding is not Coding.KEPT:
        if asked.coding is Coding.REFUSED:
            return Judgement(Meaning.CODED, reason="the server sends it compressed, although it was asked not to")
        return Judgement(Meaning.WHOLE, is_exact=False)
    return Judgement(Meaning.WHOLE, content_length(headers))


def _is_coded(headers: Headers) -> bool:
    """Whether the body is not the file itself, but a coded form of it (RFC 9110 section 8.4)."""
    return headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


def _judge_part(headers: Headers, asked: Asked) -> Judgement:
    found = parse_content_range(headers.get("Content-Range", ""))
    if found is None or found.part is None or found.part.start != asked.offset:
        said = headers.get("Content-Range", "nothing")
        return Judgement(Meaning.OTHER, reason=f"byte {asked.offset} was asked for, and {said!r} is what came")
    if asked.total is not None and found.total is not None and found.total != asked.total:
        return Judgement(Meaning.OTHER, reason=f"the file had {asked.total} bytes, and has {found.total} now")
    if asked.validators is not None and asked.validators.contradict(headers):
        return Judgement(Meaning.OTHER, reason="the file has changed")
    return Judgement(Meaning.PART, asked.total if found.total is None else found.total)


def _judge_end(headers: Headers, asked: Asked) -> Judgement:
    found = parse_content_range(headers.get("Content-Range", ""))
    is_end = found is not None and found.part is None and found.total == asked.offset
    changed = asked.validators is not None and asked.validators.contradict(headers)
    if is_end and not changed and asked.total in (None, asked.offset):
        return Judgement(Meaning.COMPLETE, asked.offset)
    return Judgement(Meaning.OTHER, reason=f"the server has nothing after byte {asked.offset}; the file has changed")


def can_be_continued(headers: Headers) -> bool:
    """Whether the server does not say that it has no ranges (RFC 9110 section 14.3). Silence is no answer."""
    return "none" not in [word.strip().lower() for word in headers.get("Accept-Ranges", "").split(",")]


def status_error(status: int, reason: str, url: str) -> ReplyError:
    """What a response amounts to that brings no file.

    Args:
        status: of the response.
        reason: its phrase.
        url: for people.
    """
    kind = error_for_status(status).exception
    if kind is None:
        return UnknownContentError(f"{url} was answered with status {status} {reason}".rstrip() + ", which is no file")
    return kind(status_error_string(status, reason, url))


@frozen
class Patience:
    """How many failures in a row there have been, and how many are borne. Progress, not time, makes patience new.

    What counts as progress is a byte further than any before. So a server that breaks off in the same place for ever,
    and cannot continue, is given up.
    """

    policy: RetryPolicy
    chance: Callable[[], float]
    failures: int = 0
    furthest: int = 0

    def after_failure(self, done: int) -> Patience:
        """The patience after a failure with ``done`` bytes there."""
        failures = 1 if done > self.furthest else self.failures + 1
        return Patience(self.policy, self.chance, failures, max(done, self.furthest))

    def delay(self, headers: Headers | None, *, now: float) -> float | None:
        """Seconds until the next request; ``None`` if there shall be none.

        Args:
            headers: of a response that asks for patience; ``None`` for a failure without one.
            now: the wall clock, in POSIX seconds.
        """
        if self.failures >= self.policy.attempts:
            return None
        head = None if headers is None else ResponseHead(status_code=503, headers=headers)
        return delay_after(self.policy, head, self.failures, chance=self.chance(), now=now)
