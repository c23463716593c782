"""Redirects, followed: what the reply sees, what becomes of bodies, and who is asked when."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import TypeVar, cast

import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import assert_no_checkpoints
from yarl import URL

from trioreply import (
    Message,
    Operation,
    Question,
    Redirected,
    RedirectPolicy,
    Request,
    RequestFields,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply._model.auth import UserPassword
from trioreply._model.messages import RedirectQuestion
from trioreply._policies.redirects import MAX_WITHHELD, redirects
from trioreply._policies.redirects_decide import origin
from trioreply.abc import Handler, Sink
from trioreply.errors import (
    ContentReSendError,
    HostNotFoundError,
    InsecureRedirectError,
    OperationCanceledError,
    ProtocolFailure,
    ProtocolUnknownError,
    RemoteHostClosedError,
    ReplyError,
    TooManyRedirectsError,
)

from .recording import RecordingSink, handler_of, put

A = TypeVar("A")

HERE = "http://h.example/"
PIECE = ResponseData(b"x" * 16 * 1024)
MANY = [PIECE] * 10  # more than is read away
WELCOME: list[Message] = [ResponseHead(200), ResponseData(b"welcome")]
VERIFIED = RedirectPolicy.USER_VERIFIED


def moved(location: str, status: int = 302) -> ResponseHead:
    """The head of a redirect."""
    return ResponseHead(status, headers=[("Location", location)])


class Asked(RecordingSink):
    """Takes everything; answers each question with ``answer``, and looks around with ``watch`` meanwhile."""

    def __init__(self, answer: bool | None, watch: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__(on_ask=watch)
        self._answer = answer

    async def ask(self, question: Question[A]) -> A | None:
        """Keep the question, and give the answer."""
        await super().ask(question)
        return cast("A | None", self._answer)


@define
class Web:
    """Servers: each URL has a response, and ends with an error if it says so. Remembers what it was sent."""

    pages: dict[str, Iterable[Message | Exception]]
    requests: list[Request] = field(factory=list)
    delivered: int = 0
    """How many pieces of bodies were taken from it."""
    is_busy: bool = False

    async def __call__(self, request: Request, sink: Sink) -> None:
        """The handler."""
        self.requests.append(request)
        self.is_busy = True
        try:
            for message in self.pages[str(request.url)]:
                if isinstance(message, Exception):
                    raise message
                await sink.put(message)
                self.delivered += isinstance(message, ResponseData)
        finally:
            self.is_busy = False

    @property
    def visited(self) -> list[str]:
        """The URLs, in order."""
        return [str(request.url) for request in self.requests]


def web(*redirect: Message | Exception) -> Web:
    """One page that is a redirect, and the one it leads to."""
    return Web({HERE: redirect, "http://h.example/new": WELCOME})


NEW = URL("http://h.example/new")
FOLLOWED: list[Message] = [moved("/new"), Redirected(302, NEW), *WELCOME]


async def test_what_the_reply_sees() -> None:
    """Of a redirect that is followed the reply sees the head and where it goes on; never its body or trailers."""
    sink = RecordingSink()
    server = web(RequestSent(), moved("/new"), ResponseData(b"look there"), ResponseTrailers([("A", "b")]))
    await redirects(server)(Request(HERE), sink)
    assert sink.messages == [RequestSent(), *FOLLOWED]
    assert server.visited == [HERE, str(NEW)]


async def test_no_checkpoint_before_redirected() -> None:
    """Head and `Redirected` come without a checkpoint in between: nobody takes the redirect for the response."""
    sink = RecordingSink()

    async def server(request: Request, target: Sink) -> None:
        if request.url == NEW:
            await target.put(WELCOME[0])
            return
        with assert_no_checkpoints():
            await target.put(moved("/new"))
        assert sink.messages == FOLLOWED[:2]
        await trio.lowlevel.checkpoint()

    await redirects(server)(Request(HERE), sink)
    assert sink.messages == FOLLOWED[:3]


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 399, 404, None])
async def test_what_is_no_redirect(status: int | None) -> None:
    """Any other status is the reply's, whatever its Location says."""
    sink = RecordingSink()
    messages: list[Message] = [ResponseHead(status, headers=[("Location", "/new")]), ResponseData(b"a")]
    await redirects(web(*messages))(Request(HERE), sink)
    assert sink.messages == messages


@pytest.mark.parametrize(("url", "policy"), [(HERE, RedirectPolicy.MANUAL), ("test://h/", RedirectPolicy.NO_LESS_SAFE)])
async def test_who_is_not_looked_after(url: str, policy: RedirectPolicy) -> None:
    """Under MANUAL, and for other schemes than http and https, the exchange runs as if there were no policy."""
    sink = RecordingSink()
    calls: list[tuple[Request, Sink]] = []

    async def handler(request: Request, target: Sink) -> None:
        calls.append((request, target))

    request = Request(url, redirect_policy=policy)
    await redirects(handler)(request, sink)
    assert calls == [(request, sink)]


async def test_small_bodies_are_read_away() -> None:
    """A redirect's body is read to its end, so that its connection can be used again."""
    server = web(moved("/new"), *[PIECE] * 4)
    await redirects(server)(Request(HERE), sink := RecordingSink())
    assert sink.messages == FOLLOWED
    assert server.delivered == 4 + 1


@pytest.mark.parametrize("piece", [PIECE, ResponseData(b"", wire_size=len(PIECE.data))])
async def test_large_bodies_are_cut(piece: ResponseData) -> None:
    """An exchange is cut whose redirect has a body of more than `MAX_WITHHELD`, before or after decoding."""
    server = web(moved("/new"), *[piece] * 10)
    await redirects(server)(Request(HERE), sink := RecordingSink())
    assert sink.messages == FOLLOWED
    assert server.delivered == MAX_WITHHELD // len(PIECE.data) + 1


def stubborn(server: Handler, error: Exception | None) -> Handler:
    """A handler that makes something else, or nothing, of what stops it; and it goes on to the end."""

    async def handle(request: Request, sink: Sink) -> None:
        stopped: list[Exception] = []
        try:
            await server(request, sink)
        except Exception as stop:  # noqa: BLE001 - whatever it is, the handler goes on
            stopped.append(stop)
        for reason in stopped:
            await handler_of(put(RequestProgress(1)))(request, sink)
            with pytest.raises(type(reason)):
                await sink.put(PIECE)
            if error is not None:
                raise error from reason

    return handle


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, VERIFIED])
@pytest.mark.parametrize("error", [ProtocolFailure("stopped"), OperationCanceledError("stopped"), ValueError(), None])
async def test_whatever_is_made_of_a_cut(error: Exception | None, policy: RedirectPolicy) -> None:
    """An exchange that we cut is over, whatever the handler raises then, and whatever it still says."""
    sink = Asked(answer=True)
    await redirects(stubborn(web(moved("/new"), *MANY), error))(Request(HERE, redirect_policy=policy), sink)
    assert sink.messages == FOLLOWED


@pytest.mark.parametrize("error", [RemoteHostClosedError("gone"), ProtocolFailure("bad chunk")])
async def test_bodies_nobody_wants_may_fail(error: ReplyError) -> None:
    """A redirect whose body fails is still a redirect."""
    await redirects(web(moved("/new"), PIECE, error))(Request(HERE), sink := RecordingSink())
    assert sink.messages == FOLLOWED


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, VERIFIED])
@pytest.mark.parametrize("error", [ValueError("a bug"), OperationCanceledError("clear_connections()")])
async def test_what_is_not_about_the_body(error: Exception, policy: RedirectPolicy) -> None:
    """A bug, or our own side closing the connection, ends the reply during a redirect as it would at any time."""
    server = web(moved("/new"), PIECE, error)
    with pytest.raises(type(error)):
        await redirects(server)(Request(HERE, redirect_policy=policy), Asked(answer=True))
    assert server.visited == [HERE]


async def test_failures_before_a_head() -> None:
    """An exchange that fails without a redirect fails; also that of a later hop."""
    for server in (web(HostNotFoundError()), Web({HERE: [moved("/new")], str(NEW): [HostNotFoundError()]})):
        with pytest.raises(HostNotFoundError):
            await redirects(server)(Request(HERE), RecordingSink())


@pytest.mark.parametrize("body", [[], [PIECE], MANY, [PIECE, RemoteHostClosedError()]])
@pytest.mark.parametrize(
    ("location", "fields", "error"),
    [
        ("ftp://h.example/", RequestFields(), ProtocolUnknownError),
        ("//other.example/", RequestFields(redirect_policy=RedirectPolicy.SAME_ORIGIN), InsecureRedirectError),
        ("/new", RequestFields(max_redirects=0), TooManyRedirectsError),
        ("/new", RequestFields(max_redirects=0, redirect_policy=VERIFIED), TooManyRedirectsError),
    ],
)
async def test_refused(
    location: str, fields: RequestFields, error: type[ReplyError], body: list[Message | Exception]
) -> None:
    """A redirect that must not be followed shows its head, gives back its connection, and ends the reply."""
    server = web(moved(location), *body)
    sink = Asked(answer=True)
    with pytest.raises(error) as caught:
        await redirects(server)(Request(HERE, **fields), sink)
    assert caught.value.code is error.code
    assert sink.messages == [moved(location)]
    assert (sink.questions, server.visited, server.is_busy) == ([], [HERE], False)


async def test_loops_end() -> None:
    """A loop with ``max_redirects=2`` makes three requests and shows two redirects (as Qt)."""
    server = web(moved("/"))
    sink = RecordingSink()
    with pytest.raises(TooManyRedirectsError):
        await redirects(server)(Request(HERE, max_redirects=2), sink)
    assert sink.messages == [moved("/"), Redirected(302, URL(HERE))] * 2 + [moved("/")]
    assert len(server.requests) == 3


async def test_early_redirects_of_uploads() -> None:
    """What an upload still says after its redirect is not the next hop's progress, and nobody hears of it."""
    early: list[Message] = [RequestProgress(1), moved("/new", 307), RequestProgress(2), RequestSent()]
    server = web(*early)
    sink = RecordingSink()
    await redirects(server)(Request(HERE, operation=Operation.POST, body=b"data"), sink)
    assert sink.messages == [early[0], early[1], Redirected(307, NEW), *WELCOME]
    assert [request.body for request in server.requests] == [server.requests[0].body] * 2


async def test_upgrades() -> None:
    """A target is requested, and shown, as it will be used: an upgraded one secure."""
    server = Web({HERE: [moved("http://s.example/")], "https://s.example/": WELCOME})
    sink = RecordingSink()
    policy = partial(redirects, upgrade=lambda url: url.with_scheme("https"))
    await policy(server)(Request(HERE), sink)
    assert sink.messages[1] == Redirected(302, URL("https://s.example/"))


# USER_VERIFIED


@pytest.mark.parametrize("failure", [[], [RemoteHostClosedError()]])
async def test_allowed(failure: list[Exception]) -> None:
    """An allowed redirect is followed; it is asked with the head shown, the body read, and no connection held."""
    server = web(moved("/new"), PIECE, *failure)

    async def look() -> None:
        assert (sink.messages, server.is_busy, server.delivered) == ([moved("/new")], False, 1)

    sink = Asked(answer=True, watch=look)
    await redirects(server)(Request(HERE, redirect_policy=VERIFIED), sink)
    assert sink.messages == FOLLOWED
    assert sink.questions == [RedirectQuestion(302, NEW)]


@pytest.mark.parametrize("answer", [None, False])
@pytest.mark.parametrize("body", [[], [PIECE, ResponseTrailers([("A", "b")])], MANY])
async def test_not_allowed(answer: bool | None, body: list[Message]) -> None:
    """A redirect that is not allowed is the response, with all its body, however large that is (as under MANUAL)."""
    sink = Asked(answer)
    server = web(moved("/new"), *body)
    await redirects(server)(Request(HERE, redirect_policy=VERIFIED), sink)
    assert sink.messages == [moved("/new"), *body]
    assert (len(sink.questions), server.visited) == (1, [HERE])


async def test_not_allowed_and_failed() -> None:
    """A redirect that is not allowed and whose body failed is a response that failed, with what came of it."""
    sink = Asked(answer=False)
    with pytest.raises(RemoteHostClosedError):
        await redirects(web(moved("/new"), PIECE, RemoteHostClosedError()))(
            Request(HERE, redirect_policy=VERIFIED), sink
        )
    assert sink.messages == [moved("/new"), PIECE]


async def test_large_bodies_are_not_read_before_asking() -> None:
    """When the body is too large the question is asked with the connection kept, and cut if the answer is yes."""
    server = web(moved("/new"), *MANY)

    async def look() -> None:
        assert (sink.messages, server.is_busy, server.delivered) == ([moved("/new")], True, 4)

    sink = Asked(answer=True, watch=look)
    await redirects(server)(Request(HERE, redirect_policy=VERIFIED), sink)
    assert sink.messages == FOLLOWED
    assert server.delivered == 4 + 1


async def test_uploads_are_seen_until_it_is_decided() -> None:
    """What an upload says while a redirect is withheld is shown, for the redirect may be the response."""
    early: list[Message] = [moved("/new", 307), RequestProgress(2), PIECE]
    sink = Asked(answer=False)
    await redirects(web(*early))(Request(HERE, operation=Operation.POST, body=b"data", redirect_policy=VERIFIED), sink)
    assert sink.messages == [early[1], early[0], early[2]]


@pytest.mark.parametrize("rest", [[PIECE], MANY])
async def test_allowed_but_impossible(rest: list[Message]) -> None:
    """An allowed redirect that cannot be followed ends the reply; one that is not allowed is the response."""
    for answer, shown in ((True, []), (False, rest)):
        receive, _send = await _body()
        sink = Asked(answer)
        request = Request(HERE, operation=Operation.POST, body=receive, redirect_policy=VERIFIED)
        if answer:
            with pytest.raises(ContentReSendError):
                await redirects(web(moved("/new", 308), *rest))(request, sink)
        else:
            await redirects(web(moved("/new", 308), *rest))(request, sink)
        assert sink.messages == [moved("/new", 308), *shown]


async def _body() -> tuple[trio.abc.ReceiveStream, trio.abc.SendStream]:
    send, receive = trio.testing.memory_stream_one_way_pair()
    return receive, send


@pytest.mark.parametrize("rest", [[PIECE], MANY])
async def test_failing_to_ask(rest: list[Message]) -> None:
    """An application that fails while it is asked ends the reply with that, and is not asked again."""

    async def fail() -> None:
        raise HostNotFoundError("looked up, and not found")

    sink = Asked(answer=True, watch=fail)
    with pytest.raises(HostNotFoundError):
        await redirects(web(moved("/new"), *rest))(Request(HERE, redirect_policy=VERIFIED), sink)
    assert sink.messages == [moved("/new")]
    assert len(sink.questions) == 1


async def test_every_hop_is_asked_about() -> None:
    """Under USER_VERIFIED each redirect of a chain is a question of its own."""
    server = Web({HERE: [moved("/two")], "http://h.example/two": [moved("/new", 301), *MANY], str(NEW): WELCOME})
    sink = Asked(answer=True)
    await redirects(server)(Request(HERE, redirect_policy=VERIFIED), sink)
    assert [cast("RedirectQuestion", question).status_code for question in sink.questions] == [302, 301]
    assert server.visited == [HERE, "http://h.example/two", str(NEW)]


# What holds for any chain

ORIGINS = [f"{scheme}://{host}" for scheme in ("http", "https") for host in ("a", "b", "a.b", "a:81", "b:443", "a:80")]
SECRET = "s3cret"  # the mark of everything that is for the first origin's eyes only
STARTS = st.sampled_from([f"{place.replace('//', '//' + user)}/" for place in ORIGINS for user in ("", f"u:{SECRET}@")])
LOCATIONS = st.one_of(
    st.sampled_from([f"{place}/x" for place in ORIGINS]),
    st.sampled_from([f"{place.replace('//', '//me:theirs@')}/x" for place in ORIGINS]),
    st.sampled_from(["/y", "?z", "", "#f", "//b", "//a:81/", "ftp://a/", "http:x", "\\\\b", "//a@b/", "//b\\@a/"]),
)
HOPS = st.lists(st.tuples(st.sampled_from([301, 302, 303, 307, 308]), LOCATIONS), max_size=6)
NAMES = ["Authorization", "AUTHORIZATION", "Cookie", "cookie2", "Proxy-Authorization", "host", "X-Key", "x-kEY"]
REQUESTS = st.builds(
    Request,
    STARTS,
    operation=st.sampled_from([Operation.GET, Operation.POST, Operation.HEAD]),
    body=st.sampled_from([None, b"data"]),
    headers=st.lists(st.sampled_from([*((name, SECRET) for name in NAMES), ("Accept", "*/*")])),
    auth=st.sampled_from([None, ("u", SECRET)]),
    sensitive_headers=st.just(["x-key"]),
    peer_verify_name=st.sampled_from([None, SECRET]),
    redirect_policy=st.sampled_from([*RedirectPolicy]),
    max_redirects=st.integers(0, 4),
)


async def chained(request: Request, hops: list[tuple[int, str]], answer: bool) -> list[Request]:
    """The requests that are sent when each is answered with the next of ``hops``, and the last with a 200."""
    responses = [*(moved(location, status) for status, location in hops), WELCOME[0]]
    sent: list[Request] = []

    async def server(sent_request: Request, sink: Sink) -> None:
        sent.append(sent_request)
        await sink.put(responses[len(sent) - 1])

    with contextlib.suppress(TooManyRedirectsError, InsecureRedirectError, ProtocolUnknownError):
        await redirects(server)(request, Asked(answer))
    return sent


def everything(request: Request) -> str:
    """All that a request says, in one text."""
    password = request.auth.password if isinstance(request.auth, UserPassword) else None
    return f"{request.url} {request.headers.items()} {password} {request.peer_verify_name}"


@given(REQUESTS, HOPS, st.booleans())
def test_chains(request: Request, hops: list[tuple[int, str]], answer: bool) -> None:
    """No credential reaches another origin than the first, nothing is less safe than allowed, and chains end."""
    sent = trio.run(chained, request, hops, answer)
    policy = request.redirect_policy
    assert len(sent) <= request.max_redirects + 1
    for before, after in pairwise(sent):
        assert after.url.scheme in ("http", "https")
        assert policy is not RedirectPolicy.NO_LESS_SAFE or (before.url.scheme, after.url.scheme) != ("https", "http")
        assert policy is not RedirectPolicy.SAME_ORIGIN or origin(before.url) == origin(after.url)
        assert policy is not RedirectPolicy.MANUAL
        assert policy is not VERIFIED or answer
    left = False
    for hop in sent:
        left = left or origin(hop.url) != origin(request.url)
        assert not left or SECRET not in everything(hop)
        assert "theirs" not in everything(hop)
        assert "Referer" not in hop.headers
