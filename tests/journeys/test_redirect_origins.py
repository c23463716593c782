"""Redirects to other origins: which are followed, and what stays behind."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from attrs import frozen

from trioreply import (
    InsecureRedirectError,
    NetworkError,
    RedirectPolicy,
    RequestFields,
)
from trioreply.testing import (
    Authority,
    MemoryNetwork,
    OriginHandler,
    OriginRequest,
    OriginResponse,
    ReceiveRequest,
    ScriptedPeer,
    Send,
)

from .conftest import Place
from .redirecting import (
    END,
    TARGET,
    VERIFIED,
    allowing,
    at_rest,
    moved,
    to_target,
)


@functools.cache
def authority() -> Authority:
    """Who certifies the secure servers."""
    return Authority()


@frozen
class TwoServers:
    """A secure and a plain server in one network, which one manager can reach."""

    secure: Place
    plain: Place


@pytest.fixture
async def both() -> AsyncIterator[TwoServers]:
    """A network with secure and plain servers."""
    async with MemoryNetwork() as network:
        yield TwoServers(Place(network, authority()), Place(network))


async def test_same_origin_to_another_port(place: Place) -> None:
    """Under SAME_ORIGIN another port is another origin: INSECURE_REDIRECT, and the other server hears nothing."""
    async with place.origin({"/": TARGET}) as there, place.origin({"/": moved(there.url())}) as here:
        async with place.open_manager(redirect_policy=RedirectPolicy.SAME_ORIGIN) as manager:
            async with manager.get(here.url()) as reply:
                events = [event async for event in reply]
            insecure = "E(INSECURE_REDIRECT) D(0,5) F(INSECURE_REDIRECT)"
            assert place.sequence(events) == f"S Q H(302) {insecure}"
            assert (str(reply.url), reply.status_code) == (here.url(), 302)
            assert not there.connections
            assert at_rest(manager)


async def test_a_redirect_to_plain_text_is_refused(both: TwoServers) -> None:
    """From https to http nothing goes on its own: INSECURE_REDIRECT, and the plain server hears nothing."""
    async with both.plain.origin({"/": TARGET}) as there, both.secure.origin({"/": moved(there.url())}) as here:
        async with both.secure.open_manager() as manager:
            async with manager.get(here.url()) as reply:
                events = [event async for event in reply]
            insecure = "E(INSECURE_REDIRECT) D(0,5) F(INSECURE_REDIRECT)"
            assert both.secure.sequence(events) == f"S Q H(302) {insecure}"
            with pytest.raises(InsecureRedirectError, match="not secure"):
                reply.raise_for_error()
            assert not there.connections
            assert at_rest(manager)


async def test_a_redirect_to_plain_text_that_is_allowed(both: TwoServers) -> None:
    """Who asks to verify redirects may allow that one."""
    async with both.plain.origin({"/": TARGET}) as there, both.secure.origin({"/": moved(there.url())}) as here:
        async with both.secure.open_manager(redirect_policy=VERIFIED) as manager, manager.get(here.url()) as reply:
            async for _ in allowing(reply):
                pass
            assert (reply.read(), reply.tls) == (b"target", None)


async def test_a_redirect_to_a_secure_server(both: TwoServers) -> None:
    """From http to https a redirect is followed, and the new connection encrypted before it is used."""
    async with both.secure.origin({"/": TARGET}) as there, both.plain.origin({"/": moved(there.url())}) as here:
        async with both.secure.open_manager() as manager, manager.get(here.url()) as reply:
            events = [event async for event in reply]
    assert both.plain.sequence(events) == f"S Q H(302) Redirected S T Q H(200) {END}"
    assert reply.tls is not None


SECRETS = {
    "Authorization": "Basic dTpw",
    "Cookie": "session=1",
    "X-Api-Key": "secret",
    "X-Public": "for all",
}


@pytest.mark.parametrize("status", [302, 307])
async def test_credentials_stay_with_their_origin(status: int, place: Place) -> None:
    """Another port gets no credentials of the application's, by whatever field; and they are not put back later."""
    async with place.origin({}) as there, place.origin({}) as here:
        there.routes = {"/x": moved(here.url("/back"), status)}
        here.routes = {"/": moved("/same", status), "/same": moved(there.url("/x"), status), "/back": TARGET}
        async with place.open_manager() as manager:
            headers = {**SECRETS, "Proxy-Authorization": "Basic dTpw"}
            fields = RequestFields(headers=headers, sensitive_headers=["x-api-key"])
            assert (await manager.fetch(here.url(), **fields)).body == b"target"
    first, same, back = here.requests
    for request in (first, same):
        assert {name: request.header(name) for name in SECRETS} == SECRETS
    for request in (there.requests[0], back):
        found = {name for name in SECRETS if request.header(name) is not None}
        assert found == {"X-Public"}
    assert there.requests[0].header("Host") == urlsplit(there.base_url).netloc
    assert not any(request.header("Proxy-Authorization") for request in here.requests), "there is no proxy"


async def test_auth_and_host_stay_with_their_origin(place: Place) -> None:
    """``auth`` and a Host of one's own are for the first origin only."""
    async with place.origin({"/x": TARGET}) as there, place.origin({}) as here:
        here.routes = {"/": moved("/same"), "/same": moved(there.url("/x"))}
        async with place.open_manager() as manager:
            await manager.fetch(here.url(), auth=("user", "secret"), headers={"Host": "other.example"})
    assert [request.header("Authorization") is not None for request in here.requests] == [True, True]
    assert [request.header("Host") for request in here.requests] == ["other.example"] * 2
    assert there.requests[0].header("Authorization") is None
    assert there.requests[0].header("Host") == urlsplit(there.base_url).netloc


async def test_the_user_of_the_url_stays_with_its_origin(place: Place) -> None:
    """User and password in the URL answer the first server, also after a redirect to itself, and no other."""
    demand = OriginResponse(401, (("WWW-Authenticate", 'Basic realm="r"'),))

    def guarded(response: OriginResponse) -> OriginHandler:
        async def guard(request: OriginRequest) -> OriginResponse:
            return demand if request.header("Authorization") is None else response

        return guard

    async with place.origin({"/x": guarded(TARGET)}) as there, place.origin({}) as here:
        here.routes = {"/": guarded(moved("/same")), "/same": guarded(moved(there.url("/x")))}
        async with place.open_manager() as manager:
            with_user = here.url().replace("://", "://me:pass@")
            response = await manager.fetch(with_user, raise_for_error=False)
    assert (response.status_code, str(response.url)) == (401, there.url("/x"))
    assert [request.header("Authorization") for request in there.requests] == [None]


async def test_a_server_cannot_log_us_in(place: Place) -> None:
    """User and password in a Location are not used, nor shown."""
    async with place.origin({"/": TARGET}) as there:
        location = there.url().replace("://", "://victim:password@")
        async with place.origin({"/": moved(location)}) as here, place.open_manager() as manager:
            async with manager.get(here.url()) as reply:
                assert await reply.read_all() == b"target"
        assert there.requests[0].header("Authorization") is None
        assert str(reply.url) == there.url()


async def test_cookies_on_the_way(memory: Place) -> None:
    """A cookie that comes with a redirect is sent on the next hop; the jar is asked for each."""
    async with memory.serve(ScriptedPeer(ReceiveRequest(), Send(b"HTTP/1.1 204 No Content\r\n\r\n"))) as other:
        setting = moved("/target", more=(("Set-Cookie", "session=1"),))
        async with memory.origin({"/": setting, "/target": moved(other)}) as origin, memory.open_manager() as manager:
            async with manager.get(origin.url()) as reply:
                assert await reply.wait_finished() is NetworkError.NO_ERROR
            assert [request.header("Cookie") for request in origin.requests] == [None, "session=1"]
            assert manager.cookie_jar is not None
            assert (reply.status_code, len(reply.redirects)) == (204, 2)


async def test_a_cookie_is_not_sent_to_another_host(memory: Place) -> None:
    """The cookies of one host do not go to another with the redirect."""
    peer = ScriptedPeer(ReceiveRequest(), Send(b"HTTP/1.1 204 No Content\r\n\r\n"))
    async with memory.serve(peer) as other, memory.open_manager() as manager:
        async with memory.origin({"/": moved(other, more=(("Set-Cookie", "session=1"),))}) as origin:
            await manager.fetch(origin.url())
            await manager.fetch(origin.url())
        assert origin.requests[1].header("Cookie") == "session=1"
        assert [request.header("Cookie") for request in peer.requests] == [None, None]


async def test_nobody_is_told_where_we_come_from(place: Place) -> None:
    """No Referer is made up; one of the application's own stays its own."""
    async with place.origin(to_target()) as origin, place.open_manager() as manager:
        await manager.fetch(origin.url())
    assert [request.header("Referer") for request in origin.requests] == [None, None]
