"""The two ways of messages through the pipeline: whichever they go, everybody learns the same."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import pytest
import trio
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from trioreply import (
    ConnectionLeased,
    CookieJar,
    Informational,
    Message,
    RedirectPolicy,
    Request,
    RequestProgress,
    RequestSent,
    ResponseData,
    ResponseHead,
    ResponseTrailers,
)
from trioreply._model.exchange import Policy, Sink
from trioreply._policies.auth import authentication
from trioreply._policies.auth_guard import origin_guard
from trioreply._policies.cookies import cookies
from trioreply._policies.credential_cache import CredentialCache
from trioreply._policies.deadlines import deadlines
from trioreply._policies.decoding import decoding
from trioreply._policies.pipeline import WrappedSink, build, is_plain, short_way
from trioreply._policies.redirects import redirects
from trioreply._policies.resend import resend
from trioreply.errors import ReplyError

from .recording import RecordingSink

BODY = b"the quick brown fox"
FIELDS = {
    "Set-Cookie": "a=b",
    "Content-Encoding": "gzip",
    "Location": "/elsewhere",
    "WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5',
    "Authentication-Info": f'rspauth="{"0" * 32}", qop=auth, cnonce="c", nc=00000001',
    "Content-Length": "5",
    "Strict-Transport-Security": "max-age=1",
    "X-Other": "y",
}
STATUSES = [200, 201, 204, 206, 226, 299, 300, 301, 303, 307, 400, 401, 404, 407, 500, 503]


@frozen
class Answer:
    """One response of a server."""

    status: int
    names: frozenset[str]
    has_trailers: bool

    def messages(self) -> list[Message]:
        """What a handler makes of it."""
        body = gzip.compress(BODY, mtime=0) if "Content-Encoding" in self.names else BODY
        told: list[Message] = [
            ConnectionLeased(reused=True),
            RequestProgress(3, 3, complete=True),
            RequestSent(),
            Informational(103, ResponseHead(headers={"Set-Cookie": "early=1"}).headers),
            ResponseHead(self.status, "R", {name: FIELDS[name] for name in sorted(self.names)}, "1.1"),
            ResponseData(body[:7], 7),
            ResponseData(body[7:], len(body) - 7),
        ]
        if self.has_trailers:
            told.append(ResponseTrailers({"X-Last": "1"}))
        return told


ANSWERS = st.builds(Answer, st.sampled_from(STATUSES), st.frozensets(st.sampled_from(sorted(FIELDS))), st.booleans())


def outcome(answers: Sequence[Answer], request: Request, innermost: Sequence[Policy]) -> tuple[object, ...]:
    """What the reply, the jar, the cache and the server see when ``answers`` come to ``request``, one after another."""
    jar, cache = CookieJar(), CredentialCache()
    sink, seen = RecordingSink(), list[tuple[str, dict[str, str]]]()
    left = list(answers)

    async def server(hop: Request, way: Sink) -> None:
        seen.append((str(hop.url), dict(hop.headers)))
        for message in (left.pop(0) if len(left) > 1 else left[0]).messages():
            await way.put(message)

    authenticating = authentication(cache, origin_guard(lambda hop: hop.auth), make_cnonce=lambda: "c")
    policies = (deadlines, redirects, decoding, authenticating, cookies(jar), *innermost)
    failure = ""
    try:
        trio.run(build(policies, server), request, sink)
    except ReplyError as error:
        failure = repr(error)
    return sink.messages, len(sink.questions), [str(cookie) for cookie in jar], bool(cache), seen, failure


REQUESTS = st.builds(
    Request,
    st.just("http://h/"),
    transfer_timeout=st.sampled_from([None, 5.0]),
    auth=st.sampled_from([None, ("user", "secret")]),
    redirect_policy=st.sampled_from([RedirectPolicy.NO_LESS_SAFE, RedirectPolicy.MANUAL]),
    max_redirects=st.just(3),
    decompress=st.booleans(),
)


# The answer to credentials claims a proof that is none: chance seldom comes upon it.
@example(
    [
        Answer(401, frozenset(["WWW-Authenticate"]), has_trailers=False),
        Answer(200, frozenset(["Authentication-Info"]), has_trailers=False),
    ],
    Request("http://h/", auth=("user", "secret")),
)
@given(st.lists(ANSWERS, min_size=1, max_size=3), REQUESTS)
def test_both_ways_lead_to_the_same(answers: list[Answer], request: Request) -> None:
    """With the short way and without it the reply, the cookie jar, the credentials and the server see the same."""
    assert outcome(answers, request, [resend]) == outcome(answers, request, [])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (ResponseHead(200), True),
        (ResponseHead(299, "", {"Content-Length": "7"}), True),
        (ResponseHead(300), False),
        (ResponseHead(None), False),
        (ResponseHead(200, "", {"set-cookie": "a=b"}), False),
        (ResponseHead(200, "", {"content-encoding": "br"}), False),
    ],
)
def test_what_is_plain(head: ResponseHead, expected: bool) -> None:
    """A success that sets no cookie and is in no coding is plain, and nothing else."""
    assert is_plain(head) is expected


class Idle(WrappedSink):
    """Passes everything on."""

    __slots__ = ()

    is_idle = True


def test_the_short_way_ends_at_who_listens() -> None:
    """The idle are passed by, up to the first sink that is not, whatever is behind that."""
    reply = RecordingSink()
    busy = WrappedSink(Idle(reply))
    assert short_way(Idle(Idle(reply))) is reply
    assert short_way(Idle(busy)) is busy
    assert short_way(reply) is reply
