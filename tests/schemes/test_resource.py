"""``resource:`` URLs: the data of packages, and nothing but that."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply import NetworkError
from trioreply._model.urls import make_url
from trioreply._schemes.resource import parse
from trioreply.errors import ProtocolInvalidOperationError

from ..journeys.notation import sequence
from .filing import common_directory, open_filing, without_rights

TROUBLE = "raise RuntimeError('was imported')"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that modules are looked for in: packages in it, one in an archive, and what is none."""
    root = tmp_path_factory.mktemp("shelf")
    (root / "ShelfTest" / "data" / "deep").mkdir(parents=True)
    (root / "ShelfTest" / "__init__.py").write_text(TROUBLE)
    (root / "ShelfTest" / "data" / "a b.json").write_text("{}")
    (root / "ShelfTest" / "Empty").touch()
    (root / "shelf_outer" / "inner").mkdir(parents=True)
    (root / "shelf_outer" / "__init__.py").touch()
    (root / "shelf_outer" / "inner" / "__init__.py").write_text(TROUBLE)
    (root / "shelf_outer" / "inner" / "ü.txt").write_text("inner")
    (root / "shelf_space").mkdir()
    (root / "shelf_space" / "x.txt").write_text("spacious")
    (root / "shelf_module.py").write_text(TROUBLE)
    (root / "secret.txt").write_text("secret")
    archive = root / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("shelf_zipped/__init__.py", TROUBLE)
        zipped.writestr("shelf_zipped/long.txt", "zipped" * 100_000)
    paths = [str(root), str(archive)]
    sys.path[:0] = paths
    yield root
    for path in paths:
        sys.path.remove(path)
    sys.modules.pop("shelf_outer", None)


@pytest.mark.parametrize(
    ("url", "package", "path"),
    [
        ("resource:a/b", "a", ("b",)),
        ("resource:/a/b", "a", ("b",)),
        ("resource:///a/b", "a", ("b",)),
        ("resource:My.pkg/Data/x%20y.json?query#fragment", "My.pkg", ("Data", "x y.json")),
        ("resource:ü/%C3%BC", "ü", ("ü",)),
        ("resource:a/...", "a", ("...",)),
    ],
)
def test_parsing(url: str, package: str, path: tuple[str, ...]) -> None:
    """The package comes first, dots and capitals in it count, and the rest is the path."""
    assert parse(make_url(url)) == (package, path)


@pytest.mark.parametrize(
    "rest",
    [
        *(
            "",
            "a",
            "/",
            "//a/b",
            "//a/b/c",
            "a..b/c",
            ".a/b",
            "1/b",
            "a-b/c",
            "a%2Fb/c",
            "a/",
            "a//b",
            "a/b/",
            "a/./b",
            "a/../b",
        ),
        *("a/%2e%2e/b", "a/..%2fb", "a/b%2F", "a/b%5C..%5C..%5Cc", "a/b\\c", "a/b%00"),
    ],
)
def test_what_names_no_data(rest: str) -> None:
    """A host, a name that no package has, and whatever might lead out of it, are PROTOCOL_INVALID_OPERATION."""
    with pytest.raises(ProtocolInvalidOperationError):
        parse(make_url(f"resource:{rest}"))


@given(st.text(st.sampled_from("./\\%2ef5cCab\0"), max_size=20))
def test_nothing_leads_out(text: str) -> None:
    """Whatever stands behind the package, each segment is a plain name, or the URL is refused."""
    try:
        _, path = parse(make_url("resource:package/").with_path(f"package/{text}", encoded=True))
    except ProtocolInvalidOperationError:
        return
    assert all(segment and segment not in (".", "..") and not set(segment) & set("/\\\0") for segment in path)


async def test_get(shelf: Path) -> None:
    """A file of a package comes with type, length, date and version, and its package is not imported."""
    async with open_filing() as manager, manager.get("resource:ShelfTest/data/a%20b.json") as reply:
        assert sequence([event async for event in reply]) == "H(None) R D(2,2) F(NO_ERROR)"
        assert reply.read() == b"{}"
    assert (reply.headers["Content-Type"], reply.headers["Content-Length"]) == ("application/json", "2")
    assert {"Last-Modified", "ETag"} <= set(reply.headers)
    assert "ShelfTest" not in sys.modules


async def test_head(shelf: Path) -> None:
    """HEAD tells what GET would, and delivers nothing."""
    async with open_filing() as manager, manager.head("resource:ShelfTest/data/a%20b.json") as reply:
        assert sequence([event async for event in reply]) == "H(None) D(0,2) F(NO_ERROR)"


async def test_range(shelf: Path) -> None:
    """A range of what has a length is served, as for a file."""
    async with open_filing() as manager:
        response = await manager.fetch("resource:ShelfTest/data/a%20b.json", headers={"Range": "bytes=1-"})
    assert (response.status_code, response.body) == (206, b"}")


async def test_empty(shelf: Path) -> None:
    """An empty file is an empty response."""
    async with open_filing() as manager:
        assert (await manager.fetch("resource:ShelfTest/Empty")).headers["Content-Length"] == "0"


async def test_inner_package(shelf: Path) -> None:
    """For a package in another one the outer is imported, and only that."""
    async with open_filing() as manager:
        assert (await manager.fetch("resource:shelf_outer.inner/%C3%BC.txt")).text() == "inner"
    assert "shelf_outer" in sys.modules
    assert "shelf_outer.inner" not in sys.modules


async def test_imported_package(shelf: Path) -> None:
    """A package that was imported already is found where it is."""
    async with open_filing() as manager:
        assert (await manager.fetch("resource:trioreply.testing/__init__.py")).body.startswith(b'"""Tools')


async def test_namespace_package(shelf: Path) -> None:
    """A package without a file of its own has data, too."""
    async with open_filing() as manager:
        assert (await manager.fetch("resource:shelf_space/x.txt")).text() == "spacious"


async def test_archive(shelf: Path) -> None:
    """What lies in an archive comes whole, without the length, which nobody knows before it is unpacked."""
    async with open_filing() as manager:
        response = await manager.fetch("resource:shelf_zipped/long.txt", headers={"Range": "bytes=1-2"})
    assert (response.status_code, response.body) == (None, b"zipped" * 100_000)
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("resource:shelf_missing/x", NetworkError.CONTENT_NOT_FOUND),
        ("resource:shelf_missing.inner/x", NetworkError.CONTENT_NOT_FOUND),
        ("resource:shelf_module/x", NetworkError.CONTENT_NOT_FOUND),
        ("resource:shelf_module/secret.txt", NetworkError.CONTENT_NOT_FOUND),
        ("resource:sys/x", NetworkError.CONTENT_NOT_FOUND),
        ("resource:__main__/x", NetworkError.CONTENT_NOT_FOUND),
        ("resource:ShelfTest/missing", NetworkError.CONTENT_NOT_FOUND),
        ("resource:ShelfTest/Empty/x", NetworkError.CONTENT_NOT_FOUND),
        ("resource:shelf_zipped/missing", NetworkError.CONTENT_NOT_FOUND),
        ("resource:ShelfTest/data", NetworkError.CONTENT_OPERATION_NOT_PERMITTED),
        ("resource:ShelfTest/../secret.txt", NetworkError.PROTOCOL_INVALID_OPERATION),
        ("resource:ShelfTest.inner/x", NetworkError.UNKNOWN_NETWORK),
    ],
)
async def test_failures(url: str, error: NetworkError, shelf: Path) -> None:
    """What is missing, no package, no file or will not be imported is an error of its kind."""
    async with open_filing() as manager, manager.get(url) as reply:
        events = sequence([event async for event in reply])
    assert events == f"E({error.name}) D(0,0) F({error.name})"
    assert "shelf_module" not in sys.modules


async def test_module_that_does_not_know_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made by hand, or typed in, is no package with data."""
    monkeypatch.setitem(sys.modules, "shelf_by_hand", ModuleType("shelf_by_hand"))
    async with open_filing() as manager, manager.get("resource:shelf_by_hand/x") as reply:
        assert await reply.wait_finished() is NetworkError.CONTENT_NOT_FOUND


async def test_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No permission is CONTENT_ACCESS_DENIED."""
    with common_directory() as directory:
        (directory / "shelf_closed").mkdir(mode=0o755)
        (directory / "shelf_closed" / "x").touch(mode=0)
        monkeypatch.syspath_prepend(directory)
        async with open_filing(without_rights) as manager, manager.get("resource:shelf_closed/x") as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_ACCESS_DENIED
    assert "Permission denied" in reply.error_string


@pytest.mark.parametrize("verb", ["PUT", "POST", "DELETE", "PATCH"])
async def test_other_operations(verb: str, shelf: Path) -> None:
    """A package is read only: PROTOCOL_UNKNOWN."""
    async with open_filing() as manager, manager.send_custom("resource:ShelfTest/Empty", verb, b"x") as reply:
        assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN
    assert (shelf / "ShelfTest" / "Empty").read_bytes() == b""  # noqa: ASYNC240 - small, and in a test
