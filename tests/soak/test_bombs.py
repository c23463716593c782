"""Bombs of a gibibyte on their way through a whole manager: refused, or unpacked, in little memory either way."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply._model.request import MIB
from trioreply.testing import OriginResponse, open_origin

from ..wire.content_cases import COMPRESSORS, needs_br, needs_zstd
from ..wire.test_content_bombs import GIBIBYTE, MAX_PEAK, bomb

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process its peak"),
]
BOMBS = [
    ("gzip",),
    ("deflate",),
    pytest.param(("br",), marks=needs_br),
    pytest.param(("zstd",), marks=needs_zstd),
    ("gzip", "gzip"),
    pytest.param(("gzip", "br"), marks=needs_br),
    pytest.param(("zstd", "gzip", "deflate", "gzip"), marks=needs_zstd),
]


async def unpacked(codings: Sequence[str], limit: int) -> dict[str, object]:
    """What a process of its own makes of a gibibyte of zeros in ``codings``."""
    packed = b"".join(bomb(codings[0]))
    for name in codings[1:]:
        packed = COMPRESSORS[name](packed)
    small = OriginResponse(200, (("Content-Encoding", codings[0]),), COMPRESSORS[codings[0]](b"still fine"))
    routes = {"/small": small, "/bomb": OriginResponse(200, (("Content-Encoding", ", ".join(codings)),), packed)}
    # The tested package first: it may be an installed one.
    paths = [str(Path(trioreply.__file__).parents[1]), str(Path(__file__).parents[2])]
    async with open_origin(routes) as origin:
        with trio.fail_after(60):
            process = await trio.run_process(
                [sys.executable, "-m", "tests.soak.unpack", origin.base_url, str(limit)],
                capture_stdout=True,
                env={"PYTHONPATH": os.pathsep.join(paths)},
            )
    report: dict[str, object] = json.loads(process.stdout)
    assert isinstance(peak := report.pop("peak_above_idle"), int)
    assert peak < MAX_PEAK
    assert report.pop("after") == "still fine"
    return report


@pytest.mark.parametrize("codings", BOMBS, ids="-".join)
async def test_a_bomb_is_refused_in_little_memory(codings: Sequence[str]) -> None:
    """Under the usual limit a bomb ends as UNKNOWN_CONTENT soon, within 16 MiB, and its manager goes on."""
    report = await unpacked(codings, 10 * MIB)
    assert report["error"] == "UNKNOWN_CONTENT"
    assert isinstance(total := report["total"], int)
    # A bomb that would become large slowly is one when its proportion is that of a bomb.
    assert total < GIBIBYTE // 2


@pytest.mark.parametrize("codings", BOMBS, ids="-".join)
async def test_a_bomb_is_unpacked_in_little_memory(codings: Sequence[str]) -> None:
    """With the limit switched off a gibibyte comes out, every byte of it, within the same 16 MiB."""
    assert await unpacked(codings, 0) == {"total": GIBIBYTE, "error": "NO_ERROR"}
