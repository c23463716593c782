"""Where credentials come from: the user's own field, the netrc file, and what cannot be sent at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trioreply import Manager, NetworkError, Request
from trioreply.testing import Origin

from .conftest import Place
from .guarded import BASIC, HIDDEN, OK_END, REFUSED_END, RIGHT, WRONG, basic, converse, door, guarded, sent
from .notation import sequence

BASIC_DOOR = door(BASIC)


@pytest.fixture
async def stage(memory: Place) -> AsyncIterator[tuple[Manager, Origin]]:
    """A manager, and a server with Basic."""
    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager() as manager:
        yield manager, origin


async def test_the_users_own_field(memory: Place, tmp_path: Path) -> None:
    """A field that the user has set is sent as it is, whatever else is known. Refused, nothing is tried instead but
    an answer to the question, which takes its place (Qt).
    """
    path = tmp_path / "netrc"
    path.write_text("default login u password p\n")
    mine = {"authorization": "Basic mine"}
    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager(netrc=path) as manager:
        await manager.fetch(origin.url())
        request = Request(origin.url().replace("://", "://u:p@"), headers=mine, auth=RIGHT)
        async with manager.send(request) as reply:
            assert sequence(await converse(reply)) == f"Q A() {REFUSED_END}"
        async with manager.send(request) as reply:
            assert sequence(await converse(reply, [WRONG, RIGHT])) == f"Q A() Q A(u) Q {OK_END}"
    assert sent(origin)[2:] == ["Basic mine", "Basic mine", basic(*WRONG), basic(*RIGHT)]


# The file


async def test_netrc_answers_before_anybody_is_asked(memory: Place, tmp_path: Path) -> None:
    """With ``netrc=`` the file's credentials for the host are used when they are demanded, and only then; what it has
    for others, or has wrong, leads to the question.
    """
    path = tmp_path / "netrc"
    path.write_text("machine other.test login x password y\nmachine origin.test login u password p\n")
    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager(netrc=path) as manager:
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply)) == f"S Q Q {OK_END}"
        manager.clear_credentials()
        path.write_text("machine origin.test login u password old\n")
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply, [RIGHT])) == f"Q Q A(u) Q {OK_END}"
        manager.clear_credentials()
        path.unlink()
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply, [RIGHT])) == f"Q A() Q {OK_END}"
    assert sent(origin)[:4] == [None, basic(*RIGHT), None, basic("u", "old")]


async def test_a_netrc_that_makes_no_sense(memory: Place, tmp_path: Path) -> None:
    """A file that cannot be read as one ends the reply with a typed error that names it, and the page is readable."""
    path = tmp_path / "netrc"
    path.write_text("what is this")
    async with memory.origin(guarded(BASIC_DOOR)) as origin, memory.open_manager(netrc=path) as manager:
        async with manager.get(origin.url()) as reply:
            assert await reply.wait_finished() is NetworkError.AUTHENTICATION_REQUIRED
            assert reply.error_string.startswith(f"netrc: {path} cannot be used")
            assert reply.read() == HIDDEN


async def test_the_users_netrc_only_when_wanted(memory: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that NETRC names is looked into if ``netrc=True`` says so, and is nobody's business else."""
    path = tmp_path / "netrc"
    path.write_text("default login u password p\n")
    monkeypatch.setenv("NETRC", str(path))
    async with memory.origin(guarded(BASIC_DOOR)) as origin:
        async with memory.open_manager() as manager:
            assert (await manager.fetch(origin.url(), raise_for_error=False)).status_code == 401
        async with memory.open_manager(netrc=True) as manager:
            assert (await manager.fetch(origin.url())).status_code == 200
    assert sent(origin) == [None, None, basic(*RIGHT)]


# Bad input


@pytest.mark.parametrize("bad", ["p\r\nX-Evil: 1", "p\x00", "p\x7f", "p\n"])
async def test_control_characters_in_credentials(bad: str, stage: tuple[Manager, Origin]) -> None:
    """They are refused where they are given, or end the reply with a typed error; nothing of them is sent or shown."""
    manager, origin = stage
    with pytest.raises(ValueError, match="auth: the password holds a control character"):
        manager.get(origin.url(), auth=("u", bad))
    async with manager.get(origin.url()) as reply:
        await converse(reply, [("u", bad)])
        assert reply.error is NetworkError.AUTHENTICATION_REQUIRED
        assert reply.error_string.startswith("answer: the password holds a control character")
        assert "Evil" not in reply.error_string
    assert sent(origin) == [None]
    assert manager.statistics().leases == 0


async def test_basic_is_utf8(stage: tuple[Manager, Origin]) -> None:
    """Names and passwords go out as UTF-8 in their composed form, whatever letters they have (RFC 7617)."""
    manager, origin = stage
    async with manager.get(origin.url(), auth=("jos\u0065\u0301", "\u20ac")) as reply:
        await reply.wait_finished()
    assert sent(origin) == [basic("jos\u00e9", "\u20ac")]
