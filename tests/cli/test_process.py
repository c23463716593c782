"""The command as a process: what can only be seen from outside, at the edges of the standard streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trioreply._cli.exits import Exit
from trioreply.testing import Authority, OriginRequest, OriginResponse

from .conftest import HALF, Website, serving

COMMAND = [sys.executable, "-m", "trioreply"]
# As users have it: Python buffers standard output.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
TIMEOUT = 60
"""Seconds after which a process hangs."""


def run(*argv: str, shell: str = "{}", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command in a shell's line; ``{}`` stands for it."""
    line = shell.format('"$@"')
    return subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND, *argv],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
        check=False,
    )


def test_module_is_the_command(website: Website) -> None:
    """``python -m trioreply`` is the command, its exit code included."""
    result = run(website.url("/missing"))
    assert (result.returncode, result.stdout) == (Exit.CONTENT, b"not here\n")


def test_piped_input_is_streamed(website: Website) -> None:
    """``-d @-`` sends what comes through a pipe, whose length nobody knows."""
    result = run("-d", "@-", website.url("/echo"), shell="cat | {}", stdin=HALF)
    assert (result.returncode, result.stdout) == (Exit.OK, HALF)
    assert website.last().header("transfer-encoding") == "chunked"


def test_redirected_input_has_a_length(website: Website, tmp_path: Path) -> None:
    """``-d @-`` with a file as standard input announces its length."""
    (tmp_path / "f").write_bytes(HALF)
    result = run("-d", "@-", website.url("/echo"), shell=f"{{}} < {tmp_path / 'f'}")
    assert (result.returncode, result.stdout) == (Exit.OK, HALF)
    assert website.last().header("content-length") == str(len(HALF))


def test_closed_input() -> None:
    """``-d @-`` without a standard input is wrong usage."""
    result = run("-d", "@-", "http://127.0.0.1:1/", shell="{} <&-")
    assert result.returncode == Exit.USAGE
    assert result.stderr == b"trioreply: -d/--data: standard input is closed; give the data, or @FILE\n"


def test_closed_output(website: Website) -> None:
    """Without a standard output the body has no place, and the message says what to do."""
    result = run(website.url("/hello"), shell="{} >&-")
    assert result.returncode == Exit.OUTPUT
    assert result.stderr == b"trioreply: standard output is closed; give a file with -o\n"


def test_hosts_that_cannot_be_written(tmp_path: Path) -> None:
    """Hosts that cannot be kept are one line and a code, and no traceback of the library's log."""
    authority, hosts = Authority(), tmp_path / "hosts"
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)

    async def spoil(request: OriginRequest) -> OriginResponse:
        hosts.mkdir()
        return OriginResponse(headers=[("Strict-Transport-Security", "max-age=3600")], body=await request.read())

    with serving(spoil, authority.serve("localhost")) as origin:
        url = origin.url().replace("127.0.0.1", "localhost")
        result = run("--cacert", str(tmp_path / "ca.pem"), "--hsts", str(hosts), url)
    assert result.returncode == Exit.OUTPUT
    assert result.stderr.startswith(b"trioreply: the hosts in ")
    assert result.stderr.count(b"\n") == 1


def test_closed_output_for_help() -> None:
    """Without a standard output the help has no place either, which is nobody's mistake."""
    result = run("--help", shell="{} >&-")
    assert (result.returncode, result.stderr) == (Exit.OK, b"")


def test_closed_error_stream(website: Website, tmp_path: Path) -> None:
    """Without a standard error there are no messages, and nothing lands in standard output instead."""
    result = run("-v", "-o", str(tmp_path / "f"), website.url("/missing"), shell="{} 2>&-")
    assert (result.returncode, result.stdout) == (Exit.CONTENT, b"")


def test_silent_input_can_be_interrupted(website: Website) -> None:
    """What comes through a pipe is sent at once; when it falls silent, Ctrl-C still ends the upload."""
    with subprocess.Popen(
        [*COMMAND, "-v", "-d", "@-", website.url("/echo")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=ENVIRONMENT,
    ) as process:
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"x")
        assert any(b"upload 1 B" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith(b"trioreply: interrupted\n")
        assert process.wait() == Exit.INTERRUPTED
        watchdog.cancel()
        watchdog.join()


@pytest.fixture
def unread_pipe() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("argv", [["/large"], ["--events", "/large"], ["--help"], ["demo"]], ids=lambda argv: argv[0])
def test_reader_may_leave(website: Website, unread_pipe: int, argv: list[str]) -> None:
    """When nobody reads the output any more the command ends at once, with a code of its own and without a word."""
    arguments = [website.url(word) if word.startswith("/") else word for word in argv]
    result = subprocess.run(
        [*COMMAND, *arguments],
        stdout=unread_pipe,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stderr) == (Exit.BROKEN_PIPE, b"")


def test_reader_of_messages_may_leave(website: Website, unread_pipe: int) -> None:
    """The same goes for who reads the events of ``-v``, and the messages."""
    line = ["bash", "-c", '"$@" >&-', "bash", *COMMAND, "-v", "-o", "/dev/null", website.url("/missing")]
    result = subprocess.run(line, stderr=unread_pipe, env=ENVIRONMENT, timeout=TIMEOUT, check=False)
    assert result.returncode == Exit.BROKEN_PIPE
