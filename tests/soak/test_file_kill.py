"""A process that is killed in the middle of replacing a file leaves the old one or the new one, never a mixture."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trioreply

from .put_forever import content

pytestmark = pytest.mark.soak

ROUNDS = 30
SCRIPT = Path(__file__).with_name("put_forever.py")
TEMPORARY = re.compile(r"\.target\.[0-9a-f]{16}\.part")


def killed_after(target: Path, steps: int) -> None:
    """Have a process replace ``target`` again and again, and kill it when it has begun so many steps."""
    # With our path, so that the same package is tested as here.
    environment = {"PYTHONPATH": str(Path(trioreply.__file__).parents[1])}
    command = [sys.executable, str(SCRIPT), target.as_uri()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.read(steps) == b"." * steps
        process.kill()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whenever the process dies, the file is one whole version, and what else is left can be recognised by its name."""
    chance = random.Random(20)
    target = tmp_path / "target"
    versions: list[int] = []
    left_over: set[str] = set()
    for _ in range(ROUNDS):
        target.write_bytes(content(0))
        killed_after(target, chance.randint(1, 60))
        found = target.read_bytes()
        versions.append(int.from_bytes(found[:8]))
        assert found == content(versions[-1])
        left_over = {path.name for path in tmp_path.iterdir()} - {"target"}
        assert all(TEMPORARY.fullmatch(name) for name in left_over)
    assert len(left_over) > ROUNDS / 10
    assert len(set(versions)) > 2
