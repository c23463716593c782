"""Digest: the RFCs' own examples, and every choice that a challenge leaves, against a second reckoning."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.auth import UserPassword
from trioreply._model.headers import decode_text
from trioreply._wire.challenge import parse_challenges, parse_parameters
from trioreply._wire.digest import (
    MAX_PROTECTED_BODY,
    DigestAnswer,
    DigestChallenge,
    DigestRequest,
    DigestSession,
    choose_qop,
    parse_digest,
)

MUFASA = UserPassword("Mufasa", "Circle of Life")
GET = DigestRequest("GET", "/dir/index.html")
PARAMETER = re.compile(r'([\w*]+)=("(?:[^"\\]|\\.)*"|[^,]*)')


def understood(text: str) -> DigestChallenge:
    """The challenge ``text``, which is one that can be answered."""
    challenge = parse_digest(parse_challenges([text])[0])
    assert challenge is not None
    return challenge


def answer_to(
    text: str, login: UserPassword = MUFASA, request: DigestRequest = GET, *, cnonce: str = "cn"
) -> DigestAnswer:
    """The first answer to the challenge ``text``."""
    challenge = understood(text)
    qop = choose_qop(challenge, request.body)
    assert qop is not None
    return DigestSession(challenge, login, make_cnonce=lambda: cnonce).answer(request, qop)


def fields_of(answer: DigestAnswer) -> dict[str, str]:
    """The answer's parameters as they are written, quotes included."""
    scheme, _, rest = answer.value.partition(" ")
    assert scheme == "Digest"
    return dict(PARAMETER.findall(rest))


RFC_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
RFC_7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_example_of_rfc_2617() -> None:
    """The answer is that of RFC 2617 section 3.5, field by field; what was not asked for is not in it."""
    answer = answer_to(RFC_2617, UserPassword("Mufasa", "Circle Of Life"), cnonce="0a4f113b")
    assert fields_of(answer) == {
        "username": '"Mufasa"',
        "realm": '"testrealm@host.com"',
        "nonce": '"dcd98b7102dd2f0e8b11d0f600bfb0c093"',
        "uri": '"/dir/index.html"',
        "qop": "auth",
        "nc": "00000001",
        "cnonce": '"0a4f113b"',
        "response": '"6629fae49393a05397450978507c4ef1"',
        "opaque": '"5ccc069c403ebaf9f0171e9517f40e41"',
    }


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    """The answers are those of RFC 7616 section 3.9.1; the algorithm is written without quotes."""
    fields = fields_of(answer_to(RFC_7616.format(algorithm=algorithm), cnonce=RFC_7616_CNONCE))
    assert (fields["response"], fields["algorithm"], fields["nc"]) == (f'"{response}"', algorithm, "00000001")
    assert fields["opaque"] == '"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    assert "userhash" not in fields


def test_example_with_user_hash() -> None:
    """User hash and response are those of RFC 7616 section 3.9.2, as erratum 4897 corrects them."""
    answer = answer_to(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true',
        UserPassword("Jäsøn Doe", "Secret, or not?"),
        DigestRequest("GET", "/doe.json"),
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    fields = fields_of(answer)
    assert fields["username"] == '"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"'
    assert fields["response"] == '"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"'
    assert fields["userhash"] == "true"


def test_example_of_rfc_2069() -> None:
    """A server that knows no quality of protection gets an answer without one (RFC 2069 section 2.4, as corrected)."""
    answer = answer_to(
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
        UserPassword("Mufasa", "CircleOfLife"),
    )
    assert fields_of(answer).keys() == {"username", "realm", "nonce", "uri", "response"}
    assert fields_of(answer)["response"] == '"1949323746fe6a43ef61f9606e7febea"'


HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def hashed(algorithm: str, *parts: bytes) -> bytes:
    """A second reckoning of ``H(a:b:...)``."""
    return hashlib.new(HASHES[algorithm], b":".join(parts)).hexdigest().encode()


@pytest.mark.parametrize("body", [b"", b"some=body"])
@pytest.mark.parametrize("qop", ["", "auth", "auth-int"])
@pytest.mark.parametrize("session", ["", "-sess", "-SESS"])
@pytest.mark.parametrize("algorithm", HASHES)
def test_every_combination(algorithm: str, session: str, qop: str, body: bytes) -> None:
    """Each algorithm, with and without a session key, at each quality of protection, is what RFC 7616 3.4 says."""
    text = f'Digest realm="r", nonce="n", algorithm={algorithm}{session}' + (f', qop="{qop}"' if qop else "")
    fields = fields_of(answer_to(text, UserPassword("u", "p"), DigestRequest("POST", "/a?b", body)))
    key = hashed(algorithm, b"u", b"r", b"p")
    if session:
        key = hashed(algorithm, key, b"n", b"cn")
    request = [b"POST", b"/a?b", *([hashed(algorithm, body)] if qop == "auth-int" else [])]
    middle = [b"n", *([b"00000001", b"cn", qop.encode()] if qop else [])]
    assert fields["response"].strip('"').encode() == hashed(algorithm, key, *middle, hashed(algorithm, *request))
    assert fields["algorithm"] == algorithm + session
    assert ("cnonce" in fields) is bool(qop or session)
    assert ("nc" in fields) is ("qop" in fields) is bool(qop)


@pytest.mark.parametrize(
    "text",
    [
        'Basic realm="r"',
        'Digest nonce="n"',
        'Digest realm="r"',
        'Digest realm="r", nonce=""',
        'Digest realm="r", nonce="n", algorithm=SHA-1',
        'Digest realm="r", nonce="n", algorithm=MD5-session',
        'Digest realm="r", nonce="n", qop="auth-conf"',
    ],
)
def test_what_is_not_understood_is_not_offered(text: str) -> None:
    """A challenge without realm or nonce, with an unknown algorithm or with unknown protection cannot be answered."""
    assert parse_digest(parse_challenges([text])[0]) is None


def test_what_a_challenge_says() -> None:
    """Flags are read in any case, and the domain is a list."""
    challenge = understood(
        'dIgEsT realm="r", nonce="n", stale=TRUE, userhash="True", charset=utf-8, domain=" /a  http://h/b "'
    )
    assert challenge.is_stale
    assert challenge.has_user_hash
    assert challenge.is_utf8
    assert challenge.domain == ("/a", "http://h/b")
    plain = understood('Digest realm="r", nonce="n", stale=false, charset=latin1, qop=" AUTH , nonsense"')
    assert [plain.is_stale, plain.has_user_hash, plain.is_utf8] == [False] * 3
    assert plain.qops == {"auth"}
    assert understood('Digest realm="r", nonce="n", algorithm="", qop=""').algorithm is None


def test_strength() -> None:
    """Longer hashes are stronger, and a session key makes no difference."""
    names = ["MD5", "SHA-256", "sha-512-256"]
    challenges = [understood(f'Digest realm="r", nonce="n", algorithm={name}') for name in names]
    assert [challenge.strength for challenge in challenges] == [0, 1, 2]
    assert understood('Digest realm="r", nonce="n"').strength == 0
    assert understood('Digest realm="r", nonce="n", algorithm=SHA-256-sess').strength == 1


@pytest.mark.parametrize(
    ("offered", "body", "chosen"),
    [
        ("", b"x", ""),
        ("", None, ""),
        ("auth", b"x", "auth"),
        ("auth", None, "auth"),
        ("auth,auth-int", b"x", "auth-int"),
        ("auth,auth-int", b"", "auth"),
        ("auth,auth-int", None, "auth"),
        ("auth,auth-int", b"x" * (MAX_PROTECTED_BODY + 1), "auth"),
        ("auth-int", b"x" * (MAX_PROTECTED_BODY + 1), "auth-int"),
        ("auth-int", b"", "auth-int"),
        ("auth-int", None, None),
    ],
)
def test_protection(offered: str, body: bytes | None, chosen: str | None) -> None:
    """A body is protected if its bytes are at hand; if they are not, and the server insists, there is no answer."""
    qop = f', qop="{offered}"' if offered else ""
    assert choose_qop(understood(f'Digest realm="r", nonce="n"{qop}'), body) == chosen


def test_requests_are_counted() -> None:
    """Each request at a nonce has its own number, and a new nonce begins at one; its own again changes nothing."""
    session = DigestSession(understood(RFC_2617), MUFASA, make_cnonce=lambda: "cn")
    assert [fields_of(session.answer(GET, "auth"))["nc"] for _ in range(11)][-1] == "0000000b"
    session.renew("dcd98b7102dd2f0e8b11d0f600bfb0c093")
    assert fields_of(session.answer(GET, "auth"))["nc"] == "0000000c"
    session.renew("next")
    fields = fields_of(session.answer(GET, "auth"))
    assert (fields["nc"], fields["nonce"]) == ("00000001", '"next"')


@pytest.mark.parametrize(
    ("user", "charset", "field"),
    [
        ("a\\b", "", r'username="a\\b"'),
        ('a"b', "", r'username="a\"b"'),
        ("ä", "", 'username="ä"'),
        ("a b", ", charset=UTF-8", 'username="a b"'),
        ("Jäsøn Doe", ", charset=UTF-8", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"),
    ],
)
def test_how_users_are_written(user: str, charset: str, field: str) -> None:
    """A name stands in quotes, escaped; one beyond ASCII is encoded if the server knows how to read that."""
    answer = answer_to(f'Digest realm="r", nonce="n"{charset}', UserPassword(user, "p"))
    assert answer.value.startswith(f"Digest {field}, realm=")


def test_realm_is_hashed_as_it_came() -> None:
    """A realm in a charset of the server's own is hashed by its bytes and sent back as the same bytes."""
    fields = fields_of(answer_to('Digest realm="a\udce4", nonce="n"', UserPassword("u", "p")))
    key = hashed("MD5", b"u", b"a\xe4", b"p")
    assert fields["response"] == f'"{hashed("MD5", key, b"n", hashed("MD5", b"GET", b"/dir/index.html")).decode()}"'
    assert fields["realm"] == '"a\udce4"'


@pytest.mark.parametrize(("qop", "end"), [("auth", []), ("auth-int", [hashed("MD5", b"the page")])])
def test_server_proves_itself(qop: str, end: list[bytes]) -> None:
    """The server's proof is checked (RFC 7616 section 3.5), over the response's body too if that is protected."""
    answer = answer_to(
        f'Digest realm="r", nonce="n", qop={qop}', UserPassword("u", "p"), DigestRequest("GET", "/a", b"")
    )
    key = hashed("MD5", b"u", b"r", b"p")
    proof = hashed("MD5", key, b"n", b"00000001", b"cn", qop.encode(), hashed("MD5", b"", b"/a", *end)).decode()
    body = hashed("MD5", b"the page")
    assert answer.is_proven(parse_parameters([f'rspauth="{proof.upper()}", qop={qop}, nc=00000001']), body)
    assert not answer.is_proven({"rspauth": proof[:-1] + ("0" if proof[-1] != "0" else "1")}, body)
    assert not answer.is_proven({"rspauth": ""}, body)
    if end:
        assert not answer.is_proven({"rspauth": proof}, hashed("MD5", b"another page"))
        assert not answer.is_proven({"rspauth": proof}, None)


def test_no_proof_is_demanded() -> None:
    """A server that offers no proof is believed, and so is one of RFC 2069, which knew none."""
    assert answer_to(RFC_2617).is_proven({"nextnonce": "n"}, None)
    assert answer_to('Digest realm="r", nonce="n"').is_proven({"rspauth": "nonsense"}, None)


def test_secrets_do_not_show() -> None:
    """What proves the password is not in what ends up in logs."""
    answer = answer_to(RFC_2617)
    assert "response" not in repr(answer)
    assert "Mufasa" not in repr(answer)


texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=10)


@given(realm=texts.filter(bool), nonce=texts.filter(bool), opaque=texts, user=texts)
def test_what_a_server_says_comes_back(realm: str, nonce: str, opaque: str, user: str) -> None:
    """Whatever realm, nonce and opaque hold, they come back unchanged, in credentials that can be parsed."""
    challenge = DigestChallenge(realm, nonce, None, frozenset({"auth"}), opaque=opaque)
    answer = DigestSession(challenge, UserPassword(user, "p"), make_cnonce=lambda: "cn").answer(GET, "auth")
    (read,) = parse_challenges([decode_text(answer.value.encode())])
    assert (read.realm, read.parameters["nonce"], read.parameters["opaque"]) == (realm, nonce, opaque)
    assert read.parameters["uri"] == "/dir/index.html"
