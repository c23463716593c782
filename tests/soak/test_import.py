"""What ``import trioreply`` does, and does not do. Quick, so it belongs to the ordinary tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import trioreply

HEAVY = {"cryptography", "h2", "publicsuffixlist", "rich", "httptools", "certifi", "asyncio"}
OURS = {"trioreply.testing", "trioreply._cli", "trioreply.contrib"}


def test_an_import_is_light_and_silent() -> None:
    """Importing the package loads nothing heavy, neither its command line nor its test tools, and prints nothing."""
    program = "import json, sys, trioreply; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(Path(trioreply.__file__).parents[1])},
        capture_output=True,
        check=True,
        timeout=60,
    )
    loaded = set(json.loads(result.stdout))
    assert loaded.isdisjoint(HEAVY | OURS)
    assert result.stderr == b""
