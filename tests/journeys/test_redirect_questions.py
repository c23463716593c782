"""Redirects that somebody is asked about, and redirects at which a reply is stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from trioreply import (
    Attribute,
    Event,
    Finished,
    MetaDataChanged,
    NetworkError,
    OperationCanceledError,
    Redirected,
    Reply,
    UnknownNetworkError,
)
from trioreply.testing import (
    ReceiveEnd,
    ReceiveRequest,
    ScriptedPeer,
    Send,
    Signal,
    Stall,
    WaitFor,
)

from .conftest import Place
from .redirecting import (
    ARRIVED,
    END,
    MOVED,
    TARGET,
    VERIFIED,
    at_rest,
    moved,
    on_the_wire,
    to_target,
    visited,
)


async def test_verified_and_allowed(place: Place) -> None:
    """The question comes with the redirect's head known and its connection free; allowed, it is followed."""
    async with place.origin(to_target()) as origin, place.open_manager() as manager:
        async with manager.get(origin.url(), redirect_policy=VERIFIED) as reply:
            events: list[Event] = []
            async for event in reply:
                events.append(event)
                if isinstance(event, Redirected):
                    assert (reply.status_code, str(event.url)) == (302, origin.url("/target"))
                    assert (manager.statistics().leases, manager.statistics().idle) == (0, 1)
                    await trio.lowlevel.checkpoint()
                    event.allow()
                    with pytest.raises(RuntimeError):
                        event.allow()
        assert place.sequence(events) == f"S Q H(302) Redirected Q H(200) {END}"
        assert (reply.read(), len(reply.redirects), len(origin.connections)) == (b"target", 1, 1)


async def test_verified_and_not_allowed(place: Place) -> None:
    """Who goes on without an answer gets the redirect itself, as under MANUAL (Qt hangs)."""
    async with place.origin(to_target()) as origin, place.open_manager() as manager:
        async with manager.get(origin.url(), redirect_policy=VERIFIED) as reply:
            events = [event async for event in reply]
        assert place.sequence(events) == "S Q H(302) Redirected R D(5,5) F(NO_ERROR)"
        assert (reply.read(), reply.redirects, str(reply.url)) == (MOVED, (), origin.url())
        assert reply.attribute(Attribute.REDIRECTION_TARGET) == "/target"
        (asked,) = [event for event in events if isinstance(event, Redirected)]
        with pytest.raises(RuntimeError):
            asked.allow()
        assert visited(origin) == ["/"]


async def test_nobody_is_there_to_verify(place: Place) -> None:
    """`fetch`, and who only waits for the end, cannot answer: the redirect is the response."""
    async with place.origin(to_target()) as origin, place.open_manager(redirect_policy=VERIFIED) as manager:
        response = await manager.fetch(origin.url())
        assert (response.status_code, response.body, response.redirects) == (302, MOVED, ())
        async with manager.get(origin.url()) as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
            assert (reply.status_code, reply.read()) == (302, MOVED)


@pytest.mark.parametrize("is_allowed", [False, True])
async def test_the_managers_verifier(is_allowed: bool, place: Place) -> None:
    """The manager's ``redirect_verifier`` is asked first, also for `fetch`; what it allows needs no event."""
    asked: list[str] = []

    async def verify(reply: Reply, event: Redirected) -> None:
        asked.append(f"{reply.status_code} {event.url.path}")
        await trio.lowlevel.checkpoint()
        if is_allowed:
            event.allow()

    async with place.origin(to_target()) as origin:
        async with place.open_manager(redirect_policy=VERIFIED, redirect_verifier=verify) as manager:
            response = await manager.fetch(origin.url())
            async with manager.get(origin.url()) as reply:
                events = [event async for event in reply]
    assert asked == ["302 /target"] * 2
    assert response.body == (b"target" if is_allowed else MOVED)
    end = f"Q H(200) {END}" if is_allowed else "R D(5,5) F(NO_ERROR)"
    assert place.sequence(events) == f"Q H(302) Redirected {end}"


async def test_a_verifier_that_fails(memory: Place) -> None:
    """An exception of the verifier ends that reply, as its cause, and no other."""

    async def verify(_reply: Reply, _event: Redirected) -> None:
        raise ZeroDivisionError

    async with memory.origin(to_target()) as origin:
        async with memory.open_manager(redirect_policy=VERIFIED, redirect_verifier=verify) as manager:
            async with manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is NetworkError.UNKNOWN_NETWORK
            with pytest.raises(UnknownNetworkError) as caught:
                reply.raise_for_error()
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
            assert (await manager.fetch(origin.url("/target"))).body == b"target"


async def test_what_the_policy_has_decided_asks_nothing(place: Place) -> None:
    """Under the other policies `Redirected` only tells, and there is nothing to allow."""
    async with place.origin(to_target()) as origin, place.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            async for event in reply:
                if isinstance(event, Redirected):
                    with pytest.raises(RuntimeError, match="asks nothing"):
                        event.allow()


async def test_thinking_takes_no_time(autojump_clock: MockClock, memory: Place) -> None:
    """While a redirect is being thought about ``transfer_timeout`` does not run."""
    async with memory.origin(to_target()) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url(), redirect_policy=VERIFIED, transfer_timeout=1) as reply:
            async for event in reply:
                if isinstance(event, Redirected):
                    await trio.sleep(3600)
                    event.allow()
        assert reply.read() == b"target"


async def test_each_hop_is_verified(memory: Place) -> None:
    """Every hop has its own question; what is not allowed is delivered, the ones before stay in the history."""
    routes = {"/": moved("/1"), "/1": moved("/2"), "/2": TARGET}
    async with memory.origin(routes) as origin, memory.open_manager(redirect_policy=VERIFIED) as manager:
        async with manager.get(origin.url()) as reply:
            async for event in reply:
                if isinstance(event, Redirected) and event.url.path == "/1":
                    event.allow()
        assert (reply.status_code, str(reply.url), reply.read()) == (302, origin.url("/1"), MOVED)
        assert [event.url.path for event in reply.redirects] == ["/1"]


async def test_aborted_at_a_redirect(place: Place) -> None:
    """Aborted when it is told of a redirect, a reply ends there, and the next hop is not sent (Qt sends it)."""
    go_on = trio.Event()
    rest = (WaitFor(go_on), Send(b"ed"), ReceiveRequest(), ARRIVED)
    peer = ScriptedPeer(ReceiveRequest(), Send(on_the_wire(302, "/x", length=5) + b"mov"), *rest)
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url) as reply:
            events: list[Event] = []
            async for event in reply:
                events.append(event)
                if isinstance(event, Redirected):
                    reply.abort()
                    go_on.set()
        canceled = "E(OPERATION_CANCELED) D(0,5) F(OPERATION_CANCELED)"
        assert place.sequence(events) == f"S Q H(302) Redirected {canceled}"
        await peer.connections[0].wait_ended()
        assert (len(peer.connections), len(peer.requests)) == (1, 1)
        assert at_rest(manager)


@pytest.mark.parametrize(
    ("body", "status", "later"),
    [(None, 302, None), (b"data", 303, None), (b"data", 307, ("POST", b"data"))],
    ids=["GET", "POST that becomes GET", "POST that goes on"],
)
async def test_closed_at_a_redirect(
    body: bytes | None, status: int, later: tuple[str, bytes] | None, place: Place
) -> None:
    """Closed when it is told of a redirect, a reply asks nobody else; only an upload still gets to where it belongs."""
    go_on, is_there = trio.Event(), trio.Event()
    answer = Send(on_the_wire(status, "/x", length=5) + b"mov")
    peer = ScriptedPeer(
        ReceiveRequest(), answer, WaitFor(go_on), Send(b"ed"), ReceiveRequest(), Signal(is_there), ARRIVED, ReceiveEnd()
    )
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.send_custom(url, "GET" if body is None else "POST", body) as reply:
            async for event in reply:
                if isinstance(event, Redirected):
                    reply.close()
                    go_on.set()
        assert reply.error is NetworkError.OPERATION_CANCELED
        if later is not None:
            await is_there.wait()
        while manager.statistics().replies_running:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert [(request.method, request.body) for request in peer.requests[1:]] == ([] if later is None else [later])
        assert at_rest(manager)


async def test_aborted_before_the_question(place: Place) -> None:
    """While the body of a redirect that will be asked about is read away, nothing is told yet; it can be aborted."""
    peer = ScriptedPeer(ReceiveRequest(), Send(on_the_wire(302, "/x", length=5) + b"mov"), Stall())
    async with place.serve(peer) as url, place.open_manager() as manager:
        async with manager.get(url, redirect_policy=VERIFIED) as reply:
            events = [await reply.events.receive(), await reply.events.receive()]
            reply.abort()
            events += [event async for event in reply]
        assert events[-1] == Finished(NetworkError.OPERATION_CANCELED)
        assert not [event for event in events if isinstance(event, Redirected | MetaDataChanged)]
        assert at_rest(manager)


@pytest.mark.parametrize("stop", [Reply.abort, Reply.close], ids=["abort", "close"])
async def test_stopped_at_a_question(stop: Callable[[Reply], None], place: Place) -> None:
    """A reply that is stopped with its question open ends as canceled; the question is settled, the connection kept."""
    async with place.origin(to_target()) as origin, place.open_manager(redirect_policy=VERIFIED) as manager:
        async with manager.get(origin.url()) as reply:
            events: list[Event] = []
            async for event in reply:
                events.append(event)
                if isinstance(event, Redirected):
                    stop(reply)
                    with pytest.raises(RuntimeError):
                        event.allow()
        canceled = "E(OPERATION_CANCELED) D(0,5) F(OPERATION_CANCELED)"
        assert place.sequence(events) == f"S Q H(302) Redirected {canceled}"
        with pytest.raises(OperationCanceledError):
            reply.raise_for_error()
        assert at_rest(manager)
        assert (await manager.fetch(origin.url("/target"))).body == b"target"
        assert visited(origin) == ["/", "/target"]
        assert len(origin.connections) == 1
