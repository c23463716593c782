"""The jar of a manager that was not given one."""

from __future__ import annotations

import pytest
from yarl import URL

import trioreply
from trioreply._policies.late_jar import LateJar

SITE = URL("http://a.test/")


def test_made_once() -> None:
    """Whoever asks for the jar gets the same one, and what a response sets is in it."""
    late = LateJar()
    assert not late
    assert late.set_from_headers(["a=1"], SITE)
    assert late
    assert [cookie.name for cookie in late.made()] == ["a"]
    assert late.made() is late.made()


def test_what_is_put_in_goes_out() -> None:
    """What somebody puts into the jar is sent."""
    late = LateJar()
    late.made().insert(trioreply.Cookie("b", "2", domain="a.test", path="/"))
    assert late
    assert late.header_for(SITE) == "b=2"


async def test_manager_keeps_its_jar() -> None:
    """A manager that was not given a jar shows the same one always; one that was told to have none has none."""
    async with trioreply.open_manager() as manager:
        assert manager.cookie_jar is not None
        assert manager.cookie_jar is manager.cookie_jar
    async with trioreply.open_manager(cookie_jar=None) as manager:
        assert manager.cookie_jar is None


@pytest.mark.parametrize("given", [{"cookie_jar": "jar"}, {"hsts": True}], ids=str)
def test_what_is_no_store_is_refused(given: dict[str, object]) -> None:
    """A manager is not made with something else than a jar or a store, and the error says which option it is."""
    (name,) = given
    with pytest.raises(TypeError, match=f"^{name}: give a "):
        trioreply.open_manager(**given)  # type: ignore[arg-type]  # that is the question
