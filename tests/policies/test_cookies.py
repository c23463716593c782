"""The policy: what goes out with a request, what comes in with a response, and saving in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import pytest
import trio
from trio.testing import MockClock
from yarl import URL

from trioreply import LoadControl, Message, Priority, RedirectQuestion, Request, ResponseData, ResponseHead
from trioreply._model.cookies import Cookie, CookieId, CookieStoreError
from trioreply._model.events import Informational
from trioreply._model.exchange import Policy
from trioreply._model.headers import make_headers
from trioreply._policies.cookiejar import CookieJar
from trioreply._policies.cookies import cookies, keep_saved, save_or_log
from trioreply._policies.pipeline import build
from trioreply.abc import Handler, Sink

from .recording import RecordingSink, handler_of, put

URL_ = "https://h.example/a/b"
COOKIE = Cookie("sid", "1", domain="h.example", path="/")
NOW = 1_000_000.0


@pytest.fixture
def jar() -> CookieJar:
    """An empty jar, where it is always the same time."""
    return CookieJar(now=lambda: NOW)


def remembering(*messages: Message) -> tuple[Handler, list[Request]]:
    """A handler that puts these messages each time, and the requests that it got."""
    requests: list[Request] = []

    async def handle(request: Request, sink: Sink) -> None:
        requests.append(request)
        for message in messages:
            await sink.put(message)

    return handle, requests


def head(*values: str, status: int = 200) -> ResponseHead:
    """A response's head that sets these cookies."""
    return ResponseHead(status, headers=make_headers([("Set-Cookie", value) for value in values]))


async def sent(jar: CookieJar, request: Request) -> Request:
    """What becomes of ``request`` on its way through the policy."""
    handler, requests = remembering()
    await cookies(jar)(handler)(request, RecordingSink())
    return requests[0]


async def test_cookies_go_out(jar: CookieJar) -> None:
    """A request gets one Cookie field with what the jar has for it, behind its own fields."""
    jar.insert(COOKIE)
    jar.insert(Cookie("b", "ü\udcff", domain="h.example", path="/a"))
    request = Request(URL_, headers={"X-Mine": "1"}, priority=Priority.HIGH)
    outgoing = await sent(jar, request)
    assert list(outgoing.headers.items()) == [("X-Mine", "1"), ("Cookie", "b=ü\udcff; sid=1")]
    assert outgoing.replace(headers=request.headers) == request
    assert "Cookie" not in request.headers


async def test_nothing_to_send(jar: CookieJar) -> None:
    """A request that the jar has nothing for goes on as it is."""
    request = Request(URL_)
    assert await sent(jar, request) is request
    jar.insert(Cookie("a", "1", domain="other.example", path="/"))
    assert await sent(jar, request) is request


@pytest.mark.parametrize("name", ["Cookie", "cookie"])
async def test_own_cookies_win(jar: CookieJar, name: str) -> None:
    """A request with a Cookie field of its own goes out with just that."""
    jar.insert(COOKIE)
    request = Request(URL_, headers={name: "own=1"})
    assert await sent(jar, request) is request


async def test_no_cookies_wanted(jar: CookieJar) -> None:
    """With ``cookie_load=MANUAL`` the jar's cookies stay where they are, and what comes is still taken."""
    jar.insert(COOKIE)
    handler, requests = remembering(head("a=1"))
    request = Request(URL_, cookie_load=LoadControl.MANUAL)
    await cookies(jar)(handler)(request, RecordingSink())
    assert requests == [request]
    assert len(jar) == 2


async def test_no_cookies_taken(jar: CookieJar) -> None:
    """With ``cookie_save=MANUAL`` nothing is taken, and the jar's cookies are still sent."""
    jar.insert(COOKIE)
    handler, requests = remembering(head("a=1"))
    await cookies(jar)(handler)(Request(URL_, cookie_save=LoadControl.MANUAL), RecordingSink())
    assert requests[0].headers["Cookie"] == "sid=1"
    assert jar.all() == (COOKIE,)


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500, None])
async def test_cookies_come_in(jar: CookieJar, status: int | None) -> None:
    """Cookies of every response are taken, whatever its status, and before anybody else sees it."""
    seen: list[int] = []

    async def look(_message: Message) -> None:
        seen.append(len(jar))

    response = ResponseHead(status, headers=head("a=1; Path=/", "b=2", "no=1; Domain=com").headers)
    sink = RecordingSink(look)
    await cookies(jar)(handler_of(put(response), put(ResponseData(b"x"))))(Request(URL_), sink)
    assert jar.header_for(URL(URL_)) == "b=2; a=1"
    assert sink.messages == [response, ResponseData(b"x")]
    assert seen == [2, 2]


@pytest.mark.parametrize(
    "message",
    [
        head("a=1", status=407),
        Informational(103, make_headers({"Set-Cookie": "a=1"})),
        ResponseHead(200, headers=make_headers({"X-Set-Cookie": "a=1"})),
    ],
    ids=["proxy", "interim", "other"],
)
async def test_what_sets_no_cookies(jar: CookieJar, message: Message) -> None:
    """A proxy's refusal, interim responses and other fields set nothing, and are passed on."""
    sink = RecordingSink()
    await cookies(jar)(handler_of(put(message)))(Request(URL_), sink)
    assert not jar
    assert sink.messages == [message]


async def test_questions_pass(jar: CookieJar) -> None:
    """A question reaches the application."""
    sink, question = RecordingSink(), RedirectQuestion(301, URL(URL_))

    async def ask(inner: Sink) -> None:
        await inner.ask(question)

    await cookies(jar)(handler_of(ask))(Request(URL_), sink)
    assert sink.questions == [question]


def repeating(*urls: str) -> Policy:
    """A policy that sends a request to one URL after another, as following redirects does."""

    def policy(handler: Handler) -> Handler:
        async def with_hops(request: Request, sink: Sink) -> None:
            for url in urls:
                await handler(request.replace(url=url), sink)

        return with_hops

    return policy


async def test_every_hop_asks_anew(jar: CookieJar) -> None:
    """A cookie that one hop sets goes with the next one to the same site, and with none to another."""
    handler, requests = remembering(head("a=1; Path=/; Domain=h.example"))
    hops = repeating("https://h.example/", "https://www.h.example/", "https://other.example/", "http://h.example/")
    await build((hops, cookies(jar)), handler)(Request(URL_), RecordingSink())
    assert [request.headers.get("Cookie") for request in requests] == [None, "a=1", None, "a=1"]


class MemoryStore:
    """A store that fails as long as it is told to."""

    def __init__(self, failure: Callable[[], Exception] | None = None) -> None:
        self.failure = failure
        self.rows: dict[CookieId, Cookie] = {}
        self.times: list[float] = []

    async def load(self) -> Collection[Cookie]:
        """What has been saved."""
        await trio.lowlevel.checkpoint()
        return tuple(self.rows.values())

    async def save(self, stored: Collection[Cookie], deleted: Collection[CookieId]) -> None:
        """Keep it, or fail."""
        self.times.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure()
        for identity in deleted:
            self.rows.pop(identity, None)
        self.rows.update({cookie.id: cookie for cookie in stored})


def lasting(name: str) -> Cookie:
    """A cookie that a store keeps."""
    return Cookie(name, "1", domain="h.example", path="/", expires=NOW + 1000)


def failure_of(jar: CookieJar) -> Exception | None:
    """What the store said last."""
    return jar.store_error


async def test_saved_in_the_background(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Changes are written a second after the first of them, all together, and nothing is written without any."""
    store = MemoryStore()
    jar = CookieJar(store, now=lambda: NOW)
    nursery.start_soon(keep_saved, jar)
    await trio.sleep(10)
    jar.insert(lasting("a"))
    await trio.sleep(0.5)
    jar.insert(lasting("b"))
    await trio.sleep(10)
    jar.delete(lasting("a"))
    jar.insert(COOKIE)
    await trio.sleep(10)
    assert store.times == [11, 21.5]
    assert tuple(store.rows.values()) == (lasting("b"),)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("error", [CookieStoreError, ZeroDivisionError])
async def test_a_store_that_fails(
    autojump_clock: MockClock, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    """A failing store is tried again ever less often, each failure is logged, and nothing is lost when it recovers."""
    store = MemoryStore(lambda: error("disk full"))
    jar = CookieJar(store, now=lambda: NOW)
    nursery.start_soon(keep_saved, jar)
    jar.insert(lasting("a"))
    await trio.sleep(200)
    assert store.times == [1, 3, 7, 15, 31, 63, 123, 183]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 8
    assert isinstance(failure_of(jar), error)
    store.failure = None
    await trio.sleep(100)
    assert failure_of(jar) is None
    assert tuple(store.rows.values()) == (lasting("a"),)
    nursery.cancel_scope.cancel()


async def test_saving_at_the_end() -> None:
    """The last save before leaving tells whether it worked, and raises nothing."""
    store = MemoryStore(lambda: CookieStoreError("disk full"))
    jar = CookieJar(store, now=lambda: NOW)
    jar.insert(lasting("a"))
    assert not await save_or_log(jar)
    store.failure = None
    assert await save_or_log(jar)
    assert tuple(store.rows.values()) == (lasting("a"),)
