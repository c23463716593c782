"""Who may use an HTTP proxy: Basic and Digest, against values worked out elsewhere."""

from __future__ import annotations

import hashlib
from typing import Literal

import pytest

from .clients import LOGIN, Ground, ask
from .doors import BasicDoor, DigestDoor, digest_parameters, make_door
from .http_proxy import open_http_proxy

USER = ("Mufasa", "Circle of Life")
TARGET = "/dir/index.html"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
EXAMPLES = {
    "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}
"""Appendix of RFC 7616, section 3.9.1: the responses that its Mufasa gives."""


class RfcDoor(DigestDoor):
    """The server of that example."""

    @property
    def nonce(self) -> str:
        """The one of the example."""
        return NONCE


def said(response: str, algorithm: str, **changes: str) -> str:
    """A Proxy-Authorization field as in the example."""
    values = {
        "username": USER[0],
        "realm": "http-auth@example.org",
        "uri": TARGET,
        "nonce": NONCE,
        "cnonce": CNONCE,
        "response": response,
    } | changes
    quoted = ", ".join(f'{name}="{value}"' for name, value in values.items() if name not in ("nc", "qop"))
    return f"Digest {quoted}, algorithm={algorithm}, nc={values.get('nc', '00000001')}, qop={values.get('qop', 'auth')}"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_example_of_the_rfc(algorithm: Literal["MD5", "SHA-256"]) -> None:
    """The example's answer opens the door, once; any change of it does not."""
    door = RfcDoor(USER, algorithm, realm="http-auth@example.org")
    right = said(EXAMPLES[algorithm], algorithm)
    wrong = [
        said("0" * 32, algorithm),
        said(EXAMPLES[algorithm], algorithm, username="Scar"),
        said(EXAMPLES[algorithm], algorithm, realm="elsewhere"),
        said(EXAMPLES[algorithm], algorithm, uri="/other"),
        said(EXAMPLES[algorithm], algorithm, nc="1"),
        said(EXAMPLES[algorithm], algorithm, nc="00000002"),
        said(EXAMPLES[algorithm], algorithm, cnonce=""),
        said(EXAMPLES[algorithm], algorithm, nonce=""),
        said(EXAMPLES[algorithm], algorithm, qop="auth-int"),
        said(EXAMPLES[algorithm], "SHA-512-256"),
    ]
    for credentials in wrong:
        assert door.refusal("GET", TARGET, credentials) is not None
    assert door.refusal("POST", TARGET, right) is not None
    assert door.refusal("GET", TARGET, right) is None
    assert door.taken == [(NONCE, "00000001")]
    again = door.refusal("GET", TARGET, right)
    assert again is not None
    assert "stale" not in again


def proof(door: DigestDoor, target: str, *, nonce: str) -> str:
    """A right answer for CONNECT, worked out here."""
    user, password = door.login

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret, about = md5(f"{user}:{door.realm}:{password}"), md5(f"CONNECT:{target}")
    response = md5(f"{secret}:{nonce}:00000001:c:auth:{about}")
    return (
        f'Digest username="{user}", realm="{door.realm}", nonce="{nonce}", uri="{target}", response={response}, '
        f'nc=00000001, cnonce="c", qop=auth'
    )


async def test_digest_at_the_proxy(ground: Ground) -> None:
    """The proxy asks for Digest, knows a right answer, and tells one with an old nonce that it is stale."""
    target = "closed.test:80"
    connect = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    opening = open_http_proxy(
        network=ground.network, tls=ground.tls, resolve=ground.names, login=("maria", "x"), scheme="digest"
    )
    async with opening as proxy, ground.visit(proxy.address) as client:
        door = proxy.door
        assert isinstance(door, DigestDoor)

        async def attempt(credentials: str) -> tuple[int, bytes]:
            lines = f"{connect}Proxy-Authorization: {credentials}\r\n\r\n" if credentials else f"{connect}\r\n"
            status, head, _ = await ask(client, lines.encode())
            return status, head

        status, head = await attempt("")
        wanted = b'Proxy-Authenticate: Digest realm="proxy", nonce="nonce-1", qop="auth", algorithm=MD5\r\n'
        assert (status, wanted in head) == (407, True)
        assert (await attempt(proof(door, target, nonce="nonce-1")))[0] == 502
        door.generation += 1
        status, head = await attempt(proof(door, target, nonce="nonce-1"))
        assert (status, b'nonce="nonce-2"' in head, b", stale=true\r\n" in head) == (407, True, True)
        assert (await attempt(proof(door, target, nonce="nonce-2")))[0] == 502


def test_doors_by_name() -> None:
    """Each scheme has its door."""
    assert make_door(LOGIN, "basic") == BasicDoor(LOGIN)
    assert make_door(LOGIN, "digest") == DigestDoor(LOGIN)
    assert make_door(LOGIN, "digest-sha-256") == DigestDoor(LOGIN, "SHA-256")


def test_basic_is_utf_8() -> None:
    """Basic compares bytes in UTF-8; the scheme's name may have any case."""
    door = BasicDoor(("ma", "pä"))
    assert door.refusal("GET", "/", "basic bWE6cMOk") is None
    assert door.refusal("GET", "/", "Basic bWE6cOQ=") == 'Basic realm="proxy"'
    assert door.refusal("GET", "/", "Digest bWE6cMOk") is not None


def test_digest_parameters() -> None:
    """Values may be quoted or not; another scheme has none."""
    assert digest_parameters('Digest a="1, 2" , B=c') == {"a": "1, 2", "b": "c"}
    assert digest_parameters("Basic a=b") == {}
