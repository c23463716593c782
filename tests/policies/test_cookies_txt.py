"""cookies.txt: Netscape's text format, which other programs read and write."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.cookies import Cookie
from trioreply._policies.cookie_store import format_cookies_txt, parse_cookies_txt
from trioreply._policies.cookiejar import CookieJar

NOW = 1_000_000.0


def mode_of(path: Path) -> int:
    """Who may do what with the file."""
    return stat.S_IMODE(path.stat().st_mode)


def names_in(directory: Path) -> list[str]:
    """The files there."""
    return sorted(entry.name for entry in directory.iterdir())


def bytes_of(path: Path) -> bytes:
    """What stands in the file."""
    return path.read_bytes()


def write(path: Path, content: str) -> None:
    """Put that into the file."""
    path.write_text(content)


TEXT = """# Netscape HTTP Cookie File
# a comment

h.example\tFALSE\t/\tFALSE\t0\tsession\t1
.h.example\tTRUE\t/a b\tTRUE\t2000000000\tlasting\tx y
#HttpOnly_www.h.example\tFALSE\t/\tFALSE\t0\thidden\t
"""
COOKIES = (
    Cookie("session", "1", domain="h.example", path="/"),
    Cookie("lasting", "x y", domain=".h.example", path="/a b", secure=True, expires=2_000_000_000),
    Cookie("hidden", "", domain="www.h.example", path="/", http_only=True),
)


def test_reading_the_text() -> None:
    """A cookies.txt is understood as curl and browsers write it, with either end of a line."""
    assert parse_cookies_txt(TEXT) == COOKIES
    assert parse_cookies_txt(TEXT.replace("\n", "\r\n")) == COOKIES
    # Some leave out the last tab, and some the dot, which says nothing that the second field does not say.
    assert parse_cookies_txt("h.example\tTRUE\t/\tFALSE\t0\ta") == (Cookie("a", "", domain=".h.example", path="/"),)


def test_writing_the_text() -> None:
    """A cookies.txt is written as curl writes it."""
    assert format_cookies_txt(COOKIES) == TEXT.replace("# a comment\n\n", "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("rubbish", "it has 1 of 7 fields"),
        ("h.example\tFALSE\t/\tFALSE\t0", "it has 5 of 7 fields"),
        ("h.example\tPERHAPS\t/\tFALSE\t0\ta\tsecret", "'PERHAPS'"),
        ("h.example\tFALSE\t/\tFALSE\tsoon\ta\tsecret", "could not convert"),
        ("h.example\tFALSE\t/\tFALSE\tinf\ta\tsecret", "expires: inf is no moment"),
        ("h.example\tFALSE\t/\tFALSE\t0\ta\tsecret;", "value: it holds a control character, a semicolon"),
        ("h.example\tFALSE\tx\tFALSE\t0\ta\tsecret", "path: 'x' does not begin with a slash"),
    ],
)
def test_text_that_is_none(line: str, reason: str) -> None:
    """A line that is not of the format is an error with its number, and its value is not shown."""
    with pytest.raises(ValueError, match=f"^line 2 is no line of a cookies.txt: .*{reason}") as caught:
        parse_cookies_txt(f"# Netscape\n{line}\n")
    assert "secret" not in str(caught.value)


def test_what_the_text_cannot_say() -> None:
    """A name or path with a tab is left out, a value with one is not; a date never becomes 0, which means none."""
    cookies = [
        Cookie("a\tb", "1", domain="h.example", path="/"),
        Cookie("a", "1", domain="h.example", path="/\tx"),
        Cookie("a", "1\t2", domain="h.example", path="/", expires=0.5),
    ]
    assert parse_cookies_txt(format_cookies_txt(cookies)) == (
        Cookie("a", "1\t2", domain="h.example", path="/", expires=1),
    )


async def test_files(tmp_path: Path) -> None:
    """A jar reads a cookies.txt and writes one, which only its owner may read and which appears at once."""
    path = tmp_path / "cookies.txt"
    write(path, TEXT + ".co.uk\tTRUE\t/\tFALSE\t0\tevil\t1\n")
    jar = CookieJar(now=lambda: NOW)
    assert await jar.load_cookies_txt(path) == 3
    assert set(jar) == set(COOKIES)
    jar.insert(Cookie("a", "\udcff", domain="z.example", path="/"))
    await jar.save_cookies_txt(path)
    assert bytes_of(path).endswith(b"\ta\t\xff\n")
    assert mode_of(path) == 0o600
    assert names_in(tmp_path) == ["cookies.txt"]
    again = CookieJar(now=lambda: NOW)
    assert await again.load_cookies_txt(path) == 4
    assert set(again) == set(jar)


async def test_files_that_fail(tmp_path: Path) -> None:
    """A file that cannot be read or replaced is an OSError, and leaves nothing behind."""
    jar = CookieJar(now=lambda: NOW)
    with pytest.raises(FileNotFoundError):
        await jar.load_cookies_txt(tmp_path / "none")
    await trio.Path(tmp_path / "directory").mkdir()
    with pytest.raises(OSError):
        await jar.save_cookies_txt(tmp_path / "directory")
    assert names_in(tmp_path) == ["directory"]
    write(tmp_path / "bad", TEXT + "rubbish\n")
    with pytest.raises(ValueError, match=r"^line 7 "):
        await jar.load_cookies_txt(tmp_path / "bad")
    assert not jar


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=";="), max_size=20)
ANY = st.builds(
    Cookie,
    NAMES,
    NAMES,
    domain=st.sampled_from(["h.example", ".h.example", "::1"]),
    path=st.sampled_from(["/", "/a"]),
    expires=st.none() | st.integers(1, 10**10),
    secure=st.booleans(),
    http_only=st.booleans(),
)


def without_fraction(cookie: Cookie) -> Cookie:
    """``cookie`` as the text format can say it."""
    return cookie if cookie.expires is None else evolve(cookie, expires=int(cookie.expires) or 1)


@given(st.lists(ANY))
def test_written_and_read(cookies: list[Cookie]) -> None:
    """Whatever cookies are written as text, the same are read."""
    assert list(parse_cookies_txt(format_cookies_txt(cookies))) == cookies


@given(st.text() | st.lists(st.sampled_from(["a", "\t", "TRUE", "/", "0", "\n", "#HttpOnly_", "1e999"])).map("".join))
def test_no_text_disturbs_the_reader(text: str) -> None:
    """Whatever the text is, it is cookies or a ValueError."""
    with suppress(ValueError):
        cookies = parse_cookies_txt(text)
        assert parse_cookies_txt(format_cookies_txt(cookies)) == tuple(map(without_fraction, cookies))
