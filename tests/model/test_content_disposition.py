"""Names from strangers: whatever is proposed, the result is one safe component of a path."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from trioreply._model.content_disposition import (
    FALLBACK,
    MAX_NAME,
    numbered,
    proposed_name,
    safe_name,
    shortened,
    split_extension,
)
from trioreply._model.headers import EMPTY, make_headers

NASTY = st.text(
    st.one_of(
        st.sampled_from('./\\:*?"<>| \t\r\n\0-~$1con aux'),
        st.characters(),
        st.characters(categories=["Cs", "Cf", "Mn", "Zs"]),
    ),
    max_size=400,
)
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    f"{name}{number}" for name in ("com", "lpt") for number in "0123456789¹²³"
}


@pytest.mark.parametrize(
    ("proposed", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("c:a.txt", "c_a.txt"),
        ("a.txt::$DATA", "a.txt__$DATA"),
        (".bashrc", "bashrc"),
        ("..", None),
        (" . . ", None),
        ("a/", None),
        ("", None),
        ("CON", "_CON"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("NUL .txt", "_NUL .txt"),
        ("console.txt", "console.txt"),
        ("trailing. . ", "trailing"),
        ("a\x00b\x1b[2J.txt", "ab[2J.txt"),
        ("two\r\nlines", "two lines"),
        ("\u202egnp.exe", "gnp.exe"),
        ("zero\u200bwidth\u2066.txt", "zerowidth.txt"),
        ("half\ud800.txt", "half.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("x" * 300 + ".tar.gz", "x" * 248 + ".tar.gz"),
        ("\u20ac" * 100 + ".txt", "\u20ac" * 83 + ".txt"),
        ("a." + "x" * 300, "a." + "x" * 253),
    ],
)
def test_proposals_become_safe(proposed: str, name: str | None) -> None:
    """Separators, drives, devices, dots, controls, directions and lengths: none of them gets through."""
    assert safe_name(proposed) == name


def is_safe(name: str) -> bool:
    """The whole promise, said in another way than the code says it."""
    stem = name.partition(".")[0].rstrip(" ").casefold()
    return (
        0 < len(name.encode()) <= MAX_NAME
        and not set(name) & set('/\\:*?"<>|')
        and name[0] not in ". "
        and name[-1] not in ". "
        and stem not in DEVICES
        and all(unicodedata.category(character)[0] != "C" for character in name)
        and all(character == " " or not character.isspace() for character in name)
    )


@given(NASTY)
@example("." * 300)
@example("con" + " " * 300)
@example("a" * 250 + " . x")
@example("a" * 300 + "." + "b" * 31)
@example("x. " * 200)
def test_a_safe_name_is_one_safe_component_and_stays(text: str) -> None:
    """Whatever is proposed, the result is safe or nothing; and what is safe passes unchanged."""
    name = safe_name(text)
    if name is not None:
        assert is_safe(name)
        assert safe_name(name) == name


@given(NASTY)
def test_numbered_names_are_all_safe_and_all_different(text: str) -> None:
    """However long a name is, its number fits in, and its extension stays."""
    name = safe_name(text)
    if name is None:
        return
    names = list(itertools.islice(numbered(name), 12))
    assert len(set(names)) == 12
    assert all(is_safe(one) for one in names)
    assert {split_extension(one)[1] for one in names} == {split_extension(name)[1]}


@given(st.text(max_size=100), st.text("abc/%._-20", max_size=60))
def test_a_name_is_always_found(disposition: str, path: str) -> None:
    """Any header and any URL together give a safe name."""
    try:
        headers = make_headers({"Content-Disposition": disposition})
    except ValueError:
        headers = EMPTY
    assert is_safe(proposed_name(headers, URL(f"http://host.test/{path}")))


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        ("attachment; filename=plain.txt", "http://h.test/x", "plain.txt"),
        ('inline; filename="quoted \\"name\\".txt"', "http://h.test/x", "quoted _name_.txt"),
        ("attachment; filename*=UTF-8''%c2%a3%20rates.txt; filename=rates.txt", "http://h.test/x", "\u00a3 rates.txt"),
        ("attachment; filename*=ISO-8859-1'en'%A3%20rates", "http://h.test/x", "\u00a3 rates"),
        ("attachment; filename*=UTF-16''broken; filename=plain", "http://h.test/x", "plain"),
        ("attachment; filename*=UTF-8''%ff; filename=plain", "http://h.test/x", "plain"),
        ("attachment", "http://h.test/from%20url.txt", "from url.txt"),
        ("", "http://h.test/a/b/", FALLBACK),
    ],
)
def test_where_a_name_comes_from(disposition: str, url: str, name: str) -> None:
    """The extended file name before the plain one, both before the URL, and that before our own word."""
    headers = make_headers({"Content-Disposition": disposition} if disposition else None)
    assert proposed_name(headers, URL(url)) == name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a", ("a", "")),
        ("a.txt", ("a", ".txt")),
        ("a.b.txt", ("a.b", ".txt")),
        ("a.tar.gz", ("a", ".tar.gz")),
        ("tar.gz", ("tar", ".gz")),
        (".tar.gz", (".tar.gz", "")),
        ("a." + "x" * 40, ("a." + "x" * 40, "")),
    ],
)
def test_what_an_extension_is(name: str, parts: tuple[str, str]) -> None:
    """The last dot begins it, unless the one before belongs to it, or it is too long to be one."""
    assert split_extension(name) == parts


def test_a_short_name_is_not_cut() -> None:
    """Only what does not fit is cut, from the end of the stem."""
    assert shortened("name.txt") == "name.txt"
    assert shortened("name.txt", limit=7) == "nam.txt"
    assert shortened("name.txt", mark="!", limit=7) == "na!.txt"
