"""Every HTTP/1.1 codec makes the same of the same bytes, however they arrive."""

from __future__ import annotations

import pytest

from trioreply._model.errors import ReplyError

from .h1_cases import EMPTY, GET, OK, Case, Make, Outcome, by_codec, cut, listen, outcome_of, play
from .h1_table import ALL, FRAMED


def named(cases: list[Case]) -> pytest.MarkDecorator:
    """One test for each case, under its name."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def without_reuse(outcome: Outcome) -> Outcome:
    """The same, but for a connection that is worth nothing any more."""
    return Outcome(outcome.messages, outcome.error, reusable=False)


@by_codec
@named(ALL)
def test_whole(make: Make, case: Case) -> None:
    """A response that comes in one piece gives its messages, then its error if it has one."""
    assert play(make(), case.request, cut(case.wire, (), ends=case.ends)) == outcome_of(case)


@by_codec
@named(ALL)
def test_byte_by_byte(make: Make, case: Case) -> None:
    """A response that comes in single bytes amounts to the same."""
    assert play(make(), case.request, cut(case.wire, range(len(case.wire)), ends=case.ends)) == outcome_of(case)


@by_codec
@named(ALL)
def test_cut_anywhere(make: Make, case: Case) -> None:
    """A response that is cut in two, at whatever place (every third of a long one), amounts to the same."""
    for place in range(1, len(case.wire), 1 + len(case.wire) // 250):
        outcome = play(make(), case.request, cut(case.wire, [place], ends=case.ends))
        assert outcome == outcome_of(case), place


@by_codec
@pytest.mark.parametrize("junk", [b"\0", b"\r\n", EMPTY], ids=["NUL", "CRLF", "response"])
@named(FRAMED)
def test_surplus(make: Make, case: Case, junk: bytes) -> None:
    """Bytes after the end spoil the connection and not the response, whether they come with it or after it."""
    expected = without_reuse(outcome_of(case))
    assert play(make(), case.request, [case.wire + junk]) == expected
    assert play(make(), case.request, [case.wire, junk]) == expected


@by_codec
@named(FRAMED)
def test_close_after_the_end(make: Make, case: Case) -> None:
    """A peer that closes after a complete response spoils the connection and not the response."""
    assert play(make(), case.request, [case.wire, b""]) == without_reuse(outcome_of(case))


@by_codec
@named([case for case in FRAMED if case.reusable])
def test_next_cycle(make: Make, case: Case) -> None:
    """A reusable codec takes another request, and nothing of the first response shows in the second."""
    codec = make()
    for _ in range(3):
        assert play(codec, case.request, [case.wire]) == outcome_of(case)


@by_codec
@named([case for case in ALL if case.error is not None])
def test_nothing_after_an_error(make: Make, case: Case) -> None:
    """A codec that has failed reads nothing more and takes no request: it cannot know what further bytes mean."""
    codec = make()
    play(codec, case.request, cut(case.wire, (), ends=case.ends))
    for data in (EMPTY, b""):
        again = listen(codec, [data])
        assert again.messages == ()
        assert again.error is not None
    with pytest.raises(RuntimeError, match="takes no request"):
        codec.start(GET)


@by_codec
@named([case for case in ALL if case.error is not None])
def test_errors_say_something(make: Make, case: Case) -> None:
    """Every error has a text of its own, in words, short enough to be read."""
    codec = make()
    codec.start(case.request)
    *feeds, last = cut(case.wire, (), ends=case.ends)
    for data in feeds:
        list(codec.receive(data))
    with pytest.raises(ReplyError) as caught:
        list(codec.receive(last))
    assert 20 < len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@by_codec
def test_response_started(make: Make) -> None:
    """It is known whether anything of a response has come: that decides whether a request may be sent again."""
    codec = make()
    seen = []
    for data in (b"H", EMPTY[1:], b"H"):
        if codec.is_reusable:
            codec.start(GET)
            codec.end_request()
            seen.append(codec.response_started)
        list(codec.receive(data))
        seen.append(codec.response_started)
    assert seen == [False, True, True, False, True]


@by_codec
def test_end_of_stream_is_no_response(make: Make) -> None:
    """A connection that is closed without an answer has not begun one."""
    codec = make()
    assert play(codec, GET, [b""]).error is not None
    assert not codec.response_started


@by_codec
@pytest.mark.parametrize("data", [b"HTTP/1.1 408 Timeout\r\n\r\n", b""], ids=["bytes", "end"])
def test_unasked(make: Make, data: bytes) -> None:
    """What comes before any request is not an answer to it, and the connection is not used."""
    codec = make()
    assert codec.is_reusable
    assert listen(codec, [data]) == Outcome((), None, reusable=False)
    assert not codec.response_started


@by_codec
def test_unfinished_feed(make: Make) -> None:
    """Who does not iterate a feed to its end loses the connection, not the order of things."""
    codec = make()
    codec.start(GET)
    codec.end_request()
    next(iter(codec.receive(EMPTY)))
    assert not codec.is_reusable
    assert listen(codec, [EMPTY]).error is not None


@by_codec
def test_body_is_passed_on(make: Make) -> None:
    """A piece of a body whose length is known is the very object that was fed, not a copy."""
    codec = make()
    codec.start(GET)
    list(codec.receive(OK + b"Content-Length: 100000\r\n\r\n"))
    piece = bytes(50_000)
    (message,) = codec.receive(piece)
    assert getattr(message, "data", None) is piece
