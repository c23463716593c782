"""Events in words, and in JSON."""

from __future__ import annotations

import enum
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply import Event, Finished, MetaDataChanged, NetworkError, Request
from trioreply._cli.exits import MEANINGS, Exit, exit_for
from trioreply._cli.records import json_line
from trioreply._cli.wording import details, printable, size

from .samples import SAMPLES, SECRET, Sample


def test_samples_are_complete() -> None:
    """There is a sample of every kind of event, so the other tests leave none out."""
    assert {type(sample.event) for sample in SAMPLES} == set(get_args(Event))


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_words(sample: Sample) -> None:
    """An event's words say what is worth knowing, steer no terminal, and hold no password."""
    assert details(sample.event) == sample.words
    assert SECRET not in sample.words


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_record(sample: Sample) -> None:
    """An event's JSON is one line with its name, the time and its public fields, and no password."""
    line = json_line(sample.event, elapsed=1.23456789)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == {"event": type(sample.event).__name__, "time": 1.234568, **sample.record}
    assert SECRET.encode() not in line


def test_record_of_undecodable_header() -> None:
    """A header field that is no text is still one line of ASCII."""
    headers = Request("http://h/", headers={"X": b"\xff"}).headers
    line = json_line(MetaDataChanged(200, headers), elapsed=0)
    assert json.loads(line.decode("ascii"))["headers"] == [["X", "\udcff"]]


def test_record_of_the_unknown_is_refused() -> None:
    """A field of a kind that has no JSON form is a mistake, not a guess."""
    with pytest.raises(TypeError, match="bytes has no JSON form"):
        json_line(Finished(b"raw"), elapsed=0)  # type: ignore[arg-type]  # that it is wrong is the point


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (3 * 2**30, "3.0 GiB"),
        (2**40, "1.0 TiB"),
        (5000 * 2**40, "5000.0 TiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    """A number of bytes is shown in the largest unit that keeps it above one."""
    assert size(count) == text


@given(st.text())
def test_printable_text_steers_nothing(text: str) -> None:
    """Whatever a server sends, no control character reaches the terminal, and ordinary text stays as it is."""
    assert printable(text).isprintable()
    assert not text.isprintable() or printable(text) == text


@pytest.mark.parametrize("error", NetworkError)
def test_exit_code_follows_group(error: NetworkError) -> None:
    """Each hundred of Qt's error numbers is a group, and has an exit code of its own."""
    groups: dict[int, enum.IntEnum] = {
        0: Exit.TRANSPORT,
        1: Exit.PROXY,
        2: Exit.CONTENT,
        3: Exit.PROTOCOL,
        4: Exit.SERVER,
    }
    assert exit_for(error) == (groups[error // 100] if error else Exit.OK)


def test_exit_codes_are_explained() -> None:
    """Every exit code has its meaning in ``--help``."""
    assert list(MEANINGS) == list(Exit)
