"""Events and messages: frozen values; questions are answered once and are no part of them."""

from __future__ import annotations

from types import UnionType
from typing import get_args

import attrs
import pytest
from yarl import URL

from trioreply import (
    AuthenticationRequired,
    Challenge,
    Direction,
    Event,
    Finished,
    Informational,
    Message,
    MetaDataChanged,
    NetworkError,
    Progress,
    Proxy,
    ProxyAuthenticationRequired,
    ProxyType,
    Question,
    Redirected,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
    SocketStartedConnecting,
    SslError,
    SslErrorCode,
    SslErrors,
)
from trioreply._model.events import QuestionEvent, without_question
from trioreply._model.headers import make_headers
from trioreply._model.messages import AuthenticationQuestion, ProxyChallenge, RedirectQuestion, TlsQuestion

URL_WITH_PASSWORD = URL("http://alice:hush@h/")
CHALLENGE = Challenge("Basic", "here")
PROXY = Proxy(ProxyType.HTTP, "proxy", 3128, user="me", password="hush")
ERRORS = (SslError(SslErrorCode.CERTIFICATE_EXPIRED), SslError(SslErrorCode.HOST_NAME_MISMATCH))


class Answers:
    """An open question that remembers what it was told."""

    def __init__(self) -> None:
        self.given: list[object] = []

    def settle(self, answer: object) -> None:
        """Keep the answer."""
        self.given.append(answer)


def members(union: UnionType) -> list[type]:
    """The classes in a union."""
    return list(get_args(union))


def questions(asked: Answers | None) -> list[QuestionEvent]:
    """One of each event that asks."""
    return [
        SslErrors(ERRORS, question=asked),
        AuthenticationRequired(URL_WITH_PASSWORD, CHALLENGE, question=asked),
        ProxyAuthenticationRequired(PROXY, CHALLENGE, question=asked),
        Redirected(301, URL_WITH_PASSWORD, question=asked),
    ]


def answer(event: QuestionEvent) -> None:
    """Answer with what there is to answer with."""
    match event:
        case SslErrors():
            event.ignore()
        case Redirected():
            event.allow()
        case _:
            event.answer("user", "password")


CLASSES = [*members(Event), *(kind for kind in members(Message) if kind not in members(Event))]
QUESTION_CLASSES = [TlsQuestion, AuthenticationQuestion, ProxyChallenge, RedirectQuestion]


@pytest.mark.parametrize("kind", [*CLASSES, *QUESTION_CLASSES], ids=lambda kind: kind.__name__)
def test_frozen_and_slotted(kind: type) -> None:
    """An event or a message cannot be changed and holds nothing but its fields."""
    assert attrs.has(kind)
    instance = object.__new__(kind)
    assert not hasattr(instance, "__dict__")
    for name in [attribute.name for attribute in attrs.fields(kind)]:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(instance, name, None)
    with pytest.raises(AttributeError):
        setattr(instance, "surprise", 1)  # noqa: B010 - the checker would not let us


@pytest.mark.parametrize("kind", QUESTION_CLASSES)
def test_questions_share_a_base(kind: type) -> None:
    """What a sink asks is a `Question`."""
    assert issubclass(kind, Question)


def test_equality_and_hash_ignore_the_question() -> None:
    """An event is what it says: whether its question is open makes no difference to equality, hash and repr."""
    for asked, plain in zip(questions(Answers()), questions(None), strict=True):
        assert asked == plain
        assert hash(asked) == hash(plain)
        assert repr(asked) == repr(plain)
        assert "question" not in repr(asked)


def test_addresses_tried_are_the_same_event() -> None:
    """The address of an attempt is a detail: it takes no part in equality."""
    assert SocketStartedConnecting("h", 80, "::1") == SocketStartedConnecting("h", 80)
    assert SocketStartedConnecting("h", 80) != SocketStartedConnecting("h", 81)


@pytest.mark.parametrize(
    "value",
    [
        Informational(103, make_headers({"Link": "x"})),
        MetaDataChanged(200, make_headers({"Age": "1"})),
        ResponseHead(200, headers={"Age": "1"}),
        ResponseTrailers({"Age": "1"}),
        ResponseData(b"x"),
        Finished(NetworkError.NO_ERROR),
        AuthenticationRequired(URL("http://h"), CHALLENGE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_can_be_hashed(value: object) -> None:
    """Every event and message can be put into a set, header fields or not."""
    assert len({value, value}) == 1


def test_no_secret_in_repr() -> None:
    """Events and questions show neither the password of a URL nor that of a proxy, nor a body."""
    asked: list[object] = [
        AuthenticationQuestion(URL_WITH_PASSWORD, CHALLENGE),
        ProxyChallenge(PROXY, CHALLENGE),
        RedirectQuestion(301, URL_WITH_PASSWORD),
        ResponseData(b"hush"),
    ]
    for value in (*questions(None), *asked):
        assert "hush" not in repr(value)


def test_answers_reach_whoever_asked() -> None:
    """Each question event has the one method that its question needs, and its argument is the answer."""
    asked = Answers()
    for event in questions(asked):
        answer(event)
    assert asked.given == [ERRORS, ("user", "password"), ("user", "password"), True]


def test_ignoring_exactly_some_errors() -> None:
    """``ignore(errors)`` answers with exactly these, from any iterable, and none of them is an answer too."""
    asked = Answers()
    event = SslErrors(ERRORS, question=asked)
    event.ignore(error for error in ERRORS[:1])
    event.ignore([])
    assert asked.given == [ERRORS[:1], ()]


def test_copies_for_observers_cannot_answer() -> None:
    """What observers see is equal to the event and cannot be answered; other events are passed as they are."""
    asked = Answers()
    for event in questions(asked):
        copy = without_question(event)
        assert copy == event
        with pytest.raises(RuntimeError, match="asks nothing"):
            answer(copy)
    assert asked.given == []
    finished = Finished(NetworkError.NO_ERROR)
    assert without_question(finished) is finished


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [
        (Progress(Direction.DOWNLOAD, 5), None),
        (Progress(Direction.DOWNLOAD, 5, None, 5), None),
        (Progress(Direction.DOWNLOAD, 5, None, None, 10), None),
        (Progress(Direction.DOWNLOAD, 5, 10), 0.5),
        (Progress(Direction.DOWNLOAD, 0, 10), 0.0),
        (Progress(Direction.UPLOAD, 10, 10), 1.0),
        (Progress(Direction.UPLOAD, 12, 10), 1.0),
        (Progress(Direction.UPLOAD, 0, 0), 1.0),
        (Progress(Direction.DOWNLOAD, 900, None, 3, 4), 0.75),
        (Progress(Direction.DOWNLOAD, 5, 10, 3, 4), 0.5),
    ],
)
def test_fraction(progress: Progress, fraction: float | None) -> None:
    """The fraction is of the body if its length is known, else of what goes over the wire, and never more than 1."""
    assert progress.fraction == fraction


def test_message_headers_are_checked() -> None:
    """A handler of one's own may give headers in any form; they are validated as a request's are."""
    assert ResponseHead(200, headers={"A": b"b"}).headers["a"] == "b"
    assert ResponseHead() == ResponseHead(None, "", {}, "")
    with pytest.raises(ValueError, match=r"^headers: "):
        ResponseTrailers({"A": "\n"})
