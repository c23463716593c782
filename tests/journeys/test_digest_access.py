"""Digest end to end, contradictory demands, and credentials that stay with their origin through redirects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import attrs
import pytest
import trio

from trioreply import Bearer, Manager, NetworkError, OpenReply, RedirectPolicy
from trioreply.testing import Origin, OriginRequest, OriginResponse, open_origin

from .conftest import Place
from .guarded import (
    BASIC,
    HIDDEN,
    OK_END,
    REFUSED_END,
    RIGHT,
    WELCOME,
    WRONG,
    DigestDoor,
    Door,
    basic,
    converse,
    door,
    guarded,
    parameters,
    sent,
)
from .notation import sequence

KINDS = {
    "MD5": DigestDoor(),
    "no algorithm": DigestDoor(None),
    "MD5-sess": DigestDoor("MD5-sess"),
    "SHA-256": DigestDoor("SHA-256"),
    "SHA-256-sess": DigestDoor("SHA-256-sess"),
    "SHA-512-256": DigestDoor("SHA-512-256"),
    "as in RFC 2069": DigestDoor(None, qop=None),
    "auth-int alone": DigestDoor("SHA-256", qop="auth-int"),
    "auth-int offered": DigestDoor("SHA-256", qop="auth,auth-int"),
    "userhash": DigestDoor("SHA-256", more="userhash=true"),
    "an opaque with a quote in it": DigestDoor(more=r'opaque="a\"b, c=\"d"'),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_digest(kind: str, memory: Place) -> None:
    """Every algorithm and quality of protection works, asked for once, with a body or without, and is reused."""
    opens = attrs.evolve(KINDS[kind], taken=[])
    async with memory.origin(guarded(opens)) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url("/a?b=c")) as reply:
            assert sequence(await converse(reply, [RIGHT])) == f"S Q A() Q {OK_END}"
        async with manager.post(origin.url("/d"), b"data") as reply:
            assert sequence(await converse(reply)) == f"U(4,4) Q {OK_END}"
        first, second = (parameters(value or "") for value in sent(origin)[1:])
    assert len(opens.taken) == 2
    assert (first.get("qop"), second.get("qop")) == {
        "as in RFC 2069": (None, None),
        "auth-int alone": ("auth-int", "auth-int"),
        "auth-int offered": ("auth", "auth-int"),
    }.get(kind, ("auth", "auth"))
    assert first.get("opaque") == (r"a\"b, c=\"d" if "opaque" in kind else None)
    assert first["username"] == ("u" if kind != "userhash" else opens.hashed_user)


async def test_digest_over_each_network(place: Place) -> None:
    """Digest on real sockets and over TLS, wrong and then right; the event names scheme, realm and user."""
    async with place.origin(guarded(DigestDoor("SHA-256"))) as origin, place.open_manager() as manager:
        async with manager.put(origin.url("/%7Euser/?x=%20"), b"data") as reply:
            events = await converse(reply, [WRONG, RIGHT])
        assert place.sequence(events) == f"S U(4,4) Q A() U(4,4) Q A(u) U(4,4) Q {OK_END}"
        assert {request.body for request in origin.requests} == {b"data"}


async def test_a_session_of_ones_own(memory: Place) -> None:
    """Digest that came about with a request's ``auth`` is used again by requests that bring the same, and no others."""
    opens = DigestDoor()
    async with memory.origin(guarded(opens)) as origin, memory.open_manager() as manager:
        for _ in range(2):
            assert (await manager.fetch(origin.url(), auth=RIGHT)).status_code == 200
        for bringing in (None, WRONG):
            response = await manager.fetch(origin.url(), auth=bringing, raise_for_error=False)
            assert response.status_code == 401
    assert len(opens.taken) == 2
    schemes = [(value or "").partition(" ")[0] for value in sent(origin)]
    assert schemes == ["Basic", "Digest", "Digest", "", "Basic", "Digest"]


async def test_a_nonce_is_counted(memory: Place) -> None:
    """Requests after the first go out at once with the next number, also those at the same time."""
    opens = DigestDoor()
    async with memory.origin(guarded(opens)) as origin, memory.open_manager() as manager:
        await _log_in(manager, origin)
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(manager.fetch, origin.url(f"/{number}"))
    assert sorted(opens.taken) == [("n1", f"{number:08x}") for number in range(1, 12)]
    assert len(origin.requests) == 12


@pytest.mark.parametrize("says_stale", [True, False])
async def test_an_old_nonce_asks_nobody(says_stale: bool, memory: Place) -> None:
    """A server that wants another nonce gets one with the same credentials, whether it says ``stale`` or not."""
    opens = DigestDoor(says_stale=says_stale)
    async with memory.origin(guarded(opens)) as origin, memory.open_manager() as manager:
        await _log_in(manager, origin)
        opens.nonce = "n2"
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply)) == f"Q Q {OK_END}"
        await manager.fetch(origin.url())
    assert opens.taken == [("n1", "00000001"), ("n2", "00000001"), ("n2", "00000002")]


async def test_a_server_for_which_every_nonce_is_old(memory: Place) -> None:
    """A server that calls each nonce stale is given up in the end."""
    count = 0

    def never(_request: OriginRequest) -> list[str]:
        nonlocal count
        count += 1
        return [f'Digest realm="r", nonce="{count}", qop="auth", stale=true']

    async with memory.origin(guarded(never)) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply, [RIGHT])).endswith(REFUSED_END)
    assert len(origin.requests) == 9


async def test_the_next_nonce(memory: Place) -> None:
    """A nonce that comes with a response is used next, from one on, without a round of refusal."""
    opens = DigestDoor()
    inside = OriginResponse(200, [("Authentication-Info", 'nextnonce="n2"')], WELCOME)
    async with memory.origin(guarded(opens, inside=inside)) as origin, memory.open_manager() as manager:
        await _log_in(manager, origin)
        opens.nonce = "n2"
        await manager.fetch(origin.url())
    assert opens.taken == [("n1", "00000001"), ("n2", "00000001")]
    assert len(origin.requests) == 3


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize("lie", [None, "about the password", "about the page"])
async def test_the_server_proves_itself(qop: str, lie: str | None, memory: Place) -> None:
    """A server may prove that it knows the password; one that pretends to, or whose page is another, is no success."""
    opens = DigestDoor(qop=qop)

    async def handle(request: OriginRequest) -> OriginResponse:
        challenges = opens(request)
        if challenges is not None:
            return OriginResponse(401, [("WWW-Authenticate", value) for value in challenges], HIDDEN)
        proof = opens.proof(request, WELCOME)
        page = HIDDEN if lie == "about the page" else WELCOME
        rspauth = "0" * 32 if lie == "about the password" else proof
        return OriginResponse(200, [("Authentication-Info", f'qop={qop}, rspauth="{rspauth}"')], page)

    believed = lie is None or (lie == "about the page" and qop == "auth")
    async with memory.origin(handle) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            await converse(reply, [RIGHT])
            assert reply.error is (NetworkError.NO_ERROR if believed else NetworkError.PROTOCOL_FAILURE)
        assert manager.statistics().leases == 0


# What is offered

DIGEST = 'Digest realm="r", nonce="n1", qop="auth"'


@pytest.mark.parametrize(
    ("challenges", "scheme"),
    [
        ([BASIC, f"{DIGEST}, algorithm=MD5", f"{DIGEST}, algorithm=SHA-256"], "SHA-256"),
        ([f"{BASIC}, {DIGEST}, algorithm=MD5, {DIGEST}, algorithm=SHA-512-256"], "SHA-512-256"),
        ([f"Negotiate, NTLM, Bearer, {BASIC}"], "Basic"),
        ([f"{DIGEST}, algorithm=SHA-1, {BASIC}"], "Basic"),
        ([f"{DIGEST}, algorithm=MD5, algorithm=SHA-256", f"{DIGEST}, algorithm=MD5"], "MD5"),
        (['Digest realm="r", nonce="n1", nonce="n2", qop="auth"', BASIC], "Basic"),
        (['Digest realm="r", qop="auth"', BASIC], "Basic"),
        (['Digest realm="r", nonce="n1", qop="auth-conf"', BASIC], "Basic"),
        (['Basic realm="one", realm="two"'], None),
        (['Digest realm="r", nonce="n1", qop="auth'], None),
        (["Basic realm="], "Basic"),
        (["", ",,,", "=", '"'], None),
        ([*[f"X {'a' * 40_000}"] * 2, BASIC], None),
    ],
)
async def test_contradictory_challenges(challenges: list[str], scheme: str | None, memory: Place) -> None:
    """The strongest that makes sense is answered; what contradicts itself, or nobody knows, counts as not offered, and
    without anything left the refusal is the response.
    """
    async with memory.origin(guarded(door(*challenges, opens="never"))) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            events = await converse(reply, [RIGHT])
        assert sequence(events).endswith(REFUSED_END)
        answers = sent(origin)[1:]
        assert manager.statistics().leases == 0
    if scheme is None:
        assert answers == []
    elif scheme == "Basic":
        assert answers == [basic(*RIGHT)]
    else:
        assert [parameters(answer or "")["algorithm"] for answer in answers] == [scheme]


async def test_a_password_is_never_given_away_after_digest(memory: Place) -> None:
    """A server that offers Digest as well as Basic gets Digest or nothing, also when Digest does not work."""
    opens = DigestDoor()
    async with memory.origin(guarded(door(opens.challenge(), BASIC))) as origin, memory.open_manager() as manager:
        async with manager.get(origin.url()) as reply:
            assert sequence(await converse(reply, [RIGHT, WRONG, RIGHT])).endswith(REFUSED_END)
    assert basic(*RIGHT) not in sent(origin)


# Through redirects

BRINGING: dict[str, Callable[[Manager, str], OpenReply]] = {
    "an answer": lambda manager, url: manager.get(url),
    "auth": lambda manager, url: manager.get(url, auth=RIGHT),
    "a bearer token": lambda manager, url: manager.get(url, auth=Bearer("token")),
    "the URL": lambda manager, url: manager.get(url.replace("://", "://u:p@")),
    "the user's own field": lambda manager, url: manager.get(url, headers={"Authorization": basic(*RIGHT)}),
}


@pytest.fixture
async def two_origins(memory: Place) -> AsyncIterator[tuple[Origin, Origin]]:
    """A server that wants credentials and redirects to another, which wants some, too."""
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(
            open_origin(guarded(door(BASIC)), network=memory.network, host="other.test")
        )
        opens: Door = lambda request: None if request.header("authorization") else [BASIC]  # noqa: E731 - it is a value
        inside = OriginResponse(307, [("Location", other.url("/"))])
        first = await stack.enter_async_context(memory.origin(guarded(opens, inside=inside)))
        yield first, other


@pytest.mark.parametrize("policy", [RedirectPolicy.NO_LESS_SAFE, RedirectPolicy.USER_VERIFIED])
@pytest.mark.parametrize("source", BRINGING)
async def test_credentials_never_cross_origins(
    source: str, policy: RedirectPolicy, memory: Place, two_origins: tuple[Origin, Origin]
) -> None:
    """Wherever credentials came from, a redirect does not take them to another origin; who wants some there asks."""
    first, other = two_origins

    async def agree(_reply: object, event: object) -> None:
        event.allow()  # type: ignore[attr-defined]  # only redirects come here

    async with memory.open_manager(redirect_policy=policy, redirect_verifier=agree) as manager:
        async with BRINGING[source](manager, first.url()) as reply:
            events = await converse(reply, [RIGHT] if source == "an answer" else [])
            assert str(reply.url) == other.url("/")
            assert sequence(events).endswith(f"A() {REFUSED_END}")
    assert sent(first)[-1] is not None
    assert sent(other) == [None]


async def test_credentials_stay_within_their_origin(memory: Place) -> None:
    """A redirect on the same server goes on with what was accepted there; one that leads back does, too."""
    async with memory.origin({}) as origin, open_origin({}, network=memory.network, host="other.test") as other:
        routes = guarded(door(BASIC), inside=OriginResponse(302, [("Location", "/b/c")]))
        origin.routes = {
            "/b/a": routes,
            "/b/c": guarded(door(BASIC), inside=OriginResponse(302, [("Location", other.url("/"))])),
            "/b/d": guarded(door(BASIC)),
        }
        other.routes = {"/": OriginResponse(302, [("Location", origin.url("/b/d"))])}
        async with memory.open_manager() as manager, manager.get(origin.url("/b/a")) as reply:
            await converse(reply, [RIGHT])
            assert reply.read() == WELCOME
    assert sent(origin) == [None, *[basic(*RIGHT)] * 3]
    assert sent(other) == [None]


async def _log_in(manager: Manager, origin: Origin) -> None:
    async with manager.get(origin.url()) as reply:
        await converse(reply, [RIGHT])
        assert reply.error is NetworkError.NO_ERROR
