"""Downloads over networks: whole, broken off, taken up again, and what is on the disk in between."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trioreply import (
    Direction,
    ErrorOccurred,
    Finished,
    MetaDataChanged,
    NetworkError,
    Progress,
    Retrying,
    RetryPolicy,
)
from trioreply._jobs.download import download, open_download
from trioreply._jobs.download_decide import Notes, Validators, status_error, url_key
from trioreply._jobs.download_file import NOTES_SUFFIX, SUFFIX
from trioreply.errors import ContentAccessDenied, ContentNotFoundError, RemoteHostClosedError, ServiceUnavailableError
from trioreply.testing import OriginRequest, OriginResponse

from ..journeys.conftest import Place
from .range_origin import CONTENT, RangeOrigin, env_of, leave_part, names_in, ranges

AT_ONCE = RetryPolicy(2, backoff=0)
NEVER = RetryPolicy(1)


async def test_a_file_arrives_whole_and_alone(place: Place, tmp_path: Path) -> None:
    """The file has the server's bytes, its path comes back as it was given, and nothing else is left."""
    async with place.open_manager() as manager, place.origin(RangeOrigin()) as origin:
        path = await download(env_of(manager, place), origin.url("/file"), tmp_path / "file.bin")
    assert path == tmp_path / "file.bin"
    assert path.read_bytes() == CONTENT
    assert names_in(tmp_path) == ["file.bin"]


async def test_the_events_are_those_of_one_reply(place: Place, tmp_path: Path) -> None:
    """The block sees the phases, progress in bytes of the whole file, no bytes to read, and one end."""
    async with place.open_manager() as manager, place.origin(RangeOrigin()) as origin:
        async with open_download(env_of(manager, place), origin.url("/file"), tmp_path / "f") as opened:
            events = [event async for event in opened]
            assert await opened.wait() == opened.path == tmp_path / "f"
            assert (opened.bytes_done, opened.total, opened.error) == (
                len(CONTENT),
                len(CONTENT),
                NetworkError.NO_ERROR,
            )
    size = len(CONTENT)
    assert events[-2:] == [Progress(Direction.DOWNLOAD, size, size), Finished(NetworkError.NO_ERROR)]
    text = place.sequence(events)
    assert text.startswith("S Q H(200) D("), text
    assert set(text.split()) - {"S", "Q", "H(200)", "F(NO_ERROR)"} == {
        one for one in text.split() if one.startswith("D(")
    }, text
    assert sum(isinstance(event, Finished) for event in events) == 1
    assert all(event != after for event, after in itertools.pairwise(events))


@pytest.mark.parametrize(("size", "step"), [(12, 1), (40, 7), (20_000, 1999), (20_000, 19_999)])
async def test_a_download_survives_any_number_of_breaks(place: Place, tmp_path: Path, size: int, step: int) -> None:
    """Broken off after each ``step`` bytes, it asks for the rest on condition that it is of the same version."""
    server = RangeOrigin(CONTENT[:size], cuts=[step] * (-(-size // step) - 1))
    async with place.open_manager() as manager, place.origin(server) as origin:
        path = await download(env_of(manager, place), origin.url("/file"), tmp_path / "f", retry=AT_ONCE)
    assert path.read_bytes() == CONTENT[:size]
    wanted = [(f"bytes={start}-", '"one"') for start in range(step, size, step)]
    assert server.asked == [(None, None), *wanted]
    assert names_in(tmp_path) == ["f"]


async def test_a_break_that_is_got_over_shows_as_retrying(place: Place, tmp_path: Path) -> None:
    """Instead of an error there is `Retrying`, and progress goes on where it was, in bytes of the whole file."""
    server = RangeOrigin(cuts=[5000])
    async with place.open_manager() as manager, place.origin(server) as origin:
        fields = open_download(env_of(manager, place), origin.url("/f"), tmp_path / "f", retry=AT_ONCE)
        async with fields as opened:
            events = [event async for event in opened]
    (retrying,) = (event for event in events if isinstance(event, Retrying))
    assert (retrying.attempt, retrying.delay) == (2, 0)
    after = events[events.index(retrying) :]
    progress = [event for event in after if isinstance(event, Progress)]
    assert all(event.done >= 5000 and event.total == len(CONTENT) for event in progress)
    assert not any(isinstance(event, ErrorOccurred) for event in events)


async def test_what_a_dead_process_left_is_continued(place: Place, tmp_path: Path) -> None:
    """A part stays when the download fails, and the same call later asks only for what is missing."""
    server = RangeOrigin(cuts=[7000])
    async with place.open_manager() as manager, place.origin(server) as origin:
        env, url = env_of(manager, place), origin.url("/file")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        assert names_in(tmp_path) == [f"f{SUFFIX}", f"f{SUFFIX}{NOTES_SUFFIX}"]
        assert (tmp_path / f"f{SUFFIX}").read_bytes() == CONTENT[:7000]
        async with open_download(env, url, tmp_path / "f") as opened:
            progress = [event async for event in opened if isinstance(event, Progress)]
    assert progress[0].done > 7000
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.asked[-1] == ("bytes=7000-", '"one"')
    assert names_in(tmp_path) == ["f"]


async def test_without_resume_nothing_is_taken_up_and_nothing_is_left(memory: Place, tmp_path: Path) -> None:
    """``resume=False`` begins with the first byte, goes on after breaks all the same, and leaves nothing."""
    server = RangeOrigin(cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/file")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        server.cuts = [3000]
        await download(env, url, tmp_path / "f", resume=False, retry=AT_ONCE)
        assert ranges(server.asked[1:]) == [None, "bytes=3000-"]
        server.cuts = [3000]
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "g", resume=False, retry=NEVER)
    assert names_in(tmp_path) == ["f"]


@pytest.mark.parametrize(
    "bad",
    [
        {"etag": '"two"'},
        {"ignores_ranges": True},
        {"etag": '"two"', "ignores_conditions": True},
        {"content_range": "bytes 1-19999/20000"},
        {"content_range": "bytes 7000-19999/30000"},
        {"content_range": "bytes 7000-19999/19000"},
        {"content_range": "what?"},
        {"content": CONTENT[:6000], "ignores_conditions": True},
        {"content": CONTENT[:7000], "ignores_conditions": True},
        {"headers": {"Content-Length": "13000", "Content-Encoding": "gzip"}, "content_range": "bytes */20000"},
    ],
    ids=str,
)
async def test_what_does_not_fit_is_begun_again(memory: Place, tmp_path: Path, bad: dict[str, object]) -> None:
    """A changed file, or a server that makes a mistake with ranges, costs time, and never a file made of two."""
    server = RangeOrigin(cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/file")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        server.content = CONTENT[::-1]
        for name, value in bad.items():
            setattr(server, name, value)
        if "content" in bad:
            server.content = server.content[::-1]
        if "headers" in bad:
            server.headers = {}
        await download(env, url, tmp_path / "f", retry=NEVER)
    assert (tmp_path / "f").read_bytes() == server.content
    assert names_in(tmp_path) == ["f"]


async def test_a_complete_part_is_only_given_its_name(memory: Place, tmp_path: Path) -> None:
    """Killed between the last byte and the name, the next call hears that there is nothing more, and is done."""
    server = RangeOrigin()
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        url = origin.url("/file")
        notes = Notes(url_key(manager.get(url)._request.url), Validators('"one"'), len(CONTENT))
        leave_part(tmp_path, "f", CONTENT, notes.to_json())
        await download(env_of(manager, memory), url, tmp_path / "f", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(server.asked) == ["bytes=20000-"]


async def test_a_server_may_send_less_than_was_asked_for(memory: Place, tmp_path: Path) -> None:
    """Partial responses that end early but as announced are continued, without counting as failures."""
    server = RangeOrigin(cuts=[5000], longest=4000)
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        async with open_download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", retry=AT_ONCE) as opened:
            retries = [event async for event in opened if isinstance(event, Retrying)]
    assert len(retries) == 1
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(server.asked) == [None, "bytes=5000-", "bytes=9000-", "bytes=13000-", "bytes=17000-"]


@pytest.mark.parametrize(
    "server",
    [
        RangeOrigin(etag=None),
        RangeOrigin(etag='W/"weak"'),
        RangeOrigin(headers={"Accept-Ranges": "none"}),
        RangeOrigin(etag=None, headers={"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}),
    ],
    ids=["nothing", "weak", "no ranges", "no date"],
)
async def test_what_cannot_be_told_apart_is_never_continued(memory: Place, tmp_path: Path, server: RangeOrigin) -> None:
    """Without a strong validator a break means the first byte again, and no part is left for later."""
    server.cuts = [7000]
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/file")
        await download(env, url, tmp_path / "f", retry=AT_ONCE)
        assert server.asked == [(None, None), (None, None)]
        server.cuts = [7000]
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "g", retry=NEVER)
    assert names_in(tmp_path) == ["f"]


async def test_a_date_that_can_be_relied_on_will_do(memory: Place, tmp_path: Path) -> None:
    """A date of modification a minute before the response goes into If-Range as the server wrote it."""
    modified = "Sun, 06 Nov 1994 08:49:37 GMT"
    fields = {"Last-Modified": modified, "Date": "Sun, 06 Nov 1994 08:50:37 GMT"}
    server = RangeOrigin(etag=None, headers=fields, cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        await download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", retry=AT_ONCE)
    assert server.asked == [(None, None), ("bytes=7000-", modified)]
    assert (tmp_path / "f").read_bytes() == CONTENT


async def test_no_progress_is_borne_only_so_often(memory: Place, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Failures in the same place are counted, the waits between them double, and in the end the error is raised."""
    server = RangeOrigin(cuts=[7000, 1000, 0, 0, 0, 0, 0])
    policy = RetryPolicy(3, backoff=10, jitter=0)
    began = trio.current_time()
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        with pytest.raises(RemoteHostClosedError):
            await download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", retry=policy)
    assert ranges(server.asked) == [None, "bytes=7000-", *["bytes=8000-"] * 2]
    assert trio.current_time() - began == pytest.approx(10 + 10 + 20)


async def test_a_server_that_always_breaks_and_cannot_continue_is_given_up(memory: Place, tmp_path: Path) -> None:
    """Bytes that had come once before are no progress: the download does not go round in circles."""
    server = RangeOrigin(etag=None, cuts=[7000] * 100)
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        with pytest.raises(RemoteHostClosedError):
            await download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", retry=RetryPolicy(4, backoff=0))
    assert len(server.asked) == 4
    assert names_in(tmp_path) == []


async def test_retry_after_is_respected(memory: Place, tmp_path: Path, autojump_clock: MockClock) -> None:
    """A server that is busy says when to come again; its page is never taken for the file."""
    answers = [OriginResponse(503, [("Retry-After", "30")], b"busy"), OriginResponse(200, body=b"file")]

    async def respond(_request: OriginRequest) -> OriginResponse:
        return answers.pop(0)

    async with memory.open_manager() as manager, memory.origin(respond) as origin:
        async with open_download(env_of(manager, memory), origin.url("/f"), tmp_path / "f") as opened:
            delays = [event.delay async for event in opened if isinstance(event, Retrying)]
    assert delays == [30]
    assert (tmp_path / "f").read_bytes() == b"file"


async def test_each_attempt_is_one_request_and_is_seen(memory: Place, tmp_path: Path) -> None:
    """The replies themselves retry nothing: a policy of three attempts is three requests, each with its head."""
    async with memory.open_manager() as manager, memory.origin({"/f": OriginResponse(503)}) as origin:
        policy = RetryPolicy(3, backoff=0)
        async with open_download(env_of(manager, memory), origin.url("/f"), tmp_path / "f", retry=policy) as opened:
            events = [event async for event in opened]
    assert sum(isinstance(event, MetaDataChanged) for event in events) == 3
    assert [event.attempt for event in events if isinstance(event, Retrying)] == [2, 3]
    assert len(origin.requests) == 3


async def test_bytes_that_are_of_no_use_do_not_count(memory: Place, tmp_path: Path) -> None:
    """When a part turns out not to fit, the download is at its beginning, also if nothing more comes."""
    server = RangeOrigin(cuts=[7000])

    async def respond(request: OriginRequest) -> OriginResponse:
        return OriginResponse(403) if len(server.asked) == 2 else await server(request)

    async with memory.open_manager() as manager, memory.origin(respond) as origin:
        env, url = env_of(manager, memory), origin.url("/f")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        server.content_range = "bytes 0-19999/20000"
        async with open_download(env, url, tmp_path / "f", retry=NEVER) as opened:
            with pytest.raises(ContentAccessDenied):
                await opened.wait()
    assert (opened.bytes_done, opened.total) == (0, None)


@pytest.mark.parametrize(("status", "left"), [(404, False), (410, False), (403, True), (500, True), (204, True)])
async def test_a_status_that_is_no_success_is_the_error(memory: Place, tmp_path: Path, status: int, left: bool) -> None:
    """No file appears; a part of an earlier call stays, unless the status says that the file is gone."""
    refusal: list[int] = []
    server = RangeOrigin(cuts=[7000])

    async def respond(request: OriginRequest) -> OriginResponse:
        return OriginResponse(refusal[0]) if refusal else await server(request)

    async with memory.open_manager() as manager, memory.origin(respond) as origin:
        env, url = env_of(manager, memory), origin.url("/file")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, tmp_path / "f", retry=NEVER)
        refusal.append(status)
        for name in ("f", "fresh"):
            async with open_download(env, url, tmp_path / name) as opened:
                events = [event async for event in opened]
                with pytest.raises(type(status_error(status, "", ""))) as caught:
                    await opened.wait()
            assert caught.value.status_code == status
            assert [type(event) for event in events[-3:]] == [ErrorOccurred, Progress, Finished]
            assert any(isinstance(event, MetaDataChanged) for event in events)
    assert names_in(tmp_path) == ([f"f{SUFFIX}", f"f{SUFFIX}{NOTES_SUFFIX}"] if left else [])


async def test_an_old_file_stays_until_the_new_one_is_whole(memory: Place, tmp_path: Path) -> None:
    """A failed download leaves the file that was there; a whole one replaces it, and keeps its permissions."""
    old = tmp_path / "f"
    old.write_bytes(b"old")
    old.chmod(0o600)
    server = RangeOrigin(cuts=[7000])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        env, url = env_of(manager, memory), origin.url("/file")
        with pytest.raises(RemoteHostClosedError):
            await download(env, url, old, retry=NEVER)
        assert old.read_bytes() == b"old"
        assert (tmp_path / f"f{SUFFIX}").stat().st_mode & 0o777 == 0o600
        await download(env, url, old)
    assert old.read_bytes() == CONTENT
    assert old.stat().st_mode & 0o777 == 0o600


async def test_the_default_policy_gets_over_a_restart(memory: Place, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Without a policy of its own or the manager's, a download is tried five times in the same place."""
    server = RangeOrigin(cuts=[10, 0, 0, 0])
    async with memory.open_manager() as manager, memory.origin(server) as origin:
        await download(env_of(manager, memory), origin.url("/f"), tmp_path / "f")
        with pytest.raises(ServiceUnavailableError):
            origin.routes = {"/f": OriginResponse(503)}
            await download(env_of(manager, memory), origin.url("/f"), tmp_path / "g")
        assert len(origin.requests) == 5 + 5
        with pytest.raises(ContentNotFoundError):
            await download(env_of(manager, memory), origin.url("/other"), tmp_path / "g")
