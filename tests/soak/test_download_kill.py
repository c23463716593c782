"""A process that is killed in the middle of a download, again and again: the next one goes on, and nothing is mixed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply._jobs.download_decide import read_notes, url_key
from trioreply._jobs.download_file import NOTES_SUFFIX, SUFFIX
from trioreply._model.urls import make_url
from trioreply.testing import open_origin

from ..jobs.range_origin import RangeOrigin, names_in

pytestmark = pytest.mark.soak

ROUNDS = 30
SIZE = 3_000_000
SECONDS = 120.0
SCRIPT = Path(__file__).with_name("download_once.py")


def version(number: int) -> tuple[str, bytes]:
    """An entity tag, and content that differs from that of every other version in each of its words."""
    return f'"{number}"', (number.to_bytes(2) * SIZE)[:SIZE]


async def run_for(url: str, path: Path, steps: int | None) -> None:
    """Have a process download, and kill it when it has begun so many steps; ``None``: let it come to its end."""
    command = [sys.executable, str(SCRIPT), url, str(path)]
    # With our path, so that the same package is tested as here.
    environment = {"PYTHONPATH": str(Path(trioreply.__file__).parents[1])}
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    seen = b""
    try:
        async with process.stdout:
            while (steps is None or seen.count(b".") < steps) and not seen.endswith(b"\n"):
                piece = await process.stdout.receive_some()
                assert piece, "the process has ended by itself"
                seen += piece
    finally:
        if steps is not None:
            process.kill()
        await process.wait()


def check(directory: Path, versions: dict[str, bytes], key: str) -> int:
    """See that all that is there is of one version; gives the size of the part."""
    target, part = directory / "f", directory / f"f{SUFFIX}"
    notes_path = part.with_name(part.name + NOTES_SUFFIX)
    assert {path.name for path in directory.iterdir()} <= {"f", part.name, notes_path.name}
    if target.exists():
        assert target.read_bytes() in versions.values()
    notes = read_notes(notes_path.read_bytes(), key) if notes_path.exists() else None
    if notes is None or not part.exists():
        return 0
    octets = part.read_bytes()
    assert notes.total == SIZE
    assert octets == versions[notes.validators.etag or ""][: len(octets)]
    return len(octets)


async def test_killed_at_any_moment(tmp_path: Path) -> None:
    """What is on the disk is of the version that the notes name, and in the end the file is byte for byte right."""
    chance = random.Random(6)
    server = RangeOrigin()
    versions: dict[str, bytes] = {}
    sizes: list[int] = []
    with trio.fail_after(SECONDS):
        async with open_origin(server) as origin:
            url = origin.url("/f")
            for number in range(ROUNDS):
                if number % 6 == 0:
                    server.etag, server.content = version(number)
                    versions[server.etag] = server.content
                await run_for(url, tmp_path / "f", chance.randint(1, 25))
                sizes.append(check(tmp_path, versions, url_key(make_url(url))))
            await run_for(url, tmp_path / "f", None)
    assert (tmp_path / "f").read_bytes() == server.content
    assert names_in(tmp_path) == ["f"]
    assert sum(size > 0 for size in sizes) > ROUNDS / 3
    assert sum(asked is not None for asked, _ in server.asked) > ROUNDS / 3
