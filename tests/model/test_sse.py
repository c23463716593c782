"""The parser of server-sent events: the standard's examples and corners, any split, bounds, and a second opinion."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import pytest
from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.errors import UnknownContentError
from trioreply._model.headers import make_headers
from trioreply._model.limits import MAX_EVENT
from trioreply._model.server_sent_event import ServerSentEvent
from trioreply._model.sse import MAX_RETRY, EventParser, is_event_stream

Event = ServerSentEvent


def feed(parser: EventParser, pieces: Iterable[bytes]) -> list[ServerSentEvent]:
    """The events of a stream that comes in ``pieces``; what the parser does not take is fed again."""
    events = []
    for piece in pieces:
        rest = piece
        while rest:
            size, event = parser.feed(rest)
            assert size > 0
            rest = rest[size:]
            if event is not None:
                events.append(event)
    return events


def ways_to_cut(stream: bytes) -> list[list[bytes]]:
    """Whole; byte by byte; and in two, at each place."""
    cut = [[stream[:at], stream[at:]] for at in range(1, len(stream))]
    return [[stream], [stream[at : at + 1] for at in range(len(stream))], *cut]


def events_of(stream: bytes) -> list[ServerSentEvent]:
    """The events of ``stream``, which must not depend on how it is cut."""
    outcomes = [feed(EventParser(), pieces) for pieces in ways_to_cut(stream)]
    assert outcomes == [outcomes[0]] * len(outcomes)
    return outcomes[0]


def model(stream: bytes) -> list[ServerSentEvent]:
    """What the standard says, read from the whole text at once and without a thought for memory."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\r|\n", text)[:-1]
    events = []
    fields: dict[str, str] = {}
    data: list[str] = []
    last_id = ""
    for line in lines:
        name, _, value = line.partition(":")
        value = value[1:] if value[:1] == " " else value
        if name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "event" or (name == "retry" and re.fullmatch("[0-9]+", value)):
            fields[name] = value
        elif not line:
            if data:
                retry = min(float(fields["retry"]) / 1000, MAX_RETRY) if "retry" in fields else None
                events.append(Event(fields.get("event") or "message", "\n".join(data), last_id, retry))
            fields, data = {}, []
    return events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (
            b"data: The first.\n\ndata: The second, it\ndata: has two lines.\n\ndata: The third.\n\n",
            [Event(data="The first."), Event(data="The second, it\nhas two lines."), Event(data="The third.")],
        ),
        (
            b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
            [Event("add", "73857293"), Event("remove", "2153"), Event("add", "113411")],
        ),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event(data="YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
            [Event(data="first event", id="1"), Event(data="second event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [Event(data=""), Event(data="\n")]),
        (b"data:test\n\ndata: test\n\n", [Event(data="test"), Event(data="test")]),
    ],
    ids=["messages", "kinds", "lines", "comment and ids", "empty data", "one space"],
)
def test_the_standards_examples(stream: bytes, events: list[ServerSentEvent]) -> None:
    """The examples of the HTML standard, section 9.2, mean what it says; an incomplete last event is dropped."""
    assert events_of(stream) == events
    assert model(stream) == events


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_line_ends(end: bytes) -> None:
    """CR, LF and CRLF end a line, and a CRLF that is cut in two ends one line."""
    lines = [b"data: a", b"data: b", b"", b"data: c", b"", b""]
    assert events_of(end.join(lines)) == [Event(data="a\nb"), Event(data="c")]


def test_mixed_line_ends() -> None:
    """An LF after a CR is a part of it, an LF after that ends a line of its own."""
    assert events_of(b"data: a\r\n\ndata: b\r\rdata: c\n\rdata: d\r\n\r\n") == [Event(data=text) for text in "abcd"]
    assert events_of(b"data: a\rdata: b\n\n") == [Event(data="a\nb")]


def test_a_cr_ends_its_line_at_once() -> None:
    """An event is complete with the CR of its blank line: nobody waits for an LF that may not come."""
    parser = EventParser()
    assert parser.feed(b"data: a\r\r") == (9, Event(data="a"))
    assert parser.feed(b"\ndata: b\r") == (9, None)
    assert parser.feed(b"") == (0, None)
    assert parser.feed(b"\ndata: c\r\n\r\n") == (12, Event(data="b\nc"))


def test_no_more_than_an_event_is_taken() -> None:
    """What follows an event is left to whoever feeds the parser."""
    assert EventParser().feed(b"data: a\n\ndata: b\n\n") == (9, Event(data="a"))


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"\n\xef\xbb\xbfdata: a\n\n", []),
        (b"\xef\xbbdata: a\n\n", []),
        (b"data: \xef\xbb\xbf\n\n", ["\ufeff"]),
        (b"\xef\xbb\xbf\ndata: a\n\n", ["a"]),
    ],
    ids=["first", "twice", "later", "half", "in data", "alone"],
)
def test_the_byte_order_mark(stream: bytes, data: list[str]) -> None:
    """One byte order mark at the very beginning is no part of the text; anywhere else it is."""
    assert [event.data for event in events_of(stream)] == data


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xc3\xa4\xf0\x9f\x98\x80", "\u00e4\U0001f600"),
        (b"\xff", "\ufffd"),
        (b"\xf0\x9f\x98", "\ufffd"),
        (b"\xed\xa0\x80", "\ufffd" * 3),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_text_is_utf_8(raw: bytes, text: str) -> None:
    """Data, kinds and, but for NUL, ids are UTF-8; what is not becomes U+FFFD, and never half a character."""
    assert events_of(b"event:" + raw + b"\ndata:" + raw + b"\n\n") == [Event(text, text)]
    if b"\x00" not in raw:
        assert events_of(b"data\nid:" + raw + b"\n\n") == [Event(id=text)]


@pytest.mark.parametrize(
    "line", [b"Data: x", b" data: x", b"data : x", b"dat: x", b"datax", b": data: x", b":", b"other", b"\xff: x"]
)
def test_other_lines_mean_nothing(line: bytes) -> None:
    """Comments and fields that the standard does not know, by exactly these names, are ignored."""
    assert events_of(line + b"\ndata: y\n" + line + b"\n\n") == [Event(data="y")]


def test_an_event_without_data_is_none() -> None:
    """Without a data field nothing is delivered, and the kind is forgotten."""
    assert events_of(b"event: x\n\n\n\ndata: y\n\n") == [Event(data="y")]


@pytest.mark.parametrize(
    ("stream", "ids", "last"),
    [
        (b"id: 1\ndata\n\ndata\n\nid: 2\ndata\n\n", ["1", "1", "2"], "2"),
        (b"id: 1\ndata\n\nid\ndata\n\n", ["1", ""], ""),
        (b"id: 1\ndata\n\nid: 2\n\n", ["1"], "2"),
        (b"id: 1\ndata\n\nid: 2\ndata\n", ["1"], "1"),
        (b"id: 1\ndata\nid: 2\x003\n\n", ["1"], "1"),
        (b"id: 1\nid: 2\ndata\n\n", ["2"], "2"),
        (b"data\n\n", ["0"], "0"),
    ],
    ids=["stays", "taken back", "without data", "incomplete", "with NUL", "twice", "from before"],
)
def test_ids(stream: bytes, ids: list[str], last: str) -> None:
    """An id stays until the next one; it counts when its event is complete, with data or without; one with NUL not."""
    for pieces in ways_to_cut(stream):
        parser = EventParser(last_event_id="0")
        assert [event.id for event in feed(parser, pieces)] == ids
        assert parser.last_event_id == last


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1500", 1.5),
        (b"0", 0.0),
        (b"007", 0.007),
        (b"", None),
        (b"1.5", None),
        (b"-1", None),
        (b"1e3", None),
        (b" 1", None),
        ("\u0663".encode(), None),
        (b"3600001", MAX_RETRY),
        (b"9" * 5000, MAX_RETRY),
        (b"0" * 5000 + b"1000", 1.0),
    ],
)
def test_reconnection_times(value: bytes, seconds: float | None) -> None:
    """``retry`` is milliseconds in ASCII digits, seconds to us, at most an hour, and nothing if it is anything else."""
    parser = EventParser()
    feed(parser, [b"retry: " + value + b"\n"])
    assert parser.retry == seconds
    assert feed(parser, [b"data\n\ndata\n\n"]) == [Event(retry=seconds), Event()]
    assert parser.retry == seconds


@pytest.mark.parametrize(
    "stream",
    [
        b"data: 45678901",
        b": a comment that",
        b"x" * 14,
        b"data: 456\ndata: 4",
        b"id: 5678\ndata: 4",
        b"event: 89\n: 456",
        b"data: ok\n\n" + b"x" * 14,
        b"data\n" * 4,
    ],
)
def test_bounds(stream: bytes) -> None:
    """A line, or what is kept of an event, larger than ``max_size`` is UNKNOWN_CONTENT, however it is cut."""
    for pieces in ways_to_cut(stream):
        with pytest.raises(UnknownContentError, match="larger than max_size=13 bytes"):
            feed(EventParser(13), pieces)


def test_what_is_not_bounded() -> None:
    """Any number of events, comments and fields that mean nothing may come; an event may be just as large as said."""
    stream = (b"data: 4567890\n\n" + b": comment\nretry: 1\nother\n" * 10) * 10
    assert len(feed(EventParser(13), [stream])) == 10


def test_an_endless_line_takes_no_memory_beyond_the_bound() -> None:
    """By default a mebibyte is where an event ends at the latest."""
    parser = EventParser()
    with pytest.raises(UnknownContentError):
        for fed in range(0, 2 * MAX_EVENT, 4096):
            assert fed <= MAX_EVENT
            parser.feed(bytes(4096))


PARTS = [
    *(b"\n", b"\r", b"\r\n", b":", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc3", b"\xa4", b"x", b"\n\n"),
    *(b"data", b"data: ", b"\ndata:", b"event:", b"\nid: ", b"id", b"\nretry:", b"12", b"0"),
]
streams = st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join) | st.binary(max_size=60)


@given(streams, st.data())
def test_a_second_opinion(stream: bytes, choose: st.DataObject) -> None:
    """Whatever the stream and however it is cut, the events are those of a parser that reads it whole."""
    cuts = sorted(choose.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert feed(EventParser(), pieces) == feed(EventParser(), [stream]) == model(stream)


@given(streams, st.integers(1, 12), st.data())
def test_bounds_do_not_depend_on_cuts(stream: bytes, max_size: int, choose: st.DataObject) -> None:
    """What comes before an event that is too large, and whether one is, does not depend on how the stream is cut."""
    at = choose.draw(st.integers(0, len(stream)))
    outcomes = []
    for pieces in ([stream], [stream[:at], stream[at:]]):
        events: list[ServerSentEvent] = []
        parser = EventParser(max_size)
        try:
            for piece in pieces:
                rest = piece
                while rest:
                    size, event = parser.feed(rest)
                    rest = rest[size:]
                    events += [] if event is None else [event]
        except UnknownContentError:
            outcomes.append((events, "too large"))
        else:
            outcomes.append((events, parser.last_event_id))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=latin-1", True),
        ("text/event-streams", False),
        ("text/html", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_the_media_type(content_type: str, expected: bool) -> None:
    """An event stream is what has its media type, with whatever parameters."""
    assert is_event_stream(make_headers({"Content-Type": content_type})) is expected
    assert not is_event_stream(make_headers(None))


def test_an_event_is_a_value() -> None:
    """Events are frozen, compare by what they say, and are an empty message by default."""
    event = Event("add", "1", id="2", retry=0.5)
    assert event == Event("add", "1", "2", 0.5)
    assert asdict(Event()) == {"event": "message", "data": "", "id": "", "retry": None}
    with pytest.raises(AttributeError):
        event.data = "x"  # type: ignore[misc]  # it must fail
