"""Authentication around an exchange: what goes out, what the reader sees of it, and what is held meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from trioreply import (
    Informational,
    Message,
    Proxy,
    ProxyChallenge,
    ProxyType,
    Request,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply._model.auth import Bearer, UserPassword
from trioreply._policies.auth import MAX_WITHHELD, authentication, random_cnonce
from trioreply._policies.auth_guard import Guard, origin_guard
from trioreply._policies.credential_cache import CredentialCache, Place
from trioreply.abc import Handler, Sink
from trioreply.errors import (
    AuthenticationRequiredError,
    ContentReSendError,
    ProtocolFailure,
    RemoteHostClosedError,
    ReplyError,
)

from .demanding import PAGE, AnsweringSink, Digest, Server, basic, brought, demands, visit
from .recording import RecordingSink

BASIC = 'Basic realm="r"'
RIGHT, WRONG = ("u", "p"), ("u", "wrong")
WELCOME = ResponseData(b"welcome")
LARGE = tuple(ResponseData(b"x" * 1024) for _ in range(MAX_WITHHELD // 1024 + 2))


def guarded(page: tuple[Message, ...] = (PAGE,)) -> Server:
    """A server with Basic that knows the user ``u`` with password ``p``."""
    return Server(demands(basic(*RIGHT), BASIC), page=page)


async def test_nothing_is_demanded() -> None:
    """A request that nobody challenges goes through as it is."""
    server = Server(lambda _request: [])
    sink = await visit(server, Request("http://h/"))
    assert server.sent == [None]
    assert sink.messages == [RequestSent(), ResponseHead(200), WELCOME]


async def test_the_demand_is_hidden() -> None:
    """Answered, the 401 and its body are never seen: one head comes, that of the final response (Qt)."""
    server = guarded()
    sink = await visit(server, Request("http://h/"), RIGHT)
    assert server.sent == [None, basic(*RIGHT)]
    assert sink.messages == [RequestSent(), RequestSent(), ResponseHead(200), WELCOME]
    assert sink.asked == [("Basic", "r", None)]


async def test_refused_questions_give_the_demand() -> None:
    """Declined, the 401 itself is the response, with its body and trailers in order."""
    trailers = ResponseTrailers({"X-T": "1"})
    server = guarded(page=(PAGE, PAGE, trailers))
    sink = await visit(server, Request("http://h/"))
    head = ResponseHead(401, headers={"WWW-Authenticate": BASIC})
    assert sink.messages == [RequestSent(), head, PAGE, PAGE, trailers]
    assert server.sent == [None]


async def test_asked_again_until_the_answer_does_not_change() -> None:
    """A wrong answer is asked about again, with the user that was refused; the same answer twice is none (Qt)."""
    server = guarded()
    sink = await visit(server, Request("http://h/"), WRONG, RIGHT)
    assert sink.asked == [("Basic", "r", None), ("Basic", "r", "u")]
    assert sink.statuses == [200]
    sink = await visit(guarded(), Request("http://h/"), WRONG, WRONG, RIGHT)
    assert len(sink.asked) == 2
    assert sink.statuses == [401]


async def test_no_question_without_a_challenge_that_can_be_answered() -> None:
    """A 401 that nobody can do anything about passes at once, piece by piece."""
    seen: list[int] = []

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(ResponseHead(401, headers={"WWW-Authenticate": "Bearer"}))
        seen.append(len(sink_.messages))
        await sink.put(PAGE)

    sink_ = AnsweringSink([RIGHT])
    await authentication(CredentialCache(), origin_guard(brought))(handle)(Request("http://h/"), sink_)
    assert seen == [1]
    assert sink_.questions == []
    assert sink_.messages[-1] == PAGE


async def test_field_of_the_users_own() -> None:
    """A request with an Authorization field of its own goes out with just that, whatever else is known."""
    cache = CredentialCache()
    await visit(guarded(), Request("http://h/"), RIGHT, cache=cache)
    server = guarded()
    request = Request("http://u:p@h/", headers={"authorization": "Mine"}, user_data=UserPassword(*RIGHT))

    async def look_up(_host: str) -> tuple[str, str] | None:
        raise AssertionError("nobody is to look for other credentials")

    sink = await visit(server, request, cache=cache, netrc=look_up)
    assert server.sent == ["Mine"]
    assert sink.statuses == [401]
    assert sink.asked == [("Basic", "r", None)]


async def test_the_users_own_field_is_replaced_by_an_answer() -> None:
    """If that field is refused, the application is asked, and its answer takes the field's place (Qt)."""
    server = guarded()
    request = Request("http://h/", headers={"A": "1", "authorization": "Mine", "B": "2"})
    sink = await visit(server, request, WRONG, RIGHT)
    assert server.sent == ["Mine", basic(*WRONG), basic(*RIGHT)]
    assert (sink.statuses, sink.asked) == ([200], [("Basic", "r", None), ("Basic", "r", "u")])


async def test_own_credentials_go_out_at_once() -> None:
    """``auth`` as a pair is sent as Basic with the first request (as curl), and a bearer token likewise."""
    server = guarded()
    assert (await visit(server, Request("http://h/", user_data=UserPassword(*RIGHT)))).statuses == [200]
    assert server.sent == [basic(*RIGHT)]
    server = Server(demands("Bearer token", "Bearer"))
    assert (await visit(server, Request("http://h/", user_data=Bearer("token")))).statuses == [200]
    assert server.sent == ["Bearer token"]


async def test_known_credentials_go_out_at_once() -> None:
    """What was accepted is sent below the same directory without being asked for, and elsewhere after a challenge."""
    cache = CredentialCache()
    await visit(guarded(), Request("http://h/a/b"), RIGHT, cache=cache)
    for url, sent in [
        ("http://h/a/c/d", [basic(*RIGHT)]),
        ("http://h/", [None, basic(*RIGHT)]),
        ("http://h/b", [basic(*RIGHT)]),
        ("http://other/a/", [None]),
        ("https://h/a/", [None]),
        ("http://h:81/a/", [None]),
    ]:
        server = guarded()
        sink = await visit(server, Request(url), cache=cache)
        assert server.sent == sent
        assert len(sink.questions) == (1 if sent == [None] else 0)


async def test_what_one_request_brought_is_its_own() -> None:
    """Credentials of one request's ``auth`` do not go out with requests that do not bring them."""
    cache, digest = CredentialCache(), Digest()
    own = Request("http://h/", user_data=UserPassword(*RIGHT))
    server = Server(digest.admits)
    assert (await visit(server, own, cache=cache)).statuses == [200]
    assert (await visit(server, own, cache=cache)).statuses == [200]
    assert [(value or "").partition(" ")[0] for value in server.sent] == ["Basic", "Digest", "Digest"]
    assert (await visit(server, Request("http://h/"), cache=cache)).statuses == [401]
    assert server.sent[-1] is None


async def test_digest_counts_over_requests() -> None:
    """Requests after the first send Digest at once, each with the next number, until the server changes the nonce."""
    cache, digest = CredentialCache(), Digest()
    server = Server(digest.admits)
    for url in ("http://u:p@h/a", "http://h/b", "http://u@h/c/d"):
        assert (await visit(server, Request(url), cache=cache)).statuses == [200]
    assert [number for _, number in sorted(digest.taken)] == ["00000001", "00000002", "00000003"]
    assert len(server.sent) == 4
    digest.nonce = "n2"
    sink = await visit(server, Request("http://h/b"), cache=cache)
    assert (sink.statuses, sink.questions) == ([200], [])
    assert len(server.sent) == 6


async def test_nonce_refused_without_a_word() -> None:
    """A server that has forgotten a nonce and does not say so gets the same credentials for its new one, unasked."""
    cache, digest = CredentialCache(), Digest()
    await visit(Server(digest.admits), Request("http://u:p@h/"), cache=cache)
    forgetful = Digest("n2", taken={("n1", "00000002")})
    sink = await visit(Server(forgetful.admits), Request("http://h/"), cache=cache)
    assert (sink.statuses, sink.questions) == ([200], [])
    assert ("n2", "00000001") in forgetful.taken


async def test_next_nonce() -> None:
    """A nonce that the server gives with a response is the next request's, and begins at one."""
    cache, digest = CredentialCache(), Digest()
    server = Server(digest.admits, info=lambda _request: 'nextnonce="n2"')
    await visit(server, Request("http://u:p@h/"), cache=cache)
    digest.nonce = "n2"
    assert (await visit(server, Request("http://h/"), cache=cache)).statuses == [200]
    assert digest.taken == {("n1", "00000001"), ("n2", "00000001")}
    assert len(server.sent) == 3


async def test_reuse_needs_a_body_at_hand() -> None:
    """A known server that insists on protected bodies gets no credentials with a body whose bytes are not at hand."""
    cache, digest = CredentialCache(), Digest(qop="auth-int")
    server = Server(digest.admits)
    await visit(server, Request("http://u:p@h/"), cache=cache)
    sink = await visit(server, Request("http://h/", verb="PUT", body=pieces()), cache=cache)
    assert server.sent[-1] is None
    assert (sink.statuses, sink.questions) == ([401], [])


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
async def test_server_proves_itself(qop: str) -> None:
    """A server whose proof fits is believed; one that only pretends to know the password is no success."""
    digest = Digest(qop=qop)
    honest = Server(digest.admits, info=lambda request: f'rspauth="{digest.proof(request)}"')
    assert (await visit(honest, Request("http://u:p@h/"))).statuses == [200]
    liar = Server(Digest(qop=qop).admits, info=lambda _request: 'rspauth="00"')
    with pytest.raises(ProtocolFailure, match="does not prove"):
        await visit(liar, Request("http://u:p@h/"))


async def test_another_body_than_the_proven_one() -> None:
    """With protected bodies the proof is about the response's body as well."""
    digest = Digest(qop="auth-int")
    server = Server(digest.admits, info=lambda request: f'rspauth="{digest.proof(request, b"another")}"')
    with pytest.raises(ProtocolFailure, match="does not prove"):
        await visit(server, Request("http://u:p@h/"))


async def pieces() -> AsyncIterator[bytes]:
    """A body that comes once."""
    yield b"data"


@pytest.mark.parametrize("page", [(PAGE,), LARGE], ids=["small", "large"])
async def test_body_that_comes_once(page: tuple[Message, ...]) -> None:
    """Credentials for a body that cannot be sent again are an error that says so; the 401 can be read."""
    server, sink = guarded(page=page), AnsweringSink([RIGHT])
    with pytest.raises(ContentReSendError, match="give it as bytes"):
        await authentication(CredentialCache(), origin_guard(brought))(server)(
            Request("http://h/", verb="PUT", body=pieces()), sink
        )
    assert sink.statuses == [401]
    assert PAGE in sink.messages or LARGE[0] in sink.messages
    assert server.sent == [None]


async def test_body_that_comes_once_and_no_credentials() -> None:
    """Without credentials the 401 is just the response, whatever the body was."""
    sink = await visit(guarded(), Request("http://h/", verb="PUT", body=pieces()))
    assert sink.statuses == [401]


@pytest.mark.parametrize(("page", "busy"), [((PAGE,), False), (LARGE, True)], ids=["small", "large"])
async def test_nothing_is_held_while_it_is_asked(page: tuple[Message, ...], busy: bool) -> None:
    """The exchange is over before the question, unless its body is large: then it waits, and is given up."""
    server, states = guarded(page=page), list[bool]()
    sink = AnsweringSink([RIGHT], watch=lambda: states.append(server.is_busy))
    await authentication(CredentialCache(), origin_guard(brought))(server)(Request("http://h/"), sink)
    assert states == [busy]
    assert sink.messages == [RequestSent(), RequestSent(), ResponseHead(200), WELCOME]


async def test_large_demand_passes_whole() -> None:
    """A large 401 that is not answered comes to the reader complete, and it is asked about once."""
    sink = await visit(guarded(page=(*LARGE, PAGE)), Request("http://h/"))
    assert sink.messages[2:] == [*LARGE, PAGE]
    assert len(sink.questions) == 1


def stubborn(server: Server, error: Exception | None) -> Handler:
    """A scheme's handler that makes something else of being stopped."""

    async def handle(request: Request, sink: Sink) -> None:
        stopped: list[Exception] = []
        try:
            await server(request, sink)
        except Exception as stop:  # noqa: BLE001 - whatever it is, the handler goes on
            stopped.append(stop)
        for reason in stopped:
            with pytest.raises(type(reason)):
                await sink.put(PAGE)
            if error is not None:
                raise error from reason

    return handle


@pytest.mark.parametrize("error", [None, ProtocolFailure("translated"), ExceptionGroup("", [ValueError()])])
async def test_handlers_that_do_not_understand(error: Exception | None) -> None:
    """An exchange that was given up is over, whatever its handler makes of that."""
    sink = await visit(stubborn(guarded(page=LARGE), error), Request("http://h/"), RIGHT)
    assert sink.statuses == [200]


def breaking(error: Exception) -> Handler:
    """A server that breaks in the middle of its 401."""

    async def handle(request: Request, sink: Sink) -> None:
        if "Authorization" in request.headers:
            await sink.put(ResponseHead(200))
            return
        await sink.put(ResponseHead(401, headers={"WWW-Authenticate": BASIC}))
        await sink.put(PAGE)
        raise error

    return handle


async def test_closing_early_is_no_obstacle() -> None:
    """A server that closes before all of its page came through (it did not want the upload) can still be answered."""
    closed = RemoteHostClosedError("Connection closed")
    assert (await visit(breaking(closed), Request("http://u:p@h/"))).statuses == [200]
    sink = AnsweringSink()
    with pytest.raises(RemoteHostClosedError) as caught:
        await authentication(CredentialCache(), origin_guard(brought))(breaking(closed))(Request("http://h/"), sink)
    assert caught.value is closed
    assert (sink.statuses, sink.messages[-1]) == ([401], PAGE)


@pytest.mark.parametrize("error", [ProtocolFailure("nonsense"), ValueError("a bug")])
async def test_broken_demands_are_not_answered(error: Exception) -> None:
    """A server that breaks the protocol gets no credentials; the error is the reader's."""
    sink = AnsweringSink([RIGHT])
    with pytest.raises(type(error)) as caught:
        await authentication(CredentialCache(), origin_guard(brought))(breaking(error))(Request("http://u:p@h/"), sink)
    assert caught.value is error
    assert sink.statuses == ([401] if isinstance(error, ReplyError) else [])
    assert sink.questions == []


async def test_failures_without_a_demand_pass() -> None:
    """Any other failure is none of this policy's business."""

    async def fail(_request: Request, _sink: Sink) -> None:
        raise RemoteHostClosedError("Connection closed")

    with pytest.raises(RemoteHostClosedError):
        await visit(fail, Request("http://u:p@h/"), RIGHT)


async def test_answer_that_cannot_be_sent() -> None:
    """Control characters in an answer end the reply with a typed error, and nothing was sent."""
    server, sink = guarded(), AnsweringSink([("u", "p\r\nX: y")])
    with pytest.raises(AuthenticationRequiredError, match="answer: the password holds a control character"):
        await authentication(CredentialCache(), origin_guard(brought))(server)(Request("http://h/"), sink)
    assert (server.sent, sink.statuses) == ([None], [401])


async def test_file_is_looked_into_before_asking() -> None:
    """What the netrc look-up finds is used without a question; what it finds in vain leads to one."""
    hosts: list[str] = []

    async def look_up(host: str) -> tuple[str, str] | None:
        await trio.lowlevel.checkpoint()
        hosts.append(host)
        return RIGHT if host == "h" else None

    sink = await visit(guarded(), Request("http://h/"), netrc=look_up)
    assert (sink.statuses, sink.questions) == ([200], [])
    sink = await visit(guarded(), Request("http://i/"), RIGHT, netrc=look_up)
    assert (sink.statuses, len(sink.questions), hosts) == ([200], 1, ["h", "i"])


async def test_cleared_credentials_are_not_sent() -> None:
    """After ``clear()`` everybody is asked again."""
    cache = CredentialCache()
    await visit(guarded(), Request("http://h/"), RIGHT, cache=cache)
    cache.clear()
    assert len((await visit(guarded(), Request("http://h/"), cache=cache)).questions) == 1


async def test_cancelled_while_asking() -> None:
    """Cancelled with an open question, nothing more is sent, and nothing of the demand is delivered."""
    server, sink = guarded(), RecordingSink(on_ask=trio.sleep_forever)
    policy = authentication(CredentialCache(), origin_guard(brought))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(policy(server), Request("http://h/"), sink)
        await trio.testing.wait_all_tasks_blocked()
        assert not server.is_busy
        nursery.cancel_scope.cancel()
    assert (server.sent, sink.messages) == ([None], [RequestSent()])


async def test_informational_responses_pass() -> None:
    """A 1xx before the demand is the reader's, as always."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(Informational(103, ResponseHead().headers))
        await sink.put(ResponseHead(401, headers={"WWW-Authenticate": BASIC}))
        await sink.put(Informational(103, ResponseHead().headers))

    sink = await visit(handle, Request("http://h/"))
    assert [type(message) for message in sink.messages] == [Informational, Informational, ResponseHead]


async def test_a_proxy_is_another_guard() -> None:
    """With 407 and the proxy's fields the same is done for a proxy; the origin's credentials are not touched."""
    proxy = Proxy(ProxyType.HTTP, "proxy", 3128, user="u", password="p")
    guard = Guard(
        status=407,
        demand="Proxy-Authenticate",
        credentials="Proxy-Authorization",
        info="Proxy-Authentication-Info",
        auth_of=lambda _request: None,
        login_of=lambda _request: None,
        place_of=lambda _request: Place(("http", proxy.host, proxy.port), ""),
        target_of=lambda request: str(request.url),
        question=lambda _request, challenge: ProxyChallenge(proxy, challenge),
        is_said=lambda request: "Proxy-Authorization" in request.headers,
    )
    sent: list[str | None] = []

    async def handle(request: Request, sink: Sink) -> None:
        sent.append(request.headers.get("Proxy-Authorization"))
        assert request.headers["Authorization"] == "Mine"
        admitted = sent[-1] == basic(*RIGHT)
        await sink.put(ResponseHead(200) if admitted else ResponseHead(407, headers={"Proxy-Authenticate": BASIC}))

    cache = CredentialCache()
    handler = authentication(cache, guard)(handle)
    for path in ("/", "/b"):
        sink = AnsweringSink([RIGHT])
        await handler(Request(f"http://h{path}", headers={"Authorization": "Mine"}), sink)
        assert sink.statuses == [200]
    assert sent == [None, basic(*RIGHT), basic(*RIGHT)]


def test_nonces_differ() -> None:
    """A client nonce is long, and never the same twice."""
    assert len({random_cnonce() for _ in range(100)}) == 100
    assert len(random_cnonce()) == 32
