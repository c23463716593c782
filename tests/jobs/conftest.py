"""Where the journeys of whole jobs happen: where those of single replies do."""

from __future__ import annotations

from ..journeys.conftest import memory, place

__all__ = ["memory", "place"]
