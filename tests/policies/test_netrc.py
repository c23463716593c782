"""Credentials from a netrc file: found by host, missing without fuss, and nonsense is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from trioreply import AuthenticationRequiredError
from trioreply._policies.netrc import look_up, netrc_lookup
from trioreply.testing import run_sync_inline

TEXT = """\
machine known.test login me password secret
machine account.test account mine password other
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two hosts."""
    path = tmp_path / "netrc"
    path.write_text(TEXT)
    path.chmod(0o600)
    return path


def test_a_host_is_looked_up(file: Path) -> None:
    """Each host has its own user and password; an account stands in for a missing login."""
    assert look_up("known.test", file) == ("me", "secret")
    assert look_up("account.test", file) == ("mine", "other")
    assert look_up("unknown.test", file) is None


def test_a_default_entry_serves_every_host(file: Path) -> None:
    """What is said for all hosts counts for those that are not named."""
    file.write_text(TEXT + "default login anybody password guest\n")
    assert look_up("unknown.test", file) == ("anybody", "guest")


def test_no_file_is_no_error(tmp_path: Path) -> None:
    """Where there is no file there are no credentials."""
    assert look_up("known.test", tmp_path / "nothing") is None


def test_nonsense_is_told(file: Path) -> None:
    """A file that makes no sense, or cannot be read, is a typed error that names it."""
    file.write_text("gibberish known.test\n")
    with pytest.raises(AuthenticationRequiredError, match=r"netrc: .*netrc cannot be used"):
        look_up("known.test", file)
    with pytest.raises(AuthenticationRequiredError, match="cannot be used"):
        look_up("known.test", file.parent)


async def test_where_to_look(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path is that file; true is the one that NETRC names, or else the one in the home directory; false is none."""
    assert netrc_lookup(False, run_sync_inline) is None
    lookup = netrc_lookup(file, run_sync_inline)
    assert lookup is not None
    assert await lookup("known.test") == ("me", "secret")
    usual = netrc_lookup(True, run_sync_inline)
    assert usual is not None
    monkeypatch.setenv("NETRC", str(file))
    assert await usual("known.test") == ("me", "secret")
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert await usual("known.test") is None
    await trio.Path(file).rename(tmp_path / ".netrc")
    assert await usual("known.test") == ("me", "secret")
