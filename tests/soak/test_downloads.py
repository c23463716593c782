"""A gibibyte from nginx: it arrives intact, in little memory, and no faster than it is read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import trio

import trioreply
from trioreply import MetaDataChanged
from trioreply._net.h1_connection import LARGE_READ_SIZE, READ_SIZE

from ..peers.dialing import WatchedDialer
from .conftest import LargeFile
from .download import WAYS

pytestmark = pytest.mark.soak

SCRIPT = Path(__file__).with_name("download.py")
MIB = 1024 * 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process its peak of memory")
@pytest.mark.parametrize("way", WAYS)
async def test_a_gibibyte_arrives_intact_in_little_memory(way: str, large_file: LargeFile) -> None:
    """Every byte of 1 GiB arrives in its place, and takes at most 12 MiB more than an idle manager."""
    with trio.fail_after(60):
        # `-m`-less and with our path, so that the same package is tested as here.
        process = await trio.run_process(
            [sys.executable, str(SCRIPT), large_file.url, way],
            capture_stdout=True,
            env={"PYTHONPATH": str(Path(trioreply.__file__).parents[1])},
        )
    report = json.loads(process.stdout)
    assert report["sha256"] == large_file.sha256
    assert report["peak_above_idle"] <= 12 * MIB


@pytest.mark.parametrize("size", [4096, 65536])
async def test_a_server_is_throttled_by_a_reader_who_pauses(size: int, large_file: LargeFile) -> None:
    """With ``read_buffer_size`` no more is taken from the network than that and one read; then it goes on."""
    dialer = WatchedDialer()
    target = f"/large?throttled={size}"
    async with trioreply.open_manager(dialer=dialer) as manager:
        with trio.fail_after(60):
            async with manager.get(large_file.nginx.url(target), read_buffer_size=size) as reply:
                for paused in range(1, 4):
                    await _until_full(reply, size)
                    await _let_the_network_run(manager, large_file)
                    assert dialer.streams[0].received - (paused - 1) * 2 * MIB <= size + LARGE_READ_SIZE + READ_SIZE
                    await reply.read_exactly(2 * MIB)
            sent = await _sent(large_file, target)
    # The rest is what the kernels of both sides hold.
    assert 4 * MIB < sent < 64 * MIB


async def _until_full(reply: trioreply.Reply, size: int) -> None:
    """Wait until the reply's buffer is as full as it may be."""
    while reply.bytes_available < size:
        async for event in reply:
            if isinstance(event, (MetaDataChanged, trioreply.ReadyRead)):
                break


async def _let_the_network_run(manager: trioreply.Manager, large_file: LargeFile) -> None:
    """Exchange something with the same server, many times: whatever waits to be read meanwhile would be read."""
    for _ in range(100):
        await manager.fetch(large_file.nginx.url("/small"))


async def _sent(large_file: LargeFile, target: str) -> int:
    """How many bytes of that target's body nginx has given to its kernel; it says so when the request has ended."""
    while True:
        for line in large_file.nginx.log:
            if line.startswith(f"{target} "):
                return int(line.split()[1])
        await trio.sleep(0.01)
