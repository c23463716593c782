"""How credentials are asked for: a challenge, as a value."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field

from .values import frozen


@frozen
class Challenge:
    """A server's or proxy's demand for credentials (RFC 9110 section 11.3)."""

    scheme: str
    realm: str = ""
    parameters: Mapping[str, str] = field(factory=dict, hash=False)
    previous_user: str | None = None
    """The user name that was tried and refused, if one was."""
