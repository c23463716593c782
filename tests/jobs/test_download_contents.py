"""What a downloaded file holds and what it is called: checksums, codings, and names that servers propose."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import pytest

from trioreply import Progress, RequestFields, Retrying, RetryPolicy
from trioreply._jobs.download import download, open_download
from trioreply._jobs.download_file import SUFFIX
from trioreply.errors import RemoteHostClosedError, UnknownContentError
from trioreply.testing import OriginHandler, OriginRequest, OriginResponse

from ..journeys.conftest import Place
from .range_origin import CONTENT, RangeOrigin, env_of, names_in, ranges

AT_ONCE = RetryPolicy(2, backoff=0)
NEVER = RetryPolicy(1)


def digest_field(content: bytes, algorithm: str = "sha-256") -> str:
    """A field of RFC 9530 for ``content``."""
    raw = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{base64.b64encode(raw).decode()}:"


@pytest.mark.parametrize("cut", [None, 7000])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5", "blake2b"])
async def test_a_checksum_is_compared(memory: Place, tmp_path: Path, algorithm: str, cut: int | None) -> None:
    """With the right one the file appears; with a wrong one it never does, and its bytes are gone."""
    server = RangeOrigin(cuts=[] if cut is None else [cut])
    right = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}"
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        await download(env, url, tmp_path / "f", checksum=right, retry=AT_ONCE)
        server.cuts = [] if cut is None else [cut]
        with pytest.raises(UnknownContentError, match="removed") as caught:
            await download(env, url, tmp_path / "g", checksum=wrong, retry=AT_ONCE)
    assert right in str(caught.value)
    assert wrong in str(caught.value)
    assert names_in(tmp_path) == ["f"]


async def test_the_checksum_of_a_continued_file_is_that_of_all_its_bytes(memory: Place, tmp_path: Path) -> None:
    """What an earlier call has left is read and compared as well, so a damaged part is found."""
    server = RangeOrigin(cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        for damage in (b"", b"x"):
            server.cuts = [7000]
            with pytest.raises(RemoteHostClosedError):
                await download(env, url, tmp_path / "f", retry=NEVER)
            part = tmp_path / f"f{SUFFIX}"
            part.write_bytes(damage + part.read_bytes()[len(damage) :])
            if not damage:
                await download(env, url, tmp_path / "f", sha256=hashlib.sha256(CONTENT).hexdigest())
                (tmp_path / "f").unlink()
                continue
            with pytest.raises(UnknownContentError):
                await download(env, url, tmp_path / "f", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("place_of_it", ["headers", "trailers"])
@pytest.mark.parametrize("is_right", [True, False])
async def test_a_servers_digest_is_compared(
    memory: Place, tmp_path: Path, *, field: str, place_of_it: str, is_right: bool
) -> None:
    """If the server says what its bytes amount to, before them or behind them, they must."""
    said = digest_field(CONTENT if is_right else CONTENT[1:], "sha-512")
    server = RangeOrigin()
    setattr(server, place_of_it, {field: said})
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        if is_right:
            await download(env, url, tmp_path / "f")
        else:
            with pytest.raises(UnknownContentError, match=field):
                await download(env, url, tmp_path / "f")
    assert names_in(tmp_path) == (["f"] if is_right else [])


@pytest.mark.parametrize(
    ("later", "is_right"),
    [
        ({"Repr-Digest": digest_field(CONTENT)}, True),
        ({"Repr-Digest": digest_field(CONTENT[7000:])}, False),
        ({"Content-Digest": digest_field(CONTENT[7000:])}, True),
        ({"Content-Digest": digest_field(CONTENT)}, False),
    ],
    ids=str,
)
async def test_the_two_digests_mean_different_bytes(
    memory: Place, tmp_path: Path, later: dict[str, str], is_right: bool
) -> None:
    """Of a partial response Repr-Digest is about the whole file, and Content-Digest about the part."""
    server = RangeOrigin(cuts=[7000])

    async def respond(request: OriginRequest) -> OriginResponse:
        if server.asked:
            server.headers = later
        return await server(request)

    async with memory.open_manager() as manager, memory.origin(respond) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        if is_right:
            await download(env, url, tmp_path / "f", retry=AT_ONCE)
        else:
            with pytest.raises(UnknownContentError, match="Digest"):
                await download(env, url, tmp_path / "f", retry=AT_ONCE)
    assert names_in(tmp_path) == (["f"] if is_right else [])


async def test_a_digest_is_remembered_over_a_dead_process(memory: Place, tmp_path: Path) -> None:
    """What the first response said of the whole file holds also if the later ones are silent."""
    server = RangeOrigin(cuts=[7000], headers={"Repr-Digest": digest_field(b"another file")})
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        server.headers = {}
        with pytest.raises(UnknownContentError, match="Repr-Digest"):
            await download(env, url, tmp_path / "f")
    assert names_in(tmp_path) == []


async def test_a_digest_is_forgotten_with_its_version(memory: Place, tmp_path: Path) -> None:
    """What was said of a version that is gone does not hold for the next one."""
    server = RangeOrigin(cuts=[7000], headers={"Repr-Digest": digest_field(CONTENT)})
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        server.etag, server.content, server.headers = '"two"', CONTENT[::-1], {}
        await download(env, url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT[::-1]


async def test_more_bytes_than_announced_are_wrong(memory: Place, tmp_path: Path) -> None:
    """A partial response that brings more than there can be is not made into a file."""
    server = RangeOrigin(cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        server.content += b"more"
        server.content_range = "bytes 7000-19999/20000"
        with pytest.raises(UnknownContentError, match="more than the 20000 bytes"):
            await download(env, url, tmp_path / "f", retry=NEVER)
    assert names_in(tmp_path) == []


async def test_a_partial_response_without_bytes_is_a_failure(memory: Place, tmp_path: Path) -> None:
    """A server that announces a part and sends none is not asked for ever."""
    server = RangeOrigin(cuts=[7000])

    async def respond(request: OriginRequest) -> OriginResponse:
        if server.asked:
            server.asked.append(("", ""))
            return OriginResponse(206, [("ETag", '"one"'), ("Content-Range", "bytes 7000-19999/20000")])
        return await server(request)

    async with memory.open_manager() as manager, memory.origin(respond) as origin:
        with pytest.raises(RemoteHostClosedError, match="7000 of 20000 bytes came"):
            await download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", retry=RetryPolicy(3, backoff=0))
    assert len(server.asked) == 3


def compressing(server: RangeOrigin) -> OriginHandler:
    """A server that compresses whatever is asked for, breaking off where ``server`` says."""
    coded = gzip.compress(CONTENT)

    async def respond(request: OriginRequest) -> OriginResponse:
        server.asked.append((request.header("Range"), request.header("Accept-Encoding")))
        if request.header("Range"):
            return OriginResponse(416)
        headers = [("Content-Encoding", "gzip"), ("ETag", '"coded"'), ("Repr-Digest", digest_field(coded))]
        return OriginResponse(200, headers, coded)

    return respond


async def test_what_is_compressed_against_our_will_is_decompressed(memory: Place, tmp_path: Path) -> None:
    """It is asked for anew in the way that is decompressed; lengths and digests of the coded form do not count."""
    server = RangeOrigin()
    async with memory.open_manager() as manager, memory.origin(compressing(server)) as origin:
        async with open_download(env_of(manager, memory), origin.url("/f"), tmp_path / "f") as opened:
            events = [event async for event in opened]
            await opened.wait()
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.asked[0] == (None, "identity")
    assert "gzip" in (server.asked[1][1] or "")
    assert len(server.asked) == 2
    assert [event.delay for event in events if isinstance(event, Retrying)] == [0]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == len(CONTENT)


@pytest.mark.parametrize("fields", [{"decompress": False}, {"headers": {"Accept-Encoding": "gzip"}}], ids=str)
async def test_a_compressed_form_that_is_wanted_is_kept(memory: Place, tmp_path: Path, fields: RequestFields) -> None:
    """Who asks for a coding, or does not want it undone, gets the bytes as they are."""
    server = RangeOrigin()
    async with memory.open_manager() as manager, memory.origin(compressing(server)) as origin:
        await download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", **fields)
    assert gzip.decompress((tmp_path / "f").read_bytes()) == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("target", "disposition", "name"),
    [
        ("/dir/big.iso?x=1", None, "big.iso"),
        ("/", None, "download"),
        ("/x", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("/x", "attachment; filename=a; filename*=UTF-8''%E2%82%AC%2F..%2Frates.txt", "rates.txt"),
        ("/x", 'attachment; filename="C:\\\\con.txt"', "_con.txt"),
        ("/%2e%2e%2ff%20g", None, "f g"),
        ("/x.bin", 'attachment; filename="..."', "x.bin"),
        ("/x.bin", "?", "x.bin"),
    ],
)
async def test_a_directory_gets_the_name_that_is_proposed(
    memory: Place, tmp_path: Path, *, target: str, disposition: str | None, name: str
) -> None:
    """In a directory the file is called what the server says, made safe, or what its URL says."""
    server = RangeOrigin(headers={} if disposition is None else {"Content-Disposition": disposition})
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        async with open_download(env_of(manager, memory), origin.url(target), tmp_path) as opened:
            assert opened.path == tmp_path
            assert await opened.wait() == opened.path == tmp_path / name
    assert names_in(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == CONTENT


async def test_a_proposed_name_never_replaces_a_file(memory: Place, tmp_path: Path) -> None:
    """What is there stays there, and the new file is numbered."""
    (tmp_path / "f.tar.gz").write_bytes(b"mine")
    async with memory.open_manager() as manager, memory.origin(RangeOrigin()) as origin:
        env, url = env_of(manager, memory), origin.url("/f.tar.gz")
        paths = [await download(env, url, tmp_path) for _ in range(2)]
    assert [path.name for path in paths] == ["f (1).tar.gz", "f (2).tar.gz"]
    assert (tmp_path / "f.tar.gz").read_bytes() == b"mine"


async def test_a_part_in_a_directory_is_found_again(memory: Place, tmp_path: Path) -> None:
    """A download into a directory is continued by its URL, under the name that was proposed at first."""
    server = RangeOrigin(headers={"Content-Disposition": "attachment; filename=first"}, cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path, retry=NEVER)
        assert all(name.startswith("download-") for name in names_in(tmp_path))
        server.headers = {"Content-Disposition": "attachment; filename=second"}
        assert await download(env, url + "#fragment", tmp_path) == tmp_path / "first"
    assert ranges(server.asked) == [None, "bytes=7000-"]
    assert names_in(tmp_path) == ["first"]
