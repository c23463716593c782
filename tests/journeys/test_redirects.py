"""Redirects from end to end, row by row of what was measured on Qt, and amended where Qt is wrong.

Where a redirect leads to the same server, its connection serves the next hop as well: there is no second ``S``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from trioreply import (
    Attribute,
    NetworkError,
    ProtocolUnknownError,
    Redirected,
    RedirectPolicy,
    TooManyRedirectsError,
)
from trioreply.testing import (
    OriginRequest,
    OriginResponse,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Stall,
)

from .conftest import Place
from .redirecting import (
    ARRIVED,
    END,
    MANUAL,
    MOVED,
    TARGET,
    VERIFIED,
    allowing,
    at_rest,
    moved,
    on_the_wire,
    to_target,
    visited,
)


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, RedirectPolicy.SAME_ORIGIN])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status: int, policy: RedirectPolicy, place: Place) -> None:
    """The head is shown, then where it goes on; the rest is the target's: URL, status, fields and body."""
    async with place.origin(to_target(status)) as origin, place.open_manager() as manager:
        async with manager.get(origin.url(), redirect_policy=policy) as reply:
            events = [event async for event in reply]
        assert place.sequence(events) == f"S Q H({status}) Redirected Q H(200) {END}"
        assert [(event.status_code, str(event.url)) for event in reply.redirects] == [(status, origin.url("/target"))]
        assert [event for event in events if isinstance(event, Redirected)] == list(reply.redirects)
        assert (str(reply.url), str(reply.request.url)) == (origin.url("/target"), origin.url())
        assert (reply.status_code, reply.read()) == (200, b"target")
        assert reply.attribute(Attribute.REDIRECTION_TARGET) is None
        assert len(origin.connections) == 1
        assert at_rest(manager)


@pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
async def test_what_is_no_redirect(status: int, memory: Place) -> None:
    """Other statuses are delivered, whatever their Location says; 305 is none either (Qt follows it)."""
    async with memory.origin({"/": moved("/target", status, body=b"")}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            events = [event async for event in reply]
        assert memory.sequence(events) == f"S Q H({status}) D(0,0) F(NO_ERROR)"
        assert reply.redirects == ()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_manual(status: int, place: Place) -> None:
    """Under MANUAL a redirect is a response like others; its target is told as the server wrote it."""
    async with place.origin(to_target(status)) as origin, place.open_manager(redirect_policy=MANUAL) as manager:
        async with manager.get(origin.url()) as reply:
            events = [event async for event in reply]
        assert place.sequence(events) == f"S Q H({status}) R D(5,5) F(NO_ERROR)"
        assert (reply.read(), reply.redirects, str(reply.url)) == (MOVED, (), origin.url())
        assert reply.attribute(Attribute.REDIRECTION_TARGET) == "/target"
        # A request's own word goes before the manager's.
        response = await manager.fetch(origin.url(), redirect_policy=RedirectPolicy.NO_LESS_SAFE)
        assert (response.body, len(response.redirects), str(response.url)) == (b"target", 1, origin.url("/target"))


async def test_who_waits_for_a_response_gets_the_last_one(place: Place) -> None:
    """`wait_metadata`, and whoever reads, is not disturbed by redirects on the way."""
    async with place.origin(to_target()) as origin, place.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            await reply.wait_metadata()
            assert reply.status_code == 200
            assert await reply.read_all() == b"target"


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_method_becomes_get(verb: str, status: int, memory: Place) -> None:
    """After a 301, 302 or 303 the second request is a GET without body, and without what describes one."""
    headers = {"Content-Type": "text/x-own", "Content-Language": "de", "X-Kept": "1"}
    async with memory.origin(to_target(status)) as origin, memory.open_manager() as manager:
        async with manager.send_custom(origin.url(), verb, b"data", headers=headers) as reply:
            events = [event async for event in reply]
    assert memory.sequence(events) == f"S U(4,4) Q H({status}) Redirected Q H(200) {END}"
    first, second = origin.requests
    assert (first.method, first.body) == (verb, b"data")
    assert (second.method, second.body, second.header("X-Kept")) == ("GET", b"", "1")
    assert not [name for name, _ in second.headers if name.startswith("content-")]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE", "QUERY"])
async def test_a_method_stays(verb: str, status: int, memory: Place) -> None:
    """After a 307 or 308 the second request is the first again, its body reported anew."""
    async with memory.origin(to_target(status)) as origin, memory.open_manager() as manager:
        async with manager.send_custom(origin.url(), verb, b"data", headers={"Content-Type": "x/y"}) as reply:
            events = [event async for event in reply]
    assert memory.sequence(events) == f"S U(4,4) Q H({status}) Redirected U(4,4) Q H(200) {END}"
    assert {(r.method, r.body, r.header("Content-Type")) for r in origin.requests} == {(verb, b"data", "x/y")}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_head_stays_head(status: int, memory: Place) -> None:
    """A HEAD is a HEAD at the target, too."""
    async with memory.origin(to_target(status)) as origin, memory.open_manager() as manager:
        async with manager.head(origin.url()) as reply:
            events = [event async for event in reply]
    assert memory.sequence(events) == f"S Q H({status}) Redirected Q H(200) D(0,6) F(NO_ERROR)"
    assert [request.method for request in origin.requests] == ["HEAD", "HEAD"]


LOCATIONS = [
    ("/a/b?q#f", "other", "/a/other#f"),
    ("/a/b?q", "../c/./d", "/c/d"),
    ("/a/b?q", "/abs?x=1", "/abs?x=1"),
    ("/a/b?q#f", "?only", "/a/b?only#f"),
    ("/a/b#old", "/c#new", "/c#new"),
    ("/a/b#old", "/c", "/c#old"),
    ("/a/b", "/café", "/caf%C3%A9"),
    ("/a/b", "/with space", "/with%20space"),
    ("/a/b", "/100%", "/100%25"),
]


@pytest.mark.parametrize(("start", "location", "target"), LOCATIONS)
async def test_locations(start: str, location: str, target: str, memory: Place) -> None:
    """Location is resolved against the URL that was asked for; a missing fragment is inherited (not so in Qt)."""
    peer = ScriptedPeer(ReceiveRequest(), Send(on_the_wire(302, location)), ReceiveRequest(), ARRIVED)
    async with memory.serve(peer) as url, memory.open_manager() as manager:
        response = await manager.fetch(url + start)
    assert str(response.url) == url + target
    assert [request.target for request in peer.requests] == [
        start.partition("#")[0],
        target.partition("#")[0],
    ]


async def test_protocol_relative_locations(place: Place) -> None:
    """``//host/path`` stays with the scheme and leaves the host."""
    async with place.origin({"/x": TARGET}) as there:
        async with place.origin({"/": moved(f"//{urlsplit(there.base_url).netloc}/x")}) as here:
            async with place.open_manager() as manager, manager.get(here.url()) as reply:
                events = [event async for event in reply]
    assert place.sequence(events) == f"S Q H(302) Redirected S Q H(200) {END}"
    assert str(reply.url) == there.url("/x")


LEADING_NOWHERE = [
    (),
    (("Location", ""),),
    (("Location", "http://"),),
    (("Location", "http://[::1"),),
    (("Location", "http://h:99999/"),),
    (("Location", "http://a\\b/"),),
    (("Location", "ftp://h/"),),
    (("Location", "file:///etc/passwd"),),
    (("Location", "data:,x"),),
    (("Location", "javascript:alert(1)"),),
    (("Location", "/a"), ("Location", "/b")),
    (("Location", "/" + "x" * 20_000),),
]


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, RedirectPolicy.SAME_ORIGIN, VERIFIED])
@pytest.mark.parametrize("headers", LEADING_NOWHERE, ids=lambda headers: " ".join(v[:30] for _, v in headers) or "none")
async def test_locations_that_lead_nowhere(
    headers: tuple[tuple[str, str], ...], policy: RedirectPolicy, memory: Place
) -> None:
    """A redirect without a Location, or to where redirects must not lead, is PROTOCOL_UNKNOWN under every policy."""
    async with memory.origin({"/": OriginResponse(302, headers, MOVED)}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), redirect_policy=policy) as reply:
            events = [event async for event in reply]
        assert memory.sequence(events) == "S Q H(302) E(PROTOCOL_UNKNOWN) D(0,5) F(PROTOCOL_UNKNOWN)"
        with pytest.raises(ProtocolUnknownError):
            reply.raise_for_error()
        assert (str(reply.url), reply.read(), visited(origin)) == (origin.url(), b"", ["/"])
        assert at_rest(manager)
        assert origin.open_connections == 1


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, VERIFIED])
async def test_loops(policy: RedirectPolicy, memory: Place) -> None:
    """A redirect to itself is followed ``max_redirects`` times, by default 50, and is then TOO_MANY_REDIRECTS."""
    async with memory.origin({"/": moved("/", body=b"loop")}) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), max_redirects=2, redirect_policy=policy) as reply:
            events = [event async for event in allowing(reply)]
        hops = "S Q H(302) Redirected Q H(302) Redirected Q H(302)"
        assert memory.sequence(events) == f"{hops} E(TOO_MANY_REDIRECTS) D(0,4) F(TOO_MANY_REDIRECTS)"
        assert len(reply.redirects) == 2
        assert at_rest(manager)


async def test_the_usual_limit(memory: Place) -> None:
    """Without a limit of its own a request follows 50 redirects; the same connection takes all 51 requests."""
    async with memory.origin({"/": moved("/")}) as origin, memory.open_manager() as manager:
        with pytest.raises(TooManyRedirectsError, match="max_redirects=50"):
            await manager.fetch(origin.url(), raise_for_error=False)
        assert len(origin.requests) == 51
        assert len(origin.connections) == 1


async def test_a_chain_as_long_as_it_may_be(memory: Place) -> None:
    """A chain of ``max_redirects`` redirects arrives; with 0 none is followed."""
    routes: dict[str, OriginResponse] = {f"/{n}": moved(f"/{n + 1}") for n in range(5)}
    async with memory.origin({**routes, "/5": TARGET}) as origin, memory.open_manager() as manager:
        response = await manager.fetch(origin.url("/0"), max_redirects=5)
        assert [event.url.path for event in response.redirects] == ["/1", "/2", "/3", "/4", "/5"]
        with pytest.raises(TooManyRedirectsError):
            await manager.fetch(origin.url("/4"), max_redirects=0)


async def test_an_error_at_the_target(place: Place) -> None:
    """A 404 behind a redirect is about the target's URL, and its page is readable."""
    async with place.origin({"/": moved("/gone")}) as origin, place.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            assert await reply.wait_finished() is NetworkError.CONTENT_NOT_FOUND
        assert origin.url("/gone") in reply.error_string
        assert reply.read() == b"there is nothing here"


async def test_a_target_that_refuses_connections(memory: Place) -> None:
    """After a redirect to where nobody listens the URL is the target's, and the status still the redirect's (Qt)."""
    async with memory.origin({"/": moved("http://nobody.test/x")}) as origin, memory.open_manager() as manager:
        assert memory.network is not None
        memory.network.add_host("nobody.test")
        async with manager.get(origin.url()) as reply:
            events = [event async for event in reply]
        refused = "E(CONNECTION_REFUSED) D(0,5) F(CONNECTION_REFUSED)"
        assert memory.sequence(events) == f"S Q H(302) Redirected S {refused}"
        assert (reply.status_code, str(reply.url)) == (302, "http://nobody.test/x")


async def test_idleness_is_measured_per_hop(autojump_clock: MockClock, memory: Place) -> None:
    """``transfer_timeout`` begins anew with each hop; one that stalls ends the reply, with the target's URL."""

    async def slow(request: OriginRequest) -> OriginResponse:
        await trio.sleep(0.9)
        hop = int(request.path[1:])
        return moved(f"/{hop + 1}") if hop < 3 else TARGET

    async with memory.origin(slow) as origin, memory.open_manager(transfer_timeout=1) as manager:
        assert (await manager.fetch(origin.url("/0"))).body == b"target"
        assert trio.current_time() == pytest.approx(4 * 0.9)
    stalling = ScriptedPeer(ReceiveRequest(), Send(on_the_wire(302, "/x")), ReceiveRequest(), Stall())
    async with memory.serve(stalling) as url, memory.open_manager(transfer_timeout=1) as manager:
        async with manager.get(url) as reply:
            assert await reply.wait_finished() is NetworkError.TIMEOUT
        assert reply.url.path == "/x"
        assert at_rest(manager)
