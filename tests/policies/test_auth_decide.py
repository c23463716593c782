"""Authentication as decisions: which challenge, which credentials, in which order, and when it is enough."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply import LoadControl, Request, ResponseHead
from trioreply._model.auth import Bearer, UserPassword
from trioreply._model.messages import AuthenticationQuestion
from trioreply._policies.auth_decide import (
    MAX_ROUNDS,
    Ask,
    Conversation,
    Deliver,
    LookUp,
    Send,
    Step,
    strongest,
)
from trioreply._policies.auth_guard import Setting, origin_guard
from trioreply._policies.credential_cache import CredentialCache, Owner, Place, Space
from trioreply._wire.challenge import parse_challenges
from trioreply.errors import AuthenticationRequiredError

from .demanding import basic, brought

ANN, BOB, CID, DAN = (UserPassword(name, "pw") for name in ("ann", "bob", "cid", "dan"))
BASIC = 'Basic realm="r"'
MD5 = 'Digest realm="r", nonce="n", qop="auth"'
SHA = 'Digest realm="s", nonce="n", algorithm=SHA-256'
SHA512 = 'Digest realm="t", nonce="n", algorithm=SHA-512-256-sess'
INT = 'Digest realm="i", nonce="n", algorithm=SHA-512-256, qop="auth-int"'


def talk_about(request: Request, cache: CredentialCache | None = None, *, has_netrc: bool = False) -> Conversation:
    """The conversation about ``request``."""
    known = CredentialCache() if cache is None else cache
    return Conversation(Setting(origin_guard(brought), known, lambda: "cn", has_netrc=has_netrc), request)


def demand(*challenges: str) -> ResponseHead:
    """A 401 with these challenges."""
    return ResponseHead(401, headers=[("WWW-Authenticate", challenge) for challenge in challenges])


def shown(step: Step) -> str:
    """The step in a word or two."""
    match step:
        case Send(attempt=attempt):
            assert attempt.login is not None
            return f"send {attempt.login.user} {attempt.value.partition(' ')[0]}"
        case LookUp(host=host):
            return f"look up {host}"
        case Ask(question=question):
            assert isinstance(question, AuthenticationQuestion)
            challenge = question.challenge
            return f"ask {challenge.scheme} {challenge.realm}, not {challenge.previous_user}"
        case Deliver():
            return "deliver"


def refused(talk: Conversation, *challenges: str) -> str:
    """What follows a refusal."""
    assert talk.challenged(demand(*challenges))
    return shown(talk.next())


@pytest.mark.parametrize(
    ("challenges", "body", "realm"),
    [
        ([BASIC], b"", "r"),
        ([BASIC, MD5], b"", "r"),
        ([MD5, SHA], b"", "s"),
        ([SHA512, SHA, BASIC], b"", "t"),
        (['Basic realm="first"', BASIC], b"", "first"),
        ([INT, SHA], b"x", "i"),
        ([INT, SHA], None, "s"),
        (["Negotiate", 'Digest realm="x", nonce="n", algorithm=SHA-1', BASIC], b"", "r"),
    ],
)
def test_the_strongest_challenge_counts(challenges: list[str], body: bytes | None, realm: str) -> None:
    """Digest comes before Basic and longer hashes before shorter ones; what cannot be answered is not offered."""
    for order in (challenges, challenges[::-1]) if "first" not in realm else (challenges,):
        offer = strongest(parse_challenges(order), body)
        assert offer is not None
        assert offer.challenge.realm == realm


@pytest.mark.parametrize("challenges", [[], ["Bearer"], ["Negotiate", "NTLM"], ['Digest realm="r"'], ["{}"]])
def test_what_nobody_can_answer(challenges: list[str]) -> None:
    """Without a challenge that is understood there is nothing to ask (Qt has no signal either)."""
    talk = talk_about(Request("http://h/"))
    assert not talk.challenged(demand(*challenges))
    assert talk.next() == Deliver()
    assert talk.answered(ANN) == Deliver()


def test_order_of_sources() -> None:
    """The request's auth, the URL, what is known of the realm, the file, the application: each once."""
    cache = CredentialCache()
    cache.remember(("http", "h", 80), Space("r", CID, False, None, ("/elsewhere/",)))
    talk = talk_about(Request("http://cid:other@h/"), cache, has_netrc=True)
    assert talk.opening() is None
    assert refused(talk, MD5) == "send cid Digest"  # of the URL
    assert refused(talk, MD5) == "send cid Digest"  # of the realm
    assert refused(talk, MD5) == "look up h"
    assert shown(talk.found(DAN)) == "send dan Digest"
    assert refused(talk, MD5) == "ask Digest r, not dan"
    assert shown(talk.answered(ANN)) == "send ann Digest"
    assert refused(talk, MD5) == "ask Digest r, not ann"
    assert shown(talk.answered(ANN)) == "deliver"


def test_own_credentials_come_first() -> None:
    """The request's auth goes out as Basic before anybody asks, and as Digest when that is demanded; then the URL's."""
    talk = talk_about(Request("http://bob:pw@h/", user_data=ANN))
    opening = talk.opening()
    assert opening is not None
    assert opening.value == basic("ann", "pw")
    assert refused(talk, BASIC, MD5) == "send ann Digest"
    assert refused(talk, BASIC, MD5) == "send bob Digest"
    assert refused(talk, BASIC, MD5) == "ask Digest r, not bob"


def test_basic_is_not_tried_twice() -> None:
    """What went out as Basic before the challenge is refused by the challenge."""
    talk = talk_about(Request("http://h/", user_data=ANN))
    talk.opening()
    assert refused(talk, BASIC) == "ask Basic r, not ann"
    assert shown(talk.answered(ANN)) == "deliver"


def test_a_token_is_no_user() -> None:
    """A bearer token goes out at once; refused, it leaves the other sources, and no previous user."""
    talk = talk_about(Request("http://h/", user_data=Bearer("token")))
    opening = talk.opening()
    assert opening is not None
    assert (opening.value, opening.login) == ("Bearer token", None)
    assert "token" not in repr(opening).replace("bearer token", "")
    assert refused(talk, BASIC) == "ask Basic r, not None"


@pytest.mark.parametrize("found", [None, ("a:b", "pw"), ("a", "\n")])
def test_nothing_in_the_file(found: tuple[str, str] | None) -> None:
    """The file is looked into once; what cannot be sent is as good as not there."""
    talk = talk_about(Request("http://h/"), has_netrc=True)
    assert refused(talk, BASIC) == "look up h"
    assert shown(talk.found(found)) == "ask Basic r, not None"


@pytest.mark.parametrize(
    ("url", "step"),
    [
        ("http://ann@h/", "send ann Basic"),
        ("http://:pw@h/", "send  Basic"),
        ("http://a%3Ab:pw@h/", "ask Basic r, not None"),
        ("http://ann:%0A@h/", "ask Basic r, not None"),
        ("http://h/", "ask Basic r, not None"),
    ],
)
def test_users_in_urls(url: str, step: str) -> None:
    """A user in a URL needs no password; what cannot be sent is not there. None goes out before a challenge (Qt)."""
    talk = talk_about(Request(url))
    assert talk.opening() is None
    assert refused(talk, BASIC) == step


@pytest.mark.parametrize("answer", [("a:b", "pw"), ("a", "p\r\nX: y")])
def test_an_answer_that_cannot_be_sent(answer: tuple[str, str]) -> None:
    """It is the application's mistake, and a typed error that does not show the password."""
    talk = talk_about(Request("http://h/"))
    assert refused(talk, BASIC).startswith("ask")
    with pytest.raises(AuthenticationRequiredError, match="answer: ") as caught:
        talk.answered(answer)
    assert "X: y" not in str(caught.value)


def test_rounds_are_bounded() -> None:
    """A handler that invents passwords, or a server whose nonces are all stale, comes to an end."""
    talk = talk_about(Request("http://h/"))
    for number in range(MAX_ROUNDS):
        assert refused(talk, BASIC).startswith("ask")
        assert shown(talk.answered(("ann", str(number)))) == "send ann Basic"
    assert refused(talk, BASIC) == "deliver"
    talk = talk_about(Request("http://ann@h/"))
    steps = [refused(talk, f"{MD5}, stale=true") for _ in range(MAX_ROUNDS + 1)]
    assert steps == ["send ann Digest"] * MAX_ROUNDS + ["deliver"]


def test_stale_is_about_the_same_realm() -> None:
    """A nonce that is called stale repeats the credentials in their own realm, and nowhere else; they stay known."""
    cache = CredentialCache()
    cache.remember(("http", "h", 80), Space("r", UserPassword("ann", ""), False, None, ("/elsewhere/",)))
    talk = talk_about(Request("http://ann@h/"), cache)
    assert refused(talk, MD5) == "send ann Digest"
    assert refused(talk, f"{MD5}, stale=true") == "send ann Digest"
    assert cache
    assert refused(talk, f"{SHA}, stale=true") == "ask Digest s, not ann"
    talk = talk_about(Request("http://ann@h/"))
    assert refused(talk, BASIC) == "send ann Basic"
    assert refused(talk, f"{MD5}, stale=true") == "send ann Digest"
    assert refused(talk, BASIC) == "ask Basic r, not ann"


@pytest.mark.parametrize(("control", "known"), [(LoadControl.AUTOMATIC, True), (LoadControl.MANUAL, False)])
def test_reuse_can_be_switched_off(control: LoadControl, known: bool) -> None:
    """Under MANUAL known credentials are neither sent nor tried, and what is accepted is not kept (Qt)."""
    cache = CredentialCache()
    cache.remember(("http", "h", 80), Space("r", ANN, False, None, ("/a/",)))
    assert (talk_about(Request("http://h/a/", authentication_reuse=control), cache).opening() is not None) is known
    talk = talk_about(Request("http://h/", authentication_reuse=control), cache)
    assert refused(talk, BASIC) == ("send ann Basic" if known else "ask Basic r, not None")
    talk = talk_about(Request("http://bob@h/", authentication_reuse=control), cache)
    assert refused(talk, BASIC) == "send bob Basic"
    assert talk.accepted(ResponseHead(200)) is None
    found = cache.covering(Place(("http", "h", 80), "/"), Owner())
    assert (found is not None) is known


@pytest.mark.parametrize(
    ("status", "kept"), [(200, True), (304, True), (403, True), (404, True), (407, False), (500, False), (None, False)]
)
def test_what_counts_as_accepted(status: int | None, kept: bool) -> None:
    """Any answer of the server itself but a refusal means that the credentials were right."""
    cache = CredentialCache()
    talk = talk_about(Request("http://ann@h/"), cache)
    assert refused(talk, BASIC) == "send ann Basic"
    talk.accepted(ResponseHead(status))
    assert bool(cache) is kept


def test_credentials_that_are_refused_are_forgotten() -> None:
    """A password that was changed on the server is not sent for ever; that of another realm is not concerned."""
    cache = CredentialCache()
    cache.remember(("http", "h", 80), Space("r", ANN, False, None, ("/",)))
    talk = talk_about(Request("http://h/"), cache)
    assert talk.opening() is not None
    assert refused(talk, 'Basic realm="other"') == "ask Basic other, not ann"
    assert cache
    assert refused(talk, BASIC) == "ask Basic r, not ann"
    assert not cache


LOGINS = [ANN, BOB, CID, DAN]


@given(
    request=st.builds(
        Request, st.sampled_from(["http://h/", "http://bob:pw@h/"]), user_data=st.sampled_from([None, ANN])
    ),
    found=st.sampled_from([None, *LOGINS]),
    answers=st.lists(st.sampled_from([None, *LOGINS]), max_size=6),
    challenges=st.lists(st.sampled_from([BASIC, MD5, SHA, INT]), min_size=1, max_size=4),
)
def test_no_credentials_twice(
    request: Request, found: UserPassword | None, answers: list[UserPassword | None], challenges: list[str]
) -> None:
    """Whatever the sources give and the server demands, nothing is sent twice to be refused, and it comes to an end."""
    talk = talk_about(request, has_netrc=True)
    opening = talk.opening()
    sent = [] if opening is None else [(opening.login, "Basic")]
    for challenge in itertools.islice(itertools.cycle(challenges), MAX_ROUNDS + 1):
        assert talk.challenged(demand(challenge))
        step = talk.next()
        if isinstance(step, LookUp):
            step = talk.found(found)
        if isinstance(step, Ask):
            step = talk.answered(answers.pop(0) if answers else None)
        if not isinstance(step, Send):
            assert step == Deliver()
            break
        sent.append((step.attempt.login, step.attempt.value.partition(" ")[0]))
    else:
        pytest.fail("it does not come to an end")
    assert len(set(sent)) == len(sent)
